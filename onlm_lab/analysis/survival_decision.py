"""Would acting on the predicted risk of the event by a day do more good than harm? Net benefit under censoring.

Within the patients at or above a threshold the share with the event is estimated, not counted: 1 - Kaplan-Meier, or
Aalen and Johansen's incidence where events compete. Patients who differ neither in what happened nor in the threshold
that they reach are one class, so that a bootstrap sample is a row of counts and all samples are judged at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from onlm_lab.analysis.arguments import read_count, read_generator
from onlm_lab.analysis.decision import SEED, TREAT_ALL, TREAT_NONE, checked_thresholds
from onlm_lab.analysis.event_calibration import Judged, judged
from onlm_lab.analysis.event_probability import EventRisk
from onlm_lab.analysis.resampling import drawn_counts, percentile_interval
from onlm_lab.analysis.rows import models_in
from onlm_lab.errors import OnlmError
from onlm_lab.results import DecisionCurve

LEAST_EVENTS = 2  # one event or none is no ground for a decision
NOT_ALL = "no event risk from every model"
_CHUNK_CELLS = 1_500_000  # samples x event times at once: fits the cache of a processor, almost
MEASURES = ("net_benefit", "low", "high", "interventions_avoided", "avoided_low", "avoided_high")


def survival_net_benefit(
    rows: pd.DataFrame,
    *,
    endpoint: str,
    horizon_days: float,
    event_risk: EventRisk,
    thresholds: Sequence[float] | None = None,
    model: str | Sequence[str] | None = None,
    n_bootstrap: int = 500,
    generator: np.random.Generator | None = None,
) -> DecisionCurve:
    """Net benefit of acting on the predicted risk of the event by a day, on everybody and on nobody, by threshold.

    Net benefit = F P - (1 - F) P t / (1 - t), where P is the share of patients with a risk >= t and F the share of
    those who have the event by the horizon: 1 - Kaplan-Meier, or Aalen and Johansen's incidence where events compete
    (Vickers, Cronin, Elkin and Gonen 2008, doi:10.1186/1472-6947-8-53). Nobody at or above t: net benefit 0.
    Interventions avoided per 100 patients are against treating everybody, at the same number of events found. Bands
    are percentile intervals of bootstrap samples of patients. Where nobody above a threshold is followed to the
    horizon, the last estimate stands and a note says so.

    Args:
        rows: a row a patient and model with {endpoint}_days and {endpoint}_event or {endpoint}_state (then cause 1 is
            the event).
        endpoint: such as "os" or "regional".
        horizon_days: days after time zero.
        event_risk: P(event at or before the horizon): a column, or a table as event_risk.csv; never the risk of N+.
        thresholds: risks from which one would act, each in (0, 1); None is 0.01 to 0.50 by 0.01.
        model: one model_id, several, or None for all; only patients with a risk from every one of them count.
        n_bootstrap: bootstrap samples.
        generator: the source of chance; None is a fixed seed, so that the same rows give the same band.

    Raises:
        OnlmError: a risk of N+ in place of the event's, a threshold outside (0, 1), no such endpoint or horizon.

    Example:
        >>> rows = pd.DataFrame({"patient_id": list("abcd"), "os_days": [100, 200, 900, 900],
        ...                      "os_event": [1, 1, 0, 0], "p": [0.9, 0.4, 0.3, 0.1]})
        >>> found = survival_net_benefit(rows, endpoint="os", horizon_days=365, event_risk="p", thresholds=[0.2])
        >>> found.table["net_benefit"].round(4).tolist()
        [0.4375, 0.375, 0.0]
    """
    n_bootstrap = read_count(n_bootstrap, name="n_bootstrap", least=1)
    grid = checked_thresholds(thresholds, call="survival_net_benefit")
    names = models_in(rows) if model is None else [model] if isinstance(model, str) else list(model)
    _refuse_names(names)
    sets = [
        judged(rows, endpoint=endpoint, horizon_days=horizon_days, event_risk=event_risk,
               model=name if "model_id" in rows.columns else None)
        for name in names
    ]  # fmt: skip
    sets, n_excluded = _shared(sets)
    first = sets[0]
    n_events = first.count(1)
    why = "" if first.known else f"nobody is followed to day {first.horizon:g}"
    if not why and n_events < LEAST_EVENTS:
        why = f"{n_events} event{'' if n_events == 1 else 's'} by day {first.horizon:g}"
    if why:
        tables, notes = [_nothing(name, grid) for name in (*names, TREAT_ALL, TREAT_NONE)], [f"no net benefit: {why}"]
    else:
        chance = read_generator(generator, seed=SEED)
        measured = [_measure(one, grid, n_resamples=n_bootstrap, generator=chance) for one in sets]
        tables = [_columns(name, grid, *found[0]) for name, found in zip(names, measured, strict=True)]
        tables += [_columns(name, grid, *measured[0][i]) for i, name in ((1, TREAT_ALL), (2, TREAT_NONE))]
        notes = [note for one in sets for note in _carried(one, grid)]
    return DecisionCurve(
        table=pd.concat(tables, ignore_index=True), n=first.n, n_events=n_events, n_excluded=n_excluded,
        notes=tuple(notes), endpoint=endpoint, horizon_days=first.horizon,
    )  # fmt: skip


@dataclass(frozen=True, eq=False)
class _Classes:
    """Patients who differ neither in the highest threshold they reach nor in what happened: a row a class.

    `place`: thresholds reached. `seen`: event times at which at risk. `state`: what happened at the last of them (0:
    nothing by the horizon). `count`: patients. Rows rise by place, state, seen.
    """

    place: np.ndarray
    seen: np.ndarray
    state: np.ndarray
    count: np.ndarray
    n_times: int


def _classes(given: Judged, grid: np.ndarray) -> _Classes:
    days, state = given.followup.days, np.where(given.followup.days <= given.horizon, given.followup.state, 0)
    times = np.unique(days[state > 0])
    kinds = (np.searchsorted(grid, given.risk, side="right") * 3 + state) * (len(times) + 1)
    kind, count = np.unique(kinds + np.searchsorted(times, days, side="right"), return_counts=True)
    place, seen = np.divmod(kind, len(times) + 1)
    return _Classes(*(a for a in (place // 3, seen, place % 3, count)), n_times=len(times))


def _worth(weight: np.ndarray, classes: _Classes, grid: np.ndarray, *, competing: bool) -> np.ndarray:
    """(samples, thresholds + 1): net benefit at each threshold, and last the share of all with the event.

    Args:
        weight: (samples, classes) how often each class is in each sample.
        classes: what the classes are.
        grid: the thresholds, rising.
        competing: whether competing events take patients out.
    """
    samples, n = len(weight), weight.sum(axis=1)
    left = np.zeros((samples, classes.n_times + 1))  # by the number of event times at which at risk
    events = np.zeros((2, samples, classes.n_times))
    out = np.zeros((samples, len(grid) + 1))
    share = above = np.zeros(samples)
    edges = np.searchsorted(classes.place * 3 + classes.state, np.arange(3 * (len(grid) + 1) + 1))
    for place in range(len(grid), -1, -1):  # from the highest threshold down, patients join
        first, last = edges[3 * place], edges[3 * place + 3]
        for state in (0, 1, 2):
            at = slice(edges[3 * place + state], edges[3 * place + state + 1])
            left[:, classes.seen[at]] += weight[:, at]
            if state:
                events[state - 1][:, classes.seen[at] - 1] += weight[:, at]
        if last > first:
            above, share = left.sum(axis=1), _share_with_event(left, events, competing=competing)
        if place:
            odds = grid[place - 1] / (1 - grid[place - 1])
            out[:, place - 1] = (share - (1 - share) * odds) * above / n
    out[:, -1] = share
    return out


def _share_with_event(left: np.ndarray, events: np.ndarray, *, competing: bool) -> np.ndarray:
    """(samples,) 1 - Kaplan-Meier, or Aalen-Johansen's incidence, after the last event time."""
    at_risk = np.cumsum(left[:, :0:-1], axis=1)[:, ::-1]
    np.maximum(at_risk, 1, out=at_risk)
    if not competing:
        return 1 - np.prod(1 - events[0] / at_risk, axis=1)
    before = np.ones_like(at_risk)
    np.cumprod(1 - (events[0] + events[1])[:, :-1] / at_risk[:, :-1], axis=1, out=before[:, 1:])
    return np.einsum("st,st->s", before, events[0] / at_risk)


def _measure(
    given: Judged, grid: np.ndarray, *, n_resamples: int, generator: np.random.Generator
) -> list[tuple[np.ndarray, ...]]:
    """The six measures of the model, of treating everybody and of treating nobody."""
    classes, odds = _classes(given, grid), grid / (1 - grid)
    worth = _worth(classes.count[None, :].astype(float), classes, grid, competing=given.competing)
    step, drawn = max(1, _CHUNK_CELLS // max(classes.n_times, len(classes.count))), []
    for start in range(0, max(n_resamples, 1), step):
        size = min(step, n_resamples - start)
        weight = drawn_counts(classes.count, n_resamples=size, generator=generator).astype(float)
        drawn.append(_worth(weight, classes, grid, competing=given.competing))
    return [
        (value[0], *percentile_interval(band), avoided[0], *percentile_interval(saved))
        for (value, avoided), (band, saved) in zip(
            _strategies(worth, odds), _strategies(np.concatenate(drawn), odds), strict=True
        )
    ]


def _strategies(worth: np.ndarray, odds: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Net benefit and interventions avoided per 100 of the model, of everybody and of nobody: (samples, thresholds)."""
    model, share = worth[:, :-1], worth[:, -1:]
    everybody = share - (1 - share) * odds
    return [(v, 100 * (v - everybody) / odds) for v in (model, everybody, np.zeros_like(everybody))]


def _carried(given: Judged, grid: np.ndarray) -> list[str]:
    """A note where nobody at or above a threshold is followed to the horizon, though somebody is there."""
    order = np.argsort(-given.risk, kind="stable")
    days = given.followup.days
    longest = np.maximum.accumulate(days[order])
    n_above = len(days) - np.searchsorted(np.sort(given.risk), grid, side="left")
    short = []
    for t, n in zip(grid, n_above, strict=True):
        if n and longest[n - 1] < given.horizon:
            own = order[:n]
            last = days[own] == longest[n - 1]
            if (given.followup.state[own][last] == 0).any():
                short.append(t)
    if not short:
        return []
    return [
        f"{given.model_id}: from threshold {min(short):g} on nobody above it is followed to day {given.horizon:g}; "
        "the last estimate before it stands there"
    ]


def _shared(sets: list[Judged]) -> tuple[list[Judged], dict[str, int]]:
    """The patients with a risk from every model, in the same order, and how many were left out and why."""
    n_excluded = dict(sets[0].followup.n_excluded)
    if len(sets) == 1:
        return sets, n_excluded
    ids = [pd.Index(s.followup.rows["patient_id"].astype(str)) for s in sets]
    common, everybody = ids[0], ids[0]
    for other in ids[1:]:
        common, everybody = common[common.isin(other)], everybody.union(other)
    if not len(common):
        raise OnlmError("survival_net_benefit: no patient has an event risk from every model. Nothing can be compared.")
    for one in sets[1:]:
        for reason, n in one.followup.n_excluded.items():
            n_excluded[reason] = max(n, n_excluded.get(reason, 0))
    if len(everybody) > len(common):
        n_excluded[NOT_ALL] = len(everybody) - len(common)
    out = [s.part(index.get_indexer(common)) for s, index in zip(sets, ids, strict=True)]
    for one in out[1:]:
        differs = (one.followup.days != out[0].followup.days) | (one.followup.state != out[0].followup.state)
        if differs.any():
            raise OnlmError(
                f"rows: the follow-up differs between {out[0].model_id} and {one.model_id} for {int(differs.sum())} of "
                f"{len(common)} patients. A patient has one outcome: join it from one table."
            )
    return out, n_excluded


def _refuse_names(names: list[str]) -> None:
    if not names:
        raise OnlmError("survival_net_benefit: no model was named; pass model=None for all models of the rows.")
    clash = [m for m in names if m in (TREAT_ALL, TREAT_NONE)]
    if clash:
        raise OnlmError(f"survival_net_benefit: model_id '{clash[0]}' is the name of a strategy; rename the model.")


def _nothing(name: str, grid: np.ndarray) -> pd.DataFrame:
    return _columns(name, grid, *(np.full(len(grid), np.nan) for _ in MEASURES))


def _columns(name: str, grid: np.ndarray, *measured: np.ndarray) -> pd.DataFrame:
    table = pd.DataFrame({"model_id": name, "threshold": grid} | dict(zip(MEASURES, measured, strict=True)))
    if name == TREAT_ALL:  # against itself it avoids nothing, by definition
        table[["interventions_avoided", "avoided_low", "avoided_high"]] = (0.0, np.nan, np.nan)
    if name == TREAT_NONE:
        table[["net_benefit", "low", "high"]] = (0.0, np.nan, np.nan)
    return table
