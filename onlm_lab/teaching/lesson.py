"""One lesson in a notebook: its questions, and what the student answered so far."""

from __future__ import annotations

import html
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ipywidgets as widgets

from onlm_lab.errors import OnlmError
from onlm_lab.figures.theme import MADE_UP
from onlm_lab.teaching import LESSONS
from onlm_lab.teaching.answers import Answer, Answers
from onlm_lab.teaching.judging import judge, truth_of
from onlm_lab.teaching.question import Question, read_questions
from onlm_lab.teaching.question_card import QuestionCard

FOLDER = "answers"  # beside the notebook
_CARD = (
    "border:1px solid #c3cfda;border-radius:7px;padding:10px 16px;max-width:860px;background:#fff;color:#1b2733;"
    "font:15px/1.5 system-ui,'Noto Sans','DejaVu Sans',Arial,sans-serif;box-sizing:border-box"
)
NO_BREAK = "\u00a0"
_CELL = "text-align:left;vertical-align:top;padding:2px 14px 2px 0"
_PILL = "display:inline-block;border-radius:99px;padding:1px 11px;margin-right:8px;font-size:12.5px;font-weight:650"


class Sentence:
    """A sentence that a cell ends with; it shows itself, escaped."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text

    def _repr_html_(self) -> str:
        return f'<p style="{_CARD};border-left:5px solid #5b6b7a">{html.escape(self.text)}</p>'


class Lesson:
    """A lesson's questions and the answers given so far, which are kept beside the notebook.

    A cell that ends with the lesson itself shows what it is about and how far the student has come.
    """

    def __init__(self, name: str, *, folder: str | Path = ".") -> None:
        """A lesson.

        Args:
            name: of teaching.LESSONS.
            folder: of the notebook; answers lie in answers/<name>.json in it.

        Raises:
            OnlmError: there is no such lesson.
        """
        self.name, self.questions = name, read_questions(name)
        self.title, self.minutes = next(((o.title, o.minutes) for o in LESSONS if o.name == name), (name, 25))
        self._answers = Answers(Path(folder) / FOLDER / f"{name}.json")
        self._cards: list[QuestionCard] = []
        self._progress: list[widgets.HTML] = []

    def predict(self, question_id: str) -> QuestionCard:
        """A prediction to make before the next cell runs; it is kept, not judged.

        Raises:
            OnlmError: the lesson has no such question.
        """
        return self._card(
            self._asked(question_id), heading="Predict before you run the next cell", action="This is my prediction",
            act=self._keep_prediction, kept="You said this before. Change it, or run the next cell.",
        )  # fmt: skip

    def reveal(self, question_id: str, truth: Any = None, *, mistakes: Mapping[str, float] | None = None) -> Sentence:
        """What was predicted beside what came out, in a sentence.

        Args:
            question_id: of a prediction.
            truth: what came out: a number (with unit "%" a fraction), or the key of an option; None: as the file says.
            mistakes: as `check` takes them.

        Raises:
            OnlmError: the lesson has no such question, or a number's truth was not given.
        """
        question = self._asked(question_id)
        true = truth_of(question, truth)
        came = f"It came out as: {question.shown(true).rstrip('.')}."
        why = judge(question, true, truth=true).why
        kept = self._usable(question)
        if kept is None:
            return Sentence(f"You made no prediction this time; next time, try one first. {came} {why}")
        found = judge(question, kept.value, truth=true, mistakes=mistakes)
        said = f"You predicted: {question.shown(kept.value).rstrip('.')}. {came}"
        if found.right:
            return Sentence(f"{said} Just so. {why}")
        wrong = f"{found.why} " if found.foreseen and found.why != why else ""
        return Sentence(f"{said} Not as predicted. {wrong}{why}")

    def check(
        self, question_id: str, truth: float | None = None, *, mistakes: Mapping[str, float] | None = None
    ) -> QuestionCard:
        """A self-check: a wrong answer is known and told why, a right one too; it may be tried again.

        Args:
            question_id: of a question.
            truth: of a number that the notebook computed (with unit "%" a fraction); None: what the file says.
            mistakes: name of a known mistake -> the wrong number that it leads to here.

        Raises:
            OnlmError: the lesson has no such question or mistake, or a number's truth was not given.
        """
        question = self._asked(question_id)
        true = truth_of(question, truth)
        judge(question, _any_answer(question), truth=true, mistakes=mistakes)  # what the notebook got wrong shows now

        def act(card: QuestionCard, answer: Any) -> None:
            found = judge(question, answer, truth=true, mistakes=mistakes)
            kept = self._answers.keep(question.id, answer, right=found.right)
            self._say(card, word=found.word, why=found.why, right=found.right, tries=kept.tries)

        card = self._card(question, heading="Check yourself", action="Check", act=act, kept="")
        if (before := self._usable(question)) is not None:
            found = judge(question, before.value, truth=true, mistakes=mistakes)
            self._say(card, word=found.word, why=found.why, right=found.right, tries=before.tries)
        return card

    def progress(self) -> widgets.HTML:
        """What is answered so far and in how many tries; it follows while answers are given."""
        shown = widgets.HTML(self._progress_html())
        self._progress.append(shown)
        return shown

    def reset(self) -> widgets.Widget:
        """A button that forgets this lesson's answers; it asks once."""
        button = widgets.Button(description="Forget my answers", layout={"width": "auto"})
        sure = widgets.Button(description="Yes, forget them", layout={"width": "auto", "display": "none"})
        said = widgets.HTML()

        def ask(_: object) -> None:
            waiting = sure.layout.display == "none"
            sure.layout.display = None if waiting else "none"
            button.description = "No, keep them" if waiting else "Forget my answers"
            n = len(self._answers.all())
            said.value = (
                f"Forget what you answered in this lesson ({n} of {len(self.questions)})?" if waiting else "Kept."
            )

        def forget(_: object) -> None:
            self.forget()
            sure.layout.display, button.description = "none", "Forget my answers"
            said.value = html.escape(self._answers.note) or "Forgotten. Begin again at the first cell."

        button.on_click(ask)
        sure.on_click(forget)
        return widgets.HBox([button, sure, said], layout={"align_items": "center"})

    def forget(self) -> None:
        """Forget this lesson's answers at once, on the page and in the file."""
        self._answers.forget()
        for card in self._cards:
            card.answer, card.verdict = None, {}
        self._tell()

    def answered(self) -> Mapping[str, Answer]:
        """The answers so far by the question's id."""
        return self._answers.all()

    def __repr__(self) -> str:
        return f"Lesson '{self.name}': {self._summary()}"

    def _repr_html_(self) -> str:
        pills = (
            f"<span style='{_PILL};background:#ffcf70;color:#3a2600'>{MADE_UP}</span>"
            f"<span style='{_PILL};border:1.5px solid #5b6b7a'>Research use only</span>"
        )
        note = f"<br><b>{html.escape(self._answers.note)}</b>" if self._answers.note else ""
        said = f"About {self.minutes} minutes. {self._summary()}"
        return f'<div style="{_CARD}">{pills}<br><b>{html.escape(self.title)}</b><br>{html.escape(said)}{note}</div>'

    def _asked(self, question_id: str) -> Question:
        if question_id not in self.questions:
            known = ", ".join(self.questions)
            raise OnlmError(f"Lesson '{self.name}' has no question '{question_id}'; it has {known}.")
        return self.questions[question_id]

    def _usable(self, question: Question) -> Answer | None:
        """The answer kept for a question, unless a later version of the lesson no longer knows it."""
        kept = self._answers[question.id]
        return kept if kept is not None and question.accepts(kept.value) else None

    def _card(self, question: Question, *, heading: str, action: str, act: Any, kept: str) -> QuestionCard:
        card = QuestionCard(question, heading=heading, action=action, act=act)
        card.note = self._answers.note
        self._cards.append(card)
        if (before := self._usable(question)) is not None:
            card.show_kept(before.value)
            if kept:
                card.verdict = {"word": "Noted", "why": kept, "right": None, "tries": before.tries}
        return card

    def _keep_prediction(self, card: QuestionCard, answer: Any) -> None:
        kept = self._answers.keep(card.shown["id"], answer, right=None)
        self._say(card, word="Noted", why="Now run the next cell.", right=None, tries=kept.tries)

    def _say(self, card: QuestionCard, *, word: str, why: str, right: bool | None, tries: int) -> None:
        card.note = self._answers.note
        card.verdict = {"word": word, "why": why, "right": right, "tries": tries}
        self._tell()

    def _tell(self) -> None:
        for shown in self._progress:
            shown.value = self._progress_html()

    def _summary(self) -> str:
        answered = [one for name, one in self._answers.all().items() if name in self.questions]
        n_right = sum(one.right is True for one in answered)
        n_predicted = sum(one.right is None for one in answered)
        return (
            f"{len(answered)} of {len(self.questions)} questions answered: {n_predicted} predictions made, "
            f"{n_right} checks right. Answers stay in {FOLDER}/{self.name}.json beside this notebook."
        )

    def _progress_html(self) -> str:
        rows = []
        for question in self.questions.values():
            one = self._answers[question.id]
            word = "–" if one is None else {True: "right", False: "not yet", None: "predicted"}[one.right]
            tries = "" if one is None else f"{one.tries} {'try' if one.tries == 1 else 'tries'}"
            cells = (question.text.splitlines()[0], word.replace(" ", NO_BREAK), tries.replace(" ", NO_BREAK))
            rows.append("<tr>" + "".join(f"<td style='{_CELL}'>{html.escape(c)}</td>" for c in cells) + "</tr>")
        return f'<div style="{_CARD}">{html.escape(self._summary())}<table>{"".join(rows)}</table></div>'


def _any_answer(question: Question) -> Any:
    if question.kind == "number":
        return 0.0
    return question.options[0].key if question.kind == "choice" else [question.options[0].key]
