"""Hypothesis tests of Table 1, for readers and journals that ask for them; never shown unless asked for."""

from __future__ import annotations

import math

import numpy as np

from onlm_lab.cohort.baseline import Line

FEWEST_EXPECTED = 5
RARE = " (an expected count is below 5)"
NOT_ADJUSTED = (
    "P values of a baseline table are not adjusted for their number, and say nothing of how far groups are apart: that "
    "is the SMD."
)


def hypothesis_test(line: Line, *, mean: bool) -> tuple[float, str]:
    """P value and name of the test that the groups do not differ in one characteristic.

    Numbers: Kruskal-Wallis; where a mean is shown, Welch's t test of two groups or one-way analysis of variance of
    more. Categories: Pearson's chi-square without continuity correction; in a table of two by two where an expected
    count is below 5, Fisher's exact test.

    Returns:
        NaN with the reason where nothing can be tested.
    """
    from scipy import stats

    if line.kind == "number":
        samples = line.samples[1:]
        if len(samples) < 2 or min(len(s) for s in samples) == 0:
            return math.nan, "not tested: a group has no known value"
        everything = np.concatenate(samples)
        if (everything == everything[0]).all():
            return math.nan, "not tested: all values are equal"
        if not mean:
            return float(stats.kruskal(*samples).pvalue), "Kruskal-Wallis"
        if min(len(s) for s in samples) < 2 or all(np.ptp(s) == 0 for s in samples):
            return math.nan, "not tested: no spread within a group"
        if len(samples) == 2:
            return float(stats.ttest_ind(*samples, equal_var=False).pvalue), "Welch's t"
        return float(stats.f_oneway(*samples).pvalue), "one-way ANOVA"
    counts = line.counts[:, 1:]
    counts = counts[counts.sum(axis=1) > 0]
    if counts.shape[1] < 2 or (counts.sum(axis=0) == 0).any():
        return math.nan, "not tested: a group has no known value"
    if len(counts) < 2:
        return math.nan, "not tested: all values are equal"
    expected = np.outer(counts.sum(axis=1), counts.sum(axis=0)) / counts.sum()
    rare = expected.min() < FEWEST_EXPECTED
    if rare and counts.shape == (2, 2):
        return float(stats.fisher_exact(counts).pvalue), "Fisher's exact"
    p = float(stats.chi2_contingency(counts, correction=False).pvalue)
    return p, f"chi-square{RARE if rare else ''}"
