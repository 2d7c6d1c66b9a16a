"""The TCGA lung tables: counts by an independent path, nothing repaired in silence, every wrong file a sentence."""

from __future__ import annotations

import csv
from collections import Counter

import pandas as pd
import pytest

from onlm_lab import schema
from onlm_lab.cli import main
from onlm_lab.cohort import endpoint_counts, load_cohort, refuse_post_treatment, screen, tcga
from onlm_lab.errors import DataError, OnlmError
from onlm_lab.study import load_study

# The columns that a made-up biotab file of these tests has: name of the first header line, of the second, a value.
COLUMNS = (
    ("bcr_patient_uuid", "bcr_patient_uuid", "u"),
    ("bcr_patient_barcode", "bcr_patient_barcode", "TCGA-05-0001"),
    ("histologic_diagnosis", "diagnosis", "Lung Adenocarcinoma"),
    ("gender", "gender", "FEMALE"),
    ("history_other_malignancy", "prior_dx", "No"),
    ("anatomic_organ_subdivision", "anatomic_neoplasm_subdivision", "R-Upper"),
    ("anatomic_neoplasm_subdivision_other", "anatomic_neoplasm_subdivision_other", "[Not Applicable]"),
    ("histologic_diagnosis", "histological_type", "Lung Acinar Adenocarcinoma"),
    ("initial_pathologic_dx_year", "year_of_initial_pathologic_diagnosis", "2010"),
    ("residual_tumor", "residual_tumor", "R0"),
    ("ajcc_staging_edition", "system_version", "7th"),
    ("ajcc_tumor_pathologic_pt", "pathologic_T", "T1a"),
    ("ajcc_nodes_pathologic_pn", "pathologic_N", "N0"),
    ("ajcc_metastasis_pathologic_pm", "pathologic_M", "M0"),
    ("ajcc_pathologic_tumor_stage", "pathologic_stage", "Stage IA"),
    ("ajcc_nodes_clinical_cn", "clinical_N", "[Not Applicable]"),
    ("kras_mutation_found", "kras_mutation_found", "[Not Available]"),
    ("egfr_mutation_identified_type", "egfr_mutation_result", "[Not Available]"),
    ("tobacco_smoking_history_indicator", "tobacco_smoking_history", "Current smoker"),
    ("history_neoadjuvant_treatment", "history_of_neoadjuvant_treatment", "No"),
    ("tobacco_smoking_pack_years_smoked", "number_pack_years_smoked", "20"),
    ("karnofsky_score", "karnofsky_performance_score", "90"),
    ("vital_status", "vital_status", "Alive"),
    ("ecog_score", "eastern_cancer_oncology_group", "1"),
    ("performance_status_timing", "performance_status_scale_timing", "Pre-Operative"),
    ("radiation_treatment_adjuvant", "radiation_therapy", "NO"),
    ("pharmaceutical_tx_adjuvant", "postoperative_rx_tx", "NO"),
    ("birth_days_to", "days_to_birth", "-23800"),
    ("last_contact_days_to", "days_to_last_followup", "100"),
    ("death_days_to", "days_to_death", "[Not Applicable]"),
    ("age_at_initial_pathologic_diagnosis", "age_at_initial_pathologic_diagnosis", "65"),
    ("icd_o_3_site", "icd_o_3_site", "C34.1"),
    ("targeted_molecular_therapy", "targeted_molecular_therapy", "NO"),
    ("tissue_source_site", "tissue_source_site", "05"),
)
CDR = {
    "bcr_patient_barcode": "TCGA-05-0001", "type": "LUAD", "gender": "FEMALE", "new_tumor_event_type": "",
    "new_tumor_event_dx_days_to": "", "OS": "0", "OS.time": "900", "DSS": "0", "DSS.time": "900", "DFI": "0",
    "DFI.time": "900", "PFI": "0", "PFI.time": "900", "Redaction": "",
}  # fmt: skip


def biotab(path, *patients, headers=(0, 1, 2), drop=(), newline="\n", encoding="utf-8"):
    """A biotab file of made-up patients: each a dict of what differs from COLUMNS."""
    kept = [c for c in COLUMNS if c[1] not in drop]
    lines = [[c[0] for c in kept], [c[1] for c in kept], [f"CDE_ID:{i}" for i, _ in enumerate(kept)]]
    lines = [lines[i] for i in headers]
    for i, said in enumerate(patients):
        said = {"bcr_patient_barcode": f"TCGA-05-{i + 1:04d}", **said}
        assert set(said) <= {c[1] for c in COLUMNS}
        lines.append([said.get(c[1], c[2]) for c in kept])
    path.write_bytes((newline.join("\t".join(line) for line in lines) + newline).encode(encoding))
    return path


def resource(path, *patients):
    rows = [{**CDR, "bcr_patient_barcode": f"TCGA-05-{i + 1:04d}", **said} for i, said in enumerate(patients)]
    pd.DataFrame(rows).to_csv(path, index=False)
    return path


def one(tmp_path, *patients, cdr=None):
    """The patients as read, by identifier."""
    paths = biotab(tmp_path / "patient_luad.txt", *patients)
    outcomes = None if cdr is None else resource(tmp_path / "cdr.csv", *cdr)
    table = tcga.read(paths, cdr=outcomes)
    return table, table.cohort.patients.set_index("patient_id")


def why(table, column, value):
    found = table.unmapped.query("column == @column and value == @value")
    return int(found["count"].sum()), "; ".join(found["why"])


@pytest.fixture(scope="module")
def files(shared_data):
    folder = shared_data("tcga")
    return folder / "nationwidechildrens.org_clinical_patient_luad.txt", folder / "TCGA-CDR_LUAD.csv"


@pytest.fixture(scope="module")
def luad(files):
    return tcga.read(files[0], cdr=files[1])


@pytest.fixture(scope="module")
def cells(files):
    """The same two files by the csv module alone: patients as dicts."""
    with files[0].open(encoding="utf-8", newline="") as stream:
        lines = list(csv.reader(stream, delimiter="\t"))
    form = {line[1]: dict(zip(lines[1], line, strict=True)) for line in lines[3:]}
    with files[1].open(encoding="utf-8", newline="") as stream:
        return form, {row["bcr_patient_barcode"]: row for row in csv.DictReader(stream)}


def test_every_patient_of_luad_is_read_and_counted_as_the_file_has_them(luad, cells):
    form, _ = cells
    rows = luad.cohort.patients
    assert len(rows) == len(form) == 522 and luad.cohort.surrogate and not luad.cohort.made_up
    known = rows["pathological_n"].value_counts().to_dict()
    assert known == {"N0": 335, "N1": 98, "N2": 75, "NX": 11, "N3": 2}
    for column, ours in (("pathologic_T", "pathological_t"), ("system_version", "ajcc_edition")):
        counted = Counter(r[column] for r in form.values() if not r[column].startswith("["))
        assert rows[ours].value_counts().to_dict() == counted
    former = sum("reformed" in r["tobacco_smoking_history"].lower() for r in form.values())
    assert (rows["smoking"] == "former").sum() == former == 311
    assert rows["centre"].nunique() == len({key.split("-")[1] for key in form}) == 33
    before = sum(
        r["performance_status_scale_timing"] == "Pre-Operative" and r["karnofsky_performance_score"].isdigit()
        for r in form.values()
    )
    assert rows["kps"].notna().sum() == before


def test_outcomes_are_those_of_the_clinical_data_resource(luad, cells):
    _, cdr = cells
    rows = luad.cohort.patients.set_index("patient_id")
    dead = [k for k, r in cdr.items() if r["OS"] == "1.0" and r["OS.time"]]
    assert (rows["os_event"] == 1).sum() == len(dead) == 184 and set(rows.index[rows["os_event"] == 1]) == set(dead)
    cancer = [k for k, r in cdr.items() if r["DSS"] == "1.0" and r["OS.time"]]
    assert (rows["cancer_death_state"] == 1).sum() == len(cancer)
    again = {
        k for k, r in cdr.items() if r["DFI"] == "1.0" and r["new_tumor_event_type"] != "New Primary Tumor"
    }  # fmt: skip
    assert set(rows.index[rows["recurred"] == 1]) == again and len(again) == 91
    assert (rows["pfi_event"] == 1).sum() == sum(r["PFI"] == "1.0" for r in cdr.values()) == 213
    for key in again:
        assert rows.loc[key, "recurrence_days"] == float(cdr[key]["DFI.time"])
        wanted = "distant" if cdr[key]["new_tumor_event_type"].startswith("Distant") else "unknown"
        assert rows.loc[key, "recurrence_site"] == wanted


def test_the_surrogate_cohort_is_stage_i_by_the_edition_of_each_patient(luad, cells):
    form, _ = cells

    def kept(r):
        early = r["system_version"] in ("3rd", "4th", "5th", "6th")
        t = r["pathologic_T"] in ("T1", "T1a", "T1b", "T2a") or (r["pathologic_T"] == "T2" and early)
        below_iv = r["pathologic_stage"].startswith("Stage") and r["pathologic_stage"] != "Stage IV"
        m = r["pathologic_M"] == "M0" or (r["pathologic_M"] in ("MX", "[Not Available]") and below_iv)
        return (
            t and m and r["pathologic_N"] in ("N0", "N1", "N2", "N3") and r["history_of_neoadjuvant_treatment"] == "No"
        )

    everyone = tcga.surrogate_cohort(luad)
    assert set(everyone.patients["patient_id"]) == {k for k, r in form.items() if kept(r)} and len(everyone) == 377
    assert everyone.patients["onlm"].value_counts().to_dict() == {0.0: 258, 1.0: 119}
    seventh = tcga.surrogate_cohort(luad, edition="7th")
    wanted = {k for k, r in form.items() if kept(r) and r["system_version"] == "7th"}
    assert set(seventh.patients["patient_id"]) == wanted and len(seventh) == 186
    assert not (seventh.patients["pathological_t"] == "T2").any()
    flow = tcga.surrogate_flow(luad).query("centre == 'all'")
    assert flow["n_in"].iloc[0] == 522 and flow["n_left"].iloc[-1] == 377
    assert flow[["n_n0", "n_n1", "n_n2", "n_n3"]].iloc[-1].tolist() == [258, 73, 45, 1]
    with pytest.raises(DataError, match=r"edition is '8th'; wanted 'any' .* or '7th'"):
        tcga.surrogate_flow(luad, edition="8th")


def test_every_column_of_both_files_is_used_or_has_a_reason(luad, cells):
    form, cdr = cells
    from onlm_lab.cohort.tcga import words

    reported = set(luad.unmapped["column"])
    aside = {*words.WORDS, *words.NUMBERS, *words.PERFORMANCE, *words.READ_ASIDE, *words.OUTCOME_COLUMNS}
    assert set(next(iter(form.values()))) - aside - reported == set()
    assert {f"CDR {name}" for name in next(iter(cdr.values())) if name not in words.CDR_USED} - reported == set()
    assert not luad.unmapped["why"].str.contains("no column of ours").any()
    assert not luad.unmapped["why"].str.contains("no such word").any()
    assert why(luad, "clinical_N", "[Not Applicable]") == (522, "empty in every row")
    assert why(luad, "time zero", "(all)")[1].startswith("the initial pathologic diagnosis, not surgery")


def test_contradictions_inside_and_between_the_files_are_listed(luad):
    counts = luad.inconsistent["what"].value_counts().to_dict()
    assert counts == {
        "alive on the biotab form, dead in the Clinical Data Resource": 61,
        "T1 or T2 with a letter in an edition before the 7th": 7,
        "pathologic_stage differs between the biotab file and the Clinical Data Resource": 6,
        "death without a day": 4,
        "lobe and ICD-O site name different lobes": 3,
        "pathological N1-N3 but stage I": 2,
        "age is not that of the days since birth": 2,
        "last contact on the biotab form is after the last day in the Clinical Data Resource": 1,
        "day of the new tumour is not that of the disease-free interval": 1,
        "disease-free interval ends with a new primary, which is no recurrence": 1,
    }


def test_the_written_study_reads_back_as_the_same_cohort(files, luad, tmp_path):
    written = tcga.write_study(files[0], tmp_path / "study", cdr=files[1])
    study, cohort = load_study(written), load_cohort(written)
    assert cohort.sha256 == tcga.surrogate_cohort(luad).sha256 and cohort.surrogate
    assert "10.1016/j.cell.2018.02.052" in study.study.licence and "diagnosis" in study.name
    status = screen(cohort, study.protocol).status["status"].value_counts().to_dict()
    assert status == {"eligible": 361, "undetermined": 16}  # 16 without an age
    refuse_post_treatment(
        study.training.predictors, extra_columns=study.columns, patients=cohort.patients, surrogate=True
    )
    for name in ("pathological_t", "ajcc_edition", "kras_mutated", "fev1_percent", "location_in_parenchyma"):
        with pytest.raises(OnlmError, match=name):
            refuse_post_treatment([name], extra_columns=study.columns)
    assert endpoint_counts(cohort.patients).set_index("endpoint").loc["recurrence", "n_events"] == 70
    again = tcga.write_study(files[0], tmp_path / "again", cdr=files[1])
    assert all((again / p.name).read_bytes() == p.read_bytes() for p in written.iterdir())


def test_smoking_codes_and_words_become_never_former_current(tmp_path):
    codes = {"1": "never", "2": "current", "3": "former", "4": "former", "5": "former", "LIFELONG NON-SMOKER": "never",
             "[Unknown]": None}  # fmt: skip
    said = [{"tobacco_smoking_history": code, "number_pack_years_smoked": "[Not Available]"} for code in codes]
    table, rows = one(tmp_path, *said)
    assert rows["smoking"].tolist() == list(codes.values())
    assert (rows["pack_years"] == 0).tolist() == [word == "never" for word in codes.values()]
    assert table.unmapped.query("column == 'number_pack_years_smoked'")["count"].tolist() == [2, 5, 7]


def test_a_word_that_nobody_expected_is_reported_and_not_guessed(tmp_path):
    table, rows = one(tmp_path, {"pathologic_N": "N1 (2 nodes)", "gender": "OTHER"}, {})
    assert why(table, "pathologic_N", "N1 (2 nodes)") == (1, "no such word in pathological_n: left empty")
    assert why(table, "gender", "OTHER")[0] == 1
    assert rows["pathological_n"].isna().sum() == 1 and pd.isna(rows["onlm"].iloc[0])


def test_performance_status_counts_only_where_it_was_taken_before_surgery(tmp_path):
    table, rows = one(
        tmp_path, {}, {"performance_status_scale_timing": "Post-Adjuvant Therapy"}, {"karnofsky_performance_score": "0"}
    )
    assert rows["kps"].tolist()[0] == 90 and rows["kps"].isna().tolist() == [False, True, True]
    assert rows["ecog"].isna().tolist() == [False, True, False]
    assert why(table, "karnofsky_performance_score", "taken: Post-Adjuvant Therapy")[0] == 1
    assert table.inconsistent["what"].tolist() == ["Karnofsky 0 (dead) before surgery"]


def test_adjuvant_is_no_only_where_every_kind_is_known_not_to_have_been_given(tmp_path):
    unknown = "[Unknown]"
    _, rows = one(
        tmp_path, {}, {"postoperative_rx_tx": unknown}, {"postoperative_rx_tx": unknown, "radiation_therapy": "YES"}
    )
    assert rows["adjuvant"].tolist()[0] == 0 and pd.isna(rows["adjuvant"].iloc[1]) and rows["adjuvant"].iloc[2] == 1


def test_the_lingula_is_left_upper_lobe_and_an_egfr_test_without_result_is_not_negative(tmp_path):
    other = {"anatomic_neoplasm_subdivision": "Other (please specify)"}
    table, rows = one(
        tmp_path, {**other, "anatomic_neoplasm_subdivision_other": "Lingula", "egfr_mutation_result": "L858R"},
        {**other, "anatomic_neoplasm_subdivision_other": "RUL and RML"},
        {"icd_o_3_site": "C34.3"},
    )  # fmt: skip
    assert rows["lobe"].tolist() == ["LUL", None, "RUL"]
    assert rows["egfr_mutated"].iloc[0] == 1 and rows["egfr_mutated"].iloc[1:].isna().all()
    assert table.inconsistent["patient_id"].tolist() == ["TCGA-05-0003"]


def test_neoadjuvant_treatment_leaves_no_label(tmp_path):
    _, rows = one(tmp_path, {"history_of_neoadjuvant_treatment": "Yes, Radiation Prior to Resection"}, {})
    assert rows["onlm_missing_reason"].tolist() == ["neoadjuvant treatment", None]


def test_a_new_primary_is_no_recurrence_and_a_locoregional_one_has_no_known_site(tmp_path):
    event = {"DFI": "1", "DFI.time": "300", "new_tumor_event_dx_days_to": "300", "PFI": "1", "PFI.time": "300"}
    cdr = [
        {**event, "new_tumor_event_type": "Distant Metastasis"},
        {**event, "new_tumor_event_type": "Locoregional Recurrence"},
        {**event, "new_tumor_event_type": "Locoregional Recurrence|Distant Metastasis"},
        {**event, "new_tumor_event_type": "New Primary Tumor"},
        {**event, "new_tumor_event_type": "Something new"},
        {"DFI": "", "DFI.time": ""},
    ]
    table, rows = one(tmp_path, *[{}] * 6, cdr=cdr)
    assert rows["recurred"].tolist()[:3] == [1, 1, 1] and rows["recurred"].iloc[[3, 5]].isna().all()
    assert rows["recurrence_site"].tolist() == ["distant", "unknown", "unknown", None, "unknown", None]
    assert rows["distant_state"].iloc[0] == 1 and rows["regional_state"].iloc[1:3].isna().all()
    assert rows["new_tumour_event"].tolist()[2:4] == ["locoregional;distant", "new_primary"]
    assert rows["pfi_days"].tolist() == [300.0] * 5 + [900.0]
    assert table.inconsistent["patient_id"].tolist() == ["TCGA-05-0004"]
    assert why(table, "new_tumor_event_type", "Something new") == (1, "no such word: left empty")
    assert why(table, "DFI", "(missing)")[0] == 1


def test_outcomes_that_contradict_themselves_are_left_out_or_moved_and_noted(tmp_path):
    event = {"DFI": "1", "new_tumor_event_type": "Distant Metastasis"}
    cdr = [
        {"OS": "1", "OS.time": "-3", "DFI.time": "900"},  # death before diagnosis
        {"OS": "1", "OS.time": "", "DSS": "1"},  # death without a day
        {**event, "DFI.time": "-1"},  # recurrence before diagnosis
        {**event, "DFI.time": ""},  # recurrence without a day
        {**event, "DFI.time": "1000"},  # recurrence after the last contact
        {**event, "DFI.time": "1000", "OS": "1", "DSS": "1"},  # recurrence after death
        {"PFI": "1", "PFI.time": "-5"},
        {"DSS": "1"},  # alive
    ]
    table, rows = one(tmp_path, *[{}] * 8, cdr=cdr)
    found = table.inconsistent.assign(said=table.inconsistent["what"] + ": " + table.inconsistent["done"])
    said = found[~found["what"].str.contains("biotab")].groupby("patient_id")["said"].apply("; ".join)
    assert said["TCGA-05-0001"] == "death or last contact before diagnosis: survival and its day left out"
    assert said["TCGA-05-0002"] == "death without a day: survival and its day left out"
    assert said["TCGA-05-0003"].endswith("; recurrence before diagnosis: recurrence, its day and site left out")
    assert said["TCGA-05-0004"] == "recurrence without a day: recurrence, its day and site left out"
    assert said["TCGA-05-0005"].endswith("last contact moved to the day of recurrence")
    assert said["TCGA-05-0006"] == "recurrence after death: survival and its day left out"
    assert rows.loc[["TCGA-05-0001", "TCGA-05-0002", "TCGA-05-0006"], "os_days"].isna().all()
    assert rows.loc["TCGA-05-0005", "followup_days"] == 1000 and rows.loc["TCGA-05-0006", "recurrence_days"] == 1000
    assert pd.isna(rows.loc["TCGA-05-0007", "pfi_days"])
    assert said["TCGA-05-0008"] == "death of the disease, but not dead: cause of death left out"


def test_the_two_sources_are_compared_patient_by_patient(tmp_path):
    dead = {"vital_status": "Dead", "days_to_death": "50", "days_to_last_followup": "[Not Available]"}
    table, rows = one(
        tmp_path, dead, {"days_to_last_followup": "2000", "gender": "MALE"}, dead, {},
        cdr=[{}, {}, {"OS": "1", "OS.time": "60"}, {"OS": "1", "OS.time": "400"}],
    )  # fmt: skip
    what = table.inconsistent.groupby("patient_id")["what"].apply(list)
    assert what["TCGA-05-0001"] == ["dead on the biotab form, alive in the Clinical Data Resource"]
    assert len(what["TCGA-05-0002"]) == 2 and "gender differs" in " ".join(what["TCGA-05-0002"])
    assert what["TCGA-05-0003"] == ["different days of death"]
    assert what["TCGA-05-0004"] == ["alive on the biotab form, dead in the Clinical Data Resource"]
    assert rows["died"].tolist() == [0, 0, 1, 1] and rows["sex"].tolist()[1] == "male"


def test_redacted_patients_are_left_out_and_counted(tmp_path):
    table, rows = one(tmp_path, {}, {}, {}, cdr=[{"Redaction": "Redacted"}, {}, {}])
    assert rows.index.tolist() == ["TCGA-05-0002", "TCGA-05-0003"]
    assert why(table, "CDR Redaction", "Redacted") == (1, "withdrawn from TCGA: patient left out")
    with pytest.raises(DataError, match=r"cdr.csv: all 1 patients are marked as redacted"):
        one(tmp_path, {}, cdr=[{"Redaction": "Redacted"}])


def test_patients_without_a_row_in_the_other_file_are_counted(tmp_path):
    table, rows = one(tmp_path, {}, {}, cdr=[{}, {"bcr_patient_barcode": "TCGA-99-0009"}])
    assert why(table, "Clinical Data Resource", "no row")[0] == 1
    assert why(table, "Clinical Data Resource", "other patients")[0] == 1
    assert rows["os_days"].notna().tolist() == [True, False]


def test_without_the_resource_survival_ends_with_the_form_and_recurrence_is_not_known(tmp_path):
    table, rows = one(tmp_path, {"vital_status": "Dead", "days_to_death": "50"}, {})
    assert rows["os_days"].tolist() == [50, 100] and rows["os_event"].tolist() == [1, 0]
    assert rows["recurred"].isna().all() and why(table, "Clinical Data Resource", "(all)")[0] == 2


def test_luad_and_lusc_together_take_their_histology_each_from_its_own_file(tmp_path):
    luad = biotab(tmp_path / "luad.txt", {})
    said = {"diagnosis": "Lung Squamous Cell Carcinoma", "bcr_patient_barcode": "TCGA-18-3406"}
    lusc = biotab(tmp_path / "lusc.txt", said, drop=("kras_mutation_found",))
    table = tcga.read([luad, lusc])
    assert table.cohort.patients["histology"].tolist() == ["adenocarcinoma", "squamous"]
    assert table.cohort.patients["centre"].tolist() == ["05", "18"]
    study = load_study(tcga.write_study([luad, lusc], tmp_path / "study"))
    assert "histology" in study.training.predictors and study.analysis.endpoints == ("os",)
    with pytest.raises(DataError, match=r"luad.txt \+ luad.txt: wanted one row a patient; 1 of 1 have more"):
        tcga.read([luad, luad])


@pytest.mark.parametrize("headers", [(0, 1, 2), (0, 1), (0,), (1,)])
def test_header_lines_line_ends_and_a_byte_order_mark_do_not_matter(tmp_path, headers):
    newline, encoding = ("\r\n", "utf-8-sig") if len(headers) > 1 else ("\n", "utf-8")
    path = biotab(tmp_path / "p.txt", {"pathologic_N": "N2"}, headers=headers, newline=newline, encoding=encoding)
    rows = tcga.read(path).cohort.patients
    assert rows[["pathological_n", "histology", "histological_type"]].iloc[0].tolist() == [
        "N2", "adenocarcinoma", "Lung Acinar Adenocarcinoma",
    ]  # fmt: skip


def test_the_workbook_of_the_resource_reads_like_its_csv(tmp_path):
    import openpyxl

    path = biotab(tmp_path / "p.txt", {}, {})
    as_csv = resource(tmp_path / "cdr.csv", {"OS": "1", "OS.time": "12"}, {"DFI": "", "DFI.time": ""})
    book = openpyxl.Workbook()
    page = book.active
    page.title = "TCGA-CDR"
    with as_csv.open(encoding="utf-8", newline="") as stream:
        for i, line in enumerate(csv.reader(stream)):
            page.append([i or None, *[int(c) if c.isdigit() else c or "#N/A" for c in line]])
    book.create_sheet("ExtraEndpoints").append(["bcr_patient_barcode"])
    book.save(tmp_path / "cdr.xlsx")
    found = tcga.read(path, cdr=tmp_path / "cdr.xlsx")
    assert found.cohort.sha256 == tcga.read(path, cdr=as_csv).cohort.sha256
    book.remove(page)
    book.save(tmp_path / "other.xlsx")
    with pytest.raises(DataError, match=r"other.xlsx: wanted the sheet 'TCGA-CDR', found ExtraEndpoints"):
        tcga.read(path, cdr=tmp_path / "other.xlsx")
    whole = (tmp_path / "cdr.xlsx").read_bytes()
    (tmp_path / "cdr.xlsx").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"cdr.xlsx: the workbook cannot be opened; it may be cut off"):
        tcga.read(path, cdr=tmp_path / "cdr.xlsx")


def test_a_wrong_or_broken_file_is_one_sentence_and_all_of_them_come_at_once(tmp_path):
    good = biotab(tmp_path / "p.txt", {}, {})
    cdr = resource(tmp_path / "cdr.csv", {}, {})
    with pytest.raises(DataError) as caught:
        tcga.read(cdr, cdr=good)
    assert [f.split(":")[0] for f in caught.value.faults] == ["cdr.csv", "p.txt"]
    assert all("this is not" in fault for fault in caught.value.faults)
    with pytest.raises(DataError) as caught:
        tcga.read([tmp_path / "a.txt", tmp_path / "b.txt"], cdr=tmp_path / "c.csv")
    assert [f.split(".", 2)[0] + "." + f.split(".", 2)[1] for f in caught.value.faults] == [
        f"{n}: there is no such file" for n in ("a.txt", "b.txt", "c.csv")
    ]
    (tmp_path / "follow.txt").write_text(
        "bcr_patient_uuid\tbcr_patient_barcode\tbcr_followup_barcode\nu\tTCGA-05-1\tF1\n"
    )
    with pytest.raises(DataError, match="this is a follow-up, drug, radiation or new-tumour file"):
        tcga.read(tmp_path / "follow.txt")
    for name, raw, said in (
        ("empty.txt", b"", "the file is empty"),
        ("utf16.txt", good.read_text().encode("utf-16"), "not UTF-8 text"),
        ("zero.txt", b"a\x00b\n", "zero bytes"),
        ("old.xls", b"\xd0\xcf\x11\xe0" + b"0" * 20, "an Excel workbook of before 2007"),
        ("other.txt", b"a\tb\n1\t2\n", "it has no column bcr_patient_barcode"),
        ("cut.txt", good.read_bytes()[:-60], "1 of 2 rows do not have the 34 cells of the first"),
    ):
        (tmp_path / name).write_bytes(raw)
        with pytest.raises(DataError, match=said) as caught:
            tcga.read(tmp_path / name)
        assert len(caught.value.faults) == 1 and caught.value.faults[0].startswith(name)
    gone = biotab(tmp_path / "gone.txt", {}, drop=("pathologic_N", "system_version"))
    with pytest.raises(DataError, match=r"gone.txt: 2 columns are missing \(pathologic_N, system_version\)"):
        tcga.read(gone)
    nobody = biotab(tmp_path / "nobody.txt")
    with pytest.raises(DataError, match=r"nobody.txt: there is no patient below the column names"):
        tcga.read(nobody)
    strange = biotab(tmp_path / "strange.txt", {}, {"bcr_patient_barcode": "P1"}, {"bcr_patient_barcode": ""})
    with pytest.raises(DataError) as caught:
        tcga.read(strange)
    assert len(caught.value.faults) == 2 and "1 of 3 rows have no patient identifier" in caught.value.faults[0]
    others = resource(tmp_path / "others.csv", {"bcr_patient_barcode": "TCGA-77-0001"})
    with pytest.raises(DataError, match=r"others.csv: none of its 1 patients is in the biotab file"):
        tcga.read(good, cdr=others)


def test_cells_that_cannot_be_read_are_named_all_at_once(tmp_path):
    path = biotab(tmp_path / "p.txt", {"age_at_initial_pathologic_diagnosis": "old", "number_pack_years_smoked": "x"})
    cdr = resource(tmp_path / "cdr.csv", {"OS": "2", "OS.time": "long"})
    with pytest.raises(DataError) as caught:
        tcga.read(path, cdr=cdr)
    assert [f.split(": ")[1].split(" must")[0] for f in caught.value.faults] == [
        "age_at_initial_pathologic_diagnosis", "number_pack_years_smoked", "OS.time", "OS",
    ]  # fmt: skip
    assert "old" not in str(caught.value) and "TCGA-05-0001" in str(caught.value)
    with pytest.raises(DataError, match="age_years must be a number from 0 to 120"):
        tcga.read(biotab(tmp_path / "q.txt", {"age_at_initial_pathologic_diagnosis": "400"}))


def test_a_file_of_which_nothing_is_known_still_reads(tmp_path):
    nothing = {c[1]: "[Not Available]" for c in COLUMNS if c[1] != "bcr_patient_barcode"}
    table, rows = one(tmp_path, nothing)
    assert rows["onlm"].isna().all() and len(rows) == 1
    with pytest.raises(DataError, match="none of 1 patients is left by the surrogate's rules"):
        tcga.surrogate_cohort(table)


def test_the_verb_takes_the_folder_last_wherever_the_option_stands(tmp_path, capsys):
    first, second = (
        biotab(tmp_path / "a.txt", {}),
        biotab(tmp_path / "b.txt", {"bcr_patient_barcode": "TCGA-18-0001", "pathologic_N": "N1"}),
    )
    cdr = resource(tmp_path / "cdr.csv", {}, {"bcr_patient_barcode": "TCGA-18-0001"})
    both = [first, second]
    for i, words in enumerate(
        ([*both, "--cdr", cdr, "DIR"], ["--cdr", cdr, *both, "DIR"], [*both, "DIR", "--cdr", cdr])
    ):
        folder = tmp_path / f"study{i}"
        assert main(["tcga", *[str(folder if w == "DIR" else w) for w in words]]) == 0
        assert len(load_cohort(folder)) == 2 and main(["check", str(folder)]) == 0
    assert main(["tcga", str(first)]) == 2
    assert "wanted at least one biotab file, and the folder" in capsys.readouterr().err
    assert main(["tcga", str(first), str(second)]) == 2
    assert "'b.txt' is a file; wanted a folder" in capsys.readouterr().err


def test_own_columns_are_new_and_declared_after_treatment_unless_they_lie_before():
    names = [c.name for c in tcga.EXTRA_COLUMNS]
    assert len(set(names)) == len(names) and not set(names) & {c.name for c in schema.COLUMNS}
    before = {c.name for c in tcga.EXTRA_COLUMNS if c.timing == "pre_treatment"}
    assert before == {
        "race", "ethnicity", "prior_malignancy", "smoking_start_year", "smoking_stop_year", "diagnosis_year",
        "laterality",
    }  # fmt: skip
