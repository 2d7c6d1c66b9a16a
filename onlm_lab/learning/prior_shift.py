"""What a re-weighted loss, or another prevalence, does to log odds, and how it is taken back.

    logit = undo_loss(logit, loss="weighted", positive_weight=w)                    # before any calibrator is fitted
    risk = shift_prior(risk, from_prevalence=0.15, to_prevalence=0.06)

Order matters: each network's logit is put right first, the mean over networks is taken next, and the calibrator learns
from inner out-of-fold logits that went the same way.
"""

from __future__ import annotations

import numpy as np

from onlm_lab.errors import OnlmError

LOSSES = ("plain", "weighted", "focal")


def undo_loss(
    logit: np.ndarray, *, loss: str, positive_weight: float = 1.0, focal_gamma: float = 2.0
) -> np.ndarray:  # fmt: skip
    """The log odds of N+ behind the logits of a network that was trained with another loss than the plain one.

    weighted: counting each N+ patient w times multiplies the odds that are learnt by w, whatever the model, so log w
    is subtracted (Elkan 2001, "The foundations of cost-sensitive learning", IJCAI; King and Zeng 2001,
    doi:10.1093/oxfordjournals.pan.a004868).

    focal: no shift repairs it. The loss pulls risks towards one half by an amount that depends on the risk; its
    minimiser q and the true risk are related by a curve (Charoenphakdee et al. 2021, doi:10.1109/CVPR46437.2021.00516),
    odds = B / A with A = (1-q)^g / q - g (1-q)^(g-1) log q and B the same with q and 1-q exchanged. The curve
    holds for a network that has reached the minimum; Platt's calibrator on inner out-of-fold logits, fitted afterwards,
    takes what is left.

    Args:
        logit: (...) what the network gives.
        loss: "plain", "weighted" or "focal".
        positive_weight: how many times an N+ patient counted in the loss, against one for an N0 patient.
        focal_gamma: exponent of the focal loss (Lin et al. 2017, doi:10.1109/ICCV.2017.324); 0 is the plain loss.

    Raises:
        OnlmError: an unknown loss, a weight that is not above 0, or a gamma below 0.
    """
    logit = np.asarray(logit, dtype=np.float64)
    if loss not in LOSSES:
        raise OnlmError(f"[training] loss is '{loss}'; wanted {', '.join(LOSSES)}.")
    if not (np.isfinite(positive_weight) and positive_weight > 0):
        raise OnlmError(f"positive_weight is {positive_weight}; wanted above 0 (how often an N+ patient counts).")
    if loss == "plain":
        if positive_weight != 1:
            raise OnlmError(f"positive_weight is {positive_weight:g} beside the plain loss, which has none; wanted 1.")
        return logit
    if loss == "focal":
        if not focal_gamma >= 0:
            raise OnlmError(f"[training] focal_gamma is {focal_gamma}; wanted at least 0.")
        logit = _unfocused(logit, gamma=focal_gamma)
    return logit - np.log(positive_weight)


def shift_prior(risk: np.ndarray, *, from_prevalence: float, to_prevalence: float) -> np.ndarray:
    """The risks that the same findings mean where N+ is rarer or commoner than among the training patients.

    odds' = odds * [to / (1 - to)] / [from / (1 - from)]: right where N+ patients look alike in both places, and N0
    patients too, and only their numbers differ (Saerens et al. 2002, doi:10.1162/089976602753284446). Where
    that is not so, recalibrate on patients of the place (`analysis.recalibrate`). Order is kept, the AUC unchanged.

    Args:
        risk: (...) calibrated risks in [0, 1] at `from_prevalence`.
        from_prevalence: share of N+ among the patients who taught the model and its calibrator.
        to_prevalence: share of N+ where the risks shall hold.

    Raises:
        OnlmError: a prevalence that does not lie between 0 and 1, or a risk outside [0, 1].

    Example:
        >>> shift_prior([0.5], from_prevalence=0.5, to_prevalence=0.1).round(3).tolist()
        [0.1]
    """
    for name, share in (("from_prevalence", from_prevalence), ("to_prevalence", to_prevalence)):
        if not 0 < share < 1:
            raise OnlmError(f"{name} is {share}; wanted between 0 and 1 (0.15, not 15 percent).")
    risk = np.asarray(risk, dtype=np.float64)
    outside = (risk < 0) | (risk > 1)
    if outside.any():
        raise OnlmError(f"shift_prior: {int(outside.sum())} of {risk.size} risks lie outside [0, 1]; wanted risks.")
    ratio_positive, ratio_negative = to_prevalence / from_prevalence, (1 - to_prevalence) / (1 - from_prevalence)
    return risk * ratio_positive / (risk * ratio_positive + (1 - risk) * ratio_negative)


def _unfocused(logit: np.ndarray, *, gamma: float) -> np.ndarray:
    """log(B / A) of `undo_loss`, written so that nothing overflows.

    With log q = -softplus(-s) and log(1-q) = -softplus(s), A = (1-q)^(g-1) (e^-s + g softplus(-s)) and
    B = q^(g-1) (e^s + g softplus(s)).
    """
    if gamma == 0:
        return logit

    def log_part(s: np.ndarray) -> np.ndarray:  # log(e^s + gamma softplus(s))
        return np.logaddexp(s, np.log(gamma) + np.log(np.maximum(np.logaddexp(0, s), np.finfo(float).tiny)))

    return (gamma - 1) * logit + log_part(logit) - log_part(-logit)
