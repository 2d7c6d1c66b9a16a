"""Tables as files: whole or not at all, and the same bytes for the same table."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from onlm_lab.schema.dictionary import Column, column

if TYPE_CHECKING:
    import pandas as pd


def write_table(frame: pd.DataFrame, path: str | Path, *, extra_columns: Iterable[Column] = ()) -> Path:
    """Write a CSV whole or not at all, and the same bytes for the same table.

    Floats by repr, booleans and whole-number columns without a point, missing cells empty, newline "\\n".
    """
    path, text = Path(path), table_text(frame, extra_columns=extra_columns)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("w", encoding="utf-8", newline="") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return path


def table_text(frame: pd.DataFrame, *, extra_columns: Iterable[Column] = ()) -> str:
    """The CSV text that write_table writes; its SHA-256 identifies the table."""
    extra = tuple(extra_columns)
    cells = [_texts(frame[name], spec=column(str(name), extra_columns=extra)) for name in frame.columns]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([str(c) for c in frame.columns])
    writer.writerows(zip(*cells, strict=True))
    return text.getvalue()


def _texts(series: pd.Series, *, spec: Column | None) -> list[str]:
    """The cells of one column as text."""
    import pandas as pd

    whole = spec is not None and spec.type in ("integer", "boolean")
    return ["" if value is None or pd.isna(value) else _text(value, whole=whole) for value in series.tolist()]


def _text(value: Any, *, whole: bool) -> str:
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, float):
        return str(int(value)) if whole and value.is_integer() else repr(value)
    return str(value)
