"""From a patch in HU to the planes that a model sees: three planes through the tumour, neighbours as channels.

    layout = layout_of(study)
    planes = cut_planes(patches, layout=layout)                               # (B,V,C,H,W)
    planes = cut_planes(patches, layout=layout, pose=random_pose(n, generator=g))      # the same, moved in 3D first

Planes are read out of the cube in one interpolation, so that rotation, flip, shift and zoom move the patient, not the
picture: neighbouring channels and the other two planes move with it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from onlm_lab.study import Study

# Which way a picture's rows, its columns and its neighbours run, as (x, y, z) of the patch.
AXES = {"axial": ((0, 1, 0), (1, 0, 0), (0, 0, 1)), "coronal": ((0, 0, 1), (1, 0, 0), (0, 1, 0))}
AXES["sagittal"] = ((0, 0, 1), (0, 1, 0), (1, 0, 0))
MAX_ROTATION_RADIANS, MAX_SHIFT_MM, MAX_ZOOM = 0.35, 3.0, 1.1


@dataclass(frozen=True)
class Layout:
    """How a patch becomes pictures."""

    size_mm: float  # edge of the patch
    field_mm: float  # edge of what the pictures show of it
    image_px: int
    neighbours: int
    gap_mm: float
    windows_hu: tuple[tuple[float, float], ...]  # each window gives its own set of views

    @property
    def n_channels(self) -> int:
        return 2 * self.neighbours + 1

    @property
    def views(self) -> tuple[str, ...]:
        """Names of the V views, in order."""
        return tuple(f"{plane} {low:g} to {high:g} HU" for low, high in self.windows_hu for plane in AXES)

    def to_dict(self) -> dict:
        return asdict(self)


def layout_of(study: Study) -> Layout:
    """The layout that a study asks for."""
    model = study.model
    return Layout(
        size_mm=study.patch.size_mm,
        field_mm=min(study.model.field_mm, study.patch.size_mm),
        image_px=model.image_px,
        neighbours=model.neighbours,
        gap_mm=model.gap_mm,
        windows_hu=((model.window_low_hu, model.window_high_hu),),
    )


def cut_planes(patches: Tensor, *, layout: Layout, pose: Tensor | None = None) -> Tensor:
    """Pictures in [0,1], float32 (B,V,C,H,W).

    Args:
        patches: HU (B,D,D,D), axes z, y, x.
        layout: planes, size, windows.
        pose: (B,3,4) from `random_pose` or `flips`; None leaves the patient where he is.
    """
    n_patients, n_planes = len(patches), len(AXES)
    points = _points(layout)  # (3*C*H*W, 3)
    if pose is None:
        grid = points.expand(n_patients, -1, -1)
    else:
        scale = torch.tensor([1.0, 1.0, 1.0, layout.size_mm / 2])  # shifts come in mm
        pose = pose / scale
        grid = points @ pose[..., :3].transpose(1, 2) + pose[:, None, :, 3]
    px = layout.image_px
    grid = grid.reshape(n_patients, n_planes * layout.n_channels, px, px, 3)
    cube = patches[:, None].float()  # (B,1,D,D,D)
    sampled = F.grid_sample(cube, grid, padding_mode="border", align_corners=False)  # (B,1,3*C,H,W)
    sampled = sampled.reshape(n_patients, n_planes, layout.n_channels, px, px)
    shown = [((sampled - low) / (high - low)).clamp(0, 1) for low, high in layout.windows_hu]
    return torch.cat(shown, dim=1)  # (B,V,C,H,W)


def random_pose(n: int, *, generator: torch.Generator) -> Tensor:
    """Random flips, rotations to 20 degrees about any axis, shifts to 3 mm and zooms to 10 %: (n,3,4)."""

    def uniform(*shape: int) -> Tensor:  # in [-1, 1]
        return torch.rand(shape, generator=generator) * 2 - 1

    angle = uniform(n, 3) * MAX_ROTATION_RADIANS
    matrix = torch.linalg.matrix_exp(_cross(angle))  # (n,3,3)
    matrix = matrix * torch.sign(uniform(n, 1, 3))
    matrix = matrix * MAX_ZOOM ** uniform(n, 1, 1)
    return torch.cat([matrix, uniform(n, 3, 1) * MAX_SHIFT_MM], dim=2)


def flips(*axes: tuple[int, int, int]) -> Tensor:
    """Fixed poses that mirror the patient: each axis 1 or -1 for x, y, z; (len(axes),3,4)."""
    signs = torch.tensor(axes, dtype=torch.float32)
    return torch.cat([torch.diag_embed(signs), torch.zeros(len(axes), 3, 1)], dim=2)


def _points(layout: Layout) -> Tensor:
    """Where the pixels of all planes lie in the cube, x, y, z in [-1,1]: (3*C*H*W, 3)."""
    px = layout.image_px
    line = ((torch.arange(px) * 2 + 1) / px - 1) * (layout.field_mm / layout.size_mm)  # centres of pixels
    offset = torch.arange(-layout.neighbours, layout.neighbours + 1) * layout.gap_mm / (layout.size_mm / 2)  # (C,)
    planes = []
    for rows, columns, normal in AXES.values():
        rows, columns, normal = (torch.tensor(v, dtype=torch.float32) for v in (rows, columns, normal))
        plane = line[:, None, None] * rows + line[None, :, None] * columns  # (H,W,3)
        planes.append(offset[:, None, None, None] * normal + plane)  # (C,H,W,3)
    return torch.stack(planes).reshape(-1, 3)


def _cross(v: Tensor) -> Tensor:
    """The matrices whose exponentials are rotations by |v| about v: (n,3) -> (n,3,3)."""
    x, y, z = v.unbind(dim=1)
    o = torch.zeros_like(x)
    return torch.stack([o, -z, y, z, o, -x, -y, x, o], dim=1).reshape(-1, 3, 3)
