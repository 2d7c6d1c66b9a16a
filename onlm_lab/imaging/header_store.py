"""Headers kept on disk while a search goes on, so that a search that was killed goes on where it was.

A part is one compressed file, written whole or not at all: a table of headers, column by column, since the slices of
a series say the same. A file is known by a digest of its path, its size and its time of change; neither paths nor
anything that tells who a patient is are kept.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import re
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from onlm_lab.imaging.frames import Frame
from onlm_lab.imaging.header import Header

FORMAT = 3  # raise it when headers of the same files would be other headers
NOT_DICOM: None = None
_NAME = re.compile(r"headers-(\d{6})\.json\.gz")
_KEPT = tuple(name for name in Header._fields if name not in ("file", "size_bytes", "modified_ns", "frames"))
_FRAME = tuple(f.name for f in fields(Frame))

Stamp = tuple[str, int, int]  # digest of the path, bytes, nanoseconds


def stamp(file: str, state: os.stat_result) -> Stamp:
    """What a file is known by."""
    digest = hashlib.blake2b(file.encode("utf-8", "surrogateescape"), digest_size=12).hexdigest()
    return digest, state.st_size, state.st_mtime_ns


class HeaderStore:
    """Headers of one folder that were read before; new ones are added part by part."""

    def __init__(self, folder: str | os.PathLike):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self._known: dict[Stamp, Header | None] = {}
        self._next = 0
        for path in sorted(self.folder.iterdir()):
            if match := _NAME.fullmatch(path.name):
                self._next = max(self._next, int(match[1]) + 1)
                self._known |= _read_part(path)
        self._n_parts = self._next

    def __contains__(self, found: Stamp) -> bool:
        return found in self._known

    def get(self, found: Stamp, *, file: str) -> Header | None:
        """The header of a file that is known, None where it is not DICOM."""
        header = self._known[found]
        return None if header is None else header._replace(file=file, size_bytes=found[1], modified_ns=found[2])

    def add(self, part: Mapping[Stamp, Header | None]) -> None:
        """Write a part of the search."""
        if part:
            _write(self.folder / f"headers-{self._next:06d}.json.gz", _packed(part))
            self._next += 1
            self._known |= part

    def finish(self, wanted: Iterable[Stamp]) -> None:
        """One part in the place of many, without files that are gone or were changed."""
        kept = {found: self._known[found] for found in wanted if found in self._known}
        if self._next <= 1 and len(kept) == len(self._known):
            return
        old = [path for path in self.folder.iterdir() if _NAME.fullmatch(path.name)]
        _write(self.folder / f"headers-{self._next:06d}.json.gz", _packed(kept))
        for path in old:
            path.unlink()
        self._known, self._next = kept, self._next + 1


def _packed(part: Mapping[Stamp, Header | None]) -> bytes:
    dicom = [(found, header) for found, header in part.items() if header is not None]
    others = [list(found) for found, header in part.items() if header is None]
    columns: dict[str, Any] = {}
    for name in _KEPT:
        values = [getattr(header, name) for _, header in dicom]
        different = list(dict.fromkeys(map(repr, values)))
        place = {text: k for k, text in enumerate(different)}
        first = {repr(value): value for value in values}
        codes = [place[repr(value)] for value in values]
        columns[name] = {"values": [first[text] for text in different], "codes": codes if len(different) > 1 else []}
    frames = {k: [[getattr(f, n) for n in _FRAME] for f in h.frames] for k, (_, h) in enumerate(dicom) if h.frames}
    said = {"format": FORMAT, "stamps": [list(found) for found, _ in dicom], "columns": columns, "frames": frames}
    return gzip.compress(json.dumps({**said, "not_dicom": others}).encode(), 3, mtime=0)


def _read_part(path: Path) -> dict[Stamp, Header | None]:
    """A part, or nothing where it is damaged or of another format: then its files are read again."""
    try:
        return _understood(json.loads(gzip.decompress(path.read_bytes())))
    except (OSError, EOFError, ValueError, zlib.error, LookupError, TypeError, AttributeError):
        return {}


def _understood(said: Any) -> dict[Stamp, Header | None]:
    if said.get("format") != FORMAT or set(said["columns"]) != set(_KEPT):
        return {}
    n = len(said["stamps"])
    columns = []
    for name in _KEPT:
        values = [_plain(value) for value in said["columns"][name]["values"]]
        codes = said["columns"][name]["codes"]
        columns.append([values[code] for code in codes] if codes else values * n)
    found: dict[Stamp, Header | None] = {tuple(stamped): NOT_DICOM for stamped in said["not_dicom"]}
    for k, (stamped, values) in enumerate(zip(said["stamps"], zip(*columns, strict=True), strict=True)):
        own = said["frames"].get(str(k), ())
        frames = tuple(Frame(*map(_plain, frame)) for frame in own)
        found[tuple(stamped)] = Header("", 0, 0, **dict(zip(_KEPT, values, strict=True)), frames=frames)
    return found


def _plain(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _write(path: Path, content: bytes) -> None:
    half = path.with_name(f".{path.name}.{os.getpid()}.half")
    with half.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(half, path)
