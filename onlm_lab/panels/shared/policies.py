"""Which panel is shown how on a shared page. What is not named here is not shown."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from onlm_lab.panels.card import Card
from onlm_lab.panels.panel import Panel
from onlm_lab.panels.shared import cohort, groups, outcomes, patient, performance
from onlm_lab.panels.shared.counts import ROUNDED
from onlm_lab.panels.shared.refusing import NotShown

# Pattern of a panel's name -> what builds it anew; the first that fits the whole name holds.
POLICIES: dict[str, Callable[[Panel], Panel] | Callable[[Card], Card]] = {
    **performance.POLICIES, **groups.POLICIES, **cohort.POLICIES, **outcomes.POLICIES, **patient.POLICIES,
}  # fmt: skip
UNKNOWN = "This figure is not part of a shared page: nothing says how it could be shown without single patients."


class Refusal(NamedTuple):
    """Why a panel is not shown, in words without a number of the data."""

    sentence: str


def as_shared(panel: Panel | Card) -> Panel | Card | Refusal:
    """What readers who may not see single patients are shown of a panel.

    Args:
        panel: a panel or a printed card, as a page of an investigator shows it.

    Returns:
        A new panel of suppressed numbers and constant words; or why there is none. A name without a policy is refused.
    """
    policy = next((policy for name, policy in POLICIES.items() if re.fullmatch(name, panel.name)), None)
    if policy is None:
        return Refusal(UNKNOWN)
    try:
        shown = policy(panel)
    except NotShown as refusal:
        return Refusal(str(refusal))
    if isinstance(shown, Card):
        return shown
    return shown._replace(title=panel.title, notes=(ROUNDED,), source=None)
