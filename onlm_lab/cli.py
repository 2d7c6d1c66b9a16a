"""onlm: every step of a study as a verb.

    onlm demo                     a made-up trial, from CT and spreadsheets to the served dashboard
    onlm virtual DIR              write a made-up multicentre trial
    onlm series DIR               every CT series of a folder, its faults, and which one would be chosen
    onlm privacy DIR              list what in DICOM files tells who the patients are
    onlm deidentify DIR OUT       copy DICOM files without it
    onlm init DIR                 write an empty study to be filled
    onlm dictionary               print what every column is
    onlm merge SITE... --out DIR  join hospitals; for each the list of faults to send back
    onlm run STUDY                check, screen, prepare, train, analyse, report: whatever is not yet done
    onlm predict RUN STUDY        a finished run's models on the patients of another study
    onlm recalibrate RUN          a model's risks updated to one hospital's patients, with a report
    onlm volume [STUDY] PATIENT   one whole CT as an array, for the viewer
    onlm dashboards STUDY         serve the pages to collaborators

Exit codes: 0 done, 1 an error of the program, 2 something in the data or the request is wrong (one sentence says what),
130 stopped by hand.
"""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from onlm_lab.arguments import IMAGE_VERBS, STEP_HELP, device_words, parser
from onlm_lab.errors import OnlmError, told

DEBUG = "ONLM_DEBUG"  # shows a whole error, which may hold names of patients


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
    except Exception as error:  # the text of an error, and a traceback, may hold a patient's name
        if os.environ.get(DEBUG):
            raise
        print(
            f"onlm {words.verb}: {told(error)} Please report it; {DEBUG}=1 before the command shows the whole error, "
            "which may hold names of patients: look through it before you send it.",
            file=sys.stderr,
        )
        return 1


def _told(error: OSError) -> str:
    """What the system refused, in a sentence; of a path only the last two names, and no name of a patient."""
    from onlm_lab.imaging.privacy import safe_file_name

    where = "/".join(map(safe_file_name, Path(str(error.filename)).parts[-2:])) if error.filename else "a file"
    return (
        f"'{where}' could not be used: {error.strerror or error}. Check that it may be read and written, and the disk."
    )


def say(line: str) -> None:
    print(line, flush=True)


def _typed(path: Path) -> str:
    """A path as a shell takes it."""
    return shlex.quote(str(path))


def _refuse_folder_to_write(words: argparse.Namespace) -> None:
    """Before anything is done: --out is a file, but for the verbs that write a folder."""
    out = getattr(words, "out", None)
    if out is not None and words.verb not in ("merge", "predict", "recalibrate") and out.is_dir():
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

    done = pipeline.run(
        words.study, say=say, redo=words.redo, cluster=words.cluster, workers=words.workers,
        devices=device_words(words),
    )  # fmt: skip
    say(f"Report: {done.folder / 'report.html'}")
    if words.serve:
        _serve(done.folder, port=words.port, token=words.token)
    else:
        say(f"Dashboard: onlm dashboards {_typed(words.study)}")


def _demo(words: argparse.Namespace) -> None:
    from onlm_lab import pipeline, virtual

    say(f"onlm demo: a made-up trial of {words.patients} patients in '{words.folder}'; about five minutes on two cores")
    virtual.write_trial(
        words.folder, n_patients=words.patients, n_centres=words.centres, seed=words.seed, progress=True
    )
    done = pipeline.run(words.folder, say=say)
    say(f"Report: {done.folder / 'report.html'}")
    if not words.no_serve:
        _serve(done.folder, port=words.port, token=words.token)


def _step(words: argparse.Namespace) -> None:
    from onlm_lab import pipeline, steps

    engine = {name: getattr(words, name, None) for name in ("cluster", "workers")}  # of `onlm prepare` alone
    engine["devices"] = device_words(words)  # of `onlm train` alone
    if words.step or (words.verb == "train" and pipeline.joins_another()):  # another process holds the lock
        pipeline.perform(words.study, name=words.verb, say=say, **engine)
        return
    with steps.locked(pipeline.load_study(words.study).folder):
        pipeline.perform(words.study, name=words.verb, say=say, **engine)


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


def _predict(words: argparse.Namespace) -> None:
    from onlm_lab import predicting

    out = predicting.predict_study(
        words.run, words.study, say=say, out=words.out, cluster=words.cluster, workers=words.workers
    )
    say(f"Predictions: {out / 'predictions.csv'}; what differs from training: {out / 'drift.csv'}")


def _recalibrate(words: argparse.Namespace) -> None:
    from onlm_lab import recalibrating

    recalibrating.recalibrate_files(
        words.source, out=words.out, say=say, model=words.model, centre=words.centre, split=words.split,
        method=words.method, clinical=words.clinical, apply=words.apply,
    )  # fmt: skip


def _figures(words: argparse.Namespace) -> None:
    from onlm_lab import figure_files
    from onlm_lab.runs import open_run

    run = open_run(words.run)
    out = words.out or run.folder / "figures"
    written = figure_files.write_figures(run, out, formats=words.format, say=say)
    say(f"{len(written)} files in '{out}'; what each shows: {figure_files.CAPTIONS}")


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


def _of_images(words: argparse.Namespace) -> int | None:
    from onlm_lab import image_verbs

    return getattr(image_verbs, words.verb)(words, say)


CALLS = {
    "demo": _demo, "virtual": _virtual, **dict.fromkeys(IMAGE_VERBS, _of_images), "init": _init,
    "dictionary": _dictionary, "merge": _merge, "compare": _compare, "run": _run, **dict.fromkeys(STEP_HELP, _step),
    "study": _study, "what-if": _what_if, "summary": _summary, "analyse": _analyse, "open-test": _open_test,
    "predict": _predict, "recalibrate": _recalibrate, "figures": _figures, "dashboards": _dashboards,
    "radiogenomics": _radiogenomics, "tcga": _tcga,
}  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
