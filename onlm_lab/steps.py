"""What makes a step resumable: the digest of what goes in, a note of what came out, a lock on the study.

A step is skipped when the digest of its inputs is the one in its note and every output is still there. The note is
written last, so that a step killed half-way is never taken for done.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

import onlm_lab
from onlm_lab.errors import OnlmError


@dataclass(frozen=True)
class Step:
    """One step of one study: `inputs` is a digest, `outputs` the files that it leaves (relative to the study)."""

    name: str
    folder: Path
    inputs: str

    @property
    def note(self) -> Path:
        return self.folder / "work" / "steps" / f"{self.name}.json"

    def done(self) -> bool:
        """Whether this step has already been done with these very inputs.

        Where other settings were at work since (another run of the same study), what they both write must still be
        what this step left.
        """
        said = self.said()
        if said.get("inputs") == self.inputs:
            return all((self.folder / name).is_file() for name in said["outputs"])
        if self.note.is_file() and not said:  # damaged: nobody knows what was at work since
            return False
        said = _read_note(self._kept)
        if said.get("inputs") != self.inputs:
            return False
        sealed = said.get("sealed", {})
        return all(
            (self.folder / name).is_file() and sealed.get(name, "") in ("", file_digest(self.folder / name))
            for name in said["outputs"]
        )

    def said(self) -> dict[str, Any]:
        """What the step's note says, of whatever inputs it was done with last; empty where there is none."""
        return _read_note(self.note)

    @property
    def _kept(self) -> Path:
        """The note of these very inputs, which stays when the step is done with others."""
        return self.note.with_name(f"{self.name}-{self.inputs[:12]}.json")

    def finish(
        self, *, outputs: list[Path], seconds: float, facts: dict[str, Any] | None = None, sealed: Sequence[Path] = ()
    ) -> None:
        """Write the note: from now on the step counts as done.

        Args:
            outputs: the files that it leaves.
            seconds: that it took.
            facts: to be told later.
            sealed: those of the outputs that the step with other inputs writes over.
        """
        said = {
            "inputs": self.inputs,
            "outputs": [str(path.relative_to(self.folder)) for path in outputs],
            "seconds": round(seconds, 1),
            "facts": facts or {},
            "sealed": {str(path.relative_to(self.folder)): file_digest(path) for path in sealed},
        }
        for note in (self._kept, self.note):
            write_text(note, json.dumps(said, indent=1, sort_keys=True))


def _read_note(note: Path) -> dict[str, Any]:
    if not note.is_file():
        return {}
    try:
        said = json.loads(note.read_text(encoding="utf-8"))
    except ValueError:  # damaged: the step is done again
        return {}
    return said if isinstance(said, dict) and isinstance(said.get("outputs"), list) else {}


def digest(*parts: Any) -> str:
    """SHA-256 over texts, plain values and files (by content), and the version of this library."""
    seal = hashlib.sha256(onlm_lab.__version__.encode())
    for part in parts:
        seal.update(b"\0")
        if isinstance(part, Path):
            seal.update(file_digest(part).encode())
        else:
            seal.update(json.dumps(part, sort_keys=True, default=str).encode())
    return seal.hexdigest()


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes; of nothing, where it is absent."""
    if not path.is_file():
        return "absent"
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def folder_digest(path: Path) -> str:
    """A digest of a folder's file names, sizes and times: fast, and changed by any edit."""
    seal = hashlib.sha256()
    stack = [path]
    while stack:
        here = stack.pop()
        if not here.is_dir():
            continue
        for entry in sorted(os.scandir(here), key=lambda e: e.name):
            if entry.is_dir(follow_symlinks=False):  # as the reader of headers: no way round in a circle
                stack.append(Path(entry.path))
            else:
                stat = entry.stat(follow_symlinks=entry.is_file())  # a link to nowhere still has its own
                seal.update(f"{os.path.relpath(entry.path, path)}\0{stat.st_size}\0{stat.st_mtime_ns}\n".encode())
    return seal.hexdigest()


def write_text(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_name(f".{path.name}.{os.getpid()}.half")
    try:
        with half.open("w", encoding="utf-8", newline="\n") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(half, path)
    finally:
        half.unlink(missing_ok=True)


@contextlib.contextmanager
def whole_or_not(path: Path) -> Iterator[Path]:
    """A name to write under; the file takes its own name when all is on the disk, and nothing is left where it failed.

    Raises:
        OnlmError: the disk is full or cannot be written.
    """
    half = path.with_name(f"{path.name}.half")
    try:
        yield half
        half.replace(path)
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        why = "no space is left on the disk" if full else (error.strerror or type(error).__name__)
        raise OnlmError(
            f"'{path.name}' could not be written: {why}. Make room where the study lies (or let it be written), then "
            "start the same command again: it goes on with what was kept."
        ) from error
    finally:
        half.unlink(missing_ok=True)


def folder_for(folder: Path, *, inputs: str) -> Path:
    """A folder of finished parts, made or kept; emptied where its parts were made from other inputs."""
    note = folder / "inputs.txt"
    if folder.is_dir() and not (note.is_file() and note.read_text(encoding="utf-8") == inputs):
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    write_text(note, inputs)
    return folder


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Only one process works on a study at a time.

    Raises:
        OnlmError: another process is at work there.
    """
    path = folder / "work" / ".lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise OnlmError(
            f"Another onlm command is at work on '{folder.resolve().name}'. Wait for it, or stop it, then try again."
        ) from None
    try:
        yield
    finally:
        lock.release()
