"""Into which predicted groups an arm divides, and what to say where the study's threshold leaves one nearly empty."""

from __future__ import annotations

from dataclasses import dataclass

from onlm_lab.figures import theme
from onlm_lab.panels.patients import NARROWEST_RISKS, SMALLEST_GROUP, of_arm
from onlm_lab.report.material import Material

SBRT_ENDPOINTS = ("regional", "recurrence", "rfs", "os")  # in the order in which they bear on the nodes


@dataclass(frozen=True)
class Grouping:
    """How an arm is divided: by each row's own threshold (`threshold` None), at a cut, or not at all (`said` why)."""

    threshold: float | None
    low: str
    high: str
    said: str = ""
    possible: bool = True


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
            f"{theme.percent(high, digits=1)}: a cut through them would compare chance, so no groups are formed."
        )
        return Grouping(None, "", "", said, possible=False)
    cut = float(patients["risk"].median())
    n_above = int((patients["risk"] >= cut).sum())
    if min(n_above, len(patients) - n_above) < SMALLEST_GROUP:
        return Grouping(None, "", "", said, possible=False)
    said += (
        f" The groups below are split at the median risk instead ({theme.percent(cut, digits=1)}): low and high mean "
        "below and above it, and the cut was chosen on these very patients."
    )
    return Grouping(cut, "below the median risk", "at or above it", said)
