"""The page of benchmarks.validation: what was compared, the tables, and the differences that are meant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from benchmarks.validation_parts import SMALLEST, Found

_HEAD = """# Are the numbers those of R?

Made by `make validation` (`python -m benchmarks.validation docs/validation.md`), which takes less than a minute and
needs no R. Research use only: that a number is computed as elsewhere says nothing of the model that it judges.

**{n_values} values in {n_checks} comparisons; {n_outside}.** {n_close} of the comparisons differ by less than 1e-10,
{n_meant} by more than 1e-4, each for the reason that stands beside it: chance, few printed digits, or on purpose.

## What was compared

Each line calls functions of `onlm_lab.analysis` (staging: of `onlm_lab.cohort`) as you would call them, and sets their
numbers beside those of another program on the same patients. R's numbers lie in `tests/reference` beside the scripts
that computed them (`Rscript make_binary.R` there computes `binary.json` again; the first lines of each script name the
packages). The version in brackets is the one that the numbers' file or script records; where neither does the line says
so. "base R" means that no package gives the quantity and its definition was written in R, apart from our code. The last
table needs no stored number: Python's own packages run beside ours on made-up patients.

| Data | What it is |
|---|---|
| aSAH | 113 patients with a haemorrhage, of the R package pROC; p1 and p2 are fitted risks |
| centres | MADE-UP DATA: 742 patients of nine centres |
| tiny25 | MADE-UP DATA: 25 patients with many equal risks and 4 events, the hard case |
| lung, pbc, mgus2 | public tables of the R package survival; "heavy ties", "in years": their follow-up rounded down |
| extreme, separated, published tables | a few patients each: made up for the edges, or printed in a paper |
| Van Dyke | 5 readers, 114 patients, two kinds of MRI, as handed on with the R packages MRMCaov and RJafroc |

## What equal means

- **Values**: how many numbers were compared. A number that both sides refuse to give (NaN, NA) counts as equal, one
  that only one side gives as different.
- **Absolute**: the largest difference. **Relative**: the largest difference divided by the other program's value, or
  by {smallest} where that is smaller, since a difference relative to nothing says nothing.
- **Claimed**: the relative difference that is not exceeded: `make test` computes every line anew, and fails where one
  is. "abs." marks a claim on the absolute difference. Where nothing but rounding differs the claim is
  1e-10; it is wider where a program ends its iterations early, and widest where both sides draw random samples ("by
  chance"), the other side prints few digits ("printed"), or the difference is meant ("on purpose").
- These are the differences of one machine; the last digits are others on yours.
"""
_MEANT_HEAD = """## Differences that are meant

Programs disagree about conventions. Where they do, this is what ours is. Some of it was found when the conventions were
chosen, with programs that no table above repeats.

| Quantity | Elsewhere | Here |
|---|---|---|
"""
MEANT = (
    ("DeLong's interval", "cut at 0 and 1 by pROC", "the same, named; the logit interval beside it, and shown first "
     "below 50 N+ or above 0.9, where DeLong's holds the truth too seldom ([coverage](coverage.md))"),
    ("AUCs of different patients", "pROC refers the statistic to a t distribution (Welch)", "to the normal"),
    ("Thresholds", "pROC: midpoints between risks, interpolated at a fixed sensitivity",
     "risks that occur, positive if at or above: one between two risks decides nothing else"),
    ("Partial AUC below the diagonal", "NA in R; scikit-learn gives a number", "none, with the reason"),
    ("Calibration intercept", "rms::val.prob: of the joint fit", "slope fixed at 1; the joint one beside it"),
    ("Logistic fits", "R's default stops with standard errors up to 1.4e-4 off", "converged to 1e-12"),
    ("Smooth calibration curve", "R's default loess interpolates on a tree, 0.1 to 6 % off",
     "the exact local regression; lowess on request"),
    ("Standard error of the NRI", "Pencina's, up to 28 % off the other", "multinomial, as Hmisc"),
    ("Pooled centres", "statsmodels' variance between centres may be negative; I2 from Q",
     "REML, not below 0, Hartung-Knapp, I2 from tau2, as metafor"),
    ("Firth's regression", "logistf stops early where the classes are separated", "solved to 1e-10, as brglm2"),
    ("Kaplan-Meier", "NA for limits in R where survival is 0 or 1; a median not reached is infinite in lifelines",
     'none; "not reached"'),
    ("Proportional hazards", "lifelines: the approximation of 1994 (P 0.57 against 0.13 in pbc)",
     "the exact score test, as R survival from version 3"),
    ("Robust errors with ties", "lifelines: up to 0.4 % off R", "R's"),
    ("Error of the restricted mean", "lifelines: the variance of min(T, tau), which is no error of the mean",
     "Greenwood's, as R"),
    ("Limits of the incidence", "survfit: infinitesimal jackknife, 0.1 to 5 % off cmprsk; lifelines jitters ties",
     "Aalen's variance as cmprsk, exact ties, log(-log) limits"),
    ("Fine and Gray's model", "a weighted Cox model: up to 0.0026 off", "as cmprsk::crr"),
    ("Uno's C, weights for censoring", "G(T-) or G(T); ties of event and censoring either way",
     "events first, G(T-), as R survival"),
    ("AUC at a day", "timeROC leaves out events on the very day", "they are cases; cases 1/G(T-), controls 1/G(t)"),
    ("Integrated Brier score", "pec::crps: left steps from day 0", "trapezoid over the grid that is stated"),
    ("Net benefit by a day", "Python's dcurves takes survival for the risk", "the definition"),
    ("McNemar's corrected test", "statsmodels corrects two equal counts, too", "nothing to correct, as R"),
)  # fmt: skip
_MEANT_FOOT = """
What the conventions are, call by call: [statistics](statistics.md). How often the intervals hold the truth:
[coverage](coverage.md), [coverage of outcomes](coverage_outcomes.md).
"""
_COLUMNS = "| Quantity | Our call | Compared with | Data | Values | Absolute | Relative | Claimed | Remark |"
CLOSE, FAR = 1e-10, 1e-4


def page(found: Mapping[str, Sequence[Found]], *, left_out: Mapping[str, Mapping[str, str]]) -> str:
    """The Markdown page.

    Args:
        found: topic -> its comparisons.
        left_out: whole -> its parts that are not compared, and why each.
    """
    every = [one for part in found.values() for one in part]
    outside = sum(not one.agrees for one in every)
    head = _HEAD.format(
        n_values=f"{sum(one.n for one in every):,}", n_checks=len(every), smallest=SMALLEST,
        n_outside=f"{outside} lie outside what is claimed" if outside else "all lie within what is claimed",
        n_close=sum(one.relative < CLOSE for one in every), n_meant=sum(one.relative > FAR for one in every),
    )  # fmt: skip
    parts = [head]
    for topic, part in found.items():
        lines = [f"## {topic}\n", _COLUMNS, "|---|---|---|---|--:|--:|--:|--:|---|", *(_line(one) for one in part)]
        parts.append("\n".join(lines) + "\n")
    meant = _MEANT_HEAD + "".join(f"| {' | '.join(cells)} |\n" for cells in MEANT) + _MEANT_FOOT
    return "\n".join([*parts, meant, _left_out(left_out)])


def _line(one: Found) -> str:
    check = one.check
    claimed = f"{check.within:.2g}{' abs.' if check.absolute else ''}"
    calls = ", ".join(f"`{name}`" for name in check.call.split(", ") if name)
    cells = [check.quantity, calls, check.peer, check.data, f"{one.n:,}", _size(one.absolute), _size(one.relative)]
    return "| " + " | ".join([*cells, claimed if one.agrees else f"**OUTSIDE {claimed}**", check.remark]) + " |"


def _size(difference: float) -> str:
    return "0" if difference == 0 else f"{difference:.1e}"


def _left_out(parts: Mapping[str, Mapping[str, str]]) -> str:
    lines = ["## What is not compared here"]
    for whole, reasons in parts.items():
        lines += [f"\nOf `{whole}`:\n", *(f"- `{name}`: {why}" for name, why in reasons.items())]
    return "\n".join(lines) + "\n"
