"""Every statistic of a set of predictions, as the plain values of results.json.

    {model_id: {"roc": {...}, "operating_point": {...}, ..., "about": {...}, "not_done": {call: why}}}

The keys below a model are the names of the calls of onlm_lab.analysis, and below those the fields of their results.
What a call refuses (no such endpoint, no SBRT arm, too few events) stands under "not_done" in its own words.

Testing sets are never pooled. The calls of a model are those of its main set (out of fold, where there is a
cross-validation); every other one (external centres, later years, the locked test set once it is opened) stands beside
it with the same calls: {model_id: {..., "by_split": {"external": {"roc": {...}, ..., "about": {...}}}}}.
"""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from onlm_lab import analysis
from onlm_lab.analysis.endpoint import known_kind
from onlm_lab.analysis.label_battery import GROUP, label_calls
from onlm_lab.analysis.outcome_battery import outcome_calls
from onlm_lab.errors import OnlmError
from onlm_lab.study import Analysis

TESTED = ("oof", "test", "external", "temporal")  # sets whose labels the model has not seen; the first is the main one
LOCKED = "test"
EVERYBODY = "all"  # of a table that has no splits
SAID_OF = {
    "oof": "out of fold: patients of development, each with a risk from models that never saw the patient",
    "external": "external testing: the final model in patients who are no part of development",
    "temporal": "temporal testing: the final model in patients treated later than those of development",
    "test": "internal testing: the final model in patients who were set aside before anything was fitted",
}


def analyse(
    rows: pd.DataFrame, *, plan: Analysis, predictors: Sequence[str] = (), seed: int = 0, progress: bool = False,
    openings: Sequence[Mapping[str, Any]] = (), event_risk: pd.DataFrame | None = None,
) -> dict[str, Any]:  # fmt: skip
    """All results by model.

    Args:
        rows: AnalysisRows: predictions of one or more models joined with the cohort.
        plan: the study's [analysis] stage.
        predictors: the columns whose missing values are looked at; none without them.
        seed: of the bootstraps.
        progress: show a bar on stderr.
        event_risk: P(event by a day) of the patients, as event_risk.csv; made here where it is not given.
        openings: of the locked test set (number, time_utc, purpose, ...), where it was opened to these predictions.
    """
    from tqdm.auto import tqdm

    rows = with_group(first_repeat(rows))
    models = [str(m) for m in pd.unique(rows["model_id"])]
    sets = testing_sets(rows)
    main, *others = sets or [""]
    sets = sets or {"": rows.iloc[:0]}
    names, apart = set_names(rows), held_apart(rows)
    rest = rows[(names == main) | (~names.isin(TESTED) & apart.isin(["", main]))]  # the main set, and who is in none
    told = functools.cache(lambda: _event_risk(rows, plan=plan) if event_risk is None else event_risk)
    # The decision curve is of all models together, so that each set is asked once.
    benefit = {n: functools.cache(lambda n=n: _net_benefit(sets[n], plan=plan, seed=seed)) for n in sets}

    def ask(name: str, *, model: str, outcome: pd.DataFrame) -> dict[str, Any]:
        calls = label_calls(sets[name], model=model, models=models, plan=plan, predictors=predictors, seed=seed)
        calls |= outcome_calls(outcome, model=model, plan=plan, event_risk=told, seed=seed) | {
            "net_benefit": benefit[name]
        }
        return _collect(calls)

    found: dict[str, Any] = {}
    for model in tqdm(models, desc="  analysis", unit="model", disable=not progress):
        found[model] = ask(main, model=model, outcome=rest)
        found[model]["about"] = _about(rows[rows["model_id"] == model], plan=plan, main=main)
        if others:
            found[model]["by_split"] = {
                name: ask(name, model=model, outcome=rows[(names == name) | (apart == name)])
                | {"about": _about_set(name, rows=sets[name], model=model, openings=openings)}
                for name in others
            }
    return found


def testing_sets(rows: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The rows on which a model may be judged, by testing set, the main one first; a locked set that nobody has opened
    has no labels and is left out.

    Rows of the split "external" are two sets where their `part` says so: "external" (other centres) and "temporal"
    (later years).
    """
    names = set_names(rows)
    if "split" not in rows.columns:
        return {EVERYBODY: rows}
    found = {name: rows[names == name] for name in TESTED if (names == name).any()}
    if LOCKED in found and {"part", "onlm"} <= set(rows.columns) and found[LOCKED]["onlm"].isna().all():
        del found[LOCKED]
    return found


def held_apart(rows: pd.DataFrame) -> pd.Series:
    """The testing set by whose side a patient without a label stands, "" for none: operated in another centre or a
    later year, such a patient has the final model's risk and is not one of development. SBRT taught no model."""
    if not {"split", "part", "arm"} <= set(rows.columns):
        return pd.Series("", index=rows.index)
    apart = (rows["split"] == "unlabelled") & rows["part"].isin(["external", "temporal"]) & (rows["arm"] != "sbrt")
    return rows["part"].where(apart, "")


def set_names(rows: pd.DataFrame) -> pd.Series:
    """The testing set of each row, or what else its split says."""
    if "split" not in rows.columns:
        return pd.Series(EVERYBODY, index=rows.index)
    name = rows["split"].astype(object)
    if "part" not in rows.columns:
        return name
    return name.mask((name == "external") & (rows["part"] == "temporal"), "temporal")


def _about(rows: pd.DataFrame, *, plan: Analysis, main: str) -> dict[str, Any]:
    """Which rows of a model the calls took."""
    counts = rows.groupby("split")["patient_id"].nunique() if "split" in rows.columns else pd.Series(dtype=int)
    return {
        "n_patients_by_split": {str(k): int(v) for k, v in counts.items()},
        "horizon_days": plan.horizon_days,
        "main_split": main,
        "note": f"statistics of the label: testing set {main or 'none'}; others stand under by_split and are never "
        "pooled; outcomes: every patient of the arm who is in no other testing set and was not operated in a centre or "
        "year that is held out, each with a risk from models that never saw the patient",
    }  # fmt: skip


def _about_set(
    name: str, *, rows: pd.DataFrame, model: str, openings: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:  # fmt: skip
    """Who a testing set beside the main one is, and how often a locked one has been opened."""
    one = rows[rows["model_id"] == model]
    said: dict[str, Any] = {"n_patients": int(one["patient_id"].nunique()), "note": SAID_OF[name]}
    if name == LOCKED and openings:
        said["openings"] = [dict(opening) for opening in openings]
        said["n_openings"] = len(openings)
        if len(openings) > 1:
            said["warning"] = (
                f"The locked test set of this study has been opened {len(openings)} times. Whatever was changed after "
                "the first opening may have been chosen with these labels in sight: results of later openings are no "
                "longer an untouched test."
            )
    return said


def first_repeat(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of the first repeat of the cross-validation, so that a patient counts once."""
    if "repeat" not in rows.columns:
        return rows
    return rows[rows["repeat"] == rows["repeat"].min()]


def with_group(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows with `predicted_group`: high or low, by the threshold that was fixed without the patient."""
    if "predicted_positive" not in rows.columns or rows["predicted_positive"].isna().all():
        return rows
    group = rows["predicted_positive"].map({1: "high", 0: "low"}).astype(object)
    return rows.assign(**{GROUP: group.where(rows["predicted_positive"].notna(), None)})


def _event_risk(rows: pd.DataFrame, *, plan: Analysis) -> pd.DataFrame:
    """P(event by the study's horizon) of every patient and model, cross-fitted."""
    there = [e for e in plan.endpoints if known_kind(rows.columns, endpoint=e)]
    return analysis.event_risk_table(rows, endpoints=there, horizon_days=plan.horizon_days, horizons_days=())


def _net_benefit(rows: pd.DataFrame, *, plan: Analysis, seed: int) -> dict[str, Any]:
    return analysis.net_benefit(
        rows, thresholds=plan.thresholds, n_bootstrap=plan.bootstrap, generator=np.random.default_rng(seed)
    ).to_dict()


def _collect(calls: dict[str, Callable[[], dict[str, Any]]]) -> dict[str, Any]:
    """Do the calls; "call/key/key" nests. A refusal is kept in its own words."""
    found: dict[str, Any] = {}
    refused: dict[str, str] = {}
    for path, work in calls.items():
        try:
            value = work()
        except OnlmError as error:
            refused[path] = str(error)
            continue
        *parents, last = path.split("/")
        place = found
        for name in parents:
            place = place.setdefault(name, {})
        place[last] = value
    return found | {"not_done": refused}


def write_results(results: dict[str, Any], path: Path) -> None:
    """results.json, whole or not at all."""
    half = path.with_name(f".{path.name}.half")
    half.write_text(json.dumps(results, indent=1, sort_keys=True, allow_nan=False), encoding="utf-8")
    os.replace(half, path)
