"""One case: its risk among the study's, what the model would say of other values, and whom the model takes it for."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from onlm_lab import figures, schema
from onlm_lab.errors import OnlmError
from onlm_lab.figures import theme
from onlm_lab.figures.subgroup import level_words
from onlm_lab.learning.neighbours import nearest
from onlm_lab.panels.case_follow_up import label_words, outcome_words
from onlm_lab.panels.case_list import RARE
from onlm_lab.panels.panel import Panel
from onlm_lab.panels.patients import ARMS, TESTED
from onlm_lab.runs import Run
from onlm_lab.schema import Column

SPREAD = "Model spread: 5th to 95th percentile of models that did not see the patient. It is no confidence interval."
NO_CAUSE = "This is the model's effect, not a cause: nobody becomes younger, and values that go together do not here."
NO_FORECAST = (
    "Near means near to the model, in what it sees just before its last step; it does not say why. What became of one "
    "patient is no forecast for another."
)
FEW = 40  # bins of a distribution


def risk_panel(table: pd.DataFrame, *, patient: str, mark: str = "") -> Panel:
    """A patient's risk with its model spread among the risks of the study that come from the same kind of model.

    Args:
        table: of `case_list.listed`.
        patient: patient_id.
        mark: words laid across the figure.

    Raises:
        OnlmError: the table has no such patient.
    """
    row = row_of(table, patient=patient)
    same = table[table["split"] == row["split"]]
    who = f"{len(same):,} {'out-of-fold risks' if row['split'] == 'oof' else 'risks of the final model'} of this study"
    top = min(
        1.0, math.ceil(20 * max(same["risk"].max(), _or(row["threshold"], 0.0), _or(row.get("risk_high"), 0.0))) / 20
    )
    edges = np.linspace(0, max(top, 0.05), FEW + 1)
    counted, _ = np.histogram(same["risk"], bins=edges)
    bins = pd.DataFrame({"low": edges[:-1], "high": edges[1:], "n": counted})
    low, high = _or(row.get("risk_low"), math.nan), _or(row.get("risk_high"), math.nan)
    figure = figures.plot_risk_among(
        bins,
        patient=patient,
        risk=row["risk"],
        low=low,
        high=high,
        threshold=_or(row["threshold"], math.nan),
        who=who,
        mark=mark,
    )
    spread = (
        f" (model spread {_percent(low)} to {_percent(high)})" if not math.isnan(low) else " (no model spread known)"
    )
    below = int((same["risk"] < row["risk"]).sum())
    said = "positive" if row["positive"] == 1 else "negative"
    sentence = (
        f"Model {row['model_id']}: risk of occult N+ {_percent(row['risk'])}{spread}. At the threshold of "
        f"{_percent(_or(row['threshold'], math.nan))} this is {said}. {below} of the other {len(same) - 1} have a "
        "lower risk."
    )  # fmt: skip
    return Panel("case_risk", "How high is the risk, and where does it stand?", figure, bins, sentence,
                 (source_words(row), *rare_words(row), SPREAD))  # fmt: skip


def row_of(table: pd.DataFrame, *, patient: str) -> dict[str, Any]:
    """A patient's row of `case_list.listed`.

    Raises:
        OnlmError: there is none.
    """
    found = table[table["patient_id"] == patient]
    if found.empty:
        raise OnlmError("No patient is chosen, or this model says nothing of the one that is.")
    return found.iloc[0].to_dict()


def source_words(row: Mapping[str, Any]) -> str:
    """Where a risk comes from, and whether its model learned from this patient."""
    if row["split"] == "oof":
        return "Out of fold: the models behind this risk did not learn from this patient."
    who = "with the tested patients" if row["split"] in TESTED else "who has no label"
    return f"Final model: it learned from the labelled patients, not from this one, {who}."


def learned_words(row: Mapping[str, Any]) -> str:
    """Whether the final model, whose effects and pictures are shown, learned from a patient; `row` has `role`."""
    if row.get("role") == "labelled":
        return (
            "The final model learned from this very patient: what is shown is how it sees what it knows, not how well "
            "it does with others, and its risk here is not the out-of-fold risk above."
        )
    return "The final model did not learn from this patient."


def rare_words(row: Mapping[str, Any]) -> tuple[str, ...]:
    """'Cases like this one are rare', where they are."""
    score = _or(row.get("ood_score"), math.nan)
    if not score > RARE:
        return ()
    return (
        f"Cases like this one are rare: {_percent(score)} of the training patients are less unusual, by what the model "
        "sees or by the quality of the CT. Trust this risk less.",
    )


def value_table(
    patients: pd.DataFrame, *, patient: str, timing: tuple[str, ...] = ("pre_treatment",),
    extra_columns: Iterable[Column] = (),
) -> pd.DataFrame:  # fmt: skip
    """A patient's values with their units, and where each stands: label, value, among.

    Args:
        patients: of the run, a row a patient.
        patient: patient_id.
        timing: which columns: known before treatment by default.
        extra_columns: the study's own.

    Raises:
        OnlmError: there is no such patient.
    """
    at = np.flatnonzero((patients["patient_id"] == patient).to_numpy())
    if not len(at):
        raise OnlmError("The run's table has no such patient.")
    extra, found = tuple(extra_columns), []
    for name in patients:
        spec = schema.column(str(name), extra_columns=extra)
        if spec is None or spec.timing not in timing or spec.type == "text" or not patients[name].notna().any():
            continue
        value, known = patients[name].iloc[int(at[0])], patients[name].dropna()
        found.append({
            "column": name, "label": figures.label_of(str(name)), "value": value_words(value, spec=spec),
            "among": _among(value, known=known, n=len(patients), numeric=spec.type in ("number", "integer")),
        })  # fmt: skip
    return pd.DataFrame(found, columns=["column", "label", "value", "among"])


def value_words(value: object, *, spec: Column | None) -> str:
    """A value as a reader says it, with its unit; 'not known'."""
    if value is None or pd.isna(value):
        return "not known"
    if spec is not None and spec.type == "boolean":
        return "yes" if float(value) == 1 else "no"  # type: ignore[arg-type]
    if isinstance(value, int | float | np.number):
        return f"{float(value):.4g}{f' {spec.unit}' if spec is not None and spec.unit else ''}"
    return ARMS.get(str(value), level_words(value))


def _among(value: object, *, known: pd.Series, n: int, numeric: bool) -> str:
    if value is None or pd.isna(value):
        return f"not known in {n - len(known):,} of {n:,} patients"
    of = f"{len(known):,}{' who have it' if len(known) < n else ''}"
    if not numeric:
        return f"the same in {_share(known == value)} of {of}"
    lower, higher = (known < value), (known > value)
    if not higher.any():
        alone = int((known == value).sum()) == 1
        return f"{'the highest' if alone else 'none higher'} of {of}; lower in {_share(lower)}"
    if not lower.any():
        alone = int((known == value).sum()) == 1
        return f"{'the lowest' if alone else 'none lower'} of {of}; higher in {_share(higher)}"
    return f"lower in {_share(lower)}, higher in {_share(higher)} of {of}"


def _share(said: pd.Series) -> str:
    return theme.percent(float(said.mean()))


def effects_panel(
    effects: pd.DataFrame, *, row: Mapping[str, Any], model: str, extra_columns: Iterable[Column] = (), mark: str = ""
) -> Panel:
    """What the model would say were one value another: a small figure a predictor, the widest first.

    Args:
        effects: one patient's rows of effects.csv.
        row: the patient's row of `Run.patients`.
        model: whose effects.
        extra_columns: the study's own.
        mark: words laid across the figure.

    Raises:
        OnlmError: this model has none; the message names those that have.
    """
    own = effects[effects["model_id"] == model]
    if own.empty:
        names = ", ".join(map(str, pd.unique(effects["model_id"])))
        raise OnlmError(f"There are no effects of the model {model}; there are those of {names}.")
    extra = tuple(extra_columns)
    specs = {name: schema.column(name, extra_columns=extra) for name in pd.unique(own["predictor"])}
    table = pd.concat([_effect(part, spec=specs[str(name)], own=row.get(str(name)))
                       for name, part in own.groupby("predictor", sort=False)], ignore_index=True)  # fmt: skip
    reach = (
        table.groupby("predictor")["risk"].agg(lambda r: r.max() - r.min()).sort_values(ascending=False, kind="stable")
    )
    mine = table[table["own"]]
    risk = float(mine["risk"].iloc[0]) if len(mine) else math.nan
    figure = figures.plot_effects(table, order=[str(n) for n in reach.index], risk=_or(risk, 0.0), mark=mark)
    first = table[table["predictor"] == reach.index[0]]
    sentence = (
        f"At this patient's own values the final model's risk is {_percent(risk)}. It moves most with "
        f"{first['label'].iloc[0]}: from {_percent(first['risk'].min())} to {_percent(first['risk'].max())}."
    )
    title = "What would the model say, were one value another?"
    return Panel("case_effects", title, figure, table, sentence, (NO_CAUSE, learned_words(row)))


def _effect(part: pd.DataFrame, *, spec: Column | None, own: object) -> pd.DataFrame:
    """One predictor's curve: predictor, label, value in words, number (NaN for words), risk, own."""
    name = str(part["predictor"].iloc[0])
    text = part["value"].fillna("").astype(str)
    number = pd.to_numeric(text.where(text != ""), errors="coerce").astype(float)
    boolean = spec is not None and spec.type == "boolean"
    numeric = not boolean and bool(number.notna().any()) and not (number.isna() & (text != "")).any()
    missing = own is None or pd.isna(own)  # type: ignore[call-overload]
    if missing:
        is_own = text == ""
    elif number.notna().any():
        is_own = pd.Series(np.isclose(number, float(own)), index=part.index)  # type: ignore[arg-type]
    else:
        is_own = text == str(own)
    words = [("not known" if t == "" else value_words(n if boolean else t, spec=spec if boolean else None))
             for t, n in zip(text, number, strict=True)]  # fmt: skip
    return pd.DataFrame({
        "predictor": name, "label": figures.label_of(name), "value": words,
        "number": number if numeric else np.nan, "risk": part["risk"].to_numpy(float), "own": is_own.to_numpy(bool),
    })  # fmt: skip


def nearest_table(run: Run, *, patient: str, patients: pd.DataFrame, n: int = 5) -> pd.DataFrame:
    """The patients nearest to one: patient_id, distance, label, outcome, in words.

    Args:
        run: a finished run.
        patient: patient_id.
        patients: of the run.
        n: how many.

    Raises:
        OnlmError: the run has no embeddings, or not of this patient.
    """
    found = nearest(run, patient, n=n)
    rows = patients.set_index("patient_id")
    told = [rows.loc[p].to_dict() if p in rows.index else {} for p in found["patient_id"]]
    return found.assign(label=[label_words(r) for r in told], outcome=[outcome_words(r) for r in told])[
        ["patient_id", "distance", "label", "outcome"]
    ]


def _or(value: object, other: float) -> float:
    return other if value is None or pd.isna(value) else float(value)  # type: ignore[arg-type]


def _percent(value: float) -> str:
    return theme.percent(value, digits=1)
