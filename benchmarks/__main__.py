"""`make bench`: what must be fast, each beside a peer in the same run, as ratios (above 1: ours is faster).

`python -m benchmarks served` opens the pages in a browser instead, which takes about a quarter of an hour;
`python -m benchmarks.class_kernels` holds a class of thirty kernels, each with a lesson, which takes ten minutes.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator

from benchmarks import cohort, imaging, outcome_pages, outcomes, pages, statistics, training, viewer

ROUNDS = 5
ENOUGH_S = 30.0  # of one contestant; what takes longer runs fewer rounds


def best_of(work: Callable[[], object], *, rounds: int = ROUNDS) -> float:
    """Seconds of the fastest of some rounds: the least disturbed by whatever else the machine does."""
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
        if sum(times) > ENOUGH_S:
            break
    return min(times)


def rows() -> Iterator[tuple[str, str, float, float]]:
    for room in (statistics, outcomes, pages, outcome_pages, cohort, imaging, training):
        for name, peer, ours, theirs in room.races():
            seconds = best_of(ours)
            yield name, peer, best_of(theirs) / seconds, seconds


def main() -> None:
    print(f"{'what':<58} {'peer':<34} peer / ours    ours, ms")
    for name, peer, ratio, seconds in rows():
        print(f"{name:<58} {peer:<34} {ratio:11.2f} {1000 * seconds:11.1f}", flush=True)
    outcomes.report()
    imaging.report()
    cohort.report()
    training.report()
    viewer.report()


if __name__ == "__main__":
    if sys.argv[1:2] == ["served"]:
        from benchmarks import served

        served.main(sys.argv[2:])
    else:
        main()
