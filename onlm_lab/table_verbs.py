"""What the verbs of `onlm` that are about tables do, and what they say."""

from __future__ import annotations

import argparse
import json
import shlex
from collections.abc import Callable

from onlm_lab.errors import OnlmError

Say = Callable[[str], None]
_WHAT_IF = ("n_eligible", "n_more", "n_excluded", "n_undetermined")  # the rest goes to --out


def what_if(words: argparse.Namespace, say: Say) -> None:
    """`onlm what-if STUDY`: how many patients another limit of the protocol would let in."""
    from onlm_lab import cohort as cohorts
    from onlm_lab import schema
    from onlm_lab.study import load_study

    study = load_study(words.study)
    found = cohorts.what_if(
        cohorts.load_cohort(study), study.protocol, limit=words.limit, values=words.values,
        by="centre" if words.by_centre else None,
    )  # fmt: skip
    say(f"{found.n_now:,} of {found.n:,} patients are eligible with {found.limit} at {found.current:g}.")
    shown = [name for name in found.table if not name.startswith("n_") or name in _WHAT_IF]
    say(found.table[shown].rename(columns=lambda name: name.removeprefix("n_")).to_string(index=False))
    for line in found.notes:
        say(line)
    if words.out:
        people = words.out.with_name(f"{words.out.stem}_patients.csv")
        schema.write_table(found.table, words.out)
        schema.write_table(found.patients, people)
        say(f"Table: {words.out}; who comes in or goes out: {people}")


def summary(words: argparse.Namespace, say: Say) -> None:
    """`onlm summary STUDY`: Table 1 and the sample size."""
    from onlm_lab import summarising
    from onlm_lab.cohort.export import writable

    if words.out:
        writable(words.out)
    found = summarising.summarise(
        words.study, by=words.by, columns=words.columns, mean=words.mean, tests=words.tests, everyone=words.all,
        c_statistic=words.c_statistic, r2_nagelkerke=words.r2_nagelkerke, r2_cox_snell=words.r2_cox_snell,
    )  # fmt: skip
    say(f"Summary: {found.write(words.out)}" if words.out else found.text())


def compare(words: argparse.Namespace, say: Say) -> None:
    """`onlm compare OLD NEW`: what differs between two versions of a study."""
    from onlm_lab import comparing
    from onlm_lab.cohort.export import writable

    if words.out:
        writable(words.out)
    found = comparing.compare_versions(words.old, words.new)
    say(f"{found.sentence}\nChanges: {found.write(words.out)}" if words.out else found.text())


def study(words: argparse.Namespace, say: Say) -> None:
    """`onlm study STUDY`: study.toml as it is understood."""
    from onlm_lab.study import load_study

    say(json.dumps(load_study(words.study).to_dict(), indent=1, ensure_ascii=False))


def dictionary(words: argparse.Namespace, say: Say) -> None:
    """`onlm dictionary`: what every column is, as text, CSV, HTML or for REDCap."""
    from shutil import get_terminal_size

    from onlm_lab import schema
    from onlm_lab.steps import write_text
    from onlm_lab.study import load_study

    study = load_study(words.study) if words.study else None
    entries = schema.dictionary_entries(words.table, study=study)
    suffix = words.out.suffix.lower().removeprefix(".") if words.out else ""
    form = words.format or {"": "text", "txt": "text", "htm": "html"}.get(suffix, suffix)
    if form not in ("text", "csv", "html", "redcap"):
        raise OnlmError(f"'{words.out.name}' ends in '.{suffix}'; wanted .txt, .csv or .html, or a --format.")
    if form == "text":
        width = 100 if words.out else min(get_terminal_size((100, 24)).columns, 120)
        text = schema.dictionary_text(entries, width=width)
    elif form == "html":
        mark = "MADE-UP DATA" if study and study.made_up else ""
        title = f"Data dictionary of {study.name}" if study else "Data dictionary"
        text = schema.dictionary_html(entries, title=title, note=mark)
    elif form == "csv":
        text = schema.dictionary_csv(entries)
    else:  # nobody enters what study.toml says for every row
        constants = study.mapping.constants if study else {}
        entries = tuple(e for e in schema.entered_in_redcap(entries) if e.column.name not in constants)
        text = schema.redcap_design(entries)
    if words.out:
        write_text(words.out, text)
        say(f"{len(entries)} columns in {words.out}")
    else:
        say(text.rstrip("\n"))


def init(words: argparse.Namespace, say: Say) -> None:
    """`onlm init DIR`: an empty study to be filled."""
    from onlm_lab import starting

    folder = starting.init_study(words.folder, name=words.name, centre=words.centre, images=words.images)
    then = f"onlm check {shlex.quote(str(folder))}"
    say(f"Empty study in '{folder}'. Read {folder / 'README.md'}, fill the tables, then: {then}")


def merge(words: argparse.Namespace, say: Say) -> int:
    """`onlm merge SITE... --out DIR`: hospitals joined; for each its faults; exit code 2 when one is left out."""
    from onlm_lab.cohort.merging import merge_sites

    merged = merge_sites(words.sites, out=words.out, prefix_ids=words.prefix_ids)
    for site in merged.sites.itertuples():
        n = site.n_faults
        left_out = f"LEFT OUT, {n} {'fault' if n == 1 else 'faults'}"
        joined = f"{site.n_patients} {'patient' if site.n_patients == '1' else 'patients'}"
        what = joined if site.merged == "yes" else left_out
        say(f"{site.site}: {what}{f' ({site.notes})' if site.merged == 'yes' and site.notes else ''}")
    for note in merged.notes:
        say(note)
    n_pairs, n_left = len(merged.between), int((merged.sites["merged"] == "no").sum())
    if n_pairs:
        say(f"To look at between sites: {n_pairs}, in {words.out / 'faults' / 'between_sites.csv'}")
    if merged.complete:
        sites = f"All {len(merged.sites)} sites are" if len(merged.sites) > 1 else "The site is"
        say(f"{sites} in '{words.out}'. Go on with: onlm check {shlex.quote(str(words.out))}")
        return 0
    say(
        f"INCOMPLETE: {n_left} of {len(merged.sites)} sites left out. Send back {words.out / 'faults'}/<site>.csv or "
        ".html, and merge again."
    )
    return 0 if words.keep_going else 2


def radiogenomics(words: argparse.Namespace, say: Say) -> None:
    """`onlm radiogenomics`: the public NSCLC Radiogenomics table as a study."""
    from onlm_lab.cohort import nsclc_radiogenomics

    folder = nsclc_radiogenomics.write_study(words.table, words.folder)
    if words.ct is not None:
        from onlm_lab import linking

        found = linking.link_images(folder, ct=words.ct)
        n = int(found["linked"].sum())
        say(f"{n} of {len(found)} patients have a CT with its segmentation; why the others have none: images.csv")
    say(f"Study in '{folder}'; what could not be mapped: unmapped.csv. Go on with: onlm run {shlex.quote(str(folder))}")


def tcga(words: argparse.Namespace, say: Say) -> None:
    """`onlm tcga`: public biotab files of TCGA as a study."""
    from onlm_lab.cohort import tcga

    paths = [*words.paths, *words.cdr[1:]]
    if len(paths) < 2:
        raise OnlmError("wanted at least one biotab file, and the folder to write: onlm tcga BIOTAB --cdr FILE DIR.")
    *biotab, folder = paths
    tcga.write_study(biotab, folder, cdr=words.cdr[0] if words.cdr else None, edition=words.edition)
    say(f"Study in '{folder}'; what could not be mapped: unmapped.csv. Go on with: onlm run {shlex.quote(str(folder))}")
