"""A coarse grid over a CT, upright in the patient, and what is near or inside a mask on it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import SimpleITK as sitk
from scipy.ndimage import find_objects, label

from onlm_lab.imaging.volume import CtVolume


@dataclass(frozen=True, eq=False)
class CoarseGrid:
    """A coarse grid over a CT, its axes in the order and the sense that lie nearest to the patient's z, y and x."""

    order: tuple[int, int, int]  # the CT's axis that serves as z, y, x
    flipped: tuple[bool, bool, bool]
    steps: tuple[int, int, int]  # CT voxels that make one of the grid's
    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    origin_mm: tuple[float, float, float]
    direction: np.ndarray

    @classmethod
    def of(cls, volume: CtVolume, grid_mm: float) -> CoarseGrid:
        """The grid over that CT, of whole voxels, about as fine as asked for."""
        order, flipped = volume.nearest_axes
        counts = [volume.shape[axis] for axis in order]
        steps = tuple(
            int(min(n, max(1, round(grid_mm / volume.spacing_mm[axis])))) for n, axis in zip(counts, order, strict=True)
        )
        first = np.zeros(3)
        for axis, n, step, turned in zip(order, counts, steps, flipped, strict=True):
            first[axis] = n - 1 - (step - 1) / 2 if turned else (step - 1) / 2
        return cls(
            order=order,
            flipped=tuple(flipped.tolist()),
            steps=steps,
            shape=tuple(n // step for n, step in zip(counts, steps, strict=True)),
            spacing_mm=tuple(volume.spacing_mm[axis] * step for axis, step in zip(order, steps, strict=True)),
            origin_mm=tuple(volume.to_patient_mm(first).tolist()),
            direction=np.asarray(volume.direction)[:, list(order)] * np.where(flipped, -1.0, 1.0),
        )

    @property
    def voxel_ml(self) -> float:
        """Volume of one voxel."""
        return float(np.prod(self.spacing_mm)) / 1000.0

    def average(self, values: np.ndarray) -> np.ndarray:
        """The mean over each voxel of the grid, float32; what does not fill a voxel at the far edge is left out."""
        turned = values.transpose(self.order)[tuple(slice(None, None, -1 if flip else 1) for flip in self.flipped)]
        (nz, ny, nx), (sz, sy, sx) = self.shape, self.steps
        found = np.empty(self.shape, dtype=np.float32)
        for z in range(nz):  # slab by slab, so that no second volume is held
            slab = turned[z * sz : (z + 1) * sz, : ny * sy, : nx * sx]
            plane = slab[0] if sz == 1 else slab.sum(axis=0, dtype=np.int32)
            rows = sum((plane[k::sy] for k in range(1, sy)), plane[::sy].astype(np.int32))
            found[z] = sum((rows[:, k::sx] for k in range(1, sx)), rows[:, ::sx])
        found /= sz * sy * sx
        return found

    def crop(self, box: tuple[slice, slice, slice]) -> CoarseGrid:
        """The grid of a part."""
        first = np.array([s.start for s in box]) * self.spacing_mm
        origin = np.array(self.origin_mm) + self.direction @ first
        return replace(self, origin_mm=tuple(origin.tolist()), shape=tuple(s.stop - s.start for s in box))

    def x_mm(self) -> np.ndarray:
        """The patient's x of every voxel, float32 (z,y,x); rises to the left."""
        steps = [
            (np.arange(n) * size * self.direction[0, k]).astype(np.float32)
            for k, (n, size) in enumerate(zip(self.shape, self.spacing_mm, strict=True))
        ]
        return np.float32(self.origin_mm[0]) + steps[0][:, None, None] + steps[1][:, None] + steps[2]


def area_mm2(plane: np.ndarray, grid: CoarseGrid) -> float:
    """Area of an axial plane's mask."""
    return float(plane.sum() * grid.spacing_mm[1] * grid.spacing_mm[2])


def where_labelled(labels: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Where a label is one of those; 0 is none."""
    wanted = np.zeros(labels.max() + 1, dtype=bool)
    wanted[chosen] = True
    wanted[0] = False
    return wanted[labels]


def largest(mask: np.ndarray) -> np.ndarray:
    """The largest part of a mask."""
    labels, n = label(mask)
    size = np.bincount(labels.ravel(), minlength=n + 1)
    size[0] = 0
    return labels == np.argmax(size) if n else mask


def box_around(mask: np.ndarray, margin: int) -> tuple[slice, slice, slice]:
    """The part of the grid that holds a mask, and so many voxels around it."""
    (box,) = find_objects(mask.astype(np.uint8))
    return tuple(slice(max(0, s.start - margin), min(n, s.stop + margin)) for s, n in zip(box, mask.shape, strict=True))


def within(mask: np.ndarray, reach_mm: float, spacing_mm: tuple[float, float, float]) -> np.ndarray:
    """What lies no further from a mask than that."""
    found = np.zeros(mask.shape, dtype=bool)
    if mask.any():
        box = box_around(mask, int(np.ceil(reach_mm / min(spacing_mm))))
        found[box] = distance_mm(mask[box], spacing_mm) <= reach_mm
    return found


def distance_mm(mask: np.ndarray, spacing_mm: tuple[float, float, float]) -> np.ndarray:
    """Distance of every voxel's centre to the nearest centre in the mask; twice as fast as SciPy's."""
    image = sitk.GetImageFromArray(mask.astype(np.uint8))
    image.SetSpacing([float(size) for size in spacing_mm[::-1]])
    return np.maximum(sitk.GetArrayFromImage(sitk.SignedMaurerDistanceMap(image, False, False, True)), 0.0)
