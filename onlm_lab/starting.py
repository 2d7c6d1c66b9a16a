"""An empty study that works: study.toml with its defaults, tables to fill, the dictionary, and what to do next."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shlex
from dataclasses import asdict
from pathlib import Path
from typing import Any

from onlm_lab import schema
from onlm_lab.errors import StudyError
from onlm_lab.study import Study, load_study

# '@name' becomes the commented default of that key; '#:' marks an example; {images...} differs without images.
_STUDY = """\
# A study is this file and the tables beside it.
# '# key = value' shows a default: take the '# ' away to change it. '#:' marks an example, never a recommendation.
# `onlm study .` prints everything that holds, `onlm check .` what is wrong.

[study]
name = {name}
@made_up
@seed
# Licence and citation of the data, printed on every artefact:
@licence

[data]
# Files, relative to this folder: CSV, TSV or Excel. To fill the workbook instead of the CSV files, write "tables.xlsx"
# for each of them and name its sheets below.
{files}
# Words that mean "not known" in any column; an empty cell always does. Nothing else is guessed.
@missing_words
@clinical_sheet
@followup_sheet
# How the files are written. Empty: found out where it leaves no doubt, and said.
@encoding
@separator
@decimal
@date_format
# The data dictionary of a REDCap project, where the tables hold its raw codes:
@redcap_dictionary

# The hospital's own names and words stand on the left, ours (dictionary.html) on the right.
#: [mapping]
#: ignore = ["name", "remarks"]
{constants}
#: [mapping.columns]
#: "Geschlecht" = "sex"
#: "肿瘤大小" = "total_diameter_mm"
#: [mapping.values.sex]
#: "m" = "male"
#: "w" = "female"
#: [mapping.factors]
#: total_diameter_mm = 10
#: [mapping.dates.age_years]
#: start = "date_of_birth"
#: end = "date_of_surgery"
#: unit = "years"
#: [mapping.missing_words]
#: kps = ["999"]
#: [mapping.checkboxes.recurrence_site]
#: "recurrence_site___local" = "local"
#: "recurrence_site___regional" = "regional"
#: "recurrence_site___distant" = "distant"
#: "recurrence_site___unknown" = "unknown"

# Columns of the hospital's own. What is known only after treatment never predicts.
#: [columns.prior_cancer]
#: type = "boolean"
#: timing = "pre_treatment"
#: description = "Another cancer within five years before treatment"

[protocol]
# Who is in. The defaults are those of NCT06684418; `onlm screen .` shows what each rule does.
@name
@version
@rules
@min_age_years
@min_kps
# Total diameter at which PET/CT or invasive mediastinal staging is wanted (this or more):
@imaging_trigger_mm
@central_definition
#: [[protocol.own]]
#: name = "no_prior_cancer"
#: text = "No other cancer within five years"
#: passes = "prior_cancer == 0"
#: source = "protocol of this study, section 4.2"

[label]
# The least number of nodes and of mediastinal stations that makes a pathological N0 certain has no default.
# Sensitivity analyses leave patients with fewer out; without a number here there are none.
#: min_nodes = 10
#: min_n2_stations = 3
# true: the table has no clinical N, and pathological N stands alone as a surrogate.
@surrogate

[split]
# Decide before the outcome has been looked at: hospitals never trained on, later years, a locked test set.
@external_centres
@locked_fraction
#: temporal_from_year = 2023
# Pairs that look like one person; list them once somebody has checked that they are two.
@distinct_patients

[training]
{models}
# What may predict: known before treatment only.
@predictors
@scheme
@folds
@repeats
@target_sensitivity
"""

_README = """\
# {title}

Everything of this study lies in this folder. Run the commands here.

1. `onlm dictionary --study .` or open `dictionary.html`: what each column is, what its words mean, who has it.
2. Fill {tables}, one row a patient. Or fill the sheets of `tables.xlsx`
   (drop-down lists, limits, identifiers kept as text) and name it in `study.toml`.
   No names, no birth dates, no hospital numbers: only pseudonyms.{ct}
3. `onlm check .` lists every fault at once: file, column, row, what was wanted. Repeat until it finds none.
4. `onlm screen .` tells who is in, who is not and why, and who cannot be decided for want of which value.
5. `onlm run .` does the rest; `onlm dashboards .` then serves the pages.

The hospital's own column names and words need not change: `study.toml` maps them ([mapping]).
Several hospitals: a folder each, made by `onlm init`, then `onlm merge SITE1 SITE2 ... --out ALL`; it writes, for each
hospital, the list of faults to send back.
A REDCap project that fits: `onlm dictionary --study . --format redcap --out redcap.csv`, then upload that file as the
project's data dictionary. Export everything as one CSV (raw codes or labels), and say in `study.toml` under [data]:
`clinical = "export.csv"`, `followup = ""`, `redcap_dictionary = "redcap.csv"`; take the '#:' away from
[mapping.checkboxes.recurrence_site].

| file | what it is |
|---|---|
{files}
"""


def init_study(folder: str | Path, *, name: str = "", centre: str = "", images: bool = True) -> Path:
    """An empty study in a new folder, or beside what a folder already holds; nothing is ever overwritten.

    Args:
        folder: is made where it is not there.
        name: of the study; "": the folder's name.
        centre: the one hospital of this study; its tables then have no column `centre`.
        images: whether CT will be read; without, no annotations and only the clinical model.

    Returns:
        The folder, with study.toml, clinical.csv, followup.csv, annotations.csv, tables.xlsx, dictionary.html,
        dictionary.csv and README.md.

    Raises:
        StudyError: the folder has a study, or a file of one of these names.
    """
    folder = Path(folder)
    name, centre = (name or folder.resolve().name).strip(), centre.strip()
    for what, text in (("name", name), ("centre", centre)):
        if not text.isprintable():
            raise StudyError(f"The {what} of a study is one line of text; take line breaks and tabs out.")
    files = _files(name=name, centre=centre, images=images)
    _refuse_taken(folder, files=files)
    folder.mkdir(parents=True, exist_ok=True)
    for file, content in files.items():
        _write_new(folder / file, content)
    if images:
        (folder / "ct").mkdir(exist_ok=True)
    load_study(folder)
    return folder


def _files(*, name: str, centre: str, images: bool) -> dict[str, bytes]:
    """What is written, by name; study.toml last, so that a folder with one is whole."""
    tables = ("clinical", "followup", "annotations") if images else ("clinical", "followup")
    entered = [
        entry
        for table in tables
        for entry in schema.dictionary_entries(table)
        if not (centre and entry.column.name == "centre")
    ]
    title = f"Data dictionary of {name}"
    entries = [entry for table in (*tables, "derived") for entry in schema.dictionary_entries(table)]
    files = {f"{table}.csv": _header(entered, table=table).encode() for table in tables}
    files["tables.xlsx"] = schema.template_workbook(entered, notes=(title,))
    files["dictionary.html"] = schema.dictionary_html(entries, title=title).encode()
    files["dictionary.csv"] = schema.dictionary_csv(entries).encode()
    files["README.md"] = _readme(name, tables=tables).encode()
    files["study.toml"] = study_text(name=name, centre=centre, images=images).encode()
    return files


def _header(entries: list[schema.Entry], *, table: str) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow([e.column.name for e in entries if e.column.table == table])
    return text.getvalue()


def _readme(name: str, *, tables: tuple[str, ...]) -> str:
    said = {
        "study.toml": "what this study is: files, mapping, protocol, label, split, training",
        "clinical.csv": "to fill: one row a patient, before and at treatment",
        "followup.csv": "to fill: one row a patient, what became of them",
        "annotations.csv": "to fill: where the tumour is on the CT",
        "tables.xlsx": "the same tables as one workbook",
        "dictionary.html": "every column, to read and print",
        "dictionary.csv": "the same for programs",
    }
    shown = [f"| {file} | {what} |" for file, what in said.items() if file[:-4] in tables or file[-4:] != ".csv"
             or file == "dictionary.csv"]  # fmt: skip
    ct = "" if "annotations" not in tables else "\n   Put the CT series (DICOM) into `ct/`, in any folders."
    title = re.sub(r"([\\`*_{}\[\]<>#|])", r"\\\1", name)
    names = [f"`{table}.csv`" for table in tables]
    listed = ", ".join(names[:-1]) + " and " + names[-1]
    return _README.format(title=title, tables=listed, ct=ct, files="\n".join(shown))


def study_text(*, name: str, centre: str = "", images: bool = True) -> str:
    """The commented study.toml of an empty study."""
    named = ["clinical", "followup", *(["annotations", "ct"] if images else [])]
    files = [f"@!{key}" for key in named] + ([] if images else ['annotations = ""', 'ct = ""  # no images'])
    models = "@models" if images else 'models = ["clinical"]  # "image" and "fused" need CT'
    constants = f"[mapping.constants]\ncentre = {_toml(centre)}" if centre else ""
    if not centre:
        constants = '# Where the table has no column "centre":\n#: [mapping.constants]\n#: centre = "Hospital A"'
    text = _STUDY.format(name=_toml(name), files="\n".join(files), models=models, constants=constants)
    defaults, section, lines = asdict(Study(folder=Path())), "", []
    for line in text.splitlines():
        heading = re.fullmatch(r"\[(\w+)\]", line)
        section = heading.group(1) if heading else section
        key = line.lstrip("@!")
        if line.startswith("@"):
            shown = f"{key} = {_toml(defaults[section][key])}"
            lines += shown.splitlines() if line.startswith("@!") else [f"# {part}" for part in shown.splitlines()]
        else:
            lines.append(line)
    return "\n".join(lines) + "\n"


def _toml(value: Any) -> str:
    """A value as TOML writes it; a long list over several lines."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, list | tuple):
        parts = [_toml(part) for part in value]
        line = f"[{', '.join(parts)}]"
        if len(line) <= 90:
            return line
        rows = [", ".join(parts[i : i + 4]) + "," for i in range(0, len(parts), 4)]
        return "\n".join(["[", *(f"  {row}" for row in rows), "]"])
    return repr(value)


def _refuse_taken(folder: Path, *, files: dict[str, bytes]) -> None:
    if folder.exists() and not folder.is_dir():
        raise StudyError(f"'{folder.resolve().name}' is a file; wanted a folder for the study. Name another.")
    taken = [file for file in files if (folder / file).exists()]
    if "study.toml" in taken:
        raise StudyError(
            f"'{folder.resolve().name}' has a study.toml; nothing is overwritten. Name a new folder, or go on with "
            f"`onlm check {shlex.quote(str(folder))}`."
        )
    if taken:
        raise StudyError(
            f"'{folder.resolve().name}' has {', '.join(taken)} already; nothing is overwritten. Name a new folder, or "
            f"move {'it' if len(taken) == 1 else 'them'} away first."
        )


def _write_new(path: Path, content: bytes) -> None:
    """Write a file that must not be there."""
    try:
        with path.open("xb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
    except FileExistsError:
        raise StudyError(f"{path.name} appeared while the study was made; nothing is overwritten.") from None
    except OSError:
        path.unlink(missing_ok=True)  # a full disk: no half of a file stays behind
        raise
