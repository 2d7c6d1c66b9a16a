"""Tables as files: whole or not at all, and the same bytes for the same table."""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from onlm_lab.schema.dictionary import Column, column
from onlm_lab.schema.texts import factorized, plain

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

_ROWS = 10_000
_SPECIAL = re.compile(r"[^0-9A-Za-z_. -]")  # what csv.writer may want quotation marks for, and more


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
    head = io.StringIO()
    csv.writer(head, lineterminator="\n").writerow([str(c) for c in frame.columns])
    if frame.empty:
        return head.getvalue()
    alone = frame.shape[1] == 1
    parts = [head.getvalue()]
    columns = [
        _texts(frame.iloc[:, i], spec=column(str(name), extra_columns=extra), alone=alone)
        for i, name in enumerate(frame.columns)
    ]
    for start in range(0, len(frame), _ROWS):  # a table of 100,000 rows as single cells would weigh too much
        cells = [words[codes[start : start + _ROWS]].tolist() for codes, words in columns]
        parts.append("\n".join(map(",".join, zip(*cells, strict=True))) + "\n")
    return "".join(parts)


def _texts(series: pd.Series, *, spec: Column | None, alone: bool) -> tuple[np.ndarray, np.ndarray]:
    """The cells of one column, quoted where CSV wants it: which text is in each row, and each different text once."""
    import numpy as np
    import pandas as pd

    series = plain(series) if series.dtype.kind == "f" else series
    whole = spec is not None and spec.type in ("integer", "boolean")
    if series.dtype.kind == "f":
        # -0.0 and 0.0 are one value but two texts
        codes, values = pd.factorize(series.to_numpy().view(f"i{series.dtype.itemsize}"))
        found = values.view(series.dtype).tolist()
    elif series.dtype == object and pd.api.types.infer_dtype(series, skipna=True) not in ("string", "empty"):
        found, codes = series.tolist(), np.arange(len(series))  # 1, 1.0 and True are one value but three texts
    else:
        codes, values = factorized(series.astype(object).to_numpy())
        found = values.tolist()
    words = np.empty(len(found), dtype=object)
    words[:] = ["" if v is None or (type(v) is not str and pd.isna(v)) else _text(v, whole=whole) for v in found]
    words[:] = [_quoted(word, alone=alone) for word in words]
    return codes, words


def _quoted(word: str, *, alone: bool) -> str:
    """A cell as csv.writer writes it."""
    if word and not _SPECIAL.search(word):
        return word
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow([word] if alone else [word, ""])
    return text.getvalue()[:-1] if alone else text.getvalue()[:-2]


def _text(value: Any, *, whole: bool) -> str:
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, float):
        return str(int(value)) if whole and value.is_integer() else repr(value)
    return str(value)
