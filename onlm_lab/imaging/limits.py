"""The limits of quality that a study names, against the ones that there are."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import fields

from onlm_lab.errors import StudyError
from onlm_lab.imaging.quality import QualityLimits


def quality_limits(said: Mapping[str, float]) -> QualityLimits:
    """The defaults with what [imaging.quality] of study.toml says in their place.

    Raises:
        StudyError: a limit that nobody knows, or one below 0; all at once.
    """
    known = [item.name for item in fields(QualityLimits)]
    faults = []
    for name, value in said.items():
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
            offer = f"did you mean '{near[0]}'?" if near else f"known: {', '.join(known)}."
            faults.append(f"study.toml: [imaging.quality] {name} is not a limit; {offer}")
        elif not value >= 0:
            faults.append(f"study.toml: [imaging.quality] {name} is {value:g}; wanted 0 or more.")
    if faults:
        raise StudyError("\n".join(faults))
    return QualityLimits(**said)
