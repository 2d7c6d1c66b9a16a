"""What the stages of a study share: a number that must be above 0, and the known word nearest to one that is not."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from onlm_lab.errors import StudyError


def require_positive(where: str, **values: float) -> None:
    """Raises a StudyError that names the section and the first value that is not above 0."""
    for name, value in values.items():
        if not value > 0:
            wanted = "at least 2" if name == "folds" else "above 0"
            raise StudyError(f"{where} {name} must be {wanted}.")


def nearest(word: str, known: Iterable[str]) -> str:
    """' (did you mean x? ...)' for a message."""
    known = list(known)
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    return f"; did you mean '{near[0]}'?" if near else f"; known: {', '.join(known)}"
