"""Which item of a reporting checklist a run answers, where, and what is left to its authors.

The items lie as data beside this file (tripod_ai.toml, claim_2024.toml, probast_ai.toml), in our own words:

    number, topic, asked   what the item asks
    evidence               where a report answers it: "#calibration" (a section), "file:split.json" (of the run's
                           folder), or a fact of FACTS
    needs                  facts, or sections that must tell something, without which the item counts as not there
    only_if, otherwise     a fact without which the item does not apply, and what is said then
    human                  what only the authors can tell
    todo                   what to do where it is not there

A section counts only where it tells something: a table, a figure or a card. Nothing here judges a study: whether an
answer is good is for its reader.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Literal

from onlm_lab.analysis.battery import LOCKED, testing_sets
from onlm_lab.panels.patients import first_repeat
from onlm_lab.report.material import Material
from onlm_lab.report.provenance import late_predictors, partly_post_operative
from onlm_lab.report.section import Section

CHECKLISTS = {"TRIPOD+AI": "tripod_ai", "CLAIM 2024": "claim_2024", "PROBAST+AI": "probast_ai"}
Status = Literal["in the report", "in part; needs human", "needs human", "not there", "does not apply"]
SPEAK_IN_WORDS = ("summary", "limits")  # sections whose sentences are what is asked for


@dataclass(frozen=True)
class Item:
    """One item of a checklist, as its file says it."""

    checklist: str
    number: str
    topic: str
    asked: str
    evidence: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    only_if: str = ""
    otherwise: str = ""
    human: str = ""
    todo: str = ""


@dataclass(frozen=True)
class Judgement:
    """What a run has for an item: sections by id, files of its folder by name, and a sentence where one is due."""

    item: Item
    status: Status
    sections: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    said: str = ""


@dataclass(frozen=True)
class Checklist:
    """A checklist's name, heading, source and items."""

    name: str
    title: str
    source: str
    items: tuple[Item, ...] = field(default=())


def _held_out(material: Material) -> bool:
    return bool(set(_sets(material)) & {"external", "temporal", LOCKED})


def _sets(material: Material) -> dict[str, object]:
    return testing_sets(first_repeat(material.rows))


def _days(material: Material) -> bool:
    known = [material.patients.get("ct_to_treatment_days"), material.prepared.get("days_before_treatment")]
    return any(days is not None and bool(days.notna().any()) for days in known)


def _before_treatment(material: Material) -> bool:
    return not partly_post_operative(material) and not late_predictors(material.study)


# What a run may have, told from its files alone.
FACTS: dict[str, Callable[[Material], bool]] = {
    "before_treatment": _before_treatment,
    "days": _days,
    "external": lambda m: "external" in _sets(m),
    "flow": lambda m: len(m.flow) > 0 or len(m.surrogate_flow) > 0,
    "held_out": _held_out,
    "images": lambda m: any(name in ("image", "fused", "image_facts") for name in m.models),
    "imbalance": lambda m: m.study.model.mode == "finetune" and m.study.training.loss != "plain",
    "internal": lambda m: bool(set(_sets(m)) & {"oof", LOCKED}),
    "licence": lambda m: bool(m.study.study.licence) or m.study.made_up,
    "model_files": lambda m: any((m.run.folder / name).is_file() for name in MODEL_FILES),
    "nodes": lambda m: "nodes_examined" in m.labelled and bool(m.labelled["nodes_examined"].notna().any()),
    "occult": lambda m: not m.study.label.surrogate,
    "readings": lambda m: any(m.run.folder.glob("readings*")),
    "resampled": lambda m: "oof" in _sets(m),
    "rules": lambda m: len(m.rules) > 0,
    "several_centres": lambda m: m.patients["centre"].nunique() > 1,
    "treatments": lambda m: "treatment" in m.patients and bool(m.patients["treatment"].notna().any()),
    "updated": lambda m: (m.run.folder / "recalibration.json").is_file(),
}  # fmt: skip
MODEL_FILES = ("weights.safetensors", "clinical_model.json")


@cache
def checklist(name: str) -> Checklist:
    """A checklist of CHECKLISTS by its name."""
    text = files("onlm_lab.report").joinpath(f"{CHECKLISTS[name]}.toml").read_text(encoding="utf-8")
    plain = tomllib.loads(text)
    items = tuple(
        Item(checklist=name, **{k: tuple(v) if isinstance(v, list) else v for k, v in row.items()})
        for row in plain["item"]
    )
    return Checklist(plain["name"], plain["title"], plain["source"], items)


def judge(material: Material, *, sections: Sequence[Section]) -> list[Judgement]:
    """Every item of every checklist, judged by the run's files and by what the sections tell.

    Args:
        material: the run.
        sections: of the page, without the checklists themselves.
    """
    facts = {name: told(material) for name, told in FACTS.items()}
    shown = {"summary", *(section.id for section in sections if tells(section))}
    return [
        judge_item(item, facts=facts, sections=shown, is_file=lambda name: (material.run.folder / name).is_file())
        for name in CHECKLISTS
        for item in checklist(name).items
    ]


def tells(section: Section) -> bool:
    """Whether a section has something to show, and not only the sentence that says why it has nothing."""
    return section.id in SPEAK_IN_WORDS or any(block.kind in ("table", "figure", "markup") for block in section.blocks)


def judge_item(
    item: Item, *, facts: dict[str, bool], sections: set[str], is_file: Callable[[str], bool]
) -> Judgement:  # fmt: skip
    """One item: does it apply, what shows it, what is lacking, what is left to a human."""
    if item.only_if and not facts[item.only_if]:
        return Judgement(item, "does not apply", said=item.otherwise)
    if not item.evidence:
        return Judgement(item, "needs human", said=item.human)
    links = tuple(e[1:] for e in item.evidence if e.startswith("#") and e[1:] in sections)
    named = tuple(e[5:] for e in item.evidence if e.startswith("file:") and is_file(e[5:]))
    known = [e for e in item.evidence if not e.startswith(("#", "file:")) and facts[e]]
    lacking = [n for n in item.needs if not (n[1:] in sections if n.startswith("#") else facts[n])]
    if lacking or not (links or named or known):
        return Judgement(item, "not there", sections=links, files=named, said=item.todo or NOT_TOLD)
    status: Status = "in part; needs human" if item.human else "in the report"
    return Judgement(item, status, sections=links, files=named, said=item.human)


NOT_TOLD = "This run has nothing to show for it: see the sections named for why."
