"""What can be said to `onlm`: its verbs in the order of the work, their words and options, and the help for each."""

from __future__ import annotations

import argparse
from pathlib import Path

from onlm_lab import __version__, teach_verb
from onlm_lab.page_names import PAGES

STEP_HELP = {
    "check": "read every table against the schema, all faults at once",
    "screen": "eligibility log, flow and label",
    "prepare": "find the CT series, read, judge, cut patches into the cache",
    "train": "train and test the models, write predictions.csv",
    "report": "write the HTML report",
}
IMAGE_VERBS = ("series", "volume", "privacy", "deidentify")
TABLE_VERBS = ("what-if", "summary", "compare", "study", "dictionary", "init", "merge", "radiogenomics", "tcga")
_EXIT = "Exit codes: 0 done; 2 something in the data or the request is wrong, and a sentence says what; 130 stopped."


def parser() -> argparse.ArgumentParser:
    """The command line of `onlm`; the verb is in `verb`."""
    top = argparse.ArgumentParser(
        prog="onlm", description="Occult nodal metastasis in clinical stage I lung cancer.", epilog=_EXIT
    )
    top.add_argument("--version", action="version", version=f"onlm_lab {__version__}")
    verbs = top.add_subparsers(dest="verb", required=True, metavar="VERB")
    for add in (
        _made_up,
        _images,
        _protecting,
        _starting,
        _sites,
        _running,
        _describing,
        _analysing,
        _predicting,
        _recalibrating,
        _drawing,
        _reading,
        _serving,
        _public,
        _teaching,
    ):
        add(verbs)
    return top


def _verb(verbs: argparse._SubParsersAction, name: str, help: str) -> argparse.ArgumentParser:
    return verbs.add_parser(name, help=help, description=help[0].upper() + help[1:] + ".")


def _study_of(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("study", type=Path, metavar="STUDY", help="its folder")


def _made_up(verbs: argparse._SubParsersAction) -> None:
    demo = _verb(verbs, "demo", "make the made-up trial, run it, serve its dashboard")
    demo.add_argument("folder", nargs="?", default="demo", type=Path, metavar="DIR", help="to write; default: demo")
    _trial_options(demo)
    _serving_options(demo)
    demo.add_argument("--no-serve", action="store_true", help="stop after the report")

    virtual = _verb(verbs, "virtual", "write a made-up multicentre trial with known truth")
    virtual.add_argument("folder", type=Path, metavar="DIR", help="to write")
    _trial_options(virtual)
    virtual.add_argument("--tables-only", action="store_true", help="no CT")


def _images(verbs: argparse._SubParsersAction) -> None:
    series = _verb(verbs, "series", "list every series of a folder: geometry, maker, kernel, faults, which to choose")
    series.add_argument("folder", type=Path, metavar="DIR", help="with everything below it, or a DICOMDIR")
    series.add_argument("--study", type=Path, metavar="STUDY", help="whose [imaging] chooses; default: the defaults")
    series.add_argument("--why", action="store_true", help="say of every CT why it would be chosen or left out")
    series.add_argument("--out", type=Path, metavar="FILE", help="write the whole table as .csv")
    series.add_argument("--workers", type=_at_least(1), metavar="N", help="processes; default: up to four")

    volume = _verb(verbs, "volume", "write one patient's whole CT as an int16 array, for the viewer")
    volume.usage = "onlm volume [STUDY] PATIENT"
    volume.add_argument(
        "names", nargs="+", metavar="[STUDY] PATIENT", help="the study's folder (default: here), and the patient_id"
    )


def _protecting(verbs: argparse._SubParsersAction) -> None:
    privacy = _verb(verbs, "privacy", "list what in a folder of DICOM files tells, or may tell, who the patients are")
    privacy.add_argument("folder", type=Path, metavar="DIR", help="with everything below it")
    privacy.add_argument("--out", type=Path, metavar="FILE", help="write the whole list as .csv")
    privacy.add_argument("--workers", type=_at_least(1), metavar="N", help="processes; default: up to four")

    copy = _verb(verbs, "deidentify", "copy DICOM files without what tells who the patients are")
    copy.add_argument("folder", type=Path, metavar="DIR", help="with everything below it; nothing in it is changed")
    copy.add_argument("copy", type=Path, metavar="OUT", help="the copy; one that was begun is gone on with")
    copy.add_argument(
        "--secret", type=Path, required=True, metavar="FILE",
        help="32 random bytes or more, made where there is no such file; the hospital keeps it, outside DIR and OUT",
    )  # fmt: skip
    copy.add_argument(
        "--ids", type=Path, metavar="TABLE.csv",
        help="columns patient_id (of the study) and dicom_patient_id; who is not in it is left out; default: made ids",
    )  # fmt: skip
    copy.add_argument(
        "--link", type=Path, metavar="FILE", help="write hospital ids beside study ids: it identifies everybody"
    )
    copy.add_argument("--annotations", type=Path, metavar="FILE", help="annotations.csv to rewrite for the copy")
    copy.add_argument("--left-out", type=Path, metavar="FILE", help="write which files were left out and why, as .csv")
    copy.add_argument("--keep-burned-in", action="store_true", help="copy also pictures that may show a name")
    copy.add_argument("--workers", type=_at_least(1), metavar="N", help="processes; default: up to four")


def _starting(verbs: argparse._SubParsersAction) -> None:
    init = _verb(verbs, "init", "write an empty study: study.toml, tables to fill, dictionary, what to do next")
    init.add_argument("folder", type=Path, metavar="DIR", help="to write; what it holds already stays as it is")
    init.add_argument("--name", default="", help="of the study; default: the folder's name")
    init.add_argument("--centre", default="", help="the one hospital of this study: its tables need no column centre")
    init.add_argument("--images", action=argparse.BooleanOptionalAction, default=True, help="whether CT will be read")

    dictionary = _verb(verbs, "dictionary", "print every column: type, unit, range, words, timing and source")
    dictionary.add_argument(
        "--table", metavar="TABLE", help="clinical, followup, annotations, predictions or derived; default: all"
    )
    dictionary.add_argument("--format", choices=("text", "csv", "html", "redcap"), help="default: by --out, else text")
    dictionary.add_argument("--out", type=Path, metavar="FILE", help=".txt, .csv or .html to write; default: print")
    dictionary.add_argument(
        "--study", type=Path, metavar="STUDY", help="adds the study's own columns and the hospital's names"
    )


def _sites(verbs: argparse._SubParsersAction) -> None:
    merge = _verb(verbs, "merge", "join sites into one study; for each site the list of faults to send back")
    merge.add_argument("sites", nargs="+", type=Path, metavar="SITE", help="a study's folder, or a spreadsheet")
    merge.add_argument("--out", type=Path, required=True, metavar="DIR", help="the merged study")
    merge.add_argument("--prefix-ids", action="store_true", help='patient ids become "<site>-<id>" in every table')
    merge.add_argument("--keep-going", action="store_true", help="exit with 0 although sites with faults are left out")

    compare = _verb(verbs, "compare", "what changed between two versions of the data")
    compare.add_argument("old", type=Path, metavar="OLD", help="a study, or its clinical file")
    compare.add_argument("new", type=Path, metavar="NEW", help="likewise")
    compare.add_argument("--out", type=Path, metavar="FILE", help="every change, as .csv, .xlsx or .html")


def _running(verbs: argparse._SubParsersAction) -> None:
    run = _verb(verbs, "run", "do every step of a study that is not yet done")
    _study_of(run)
    run.add_argument("--redo", action="store_true", help="do every step again")
    _changing(run)
    _engine_options(run)
    _device_options(run)
    run.add_argument("--serve", action="store_true", help="serve the dashboard at the end")
    _serving_options(run)

    for name, help in STEP_HELP.items():
        step = _verb(verbs, name, help)
        _study_of(step)
        step.add_argument("--step", action="store_true", help=argparse.SUPPRESS)
        _changing(step)
        if name == "prepare":
            _engine_options(step)
        if name == "train":
            _device_options(step)


def _changing(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "--set", action="append", default=[], metavar="SECTION.KEY=VALUE",
        help="a setting of [model], [training] or [patch] for this run alone; study.toml stays as it is",
    )  # fmt: skip


def _engine_options(verb: argparse.ArgumentParser) -> None:
    engine = verb.add_mutually_exclusive_group()
    engine.add_argument(
        "--cluster", metavar="ADDRESS", help="Dask scheduler whose workers read and cut the CT, as tcp://10.0.0.1:8786"
    )
    engine.add_argument(
        "--workers", type=_at_least(1), metavar="N",
        help="processes of this machine that read and cut the CT, each with a whole CT in memory; default: its cores",
    )  # fmt: skip


def _device_options(verb: argparse.ArgumentParser) -> None:
    where = verb.add_argument_group("where finetune mode trains", "The options are Lightning Fabric's own.")
    where.add_argument("--devices", metavar="N", help="GPUs of each machine, or processes without GPU; or auto")
    where.add_argument("--nodes", type=_at_least(1), metavar="N", help="machines; start the command on each")
    where.add_argument("--strategy", metavar="NAME", help="auto, ddp, ddp_find_unused_parameters_true")
    where.add_argument("--accelerator", metavar="NAME", help="auto, cpu or cuda")


def device_words(words: argparse.Namespace) -> list[str]:
    """What was said of devices, as the words of the training process."""
    said = {name: getattr(words, name, None) for name in ("devices", "nodes", "strategy", "accelerator")}
    return [word for name, value in said.items() if value is not None for word in (f"--{name}", str(value))]


def _describing(verbs: argparse._SubParsersAction) -> None:
    study = _verb(verbs, "study", "print study.toml in full, defaults included")
    _study_of(study)

    what_if = _verb(verbs, "what-if", "how many more patients if one limit of the protocol moved")
    _study_of(what_if)
    what_if.add_argument(
        "limit", metavar="LIMIT", help="such as min_kps, imaging_trigger_mm, or one of [protocol.limits]"
    )
    what_if.add_argument("values", nargs="+", type=float, metavar="VALUE", help="what to try, in the limit's unit")
    what_if.add_argument("--by-centre", action="store_true", help="a row a centre as well")
    what_if.add_argument(
        "--out", type=Path, metavar="FILE", help="write the table, and who comes in or goes out, as .csv"
    )

    summary = _verb(verbs, "summary", "flow, Table 1, missing values, follow-up, reference standard, sample size")
    _study_of(summary)
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


def _analysing(verbs: argparse._SubParsersAction) -> None:
    analyse = _verb(verbs, "analyse", "every statistic as results.json, of a study or of any predictions.csv")
    analyse.add_argument(
        "study", nargs="?", type=Path, metavar="STUDY|predictions.csv", help="a study's folder, or risks from anywhere"
    )
    analyse.add_argument("--schema", action="store_true", help="print the JSON Schema of results.json and stop")
    analyse.add_argument("--clinical", type=Path, metavar="FILE", help="clinical.csv beside a predictions.csv")
    analyse.add_argument("--followup", type=Path, metavar="FILE", help="followup.csv, likewise")
    analyse.add_argument("--out", type=Path, metavar="FILE", help="of a predictions.csv; default: results.json")
    analyse.add_argument("--step", action="store_true", help=argparse.SUPPRESS)
    _changing(analyse)

    opened = _verb(verbs, "open-test", "open the locked test set to the study's run, and put it on record")
    _study_of(opened)
    opened.add_argument("--purpose", required=True, metavar="WHY", help="stands in openings.csv with the time")
    opened.add_argument("--by", default="", metavar="NAME", help="who opens it")


def _predicting(verbs: argparse._SubParsersAction) -> None:
    predict = _verb(verbs, "predict", "the models of a finished run on another study: external testing, SBRT")
    predict.add_argument("run", type=Path, metavar="RUN", help="runs/<id>, or the study whose newest run is meant")
    _study_of(predict)
    predict.add_argument(
        "--out", type=Path, metavar="DIR", help="folder to write; default: predictions/<run id> in STUDY"
    )
    _engine_options(predict)


def _recalibrating(verbs: argparse._SubParsersAction) -> None:
    update = _verb(verbs, "recalibrate", "update the risks of a model to one place's patients, with a report")
    update.add_argument(
        "source", type=Path, metavar="STUDY|RUN|predictions.csv", help="whose risks; a study's newest run"
    )
    update.add_argument("--clinical", type=Path, metavar="FILE", help="with the labels, beside a predictions.csv")
    update.add_argument("--model", metavar="MODEL", help="default: the study's primary model")
    update.add_argument("--centre", metavar="NAME", help="only its patients; default: all")
    update.add_argument("--split", choices=("oof", "external", "temporal", "test"), help="default: external, else oof")
    update.add_argument(
        "--method", choices=("none", "intercept", "both", "test"), default="test",
        help="test lets a closed test choose; default: %(default)s",
    )  # fmt: skip
    update.add_argument("--apply", type=Path, metavar="FILE", help="another predictions.csv to update the same way")
    update.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to write")


def _drawing(verbs: argparse._SubParsersAction) -> None:
    drawing = _verb(verbs, "figures", "write every figure of a run as SVG and PNG, each with its table and caption")
    drawing.add_argument("run", type=Path, metavar="STUDY|RUN", help="a study's folder (its latest run), or runs/<id>")
    drawing.add_argument("--out", type=Path, metavar="DIR", help="folder to write; default: figures in the run")
    drawing.add_argument("--format", nargs="+", default=["svg", "png"], metavar="KIND", help="svg, png; default: both")


def _reading(verbs: argparse._SubParsersAction) -> None:
    plan = _verb(verbs, "plan-reading", "fix who reads which patients, before and after the model's risk")
    plan.add_argument("run", type=Path, metavar="STUDY|RUN", help="a study's folder (its newest run), or runs/<id>")
    who = plan.add_mutually_exclusive_group(required=True)
    who.add_argument("--readers", nargs="+", metavar="CODE", help="such as R01 R02 R03; plans the study, once")
    who.add_argument("--add", metavar="CODE", help="one more reader of the study that is planned")
    plan.add_argument("--positive", type=_at_least(2), metavar="N", help="N+ patients to draw; default: all")
    plan.add_argument("--negative", type=_at_least(2), metavar="N", help="N0 patients to draw; default: all")
    plan.add_argument("--model", metavar="MODEL", help="whose risk is shown; default: the study's primary model")
    plan.add_argument("--no-second", action="store_true", help="no second estimate after the risk was shown")


def _serving(verbs: argparse._SubParsersAction) -> None:
    dashboards = _verb(verbs, "dashboards", "serve the pages of studies and runs")
    dashboards.add_argument(
        "studies", type=Path, nargs="+", metavar="STUDY|RUN",
        help="a study's folder (its latest run first), or runs/<id> in it",
    )  # fmt: skip
    dashboards.add_argument(
        "--page",
        choices=[page.name for page in PAGES],
        default="start",
        help="where the address leads (default: start)",
    )
    _serving_options(dashboards)
    dashboards.add_argument(
        "--shared", action="store_true",
        help="for people who may see no single patient: small cells suppressed, no page of patients unless study.toml "
        "allows it, no training; see docs/sharing.md",
    )  # fmt: skip
    dashboards.add_argument(
        "--access-log", type=Path, metavar="FILE", help="minute, page and status of each opening; nobody's address"
    )
    dashboards.add_argument(
        "--token-file", type=Path, metavar="FILE",
        help="holds the token; unlike --token no other user of the machine sees it",
    )  # fmt: skip
    dashboards.add_argument(
        "--most", type=_at_least(1), default=40, metavar="N", help="pages open at once; default: %(default)s"
    )
    dashboards.add_argument("--base-url", default="/", metavar="PATH", help="under which a proxy shows the pages")
    dashboards.add_argument(
        "--host", default="127.0.0.1", metavar="ADDRESS",
        help="to listen at; default: %(default)s, this machine alone. In a container 0.0.0.0; not encrypted, so put "
        "TLS in front",
    )  # fmt: skip
    dashboards.add_argument(
        "--preheat", type=_at_least(0), default=1, metavar="N",
        help="kernels that wait ready for the next visitor of start, performance and outcomes, about 150 MB each; "
        "default: %(default)s",
    )  # fmt: skip
    dashboards.add_argument(
        "--idle", type=_at_least(5), default=600, metavar="SECONDS",
        help="after which the kernel of a page that nobody has open is ended; default: %(default)s",
    )  # fmt: skip


def _teaching(verbs: argparse._SubParsersAction) -> None:
    teach_verb.add(_verb(verbs, "teach", "open the lessons in JupyterLab: predict, run, move, check"), port=_port)


def _public(verbs: argparse._SubParsersAction) -> None:
    radiogenomics = _verb(verbs, "radiogenomics", "turn the public NSCLC Radiogenomics table into a study")
    radiogenomics.add_argument(
        "table", type=Path, metavar="TABLE", help="the CSV from TCIA (doi:10.7937/K9/TCIA.2017.7hs46erv)"
    )
    radiogenomics.add_argument("folder", type=Path, metavar="DIR", help="the study to write")
    radiogenomics.add_argument(
        "--ct", type=Path, metavar="FOLDER", help="of the collection's DICOM files, segmentations included"
    )

    tcga = _verb(verbs, "tcga", "turn the public TCGA lung tables into a study")
    tcga.usage = "onlm tcga BIOTAB [BIOTAB ...] [--cdr FILE] [--edition {any,7th}] DIR"
    tcga.add_argument(
        "paths", nargs="*", type=Path, metavar="BIOTAB", help="clinical patient files; the study to write comes last"
    )
    # argparse gives what stands behind --cdr to --cdr: its first word is the file, the others belong to `paths`.
    tcga.add_argument(
        "--cdr", nargs="+", type=Path, default=[], metavar="FILE", help="Clinical Data Resource, XLSX or CSV"
    )
    tcga.add_argument(
        "--edition", choices=("any", "7th"), default="any", help="of the AJCC manual; any mixes them; default: any"
    )


def _trial_options(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--patients", type=_at_least(1), default=300, metavar="N", help="default: %(default)s")
    verb.add_argument("--centres", type=_at_least(1), default=5, metavar="N", help="default: %(default)s")
    verb.add_argument("--seed", type=_at_least(0), default=7, metavar="N", help="of chance; default: %(default)s")


def _serving_options(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--port", type=_port, default=8866, help="default: %(default)s")
    verb.add_argument("--token", default=None, help="what a visitor must show; a fresh one by default")


def _at_least(least: int):
    def number(text: str) -> int:
        value = int(text)
        if value < least:
            raise argparse.ArgumentTypeError(f"wanted at least {least}, got {value}")
        return value

    return number


def _port(text: str) -> int:
    value = int(text)
    if not 1 <= value <= 65535:
        raise argparse.ArgumentTypeError(f"wanted 1 to 65535, got {value}")
    return value
