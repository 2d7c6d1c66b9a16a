"""Several hospitals as one study, and for each hospital the list of faults to send back.

merged = merge_sites(["beijing", "shanghai", "lyon.xlsx"], out="all")
merged.complete, merged.sites           # a row a site: n_patients, n_faults, merged, sha256, notes
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from onlm_lab import schema
from onlm_lab.cohort.between_sites import PAIR_COLUMNS, faults_between, pairs_between
from onlm_lab.cohort.fault_lists import fault_list_csv, fault_list_html, fault_rows
from onlm_lab.cohort.merged_study import (
    kept_sections,
    other_sections,
    own_columns,
    replaced_sections,
    sections_of_sites,
    study_text,
)
from onlm_lab.cohort.placing import edited_files, place_files, placed_facts, placed_files
from onlm_lab.cohort.sites import Site, name_sites, read_site
from onlm_lab.errors import StudyError
from onlm_lab.showing import shows_itself
from onlm_lab.steps import locked
from onlm_lab.study import Study, load_study

TABLES = ("clinical", "followup", "annotations")
DEEPEST = 3  # folders between the CT folder of a site and the one that all have in common


@shows_itself
@dataclass(frozen=True, eq=False)
class Merged:
    """What came of joining sites.

    Attributes:
        folder: the merged study, with faults/ beside it.
        sites: a row a site: site, merged (yes/no), n_patients, n_followup, n_annotations, n_faults, n_cells, sha256,
            notes.
        between: what somebody should look at between sites: persons that look like one, centres alike.
        complete: every site was joined.
        notes: what else there is to say.
    """

    folder: Path
    sites: pd.DataFrame
    between: pd.DataFrame
    notes: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether every site was joined."""
        return bool((self.sites["merged"] == "yes").all())


def merge_sites(paths: Sequence[str | Path], *, out: str | Path, prefix_ids: bool = False) -> Merged:
    """Join sites without a fault into one study, and write for each site the list of its faults.

    A site with a fault is left out whole. Rows are in the order of patient_id, columns in the order of the dictionary,
    so that the same sites give the same bytes in whatever order they are named.

    Args:
        paths: studies' folders, each with its own [mapping], or spreadsheets whose columns bear our names. Where
            [protocol], [label] or an own column differ, the first that says it decides.
        out: a new folder, or that of an earlier merge, whose files are replaced; files changed since are never.
        prefix_ids: patient ids become "<site>-<id>" in all tables.

    Returns:
        What was done. `out` then holds clinical.csv, followup.csv, annotations.csv, study.toml (named INCOMPLETE where
        a site is missing; without tables where all are), sites.csv, faults/<site>.csv and .html, and
        faults/between_sites.csv.

    Raises:
        StudyError: a site does not exist, or `out` holds what is not this command's.
    """
    named, out = name_sites(paths), Path(out)
    _refuse_inside(out, named=named)
    with locked(out):
        return _merge(named, out=out, prefix_ids=prefix_ids)


def _merge(named: Mapping[str, Path], *, out: Path, prefix_ids: bool) -> Merged:
    earlier = _earlier_study(out)
    sites = [read_site(path, name=name) for name, path in named.items()]
    prefixes = {site.name: f"{site.name}-" if prefix_ids else "" for site in sites}
    between = faults_between(sites, prefixes=prefixes)
    sites = [site.with_faults(between[site.name]) for site in sites]
    clean = [site for site in sites if site.clean]
    images, notes = _images(clean, out=out)
    fresh, said = sections_of_sites(clean, prefixes=prefixes, with_images=bool(images))
    kept = kept_sections(earlier, written=placed_facts(out).get("sections", {}), fresh=fresh)
    pairs = pairs_between(clean, prefixes=prefixes, distinct=kept["split"].get("distinct_patients", ()))
    if prefix_ids:
        clean = [_prefixed(site) for site in clean]
    texts = _merged_tables(clean, out=out)
    notes = [*notes, *said]
    if "study.toml" in edited_files(out):
        notes += replaced_sections(out, written=placed_facts(out).get("others", {}))
    study = study_text(clean, sites=sites, tables=list(texts), images=images, kept=kept, notes=notes)
    texts["study.toml"] = study
    table = _sites_table(sites, clean=clean, pairs=pairs)
    texts |= _fault_texts(sites, pairs=pairs)
    texts["sites.csv"] = table.to_csv(index=False, lineterminator="\n")
    contents = {name: text.encode() for name, text in texts.items()}
    place_files(out, contents, replaceable=("study.toml",), facts={"sections": fresh, "others": other_sections(study)})
    return Merged(out, table, pairs, tuple(notes))


def _refuse_inside(out: Path, *, named: Mapping[str, Path]) -> None:
    """The merged study is a folder of its own."""
    whole = out.resolve()
    if whole.exists() and not whole.is_dir():
        raise StudyError(f"'{out.resolve().name}' is a file; wanted a folder for the merged study. Name another.")
    for name, path in named.items():
        site = path.resolve()
        if whole == site or site in whole.parents:
            raise StudyError(
                f"'{out.resolve().name}' lies in the site '{name}'; wanted a folder outside of it. Name another."
            )


def _earlier_study(out: Path) -> Study | None:
    """The study of an earlier merge in this folder.

    Raises:
        StudyError: a study that no merge wrote, or files of a merge that somebody changed.
    """
    owned = placed_files(out)
    edited = [name for name in edited_files(out) if name != "study.toml"]
    if edited:
        raise StudyError(
            f"'{out.resolve().name}': {', '.join(edited)} changed since the last merge; nothing was overwritten. "
            "Corrections belong into the tables of the sites. Move the changed files away, or name another "
            "folder, and merge again."
        )
    if (out / "study.toml").exists() and "study.toml" not in owned:
        raise StudyError(
            f"'{out.resolve().name}' holds a study that no merge wrote; nothing was overwritten. Name a new folder."
        )
    return load_study(out) if "study.toml" in owned and (out / "study.toml").is_file() else None


def _prefixed(site: Site) -> Site:
    """The site with its name before every id."""
    tables = {name: t.assign(patient_id=f"{site.name}-" + t["patient_id"]) for name, t in site.tables.items()}
    return replace(site, tables=tables)


def _images(sites: Sequence[Site], *, out: Path) -> tuple[str, list[str]]:
    """The folder that holds the CT of all sites, relative to the merged study; "" where there is none."""
    with_ct = [site for site in sites if site.study.data.ct and "annotations" in site.tables]
    if not with_ct:
        return "", []
    folders = [site.study.path(site.study.data.ct).resolve() for site in with_ct]
    try:
        common = Path(os.path.commonpath(folders))
        relative = Path(os.path.relpath(common, out.resolve())).as_posix()
        near = all(len(folder.relative_to(common).parts) <= DEEPEST for folder in folders)
    except ValueError:  # other drives
        near, common, relative = False, Path(), ""
    if not near:
        return "", [
            "The CT folders of the sites lie too far apart to be one [data] ct: the merged study is without images. "
            "Put the sites into one folder and merge again."
        ]
    if common in out.resolve().parents:
        return relative, [
            "The folder that holds the CT of all sites also holds the merged study: every `onlm run` will look through "
            "the CT again. Merge into a folder elsewhere to save that time."
        ]
    return relative, []


def _merged_tables(clean: Sequence[Site], *, out: Path) -> dict[str, str]:
    """The tables of the sites that are joined, by file."""
    extra = schema.declared(own_columns(clean))
    texts = {}
    for table in TABLES:
        parts = [_moved(site, table=table, out=out) for site in clean if table in site.tables]
        if parts:
            joined = _joined(parts, table=table, extra_columns=extra if table == "clinical" else ())
            texts[f"{table}.csv"] = schema.table_text(joined, extra_columns=extra)
    return texts


def _moved(site: Site, *, table: str, out: Path) -> pd.DataFrame:
    """A site's table, its paths relative to the merged study."""
    frame = site.tables[table].copy()
    for name in ("series_path", "mask_path"):
        if table == "annotations" and name in frame:
            frame[name] = [_path_from(site.study.folder, path, out=out) for path in frame[name]]
    return frame


def _path_from(folder: Path, path: str | None, *, out: Path) -> str | None:
    if path is None or pd.isna(path):
        return None
    whole = (folder / path).resolve()
    try:
        return Path(os.path.relpath(whole, out.resolve())).as_posix()
    except ValueError:  # another drive
        return whole.as_posix()


def _joined(parts: Sequence[pd.DataFrame], *, table: str, extra_columns: Sequence[schema.Column]) -> pd.DataFrame:
    """The rows of all parts under the union of their columns; what a part does not have is empty."""
    present = {name for part in parts for name in part}
    order = [name for name in schema.columns(table, extra_columns=extra_columns) if name in present]
    joined = pd.concat([part.reindex(columns=order).astype(object) for part in parts], ignore_index=True)
    return joined.sort_values("patient_id", kind="stable", ignore_index=True)


def _sites_table(sites: Sequence[Site], *, clean: Sequence[Site], pairs: pd.DataFrame) -> pd.DataFrame:
    """A row a site."""
    joined = {site.name for site in clean}
    union = {t: {c for site in clean for c in site.tables.get(t, ())} for t in TABLES}
    rows = []
    for site in sites:
        n_rows = {t: str(len(site.tables[t])) if t in site.tables else "" for t in TABLES}
        notes = [note.rstrip(".") for note in site.notes]
        if site.name in joined:
            for table in TABLES:
                absent = [c for c in schema.columns(table) if c in union[table] - set(site.tables.get(table, ()))]
                absent += sorted(union[table] - set(site.tables.get(table, ())) - set(absent))
                if absent and table in site.tables:
                    columns = "column" if len(absent) == 1 else "columns"
                    notes.append(f"{table}: {len(absent)} {columns} not sent, left empty ({', '.join(absent)})")
                elif union[table] and table not in site.tables:
                    notes.append(f"no {table} table")
            n_pairs = int(((pairs["site_a"] == site.name) | (pairs["site_b"] == site.name)).sum())
            if n_pairs:
                notes.append(f"{n_pairs} {'pair' if n_pairs == 1 else 'pairs'} to look at: faults/between_sites.csv")
        else:
            n = len(site.faults)
            notes.insert(0, f"left out: {n} {'fault' if n == 1 else 'faults'}, see faults/{site.name}.csv")
        rows.append({
            "site": site.name, "merged": "yes" if site.name in joined else "no", "n_patients": n_rows["clinical"],
            "n_followup": n_rows["followup"], "n_annotations": n_rows["annotations"], "n_faults": len(site.faults),
            "n_cells": sum("row" in line for line in fault_rows(site.faults)), "sha256": site.sha256,
            "notes": "; ".join(notes),
        })  # fmt: skip
    return pd.DataFrame(rows)


def _fault_texts(sites: Sequence[Site], *, pairs: pd.DataFrame) -> dict[str, str]:
    """The lists of faults, by file."""
    texts = {}
    for site in sites:
        mark = "MADE-UP DATA" if site.study is not None and site.study.made_up else ""
        texts[f"faults/{site.name}.csv"] = fault_list_csv(site.faults, study=site.study)
        texts[f"faults/{site.name}.html"] = fault_list_html(
            site.faults, site=site.name, study=site.study, notes=site.notes, note=mark
        )
    texts["faults/between_sites.csv"] = "\ufeff" + pairs.to_csv(
        index=False, lineterminator="\r\n", columns=list(PAIR_COLUMNS)
    )
    return texts
