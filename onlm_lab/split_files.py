"""A split as files with a hash: what was dealt before anything was fitted stays what it was, or is refused.

    split.csv    patient_id, repeat, fold: the development patients with a label
    parts.csv    patient_id, part: every patient of the run (development, external, temporal, locked)
    split.json   SHA-256 of both files and of everything that is said here, seed, scheme, counts by part and label

The digests are those of the files' bytes, so that `sha256sum` shows them too.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from onlm_lab import steps
from onlm_lab.errors import OnlmError
from onlm_lab.schema import write_table
from onlm_lab.showing import Said, shows_itself

if TYPE_CHECKING:
    import pandas as pd

FILES = ("split.csv", "parts.csv")
SEAL = "split.json"


@shows_itself
@dataclass(frozen=True, eq=False)
class DealtSplit:
    """A split as it lies on disk, checked against its hash.

    Attributes:
        folds: patient_id, repeat, fold.
        parts: patient_id, part.
        sha256: of both tables and of `facts`.
        facts: seed, scheme, counts and whatever else was said when it was dealt.
    """

    folds: pd.DataFrame
    parts: pd.DataFrame
    sha256: str
    facts: dict[str, Any]

    def _said(self) -> Said:
        parts = {str(name): int(n) for name, n in self.parts["part"].value_counts().items()}
        n_folds, n_repeats = self.folds["fold"].nunique(), self.folds["repeat"].nunique()
        facts = {"parts": parts, "folds": n_folds, "repeats": n_repeats, "sha256": self.sha256[:12]}
        line = f"Split of {len(self.parts)} patients: {n_folds} folds, {n_repeats} repeats"
        return Said(line, facts, {"folds": self.folds, "parts": self.parts})


def write_split(folder: Path, *, folds: pd.DataFrame, parts: pd.DataFrame, facts: dict[str, Any]) -> str:
    """Write split.csv, parts.csv and, last, split.json; gives the SHA-256 of all that they say.

    Args:
        folder: of the run.
        folds: patient_id, repeat, fold.
        parts: patient_id, part.
        facts: plain values that tell how the split was dealt.
    """
    folder = Path(folder)
    (folder / SEAL).unlink(missing_ok=True)  # killed half-way, there is no split rather than a wrong one
    write_table(folds[["patient_id", "repeat", "fold"]], folder / FILES[0])
    write_table(parts[["patient_id", "part"]], folder / FILES[1])
    said = {**facts, "files": {name: steps.file_digest(folder / name) for name in FILES}}
    sha256 = _seal(said)
    steps.write_text(
        folder / SEAL, json.dumps({"sha256": sha256, **said}, indent=1, sort_keys=True, ensure_ascii=False)
    )
    return sha256


def read_split(folder: str | Path) -> DealtSplit:
    """A split from its folder, every file checked against the hash that it was written with.

    Raises:
        OnlmError: a file is missing, or is not as it was written.
    """
    import pandas as pd

    folder = Path(folder)
    missing = [name for name in (*FILES, SEAL) if not (folder / name).is_file()]
    if missing:
        raise OnlmError(
            f"The split of '{folder.name}' is not whole: {', '.join(missing)} not found. "
            "Make the run anew with `onlm run STUDY --redo`."
        )
    said = _read_seal(folder)
    sha256 = said.pop("sha256", None)
    edited = [name for name in FILES if steps.file_digest(folder / name) != said.get("files", {}).get(name)]
    edited += [SEAL] if sha256 != _seal(said) else []
    if edited:
        raise OnlmError(
            f"The split of '{folder.name}' was changed after it was dealt: {' and '.join(edited)} no longer "
            f"{'fits' if len(edited) == 1 else 'fit'} the SHA-256 in {SEAL}. Put the original back, or deal it anew "
            "with `onlm run STUDY --redo`."
        )
    text = {"patient_id": str, "part": str}
    folds, parts = (
        pd.read_csv(folder / name, dtype=text, keep_default_na=False, na_values=[""], encoding="utf-8")
        for name in FILES
    )
    return DealtSplit(folds=folds, parts=parts, sha256=sha256, facts={k: v for k, v in said.items() if k != "files"})


def _read_seal(folder: Path) -> dict[str, Any]:
    try:
        said = json.loads((folder / SEAL).read_text(encoding="utf-8"))
    except ValueError:
        said = None
    if not isinstance(said, dict) or not isinstance(said.get("files"), dict):
        raise OnlmError(
            f"{SEAL} of '{folder.name}' cannot be read as the seal of a split. Put the original back, or deal it anew "
            "with `onlm run STUDY --redo`."
        )
    return said


def _seal(said: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(said, sort_keys=True, ensure_ascii=False).encode()).hexdigest()
