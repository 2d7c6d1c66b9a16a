"""`onlm summary` and `onlm compare`: a study at a glance, and what changed in it, on a made-up trial."""

from __future__ import annotations

import shutil

import openpyxl
import pandas as pd
import pytest

from onlm_lab import analysis, cohort, summarising, virtual
from onlm_lab.cli import main
from onlm_lab.cohort import locked
from onlm_lab.cohort.parameters import candidate_parameters
from onlm_lab.errors import OnlmError
from onlm_lab.study import load_study


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("summary") / "study"
    virtual.write_trial(folder, n_patients=300, n_centres=4, seed=5, tables_only=True)
    return folder


@pytest.fixture(scope="module")
def summary(study):
    return summarising.summarise(study, c_statistic=0.75, tests=True)


def test_a_summary_holds_every_part_and_counts_the_eligible(study, summary):
    assert list(summary.tables) == [
        "Flow", "Table 1, by onlm", "Missing, by centre", "Missing together", "Accrual", "Follow-up, by arm",
        "Follow-up, by centre", "Reference standard", "No label, and why", "Endpoints", "Predictor parameters",
        "Sample size of development", "Sample size of testing",
    ]  # fmt: skip
    data = cohort.load_cohort(study)
    status = cohort.screen(data).status
    n = int((status["status"] == "eligible").sum())
    assert 0 < n < 300 and int(summary.table("Flow")["n_left"].iloc[-1]) == n
    one = summary.table("Table 1, by onlm")
    assert one["overall"].iloc[0] == str(n) and "p_value" in one
    everyone = summarising.summarise(study, everyone=True, by="centre").table("Table 1, by centre")
    assert everyone["overall"].iloc[0] == "300" and {"C1", "C4"} <= set(everyone)
    assert int(summary.table("Accrual")["n"].iloc[0]) == n
    labels = summary.table("No label, and why")["n"].sum() + summary.table("Reference standard")["n_labelled"].sum()
    assert labels == n


def test_the_sample_size_is_that_of_the_labelled_patients_and_their_parameters(study, summary):
    data = cohort.load_cohort(study)
    eligible = data.patients[(cohort.screen(data).status["status"] == "eligible").to_numpy()]
    labelled = eligible[eligible["onlm"].notna()]
    counted = candidate_parameters(labelled, predictors=load_study(study).training.predictors)
    wanted = analysis.sample_size_binary(
        n_parameters=int(counted["n_parameters"].sum()), prevalence=float(labelled["onlm"].mean()), c_statistic=0.75
    )
    shown = summary.table("Sample size of development")
    assert shown["n"].max() == wanted.n_required
    assert (
        f"{len(labelled)} labelled patients of development, {int(labelled['onlm'].sum())} N+" in shown.attrs["notes"][0]
    )


def test_without_a_named_performance_no_size_is_told(study):
    found = summarising.summarise(study).table("Sample size of development")
    assert len(found) == 0 and "name it with --c-statistic" in found.attrs["notes"][-1]


def test_parameters_are_counted_as_they_are_said_to_be():
    rows = pd.DataFrame({"age_years": [50.0, 60, 70, 80], "sex": ["male", "female", None, "male"],
                         "smoking": ["never", "former", "current", "never"], "pet_ct_done": [1, 0, 1, None],
                         "kps": [90.0] * 4, "cea_ng_ml": [None] * 4})  # fmt: skip
    counted = candidate_parameters(rows, predictors=list(rows)).set_index("predictor")["n_parameters"]
    assert counted.to_dict() == {"age_years": 1, "sex": 2, "smoking": 2, "pet_ct_done": 2, "kps": 0, "cea_ng_ml": 0}
    with pytest.raises(OnlmError, match="no column 'age'; did you mean 'age_years'"):
        candidate_parameters(rows, predictors=["age"])


def test_locked_patients_show_nothing_that_became_known_after_treatment(study, tmp_path):
    copy = shutil.copytree(study, tmp_path / "locked")
    said = (copy / "study.toml").read_text(encoding="utf-8")
    (copy / "study.toml").write_text(said + "\n[split]\nlocked_fraction = 0.3\n", encoding="utf-8")
    found, before = summarising.summarise(copy, by="part", c_statistic=0.75), summarising.summarise(study)
    one = found.table("Table 1, by part").set_index("variable")
    assert {"development", "locked"} <= set(one.columns) and int(one.loc["patients", "locked"]) > 10
    assert one.loc["age_years", "locked"] != "-" and one.loc["nodes_examined", "locked"] == "-"
    assert any("are locked for testing" in note for note in one.attrs["notes"])
    endpoints = [s.table("Endpoints").set_index("endpoint").loc["os", "n_events"] for s in (found, before)]
    assert endpoints[0] < endpoints[1]
    testing = found.table("Sample size of testing").attrs["notes"]
    assert testing[1].startswith("Locked testing has ") and "not enough" in testing[1]


def test_who_was_drawn_by_an_earlier_run_is_who_is_closed(study, tmp_path):
    copy = shutil.copytree(study, tmp_path / "drawn")
    said = (copy / "study.toml").read_text(encoding="utf-8")
    (copy / "study.toml").write_text(said + "\n[split]\nlocked_fraction = 0.3\n", encoding="utf-8")
    labelled = cohort.load_cohort(study).patients.dropna(subset="onlm")
    shut = labelled["patient_id"].tolist()[:40]
    passed = labelled["patient_id"].tolist()[40:]
    locked.write_draw(copy / locked.DRAW, locked.Draw(0.3, 5, tuple(shut), tuple(passed)))
    one = summarising.summarise(copy, by="part", everyone=True).table("Table 1, by part").set_index("variable")
    assert int(one.loc["patients", "locked"]) == 40
    assert one.attrs["notes"][1].startswith("40 patients of the files are locked")


def test_the_command_prints_and_writes(study, tmp_path, capsys):
    assert main(["summary", str(study), "--by", "arm", "--columns", "age_years", "sex", "--tests"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("MADE-UP DATA") and "Table 1, by arm" in said and "P values of a baseline table" in said
    book = tmp_path / "s.xlsx"
    assert main(["summary", str(study), "--c-statistic", "0.8", "--out", str(book)]) == 0
    names = openpyxl.load_workbook(book).sheetnames
    assert "Table 1, numbers" in names and "Sample size of development" in names
    assert main(["summary", str(study), "--out", str(tmp_path / "s.pdf")]) == 2
    assert "wanted .csv, .html or .xlsx" in capsys.readouterr().err
    assert main(["summary", str(study), "--by", "center"]) == 2
    assert "did you mean 'centre'" in capsys.readouterr().err


def test_compare_tells_what_changed_between_two_studies(study, tmp_path, capsys):
    copy = shutil.copytree(study, tmp_path / "new")
    table = pd.read_csv(copy / "clinical.csv", dtype=str, keep_default_na=False)
    eligible = cohort.screen(cohort.load_cohort(study)).status.query("status == 'eligible'")["patient_id"].iloc[0]
    table.loc[table["patient_id"] == eligible, "age_years"] = "17"
    table = table[table["patient_id"] != table["patient_id"].iloc[-1]]
    table.to_csv(copy / "clinical.csv", index=False)
    follow = pd.read_csv(copy / "followup.csv", dtype=str, keep_default_na=False)
    follow[follow["patient_id"].isin(table["patient_id"])].to_csv(copy / "followup.csv", index=False)
    out = tmp_path / "changes.csv"
    assert main(["compare", str(study), str(copy), "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "300 patients became 299; 1 removed; 1 cell of 1 patient changed; 1 eligibility decision changed." in said
    changes = pd.read_csv(out, encoding="utf-8-sig", skiprows=1, keep_default_na=False)
    cell = changes[changes["change"] == "cell"].iloc[0]
    assert (cell["patient_id"], cell["column"], cell["after"]) == (eligible, "age_years", "17")
    assert main(["compare", str(study), str(study)]) == 0
    assert capsys.readouterr().out.strip() == "MADE-UP DATA\n\nNothing changed in 300 patients."


def test_external_centres_are_held_against_the_size_that_a_test_needs(study, tmp_path):
    copy = shutil.copytree(study, tmp_path / "external")
    said = (copy / "study.toml").read_text(encoding="utf-8")
    (copy / "study.toml").write_text(said + '\n[split]\nexternal_centres = ["C2"]\n', encoding="utf-8")
    found = summarising.summarise(copy, by="part", c_statistic=0.75)
    one = found.table("Table 1, by part").set_index("variable")
    by_centre = found.table("Accrual").set_index("centre")["n"]
    assert int(one.loc["patients", "external"]) == by_centre["C2"]
    data = cohort.load_cohort(copy)
    inside = data.patients[(cohort.screen(data).status["status"] == "eligible").to_numpy()]
    kept, away = inside[inside["centre"] != "C2"], inside[inside["centre"] == "C2"]
    prevalence = float(kept["onlm"].mean())
    needed = analysis.sample_size_external(prevalence=prevalence, c_statistic=0.75).n_required
    table = found.table("Sample size of testing")
    assert table["n"].max() == needed
    known = int(away["onlm"].notna().sum())
    assert table.attrs["notes"][1] == (
        f"External testing has {known} labelled patients: not enough, {needed - known:,} more are needed."
    )


def test_a_column_that_nobody_has_is_named_and_not_counted_as_complete(study, tmp_path):
    copy = shutil.copytree(study, tmp_path / "empty")
    table = pd.read_csv(copy / "clinical.csv", dtype=str, keep_default_na=False).assign(suv_max="")
    table.to_csv(copy / "clinical.csv", index=False)
    found = summarising.summarise(copy).table("Missing, by centre")
    assert any("Nobody has:" in note and "SUVmax of the tumour on PET" in note for note in found.attrs["notes"])
    assert "suv_max" not in found["column"].tolist()
