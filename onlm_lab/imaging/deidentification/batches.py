"""Every file of a folder, dealt out to processes in batches."""

from __future__ import annotations

import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

from tqdm.auto import tqdm

from onlm_lab.errors import OnlmError
from onlm_lab.processes import begin_worker

BATCH = 200  # files that one process takes in one go
BAR_AFTER_S = 1.0  # what takes less shows no bar


def files_below(folder: Path) -> tuple[list[str], int]:
    """Every file below a folder, relative to it with slashes, in a fixed order; and how many folders are closed."""
    found: list[str] = []
    closed: list[OSError] = []
    for root, folders, names in os.walk(folder, onerror=closed.append):
        folders.sort()
        relative = Path(os.path.relpath(root, folder)).as_posix()
        found.extend(name if relative == "." else f"{relative}/{name}" for name in sorted(names))
    return found, len(closed)


def in_batches(
    work: Callable[[Any, list[Any]], Any],
    shared: Any,
    items: Sequence[Any],
    *,
    workers: int | None,
    progress: bool = False,
    what: str = "files",
) -> Iterator[Any]:
    """`work(shared, batch)` of every batch of items, in order, over that many processes.

    Args:
        work: a function of a module.
        shared: what every batch needs.
        items: dealt out in batches of BATCH.
        workers: None takes up to four, one where a second would not pay for its start.
        progress: whether to show a bar.
        what: the word before the bar.

    Raises:
        OnlmError: the system ended one of the processes.
    """
    batches = [list(items[start : start + BATCH]) for start in range(0, len(items), BATCH)]
    workers = min(4, os.cpu_count() or 1, len(batches)) if workers is None else workers
    bar = tqdm(total=len(items), desc=f"  {what}", unit="file", delay=BAR_AFTER_S, disable=not progress)
    with bar:
        for batch, done in zip(batches, _mapped(work, shared, batches, workers), strict=True):
            bar.update(len(batch))
            yield done


def _mapped(work: Callable, shared: Any, batches: list[list[Any]], workers: int) -> Iterator[Any]:
    if workers < 2 or len(batches) < 2 or multiprocessing.current_process().daemon:
        for batch in batches:
            yield work(shared, batch)
        return
    with ProcessPoolExecutor(workers, initializer=begin_worker, initargs=(os.getpid(),)) as pool:
        jobs = deque(pool.submit(work, shared, batch) for batch in batches)
        try:
            while jobs:
                yield jobs.popleft().result()
        except BrokenProcessPool as error:
            raise OnlmError(
                "The system ended one of the processes that read and write files, for want of memory perhaps. Start "
                "the same command again: it goes on; --workers 1 needs the least memory."
            ) from error
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
