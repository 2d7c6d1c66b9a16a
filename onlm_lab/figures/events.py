"""Endpoints in the words of what happened to a patient, and by when."""

from __future__ import annotations

from onlm_lab.figures import theme

EVENTS = {
    "os": "death", "rfs": "recurrence or death", "recurrence": "recurrence", "regional": "regional (nodal) recurrence",
    "distant": "distant recurrence", "cancer_death": "death from lung cancer",
}  # fmt: skip


def event_words(endpoint: str) -> str:
    """What happened, such as "recurrence or death" for rfs; the endpoint's own name where it is not one of ours."""
    return EVENTS.get(endpoint, theme.safe(endpoint.replace("_", " ")))


def within(endpoint: str, horizon_days: float) -> str:
    """'death within 3 years'."""
    return f"{event_words(endpoint)} within {theme.years(horizon_days)}"


def upper_first(text: str) -> str:
    """The same words as the start of a sentence."""
    return text[:1].upper() + text[1:]
