"""Settings that hold for one run and stand in no file of the user's: `onlm run STUDY --set training.folds=3`."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from typing import Any

from onlm_lab.errors import StudyError
from onlm_lab.study.limits import nearest

CHANGEABLE = ("model", "training", "patch")  # how it is learned; who is in, and what is asked, stands in study.toml
Changes = Mapping[str, Mapping[str, Any]]


def parse_changes(words: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Settings of one run, by section.

    Args:
        words: such as 'training.folds=3' or 'model.layout=slab': a value of TOML, or a text without quotes.

    Raises:
        StudyError: it is not said as section.key=value, twice, or of a section that stands in study.toml alone.
    """
    found: dict[str, dict[str, Any]] = {}
    for word in words:
        name, equals, text = word.partition("=")
        section, dot, key = name.strip().partition(".")
        if not (equals and dot and section and key.strip()):
            raise StudyError(f"--set {word}: wanted section.key=value, such as training.folds=3.")
        _require_changeable(section)
        if key.strip() in found.get(section, {}):
            raise StudyError(f"--set {section}.{key.strip()} is said twice; wanted once.")
        found.setdefault(section, {})[key.strip()] = _value(text.strip())
    return found


def change_words(changes: Changes) -> list[str]:
    """What `parse_changes` reads, each behind its --set: words of a command."""
    words: list[str] = []
    for section, values in changes.items():
        for key, value in values.items():
            words += ["--set", f"{section}.{key}={_written(value)}"]
    return words


def _written(value: Any) -> str:
    """A value of TOML on one line: tomli-w spreads a list over several."""
    import tomli_w

    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_written, value))}]"
    return tomli_w.dumps({"v": value}, multiline_strings=False).partition("=")[2].strip()


def with_changes(raw: Mapping[str, Any], changes: Changes) -> dict[str, Any]:
    """What study.toml says, with the settings of one run in the place of its own."""
    said = dict(raw)
    for section, values in changes.items():
        _require_changeable(section)
        own = said.get(section, {})
        if isinstance(own, dict):  # else its fault is told by who reads it
            said[section] = {**own, **values}
    return said


def _require_changeable(section: str) -> None:
    if section not in CHANGEABLE:
        raise StudyError(
            f"--set takes settings of [model], [training] and [patch], not of [{section}]"
            f"{nearest(section, CHANGEABLE)}. Who is in the study, and what is asked of it, stands in study.toml."
        )


def _value(text: str) -> Any:
    try:
        said = tomllib.loads(f"v = {text}")
    except tomllib.TOMLDecodeError:
        return text  # a word without quotes
    return said["v"] if set(said) == {"v"} else text
