"""What a patch is: the cube that is cut around a tumour, and the planes that are looked at in it."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from onlm_lab.errors import OnlmError
from onlm_lab.showing import Said, quantity, shows_itself

# Which way a plane's rows, its columns and its neighbours run, as axes (z, y, x) of the patch.
VIEWS = {"axial": (1, 2, 0), "coronal": (0, 2, 1), "sagittal": (0, 1, 2)}
OF_THE_CUBE = ("size_mm", "spacing_mm", "interpolation", "outside_hu")  # what its voxels depend on


@shows_itself
@dataclass(frozen=True)
class PatchSpec:
    """What a patch is: a cube around the tumour on the patient's axes, and the planes that are looked at in it.

    Attributes:
        size_mm: edge of the cube.
        spacing_mm: distance of voxel centres, the same along every axis.
        interpolation: "linear"; along axes that become coarser the CT is smoothed first.
        outside_hu: value beyond the scan.
        views: planes through the centre, of "axial", "coronal", "sagittal".
        neighbours: planes on each side of each of them.
        gap_mm: distance of those neighbours.
        windows: lowest and highest HU of each window; each gives its own set of views.
    """

    size_mm: float = 60.0
    spacing_mm: float = 1.0
    interpolation: str = "linear"
    outside_hu: int = -1024
    views: tuple[str, ...] = tuple(VIEWS)
    neighbours: int = 1
    gap_mm: float = 3.0
    windows: tuple[tuple[float, float], ...] = ((-1100.0, 300.0),)

    def __post_init__(self) -> None:
        if not (0 < self.spacing_mm <= self.size_mm < 1000):
            raise OnlmError(
                f"A patch needs 0 < spacing_mm <= size_mm < 1000; spacing_mm is {self.spacing_mm:g} and size_mm "
                f"{self.size_mm:g}."
            )
        if self.interpolation != "linear":
            raise OnlmError(f"interpolation is '{self.interpolation}'; a patch is cut with 'linear'.")
        object.__setattr__(self, "views", tuple(self.views))
        object.__setattr__(self, "windows", tuple((float(low), float(high)) for low, high in self.windows))
        strange = [view for view in self.views if view not in VIEWS]
        if strange or not self.views or len(set(self.views)) < len(self.views):
            raise OnlmError(f"views are {list(self.views)}; wanted each at most once, of {', '.join(VIEWS)}.")
        if self.neighbours < 0 or not self.gap_mm > 0:
            raise OnlmError(f"neighbours is {self.neighbours}, gap_mm {self.gap_mm:g}; wanted 0 or more, and above 0.")
        if not self.windows or any(low >= high for low, high in self.windows):
            raise OnlmError(f"windows are {list(self.windows)}; wanted at least one, each from a lower to a higher HU.")

    def _said(self) -> Said:
        n = " x ".join(map(str, self.shape))
        facts = {
            "cube": quantity(self.size_mm, "mm"), "voxels": f"{n}, {quantity(self.spacing_mm, 'mm')} apart",
            "planes": self.views, "neighbours": f"{self.neighbours} on each side, {quantity(self.gap_mm, 'mm')} apart",
            "windows": [f"{low:g} to {high:g} HU" for low, high in self.windows],
            "outside the scan": f"{self.outside_hu} HU",
        }  # fmt: skip
        return Said(f"Patch of {quantity(self.size_mm, 'mm')}, {n} voxels", facts)

    @property
    def n_voxels(self) -> int:
        """Voxels along each edge."""
        return max(1, round(self.size_mm / self.spacing_mm))

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels of the patch along (z, y, x)."""
        return (self.n_voxels,) * 3

    @property
    def digest(self) -> str:
        """Stands for the spec; two specs with one digest give the same planes."""
        return digest(_plain_spec(self))

    @property
    def cube_digest(self) -> str:
        """Stands for what the cube's voxels depend on; other windows or views do not cut it anew."""
        plain = _plain_spec(self)
        return digest({name: plain[name] for name in OF_THE_CUBE})


def cut_planes(patch: np.ndarray, spec: PatchSpec) -> np.ndarray:
    """The planes of a patch, float32 (V,C,H,W) in [0,1]: V = windows x views, C = the plane and its neighbours.

    Args:
        patch: HU (z,y,x), as cut by `imaging.cut_patch` with this spec.
        spec: views, neighbours, gap and windows.

    Raises:
        OnlmError: the patch is not of this spec, or its neighbours lie beyond the cube.
    """
    if patch.shape != spec.shape:
        raise OnlmError(f"The patch has shape {patch.shape}; the spec wants {spec.shape}.")
    if spec.neighbours * spec.gap_mm > spec.size_mm / 2:
        raise OnlmError(
            f"{spec.neighbours} neighbours of {spec.gap_mm:g} mm lie beyond a cube of {spec.size_mm:g} mm. Cut a "
            "larger one, or look at fewer."
        )
    offsets = np.arange(-spec.neighbours, spec.neighbours + 1) * spec.gap_mm / spec.spacing_mm
    places = np.clip((spec.n_voxels - 1) / 2 + offsets, 0, spec.n_voxels - 1)
    below = np.minimum(np.floor(places).astype(int), max(spec.n_voxels - 2, 0))
    part = (places - below).astype(np.float32)[:, None, None]
    above = np.minimum(below + 1, spec.n_voxels - 1)
    values = np.asarray(patch, dtype=np.float32)
    shown = []
    for view in spec.views:
        rows, columns, normal = VIEWS[view]
        turned = values.transpose(normal, rows, columns)
        shown.append((1 - part) * turned[below] + part * turned[above])
    stack = np.stack(shown)  # (views, C, H, W)
    return np.concatenate([np.clip((stack - low) / (high - low), 0, 1) for low, high in spec.windows])


def _plain_spec(spec: PatchSpec) -> dict[str, Any]:
    return {name: float(value) if name.endswith("_mm") else value for name, value in asdict(spec).items()}


def plain_value(value: Any) -> Any:
    """A fact as JSON knows it; an unknown number (NaN) is null."""
    value = value.item() if isinstance(value, np.generic) else value
    return None if isinstance(value, float) and math.isnan(value) else value


def digest(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
