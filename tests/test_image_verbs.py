"""`onlm series` and `onlm volume`, as a person types them."""

from __future__ import annotations

import made_ct
import numpy as np
import pandas as pd
import pytest
from made_ct import Scan

from onlm_lab.cli import main
from onlm_lab.schema import write_table
from onlm_lab.study import starter_toml

CHEST = Scan(shape=(8, 6, 7), spacing_mm=(2.0, 1.0, 1.0))


@pytest.fixture
def study(tmp_path):
    made_ct.write_scan(tmp_path / "ct" / "P1", CHEST)
    scout = made_ct.slices(Scan(shape=(1, 6, 7), series="scout"))
    scout[0].ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    for data in scout:
        data.PatientID = "P1"
    made_ct.write(tmp_path / "ct" / "P1", scout, ["scout"])
    row = {"patient_id": "P1", "series_path": "ct/P1", "tumour_x_mm": -6.0, "tumour_y_mm": -9.0, "tumour_z_mm": -92.0}
    write_table(pd.DataFrame([row]), tmp_path / "annotations.csv")
    write_table(pd.DataFrame({"patient_id": ["P1"], "centre": "N"}), tmp_path / "work" / "cohort.csv")
    (tmp_path / "study.toml").write_text(starter_toml(name="s", sections={"imaging": {"min_coverage_mm": 10.0}}))
    return tmp_path


def test_series_lists_what_is_there_and_what_would_be_chosen(study, capsys):
    assert main(["series", str(study / "ct"), "--why", "--out", str(study / "found.csv")]) == 0
    said = capsys.readouterr().out
    assert "2 series in 9 files." in said
    assert "left out: a localizer (scout, topogram)" in said
    found = pd.read_csv(study / "found.csv")
    assert sorted(found["kind"]) == ["axial", "localizer"] and "patient_digest" not in found


def test_series_takes_the_rule_of_a_study(study, capsys):
    for path in (study / "ct" / "P1").iterdir():
        if path.name != "scout":
            continue
        path.unlink()
    assert main(["series", str(study / "ct"), "--study", str(study), "--why"]) == 0
    assert "its files do not say whose it is" in capsys.readouterr().out


def test_volume_is_asked_for_in_the_studys_folder_or_by_name(study, capsys, monkeypatch):
    assert main(["volume", str(study), "P1"]) == 0
    first = capsys.readouterr().out.splitlines()
    hu = np.load(first[0], allow_pickle=False)
    assert hu.shape == (8, 6, 7) and first[1] == "int16 HU (z,y,x), 8 x 6 x 7 voxels of 2.00 x 1.00 x 1.00 mm"
    monkeypatch.chdir(study)
    assert main(["volume", "P1"]) == 0
    assert capsys.readouterr().out.splitlines()[1].endswith("; it was there already")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["volume", "STUDY", "P9"], "'P9' is not a patient of this study"),
        (["volume", "STUDY", "P1", "P2"], "Wanted a patient, or a study and a patient"),
        (["series", "STUDY/nowhere"], "'nowhere' does not exist"),
    ],
)
def test_a_wrong_word_is_a_sentence_and_code_two(study, capsys, words, said):
    assert main([word.replace("STUDY", str(study)) for word in words]) == 2
    assert said in capsys.readouterr().err


def test_a_wrong_fault_or_limit_in_the_study_is_told_with_the_nearest(study, capsys):
    (study / "study.toml").write_text(
        '[study]\nname = "s"\n[imaging.faults]\ngantry_tlt = "refuse"\nmissing_slices = "fill"\n'
    )
    assert main(["series", str(study / "ct"), "--study", str(study)]) == 2
    said = capsys.readouterr().err
    assert "[imaging.faults] gantry_tlt is not a fault; did you mean 'gantry_tilt'?" in said
    assert "missing_slices is 'fill'; wanted 'refuse' or 'interpolate' (slices within the series are missing)" in said
