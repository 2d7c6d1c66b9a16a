"""Planes through a patch: the right anatomy in the right view, moved in three dimensions."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from onlm_lab import patches
from onlm_lab.learning.dataset import Layout, cut_planes, flips, layout_of, random_pose
from onlm_lab.study import Study

N = 16


def layout(**changed):
    said = {"size_mm": 16.0, "field_mm": 16.0, "image_px": N, "neighbours": 1, "gap_mm": 1.0}
    return Layout(**{**said, "windows_hu": ((0.0, 1000.0),), **changed})


@pytest.fixture
def ramp():
    """A cube whose HU says where a voxel is."""
    z, y, x = np.meshgrid(np.arange(N), np.arange(N), np.arange(N), indexing="ij")
    return torch.from_numpy((10.0 * z + 200.0 * (y >= N // 2) + 0.5 * x).astype(np.float32))[None]


@pytest.mark.parametrize(
    ("size_mm", "spacing_mm", "neighbours", "gap_mm"), [(16, 1, 1, 1), (16, 1, 0, 1), (24, 1.5, 2, 2)]
)
def test_the_spec_of_a_patch_names_the_same_planes_without_torch(size_mm, spacing_mm, neighbours, gap_mm):
    spec = patches.PatchSpec(
        size_mm=size_mm, spacing_mm=spacing_mm, neighbours=neighbours, gap_mm=gap_mm,
        windows=((-1100, 300), (-150, 250)),
    )  # fmt: skip
    patch = np.random.default_rng(4).integers(-1024, 400, spec.shape).astype(np.float32)
    same = layout(
        size_mm=size_mm, field_mm=size_mm, image_px=spec.n_voxels, neighbours=neighbours, gap_mm=gap_mm,
        windows_hu=spec.windows,
    )  # fmt: skip
    theirs = cut_planes(torch.from_numpy(patch)[None], layout=same)[0].numpy()
    found = patches.cut_planes(patch, spec)
    assert found.shape == theirs.shape == (6, 2 * neighbours + 1, N, N)
    np.testing.assert_allclose(found, theirs, atol=2e-5)


def test_the_planes_are_the_voxels_of_the_patch(ramp):
    """With a pixel a voxel and half-voxel offsets, a plane is the mean of the two voxel layers that it lies between."""
    planes = cut_planes(ramp, layout=layout()) * 1000  # (1,3,3,N,N)
    cube, mid = ramp[0], N // 2
    torch.testing.assert_close(planes[0, 0, 1], (cube[mid - 1] + cube[mid]) / 2)
    torch.testing.assert_close(planes[0, 1, 1], (cube[:, mid - 1] + cube[:, mid]) / 2)
    torch.testing.assert_close(planes[0, 2, 1], (cube[:, :, mid - 1] + cube[:, :, mid]) / 2)


def test_neighbours_lie_at_the_gap_on_both_sides(ramp):
    axial = cut_planes(ramp, layout=layout(gap_mm=3.0))[0, 0] * 1000  # (3,N,N); HU rises by 10 a mm along z
    torch.testing.assert_close(axial[2] - axial[1], torch.full((N, N), 30.0), atol=1e-2, rtol=0)
    torch.testing.assert_close(axial[1] - axial[0], torch.full((N, N), 30.0), atol=1e-2, rtol=0)


def test_a_smaller_field_shows_the_middle(ramp):
    whole = cut_planes(ramp, layout=layout())
    half = cut_planes(ramp, layout=layout(field_mm=8.0, image_px=8))
    torch.testing.assert_close(half, whole[..., 4:12, 4:12])


def test_each_window_gives_its_own_views_clipped_to_it(ramp):
    both = cut_planes(ramp, layout=layout(windows_hu=((0.0, 100.0), (0.0, 1000.0))))
    assert both.shape == (1, 6, 3, N, N)
    assert both[:, :3].max() == 1.0
    assert both[:, 3:].max() < 1.0


def test_flipping_the_patient_flips_every_plane_that_sees_that_axis(ramp):
    plain = cut_planes(ramp, layout=layout())
    mirrored = cut_planes(ramp, layout=layout(), pose=flips((-1, 1, 1)))
    torch.testing.assert_close(mirrored[:, :2], plain[:, :2].flip(-1))  # axial and coronal: left and right change
    torch.testing.assert_close(mirrored[:, 2], plain[:, 2].flip(1))  # sagittal: the neighbours change sides


def test_random_poses_hang_on_the_generator_alone():
    first = random_pose(5, generator=torch.Generator().manual_seed(3))
    again = random_pose(5, generator=torch.Generator().manual_seed(3))
    other = random_pose(5, generator=torch.Generator().manual_seed(4))
    torch.testing.assert_close(first, again, rtol=0, atol=0)
    assert not torch.allclose(first, other)


def test_random_poses_turn_shift_and_zoom_within_their_limits():
    pose = random_pose(200, generator=torch.Generator().manual_seed(1))
    matrix, shift = pose[..., :3], pose[..., 3]
    gram = matrix.transpose(1, 2) @ matrix  # zoom squared times the unit matrix: no shear
    zoom = gram.diagonal(dim1=1, dim2=2).mean(dim=1).sqrt()
    torch.testing.assert_close(gram, zoom[:, None, None] ** 2 * torch.eye(3).expand(200, 3, 3), atol=1e-5, rtol=0)
    assert 1 / 1.1 <= zoom.min() < zoom.max() <= 1.1 + 1e-6
    assert shift.abs().max() <= 3.0
    assert {-1.0, 1.0} == set(torch.linalg.det(matrix / zoom[:, None, None]).round().tolist())


def test_a_shift_is_in_millimetres(ramp):
    pose = torch.cat([torch.eye(3), torch.tensor([[0.0], [0.0], [2.0]])], dim=1)[None]  # 2 mm along z
    moved = cut_planes(ramp, layout=layout(), pose=pose) * 1000
    plain = cut_planes(ramp, layout=layout()) * 1000
    torch.testing.assert_close(moved[0, 0] - plain[0, 0], torch.full((3, N, N), 20.0), atol=1e-2, rtol=0)


def test_the_layout_is_the_study_s():
    said = layout_of(Study(folder=None))
    assert said.size_mm == 64.0
    assert said.n_channels == 3
    assert len(said.views) == 3 * len(said.windows_hu)
