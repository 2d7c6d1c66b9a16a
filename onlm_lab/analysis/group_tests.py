"""Tests that groups fare alike: log-rank and Gray, weighted, within strata, over a trend, and pair by pair."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations

import numpy as np
import pandas as pd

from onlm_lab.analysis.arguments import list_of, one_column, read_cause
from onlm_lab.analysis.endpoint import Followup, endpoint_kind, read_followup, read_groups
from onlm_lab.analysis.gray_score import gray_test
from onlm_lab.analysis.log_rank_score import Score, chi_square, log_rank_score, trend_test
from onlm_lab.analysis.subgroup import adjust_p_values
from onlm_lab.errors import OnlmError
from onlm_lab.results import GrayTest, LogRank, LogRankTest

ADJUSTMENTS = ("holm", "bh")
PAIRS = ["group_a", "group_b", "chi2", "df", "p_value"]
NO_EVENTS, ONE_GROUP, TOO_FEW = "no events", "one group", "too few events to compare the groups"


def log_rank(
    rows: pd.DataFrame,
    *,
    endpoint: str,
    by: str,
    strata: str | Sequence[str] | None = None,
    rho: float = 0.0,
    trend: bool = False,
    pairwise: bool = False,
    adjust: str = "holm",
    model: str | None = None,
) -> LogRankTest:
    """Whether the groups have the event at the same rate: log-rank test, as R's survdiff.

    Weights S(t-)^rho (Harrington and Fleming 1982, doi:10.1093/biomet/69.3.553): 0 is the log-rank test, 1 Peto's,
    which looks at early deaths more. The trend scores the groups 0, 1, 2 ... in their order (Tarone 1975,
    doi:10.1093/biomet/62.3.679). Each pair is tested in its own patients alone.

    Args:
        rows: a row a patient with {endpoint}_days and {endpoint}_event.
        endpoint: such as "os" or "rfs".
        by: a column of groups.
        strata: a column or several: groups are compared within their values, such as "centre".
        rho: weight, 0 or more.
        trend: also test a trend over the order of the groups.
        pairwise: also test each pair of groups.
        adjust: "holm" or "bh": which adjusted P of the pairs is `p_adjusted`; the table has both.
        model: whose rows to take when the table holds several models.

    Raises:
        OnlmError: the endpoint has competing events (take `gray`), a column is absent, or rho is negative.

    Example:
        >>> rows = pd.DataFrame({"patient_id": list("abcd"), "os_days": [5, 8, 9, 20], "os_event": [1, 1, 1, 0],
        ...                      "arm": list("xxyy")})
        >>> round(log_rank(rows, endpoint="os", by="arm").chi2, 3)
        2.882
    """
    if endpoint_kind(rows, endpoint=endpoint) == "state":
        raise OnlmError(
            f"'{endpoint}' has competing events ({endpoint}_state): the log-rank test would take them for losses. Use "
            f'gray(rows, endpoint="{endpoint}", by="{by}").'
        )
    _check(rho, adjust)
    followup, columns, stratum, codes, names, notes = _read(rows, endpoint, by, strata, model)
    event = followup.state == 1

    def score(inside: np.ndarray, number: np.ndarray, n_groups: int) -> Score:
        return log_rank_score(
            followup.days[inside], event[inside], number, n_groups=n_groups, rho=rho,
            strata=None if stratum is None else stratum[inside],
        )  # fmt: skip

    whole = score(np.ones(len(codes), dtype=bool), codes, len(names))
    why = ONE_GROUP if len(names) < 2 else "" if event.any() else NO_EVENTS
    test = _none(why, len(names)) if why else chi_square(whole)
    table = pd.DataFrame({
        "group": names, "n": np.bincount(codes, minlength=len(names)),
        "n_events": np.bincount(codes[event], minlength=len(names)), "observed": whole.observed,
        "expected": whole.expected,
    })  # fmt: skip
    pairs = _pairs(codes, names, lambda inside, number: chi_square(score(inside, number, 2))) if pairwise else []
    return LogRankTest(
        table=table, chi2=test.chi2, df=test.df, p_value=test.p_value,
        trend=None if not trend else _none(why, 2) if why else trend_test(whole),
        pairwise=_pair_table(pairs, adjust), endpoint=endpoint, by=by, strata=columns, rho=float(rho),
        n=len(codes), n_events=int(event.sum()), n_excluded=followup.n_excluded,
        notes=(*notes, *_said("log-rank test", test.note, pairs)),
    )  # fmt: skip


def gray(
    rows: pd.DataFrame,
    *,
    endpoint: str,
    by: str,
    cause: int = 1,
    strata: str | Sequence[str] | None = None,
    rho: float = 0.0,
    pairwise: bool = False,
    adjust: str = "holm",
    model: str | None = None,
) -> GrayTest:
    """Whether the groups have the same cumulative incidence of one cause: Gray's test, as R's cmprsk::cuminc.

    Gray (1988, doi:10.1214/aos/1176350951).

    Args:
        rows: a row a patient with {endpoint}_days and {endpoint}_state (0 censored, 1 event, 2 competing event).
        endpoint: such as "regional".
        by: a column of groups.
        cause: 1 the event, 2 the competing event.
        strata: a column or several: groups are compared within their values.
        rho: each time counts with (1 - F(t-))^rho, F the incidence of all groups of the stratum.
        pairwise: also test each pair of groups.
        adjust: "holm" or "bh": which adjusted P of the pairs is `p_adjusted`; the table has both.
        model: whose rows to take when the table holds several models.

    Raises:
        OnlmError: the endpoint has no competing events (take `log_rank`), a column is absent, or rho is negative.

    Example:
        >>> rows = pd.DataFrame({"patient_id": list("abcdef"), "regional_days": [5, 8, 9, 20, 21, 30],
        ...                      "regional_state": [1, 1, 2, 0, 1, 0], "arm": list("xxxyyy")})
        >>> gray(rows, endpoint="regional", by="arm").df
        1
    """
    if endpoint_kind(rows, endpoint=endpoint) == "event":
        raise OnlmError(
            f"'{endpoint}' has no competing events ({endpoint}_event is 0 or 1). Use "
            f'log_rank(rows, endpoint="{endpoint}", by="{by}").'
        )
    cause = read_cause(cause)
    _check(rho, adjust)
    followup, columns, stratum, codes, names, notes = _read(rows, endpoint, by, strata, model)
    state = followup.state

    def test_of(inside: np.ndarray, number: np.ndarray) -> LogRank:
        of = None if stratum is None else np.unique(stratum[inside], return_inverse=True)[1]
        chi2, df, p = gray_test(followup.days[inside], state[inside], number, cause=cause, strata=of, rho=rho)
        return LogRank(chi2, df, p, note=TOO_FEW if np.isnan(chi2) else "")

    why = ONE_GROUP if len(names) < 2 else "" if (state == cause).any() else NO_EVENTS
    test = _none(why, len(names)) if why else test_of(np.ones(len(codes), dtype=bool), codes)
    table = pd.DataFrame({
        "group": names, "n": np.bincount(codes, minlength=len(names)),
        "n_events": np.bincount(codes[state == cause], minlength=len(names)),
        "n_competing": np.bincount(codes[state == 3 - cause], minlength=len(names)),
    })  # fmt: skip
    pairs = _pairs(codes, names, test_of) if pairwise else []
    return GrayTest(
        table=table, chi2=test.chi2, df=test.df, p_value=test.p_value, pairwise=_pair_table(pairs, adjust),
        endpoint=endpoint, by=by, cause=cause, strata=columns, rho=float(rho), n=len(codes),
        n_events=int((state == cause).sum()), n_excluded=followup.n_excluded,
        notes=(*notes, *_said(f"Gray's test of cause {cause}", test.note, pairs)),
    )  # fmt: skip


def _check(rho: float, adjust: str) -> None:
    number = isinstance(rho, (int, float, np.number)) and not isinstance(rho, bool)
    if not (number and np.isfinite(rho) and rho >= 0):
        raise OnlmError(f"rho must be 0 (log-rank) or more (1: early events count more), got {rho!r}.")
    if adjust not in ADJUSTMENTS:
        raise OnlmError(f"adjust must be holm or bh, got {adjust!r}.")


def _read(
    rows: pd.DataFrame, endpoint: str, by: str, strata: str | Sequence[str] | None, model: str | None
) -> tuple[Followup, tuple[str, ...], np.ndarray | None, np.ndarray, list[str], list[str]]:
    by, columns = str(one_column(by, word="by", needed=True)), tuple(list_of(strata, word="strata"))
    if by in columns:
        raise OnlmError(f"'{by}' is both the groups and a stratum: within a stratum there would be one group.")
    followup = read_followup(rows, endpoint=endpoint, columns=[by, *columns], model=model)
    codes, names, notes = read_groups(followup.rows, by=by)
    stratum = None
    for column in columns:
        code, values = pd.factorize(followup.rows[column])
        stratum = code if stratum is None else stratum * len(values) + code
    if stratum is not None:
        stratum = np.unique(stratum, return_inverse=True)[1]
    return followup, columns, stratum, codes, names, notes


def _none(why: str, n_groups: int) -> LogRank:
    return LogRank(np.nan, max(n_groups - 1, 0), np.nan, note=why)


def _pairs(
    codes: np.ndarray, names: list[str], test: Callable[[np.ndarray, np.ndarray], LogRank]
) -> list[tuple[str, str, LogRank]]:
    found = []
    for a, b in combinations(range(len(names)), 2):
        inside = (codes == a) | (codes == b)
        found.append((names[a], names[b], test(inside, (codes[inside] == b).astype(int))))
    return found


def _pair_table(pairs: list[tuple[str, str, LogRank]], adjust: str) -> pd.DataFrame:
    table = pd.DataFrame([(a, b, t.chi2, t.df, t.p_value) for a, b, t in pairs], columns=PAIRS)
    adjusted = {m: adjust_p_values(table["p_value"].to_numpy(dtype=float), method=m) for m in ADJUSTMENTS}
    return table.assign(p_holm=adjusted["holm"], p_bh=adjusted["bh"], p_adjusted=adjusted[adjust])


def _said(test: str, note: str, pairs: list[tuple[str, str, LogRank]]) -> list[str]:
    said = [f"{test}: {note}"] if note else []
    return said + [f"{test}, {a} against {b}: {t.note or TOO_FEW}" for a, b, t in pairs if np.isnan(t.p_value)]
