"""A whole CT is written once on demand, turned to the patient's axes, and makes room for itself."""

from __future__ import annotations

import os
import stat

import made_ct
import numpy as np
import pandas as pd
import pytest
from made_ct import Scan

from onlm_lab.errors import OnlmError, SeriesError, StudyError
from onlm_lab.schema import write_table
from onlm_lab.study import load_study, starter_toml
from onlm_lab.volumes import write_volume

LINEAR = Scan(
    field=lambda x, y, z: np.rint(4 * x - 3 * y + 6 * z), shape=(12, 16, 18), spacing_mm=(2.0, 1.0, 1.5),
    origin_mm=(-13.0, -8.0, -12.0),
)  # fmt: skip
N_BYTES = 2 * 12 * 16 * 18


BOX = [[4, 8], [5, 9], [7, 12]]  # of the mask that `draw` draws: z, y, x in the written array


def make_study(folder, scans, *, said=None, **imaging):
    rows = []
    for patient, scan in scans.items():
        made_ct.write_scan(folder / "ct" / patient, scan.but(series=patient))
        rows.append({"patient_id": patient, "series_path": f"ct/{patient}", "tumour_x_mm": 0.0, "tumour_y_mm": 0.0,
                     "tumour_z_mm": 0.0} | (said or {}))  # fmt: skip
    write_table(pd.DataFrame(rows), folder / "annotations.csv")
    write_table(pd.DataFrame({"patient_id": [*scans, "nobody"], "centre": "N"}), folder / "work" / "cohort.csv")
    (folder / "study.toml").write_text(starter_toml(name="s", sections={"imaging": imaging} if imaging else {}))
    return load_study(folder)


def draw(folder):
    """A contour of the box of BOX in LINEAR, whose first voxel lies at -13, -8, -12 mm."""
    (z0, z1), (y0, y1), (x0, x1) = BOX
    left, right = -13 + 1.5 * (x0 - 0.5), -13 + 1.5 * (x1 - 0.5)
    front, back = -8 + y0 - 0.5, -8 + y1 - 0.5
    corners = [(left, front), (right, front), (right, back), (left, back)]
    contours = [np.array([(x, y, -12 + 2 * z) for x, y in corners], dtype=float) for z in range(z0, z1)]
    made_ct.write(folder, [made_ct.rtstruct({"GTV": contours})], ["mask.dcm"])
    return {"mask_path": "mask.dcm"}


NO_POINT = {f"tumour_{axis}_mm": None for axis in "xyz"}
TURNED = [
    {},
    {"row": (-1.0, 0.0, 0.0), "origin_mm": (12.5, -8.0, 10.0)},  # slices run to the feet
    {"row": (-1.0, 0.0, 0.0), "column": (0.0, -1.0, 0.0), "origin_mm": (12.5, 7.0, -12.0)},  # prone
]


@pytest.mark.parametrize("turned", TURNED)
def test_the_array_runs_to_the_head_the_back_and_the_left_however_it_was_scanned(tmp_path, turned):
    study = make_study(tmp_path, {"P1": LINEAR.but(**turned)})
    written = write_volume(study, "P1")
    hu = np.load(written.path, mmap_mode="r", allow_pickle=False)
    assert hu.dtype == np.int16 and list(hu.shape) == written.facts["shape"] == [12, 16, 18]
    first, spacing = np.array(written.facts["first_mm"]), written.facts["spacing_mm"]
    z, y, x = np.indices(hu.shape)
    places = [first[0] + x * spacing[2], first[1] + y * spacing[1], first[2] + z * spacing[0]]
    np.testing.assert_allclose(hu, 4 * places[0] - 3 * places[1] + 6 * places[2], atol=0.51)
    assert written.facts["oblique_degrees"] == 0.0 and written.is_new


def test_a_coronal_scan_is_turned_too(tmp_path):
    coronal = LINEAR.but(column=(0.0, 0.0, -1.0), origin_mm=(-13.0, -10.0, 8.0))
    written = write_volume(make_study(tmp_path, {"P1": coronal}), "P1")
    hu = np.load(written.path, allow_pickle=False)
    assert hu.shape == (16, 12, 18) and written.facts["spacing_mm"] == [1.0, 2.0, 1.5]
    assert (np.diff(hu, axis=0) == 6).all() and (np.diff(hu, axis=1) == -6).all()


def test_it_is_written_once_until_its_files_change(tmp_path):
    study = make_study(tmp_path, {"P1": LINEAR})
    first = write_volume(study, "P1")
    assert not write_volume(study, "P1").is_new
    (tmp_path / "ct" / "P1" / "003").touch()
    again = write_volume(study, "P1")
    assert again.is_new and again.path == first.path


def test_a_half_written_file_is_written_again(tmp_path):
    study = make_study(tmp_path, {"P1": LINEAR})
    path = write_volume(study, "P1").path
    path.write_bytes(path.read_bytes()[:500])
    assert write_volume(study, "P1").is_new and path.stat().st_size > N_BYTES


def test_the_one_used_longest_ago_makes_room(tmp_path):
    study = make_study(tmp_path, {f"P{k}": LINEAR for k in range(4)}, volume_cache_gb=2.5 * N_BYTES / 1e9)
    paths = [write_volume(study, "P0").path, write_volume(study, "P1").path]
    for k, path in enumerate(paths):
        os.utime(path, ns=(10**18 + k, 10**18 + k))
    write_volume(study, "P0")  # looked at again: P1 is now the oldest
    write_volume(study, "P2")
    assert paths[0].exists() and not paths[1].exists() and not paths[1].with_suffix(".json").exists()
    assert len(list(paths[0].parent.glob("*.npy"))) == 2


def test_nobody_else_may_read_it_and_it_lies_outside_every_run(tmp_path):
    study = make_study(tmp_path, {"P1": LINEAR})
    path = write_volume(study, "P1").path
    assert stat.S_IMODE(path.stat().st_mode) == 0o600 and stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert path.relative_to(tmp_path).parts[:2] == ("work", "volumes")


def test_what_cannot_be_written_is_a_sentence(tmp_path):
    study = make_study(tmp_path, {"P1": LINEAR, "P2": LINEAR}, volume_cache_gb=1e-6)
    with pytest.raises(OnlmError, match=r"takes 0\.00 GB, more than \[imaging\] volume_cache_gb = 1e-06"):
        write_volume(study, "P1")
    with pytest.raises(OnlmError, match="'P9' is not a patient of this study"):
        write_volume(study, "P9")
    with pytest.raises(OnlmError, match="Patient nobody has no CT to show: no annotation"):
        write_volume(study, "nobody")
    (tmp_path / "ct" / "P2" / "004").unlink()
    with pytest.raises(SeriesError, match="1 of 12 slices are missing"):
        write_volume(study, "P2")
    (tmp_path / "study.toml").write_text(
        starter_toml(name="s", sections={"data": {"ct": ""}, "training": {"models": ["clinical"]}})
    )
    with pytest.raises(StudyError, match="This study has no images"):
        write_volume(load_study(tmp_path), "P1")


@pytest.mark.parametrize("turned", TURNED)
def test_the_mask_and_the_centre_lie_where_the_tumour_is_however_it_was_scanned(tmp_path, turned):
    point = {"tumour_x_mm": -0.25, "tumour_y_mm": -1.5, "tumour_z_mm": -1.0}
    study = make_study(tmp_path, {"P1": LINEAR.but(**turned)}, said=draw(tmp_path) | point)
    written = write_volume(study, "P1")
    mask = np.load(written.path.with_suffix(".mask"), allow_pickle=False)
    assert written.facts["mask_box"] == BOX and written.facts["why_no_mask"] == ""
    assert mask.dtype == np.uint8 and mask.shape == (4, 4, 5) and (mask == 1).all()
    assert stat.S_IMODE(written.path.with_suffix(".mask").stat().st_mode) == 0o600
    # (-1 + 12) / 2, (-1.5 + 8) / 1, (-0.25 + 13) / 1.5
    assert written.facts["centre_voxel"] == pytest.approx([5.5, 6.5, 8.5]) and written.facts["why_no_centre"] == ""


def test_without_a_point_the_centre_is_that_of_the_mask(tmp_path):
    study = make_study(tmp_path, {"P1": LINEAR}, said=draw(tmp_path) | NO_POINT)
    assert write_volume(study, "P1").facts["centre_voxel"] == pytest.approx([5.5, 6.5, 9.0])


def test_a_scan_known_from_the_table_of_series_keeps_its_tumour(tmp_path):
    study = make_study(tmp_path, {"P1": LINEAR}, said=draw(tmp_path))
    first = write_volume(study, "P1")
    uid = first.facts["series_uid"]
    table = pd.DataFrame([{"patient_id": "P1", "uid": uid, "path": "P1", "chosen": 1, "stack": None}])
    write_table(table, tmp_path / "work" / "series.csv")
    first.path.with_suffix(".json").unlink()
    again = write_volume(study, "P1")
    assert again.is_new and again.facts == first.facts


def test_a_ct_without_a_mask_or_with_a_bad_one_is_written_and_says_why(tmp_path):
    study = make_study(tmp_path, {"P1": LINEAR})
    facts = write_volume(study, "P1").facts
    assert facts["mask_box"] is None and facts["why_no_mask"] == "The annotation names no mask."
    assert facts["centre_voxel"] == pytest.approx([6.0, 8.0, 13 / 1.5], abs=1e-3)
    assert not list((tmp_path / "work" / "volumes").glob("*.mask"))
    (tmp_path / "bad").mkdir()
    bad = make_study(tmp_path / "bad", {"P1": LINEAR}, said={"mask_path": "mask.dcm"} | NO_POINT)
    (tmp_path / "bad" / "mask.dcm").write_bytes(b"no DICOM")
    facts = write_volume(bad, "P1").facts
    assert facts["mask_box"] is None and "neither DICOM nor one of" in facts["why_no_mask"]
    assert facts["centre_voxel"] is None and facts["why_no_centre"].startswith("The tumour's centre is not known")
    (tmp_path / "far").mkdir()
    far = make_study(tmp_path / "far", {"P1": LINEAR}, said={"tumour_x_mm": 400.0})
    facts = write_volume(far, "P1").facts
    assert facts["centre_voxel"] is None and "lies outside the scan" in facts["why_no_centre"]


def test_another_mask_is_written_anew_and_a_lost_one_again(tmp_path):
    study = make_study(tmp_path, {"P1": LINEAR}, said=draw(tmp_path))
    path = write_volume(study, "P1").path
    assert not write_volume(study, "P1").is_new
    path.with_suffix(".mask").unlink()
    assert write_volume(study, "P1").is_new and path.with_suffix(".mask").exists()
    annotations = pd.read_csv(tmp_path / "annotations.csv").assign(tumour_x_mm=3.0)
    write_table(annotations.drop(columns="mask_path"), tmp_path / "annotations.csv")
    assert write_volume(study, "P1").is_new and not path.with_suffix(".mask").exists()


def test_a_mask_counts_with_its_volume_and_goes_with_it(tmp_path):
    n_mask = 4 * 4 * 5
    limit_gb = (2 * N_BYTES + 2 * 128 + n_mask + 64) / 1e9  # two volumes, and not quite their two masks
    study = make_study(tmp_path, {f"P{k}": LINEAR for k in range(2)}, said=draw(tmp_path), volume_cache_gb=limit_gb)
    first = write_volume(study, "P0").path
    second = write_volume(study, "P1").path
    assert sorted(p.name for p in first.parent.iterdir()) == sorted(
        second.with_suffix(suffix).name for suffix in (".npy", ".mask", ".json")
    )
