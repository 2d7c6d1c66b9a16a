"""The one family of errors that a user meets: a sentence that says what was wanted, what came, where, what to try."""

from __future__ import annotations

import errno
import os
import textwrap
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

DEBUG = "ONLM_DEBUG"  # shows a whole error, which may hold names of patients
_OF_THE_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EMFILE, errno.ENFILE)


@dataclass(frozen=True)
class Fault:
    """One fault of a table: its sentence, and the cells that a list for the hospital names one by one.

    Attributes:
        said: the sentence for the screen; it may name only the first few cells.
        file: the file's name, without folders.
        column: the column's name in the file; "" where the fault is of a whole row or file.
        rows: row numbers as a spreadsheet shows them (the first row below the names is 2).
        patients: the patient of each row, or "".
        values: what each cell holds, fit to be shown (no dates, no names), or "".
        wanted: what the cell must hold.
    """

    said: str
    file: str = ""
    column: str = ""
    rows: tuple[int, ...] = ()
    patients: tuple[str, ...] = ()
    values: tuple[str, ...] = ()
    wanted: str = ""

    def __str__(self) -> str:
        return self.said


class OnlmError(ValueError):
    """Something in the user's data, study or request is wrong; the message is written for the user.

    The command line prints the message alone and exits with code 2; a dashboard shows it as a sentence on the page; a
    notebook shows it with the line of the cell that met it.
    """

    def _render_traceback_(self) -> list[str]:
        """What a notebook shows instead of a traceback, line by line; IPython asks for it by this name.

        The frames between the cell and the fault say nothing to whoever wrote the cell. ONLM_DEBUG=1 brings them back,
        as Python prints them: never with the values of variables, which may hold patients.
        """
        if os.environ.get(DEBUG):
            return "".join(traceback.format_exception(self)).splitlines()
        return [f"{type(self).__name__}: {self}", *_line_of_cell(self), f"({DEBUG}=1 shows the whole traceback)"]


class DataError(OnlmError):
    """A table does not fit the schema. `faults` lists every fault, one sentence each; `details` the same with cells."""

    def __init__(self, faults: Sequence[str | Fault]):
        self.details = [fault if isinstance(fault, Fault) else Fault(fault) for fault in faults]
        self.faults = [fault.said for fault in self.details]
        super().__init__("\n".join(self.faults))


class StudyError(OnlmError):
    """study.toml, or a file that it names, cannot be used."""


class SeriesError(OnlmError):
    """A CT series, or a mask on it, cannot be read; the message names the slice and the fault."""


def _line_of_cell(error: BaseException) -> list[str]:
    """The last line of a notebook's cell that the error came through; nothing where it met no cell."""
    met = [f for f in traceback.extract_tb(error.__traceback__) if _is_cell(f.filename)]
    if not met or not met[-1].line:
        return []
    return [f"In line {met[-1].lineno} of the cell: {textwrap.shorten(met[-1].line, 100, placeholder=' ...')}"]


def _is_cell(file: str) -> bool:
    """Whether a file stands for a cell: ipykernel writes one into a folder of its process, IPython only names it."""
    return file.startswith("<ipython-input") or Path(file).parent.name.startswith("ipykernel_")


def of_the_disk(error: BaseException) -> bool:
    """Whether the system, and not a file of the user, is in the way: it is full, or may not be written."""
    return isinstance(error, OSError) and error.errno in _OF_THE_DISK


def told(error: BaseException) -> str:
    """What went wrong in a sentence without anything of the data: its own text may name a patient."""
    if isinstance(error, MemoryError):
        return "Memory ran out. Let fewer processes work at once (--workers 1)."
    if isinstance(error, OSError):
        return f"A file could not be opened or read: {error.strerror or 'unknown reason'}."
    own = [frame for frame in traceback.extract_tb(error.__traceback__) if "onlm_lab" in Path(frame.filename).parts]
    place = f" at {Path(own[-1].filename).name}:{own[-1].lineno}" if own else ""
    return f"Something that this program did not foresee ({type(error).__name__}{place})."
