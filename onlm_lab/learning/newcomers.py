"""Patients of another study before a run's models: their table, their patches, and what of them is done already."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from onlm_lab import runs, steps
from onlm_lab.errors import OnlmError
from onlm_lab.patches import PatchCache, PatchSpec, open_cache
from onlm_lab.runs import Run

SPLITS = ("external", "unlabelled")
NEEDED = ("patient_id", "split")
OF_THE_RUN = ("weights.safetensors", "calibration.json", "study.toml", "patients.csv")


@dataclass(frozen=True, eq=False)
class Newcomers:
    """Patients to predict, sorted by patient_id, and what is seen of their CT."""

    patients: pd.DataFrame
    has_ct: np.ndarray  # (n,) bool
    cache: PatchCache | None
    folder: Path  # keeps finished parts
    shape: tuple[int, int, int]  # voxels of a patch

    @property
    def ids(self) -> list[str]:
        return self.patients["patient_id"].tolist()

    @property
    def facts(self) -> pd.DataFrame | None:
        """What was measured on each CT, NaN where there is none."""
        if self.cache is None or not self.cache.rows:
            return None
        known = self.cache.facts.set_index("patient_id")
        own = [patient for patient, ct in zip(self.ids, self.has_ct, strict=True) if ct]
        return known.loc[own].reindex(self.ids).rename_axis("patient_id").reset_index()

    def patches(self, rows: slice) -> np.ndarray:
        """HU float32 (n,D,D,D) of some patients, NaN where there is no CT."""
        has_ct = self.has_ct[rows]
        ids = [patient for patient, ct in zip(self.ids[rows], has_ct, strict=True) if ct]
        hu = np.full((len(has_ct), *self.shape), np.nan, dtype=np.float32)
        if ids:
            hu[has_ct] = self.cache.array(ids)
        return hu


def open_newcomers(out: Path, *, run: Run, cache: Path | None) -> Newcomers:
    """The patients of OUT/patients.csv with their patches, checked, and the folder OUT/partial for finished parts.

    Raises:
        OnlmError: the table cannot be used, or the patches are others than the run's, or lost.
    """
    path = out / "patients.csv"
    if not path.is_file():
        raise OnlmError(
            f"There is no patients.csv in '{out.name}'. Start with `onlm predict RUN STUDY`, which writes it."
        )
    patients = runs.read_csv(path)
    lost = [name for name in NEEDED if name not in patients]
    if lost:
        raise OnlmError(f"patients.csv has no column {', '.join(lost)}; wanted {', '.join(NEEDED)} and the predictors.")
    patients = patients.sort_values("patient_id", kind="stable", ignore_index=True)
    twice = patients.loc[patients["patient_id"].duplicated(), "patient_id"]
    if len(twice):
        raise OnlmError(f"patients.csv: {len(twice)} patients stand there more than once ({', '.join(twice[:5])}).")
    strange = sorted(set(patients["split"]) - set(SPLITS))
    if strange or patients.empty:
        got = f"split '{strange[0]}'" if strange else "no patient"
        raise OnlmError(f"patients.csv has {got}; wanted a row a patient, each with split {' or '.join(SPLITS)}.")
    opened = None if cache is None else open_cache(cache)
    known = np.zeros(len(patients), dtype=bool)
    if opened is not None:
        for name in ("size_mm", "spacing_mm"):
            cut, wanted = getattr(opened.spec, name), getattr(run.study.patch, name)
            if cut != wanted:
                raise OnlmError(
                    f"The patches were cut with {name} = {cut:g}; run {run.id} was trained with {wanted:g}. Set "
                    f"[patch] {name} = {wanted:g} in the study's study.toml, then start again."
                )
        known = patients["patient_id"].isin(opened.patient_ids).to_numpy()
        if "has_ct" in patients:
            wanted_ct = patients["has_ct"].to_numpy() == 1
            gone = patients.loc[wanted_ct & ~known, "patient_id"]
            if len(gone):
                raise OnlmError(
                    f"{len(gone)} of {int(wanted_ct.sum())} patients with a CT have no patch ({', '.join(gone[:5])}). "
                    "Prepare the images again."
                )
            known = wanted_ct
    inputs = steps.digest(
        path, *(run.folder / name for name in OF_THE_RUN), opened.digest if opened else "", torch.__version__,
    )  # fmt: skip
    shape = PatchSpec(size_mm=run.study.patch.size_mm, spacing_mm=run.study.patch.spacing_mm).shape
    return Newcomers(patients, known, opened, steps.folder_for(out / "partial", inputs=inputs), shape)


def taught_again(patients: pd.DataFrame, *, new: Newcomers, cache: Path | None) -> Newcomers | None:
    """The training patients with their patches, to be looked at again; None where not all of them are there."""
    if cache is None or not Path(cache).is_dir():
        return None
    opened = open_cache(cache)
    if opened.spec.shape != new.shape or not set(patients["patient_id"]) <= set(opened.patient_ids):
        return None
    folder = new.folder / "training patients"
    folder.mkdir(exist_ok=True)
    return Newcomers(patients, np.ones(len(patients), dtype=bool), opened, folder, new.shape)
