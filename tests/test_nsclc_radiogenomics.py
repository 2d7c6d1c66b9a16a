"""The real table with all its disorder; counts as published, nothing repaired in silence."""

from __future__ import annotations

import re

import pandas as pd
import pytest

from onlm_lab.cohort import load_cohort, nsclc_radiogenomics, refuse_post_treatment, screen
from onlm_lab.errors import DataError, OnlmError
from onlm_lab.study import load_study


@pytest.fixture(scope="module")
def folder(shared_data):
    return shared_data("nsclc_radiogenomics")


@pytest.fixture(scope="module")
def table(folder):
    return nsclc_radiogenomics.read(folder)


@pytest.fixture(scope="module")
def surrogate(table):
    return nsclc_radiogenomics.surrogate_cohort(table)


def test_all_patients_are_read_and_pathological_n_is_counted(table):
    counts = table.cohort.patients["pathological_n"].value_counts().to_dict()
    assert len(table.cohort) == 211 and counts == {"N0": 129, "N1": 15, "N2": 18}


def test_recurrences_deaths_and_sites_are_those_of_the_table(table):
    rows = table.cohort.patients
    # One of the 54 recurrences and one of the 63 deaths lie before surgery and are left out, each noted.
    assert (rows["recurred"] == 1).sum() == 53 and (rows["died"] == 1).sum() == 62
    sites = rows["recurrence_site"].value_counts()
    assert sites.to_dict() == {"distant": 37, "regional": 10, "local": 6}  # a local one is the recurrence left out


def test_the_surrogate_cohort_has_the_published_counts(table, surrogate):
    rows = surrogate.patients
    assert surrogate.surrogate and len(rows) == 116 and rows["onlm"].notna().all()
    assert (rows["onlm"] == 1).sum() == 23
    assert rows.groupby("onlm")["recurred"].agg(["sum", "count"]).to_numpy().tolist() == [[17, 93], [9, 23]]
    flow = nsclc_radiogenomics.surrogate_flow(table)
    every = flow[flow["centre"] == "all"]
    assert every[["n_n0", "n_n1", "n_n2"]].iloc[0].tolist() == [129, 15, 18]
    assert every[["n_n0", "n_n1", "n_n2"]].iloc[-1].tolist() == [93, 12, 11] and every["n_n0"].iloc[-1] == 116 - 23
    assert every["n_in"].tolist() == [211, 162, 118] and every["n_left"].tolist() == [162, 118, 116]
    assert flow[flow["centre"] != "all"].groupby("rule", sort=False)["n_left"].sum().tolist() == [162, 118, 116]


def test_time_zero_is_surgery(table):
    rows = table.cohort.patients.set_index("patient_id")
    # The CT 9 days before surgery, death 872 days after it: the table's own number.
    assert rows.loc["AMC-001", ["ct_to_treatment_days", "os_days", "os_event"]].tolist() == [9, 872, 1]


def test_what_contradicts_itself_is_listed_with_what_was_done(table):
    found = table.inconsistent
    counts = found["what"].value_counts().to_dict()
    assert counts["time to death is the day last known alive, not the day of death"] == 15
    assert found.loc[found["what"] == "recurrence before surgery", "patient_id"].tolist() == ["AMC-044"]
    assert found.loc[found["what"] == "death or last contact before surgery", "patient_id"].tolist() == ["R01-106"]
    assert counts["CT more than 90 days before surgery"] == 21
    assert counts["weight below 60 lb"] == 1 and counts["recurrence after the day last known alive"] == 1
    rows = table.cohort.patients.set_index("patient_id")
    assert rows.loc["AMC-044", ["recurred", "recurrence_state"]].isna().all()
    assert rows.loc["R01-106", ["os_days", "os_event"]].isna().all()
    assert rows["ct_to_treatment_days"].max() == 735


def test_what_could_not_be_mapped_is_counted(table):
    found = table.unmapped
    assert list(found.columns) == ["column", "value", "count", "why"]

    def count(column, value):
        return found.loc[(found["column"] == column) & (found["value"] == value), "count"].item()

    assert count("Pathological N stage", "Not Collected") == 49
    assert count("%GG", "Not Assessed") == 65
    assert count("EGFR mutation status", "Unknown") == 34
    assert count("Pack Years", "N/A") == 48
    assert count("Tumor Location (choice=L Lingula)", "Checked") == 5


def test_no_report_shows_a_date(table, folder, tmp_path):
    written = nsclc_radiogenomics.write_study(folder, tmp_path / "study")
    for path in written.iterdir():
        assert not re.search(r"\d{1,2}/\d{1,2}/\d{4}|\d{4}-\d{2}-\d{2}", path.read_text(encoding="utf-8")), path.name


def test_a_word_that_nobody_expected_is_reported_and_not_guessed(folder, tmp_path):
    (path,) = folder.glob("*.csv")
    text = path.read_text(encoding="utf-8-sig")
    (tmp_path / "t.csv").write_text(text.replace(",Male,", ",M,", 1), encoding="utf-8")
    found = nsclc_radiogenomics.read(tmp_path / "t.csv")
    assert (
        found.unmapped.query("column == 'Gender' and value == 'M'")["why"].item() == "no such word in sex: left empty"
    )
    assert found.cohort.patients["sex"].isna().sum() == 1


def test_a_broken_table_says_what_is_wrong_without_showing_dates(folder, tmp_path):
    (path,) = folder.glob("*.csv")
    text = path.read_text(encoding="utf-8-sig")
    with pytest.raises(DataError, match=r"t.csv: there is no such file"):
        nsclc_radiogenomics.read(tmp_path / "t.csv")
    (tmp_path / "t.csv").write_text(text.replace("8/10/1994", "1994/8/10", 1), encoding="utf-8")
    with pytest.raises(DataError, match=r"CT Date must be a date m/d/yyyy; 1 cells are not \(AMC-001\)"):
        nsclc_radiogenomics.read(tmp_path / "t.csv")
    (tmp_path / "t.csv").write_text(text.replace("Gender", "Sex", 1), encoding="utf-8")
    with pytest.raises(DataError, match=r"1 columns of NSCLC Radiogenomics are missing \(Gender\)"):
        nsclc_radiogenomics.read(tmp_path / "t.csv")


def test_the_written_study_reads_back_as_the_same_cohort(folder, surrogate, tmp_path):
    written = nsclc_radiogenomics.write_study(folder, tmp_path / "study")
    study, cohort = load_study(written), load_cohort(written)
    assert cohort.sha256 == surrogate.sha256 and cohort.surrogate and not cohort.made_up
    assert (screen(cohort, study.protocol).status["status"] == "eligible").all()
    assert (cohort.patients["arm"] == "surgery").all() and "CC BY 3.0" in study.study.licence
    again = nsclc_radiogenomics.write_study(folder, tmp_path / "again")
    assert all((again / p.name).read_bytes() == p.read_bytes() for p in written.iterdir())


def test_pathology_of_this_table_is_refused_and_its_histology_only_passes_as_surrogate(folder, surrogate, tmp_path):
    study = load_study(nsclc_radiogenomics.write_study(folder, tmp_path / "study"))
    for name in ("pathological_t", "grade", "lvi", "pleural_invasion", "egfr_mutated", "chemotherapy"):
        with pytest.raises(OnlmError, match=name):
            refuse_post_treatment([name], extra_columns=study.columns)
    rows: pd.DataFrame = surrogate.patients
    with pytest.raises(OnlmError, match="'histology' comes from no biopsy in 116 of 116 patients"):
        refuse_post_treatment(study.training.predictors, extra_columns=study.columns, patients=rows)
    refuse_post_treatment(study.training.predictors, extra_columns=study.columns, patients=rows, surrogate=True)
