"""The chapters of the report, as of a paper: which section stands in which."""

from __future__ import annotations

METHODS, RESULTS, SUPPLEMENT = "Methods", "Results", "Supplement"
_OF = {
    METHODS: (
        "design", "reference-standard", "imaging", "predictors", "missing", "sample-size", "model", "testing",
        "statistics",
    ),
    RESULTS: (
        "participants", "table-1", "performance", "discrimination", "calibration", "operating-point", "decision",
        "subgroups", "centres", "fairness", "held-out", "outcomes-surgery", "outcomes-sbrt", "mistakes", "limits",
    ),
    SUPPLEMENT: (
        "sensitivity", "doubt", "associations", "event-risk", "treatments", "explanation", "software",
        "checklist-tripod-ai", "checklist-claim-2024", "checklist-probast-ai",
    ),
}  # fmt: skip
CHAPTERS = tuple(_OF)


def chapter_of(section: str) -> str:
    """The chapter of a section's id; empty for one that stands in none."""
    return next((chapter for chapter, ids in _OF.items() if section in ids), "")
