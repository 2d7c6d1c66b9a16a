"""A column of a spreadsheet as text: each different text once, and which of them stands in each row."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

# What a workbook's cell holds that is no text; no text of a workbook can hold this character.
MARK = "\x02"
DATE, ERROR, FORMULA, ROUNDED, TIME = (MARK + letter for letter in "DEFRT")
TOLD = MARK + "X"  # before a cell whose fault is told already
# Line breaks and the like, left over from an export, and what nobody sees: two identifiers would look the same.
CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\xad\u180e\u200b\u2028-\u202e\u2060\u2066-\u2069\ufeff]")
INVISIBLE = "\u200b\u200c\u200d\u200e\u200f\u2060\u180e\ufeff\xad\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
_ENDS = re.compile(rf"^[\s{INVISIBLE}]+|[\s{INVISIBLE}]+$")


@dataclass(frozen=True, eq=False)
class Texts:
    """`words`: the different texts; `codes`: for each row the position of its text in `words`."""

    words: list[str]
    codes: np.ndarray

    def __len__(self) -> int:
        return len(self.codes)

    def at(self, row: int) -> str:
        return self.words[self.codes[row]]

    def values(self, of: Sequence[Any], *, numeric: bool = False) -> np.ndarray:
        """Row by row what `of` holds for the row's word."""
        import numpy as np

        table = np.empty(len(of), dtype=float if numeric else object)
        table[:] = of
        return table[self.codes] if len(of) else table

    def where(self, test: Callable[[str], bool]) -> np.ndarray:
        """For each row whether its text passes the test."""
        import numpy as np

        return (
            np.fromiter(map(test, self.words), dtype=bool, count=len(self.words))[self.codes]
            if self.words
            else (np.zeros(len(self.codes), dtype=bool))
        )

    def counts(self) -> list[int]:
        """How many rows hold each word."""
        import numpy as np

        return np.bincount(self.codes, minlength=len(self.words)).tolist()

    def kept(self, rows: np.ndarray) -> Texts:
        """The same words for some of the rows."""
        return Texts(self.words, self.codes[rows])

    def replaced(self, words: Sequence[str]) -> Texts:
        """The same rows with other words in the same places."""
        return Texts(list(words), self.codes)


def texts(cells: Sequence[str] | np.ndarray) -> Texts:
    """A column of cells; none holds a null character (see factorized)."""
    import numpy as np
    import pandas as pd

    column = np.empty(len(cells), dtype=object)
    column[:] = cells
    codes, words = pd.factorize(column)
    return Texts(words.tolist(), codes)


def factorized(column: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each cell the position of its value, and each different value once.

    pandas takes texts for one that differ only after a null character; such a column is gone through cell by cell.
    """
    import numpy as np
    import pandas as pd

    if "\0" not in "".join([cell for cell in column.tolist() if type(cell) is str]):
        return pd.factorize(column, use_na_sentinel=False)
    places: dict[tuple[type, object], int] = {}
    codes = np.array([places.setdefault((type(cell), cell), len(places)) for cell in column], dtype=int)
    words = np.empty(len(places), dtype=object)
    words[:] = [cell for _, cell in places]
    return codes, words


def plain(column: pd.Series) -> pd.Series:
    """A column without the extension types of pandas: numbers and booleans as float64, all else as objects."""
    import numpy as np
    import pandas as pd

    if not isinstance(column.dtype, pd.api.extensions.ExtensionDtype):
        return column
    if pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column):
        return pd.Series(column.to_numpy(dtype=float, na_value=np.nan), index=column.index, name=column.name)
    return column.astype(object).where(column.notna(), None)


def bare(text: str) -> str:
    """A text without blanks at its ends: plain, non-breaking, ideographic and those without width."""
    if not text:
        return text
    first, last = text[0], text[-1]
    if first.isspace() or last.isspace() or first in INVISIBLE or last in INVISIBLE:
        return _ENDS.sub("", text)
    return text
