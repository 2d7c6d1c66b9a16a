"""A saliency map lies over the very voxels that the model saw, in every layout, read without torch."""

from __future__ import annotations

import made_ct
import numpy as np
import pandas as pd
import pytest
from made_ct import Scan
from test_layout import loaded_after

from onlm_lab import imaging, patches
from onlm_lab.errors import OnlmError
from onlm_lab.learning.explained import Explained, Picture, write_explained, write_index
from onlm_lab.learning.placed import NORMAL, map_limits, place_of, saliency_layers
from onlm_lab.runs import Run
from onlm_lab.schema import write_table
from onlm_lab.study import load_study, starter_toml
from onlm_lab.volumes import write_volume

CENTRE_MM = (4.25, -3.0, 1.0)
SPEC = patches.PatchSpec(size_mm=48.0, spacing_mm=1.0)
IN_PLANE = {"axial": (1, 2), "coronal": (0, 2), "sagittal": (0, 1)}  # what runs down and across, as z, y, x
BALL_MM = {"axial": (14.0, 5.0, 1.0), "coronal": (14.0, -3.0, 12.0), "sagittal": (4.25, 5.0, 12.0)}  # x, y, z
LAYOUTS = {
    "orthogonal": {}, "slab": {"slices": 3, "gap_mm": 1.0}, "three_planes": {},
    "multi_window": {"windows_hu": ((-1100.0, 300.0), (-160.0, 240.0))},
}  # fmt: skip


def balls(x, y, z):
    """Soft tissue in three balls, each in one plane through the centre and away from its middle, in air."""
    inside = [np.sqrt((x - a) ** 2 + (y - b) ** 2 + (z - c) ** 2) < 3.0 for a, b, c in BALL_MM.values()]
    return np.where(np.any(inside, axis=0), 200, -1000)


SCAN = Scan(field=balls, shape=(36, 50, 52), spacing_mm=(2.0, 1.5, 1.5), origin_mm=(-36.0, -36.0, -34.0), signed=True,
            intercept=0.0)  # fmt: skip
TURNED = SCAN.but(row=(-1.0, 0.0, 0.0), column=(0.0, -1.0, 0.0), origin_mm=(40.5, 37.5, -34.0))  # prone


def written(folder, scan):
    made_ct.write_scan(folder / "ct" / "P1", scan)
    row = {"patient_id": "P1", "series_path": "ct/P1"}
    row |= dict(zip(("tumour_x_mm", "tumour_y_mm", "tumour_z_mm"), CENTRE_MM, strict=True))
    write_table(pd.DataFrame([row]), folder / "annotations.csv")
    write_table(pd.DataFrame({"patient_id": ["P1"], "centre": "N"}), folder / "work" / "cohort.csv")
    (folder / "study.toml").write_text(starter_toml(name="s"))
    return write_volume(load_study(folder), "P1")


def explained(patch, layout, *, of=lambda planes: planes):
    """What the model saw, as if its map were the picture itself."""
    torch = pytest.importorskip("torch", reason="no torch: the layouts of the model cannot be drawn")
    from onlm_lab.learning.dataset import cut_planes
    from onlm_lab.learning.pictured import lay_out

    planes = cut_planes(torch.from_numpy(patch)[None], layout=layout)[0].numpy()
    maps = {"grad_cam": of(planes)}
    pictures = lay_out(planes, maps, layout=layout)
    return Explained("P1", "fused", False, layout.views, np.full(len(layout.views), 1 / len(layout.views)),
                     layout.field_mm, pictures)  # fmt: skip


def pixel_mm(layer, row, column):
    """z, y, x in mm (from voxel [0, 0, 0]) of a pixel's middle, of the picture as it is looked at."""
    down, across = IN_PLANE[layer.plane]
    step = layer.edge_mm / layer.values.shape[0]
    place = np.array(layer.centre_mm)
    place[down] += ((row + 0.5) * step - layer.edge_mm / 2) * (-1 if down == 0 else 1)
    place[across] += (column + 0.5) * step - layer.edge_mm / 2
    return place


@pytest.mark.parametrize("scan", [SCAN, TURNED], ids=["supine", "prone"])
@pytest.mark.parametrize("name", LAYOUTS)
def test_what_is_bright_in_a_map_is_bright_in_the_ct_below_it(tmp_path, name, scan):
    pytest.importorskip("torch", reason="no torch: the layouts of the model cannot be drawn")
    from onlm_lab.learning.dataset import Layout

    volume = written(tmp_path, scan)
    hu, spacing = np.load(volume.path, mmap_mode="r", allow_pickle=False), np.array(volume.facts["spacing_mm"])
    patch = imaging.cut_patch(tmp_path / "ct" / "P1", CENTRE_MM, SPEC)
    settings = {"windows_hu": ((-1100.0, 300.0),), "neighbours": 0, "gap_mm": 3.0} | LAYOUTS[name]
    layout = Layout(size_mm=48.0, field_mm=40.0, image_px=80, name=name, **settings)
    middle = 1 if name == "three_planes" else 0

    layers = saliency_layers(explained(patch, layout, of=lambda planes: planes[:, middle]), volume.facts)
    if name == "three_planes":
        assert {layer.is_shared for layer in layers} == {True}
        layers = [layer for layer in layers if layer.plane == "coronal"]  # whose channel the map was made of
    for layer in layers:
        bright = np.argwhere(layer.values > 0.9 * layer.values.max())
        places = np.array([pixel_mm(layer, row, column) for row, column in bright])
        voxels = np.rint(places / spacing).astype(int)
        assert (hu[tuple(voxels.T)] > -600).mean() > 0.9
        if name != "slab":
            ball = np.array(BALL_MM[layer.plane])[::-1] - np.array(volume.facts["first_mm"])[::-1]
            np.testing.assert_allclose(np.median(places, axis=0), ball, atol=0.5)


def test_the_planes_of_a_slab_lie_in_their_own_slices():
    shown = Explained("P1", "fused", False, ("a", "b"), np.ones(2) / 2, 30.0, tuple(
        Picture(f"axial {at:+g} mm -1100 to 300 HU", k, np.zeros((4, 4), np.uint8), {"occlusion": np.ones((4, 4))})
        for k, at in enumerate((-3.0, 0.0, 4.5))
    ))  # fmt: skip
    layers = saliency_layers(shown, {"centre_voxel": [10.0, 20.0, 30.0], "spacing_mm": [2.0, 1.0, 0.5]})
    assert [layer.centre_mm for layer in layers] == [(17.0, 20.0, 15.0), (20.0, 20.0, 15.0), (24.5, 20.0, 15.0)]
    assert {layer.edge_mm for layer in layers} == {30.0} and NORMAL["axial"] == 0


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_name_of_every_layout_is_understood(name):
    pytest.importorskip("torch", reason="no torch: the layouts of the model cannot be drawn")
    from onlm_lab.learning.dataset import Layout

    settings = {"windows_hu": ((-1000.5, 1e6),), "neighbours": 1, "gap_mm": 1e-5} | LAYOUTS[name]
    layout = Layout(size_mm=48.0, field_mm=40.0, image_px=8, name=name, **settings)
    names = [view.replace("axial, coronal, sagittal", "sagittal") for view in layout.views]
    for view in names:
        plane, offset_mm, window = place_of(view)
        assert plane in NORMAL and view.startswith(plane) and view.endswith(window) and abs(offset_mm) <= 3.0
    with pytest.raises(OnlmError, match="'oblique -1 to 1 HU': its plane and window are not known"):
        place_of("oblique -1 to 1 HU")


def test_one_scale_for_the_run_or_for_the_patient(tmp_path):
    folder = tmp_path / "saliency"
    folder.mkdir(parents=True)
    paths = []
    for patient, top in (("P1", 0.5), ("P2", -2.0)):
        maps = {"grad_cam": np.array([[0.1, top], [0.0, 0.2]])}
        pictures = (Picture("axial -1100 to 300 HU", 0, np.zeros((2, 2), np.uint8), maps),)
        shown = Explained(patient, "fused", False, ("axial -1100 to 300 HU",), np.ones(1), 10.0, pictures)
        paths.append(write_explained(folder, shown))
        last = shown
    write_index(folder, paths)
    (tmp_path / "study.toml").write_text(starter_toml(name="s"))
    limits = map_limits(Run(tmp_path))
    assert limits == {"grad_cam": 2.0}
    facts = {"centre_voxel": [1, 1, 1], "spacing_mm": [1, 1, 1]}
    one = last.pictures[0].maps | {"grad_cam": last.pictures[0].maps["grad_cam"] / 8}
    small = Explained("P3", "fused", False, last.views, last.attention, 10.0,
                      (Picture(last.pictures[0].name, 0, last.pictures[0].pixels, one),))  # fmt: skip
    (own,) = saliency_layers(small, facts)
    (common,) = saliency_layers(small, facts, limits=limits)
    assert (own.limit, own.scale) == (0.25, "patient") and (common.limit, common.scale) == (2.0, "run")


def test_without_a_centre_there_is_no_place_for_a_map():
    shown = Explained("P1", "fused", False, (), np.ones(0), 10.0, (
        Picture("axial -1100 to 300 HU", 0, np.zeros((2, 2), np.uint8), {}),
    ))  # fmt: skip
    facts = {"centre_voxel": None, "why_no_centre": "The tumour's centre is not known.", "spacing_mm": [1, 1, 1]}
    with pytest.raises(OnlmError, match=r"cannot be laid over the CT. The tumour's centre is not known."):
        saliency_layers(shown, facts)


def test_what_was_explained_is_read_and_placed_without_torch():
    loaded = loaded_after("import onlm_lab.learning.explained, onlm_lab.learning.placed")
    assert not {"torch", "timm", "pydicom", "SimpleITK", "plotly"} & loaded
