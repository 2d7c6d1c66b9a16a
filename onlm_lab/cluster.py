"""The same work on a Dask cluster: for a nationwide study, whose CT one machine would read for weeks.

Workers need this package (`pip install "onlm_lab[cluster]"`) and the study's folder under the same path.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from itertools import islice
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, TypeVar

from onlm_lab.errors import OnlmError

Task = TypeVar("Task")
CONNECT_S = 20
RETRIES = 2  # of a task whose worker was lost
CHECK_S, ALONE_S = 5, 180  # how often; how long without a worker until it is given up: a nanny may be slow
AHEAD = 4  # tasks that a worker has before it: enough to keep it busy, few enough to send


def mapped(
    work: Callable[[Task], Any], tasks: Sequence[Task], *, address: str, what: str, lost: Callable[[Task], Any],
    shared: Path,
) -> Iterator[Any]:  # fmt: skip
    """What `work` gives for each task, as it comes, from the workers of a cluster.

    Args:
        work: a function of a module that the workers can import; it writes what has to stay.
        tasks: each is sent to one worker.
        address: of the scheduler, such as "tcp://10.0.0.1:8786".
        what: name of the work, for the bar.
        lost: what is given for a task that ended every worker it was sent to.
        shared: a file of this machine that every worker has to see under the same path.

    Raises:
        OnlmError: dask is not installed, nobody answers at the address, the workers are gone, have another version of
            this package, or do not see the shared file.
    """
    try:
        from distributed import Client
    except ImportError:
        raise OnlmError('--cluster needs dask: pip install "onlm_lab[cluster]".') from None
    if not tasks:
        return
    if not re.fullmatch(r"([a-z]+://)?(\[[^\]]+\]|[^:/\s]+):\d+/?", address):
        raise OnlmError(
            f"No Dask scheduler answers at '{address}': it is no address. Wanted one such as tcp://10.0.0.1:8786."
        )
    try:
        client = Client(address, timeout=CONNECT_S, set_as_default=False)
    except (OSError, ValueError, TimeoutError) as error:
        raise OnlmError(
            f"No Dask scheduler answers at '{address}' ({type(error).__name__}). Wanted an address such as "
            "tcp://10.0.0.1:8786; start one with `dask scheduler`, and workers with `dask worker ADDRESS`."
        ) from None
    with client:
        workers = client.scheduler_info()["workers"]
        if not workers:
            raise OnlmError(f"The Dask cluster at '{address}' has no worker. Start some: dask worker {address}.")
        _refuse_unfit(client, shared.resolve())
        threads = sum(worker["nthreads"] for worker in workers.values())
        try:
            yield from _from_workers(client, work, tasks, ahead=AHEAD * max(threads, 1), what=what, lost=lost)
        except _gone() as error:
            raise OnlmError(
                f"The connection to the Dask cluster at '{address}' was lost ({type(error).__name__}). Start the same "
                "command again when it is there: it goes on."
            ) from None


def _gone() -> tuple[type[BaseException], ...]:
    """What Dask raises when its scheduler is no longer there."""
    from distributed.client import FutureCancelledError
    from distributed.comm import CommClosedError

    return FutureCancelledError, CommClosedError, CancelledError, OSError


def _refuse_unfit(client: Any, shared: Path) -> None:
    """Refuses workers that would do other work than this machine, or write elsewhere."""
    try:
        found = client.run(fitness, str(shared))
    except (ImportError, AttributeError, TypeError, RuntimeError, UnpicklingError) as error:  # of a worker's import
        raise OnlmError(
            f"The workers cannot use this package ({type(error).__name__}). Install it there: "
            'pip install "onlm_lab[cluster]".'
        ) from None
    other = sum(code != fitness(str(shared))[0] for code, _ in found.values())
    if other:
        raise OnlmError(
            f"{other} of {len(found)} workers have another version of onlm_lab than this machine, and would cut other "
            "patches. Install the same version everywhere, and start the workers again."
        )
    blind = sum(not seen for _, seen in found.values())
    if blind:
        raise OnlmError(
            f"{blind} of {len(found)} workers do not see the study's folder under the same path as this machine. Share "
            "it, for example over NFS, and mount it everywhere at the same place."
        )


def fitness(shared: str) -> tuple[str, bool]:
    """What a worker is asked: a digest of this package's code, and whether it sees a file."""
    seal = hashlib.sha256()
    root = Path(__file__).parent
    for path in sorted(root.rglob("*.py")):
        seal.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    return seal.hexdigest(), Path(shared).exists()


def _from_workers(
    client: Any, work: Callable[[Task], Any], tasks: Sequence[Task], *, ahead: int, what: str,
    lost: Callable[[Task], Any],
) -> Iterator[Any]:  # fmt: skip
    from distributed.scheduler import KilledWorker
    from tqdm.auto import tqdm

    suspects: list[Task] = []
    with tqdm(total=len(tasks), desc=f"  {what}", unit="patient") as bar:
        for n_ahead, batch in ((ahead, tasks), (1, suspects)):  # what stood beside a task that ends its worker: alone
            waiting = iter(batch)
            running = {_begin(client, work, task): task for task in islice(waiting, n_ahead)}
            while running:
                for future in _finished(client, list(running)):
                    task, row, ended = running.pop(future), None, False
                    try:
                        row = future.result()
                    except KilledWorker:
                        ended = True
                    # Fetched and released before another begins: if that one ends the worker which holds this result,
                    # Dask would do this task once more, beside the one that ends workers, and take it for guilty too.
                    future.release()
                    for following in islice(waiting, 1):
                        running[_begin(client, work, following)] = following
                    if ended and batch is tasks:
                        suspects.append(task)
                        continue
                    yield lost(task) if ended else row
                    bar.update()


def _finished(client: Any, futures: list[Any]) -> list[Any]:
    """Those of the futures that are done, at least one.

    Raises:
        OnlmError: the cluster has been without a worker for a while.
    """
    from distributed import wait

    alone_since: float | None = None
    while True:
        try:
            with client.as_current():
                return list(wait(futures, timeout=CHECK_S, return_when="FIRST_COMPLETED").done)
        except TimeoutError:
            if client.scheduler_info()["workers"]:
                alone_since = None
                continue
            alone_since = alone_since or time.monotonic()
            if time.monotonic() - alone_since >= ALONE_S:
                raise OnlmError(
                    "The Dask cluster has lost its last worker. Start some, then the same command: it goes on."
                ) from None


def _begin(client: Any, work: Callable[[Task], Any], task: Task) -> Any:
    return client.submit(work, task, pure=False, retries=RETRIES)
