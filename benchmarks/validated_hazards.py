"""Cox's model and its tests, Firth's penalty and Fine and Gray's model, beside R survival, Hmisc and cmprsk."""

from __future__ import annotations

import numpy as np
import pandas as pd

from benchmarks.validation_data import hazards, survival
from benchmarks.validation_parts import Z95, Check, Pairs, estimate, in_r
from onlm_lab import analysis

R, FIRTH, BASIC = hazards.R, hazards.FIRTH, hazards.BASIC
LUNG, TIES, BOTH, GRADE = hazards.LUNG, hazards.TIES, hazards.BOTH, hazards.GRADE
table, of_case, COMPETING = survival.table, survival.in_r, survival.COMPETING
ALL_LUNG = table("lung")
ALL_TIES = ALL_LUNG.assign(os_days=ALL_LUNG["os_days"] // 60)
KNOWN = ALL_LUNG[ALL_LUNG["ecog"] < 3].assign(ecog=lambda d: d["ecog"].astype(int))
PBC = hazards.PBC.assign(logbili=np.log(hazards.PBC["bili"]), logprotime=np.log(hazards.PBC["protime"]))
MGUS, STATES, TINY_STATES = (table(name, names=COMPETING) for name in ("mgus", "pbc", "tiny_survival"))
YEARS = STATES.assign(regional_days=STATES["regional_days"] // 365)
COX = {
    "cox_lung": (ALL_LUNG, BASIC, {}),
    "cox_lung_factor": (KNOWN.assign(ecog=KNOWN["ecog"].astype(str)), ["age", "ecog"], {}),
    "cox_lung_strata": (ALL_LUNG, ["age", "ecog"], {"strata": "sex"}),
    "cox_lung_cluster": (ALL_LUNG, BASIC, {"cluster": "inst"}),
    "cox_ties": (ALL_TIES, BASIC, {}),
    "cox_ties_strata": (ALL_TIES, ["age", "ecog"], {"strata": "sex"}),
    "cox_ties_cluster": (ALL_TIES, BASIC, {"cluster": "inst"}),
    "cox_pbc": (PBC, ["age", "edema", "logbili", "logprotime", "albumin"], {}),
    "cox_tiny": (table("tiny_survival"), ["score"], {}),
    "cox_pbc_cause2": (STATES, ["age", "albumin"], {"endpoint": "regional", "cause": 2}),
}
IN_R = {"sex[male]": "sexmale", "ecog[1]": "factor(ecog)1", "ecog[2]": "factor(ecog)2", "logbili": "log(bili)",
        "logprotime": "log(protime)"}  # fmt: skip
WHOLE = {
    "lung": (LUNG, BASIC, {"tau_days": 600}),
    "ties": (TIES, BASIC, {"tau_days": 9}),
    "strata": (BOTH, ["age", "ecog"], {"strata": ["sex", "half"]}),
    "cluster": (LUNG, BASIC, {"cluster": "inst"}),
}
TIMES = {"lung": (LUNG, BASIC, {}), "ties": (TIES, BASIC, {}), "strata": WHOLE["strata"],
         "factor": (GRADE, ["age", "ecog"], {})}  # fmt: skip
SCHOENFELD = {"lung": (LUNG, "km"), "ties": (TIES, "identity")}
FORMS = {"lung": (LUNG, "age", 4, []), "ties": (TIES, "age", 3, ["sex", "ecog"]), "pbc": (PBC, "bili", 5, ["age"])}
SINGLE = {"lung": (LUNG, BASIC, None), "ties": (TIES, ["age", "ecog"], "sex")}
ADDED = {
    "lung": (LUNG, {"base": ["age", "sex"], "added": ["ecog"]}),
    "ties": (TIES, {"base": ["age"], "added": ["ecog"], "strata": "sex"}),
}
FINE_GRAY = {
    "fg_mgus": (MGUS, ["age", "sex", "hgb"], 1), "fg_mgus_cause2": (MGUS, ["age", "sex", "hgb"], 2),
    "fg_pbc": (STATES, ["age", "albumin"], 1), "fg_ties": (YEARS, ["age", "albumin"], 1),
    "fg_ties_cause2": (YEARS, ["age", "albumin"], 2), "fg_tiny": (TINY_STATES, ["score"], 1),
}  # fmt: skip


def coefficients() -> Pairs:
    for case, (rows, covariates, options) in COX.items():
        fit = analysis.cox(rows, **({"endpoint": "os"} | options), covariates=covariates)
        want = of_case(case)
        for row in fit.table.to_dict("records"):
            name = IN_R.get(row["covariate"], row["covariate"])
            yield [row["coef"], row["se"], row["p_value"]], [want[f"{part}:{name}"] for part in ("coef", "se", "p")]
        yield [fit.log_likelihood, fit.log_likelihood_null], [want["loglik"], want["loglik_null"]]
        yield [fit.n, fit.n_events], [want["n"], want["nevent"]]


def concordance() -> Pairs:
    for case, (rows, covariates, options) in COX.items():
        found = analysis.cox(rows, **({"endpoint": "os"} | options), covariates=covariates).concordance
        value, half = of_case(case)["concordance"], Z95 * of_case(case)["concordance_se"]
        yield estimate(found), [value, value - half, min(1, value + half)]


def whole_model() -> Pairs:
    for case, (rows, covariates, options) in WHOLE.items():
        fit, want = analysis.cox(rows, endpoint="os", covariates=covariates, **options), R[f"whole_{case}"]
        yield fit.table["coef"], want["coef"]
        yield fit.table["se"], want["se"]
        yield fit.aic, want["aic"]
        for own, theirs in (("likelihood_ratio", "lr"), ("wald", "wald"), ("score", "score")):
            test = getattr(fit, own)
            yield [test.chi2, test.df], want[theirs][:2]


def uno_of_the_model() -> Pairs:
    for case in ("lung", "ties"):
        rows, covariates, options = WHOLE[case]
        uno = analysis.cox(rows, endpoint="os", covariates=covariates, **options).uno
        want = R[f"whole_{case}"]
        yield [uno.value, (uno.high - uno.low) / 2], [want["uno"], Z95 * want["uno_se"]]


def proportionality() -> Pairs:
    for case, (rows, covariates, options) in TIMES.items():
        for transform, want in R[f"zph_{case}"].items():
            found = analysis.cox(rows, endpoint="os", covariates=covariates, transform=transform, **options).ph_test
            yield found[["chi2", "df", "p_value"]].to_numpy(float).T, [want["chi2"], want["df"], want["p"]]


def _over_time(case: str) -> tuple[object, dict]:
    rows, transform = SCHOENFELD[case]
    found = analysis.proportional_hazards(rows, endpoint="os", covariates=BASIC, transform=transform)
    return found, R[f"schoenfeld_{case}"]


def schoenfeld() -> Pairs:
    for case in SCHOENFELD:
        found, want = _over_time(case)
        for i, name in enumerate(("age", "sex[male]", "ecog")):
            own = found.residuals[found.residuals["covariate"] == name][["days", "residual"]].to_numpy()
            theirs = np.column_stack([want["days"], np.array(want["y"])[:, i]])
            yield own[np.lexsort(own.T[::-1])], theirs[np.lexsort(theirs.T[::-1])]


def effect_over_time() -> Pairs:
    for case in SCHOENFELD:
        found, want = _over_time(case)
        for i, name in enumerate(("age", "sex[male]", "ecog")):
            own = found.curve[found.curve["covariate"] == name]
            yield own["log_hr"], np.array(want["smooth"])[:, i]
            yield (own["high"] - own["low"]) / 2, Z95 * np.array(want["se"])[:, i]


def _form(case: str) -> tuple[object, dict, np.ndarray]:
    rows, name, knots, others = FORMS[case]
    found = analysis.functional_form(rows, endpoint="os", covariate=name, knots=knots, others=others)
    return found, R[f"form_{case}"], np.argsort(rows[name].to_numpy(), kind="stable")


def forms() -> Pairs:
    for case in FORMS:
        found, want, order = _form(case)
        full, line, without = want["loglik"]
        yield found.knots, want["knots"]
        yield [found.nonlinearity.chi2, found.association.chi2], [2 * (full - line), 2 * (full - without)]
        yield found.residuals["residual"], np.array(want["martingale"])[order]
        yield found.residuals["smooth"], want["smooth"]["y"]


def curves_of_forms() -> Pairs:
    """R's curve is known at a few values: ours, at its own, is written in the spline's basis and told at R's."""
    for case in FORMS:
        found, want, _ = _form(case)
        curve, knots, at = found.curve, np.asarray(found.knots), np.array(want["grid"])
        half = (np.log(curve["high"]) - np.log(curve["low"])) / 2
        own, theirs = (_basis(x, knots) for x in (curve.iloc[:, 0].to_numpy(), at))
        yield theirs @ np.linalg.lstsq(own, curve["log_hr"], rcond=None)[0], want["log_hr"]
        own, theirs = (np.einsum("ni,nj->nij", b, b).reshape(len(b), -1) for b in (own, theirs))
        yield theirs @ np.linalg.lstsq(own, half**2, rcond=None)[0], (Z95 * np.array(want["se"])) ** 2


def _basis(x: np.ndarray, knots: np.ndarray) -> np.ndarray:
    """1, x and the restricted cubic terms of Harrell's Regression Modeling Strategies (2015), 2.4.5."""
    x, t = ((v - knots[0]) / (knots[-1] - knots[0]) for v in (x, knots))
    cube = np.maximum(x[:, None] - t, 0) ** 3
    last = (t[-1] - t[:-2]) / (t[-1] - t[-2]), (t[-2] - t[:-2]) / (t[-1] - t[-2])
    return np.column_stack([np.ones(len(x)), x, cube[:, :-2] - cube[:, [-2]] * last[0] + cube[:, [-1]] * last[1]])


def single_patients() -> Pairs:
    for case, (rows, covariates, strata) in SINGLE.items():
        found = analysis.influence(rows, endpoint="os", covariates=covariates, strata=strata).table
        want = R[f"single_{case}"]
        yield found[[c for c in found if c.startswith("dfbetas:")]], want["dfbetas"]
        for name in ("martingale", "deviance", "displacement"):
            yield found[name], want[name]
    for i, want in zip((4, 59, 99), R["without"], strict=True):
        yield analysis.cox(LUNG.drop(index=i), endpoint="os", covariates=BASIC).table["coef"], want


def added() -> Pairs:
    for case, (rows, options) in ADDED.items():
        found, want = analysis.added_value(rows, endpoint="os", **options), R[f"added_{case}"]
        yield [found.likelihood_ratio.chi2, found.likelihood_ratio.p_value], [want["chi2"], want["p"]]
        for own, value, se in zip((found.base, found.full), want["c"], want["se"], strict=True):
            yield estimate(own), [value, value - Z95 * se, value + Z95 * se]
        gap, half = want["c"][1] - want["c"][0], Z95 * want["difference_se"]
        yield estimate(found.difference), [gap, gap - half, gap + half]
        yield found.table["aic"], want["aic"]
        null, base, full = want["loglik"]
        yield found.adequacy, (base - null) / (full - null)


def _ratios(found: pd.DataFrame, kind: str) -> np.ndarray:
    names = [f"{kind}_{name}" for name in ("hr", "low", "high", "p_value")]
    return found.loc[~found["reference"], names].to_numpy(float)


def beside_each_other() -> Pairs:
    found, want = analysis.univariable(GRADE, endpoint="os", covariates=["age", "ecog", "sex"]).table, R["beside"]
    yield _ratios(found, "univariable"), np.vstack([want[name] for name in ("age", "ecog", "sex")])
    yield _ratios(found, "multivariable"), want["multi"]


def subdistribution_beside_each_other() -> Pairs:
    covariates, want = ["age", "sex", "hgb"], R["beside_gray"]
    found = analysis.univariable(MGUS, endpoint="regional", covariates=covariates, method="fine_gray").table
    yield _ratios(found, "univariable"), np.vstack([want[name] for name in covariates])
    yield _ratios(found, "multivariable"), want["multi"]


def interactions() -> Pairs:
    for case, covariates in (("interaction_lung", []), ("interaction_lung_age", ["age"])):
        fit = analysis.interaction(KNOWN, endpoint="os", treatment="sex", group="ecog", covariates=covariates)
        found = {"chi2": fit.chi2, "df": fit.df, "p": fit.p_value}
        for row in fit.table.to_dict("records"):
            found |= {f"{name}:{row['group']}": row[name] for name in ("hr", "low", "high", "n", "n_events")}
        want = of_case(case)
        yield [found[key] for key in want], list(want.values())


def firth() -> Pairs:
    separated = pd.DataFrame(FIRTH["separated"]).rename(columns={"days": "os_days", "event": "os_event"})
    separated["patient_id"] = separated.index.astype(str)
    cases = {"separated": (separated, ["age", "marker"], None), "one": (separated, ["marker"], None),
             "lung": (LUNG, BASIC, None), "ties": (TIES, ["age", "ecog"], "sex")}  # fmt: skip
    for case, (rows, covariates, strata) in cases.items():
        fit = analysis.cox(rows, endpoint="os", covariates=covariates, strata=strata, penalty="firth")
        want = FIRTH[f"firth_{case}"]
        found = fit.table.assign(low=np.log(fit.table["low"]), high=np.log(fit.table["high"]))
        for own, theirs in (("coef", "coef"), ("se", "se"), ("low", "low"), ("high", "high"), ("p_value", "p")):
            yield found[own], np.atleast_1d(want[theirs])
        yield fit.likelihood_ratio.chi2, want["lr"]


def fine_gray() -> Pairs:
    for case, (rows, covariates, cause) in FINE_GRAY.items():
        fit = analysis.fine_gray(rows, endpoint="regional", covariates=covariates, cause=cause)
        want = of_case(case)
        yield [fit.log_likelihood, fit.log_likelihood_null], [want["loglik"], want["loglik_null"]]
        for row in fit.table.to_dict("records"):
            name = row["covariate"].replace("sex[male]", "male")
            yield [row["coef"], row["se"]], [want[f"coef:{name}"], want[f"se:{name}"]]


STORED, HAZARDS = "survival_reference.csv", "hazards.json lung.csv"
COXPH, ZPH = in_r("survival::coxph", STORED), in_r("survival::cox.zph", "hazards.json")
ROWS = "lung, pbc, tiny25, heavy ties"
HAZARD = (
    Check("Coefficients, errors, P, likelihood", "cox", COXPH, ROWS + "; strata, clusters",
          STORED + " lung.csv pbc.csv tiny_survival.csv", coefficients, 1e-10,
          remark="Efron's ties; with clusters and ties lifelines' errors differ by up to 0.4 %"),
    Check("Harrell's C with limits", "cox", in_r("survival::concordance", STORED), ROWS,
          STORED + " lung.csv pbc.csv tiny_survival.csv", concordance, 1e-10),
    Check("Tests of the whole model, AIC", "cox", in_r("survival::coxph", "hazards.json"),
          "lung, heavy ties; strata, clusters", HAZARDS, whole_model, 1e-10),
    Check("Uno's C of the model", "cox", in_r("survival::concordance", "hazards.json") + ", n/G2", "lung, heavy ties",
          HAZARDS, uno_of_the_model, 1e-10, remark="events before censorings at ties, G(T-)"),
    Check("What a covariate adds: test, C, difference, adequacy", "added_value",
          in_r("survival::concordance", "hazards.json") + ", anova", "lung, heavy ties", HAZARDS, added, 1e-10),
    Check("Hazard ratios alone and together", "univariable", in_r("survival::coxph", "hazards.json"), "lung", HAZARDS,
          beside_each_other, 1e-10),
    Check("Treatment by group", "interaction", COXPH, "lung", STORED + " lung.csv", interactions, 1e-9),
    Check("Form of an effect: knots, tests, residuals, their smooth", "functional_form",
          in_r("Hmisc::rcspline.eval", "hazards.json") + ", coxph, lowess", "lung, pbc, heavy ties",
          HAZARDS + " pbc.csv", forms, 1e-9),
    Check("The curve of the effect and its squared half width", "functional_form",
          in_r("Hmisc::rcspline.eval", "hazards.json") + ", coxph", "lung, pbc, heavy ties", HAZARDS + " pbc.csv",
          curves_of_forms, 1e-4, remark="R's few points on our curve"),
    Check("Single patients: residuals, dfbetas; fits without one", "influence, cox",
          in_r("survival::residuals.coxph", "hazards.json"), "lung, heavy ties", HAZARDS, single_patients, 1e-10),
)  # fmt: skip
PROPORTIONAL = (
    Check("Test of proportional hazards, four scales of time", "cox", ZPH, "lung, heavy ties; strata, factor", HAZARDS,
          proportionality, 1e-10,
          remark="the exact score test; lifelines' is the approximation of 1994 (P 0.57 against 0.13 in pbc)"),
    Check("Scaled Schoenfeld residuals", "proportional_hazards", ZPH, "lung, heavy ties", HAZARDS, schoenfeld, 1e-10),
    Check("Log hazard ratio over time with its band", "proportional_hazards", "R splines::ns (R 4.2.2)",
          "lung, heavy ties", HAZARDS, effect_over_time, 1e-10),
)  # fmt: skip
SUBDISTRIBUTION = (
    Check("Coefficients, errors, likelihood", "fine_gray", in_r("cmprsk::crr", STORED),
          "mgus2, pbc, tiny25, heavy ties", STORED + " mgus.csv pbc.csv tiny_survival.csv", fine_gray, 1e-6,
          remark="the sandwich counts the estimated censoring; a weighted Cox model differs by up to 0.0026"),
    Check("Ratios alone and together", "univariable", in_r("cmprsk::crr", "hazards.json"), "mgus2",
          "hazards.json mgus.csv", subdistribution_beside_each_other, 1e-5),
)  # fmt: skip
FIRTHS = (
    Check("Coefficients, errors, profile limits, P", "cox", "base R 4.2.2, a numerical maximum",
          "separated table, lung, heavy ties", "firth_hazard.json lung.csv", firth, 1e-8),
)  # fmt: skip
CHECKS = HAZARD + PROPORTIONAL + SUBDISTRIBUTION + FIRTHS
