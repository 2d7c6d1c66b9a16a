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
    onlm plan-reading RUN         fix who reads which patients in a reader study
    onlm dashboards STUDY...      serve the pages to collaborators
    onlm teach [LESSON]           the lessons, in JupyterLab: predict, run, move a slider, check

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
from typing import TYPE_CHECKING

from onlm_lab.arguments import IMAGE_VERBS, STEP_HELP, TABLE_VERBS, device_words, parser
from onlm_lab.errors import DEBUG, OnlmError, told

if TYPE_CHECKING:
    from onlm_lab.serving import Sharing


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
    say(f"Made-up trial of {words.patients} patients in '{folder}'. Go on with: onlm run {shlex.quote(str(folder))}")


def _run(words: argparse.Namespace) -> None:
    from onlm_lab import pipeline
    from onlm_lab.study import parse_changes

    done = pipeline.run(
        words.study, say=say, redo=words.redo, cluster=words.cluster, workers=words.workers,
        devices=device_words(words), changes=parse_changes(words.set),
    )  # fmt: skip
    say(f"Report: {done.folder / 'report.html'}")
    if words.serve:
        _serve(done.folder, port=words.port, token=words.token)
    else:
        say(f"Dashboard: onlm dashboards {shlex.quote(str(words.study))}")


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


def _report_of_run(folder: Path) -> None:
    from onlm_lab.report.files import write_files
    from onlm_lab.runs import Run

    for path in write_files(Run(folder), progress=True):
        say(f"  {path.name}")


def _step(words: argparse.Namespace) -> None:
    if words.verb == "report" and (words.study / "predictions.csv").is_file():  # a run, not a study
        return _report_of_run(words.study)
    from onlm_lab import pipeline, steps
    from onlm_lab.study import parse_changes

    engine = {name: getattr(words, name, None) for name in ("cluster", "workers")}  # of `onlm prepare` alone
    engine["devices"] = device_words(words)  # of `onlm train` alone
    engine["changes"] = parse_changes(words.set)
    if words.step or (words.verb == "train" and pipeline.joins_another()):  # another process holds the lock
        pipeline.perform(words.study, name=words.verb, say=say, **engine)
        return
    with steps.locked(pipeline.load_study(words.study).folder):
        pipeline.perform(words.study, name=words.verb, say=say, **engine)


def _analyse(words: argparse.Namespace) -> None:
    if words.schema:
        from onlm_lab.report.results_schema import shipped_schema

        say(shipped_schema().rstrip())
        return
    if words.study is None:
        raise OnlmError("Name a study's folder or a predictions.csv; --schema alone prints what results.json holds.")
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


def _plan_reading(words: argparse.Namespace) -> None:
    from onlm_lab import reading_plan
    from onlm_lab.runs import list_runs, open_run

    run = open_run(words.run)
    if words.add:
        if words.positive or words.negative or words.model or words.no_second:
            raise OnlmError(
                "--add takes a reader's code alone: patients and model were fixed when the study was planned."
            )
        if run.folder.resolve() != words.run.resolve():
            run = reading_plan.planned_run(list_runs(words.run), else_run=run)
        reading_plan.add_reader(run, reader=words.add)
    else:
        reading_plan.plan_reading(
            run, readers=words.readers, model=words.model, n_positive=words.positive, n_negative=words.negative,
            second_estimate=not words.no_second,
        )  # fmt: skip
    for line in reading_plan.told(run):
        say(line)
    say(f"Give readers this page alone: onlm dashboards {shlex.quote(str(run.folder))} --page reading")


def _dashboards(words: argparse.Namespace) -> None:
    from onlm_lab.serving import Sharing, read_token

    token = read_token(words.token_file) if words.token_file else words.token or os.environ.get("ONLM_TOKEN")
    how = Sharing(
        shared=words.shared, access_log=words.access_log, base_url=words.base_url, idle_s=words.idle,
        preheat=words.preheat, most_pages=words.most, host=words.host,
    )  # fmt: skip
    _serve(words.studies, port=words.port, token=token, page=words.page, sharing=how)


def _serve(
    folders: Path | Sequence[Path], *, port: int, token: str | None, page: str = "performance",
    sharing: Sharing | None = None,
) -> None:  # fmt: skip
    from onlm_lab import serving

    for name in ("SIGTERM", "SIGHUP"):  # a closed terminal or a service manager ends the server too
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.default_int_handler)
    serving.serve(folders, port=port, token=token, page=page, sharing=sharing, say=say)


def _of_images(words: argparse.Namespace) -> int | None:
    from onlm_lab import image_verbs

    return getattr(image_verbs, words.verb)(words, say)


def _of_tables(words: argparse.Namespace) -> int | None:
    from onlm_lab import table_verbs

    return getattr(table_verbs, words.verb.replace("-", "_"))(words, say)


def _teach(words: argparse.Namespace) -> None:
    from onlm_lab import teach_verb

    teach_verb.teach(words, say)


CALLS = {
    "demo": _demo, "virtual": _virtual, **dict.fromkeys(IMAGE_VERBS, _of_images),
    **dict.fromkeys(TABLE_VERBS, _of_tables), "run": _run, **dict.fromkeys(STEP_HELP, _step), "analyse": _analyse,
    "open-test": _open_test, "predict": _predict, "recalibrate": _recalibrate, "figures": _figures,
    "plan-reading": _plan_reading, "dashboards": _dashboards, "teach": _teach,
}  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
