"""The locked test set from the first split to the second opening: nothing is seen before, everything is on record."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tomllib

import ipywidgets as widgets
import numpy as np
import pandas as pd
import pytest
import tomli_w

from onlm_lab import analysis, app, opening, pipeline, plan, runs, schema, split_files
from onlm_lab.analysis import battery
from onlm_lab.cohort.locked import close_rows, hidden_columns, read_openings
from onlm_lab.cohort.splits import hold_out, make_folds
from onlm_lab.errors import OnlmError
from onlm_lab.panels import patients
from onlm_lab.study import Analysis, load_study, starter_toml
from onlm_lab.virtual import write_trial

KEPT = ("age_years",)


@pytest.fixture
def study(tmp_path):
    """A study's folder with a finished run: the split is real, the predictions are made up."""
    rng = np.random.default_rng(1)
    n = 160
    cohort = pd.DataFrame({
        "patient_id": [f"P{i:03d}" for i in range(n)], "centre": rng.choice(["A", "B"], n), "arm": "surgery",
        "age_years": rng.normal(65, 8, n).round(1), "onlm": (rng.random(n) < 0.3).astype(float),
        "onlm_missing_reason": None, "pathological_n": rng.choice(["N0", "N1"], n),
        "os_days": rng.integers(10, 3000, n).astype(float), "os_event": rng.integers(0, 2, n).astype(float),
    })  # fmt: skip
    schema.write_table(cohort, tmp_path / "work" / "cohort.csv")
    write_run(tmp_path / "runs" / "run-a", cohort=cohort)
    return tmp_path


def write_run(folder, *, cohort, seed=3):
    parts = hold_out(cohort, external_centres=["B"], locked_fraction=0.4, seed=seed)
    rows = cohort.merge(parts, on="patient_id")
    folds = make_folds(rows, n_folds=3, seed=seed)
    split_files.write_split(folder, folds=folds, parts=parts, facts={"seed": seed})
    (folder / "study.toml").write_text(starter_toml(name="x", made_up=True, seed=seed, sections={}), encoding="utf-8")
    locked = rows["part"] == "locked"
    roles = {"development": "labelled", "locked": "test", "external": "external"}
    rows = rows.assign(role=rows["part"].map(roles))
    hidden = hidden_columns(rows, keep=KEPT)
    schema.write_table(close_rows(rows, locked=locked, hidden=hidden), folder / "patients.csv")
    rng = np.random.default_rng(seed)
    risk = (0.1 + 0.4 * cohort["onlm"] + 0.4 * rng.random(len(cohort))).round(6)
    split = rows["role"].map({"labelled": "oof"}).fillna(rows["role"])
    predictions = pd.DataFrame({
        "patient_id": rows["patient_id"], "model_id": "clinical", "split": split, "repeat": 0, "risk": risk,
        "threshold": 0.4, "predicted_positive": (risk >= 0.4).astype(float),
    })  # fmt: skip
    schema.write_table(predictions, folder / "predictions.csv")
    return runs.Run(folder)


def open_(study, run="run-a", purpose="final test"):
    cohort = runs.read_csv(study / "work" / "cohort.csv")
    return opening.open_set(
        runs.Run(study / "runs" / run), cohort=cohort, log=study / "openings.csv", purpose=purpose, keep=KEPT
    )


PLAN = Analysis(bootstrap=5, subgroups=("centre",), bins={}, endpoints=("os",))


def analysed(study, run="run-a"):
    handle = runs.Run(study / "runs" / run)
    return battery.analyse(handle.rows(), plan=PLAN, openings=handle.openings)["clinical"]


def test_before_it_is_opened_no_label_and_no_outcome_of_the_set_is_to_be_had(study):
    run = runs.Run(study / "runs" / "run-a")
    locked = run.patients[run.patients["part"] == "locked"]
    assert len(locked) > 20 and run.openings == []
    assert locked[["onlm", "pathological_n", "os_days", "os_event"]].isna().all(axis=None)
    found = analysed(study)
    assert set(found["by_split"]) == {"external"}
    with pytest.raises(OnlmError, match=r"none of the .* patients has a known onlm"):
        analysis.roc(run.rows(split="test"))


def test_opening_shows_the_truth_of_the_set_to_this_run_and_its_results_beside_the_others(study):
    before = analysed(study)
    opened = open_(study)
    cohort = runs.read_csv(study / "work" / "cohort.csv").set_index("patient_id")
    run = runs.Run(study / "runs" / "run-a")
    for name in ("onlm", "pathological_n", "os_days", "os_event"):
        assert run.patients.set_index("patient_id")[name].tolist() == cohort[name].tolist()
    found = analysed(study)
    assert set(found["by_split"]) == {"external", "test"} and found["about"]["main_split"] == "oof"
    truth = run.rows(split="test").assign(onlm=lambda t: t["patient_id"].map(cohort["onlm"]))
    test = found["by_split"]["test"]
    assert test["roc"]["auc"]["value"] == analysis.roc(truth).auc.value > 0.6
    assert test["roc"]["n"] == opened.n_patients and test["kaplan_meier"]["os"]["surgery"]["n"] == opened.n_patients
    assert test["about"]["n_openings"] == 1 and "warning" not in test["about"]
    for name in ("roc", "assess_calibration", "kaplan_meier", "cox"):
        assert found[name] == before[name], "the results of development do not change with the opening"


def test_pages_offer_the_locked_set_only_once_it_is_opened_and_pool_it_with_nothing(study):
    run = runs.Run(study / "runs" / "run-a")
    arm = patients.of_arm(run.rows(), model="clinical", arm="surgery")
    assert patients.splits_of(run.rows()) == ("oof", "external") and set(arm["split"]) == {"oof"}
    open_(study)
    assert patients.splits_of(run.rows()) == ("oof", "test", "external")
    pd.testing.assert_frame_equal(patients.of_arm(run.rows(), model="clinical", arm="surgery"), arm)


def test_later_years_are_a_testing_set_of_their_own_on_the_pages_as_in_the_results():
    rows = pd.DataFrame({
        "patient_id": list("abcdef"), "model_id": "m", "risk": 0.2, "onlm": [1.0, 0, 1, 0, 1, 0], "arm": "surgery",
        "split": ["oof", "oof", "external", "external", "external", "external"],
        "part": ["development", "development", "external", "external", "temporal", "temporal"],
    })  # fmt: skip
    assert patients.splits_of(rows) == ("oof", "external", "temporal") == tuple(battery.testing_sets(rows))
    assert patients.tested(rows, split="temporal")["patient_id"].tolist() == ["e", "f"]
    assert patients.tested(rows, split="external")["patient_id"].tolist() == ["c", "d"]


def test_the_page_says_how_often_the_set_was_opened(study):
    def said():
        page = app.performance(runs.Run(study / "runs" / "run-a"))
        return " ".join(w.value for w in walk(page) if isinstance(w, widgets.HTML))

    def walk(widget):
        return [widget, *(found for child in getattr(widget, "children", ()) for found in walk(child))]

    assert "locked test set" not in said()
    open_(study)
    assert "the locked test set of this study was opened once." in said()
    open_(study)
    assert "opened 2 times: no longer an untouched test." in said()


def test_a_second_opening_is_allowed_numbered_and_said_loudly(study):
    open_(study)
    second = open_(study, purpose="after a new idea")
    assert second.number == 2 and "ATTENTION: this is opening 2" in opening.loud(second)
    about = analysed(study)["by_split"]["test"]["about"]
    assert about["n_openings"] == 2 and "opened 2 times" in about["warning"]
    assert [o["purpose"] for o in about["openings"]] == ["final test", "after a new idea"]


def test_a_new_run_does_not_forget_that_the_set_was_opened_and_does_not_see_it_without_opening_it(study):
    open_(study)
    cohort = runs.read_csv(study / "work" / "cohort.csv")
    other = write_run(study / "runs" / "run-b", cohort=cohort)
    assert other.patients.loc[other.patients["part"] == "locked", "onlm"].isna().all()
    assert open_(study, run="run-b").number == 2


def test_other_predictions_close_the_set_again(study):
    open_(study)
    path = study / "runs" / "run-a" / "predictions.csv"
    path.write_text(path.read_text(encoding="utf-8").replace("0.4,", "0.41,", 1), encoding="utf-8")
    run = runs.Run(study / "runs" / "run-a")
    assert run.openings == [] and run.remembered["openings"]
    assert run.patients.loc[run.patients["part"] == "locked", "onlm"].isna().all()


def test_a_record_from_which_a_run_s_opening_was_removed_is_refused(study):
    open_(study)
    (study / "openings.csv").unlink()
    with pytest.raises(OnlmError, match="opening 1 is remembered by a run and is no longer in the record"):
        open_(study)
    assert not (study / "openings.csv").exists()


def test_a_run_that_cannot_be_asked_whether_it_was_opened_says_so(study):
    open_(study)
    path = study / "runs" / "run-a" / "opening.json"
    for strange in (path.read_text(encoding="utf-8")[:50], "[]", "{}"):
        path.write_text(strange, encoding="utf-8")
        with pytest.raises(OnlmError, match=r"Run run-a: opening.json is not as it was written"):
            open_(study)


def test_killed_between_the_record_and_the_look_nothing_is_shown_and_the_record_stays(study, monkeypatch):
    def killed(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(opening.schema, "write_table", killed)
    with pytest.raises(KeyboardInterrupt):
        open_(study)
    run = runs.Run(study / "runs" / "run-a")
    assert len(read_openings(study / "openings.csv")) == 1 and run.openings == []
    assert run.patients.loc[run.patients["part"] == "locked", "onlm"].isna().all()
    monkeypatch.undo()
    assert open_(study).number == 2 and len(run.openings) == 2


def test_an_edited_split_or_missing_predictions_are_not_opened_and_leave_no_line(study):
    run = study / "runs" / "run-a"
    predictions = (run / "predictions.csv").read_text(encoding="utf-8")
    kept = [line for line in predictions.splitlines(keepends=True) if ",test," not in line]
    (run / "predictions.csv").write_text("".join(kept), encoding="utf-8")
    with pytest.raises(OnlmError, match=r"predictions.csv: (\d+) of \1 locked patients have no prediction"):
        open_(study)
    parts = (run / "parts.csv").read_text(encoding="utf-8")
    (run / "parts.csv").write_text(parts.replace(",locked", ",development", 1), encoding="utf-8")
    with pytest.raises(OnlmError, match=r"parts.csv no longer fits the SHA-256"):
        open_(study)
    assert not (study / "openings.csv").exists() and not (run / "opened.csv").exists()


def test_a_cohort_that_lost_locked_patients_is_not_opened(study):
    cohort = runs.read_csv(study / "work" / "cohort.csv")
    schema.write_table(cohort.iloc[:40], study / "work" / "cohort.csv")
    with pytest.raises(OnlmError, match=r"has a label of \d+ of the \d+ locked patients; wanted each"):
        open_(study)


# --- the whole way, by the command line ------------------------------------------------------------------------------


def onlm(*words):
    command = [sys.executable, "-m", "onlm_lab.cli", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A made-up trial with an external centre, a temporal cut and a locked set, taken through `onlm run`."""
    folder = write_trial(
        tmp_path_factory.mktemp("locked") / "study", n_patients=320, n_centres=5, seed=3, tables_only=True
    )
    said = tomllib.loads((folder / "study.toml").read_text(encoding="utf-8"))
    said["training"] |= {"folds": 3, "epochs": 5, "patience": 2}
    said["analysis"] = {"bootstrap": 5, "subgroups": ["sex"], "bins": {}}
    said["split"] = {"external_centres": ["C4"], "temporal_from_year": 2023, "locked_fraction": 0.3}
    (folder / "study.toml").write_text(tomli_w.dumps(said), encoding="utf-8")
    code, words = onlm("run", folder)
    assert code == 0, words
    return folder


@pytest.mark.slow
def test_a_trial_with_all_parts_goes_from_split_to_second_opening(finished):
    run = runs.open_run(finished)
    cohort = runs.read_csv(finished / "work" / "cohort.csv").set_index("patient_id")
    rows = run.predictions.merge(run.patients[["patient_id", "part", "arm", "role"]], on="patient_id")
    surgery = rows[rows["role"] != "unlabelled"]
    assert surgery.groupby("part")["split"].unique().map(list).to_dict() == {
        "development": ["oof"], "external": ["external"], "temporal": ["external"], "locked": ["test"]
    }  # fmt: skip
    assert (rows.loc[rows["arm"] == "sbrt", "split"] == "unlabelled").all()
    assert (cohort.loc[rows.loc[rows["part"] == "external", "patient_id"], "centre"] == "C4").all()
    assert rows.loc[rows["split"] != "oof", "fold"].isna().all()

    locked = set(rows.loc[rows["part"] == "locked", "patient_id"])
    for path in [p for p in run.folder.rglob("*.csv") if p.name != "patients.csv"]:
        table = pd.read_csv(path, dtype=str)
        assert "onlm" not in table.columns and "pathological_n" not in table.columns, path
    shown = run.patients[run.patients["patient_id"].isin(locked)]
    late = ["onlm", "pathological_n", "nodes_examined", "treatment", "lvi", "followup_days", "died", "os_days"]
    assert shown[late].isna().all(axis=None) and shown["age_years"].notna().all()
    assert set(run.results["clinical"]["by_split"]) == {"external", "temporal"}

    code, words = onlm("open-test", finished, "--purpose", "final test", "--by", "A. Reader")
    assert code == 0 and "for the first time" in words and "test (" in words, words
    test = run.results["clinical"]["by_split"]["test"]
    assert test["roc"]["n"] == len(locked) and test["about"]["n_openings"] == 1
    expected = analysis.roc(
        rows[rows["split"] == "test"].assign(onlm=lambda t: t["patient_id"].map(cohort["onlm"])).drop(columns="role"),
        model="clinical",
    )
    assert test["roc"]["auc"]["value"] == expected.auc.value

    code, words = onlm("open-test", finished, "--purpose", "again")
    assert code == 0 and "ATTENTION: this is opening 2" in words
    assert "opened 2 times" in run.results["clinical"]["by_split"]["test"]["about"]["warning"]
    assert [o.purpose for o in read_openings(finished / "openings.csv")] == ["final test", "again"]

    code, words = onlm("run", finished)
    assert code == 0 and words.count("nothing changed, kept") == 6, words
    log = (finished / "openings.csv").read_text(encoding="utf-8")
    (finished / "openings.csv").write_text(log.replace("final test", "rehearsal"), encoding="utf-8")
    code, words = onlm("open-test", finished, "--purpose", "third")
    assert code == 2 and "line 2 is not as it was written" in words and "Traceback" not in words

    (finished / "openings.csv").unlink()
    code, words = onlm("analyse", finished)
    assert code == 2 and "opening 1, 2 is remembered by a run and is no longer in the record" in words

    (finished / "openings.csv").write_text(log, encoding="utf-8")
    said = tomllib.loads((finished / "study.toml").read_text(encoding="utf-8"))
    said["training"]["epochs"] = 4
    other = finished.with_name("other")
    shutil.copytree(finished, other)
    (other / "study.toml").write_text(tomli_w.dumps(said), encoding="utf-8")
    code, words = onlm("run", other)
    assert code == 0 and "has been opened 2 times before this training" in words, words
    now = runs.Run(plan.run_of(load_study(other)).folder)
    parts = now.dealt.parts.set_index("patient_id")["part"]
    assert now.id != run.id and set(parts.index[parts == "locked"]) == locked and now.openings == []

    said["study"]["seed"] = 99
    (other / "study.toml").write_text(tomli_w.dumps(said), encoding="utf-8")
    begun = pipeline.begin_run(load_study(other))
    parts = begun.dealt.parts.set_index("patient_id")["part"]
    assert begun.id != now.id and set(parts.index[parts == "locked"]) == locked, "another seed moves nobody"

    study = load_study(finished)
    split = (run.folder / "split.csv").read_text(encoding="utf-8")
    (run.folder / "split.csv").write_text(split.replace(",0,0\n", ",0,1\n", 1), encoding="utf-8")
    with pytest.raises(OnlmError, match=r"split.csv no longer fits the SHA-256"):
        pipeline.analyse(study, say=lambda line: None)
    assert json.loads((run.folder / "split.json").read_text(encoding="utf-8"))["counts"]["locked"] == {"n": len(locked)}


@pytest.mark.slow
def test_opening_needs_a_finished_run_and_a_locked_set(tmp_path):
    folder = write_trial(tmp_path / "study", n_patients=60, n_centres=2, seed=3, tables_only=True)
    code, words = onlm("open-test", folder, "--purpose", "x")
    assert code == 2 and "step 'check' is not done. Run `onlm run study` first" in words
    code, words = onlm("open-test", folder)
    assert code == 2 and "--purpose" in words
