"""What became of each group by one day, all endpoints together: the numbers of the outcome card."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from onlm_lab.analysis.arguments import columns_of, read_day
from onlm_lab.analysis.competing_risks import cumulative_incidence
from onlm_lab.analysis.endpoint import endpoint_kind, read_followup, read_groups
from onlm_lab.analysis.partial_likelihood import fit_cox
from onlm_lab.analysis.product_limit import Z95
from onlm_lab.analysis.rows import Patients, checked_patients, require_columns
from onlm_lab.analysis.subdistribution import fit_subdistribution
from onlm_lab.analysis.survival import kaplan_meier
from onlm_lab.errors import OnlmError
from onlm_lab.results import IncidenceCurves, OutcomeCard, SurvivalCurves

ENDPOINTS = ("os", "rfs", "recurrence", "regional", "distant", "cancer_death")
STATES = ("event_free", "regional", "other_recurrence", "death")
PLAIN_STATES = ("event_free", "recurrence", "death")  # where the site of recurrence is not known
HUNDRED = 100


def outcome_card(
    rows: pd.DataFrame | Patients,
    *,
    by: str,
    horizon_days: float = 1095,
    endpoints: Sequence[str] = ENDPOINTS,
    model: str | None = None,
) -> OutcomeCard:
    """Every endpoint of each group at one horizon, what happens first to 100 such patients, and how groups compare.

    Survival by Kaplan-Meier, incidence by Aalen-Johansen where other events compete (1 - Kaplan-Meier would overstate
    it); each later group against the first by a Cox or a Fine-Gray model with the groups alone.

    Args:
        rows: one row a patient with the group and the endpoints' columns; endpoints that are not there are left out.
        by: the column of groups, such as predicted_group; patients without one are left out and counted.
        horizon_days: the day at which the curves are read.
        endpoints: which, in their order on the card.
        model: whose rows to take when the table holds several models.

    Raises:
        OnlmError: none of the endpoints is in the table, no group, or a horizon that is no day after time zero.

    Example:
        >>> rows = pd.DataFrame({"patient_id": list("abcd"), "group": ["low", "low", "high", "high"],
        ...                      "os_days": [900, 1200, 300, 1300], "os_event": [0, 0, 1, 0]})
        >>> outcome_card(rows, by="group", horizon_days=365).table["value"].tolist()
        [0.5, 1.0]
    """
    horizon_days = read_day(horizon_days, name="horizon_days")
    endpoints = columns_of(endpoints, word="endpoints", such_as="os")
    patients = checked_patients(rows, model=model)
    require_columns(patients, [by])
    known = patients.frame[by].notna()
    n_excluded = {} if known.all() else {f"{by} missing": int((~known).sum())}
    if n_excluded:
        patients = Patients(patients.frame[known].reset_index(drop=True), patients.model_id)
    frame = patients.frame
    wanted = [e for e in endpoints if f"{e}_days" in frame and frame[f"{e}_days"].notna().any()]
    if not wanted:
        raise OnlmError(
            f"none of the endpoints {', '.join(endpoints)} is known in these {len(frame)} patients. Join followup.csv, "
            "or name others."
        )
    found = {e: patients.once(("card", e, by), lambda e=e: _endpoint(patients, endpoint=e, by=by)) for e in wanted}
    curves = {e: c for e, (c, _) in found.items()}
    read = {e: _read(c, horizon=horizon_days) for e, c in curves.items()}
    first = curves[wanted[0]]
    notes = [n for c in curves.values() for n in c.notes if n.startswith("no patient with")]
    for endpoint, table in read.items():
        notes += [f"{name}: nobody was followed to day {horizon_days:g} for {endpoint}"
                  for name in table.loc[table["value"].isna(), "group"]]  # fmt: skip
    comparison = pd.concat([compared for _, compared in found.values()], ignore_index=True)
    notes += [
        f"{line.endpoint}, {line.group} against {line.against}: no ratio (too few events, or none on one side)"
        for line in comparison[comparison["hr"].isna()].itertuples()
    ]
    return OutcomeCard(
        groups=first.groups[["group", "n", "followup_days"]],
        table=pd.concat(read.values(), ignore_index=True),
        hundred=_hundred(patients, curves, by=by, horizon=horizon_days),
        comparison=comparison,
        horizon_days=float(horizon_days),
        by=by,
        n=len(frame),
        n_excluded=n_excluded | {k: v for c in curves.values() for k, v in c.n_excluded.items()},
        notes=tuple(dict.fromkeys(notes)),
    )


def _endpoint(patients: Patients, *, endpoint: str, by: str) -> tuple[SurvivalCurves | IncidenceCurves, pd.DataFrame]:
    """One endpoint's curves and the comparison of its groups, whatever the horizon."""
    competing = endpoint_kind(patients, endpoint=endpoint) == "state"
    curves = (cumulative_incidence if competing else kaplan_meier)(patients, endpoint=endpoint, by=by)
    return curves, _comparison(patients, curves, by=by)


def _read(curves: SurvivalCurves | IncidenceCurves, *, horizon: float) -> pd.DataFrame:
    """One endpoint's rows of the card's table."""
    at, kind = curves.at(days=[horizon]), "survival"
    if isinstance(curves, IncidenceCurves):
        at, kind = at[at["cause"] == 1], "incidence"
    known, names = curves.groups, at["group"].to_numpy()
    place = pd.Index(known["group"]).get_indexer(names)
    return pd.DataFrame({
        "group": names, "endpoint": curves.endpoint, "kind": kind, "n": known["n"].to_numpy()[place],
        "n_events": known["n_events"].to_numpy()[place], "at_risk": at["at_risk"].to_numpy(),
        "value": at[kind].to_numpy(), "low": at["low"].to_numpy(), "high": at["high"].to_numpy(),
    })  # fmt: skip


def _comparison(patients: Patients, curves: SurvivalCurves | IncidenceCurves, *, by: str) -> pd.DataFrame:
    """Each later group against the first, unadjusted."""
    names = [str(g) for g in curves.groups["group"]]
    if isinstance(curves, SurvivalCurves):
        p, kind = curves.log_rank.p_value, "hazard ratio"
    else:
        gray = curves.gray_test
        p = float(gray.loc[gray["cause"] == 1, "p_value"].iloc[0])
        kind = "subdistribution hazard ratio"
    ratios = _ratios(patients, curves, by=by) if len(names) > 1 else []
    return pd.DataFrame({
        "endpoint": curves.endpoint, "group": names[1:], "against": names[0], "kind": kind,
        "hr": [r[0] for r in ratios], "low": [r[1] for r in ratios], "high": [r[2] for r in ratios], "p_value": p,
    })  # fmt: skip


def _ratios(
    patients: Patients, curves: SurvivalCurves | IncidenceCurves, *, by: str
) -> list[tuple[float, float, float]]:
    """Hazard ratio and limits of each later group; NaN where there is none."""
    followup = read_followup(patients, endpoint=curves.endpoint, columns=[by])
    codes, names, _ = read_groups(followup.rows, by=by)
    nothing = [(np.nan, np.nan, np.nan)] * (len(names) - 1)
    if int((followup.state == 1).sum()) <= len(names) - 1:
        return nothing
    x = (codes[:, None] == np.arange(1, len(names))).astype(float)
    if isinstance(curves, IncidenceCurves):
        fit = fit_subdistribution(x, followup.days, followup.state, cause=1)
    else:
        fit = fit_cox(x, followup.days, followup.state == 1, stratum=np.zeros(len(codes), dtype=int))
    se = np.sqrt(np.diag(fit.covariance))
    with np.errstate(over="ignore"):  # a ratio too large for a number is infinite
        return [tuple(np.exp(b + k * Z95 * s) for k in (0, -1, 1)) for b, s in zip(fit.coef, se, strict=True)]


def _hundred(
    patients: Patients, curves: dict[str, SurvivalCurves | IncidenceCurves], *, by: str, horizon: float
) -> pd.DataFrame:
    """What comes first, in patients in whom all of it is known, so that the shares of a group add up to 1."""
    columns = ["group", "state", "share", "count"]
    if "recurrence" not in curves or not isinstance(curves["recurrence"], IncidenceCurves):
        return pd.DataFrame(columns=columns)
    sites = "regional" in curves and isinstance(curves["regional"], IncidenceCurves)
    any_site, regional = curves["recurrence"], curves.get("regional")
    if sites and regional.n != any_site.n:  # patients whose site is unknown are in neither
        any_site = patients.once(("card, located", by), lambda: _located(patients, by=by))
    at = any_site.at(days=[horizon])
    recurred = at[at["cause"] == 1].set_index("group")["incidence"]
    died = at[at["cause"] == 2].set_index("group")["incidence"]
    parts = {"event_free": 1 - recurred - died, "recurrence": recurred, "death": died}
    if sites:
        at = regional.at(days=[horizon])
        nodal = at[at["cause"] == 1].set_index("group")["incidence"]
        parts = {"event_free": parts["event_free"], "regional": nodal, "other_recurrence": recurred - nodal,
                 "death": died}  # fmt: skip
    out = []
    for group in recurred.index:
        share = np.array([float(parts[s].get(group, np.nan)) for s in parts])
        share = np.where(np.abs(share) < 1e-12, 0.0, share)
        out += [(group, s, v, c) for s, v, c in zip(parts, share, whole_of_100(share), strict=True)]
    return pd.DataFrame(out, columns=columns)


def _located(patients: Patients, *, by: str) -> IncidenceCurves:
    """Recurrence in the patients in whom its site is known."""
    known = patients.frame["regional_state"].notna() & patients.frame["regional_days"].notna()
    located = Patients(patients.frame[known], patients.model_id)
    return cumulative_incidence(located, endpoint="recurrence", by=by)


def whole_of_100(share: np.ndarray) -> np.ndarray:
    """Shares as whole patients of 100 that add up to 100 (largest remainders); NaN where a share is not known."""
    if np.isnan(share).any():
        return np.full(len(share), np.nan)
    exact = share * HUNDRED
    count = np.floor(exact + 1e-9)
    short = round(HUNDRED - float(count.sum()))
    count[np.argsort(-(exact - count), kind="stable")[:short]] += 1
    return count
