"""Where a patient's saliency maps lie in his CT: read without torch, laid over the written volume's own axes.

limits = map_limits(run)                                        # one scale for all patients of the run
layers = saliency_layers(shown, facts, limits=limits)           # `facts` of the written volume
layers[0].plane, layers[0].centre_mm, layers[0].edge_mm, layers[0].values
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from onlm_lab.errors import OnlmError
from onlm_lab.learning.explained import FOLDER, Explained, load_explained, read_index
from onlm_lab.runs import Run

PLANES = ("axial", "coronal", "sagittal")
NORMAL = {"axial": 0, "coronal": 1, "sagittal": 2}  # the axis (z, y, x) that a plane's distance is counted along
_NAME = re.compile(r"(axial|coronal|sagittal)(?: ([+-]?[\d.e+-]+) mm)? (\S+ to \S+ HU)")


@dataclass(frozen=True, eq=False)
class Layer:
    """A map in its place. Positions are mm from the centre of voxel [0, 0, 0] along the array's own axes (z, y, x).

    Attributes:
        kind: grad_cam or occlusion.
        window: the window of the view that it belongs to, such as "-1100 to 300 HU".
        plane: axial, coronal or sagittal.
        centre_mm: z, y, x of the map's middle; the entry along the plane's normal says which slice it lies in.
        edge_mm: the map is a square of this edge, from outer edge to outer edge of its pixels.
        values: float32 (H,W) in units of the logit, positive raises the risk; the head or the front at the top, the
            patient's right (of a sagittal plane his front) at the left.
        limit: what the ends of the colour scale stand for: -limit and +limit.
        scale: "run" or "patient": over whom that limit was taken.
        is_shared: one map for several planes, which the model sees as the colours of one picture.
    """

    kind: str
    window: str
    plane: str
    centre_mm: tuple[float, float, float]
    edge_mm: float
    values: np.ndarray
    limit: float
    scale: str
    is_shared: bool


def saliency_layers(
    shown: Explained, facts: Mapping[str, Any], *, limits: Mapping[str, float] | None = None
) -> tuple[Layer, ...]:
    """A patient's maps, each in its place over his written CT; of an oblique scan the middle of each is exact.

    Args:
        shown: of `read_explained`.
        facts: of the written volume (its .json): spacing_mm and centre_voxel are read.
        limits: by kind, of `map_limits`; None takes the largest value of this patient.

    Raises:
        OnlmError: the tumour's centre is not known, so that the maps have no place.
    """
    centre = facts.get("centre_voxel")
    if centre is None:
        raise OnlmError(f"The maps cannot be laid over the CT. {facts.get('why_no_centre', '')}".strip())
    middle = np.array(centre) * np.array(facts["spacing_mm"])
    own = {kind: max((_largest(p.maps[kind]) for p in shown.pictures), default=0.0) for kind in shown.kinds}
    n_of_view = {view: sum(p.view == view for p in shown.pictures) for view in {p.view for p in shown.pictures}}
    layers = []
    for kind in shown.kinds:
        limit = own[kind] if limits is None else limits[kind]
        for picture in shown.pictures:
            plane, offset_mm, window = place_of(picture.name)
            at = middle.copy()
            at[NORMAL[plane]] += offset_mm
            layers.append(
                Layer(
                    kind=kind, window=window, plane=plane, centre_mm=tuple(at.tolist()), edge_mm=shown.field_mm,
                    values=picture.maps[kind], limit=float(limit), scale="patient" if limits is None else "run",
                    is_shared=n_of_view[picture.view] > 1,
                )
            )  # fmt: skip
    return tuple(layers)


def place_of(name: str) -> tuple[str, float, str]:
    """A picture's plane, its distance from the tumour's centre in mm, and its window, out of its name.

    Raises:
        OnlmError: the name is not one that a layout gives.
    """
    found = _NAME.fullmatch(name)
    if found is None:
        raise OnlmError(
            f"A saved picture is called '{name}': its plane and window are not known. Explain the run again."
        )
    plane, offset, window = found.groups()
    return plane, float(offset or 0.0), window


def map_limits(run: Run) -> dict[str, float]:
    """By kind the largest absolute value in any map of a run, so that all patients are drawn in one scale.

    Raises:
        OnlmError: the run has not been explained, or a file is damaged.
    """
    files: Sequence[str] = read_index(run)["file"].astype(str).tolist()
    limits: dict[str, float] = {}
    for file in files:
        shown = load_explained(run.folder / FOLDER / file)
        for kind in shown.kinds:
            limits[kind] = max([limits.get(kind, 0.0), *(_largest(picture.maps[kind]) for picture in shown.pictures)])
    return limits


def _largest(values: np.ndarray) -> float:
    return float(np.abs(values).max())
