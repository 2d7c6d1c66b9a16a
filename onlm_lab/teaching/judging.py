"""Is an answer right, and why or why not? No widget is needed to ask."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from onlm_lab.errors import OnlmError
from onlm_lab.teaching.question import Question


class Verdict(NamedTuple):
    """Whether an answer is right, and why it is or is not; `foreseen`: not of an unexpected wrong number."""

    right: bool
    why: str
    foreseen: bool = True

    @property
    def word(self) -> str:
        """'Right' or 'Not yet': a verdict is read, not only coloured."""
        return "Right" if self.right else "Not yet"


def judge(
    question: Question, answer: Any, *, truth: Any = None, mistakes: Mapping[str, float] | None = None
) -> Verdict:
    """Judge an answer.

    Args:
        question: which was asked.
        answer: key of an option (choice), keys (several) or a number; with unit "%" a fraction.
        truth: what the notebook found: a number, or the key of the option that came true; None: what the file says.
        mistakes: name -> the wrong number that the notebook computed for it.

    Raises:
        OnlmError: the question is a number and nobody told its truth, or an option or a mistake is unknown.
    """
    if question.kind == "choice":
        return _of_choice(question, str(answer), truth=truth)
    if question.kind == "several":
        return _of_several(question, answer)
    return _of_number(question, float(answer), truth=truth_of(question, truth), mistakes=mistakes or {})


def truth_of(question: Question, told: Any = None) -> Any:
    """What is true: what the notebook told, else what the file says; the key or keys of options, or a number.

    Raises:
        OnlmError: the question is a number and nobody told its truth.
    """
    if question.kind == "several":
        return tuple(one.key for one in question.options if one.right)
    if question.kind == "choice":
        return next(o.key for o in question.options if o.right) if told is None else question.option(str(told)).key
    found = question.truth if told is None else told
    if found is None or math.isnan(found):
        raise OnlmError(f"Question '{question.id}' asks for a number and was given none: pass truth=, the value found.")
    return float(found)


def _of_choice(question: Question, answer: str, *, truth: Any) -> Verdict:
    chosen = question.option(answer)
    return Verdict(chosen.key == truth_of(question, truth), chosen.why)


def _of_several(question: Question, answer: Collection[str]) -> Verdict:
    ticked = [question.option(str(key)) for key in answer]
    wrong = [one for one in ticked if not one.right]
    n_missing = sum(one.right for one in question.options) - sum(one.right for one in ticked)
    if not wrong and not n_missing:
        return Verdict(True, question.why)
    said = [f"“{one.text}”: {one.why}" for one in wrong]
    if n_missing:
        said.append(f"{'One that belongs is' if n_missing == 1 else f'{n_missing} that belong are'} not ticked.")
    return Verdict(False, " ".join(said))


def _of_number(question: Question, answer: float, *, truth: float, mistakes: Mapping[str, float]) -> Verdict:
    unknown = sorted(set(mistakes) - {one.name for one in question.mistakes})
    if unknown:
        raise OnlmError(f"Question '{question.id}' knows no mistake '{unknown[0]}': say in its file why it is wrong.")
    near = question.tolerance * (1 + 1e-9)  # what is typed at the very edge counts
    if abs(answer - truth) <= near:
        return Verdict(True, question.why)
    if question.unit == "%" and abs(100 * answer - truth) <= near:
        return Verdict(False, f"Nearly: percent are wanted, so type {100 * truth:.0f} and not {truth:.2f}.")
    known = [
        (abs(answer - value), one.why)
        for one in question.mistakes
        if (value := mistakes.get(one.name) if one.name else one.value) is not None and abs(answer - value) <= near
    ]
    if known:
        return Verdict(False, min(known)[1])
    return Verdict(False, f"That is not it. {question.hint}", foreseen=False)
