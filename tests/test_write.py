"""A made-up trial on disk: valid DICOM, the same bytes every time, nothing half-written."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from onlm_lab.cohort import load_cohort
from onlm_lab.errors import StudyError
from onlm_lab.imaging import find_series, read_series
from onlm_lab.study import load_study
from onlm_lab.virtual import draw_trial, write_trial
from onlm_lab.virtual.canvas import scanner_grid
from onlm_lab.virtual.phantom import render

N, SEED = 9, 7


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return write_trial(tmp_path_factory.mktemp("made") / "trial", n_patients=N, n_centres=5, seed=SEED, n_workers=1)


@pytest.fixture(scope="module")
def trial():
    return draw_trial(n_patients=N, n_centres=5, seed=SEED)


def digests(folder: Path) -> dict[str, str]:
    return {
        p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(folder.rglob("*"))
        if p.is_file()
    }


def headers(series: Path) -> list[pydicom.Dataset]:
    return [pydicom.dcmread(p, stop_before_pixels=True) for p in sorted(series.glob("*.dcm"))]


def test_the_voxels_on_disk_are_the_voxels_that_were_painted(folder, trial):
    for i in range(N):
        volume = read_series(folder / trial.annotations["series_path"][i])
        grid = scanner_grid(trial.scanner(i))
        np.testing.assert_array_equal(volume.hu, render(trial.scene(i), grid))
        np.testing.assert_allclose(volume.spacing_mm, grid.spacing_mm)
        np.testing.assert_allclose(volume.origin_mm, grid.origin_mm)
        assert volume.series_uid == trial.annotations["series_uid"][i]


def test_the_annotated_point_lies_in_the_tumour(folder, trial):
    for i in range(N):
        row = trial.annotations.iloc[i]
        grid = scanner_grid(trial.scanner(i))
        at = [
            int(np.abs(axis - row[f"tumour_{name}_mm"]).argmin()) for axis, name in zip(grid.axes(), "zyx", strict=True)
        ]
        near = tuple(slice(k - 1, k + 2) for k in at)
        assert read_series(folder / row["series_path"]).hu[near].mean() > -750, row["patient_id"]


def test_every_slice_is_a_valid_ct_image(folder):
    seen = set()
    for path in (folder / "ct").rglob("*.dcm"):
        image = pydicom.dcmread(path)
        assert image.SOPClassUID == CTImageStorage
        assert image.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
        assert image.file_meta.MediaStorageSOPInstanceUID == image.SOPInstanceUID
        for name in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "FrameOfReferenceUID"):
            assert image[name].value.is_valid and image[name].value.startswith("2.25.")
        for name in ("ImageType", "PixelSpacing", "ImagePositionPatient", "RescaleSlope", "Rows", "KVP", "Modality"):
            assert image[name].value not in (None, "")
        assert str(image.PatientName) == "MADE^UP"
        assert len(image.PixelData) == 2 * image.Rows * image.Columns
        seen.add(image.SOPInstanceUID)
    assert len(seen) == sum(1 for _ in (folder / "ct").rglob("*.dcm"))


def test_each_centre_has_its_own_habits(folder, trial):
    by_kernel = {}
    for i in range(N):
        by_kernel.setdefault(trial.scanner(i).kernel, headers(folder / trial.annotations["series_path"][i]))
    assert len({(h[0].PixelSpacing[0], h[0].SliceThickness, h[0].Manufacturer) for h in by_kernel.values()}) == 5
    for kernel, slices in by_kernel.items():
        numbers = [int(s.InstanceNumber) for s in slices]
        z = [float(s.ImagePositionPatient[2]) for s in sorted(slices, key=lambda s: int(s.InstanceNumber))]
        assert (numbers != sorted(numbers)) == (kernel == "B30f")
        assert (z[0] > z[-1]) == (kernel == "FC13") == (slices[0].PatientPosition == "FFS")
        assert (slices[0].PixelRepresentation == 0) == (kernel == "B") == (slices[0].RescaleIntercept == -1024)


def test_some_patients_have_a_localizer_beside_the_chest(folder, trial):
    has = [(folder / "ct" / p / "localizer").is_dir() for p in trial.clinical["patient_id"]]
    assert has == [bool(v) for v in trial.truth["localizer"]]
    assert any(has)
    first = trial.clinical["patient_id"][has.index(True)]
    assert sorted(find_series(folder / "ct" / first)["n_instances"])[0] == 1


def test_the_study_loads_and_is_marked_made_up(folder, trial):
    study = load_study(folder)
    assert study.study.made_up and study.study.seed == SEED
    cohort = load_cohort(study)
    assert list(cohort.patients["patient_id"]) == list(trial.clinical["patient_id"])
    assert study.columns["lvi"].timing == "post_treatment"


def test_any_number_of_workers_writes_the_same_bytes(folder, tmp_path):
    again = write_trial(tmp_path / "again", n_patients=N, n_centres=5, seed=SEED, n_workers=3)
    assert digests(again) == digests(folder)


def test_a_killed_command_leaves_nothing_half_written_and_goes_on_when_started_again(folder, tmp_path, monkeypatch):
    from onlm_lab.virtual import dicom

    class Killed(BaseException):
        pass

    whole, calls = dicom.write_scan, []

    def killed_in_the_third(trial, index, where):
        calls.append(index)
        whole(trial, index, where)
        if len(calls) == 3:
            raise Killed

    monkeypatch.setattr(dicom, "write_scan", killed_in_the_third)
    request = dict(n_patients=N, n_centres=5, seed=SEED, n_workers=1)
    with pytest.raises(Killed):
        write_trial(tmp_path / "t", **request)
    assert not (tmp_path / "t" / "study.toml").exists()
    done = [p for p in (tmp_path / "t" / "ct").iterdir() if not p.name.startswith(".")]
    assert 2 <= len(done) < N
    before = {p.name: p.stat().st_mtime_ns for p in done}
    monkeypatch.setattr(dicom, "write_scan", whole)
    write_trial(tmp_path / "t", **request)
    assert digests(tmp_path / "t") == digests(folder)
    assert all((tmp_path / "t" / "ct" / name).stat().st_mtime_ns == then for name, then in before.items())


def test_a_finished_trial_is_left_alone(folder):
    before = {p: p.stat().st_mtime_ns for p in folder.rglob("*")}
    assert write_trial(folder, n_patients=N, n_centres=5, seed=SEED) == folder
    assert {p: p.stat().st_mtime_ns for p in folder.rglob("*")} == before


def test_another_trial_is_not_written_over_the_first(folder):
    with pytest.raises(StudyError, match=r"'trial' holds another made-up trial: seed 7 \(asked: 8\)\. Name a new"):
        write_trial(folder, n_patients=N, n_centres=5, seed=8)


def test_a_folder_with_something_else_in_it_is_refused(tmp_path):
    (tmp_path / "thesis.doc").write_text("mine")
    with pytest.raises(StudyError, match=r"is not empty \(1 entries, such as 'thesis.doc'\) and is no made-up trial"):
        write_trial(tmp_path, n_patients=5)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.doc"]


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "x").write_text("")
    with pytest.raises(StudyError, match="'x' is a file; wanted a folder"):
        write_trial(tmp_path / "x", n_patients=5)


def test_tables_alone_can_be_had(tmp_path):
    folder = write_trial(tmp_path / "t", n_patients=40, n_centres=3, seed=1, tables_only=True)
    assert sorted(p.name for p in folder.iterdir()) == [
        "clinical.csv", "followup.csv", "study.toml", "truth.csv", "virtual.json",
    ]  # fmt: skip
    assert load_study(folder).data.ct == ""
    assert load_cohort(load_study(folder)).patients["centre"].nunique() == 3
