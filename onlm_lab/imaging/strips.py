"""A strip of pictures of one patient's CT for the contact sheet: is the scan right, is the tumour in the middle?"""

from __future__ import annotations

import io

import numpy as np
from scipy.ndimage import binary_erosion

from onlm_lab.imaging.volume import CtVolume, patient_axes

HEIGHT_PX = 112
N_SLICES = 6
LUNG_HU = (-1350.0, 150.0)  # width 1500, level -600
OUTLINE = (230, 159, 0)  # orange of Okabe and Ito, which is told from grey with any colour vision
GAP_PX = 3


def contact_strip(
    volume: CtVolume, patch: np.ndarray, *, centre_mm: tuple[float, float, float], mask: np.ndarray | None = None
) -> bytes:
    """A PNG: the patch's three planes, the scan from the front and from the side, slices from head to feet.

    Args:
        volume: the CT.
        patch: HU (z,y,x) on the patient's axes around the tumour.
        centre_mm: x, y, z of its centre.
        mask: bool (z,y,x), the tumour on the patch, outlined.
    """
    from PIL import Image

    middle = [n // 2 for n in patch.shape]
    planes = [patch[middle[0]], patch[::-1, middle[1]], patch[::-1, :, middle[2]]]  # head up
    masks = [None] * 3 if mask is None else [mask[middle[0]], mask[::-1, middle[1]], mask[::-1, :, middle[2]]]
    tiles = [_tile(plane, 1.0, outline) for plane, outline in zip(planes, masks, strict=True)]
    tiles += _overview(volume, centre_mm)
    width = sum(tile.shape[1] for tile in tiles) + GAP_PX * (len(tiles) - 1)
    strip = np.full((HEIGHT_PX, width, 3), 255, dtype=np.uint8)
    left = 0
    for tile in tiles:
        strip[:, left : left + tile.shape[1]] = tile
        left += tile.shape[1] + GAP_PX
    stream = io.BytesIO()
    Image.fromarray(strip).save(stream, format="PNG", optimize=False, compress_level=5)
    return stream.getvalue()


def _overview(volume: CtVolume, centre_mm: tuple[float, float, float]) -> list[np.ndarray]:
    """The scan in two reformats through the tumour, head up, and in slices from head to feet."""
    hu, spacing = patient_axes(volume)
    _, y, x = np.clip(np.rint(_place(volume, centre_mm)), 0, np.array(hu.shape) - 1).astype(int).tolist()
    front = _tile(hu[::-1, y], spacing[0] / spacing[2], None)
    side = _tile(hu[::-1, :, x], spacing[0] / spacing[1], None)
    chosen = np.linspace(hu.shape[0] - 1, 0, N_SLICES + 2).round().astype(int)[1:-1]
    return [front, side, *(_tile(hu[k], spacing[1] / spacing[2], None) for k in dict.fromkeys(chosen.tolist()))]


def _place(volume: CtVolume, centre_mm: tuple[float, float, float]) -> np.ndarray:
    """The tumour's voxel (z, y, x) in the scan turned to the patient's axes."""
    index = volume.to_voxel(np.asarray(centre_mm, dtype=float))
    order, flipped = volume.nearest_axes
    turned = index[list(order)]
    size = np.array(volume.shape)[list(order)]
    return np.where(flipped, size - 1 - turned, turned)


def _tile(plane: np.ndarray, aspect: float, outline: np.ndarray | None) -> np.ndarray:
    """A plane in the lung's window, HEIGHT_PX high, rows `aspect` times as far apart as columns."""
    low, high = LUNG_HU
    rows = np.linspace(0, plane.shape[0] - 1, HEIGHT_PX).round().astype(int)
    width = max(1, round(HEIGHT_PX * plane.shape[1] / (plane.shape[0] * aspect)))
    columns = np.linspace(0, plane.shape[1] - 1, min(width, 3 * HEIGHT_PX)).round().astype(int)
    values = plane[np.ix_(rows, columns)].astype(np.float32)
    grey = (np.clip((values - low) / (high - low), 0, 1) * 255).astype(np.uint8)
    tile = np.repeat(grey[..., None], 3, axis=2)
    if outline is not None and outline.any():
        inside = outline[np.ix_(rows, columns)]
        tile[inside & ~binary_erosion(inside)] = OUTLINE
    return tile
