"""Baselines on other patients: fitted anew from the run's own training rows, in seconds, to what they were.

The run keeps no trees. The same rows, the same seed and the same code give the same baseline; whether they did is seen
by its calibrator, which calibration.json holds. Where it is another one, the baseline is left out, with the reason.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from onlm_lab.errors import OnlmError
from onlm_lab.learning.baselines import fit_baseline
from onlm_lab.learning.calibrate import Calibrator, calibrator_from_dict
from onlm_lab.learning.predict import risk_rows
from onlm_lab.learning.taught import Taught
from onlm_lab.learning.validate import Material, calibrated

CLOSE = 1e-4  # of intercept and slope: another release of a library may round otherwise


def baseline_rows(
    name: str, *, new: pd.DataFrame, facts: pd.DataFrame | None, taught: Taught, final: dict[str, Any]
) -> tuple[pd.DataFrame, str]:
    """Rows of predictions.csv of a baseline or published score, or the reason why there are none.

    Their spread is the plain one, over seeds: what a hidden value could be is not in it. `image_facts` has no row for a
    patient without CT.

    Args:
        name: of [training] baselines, or of [scores].
        new: patients to predict, with `split`.
        facts: what was measured on their CT, aligned; None: nobody has one.
        taught: the training patients.
        final: calibration.json.
    """
    own = taught.material
    kept = np.arange(len(new))
    if name == "image_facts":
        if facts is None or own.facts is None:
            return pd.DataFrame(), f"the baseline {name}: no image facts of these patients or of the training patients."
        kept = np.flatnonzero(facts.drop(columns="patient_id").notna().any(axis=1))
    if not len(kept):
        return pd.DataFrame(), f"the baseline {name}: no patient has what it reads."
    n = len(own.onlm)
    material = Material(
        patients=pd.concat([own.patients, new.iloc[kept]], ignore_index=True),
        onlm=np.concatenate([own.onlm, np.full(len(kept), np.nan)]),
        facts=_joined(own.facts, facts, kept=kept),
    )
    task = taught.task(name, apply=np.arange(n, n + len(kept)))
    said = final["models"][name]["final"]
    wanted, threshold = calibrator_from_dict(said["calibrator"]), float(said["threshold"])
    try:
        fitted = fit_baseline(task, material=material, study=taught.study)
        found, _ = calibrated(
            fitted, task=task, onlm=material.onlm, sensitivity=taught.study.training.target_sensitivity,
            kind=wanted.kind,
        )  # fmt: skip
    except (KeyError, OnlmError) as error:
        return pd.DataFrame(), f"the baseline {name}: {error}"
    if not _same(found, wanted):
        return pd.DataFrame(), (
            f"the baseline {name}, fitted anew from the run's training rows, is not the one of the run: its calibrator "
            f"has slope {found.slope:.4g}, the run's {wanted.slope:.4g}. Use the versions that environment.txt names."
        )
    ood = fitted.ood
    if name == "image_facts":
        ood = taught.unlikeness_with_quality(ood, facts=facts.iloc[kept])
    patients = new.iloc[kept].reset_index(drop=True)
    return risk_rows(
        fitted.apply_logit, task=replace(task, apply=np.arange(len(kept))), ids=patients["patient_id"].tolist(),
        calibrator=wanted, threshold=threshold, ood=ood, splits=patients["split"].tolist(),
    ), ""  # fmt: skip


def _same(found: Calibrator, wanted: Calibrator) -> bool:
    pairs = ((found.intercept, wanted.intercept), (found.slope, wanted.slope))
    return all(math.isclose(a, b, rel_tol=CLOSE, abs_tol=CLOSE) for a, b in pairs)


def _joined(own: pd.DataFrame | None, new: pd.DataFrame | None, *, kept: np.ndarray) -> pd.DataFrame | None:
    """Facts of the training patients and, below them, of the new ones; in the training patients' columns."""
    if own is None:
        return None
    below = pd.DataFrame(index=range(len(kept))) if new is None else new.iloc[kept]
    below = below.reindex(columns=own.columns).reset_index(drop=True)
    return pd.concat([own.astype(object), below.astype(object)], ignore_index=True).infer_objects()
