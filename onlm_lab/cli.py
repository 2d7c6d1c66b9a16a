"""onlm: every step of a study as a verb.

    onlm demo                     a made-up trial, from CT and spreadsheets to the served dashboard
    onlm virtual DIR              write a made-up multicentre trial
    onlm privacy DIR              list what in DICOM files tells who the patients are
    onlm deidentify DIR OUT       copy DICOM files without it
    onlm init DIR                 write an empty study to be filled
    onlm dictionary               print what every column is
    onlm merge SITE... --out DIR  join hospitals; for each the list of faults to send back
    onlm run STUDY                check, screen, prepare, train, analyse, report: whatever is not yet done
    onlm dashboards STUDY         serve the pages to collaborators

Exit codes: 0 done, 2 something in the data or the request is wrong (one sentence says what), 130 stopped by hand.
"""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from onlm_lab.arguments import STEP_HELP, parser
from onlm_lab.errors import OnlmError


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb; returns the exit code."""
    words = parser().parse_args(argv)
    child = getattr(words, "step", False)  # of `onlm run`, which ends it by SIGTERM and says so itself
    try:
        if child:
            signal.signal(signal.SIGTERM, signal.default_int_handler)
        _refuse_folder_to_write(words)
        return CALLS[words.verb](words) or 0
    except OnlmError as error:
        code = getattr(error, "code", None)  # of a process that has said itself what was wrong
        if code is None or not child:
            print(f"onlm {words.verb}: {error}", file=sys.stderr)
        return 2 if code is None else code if child or code == 130 else 2
    except KeyboardInterrupt:
        if not child:
            print(f"onlm {words.verb}: stopped. Start the same command again: it goes on.", file=sys.stderr)
        return 130
    except BrokenPipeError:  # `onlm dictionary | head`: whoever read has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:  # a full disk, a folder that may not be written
        print(f"onlm {words.verb}: {_told(error)}", file=sys.stderr)
        return 2


def _told(error: OSError) -> str:
    """What the system refused, in a sentence; of a path only the last two names."""
    where = "/".join(Path(str(error.filename)).parts[-2:]) if error.filename else "a file"
    return (
        f"'{where}' could not be used: {error.strerror or error}. Check that it may be read and written, and the disk."
    )


def say(line: str) -> None:
    print(line, flush=True)


def _typed(path: Path) -> str:
    """A path as a shell takes it."""
    return shlex.quote(str(path))


def _refuse_folder_to_write(words: argparse.Namespace) -> None:
    """Before anything is done: --out is a file, but for `onlm merge`."""
    out = getattr(words, "out", None)
    if out is not None and words.verb != "merge" and out.is_dir():
        raise OnlmError(f"'{out.name or out}' is a folder; wanted the name of a file to write (--out).")


def _virtual(words: argparse.Namespace) -> None:
    from onlm_lab import virtual

    folder = virtual.write_trial(
        words.folder, n_patients=words.patients, n_centres=words.centres, seed=words.seed,
        tables_only=words.tables_only, progress=True,
    )  # fmt: skip
    say(f"Made-up trial of {words.patients} patients in '{folder}'. Go on with: onlm run {_typed(folder)}")


def _run(words: argparse.Namespace) -> None:
    from onlm_lab import pipeline

    done = pipeline.run(words.study, say=say, redo=words.redo)
    say(f"Report: {done.folder / 'report.html'}")
    if words.serve:
        _serve(done.folder, port=words.port, token=words.token)
    else:
        say(f"Dashboard: onlm dashboards {_typed(words.study)}")


def _demo(words: argparse.Namespace) -> None:
    from onlm_lab import pipeline, virtual

    say(
        f"onlm demo: a made-up trial of {words.patients} patients in '{words.folder}'; about three minutes on two cores"
    )
    virtual.write_trial(
        words.folder, n_patients=words.patients, n_centres=words.centres, seed=words.seed, progress=True
    )
    done = pipeline.run(words.folder, say=say)
    say(f"Report: {done.folder / 'report.html'}")
    if not words.no_serve:
        _serve(done.folder, port=words.port, token=words.token)


def _step(words: argparse.Namespace) -> None:
    from onlm_lab import pipeline, steps

    if words.step:  # a child of `onlm run`, which holds the lock
        pipeline.perform(words.study, name=words.verb, say=say)
        return
    with steps.locked(pipeline.load_study(words.study).folder):
        pipeline.perform(words.study, name=words.verb, say=say)


_WHAT_IF = ("n_eligible", "n_more", "n_excluded", "n_undetermined")  # the rest goes to --out


def _what_if(words: argparse.Namespace) -> None:
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


def _summary(words: argparse.Namespace) -> None:
    from onlm_lab import summarising
    from onlm_lab.cohort.export import writable

    if words.out:
        writable(words.out)
    found = summarising.summarise(
        words.study, by=words.by, columns=words.columns, mean=words.mean, tests=words.tests, everyone=words.all,
        c_statistic=words.c_statistic, r2_nagelkerke=words.r2_nagelkerke, r2_cox_snell=words.r2_cox_snell,
    )  # fmt: skip
    say(f"Summary: {found.write(words.out)}" if words.out else found.text())


def _compare(words: argparse.Namespace) -> None:
    from onlm_lab import comparing
    from onlm_lab.cohort.export import writable

    if words.out:
        writable(words.out)
    found = comparing.compare_versions(words.old, words.new)
    say(f"{found.sentence}\nChanges: {found.write(words.out)}" if words.out else found.text())


def _analyse(words: argparse.Namespace) -> None:
    if words.study.suffix != ".csv":
        if words.out or words.clinical or words.followup:
            raise OnlmError("--clinical, --followup and --out go with a predictions.csv; a study knows its own files.")
        _step(words)
        return
    from onlm_lab import elsewhere

    out = words.out or Path("results.json")
    elsewhere.analyse_predictions(words.study, clinical=words.clinical, followup=words.followup, out=out)
    say(f"Results: {out}")


def _open_test(words: argparse.Namespace) -> None:
    from onlm_lab import pipeline, steps

    with steps.locked(pipeline.load_study(words.study).folder):
        pipeline.open_test(words.study, purpose=words.purpose, by=words.by, say=say)


def _dashboards(words: argparse.Namespace) -> None:
    from onlm_lab.runs import open_run

    _serve(open_run(words.study).folder, port=words.port, token=words.token)


def _serve(folder: Path, *, port: int, token: str | None) -> None:
    from onlm_lab import serving

    for name in ("SIGTERM", "SIGHUP"):  # a closed terminal or a service manager ends the server too
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.default_int_handler)
    serving.serve(folder, port=port, token=token, say=say)


def _study(words: argparse.Namespace) -> None:
    import json

    from onlm_lab.study import load_study

    say(json.dumps(load_study(words.study).to_dict(), indent=1, ensure_ascii=False))


def _dictionary(words: argparse.Namespace) -> None:
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


def _init(words: argparse.Namespace) -> None:
    from onlm_lab import starting

    folder = starting.init_study(words.folder, name=words.name, centre=words.centre, images=words.images)
    say(f"Empty study in '{folder}'. Read {folder / 'README.md'}, fill the tables, then: onlm check {_typed(folder)}")


def _merge(words: argparse.Namespace) -> int:
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
        say(f"{sites} in '{words.out}'. Go on with: onlm check {_typed(words.out)}")
        return 0
    say(
        f"INCOMPLETE: {n_left} of {len(merged.sites)} sites left out. Send back {words.out / 'faults'}/<site>.csv or "
        ".html, and merge again."
    )
    return 0 if words.keep_going else 2


_IN_LIST = ["keyword", "tag", "n_files", "name", "kind"]  # the rest goes to --out


def _privacy(words: argparse.Namespace) -> None:
    from onlm_lab import imaging, schema

    found = imaging.identifying_elements(words.folder, workers=words.workers, progress=True)
    n = found.attrs
    present = found[found["n_files"] > 0]
    if present.empty:
        say(f"Nothing of the basic profile is filled in {_counted(n['n_files'], 'file')}.")
    else:
        say(f"Filled, or at risk, in {_counted(n['n_files'], 'file')}; values are not shown:")
        say(present[_IN_LIST].to_string(index=False))
    if n["n_own_copies"]:
        n_replaced = int((found["n_replaced"] > 0).sum())
        say(
            f"Made by `onlm deidentify`: {_counted(n['n_own_copies'], 'file')}; {n_replaced} elements hold what it put "
            "there (moved dates, new UIDs, study ids) and are not listed."
        )
    others = n["n_identity_removed"] - n["n_own_copies"]
    if others:
        say(f"Of these say that the identity was removed: {others:,}. What is listed is there all the same.")
    for what, said in (
        ("n_not_dicom", "Not DICOM, not looked at"), ("n_broken", "Broken, not looked into"),
        ("n_closed_folders", "Folders that may not be entered"), ("n_directories", "DICOMDIR, a list of patients"),
    ):  # fmt: skip
        if n[what]:
            say(f"{said}: {n[what]:,}.")
    say("Not looked for: letters in the pixels themselves, faces in CT of the head.")
    if words.out:
        schema.write_table(found, words.out)
        say(f"List: {words.out}")


def _deidentify(words: argparse.Namespace) -> int:
    from onlm_lab import imaging, schema

    if words.left_out:
        imaging.refuse_inside(words.left_out, outside=(words.copy,), what="The list of files", option="--left-out")
    made = imaging.deidentify(
        words.folder, words.copy, secret=words.secret, ids=words.ids, link=words.link,
        annotations=words.annotations, keep_burned_in=words.keep_burned_in, workers=words.workers, progress=True,
    )  # fmt: skip
    if made.new_secret:
        say(f"A new secret is in {words.secret}. Keep it in the hospital, for the next delivery.")
    there = f", {made.n_copied - made.n_written:,} of them before" if made.n_written < made.n_copied else ""
    what = f"{_counted(made.n_patients, 'patient')}, {made.n_series:,} series"
    say(f"{made.n_copied:,} of {_counted(made.n_files, 'file')} copied{there}: {what}.")
    for why, n in made.left_out["why"].value_counts().items():
        say(f"Left out, {n:,}: {why}.")
    if made.n_patients_left_out:
        say(f"Left out altogether: {_counted(made.n_patients_left_out, 'patient')}.")
    if made.n_closed_folders:
        say(f"Not seen: {_counted(made.n_closed_folders, 'folder')} that may not be entered.")
    for row in made.done.itertuples():
        say(f"Done, {row.n:,}: {row.sentence}.")
    for note in made.notes:
        say(note)
    if len(made.region_names):
        shown = ", ".join(made.region_names["name"].head(40)) + (" ..." if len(made.region_names) > 40 else "")
        say(f"Look at the names of regions in the copy: {shown}")
    if words.left_out:
        schema.write_table(made.left_out, words.left_out)
    if not made.n_copied:
        say("Nothing was copied.")
        return 2
    for row in made.may_show_letters.itertuples():
        say(f"Look at {_counted(row.n_files, 'picture')} in the copy: {row.name}.")
    if not made.sound:
        said = made.findings[_IN_LIST].to_string(index=False)
        say(f"STILL THERE in the copy, do not give it away:\n{said}")
        return 2
    say(f"Checked: nothing of the basic profile is left in '{words.copy}' but moved dates, new UIDs and study ids.")
    return 0


def _counted(n: int, what: str) -> str:
    return f"{n:,} {what}{'' if n == 1 else 's'}"


def _radiogenomics(words: argparse.Namespace) -> None:
    from onlm_lab.cohort import nsclc_radiogenomics

    folder = nsclc_radiogenomics.write_study(words.table, words.folder)
    if words.ct is not None:
        from onlm_lab import linking

        found = linking.link_images(folder, ct=words.ct)
        n = int(found["linked"].sum())
        say(f"{n} of {len(found)} patients have a CT with its segmentation; why the others have none: images.csv")
    say(f"Study in '{folder}'; what could not be mapped: unmapped.csv. Go on with: onlm run {_typed(folder)}")


def _tcga(words: argparse.Namespace) -> None:
    from onlm_lab.cohort import tcga

    paths = [*words.paths, *words.cdr[1:]]
    if len(paths) < 2:
        raise OnlmError("wanted at least one biotab file, and the folder to write: onlm tcga BIOTAB --cdr FILE DIR.")
    *biotab, folder = paths
    tcga.write_study(biotab, folder, cdr=words.cdr[0] if words.cdr else None, edition=words.edition)
    say(f"Study in '{folder}'; what could not be mapped: unmapped.csv. Go on with: onlm run {_typed(folder)}")


CALLS = {
    "demo": _demo, "virtual": _virtual, "privacy": _privacy, "deidentify": _deidentify, "init": _init,
    "dictionary": _dictionary, "merge": _merge, "compare": _compare, "run": _run, **dict.fromkeys(STEP_HELP, _step),
    "study": _study, "what-if": _what_if, "summary": _summary, "analyse": _analyse, "open-test": _open_test,
    "dashboards": _dashboards, "radiogenomics": _radiogenomics, "tcga": _tcga,
}  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
