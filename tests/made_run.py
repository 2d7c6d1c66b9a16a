"""A run folder made from random numbers, for tests of pages and reports: plausible columns, nothing learned."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from onlm_lab.learning.calibrate import Platt
from onlm_lab.learning.clinical import ClinicalEncoder
from onlm_lab.learning.coefficients import clinical_coefficients
from onlm_lab.learning.ranges import training_ranges
from onlm_lab.runs import Run
from onlm_lab.split_files import write_split
from onlm_lab.study import starter_toml

MODELS = {"clinical": 0.9, "image": 1.3, "fused": 2.0}  # how much of the truth each risk carries
NASTY = "<img src=x onerror=window.pwned=1>"


def write_run(
    folder: Path, *, n_surgery: int = 240, n_sbrt: int = 80, seed: int = 11, made_up: bool = True,
    name: str = "A made-up study",
) -> Run:  # fmt: skip
    """Write study.toml, patients.csv, split.csv and predictions.csv into `folder` and open it as a run.

    One centre and one patient bear names that are HTML, so that every page shows whether it escapes them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    patients, truth = _patients(rng, n_surgery=n_surgery, n_sbrt=n_sbrt)
    text = starter_toml(name=name, made_up=made_up, seed=seed, sections={"analysis": {"bootstrap": 50}})
    (folder / "study.toml").write_text(text, encoding="utf-8")
    patients.to_csv(folder / "patients.csv", index=False)
    surgery = patients["arm"] == "surgery"
    fold = rng.integers(0, 5, size=len(patients))
    split = pd.DataFrame({"patient_id": patients["patient_id"], "repeat": 0, "fold": fold})
    parts = patients[["patient_id"]].assign(part="development")
    write_split(folder, folds=split[surgery], parts=parts, facts={"seed": seed})
    tables = [
        _predictions(rng, patients=patients, truth=truth, fold=fold, model=model, strength=strength)
        for model, strength in MODELS.items()
    ]
    pd.concat(tables).to_csv(folder / "predictions.csv", index=False)
    return Run(folder)


def tell_event_risk(run: Run) -> None:
    """Write event_risk.csv into the run: made-up probabilities that rise with the risk, at two horizons."""
    rows = run.rows()
    told = [
        pd.DataFrame({
            "patient_id": rows["patient_id"], "model_id": rows["model_id"], "endpoint": endpoint, "horizon_days": day,
            "event_risk": rows["risk"] / 2 + day / 20000, "fold": rows["fold"], "method": "made up", "note": "",
            "arm": rows["arm"],
        }) for endpoint in ("os", "rfs", "regional") for day in (365, 1095)
    ]  # fmt: skip
    pd.concat(told).to_csv(run.folder / "event_risk.csv", index=False)


def write_clinical_model(run: Run, *, predictors: tuple[str, ...] = ("age_years", "sex", "total_diameter_mm")) -> None:
    """Write clinical_model.json into the run: plain coefficients on its operated patients."""
    rows = run.patients.query("arm == 'surgery'").reset_index(drop=True)
    encoder = ClinicalEncoder.fit(rows, predictors=predictors)
    k, n_plus = len(encoder.inputs), int(rows["onlm"].sum())
    weights = np.concatenate([np.full((5, k), 0.4) + 0.02 * np.arange(5)[:, None], np.zeros((5, k))], axis=1)
    model = clinical_coefficients(
        encoder, weights=weights, bias=np.full(5, -1.5), calibrator=Platt(0.0, 1.0, len(rows), n_plus), threshold=0.1,
        target_sensitivity=0.95, ranges=training_ranges(encoder, rows), model_id="clinical", study=run.study.name,
        made_up=True,
    )  # fmt: skip
    (run.folder / "clinical_model.json").write_text(model.to_json(), encoding="utf-8")


def _patients(rng: np.random.Generator, *, n_surgery: int, n_sbrt: int) -> tuple[pd.DataFrame, np.ndarray]:
    n = n_surgery + n_sbrt
    arm = np.repeat(["surgery", "sbrt"], [n_surgery, n_sbrt])
    size = rng.uniform(8, 45, n)
    truth = rng.random(n) < 1 / (1 + np.exp(3.6 - 0.085 * size))
    death = rng.exponential(np.where(truth, 1900, 5200))
    cancer = rng.exponential(np.where(truth, 1500, 9000))
    regional = rng.exponential(np.where(truth, 2200, 12000))
    end = rng.uniform(500, 2400, n)
    centres = np.array(["North", "South", "East", NASTY])
    patients = pd.DataFrame({
        "patient_id": [f"P{i:04d}" for i in range(n)],
        "centre": centres[rng.integers(0, 4, n)],
        "treatment_year": rng.integers(2016, 2022, n),
        "age_years": rng.normal(64, 9, n).round().clip(30, 88),
        "sex": rng.choice(["female", "male"], n),
        "smoking": rng.choice(["never", "former", "current"], n),
        "total_diameter_mm": size.round(1),
        "nodule_type": rng.choice(["solid", "part_solid"], n, p=[0.7, 0.3]),
        "arm": arm,
        "onlm": np.where(arm == "surgery", truth.astype(float), np.nan),
        "onlm_missing_reason": np.where(arm == "surgery", "", "SBRT: no pathological N"),
    })  # fmt: skip
    patients.loc[0, "patient_id"] = NASTY

    def event(name: str, first: np.ndarray) -> None:
        patients[f"{name}_days"] = np.minimum(first, end).round().clip(1)
        patients[f"{name}_event"] = (first <= end).astype(int)

    def state(name: str, first: np.ndarray, other: np.ndarray) -> None:
        patients[f"{name}_days"] = np.minimum(np.minimum(first, other), end).round().clip(1)
        patients[f"{name}_state"] = np.where(np.minimum(first, other) > end, 0, np.where(first <= other, 1, 2))

    event("os", death)
    event("rfs", np.minimum(np.minimum(death, cancer), regional))
    state("recurrence", np.minimum(cancer, regional), death)
    state("regional", regional, np.minimum(death, cancer))
    chance = np.random.default_rng([n, n_sbrt])  # its own: what was drawn above stays as it was
    return patients.assign(**_treated(chance, patients=patients, truth=truth)), truth


def _treated(chance: np.random.Generator, *, patients: pd.DataFrame, truth: np.ndarray) -> dict[str, np.ndarray]:
    """Condition, stage and treatment: the small tumours more often sublobar, adjuvant after N+, never before day 30."""
    n, size, surgery = (
        len(patients),
        patients["total_diameter_mm"].to_numpy(),
        (patients["arm"] == "surgery").to_numpy(),
    )
    sublobar = chance.random(n) < np.where(size < 20, 0.5, 0.25)
    extent = np.where(sublobar, np.where(chance.random(n) < 0.7, "segmentectomy", "wedge"), "lobectomy")
    start = np.floor(chance.uniform(30, 150, n))
    given = surgery & truth & (chance.random(n) < 0.55) & (start < patients["rfs_days"].to_numpy())
    return {
        "kps": chance.choice([70.0, 80.0, 90.0, 100.0], n, p=[0.1, 0.2, 0.4, 0.3]),
        "clinical_t": np.select([size <= 10, size <= 20, size <= 30], ["T1a", "T1b", "T1c"], "T2a"),
        "treatment": np.where(surgery, extent, "sbrt"), "adjuvant": given.astype(float),
        "adjuvant_start_days": np.where(given, start, np.nan),
    }  # fmt: skip


def _predictions(
    rng: np.random.Generator, *, patients: pd.DataFrame, truth: np.ndarray, fold: np.ndarray, model: str,
    strength: float,
) -> pd.DataFrame:  # fmt: skip
    n = len(patients)
    logit = -2.6 + strength * truth + rng.normal(0, 0.9, n)
    risk = 1 / (1 + np.exp(-logit))
    surgery = (patients["arm"] == "surgery").to_numpy()
    threshold = np.where(surgery, 0.06 + 0.004 * fold, 0.07)
    return pd.DataFrame({
        "patient_id": patients["patient_id"], "model_id": model, "split": np.where(surgery, "oof", "unlabelled"),
        "repeat": 0, "fold": pd.array(np.where(surgery, fold, -1), dtype="Int64"), "risk": risk, "risk_raw": risk,
        "risk_low": (0.8 * risk), "risk_high": np.minimum(1, 1.2 * risk), "threshold": threshold,
        "predicted_positive": (risk >= threshold).astype(int), "ood_score": rng.random(n),
    }).assign(fold=lambda t: t["fold"].where(surgery))  # fmt: skip
