"""The same work on a Dask cluster: for a nationwide study, whose CT one machine would read for weeks.

Workers need this package (`pip install "onlm_lab[cluster]"`) and the study's folder under the same path.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from onlm_lab.errors import OnlmError

Task = TypeVar("Task")
CONNECT_S = 20
RETRIES = 2  # of a task whose worker was lost
AHEAD = 4  # tasks that a worker has before it: enough to keep it busy, few enough to send


def mapped(work: Callable[[Task], Any], tasks: Sequence[Task], *, address: str, what: str) -> Iterator[Any]:
    """What `work` gives for each task, as it comes, from the workers of a cluster.

    Args:
        work: a function of a module that the workers can import; it writes what has to stay.
        tasks: each is sent to one worker.
        address: of the scheduler, such as "tcp://10.0.0.1:8786".
        what: name of the work, for the bar.

    Raises:
        OnlmError: dask is not installed, nobody answers at the address, or there is no worker.
    """
    try:
        from distributed import Client, as_completed
    except ImportError:
        raise OnlmError('--cluster needs dask: pip install "onlm_lab[cluster]".') from None
    from tqdm.auto import tqdm

    if not tasks:
        return
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
        threads = sum(worker["nthreads"] for worker in workers.values())
        waiting = iter(tasks)
        begun = [_begin(client, work, task) for task, _ in zip(waiting, range(AHEAD * max(threads, 1)), strict=False)]
        running = as_completed(begun, loop=client.loop)
        with tqdm(total=len(tasks), desc=f"  {what}", unit="patient") as bar:
            for future in running:
                yield future.result()
                bar.update()
                future.release()
                for task in waiting:
                    running.add(_begin(client, work, task))
                    break


def _begin(client: Any, work: Callable[[Task], Any], task: Task) -> Any:
    return client.submit(work, task, pure=False, retries=RETRIES)
