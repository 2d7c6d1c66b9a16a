"""A made-up study of tables alone that `onlm run` takes to the end in seconds: for tests of runs and their settings."""

from __future__ import annotations

import tomllib
from pathlib import Path

import tomli_w

from onlm_lab import virtual

TRAINING = {"models": ["clinical"], "baselines": [], "folds": 3, "seeds_per_fold": 1, "epochs": 5, "explain": False}


def write_small_study(folder: Path, *, n_patients: int = 160, **training: object) -> Path:
    """A study in `folder`, nothing of it done yet; `training` goes over TRAINING."""
    virtual.write_trial(folder, n_patients=n_patients, n_centres=2, seed=7, tables_only=True, progress=False)
    path = folder / "study.toml"
    said = tomllib.loads(path.read_text(encoding="utf-8"))
    said["training"] = said.get("training", {}) | TRAINING | training
    said["analysis"] = said.get("analysis", {}) | {"bootstrap": 20, "endpoints": ["os"]}
    path.write_text(tomli_w.dumps(said), encoding="utf-8")
    return folder
