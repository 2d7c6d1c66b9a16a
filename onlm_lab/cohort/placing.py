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
from typing import Any

from onlm_lab.errors import StudyError
from onlm_lab.steps import file_digest, write_text

NOTE = "merge.json"
STAGE = ".merge"


def placed_files(folder: Path) -> dict[str, tuple[str, ...]]:
    """The files that this command wrote, by name relative to the folder, with the digests that they may have."""
    return {name: tuple(digests) for name, digests in _note(folder)["files"].items()}


def placed_facts(folder: Path) -> dict[str, Any]:
    """What was noted beside them."""
    return _note(folder)["facts"]


def _note(folder: Path) -> dict[str, Any]:
    note = folder / NOTE
    if not note.is_file():
        return {"files": {}, "facts": {}}
    try:
        said = json.loads(note.read_text(encoding="utf-8"))
        if all(isinstance(said[key], dict) for key in ("files", "facts")):
            return said
    except (ValueError, KeyError, TypeError):
        pass
    raise StudyError(
        f"{NOTE} in '{folder.resolve().name}' is damaged: which files are whose is not known. Merge into a new folder."
    )


def edited_files(folder: Path) -> list[str]:
    """Of those files, the ones that somebody has changed."""
    return [
        name for name, digests in placed_files(folder).items()
        if (folder / name).is_file() and file_digest(folder / name) not in digests
    ]  # fmt: skip


def place_files(
    folder: Path, files: Mapping[str, bytes], *, replaceable: Sequence[str] = (), facts: Mapping[str, Any] | None = None
) -> None:
    """Write these files and take away what the same command wrote before and no longer writes.

    Args:
        folder: is made where it is not there.
        files: content by name relative to the folder.
        replaceable: files that may have been changed; what they held is kept as <name>.before.
        facts: what is to be noted beside them.

    Raises:
        StudyError: a file of one of these names is there that this command did not write.
    """
    owned = placed_files(folder)
    strange = [name for name in files if name not in owned and (folder / name).exists()]
    if strange:
        raise StudyError(
            f"'{folder.resolve().name}' has {', '.join(sorted(strange))}, which this command did not write; nothing "
            "was overwritten. Name a new folder."
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
    _write_note(folder, files=either, facts=facts)
    for name in files:
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if name in edited and name in replaceable:
            shutil.copy2(target, target.with_name(f"{target.name}.before"))
        os.replace(stage / name, target)
    for name in set(owned) - set(files):
        (folder / name).unlink(missing_ok=True)
    shutil.rmtree(stage)
    _write_note(folder, files={name: [digest] for name, digest in new.items()}, facts=facts)


def _write_note(folder: Path, *, files: Mapping[str, Sequence[str]], facts: Mapping[str, Any] | None) -> None:
    said = {"files": {name: list(files[name]) for name in sorted(files)}, "facts": dict(facts or {})}
    write_text(folder / NOTE, json.dumps(said, indent=1, sort_keys=True, ensure_ascii=False) + "\n")
