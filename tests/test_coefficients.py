"""The clinical-only model as a JSON file: the same risks as the network's, without torch, and what it never saw."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from onlm_lab.errors import OnlmError
from onlm_lab.learning import coefficients, predict
from onlm_lab.learning.calibrate import Platt, Temperature
from onlm_lab.learning.clinical import ClinicalEncoder
from onlm_lab.learning.coefficients import ClinicalModel, clinical_coefficients, load_clinical_model
from onlm_lab.learning.model import Batch, OnlmModel
from onlm_lab.learning.ranges import training_ranges
from onlm_lab.learning.validate import FINAL, Material, Task, calibrated, fit_frozen
from onlm_lab.study import Study, Training

PREDICTORS = ("age_years", "cea_ng_ml", "sex", "smoking", "central_location", "lymphocytes")
N_SEEDS = 5


def patients(n=80, seed=0, *, strange=False):
    """Cells are missing here and there; `strange` rows have levels that no training row had, and far values."""
    rng = np.random.default_rng(seed)
    table = pd.DataFrame({
        "patient_id": [f"P{i:03d}" for i in range(n)],
        "age_years": rng.uniform(40, 85, n),
        "cea_ng_ml": np.exp(rng.normal(size=n)),
        "sex": rng.choice(["female", "male"], n),
        "smoking": rng.choice(["never", "former", "current"], n),
        "central_location": rng.integers(0, 2, n).astype(float),
        "lymphocytes": rng.uniform(1, 3, n),
    })  # fmt: skip
    for name in PREDICTORS:
        table.loc[rng.random(n) < 0.15, name] = None
    if strange:
        table.loc[::3, "smoking"] = "pipe"
        table.loc[::4, "cea_ng_ml"] = 9e4
    return table


def torch_risks(table, *, encoder, weights, bias, calibrator):
    """What the network says, seed by seed, and predict.py makes of it."""
    values, missing = (torch.from_numpy(part) for part in encoder.transform(table))
    logits = []
    for w, b in zip(weights, bias, strict=True):
        model = OnlmModel(n_clinical=values.shape[1], n_features=0, project=False, width=0).eval()
        with torch.no_grad():
            model.clinical_linear.weight.copy_(torch.from_numpy(w)[None])
            model.bias.copy_(torch.tensor([b]))
            logits.append(model(Batch(None, values, missing, torch.zeros(len(values)), ())).double().numpy())
    task = Task("clinical", 0, FINAL, np.arange(0), np.arange(len(table)))
    return predict.risk_rows(
        np.stack(logits), task=task, ids=table["patient_id"].tolist(), calibrator=calibrator, threshold=0.2,
        ood=np.zeros(len(table)),
    )  # fmt: skip


@pytest.fixture(scope="module")
def parts():
    table = patients()
    encoder = ClinicalEncoder.fit(table, predictors=PREDICTORS)
    rng = np.random.default_rng(1)
    return {
        "encoder": encoder,
        "weights": (0.4 * rng.normal(size=(N_SEEDS, 2 * len(encoder.inputs)))).astype(np.float32),
        "bias": rng.normal(size=N_SEEDS).astype(np.float32) - 1,
        "calibrator": Platt(intercept=-0.3, slope=0.9, n=80, n_positive=20),
    }


def build(parts, **changes):
    given = {
        "threshold": 0.2, "target_sensitivity": 0.95, "model_id": "clinical", "study": "A study", "made_up": True,
        "ranges": training_ranges(parts["encoder"], patients(), units={"lymphocytes": "10^9/L"}),
        **{name: value for name, value in parts.items() if name != "encoder"}, **changes,
    }  # fmt: skip
    return clinical_coefficients(parts["encoder"], **given)


@pytest.fixture(scope="module")
def model(parts):
    return build(parts)


@pytest.mark.parametrize("calibrator", [None, Temperature(slope=0.7, n=80, n_positive=20)])
def test_risks_from_json_are_those_of_the_network(parts, calibrator):
    parts = parts | ({"calibrator": calibrator} if calibrator else {})
    again = ClinicalModel.from_json(build(parts).to_json())
    for seed in range(4):
        table = patients(200, seed=10 + seed, strange=seed % 2 == 1)
        if seed == 3:
            table = table.assign(age_years=np.nan, sex=None)
        expected = torch_risks(table, **parts)
        found = again.risk(table)
        assert found["patient_id"].tolist() == expected["patient_id"].tolist()
        for name in ("risk", "risk_low", "risk_high"):
            np.testing.assert_allclose(found[name], expected[name], rtol=0, atol=1e-6)
        assert found["risk"].std() > 0.05


def test_risks_are_those_that_predictions_csv_holds_for_a_trained_model():
    """From training to JSON: fit_frozen's states, its calibrator, and the rows that predict.py writes."""
    rng = np.random.default_rng(3)
    table = patients(120, seed=3)
    onlm = (rng.random(120) < 0.3).astype(float)
    table["cea_ng_ml"] *= np.exp(onlm)
    learn, apply = np.arange(90), np.arange(90, 120)
    task = Task("clinical", 0, FINAL, learn, apply)
    study = Study(folder=Path(), training=Training(predictors=PREDICTORS, epochs=8, patience=8))
    fitted = fit_frozen(task, material=Material(patients=table, onlm=onlm), study=study)
    calibrator, threshold = calibrated(fitted, task=task, onlm=onlm, sensitivity=0.95)
    rows = predict.risk_rows(
        fitted.apply_logit, task=task, ids=table["patient_id"].tolist(), calibrator=calibrator, threshold=threshold,
        ood=fitted.ood,
    )  # fmt: skip
    (encoder,) = fitted.encoders
    made = clinical_coefficients(
        encoder, weights=fitted.states["clinical_linear.weight"], bias=fitted.states["bias"], calibrator=calibrator,
        threshold=threshold, target_sensitivity=0.95, ranges=training_ranges(encoder, table.iloc[learn]),
        model_id="clinical", study="A study", made_up=True,
    )  # fmt: skip
    found = made.risk(table.iloc[apply])
    for name in ("risk", "risk_low", "risk_high"):
        np.testing.assert_allclose(found[name].to_numpy(), rows[name].to_numpy(), rtol=0, atol=1e-6)
    assert (made.n, made.n_positive) == (90, int(onlm[learn].sum()))


def test_the_spread_holds_the_risk_and_is_not_shown_of_few_seeds(parts, model):
    table = patients(50, seed=5)
    found = model.risk(table)
    assert ((found["risk_low"] <= found["risk"]) & (found["risk"] <= found["risk_high"])).all()
    far = {"weights": np.zeros((40, parts["weights"].shape[1])), "bias": np.r_[np.zeros(39), 200.0]}
    alone = build(parts | far).risk(table)
    assert (alone["risk"] > alone["risk_low"]).all() and (alone["risk_high"] == alone["risk"]).all(), "one seed far off"
    few = build(parts | {"weights": parts["weights"][:4], "bias": parts["bias"][:4]}).risk(table)
    assert few[["risk_low", "risk_high"]].isna().all(axis=None) and few["risk"].notna().all()
    assert coefficients.MIN_SPREAD == predict.MIN_SPREAD


def test_terms_are_the_model_as_one_logistic_regression_in_the_columns_own_units(model):
    """By hand from the table of terms alone, for patients with every cell and for one with none."""
    table = patients(60, seed=6)
    known = table.dropna().reset_index(drop=True)
    terms = model.terms().set_index("input")
    x = {
        "age_years": known["age_years"], "cea_ng_ml": np.log2(known["cea_ng_ml"] + 0.5),
        "central_location": known["central_location"], "lymphocytes": known["lymphocytes"],
        **{f"{c}={v}": (known[c] == v).astype(float) for c in ("sex", "smoking") for v in known[c].unique()},
    }  # fmt: skip
    names = [name for name in terms.index if name != "intercept"]
    logit = terms.loc["intercept", "coefficient"] + sum(terms.loc[name, "coefficient"] * x[name] for name in names)
    np.testing.assert_allclose(model.risk(known)["risk"], 1 / (1 + np.exp(-logit)), atol=1e-6)
    nobody = known.iloc[:1].assign(**dict.fromkeys(PREDICTORS, None))
    put = terms.loc[names]
    logit = (
        terms.loc["intercept", "coefficient"] + (put["coefficient"] * put["mean"] + put["missing_coefficient"]).sum()
    )
    assert model.risk(nobody)["risk"].iloc[0] == pytest.approx(1 / (1 + np.exp(-logit)), abs=1e-6)
    assert terms.loc["cea_ng_ml", "transform"] == "log2(cea_ng_ml + 0.5)"
    assert terms.loc["age_years", "unit"] == "years" and terms.loc["lymphocytes", "unit"] == "10^9/L"
    assert (np.log(put["odds_ratio"]) - put["coefficient"]).abs().max() < 1e-12


def test_a_positive_coefficient_raises_the_risk(parts, model):
    terms = model.terms().set_index("input")
    for name in ("age_years", "cea_ng_ml", "central_location"):
        table = patients(1).assign(**{name: 0.0}), patients(1).assign(**{name: 60.0})
        low, high = (model.risk(t)["risk"].iloc[0] for t in table)
        assert np.sign(high - low) == np.sign(terms.loc[name, "coefficient"]) != 0


def test_ranges_are_those_of_the_training_rows(model):
    found = {known.column: known for known in model.ranges}
    age = patients()["age_years"].dropna()
    known = found["age_years"]
    assert (known.lowest, known.highest) == (age.min(), age.max())
    assert (known.p1, known.p99) == pytest.approx((age.quantile(0.01), age.quantile(0.99)))
    assert (known.n_known, known.n_missing, known.unit) == (len(age), 80 - len(age), "years")
    assert found["smoking"].levels == ("current", "former", "never") and found["smoking"].lowest is None
    assert found["cea_ng_ml"].unit == "ng/mL" and found["cea_ng_ml"].description
    assert model.columns == list(PREDICTORS)


def test_what_lies_outside_the_training_rows_is_listed_and_what_lies_inside_or_is_missing_is_not(model):
    assert model.outside_range(patients()).empty, "the training rows themselves"
    table = patients(4).assign(
        age_years=[60.0, 17.0, np.nan, 60.0], cea_ng_ml=[1.0, 9e4, 1.0, 1.0], smoking=["never", None, "pipe", "former"]
    )
    found = model.outside_range(table)
    assert list(found.columns) == ["row", "column", "value", "low", "high", "wanted"]
    assert found[["row", "column", "value"]].values.tolist() == [
        [1, "age_years", 17.0], [1, "cea_ng_ml", 9e4], [2, "smoking", "pipe"],
    ]  # fmt: skip
    ages = patients()["age_years"]
    assert found.loc[0, ["low", "high"]].tolist() == [ages.min(), ages.max()]
    assert found.loc[0, "wanted"] == f"from {ages.min():g} to {ages.max():g} years"
    assert found.loc[2, "wanted"] == "one of current, former, never" and np.isnan(found.loc[2, "low"])


def test_the_file_says_what_it_is_and_comes_back_the_same(model, tmp_path):
    path = tmp_path / "clinical_model.json"
    path.write_text(model.to_json(), encoding="utf-8")
    assert load_clinical_model(path) == model
    said = json.loads(path.read_text(encoding="utf-8"))
    assert said["use"].startswith("Research use only") and said["made_up"] is True
    assert (said["study"], said["n"], said["n_positive"], said["threshold"]) == ("A study", 80, 20, 0.2)
    assert len(said["inputs"][0]["weight"]) == len(said["bias"]) == N_SEEDS
    assert "missing = 1" in said["calculation"]
    assert "patient_id" not in path.read_text(encoding="utf-8") and "P001" not in path.read_text(encoding="utf-8")
    again = ClinicalModel.from_json(model.to_json()).to_json()
    assert again == model.to_json(), "the same model, the same bytes"


def test_a_program_needs_nothing_but_the_file_and_its_own_words(model):
    """Written from the sentence `calculation` alone, in plain Python."""
    from math import exp, log2

    said = json.loads(model.to_json())
    table = patients(40, seed=8, strange=True)
    risks = []
    for row in table.to_dict("records"):
        logits = []
        for s, logit in enumerate(said["bias"]):
            for item in said["inputs"]:
                cell = row[item["column"]]
                unknown = cell is None or cell != cell
                if item["level"] is not None:
                    unknown = unknown or cell not in item["levels"]
                    x = float(cell == item["level"])
                elif not unknown:
                    x = cell if item["log_offset"] is None else log2(cell + item["log_offset"])
                z = 0.0 if unknown else (x - item["mean"]) / item["std"]
                logit += item["weight"][s] * z + item["missing_weight"][s] * unknown
            logits.append(logit)
        mean = sum(logits) / len(logits)
        risks.append(1 / (1 + exp(-(said["calibrator"]["intercept"] + said["calibrator"]["slope"] * mean))))
    np.testing.assert_allclose(model.risk(table)["risk"], risks, atol=1e-6)


def test_it_is_used_without_torch_and_without_scikit_learn(model, tmp_path):
    path, table = tmp_path / "clinical_model.json", tmp_path / "patients.csv"
    path.write_text(model.to_json(), encoding="utf-8")
    patients(5).to_csv(table, index=False)
    script = (
        "import sys, pandas as pd\n"
        "from onlm_lab.learning.coefficients import load_clinical_model\n"
        f"model, table = load_clinical_model({str(path)!r}), pd.read_csv({str(table)!r})\n"
        "print(model.risk(table)['risk'].mean(), len(model.outside_range(table)), len(model.terms()))\n"
        "heavy = {'torch', 'timm', 'sklearn', 'safetensors'} & set(sys.modules)\n"
        "sys.exit(', '.join(heavy) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout.split()[0]) == pytest.approx(model.risk(patients(5))["risk"].mean(), abs=1e-6)


def test_cells_that_are_no_numbers_and_columns_that_lack_are_told_at_once(model):
    table = patients(3).astype({"age_years": object, "cea_ng_ml": object})
    table.loc[0, "age_years"], table.loc[[1, 2], "cea_ng_ml"] = "65", np.inf
    with pytest.raises(OnlmError, match=r"age_years: 1 of 3 .* \(such as '65'\); cea_ng_ml: 2 of 3 .* Wanted numbers"):
        model.risk(table)
    with pytest.raises(OnlmError, match="needs the column age_years, sex, and the table does not have it"):
        model.risk(patients(3).drop(columns=["age_years", "sex"]))


def test_parts_that_do_not_belong_together_are_refused(parts):
    with pytest.raises(OnlmError, match=r"has 5 biases and weights of shape \(5, 13\); wanted two weights of each of"):
        build(parts, weights=parts["weights"][:, 1:])
    with pytest.raises(OnlmError, match="weights that are not numbers"):
        build(parts, bias=np.full(N_SEEDS, np.nan))
    with pytest.raises(OnlmError, match="No training range of lymphocytes"):
        build(parts, ranges=training_ranges(parts["encoder"], patients())[:-1])


def test_a_file_that_is_no_such_model_says_so(model, tmp_path):
    with pytest.raises(OnlmError, match=r"clinical_model.json is not there; wanted .* Run `onlm train STUDY`"):
        load_clinical_model(tmp_path / "clinical_model.json")
    said = json.loads(model.to_json())
    for text, words in (
        ("{", r"model.json: A clinical model wants JSON"),
        ("[1]", r"wants the format 'onlm_lab clinical model, version 1'; got None"),
        (json.dumps({**said, "format": "version 9"}), "got 'version 9'"),
        (json.dumps({k: v for k, v in said.items() if k != "bias"}), "is damaged: 'bias' is missing"),
        (json.dumps({**said, "bias": said["bias"][1:]}), r"has 4 biases and weights of shape \(5, 14\)"),
    ):
        (tmp_path / "model.json").write_text(text, encoding="utf-8")
        with pytest.raises(OnlmError, match=words):
            load_clinical_model(tmp_path / "model.json")


def test_the_baseline_is_written_in_the_same_way():
    from onlm_lab.learning.baselines import fit_baseline

    rng = np.random.default_rng(9)
    table, onlm = patients(100, seed=9), (rng.random(100) < 0.3).astype(float)
    learn, apply = np.arange(70), np.arange(70, 100)
    task = Task("logistic", 0, FINAL, learn, apply)
    study = Study(folder=Path(), training=replace(Training(), predictors=PREDICTORS))
    fitted = fit_baseline(task, material=Material(patients=table, onlm=onlm), study=study)
    calibrator, threshold = calibrated(fitted, task=task, onlm=onlm, sensitivity=0.95)
    made = clinical_coefficients(
        fitted.encoders[0], weights=fitted.states["clinical_linear.weight"], bias=fitted.states["bias"],
        calibrator=calibrator, threshold=threshold, target_sensitivity=0.95, model_id="logistic", study="A study",
        ranges=training_ranges(fitted.encoders[0], table.iloc[learn]), made_up=False,
    )  # fmt: skip
    expected = calibrator.apply(fitted.apply_logit.mean(axis=0))
    np.testing.assert_allclose(made.risk(table.iloc[apply])["risk"], expected, atol=1e-9)
