"""The calls of one model that need the label, as results.json holds them: no patient's row, and each with its plan."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from onlm_lab import analysis
from onlm_lab.study import Analysis

GROUP = "predicted_group"
DOUBTS = {"log_odds_spread": ("risk_low", "risk_high"), "ood_score": ("ood_score",)}  # what a table must tell of them
Calls = dict[str, Callable[[], dict[str, Any]]]


def label_calls(
    rows: pd.DataFrame, *, model: str, models: Sequence[str], plan: Analysis, predictors: Sequence[str], seed: int
) -> Calls:  # fmt: skip
    """What is asked of one model's labelled patients, by the name of the call.

    Args:
        rows: of one testing set, of all models.
        model: whose numbers.
        models: all of them; each other one is compared with `model`.
        plan: the study's [analysis] stage.
        predictors: the columns whose missing values are looked at.
        seed: of the bootstraps.
    """
    one = rows[rows["model_id"] == model]
    present = set(one.columns[one.notna().any()])
    columns = [c for c in plan.subgroups if c in rows.columns]
    bins = {k: list(v) for k, v in plan.bins.items()}
    known = [c for c in predictors if c in rows.columns]
    chance = {"n_resamples": plan.bootstrap, "generator": np.random.default_rng(seed)}
    calls: Calls = {
        "roc": lambda: analysis.roc(one).to_dict(),
        "precision_recall": lambda: analysis.precision_recall(one, **chance).to_dict(),
        "operating_point": lambda: analysis.operating_point(one, **_at(one, prevalence=plan.prevalence)).to_dict(),
        "operating_points": lambda: analysis.operating_points(one, prevalence=plan.prevalence).to_dict(),
        "per_1000": lambda: analysis.per_1000(one, **_at(one, prevalence=plan.prevalence)).to_dict(),
        "assess_calibration": lambda: analysis.assess_calibration(one).to_dict(),
        "by_subgroup": lambda: analysis.by_subgroup(
            one, columns=columns, bins={k: v for k, v in bins.items() if k in columns}
        ).to_dict(),
        "calibration_by": lambda: {
            c: analysis.calibration_by(one, column=c, bins=bins.get(c)).to_dict() for c in columns
        },
        "by_centre": lambda: analysis.by_centre(one).to_dict(),
        "leave_one_out": lambda: analysis.leave_one_out(one).to_dict(),
        "confident_mistakes": lambda: _without_patients(analysis.confident_mistakes(one, **_at(one)).to_dict()),
    }  # fmt: skip
    unlike = [c for c in plan.fairness if c in present]
    if unlike:
        calls["fairness"] = lambda: analysis.fairness(
            one, columns=unlike, bins={k: v for k, v in bins.items() if k in unlike}, n_resamples=plan.bootstrap,
            generator=np.random.default_rng(seed),
        ).to_dict()  # fmt: skip
    doubts = [by for by, needed in DOUBTS.items() if present.issuperset(needed)]
    if doubts:
        calls["abstention"] = lambda: {by: analysis.abstention(one, by=by).to_dict() for by in doubts}
    if known and one[known].isna().any(axis=None):
        calls["missing_data_sensitivity"] = lambda: analysis.missing_data_sensitivity(one, columns=known).to_dict()
    if plan.min_nodes:
        calls["label_sensitivity"] = lambda: analysis.label_sensitivity(one, min_nodes=plan.min_nodes).to_dict()
    if plan.markers:
        calls["associations"] = lambda: analysis.associations(
            one, markers=plan.markers, adjust=plan.confounders
        ).to_dict()  # fmt: skip
    return calls | _comparisons(rows, model=model, others=[m for m in models if m != model], plan=plan, seed=seed)


def _comparisons(
    rows: pd.DataFrame, *, model: str, others: Sequence[str], plan: Analysis, seed: int
) -> Calls:  # fmt: skip
    if not others:
        return {}

    def of_each(compare: Callable[..., Any], **options: Any) -> Callable[[], dict[str, Any]]:
        return lambda: {b: compare(rows, model_a=model, model_b=b, **options).to_dict() for b in others}

    calls: Calls = {
        "compare_aucs": of_each(analysis.compare_aucs),
        "compare_net_benefit": of_each(
            analysis.compare_net_benefit, thresholds=plan.thresholds, n_bootstrap=plan.bootstrap,
            generator=np.random.default_rng(seed),
        ),
    }  # fmt: skip
    if GROUP in rows.columns:  # thresholds chosen here on the same patients would compare nothing
        calls["compare_operating_points"] = of_each(analysis.compare_operating_points)
    if plan.risk_cuts:  # model_a is the old one there
        calls["reclassification"] = lambda: {
            b: analysis.reclassification(rows, model_a=b, model_b=model, cuts=plan.risk_cuts).to_dict() for b in others
        }
    return calls


def _at(rows: pd.DataFrame, **options: Any) -> dict[str, Any]:
    """Each row's own threshold; where none came with the predictions, that of 95 % sensitivity, marked apparent."""
    if GROUP in rows.columns:
        return options
    return options | {"threshold": analysis.choose_threshold(rows, rule="sensitivity", target=0.95)}


def _without_patients(found: dict[str, Any]) -> dict[str, Any]:
    """The mistakes without their list: results.json holds nobody's row."""
    return {name: value for name, value in found.items() if name != "table"}
