"""What the reading tab says: its texts, and the small pieces of HTML that carry them. All from data is escaped."""

from __future__ import annotations

import html
from collections.abc import Sequence

import pandas as pd

from onlm_lab import schema
from onlm_lab.app.reading_state import ReadingState
from onlm_lab.figures import label_of, theme
from onlm_lab.figures.subgroup import level_words
from onlm_lab.reading_plan import Shown

ASK_CODE, BEGIN = "Your reader code", "Begin, or go on"
ABOUT = (
    "You see one case after another, in an order of your own. Give the chance, in percent, that this patient has "
    "cancer in the lymph nodes although CT and staging show none. Your estimate is saved before anything of the model "
    "is shown, and cannot be changed afterwards. You may stop at any time: saved cases stay saved, an open case begins "
    "anew."
)
ASK_ALONE = "Your own estimate: chance of occult nodal metastasis (%)"
ASK_AGAIN = "Your estimate now that you have seen the model's (%)"
SAVE, SAVE_AGAIN, KEEP, NEXT, STOP = (
    "Save my estimate", "Save this estimate", "Keep my first estimate", "Next case", "Stop for now",
)  # fmt: skip
SKIP = "Pass over this case"
VALUES, UNKNOWN = "Clinical values", "not known"
UNSEEN = (
    "The CT of this case cannot be shown, so it is not estimated. Tell whoever runs the study, and pass it over. {}"
)
DONE = "All {n} cases are read. Thank you. Your part of the study is finished; this page can be closed."
DONE_BUT = "All cases that could be shown are read; {k} could not. Tell whoever runs the study."
BLIND, FINISHED = "Read the cases blind", "Finished"
CASE, READER = "Case {k} of {n}", "reader {code}"
MODEL, SPREAD = "The model ({model}):", "spread of its models: {low} to {high}"
OWN = "Your own estimate: {own}, saved."
YES, NO = "yes", "no"


def head_html(state: ReadingState, *, n_skipped: int) -> str:
    """Where the reader stands."""
    if state.step == "enter":
        return f"<h3>{BLIND}</h3><p>{ABOUT}</p>"
    if state.step == "done":
        said = DONE_BUT.format(k=n_skipped) if n_skipped else DONE.format(n=state.n_cases)
        return f"<h3>{FINISHED}</h3><p role='status'>{said}</p>"
    where = CASE.format(k=state.order, n=state.n_cases)
    return (
        f"<h3>{where} <small>{html.escape(READER.format(code=state.reader_id))}</small></h3>"
        f"<progress max='{state.n_cases}' value='{state.order - 1}' aria-label='{where}'></progress>"
    )


def values_html(row: pd.Series, *, extra_columns: Sequence[schema.Column]) -> str:
    """The clinical values of one patient as a table.

    Args:
        row: the values, by column.
        extra_columns: the study's own.
    """
    cells = [(label_of(str(c)), _value_words(v, column=str(c), extra_columns=extra_columns)) for c, v in row.items()]
    body = "".join(f"<tr><th scope='row'>{html.escape(a)}</th><td>{html.escape(b)}</td></tr>" for a, b in cells)
    return f"<table><caption>{VALUES}</caption>{body}</table>" if cells else ""


def model_html(shown: Shown, *, model: str, own: float) -> str:
    """The model's risk with its spread, and the reader's own estimate; only for a case whose estimate is saved."""
    spread = SPREAD.format(low=theme.percent(shown.low), high=theme.percent(shown.high))
    beside = f" ({spread})" if shown.low == shown.low else ""  # NaN: the predictions tell none
    return (
        f"<div class='onlm-model-risk' role='status'><p>{html.escape(MODEL.format(model=model))} "
        f"<strong>{theme.percent(shown.risk)}</strong>{beside}</p><p>{OWN.format(own=theme.percent(own))}</p></div>"
    )


def _value_words(value: object, *, column: str, extra_columns: Sequence[schema.Column]) -> str:
    spec = schema.column(column, extra_columns=extra_columns)
    if pd.isna(value):
        return UNKNOWN
    if spec is not None and spec.type == "boolean":
        return YES if float(value) else NO
    if isinstance(value, int | float):
        return f"{value:g}"
    return level_words(value)
