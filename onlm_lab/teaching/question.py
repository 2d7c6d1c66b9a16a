"""The questions of a lesson, read from questions/<lesson>.toml and checked: every wrong answer has its own why.

    [[question]]
    id = "meaning"
    kind = "choice"                 choice, several or number
    text = "What does an AUC of 0.80 say?"

    [[question.option]]             of a choice and of several
    key = "pairs"
    text = "Of a random N+ and a random N0 patient, the N+ patient has the higher risk in 80 % of pairs."
    right = true
    why = "That is what it is: ..."

A number has `truth` (or gets it from the notebook), `tolerance`, `unit`, `digits`, `why` (why it is right), `hint`
(said of a wrong number that nobody foresaw) and known mistakes: [[question.mistake]] with `value` or `name`, and `why`.
With unit = "%" the student types percent, and every value in the file and in the notebook is a fraction.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from onlm_lab.errors import OnlmError

QUESTIONS = Path(__file__).parent / "questions"
KINDS = ("choice", "several", "number")
_OF_QUESTION = {
    "id", "kind", "text", "option", "mistake", "truth", "tolerance", "unit", "digits", "why", "hint",
}  # fmt: skip
_OF_OPTION, _OF_MISTAKE = {"key", "text", "why", "right"}, {"value", "name", "why"}


@dataclass(frozen=True)
class Option:
    """One answer to choose: its key, its text, whether it is right, and why it is right or wrong."""

    key: str
    text: str
    why: str
    right: bool = False


@dataclass(frozen=True)
class Mistake:
    """A wrong number that people give: its value, or the name by which the notebook gives it; and why it is wrong."""

    why: str
    value: float | None = None
    name: str = ""


@dataclass(frozen=True)
class Question:
    """A question of a lesson.

    Attributes:
        id: within its lesson.
        kind: choice (one option is right), several (each is right or not) or number.
        text: what is asked.
        options: of a choice and of several.
        mistakes: of a number.
        truth: of a number; None: the notebook computes it.
        tolerance: how far from the truth a number may be.
        unit: "%" where percent are typed (values are fractions then), else words behind the number, or "".
        digits: decimals with which the truth is shown.
        why: why the right number, or the right set of options, is right.
        hint: said of a wrong number that nobody foresaw.
    """

    id: str
    kind: str
    text: str
    options: tuple[Option, ...] = ()
    mistakes: tuple[Mistake, ...] = ()
    truth: float | None = None
    tolerance: float = 0.0
    unit: str = ""
    digits: int = 0
    why: str = ""
    hint: str = ""

    def option(self, key: str) -> Option:
        """The option of a key.

        Raises:
            OnlmError: there is none.
        """
        for one in self.options:
            if one.key == key:
                return one
        raise OnlmError(f"Question '{self.id}' has no option '{key}'; it has {', '.join(o.key for o in self.options)}.")

    def accepts(self, value: Any) -> bool:
        """Whether a value could be an answer to this question at all, right or wrong."""
        if self.kind == "number":
            return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        keys = {one.key for one in self.options}
        if self.kind == "choice":
            return isinstance(value, str) and value in keys
        return isinstance(value, list) and bool(value) and all(isinstance(k, str) and k in keys for k in value)

    def shown(self, value: Any) -> str:
        """An answer, or the truth, as it is read: the words of options, a number with its unit."""
        if self.kind == "choice":
            return self.option(str(value)).text
        if self.kind == "several":
            return "; ".join(self.option(str(key)).text for key in value) or "none of them"
        number = f"{100 * value if self.unit == '%' else value:,.{self.digits}f}"
        return f"{number} {self.unit}".strip()


def read_questions(lesson: str, *, folder: Path = QUESTIONS) -> dict[str, Question]:
    """The questions of a lesson by their id.

    Args:
        lesson: its name, such as "auc".
        folder: where <lesson>.toml lies.

    Raises:
        OnlmError: there is no such lesson, or its file has faults; all of them are named.
    """
    path = folder / f"{lesson}.toml"
    if not path.is_file():
        there = ", ".join(sorted(p.stem for p in folder.glob("*.toml")))
        raise OnlmError(f"There is no lesson '{lesson}'. There are: {there}.")
    try:
        said = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise OnlmError(f"{path.name} is no TOML: {error}.") from error
    entries = said.get("question", [])
    faults = [f"{path.name}, {fault}" for entry in entries for fault in _faults(entry)]
    ids = [str(entry.get("id", "")) for entry in entries]
    faults += [f"{path.name}: the id '{name}' is there {ids.count(name)} times." for name in _twice(ids)]
    if not entries:
        faults.append(f"{path.name} has no [[question]].")
    if faults:
        raise OnlmError("\n".join(faults))
    return {entry["id"]: _question(entry) for entry in entries}


def _faults(entry: Mapping[str, Any]) -> list[str]:
    """What is wrong with a question of the file, each in a sentence."""
    who, kind, found = f"question '{entry.get('id', '?')}'", entry.get("kind"), []
    options, mistakes = entry.get("option", []), entry.get("mistake", [])
    found += [f"{who} knows no '{name}'." for name in sorted(set(entry) - _OF_QUESTION)]
    found += [f"{who} has no {name}." for name in ("id", "text") if not entry.get(name)]
    if kind not in KINDS:
        return [*found, f"{who} is of kind '{kind}'; wanted {', '.join(KINDS)}."]
    if kind == "number":
        found += [f"{who} is a number and has options." for _ in options[:1]]
        found += [f"{who} has no {name}." for name in ("why", "hint", "tolerance") if not entry.get(name)]
        for one in mistakes:
            found += [f"{who}, a mistake knows no '{name}'." for name in sorted(set(one) - _OF_MISTAKE)]
            if ("value" in one) == ("name" in one) or not one.get("why"):
                found.append(f"{who}: a mistake wants `value` or `name`, and `why`.")
        return found
    keys = [one.get("key") for one in options]
    found += [f"{who} has the key '{key}' {keys.count(key)} times." for key in _twice(keys)]
    for one in options:
        found += [f"{who}, an option knows no '{name}'." for name in sorted(set(one) - _OF_OPTION)]
        found += [
            f"{who}, option '{one.get('key', '?')}' has no {name}."
            for name in ("key", "text", "why")
            if not one.get(name)
        ]
    n_right = sum(bool(one.get("right")) for one in options)
    if kind == "choice" and (n_right != 1 or len(options) < 2):
        found.append(f"{who} has {n_right} right of {len(options)} options; a choice wants one, of two or more.")
    if kind == "several" and (not n_right or not entry.get("why")):
        found.append(f"{who} wants at least one right option, and `why`.")
    whys = [one.get("why") for one in options]
    return found + [f"{who}: two options have the same why." for _ in _twice(whys)]


def _twice(values: list[Any]) -> list[Any]:
    return sorted({value for value in values if values.count(value) > 1}, key=str)


def _question(entry: Mapping[str, Any]) -> Question:
    options = tuple(Option(**one) for one in entry.get("option", []))
    mistakes = tuple(Mistake(**one) for one in entry.get("mistake", []))
    rest = {name: value for name, value in entry.items() if name not in ("option", "mistake")}
    return Question(**rest, options=options, mistakes=mistakes)
