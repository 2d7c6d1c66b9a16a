"""The locked test set: drawn once, closed until somebody opens it, and every opening is on record.

What a run may see of a locked patient is what was known before treatment; the label, and whatever became known later,
is blank in its files. `openings.csv` lies with the study, outside its runs, because a new run must not forget that the
set was opened before. Each of its lines carries the digest of the line before, so that a changed, a removed or an
inserted line is seen. `locked.json` beside it says who was drawn and who was not: later patients, another seed or other
folds move nobody across the lock.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Iterable
from dataclasses import asdict, astuple, dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
from filelock import FileLock

from onlm_lab import schema, steps
from onlm_lab.errors import OnlmError
from onlm_lab.showing import shows_itself

DRAW = "locked.json"  # with the study: who is locked stays locked when patients, seeds or models change
REASON = "locked test set, not opened"
KNOWN_BEFORE = ("id", "pre_treatment")


@shows_itself
@dataclass(frozen=True)
class Opening:
    """One line of openings.csv: who looked at the locked labels, when, why, and with which predictions."""

    number: int  # of all openings in this study, from 1
    time_utc: str
    purpose: str
    by: str
    run_id: str
    n_patients: int
    predictions_sha256: str
    split_sha256: str
    previous_sha256: str  # of the line before; empty in the first
    sha256: str = ""  # of everything before it in this line

    def to_dict(self) -> dict[str, str | int]:
        return asdict(self)

    def sealed(self) -> Opening:
        """The same with its digest."""
        said = [str(value) for value in astuple(replace(self, sha256=""))[:-1]]
        return replace(self, sha256=hashlib.sha256(json.dumps(said, ensure_ascii=False).encode()).hexdigest())


FIELDS = tuple(field.name for field in fields(Opening))


def hidden_columns(
    patients: pd.DataFrame, *, keep: Iterable[str] = (), extra_columns: Iterable[schema.Column] = ()
) -> list[str]:
    """The columns that say, or may say, what became known only after treatment.

    A column stays in sight only where the schema or the study declares that it identifies a patient or is known before
    treatment; whatever nobody declared is hidden.

    Args:
        patients: the cohort's columns.
        keep: columns that a model reads, whatever their timing (a surrogate study may predict from the resection).
        extra_columns: the study's own.
    """
    extra, kept = tuple(extra_columns), {*keep, "part", "role"}
    found = []
    for name in patients.columns:
        spec = schema.column(str(name), extra_columns=extra)
        if name not in kept and (spec is None or spec.timing not in KNOWN_BEFORE):
            found.append(str(name))
    return found


def close_rows(patients: pd.DataFrame, *, locked: pd.Series, hidden: Iterable[str]) -> pd.DataFrame:
    """The table with the hidden columns blank in the locked rows; the missing label says why.

    Args:
        patients: cohort columns.
        locked: True where a row is locked.
        hidden: see hidden_columns.
    """
    shown = {}
    for name in hidden:
        numbers = pd.api.types.is_numeric_dtype(patients[name])
        shown[name] = patients[name].where(~locked, np.nan if numbers else None)
    closed = patients.assign(**shown)
    if "onlm_missing_reason" in closed:
        closed["onlm_missing_reason"] = closed["onlm_missing_reason"].astype(object).mask(locked, REASON)
    return closed


@dataclass(frozen=True)
class Draw:
    """Who was drawn for the locked test set and who was not, of all labelled patients who could have been."""

    locked_fraction: float
    seed: int  # of the first draw
    locked: tuple[str, ...]
    passed: tuple[str, ...]

    @property
    def drawn(self) -> dict[str, bool]:
        """As hold_out takes it."""
        return dict.fromkeys(self.passed, False) | dict.fromkeys(self.locked, True)

    def after(self, *, locked: Iterable[str], passed: Iterable[str]) -> Draw:
        """With those who were drawn, or passed over, since."""
        return replace(
            self, locked=tuple(sorted({*self.locked, *locked})), passed=tuple(sorted({*self.passed, *passed}))
        )


def read_draw(path: str | Path) -> Draw | None:
    """Who was drawn, from the study's locked.json; None where nobody has been drawn yet.

    Raises:
        OnlmError: the file is not as it was written.
    """
    path = Path(path)
    if not path.is_file():
        return None
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
        sha256 = said.pop("sha256")
        draw = Draw(said["locked_fraction"], said["seed"], tuple(said["locked"]), tuple(said["passed"]))
    except (ValueError, KeyError, TypeError, AttributeError):
        sha256, draw = "", None
    if draw is None or sha256 != _draw_digest(draw):
        raise OnlmError(
            f"{path.name} is not as it was written; it says who is locked for testing, so nobody can be dealt. Put the "
            "original file back."
        )
    return draw


def write_draw(path: str | Path, draw: Draw) -> None:
    """Writes locked.json, whole or not at all."""
    said = asdict(draw) | {"sha256": _draw_digest(draw)}
    steps.write_text(Path(path), json.dumps(said, indent=1, ensure_ascii=False))


def _draw_digest(draw: Draw) -> str:
    return hashlib.sha256(json.dumps(asdict(draw), sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def read_openings(path: str | Path) -> list[Opening]:
    """Every opening of a study's locked test set, oldest first; none where the file does not exist.

    Raises:
        OnlmError: a line was changed, removed, inserted or cut short.
    """
    path = Path(path)
    if not path.is_file():
        return []
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            names, *lines = list(csv.reader(stream)) or [[]]
    except (UnicodeDecodeError, csv.Error):
        raise _changed(path, line=1) from None
    if tuple(names) != FIELDS:
        raise _changed(path, line=1)
    found: list[Opening] = []
    for line, cells in enumerate(lines, start=2):
        opening = _opening(cells)
        before = found[-1].sha256 if found else ""
        whole = opening is not None and opening.number == len(found) + 1 and opening.previous_sha256 == before
        if opening is None or not whole or opening.sealed() != opening:
            raise _changed(path, line=line)
        found.append(opening)
    return found


def _opening(cells: list[str]) -> Opening | None:
    if len(cells) != len(FIELDS):
        return None
    said = dict(zip(FIELDS, cells, strict=True))
    if not (said["number"].isdecimal() and said["n_patients"].isdecimal()):
        return None
    return Opening(**{**said, "number": int(said["number"]), "n_patients": int(said["n_patients"])})


def _changed(path: Path, *, line: int) -> OnlmError:
    return OnlmError(
        f"{path.name}: line {line} is not as it was written; the record of who opened the locked test set was changed, "
        "so nothing can be said about the set. Put the original file back."
    )


def log_opening(
    path: str | Path, *, purpose: str, by: str = "", run_id: str, n_patients: int, predictions_sha256: str,
    split_sha256: str, now: datetime | None = None,
) -> Opening:  # fmt: skip
    """Adds a line to openings.csv, on disk before this returns: first the record, then the look.

    Args:
        path: the study's openings.csv.
        purpose: why the set is opened; not empty.
        by: who opens it.
        run_id: the run whose predictions are tested.
        n_patients: how many locked patients it has predictions for.
        predictions_sha256, split_sha256: what is tested, and on which split.
        now: for tests; else the clock.

    Raises:
        OnlmError: no purpose, or a log that was changed.
    """
    purpose, by = " ".join(purpose.split()), " ".join(by.split())
    if not purpose:
        raise OnlmError('A locked test set is opened for a purpose; it is empty. Say it: --purpose "final test".')
    path = Path(path)
    with FileLock(path.with_name(f".{path.name}.lock")):  # of two who open at once each has a line
        return _append(
            path, now=now or datetime.now(UTC), purpose=purpose, by=by, run_id=run_id, n_patients=n_patients,
            predictions_sha256=predictions_sha256, split_sha256=split_sha256,
        )  # fmt: skip


def _append(
    path: Path, *, now: datetime, purpose: str, by: str, run_id: str, n_patients: int, predictions_sha256: str,
    split_sha256: str,
) -> Opening:  # fmt: skip
    before = read_openings(path)
    time = now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    opening = Opening(
        number=len(before) + 1, time_utc=time, purpose=purpose, by=by, run_id=run_id, n_patients=n_patients,
        predictions_sha256=predictions_sha256, split_sha256=split_sha256,
        previous_sha256=before[-1].sha256 if before else "",
    ).sealed()  # fmt: skip
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([FIELDS, *map(astuple, before), astuple(opening)])
    steps.write_text(path, text.getvalue())  # whole or not at all: half a line would shut the record for good
    return opening


def require_record(
    openings: list[Opening], *, remembered: Iterable[dict[str, object]], file: str = "openings.csv"
) -> None:
    """Stops where a run remembers an opening that the log no longer has: lines were cut off its end, or all of it.

    Args:
        openings: of the log.
        remembered: `number` and `sha256` of the openings that runs were opened by.
        file: the log's name.
    """
    logged = {opening.number: opening.sha256 for opening in openings}
    lost = sorted({int(str(o["number"])) for o in remembered if logged.get(int(str(o["number"]))) != o["sha256"]})
    if lost:
        raise OnlmError(
            f"{file}: opening {', '.join(map(str, lost))} is remembered by a run and is no longer in the record "
            f"({len(openings)} there); lines were removed. Put the original file back."
        )
