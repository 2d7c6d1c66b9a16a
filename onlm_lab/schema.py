"""What every column is called, its unit, range and timing; and the one door by which a spreadsheet comes in.

    rows = read_table("clinical.csv", table="clinical")     # DataError with every fault at once
    write_table(rows, "copy.csv")                           # the same bytes for the same table

Inside a DataFrame: text and categories are str (missing: None); numbers, integers and booleans are float64 (missing:
NaN; booleans 0.0 and 1.0), so that every statistic takes them as they are. `PatientRows`, `FollowupRows`,
`AnnotationRows`, `Predictions` and `AnalysisRows` are pandera schemas built from the same table of columns.
"""

from __future__ import annotations

import csv
import difflib
import functools
import io
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from onlm_lab.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

Type = Literal["text", "category", "number", "integer", "boolean"]
Timing = Literal["id", "pre_treatment", "post_treatment", "outcome"]
NUMERIC = ("number", "integer", "boolean")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_INTEGER = re.compile(r"[+-]?\d+", re.ASCII)


@dataclass(frozen=True)
class Column:
    """One column: its name, kind, unit, range (both ends allowed) and when it is known.

    `timing`: id (identifies or administers, never predicts), pre_treatment (may predict), post_treatment (extent of
    surgery, pathology, adjuvant treatment: never predicts), outcome. `required`: the column must be there;
    `filled`: no cell may be empty.
    """

    name: str
    table: str
    type: Type
    unit: str = ""
    low: float | None = None
    high: float | None = None
    allowed: tuple[str, ...] = ()
    timing: Timing = "pre_treatment"
    description: str = ""
    required: bool = False
    filled: bool = False

    @property
    def wanted(self) -> str:
        """What a cell must hold, in words."""
        if self.type == "boolean":
            return "0 or 1"
        if self.type == "category":
            return "one of " + ", ".join(self.allowed) if self.allowed else "a word"
        if self.type == "text":
            return "filled"
        kind = "a whole number" if self.type == "integer" else "a number"
        unit = f" {self.unit}" if self.unit else ""
        if self.low is not None and self.high is not None:
            return f"{kind} from {self.low:g} to {self.high:g}{unit}"
        if self.low is not None:
            return f"{kind} of at least {self.low:g}{unit}"
        return kind if self.high is None else f"{kind} of at most {self.high:g}{unit}"


TREATMENTS = ("lobectomy", "segmentectomy", "wedge", "pneumonectomy", "sbrt")
DESCRIPTORS = (
    "none", "main_bronchus", "visceral_pleura", "atelectasis", "satellite", "chest_wall", "other_t3", "other_t4",
)  # fmt: skip
T_STAGES = ("TX", "T0", "Tis", "T1mi", "T1", "T1a", "T1b", "T1c", "T2", "T2a", "T2b", "T3", "T4")
STAGES = ("0", "IA1", "IA2", "IA3", "IB", "IIA", "above IIA")
N_STAGES = ("N0", "N1", "N2", "N3", "NX")
SITES = ("local", "regional", "distant")
ENDPOINTS = {
    "os": "event", "rfs": "event", "recurrence": "state", "regional": "state", "distant": "state",
    "cancer_death": "state",
}  # fmt: skip
KEYS = {
    "clinical": ("patient_id",),
    "followup": ("patient_id",),
    "annotations": ("patient_id",),
    "predictions": ("patient_id", "model_id", "split", "repeat"),
    "analysis": ("patient_id", "model_id", "split", "repeat"),
}


def _columns() -> tuple[Column, ...]:
    """The table of columns; the names are fixed."""
    pre, post, admin, out = "pre_treatment", "post_treatment", "id", "outcome"

    def c(name: str, type: Type, timing: Timing, description: str, unit: str = "", **more: Any) -> Column:
        return Column(name=name, table=table, type=type, unit=unit, timing=timing, description=description, **more)

    def id_column() -> Column:
        return c("patient_id", "text", admin, "The patient's identifier, as text", required=True, filled=True)

    found: list[Column] = []
    table = "clinical"
    found += [
        id_column(),
        c("centre", "text", admin, "Hospital", required=True, filled=True),
        c("treatment_year", "integer", admin, "Calendar year of treatment", low=1950, high=2100),
        c("age_years", "number", pre, "Age at treatment", "years", low=0, high=120),
        c("sex", "category", pre, "Sex", allowed=("female", "male")),
        c("smoking", "category", pre, "Smoking history", allowed=("never", "former", "current")),
        c("pack_years", "number", pre, "Smoking dose", "pack-years", low=0, high=400),
        c("kps", "integer", pre, "Karnofsky performance status", low=0, high=100),
        c("ecog", "integer", pre, "ECOG performance status", low=0, high=5),
        c("nsclc_confirmed", "boolean", admin, "NSCLC confirmed by pathology"),
        c("histology", "category", pre, "Histology; a predictor only where it comes from a biopsy",
          allowed=("adenocarcinoma", "squamous", "other_nsclc")),
        c("histology_source", "category", admin, "Where histology comes from", allowed=("biopsy", "resection")),
        c("lobe", "category", pre, "Lobe of the tumour (lingula: LUL)", allowed=("RUL", "RML", "RLL", "LUL", "LLL")),
        c("total_diameter_mm", "number", pre, "Largest diameter, ground glass included", "mm", low=0.1, high=300),
        c("solid_diameter_mm", "number", pre, "Largest diameter of the solid part", "mm", low=0, high=300),
        c("nodule_type", "category", pre, "Type on thin-section CT", allowed=("solid", "part_solid", "pure_ggo")),
        c("central_location", "boolean", pre, "Central by the protocol's definition"),
        c("t_descriptor", "category", pre, "T descriptor other than size, on imaging", allowed=DESCRIPTORS),
        c("clinical_t", "category", pre, "Recorded clinical T (AJCC 8)", allowed=T_STAGES),
        c("clinical_n", "category", pre, "Recorded clinical N", allowed=N_STAGES),
        c("clinical_m", "category", pre, "Recorded clinical M", allowed=("M0", "M1", "M1a", "M1b", "M1c", "MX")),
        c("cea_ng_ml", "number", pre, "Carcinoembryonic antigen before treatment", "ng/mL", low=0, high=100000),
        c("suv_max", "number", pre, "SUVmax of the tumour on PET", low=0, high=200),
        c("pet_ct_done", "boolean", pre, "PET/CT before treatment"),
        c("invasive_staging_done", "boolean", pre, "Invasive mediastinal staging before treatment"),
        c("invasive_staging_positive", "boolean", pre, "Nodes positive at invasive staging before treatment"),
        c("treatment", "category", post, "Primary treatment; extent of surgery", allowed=TREATMENTS),
        c("radical_intent", "boolean", admin, "Treated with radical intent"),
        c("ct_to_treatment_days", "number", admin, "Days from the CT to treatment", "days", low=0),
        c("consent", "category", admin, "Informed consent", allowed=("yes", "waived", "no")),
        c("followup_agreed", "boolean", admin, "Willing to be followed up"),
        c("ct_quality", "category", admin, "Quality of the CT", allowed=("adequate", "poor")),
        c("neuropsychiatric_exclusion", "boolean", admin, "Epilepsy, CNS or mental disorder judged to interfere"),
        c("lost_to_followup", "boolean", out, "Lost to follow-up (known only after baseline)"),
        c("neoadjuvant", "boolean", admin, "Treatment before surgery"),
        c("pathological_n", "category", post, "Pathological N; empty for SBRT", allowed=N_STAGES),
        c("nodes_examined", "integer", post, "Lymph nodes examined", low=0, high=200),
        c("n2_stations_examined", "integer", post, "Mediastinal stations examined", low=0, high=20),
        c("adjuvant", "boolean", post, "Adjuvant treatment given"),
        c("adjuvant_start_days", "number", post, "Start of adjuvant treatment", "days", low=0),
    ]  # fmt: skip
    table = "followup"
    found += [
        id_column(),
        c("followup_days", "number", out, "Time zero to death or last contact", "days", low=0, required=True),
        c("last_imaging_days", "number", out, "Time zero to the last imaging", "days", low=0),
        c("died", "boolean", out, "Dead at followup_days", required=True),
        c("death_cause", "category", out, "Cause of death", allowed=("lung_cancer", "other", "unknown")),
        c("recurred", "boolean", out, "Any recurrence"),
        c("recurrence_days", "number", out, "Time zero to the first recurrence", "days", low=0),
        c("recurrence_site", "text", out, "Any of local, regional, distant, joined by ';', or unknown"),
        c("local_days", "number", out, "Time zero to local recurrence", "days", low=0),
        c("regional_days", "number", out, "Time zero to regional (nodal) recurrence", "days", low=0),
        c("distant_days", "number", out, "Time zero to distant recurrence", "days", low=0),
    ]
    table = "annotations"
    found += [
        id_column(),
        c("series_uid", "text", admin, "SeriesInstanceUID of the CT"),
        c("series_path", "text", admin, "Folder or file of the CT, relative to the study"),
        c("tumour_x_mm", "number", admin, "Tumour centre, x in the DICOM patient frame (LPS)", "mm"),
        c("tumour_y_mm", "number", admin, "Tumour centre, y (LPS)", "mm"),
        c("tumour_z_mm", "number", admin, "Tumour centre, z (LPS)", "mm"),
        c("mask_path", "text", admin, "Tumour mask, relative to the study"),
    ]
    table = "predictions"
    found += [
        id_column(),
        c("model_id", "text", admin, "Which model", required=True, filled=True),
        c("split", "category", admin, "What the row is", allowed=("oof", "test", "external", "unlabelled"),
          required=True, filled=True),
        c("repeat", "integer", admin, "Repeat of the cross-validation, from 0", low=0, required=True, filled=True),
        c("fold", "integer", admin, "Outer fold, from 0; empty for the final model", low=0),
        c("risk", "number", out, "P(onlm = 1), calibrated", low=0, high=1, required=True, filled=True),
        c("risk_raw", "number", out, "The same before calibration", low=0, high=1),
        c("risk_low", "number", out, "5th percentile of the model spread", low=0, high=1),
        c("risk_high", "number", out, "95th percentile of the model spread", low=0, high=1),
        c("threshold", "number", out, "Cut that was chosen without this row", low=0, high=1),
        c("predicted_positive", "boolean", out, "risk >= threshold"),
        c("ood_score", "number", out, "How unlike the training patients (higher: less alike)"),
    ]  # fmt: skip
    table = "derived"
    found += [
        c("onlm", "boolean", out, "Occult nodal metastasis: the label"),
        c("onlm_missing_reason", "text", out, "Why the label is missing"),
        c("arm", "category", admin, "Arm", allowed=("surgery", "sbrt")),
        c("ctr", "number", pre, "Consolidation-to-tumour ratio", low=0, high=1),
        c("derived_t", "category", pre, "Clinical T derived from size, type and descriptor (AJCC 8)", allowed=T_STAGES),
        c("derived_stage", "category", pre, "Clinical stage derived from derived_t, clinical N and M", allowed=STAGES),
    ]
    # Three endpoints share the name of their days with followup.csv; there the cohort keeps what was recorded apart.
    for name in ("recurrence", "regional", "distant"):
        found.append(c(f"recorded_{name}_days", "number", out, f"{name}_days as in followup.csv", "days", low=0))
    for name, kind in ENDPOINTS.items():
        found.append(c(f"{name}_days", "number", out, f"Time to {name}", "days", low=0))
        high = 1 if kind == "event" else 2
        found.append(c(f"{name}_{kind}", "integer", out, "0 censored, 1 event, 2 competing event", low=0, high=high))
    return tuple(found)


COLUMNS: tuple[Column, ...] = _columns()
_BY_NAME: dict[str, Column] = {c.name: c for c in reversed(COLUMNS)}
# The label and the endpoints may also come ready-made with a table from elsewhere; then they are checked like the rest.
_ALSO = {"clinical": ("onlm",), "predictions": tuple(c.name for c in COLUMNS if c.table == "derived")}
_PARTS = {"analysis": ("predictions", "clinical", "followup", "derived")}


def columns(table: str, *, extra_columns: Iterable[Column] = ()) -> dict[str, Column]:
    """The columns of "clinical", "followup", "annotations", "predictions" or "analysis", by name, in their order."""
    parts = _PARTS.get(table, (table,))
    found: dict[str, Column] = {}
    for column in COLUMNS:
        if column.table in parts or (column.table == "derived" and column.name in _ALSO.get(table, ())):
            found.setdefault(column.name, column)
    if not found:
        raise ValueError(f"'{table}' is not a table; known: clinical, followup, annotations, predictions, analysis.")
    return found | {c.name: c for c in extra_columns}


def column(name: str, *, extra_columns: Iterable[Column] = ()) -> Column | None:
    """A column by its name, or None where nobody declared it."""
    return {c.name: c for c in extra_columns}.get(name, _BY_NAME.get(name))


def declared(found: Mapping[str, Any] | Iterable[Column]) -> tuple[Column, ...]:
    """A study's own columns (`study.columns`: name -> type, timing, unit, allowed, low, high) as Columns.

    Raises:
        DataError: one of them takes a name that is already fixed; its timing must not be declared anew.
    """
    if not isinstance(found, Mapping):
        return tuple(found)
    taken = [name for name in found if name in _BY_NAME]
    if taken:
        raise DataError([f"study.toml: [columns.{name}] is a fixed column; take this section out." for name in taken])
    return tuple(
        Column(
            name=name, table="clinical", type=said.type, unit=said.unit, low=said.low, high=said.high,
            allowed=tuple(said.allowed), timing=said.timing, description=said.description or "declared in study.toml",
            required=True,
        )
        for name, said in found.items()
    )  # fmt: skip


def nearest(word: str, known: Iterable[str]) -> str:
    """The known word nearest to `word` (case does not count), or '' where none is near."""
    by_case = {k.lower(): k for k in known}
    near = difflib.get_close_matches(word.lower(), list(by_case), n=1, cutoff=0.5)
    return by_case[near[0]] if near else ""


# ---------------------------------------------------------------------------------------------------------- reading


def read_table(
    path: str | Path,
    *,
    table: str,
    missing_words: Sequence[str] = ("",),
    extra_columns: Iterable[Column] = (),
    defaults: Mapping[str, Any] | None = None,
) -> pd.DataFrame:
    """A CSV file as a checked table: rows in the file's order, columns in the file's order.

    Args:
        path: a CSV file, UTF-8 (with or without a byte-order mark), separated by commas, names in the first row.
        table: "clinical", "followup", "annotations", "predictions" or "analysis".
        missing_words: cells that mean "not known"; the empty cell always does. patient_id and centre are never read
            as missing words: a patient called "NA" stays.
        extra_columns: the study's own columns.
        defaults: value of a whole column, by name, for columns that the file may leave out.

    Raises:
        DataError: every fault of the file at once, a sentence each.
    """
    import pandas as pd

    path, extra = Path(path), tuple(extra_columns)
    known = columns(table, extra_columns=extra)
    header, records = _read_text(path)
    absent = {name: str(value) for name, value in (defaults or {}).items() if name not in header}
    if absent and header:
        header, records = [*header, *absent], [[*r, *absent.values()] for r in records]
    faults = _header_faults(header, known=known, file=path.name)
    if not records:
        faults.append(f"{path.name}: there is no row below the column names; wanted at least one patient.")
    width = len(header)
    ragged = [i + 2 for i, r in enumerate(records) if len(r) != width]
    if ragged:
        faults.append(
            f"{path.name}: {len(ragged)} of {len(records)} rows do not have the {width} cells that the first row has "
            f"(row {_few(ragged)}). A comma inside a text needs quotation marks around that text."
        )
    if faults and (ragged or len(set(header)) < width or not records):
        raise DataError(faults)
    words = {"", *missing_words}
    cells = {name: [r[i] for r in records] for i, name in enumerate(header) if name in known}
    data, bad = {}, {}
    for name, texts in cells.items():
        data[name], bad[name] = _parse(texts, column=known[name], words={""} if name in _VERBATIM else words)
    frame = pd.DataFrame(data)
    present = {k: c for k, c in known.items() if k in data}
    faults += _faults(frame, present, table=table, file=path.name, texts=cells, bad=bad)
    if faults:
        raise DataError(faults)
    return frame


_VERBATIM = ("patient_id", "centre")


def _read_text(path: Path) -> tuple[list[str], list[list[str]]]:
    """Header and records of a CSV file, all text; blank lines are no records."""
    if not path.is_file():
        raise DataError(
            [f"{path.name}: there is no such file. Put it into the study's folder, or name it under [data]."]
        )
    raw = path.read_bytes()
    if raw[:2] == b"PK" or raw[:4] == b"\xd0\xcf\x11\xe0":
        raise DataError([f"{path.name}: this is an Excel workbook; wanted text. Save it as 'CSV UTF-8'."])
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        row = raw[: error.start].count(b"\n") + 1
        raise DataError([f"{path.name}: line {row} is not UTF-8 text. Save the file as 'CSV UTF-8'."]) from None
    lines = list(csv.reader(io.StringIO(text, newline="")))
    while lines and not lines[-1]:
        lines.pop()
    if not lines:
        raise DataError([f"{path.name}: the file is empty; wanted column names in the first row."])
    if len(lines[0]) == 1 and ";" in lines[0][0]:
        raise DataError(
            [f"{path.name}: the columns are separated by ';'; wanted ','. Save it as 'CSV UTF-8' with commas."]
        )
    return lines[0], lines[1:]


def _header_faults(header: list[str], *, known: dict[str, Column], file: str) -> list[str]:
    """Unknown, doubled and missing column names."""
    faults = []
    for name in header:
        if name not in known:
            near = nearest(name, [k for k in known if k not in header])
            hint = f"did you mean '{near}'? Rename it" if near else "rename it"
            where = (
                f", or declare it in study.toml under [columns.{name.strip() or 'NAME'}]" if "risk" not in known else ""
            )
            faults.append(f"{file}: column '{_short(name)}' is not known; {hint}{where}.")
    for name in sorted({n for n in header if header.count(n) > 1}):
        faults.append(f"{file}: column '{name}' is there {header.count(name)} times; wanted once. Remove the others.")
    for name, wanted in known.items():
        if wanted.required and name not in header:
            faults.append(f"{file}: column '{name}' is missing ({wanted.description}). Add it.")
    return faults


def _parse(texts: list[str], *, column: Column, words: set[str]) -> tuple[list[Any], list[int]]:
    """Cells as values, and the positions of those that cannot be read. Each different text is parsed once."""
    missing = float("nan") if column.type in NUMERIC else None
    seen: dict[str, Any] = {}
    for text in set(texts):
        if text in words:
            seen[text] = missing
        elif column.type in ("number", "integer"):
            pattern = _INTEGER if column.type == "integer" else _NUMBER
            seen[text] = float(text) if pattern.fullmatch(text) else _BAD
        elif column.type == "boolean":
            seen[text] = {"0": 0.0, "1": 1.0}.get(text, _BAD)
        else:
            seen[text] = text if text == text.strip() else _BAD
    bad = [i for i, text in enumerate(texts) if seen[text] is _BAD]
    return [missing if seen[t] is _BAD else seen[t] for t in texts], bad


_BAD = object()


# --------------------------------------------------------------------------------------------------------- checking


def check(
    frame: pd.DataFrame, *, table: str, file: str = "table", extra_columns: Iterable[Column] = (), closed: bool = True
) -> pd.DataFrame:
    """The same table, once every rule holds: names, kinds, ranges, one row a key, and what columns say together.

    Args:
        frame: values as the module's first lines say; integers and bools of numpy are taken too.
        table: as in read_table.
        file: how messages call the table.
        closed: whether an undeclared column is a fault.

    Raises:
        DataError: every fault at once.
    """
    known = columns(table, extra_columns=extra_columns)
    names = [str(c) for c in frame.columns]
    faults = _header_faults(names if closed else [n for n in names if n in known], known=known, file=file)
    present = {name: c for name, c in known.items() if name in names}
    faults += _faults(frame.reset_index(drop=True), present, table=table, file=file, texts={}, bad={})
    if faults:
        raise DataError(faults)
    return frame


def _faults(
    frame: pd.DataFrame,
    present: dict[str, Column],
    *,
    table: str,
    file: str,
    texts: dict[str, list[str]],
    bad: dict[str, list[int]],
) -> list[str]:
    """Cell faults (through pandera), doubled keys and contradictions between columns, in the order of the columns."""
    import pandera.errors

    wrong = {name: set(bad.get(name, ())) for name in present}
    empty: dict[str, list[int]] = {}
    try:
        _pandera(tuple(present.values())).validate(frame, lazy=True)
    except pandera.errors.SchemaErrors as error:
        for name, test, position in error.failure_cases[["column", "check", "index"]].itertuples(index=False):
            if test == "not_nullable":
                if position not in wrong[name]:
                    empty.setdefault(name, []).append(int(position))
            else:
                wrong[name].add(int(position))
    ids = frame["patient_id"].tolist() if "patient_id" in frame else [None] * len(frame)
    faults = []
    for name, spec in present.items():
        if name in empty:
            rows = empty[name]
            faults.append(f"{file}: {name} is empty in {_count(rows, frame)} ({_where(rows, ids)}). Fill it.")
        if wrong[name]:
            shown = texts.get(name) or frame[name].tolist()
            faults.append(_cell_sentence(sorted(wrong[name]), spec, shown=shown, ids=ids, file=file))
    faults += _key_faults(frame, table=table, file=file, ids=ids)
    for rows, said in _contradictions(frame, table=table):
        faults.append(f"{file}: {said[0]} in {_count(rows, frame)} ({_where(rows, ids)}). {said[1]}")
    return faults


def _cell_sentence(rows: list[int], spec: Column, *, shown: list[Any], ids: list[Any], file: str) -> str:
    """One sentence for all wrong cells of a column, the nearest allowed word offered."""
    parts = []
    for row in rows[:5]:
        value = shown[row]
        near = nearest(str(value), spec.allowed)
        hint = f"; did you mean '{near}'?" if near else ""
        if isinstance(value, str) and value != value.strip():
            hint = "; a blank before or after it"
        elif isinstance(value, str) and spec.type == "number" and re.fullmatch(r"[+-]?\d+,\d+", value):
            hint = f"; did you mean '{value.replace(',', '.')}'?"
        text = value if isinstance(value, str) else f"{value:g}" if isinstance(value, int | float) else str(value)
        where = f"{ids[row]}" if ids[row] is not None and spec.name != "patient_id" else ""
        inside = (where + hint).removeprefix("; ")
        parts.append(f"'{_short(text)}' in row {row + 2}" + (f" ({inside})" if inside else ""))
    more = f" and {len(rows) - 5} more" if len(rows) > 5 else ""
    cells = "1 cell holds" if len(rows) == 1 else f"{len(rows)} cells hold"
    wanted = spec.wanted if spec.type != "text" else "text without blanks at its ends"
    return (
        f"{file}: {spec.name} must be {wanted}; {cells} something else: {', '.join(parts)}{more}. "
        f"Correct {'it' if len(rows) == 1 else 'them'}{'' if spec.filled else ', or leave the cell empty'}."
    )


def _key_faults(frame: pd.DataFrame, *, table: str, file: str, ids: list[Any]) -> list[str]:
    """Rows that share their key."""
    key = [k for k in KEYS[table] if k in frame]
    if len(key) < len(KEYS[table]):
        return []
    doubled = frame[frame.duplicated(key, keep=False) & frame["patient_id"].notna()]
    if doubled.empty:
        return []
    first = [
        f"{group['patient_id'].iloc[0]}: rows {', '.join(str(i + 2) for i in group.index)}"
        for _, group in list(doubled.groupby(key, sort=False))[:5]
    ]
    n = len(doubled.drop_duplicates(key))
    one = "patient" if len(key) == 1 else f"combination of {', '.join(key)}"
    return [
        f"{file}: wanted one row a {one}; {n} {'has' if n == 1 else 'have'} more ({'; '.join(first)}). "
        "Keep one row of each, or give different identifiers."
    ]


def check_known_patients(
    frame: pd.DataFrame, *, patients: Iterable[str], file: str, of: str = "clinical.csv"
) -> list[str]:
    """A fault for rows whose patient is not in the clinical table; no fault, no sentence."""
    known = set(patients)
    rows = [i for i, p in enumerate(frame["patient_id"]) if p is not None and p not in known]
    if not rows:
        return []
    near = nearest(str(frame["patient_id"].iloc[rows[0]]), known)
    hint = f"Did you mean '{near}'? " if near else ""
    where = _where(rows, frame["patient_id"].tolist())
    return [
        f"{file}: {_count(rows, frame)} belong to a patient who is not in {of} ({where}). {hint}"
        "Correct the id or add the patient."
    ]


def _contradictions(frame: pd.DataFrame, *, table: str) -> list[tuple[list[int], tuple[str, str]]]:
    """Rows in which two columns cannot both be right, with what is said of them."""
    import numpy as np
    import pandas as pd

    def of(name: str) -> pd.Series:
        spec = _BY_NAME[name]
        if name not in frame:
            return pd.Series(
                np.nan if spec.type in NUMERIC else None,
                index=frame.index,
                dtype=object if spec.type not in NUMERIC else float,
            )
        return pd.to_numeric(frame[name], errors="coerce") if spec.type in NUMERIC else frame[name]

    found: list[tuple[pd.Series, str, str]] = []
    if table in ("clinical", "analysis"):
        solid, total = of("solid_diameter_mm"), of("total_diameter_mm")
        found += [
            (solid > total, "solid_diameter_mm is above total_diameter_mm", "Wanted solid at most total."),
            ((of("nodule_type") == "pure_ggo") & (solid > 0), "a pure_ggo has a solid_diameter_mm above 0",
             "Correct nodule_type, or the diameter."),
            ((of("treatment") == "sbrt") & of("pathological_n").notna(), "an SBRT patient has a pathological_n",
             "SBRT has no pathological N: leave it empty, or correct treatment."),
            (of("pathological_n").isin(["N1", "N2", "N3"]) & (of("nodes_examined") == 0),
             "pathological_n is N1-N3 but nodes_examined is 0", "Correct one of them."),
            ((of("invasive_staging_done") == 0) & (of("invasive_staging_positive") == 1),
             "invasive_staging_positive is 1 but invasive_staging_done is 0", "Correct one of them."),
            ((of("smoking") == "never") & (of("pack_years") > 0), "smoking is never but pack_years is above 0",
             "Correct one of them."),
            ((of("adjuvant") == 0) & of("adjuvant_start_days").notna(), "adjuvant is 0 but has adjuvant_start_days",
             "Correct one of them."),
        ]  # fmt: skip
    if table == "followup":
        found += _followup_contradictions(of)
    if table in ("predictions", "analysis"):
        found.append((of("risk_low") > of("risk_high"), "risk_low is above risk_high", "Wanted low at most high."))
    hits = [(np.flatnonzero(where.to_numpy(dtype=bool)).tolist(), (what, do)) for where, what, do in found]
    return [(rows, said) for rows, said in hits if rows]


def _followup_contradictions(of: Any) -> list[tuple[Any, str, str]]:
    """What the columns of followup.csv say together."""
    last, died, recurred, recurrence = of("followup_days"), of("died"), of("recurred"), of("recurrence_days")
    earliest = of("local_days").combine(of("regional_days"), _least).combine(of("distant_days"), _least)
    order, fix = "Wanted recurrence_days at most followup_days.", "Correct one of them."
    rest = of("recurrence_site").notna() | earliest.notna()
    found = [
        ((recurrence > last) & (died == 1), "recurrence comes after death", order),
        ((recurrence > last) & (died != 1), "recurrence comes after the last contact", order),
        ((died == 1) & last.isna(), "died is 1 but followup_days (the day of death) is empty", "Fill it."),
        ((recurred == 1) & recurrence.isna(), "recurred is 1 but recurrence_days is empty", "Fill it."),
        ((recurred != 1) & recurrence.notna(), "recurrence_days is given but recurred is not 1", fix),
        ((recurred != 1) & rest, "a site or day of recurrence is given but recurred is not 1", "Correct one of them."),
        ((died != 1) & of("death_cause").notna(), "death_cause is given but died is not 1", "Correct one of them."),
        (of("last_imaging_days") > last, "last_imaging_days is after followup_days", "Wanted at most followup_days."),
        (earliest < recurrence, "a local, regional or distant day lies before recurrence_days (the first recurrence)",
         "Correct one of them."),
        (of("recurrence_site").map(_bad_site),
         "recurrence_site is not any of local, regional, distant joined by ';', or unknown",
         "Write it so, such as 'regional;distant'."),
    ]  # fmt: skip
    for site in SITES:
        days = of(f"{site}_days")
        found.append((days > last, f"{site}_days is after followup_days", "Wanted at most followup_days."))
    return found


def _least(a: float, b: float) -> float:
    return b if a != a else a if b != b else min(a, b)


def _bad_site(text: object) -> bool:
    if not isinstance(text, str) or text == "unknown":
        return False
    parts = text.split(";")
    return len(set(parts)) < len(parts) or not set(parts) <= set(SITES)


def _count(rows: list[int], frame: pd.DataFrame) -> str:
    return f"{len(rows)} of {len(frame)} rows"


def _where(rows: list[int], ids: list[Any]) -> str:
    named = [f"row {r + 2}" + (f" {ids[r]}" if ids[r] is not None else "") for r in rows[:5]]
    return ", ".join(named) + (f" and {len(rows) - 5} more" if len(rows) > 5 else "")


def _few(rows: list[int]) -> str:
    return ", ".join(map(str, rows[:5])) + (f" and {len(rows) - 5} more" if len(rows) > 5 else "")


def _short(text: str) -> str:
    return text if len(text) <= 40 else text[:37] + "..."


# ---------------------------------------------------------------------------------------------------------- pandera


@functools.lru_cache(maxsize=32)
def _pandera(specs: tuple[Column, ...], strict: bool = False) -> Any:
    """A pandera schema of these columns; no coercion: a label of 2 is a fault, not True."""
    import pandera.pandas as pa

    return pa.DataFrameSchema(
        {
            c.name: pa.Column(
                checks=pa.Check(functools.partial(_fits, spec=c), name=c.wanted, error=c.wanted),
                nullable=not c.filled,
                required=c.required,
                description=c.description,
            )
            for c in specs
        },
        strict=strict,
    )


def _fits(series: pd.Series, *, spec: Column) -> pd.Series:
    """Whether each (known) cell holds what the column wants."""
    import pandas as pd

    if spec.type in NUMERIC:
        if not pd.api.types.is_numeric_dtype(series) and not pd.api.types.is_bool_dtype(series):
            return series.map(lambda v: False if isinstance(v, str) else _fits(pd.Series([v]), spec=spec).iloc[0])
        values = series.astype(float)
        good = values.abs() < float("inf")
        if spec.type == "integer":
            good &= values % 1 == 0
        if spec.type == "boolean":
            good &= values.isin([0.0, 1.0])
        if spec.low is not None:
            good &= values >= spec.low
        if spec.high is not None:
            good &= values <= spec.high
        return good
    good = series.map(lambda v: isinstance(v, str) and v == v.strip() and v != "").astype(bool)
    return good & series.isin(spec.allowed) if spec.allowed else good


_SCHEMAS = {
    "PatientRows": "clinical",
    "FollowupRows": "followup",
    "AnnotationRows": "annotations",
    "Predictions": "predictions",
    "AnalysisRows": "analysis",
}


def __getattr__(name: str) -> Any:
    """The pandera schemas, built when first asked for: pandera takes half a second to import."""
    if name in _SCHEMAS:
        return _pandera(tuple(columns(_SCHEMAS[name]).values()))
    raise AttributeError(f"module 'onlm_lab.schema' has no attribute '{name}'")


# ---------------------------------------------------------------------------------------------------------- writing


def write_table(frame: pd.DataFrame, path: str | Path, *, extra_columns: Iterable[Column] = ()) -> Path:
    """Write a CSV whole or not at all, and the same bytes for the same table.

    Floats by repr, booleans and whole-number columns without a point, missing cells empty, newline "\\n".
    """
    path, text = Path(path), table_text(frame, extra_columns=extra_columns)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("w", encoding="utf-8", newline="") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return path


def table_text(frame: pd.DataFrame, *, extra_columns: Iterable[Column] = ()) -> str:
    """The CSV text that write_table writes; its SHA-256 identifies the table."""
    extra = tuple(extra_columns)
    cells = [_texts(frame[name], spec=column(str(name), extra_columns=extra)) for name in frame.columns]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([str(c) for c in frame.columns])
    writer.writerows(zip(*cells, strict=True))
    return text.getvalue()


def _texts(series: pd.Series, *, spec: Column | None) -> list[str]:
    """The cells of one column as text."""
    import pandas as pd

    whole = spec is not None and spec.type in ("integer", "boolean")
    return ["" if value is None or pd.isna(value) else _text(value, whole=whole) for value in series.tolist()]


def _text(value: Any, *, whole: bool) -> str:
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, float):
        return str(int(value)) if whole and value.is_integer() else repr(value)
    return str(value)
