"""event_risk.csv of a run: written when the risks are there, and read back as it was written."""

from __future__ import annotations

import pytest
from made_run import write_run

from onlm_lab import elsewhere, pipeline, runs
from onlm_lab.analysis import brier_survival, event_risk, event_risk_table
from onlm_lab.errors import OnlmError
from onlm_lab.study import load_study, starter_toml


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return write_run(tmp_path_factory.mktemp("run"))


@pytest.fixture
def written(run):
    path = pipeline._tell_events(run.rows(), study=run.study, run=run)
    yield run
    path.unlink()


def test_a_run_of_before_the_file_was_written_opens_and_says_how_to_make_it(run):
    assert len(runs.open_run(run.folder).rows())
    with pytest.raises(OnlmError, match=r"no event_risk.csv yet. Make it with `onlm analyse STUDY`"):
        run.event_risk()


def test_the_file_holds_every_model_endpoint_and_horizon_as_the_call_tells_them(written):
    found = written.event_risk()
    assert set(found["model_id"]) == {"clinical", "image", "fused"}
    assert set(found["endpoint"]) == {"os", "rfs", "recurrence", "regional"}
    assert set(found["horizon_days"]) == {365, 730, 1095, 1826} and set(found["arm"]) == {"surgery", "sbrt"}
    assert not found.duplicated(["patient_id", "model_id", "endpoint", "horizon_days"]).any()
    one = written.event_risk(endpoint="os", model="fused")
    called = event_risk(written.rows(), endpoint="os", model="fused", horizons_days=[365, 730, 1095, 1826])
    both = one.merge(called, on=["patient_id", "horizon_days"], suffixes=("", "_called"))
    assert len(both) == len(one) > 0
    assert both["event_risk"].to_numpy() == pytest.approx(both["event_risk_called"].to_numpy(), abs=1e-6, nan_ok=True)
    assert (one["note"] == "").all() and one["fold"].notna().all()


def test_the_file_goes_into_the_survival_measures_as_it_is(written):
    found = brier_survival(
        written.rows(), endpoint="os", horizons_days=[1095], event_risk=written.event_risk(), model="fused"
    )  # fmt: skip
    assert 0 < found["value"][0] < 0.3 and found["n_excluded"][0] == 0


def test_the_same_run_gives_the_same_bytes(written):
    path = written.folder / runs.EVENT_RISK
    before = path.read_bytes()
    pipeline._tell_events(written.rows(), study=written.study, run=written)
    assert path.read_bytes() == before


def test_the_studys_own_horizon_and_endpoints_are_asked(run, tmp_path):
    sections = {"analysis": {"horizon_days": 700, "endpoints": ["os"]}}
    (tmp_path / "study.toml").write_text(starter_toml(name="A", sections=sections), encoding="utf-8")
    study = load_study(tmp_path)
    pipeline._tell_events(run.rows(), study=study, run=runs.Run(tmp_path))
    found = runs.read_csv(tmp_path / runs.EVENT_RISK)
    assert {365, 700, 730, 1095, 1826} == set(found["horizon_days"]) and set(found["endpoint"]) == {"os"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.drop(columns="event_risk"), "event_risk.csv lacks the column event_risk"),
        (lambda t: t.assign(event_risk=t["event_risk"] * 100), "holds .* values that are no probability"),
        (lambda t: t.assign(horizon_days=365), "tells .* rows of a patient, model, endpoint and horizon twice"),
    ],
)
def test_a_file_that_is_not_as_it_was_written_is_refused(written, change, message):
    path = written.folder / runs.EVENT_RISK
    change(runs.read_csv(path)).to_csv(path, index=False)
    with pytest.raises(OnlmError, match=f"{message}.*Make it again with `onlm analyse STUDY`"):
        written.event_risk()


def test_an_unknown_endpoint_or_model_is_named_with_the_known_ones(written):
    with pytest.raises(OnlmError, match="has no endpoint 'oss'; it has os, rfs"):
        written.event_risk(endpoint="oss")
    with pytest.raises(OnlmError, match="has no model_id 'fuse'; it has"):
        written.event_risk(model="fuse")


def test_a_table_without_outcomes_has_an_event_risk_file_without_rows(run, tmp_path):
    bare = run.rows()[["patient_id", "model_id", "split", "repeat", "risk", "onlm"]]
    path = pipeline._tell_events(bare, study=run.study, run=runs.Run(tmp_path))
    assert path.read_text(encoding="utf-8").startswith("patient_id,model_id,endpoint,horizon_days,event_risk")
    assert runs.Run(tmp_path).event_risk().empty


def test_a_predictions_file_from_anywhere_is_told_in_memory(run, tmp_path):
    columns = ["patient_id", "risk", "os_days", "os_event"]
    one = run.rows().query("model_id == 'fused'")[columns]
    one.to_csv(tmp_path / "predictions.csv", index=False)
    rows = elsewhere.read_predictions(tmp_path / "predictions.csv")
    found = event_risk_table(rows, endpoints=["os", "regional"], horizon_days=1095)
    assert set(found["endpoint"]) == {"os"} and found["event_risk"].between(0, 1).all()
    assert set(found["fold"]) == set(range(5)), "nobody else is there: they are cross-fitted among themselves"


def test_the_pipeline_wrote_it_for_the_trial_and_keeps_it_as_an_output(trial, trial_run):
    import json

    said = json.loads((trial / "work" / "steps" / "analyse.json").read_text(encoding="utf-8"))
    assert f"runs/{trial_run.id}/event_risk.csv" in said["outputs"]
    trained = json.loads((trial / "work" / "steps" / "train.json").read_text(encoding="utf-8"))
    assert not [name for name in trained["outputs"] if name.endswith("event_risk.csv")]
    assert set(trial_run.event_risk()["model_id"]) == set(trial_run.predictions["model_id"])
