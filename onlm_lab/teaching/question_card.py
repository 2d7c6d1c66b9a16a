"""A question on the page: its options or a box for a number, a button, and what is said of the answer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import anywidget
import traitlets

from onlm_lab.teaching.question import Question

_HERE = Path(__file__).parent


class QuestionCard(anywidget.AnyWidget):
    """A question with its button. All text reaches the page as text, never as HTML.

    Attributes:
        shown: id, kind, text, options ({"key", "text"}; without what is right), unit, and the words of the button.
        answer: what is marked: a key, a list of keys, or the number as it was typed; None: nothing yet.
        verdict: {"word", "why", "right", "tries"}; empty before an answer. `right` is None where nothing is judged.
        note: what went wrong with the file of the answers; empty where nothing did.
    """

    _esm = _HERE / "question_card.js"
    _css = _HERE / "teaching.css"
    shown = traitlets.Dict().tag(sync=True)
    answer = traitlets.Any(None, allow_none=True).tag(sync=True)
    verdict = traitlets.Dict().tag(sync=True)
    note = traitlets.Unicode("").tag(sync=True)

    def __init__(self, question: Question, *, heading: str, action: str, act: Callable[[QuestionCard, Any], None]):
        """A card.

        Args:
            question: what is asked.
            heading: what kind of card this is.
            action: words of the button.
            act: called with the card and the answer (a number with unit "%" as a fraction).
        """
        super().__init__()
        self._question, self._act = question, act
        self.shown = {
            "id": question.id, "kind": question.kind, "text": question.text, "unit": question.unit,
            "heading": heading, "action": action,
            "options": [{"key": one.key, "text": one.text} for one in question.options],
        }  # fmt: skip
        self.on_msg(self._heard)

    def give(self, answer: Any) -> None:
        """Answer as a student does: a key, a list of keys, or the number as it is typed (percent where percent are)."""
        found = self._understood(answer)
        if found is None:
            self.verdict = {"word": "", "why": _WANTED[self._question.kind], "right": None, "tries": 0}
            return
        self.answer = answer
        self._act(self, found)

    def show_kept(self, value: Any) -> None:
        """Mark an answer that was given before; one that this question does not know is left unmarked."""
        if self._question.accepts(value):
            self.answer = round(100 * value, 6) if self._in_percent() else value

    def _understood(self, answer: Any) -> Any:
        """The answer, or None where there is none that could be judged."""
        if not self._question.accepts(answer):
            return None
        return answer / 100 if self._in_percent() else answer

    def _in_percent(self) -> bool:
        return self._question.kind == "number" and self._question.unit == "%"

    def _heard(self, _: Any, content: Any, __: Any) -> None:
        if isinstance(content, dict) and content.get("kind") == "answer":
            self.give(content.get("answer"))


_WANTED = {
    "choice": "Choose one answer first.",
    "several": "Tick at least one answer first.",
    "number": "Type a number first.",
}
