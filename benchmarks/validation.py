"""`make validation`: our numbers beside those of R and of Python's own packages, as docs/validation.md.

    python -m benchmarks.validation docs/validation.md

What R computed lies in tests/reference beside the scripts that computed it; R itself is not needed. The page is written
in any case; where a difference is larger than the page claims, the line says so and the command ends with 1.
"""

from __future__ import annotations

import argparse
import sys
from fnmatch import fnmatch
from pathlib import Path

from benchmarks import (
    validated_calibration,
    validated_decisions,
    validated_discrimination,
    validated_event_risk,
    validated_groups,
    validated_hazards,
    validated_live,
    validated_planning,
    validated_survival,
    validated_treatments,
)
from benchmarks.validation_page import page
from benchmarks.validation_parts import Check, Found, measure

TOPICS: dict[str, tuple[Check, ...]] = {
    "Discrimination": validated_discrimination.CHECKS,
    "Thresholds": validated_decisions.THRESHOLDS,
    "Calibration and updating": validated_calibration.CHECKS,
    "Decisions": validated_decisions.DECISIONS,
    "Reclassification": validated_decisions.RECLASSIFICATION,
    "Subgroups and fairness": validated_groups.SUBGROUPS,
    "Centres": validated_groups.CENTRES,
    "Labels, missing predictors, mistakes, associations": validated_groups.QUALITY,
    "Sample size": validated_planning.SAMPLE_SIZE,
    "Survival": validated_survival.SURVIVAL,
    "Cox's model": validated_hazards.HAZARD,
    "Proportional hazards": validated_hazards.PROPORTIONAL,
    "Competing risks": validated_survival.COMPETING_RISKS,
    "Fine and Gray's model": validated_hazards.SUBDISTRIBUTION,
    "Firth's penalty": validated_groups.FIRTHS + validated_hazards.FIRTHS,
    "Restricted means": validated_survival.MEAN_TIMES,
    "Predicted risks of an event": validated_event_risk.PROBABILITIES,
    "Accuracy at a day": validated_event_risk.ACCURACY,
    "Calibration of event risks, net benefit by a day": validated_event_risk.EVENT_CALIBRATION,
    "Treatments and landmarks": validated_treatments.CHECKS,
    "Reader studies": validated_planning.READERS,
    "Staging": validated_planning.STAGING,
    "Python's own packages, side by side": validated_live.CHECKS,
}
OTHER_FILES = {  # of tests/reference: they hold no statistic to compare
    "make_*.R": "the scripts that computed R's numbers",
    "make_codestreams.py": "makes compressed pictures",
    "codestreams.json": "compressed pictures, for tests/test_transfer_syntaxes.py",
    "real_outcomes.R": "asks R about the real public table, which is not here: tests/test_real_outcomes.py",
}
OTHER_PARTS = {  # of files that are compared: what no public call hands out
    "binary.json, lowess.json: fit": "the smooth curve at each patient: tests/test_smoothing.py, tests/test_lowess.py",
    "binary.json: homogeneous": "four made-up effects pooled: tests/test_centres.py",
    "decisions.json: cox": "Cox's model with case weights: tests/test_case_weights.py",
    "event_calibration.json: nne": "another smoother, which is only near ours: tests/test_event_calibration.py",
    "resampled.json: weighted_slope": "the slope of one sample: tests/test_bootstrapping.py",
    "van_dyke.json: error, cov1, cov2, cov3": "components of variance: tests/test_readers.py",
}
OTHER_CALLS = {  # of onlm_lab.analysis: no number of their own, or a number of a call above on other rows
    "labelled": "the rows that have a label",
    "abstention": "the measures above, among the patients who are kept",
    "suspicion": "a sentence where an AUC is too good",
    "event_risk_table": "event_risk, for every model, endpoint and day",
    "treatment_arms": "sorts patients into two arms",
    "censor_at": "ends follow-up at a day",
    "recurrence_at_last_imaging": "ends follow-up at the last imaging",
    "check_endpoints": "contradictions between endpoints, by name",
}


def checks() -> list[Check]:
    """Every comparison, in the page's order."""
    return [check for part in TOPICS.values() for check in part]


def uncovered(names: list[str]) -> list[str]:
    """Files that no comparison reads and that no reason excuses."""
    read = {name for check in checks() for name in check.files.split()}
    return [name for name in names if name not in read and not any(fnmatch(name, other) for other in OTHER_FILES)]


def compare() -> dict[str, list[Found]]:
    """Every comparison, run: topic -> what was found."""
    return {topic: [measure(check) for check in part] for topic, part in TOPICS.items()}


def written(found: dict[str, list[Found]]) -> str:
    """The page of what was found."""
    return page(found, left_out={"tests/reference": OTHER_FILES | OTHER_PARTS, "onlm_lab.analysis": OTHER_CALLS})


def main(words: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("page", type=Path, help="the Markdown page that is written")
    said = parser.parse_args(words)
    found = compare()
    said.page.write_text(written(found), encoding="utf-8")
    outside = [one for part in found.values() for one in part if not one.agrees]
    for one in outside:
        print(f"OUTSIDE: {one.check.quantity} ({one.check.peer}): {one.absolute:.2g}, relative {one.relative:.2g}")
    n = sum(one.n for part in found.values() for one in part)
    print(f"{n:,} values in {len(checks())} comparisons, {len(outside)} outside what is claimed: {said.page}")
    return 1 if outside else 0


if __name__ == "__main__":
    sys.exit(main())
