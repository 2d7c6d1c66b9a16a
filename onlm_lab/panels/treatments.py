"""Treatments compared outside a trial, by predicted group: with balance, landmarks, and the sentence that says so."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from onlm_lab import analysis, figures
from onlm_lab.analysis.covariates import usable_covariates
from onlm_lab.analysis.effect_modification import OBSERVATIONAL
from onlm_lab.analysis.landmark_effect import IMMORTAL
from onlm_lab.analysis.treatment_pairs import COMPARED, PAIRS
from onlm_lab.errors import OnlmError
from onlm_lab.figures import theme
from onlm_lab.figures.events import event_words, within
from onlm_lab.panels.outcomes import is_competing
from onlm_lab.panels.panel import Panel, notes_of
from onlm_lab.panels.patients import GROUP, arms_of, of_arm, with_predicted_group
from onlm_lab.panels.phrases import COMPARED_TREATMENTS, named
from onlm_lab.results import Estimate, TreatmentComparison

FEWEST = 20  # patients of an arm below which two treatments are not compared
ADJUVANT = ("adjuvant", "adjuvant_start_days")
# What a sentence or the figure itself says already.
SAID = (OBSERVATIONAL, IMMORTAL, "effective number of patients", "overlap weights balance", "hazard ratio adjusted for")


def pairs_of(rows: pd.DataFrame, *, model: str) -> tuple[str, ...]:
    """The pairs of treatments that have enough patients on both sides."""
    found = []
    for pair in PAIRS:
        try:
            patients = paired_patients(rows, model=model, pair=pair)
        except OnlmError:
            continue
        if patients[COMPARED].value_counts().min() >= FEWEST:
            found.append(pair)
    return tuple(found)


def paired_patients(
    rows: pd.DataFrame, *, model: str, pair: str, threshold: float | None = None
) -> pd.DataFrame:  # fmt: skip
    """The patients who had one of the two treatments, with their predicted group.

    Args:
        rows: all rows of a run.
        model: whose risks.
        pair: "sublobar" (against lobectomy) or "sbrt" (against surgery).
        threshold: high risk if risk >= threshold; None: each row's own.

    Raises:
        OnlmError: nobody had one of the treatments.
    """
    arms = ("surgery",) if pair == "sublobar" else ("surgery", "sbrt")
    there = [a for a in arms if a in arms_of(rows)]
    if not there or "treatment" not in rows.columns:
        raise OnlmError("The patients' treatments are not recorded, so none can be compared.")
    patients = pd.concat([of_arm(rows, model=model, arm=arm) for arm in there], ignore_index=True)
    return analysis.treatment_arms(with_predicted_group(patients, threshold=threshold), arms=PAIRS[pair])


def treatment_comparison(
    rows: pd.DataFrame, *, model: str, pair: str, endpoint: str, balance: Sequence[str], horizon_days: float = 1095,
    threshold: float | None = None,
) -> TreatmentComparison:  # fmt: skip
    """One endpoint after two treatments, balanced by overlap weights within the predicted groups.

    Raises:
        OnlmError: fewer than 20 patients had one of the treatments, or none is recorded.
    """
    patients = paired_patients(rows, model=model, pair=pair, threshold=threshold)
    had = patients[COMPARED].value_counts()
    if had.min() < FEWEST:
        said = ", ".join(f"{n} had {name}" for name, n in had.items())
        raise OnlmError(f"Of {len(patients)} patients {said}; fewer than {FEWEST} on a side are not compared.")
    sizes = pd.crosstab(patients[GROUP], patients[COMPARED])
    group = GROUP if len(sizes) > 1 and sizes.to_numpy().min() >= FEWEST else None
    return analysis.compare_treatments(
        patients, endpoint=endpoint, treatment=COMPARED, horizon_days=horizon_days, group=group,
        covariates=usable_covariates(patients, wanted=balance),
        cause=1 if is_competing(rows, endpoint=endpoint) else None,
    )  # fmt: skip


def treatment_panel(found: TreatmentComparison, *, pair: str, mark: str = "") -> Panel:
    """Hazard ratios of the second treatment against the first, in all patients and by predicted group."""
    figure = figures.plot_treatment_by_group(found, who=pair_words(pair), mark=mark)
    return Panel(f"treatment_{pair}_{found.endpoint}", figure.layout.title.text, figure,
                 found.by_group if len(found.by_group) else found.risks, _said(found), _notes(found))  # fmt: skip


def weighted_curves_panel(found: TreatmentComparison, *, pair: str, group: str = "all", mark: str = "") -> Panel:
    """The event after each treatment, weighted."""
    figure = figures.plot_weighted_curves(found, group=group, mark=mark)
    return Panel(f"curves_{pair}_{found.endpoint}", figure.layout.title.text, figure, found.risks, _said(found),
                 _notes(found))  # fmt: skip


def balance_panel(found: TreatmentComparison, *, pair: str, mark: str = "") -> Panel:
    """How unlike the two treatments' patients are, before and after weighting.

    Raises:
        OnlmError: nothing was balanced.
    """
    balance = found.balance
    if balance is None:
        raise OnlmError("No covariate is known for both treatments, so nothing was balanced.")
    figure = figures.plot_balance(balance, mark=mark)
    before = float(balance.table["smd_before"].abs().max())
    after = float(balance.table["smd_after"].abs().max())
    sizes = "; ".join(
        f"{r.arm} {r.n:,} patients, weighing as much as {r.effective_n:.0f}" for r in balance.effective_n.itertuples()
    )
    sentence = (
        f"{_capital(pair_words(pair))}: largest standardised difference {theme.number(before)} before and "
        f"{theme.number(after)} after weighting ({sizes}). Balanced are {named(found.covariates)}; what is not among "
        f"them is not. {COMPARED_TREATMENTS}"
    )
    return Panel(f"balance_{pair}", figure.layout.title.text, figure, balance.table, sentence, _notes(balance))


def landmark_panel(
    rows: pd.DataFrame, *, model: str, endpoint: str = "rfs", landmark_days: Sequence[float] = (90, 180, 300),
    told_day: float | None = None, mark: str = "",
) -> Panel:  # fmt: skip
    """Adjuvant treatment in patients found N+: counted from surgery, which is wrong, and from landmarks.

    Args:
        rows: all rows of a run.
        model: whose rows; its risk is not used.
        endpoint: such as "rfs".
        landmark_days: days after surgery.
        told_day: the one that the sentence tells; None: the middle one.
        mark: words laid across the figure.

    Raises:
        OnlmError: too few patients found N+ with and without adjuvant treatment, or its start is not recorded.
    """
    patients = of_arm(rows, model=model, arm="surgery")
    missing = [c for c in ADJUVANT if c not in patients.columns or patients[c].isna().all()]
    if missing:
        raise OnlmError(f"{', '.join(missing)} not recorded: adjuvant treatment cannot be judged from a landmark.")
    positive = patients[patients["onlm"] == 1]
    sizes = positive["adjuvant"].value_counts()
    if len(sizes) < 2 or sizes.min() < FEWEST:
        raise OnlmError(
            f"Of {len(positive)} patients found N+, {int((positive['adjuvant'] == 1).sum())} had adjuvant treatment "
            f"and {int((positive['adjuvant'] == 0).sum())} had none; fewer than {FEWEST} on a side are not compared."
        )
    cause = 1 if is_competing(rows, endpoint=endpoint) else None
    found = analysis.compare_landmarks(positive, endpoint=endpoint, days=list(landmark_days), cause=cause)
    figure = figures.plot_landmark(found, who="surgery arm, found N+", mark=mark)
    naive = found.table.iloc[0]
    day = sorted(landmark_days)[len(landmark_days) // 2] if told_day is None else told_day
    told = found.table[found.table["day"] == day].iloc[-1]
    sentence = (
        f"Adjuvant treatment in patients found N+, {event_words(endpoint)}: counted from surgery, the "
        f"{'cause-specific ' if cause else ''}hazard ratio is "
        f"{_ratio(naive)}, which counts the time that patients had to live before treatment began; from day "
        f"{told['day']:.0f} it is {_ratio(told)} ({int(told['n_exposed'])} of {int(told['n'])} had begun by then). "
        f"{COMPARED_TREATMENTS}"
    )
    return Panel(f"landmark_{endpoint}", figure.layout.title.text, figure, found.table, sentence, _notes(found))


def pair_words(pair: str) -> str:
    """A pair of treatments in words."""
    return {"sublobar": "sublobar resection or lobectomy", "sbrt": "SBRT or surgery"}[pair]


def _notes(found: object) -> tuple[str, ...]:
    """The notes without those that a sentence or the figure itself says already."""
    return tuple(n for n in notes_of(found) if not n.startswith(SAID))


def _said(found: TreatmentComparison) -> str:
    difference = found.risk_difference
    points = Estimate(100 * difference.value, 100 * difference.low, 100 * difference.high, note=difference.note)
    how = "weighted" if found.balance is not None else "as they are, for nothing could be balanced"
    sentence = (
        f"{_capital(found.contrast)}, {event_words(found.endpoint)}: hazard ratio as the patients are "
        f"{theme.with_interval(found.hazard_ratio_crude)}"
    )
    if found.balance is not None:
        sentence += f", weighted for {named(found.covariates)} {theme.with_interval(found.hazard_ratio)}"
    sentence += (
        f"; {within(found.endpoint, found.horizon_days)}: {found.arms[1]} minus {found.arms[0]} "
        f"{theme.with_interval(points, digits=0)} percentage points ({how})."
    )
    test = theme.p_value(found.interaction_p)
    if found.group and test:
        sentence += f" Whether the ratio differs between the predicted groups: interaction {test}."
    return f"{sentence} {COMPARED_TREATMENTS}"


def _capital(words: str) -> str:
    return f"{words[:1].upper()}{words[1:]}"


def _ratio(row: pd.Series) -> str:
    return f"{theme.with_interval(Estimate(row['hr'], row['low'], row['high']))}, {theme.p_value(row['p_value'])}"
