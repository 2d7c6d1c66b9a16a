"""The same work over the processes of this machine; what ends one of them costs its own task alone."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

from onlm_lab import processes

Task = TypeVar("Task")


def mapped(
    work: Callable[[Task], Any], tasks: Sequence[Task], *, workers: int | None, what: str, lost: Callable[[Task], Any]
) -> Iterator[Any]:
    """What `work` gives for each task, as it comes, with a bar.

    Args:
        work: a function of a module; it writes what has to stay.
        tasks: each is done by one process.
        workers: processes; None takes as many as the machine has cores.
        what: name of the work, for the bar.
        lost: what is given for a task whose process is ended by the system also when it works alone.
    """
    from tqdm.auto import tqdm

    if tasks:
        n_workers = min(len(tasks), workers or os.cpu_count() or 1)
        done = _done(work, list(tasks), n_workers=n_workers, lost=lost)
        yield from tqdm(done, total=len(tasks), desc=f"  {what}", unit="patient")


def _done(
    work: Callable[[Task], Any], tasks: list[Task], *, n_workers: int, lost: Callable[[Task], Any]
) -> Generator[Any]:
    """Where the system ends a process, the tasks that it may have been at are tried alone."""
    while tasks:
        tasks = yield from _pooled(work, tasks, n_workers)
        suspects, tasks = tasks[: n_workers + 1], tasks[n_workers + 1 :]  # at work, and the one handed out next
        for task in suspects:
            if (yield from _pooled(work, [task], 1)):
                yield lost(task)


def _pooled(work: Callable[[Task], Any], tasks: list[Task], n_workers: int) -> Generator[Any, None, list[Task]]:
    """Gives back the tasks that were not done when a process was ended."""
    with ProcessPoolExecutor(n_workers, initializer=processes.begin_worker, initargs=(os.getpid(),)) as pool:
        finished: set[int] = set()
        try:
            jobs = {pool.submit(work, task): number for number, task in enumerate(tasks)}
            for job in as_completed(jobs):
                found = job.result()
                finished.add(jobs[job])
                yield found
        except BrokenProcessPool:
            return [task for number, task in enumerate(tasks) if number not in finished]
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)  # what is being done is finished, nothing else begun
            raise
    return []
