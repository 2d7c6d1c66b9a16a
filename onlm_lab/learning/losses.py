"""What each patient costs a network: the plain log-loss, one in which N+ patients count more, or the focal loss.

The last two pull the log odds away from those of the patients: `prior_shift.undo_loss` takes that back.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class Loss:
    """A loss, with what training rows set of it."""

    kind: Literal["plain", "weighted", "focal"] = "plain"
    positive_weight: float = 1.0  # how many times an N+ patient counts
    gamma: float = 2.0  # focal: how fast the sure ones stop to count

    @classmethod
    def of(cls, onlm: Tensor, *, kind: str, gamma: float) -> Loss:
        """The loss that a study names, for these training rows (n,): weighted lets both classes count alike."""
        n_positive = float(onlm.sum())
        weight = (len(onlm) - n_positive) / n_positive if kind == "weighted" else 1.0
        return cls(kind=kind, positive_weight=weight, gamma=gamma)

    def of_each(self, logit: Tensor, onlm: Tensor) -> Tensor:
        """The loss of each patient, in single precision whatever the network computed in: (B,), (B,) -> (B,).

        focal: (1 - p)^gamma times the log-loss, p the risk given to what was true (Lin et al. 2017,
        doi:10.1109/ICCV.2017.324); no class weight.
        """
        logit, onlm = logit.float(), onlm.float()
        if self.kind == "weighted":
            weight = logit.new_tensor(self.positive_weight)
            return F.binary_cross_entropy_with_logits(logit, onlm, pos_weight=weight, reduction="none")
        plain = F.binary_cross_entropy_with_logits(logit, onlm, reduction="none")
        if self.kind == "plain":
            return plain
        wrong = logit * (1 - 2 * onlm)  # log odds of what was not true
        return plain * (self.gamma * F.logsigmoid(wrong)).exp()
