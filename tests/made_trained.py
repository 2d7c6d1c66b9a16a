"""A tiny run, trained in seconds, and another hospital's patients to predict: for tests of what is done with a run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from onlm_lab import patches, schema
from onlm_lab.learning.train import train_run
from onlm_lab.runs import Run
from onlm_lab.split_files import write_split
from onlm_lab.study import starter_toml

N, N_LABELLED = 48, 40
SPEC = patches.PatchSpec(size_mm=16.0, spacing_mm=1.0)
SECTIONS = {
    "patch": {"size_mm": 16.0, "spacing_mm": 1.0},
    "model": {"backbone": "test_resnet", "weights": "none", "image_px": 16, "field_mm": 16.0, "width": 4},
    "training": {
        "predictors": ["age_years", "sex", "cea_ng_ml"], "folds": 2, "epochs": 8, "patience": 8, "seeds_per_fold": 5,
        "ridge": 2.0, "baselines": ["logistic", "boosting"],
    },
}  # fmt: skip
FINETUNE = {
    **SECTIONS,
    "model": SECTIONS["model"] | {"mode": "finetune"},
    "training": SECTIONS["training"]
    | {"epochs": 2, "patience": 2, "batch_size": 8, "models": ["fused"], "baselines": [], "learning_rate": 0.01},
}


def patient_table(*, n: int = N, n_labelled: int = N_LABELLED, seed: int = 0, prefix: str = "P") -> pd.DataFrame:
    """Age and CEA say something about N+; some CEA are missing."""
    rng = np.random.default_rng(seed)
    onlm = (np.arange(n) % 3 == 0).astype(float)
    known = np.arange(n) < n_labelled
    return pd.DataFrame({
        "patient_id": [f"{prefix}{i:03d}" for i in range(n)],
        "centre": np.where(np.arange(n) % 2 == 0, "C1", "C2"),
        "age_years": np.round(65 + 8 * rng.normal(size=n) - 6 * onlm, 1),
        "sex": np.where(rng.random(n) < 0.5, "female", "male"),
        "cea_ng_ml": np.where(np.arange(n) % 11 == 5, np.nan, np.round(np.exp(rng.normal(size=n) + 1.5 * onlm), 2)),
        "onlm": np.where(known, onlm, np.nan),
        "arm": np.where(known, "surgery", "sbrt"),
        "role": np.where(known, "labelled", "unlabelled"),
    })  # fmt: skip


def write_cache(folder: Path, *, ids: list[str], seed: int = 1, noise_hu: float = 30.0) -> Path:
    """Noise around a ball of soft tissue, larger in N+."""
    patches.create_cache(folder, spec=SPEC)
    rng = np.random.default_rng(seed)
    radius = np.linalg.norm(np.mgrid[-7.5:8, -7.5:8, -7.5:8], axis=0)
    for i, patient in enumerate(ids):
        hu = np.where(radius < 3 + 2 * (i % 3 == 0), 40.0, -850.0) + rng.normal(0, noise_hu, size=radius.shape)
        facts = {"noise_hu": noise_hu + rng.normal(0, 2), "spacing_mm": 1.0, "thickness_mm": 1.0, "kvp": 120.0}
        patches.write_patch(folder, patient_id=patient, patch=hu, key="made up", facts=facts)
    return folder


def train_tiny(folder: Path, *, sections: dict = SECTIONS, cache: Path) -> Run:
    """A finished run in `folder`, which is made."""
    table = patient_table()
    folder.mkdir(parents=True)
    schema.write_table(table, folder / "patients.csv")
    labelled = table.loc[table["role"] == "labelled", "patient_id"].sort_values()
    split = pd.DataFrame({"patient_id": labelled, "repeat": 0, "fold": np.arange(len(labelled)) % 2})
    write_split(folder, folds=split, parts=table[["patient_id"]].assign(part="development"), facts={"seed": 3})
    (folder / "study.toml").write_text(starter_toml(name="tiny", made_up=True, seed=3, sections=sections))
    train_run(folder, cache=cache, progress=False)
    return Run(folder)
