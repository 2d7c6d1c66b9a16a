"""The report's methods: design, predictors, sample size, split, models, measures; and the card that says the same."""

from __future__ import annotations

import hashlib
import json
import shutil

import numpy as np
import pandas as pd
import pytest
from made_run import write_run

from onlm_lab import analysis, schema
from onlm_lab.analysis import battery
from onlm_lab.cli import main
from onlm_lab.learning.clinical import ClinicalEncoder
from onlm_lab.report import write
from onlm_lab.report.design import design
from onlm_lab.report.explanation import explanation
from onlm_lab.report.material import gather
from onlm_lab.report.measures import measures
from onlm_lab.report.model_card import write_model_card
from onlm_lab.report.performance_by_set import performance
from onlm_lab.report.predictors import coding, predictors
from onlm_lab.report.provenance import software
from onlm_lab.report.sample_size import sample_size
from onlm_lab.report.section import Section
from onlm_lab.report.specification import model_specification
from onlm_lab.report.summary import summary_lines
from onlm_lab.report.testing import testing as split_section
from onlm_lab.runs import Run
from onlm_lab.split_files import write_split
from onlm_lab.steps import write_text

FINAL = {"threshold": 0.0834, "calibrator": {"intercept": -0.25, "slope": 0.9, "n": 123, "n_positive": 34, "note": ""}}


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Run:
    return write_run(tmp_path_factory.mktemp("made") / "runs" / "run-a", n_surgery=200, n_sbrt=40)


@pytest.fixture
def copied(run, tmp_path) -> Run:
    shutil.copytree(run.folder, tmp_path / "run")
    return Run(tmp_path / "run")


def material(run):
    return gather(run, work=run.folder / "work")


def rows(section: Section, *, number: int = 0) -> dict[str, dict[str, str]]:
    """A table of a section: first cell -> column -> cell."""
    table = [block for block in section.blocks if block.kind == "table"][number]
    plain = [[cell.replace("\u00a0", " ") for cell in row] for row in table.rows]
    return {row[0].strip(): dict(zip(table.columns, row, strict=True)) for row in plain}


def text(section: Section) -> str:
    return " ".join(block.text for block in section.blocks if block.kind == "text")


def held_out(run: Run, *, n: int = 60) -> Run:
    """The first n patients of surgery become external."""
    patients, whole = run.patients, run.split
    held = np.arange(len(patients)) < n
    ids = patients["patient_id"][held]
    parts = patients[["patient_id"]].assign(part=np.where(held, "external", "development"))
    write_split(run.folder, folds=whole[~whole["patient_id"].isin(ids)], parts=parts, facts={"seed": 3})
    told = pd.read_csv(run.folder / "predictions.csv", dtype={"patient_id": str})
    told.loc[told["patient_id"].isin(ids), ["split", "fold"]] = ["external", np.nan]
    told.to_csv(run.folder / "predictions.csv", index=False)
    schema.write_table(patients.assign(part=parts["part"]), run.folder / "patients.csv")
    return Run(run.folder)


def test_the_design_tells_arms_centres_and_years_of_the_patients(run):
    said = design(material(run))
    brief, years = rows(said), rows(said, number=1)
    assert brief["Centres"]["This study"].startswith("4 hospitals") and "SBRT" in brief["Arms"]["This study"]
    for centre, of in run.patients.groupby("centre"):
        treated = f"{of['treatment_year'].min()} to {of['treatment_year'].max()}"
        assert (years[centre]["Patients of this run"], years[centre]["Treated in"]) == (str(len(of)), treated)
    assert "not on file" in text(said) and "ethics approval" in text(said)


def test_a_study_without_sbrt_does_not_speak_of_sbrt_patients(copied):
    surgery = copied.patients[copied.patients["arm"] == "surgery"]
    told = copied.predictions
    schema.write_table(surgery, copied.folder / "patients.csv")
    schema.write_table(told[told["patient_id"].isin(surgery["patient_id"])], copied.folder / "predictions.csv")
    made = [make for make in write.SECTIONS if make.__name__ in ("design", "reference_standard", "limits")]
    said = " ".join(text(make(material(copied))) for make in made)
    assert "SBRT patients" not in said and "SBRT" not in rows(design(material(copied)))["Arms"]["This study"]


def test_a_predictor_is_told_as_the_encoder_codes_it(run):
    patients = run.patients.query("arm == 'surgery'").assign(cea_ng_ml=2.0 + np.arange(200) % 7, ctr=1.0)
    names = ("age_years", "sex", "total_diameter_mm", "cea_ng_ml", "ctr")
    inputs = ClinicalEncoder.fit(patients, predictors=names).inputs
    by_name = {item.column: item for item in inputs}
    assert by_name["total_diameter_mm"].log_offset == 1 and "log2(value + 1)" in coding(patients, "total_diameter_mm")
    assert by_name["cea_ng_ml"].log_offset == 0.5 and "log2(value + 0.5)" in coding(patients, "cea_ng_ml")
    assert by_name["age_years"].log_offset is None and coding(patients, "age_years").startswith("minus the mean")
    level = by_name["sex"].level
    other = ({"female", "male"} - {level}).pop()
    assert coding(patients, "sex") == f"a sign for each of {level} against {other}"
    assert "ctr" not in by_name and "left out" in coding(patients, "ctr")
    assert coding(patients, "suv_max") == "not in the table of this run"


def test_histology_of_the_resection_is_not_called_known_before_treatment(copied):
    patients = copied.patients.assign(histology="adenocarcinoma", histology_source="biopsy")
    toml = '[study]\nname = "S"\n[label]\nsurrogate = true\n[training]\npredictors = ["age_years", "histology"]\n'
    write_text(copied.folder / "study.toml", toml)
    for source, known in (("biopsy", "before treatment"), ("resection", "from the resection: not before treatment")):
        schema.write_table(patients.assign(histology_source=source), copied.folder / "patients.csv")
        assert rows(predictors(material(copied)))["Histology"]["Known"] == known


def test_sample_size_tells_what_the_criteria_ask_of_these_patients(run):
    from onlm_lab.analysis.anticipated_fit import r2_of_c_statistic

    known = run.patients[run.patients["onlm"].notna()]
    n, events = len(known), int(known["onlm"].sum())
    said = sample_size(material(run))
    assert f"{n} labelled patients of development, {events} of them N+" in text(said)
    k = 3  # age, total diameter and nodule type; the other predictors are not in this table
    assert f"3 clinical predictors with {k} candidate parameters, {events / k:.1f} N+ a parameter" in text(said)
    r2 = r2_of_c_statistic(0.8, prevalence=events / n)
    found = analysis.sample_size_binary(n_parameters=k, prevalence=events / n, r2_cox_snell=r2, n=n, n_events=events)
    row = rows(said)["0.80"]
    assert row["Patients needed to develop"] == f"{found.n_required:,}"
    assert row["Shrinkage expected here (1: none)"] == f"{found.shrinkage_at_n:.2f}"
    more = int(rows(said)["0.70"]["Patients needed to develop"].replace(",", ""))
    assert more > found.n_required, "the worse a model is, the more patients it needs"


def test_every_step_has_its_patients_and_events(copied):
    run = held_out(copied)
    said = rows(split_section(material(run)), number=1)
    label = run.patients.set_index("patient_id")["onlm"]
    folds = run.split
    for number, fold in enumerate(sorted(folds["fold"].unique()), start=1):
        out = label[folds.loc[folds["fold"] == fold, "patient_id"]]
        rest = label[folds.loc[folds["fold"] != fold, "patient_id"]]
        row = said[f"outer fold {number}, tested"]
        assert (row["Patients"], row["N+"]) == (str(len(out)), str(int(out.sum())))
        assert row["Risk told by"] == f"models of {len(rest)} others ({int(rest.sum())} N+)"
    external = label.iloc[:60]
    row = said["external testing, labelled"]
    assert (row["Patients"], row["N+"], row["Risk told by"]) == ("60", str(int(external.sum())), "final model")
    assert said["without a label: tested by outcome"]["N+"] == "not known"


def test_out_of_fold_and_final_model_stand_in_tables_of_their_own(run, copied):
    alone = performance(material(run))
    assert "There is no external testing in this run" in text(alone)
    said = performance(material(held_out(copied)))
    captions = [block.caption for block in said.blocks if block.kind == "table"]
    assert captions[0].startswith("Internal testing, out-of-fold: risks by models of the folds")
    assert captions[1].startswith("External testing, other centres: risks by the final model") and len(captions) == 2
    assert "no external testing" not in text(said)
    told = Run(copied.folder).rows()
    for number, split in enumerate(("oof", "external")):
        roc = analysis.roc(told[(told["split"] == split) & (told["model_id"] == "fused")])
        auc = roc.auc_logit if roc.prefer_logit else roc.auc
        row = rows(said, number=number)["fused"]
        assert row["N+ / patients"] == f"{roc.n_events} / {roc.n}"
        assert row["AUC"] == f"{auc.value:.2f} ({auc.low:.2f} to {auc.high:.2f})"


def test_the_summary_says_where_the_models_were_tested(run, copied):
    assert "No external testing" in dict(summary_lines(material(run)))["Testing"]
    said = dict(summary_lines(material(held_out(copied))))["Testing"]
    assert said == "Internal testing (out-of-fold), 140 patients; external testing, 60 patients."


def test_the_model_section_tells_this_run_s_calibration_loss_and_final_models(copied):
    text = (copied.folder / "study.toml").read_text(encoding="utf-8")
    changed = '\n[model]\nmode = "finetune"\n[training]\ncalibration = "temperature"\nloss = "weighted"\n'
    write_text(copied.folder / "study.toml", text + changed)
    write_text(copied.folder / "calibration.json", json.dumps({"models": {"fused": {"final": FINAL, "folds": []}}}))
    said = model_specification(material(Run(copied.folder)))
    settings = {name: row["This run"] for name, row in rows(said).items()}
    assert settings["Calibration"].startswith("one temperature")
    assert settings["Class imbalance"].startswith("N+ weigh more in the loss")
    assert "AdamW" in settings["Training"] and "Clinical model: heads" in settings["Training"]
    final = rows(said, number=1)["fused"]
    assert (final["N+ / patients"], final["Threshold"], final["Slope"]) == ("34 / 123", "8.3 %", "0.90")


def test_a_plain_run_says_platt_and_nothing_against_imbalance(run):
    settings = {name: row["This run"] for name, row in rows(model_specification(material(run))).items()}
    assert settings["Calibration"].startswith("Platt's") and settings["Class imbalance"].startswith("none")
    assert "full batch" in settings["Training"] and "AdamW" not in settings["Training"]


def test_measures_tell_the_plan_and_leave_out_outcomes_where_nobody_was_followed(run, copied):
    said = measures(material(run))
    assert rows(said)["Bootstrap"]["Stated"] == "50 samples of patients" and "Endpoints" in rows(said)
    assert any(row[0] == "Hazard ratios" for block in said.blocks if block.kind == "table" for row in block.rows)
    patients = copied.patients
    kept = [c for c in patients if not c.endswith(("_event", "_state", "_days"))]
    schema.write_table(patients[kept], copied.folder / "patients.csv")
    said = measures(material(copied))
    assert "Endpoints" not in rows(said) and "Hazard ratios" not in rows(said, number=1)


def test_effects_are_told_as_how_far_the_risk_of_a_patient_moves(copied):
    assert "was not looked at" in text(explanation(material(copied)))
    table = pd.DataFrame(
        [("A", "age_years", "40", 0.10), ("A", "age_years", "80", 0.30), ("B", "age_years", "40", 0.20),
         ("B", "age_years", "80", 0.15), ("A", "sex", "male", 0.10), ("A", "sex", "female", 0.14),
         ("B", "sex", "male", 0.20), ("B", "sex", "female", 0.22)],
        columns=["patient_id", "predictor", "value", "risk"],
    ).assign(model_id="fused")  # fmt: skip
    table.to_csv(copied.folder / "effects.csv", index=False)
    found = rows(explanation(material(copied)))
    assert list(found) == ["Age (years)", "Sex"], "what moves most comes first"
    moved = "Risk moves by, points: median (quartiles)"
    assert found["Age (years)"][moved].startswith("12.5 (") and found["Sex"][moved].startswith("3.0 (")
    assert found["Age (years)"]["Risk is highest"] == "at the higher value in 1 of 2 (50 %)"
    assert found["Sex"]["Risk is highest"] == "at female in 2 of 2 (100 %)"


def test_the_model_card_holds_the_numbers_and_the_words_of_the_report(copied):
    patients = copied.patients
    role = patients["onlm"].notna().map({True: "labelled", False: "unlabelled"})
    schema.write_table(patients.assign(role=role), copied.folder / "patients.csv")
    write_text(copied.folder / "calibration.json", json.dumps({"models": {"fused": {"final": FINAL, "folds": []}}}))
    run = Run(copied.folder)
    battery.write_results(battery.analyse(run.rows(), plan=run.study.analysis, seed=1), run.folder / "results.json")
    card = write_model_card(run, work=run.folder / "work")[0].read_text(encoding="utf-8")
    for model, row in rows(performance(material(run))).items():
        line = next(text for text in card.splitlines() if text.startswith(f"| {model} | internal testing"))
        cells = [cell.strip() for cell in line.split("|")[1:-1]]
        assert cells[4:] == [row[k] for k in ("AUC", "Observed : expected", "Slope", "Sensitivity", "Specificity")]
        assert f"{cells[3]} / {cells[2]}" == row["N+ / patients"]
    order = [text.split("|")[1].strip() for text in card.splitlines() if "| internal testing" in text]
    assert order == list(material(run).models)
    settings = rows(model_specification(material(run)))
    assert settings["Images"]["This run"].split(";")[0] in card and "| fused | 0.083 |" in card
    assert "Data and their licence | made-up data" in card and "report.html beside this card" in card


def test_a_surrogate_card_asks_another_question_and_says_what_was_known_too_late(copied):
    patients = copied.patients.assign(histology="adenocarcinoma", histology_source="resection")
    role = patients["onlm"].notna().map({True: "labelled", False: "unlabelled"})
    schema.write_table(patients.assign(role=role), copied.folder / "patients.csv")
    toml = '[study]\nname = "S"\n[label]\nsurrogate = true\n[training]\npredictors = ["histology"]\n'
    write_text(copied.folder / "study.toml", toml)
    said = {"fused": {"about": {"main_split": "oof"}, "not_done": {}}}
    write_text(copied.folder / "results.json", json.dumps(said))
    card = write_model_card(Run(copied.folder), work=copied.folder / "work")[0].read_text(encoding="utf-8")
    assert "a surrogate of occult N+" in card and "Is there cancer in lymph nodes that look clean" not in card
    assert "Partly post-operative: histology" in card


def test_where_nobody_is_left_to_compare_no_empty_figure_is_drawn(copied):
    from onlm_lab.report.evidence import tells
    from onlm_lab.report.robustness import TOO_FEW_TO_COMPARE, mistakes

    assert tells(mistakes(material(copied)))
    told = copied.predictions
    schema.write_table(told.assign(predicted_positive=1.0), copied.folder / "predictions.csv")
    said = mistakes(material(copied))
    assert TOO_FEW_TO_COMPARE in text(said) and not tells(said)


def test_the_table_of_centres_holds_the_numbers_that_its_figures_draw(run):
    from onlm_lab.report.centres import centres

    found = analysis.by_centre(run.rows(split="oof"), model="fused").table
    shown = rows(centres(material(run)))
    assert (found["auc"].notna()).any()
    for row in found.itertuples():
        told = "too few" if np.isnan(row.auc) else f"{row.auc:.2f} ({row.low:.2f} to {row.high:.2f})"
        assert shown[row.centre]["AUC"] == told and shown[row.centre]["N+ / patients"] == f"{row.n_positive} / {row.n}"


def test_the_command_writes_the_report_of_a_run_by_its_folder_and_leaves_nothing_else_there(run, tmp_path, monkeypatch):
    folder = tmp_path / "study" / "runs" / "run-a"
    shutil.copytree(run.folder, folder)
    write_text(folder / "results.json", json.dumps({"fused": {"about": {"main_split": "oof"}, "not_done": {}}}))
    before = {path.name for path in folder.iterdir()}
    monkeypatch.setattr(write, "SECTIONS", tuple(s for s in write.SECTIONS if s.__name__ in ("design", "limits")))
    assert main(["report", str(folder)]) == 0
    made = {"report.html", "checklist.csv", "model_card.md", "model_card.html"}
    assert {path.name for path in folder.iterdir()} == before | made
    assert not (tmp_path / "study" / "work").exists()


def test_the_tables_that_came_in_have_their_checksums_beside_those_of_the_run(copied, tmp_path):
    study = tmp_path / "study"
    (study / "work").mkdir(parents=True)
    (study / "clinical.csv").write_text("patient_id\nP1\n", encoding="utf-8")
    sums = rows(software(gather(copied, work=study / "work")))
    told = hashlib.sha256(b"patient_id\nP1\n").hexdigest()
    assert sums["clinical.csv (as it came)"]["SHA-256"] == told and "followup.csv (as it came)" not in sums
    assert "predictions.csv" in sums and "clinical.csv (as it came)" not in rows(software(material(copied)))
