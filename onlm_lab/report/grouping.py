"""Into which predicted groups an arm divides, and what to say where the study's threshold leaves one nearly empty."""

from __future__ import annotations

from dataclasses import dataclass

from onlm_lab import analysis, figures
from onlm_lab.figures import theme
from onlm_lab.panels.patients import NARROWEST_RISKS, SMALLEST_GROUP, of_arm
from onlm_lab.report.material import Material
from onlm_lab.report.words import SPLITS

CHANCE = 0.5  # the area of a risk that tells nobody apart
SBRT_ENDPOINTS = ("regional", "recurrence", "rfs", "os")  # in the order in which they bear on the nodes


@dataclass(frozen=True)
class Grouping:
    """How an arm is divided: by each row's own threshold (`threshold` None), at a cut, or not at all (`said` why).

    `cut`: the cut in words where it is not the study's own.
    """

    threshold: float | None
    low: str
    high: str
    said: str = ""
    possible: bool = True
    cut: str = ""


def grouping_of(material: Material, *, arm: str) -> Grouping:
    """The division of one arm by the primary model.

    Raises:
        OnlmError: the arm has no patient.
    """
    patients = of_arm(material.rows, model=material.primary, arm=arm)
    n_high, n_low = (int((patients["predicted_positive"] == value).sum()) for value in (1, 0))
    if min(n_high, n_low) >= SMALLEST_GROUP:
        return Grouping(None, "predicted low risk", "predicted high risk")
    said = (
        f"At the study's threshold {n_low:,} of {n_low + n_high:,} patients are predicted low risk and {n_high:,} high "
        f"risk. Groups of fewer than {SMALLEST_GROUP} are not compared."
    )
    low, high = (float(patients["risk"].quantile(q)) for q in (0.05, 0.95))
    if high - low < NARROWEST_RISKS:
        said += (
            f" 90 % of the predicted risks lie between {theme.percent(low, digits=1)} and "
            f"{theme.percent(high, digits=1)}: so close together that to the model the two halves are hardly different."
        )
    cut = float(patients["risk"].median())
    n_above = int((patients["risk"] >= cut).sum())
    if min(n_above, len(patients) - n_above) < SMALLEST_GROUP:
        return Grouping(None, "", "", said, possible=False)
    said += (
        f" The groups below are split at the median risk instead ({theme.percent(cut, digits=1)}): low and high mean "
        "below and above it, and the cut was chosen on these very patients."
    )
    words = f"high risk from the median risk on, {theme.percent(cut, digits=1)}"
    return Grouping(cut, "below the median risk", "at or above it", said, cut=words)


def separation_said(material: Material) -> str:
    """That the primary model does not tell N+ from N0 where it was tested; empty where its interval lies above chance.

    Outcomes are told all the same: a reader sees what they look like by a risk that separates nobody.
    """
    if material.tested.empty:
        return ""
    auc = figures.preferred_auc(analysis.roc(material.tested, model=material.primary))
    if not auc.low <= CHANCE:
        return ""
    separates, so = "is not shown to separate", "A difference between the groups below is to be read with that in mind."
    if auc.value <= CHANCE:
        separates = "does not separate"
        so = "The groups below are no groups of lower and higher risk of N+, whatever lies between them."
    return (
        f"The risk of {material.primary} {separates} N+ from N0 in {SPLITS[material.split]}: AUC "
        f"{theme.with_interval(auc)}, where {CHANCE:g} is chance. {so}"
    )
