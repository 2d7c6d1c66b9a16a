"""What became known of one patient after the treatment: in words, and as a strip of days."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from onlm_lab import figures
from onlm_lab.errors import OnlmError
from onlm_lab.panels.panel import Panel

SITES = {"local": "Local recurrence", "regional": "Regional (nodal) recurrence", "distant": "Distant recurrence"}
CAUSES = {"lung_cancer": "of lung cancer", "other": "of another cause", "unknown": "of an unknown cause"}


def _number(row: Mapping[str, Any], *names: str) -> float | None:
    """The first of these columns that is there and filled."""
    for name in names:
        value = row.get(name)
        if value is not None and not pd.isna(value):
            return float(value)
    return None


def _word(row: Mapping[str, Any], name: str) -> str:
    value = row.get(name)
    return "" if value is None or pd.isna(value) else str(value)


def events_of(row: Mapping[str, Any]) -> pd.DataFrame:
    """day (from treatment, 0), what, kind (before, treatment, seen, recurrence, end) of one patient, by day.

    Args:
        row: of `Run.patients`; what is not known has no row.
    """
    found: list[tuple[float, str, str]] = []
    ct = _number(row, "ct_to_treatment_days")
    if ct is not None:
        found.append((-ct, "CT", "before"))
    treatment = _word(row, "treatment") or _word(row, "arm") or "treatment"
    found.append((0.0, f"Treatment: {'SBRT' if treatment == 'sbrt' else treatment.replace('_', ' ')}", "treatment"))
    adjuvant = _number(row, "adjuvant_start_days")
    if adjuvant is not None and _number(row, "adjuvant") == 1:
        found.append((adjuvant, "Adjuvant treatment begins", "seen"))
    sites = []
    for site, words in SITES.items():
        day = _number(row, f"recorded_{site}_days", *(("local_days",) if site == "local" else ()))
        if day is None and _number(row, f"{site}_state") == 1:
            day = _number(row, f"{site}_days")
        if day is not None:
            sites.append((day, words, "recurrence"))
    first = _number(row, "recorded_recurrence_days")
    if first is None and _number(row, "recurrence_state") == 1:
        first = _number(row, "recurrence_days")
    if not sites and first is not None:
        where = _word(row, "recurrence_site").replace(";", ", ")
        sites.append((first, f"Recurrence{f' ({where})' if where else ''}", "recurrence"))
    found += sites
    imaging = _number(row, "last_imaging_days")
    if imaging is not None:
        found.append((imaging, "Last imaging", "seen"))
    end, died = _number(row, "followup_days", "os_days"), _number(row, "died", "os_event")
    if end is not None:
        cause = CAUSES.get(_word(row, "death_cause"), "")
        found.append((end, f"Death{f' {cause}' if cause else ''}" if died == 1 else "Last contact, alive", "end"))
    table = pd.DataFrame(found, columns=["day", "what", "kind"])
    return table.sort_values("day", kind="stable", ignore_index=True)


def outcome_words(row: Mapping[str, Any]) -> str:
    """'regional (nodal) recurrence at 14 months; death of lung cancer at 2.1 years'; 'not known'."""
    events = events_of(row)
    told = events[events["kind"].isin(["recurrence", "end"])]
    if told.empty:
        return "not known"
    words = [
        f"{what[:1].lower()}{what[1:]} at {_time(day)}" for day, what in zip(told["day"], told["what"], strict=True)
    ]
    if not (told["kind"] == "recurrence").any() and words[0].startswith("last contact, alive"):
        recurred = _number(row, "recurred")
        said = "with recurrence, its day unknown," if recurred == 1 else "without known recurrence"
        return f"alive {said} at {_time(float(told['day'].iloc[-1]))}"
    return "; ".join(words)


def _time(days: float) -> str:
    """'20 days', '14 months', '3.2 years'."""
    if days < 60:
        return f"{days:.0f} days"
    return f"{days / 30.4375:.0f} months" if days < 730 else f"{days / 365.25:.1f} years"


def follow_up_panel(row: Mapping[str, Any], *, mark: str = "") -> Panel:
    """The strip of days of one patient.

    Raises:
        OnlmError: nothing is known after the treatment.
    """
    events = events_of(row)
    if not events["kind"].isin(["seen", "recurrence", "end"]).any():
        raise OnlmError("Nothing is known of this patient after the treatment.")
    figure = figures.plot_follow_up(events, mark=mark)
    sentence = f"{_capital(outcome_words(row))}. Days are counted from the treatment."
    return Panel("follow_up", "What became of this patient?", figure, events, sentence)


def label_words(row: Mapping[str, Any]) -> str:
    """'N+', 'N0' or 'not known (SBRT: no pathological N)'."""
    label = _number(row, "onlm")
    if label is None:
        why = _word(row, "onlm_missing_reason")
        return f"not known{f' ({why})' if why else ''}"
    return "N+" if label == 1 else "N0"


def _capital(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}"
