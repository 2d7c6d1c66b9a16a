"""What the results of a run come to, in a few sentences for the screen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from onlm_lab.analysis import battery, leakage
from onlm_lab.runs import Run
from onlm_lab.study import Study


def lines(run: Run, *, results: Mapping[str, Any]) -> list[str]:
    """The AUC of each model in each testing set, and what to check where one is too good to be true.

    Args:
        run: whose.
        results: of `battery.analyse`.
    """
    said = []
    for model in _in_order(results, study=run.study):
        said.append(f"{model}: {auc_words(results[model])}, out of fold")
        for name, found in results[model].get("by_split", {}).items():
            said.append(f"  {name} ({found['about']['n_patients']} patients): {auc_words(found)}")
    return said + _too_good(run, results=results)


def auc_words(said: Mapping[str, Any]) -> str:
    """The AUC of one set of results, or why there is none."""
    if "roc" not in said:
        return f"no AUC: {said['not_done']['roc']}"
    auc = said["roc"]["auc_logit" if said["roc"]["prefer_logit"] else "auc"]
    if auc["value"] is None or auc["low"] is None or auc["high"] is None:
        value = "no AUC" if auc["value"] is None else f"AUC {auc['value']:.3f}"
        return f"{value} ({auc.get('note') or 'no interval: too few patients of a class'})"
    return f"AUC {auc['value']:.3f} ({auc['low']:.3f} to {auc['high']:.3f}, {auc['method']})"


def _in_order(results: Mapping[str, Any], *, study: Study) -> list[str]:
    """Our models first, as the study names them, then whatever was set beside them."""
    ours = [model for model in study.training.models if model in results]
    return [*ours, *(model for model in results if model not in ours)]


def _too_good(run: Run, *, results: Mapping[str, Any]) -> list[str]:
    """What to check where a model's AUC is above 0.95, a sentence a model."""
    found = []
    for model, said in results.items():
        auc = (said.get("roc") or {}).get("auc", {}).get("value")
        if auc is None:
            continue
        rows = run.rows()
        rows = next(iter(battery.testing_sets(battery.first_repeat(rows[rows["model_id"] == model])).values()))
        predictors = run.study.training.predictors
        found.append(leakage.suspicion(auc, model_id=model, predictors=predictors, rows=rows))
    return [line for line in found if line]
