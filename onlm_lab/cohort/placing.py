"""A folder's files replaced together, and only those that the same command wrote and nobody has changed since.

A note (merge.json) keeps the digest of each file. It is written before the first file is moved and after the last one,
so that a command killed in between is taken up by the next.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from onlm_lab.errors import StudyError
from onlm_lab.steps import file_digest, write_text

NOTE = "merge.json"
STAGE = ".merge"


def placed_files(folder: Path) -> dict[str, tuple[str, ...]]:
    """The files that this command wrote, by name relative to the folder, with the digests that they may have."""
    note = folder / NOTE
    if not note.is_file():
        return {}
    try:
        said = json.loads(note.read_text(encoding="utf-8"))
        return {name: tuple(digests) for name, digests in said["files"].items()}
    except (ValueError, KeyError, AttributeError, TypeError):
        raise StudyError(
            f"{NOTE} in '{folder.name}' is damaged: which files are whose is not known. Merge into a new folder."
        ) from None


def edited_files(folder: Path) -> list[str]:
    """Of those files, the ones that somebody has changed."""
    return [
        name for name, digests in placed_files(folder).items()
        if (folder / name).is_file() and file_digest(folder / name) not in digests
    ]  # fmt: skip


def place_files(folder: Path, files: Mapping[str, bytes], *, replaceable: Sequence[str] = ()) -> None:
    """Write these files and take away what the same command wrote before and no longer writes.

    Args:
        folder: is made where it is not there.
        files: content by name relative to the folder.
        replaceable: files that may have been changed; what they held is kept as <name>.before.

    Raises:
        StudyError: a file of one of these names is there that this command did not write.
    """
    owned = placed_files(folder)
    strange = [name for name in files if name not in owned and (folder / name).exists()]
    if strange:
        raise StudyError(
            f"'{folder.name}' has {', '.join(sorted(strange))}, which this command did not write; nothing was "
            "overwritten. Name a new folder."
        )
    edited = set(edited_files(folder))
    new = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    stage = folder / STAGE
    shutil.rmtree(stage, ignore_errors=True)
    for name, content in files.items():
        path = stage / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
    either = {name: sorted({*owned.get(name, ()), *([new[name]] if name in new else [])}) for name in {**owned, **new}}
    _write_note(folder, either)
    for name in files:
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if name in edited and name in replaceable:
            shutil.copy2(target, target.with_name(f"{target.name}.before"))
        os.replace(stage / name, target)
    for name in set(owned) - set(files):
        (folder / name).unlink(missing_ok=True)
    shutil.rmtree(stage)
    _write_note(folder, {name: [digest] for name, digest in new.items()})


def _write_note(folder: Path, files: Mapping[str, Sequence[str]]) -> None:
    write_text(folder / NOTE, json.dumps({"files": {k: files[k] for k in sorted(files)}}, indent=1) + "\n")
