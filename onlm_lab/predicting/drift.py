"""How unlike the patients of another study are to those who taught a run: column by column, and their CT.

    found = measure_drift(new, taught, predictors=[...], new_facts=..., taught_facts=...)
    found.table          # a row a column
    found.sentences      # what to tell the user

A difference is the standardised mean difference, of categories in its multinomial form; above 0.1 it counts (Austin,
Stat Med 2009;28:3083, doi:10.1002/sim.3697). In few patients chance alone makes one of that size: it counts only where
it is also larger than 1.96 standard errors of no difference, sqrt(1/n + 1/m).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from onlm_lab import schema
from onlm_lab.cohort.distances import standardised_difference
from onlm_lab.figures import theme
from onlm_lab.showing import Said, shows_itself

SMD_LIMIT = 0.1  # Austin 2009, doi:10.1002/sim.3697
CHANCE = 1.96
UNIT_SHARE = 0.5  # of known values beyond the training range: the unit is to be looked at
OOD_LIMIT, OOD_USUAL = 0.95, 0.10  # of patients like those of training 5 % lie above by one score, 10 % by two
FACTS = {
    "patch_mean_hu": "HU", "noise_hu": "HU", "spacing_mm": "mm", "thickness_mm": "mm", "pixel_mm": "mm", "kvp": "kV",
    "kernel_class": "", "kernel": "", "manufacturer": "", "contrast": "",
}  # fmt: skip
COLUMNS = (
    "part", "column", "unit", "n_train", "n_new", "missing_train_fraction", "missing_new_fraction", "train", "new",
    "smd", "smd_by_chance", "low", "high", "n_outside", "drifted",
)  # fmt: skip
SHOWN = 8  # columns named on the screen


@shows_itself
@dataclass(frozen=True, eq=False)
class Drift:
    """What differs.

    Attributes:
        table: a row a column: part (clinical, ct), n_train and n_new with a known value, the shares that miss one, what
            is usual (median and quartiles, or shares of levels), smd and what chance alone makes of it, the range of
            training (numbers) and how many new values lie outside it or are no level that was seen, drifted (0/1).
        sentences: for the user, the largest difference first.
    """

    table: pd.DataFrame
    sentences: tuple[str, ...]

    def _said(self) -> Said:
        shown = self.table.sort_values("smd", ascending=False, kind="stable")
        shown = shown[["column", "unit", "train", "new", "smd", "smd_by_chance", "n_outside", "drifted"]]
        line = f"Drift: {len(self.drifted)} of {len(self.table)} columns differ from the training patients"
        return Said(line, {"differ": self.drifted}, {"columns, the largest difference first": shown}, self.sentences)

    @property
    def drifted(self) -> list[str]:
        return self.table.loc[self.table["drifted"] == 1, "column"].tolist()


def measure_drift(
    new: pd.DataFrame, taught: pd.DataFrame, *, predictors: Sequence[str],
    new_facts: pd.DataFrame | None = None, taught_facts: pd.DataFrame | None = None,
    units: Mapping[str, str] | None = None, with_ct: bool = True,
) -> Drift:  # fmt: skip
    """Training patients against new ones.

    Args:
        new: patients that are predicted.
        taught: labelled patients of development.
        predictors: columns of the table that the run reads.
        new_facts, taught_facts: what was measured on their CT; None: not known.
        units: of the study's own columns.
        with_ct: whether a model of the run looks at the CT.
    """
    rows = [
        _compare("clinical", name, taught[name], new[name], unit=_unit(name, units or {}))
        for name in predictors
        if name in new and name in taught and taught[name].notna().any()
    ]
    sentences: list[str] = []
    if with_ct and (taught_facts is None or new_facts is None):
        whose = "the training patients'" if taught_facts is None else "these patients'"
        sentences.append(f"of {whose} CT nothing is recorded: whether the CT are alike cannot be checked")
    elif with_ct:
        both = [f for f in FACTS if f in taught_facts and f in new_facts and taught_facts[f].notna().any()]
        rows += [_compare("ct", name, taught_facts[name], new_facts[name], unit=FACTS[name]) for name in both]
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    return Drift(table, (*_said(table), *sentences))


def ood_sentences(predictions: pd.DataFrame) -> tuple[str, ...]:
    """Of each model that finds more patients unlike the training patients than is usual, how many they are."""
    said = []
    for model, rows in predictions.groupby("model_id", sort=False):
        known = rows["ood_score"].dropna()
        n = int((known > OOD_LIMIT).sum())
        if n > OOD_USUAL * len(known):
            said.append(
                f"{model}: {n} of {len(known)} patients have an ood_score above {OOD_LIMIT:g}; of patients like those "
                f"of training {theme.percent(1 - OOD_LIMIT)} to {theme.percent(OOD_USUAL)} have. Trust these risks less"
            )
    return tuple(said)


def _compare(part: str, name: str, train: pd.Series, new: pd.Series, *, unit: str) -> dict[str, object]:
    numeric = pd.api.types.is_numeric_dtype(train) and (pd.api.types.is_numeric_dtype(new) or new.isna().all())
    known_train, known_new = train.dropna(), new.dropna()
    row: dict[str, object] = {
        "part": part, "column": name, "unit": unit, "n_train": len(known_train), "n_new": len(known_new),
        "missing_train_fraction": _share(train.isna()), "missing_new_fraction": _share(new.isna()),
        "low": math.nan, "high": math.nan,
    }  # fmt: skip
    if numeric:
        known_new = known_new.astype(np.float64)
        low, high = float(known_train.min()), float(known_train.max())
        row |= {"low": low, "high": high, "n_outside": int(((known_new < low) | (known_new > high)).sum())}
        row |= {"train": _quartiles(known_train), "new": _quartiles(known_new)}
    else:
        known_train, known_new = known_train.astype(str), known_new.astype(str)
        row |= {"n_outside": int((~known_new.isin(set(known_train))).sum())}
        row |= {"train": _levels(known_train), "new": _levels(known_new)}
    n, m = len(known_train), len(known_new)
    smd = standardised_difference(known_train, known_new, numeric=numeric)
    chance = CHANCE * math.sqrt(1 / n + 1 / m) if n and m else math.nan
    apart = n and m and (smd > max(SMD_LIMIT, chance) or (math.isnan(smd) and _apart(known_train, known_new)))
    return row | {"smd": smd, "smd_by_chance": chance, "drifted": int(bool(apart))}


def _apart(a: pd.Series, b: pd.Series) -> bool:
    """Whether two groups without a spread to measure by (all alike in each) have other values, and enough of them."""
    return min(len(a), len(b)) > 1 and not set(a) & set(b)


def _said(table: pd.DataFrame) -> list[str]:
    said = []
    drifted = table[table["drifted"] == 1]
    order = drifted["smd"].fillna(np.inf).sort_values(ascending=False, kind="stable").index
    for row in drifted.loc[order[:SHOWN]].itertuples():
        by = "" if math.isnan(row.smd) else f" (standardised difference {theme.number(row.smd)})"
        unit = f" {row.unit}" if row.unit else ""
        said.append(f"{row.column}: {row.new}{unit} here, {row.train}{unit} in training{by}")
    if len(drifted) > SHOWN:
        said.append(f"and {len(drifted) - SHOWN} columns more that differ: drift.csv")
    for row in table[table["n_outside"] > 0].itertuples():
        n = f"{row.n_outside} of {row.n_new} values"
        if math.isnan(row.low):
            said.append(f"{row.column}: {n} are no level that a training patient had")
            continue
        look = "; look at the unit" if row.n_outside > UNIT_SHARE * row.n_new else ""
        said.append(f"{row.column}: {n} lie beyond the training patients' {row.low:g} to {row.high:g}{look}")
    return said


def _unit(name: str, units: Mapping[str, str]) -> str:
    spec = schema.column(name)
    return units.get(name) or (spec.unit if spec else "")


def _share(missing: pd.Series) -> float:
    return float(missing.mean()) if len(missing) else math.nan


def _quartiles(known: pd.Series) -> str:
    """'61 (55 to 68)'; a dash where nothing is known."""
    if known.empty:
        return "–"
    q1, median, q3 = (theme.number(float(known.quantile(q))) for q in (0.25, 0.5, 0.75))
    return median if q1 == q3 else f"{median} ({q1} to {q3})"


def _levels(known: pd.Series) -> str:
    """'female 52 %, male 48 %', the commonest four."""
    shares = known.value_counts(normalize=True, sort=True).head(4)
    return ", ".join(f"{level} {theme.percent(share)}" for level, share in shares.items()) or "–"
