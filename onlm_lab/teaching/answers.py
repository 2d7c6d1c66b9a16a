"""A student's answers of one lesson, kept in a file beside the notebook: readable, no names, written whole."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from onlm_lab import steps

FORMAT = 1


@dataclass(frozen=True)
class Answer:
    """What was answered to one question.

    Attributes:
        value: key of an option, list of keys, or a number.
        tries: how often it was answered.
        right: whether the last answer was right; None of a prediction, which is not judged before the cell ran.
    """

    value: Any
    tries: int = 1
    right: bool | None = None


class Answers:
    """The answers of one lesson, by the question's id. `note` is what a student must know of their file, or "".

    A file that cannot be read is put aside under another name, never lost; one that cannot be written is told, and the
    answers stay until the kernel ends.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.note, self._kept, self._may_write = path, "", {}, True
        if path.is_file():
            self._read()

    def __getitem__(self, question_id: str) -> Answer | None:
        return self._kept.get(question_id)

    def all(self) -> Mapping[str, Answer]:
        """Every answer by the question's id."""
        return dict(self._kept)

    def keep(self, question_id: str, value: Any, *, right: bool | None) -> Answer:
        """Take an answer, count the try, write the file; returns what is kept."""
        before = self._kept.get(question_id)
        found = Answer(value, tries=1 + (before.tries if before else 0), right=right)
        self._kept[question_id] = found
        self._write()
        return found

    def forget(self) -> None:
        """Forget every answer and remove the file."""
        self._kept = {}
        try:
            self.path.unlink(missing_ok=True)
        except OSError as error:
            self.note = f"The file of your answers could not be removed: {error.strerror}."

    def _read(self) -> None:
        try:
            said = json.loads(self.path.read_text(encoding="utf-8"))
            answers = {str(name): Answer(**one) for name, one in said["answers"].items()}
            if said["format"] != FORMAT or not all(isinstance(one.tries, int) for one in answers.values()):
                raise ValueError("another format")
            self._kept = answers
        except (ValueError, KeyError, TypeError, AttributeError):
            self._put_aside()
        except OSError as error:
            self._may_write = False
            self.note = f"The file of your answers could not be read ({error.strerror}): new answers are not kept."

    def _put_aside(self) -> None:
        k = 1
        while (aside := self.path.with_name(f"{self.path.stem}.unreadable-{k}.json")).exists():
            k += 1
        self.note = f"The file of your answers ({self.path.name}) could not be understood. "
        try:
            self.path.rename(aside)
            self.note += f"It is kept as {aside.name}, and your answers start empty."
        except OSError as error:
            self._may_write = False
            self.note += f"It could not be put aside either ({error.strerror}): new answers are not kept."

    def _write(self) -> None:
        if not self._may_write:
            return
        answers = {name: asdict(one) for name, one in self._kept.items()}
        said = {"format": FORMAT, "lesson": self.path.stem, "answers": answers}
        try:
            steps.write_text(self.path, json.dumps(said, indent=1, ensure_ascii=False) + "\n")
        except OSError as error:
            self.note = f"Your answers could not be written ({error.strerror}): they last until this kernel ends."
