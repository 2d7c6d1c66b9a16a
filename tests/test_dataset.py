"""Planes through a patch: the right anatomy in the right view, moved in three dimensions."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from onlm_lab import patches
from onlm_lab.errors import StudyError
from onlm_lab.learning.dataset import (
    Jitter,
    Layout,
    cut_planes,
    flips,
    jitter_hu,
    layout_of,
    random_jitter,
    random_pose,
)
from onlm_lab.study import Model, Patch, Study

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


def test_a_slab_is_axial_planes_one_by_one_each_with_its_neighbours(ramp):
    slab = layout(name="slab", slices=5, gap_mm=2.0)
    planes = cut_planes(ramp, layout=slab)  # (1,5,3,H,W)
    assert planes.shape == (1, 5, 3, N, N) and len(slab.views) == 5
    middle = 10 * (N - 1) / 2
    at = (planes[0, :, 1, 0, 0] - planes[0, 2, 1, 0, 0]) * 1000
    assert at.tolist() == pytest.approx([-40, -20, 0, 20, 40], abs=1e-3)
    assert planes[0, 2, 1, 0, 0] * 1000 == pytest.approx(middle, abs=1e-2)
    assert torch.allclose(planes[0, 1, 2], planes[0, 2, 1])  # the upper neighbour of one is the next


def test_three_planes_are_the_three_channels_of_one_picture(ramp):
    three = cut_planes(ramp, layout=layout(name="three_planes"))
    orthogonal = cut_planes(ramp, layout=layout(neighbours=0))
    assert three.shape == (1, 1, 3, N, N)
    assert torch.equal(three[:, 0], orthogonal[:, :, 0])


def test_several_windows_show_the_same_planes_once_each():
    windows = ((-1100.0, 300.0), (-160.0, 240.0))
    study = Study(folder=".", model=Model(layout="multi_window", windows_hu=windows))
    found = layout_of(study)
    assert found.windows_hu == windows and len(found.views) == 6
    assert layout_of(Study(folder=".")).windows_hu == ((-1100.0, 300.0),)


@pytest.mark.parametrize("name", ["orthogonal", "slab", "three_planes", "multi_window"])
def test_every_layout_has_as_many_views_and_channels_as_it_says(name, ramp):
    found = layout(name=name, slices=3)
    planes = cut_planes(ramp, layout=found)
    assert planes.shape[1:3] == (len(found.views), found.n_channels)


def test_a_plane_outside_the_patch_is_refused():
    study = Study(folder=".", patch=Patch(size_mm=20.0), model=Model(layout="slab", slices=9, gap_mm=3.0))
    wanted = r"layout 'slab' wants a plane 15 mm from the centre, and the patch ends at 10 mm. Lower gap_mm"
    with pytest.raises(StudyError, match=wanted):
        layout_of(study)


def test_noise_has_the_strength_that_was_drawn_and_its_own_place_for_each_patient():
    still = torch.zeros(3, 24, 24, 24)
    nothing = torch.zeros(3)
    jitter = Jitter(torch.tensor([0.0, 10.0, 20.0]), nothing, nothing, torch.tensor([[0, 0, 0], [1, 2, 3], [9, 9, 9]]))
    moved = jitter_hu(still, jitter=jitter)
    assert moved.std(dim=(1, 2, 3)).tolist() == pytest.approx([0, 10, 20], rel=0.03)
    assert abs(np.corrcoef(moved[1].flatten(), moved[2].flatten())[0, 1]) < 0.05
    assert still.abs().sum() == 0  # the patch that was given is as it was


@pytest.mark.parametrize(("sharpening", "sign"), [(0.5, 1), (-0.5, -1), (0.0, 0)])
def test_a_sharper_kernel_makes_edges_steeper_and_leaves_flat_parts_alone(sharpening, sign):
    step = torch.full((1, 16, 16, 16), -800.0)
    step[..., 8:] = 40.0
    amount = torch.tensor([sharpening])
    moved = jitter_hu(step, jitter=Jitter(torch.zeros(1), amount, torch.zeros(1), torch.zeros(1, 3).long()))
    rise = (moved[0, 8, 8, 8] - moved[0, 8, 8, 7]) - 840.0
    assert np.sign(float(rise.round())) == sign
    assert torch.allclose(moved[..., :6], step[..., :6]) and torch.allclose(moved[..., 10:], step[..., 10:])


def test_the_same_generator_gives_the_same_scanner():
    draws = [random_jitter(5, generator=torch.Generator().manual_seed(3)) for _ in range(2)]
    assert all(torch.equal(a, b) for a, b in zip(*draws, strict=True))
    assert not torch.equal(draws[0].noise_hu, random_jitter(5, generator=torch.Generator().manual_seed(4)).noise_hu)
