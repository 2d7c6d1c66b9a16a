"""The CT viewer sends what is asked for out of the mapped file, and says in a sentence what is wrong."""

from __future__ import annotations

import json

import numpy as np
import pytest
from made_volume import BOX, CENTRE, SHAPE, voxels, write_volume
from test_layout import loaded_after

from onlm_lab.app.ct_viewer import CtViewer, open_volume
from onlm_lab.app.ct_viewer_texts import TEXTS
from onlm_lab.errors import OnlmError
from onlm_lab.learning.explained import Explained, Picture
from onlm_lab.learning.placed import saliency_layers
from onlm_lab.patches import npy_bytes


@pytest.fixture
def path(tmp_path):
    return write_volume(tmp_path)


@pytest.fixture
def viewer(path):
    """Shows the made-up CT; keeps what it sends."""
    made = CtViewer()
    made.told = []
    made.send = lambda content, buffers=None: made.told.append((content, buffers))
    assert made.load(path)
    return made


def ask(viewer, **content):
    """What comes back: the message and its arrays' bytes; None where nothing does."""
    viewer.told.clear()
    viewer._handle_custom_msg({"volume": viewer.volume["token"]} | content, [])
    return viewer.told[0] if viewer.told else None


def layers_of(facts, *, windows=("-1100 to 300 HU",), kinds=("grad_cam",)):
    pictures = [
        Picture(f"{plane} {window}", k, np.zeros((8, 8), np.uint8), {kind: np.full((8, 8), 0.5) for kind in kinds})
        for k, (window, plane) in enumerate((w, p) for w in windows for p in ("axial", "coronal", "sagittal"))
    ]
    return saliency_layers(Explained("P1", "fused", False, (), np.ones(1), 20.0, tuple(pictures)), facts)


def test_slices_come_as_the_very_voxels_of_the_file(viewer):
    content, (buffer,) = ask(viewer, kind="slices", first=7, n=5)
    assert (content["first"], content["n"], content["kind"]) == (7, 5, "slices")
    np.testing.assert_array_equal(np.frombuffer(buffer, "<i2").reshape(5, *SHAPE[1:]), voxels()[7:12])
    assert viewer.sent_bytes == buffer.nbytes == 5 * 64 * 80 * 2


def test_slices_are_sent_from_the_mapped_file_without_a_copy(viewer):
    assert isinstance(viewer._hu, np.memmap)
    _, (buffer,) = ask(viewer, kind="slices", first=3, n=2)
    assert np.shares_memory(np.frombuffer(buffer, "<i2"), viewer._hu)


@pytest.mark.parametrize(("plane", "axis"), [("axial", 0), ("coronal", 1), ("sagittal", 2)])
def test_a_plane_is_cut_where_it_is_asked_for(viewer, plane, axis):
    _, (buffer,) = ask(viewer, kind="plane", plane=plane, index=21)
    wanted = np.take(voxels(), 21, axis=axis)
    np.testing.assert_array_equal(np.frombuffer(buffer, "<i2").reshape(wanted.shape), wanted)


def test_mask_and_maps_are_sent_when_they_are_asked_for(viewer, path):
    _, (buffer,) = ask(viewer, kind="mask")
    assert np.frombuffer(buffer, np.uint8).sum() == 8 * 12 * 12
    assert ask(viewer, kind="layers") is None
    viewer.load(path, layers=layers_of(open_volume(path)[0], kinds=("grad_cam", "occlusion")))
    assert viewer.sent_bytes == buffer.nbytes, "nothing of the maps before they are wanted"
    content, buffers = ask(viewer, kind="layers")
    assert content["kind"] == "layers" and len(buffers) == len(viewer.layers) == 6
    assert set(np.frombuffer(buffers[0], "<f4")) == {0.5}


@pytest.mark.parametrize(
    "content",
    [
        {"kind": "slices", "first": 40, "n": 5}, {"kind": "slices", "first": -1, "n": 2},
        {"kind": "slices", "first": 0, "n": 0}, {"kind": "slices", "first": 0, "n": 10**9},
        {"kind": "slices", "first": "0", "n": 1}, {"kind": "slices", "first": 0.5, "n": True}, {"kind": "slices"},
        {"kind": "plane", "plane": "axial", "index": 44}, {"kind": "plane", "plane": "../x", "index": 0},
        {"kind": "plane", "plane": ["axial"], "index": 0}, {"kind": "file", "path": "/etc/hostname"}, {},
        {"kind": "slices", "first": 0, "n": 1, "volume": 0},
    ],
)  # fmt: skip
def test_what_cannot_be_asked_for_is_not_answered(viewer, content):
    assert ask(viewer, **content) is None and viewer.sent_bytes == 0


def test_a_request_that_was_meant_for_the_last_patient_is_not_answered(viewer, tmp_path):
    old = viewer.volume["token"]
    viewer.load(write_volume(tmp_path, name="P2", hu=voxels() + 1))
    assert ask(viewer, kind="slices", first=0, n=1, volume=old) is None
    assert ask(viewer, kind="slices", first=0, n=1) is not None
    viewer.clear()
    viewer.told.clear()
    viewer.answer({"kind": "slices", "first": 0, "n": 1, "volume": None})
    assert viewer.told == []


def test_it_opens_at_the_tumour_and_without_a_map(viewer, path):
    assert (
        (viewer.slice_axial, viewer.slice_coronal, viewer.slice_sagittal)
        == (20, 26, 24)
        == tuple(round(at) for at in CENTRE)
    )
    viewer.load(path, layers=layers_of(open_volume(path)[0]))
    assert viewer.saliency == "" and viewer.saliency_names == ("Grad-CAM",)
    viewer.saliency, viewer.plane, viewer.window_centre_hu = "Grad-CAM", "coronal", 40.0
    viewer.load(path, layers=layers_of(open_volume(path)[0]))
    assert viewer.saliency == "" and (viewer.plane, viewer.window_centre_hu) == ("coronal", 40.0)


def test_without_a_centre_it_opens_in_the_middle(tmp_path):
    viewer = CtViewer()
    assert viewer.load(write_volume(tmp_path, with_mask=False, centre_voxel=None, why_no_centre="Not known."))
    assert (viewer.slice_axial, viewer.slice_coronal, viewer.slice_sagittal) == (22, 32, 40)
    assert viewer.volume["why_no_centre"] == "Not known." and viewer.volume["mask_box"] is None


def test_the_browser_is_told_no_patient_and_no_series(viewer):
    said = json.dumps({name: value for name, value in viewer.get_state().items() if not name.startswith("_")})
    assert "P1" not in said and "1.2" not in json.dumps(viewer.volume) and "series_uid" not in said
    assert viewer.volume["mask_box"] == BOX


def test_maps_of_several_windows_have_names_of_their_own(path):
    viewer = CtViewer()
    facts = open_volume(path)[0]
    viewer.load(path, layers=layers_of(facts, windows=("-1100 to 300 HU", "-160 to 240 HU")))
    assert viewer.saliency_names == ("Grad-CAM, -1100 to 300 HU", "Grad-CAM, -160 to 240 HU")
    assert viewer.layers[0]["scale"] == "patient" and viewer.layers[0]["limit"] == 0.5


@pytest.mark.parametrize("suffix", [".npy", ".json", ".mask"])
def test_a_file_that_is_gone_is_a_sentence(path, suffix):
    viewer = CtViewer()
    assert viewer.load(path)
    path.with_suffix(suffix).unlink()
    assert not viewer.load(path)
    assert viewer.volume == {} and viewer.sentence == (
        "The CT of this patient is no longer on disk. Open the patient again: it is written anew."
    )


@pytest.mark.parametrize(
    ("spoil", "what"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:5000]), "ValueError"),
        (lambda path: path.write_bytes(b""), "EOFError"),
        (lambda path: path.with_suffix(".json").write_text("{"), "JSONDecodeError"),
        (lambda path: path.with_suffix(".json").write_text("[]"), "TypeError"),
        (lambda path: path.with_suffix(".json").write_text('{"mask_box": null}'), "no shape, no spacing_mm"),
        (lambda path: np.save(path, voxels()[1:]), "another shape"),
        (lambda path: np.save(path, voxels().astype(np.float32)), "not int16 voxels"),
        (lambda path: np.save(path, np.array([{}], dtype=object), allow_pickle=True), "ValueError"),
        (lambda path: path.with_suffix(".mask").write_bytes(b"\x93NUMPY"), "ValueError"),
        (lambda path: path.with_suffix(".mask").write_bytes(npy_bytes(np.ones((2, 2, 2), np.uint8))), "another mask"),
    ],
)  # fmt: skip
def test_a_damaged_file_is_a_sentence(path, spoil, what):
    spoil(path)
    viewer = CtViewer()
    assert not viewer.load(path)
    assert "is damaged (" in viewer.sentence and what in viewer.sentence and "written anew" in viewer.sentence
    with pytest.raises(OnlmError, match="is damaged"):
        open_volume(path)


def test_what_is_under_way_is_said_and_ends_with_the_ct(path):
    viewer = CtViewer()
    viewer.clear(sentence="The CT is being written.", busy=True)
    assert viewer.busy and viewer.volume == {}
    viewer.load(path)
    assert not viewer.busy and viewer.sentence == ""


def test_a_map_with_something_that_is_no_number_says_nothing_there(path):
    facts = open_volume(path)[0]
    layers = layers_of(facts)
    layers[0].values[0, 0] = np.nan
    viewer = CtViewer()
    viewer.load(path, layers=layers)
    assert viewer._maps[0][0, 0] == 0.0 and np.isfinite(viewer._maps[0]).all()


def test_every_text_that_the_browser_asks_for_is_there(viewer):
    import re

    asked = set(re.findall(r"texts\.(\w+)", viewer._esm)) | set(
        re.findall(r"(?:button|number|group)\(\"(\w+)\"", viewer._esm)
    )
    asked |= {"larger_title", "smaller_title", "hu_pointer", "hu_cross", "scale_run", "scale_patient"}
    asked |= {f"{plane}{end}" for plane in ("axial", "coronal", "sagittal") for end in ("", "_slider")}
    assert len(asked) > 50 and asked <= set(TEXTS), asked - set(TEXTS)


def test_the_viewer_loads_no_torch_and_no_reader_of_ct():
    loaded = loaded_after("from onlm_lab.app.ct_viewer import CtViewer; CtViewer()")
    assert not {"torch", "timm", "pydicom", "SimpleITK", "plotly"} & loaded
