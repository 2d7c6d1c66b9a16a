"""What is wrong with [mapping] whatever the files hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from onlm_lab.errors import Fault
from onlm_lab.schema.cells import as_number
from onlm_lab.schema.dictionary import NUMERIC, SITES, Column, meant, nearest
from onlm_lab.schema.names import TABLES, every_column
from onlm_lab.schema.shown import shown
from onlm_lab.schema.texts import bare

if TYPE_CHECKING:
    from onlm_lab.study import Mapping as Settings


def plain_settings(mapping: Settings) -> Settings:
    """The mapping with no blanks at the ends of the hospital's names and words, as the cells themselves are read."""

    def bared(words: Mapping[str, Any]) -> dict[str, Any]:
        return {bare(theirs): ours for theirs, ours in words.items()}

    return replace(
        mapping,
        columns=bared(mapping.columns),
        values={name: bared(words) for name, words in mapping.values.items()},
        checkboxes={name: bared(boxes) for name, boxes in mapping.checkboxes.items()},
        only={table: bared(wanted) for table, wanted in mapping.only.items()},
        dates={name: replace(e, start=bare(e.start), end=bare(e.end)) for name, e in mapping.dates.items()},
        missing_words={name: tuple(map(bare, words)) for name, words in mapping.missing_words.items()},
        ignore=tuple(map(bare, mapping.ignore)),
    )


def settings_faults(mapping: Settings, *, extra_columns: Sequence[Column] = ()) -> list[Fault]:
    """What is wrong with [mapping] whatever the files hold: targets that do not exist, words that are not allowed."""
    known = every_column(extra_columns)
    faults: list[Fault] = []

    def say(section: str, text: str) -> None:
        faults.append(Fault(f"study.toml: [mapping{section}] {text}", file="study.toml"))

    sections = {
        "values": mapping.values, "factors": mapping.factors, "constants": mapping.constants, "dates": mapping.dates,
        "checkboxes": mapping.checkboxes, "missing_words": mapping.missing_words,
    }  # fmt: skip
    targets = [("columns", target) for target in mapping.columns.values()]
    for section, target in dict.fromkeys(targets + [(s, t) for s, named in sections.items() for t in named]):
        if target not in known:
            say(f".{section}", f"'{target}' is not one of our columns{meant(target, known)}")
    for name, words in mapping.values.items():
        for theirs, ours in words.items():
            if name in known and not is_allowed(ours, known[name], factor=mapping.factors.get(name, 1.0)):
                hint = meant(ours, known[name].allowed)
                wanted = "text" if known[name].type == "text" else known[name].wanted
                say(f".values.{name}", f"'{theirs}' = '{shown(ours)}': wanted {wanted}{hint}")
    for name, boxes in mapping.checkboxes.items():
        for theirs, ours in boxes.items():
            if name not in known:
                continue
            if not (
                ours in (*SITES, "unknown")
                if name == "recurrence_site"
                else is_allowed(ours, known[name], factor=mapping.factors.get(name, 1.0))
            ):
                say(
                    f".checkboxes.{name}",
                    f"'{theirs}' = '{shown(ours)}' is not a word of {name}{meant(ours, known[name].allowed or SITES)}",
                )
    for name, factor in mapping.factors.items():
        if name in known and known[name].type not in ("number", "integer"):
            say(".factors", f"{name} holds no numbers; a factor is for numbers.")
        if factor == 0 or factor != factor or abs(factor) == float("inf"):
            say(".factors", f"{name} = {factor:g}; wanted a number other than 0.")
    for name in mapping.dates:
        if name in known and known[name].type not in ("number", "integer"):
            say(f".dates.{name}", f"{name} holds no numbers; dates become days, years or a year.")
    for name in mapping.only:
        if name not in TABLES:
            near = nearest(name, TABLES)
            hint = f"; did you mean '{near}'?" if near else f"; wanted one of {', '.join(TABLES)}."
            say(".only", f"'{name}' is not a table{hint}")
    for name, word in mapping.constants.items():
        if name == "patient_id":
            say(".constants", "patient_id cannot be the same in every row.")
        if name in known and not is_allowed(word, known[name], factor=mapping.factors.get(name, 1.0)):
            say(
                ".constants", f"{name} = '{shown(word)}': wanted {known[name].wanted}{meant(word, known[name].allowed)}"
            )
    twice = {n for s in (mapping.dates, mapping.checkboxes, mapping.constants) for n in s}
    for name in sorted(twice):
        ways = [s for s in ("dates", "checkboxes", "constants") if name in sections[s]]
        ways += ["columns"] * (name in mapping.columns.values())
        if len(ways) > 1:
            say("", f"{name} is made in {len(ways)} ways ({', '.join(ways)}); wanted one.")
    return faults


def is_allowed(word: str, spec: Column, *, factor: float = 1.0) -> bool:
    """Whether a word of study.toml is one that the column may hold, times its factor; the empty one is."""
    if not word or spec.type == "text":
        return True
    if spec.type not in NUMERIC:
        return word in spec.allowed if spec.allowed else True
    number = as_number(word)
    if number is None or (spec.type == "boolean" and number not in (0.0, 1.0)):
        return False
    number *= factor
    return (spec.low is None or number >= spec.low) and (spec.high is None or number <= spec.high)
