"""The schema of results.json: made from the code, shipped with it, and told in the documentation."""

from __future__ import annotations

import copy
import csv
import json
import re
from pathlib import Path

import jsonschema
import pytest
from made_run import write_run

from onlm_lab import pipeline
from onlm_lab.analysis import battery
from onlm_lab.analysis.label_battery import label_calls
from onlm_lab.analysis.outcome_battery import outcome_calls
from onlm_lab.cli import main
from onlm_lab.cohort import nsclc_radiogenomics
from onlm_lab.report import results_schema as made
from onlm_lab.study import Analysis

DOCS = Path(__file__).resolve().parents[1] / "docs" / "results_json.md"


@pytest.fixture(scope="module")
def validator() -> jsonschema.Draft202012Validator:
    """Of the schema as it is shipped."""
    schema = json.loads(made.shipped_schema())
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    return write_run(tmp_path_factory.mktemp("made") / "run", n_surgery=160, n_sbrt=60).rows()


@pytest.fixture(scope="module")
def results(rows):
    """As results.json: through JSON and back."""
    plan = Analysis(bootstrap=20, risk_cuts=(0.1, 0.2), min_nodes=(10,), markers=("kps",), confounders=("age_years",))
    found = battery.analyse(rows, plan=plan, predictors=("age_years", "sex"), seed=1)
    return json.loads(json.dumps(found, allow_nan=False))


def faults(validator, results) -> list[str]:
    return ["/".join(map(str, e.absolute_path)) for e in validator.iter_errors(results)]


def test_the_shipped_schema_is_what_the_code_would_write_today():
    assert made.shipped_schema() == made.schema_text(), "write results.schema.json anew with schema_text()"


def test_the_results_of_a_made_run_are_valid(validator, results):
    assert faults(validator, results) == []
    assert {"roc", "cox", "compare_aucs", "reclassification", "associations", "outcome_card"} <= set(results["fused"])


def test_the_results_of_testing_sets_and_openings_are_valid(validator, rows):
    some = rows[rows["model_id"] == "fused"].assign(part="development")
    known = some.index[some["onlm"].notna()]
    some.loc[known[:60], ["split", "part"]] = ["external", "external"]
    some.loc[known[60:100], ["split", "part"]] = ["test", "locked"]
    opening = {"number": 1, "time_utc": "2026-01-01T00:00:00Z", "purpose": "look"}
    plan = Analysis(bootstrap=20, endpoints=())
    found = battery.analyse(some, plan=plan, seed=1, openings=[opening, opening | {"number": 2}])
    assert set(found["fused"]["by_split"]) == {"external", "test"}
    assert found["fused"]["by_split"]["test"]["about"]["n_openings"] == 2
    assert faults(validator, json.loads(json.dumps(found, allow_nan=False))) == []


def test_the_results_of_the_trial_are_valid(validator, trial_run):
    assert faults(validator, trial_run.results) == []


@pytest.mark.slow
def test_the_results_of_the_real_table_are_valid(validator, shared_data, tmp_path):
    table = next(shared_data("nsclc_radiogenomics").glob("*.csv"))
    run = pipeline.run(nsclc_radiogenomics.write_study(table, tmp_path / "study"), say=lambda _: None)
    assert faults(validator, run.results) == []
    with (run.folder / "checklist.csv").open(encoding="utf-8", newline="") as file:
        status = {(row["checklist"], row["item"]): row["status"] for row in csv.DictReader(file)}
    assert status["PROBAST+AI", "D3.1"] == status["PROBAST+AI", "D2.4"] == "not there", "surrogate, post-operative"
    assert status["CLAIM 2024", "13"] == "does not apply" and status["TRIPOD+AI", "20a"] == "in the report"


def test_every_call_that_a_run_may_make_is_in_the_schema(rows):
    plan = Analysis(risk_cuts=(0.1, 0.2), min_nodes=(10,), markers=("kps",), confounders=("age_years",))
    rows = battery.with_group(rows)
    rows.loc[rows.index[::7], "age_years"] = None
    asked = {"model": "fused", "plan": plan, "seed": 1}
    label = label_calls(rows, models=["fused", "image"], predictors=["age_years"], **asked)
    outcome = outcome_calls(rows, event_risk=lambda: None, **asked)
    names = {path.split("/")[0] for path in (*label, *outcome)} | {"net_benefit"}
    assert names == set(made.CALLS)


MUTATIONS = {
    "an AUC as text": (lambda m: m["roc"]["auc"].update(value="0.86"), "fused/roc/auc/value"),
    "an AUC above one": (lambda m: m["roc"]["auc"].update(value=1.2), "fused/roc/auc/value"),
    "no number of patients": (lambda m: m["roc"].pop("n"), "fused/roc"),
    "a number of patients below none": (lambda m: m["roc"].update(n=-1), "fused/roc/n"),
    "half a patient": (lambda m: m["operating_point"].update(n_tp=2.5), "fused/operating_point/n_tp"),
    "an unknown call": (lambda m: m.update(accuracy={"value": 0.9}), "fused"),
    "an unknown field": (lambda m: m["roc"].update(f1=0.5), "fused/roc"),
    "a table that is none": (lambda m: m["by_centre"].update(table={"auc": 1}), "fused/by_centre/table"),
    "an interval without its method": (lambda m: m["roc"]["auc"].pop("method"), "fused/roc/auc"),
    "nobody says who was tested": (lambda m: m.pop("about"), "fused"),
    "a refusal without words": (lambda m: m["not_done"].update({"cox/os/all": 3}), "fused/not_done/cox/os/all"),
    "a patient's row": (
        lambda m: m["confident_mistakes"].update(table=[{"patient_id": "P1"}]), "fused/confident_mistakes",
    ),
    "an estimate where a curve is due": (
        lambda m: m["kaplan_meier"]["os"].update(surgery={"value": 0.9}), "fused/kaplan_meier/os/surgery",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_file_that_was_changed_is_refused_where_it_was_changed(validator, results, name):
    change, where = MUTATIONS[name]
    wrong = {"fused": copy.deepcopy(results["fused"])}
    assert faults(validator, wrong) == []
    change(wrong["fused"])
    assert where in faults(validator, wrong)


def test_the_command_prints_the_schema_and_does_nothing_else(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["analyse", "--schema"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads(made.shipped_schema())
    assert not list(tmp_path.iterdir())


def test_the_command_without_a_study_says_what_is_wanted(capsys):
    assert main(["analyse"]) == 2
    assert "Name a study's folder or a predictions.csv" in capsys.readouterr().err


def test_the_documentation_names_every_call_and_its_example_is_valid(validator):
    text = DOCS.read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \|", text, flags=re.M)
    assert sorted(rows) == sorted(made.CALLS)
    example = json.loads(re.search(r"```json\n(.*?)```", text, flags=re.S).group(1))
    assert faults(validator, example) == []
    assert "`about`" in text and "`not_done`" in text and "`by_split`" in text
