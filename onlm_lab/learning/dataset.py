"""From a patch in HU to the pictures that a model sees, in one of four layouts, and how a patient is moved in training.

    layout = layout_of(study)
    planes = cut_planes(patches, layout=layout)                               # (B,V,C,H,W)
    moved = jitter_hu(patches, jitter=random_jitter(n, generator=g))          # another scanner: noise, kernel
    planes = cut_planes(moved, layout=layout, pose=random_pose(n, generator=g))   # another position: 3D, then cut

Planes are read out of the cube in one interpolation, so that rotation, flip, shift and zoom move the patient, not the
picture: neighbouring channels and the other planes move with it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from onlm_lab.errors import StudyError
from onlm_lab.study import Study

# Which way a picture's rows, its columns and its neighbours run, as (x, y, z) of the patch.
AXES = {"axial": ((0, 1, 0), (1, 0, 0), (0, 0, 1)), "coronal": ((0, 0, 1), (1, 0, 0), (0, 1, 0))}
AXES["sagittal"] = ((0, 0, 1), (0, 1, 0), (1, 0, 0))
MAX_ROTATION_RADIANS, MAX_SHIFT_MM, MAX_ZOOM = 0.35, 3.0, 1.1
MAX_NOISE_HU, MAX_SHARPENING, MAX_OFFSET_HU = 25.0, 0.6, 10.0


@dataclass(frozen=True)
class Layout:
    """How a patch becomes pictures."""

    size_mm: float  # edge of the patch
    field_mm: float  # edge of what the pictures show of it
    image_px: int
    neighbours: int
    gap_mm: float
    windows_hu: tuple[tuple[float, float], ...]  # each window gives its own set of views
    name: str = "orthogonal"  # or slab, three_planes, multi_window
    slices: int = 9  # of a slab

    @property
    def n_channels(self) -> int:
        return 3 if self.name == "three_planes" else 2 * self.neighbours + 1

    @property
    def planes(self) -> tuple[tuple[tuple[str, float], ...], ...]:
        """The views of one window; each is a row of channels, a channel is a plane and its distance from the centre."""
        near = [k * self.gap_mm for k in range(-self.neighbours, self.neighbours + 1)]
        if self.name == "three_planes":
            return (tuple((plane, 0.0) for plane in AXES),)
        if self.name == "slab":
            middle = [(k - (self.slices - 1) / 2) * self.gap_mm for k in range(self.slices)]
            return tuple(tuple(("axial", at + beside) for beside in near) for at in middle)
        return tuple(tuple((plane, beside) for beside in near) for plane in AXES)

    @property
    def views(self) -> tuple[str, ...]:
        """Names of the V views, in order."""
        if self.name == "three_planes":
            names = ["axial, coronal, sagittal"]
        elif self.name == "slab":
            names = [f"axial {view[self.neighbours][1]:+g} mm" for view in self.planes]
        else:
            names = list(AXES)
        return tuple(f"{name} {low:g} to {high:g} HU" for low, high in self.windows_hu for name in names)

    def to_dict(self) -> dict:
        return asdict(self)


def layout_of(study: Study) -> Layout:
    """The layout that a study asks for.

    Raises:
        StudyError: a plane would lie outside the patch.
    """
    model = study.model
    single = ((model.window_low_hu, model.window_high_hu),)
    layout = Layout(
        name=model.layout,
        size_mm=study.patch.size_mm,
        field_mm=min(model.field_mm, study.patch.size_mm),
        image_px=model.image_px,
        neighbours=model.neighbours,
        slices=model.slices,
        gap_mm=model.gap_mm,
        windows_hu=model.windows_hu if model.layout == "multi_window" else single,
    )
    far = max(abs(at) for view in layout.planes for _, at in view)
    if far > layout.size_mm / 2:
        raise StudyError(
            f"[model] layout '{layout.name}' wants a plane {far:g} mm from the centre, and the patch ends at "
            f"{layout.size_mm / 2:g} mm. Lower gap_mm, neighbours or slices, or raise [patch] size_mm."
        )
    return layout


def cut_planes(patches: Tensor, *, layout: Layout, pose: Tensor | None = None) -> Tensor:
    """Pictures in [0,1], float32 (B,V,C,H,W).

    Args:
        patches: HU (B,D,D,D), axes z, y, x.
        layout: planes, size, windows.
        pose: (B,3,4) from `random_pose` or `flips`; None leaves the patient where he is.
    """
    n_patients, n_views, n_channels, px = len(patches), len(layout.planes), layout.n_channels, layout.image_px
    grid = _grid(layout, pose=pose, device=patches.device).expand(n_patients, -1, -1, -1, -1)  # (B,V*C,H,W,3)
    cube = patches[:, None].float()  # (B,1,D,D,D)
    sampled = F.grid_sample(cube, grid, padding_mode="border", align_corners=False)  # (B,1,V*C,H,W)
    sampled = sampled.reshape(n_patients, n_views, n_channels, px, px)
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


class Jitter(NamedTuple):
    """Another scanner and kernel for n patients."""

    noise_hu: Tensor  # (n,) standard deviation of what is added
    sharpening: (
        Tensor  # (n,) of the difference to the blurred patch: positive a sharper kernel, negative a smoother one
    )
    offset_hu: Tensor  # (n,) of the calibration
    roll: Tensor  # (n,3) where in the field of noise the patient begins


def random_jitter(n: int, *, generator: torch.Generator) -> Jitter:
    """Noise to 25 HU, kernels from smoother to sharper, offsets to 10 HU."""

    def uniform(*shape: int) -> Tensor:
        return torch.rand(shape, generator=generator)

    return Jitter(
        noise_hu=uniform(n) * MAX_NOISE_HU,
        sharpening=(2 * uniform(n) - 1) * MAX_SHARPENING,
        offset_hu=(2 * uniform(n) - 1) * MAX_OFFSET_HU,
        roll=(uniform(n, 3) * 1024).long(),
    )


def jitter_hu(patches: Tensor, *, jitter: Jitter) -> Tensor:
    """Patches as another scanner would have shown them, float32 (B,D,D,D) in HU.

    The kernel is unsharp masking by the mean of 3 x 3 x 3 voxels; the noise is one fixed field of independent Gaussian
    voxels, rolled to another place for each patient, so that it costs no drawing.
    """
    n_voxels = patches.shape[-1]
    field = _noise_field(n_voxels, device=patches.device)
    shown = []
    for k, patch in enumerate(patches):  # one by one: a cube stays in the processor's cache
        cube = patch.float()
        noise_hu, sharpening, offset_hu = (float(given[k]) for given in jitter[:3])
        z, y, x = ((-jitter.roll[k]) % n_voxels).tolist()
        noise = field[z : z + n_voxels, y : y + n_voxels, x : x + n_voxels]
        moved = _sum_of_neighbours(cube).mul_(-sharpening / 27).add_(cube, alpha=1 + sharpening)
        shown.append(moved.add_(noise, alpha=noise_hu).add_(offset_hu))
    return torch.stack(shown)


def _sum_of_neighbours(cube: Tensor) -> Tensor:
    """The sum of the 3 x 3 x 3 voxels around each (27 times their mean); voxels of the edge count for those outside."""
    n_voxels = len(cube)
    for axis in range(3):
        both = cube.clone()
        both.narrow(axis, 1, n_voxels - 1).add_(cube.narrow(axis, 0, n_voxels - 1))
        both.narrow(axis, 0, n_voxels - 1).add_(cube.narrow(axis, 1, n_voxels - 1))
        for edge in (0, n_voxels - 1):
            both.narrow(axis, edge, 1).add_(cube.narrow(axis, edge, 1))
        cube = both
    return cube


@lru_cache(maxsize=2)
def _noise_field(n_voxels: int, *, device: torch.device) -> Tensor:
    """A cube of noise, continued on three sides by itself, so that a part of it is the cube rolled."""
    field = torch.randn((n_voxels,) * 3, generator=torch.Generator().manual_seed(20240611))
    return F.pad(field[None, None], (0, n_voxels - 1) * 3, mode="circular")[0, 0].to(device)


def _grid(layout: Layout, *, pose: Tensor | None, device: torch.device) -> Tensor:
    """Where the pixels of all planes lie in the cube, x, y, z in [-1,1]: (B,V*C,H,W,3), B is 1 without a pose.

    A pose turns three directions of each plane, not each of its pixels: a pixel is then a sum.
    """
    half_mm = layout.size_mm / 2
    channels = [channel for view in layout.planes for channel in view]
    rows, columns, normals = (
        torch.tensor([AXES[plane][k] for plane, _ in channels], dtype=torch.float32, device=device).T for k in range(3)
    )  # (3,P) each
    centres = normals * torch.tensor([at_mm / half_mm for _, at_mm in channels], device=device)
    px = layout.image_px
    line = ((torch.arange(px, device=device) * 2 + 1) / px - 1) * (layout.field_mm / layout.size_mm)  # pixels' centres
    if pose is None:
        pose = torch.eye(3, 4)[None]
    turn, shift = pose.to(device).split([3, 1], dim=-1)  # (B,3,3), (B,3,1)
    begin = (turn @ centres + shift / half_mm)[..., None] + (turn @ rows)[..., None] * line  # (B,3,P,H)
    across = (turn @ columns)[..., None] * line  # (B,3,P,W)
    return (begin[..., None] + across[:, :, :, None]).permute(0, 2, 3, 4, 1)


def _cross(v: Tensor) -> Tensor:
    """The matrices whose exponentials are rotations by |v| about v: (n,3) -> (n,3,3)."""
    x, y, z = v.unbind(dim=1)
    o = torch.zeros_like(x)
    return torch.stack([o, -z, y, z, o, -x, -y, x, o], dim=1).reshape(-1, 3, 3)
