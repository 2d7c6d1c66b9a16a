"""The section on the statistical analysis: what is measured and how, each with its source."""

from __future__ import annotations

import pandas as pd

from onlm_lab.figures import theme
from onlm_lab.figures.outcomes import endpoint_words
from onlm_lab.panels.patients import arms_of
from onlm_lab.report import words
from onlm_lab.report.material import Material
from onlm_lab.report.section import Block, Section, Text, note, table

LABEL = (
    ("AUC", "DeLong's variance; below 50 N+ or above 0.9 the interval is made on the logit scale",
     "DeLong 1988, doi:10.2307/2531595; Sun and Xu 2014, doi:10.1109/LSP.2014.2337313"),
    ("Difference of AUC", "paired DeLong test in the same patients", "DeLong 1988, doi:10.2307/2531595"),
    ("Average precision", "step sum; percentile interval of bootstrap samples of patients",
     "Davis and Goadrich 2006, doi:10.1145/1143844.1143874"),
    ("Calibration in the large, slope", "logistic recalibration on the log odds of the risk",
     "Cox 1958, doi:10.1093/biomet/45.3-4.562"),
    ("Observed : expected", "interval on the log scale", "Debray et al. 2017, doi:10.1136/bmj.i6460"),
    ("ICI", "mean distance of risk and smoothed observed share (local regression, span 0.75)",
     "Austin and Steyerberg 2019, doi:10.1002/sim.8281"),
    ("Sensitivity, specificity, PPV, NPV", "at the threshold fixed in training; Wilson's interval",
     "Wilson 1927, doi:10.1080/01621459.1927.10502953"),
    ("Net benefit", "TP/n - FP/n t/(1 - t), percentile band of bootstrap samples of patients",
     "Vickers and Elkin 2006, doi:10.1177/0272989X06295361"),
    ("Pooling over centres", "random effects on the logit or log scale, REML, Hartung-Knapp, prediction interval",
     "Hartung and Knapp 2001, doi:10.1002/sim.1009; Higgins et al. 2009, doi:10.1111/j.1467-985X.2008.00552.x"),
    ("Subgroups", "one likelihood-ratio test of interaction a factor; P corrected by Holm and Benjamini-Hochberg",
     "Benjamini and Hochberg 1995, doi:10.1111/j.2517-6161.1995.tb02031.x"),
    ("Standardised differences", "absolute, of means or shares", "Austin 2009, doi:10.1080/03610910902859574"),
)  # fmt: skip
OUTCOME = (
    ("Follow-up", "median by reverse Kaplan-Meier", "Schemper and Smith 1996, doi:10.1016/0197-2456(96)00075-X"),
    ("Survival", "Kaplan-Meier, log-log interval, log-rank test", "Kaplan and Meier 1958, "
     "doi:10.1080/01621459.1958.10501452"),
    ("Recurrence", "cumulative incidence with other events competing; Gray's test; Fine and Gray's regression",
     "Gray 1988, doi:10.1214/aos/1176350951"),
    ("Hazard ratios", "Cox, Efron's ties; test of proportional hazards",
     "Grambsch and Therneau 1994, doi:10.1093/biomet/81.3.515"),
    ("AUC over time", "weighted by the inverse probability of censoring", "Blanche et al. 2013, doi:10.1002/sim.5958"),
    ("Treatments compared", "overlap weights; observational", "Li, Morgan and Zaslavsky 2018, "
     "doi:10.1080/01621459.2016.1260466"),
)  # fmt: skip
FEW = (
    "Too few events are a result: no number is shown where a group has too few N+ or N0. Intervals are 95 %, tests are "
    "two-sided, and P is not corrected unless it is said to be."
)


def measures(material: Material) -> Section:
    """Measures with their sources; and what study.toml stated before results were seen."""
    followed = any(name.endswith(("_event", "_state")) for name in material.patients)
    rows = [*LABEL, *(OUTCOME if followed else ())]
    blocks: list[Block] = [
        Text(FEW),
        table(_stated(material, followed=followed), caption="Stated in study.toml, of which this run keeps a copy."),
        table(pd.DataFrame(rows, columns=["Measure", "How", "Source"]), caption="Measures and where they come from.",
              folded=True),
        note("How each was checked against other software is told in the documentation (statistics)."),
    ]  # fmt: skip
    return Section("statistics", "Statistical analysis", tuple(blocks))


def _stated(material: Material, *, followed: bool) -> pd.DataFrame:
    plan = material.study.analysis
    low, high = plan.threshold_range
    rows = [
        ("Shown first", material.primary),
        ("Subgroups", _named(plan.subgroups)),
        ("Fairness", _named(plan.fairness)),
        ("Thresholds of the decision curve", f"{theme.percent(low)} to {theme.percent(high)}"),
        ("Bootstrap", f"{plan.bootstrap:,} samples of patients"),
        ("Least nodes for a sure N0", ", ".join(map(str, plan.min_nodes)) or "not named"),
        ("Markers for associations", _named(plan.markers)),
    ]
    if followed:
        rows += [
            ("Endpoints", ", ".join(endpoint_words(e) for e in plan.endpoints)),
            ("Horizon", f"{theme.years(plan.horizon_days)} ({plan.horizon_days:,} days) from time zero"),
            ("Adjusted for", _named(plan.adjust)),
        ]
    if followed and len(arms_of(material.rows)) > 1:
        rows.append(("Treatments balanced for", _named(plan.balance)))
    return pd.DataFrame(rows, columns=["What", "Stated"])


def _named(columns: tuple[str, ...]) -> str:
    return ", ".join(words.column(name) for name in columns) or "none"
