"""onlm: every step of a study as a verb.

    onlm demo                     a made-up trial, from CT and spreadsheets to the served dashboard
    onlm virtual DIR              write a made-up multicentre trial
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
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from onlm_lab import __version__
from onlm_lab.errors import OnlmError

STEP_HELP = {
    "check": "read every table against the schema, all faults at once",
    "screen": "eligibility log, flow and label",
    "prepare": "find the CT series, read, judge, cut patches into the cache",
    "train": "train and test the models, write predictions.csv",
    "report": "write the HTML report",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb; returns the exit code."""
    words = parser().parse_args(argv)
    child = getattr(words, "step", False)  # of `onlm run`, which ends it by SIGTERM and says so itself
    try:
        if child:
            signal.signal(signal.SIGTERM, signal.default_int_handler)
        return words.call(words) or 0
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


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="onlm", description="Occult nodal metastasis in clinical stage I lung cancer.")
    top.add_argument("--version", action="version", version=f"onlm_lab {__version__}")
    verbs = top.add_subparsers(dest="verb", required=True, metavar="VERB")

    def verb(name: str, call, help: str) -> argparse.ArgumentParser:
        added = verbs.add_parser(name, help=help, description=help[0].upper() + help[1:] + ".")
        added.set_defaults(call=call)
        return added

    demo = verb("demo", _demo, "make the made-up trial, run it, serve its dashboard")
    demo.add_argument("folder", nargs="?", default="demo", type=Path)
    _trial_options(demo)
    _serving_options(demo)
    demo.add_argument("--no-serve", action="store_true", help="stop after the report")

    virtual = verb("virtual", _virtual, "write a made-up multicentre trial with known truth")
    virtual.add_argument("folder", type=Path)
    _trial_options(virtual)
    virtual.add_argument("--tables-only", action="store_true", help="no CT")

    run = verb("run", _run, "do every step of a study that is not yet done")
    run.add_argument("study", type=Path)
    run.add_argument("--redo", action="store_true", help="do every step again")
    run.add_argument("--serve", action="store_true", help="serve the dashboard at the end")
    _serving_options(run)

    for name, help in STEP_HELP.items():
        step = verb(name, _step, help)
        step.add_argument("study", type=Path)
        step.add_argument("--step", action="store_true", help=argparse.SUPPRESS)

    what_if = verb("what-if", _what_if, "how many more patients if one limit of the protocol moved")
    what_if.add_argument("study", type=Path)
    what_if.add_argument("limit", help="such as min_kps, imaging_trigger_mm, or one of [protocol.limits]")
    what_if.add_argument("values", nargs="+", type=float, metavar="VALUE", help="what to try, in the limit's unit")
    what_if.add_argument("--by-centre", action="store_true", help="a row a centre as well")
    what_if.add_argument("--out", type=Path, help="write the table, and who comes in or goes out, as CSV")

    summary = verb("summary", _summary, "flow, Table 1, missing values, follow-up, reference standard, sample size")
    summary.add_argument("study", type=Path)
    summary.add_argument("--by", metavar="COLUMN", help='what Table 1 compares, or "part"; default: the label')
    summary.add_argument("--columns", nargs="+", metavar="COLUMN", help="what Table 1 shows")
    summary.add_argument("--mean", nargs="+", default=[], metavar="COLUMN", help="shown as mean (SD), not as median")
    summary.add_argument("--tests", action="store_true", help="P values in Table 1")
    summary.add_argument("--all", action="store_true", help="everyone in the files, not only who is eligible")
    expected = summary.add_mutually_exclusive_group()
    expected.add_argument("--c-statistic", type=float, metavar="C", help="that the model is expected to reach")
    expected.add_argument("--r2-nagelkerke", type=float, metavar="R2", help="the same as R2 of Nagelkerke")
    expected.add_argument("--r2-cox-snell", type=float, metavar="R2", help="the same as R2 of Cox and Snell")
    summary.add_argument("--out", type=Path, metavar="FILE", help="write it as .xlsx, .html or .csv")

    compare = verb("compare", _compare, "what changed between two versions of the data")
    compare.add_argument("old", type=Path, metavar="OLD", help="a study, or its clinical file")
    compare.add_argument("new", type=Path, metavar="NEW")
    compare.add_argument("--out", type=Path, metavar="FILE", help="every change, as .csv, .xlsx or .html")

    analyse = verb("analyse", _analyse, "every statistic as results.json, of a study or of any predictions.csv")
    analyse.add_argument("study", type=Path, metavar="STUDY|predictions.csv")
    analyse.add_argument("--clinical", type=Path, help="clinical.csv, for a predictions.csv of any origin")
    analyse.add_argument("--followup", type=Path, help="followup.csv, likewise")
    analyse.add_argument("--out", type=Path, help="where results.json goes")
    analyse.add_argument("--step", action="store_true", help=argparse.SUPPRESS)

    opened = verb("open-test", _open_test, "open the locked test set to the study's run, and put it on record")
    opened.add_argument("study", type=Path)
    opened.add_argument("--purpose", required=True, help="why; stands in openings.csv with the time")
    opened.add_argument("--by", default="", metavar="NAME", help="who opens it")

    dashboards = verb("dashboards", _dashboards, "serve the pages of a study or run")
    dashboards.add_argument("study", type=Path, metavar="STUDY|RUN")
    _serving_options(dashboards)

    study = verb("study", _study, "print study.toml in full, defaults included")
    study.add_argument("study", type=Path)

    dictionary = verb("dictionary", _dictionary, "print every column: type, unit, range, words, timing and source")
    dictionary.add_argument("--table", help="clinical, followup, annotations, predictions or derived; default: all")
    dictionary.add_argument("--format", choices=("text", "csv", "html", "redcap"), help="default: by --out, else text")
    dictionary.add_argument("--out", type=Path, help="the file to write; default: print")
    dictionary.add_argument("--study", type=Path, help="adds the study's own columns and the hospital's names")

    init = verb("init", _init, "write an empty study: study.toml, tables to fill, dictionary, what to do next")
    init.add_argument("folder", type=Path)
    init.add_argument("--name", default="", help="of the study; default: the folder's name")
    init.add_argument("--centre", default="", help="the one hospital of this study: its tables need no column centre")
    init.add_argument("--images", action=argparse.BooleanOptionalAction, default=True, help="whether CT will be read")

    merge = verb("merge", _merge, "join sites into one study; for each site the list of faults to send back")
    merge.add_argument("sites", nargs="+", type=Path, metavar="SITE", help="a study's folder, or a spreadsheet")
    merge.add_argument("--out", type=Path, required=True, metavar="DIR", help="the merged study")
    merge.add_argument("--prefix-ids", action="store_true", help='patient ids become "<site>-<id>" in every table')
    merge.add_argument("--keep-going", action="store_true", help="exit with 0 although sites with faults are left out")

    radiogenomics = verb("radiogenomics", _radiogenomics, "turn the public NSCLC Radiogenomics table into a study")
    radiogenomics.add_argument("table", type=Path, help="the CSV from TCIA (doi:10.7937/K9/TCIA.2017.7hs46erv)")
    radiogenomics.add_argument("folder", type=Path)
    radiogenomics.add_argument("--ct", type=Path, help="folder with the collection's DICOM files, SEG included")

    tcga = verb("tcga", _tcga, "turn the public TCGA lung tables into a study")
    tcga.usage = "onlm tcga BIOTAB [BIOTAB ...] [--cdr FILE] [--edition 7th] DIR"
    tcga.add_argument("paths", nargs="*", type=Path, metavar="BIOTAB", help="clinical patient files; DIR comes last")
    # argparse gives what stands behind --cdr to --cdr: its first word is the file, the others belong to `paths`.
    tcga.add_argument(
        "--cdr", nargs="+", type=Path, default=[], metavar="FILE", help="Clinical Data Resource, XLSX or CSV"
    )
    tcga.add_argument("--edition", choices=("any", "7th"), default="any", help="of the AJCC manual")
    return top


def _trial_options(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--patients", type=_at_least(1), default=300)
    verb.add_argument("--centres", type=_at_least(1), default=5)
    verb.add_argument("--seed", type=int, default=7)


def _at_least(least: int):
    def number(text: str) -> int:
        value = int(text)
        if value < least:
            raise argparse.ArgumentTypeError(f"wanted at least {least}, got {value}")
        return value

    return number


def _serving_options(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--port", type=int, default=8866)
    verb.add_argument("--token", default=None, help="what a visitor must show; a fresh one by default")


def _virtual(words: argparse.Namespace) -> None:
    from onlm_lab import virtual

    folder = virtual.write_trial(
        words.folder, n_patients=words.patients, n_centres=words.centres, seed=words.seed,
        tables_only=words.tables_only, progress=True,
    )  # fmt: skip
    say(f"Made-up trial of {words.patients} patients in {folder}. Go on with: onlm run {folder}")


def _run(words: argparse.Namespace) -> None:
    from onlm_lab import pipeline

    done = pipeline.run(words.study, say=say, redo=words.redo)
    say(f"Report: {done.folder / 'report.html'}")
    if words.serve:
        _serve(done.folder, port=words.port, token=words.token)
    else:
        say(f"Dashboard: onlm dashboards {words.study}")


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

    found = summarising.summarise(
        words.study, by=words.by, columns=words.columns, mean=words.mean, tests=words.tests, everyone=words.all,
        c_statistic=words.c_statistic, r2_nagelkerke=words.r2_nagelkerke, r2_cox_snell=words.r2_cox_snell,
    )  # fmt: skip
    say(f"Summary: {found.write(words.out)}" if words.out else found.text())


def _compare(words: argparse.Namespace) -> None:
    from onlm_lab import summarising

    found = summarising.compare_versions(words.old, words.new)
    say(f"{found.sentence}\nChanges: {found.write(words.out)}" if words.out else found.text())


def _analyse(words: argparse.Namespace) -> None:
    if words.study.suffix != ".csv":
        if words.out or words.clinical or words.followup:
            raise OnlmError("--clinical, --followup and --out go with a predictions.csv; a study knows its own files.")
        _step(words)
        return
    from onlm_lab import pipeline

    out = words.out or Path("results.json")
    pipeline.analyse_predictions(words.study, clinical=words.clinical, followup=words.followup, out=out)
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
    form = words.format or (suffix if suffix in ("csv", "html") else "text")
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
    say(f"Empty study in {folder}. Read {folder / 'README.md'}, fill the tables, then: onlm check {folder}")


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
        say(f"All {len(merged.sites)} sites are in {words.out}. Go on with: onlm check {words.out}")
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
    say(f"Study in {folder}; what could not be mapped: unmapped.csv. Go on with: onlm run {folder}")


def _tcga(words: argparse.Namespace) -> None:
    from onlm_lab.cohort import tcga

    paths = [*words.paths, *words.cdr[1:]]
    if len(paths) < 2:
        raise OnlmError("wanted at least one biotab file, and the folder to write: onlm tcga BIOTAB --cdr FILE DIR.")
    *biotab, folder = paths
    if folder.is_file():
        raise OnlmError(f"'{folder.name}' is a file; wanted the folder to write as the last word.")
    tcga.write_study(biotab, folder, cdr=words.cdr[0] if words.cdr else None, edition=words.edition)
    say(f"Study in {folder}; what could not be mapped: unmapped.csv. Go on with: onlm run {folder}")


if __name__ == "__main__":
    sys.exit(main())
