"""The rules of a protocol as small named objects, those of the registration and a study's own alike.

    for rule in require_rules(study.protocol, extra_columns=schema.declared(study.columns)):
        print(rule.name, rule.text, rule.passes, rule.inputs)

The registration's twelve rules stand in nct06684418.toml, in the words in which a study says its own.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cache, partial
from pathlib import Path

from onlm_lab import schema
from onlm_lab.cohort.conditions import Node, nouns_of, parse
from onlm_lab.cohort.parsing import ConditionError, outside_quotes
from onlm_lab.cohort.quantities import format_number
from onlm_lab.cohort.vocabulary import FIXED_LIMITS, RESERVED, Noun, reserved, vocabulary
from onlm_lab.errors import OnlmError, StudyError
from onlm_lab.showing import shows_itself
from onlm_lab.study import OwnRule, Protocol, load_study

_NAME = re.compile(r"[^\W\d]\w*")
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_FIRST = r"(?<![\w.\"'])"  # a limit's name that stands alone


@shows_itself
@dataclass(frozen=True)
class Rule:
    """One rule of a protocol.

    Attributes:
        name: what logs and flows call it.
        text: what a reader is told, the limits' numbers filled in.
        source: where it comes from.
        version: its version.
        passes: the condition, the limits' numbers filled in.
        inputs: the columns that it reads.
        limits: the named limits that it reads.
        after_baseline: the inputs that are known only after treatment began.
        condition: the condition as a tree.
    """

    name: str
    text: str
    source: str
    version: str
    passes: str
    inputs: tuple[str, ...]
    limits: tuple[str, ...] = ()
    after_baseline: tuple[str, ...] = ()
    condition: Node = field(default=None, repr=False)  # type: ignore[assignment]


@cache
def registration() -> tuple[OwnRule, ...]:
    """The twelve rules of NCT06684418, as its file says them."""
    return load_study(Path(__file__).with_name("nct06684418.toml")).protocol.own


def applied(protocol: Protocol) -> tuple[OwnRule, ...]:
    """The rules of a protocol in the order in which they are applied.

    As `rules` names them, each once; own rules that it does not name come last. An own rule with the name of one of
    the registration's takes its place.
    """
    known = {rule.name: rule for rule in (*registration(), *protocol.own)}
    names = dict.fromkeys((*protocol.rules, *(rule.name for rule in protocol.own)))
    return tuple(known[name] for name in names)


def limits_of(protocol: Protocol) -> dict[str, float]:
    """The named numbers of a protocol: those of the registration, then its own."""
    return {name: float(getattr(protocol, name)) for name in FIXED_LIMITS} | dict(protocol.limits)


def with_limit(protocol: Protocol, *, limit: str, value: float) -> Protocol:
    """The same protocol with one limit moved.

    Raises:
        OnlmError: no such limit (nearest offered).
    """
    known = limits_of(protocol)
    if limit not in known:
        near = schema.nearest(limit, known)
        raise OnlmError(
            f"'{limit}' is not a limit of the protocol{f'; did you mean {near!r}?' if near else '.'} "
            f"Known: {', '.join(known)}."
        )
    if limit in FIXED_LIMITS:
        return replace(protocol, **{limit: float(value)})
    return replace(protocol, limits=protocol.limits | {limit: float(value)})


def require_rules(protocol: Protocol, *, extra_columns: Iterable[schema.Column] = ()) -> tuple[Rule, ...]:
    """The rules of a protocol, read and checked against the columns, in the order in which they are applied.

    Args:
        protocol: [protocol] of a study.
        extra_columns: the study's own columns, see schema.declared.

    Raises:
        StudyError: every rule that cannot be read, a sentence each: its name, the place, the nearest name.
    """
    extra = tuple(extra_columns)
    nouns, limits = vocabulary(extra), limits_of(protocol)
    faults = _faults_of_names(protocol, extra=extra, nouns=nouns)
    rules = []
    for said in applied(protocol):
        told, found = len(faults), []
        for read in (partial(parse, said.passes, nouns=nouns, limits=limits), partial(_text, said, limits=limits)):
            try:
                found.append(read())
            except ConditionError as error:
                faults.append(f"study.toml: [[protocol.own]] rule '{said.name}': {error}")
        if len(faults) == told:
            rules.append(_rule(said, condition=found[0], text=found[1], limits=limits))
    if faults:
        raise StudyError("\n".join(faults))
    return tuple(rules)


def _faults_of_names(protocol: Protocol, *, extra: tuple[schema.Column, ...], nouns: dict[str, Noun]) -> list[str]:
    """Names that mean two things, or nothing, and limits that are no numbers."""
    faults = [
        f"study.toml: [columns.{name}] is the name of something else in a rule; rename the column."
        for name in reserved(extra)
    ]
    for name in FIXED_LIMITS:
        if name in protocol.limits:
            faults.append(f"study.toml: [protocol.limits] {name} is set under [protocol] itself; move it there.")
    for name, value in limits_of(protocol).items():
        where = "[protocol]" if name in FIXED_LIMITS else "[protocol.limits]"
        if name in nouns:
            faults.append(f"study.toml: {where} {name} is also a column; a rule could mean either. Rename the limit.")
        elif not _NAME.fullmatch(name):
            faults.append(f"study.toml: {where} '{name}' is no name; wanted letters, digits and _, a letter first.")
        elif name in RESERVED or keyword.iskeyword(name):
            faults.append(f"study.toml: {where} {name} means something else in a rule; rename the limit.")
        if not abs(value) < float("inf"):
            faults.append(f"study.toml: {where} {name} is {value}; wanted a number.")
    for rule in protocol.own:
        if not rule.name.strip():
            faults.append("study.toml: [[protocol.own]] name is empty; wanted a short name such as 'ctr_high'.")
    return faults


def _rule(said: OwnRule, *, condition: Node, text: str, limits: dict[str, float]) -> Rule:
    read = nouns_of(condition).values()
    used = tuple(name for name in limits if re.search(rf"{_FIRST}{name}\b", outside_quotes(said.passes, quoted=" ")))
    late = tuple(dict.fromkeys(c for noun in read if noun.after_baseline for c in noun.inputs))
    return Rule(
        said.name, text, said.source, said.version,
        passes=_numbers_filled_in(said.passes, limits={name: limits[name] for name in used}),
        inputs=tuple(dict.fromkeys(c for noun in read for c in noun.inputs)),
        limits=used, after_baseline=late, condition=condition,
    )  # fmt: skip


def _text(said: OwnRule, *, limits: dict[str, float]) -> str:
    """What a reader is told; a limit in braces becomes its number."""
    for word in _PLACEHOLDER.findall(said.text):
        if word not in limits:
            near = schema.nearest(word, limits)
            tip = f"; did you mean '{near}'?" if near else "."
            raise ConditionError(f"text names {{{word}}}, which is not a limit of the protocol{tip}")
    return _PLACEHOLDER.sub(lambda found: format_number(limits[found[1]]), said.text.strip()) or said.name


def _numbers_filled_in(passes: str, *, limits: dict[str, float]) -> str:
    """The condition on one line, with numbers in the places of the limits."""
    pieces = re.split(r"(\"[^\"\n]*\"|'[^'\n]*'|#[^\n]*)", passes)
    for i in range(len(pieces)):
        if i % 2:
            pieces[i] = "" if pieces[i].startswith("#") else pieces[i]
            continue
        for name, value in limits.items():
            pieces[i] = re.sub(rf"{_FIRST}{name}\b", format_number(value), pieces[i])
        pieces[i] = re.sub(r"\s+", " ", pieces[i])
    return "".join(pieces).strip()
