"""The study.toml of a merged study: what the sites say together, and what somebody has changed in it since."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from onlm_lab.cohort.sites import Site
from onlm_lab.study import ExtraColumn, Study, starter_toml

KEPT = ("split", "patch", "model", "training", "analysis")  # sections that may be changed in the merged study
Sections = dict[str, dict[str, Any]]
_HEAD = (
    "# Written by `onlm merge`. Patients are corrected in the tables of their own site, then merged again; what\n"
    f"# stands here under {', '.join(f'[{name}]' for name in KEPT)} may be changed and stays.\n"
)


def own_columns(sites: Sequence[Site]) -> dict[str, ExtraColumn]:
    """The own columns of all sites; where two differ, the later site has a fault and is not among them."""
    found: dict[str, ExtraColumn] = {}
    for site in sites:
        for name, column in site.study.columns.items():
            found.setdefault(name, column)
    return found


def sections_of_sites(
    sites: Sequence[Site], *, prefixes: Mapping[str, str], with_images: bool
) -> tuple[Sections, tuple[str, ...]]:
    """What the sites say together of split, patch, model, training and analysis, and where they do not agree.

    A section on which the sites differ takes its defaults, with a note. The pairs of [split] distinct_patients are
    those of all sites.

    Args:
        sites: those that are joined.
        prefixes: what stands before the ids of each.
        with_images: whether the merged study has CT.
    """
    studies = [site.study for site in sites if site.has_study]
    found: Sections = {}
    differing = []
    for section in KEPT:
        said = [_differing(study, section) for study in studies]
        for one in said:
            one.pop("distinct_patients", None)
        if any(one != said[0] for one in said):
            differing.append(section)
        found[section] = said[0] if said and section not in differing else {}
    pairs = [
        [prefixes[site.name] + patient for patient in pair]
        for site in sites
        for pair in site.study.split.distinct_patients
    ]
    if pairs:
        found["split"]["distinct_patients"] = pairs
    if not with_images and "models" not in found["training"]:
        found["training"]["models"] = ["clinical"]
    note = (
        f"The sites differ in {', '.join(f'[{name}]' for name in differing)} of study.toml: the defaults hold in the "
        "merged study. Set there what is meant."
    )
    return found, (note,) if differing else ()


def kept_sections(earlier: Study | None, *, written: Sections, fresh: Sections) -> Sections:
    """Section by section what holds: what somebody has changed since the last merge, else what the sites say now.

    Args:
        earlier: the merged study as it stands; None where there is none.
        written: what the last merge wrote.
        fresh: what the sites say now.
    """
    found = {}
    for section in KEPT:
        here = _differing(earlier, section) if earlier else {}
        changed = earlier is not None and here != written.get(section, {})
        found[section] = here if changed else fresh[section]
    return found


def other_sections(text: str) -> Sections:
    """What a study.toml says in sections that the sites decide."""
    return {name: section for name, section in tomllib.loads(text).items() if name not in KEPT}


def replaced_sections(folder: Path, *, written: Sections) -> tuple[str, ...]:
    """A note where somebody has changed, in the merged study, what the sites decide."""
    file = folder / "study.toml"
    if not written or not file.is_file():
        return ()
    here = other_sections(file.read_text(encoding="utf-8-sig"))
    changed = [f"[{name}]" for name in {**written, **here} if here.get(name) != written.get(name)]
    if not changed:
        return ()
    said = ", ".join(changed)
    return (
        f"{said} of study.toml was changed here since the last merge; the sites decide it, and their word stands "
        "again. What was there is kept in study.toml.before.",
    )


def study_text(
    clean: Sequence[Site], *, sites: Sequence[Site], tables: Collection[str], images: str, kept: Sections,
    notes: Sequence[str] = (),
) -> str:  # fmt: skip
    """study.toml of the merged study; its name says where it is not whole.

    Args:
        clean: the sites that are joined. sites: all that were named.
        tables: the files of the merged study.
        images: its CT folder; "" for none.
        kept: of kept_sections.
        notes: what stands above it as comments.
    """
    names, left = [site.name for site in clean], [site.name for site in sites if not site.clean]
    name = f"Merged from {_listed(names)}"
    if left:
        joined = f"{_listed(names)}; " if names else ""
        name = f"INCOMPLETE: {len(names)} of {len(sites)} sites ({joined}without {_listed(left)})"
    first = next((site.study for site in clean if site.has_study), Study(folder=Path()))
    licences = dict.fromkeys(site.study.study.licence for site in clean if site.study.study.licence)
    annotated = "annotations.csv" in tables
    sections: Sections = {
        "study": {"licence": " | ".join(licences)} if licences else {},
        "data": {
            "clinical": "clinical.csv",
            "followup": "followup.csv" if "followup.csv" in tables else "",
            "annotations": "annotations.csv" if annotated else "",
            "ct": images if annotated else "",
        },
        "columns": {name: _said_of(spec) for name, spec in own_columns(clean).items()},
        "protocol": _differing(first, "protocol"),
        "label": _differing(first, "label"),
        **kept,
    }
    said = {name: section for name, section in sections.items() if section}
    made_up = any(site.study.made_up for site in clean)
    head = _HEAD + "".join(f"# {note}\n" for note in notes)
    return head + starter_toml(name=name, made_up=made_up, seed=first.seed, sections=said)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) if len(names) <= 6 else f"{', '.join(names[:5])} and {len(names) - 5} more"


def _differing(study: Study, section: str) -> dict[str, Any]:
    """What a section says other than the defaults, as plain lists and numbers; TOML has no None."""
    plain, default = (json.loads(json.dumps(asdict(getattr(s, section)))) for s in (study, Study(folder=Path())))
    return {key: value for key, value in plain.items() if value != default[key] and value is not None}


def _said_of(column: ExtraColumn) -> dict[str, Any]:
    """What a study says of a column of its own."""
    plain = json.loads(json.dumps(asdict(column)))
    return {key: value for key, value in plain.items() if value not in ("", [], None)}
