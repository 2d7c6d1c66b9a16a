"""What to know in a few lines, each with its n and interval."""

from __future__ import annotations

import pandas as pd

from onlm_lab import analysis, figures
from onlm_lab.analysis.battery import testing_sets
from onlm_lab.errors import OnlmError
from onlm_lab.figures import theme
from onlm_lab.figures.events import upper_first
from onlm_lab.figures.outcomes import endpoint_words
from onlm_lab.panels.outcomes import endpoints_of, is_competing
from onlm_lab.panels.patients import GROUPS, first_repeat, of_arm, of_model, with_predicted_group
from onlm_lab.report import words
from onlm_lab.report.grouping import SBRT_ENDPOINTS, grouping_of
from onlm_lab.report.material import Material
from onlm_lab.results import Estimate


def summary_lines(material: Material) -> tuple[tuple[str, str], ...]:
    """(what, sentence): patients, testing, separation, calibration, operating point, the SBRT arm."""
    lines = {
        "Patients": _patients, "Testing": _testing, "Separation": _separation, "Calibration": _calibration,
        "Operating point": _operating_point, "SBRT arm": _sbrt,
    }  # fmt: skip
    found = []
    for name, say in lines.items():
        try:
            found.append((name, say(material)))
        except OnlmError as refusal:
            found.append((name, f"Not shown: {refusal}"))
    return tuple(found)


def _patients(material: Material) -> str:
    labelled = material.labelled
    n_sbrt = int((material.patients["arm"] == "sbrt").sum())
    screened = ""
    if len(material.surrogate_flow):
        read, left = words.read_and_left(material.surrogate_flow)
        screened = f"{read:,} in the public table, {left:,} of them fit for this question; "
    elif len(material.status):
        eligible = int((material.status["status"] == "eligible").sum())
        screened = f"{len(material.status):,} screened, {eligible:,} eligible; "
    sbrt = f"; {words.plural(n_sbrt, 'patient')} had SBRT and have no pathological N" if n_sbrt else ""
    n_positive = int((labelled["onlm"] == 1).sum())
    return (
        f"{screened}{words.plural(len(labelled), 'patient')} with a reference standard, {n_positive:,} of them N+ "
        f"({theme.percent(n_positive / len(labelled)) if len(labelled) else '–'}){sbrt}."
    )


def _testing(material: Material) -> str:
    """In whom the models were tested, and whether in another hospital."""
    said = []
    for name, of in testing_sets(first_repeat(material.rows)).items():
        one = of[(of["model_id"] == material.primary) & of["onlm"].notna()]
        said.append(f"{words.SPLITS.get(name, name)}, {words.plural(len(one), 'patient')}")
    if not said:
        return "No labelled patient was tested."
    other = "" if any(s.startswith("external") for s in said) else (
        " No external testing: how the models do in another hospital is not known."
    )  # fmt: skip
    return f"{upper_first('; '.join(said))}.{other}"


def _separation(material: Material) -> str:
    rocs = [analysis.roc(material.tested, model=m) for m in material.models]
    said = ", ".join(f"{r.model_id} {theme.with_interval(figures.preferred_auc(r))}" for r in rocs)
    text = f"AUC in {words.SPLITS[material.split]}: {said}."
    first = figures.preferred_auc(rocs[0])
    if first.low <= 0.5 <= first.high:
        text += f" The interval of {rocs[0].model_id} holds 0.5: it is not shown to be better than chance."
    if material.oracle:
        known = ", ".join(
            f"{name} {theme.with_interval(Estimate(*(float(o[k]) for k in ('value', 'low', 'high'))))}"
            for name, o in material.oracle.items()
        )
        text += f" Knowing the made-up truth gives, in the same patients: {known}."
    return text


def _calibration(material: Material) -> str:
    found = analysis.assess_calibration(material.tested, model=material.primary)
    return (
        f"{material.primary}: slope {theme.with_interval(found.slope)} and observed : expected "
        f"{theme.with_interval(found.oe_ratio)} (1 is right for both)."
    )


def _operating_point(material: Material) -> str:
    point = analysis.operating_point(of_model(material.tested, model=material.primary))
    target = theme.percent(material.study.training.target_sensitivity)
    return (
        f"{material.primary}, at the threshold fixed in training for {target} sensitivity: "
        f"{point.n_tp} of {point.n_tp + point.n_fn} N+ found, "
        f"{theme.with_interval(point.sensitivity, as_percent=True)}; {point.n_tn} of {point.n_tn + point.n_fp} N0 "
        f"spared, {theme.with_interval(point.specificity, as_percent=True)}."
    )


def _sbrt(material: Material) -> str:
    if not (material.patients["arm"] == "sbrt").any():
        return "This study has no SBRT arm."
    arm = material.rows[material.rows["arm"] == "sbrt"]
    endpoints = endpoints_of(arm, wanted=[e for e in SBRT_ENDPOINTS if e in material.study.analysis.endpoints])
    if not endpoints:
        return "No follow-up is recorded for the SBRT arm."
    endpoint, grouping = endpoints[0], grouping_of(material, arm="sbrt")
    if not grouping.possible:
        return grouping.said
    patients = of_arm(material.rows, model=material.primary, arm="sbrt")
    patients = with_predicted_group(patients, threshold=grouping.threshold)
    horizon = material.study.analysis.horizon_days
    call = analysis.cumulative_incidence if is_competing(arm, endpoint=endpoint) else analysis.kaplan_meier
    curves = call(patients, endpoint=endpoint, by="predicted_group")
    at, value = curves.at(days=[horizon]), "incidence" if hasattr(curves, "gray_test") else "survival"
    at = at[at["cause"] == 1] if "cause" in at else at
    sizes = dict(zip(curves.groups["group"].astype(str), curves.groups["n"], strict=True))
    names = dict(zip(GROUPS, (grouping.low, grouping.high), strict=True))
    said = [
        f"{_reached(r, value=value)} {names[str(r['group'])]} (n = {sizes[str(r['group'])]})"
        for r in at.to_dict("records")
    ]
    what = f"{endpoint_words(endpoint)} {'by' if value == 'incidence' else 'at'} {theme.years(horizon)}"
    return f"{what.capitalize()}: {', '.join(said)}. {_test(curves)}"


def _reached(row: dict[str, object], *, value: str) -> str:
    """'12 % (3 to 27)'; says so where nobody was followed that long, or where there is no interval."""
    if pd.isna(row[value]):
        return "not followed that long:"
    limits = "no event, no interval" if pd.isna(row["low"]) else f"{100 * row['low']:.0f} to {100 * row['high']:.0f}"
    return f"{theme.percent(row[value])} ({limits})"


def _test(curves: object) -> str:
    if hasattr(curves, "gray_test"):
        gray = curves.gray_test
        gray = gray[gray["cause"] == 1] if len(gray) else gray
        p = theme.p_value(float(gray["p_value"].iloc[0])) if len(gray) else ""
        return f"Gray {p}; observational." if p else "Observational."
    p = theme.p_value(curves.log_rank.p_value)
    return f"Log-rank {p}; observational." if p else "Observational."
