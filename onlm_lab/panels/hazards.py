"""Hazard ratios of the predicted risk: alone, beside other covariates, over its range and over time."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pandas as pd

from onlm_lab import analysis, figures
from onlm_lab.analysis.covariates import usable_covariates
from onlm_lab.analysis.rows import Patients
from onlm_lab.errors import OnlmError
from onlm_lab.figures import theme
from onlm_lab.figures.events import event_words
from onlm_lab.figures.outcomes import endpoint_words
from onlm_lab.panels.followed import Followed
from onlm_lab.panels.outcomes import is_competing
from onlm_lab.panels.panel import Panel, notes_of
from onlm_lab.panels.patients import ARMS, NARROWEST_RISKS, arm_words
from onlm_lab.panels.phrases import OBSERVATIONAL, named
from onlm_lab.results import Estimate

RISK_SD = "risk_in_sd"  # the risk in units of its standard deviation, where 10 percentage points would span them all


def hazard_panel(
    rows: pd.DataFrame | Followed, *, model: str, endpoint: str, arm: str, covariates: Sequence[str] = ("risk",),
    mark: str = "",
) -> Panel:  # fmt: skip
    """Hazard ratios in one arm; cause-specific where events compete.

    Raises:
        OnlmError: the risks lie too close together for a ratio per 10 percentage points.
    """
    patients = Followed.of(rows).patients(model=model, arm=arm)
    if "risk" in covariates:
        _refuse_narrow(patients.frame, arm=arm)
    fitted = analysis.cox(patients, endpoint=endpoint, covariates=list(covariates), cause=_cause(patients, endpoint))
    parts = [
        f"{figures.label_of(str(r['covariate']))} {figures.unit_words(r['unit'])}: {_ratio(r)}"
        for r in fitted.table.to_dict("records")
    ]
    kind = "Cause-specific hazard ratio" if is_competing(rows, endpoint=endpoint) else "Hazard ratio"
    sentence = (
        f"{kind} for {endpoint_words(endpoint)}, {ARMS.get(arm, arm)}: {'; '.join(parts)} "
        f"({fitted.n_events} events in {fitted.n} patients). {OBSERVATIONAL}"
    )
    figure = figures.plot_hazard_ratios(fitted, who=_who(arm, model=model), mark=mark)
    return Panel(f"{endpoint}_{arm}_hazard", "By how much does the hazard differ?",
                 figure, fitted.table, sentence, notes_of(fitted), source=(fitted, _who(arm, model=model)))  # fmt: skip


def hazard_comparison_panel(
    rows: pd.DataFrame | Followed, *, model: str, endpoint: str, arm: str, adjust: Sequence[str], mark: str = ""
) -> Panel:  # fmt: skip
    """The risk and other covariates, each alone and all together; and what the risk adds to the others.

    Args:
        rows: all rows of a run, or what is known of them.
        model: whose risks.
        endpoint: such as "os" or "regional"; cause-specific where events compete.
        arm: "surgery" or "sbrt".
        adjust: covariates beside the risk; those that are not known or do not vary are left out.
        mark: words laid across the figure.
    """
    known = Followed.of(rows)
    patients, risk = _with_risk_unit(known, model=model, arm=arm)
    others = patients.once(("usable", tuple(adjust)), lambda: usable_covariates(patients.frame, wanted=adjust))
    asked = {"endpoint": endpoint, "risk": risk, "others": others, "cause": _cause(patients, endpoint)}
    found = known.hazards(patients, **asked)
    figure = figures.plot_hazard_comparison(found, who=_who(arm, model=model), mark=mark)
    row = found.table[found.table["covariate"] == risk].iloc[0]
    said = f"alone {_ratio(row, 'univariable_')}"
    if others and pd.notna(row["multivariable_hr"]):
        said += f", beside {named(others)} {_ratio(row, 'multivariable_')}"
    notes = list(notes_of(found))
    sentence = (
        f"{arm_words(arm)}, {event_words(endpoint)}: hazard ratio of the risk {unit_said(patients.frame, risk)} {said}."
    )
    if others:
        try:
            gain = known.gain(patients, **asked)
        except OnlmError as refusal:
            notes.append(f"What the risk adds is not told: {refusal}")
        else:
            test = theme.p_value(gain.likelihood_ratio.p_value)
            sentence += (
                f" Added to {named(others)}, the risk changes the concordance by "
                f"{theme.with_interval(gain.difference, digits=3)}"
                + (f" (likelihood ratio {test}; apparent)." if test else " (apparent).")
            )
            notes += [n for n in gain.notes if not n.startswith("apparent")]
    return Panel(f"{endpoint}_{arm}_hazards", figure.layout.title.text, figure, found.table,
                 f"{sentence} {OBSERVATIONAL}", tuple(dict.fromkeys(map(_coefficients_named, notes))),
                 source=(found, _who(arm, model=model)))  # fmt: skip


def subdistribution_panel(
    rows: pd.DataFrame | Followed, *, model: str, endpoint: str, arm: str, adjust: Sequence[str], mark: str = ""
) -> Panel:
    """The same where other events compete, by Fine and Gray: what goes with the incidence, not with the rate in those
    still free of any event. Arguments as `hazard_comparison_panel`.

    Raises:
        OnlmError: nothing competes with the endpoint.
    """
    cause = _cause(Followed.of(rows).rows, endpoint)
    if cause is None:
        raise OnlmError(f"Nothing competes with {event_words(endpoint)}: the hazard ratio is the one to read.")
    known = Followed.of(rows)
    patients, risk = _with_risk_unit(known, model=model, arm=arm)
    others = patients.once(("usable", tuple(adjust)), lambda: usable_covariates(patients.frame, wanted=adjust))
    found = known.hazards(patients, endpoint=endpoint, risk=risk, others=others, cause=cause, method="fine_gray")
    figure = figures.plot_hazard_comparison(found, who=_who(arm, model=model), mark=mark)
    row = found.table[found.table["covariate"] == risk].iloc[0]
    said = f"alone {_ratio(row, 'univariable_')}"
    if others and pd.notna(row["multivariable_hr"]):
        said += f", beside {named(others)} {_ratio(row, 'multivariable_')}"
    sentence = (
        f"{arm_words(arm)}, incidence of {endpoint_words(endpoint)}: subdistribution hazard ratio of the risk "
        f"{unit_said(patients.frame, risk)} {said}. {OBSERVATIONAL}"
    )
    return Panel(f"{endpoint}_{arm}_subdistribution", figure.layout.title.text, figure, found.table, sentence,
                 tuple(dict.fromkeys(map(_coefficients_named, notes_of(found)))),
                 source=(found, _who(arm, model=model)))  # fmt: skip


def constancy_panel(rows: pd.DataFrame | Followed, *, model: str, endpoint: str, arm: str, mark: str = "") -> Panel:
    """Does the risk's hazard ratio stay the same over time?"""
    known = Followed.of(rows)
    patients, risk = _with_risk_unit(known, model=model, arm=arm)
    found = known.constancy(patients, endpoint=endpoint, risk=risk, cause=_cause(patients, endpoint))
    figure = figures.plot_proportional_hazards(found, who=_who(arm, model=model), mark=mark)
    p = float(found.test.loc[found.test["covariate"] == "GLOBAL", "p_value"].iloc[0])
    if np.isnan(p):
        verdict = "too few events to say whether the hazard ratio of the risk changes over time"
    elif p < 0.05:
        verdict = (
            f"the hazard ratio of the risk changes over time ({theme.p_value(p)}): one ratio does not hold for all of "
            "follow-up; read the curves, or the mean time lived"
        )
    else:
        verdict = (
            f"no sign that the hazard ratio of the risk changes over time ({theme.p_value(p)}), which proves nothing"
        )
    sentence = f"{arm_words(arm)}, {event_words(endpoint)}: {verdict}."
    return Panel(f"{endpoint}_{arm}_constancy", figure.layout.title.text, figure, found.test, sentence, notes_of(found))


def form_panel(rows: pd.DataFrame | Followed, *, model: str, endpoint: str, arm: str, mark: str = "") -> Panel:
    """How the hazard rises along the risk: a straight line on the log scale, or not?"""
    patients = Followed.of(rows).patients(model=model, arm=arm)
    found = analysis.functional_form(patients, endpoint=endpoint, covariate="risk", cause=_cause(patients, endpoint))
    figure = figures.plot_functional_form(found, who=_who(arm, model=model), mark=mark)
    test = theme.p_value(found.nonlinearity.p_value)
    sentence = f"{arm_words(arm)}, {event_words(endpoint)}: departure from a straight line {test or 'not tested'}."
    return Panel(f"{endpoint}_{arm}_form", figure.layout.title.text, figure, found.curve, sentence, notes_of(found))


def narrow(patients: pd.DataFrame) -> bool:
    """Whether 90 % of the risks lie so close together that 10 percentage points would span them all."""
    low, high = (float(patients["risk"].quantile(q)) for q in (0.05, 0.95))
    return high - low < NARROWEST_RISKS


def with_risk_unit(patients: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """The patients and the column of their risk as models take it: as it is, or in standard deviations where it is
    narrow."""
    if not narrow(patients):
        return patients, "risk"
    if patients["risk"].nunique() < 2:
        raise OnlmError(f"All {len(patients)} patients have the same risk: there is no hazard ratio.")
    spread = float(patients["risk"].std())
    return patients.assign(**{RISK_SD: (patients["risk"] - patients["risk"].mean()) / spread}), RISK_SD


def _with_risk_unit(known: Followed, *, model: str, arm: str) -> tuple[Patients, str]:
    """The same of one arm and model, checked."""
    patients = known.patients(model=model, arm=arm)

    def read() -> tuple[Patients, str]:
        rows, risk = with_risk_unit(patients.frame)
        return (patients if rows is patients.frame else Patients(rows, patients.model_id)), risk

    return patients.once("risk unit", read)


def unit_said(patients: pd.DataFrame, column: str) -> str:
    """The unit of the risk's hazard ratio, in words."""
    if column == "risk":
        return "per 10 percentage points"
    return f"per standard deviation ({100 * float(patients['risk'].std()):.1f} percentage points)"


def _refuse_narrow(patients: pd.DataFrame, *, arm: str) -> None:
    if narrow(patients):
        low, high = (float(patients["risk"].quantile(q)) for q in (0.05, 0.95))
        raise OnlmError(
            f"{ARMS.get(arm, arm)} arm: no hazard ratio, for 90 % of the {len(patients)} risks lie between "
            f"{theme.percent(low, digits=1)} and {theme.percent(high, digits=1)}, too close together for a ratio "
            "per 10 percentage points."
        )


def _coefficients_named(note: str) -> str:
    """'clinical_t[T1mi]: ...' as 'clinical T T1mi: ...'."""
    return re.sub(r"\b(\w+)\[([^\]]+)\]", lambda found: f"{named([found[1]])} {found[2]}", note)


def _cause(rows: pd.DataFrame | Patients, endpoint: str) -> int | None:
    return 1 if is_competing(rows, endpoint=endpoint) else None


def _ratio(row: pd.Series | dict, prefix: str = "") -> str:
    value = Estimate(row[f"{prefix}hr"], row[f"{prefix}low"], row[f"{prefix}high"])
    test = theme.p_value(row[f"{prefix}p_value"])
    return theme.with_interval(value) + (f", {test}" if prefix and test else "")


def _who(arm: str, *, model: str) -> str:
    return f"{ARMS.get(arm, arm)} arm, risk of {model}"
