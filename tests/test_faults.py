"""A table with 25 different planted faults: one report that names each by column and row, and nothing else."""

from __future__ import annotations

import csv

import pytest

from onlm_lab.cohort import load_cohort
from onlm_lab.errors import DataError

N = 60


def clean_tables() -> tuple[list[dict[str, str]], list[dict[str, str]]]:
    """Sixty patients without a fault: text cells, as they lie in the files."""
    clinical, followup = [], []
    for i in range(N):
        sbrt, solid = i % 10 == 9, 8 + i % 25
        positive = not sbrt and i % 6 == 5
        clinical.append({
            "patient_id": f"{i:03d}", "centre": "ABC"[i % 3], "op_date": f"{1 + i % 28:02d}.02.{2015 + i % 8}",
            "age_years": str(45 + i % 40), "sex": ("female", "male")[i % 2],
            "smoking": ("never", "former", "current")[i % 3], "pack_years": "0" if i % 3 == 0 else str(10 + i % 30),
            "kps": str(80 + 10 * (i % 3)), "nsclc_confirmed": "1", "histology": "adenocarcinoma",
            "histology_source": "biopsy", "lobe": ("RUL", "RML", "RLL", "LUL", "LLL")[i % 5],
            "total_diameter_mm": str(solid + 3), "solid_diameter_mm": str(solid), "nodule_type": "part_solid",
            "clinical_n": "N0", "clinical_m": "M0", "cea_ng_ml": f"{1 + i / 10:.1f}", "pet_ct_done": "1",
            "invasive_staging_done": str(i % 2), "invasive_staging_positive": "0" if i % 2 else "",
            "treatment": "sbrt" if sbrt else "lobectomy", "ct_to_treatment_days": str(5 + i % 20),
            "consent": "yes", "ct_quality": "adequate", "neoadjuvant": "0",
            "pathological_n": "" if sbrt else ("N1" if positive else "N0"),
            "nodes_examined": "" if sbrt else str(6 + i % 9), "adjuvant": str(int(positive)),
            "adjuvant_start_days": "40" if positive else "", "lvi": str(int(positive)),
        })  # fmt: skip
        days, died, recurred = 400 + 10 * i, i % 4 == 0, i % 5 == 0
        followup.append({
            "patient_id": f"{i:03d}", "followup_days": str(days), "last_imaging_days": str(days - 30),
            "died": str(int(died)), "death_cause": "lung_cancer" if died else "", "recurred": str(int(recurred)),
            "recurrence_days": "200" if recurred else "", "recurrence_site": "regional" if recurred else "",
            "local_days": "", "regional_days": "200" if recurred else "", "distant_days": "",
        })  # fmt: skip
    return clinical, followup


# file, our column, row of the table (0 is the first patient), what is planted, a word of the sentence
PLANTED = [
    ("clinical", "centre", 3, "", "is empty"),
    ("clinical", "age_years", 4, "-61", "a number from 0 to 120 years"),
    ("clinical", "sex", 5, "femal", "did you mean 'female'?"),
    ("clinical", "kps", 6, "ninety", "a whole number from 0 to 100"),
    ("clinical", "op_date", 7, "30.02.2019", "must be a date written DD.MM.YYYY; 1 cell is not: row 9 (007; there is"),
    ("clinical", "n_stations", 9, "4", "column 'n_stations' is not known"),
    ("clinical", "lvi", 2, "1.5", "0 or 1"),
    ("clinical", "nsclc_confirmed", 8, "yes", "did you mean '1'?"),
    ("clinical", "lobe", 10, "LUL/LLL", "one of RUL, RML, RLL, LUL, LLL"),
    ("clinical", "total_diameter_mm", 11, "14,5", "did you mean '14.5'?"),
    ("clinical", "cea_ng_ml", 12, "<0.5", "a limit is no number"),
    ("clinical", "solid_diameter_mm", 13, "12 mm", "without its unit: '12'"),
    ("clinical", "ct_to_treatment_days", 14, "2021-03-04", "(a date) in row 16"),
    ("clinical", "clinical_n", 15, "NA", "missing_words"),
    ("clinical", "centre", 16, "A\nB", "a line break or another control character"),
    ("clinical", "smoking", 18, "ex-smoker of long standing and many packs, stopped", "(a text of"),
    ("clinical", "solid_diameter_mm and total_diameter_mm", 20, {"solid_diameter_mm": "90"}, "is above total"),
    ("clinical", "smoking and pack_years", 21, {"pack_years": "20"}, "smoking is never but pack_years"),
    ("clinical", "treatment and pathological_n", 29, {"pathological_n": "N0"}, "an SBRT patient has a pathological_n"),
    ("clinical", "pathological_n and nodes_examined", 23, {"nodes_examined": "0"}, "N1-N3 but nodes_examined is 0"),
    ("clinical", "adjuvant and adjuvant_start_days", 24, {"adjuvant_start_days": "33"}, "adjuvant is 0 but has"),
    ("clinical", "patient_id", 50, "", "patient_id is empty in 1 of 60 rows (row 52)"),
    ("clinical", "patient_id", 27, "026", "wanted one row a patient; 1 has more (026: rows 28, 29)"),
    ("followup", "followup_days", 31, "-4", "a number of at least 0 days"),
    ("followup", "died and death_cause", 33, {"death_cause": "other"}, "death_cause is given but died is not 1"),
    ("followup", "recurred and recurrence_days", 35, {"recurred": "0"}, "recurrence_days is given but recurred"),
    ("followup", "recurrence_days and followup_days", 25, {"recurrence_days": "1200"}, "recurrence comes after"),
    ("followup", "recurrence_site", 40, "brain", "not any of local, regional, distant"),
    ("followup", "patient_id", 45, "O45", "a patient who is not in clinical.csv"),
]  # fmt: skip


STUDY = """
[study]
name = "Sixty"
[data]
date_format = "DD.MM.YYYY"
[mapping.dates.treatment_year]
end = "op_date"
unit = "calendar_year"
[columns.lvi]
type = "boolean"
timing = "post_treatment"
"""


def write(folder, clinical, followup):
    """A study's folder."""
    for name, rows in (("clinical", clinical), ("followup", followup)):
        with (folder / f"{name}.csv").open("w", encoding="utf-8", newline="") as stream:
            writer = csv.DictWriter(stream, list(dict.fromkeys(name for row in rows for name in row)), restval="")
            writer.writeheader()
            writer.writerows(rows)
    (folder / "study.toml").write_text(STUDY, encoding="utf-8")
    return folder


def planted_tables(planted):
    tables = dict(zip(("clinical", "followup"), clean_tables(), strict=True))
    for file, column, row, what, _ in planted:
        tables[file][row].update(what if isinstance(what, dict) else {column: what})
    return tables["clinical"], tables["followup"]


def details_of(folder):
    with pytest.raises(DataError) as raised:
        load_cohort(folder)
    return raised.value.details


def tells(fault, planted) -> bool:
    """Whether a fault is the one that was planted, by file, column, row and words."""
    file, column, row, _, said = planted
    named = not fault.rows or (row + 2 in fault.rows and str(row + 2) in fault.said)
    return (
        fault.file == f"{file}.csv"
        and set(fault.column.split(" and ")) >= set(column.split(" and "))
        and (named and said in fault.said)
    )


def test_the_clean_table_has_no_fault(tmp_path):
    cohort = load_cohort(write(tmp_path, *clean_tables()))
    assert len(cohort) == N
    assert cohort.notes == ("clinical.csv: treatment_year reckoned from dates in 60 of 60 rows.",)
    assert cohort.patients["patient_id"].tolist()[7] == "007"
    assert cohort.patients["treatment_year"].tolist()[:3] == [2015, 2016, 2017]


def test_all_planted_faults_are_named_by_column_and_row_in_one_report_and_nothing_else(tmp_path):
    assert len(PLANTED) >= 25
    details = details_of(write(tmp_path, *planted_tables(PLANTED)))
    for planted in PLANTED:
        assert sum(tells(fault, planted) for fault in details) == 1, planted
    for fault in details:
        assert any(tells(fault, planted) for planted in PLANTED), fault.said
    # the line break in centre and the empty centre are two sentences, the doubled id is two rows
    assert len(details) == len(PLANTED)
    assert sum(len(fault.rows) for fault in details) == len(PLANTED)
    assert not any("2019" in fault.said or "2021" in fault.said for fault in details)


@pytest.mark.parametrize("planted", PLANTED, ids=lambda p: f"{p[0]}-{p[1]}-{p[2]}")
def test_a_fault_alone_is_told_alone(tmp_path, planted):
    (fault,) = details_of(write(tmp_path, *planted_tables([planted])))
    assert tells(fault, planted)
    assert len(fault.patients) == len(fault.rows) == len(fault.values)


def test_adjuvant_treatment_after_the_last_contact_is_told_across_the_files(tmp_path):
    clinical, followup = clean_tables()
    clinical[5]["adjuvant_start_days"] = "2000"
    (fault,) = details_of(write(tmp_path, clinical, followup))
    assert "adjuvant_start_days is after followup_days of followup.csv in 1 of 60 rows (row 7 005)" in fault.said
    assert (fault.rows, fault.patients, fault.values) == ((7,), ("005",), ("2000",))


def test_a_misspelt_column_is_told_once_and_nothing_follows_from_it(tmp_path):
    clinical, followup = clean_tables()
    followup = [{name.replace("recurrence_days", "recurence_days"): v for name, v in row.items()} for row in followup]
    clinical = [{("center" if name == "centre" else name): v for name, v in row.items()} for row in clinical]
    details = details_of(write(tmp_path, clinical, followup))
    assert [fault.column for fault in details] == ["center", "recurence_days"]
    assert "did you mean 'centre'?" in details[0].said and "did you mean 'recurrence_days'?" in details[1].said
