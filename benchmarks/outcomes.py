"""Time to event beside lifelines, scikit-survival, statsmodels and R; times in whole days, so with many ties."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.known_times import HORIZON, YEAR, sample
from onlm_lab import analysis
from onlm_lab.analysis.concordance import concordance

MANY, SOME, FEW = 100_000, 20_000, 5_000
COVARIATES = ["risk", "male"]
QUARTERS = "quarter"
R_SCRIPT = Path(__file__).with_name("fine_gray.R")
HORIZONS = [YEAR, 2 * YEAR, HORIZON]

Race = tuple[str, str, Callable[[], object], Callable[[], object]]


def made_rows(n: int) -> pd.DataFrame:
    """Patients of benchmarks.known_times with times in whole days, and a quarter of the risk."""
    rows = sample(n, generator=np.random.default_rng(7))
    whole = {name: np.ceil(rows[name]) for name in ("os_days", "regional_days")}
    return rows.assign(male=rows["male"].astype(float), **whole).assign(
        **{QUARTERS: pd.qcut(rows["risk"], 4, labels=list("1234")).astype(str)}
    )


def races() -> Iterator[Race]:
    """Name, peer, our work, the peer's work."""
    rows, some = made_rows(MANY), made_rows(SOME)
    for peer, theirs in (
        ("lifelines CoxPHFitter (no PH test)", _lifelines_cox),
        ("scikit-survival, Efron (no errors)", _sksurv_cox),
        ("statsmodels PHReg, Efron", _statsmodels_cox),
    ):
        yield (
            f"Cox, 2 covariates, C and PH test, n = {MANY:,}", peer,
            lambda: analysis.cox(rows, endpoint="os", covariates=COVARIATES), lambda fit=theirs: fit(rows),
        )  # fmt: skip
    for peer, theirs in (
        ("scikit-survival, log-log", _sksurv_incidence), ("lifelines AalenJohansenFitter, twice", _lifelines_incidence),
    ):  # fmt: skip
        yield (
            f"cumulative incidence, 2 causes, n = {MANY:,}", peer, lambda: analysis.cumulative_incidence(rows),
            lambda fit=theirs: fit(rows),
        )  # fmt: skip
    yield (
        f"Kaplan-Meier and log-rank, 4 groups, n = {MANY:,}", "lifelines",
        lambda: analysis.kaplan_meier(rows, by=QUARTERS), lambda: _lifelines_curves(rows),
    )  # fmt: skip
    yield (
        f"mean days lived, 2 groups, n = {MANY:,}", "lifelines (no CI)",
        lambda: analysis.rmst(rows, endpoint="os", by="positive", tau_days=HORIZON), lambda: _lifelines_rmst(rows),
    )  # fmt: skip
    yield from _accuracy(some)


def _accuracy(rows: pd.DataFrame) -> Iterator[Race]:
    from sksurv.metrics import concordance_index_censored, concordance_index_ipcw, cumulative_dynamic_auc

    risk, days = rows["risk"].to_numpy(), rows["os_days"].to_numpy()
    died, seen = rows["os_event"].to_numpy() == 1, _sksurv_times(rows)
    yield (
        f"Harrell's C with its error, n = {SOME:,}", "scikit-survival (no CI)",
        lambda: concordance(risk, days, died), lambda: concordance_index_censored(died, days, risk),
    )  # fmt: skip
    yield (
        f"Uno's C with interval, n = {SOME:,}", "scikit-survival (no CI)",
        lambda: analysis.uno_c(rows, endpoint="os", tau_days=HORIZON),
        lambda: concordance_index_ipcw(seen, seen, risk, tau=HORIZON),
    )  # fmt: skip
    yield (
        f"AUC at 3 horizons with intervals, n = {SOME:,}", "scikit-survival (no CI)",
        lambda: analysis.time_dependent_auc(rows, endpoint="os", horizons_days=HORIZONS),
        lambda: cumulative_dynamic_auc(seen, seen, risk, HORIZONS),
    )  # fmt: skip
    if hasattr(analysis, "brier_survival"):
        yield from _brier(rows, seen)


def _brier(rows: pd.DataFrame, seen: np.ndarray) -> Iterator[Race]:
    from sksurv.metrics import brier_score

    stated = {f"by_{k}": 1 - np.exp(-(rows["risk"].to_numpy() + 0.2) * k / 3) for k in (1, 2, 3)}
    told, alive = rows.assign(**stated), 1 - np.column_stack(list(stated.values()))
    yield (
        f"Brier score at 3 horizons, n = {SOME:,}", "scikit-survival (no CI)",
        lambda: analysis.brier_survival(told, endpoint="os", horizons_days=HORIZONS, event_risk=list(stated)),
        lambda: brier_score(seen, seen, alive, HORIZONS),
    )  # fmt: skip


def _sksurv_times(rows: pd.DataFrame) -> np.ndarray:
    from sksurv.util import Surv

    return Surv.from_arrays(rows["os_event"] == 1, rows["os_days"])


def _lifelines_cox(rows: pd.DataFrame, *, event: str = "os_event", days: str = "os_days") -> object:
    from lifelines import CoxPHFitter

    return CoxPHFitter().fit(rows[[days, event, *COVARIATES]], days, event)


def _sksurv_cox(rows: pd.DataFrame) -> object:
    from sksurv.linear_model import CoxPHSurvivalAnalysis

    return CoxPHSurvivalAnalysis(ties="efron").fit(rows[COVARIATES], _sksurv_times(rows))


def _statsmodels_cox(rows: pd.DataFrame) -> object:
    from statsmodels.duration.hazard_regression import PHReg

    fit = PHReg(rows["os_days"], rows[COVARIATES], status=rows["os_event"], ties="efron").fit(disp=False)
    return fit.params, fit.bse


def _sksurv_incidence(rows: pd.DataFrame) -> object:
    from sksurv.nonparametric import cumulative_incidence_competing_risks

    return cumulative_incidence_competing_risks(rows["regional_state"], rows["regional_days"], conf_type="log-log")


def _lifelines_incidence(rows: pd.DataFrame) -> object:
    from lifelines import AalenJohansenFitter

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Warning)  # it says that it jitters ties
        return [
            AalenJohansenFitter(seed=1).fit(rows["regional_days"], rows["regional_state"], event_of_interest=cause)
            for cause in (1, 2)
        ]


def _lifelines_curves(rows: pd.DataFrame) -> object:
    from lifelines import KaplanMeierFitter
    from lifelines.statistics import multivariate_logrank_test

    for _, part in rows.groupby(QUARTERS):
        fitted = KaplanMeierFitter().fit(part["os_days"], part["os_event"])
        _ = fitted.confidence_interval_, fitted.median_survival_time_
    return multivariate_logrank_test(rows["os_days"], rows[QUARTERS], rows["os_event"])


def _lifelines_rmst(rows: pd.DataFrame) -> object:
    from lifelines import KaplanMeierFitter
    from lifelines.utils import restricted_mean_survival_time

    fitted = [KaplanMeierFitter().fit(part["os_days"], part["os_event"]) for _, part in rows.groupby("positive")]
    return [restricted_mean_survival_time(curve, t=HORIZON) for curve in fitted]


def in_r(rows: pd.DataFrame) -> dict[str, float] | str:
    """Seconds that R's calls took, start and reading of the table not counted; or why there are none."""
    if shutil.which("Rscript") is None:
        return "no Rscript. As root: apt-get install r-cran-cmprsk"
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "rows.csv"
        rows[["regional_days", "regional_state", *COVARIATES]].to_csv(table, index=False)
        done = subprocess.run(["Rscript", str(R_SCRIPT), str(table)], check=False, capture_output=True, text=True)
    if done.returncode:
        return f"R has no cmprsk. As root: apt-get install r-cran-cmprsk ({done.stderr.strip()[:80]})"
    return {line.split("\t")[0]: float(line.split("\t")[1]) for line in done.stdout.splitlines()}


def report() -> None:
    """Print Fine-Gray beside R, and beside lifelines' cause-specific Cox where R would take hours."""
    print(f"\nFine-Gray, {len(COVARIATES)} covariates, times in whole days")
    rows = made_rows(FEW)
    ours = _seconds(lambda: analysis.fine_gray(rows, endpoint="regional", covariates=COVARIATES))
    print(f"  n = {FEW:>7,}: {1000 * ours:9.1f} ms")
    found = in_r(rows)
    if isinstance(found, str):
        print(f"  SKIPPED beside R: {found}")
    else:
        for peer, seconds in found.items():
            print(f"    {peer:<52} {seconds:8.2f} s, {seconds / ours:8.1f} times ours")
    rows = made_rows(MANY)
    rows = rows.assign(seen=(rows["regional_state"] == 1).astype(int))
    ours = _seconds(lambda: analysis.fine_gray(rows, endpoint="regional", covariates=COVARIATES))
    other = _seconds(lambda: _lifelines_cox(rows, event="seen", days="regional_days"))
    print(f"  n = {MANY:>7,}: {1000 * ours:9.1f} ms")
    print(
        f"    {'a yardstick: lifelines CoxPHFitter, cause-specific':<52} {other:8.2f} s, {other / ours:8.1f} times ours"
    )


def _seconds(work: Callable[[], object], *, rounds: int = 3) -> float:
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return min(times)


if __name__ == "__main__":
    report()
