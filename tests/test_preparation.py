"""The cache is the same however the work was done: at once, killed and taken up again, or on a cluster."""

from __future__ import annotations

import json
import math
import os
import re
import signal
import subprocess
import sys
import time

import made_ct
import numpy as np
import pandas as pd
import pytest
from made_balls import (
    CENTRE,
    FEW,
    MANY,
    annotations,
    bytes_of,
    contour_of,
    copy,
    make_study,
    prepare,
    scan_of,
    write_contour,
)

from onlm_lab import cores, patches, preparation
from onlm_lab.contact_sheet import write_contact_sheet
from onlm_lab.errors import OnlmError
from onlm_lab.imaging.privacy import digest_text
from onlm_lab.schema import write_table
from onlm_lab.study import load_study, starter_toml


def spoil(paths):
    """Other bytes, of the same length and time of change: whoever opens one of them again will notice."""
    for path in paths:
        state = path.stat()
        path.write_bytes(b"x" * state.st_size)
        os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))


def test_each_patient_has_a_patch_its_mask_its_facts_and_a_picture(few):
    folder, prepared = few
    assert prepared["usable"].tolist() == [1] * FEW and prepared["reason"].isna().all()
    cache = patches.open_cache(preparation.cache_folder(load_study(folder)))
    for k, patient in enumerate(cache.patient_ids):
        radius = 5 + k % 4
        mask, patch = cache.load_mask(patient), cache.load(patient)
        assert mask.sum() * 1.5**3 == pytest.approx(4 / 3 * np.pi * radius**3, rel=0.15)
        assert patch[mask].mean() > -250 > -700 > patch[~mask].mean()
        assert cache.sheet(patient).read_bytes().startswith(b"\x89PNG")
    assert prepared["ct_volume_ml"].tolist() == pytest.approx(
        [4 / 3 * np.pi * (5 + k % 4) ** 3 / 1000 for k in range(FEW)], rel=0.12
    )
    assert (prepared["n_slices"] == 16).all() and (prepared["n_filled"] == 0).all()


def sheet_of(folder, prepared, doubts=()):
    study = load_study(folder)
    cache = patches.open_cache(preparation.cache_folder(study))
    listed = pd.DataFrame(doubts, columns=["patient_id", "what", "recorded", "derived", "matters"])
    return write_contact_sheet(study, prepared=prepared, cache=cache, disagreements=listed).read_text(encoding="utf-8")


def test_the_sheet_shows_every_patient_the_doubtful_first_and_why(few):
    folder, prepared = few
    told = prepared.assign(score=[0.5, 0.9, 0.8, 1.0, 1.0, 1.0], reasons=["Noise <b>.", *[None] * 5])
    told["ct_notes"] = [None, None, None, "The mask has 2 parts.", "", None]
    doubts = [
        ("P005", "side of the tumour", "RUL", "left lung", True), ("P004", "solid diameter", "8 mm", "15.0 mm", False),
    ]  # fmt: skip
    page = sheet_of(folder, told, doubts)
    assert page.count("<img") == FEW and "6 patients" in page
    for source in page.split('src="')[1:]:
        assert (folder / "work" / source.split('"')[0]).is_file()
    order = re.findall(r"<h2>(P\d+)", page)
    assert order == ["P005", "P003", "P000", "P002", "P001", "P004"]  # decides, mask, then quality
    assert "side of the tumour: RUL recorded, left lung on CT (may decide who is in)." in page
    assert "solid diameter: 8 mm recorded, 15.0 mm on CT." in page
    assert "The mask has 2 parts." in page and "Noise &lt;b&gt;." in page and "nan" not in page.lower()
    assert "days before treatment" in page.split("Not checked")[1]
    lost = sheet_of(folder, told.assign(usable=[0, *[1] * 5], reason=["no annotation", *[None] * 5], detail=None))
    assert "P000: not usable" in lost and "no annotation" in lost and "1 without a usable CT" in lost


def test_the_table_of_series_says_whose_each_is_and_why(few):
    folder, _ = few
    series = pd.read_csv(folder / "work" / "series.csv")
    assert series["patient_id"].tolist() == [f"P{k:03d}" for k in range(FEW)] and (series["chosen"] == 1).all()
    assert set(series["reason"]) == {"chosen: named in annotations.csv"}
    assert "patient_digest" not in series


def test_nothing_is_opened_again_that_has_not_changed(few, tmp_path):
    folder, first = few
    again = copy(folder, tmp_path / "again", keep_work=True)
    spoil([path for path in (again / "ct").rglob("*") if path.is_file()])
    before = bytes_of(again)
    pd.testing.assert_frame_equal(prepare(again), first)
    assert bytes_of(again) == before


def test_a_corrected_contour_cuts_its_own_row_again_and_no_other(few, tmp_path):
    folder, first = few
    again = copy(folder, tmp_path / "again", keep_work=True)
    spoil([path for path in (again / "ct").rglob("*") if path.is_file() and "P002" not in path.parts])
    write_contour(again, 2, 4.0)
    before = bytes_of(again)
    prepared = prepare(again).set_index("patient_id")
    after = bytes_of(again)
    changed = {name for name in before.keys() ^ after.keys()} | {
        name for name in before.keys() & after.keys() if before[name] != after[name]
    }
    assert changed and all("P002" in name for name in changed) and len(after) == len(before)
    assert prepared.loc["P002", "ct_volume_ml"] < first.set_index("patient_id").loc["P002", "ct_volume_ml"]


@pytest.mark.parametrize(
    "settings", [{"solid_cut_hu": -160.0}, {"faults": {"gantry_tilt": "refuse"}}, {"quality": {"max_noise_hu": 7.0}}]
)
def test_another_setting_cuts_again_and_another_window_does_not(few, tmp_path, settings):
    folder, _ = few
    again = copy(folder, tmp_path / "again", keep_work=True)
    rows = {path.name: json.loads(path.read_text())["key"] for path in again.rglob("rows/*.json")}
    text = starter_toml(
        name="balls",
        sections={
            "patch": {"size_mm": 24.0, "spacing_mm": 1.5}, "imaging": {"min_coverage_mm": 10.0},
            "model": {"window_low_hu": -1000.0, "neighbours": 2},
        },
    )  # fmt: skip
    (again / "study.toml").write_text(text)
    prepare(again)
    assert {path.name: json.loads(path.read_text())["key"] for path in again.rglob("rows/*.json")} == rows
    (again / "study.toml").write_text(
        starter_toml(
            name="balls",
            sections={"patch": {"size_mm": 24.0, "spacing_mm": 1.5}, "imaging": {"min_coverage_mm": 10.0, **settings}},
        )
    )
    prepare(again)
    now = {path.name: json.loads(path.read_text())["key"] for path in again.rglob("rows/*.json")}
    assert not set(now.values()) & set(rows.values())


PREPARE = """
import sys
from pathlib import Path
import pandas as pd
from onlm_lab import preparation
from onlm_lab.study import load_study
if __name__ == "__main__":
    study = load_study(sys.argv[1])
    table = pd.read_csv(study.path("annotations.csv"), dtype={"patient_id": str})
    preparation.prepare_images(study, patient_ids=table["patient_id"], annotations=table)
"""


def start(folder):
    return subprocess.Popen(
        [sys.executable, "-c", PREPARE, str(folder)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip


def rows_of(folder):
    cache = preparation.cache_folder(load_study(folder))
    return sorted((cache / "rows").glob("*.json"))


@pytest.mark.waits
def test_killed_in_the_middle_of_two_hundred_series_and_started_again_it_leaves_the_same_cache(tmp_path):
    whole = make_study(tmp_path / "whole", MANY, masks=False)
    killed = copy(whole, tmp_path / "killed")
    run = start(killed)
    until = time.monotonic() + 400
    while len(rows_of(killed)) < MANY // 3 and run.poll() is None and time.monotonic() < until:
        time.sleep(0.01)
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()
    finished = {json.loads(path.read_text())["patient_id"] for path in rows_of(killed)}
    assert MANY // 3 <= len(finished) < MANY
    spoil([path for patient in finished for path in (killed / "ct" / patient).iterdir()])
    assert start(killed).wait() == 0  # finished series are not read again: they would no longer be CT
    assert start(whole).wait() == 0
    left = {name: digest for name, digest in bytes_of(killed).items() if not name.endswith(".tmp")}
    assert left == bytes_of(whole) and len(rows_of(killed)) == MANY


def test_one_process_gives_the_same_cache_as_many(few, tmp_path, monkeypatch):
    folder, first = few
    again = copy(folder, tmp_path / "again")
    begun = []
    pool = cores.ProcessPoolExecutor
    monkeypatch.setattr(cores, "ProcessPoolExecutor", lambda n, **k: begun.append(n) or pool(n, **k))
    pd.testing.assert_frame_equal(prepare(again, workers=1), first)
    assert begun == [1] and bytes_of(again) == bytes_of(folder)


def test_a_dask_cluster_gives_the_same_cache_bit_for_bit(few, tmp_path, scheduler):
    folder, first = few
    again = copy(folder, tmp_path / "again")
    pd.testing.assert_frame_equal(prepare(again, address=scheduler), first)
    assert bytes_of(again) == bytes_of(folder)


def test_a_patient_who_fails_on_the_cluster_has_the_same_reason_as_here(few, tmp_path, scheduler):
    folder, _ = few
    here, there = copy(folder, tmp_path / "here"), copy(folder, tmp_path / "there")
    for one in (here, there):
        (one / "ct" / "P001" / "007").unlink()
    local, far = prepare(here), prepare(there, address=scheduler)
    pd.testing.assert_frame_equal(local, far)
    assert "1 of 16 slices are missing" in far.set_index("patient_id").loc["P001", "detail"]
    assert far["usable"].sum() == FEW - 1


@pytest.mark.waits
def test_a_cluster_that_does_not_answer_is_a_sentence(few, tmp_path, monkeypatch):
    from onlm_lab import cluster

    pytest.importorskip("distributed", reason='no dask: pip install "onlm_lab[cluster]"')
    monkeypatch.setattr(cluster, "CONNECT_S", 1)
    again = copy(few[0], tmp_path / "again")
    with pytest.raises(OnlmError, match=r"No Dask scheduler answers at 'tcp://127\.0\.0\.1:9'"):
        prepare(again, address="tcp://127.0.0.1:9")
    with pytest.raises(OnlmError, match=r"No Dask scheduler answers at 'nonsense'"):
        prepare(again, address="nonsense")


def make_named(folder, *, dates, mapping="", planted="Zhuravlyova^Anna"):
    """A study whose annotations name no series: each patient has several, from several days."""
    from pydicom.uid import generate_uid

    for k, patient in enumerate(("A1", "B2")):
        for name, day, thick in (("early", "20200110", 1), ("near", "20200301", 1), ("late", "20200601", 1)):
            made = made_ct.slices(scan_of(k).but(series=f"{patient} {name}"))
            for data in made:
                data.PatientID, data.PatientName, data.StudyDate = patient, planted, day
                data.StudyInstanceUID = generate_uid(entropy_srcs=[patient, day])
                data.SliceThickness = 2.0 * thick
            made_ct.write(folder / "ct" / patient / name, made)
    rows = [{"patient_id": p, **dict(zip(("tumour_x_mm", "tumour_y_mm", "tumour_z_mm"), CENTRE, strict=True))}
            for p in ("A1", "B2")]  # fmt: skip
    write_table(pd.DataFrame(rows), folder / "annotations.csv")
    (folder / "clinical.csv").write_text("patient_id,centre,op\n" + "".join(f"{p},N,{d}\n" for p, d in dates.items()))
    toml = starter_toml(
        name="named", sections={
            "patch": {"size_mm": 24.0, "spacing_mm": 1.5}, "imaging": {"min_coverage_mm": 10.0},
            "data": {"followup": ""},
        },
    )  # fmt: skip
    (folder / "study.toml").write_text(toml + mapping)
    return folder


def place(path):
    """A path as the table of series has it: a folder that bears PatientID is a digest."""
    patient, rest = path.split("/")
    return f"{digest_text(patient)}/{rest}"


MAPPING = """
[mapping]
ignore = ["ct"]
[mapping.dates.treatment_year]
end = "op"
unit = "calendar_year"
[mapping.dates.ct_to_treatment_days]
start = "ct"
end = "op"
"""


def test_the_series_closest_before_the_day_of_treatment_is_taken_and_the_days_are_kept(tmp_path):
    folder = make_named(tmp_path, dates={"A1": "2020-03-11", "B2": "2020-05-31"}, mapping=MAPPING)
    prepared = prepare(folder).set_index("patient_id")
    assert prepared["usable"].tolist() == [1, 1]
    assert prepared["days_before_treatment"].tolist() == [10.0, 91.0]
    series = pd.read_csv(folder / "work" / "series.csv").set_index("path")
    assert series.loc[place("A1/near"), "reason"].startswith("chosen: made 10 days before treatment, the closest")
    assert series.loc[place("A1/late"), "reason"] == "left out: made 82 days after treatment began"
    assert series.loc[place("B2/early"), "reason"] == "not chosen: made 142 days before treatment, another one 91"
    text = (folder / "work" / "series.csv").read_text().lower()
    for secret in ("20200110", "2020-01-10", "20200301", "2020-03-11", "zhuravlyova"):
        assert secret not in text


def test_without_the_day_of_treatment_nothing_is_chosen_from_several_days(tmp_path):
    folder = make_named(tmp_path, dates={"A1": "x", "B2": "x"})
    prepared = prepare(folder)
    assert prepared["usable"].tolist() == [0, 0]
    assert prepared["reason"].unique().tolist() == [
        "no series of the patient can be chosen by rule; series.csv says why"
    ]
    series = pd.read_csv(folder / "work" / "series.csv")
    assert series["reason"].str.contains("of 3 different days, and the day of treatment is not known").all()


def test_a_mask_says_which_series_it_was_drawn_on(tmp_path):
    import pydicom

    folder = make_named(tmp_path, dates={"A1": "x", "B2": "x"})
    data = made_ct.rtstruct({"GTV": contour_of(0, 5.0)}, frame="1.2.3.1")
    frame, study, series = pydicom.Dataset(), pydicom.Dataset(), pydicom.Dataset()
    series.SeriesInstanceUID = made_ct.slices(scan_of(0).but(series="A1 early"))[0].SeriesInstanceUID
    study.RTReferencedSeriesSequence, frame.RTReferencedStudySequence = [series], [study]
    data.ReferencedFrameOfReferenceSequence = [frame]
    made_ct.write(folder / "masks", [data], ["A1.dcm"])
    write_table(
        pd.DataFrame([{"patient_id": "A1", "mask_path": "masks/A1.dcm"}]), folder / "annotations.csv"
    )  # fmt: skip
    assert prepare(folder)["usable"].tolist() == [1]
    series = pd.read_csv(folder / "work" / "series.csv").set_index("path")
    assert series.loc[place("A1/early"), "reason"] == "chosen: the mask was drawn on it"
    assert (series["chosen"] == 1).sum() == 1


def test_one_series_is_never_two_patients(tmp_path):
    folder = make_study(tmp_path, 2, masks=False)
    table = annotations(folder)
    table["series_path"] = "ct/P000"
    prepared = preparation.prepare_images(load_study(folder), patient_ids=["P000", "P001"], annotations=table)
    assert prepared["usable"].tolist() == [0, 0] and "another patient's too" in prepared["reason"].iloc[0]


def test_a_ct_in_one_file_is_prepared_like_any_other(tmp_path):
    import SimpleITK as sitk

    folder = make_study(tmp_path, 1)
    scan = scan_of(0)
    image = sitk.GetImageFromArray(scan.hu().astype(np.int16))
    image.SetSpacing(scan.spacing_mm[::-1])
    image.SetOrigin(scan.origin_mm)
    sitk.WriteImage(image, str(folder / "chest.nrrd"))
    slices = prepare(folder)
    table = annotations(folder)
    table["series_path"] = "chest.nrrd"
    write_table(table, folder / "annotations.csv")
    single = prepare(folder)
    same = [name for name in slices if name.startswith("ct_") or name in ("spacing_mm", "noise_hu", "n_slices")]
    pd.testing.assert_frame_equal(single[same], slices[same])


def test_a_centre_and_a_mask_of_two_lesions_are_refused(tmp_path):
    folder = make_study(tmp_path, 3)
    table = annotations(folder)
    for k, x in enumerate((3.0, -12.0, 12.0)):  # the masks lie round (0, 0, 1), with radii of 5, 6 and 7 mm
        table.loc[k, ["tumour_x_mm", "tumour_y_mm", "tumour_z_mm"]] = [x, 0.0, 1.0]
    table.loc[0, ["tumour_x_mm", "tumour_y_mm"]] = [12.0, 10.0]
    write_table(table, folder / "annotations.csv")
    prepared = prepare(folder)
    assert prepared["usable"].tolist() == [0, 1, 1]
    assert (
        "The annotated centre lies 11 mm from the annotated mask: one of them is of another lesion"
        in (prepared["detail"][0])
    )


def test_what_is_odd_about_a_mask_is_noted_beside_the_facts(tmp_path):
    folder = make_study(tmp_path, 1)
    rings = [contour for contour in contour_of(0, 8) if abs(contour[0][2] - 1) > 0.5]  # without the middle slice
    made_ct.write(folder / "masks", [made_ct.rtstruct({"GTV": rings}, frame="1.2.3.1")], ["P000.dcm"])
    prepared = prepare(folder)
    assert re.match("Nothing is drawn on 1 slice between drawn ones .* The mask has 2 parts", prepared["ct_notes"][0])
    assert prepared["ct_n_parts"].tolist() == [2]


def test_what_is_wrong_with_an_annotation_is_the_patients_reason(tmp_path):
    folder = make_study(tmp_path, 4)
    table = annotations(folder)
    table.loc[0, "series_path"] = "ct/nowhere"
    table.loc[1, "mask_path"] = "masks/nowhere.dcm"
    table.loc[2, "mask_path"] = math.nan  # as pandas reads an empty cell
    prepared = preparation.prepare_images(
        load_study(folder), patient_ids=[*table["patient_id"], "P999"], annotations=table
    ).set_index("patient_id")  # fmt: skip
    assert prepared["usable"].to_dict() == {"P000": 0, "P001": 0, "P002": 0, "P003": 1, "P999": 0}
    assert prepared["reason"].dropna().to_dict() == {
        "P000": "the annotated series_path does not exist", "P001": "the annotated mask does not exist",
        "P002": "the annotation has neither a centre nor a mask", "P999": "no annotation",
    }  # fmt: skip
