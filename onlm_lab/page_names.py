"""The pages that there are, in the order in which a reader meets them."""

from __future__ import annotations

from typing import NamedTuple

FILE = "{}.ipynb"


class Page(NamedTuple):
    """A page.

    Attributes:
        name: short; of its notebook and its function in `app`.
        title: what it is called.
        question: what it answers.
        needs_run: whether it shows nothing without a run.
        single_patients: whether it shows patients one by one.
        changes: whether it starts work or writes into a study.
        alone: whether it is served by itself, without any other page beside it.
    """

    name: str
    title: str
    question: str
    needs_run: bool = True
    single_patients: bool = False
    changes: bool = False
    alone: bool = False


PAGES = (
    Page("start", "Start", "Which studies and runs are here?", needs_run=False),
    Page("cohort", "Cohort", "Who is in, who was left out, and what is known of them?", needs_run=False),
    Page("training", "Training", "How is a model trained here, and which settings do best?", needs_run=False,
         changes=True),
    Page("performance", "Performance", "How good is the model, and in whom does it fail?"),
    Page("outcomes", "Outcomes", "What became of the patients, by predicted group?"),
    Page("cases", "Cases", "What does the model make of one patient, and on what?", single_patients=True),
    Page("patient", "One patient", "What would the clinical-only model say of one patient?"),
    Page("reading", "Reading", "What do readers see in the CT, before and after the model's risk?",
         single_patients=True, alone=True),
)  # fmt: skip
