"""A list of patients to choose one from, by mouse or by keyboard; and a button that saves a table as a file."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import anywidget
import pandas as pd
import traitlets

_HERE = Path(__file__).parent


class PatientList(anywidget.AnyWidget):
    """Rows of text, one of which is chosen. Every cell is a text node, whatever data may hold.

    Attributes:
        columns: {"key", "label"} of each column; the first is the patient's.
        rows: {"id": patient_id, key: text, ...} in their order.
        chosen: patient_id of the present row; "": none.
        label: what a screen reader calls the list.
        steps: whether there are buttons for the previous and the next patient.
        texts: what its buttons say.
    """

    TEXTS: ClassVar[dict[str, str]] = {
        "previous": "Previous",
        "next": "Next",
        "none": "No patient passes these filters.",
    }
    _esm = _HERE / "patient_list.js"
    _css = _HERE / "patient_list.css"
    SAID: ClassVar[tuple[str, ...]] = ("rows",)  # in the reader's language
    columns = traitlets.List().tag(sync=True)
    rows = traitlets.List().tag(sync=True)
    chosen = traitlets.Unicode("").tag(sync=True)
    label = traitlets.Unicode("").tag(sync=True)
    steps = traitlets.Bool(True).tag(sync=True)
    texts = traitlets.Dict(TEXTS).tag(sync=True)


class Download(anywidget.AnyWidget):
    """A button that saves a table as CSV in the browser; the table is made when it is pressed.

    Attributes:
        label: of the button.
        name: of the file.
    """

    _esm = _HERE / "download.js"
    label = traitlets.Unicode("").tag(sync=True)
    name = traitlets.Unicode("table.csv").tag(sync=True)

    def __init__(self, make: Callable[[], pd.DataFrame], **traits: Any) -> None:
        super().__init__(**traits)

        def answer(_: Any, content: Any, __: Any) -> None:
            if isinstance(content, dict) and content.get("kind") == "csv":
                self.send({"kind": "csv", "text": spreadsheet_csv(make())})

        self.on_msg(answer)


def spreadsheet_csv(table: pd.DataFrame) -> str:
    """A table of texts as CSV for a spreadsheet program, which must take no cell for a formula."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\r\n")
    writer.writerow(table.columns)
    for row in table.itertuples(index=False, name=None):
        writer.writerow([f"'{v}" if isinstance(v, str) and re.match(r"[=+\-@\t\r]", v) else v for v in row])
    return "\ufeff" + stream.getvalue()
