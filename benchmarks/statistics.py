"""Statistics beside scikit-learn and lifelines."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd
from lifelines import AalenJohansenFitter, CoxPHFitter
from sklearn.metrics import average_precision_score, roc_auc_score
from statsmodels.stats.proportion import proportion_confint

from onlm_lab import analysis

RESAMPLES = 2_000

Race = tuple[str, str, Callable[[], object], Callable[[], object]]


def races() -> Iterator[Race]:
    """Name, peer, our work, the peer's work."""
    chance = np.random.default_rng(1)
    n = 100_000
    risk = chance.uniform(size=n)
    rows = pd.DataFrame({"patient_id": np.arange(n).astype(str), "risk": risk, "onlm": chance.binomial(1, risk)})
    yield (
        f"AUC with DeLong interval, n = {n:,}",
        "scikit-learn roc_auc_score (no CI)",
        lambda: analysis.roc(rows),
        lambda: roc_auc_score(rows["onlm"], rows["risk"]),
    )
    n = 1_000_000
    risk = chance.uniform(size=n)
    many = pd.DataFrame({"patient_id": np.arange(n).astype(str), "risk": risk, "onlm": chance.binomial(1, risk)})
    yield (
        f"AUC with DeLong interval and curve, n = {n:,}",
        "scikit-learn roc_auc_score (no CI)",
        lambda: analysis.roc(many),
        lambda: roc_auc_score(many["onlm"], many["risk"]),
    )
    few = rows.head(2_000).assign(onlm=chance.binomial(1, 0.3 * rows["risk"].head(2_000)))
    yield (
        f"{RESAMPLES:,} stratified bootstrap AUCs, n = {len(few):,}",
        "scikit-learn roc_auc_score, a loop",
        lambda: analysis.bootstrap(few, n_resamples=RESAMPLES),
        lambda: _loop(few["onlm"].to_numpy(), few["risk"].to_numpy(), roc_auc_score),
    )
    yield (
        f"{RESAMPLES:,} bootstrap average precisions, n = {len(few):,}",
        "scikit-learn average_precision_score, a loop",
        lambda: analysis.precision_recall(few, n_resamples=RESAMPLES),
        lambda: _loop(few["onlm"].to_numpy(), few["risk"].to_numpy(), average_precision_score),
    )
    given, positive = analysis.labelled(rows), rows["risk"].to_numpy() >= 0.5
    yield (
        f"operating point with all intervals, n = {len(rows):,}",
        "statsmodels proportion_confint, Wilson",
        lambda: analysis.operating_point(given, threshold=0.5),
        lambda: _wilson(rows["onlm"].to_numpy() == 1, positive),
    )
    n = 5_000
    days = np.ceil(chance.exponential(1500, n))
    state = chance.integers(0, 3, n)
    timed = pd.DataFrame({
        "patient_id": np.arange(n).astype(str), "regional_days": days, "regional_state": state,
        "os_days": days, "os_event": (state > 0).astype(int), "risk": chance.uniform(size=n),
    })  # fmt: skip
    yield (
        f"cumulative incidence with intervals, n = {n:,}",
        "lifelines AalenJohansenFitter",
        lambda: analysis.cumulative_incidence(timed, endpoint="regional"),
        lambda: _aalen_johansen(days, state),
    )
    yield (
        f"Cox with concordance and PH test, n = {n:,}",
        "lifelines CoxPHFitter (no PH test)",
        lambda: analysis.cox(timed, endpoint="os", covariates=["risk"]),
        lambda: CoxPHFitter().fit(timed[["os_days", "os_event", "risk"]], "os_days", "os_event"),
    )


def _loop(onlm: np.ndarray, risk: np.ndarray, score: Callable[..., float]) -> list[float]:
    chance = np.random.default_rng(1)
    members = [np.flatnonzero(onlm == label) for label in (0, 1)]
    found = []
    for _ in range(RESAMPLES):
        drawn = np.concatenate([chance.choice(m, len(m)) for m in members])
        found.append(score(onlm[drawn], risk[drawn]))
    return found


def _aalen_johansen(days: np.ndarray, state: np.ndarray) -> object:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Warning)  # it says that it jitters ties
        return AalenJohansenFitter(seed=1).fit(days, state, event_of_interest=1)


def _wilson(onlm: np.ndarray, positive: np.ndarray) -> list[object]:
    tp, fp = int((positive & onlm).sum()), int((positive & ~onlm).sum())
    fn, tn = int((~positive & onlm).sum()), int((~positive & ~onlm).sum())
    of = ((tp, tp + fn), (tn, tn + fp), (tp, tp + fp), (tn, tn + fn))
    return [proportion_confint(count, total, method="wilson") for count, total in of]
