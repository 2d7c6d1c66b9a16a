"""The parts of a mask that hang together."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import find_objects, generate_binary_structure, label


def largest_part(mask: np.ndarray, *, by_faces: bool = False) -> tuple[np.ndarray, int]:
    """The part with most voxels, in an array like the mask, and how many parts there are.

    Args:
        mask: bool (z,y,x), not empty.
        by_faces: whether voxels have to share a face to hang together; otherwise an edge or a corner will do.
    """
    box = find_objects(mask.view(np.uint8))[0]
    parts, n_parts = label(mask[box], generate_binary_structure(mask.ndim, 1 if by_faces else mask.ndim))
    if n_parts == 1:
        return mask, 1
    largest = np.zeros_like(mask)
    largest[box] = parts == 1 + np.argmax(np.bincount(parts.ravel())[1:])
    return largest, n_parts
