"""`onlm recalibrate`, as a person types it."""

from __future__ import annotations

import json

import pandas as pd
import pytest
from made_run import write_run

from onlm_lab.cli import main


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return write_run(tmp_path_factory.mktemp("study") / "runs" / "run-a", n_surgery=400)


def test_a_run_is_recalibrated_to_one_centre_and_says_which_risks_these_are(run, tmp_path, capsys):
    words = ["recalibrate", str(run.folder), "--centre", "North", "--method", "intercept", "--out", str(tmp_path / "o")]
    assert main(words) == 0
    said = capsys.readouterr().out
    assert "these risks are out of fold" in said
    found = json.loads((tmp_path / "o" / "recalibration.json").read_text())
    n = int((run.patients["centre"].eq("North") & run.patients["onlm"].notna()).sum())
    assert (found["n"], found["chosen"], found["model_id"], found["mark"]) == (n, "intercept", "fused", "MADE-UP DATA")
    assert "North" in (tmp_path / "o" / "recalibration.html").read_text()


def test_the_update_moves_other_predictions_of_the_same_model(run, tmp_path, capsys):
    rows = run.rows(split="oof")
    rows = rows[rows["model_id"] == "clinical"].drop(columns=["part", "role"], errors="ignore")
    table = rows[["patient_id", "model_id", "split", "repeat", "risk", "onlm"]].assign(
        split="external", risk=rows["risk"] / 4
    )
    table.drop(columns="onlm").to_csv(tmp_path / "p.csv", index=False)
    run.patients[["patient_id", "centre", "onlm"]].to_csv(tmp_path / "labels.csv", index=False)
    out = tmp_path / "out"
    given = ["recalibrate", str(run.folder), "--model", "clinical", "--method", "both", "--out", str(out)]
    assert main([*given, "--apply", str(tmp_path / "p.csv")]) == 0
    found = json.loads((out / "recalibration.json").read_text())
    moved = pd.read_csv(out / "predictions.csv").set_index("patient_id")["risk"]
    assert moved.rank().tolist() == table.set_index("patient_id").loc[moved.index, "risk"].rank().tolist()
    assert found["slope"]["value"] > 0 and "risks of p.csv updated" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["--centre", "Nort"], "East, North, South. Did you mean 'North'?"),
        (["--model", "fuse"], "There is no model 'fuse'; there is clinical, fused, image. Did you mean 'fused'?"),
        (["--split", "external"], "There is no testing set 'external' with labels; there is oof."),
        (["--clinical", "x.csv"], "--clinical goes with a predictions.csv"),
    ],
)  # fmt: skip
def test_what_is_not_there_is_told_with_what_is(run, tmp_path, capsys, words, wanted):
    assert main(["recalibrate", str(run.folder), "--out", str(tmp_path / "o"), *words]) == 2
    assert wanted in capsys.readouterr().err


def test_predictions_without_labels_are_refused(run, tmp_path, capsys):
    run.predictions.to_csv(tmp_path / "p.csv", index=False)
    assert main(["recalibrate", str(tmp_path / "p.csv"), "--out", str(tmp_path / "o")]) == 2
    assert "p.csv has no labels (onlm). Give the clinical table with --clinical." in capsys.readouterr().err
