"""What is wrong between hospitals although each is right alone: ids, scans, centres, protocols, one person twice."""

from __future__ import annotations

import difflib
import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import pandas as pd

from onlm_lab.cohort.duplicates import find_duplicates
from onlm_lab.cohort.sites import Site, row_numbers
from onlm_lab.errors import Fault

AGREEING = ("protocol", "label")  # sections of study.toml that must be the same everywhere
NEAR = 0.85  # two spellings of a centre as alike as this are shown
PAIR_COLUMNS = ("what", "site_a", "site_b", "value_a", "value_b", "detail", "what_to_do")


def faults_between(sites: Sequence[Site], *, prefixes: Mapping[str, str]) -> dict[str, list[Fault]]:
    """Faults by site. Where study.toml or an own column differs, the first site that says it decides.

    Args:
        sites: in the order in which they were named.
        prefixes: what will stand before the ids of each.

    Returns:
        For each site its faults. Ids and scans in two sites, and one centre spelled in two ways, are faults of every
        site concerned.
    """
    read = [site for site in sites if site.cohort is not None]
    seen = [site for site in sites if site.seen is not None]
    found: dict[str, list[Fault]] = {site.name: [] for site in sites}
    ids = _ids(seen, prefixes=prefixes)
    for faults in (_studies(sites), _own_columns(sites), ids, _scans(read), _centres(seen), _labels(read)):
        for name, fault in faults:
            found[name].append(fault)
    return found


def _studies(sites: Sequence[Site]) -> list[tuple[str, Fault]]:
    """Sections that must agree and do not, key by key."""
    said = [site for site in sites if site.has_study and site.study is not None]
    found = []
    for site in said[1:]:
        for section in AGREEING:
            ours, first = (_plain(getattr(s.study, section)) for s in (site, said[0]))
            for key in ours:
                if ours[key] != first[key]:
                    text = (
                        f"study.toml: [{section}] {key} is {_short(ours[key])}; '{said[0].name}', named first, has "
                        f"{_short(first[key])}. All sites of a study need the same: agree on one."
                    )
                    found.append((site.name, Fault(text, file="study.toml", wanted=_short(first[key]))))
    return found


def _plain(section: Any) -> dict[str, Any]:
    return json.loads(json.dumps(asdict(section)))


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 120 else f"{text[:117]}..."


def _own_columns(sites: Sequence[Site]) -> list[tuple[str, Fault]]:
    """Own columns that two sites declare differently; the description may differ."""
    first: dict[str, tuple[str, dict[str, Any]]] = {}
    found = []
    for site in sites:
        for name, declared in (site.study.columns if site.study else {}).items():
            ours = _plain(declared)
            ours.pop("description")
            owner, theirs = first.setdefault(name, (site.name, ours))
            differs = [
                f"{key} {_short(ours[key])} (there: {_short(theirs[key])})" for key in ours if ours[key] != theirs[key]
            ]
            if differs:
                text = (
                    f"study.toml: [columns.{name}] is declared otherwise than at '{owner}': {', '.join(differs)}. "
                    "Declare it the same way, or give it another name."
                )
                found.append((site.name, Fault(text, file="study.toml")))
    return found


def _ids(sites: Sequence[Site], *, prefixes: Mapping[str, str]) -> list[tuple[str, Fault]]:
    """Patients whose id another site uses too."""
    return _shared(
        sites, values={s.name: prefixes[s.name] + s.seen["patient_id"] for s in sites},
        patients={s.name: s.seen["patient_id"] for s in sites}, column="patient_id", file="clinical",
        said="patient_id is used at {others} too",
        todo="If these are different persons, merge with --prefix-ids; if it is one person, keep the row of one site.",
    )  # fmt: skip


def _scans(sites: Sequence[Site]) -> list[tuple[str, Fault]]:
    """CT series that another site names too."""
    scanned = [site for site in sites if "series_uid" in site.tables.get("annotations", ())]
    return _shared(
        scanned, values={s.name: s.tables["annotations"]["series_uid"] for s in scanned},
        patients={s.name: s.tables["annotations"]["patient_id"] for s in scanned}, column="series_uid",
        file="annotations", said="the CT series is named at {others} too",
        todo="A scan belongs to one patient of one site: correct series_uid.",
    )  # fmt: skip


def _shared(
    sites: Sequence[Site], *, values: Mapping[str, pd.Series], patients: Mapping[str, pd.Series], column: str,
    file: str, said: str, todo: str,
) -> list[tuple[str, Fault]]:  # fmt: skip
    """A fault for each site that shares values of a column with others."""
    if not values:
        return []
    whole = pd.concat({name: column.dropna().drop_duplicates() for name, column in values.items()})
    shared = set(whole[whole.duplicated(keep=False)])
    found = []
    for site in sites:
        own = values[site.name]
        hits = [i for i, value in enumerate(own) if value in shared] if shared else []
        if not hits:
            continue
        mine = {own.iloc[i] for i in hits}
        others = [f"'{n}'" for n, column in values.items() if n != site.name and mine & set(column)]
        name = getattr(site.study.data, file)
        ids = patients[site.name]
        first = ", ".join(ids.iloc[hits[:5]]) + (f" and {len(hits) - 5} more" if len(hits) > 5 else "")
        text = f"{name}: {said.format(others=' and '.join(others))} in {len(hits)} of {len(own)} rows ({first}). {todo}"
        rows = tuple(int(n) for n in row_numbers(site.study, file)[hits])
        found.append((site.name, Fault(text, file=name, column=column, rows=rows, patients=tuple(ids.iloc[hits]))))
    return found


def spelling(centre: str) -> str:
    """What two spellings of one centre have in common: no case, no blanks, no punctuation, one width of letters."""
    return re.sub(r"[\W_]+", "", unicodedata.normalize("NFKC", centre).casefold())


def _centres(sites: Sequence[Site]) -> list[tuple[str, Fault]]:
    """Centres that differ in case, blanks or punctuation only; each would count as two."""
    names: dict[str, dict[str, list[str]]] = {}
    for site in sites:
        for centre in site.seen["centre"].dropna().unique():
            names.setdefault(spelling(centre), {}).setdefault(centre, []).append(site.name)
    found = []
    for spelled in names.values():
        if len(spelled) < 2:
            continue
        for site in sites:
            column = site.seen["centre"]
            for centre in (c for c, owners in spelled.items() if site.name in owners):
                others = [f"'{c}' (site {', '.join(o)})" for c, o in spelled.items() if c != centre]
                hits = (column == centre).to_numpy().nonzero()[0]
                rows = tuple(int(n) for n in row_numbers(site.study, "clinical")[hits])
                ids = site.seen["patient_id"].fillna("").iloc[hits]
                text = (
                    f"{site.study.data.clinical}: centre '{centre}' is also written {' and '.join(others)}, which "
                    f"would count as another hospital, in {len(hits)} of {len(column)} rows. Agree on one spelling; "
                    "[mapping.values.centre] in study.toml can change it."
                )
                fault = Fault(
                    text, file=site.study.data.clinical, column="centre", rows=rows,
                    patients=tuple(ids), values=(centre,) * len(hits),
                )  # fmt: skip
                found.append((site.name, fault))
    return found


def _labels(sites: Sequence[Site]) -> list[tuple[str, Fault]]:
    """A ready-made label cannot stand beside pathology: the one is given, the other derived."""
    derived = [site.name for site in sites if "pathological_n" in site.tables["clinical"]]
    found = []
    for site in sites:
        if derived and "onlm" in site.tables["clinical"] and site.name not in derived:
            text = (
                f"{site.study.data.clinical}: the label onlm comes ready-made without pathological_n; '{derived[0]}' "
                "has pathological_n, from which the label is derived. Send pathological_n."
            )
            found.append((site.name, Fault(text, file=site.study.data.clinical, column="onlm")))
    return found


def pairs_between(
    sites: Sequence[Site], *, prefixes: Mapping[str, str], distinct: Sequence[tuple[str, str]] = ()
) -> pd.DataFrame:
    """What somebody should look at, and what is no fault by itself: persons that look like one, centres alike.

    Args:
        sites: those that are joined.
        prefixes: what stands before the ids of each site.
        distinct: pairs of ids that somebody has checked to be two persons.

    Returns:
        what, site_a, site_b, value_a, value_b, detail, what_to_do.
    """
    rows = _alike_centres(sites)
    if len(sites) > 1:
        parts = [site.cohort.patients.assign(patient_id=lambda t, p=prefixes[site.name]: p + t["patient_id"])
                 for site in sites]  # fmt: skip
        owner = {i: site.name for site, part in zip(sites, parts, strict=True) for i in part["patient_id"]}
        shared = [c for c in parts[0] if all(c in part for part in parts)]
        whole = pd.concat([part[shared] for part in parts], ignore_index=True)
        for pair in find_duplicates(whole, distinct=distinct).itertuples():
            a, b = owner[pair.patient_a], owner[pair.patient_b]
            if a != b:
                differs = f"; differs in {pair.differs}" if pair.differs else ""
                todo = "Ask both sites. One person: keep one row. Two: [split] distinct_patients of the merged study."
                rows.append((f"one person? {pair.kind}", a, b, pair.patient_a, pair.patient_b,
                             f"{pair.bits:g} bits more alike than by chance{differs}", todo))  # fmt: skip
    return pd.DataFrame(rows, columns=list(PAIR_COLUMNS))


def _alike_centres(sites: Sequence[Site]) -> list[tuple[str, ...]]:
    """Centres whose names differ little, and not in a number."""
    owners: dict[str, list[str]] = {}
    for site in sites:
        for centre in sorted(site.tables["clinical"]["centre"].unique()):
            owners.setdefault(centre, []).append(site.name)
    names, rows = list(owners), []
    for i, a in enumerate(names):
        for b in names[i + 1 :]:
            numbers = (re.findall(r"\d+", x) for x in (a, b))
            ratio = difflib.SequenceMatcher(None, spelling(a), spelling(b)).ratio()
            if ratio >= NEAR and len({tuple(n) for n in numbers}) == 1 and spelling(a) != spelling(b):
                rows.append(("one centre?", owners[a][0], owners[b][0], a, b, f"names alike to {ratio:.0%}",
                             "Ask. One hospital: agree on one spelling."))  # fmt: skip
    return rows
