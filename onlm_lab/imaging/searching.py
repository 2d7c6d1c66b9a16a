"""Reads the headers of a whole folder: any nesting, in parallel, and again only what is new."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from tqdm.auto import tqdm

from onlm_lab.imaging.header import UNREADABLE, Header
from onlm_lab.imaging.header_store import HeaderStore, Stamp, stamp
from onlm_lab.imaging.headers import read_header
from onlm_lab.processes import begin_worker

PART_FILES = 500  # read in one go by one process
BAR_AFTER_S = 1.0  # a search that takes less shows no bar
MANY_FILES = 3000  # from here on a second process pays for its start


def list_files(folder: Path) -> list[str]:
    """Every file below a folder, relative to it with slashes, in a fixed order; and every folder that is closed.

    A folder that may not be entered stands for the files in it: nobody knows what is lost with it.
    """
    closed: list[str] = []

    def remember(error: OSError) -> None:
        closed.append(Path(os.path.relpath(str(error.filename), folder)).as_posix())

    found: list[str] = []
    for root, folders, names in os.walk(folder, onerror=remember):
        folders.sort()
        relative = Path(os.path.relpath(root, folder)).as_posix()
        found.extend(name if relative == "." else f"{relative}/{name}" for name in sorted(names))
    return found + sorted(closed)


def read_headers(
    folder: Path, *, workers: int | None = None, progress: bool = False, store: str | os.PathLike | None = None
) -> tuple[list[Header], int]:
    """The headers of every DICOM file below a folder, in a fixed order, and how many files there are in all.

    Args:
        folder: read with everything below it.
        workers: processes to use; None takes one for a few thousand files and up to four above.
        progress: whether to show a bar.
        store: a folder that keeps what was read, so that a search that was killed goes on, and files that have not
            changed are not opened again; None keeps nothing.
    """
    files = list_files(folder)
    kept = HeaderStore(store) if store is not None else None
    stamps = _stamps(folder, files) if kept is not None else {}
    wanted = [file for file in files if kept is None or stamps.get(file) not in kept]
    if workers is None:
        workers = min(4, os.cpu_count() or 1) if len(wanted) >= MANY_FILES else 1
    parts = [wanted[start : start + PART_FILES] for start in range(0, len(wanted), PART_FILES)]
    found: dict[str, Header | None] = {}
    bar = tqdm(total=len(wanted), desc="  headers", unit="file", delay=BAR_AFTER_S, disable=not progress)
    with bar, _mapping(workers) as mapping:
        for part, read in zip(parts, mapping(_read_part, [folder] * len(parts), parts), strict=True):
            one = dict(zip(part, read, strict=True))
            found |= one
            if kept is not None:
                kept.add({stamps[file]: header for file, header in one.items() if _still(stamps.get(file), header)})
            bar.update(len(part))
    if kept is None:
        headers = [found[file] for file in files]
    else:
        kept.finish(stamps.values())
        headers = [found[file] if file in found else kept.get(stamps[file], file=file) for file in files]
    return [header for header in headers if header is not None], len(files)


def _stamps(folder: Path, files: list[str]) -> dict[str, Stamp]:
    found = {}
    for file in files:
        with contextlib.suppress(OSError):  # a link to nowhere: read_header says so
            found[file] = stamp(file, os.stat(f"{folder}/{file}"))
    return found


def _still(found: Stamp | None, header: Header | None) -> bool:
    """Whether what was read is worth keeping: the file is what it was when it was stamped, and it could be read."""
    if found is None or header is None:
        return found is not None
    return header.unreadable != UNREADABLE and (header.size_bytes, header.modified_ns) == found[1:]


@contextlib.contextmanager
def _mapping(workers: int) -> Iterator[Callable[..., Iterable[Any]]]:
    """`map`, over that many processes; one process needs no other."""
    if workers < 2 or multiprocessing.current_process().daemon:
        yield map
        return
    with ProcessPoolExecutor(workers, initializer=begin_worker, initargs=(os.getpid(),)) as pool:
        try:
            yield pool.map
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def _read_part(folder: Path, files: list[str]) -> list[Header | None]:
    return [read_header(folder, file) for file in files]
