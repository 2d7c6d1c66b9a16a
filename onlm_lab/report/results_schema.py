"""The JSON Schema of results.json (draft 2020-12), made from the types that the statistics return, so that it cannot
drift from them.

    schema = results_schema()                # made anew from the code
    text = shipped_schema()                  # results.schema.json as it is shipped beside this file

A call of `onlm_lab.analysis` is a key below a model; its value has the fields of the call's result. What a result holds
as a table is a list of rows; which columns these have stands in the description of the type.
"""

from __future__ import annotations

import inspect
import json
import types
from dataclasses import fields, is_dataclass
from importlib.resources import files
from typing import Any, Union, get_args, get_origin, get_type_hints

import pandas as pd

from onlm_lab import analysis, results
from onlm_lab.results import Estimate

FILE = "results.schema.json"
ADDRESS = "https://json-schema.org/draft/2020-12/schema"
# How the keys below a call are nested: nothing, or what each level is named by.
FLAT = (
    "roc", "precision_recall", "operating_point", "operating_points", "per_1000", "assess_calibration", "by_subgroup",
    "by_centre", "leave_one_out", "confident_mistakes", "fairness", "missing_data_sensitivity", "label_sensitivity",
    "associations", "net_benefit",
)  # fmt: skip
NESTED: dict[str, tuple[str, ...]] = {
    "calibration_by": ("column",), "abstention": ("measure of doubt",), "outcome_card": ("arm",),
    **dict.fromkeys(("compare_aucs", "compare_net_benefit", "compare_operating_points", "reclassification"),
                    ("other model",)),
    **dict.fromkeys(("cox", "time_dependent_auc", "univariable", "added_value", "cumulative_incidence", "fine_gray",
                     "one_minus_km", "kaplan_meier", "uno_c", "time_lost", "rmst", "brier_survival",
                     "calibrate_event_risk", "survival_net_benefit"), ("endpoint", "arm")),
    "compare_treatments": ("endpoint", "pair of treatments"), "compare_landmarks": ("endpoint", "treatment"),
}  # fmt: skip
CALLS: dict[str, tuple[str, ...]] = dict.fromkeys(FLAT, ()) | NESTED
# results.json holds nobody's row, and no curve twice.
LEFT_OUT = {"ConfidentMistakes": ("table",), "OneMinusKm": ("curve",), "Balance": ("weights",)}
# Estimates and numbers that are shares or probabilities.
SHARES = {
    "Roc": ("auc", "auc_logit"), "OperatingPoint": ("sensitivity", "specificity", "ppv", "npv"),
    "PrecisionRecall": ("average_precision", "prevalence"), "AucComparison": ("auc_a", "auc_b", "p_value"),
}  # fmt: skip
CELL = {"type": ["number", "string", "boolean", "null", "object", "array"]}
ROWS = {"type": "array", "items": {"type": "object", "additionalProperties": CELL}}


def shipped_schema() -> str:
    """The schema as it is shipped, as text."""
    return files("onlm_lab.report").joinpath(FILE).read_text(encoding="utf-8")


def schema_text() -> str:
    """The schema made anew, as the text of the shipped file."""
    return json.dumps(results_schema(), indent=1, ensure_ascii=False) + "\n"


def results_schema() -> dict[str, Any]:
    """The schema of results.json as plain values."""
    made: dict[str, Any] = {}
    calls = {name: _call(name, made=made) for name in CALLS}
    model = {"$ref": "#/$defs/set"}
    return {
        "$schema": ADDRESS,
        "$id": "results.schema.json",
        "title": "results.json of onlm_lab",
        "description": "Every statistic of a run by model. null: not a number, with the reason in a note. Risks, "
        "sensitivities and the like are fractions from 0 to 1; times are days from time zero.",
        "type": "object",
        "minProperties": 1,
        "additionalProperties": {
            "allOf": [model, {"properties": {"about": {"$ref": "#/$defs/about"}}}],
            "description": "a model, by its id",
        },
        "$defs": {
            "set": {
                "description": "One model in one testing set: a key a call, what was refused, and who was tested.",
                "type": "object",
                "required": ["about", "not_done"],
                "additionalProperties": False,
                "properties": {
                    "about": {"type": "object"},
                    "not_done": {"type": "object", "additionalProperties": {"type": "string"},
                                 "description": "call/key/key -> why it was refused"},
                    "by_split": {"type": "object", "description": "the other testing sets, never pooled with this one",
                                 "additionalProperties": {"allOf": [model, {
                                     "properties": {"about": {"$ref": "#/$defs/about_set"}}}]}},
                    **calls,
                },
            },
            "about": _about(),
            "about_set": _about_set(),
            **{name: made[name] for name in sorted(made)},
        },
    }  # fmt: skip


def _call(name: str, *, made: dict[str, Any]) -> dict[str, Any]:
    """What stands under the name of a call."""
    call = getattr(analysis, name)
    said = (inspect.getdoc(call) or "").splitlines()[0]
    returned = inspect.signature(call).return_annotation
    kind = {"pd.DataFrame": pd.DataFrame}.get(returned) or getattr(results, returned)
    found = _type(kind, made=made)
    for level in reversed(CALLS[name]):
        found = {"type": "object", "description": f"by {level}", "additionalProperties": found}
    return {**found, "description": said + (f" By {', then '.join(CALLS[name])}." if CALLS[name] else "")}


def _type(kind: Any, *, made: dict[str, Any]) -> dict[str, Any]:
    """A Python type as JSON writes it; results are defined once and referred to."""
    if kind in (float, int, bool, str):
        return dict(_PLAIN[kind])
    if kind is pd.DataFrame:
        return dict(ROWS)
    if is_dataclass(kind):
        if kind.__name__ not in made:
            made[kind.__name__] = {}  # its place, should a field come back to it
            made[kind.__name__] = _result(kind, made=made)
        return {"$ref": f"#/$defs/{kind.__name__}"}
    origin, of = get_origin(kind), get_args(kind)
    if origin in (types.UnionType, Union):
        return {"anyOf": [{"type": "null"} if k is type(None) else _type(k, made=made) for k in of]}
    if origin in (tuple, list):
        return {"type": "array", "items": _type(of[0], made=made)}
    if origin is dict:
        return {"type": "object", "additionalProperties": _type(of[1], made=made)}
    raise TypeError(f"results.json: no JSON for {kind!r}; teach results_schema.")


_PLAIN: dict[Any, dict[str, Any]] = {
    float: {"type": ["number", "null"]}, int: {"type": "integer"}, bool: {"type": "boolean"}, str: {"type": "string"},
}  # fmt: skip


def _result(kind: type, *, made: dict[str, Any]) -> dict[str, Any]:
    """A result as an object with all its fields."""
    hints = get_type_hints(kind)
    names = [f.name for f in fields(kind) if f.name not in LEFT_OUT.get(kind.__name__, ())]
    told = {name: _type(hints[name], made=made) for name in names}
    for name in SHARES.get(kind.__name__, ()):
        told[name] = _share(told[name])
    for name in names:
        if hints[name] is int and name.startswith("n"):
            told[name]["minimum"] = 0
    if kind is Estimate:
        told["level"] = {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}
    return {
        "description": " ".join((inspect.getdoc(kind) or kind.__name__).split()), "type": "object", "required": names,
        "additionalProperties": False, "properties": told,
    }  # fmt: skip


def _share(told: dict[str, Any]) -> dict[str, Any]:
    """A number, or an estimate, between 0 and 1."""
    bounds = {"minimum": 0, "maximum": 1}
    if "$ref" in told:
        return {"allOf": [told, {"properties": {"value": bounds}}]}
    return {**told, **bounds}


def _about() -> dict[str, Any]:
    count = {"type": "integer", "minimum": 0}
    return {
        "description": "Who was tested in a model's main testing set.", "type": "object", "additionalProperties": False,
        "required": ["n_patients_by_split", "horizon_days", "main_split", "note"],
        "properties": {
            "n_patients_by_split": {"type": "object", "additionalProperties": count},
            "horizon_days": {"type": "integer", "minimum": 1},
            "main_split": {"type": "string"}, "note": {"type": "string"},
        },
    }  # fmt: skip


def _about_set() -> dict[str, Any]:
    return {
        "description": "Who was tested in another testing set; of the locked one, how often it was opened.",
        "type": "object", "additionalProperties": False, "required": ["n_patients", "note"],
        "properties": {
            "n_patients": {"type": "integer", "minimum": 0}, "note": {"type": "string"},
            "openings": {"type": "array", "items": {"type": "object"}},
            "n_openings": {"type": "integer", "minimum": 0}, "warning": {"type": "string"},
        },
    }  # fmt: skip
