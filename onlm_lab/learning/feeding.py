"""What a network is shown: the rows of all patients, dealt into batches, each patient moved anew in every epoch.

How a patient is moved hangs on the seed, the epoch and his place among the training rows, never on the batch that he
lies in: processes that share a batch show the same pictures as one that has it whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from onlm_lab.learning.dataset import Jitter, Layout, cut_planes, jitter_hu, random_jitter, random_pose
from onlm_lab.learning.model import Batch


class Moves(NamedTuple):
    """How n patients are moved, and seen by which scanner."""

    pose: Tensor  # (n,3,4)
    jitter: Jitter

    @classmethod
    def draw(cls, n: int, *, generator: torch.Generator) -> Moves:
        return cls(random_pose(n, generator=generator), random_jitter(n, generator=generator))

    def of(self, places: Tensor) -> Moves:  # of these patients alone
        return Moves(self.pose[places], Jitter(*(drawn[places] for drawn in self.jitter)))


@dataclass(frozen=True, eq=False)
class Rows:
    """Everything that a network may be shown, aligned by row."""

    patches: Tensor  # (n,D,D,D) HU; NaN throughout where a patient has none
    clinical: Tensor  # (n,K), encoded by the rows that this network learns from
    missing: Tensor  # (n,K)
    onlm: Tensor  # (n,)
    layout: Layout
    mean: float  # of pixel values, as the backbone wants them
    std: float
    imaged: Tensor | None = None  # (n,) bool: who has a patch, where whole numbers leave no room for NaN; None: all

    def batch(self, rows: Tensor, *, moves: Moves | None = None, device: torch.device | str = "cpu") -> Batch:
        """These patients, pictures cut where the network computes; NaN for the pictures of a patient without CT."""
        patches = self.patches[rows].to(device, non_blocking=True)  # (B,D,D,D)
        if moves is not None:
            patches = jitter_hu(patches, jitter=moves.jitter)
        planes = cut_planes(patches, layout=self.layout, pose=None if moves is None else moves.pose)  # (B,V,C,H,W)
        pixels = planes.sub_(self.mean).div_(self.std)
        if self.imaged is not None:
            pixels[~self.imaged[rows].to(device)] = torch.nan
        others = (given[rows].to(device, non_blocking=True) for given in (self.clinical, self.missing, self.onlm))
        return Batch(pixels, *others, ())


def deal(learn: np.ndarray, *, size: int, generator: torch.Generator) -> list[Tensor]:
    """Places in `learn`, shuffled into batches; a lonely last patient joins the batch before (batch norm needs
    company)."""
    parts = list(torch.randperm(len(learn), generator=generator).split(size))
    if len(parts) > 1 and len(parts[-1]) == 1:
        parts[-2:] = [torch.cat(parts[-2:])]
    return parts


def ahead(items: Iterable[tuple], make: Callable[..., Any]) -> Iterator[Any]:
    """What `make` gives for each item, made while the one before is in use; the same as without the thread."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        coming = None
        for item in items:
            coming, ready = pool.submit(make, *item), coming
            if ready is not None:
                yield ready.result()
        if coming is not None:
            yield coming.result()
