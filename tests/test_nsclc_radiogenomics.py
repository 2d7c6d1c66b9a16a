"""The real table with all its disorder; counts as published, nothing repaired in silence."""

from __future__ import annotations

import re

import pandas as pd
import pytest
from made_radiogenomics import PATIENT, made_up

from onlm_lab.cohort import load_cohort, nsclc_radiogenomics, refuse_post_treatment, screen
from onlm_lab.errors import DataError, OnlmError, StudyError
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
    assert count("Tumor Location", "L Lingula") == 5


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
    with pytest.raises(DataError, match=r"CT Date must be a date m/d/yyyy; 1 of 211 cells is not \(AMC-001\)"):
        nsclc_radiogenomics.read(tmp_path / "t.csv")
    (tmp_path / "t.csv").write_text(text.replace("Gender", "Sex", 1), encoding="utf-8")
    with pytest.raises(DataError, match=r"t.csv: 1 column is missing \(Gender\)"):
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


def by_patient(found):
    said = found.inconsistent["what"] + ": " + found.inconsistent["done"]
    return said.groupby(found.inconsistent["patient_id"]).apply("; ".join).to_dict()


def test_all_forty_columns_are_used_or_have_a_reason(table, folder):
    (path,) = folder.glob("*.csv")
    header = path.read_text(encoding="utf-8-sig").splitlines()[0]
    assert len(PATIENT) == 40 and all(name.strip() in header for name in list(PATIENT)[1:])
    assert not table.unmapped["why"].str.contains("no column of ours|no such word").any()
    left = table.unmapped.query("column == 'Quit Smoking Year'")["why"].item()
    assert left == "calendar years, but dates in this table are shifted"
    assert table.cohort.patients["ethnicity"].value_counts().to_dict() == {
        "caucasian": 123, "asian": 24, "african_american": 6, "hispanic": 6, "pacific_islander": 3,
    }  # fmt: skip


@pytest.mark.parametrize(("newline", "encoding"), [("\n", "utf-8"), ("\r\n", "utf-8-sig")])
def test_order_of_columns_line_ends_and_a_byte_order_mark_do_not_matter(tmp_path, newline, encoding):
    plain = nsclc_radiogenomics.read(made_up(tmp_path / "a.csv", {}, {"Gender": "Female"}))
    other = made_up(
        tmp_path / "b.csv", {}, {"Gender": "Female"}, columns=tuple(PATIENT)[::-1], newline=newline, encoding=encoding
    )
    assert nsclc_radiogenomics.read(other).cohort.sha256 == plain.cohort.sha256
    text = other.read_text(encoding="utf-8-sig").replace("Case ID", "Patient ID")
    other.write_text(text, encoding="utf-8")
    assert nsclc_radiogenomics.read(other).cohort.sha256 == plain.cohort.sha256


def test_a_workbook_of_the_table_reads_like_its_csv(tmp_path):
    path = made_up(tmp_path / "a.csv", {}, {"PET Date": "1/1/1994"})
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    dates = pd.to_datetime(table["CT Date"], format="%m/%d/%Y")
    table.assign(**{"CT Date": dates, "Pack Years": table["Pack Years"].astype(float)}).to_excel(
        tmp_path / "a.xlsx", index=False
    )
    found = nsclc_radiogenomics.read(tmp_path / "a.xlsx")
    assert found.cohort.sha256 == nsclc_radiogenomics.read(path).cohort.sha256


def test_stages_and_words_are_read_whatever_their_case_and_with_the_p_of_pathology(tmp_path):
    path = made_up(
        tmp_path / "a.csv", {"Pathological T stage": "pT2A", "Pathological N stage": "pn1", "Recurrence": "NO"},
        {"Pathological T stage": "T9", "Pathological N stage": "N1 + N2"}, {"%GG": "NOT ASSESSED"},
    )  # fmt: skip
    found = nsclc_radiogenomics.read(path)
    rows = found.cohort.patients
    assert rows.loc[0, ["pathological_t", "pathological_n", "recurred"]].tolist() == ["T2a", "N1", 0]
    assert rows.loc[1, ["pathological_t", "pathological_n"]].isna().all() and pd.isna(rows.loc[2, "nodule_type"])
    said = found.unmapped[found.unmapped["why"].str.contains("no such word")]
    assert sorted(said["value"]) == ["N1 + N2", "T9"] and said["count"].tolist() == [1, 1]


def test_locations_that_are_not_one_lobe_are_counted(tmp_path):
    rul, unknown = "Tumor Location (choice=RUL)", "Tumor Location (choice=Unknown)"
    path = made_up(
        tmp_path / "a.csv", {}, {"Tumor Location (choice=LLL)": "Checked"}, {rul: "Unchecked"},
        {rul: "Unchecked", unknown: "Checked"}, {rul: "Unchecked", "Tumor Location (choice=L Lingula)": "Checked"},
    )  # fmt: skip
    found = nsclc_radiogenomics.read(path)
    assert found.cohort.patients["lobe"].tolist() == ["RUL", None, None, None, "LUL"]
    said = found.unmapped.query("column == 'Tumor Location'").set_index("value")["count"].to_dict()
    assert said == {"several lobes": 1, "no lobe": 1, "Unknown": 1, "L Lingula": 1}


def test_what_a_follow_up_can_contradict_is_noted_with_what_was_made_of_it(tmp_path):
    dead = {"Survival Status": "Dead", "Date of Death": "1/11/1995"}
    again = {"Recurrence": "yes", "Recurrence Location": "local"}
    path = made_up(
        tmp_path / "a.csv", {**dead, "Time to Death (days)": "365"}, {**dead, "Date of Death": "N/A"},
        {**dead, "Date of Death": "N/A", "Time to Death (days)": "40"}, {"Date of Death": "1/11/1995"},
        {"Date of Recurrence": "1/2/1995"}, {**again, "Date of Recurrence": "1/2/1994"}, again,
        {**again, "Date of Recurrence": "1/2/1996"}, {**again, **dead, "Date of Recurrence": "1/2/1996"},
        {"CT Date": "Not Collected"}, {"Days between CT and surgery": "-4"},
    )  # fmt: skip
    found = nsclc_radiogenomics.read(path)
    assert by_patient(found) == {
        "R01-002": "death without a day: survival and its day left out",
        "R01-003": "death without a date: time to death used",
        "R01-004": "alive, but with a day of death: day of death left out",
        "R01-005": "day of recurrence, but no recurrence: day of recurrence left out",
        "R01-006": "recurrence before surgery: recurrence, its day and site left out",
        "R01-007": "recurrence without a day: recurrence, its day and site left out",
        "R01-008": "recurrence after the day last known alive: last contact moved to the day of recurrence",
        "R01-009": "recurrence after death: survival and its day left out",
        "R01-011": "CT after surgery: days from CT to treatment left out",
    }
    rows = found.cohort.patients.set_index("patient_id")
    assert rows.loc["R01-001", ["os_days", "os_event"]].tolist() == [365, 1]
    assert rows.loc["R01-003", "os_days"] == 40 and rows.loc["R01-008", "followup_days"] == 721
    assert rows.loc["R01-010", "followup_days"] != rows.loc["R01-010", "followup_days"]
    assert found.unmapped.query("column == 'CT Date'")["count"].item() == 1


def test_a_wrong_or_broken_file_is_one_sentence_and_its_faults_come_together(tmp_path, shared_data):
    read = nsclc_radiogenomics.read
    with pytest.raises(DataError, match=r"folder: wanted one CSV file in this folder, found 0"):
        (tmp_path / "folder").mkdir()
        read(tmp_path / "folder")
    cut = made_up(tmp_path / "cut.csv", {}, {})
    cut.write_bytes(cut.read_bytes()[:-40])
    latin = made_up(tmp_path / "latin.csv", {"Patient affiliation": "Köln"}, encoding="latin-1")
    quote = made_up(tmp_path / "quote.csv", {}, {})
    quote.write_text(quote.read_text().replace("R01-001", '"R01-001'))
    for path, said in (
        (cut, r"cut.csv: 1 of 2 rows do not have the 40 cells of the first \(row 3 has 3\d\)"),
        (latin, r"latin.csv: line 2 is not UTF-8 text"),
        (quote, r"quote.csv: (1 of 1 rows do not have|a quotation mark)"),
    ):
        with pytest.raises(DataError, match=said) as caught:
            read(path)
        assert len(caught.value.faults) == 1
    twice = made_up(tmp_path / "twice.csv", {}, {"Case ID": "R01-001"}, {"Case ID": ""})
    with pytest.raises(DataError) as caught:
        read(twice)
    assert len(caught.value.faults) == 2 and "1 of 2 have more (R01-001)" in caught.value.faults[1]
    nameless = made_up(tmp_path / "nameless.csv", {}, columns=tuple(PATIENT)[1:])
    with pytest.raises(DataError, match=r"nameless.csv: 1 column is missing \(Case ID\)"):
        read(nameless)
    faulty = made_up(
        tmp_path / "faulty.csv", {"Age at Histological Diagnosis": "old", "CT Date": "5.4.1994", "PET Date": "soon"},
        {"Weight (lbs)": "heavy", "Date of Death": "31/31/1994"},
    )  # fmt: skip
    with pytest.raises(DataError) as caught:
        read(faulty)
    columns = [fault.split(": ")[1].split(" must")[0] for fault in caught.value.faults]
    assert columns == ["Age at Histological Diagnosis", "Weight (lbs)", "PET Date", "CT Date", "Date of Death"]
    assert not re.search(r"\d{1,2}[./]\d{1,2}[./]\d{4}|soon|heavy", str(caught.value))
    with pytest.raises(DataError, match=r"this is not the clinical table of NSCLC Radiogenomics .* it has 0 of the"):
        read(shared_data("tcga") / "TCGA-CDR_LUAD.csv")


def test_another_hospital_keeps_its_name_and_none_is_told(tmp_path):
    path = made_up(tmp_path / "a.csv", {"Patient affiliation": "Palo Alto"}, {"Patient affiliation": "Not Collected"})
    found = nsclc_radiogenomics.read(path)
    assert found.cohort.patients["centre"].tolist() == ["Palo Alto", "not recorded"]
    assert found.unmapped.query("column == 'Patient affiliation'")["count"].item() == 1
    assert found.unmapped.query("column == 'patients'")["why"].item() == "the published table has 211"


def test_a_table_of_which_nobody_fits_the_surrogate_says_so(tmp_path):
    path = made_up(tmp_path / "a.csv", {"Pathological N stage": "Not Collected"})
    with pytest.raises(DataError, match="none of 1 patients is left by the surrogate's rules"):
        nsclc_radiogenomics.write_study(path, tmp_path / "study")


def test_only_a_study_of_the_same_source_is_replaced(tmp_path):
    table = made_up(tmp_path / "t.csv", {}, {"Pathological N stage": "N1"})
    written = nsclc_radiogenomics.write_study(table, tmp_path / "a")
    assert nsclc_radiogenomics.write_study(table, tmp_path / "a") == written
    for file in ("clinical.csv", "unmapped.csv"):  # as a killed command leaves it
        (written / file).unlink()
    nsclc_radiogenomics.write_study(table, tmp_path / "a")
    assert (written / "clinical.csv").is_file() and (written / "unmapped.csv").is_file()
    for file, text in (("study.toml", "[study]\nname = 'ours'\n"), ("clinical.csv", "patient_id\n7\n")):
        folder = tmp_path / file[:3]
        folder.mkdir()
        (folder / file).write_text(text, encoding="utf-8")
        with pytest.raises(StudyError, match=f"'{folder.name}' has {re.escape(file)} of another study; nothing was"):
            nsclc_radiogenomics.write_study(table, folder)
        assert (folder / file).read_text(encoding="utf-8") == text and len(list(folder.iterdir())) == 1
    with pytest.raises(StudyError, match=r"'t\.csv' is a file; wanted a folder for the study"):
        nsclc_radiogenomics.write_study(table, table)
