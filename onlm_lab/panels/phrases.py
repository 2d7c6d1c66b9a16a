"""What must stand beside figures of outcomes, said once; and columns as a sentence names them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from onlm_lab import figures

OBSERVATIONAL = "Observational: a difference between groups is an association, not an effect."
ADJUVANT = "After surgery, patients found N+ often received adjuvant therapy, which can hide or reverse a difference."
NO_LABEL = "SBRT patients have no pathological N: here the risk is tested by what became of them."
COMPARED_TREATMENTS = (
    "Observational comparison: treatments were chosen for patients, so a ratio is not the effect of a treatment."
)


def named(columns: Sequence[str]) -> str:
    """Columns in the middle of a sentence, without their units: 'age, sex and clinical T'."""
    words = [re.sub(r" \(.*\)$", "", figures.label_of(column)) for column in columns]
    words = [w if w[1:2].isupper() else f"{w[:1].lower()}{w[1:]}" for w in words]
    return listed(words)


def listed(words: Sequence[str]) -> str:
    """'1 year, 2 years and 5 years'."""
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words)
