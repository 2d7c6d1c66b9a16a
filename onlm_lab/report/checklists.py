"""The evidence tables on the page and as a file: an item a row, with links to where the report answers it."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from onlm_lab.report import words
from onlm_lab.report.evidence import CHECKLISTS, Judgement, checklist
from onlm_lab.report.section import Block, Evidence, EvidenceRow, Section, Text, note

COLUMNS = ("checklist", "item", "asked", "status", "evidence")
OURS = (
    "The items are told in our own words; the authors' own wording counts, and is to be read in the source. The table "
    "says where this report tells something, not whether it is good. Needs human: no file of a run can tell it."
)
SIGNALLING = (
    "The answers and the ratings of quality, risk of bias and applicability are a reviewer's; nothing here is a rating."
)


def checklist_section(name: str, *, judged: Sequence[Judgement], sections: Sequence[Section]) -> Section:
    """One checklist as a section: how many items are answered, and each with its evidence.

    Args:
        name: of CHECKLISTS.
        judged: of all checklists.
        sections: those that can be linked, for their titles.
    """
    found, own = checklist(name), [j for j in judged if j.item.checklist == name]
    titles = {"summary": "What to know"} | {section.id: section.title.split(":")[0] for section in sections}
    rows = tuple(
        EvidenceRow(j.item.number, j.item.topic, j.item.asked, j.status, tuple((s, titles[s]) for s in j.sections),
                    j.files, j.said) for j in own
    )  # fmt: skip
    blocks: list[Block] = [Text(tally(own)), note(found.source), note(OURS)]
    if name == "PROBAST+AI":
        blocks.append(note(SIGNALLING))
    blocks.append(Evidence(rows, caption=f"{name}: item by item."))
    return Section(f"checklist-{CHECKLISTS[name].replace('_', '-')}", found.title, tuple(blocks))


def tally(judged: Sequence[Judgement]) -> str:
    """'Of 44 items, 20 are told in this report, ...'."""
    counts = {s: sum(j.status == s for j in judged) for s in dict.fromkeys(j.status for j in judged)}
    said = {
        "in the report": "{} told in this report", "in part; needs human": "{} told in part, the rest by the authors",
        "needs human": "{} to be told by the authors", "not there": "{} not there",
        "does not apply": "{} not applicable",
    }  # fmt: skip
    parts = ", ".join(text.format(counts[s]) for s, text in said.items() if s in counts)
    return f"Of {words.plural(len(judged), 'item')}: {parts}."


def checklist_csv(judged: Sequence[Judgement], *, page: str = "report.html") -> str:
    """checklist.csv: checklist, item, asked, status, evidence. Evidence is links into the page, files of the run's
    folder, and what is left to do, joined by '; '."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for j in judged:
        evidence = [*(f"{page}#{s}" for s in j.sections), *j.files, *([j.said] if j.said else [])]
        writer.writerow((j.item.checklist, j.item.number, j.item.asked, j.status, "; ".join(evidence)))
    return out.getvalue()
