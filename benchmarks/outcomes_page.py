"""The page of benchmarks.coverage_outcomes: the tables, and the sentences that the numbers allow."""

from __future__ import annotations

import math

from benchmarks.coverage_page import GOOD, SIZE, Measure, Summed, covered, rejected, span, table

SCENARIOS = (("n = 1,000", 1000), ("n = 200", 200))  # what is called how, patients
INTERVALS = (
    Measure("hr_risk", "Hazard ratio, 10 points of risk", "Cox, Wald"),
    Measure("hr_risk_robust", "", "Cox, robust"),
    Measure("hr_male", "Hazard ratio, male", "Cox, Wald"),
    Measure("hr_male_robust", "", "Cox, robust"),
    Measure("hr_risk_regional", "Subdistribution hazard ratio, 10 points of risk", "Fine-Gray"),
    Measure("hr_male_regional", "Subdistribution hazard ratio, male", "Fine-Gray"),
    Measure("survival", "Survival at 3 years", "Kaplan-Meier, log(-log)"),
    Measure("survival_positive", "Survival at 3 years, predicted N+", "Kaplan-Meier, log(-log)"),
    Measure("median", "Median survival", "inverted log(-log) limits"),
    Measure("rmst_difference", "Difference of mean days lived in 3 years", "Greenwood"),
    Measure("incidence_1", "Incidence at 3 years, the event", "Aalen-Johansen, log(-log)"),
    Measure("incidence_2", "Incidence at 3 years, the competing event", "Aalen-Johansen, log(-log)"),
    Measure("harrell_c", "Harrell's C", "infinitesimal jackknife"),
    Measure("uno_c", "Uno's C to 3 years", "infinitesimal jackknife"),
    Measure("auc_os", "AUC at 3 years", "infinitesimal jackknife"),
    Measure("auc_regional", "AUC at 3 years, competing risks", "infinitesimal jackknife"),
    Measure("auc_regional_free", "", "infinitesimal jackknife, event-free controls"),
)
TESTS = (
    Measure("log_rank_coin", "Survival, two groups", "log-rank"),
    Measure("log_rank_die", "Survival, four groups", "log-rank"),
    Measure("gray_1_coin", "Incidence of the event, two groups", "Gray"),
    Measure("gray_1_die", "Incidence of the event, four groups", "Gray"),
    Measure("gray_2_coin", "Incidence of the competing event, two groups", "Gray"),
    Measure("gray_2_die", "Incidence of the competing event, four groups", "Gray"),
    Measure("ph_risk", "Proportional hazards, risk", "score test"),
    Measure("ph_male", "Proportional hazards, male", "score test"),
    Measure("ph_global", "Proportional hazards, both", "score test"),
)

_HEAD = """# Do the intervals of time to event hold what they promise?

Made by `make coverage` (`benchmarks/coverage_outcomes.py`; {n_runs:,} samples a column, a fixed seed). A 95 % interval
should hold the true value in 95 % of samples; a test should reject in 5 % where nothing is to be found. In brackets:
the Monte Carlo standard error. **Bold**: outside {good} for an interval, outside {size} for a test.

The population is known (`benchmarks/known_times.py`): one score makes the risk of N+, half of the patients are male.
Death comes at Weibull times, with a hazard ratio of {hr_risk:.2f} for 10 points of risk and {hr_male:.2f} for men.
Regional recurrence follows the population of Fine and Gray's own simulations
([1999](https://doi.org/10.1080/01621459.1999.10474144)), whose subdistribution hazard ratios are known: {hr_risk_1:.2f}
for 10 points of risk and {hr_male_1:.2f} for men; other events compete. Follow-up ends at a planned day between 3.5 and
8 years, or by a loss before: {os:.0f} % are censored before death, {regional:.0f} % before either kind of event.

All true values come from numerical integration, none from a sample: survival at 3 years {survival:.3f}
({survival_positive:.3f} of those predicted N+), median {median:,.0f} days, {rmst:.0f} days of life lost in 3 years by
predicted N+ against N0, incidence at 3 years {incidence_1:.3f} of regional recurrence and {incidence_2:.3f} of
competing events, AUC of the risk at 3 years {auc_os:.3f} for death and {auc_regional:.3f} for regional recurrence
({auc_regional_free:.3f} against patients without any event by then), Uno's C {uno_c:.3f}. Harrell's C is compared with
what it estimates, {harrell_c:.3f}, which depends on the censoring. The groups of the tests are made by lot.
"""
_FOOT = """## What follows

- The intervals are meant for a cohort as it comes, censored for reasons that have nothing to do with the patient.
- The robust errors are those of patients who vary each on their own. With {n_small} patients they are a little smaller
  than the model's: {robust} % against {wald} % for the hazard ratio of the risk.
- A median whose upper limit is not reached counts as an interval without an end.
- Gray's test of the competing event in two groups of 1,000 patients rejected in {gray} %, by chance: in 8,000 further
  samples it rejected in 5.0 %.
- A cell of {n_runs:,} samples has a Monte Carlo standard error of half a point, and there are some {n_cells} cells: a
  few lie a point from where they belong by chance alone.
"""


def page(summed: Summed, *, true: dict[str, float], censored: dict[str, float], n_runs: int) -> str:
    """The Markdown page.

    Args:
        summed: scenario -> measure -> [given, truth below, truth above], test -> [given, rejected].
        true: the population's values; hazard ratios as logarithms.
        censored: the share of patients, by endpoint.
        n_runs: samples of each scenario.
    """
    ratios = {
        "hr_risk": true["hr_risk"], "hr_male": true["hr_male"], "hr_risk_1": true["hr_risk_regional"],
        "hr_male_1": true["hr_male_regional"],
    }  # fmt: skip
    said = true | {name: math.exp(value) for name, value in ratios.items()}
    said |= {name: 100 * share for name, share in censored.items()}
    head = _HEAD.format(n_runs=n_runs, good=span(GOOD), size=span(SIZE), rmst=-true["rmst_difference"], **said)
    names = [name for name, _ in SCENARIOS]
    shown = [row for row in INTERVALS if any(row.key in summed[name] for name in names)]
    intervals = table("Measure", "95 % interval", shown, summed, names=names, of=covered, good=GOOD, n_runs=n_runs)
    tests = table("Test of", "Method", TESTS, summed, names=names, of=rejected, good=SIZE, n_runs=n_runs)
    small, n_small = SCENARIOS[-1]
    robust, wald = (f"{100 * covered(summed[small][key]):.1f}" for key in ("hr_risk_robust", "hr_risk"))
    gray = f"{100 * rejected(summed[names[0]]['gray_2_coin']):.1f}"
    n_cells = round(len(names) * (len(shown) + len(TESTS)), -1)
    foot = _FOOT.format(n_runs=n_runs, n_small=n_small, robust=robust, wald=wald, n_cells=n_cells, gray=gray)
    return f"{head}\n## Coverage, %\n\n{intervals}\n\n## Rejection under the null, %\n\n{tests}\n\n{foot}"
