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


def make_study(folder, scans, **imaging):
    rows = []
    for patient, scan in scans.items():
        made_ct.write_scan(folder / "ct" / patient, scan.but(series=patient))
        rows.append({"patient_id": patient, "series_path": f"ct/{patient}", "tumour_x_mm": 0.0, "tumour_y_mm": 0.0,
                     "tumour_z_mm": 0.0})  # fmt: skip
    write_table(pd.DataFrame(rows), folder / "annotations.csv")
    write_table(pd.DataFrame({"patient_id": [*scans, "nobody"], "centre": "N"}), folder / "work" / "cohort.csv")
    (folder / "study.toml").write_text(starter_toml(name="s", sections={"imaging": imaging} if imaging else {}))
    return load_study(folder)


@pytest.mark.parametrize(
    "turned",
    [
        {},
        {"row": (-1.0, 0.0, 0.0), "origin_mm": (12.5, -8.0, 10.0)},  # slices run to the feet
        {"row": (-1.0, 0.0, 0.0), "column": (0.0, -1.0, 0.0), "origin_mm": (12.5, 7.0, -12.0)},  # prone
    ],
)
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
