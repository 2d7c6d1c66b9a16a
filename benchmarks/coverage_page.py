"""The page of benchmarks.coverage: the tables, and the sentences that the numbers allow."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

# What is called how, patients, and whether the number of N+ is fixed by design.
SCENARIOS = (
    ("n = 1,000, cohort", 1000, False),
    ("n = 1,000, 150 N+ by design", 1000, True),
    ("n = 100, cohort", 100, False),
    ("n = 100, 15 N+ by design", 100, True),
)
GOOD, SIZE = (0.93, 0.97), (0.04, 0.06)


class Measure(NamedTuple):
    """A row: its key, what it is called, how its interval or test is made."""

    key: str
    name: str
    method: str


MEASURES = (
    Measure("auc", "AUC", "DeLong"),
    Measure("auc_logit", "AUC", "DeLong, logit"),
    Measure("auc_shown", "AUC", "the one of the two that is shown first"),
    Measure("sensitivity", "Sensitivity", "Wilson"),
    Measure("specificity", "Specificity", "Wilson"),
    Measure("ppv", "PPV", "Wilson"),
    Measure("npv", "NPV", "Wilson"),
    Measure("ppv_at_prevalence", "PPV at 30 % N+", "Mercaldo, logit"),
    Measure("npv_at_prevalence", "NPV at 30 % N+", "Mercaldo, logit"),
    Measure("lr_positive", "LR+", "log"),
    Measure("lr_negative", "LR-", "log"),
    Measure("found", "Of 1,000: N+ found", "Wilson"),
    Measure("missed", "Of 1,000: N+ missed", "Wilson"),
    Measure("spared", "Of 1,000: N0 spared", "Wilson"),
    Measure("needless", "Of 1,000: N0 called positive", "Wilson"),
    Measure("intercept", "Calibration intercept", "Wald"),
    Measure("slope", "Calibration slope", "Wald"),
    Measure("oe_ratio", "O:E", "log, delta method (`oe_ratio_delta`)"),
    Measure("oe_ratio_sums", "O:E", "log, Debray (`oe_ratio`)"),
    Measure("brier", "Brier score", "normal"),
    Measure("intercept_x", "Intercept, risks too extreme", "Wald"),
    Measure("slope_x", "Slope, risks too extreme", "Wald"),
    Measure("oe_ratio_x", "O:E, risks too extreme", "log, delta method (`oe_ratio_delta`)"),
    Measure("oe_ratio_x_sums", "O:E, risks too extreme", "log, Debray (`oe_ratio`)"),
    Measure("brier_x", "Brier score, risks too extreme", "normal"),
    Measure("net_benefit", "Net benefit", "bootstrap of patients"),
    Measure("net_benefit_held", "Net benefit", "bootstrap, N+ held (`hold_prevalence=True`)"),
    Measure("treat_all", "Net benefit of treating all", "bootstrap of patients"),
    Measure("avoided", "Interventions avoided", "bootstrap of patients"),
    Measure("avoided_held", "Interventions avoided", "bootstrap, N+ held"),
    Measure("auc_difference", "Difference of AUC", "DeLong, paired"),
    Measure("sensitivity_difference", "Difference of sensitivity", "Newcombe, method 10"),
    Measure("specificity_difference", "Difference of specificity", "Newcombe, method 10"),
    Measure("net_benefit_difference", "Difference of net benefit", "bootstrap of patients"),
    Measure("net_benefit_difference_held", "Difference of net benefit", "bootstrap, N+ held"),
)
TESTS = (
    Measure("delong", "AUC of two models", "DeLong, paired"),
    Measure("sensitivity_p_value", "Sensitivity of two models", "McNemar"),
    Measure("sensitivity_p_corrected", "", "McNemar, continuity correction"),
    Measure("sensitivity_p_exact", "", "McNemar, exact"),
    Measure("sensitivity_p_mid", "", "McNemar, mid-P"),
    Measure("specificity_p_value", "Specificity of two models", "McNemar"),
    Measure("specificity_p_corrected", "", "McNemar, continuity correction"),
    Measure("specificity_p_exact", "", "McNemar, exact"),
    Measure("specificity_p_mid", "", "McNemar, mid-P"),
    Measure("interaction_sex", "Interaction, two levels", "likelihood ratio"),
    Measure("interaction_smoking", "Interaction, three levels", "likelihood ratio"),
)
Summed = dict[str, dict[str, list[int]]]

_HEAD = """# Do the intervals hold what they promise?

Made by `make coverage` (`benchmarks/coverage.py`; {n_runs:,} samples a column, {n_bootstrap:,} bootstrap samples, a
fixed seed). A 95 % interval should hold the true value in 95 % of samples; a test should reject in 5 % where nothing
is to be found. In brackets: the Monte Carlo standard error. **Bold**: outside {good}
for an interval, outside {size} for a test.

The population is known: one score, standard normal, makes the log odds of N+; 15 % are N+; the model's AUC is
{auc:.3f}, its sensitivity {sensitivity:.3f} and specificity {specificity:.3f} at the threshold of 15 %, which was fixed
beforehand. All true values come from numerical integration over that score, none from a sample. "Risks too extreme"
is the same ordering with log odds of -0.3 + 1.4 times the true ones. Differences are those to a model that sees the
score through noise; tests compare two such models, neither better than the other, and look for interactions with sex
and smoking that are not there.

A **cohort** is what comes through the door: the number of N+ is as random as everything else. **By design** is a
sample in which the numbers of N+ and N0 were fixed before, such as a case-control study.
"""
_FOOT = """## What follows

- In a cohort, a bootstrap that holds the number of N+ gives a band that is far too narrow for net benefit:
  {held_cohort} % coverage at n = 1,000. `net_benefit` and `compare_net_benefit` therefore resample patients as they
  come; treating all has a band too. Where the numbers of N+ and N0 were fixed by design, the same band is too wide
  ({free_design} %), and `hold_prevalence=True` gives the right one ({held_design} %).
- O:E: observed and expected N+ vary together. `oe_ratio_delta` counts that: {oe} % in a cohort of 1,000, {oe_x} % for
  risks that are too extreme. `oe_ratio` follows the field's formula (Debray et al. 2017), which knows the variance of
  the N+ alone: {sums} % and {sums_x} %, too wide where the model explains something.
- By design, whatever depends on the share of N+ (PPV, NPV, counts of 1,000, intercept, O:E, Brier score) was set by
  the investigator, not found: these intervals are then too wide, and the numbers hold for no clinic. Sensitivity,
  specificity, AUC and slope do not depend on it; PPV and NPV at a named prevalence are there for this.
- In a cohort of 100, with 15 N+ or so, the DeLong interval covers {auc_small} %, the one on the logit scale
  {logit_small} %: with fewer than 50 N+ the latter is shown first.
- Of McNemar's tests, the corrected and the exact one reject too seldom; the plain one and mid-P are close to 5 % in
  1,000 patients, and with few N+ mid-P stays below it, which is why figures show it.
- The intercept's Wald interval takes the slope for 1; where it is not, it is a little short ({intercept_x} %).
- In a subgroup, a level needs 10 N+ and 10 N0. With 15 N+ altogether the interaction is hardly ever tested, which is
  meant: the few samples that are tested say little.
- A cell of {n_runs:,} samples has a Monte Carlo standard error of half a point, and there are some {n_cells} cells: a
  few lie a point from where they belong by chance alone.
"""


def page(summed: Summed, *, true: dict[str, float], n_runs: int, n_bootstrap: int) -> str:
    """The Markdown page.

    Args:
        summed: scenario -> measure -> [given, truth below, truth above], test -> [given, rejected].
        true: the population's values.
        n_runs: samples of each scenario.
        n_bootstrap: bootstrap samples in each.
    """

    def share(column: int, key: str) -> str:
        return f"{100 * covered(summed[SCENARIOS[column][0]][key]):.1f}"

    head = _HEAD.format(
        n_runs=n_runs, n_bootstrap=n_bootstrap, good=span(GOOD), size=span(SIZE), auc=true["auc"],
        sensitivity=true["sensitivity"], specificity=true["specificity"],
    )  # fmt: skip
    foot = _FOOT.format(
        held_cohort=share(0, "net_benefit_held"), free_design=share(1, "net_benefit"),
        held_design=share(1, "net_benefit_held"), oe=share(0, "oe_ratio"), oe_x=share(0, "oe_ratio_x"),
        sums=share(0, "oe_ratio_sums"), sums_x=share(0, "oe_ratio_x_sums"),
        intercept_x=share(0, "intercept_x"), n_runs=n_runs,
        n_cells=round(len(SCENARIOS) * (len(MEASURES) + len(TESTS)), -1), auc_small=share(2, "auc"),
        logit_small=share(2, "auc_logit"),
    )  # fmt: skip
    names = [name for name, _, _ in SCENARIOS]
    intervals = table("Measure", "95 % interval", MEASURES, summed, names=names, of=covered, good=GOOD, n_runs=n_runs)
    tests = table("Test of", "Method", TESTS, summed, names=names, of=rejected, good=SIZE, n_runs=n_runs)
    return f"{head}\n## Coverage, %\n\n{intervals}\n\n## Rejection under the null, %\n\n{tests}\n\n{foot}"


def covered(count: list[int]) -> float:
    """The share of given intervals that held the truth."""
    return 1 - (count[1] + count[2]) / count[0] if count[0] else math.nan


def rejected(count: list[int]) -> float:
    """The share of given P values below 0.05."""
    return count[1] / count[0] if count[0] else math.nan


def span(limits: tuple[float, float]) -> str:
    """Two shares as text, in %."""
    return f"{100 * limits[0]:.0f} to {100 * limits[1]:.0f} %"


def table(
    first: str, second: str, rows: Iterable[Measure], summed: Summed, *, names: list[str], of: object,
    good: tuple[float, float], n_runs: int,
) -> str:  # fmt: skip
    """Rows of shares, a column for each scenario, as Markdown."""
    lines = [f"| {first} | {second} | " + " | ".join(names) + " |", "|---|---|" + "---|" * len(names)]
    for row in rows:
        cells = [_cell(summed[name].get(row.key, [0, 0, 0]), of=of, good=good, n_runs=n_runs) for name in names]
        lines.append(f"| {row.name} | {row.method} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(count: list[int], *, of: object, good: tuple[float, float], n_runs: int) -> str:
    given, share = count[0], of(count)
    if given < 0.01 * n_runs:
        return f"given in {100 * given / n_runs:.1f} % only"
    said = f"{100 * share:.1f}"
    said = said if good[0] <= share <= good[1] else f"**{said}**"
    said += f" ({100 * math.sqrt(share * (1 - share) / given):.1f})"
    return said if given == n_runs else f"{said}; given in {100 * given / n_runs:.1f} %"
