"""The notebooks about other hospitals and other people's models: their words agree with their numbers."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pandas as pd
import pytest
from test_notebooks import NOTEBOOKS, drawn, executed, outputs, said

from onlm_lab import elsewhere
from onlm_lab.cli import main
from onlm_lab.errors import DataError, OnlmError

LESS = 0.0005  # of a number told with three digits


def told(pattern: str, text: str) -> list[float]:
    """The numbers in the groups of a pattern that the text must have."""
    found = re.search(pattern, text)
    assert found, f"{pattern}\n\n{text}"
    return [float(group) for group in found.groups()]


def marked(figures: list[dict]) -> bool:
    """Whether every figure is marked as of made-up data."""
    return all(any("MADE-UP DATA" in a["text"] for a in f["layout"]["annotations"]) for f in figures)


@pytest.fixture(scope="module")
def external(trial, tmp_path_factory):
    """The cells of the notebook on external testing after they ran, and the folder in which they did."""
    folder = tmp_path_factory.mktemp("external")
    before = _files(trial)
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("ONLM_DEMO", str(trial))
        cells = executed("07_external_testing_and_sbrt.py", folder=folder)
    assert _files(trial) == before, "the run that predicts was touched"
    return cells, folder


def _files(trial: Path) -> list[str]:
    return sorted(str(path) for path in trial.rglob("*") if "ct" not in path.relative_to(trial).parts)


@pytest.fixture(scope="module")
def brought(tmp_path_factory):
    """The same of the notebook on anybody's predictions."""
    folder = tmp_path_factory.mktemp("brought")
    return executed("09_bring_your_own_predictions.py", folder=folder), folder


@pytest.mark.slow
def test_external_testing_refuses_its_own_patients_and_tells_the_level_from_the_order(external):
    cells, folder = external
    text = said(cells)
    assert re.search(r"cannot predict these patients:\n3 \(MT-\d+, MT-\d+, MT-\d+\) of \d+ taught the run", text)
    assert "bear an id that a training patient has too, with other values: taken for other people" in text
    assert not (folder / "mixed_up" / "predictions").exists()
    assert "every patient is predicted without CT, with a wider spread" in text

    _, low, _ = told(r"for each N\+ patient that was predicted, (\S+) \((\S+) to (\S+)\) were seen", text)
    assert low > 1.2, "the notebook says that far more have N+ than were promised"
    came = told(r"as they came: observed : expected (\S+) \((\S+) to (\S+)\)", text)
    moved = told(r"with the update of C\d: observed : expected (\S+) \((\S+) to (\S+)\)", text)
    assert abs(moved[0] - 1) < abs(came[0] - 1) and moved[1] < 1 < moved[2]

    shown = [o["data"]["text/plain"] for o in outputs(cells) if "text/plain" in o.get("data", {})]
    states = next(one for one in shown if "cross-fitted" in one)
    assert told(r"after \(apparent\)\s+(\S+) \(", states) == [1.0], "right by construction"
    assert told(r"before\s+(\S+) \(", states)[0] > 1.2

    spread = next(one for one in shown if "without CT" in one)
    with_ct, without = told(r"50%\s+(\S+)\s+(\S+)", spread)
    assert without > with_ct


@pytest.mark.slow
def test_patients_after_sbrt_have_a_risk_no_label_and_an_outcome(external):
    cells, folder = external
    text = said(cells)
    assert re.search(r"(\d{3}) patients after SBRT, 0 with a label\.", text)
    assert "Incidence of regional (nodal) recurrence by 3 years, other events competing: low risk" in text
    assert "SBRT patients have no pathological N" in text and "Observational" in text
    assert "the AUC among the others would be" in text
    figures = drawn(cells)
    assert len(figures) == 5 and marked(figures)
    about = json.loads(next((folder / "other_hospitals" / "predictions").glob("*/about.json")).read_text())
    assert about["made_up"] and f"'n': {about['n']}" in text and f"'n_external': {about['n_external']}" in text


@pytest.mark.slow
def test_anybodys_predictions_are_analysed_and_read_back_to_the_same_numbers(brought, tmp_path):
    cells, folder = brought
    text = said(cells)
    n, n_positive = map(int, re.search(r"(\d+) eligible patients after surgery, (\d+) N\+", text).groups())
    assert text.count("patient_id,risk,split") == 1 and "\n0001," in text
    file, here = told(r"AUC from the file (\S+) \(.*\), here (\S+) \(", text)
    assert abs(file - here) < LESS

    honest = told(r"out of fold: AUC (\S+) \((\S+) to (\S+)\)", text)
    apparent = told(r"apparent: AUC (\S+) \((\S+) to (\S+)\)", text)
    assert apparent[0] > 0.95 > honest[2] and abs(honest[0] - here) < LESS
    assert "is above 0.95, which is a reason to look for a leak" in text

    turned = told(r"AUC (\S+) \(\S+ to \S+\)\n*$", text.rstrip())
    assert abs(turned[0] - (1 - honest[0])) < 2 * LESS, "the risk of N0"
    assert len(drawn(cells)) == 4 and marked(drawn(cells))

    out, home = tmp_path / "again.json", folder / "own_hospital"
    assert main(["analyse", str(folder / "predictions.csv"), "--clinical", str(home / "clinical.csv"),
                 "--followup", str(home / "followup.csv"), "--out", str(out)]) == 0  # fmt: skip
    again, kept = (json.loads(path.read_text()) for path in (out, folder / "results.json"))
    assert again["model"]["roc"] == kept["model"]["roc"] and kept["model"]["roc"]["n"] == n
    assert kept["model"]["roc"]["n_events"] == n_positive


@pytest.mark.slow
def test_every_broken_file_of_the_notebook_is_refused_with_what_to_do(brought):
    text = said(brought[0])
    wanted = ("numbers up to 100 look like percent: divide every risk by 100", "numbers below 0 look like log odds",
              "Keep one row of each", "lack the zeros that the clinical table has (1 for 0001)",
              "column 'probability' is not known")  # fmt: skip
    assert [words for words in wanted if words not in text] == []
    assert text.count("read without a word") == 1


def test_the_notebook_on_sbrt_says_what_may_not_be_said():
    words = (NOTEBOOKS / "07_external_testing_and_sbrt.py").read_text(encoding="utf-8").replace("\n# ", " ")
    wanted = ("the risk *is* the probability of recurrence", "Nobody drew lots", "no confidence interval",
              "nobody can say whether the hospital's update holds for them")  # fmt: skip
    assert [sentence for sentence in wanted if sentence not in words] == []


@pytest.fixture
def files(tmp_path):
    """A clinical table with numbered patients and a file of predictions for them."""
    table = pd.DataFrame({"patient_id": [f"{i:03}" for i in range(1, 9)], "centre": "A"})
    table.to_csv(tmp_path / "clinical.csv", index=False)
    predictions = table[["patient_id"]].assign(risk=[0.02, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7])
    return predictions, tmp_path / "predictions.csv", tmp_path / "clinical.csv"


def read(predictions: pd.DataFrame, path: Path, clinical: Path) -> pd.DataFrame:
    predictions.to_csv(path, index=False)
    return elsewhere.read_predictions(path, clinical=clinical)


def test_a_plain_file_of_two_columns_is_read_as_external(files):
    rows = read(*files)
    assert rows["split"].eq("external").all() and len(rows) == 8


def test_risks_in_percent_are_called_percent_and_stay_as_they_are(files):
    predictions, *paths = files
    with pytest.raises(DataError, match=r"predictions\.csv: numbers up to 100 look like percent") as met:
        read(predictions.assign(risk=100 * predictions["risk"]), *paths)
    assert met.value.faults[0].startswith("predictions.csv: risk must be a number from 0 to 1")


def test_log_odds_are_called_log_odds(files):
    predictions, *paths = files
    with pytest.raises(DataError, match=r"numbers below 0 look like log odds: a risk is 1 / \(1 \+ exp\(-x\)\)"):
        read(predictions.assign(risk=predictions["risk"] * 10 - 5), *paths)


def test_numbers_that_are_neither_get_no_guess(files):
    predictions, *paths = files
    for wrong in (predictions["risk"] * 1e4, predictions["risk"].astype(object).where(predictions.index > 0, "high")):
        with pytest.raises(DataError) as met:
            read(predictions.assign(risk=wrong), *paths)
        assert not any("look like" in fault for fault in met.value.faults)


def test_ids_that_lost_their_zeros_are_told_from_ids_that_nobody_knows(files):
    predictions, *paths = files
    with pytest.raises(OnlmError, match=r"8 patient_ids lack the zeros .*\(1 for 001\).*patient_id as text"):
        read(predictions.assign(patient_id=predictions["patient_id"].astype(int)), *paths)
    with pytest.raises(OnlmError, match="are not in the cohort"):
        read(predictions.assign(patient_id=[f"X{i}" for i in range(8)]), *paths)
