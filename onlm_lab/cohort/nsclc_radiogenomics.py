"""The public NSCLC Radiogenomics table in our columns, with a report of what could not be mapped.

Bakr et al., Sci Data 2018;5:180202, doi:10.1038/sdata.2018.202; Gevaert et al., Radiology 2012;264:387; data:
doi:10.7937/K9/TCIA.2017.7hs46erv, CC BY 3.0. The table has no clinical N, T or size: pathological N stands alone, so
the label is a surrogate; histology comes from the resection, so a model that uses it is partly post-operative.
Time zero is the day of surgery: the day of the CT plus the days between CT and surgery.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from onlm_lab import schema
from onlm_lab.cohort.table import Cohort, build_cohort
from onlm_lab.errors import DataError
from onlm_lab.schema import Column

CITATION = "NSCLC Radiogenomics, CC BY 3.0, doi:10.7937/K9/TCIA.2017.7hs46erv; Bakr et al., Sci Data 2018;5:180202"
MISSING = ("", "N/A", "Not Collected", "Not collected", "Not Recorded In Database", "Not Assessed", "Unknown")
GRADES = {
    "G1 Well differentiated": "G1", "Other, Type I: Well to moderately differentiated": "G1-G2",
    "G2 Moderately differentiated": "G2", "Other, Type II: Moderately to poorly differentiated": "G2-G3",
    "G3 Poorly differentiated": "G3",
}  # fmt: skip
_GROUND_GLASS = {
    "0%": "0%", ">0 - 25%": "0-25%", "25 - 50%": "25-50%", "50 - 75%": "50-75%", "75 - < 100%": "75-100%",
    "100%": "100%",
}  # fmt: skip
_YES_NO = {"Yes": 1.0, "No": 0.0, "yes": 1.0, "no": 0.0}
_MUTATION = {"Wildtype": 0.0, "Mutant": 1.0, "Translocated": 1.0}
_GG = "%GG"
# raw column -> (our column, raw word -> our value)
WORDS: dict[str, tuple[str, dict[str, object]]] = {
    "Patient affiliation": ("centre", {"Stanford": "Stanford", "VA": "VA"}),
    "Gender": ("sex", {"Male": "male", "Female": "female"}),
    "Smoking status": ("smoking", {"Nonsmoker": "never", "Former": "former", "Current": "current"}),
    "Histology": (
        "histology",
        {"Adenocarcinoma": "adenocarcinoma", "Squamous cell carcinoma": "squamous",
         "NSCLC NOS (not otherwise specified)": "other_nsclc"},
    ),
    "Pathological N stage": ("pathological_n", {n: n for n in schema.N_STAGES}),
    "Adjuvant Treatment": ("adjuvant", _YES_NO),
    _GG: ("ground_glass", _GROUND_GLASS),
    "Pathological T stage": ("pathological_t", {t: t for t in schema.T_STAGES}),
    "Pathological M stage": ("pathological_m", {m: m for m in ("M0", "M1a", "M1b", "M1")}),
    "Histopathological Grade": ("grade", GRADES),
    "Lymphovascular invasion": ("lvi", {"Absent": 0.0, "Present": 1.0}),
    "Pleural invasion (elastic, visceral, or parietal)": ("pleural_invasion", _YES_NO),
    "EGFR mutation status": ("egfr_mutated", _MUTATION),
    "KRAS mutation status": ("kras_mutated", _MUTATION),
    "ALK translocation status": ("alk_translocated", _MUTATION),
    "Chemotherapy": ("chemotherapy", _YES_NO),
    "Radiation": ("radiation", _YES_NO),
}  # fmt: skip
NUMBERS = {
    "Age at Histological Diagnosis": "age_years", "Pack Years": "pack_years", "Weight (lbs)": "weight_lb",
    "Days between CT and surgery": "ct_to_treatment_days",
}  # fmt: skip
LOBES = {"RUL": "RUL", "RML": "RML", "RLL": "RLL", "LUL": "LUL", "LLL": "LLL", "L Lingula": "LUL"}
_FOLLOWUP = (
    "Recurrence", "Recurrence Location", "Date of Recurrence", "Date of Last Known Alive", "Survival Status",
    "Date of Death", "Time to Death (days)", "CT Date", "PET Date",
)  # fmt: skip
_NO_PLACE = {
    "Ethnicity": "no column of ours",
    "Quit Smoking Year": "calendar years, but dates in this table are shifted",
}


def _extra() -> tuple[Column, ...]:
    """What this table has beyond our columns; all but ground glass and weight is known only from the resection."""
    mutation = {"type": "boolean", "timing": "post_treatment"}
    said = {
        "ground_glass": {"type": "category", "timing": "pre_treatment", "allowed": tuple(_GROUND_GLASS.values()),
                         "description": "Share of ground glass as read on the CT"},
        "weight_lb": {"type": "number", "timing": "pre_treatment", "unit": "lb", "low": 0, "description": "Weight"},
        "pathological_t": {"type": "category", "timing": "post_treatment", "allowed": schema.T_STAGES,
                           "description": "Pathological T"},
        "pathological_m": {"type": "category", "timing": "post_treatment", "allowed": ("M0", "M1", "M1a", "M1b"),
                           "description": "Pathological M"},
        "grade": {"type": "category", "timing": "post_treatment", "allowed": tuple(GRADES.values()),
                  "description": "Histopathological grade"},
        "lvi": {"type": "boolean", "timing": "post_treatment", "description": "Lymphovascular invasion"},
        "pleural_invasion": {"type": "boolean", "timing": "post_treatment", "description": "Pleural invasion"},
        "egfr_mutated": {**mutation, "description": "EGFR mutation (tissue of the resection)"},
        "kras_mutated": {**mutation, "description": "KRAS mutation (tissue of the resection)"},
        "alk_translocated": {**mutation, "description": "ALK translocation (tissue of the resection)"},
        "chemotherapy": {**mutation, "description": "Adjuvant chemotherapy"},
        "radiation": {**mutation, "description": "Adjuvant radiotherapy"},
    }  # fmt: skip
    return tuple(Column(name=name, table="clinical", **values) for name, values in said.items())


EXTRA_COLUMNS = _extra()


@dataclass(frozen=True, eq=False)
class Radiogenomics:
    """The table, read.

    Attributes:
        cohort: all patients; the label is a surrogate.
        unmapped: column, value, count, why: everything that did not reach our columns as it stood.
        inconsistent: patient_id, what, done: contradictions inside the table and what was made of each.
    """

    cohort: Cohort
    unmapped: pd.DataFrame
    inconsistent: pd.DataFrame


def read(path: str | Path) -> Radiogenomics:
    """The public table as a cohort, with the two reports.

    Args:
        path: the CSV file, or the folder that holds it alone.

    Raises:
        DataError: the file or one of its columns is missing, a number or a date cannot be read, a patient is there
            twice.
    """
    raw = _raw(Path(path))
    notes: list[tuple[str, str, str]] = []
    clinical = _clinical(raw, notes=notes)
    followup = _followup(raw, notes=notes)
    schema.check(clinical, table="clinical", file="NSCLC Radiogenomics", extra_columns=EXTRA_COLUMNS)
    schema.check(followup, table="followup", file="NSCLC Radiogenomics")
    cohort = build_cohort(
        clinical, followup=followup, source="NSCLC Radiogenomics", extra_columns=EXTRA_COLUMNS, surrogate=True
    )
    inconsistent = pd.DataFrame(notes, columns=["patient_id", "what", "done"]).sort_values(
        ["patient_id", "what"], ignore_index=True
    )
    return Radiogenomics(cohort, _unmapped(raw), inconsistent)


def _raw(path: Path) -> pd.DataFrame:
    """The cells as text, names without outer blanks, the first column called patient_id."""
    if path.is_dir():
        found = sorted(path.glob("*.csv"))
        if len(found) != 1:
            raise DataError([f"{path.name}: wanted one CSV file in this folder, found {len(found)}. Name the file."])
        path = found[0]
    if not path.is_file():
        raise DataError([f"{path.name}: there is no such file. Name the clinical table of NSCLC Radiogenomics."])
    with path.open(encoding="utf-8-sig", newline="") as stream:
        header, *records = list(csv.reader(stream))
    names = [name.strip() for name in header]
    names[0] = "patient_id"
    wanted = [*WORDS, *NUMBERS, *_FOLLOWUP, *(f"Tumor Location (choice={lobe})" for lobe in LOBES)]
    absent = [name for name in wanted if name not in names]
    if absent:
        raise DataError(
            [f"{path.name}: {len(absent)} columns of NSCLC Radiogenomics are missing ({', '.join(absent[:5])})."]
        )
    raw = pd.DataFrame([[cell.strip() for cell in record] for record in records if record], columns=names)
    doubled = raw.loc[raw["patient_id"].duplicated(), "patient_id"]
    if len(doubled):
        raise DataError([f"{path.name}: wanted one row a patient; {', '.join(doubled[:5])} are there twice."])
    return raw


def _clinical(raw: pd.DataFrame, *, notes: list[tuple[str, str, str]]) -> pd.DataFrame:
    table = pd.DataFrame({"patient_id": raw["patient_id"]})
    kinds = {c.name: c.type for c in (*schema.columns("clinical").values(), *EXTRA_COLUMNS)}
    for column, (name, words) in WORDS.items():
        mapped = raw[column].map(words)
        table[name] = mapped.astype(float) if kinds[name] in schema.NUMERIC else mapped.astype(object)
    for column, name in NUMBERS.items():
        table[name] = _numbers(raw, column)
    table.loc[table["smoking"] == "never", "pack_years"] = 0.0
    table["nodule_type"] = table["ground_glass"].map({"0%": "solid", "100%": "pure_ggo"})
    between = table["ground_glass"].notna() & table["nodule_type"].isna()
    table.loc[between, "nodule_type"] = "part_solid"
    table["lobe"] = _lobe(raw)
    table["nsclc_confirmed"] = table["histology"].notna().astype(float).replace(0.0, np.nan)
    table["histology_source"] = pd.Series(np.where(table["histology"].notna(), "resection", None), dtype=object)
    pet = (_dates(raw, "PET Date") - _surgery(raw)).dt.days
    table["pet_ct_done"] = pd.Series(np.where(pet <= 0, 1.0, np.nan))
    _note(notes, raw, pet > 0, "PET after surgery", "not counted as PET/CT before treatment")
    _note(
        notes, raw, table["ct_to_treatment_days"] > 90, "CT more than 90 days before surgery", "kept; days in the table"
    )
    _note(notes, raw, table["weight_lb"] < 60, "weight below 60 lb", "kept as it stands; no model uses it")
    texts = [c for c in table if kinds[c] not in schema.NUMERIC]
    table[texts] = table[texts].where(table[texts].notna(), None)
    return table


def _lobe(raw: pd.DataFrame) -> pd.Series:
    """The lobe of the seven Checked/Unchecked columns; None where none or several are checked."""
    checked = pd.DataFrame({lobe: raw[f"Tumor Location (choice={lobe})"] == "Checked" for lobe in LOBES})
    one = checked.sum(axis=1) == 1
    return checked.idxmax(axis=1).map(LOBES).astype(object).where(one, None)


def _followup(raw: pd.DataFrame, *, notes: list[tuple[str, str, str]]) -> pd.DataFrame:
    """Days from surgery; what contradicts itself is left out or moved, and each time noted."""
    zero = _surgery(raw)
    last = (_dates(raw, "Date of Last Known Alive") - zero).dt.days.astype(float)
    death = (_dates(raw, "Date of Death") - zero).dt.days.astype(float)
    recurrence = (_dates(raw, "Date of Recurrence") - zero).dt.days.astype(float)
    died = raw["Survival Status"].map({"Dead": 1.0, "Alive": 0.0})
    recurred = raw["Recurrence"].map(_YES_NO)
    site = raw["Recurrence Location"].where(raw["Recurrence Location"].isin(schema.SITES)).astype(object)
    end = last.where(died != 1, death)

    stated = _numbers(raw, "Time to Death (days)")
    differs = (died == 1) & (stated != death) & (death >= 0)
    alive = differs & (stated == last)
    _note(notes, raw, alive, "time to death is the day last known alive, not the day of death", "day of death used")
    _note(notes, raw, differs & ~alive, "time to death is not the day of death", "day of death used")
    before = (end < 0) & died.notna()
    _note(notes, raw, before, "death or last contact before surgery", "survival and its day left out")
    early = (recurred == 1) & (recurrence < 0)
    _note(notes, raw, early, "recurrence before surgery", "recurrence, its day and site left out")
    undated = (recurred == 1) & recurrence.isna()
    _note(notes, raw, undated, "recurrence without a day", "recurrence, its day and site left out")
    drop = early | undated
    recurred, recurrence, site = recurred.mask(drop), recurrence.mask(drop), site.mask(drop)
    late = (recurrence > end) & (died == 0)
    _note(notes, raw, late, "recurrence after the day last known alive", "last contact moved to the day of recurrence")
    end = end.mask(late, recurrence)
    after = (recurrence > end) & (died == 1)
    _note(notes, raw, after, "recurrence after death", "survival and its day left out")
    died, end = died.mask(before | after), end.mask(before | after)
    return pd.DataFrame(
        {"patient_id": raw["patient_id"], "followup_days": end, "died": died, "recurred": recurred,
         "recurrence_days": recurrence.where(recurred == 1),
         "recurrence_site": site.where((recurred == 1) & site.notna(), None)}
    )  # fmt: skip


def _surgery(raw: pd.DataFrame) -> pd.Series:
    return _dates(raw, "CT Date") + pd.to_timedelta(_numbers(raw, "Days between CT and surgery"), unit="D")


def _dates(raw: pd.DataFrame, column: str) -> pd.Series:
    """Dates written m/d/yyyy. Messages never show one."""
    texts = raw[column].where(~raw[column].isin(MISSING))
    found = pd.to_datetime(texts, format="%m/%d/%Y", errors="coerce")
    _unreadable(raw, texts.notna() & found.isna(), column, "a date m/d/yyyy")
    return found


def _numbers(raw: pd.DataFrame, column: str) -> pd.Series:
    texts = raw[column].where(~raw[column].isin(MISSING))
    found = pd.to_numeric(texts, errors="coerce").astype(float)
    _unreadable(raw, texts.notna() & found.isna(), column, "a number")
    return found


def _unreadable(raw: pd.DataFrame, bad: pd.Series, column: str, wanted: str) -> None:
    if bad.any():
        ids = ", ".join(raw.loc[bad, "patient_id"].head(5))
        raise DataError(
            [f"NSCLC Radiogenomics: {column} must be {wanted}; {bad.sum()} cells are not ({ids}). Correct them."]
        )


def _note(notes: list[tuple[str, str, str]], raw: pd.DataFrame, where: pd.Series, what: str, done: str) -> None:
    notes += [(patient, what, done) for patient in raw.loc[where.fillna(False).astype(bool), "patient_id"]]


def _unmapped(raw: pd.DataFrame) -> pd.DataFrame:
    """Everything that did not reach our columns as it stood."""
    rows: list[tuple[str, str, int, str]] = []
    for column, (name, words) in WORDS.items():
        for value, count in raw[column].value_counts().sort_index().items():
            if value in MISSING:
                rows.append((column, value, count, f"not known: {name} left empty"))
            elif value not in words:
                rows.append((column, value, count, f"no such word in {name}: left empty"))
    never = raw["Smoking status"] == "Nonsmoker"
    for column, name in NUMBERS.items():
        absent = raw[column].isin(MISSING)
        if column == "Pack Years" and (absent & never).any():
            rows.append((column, "N/A", int((absent & never).sum()), "never smokers: pack_years 0"))
            absent &= ~never
        for value, count in raw.loc[absent, column].value_counts().sort_index().items():
            rows.append((column, value, count, f"not known: {name} left empty"))
    lingula = int((raw["Tumor Location (choice=L Lingula)"] == "Checked").sum())
    rows.append(("Tumor Location (choice=L Lingula)", "Checked", lingula, "the lingula is part of the LUL"))
    rows.append(("Histology", "(all)", len(raw), "comes from the resection: histology_source resection"))
    for column in ("Recurrence", "PET Date"):
        count = int(raw[column].isin(MISSING).sum())
        rows.append((column, "not collected", count, "not known: left empty"))
    rows += [(column, "(all)", len(raw), why) for column, why in _NO_PLACE.items() if column in raw]
    for name, why in (
        ("clinical T, N, M", "absent from the table: the label rests on pathological N alone (surrogate)"),
        ("tumour size", "absent from the table"),
        ("extent of surgery", "absent from the table: treatment left empty"),
        ("cause of death", "absent from the table: cancer_death is missing for the dead"),
        ("treatment_year", "dates are shifted: left empty"),
    ):
        rows.append((name, "(all)", len(raw), why))
    return pd.DataFrame(rows, columns=["column", "value", "count", "why"])


SURROGATE_RULES = (
    ("pathological_n_known", lambda p: p["pathological_n"].isin(["N0", "N1", "N2", "N3"])),
    ("pt1a_to_pt2a", lambda p: p["pathological_t"].isin(["T1a", "T1b", "T2a"])),
    ("pathological_m0", lambda p: p["pathological_m"] == "M0"),
)


def surrogate_cohort(table: Radiogenomics) -> Cohort:
    """The patients with pT1a-T2a, M0 and a known pathological N: the nearest to clinical stage I in this table."""
    patients = table.cohort.patients
    for _, rule in SURROGATE_RULES:
        patients = patients[rule(patients)]
    clinical, followup = _as_files(patients)
    return build_cohort(
        clinical, followup=followup, source="NSCLC Radiogenomics, pT1a-T2a M0 with pN",
        extra_columns=EXTRA_COLUMNS, surrogate=True,
    )  # fmt: skip


def surrogate_flow(table: Radiogenomics) -> pd.DataFrame:
    """How the surrogate cohort came about, as a Screening's flow; and of those left how many N0, N1 and N2."""
    patients = table.cohort.patients
    rows = []
    for centre in ["all", *sorted(patients["centre"].unique())]:
        left = patients if centre == "all" else patients[patients["centre"] == centre]
        for name, rule in SURROGATE_RULES:
            kept = left[rule(left)]
            stages = [int((kept["pathological_n"] == stage).sum()) for stage in ("N0", "N1", "N2")]
            rows.append((centre, name, len(left), len(left) - len(kept), 0, len(kept), *stages))
            left = kept
    counted = ["n_in", "n_excluded", "n_undetermined", "n_left", "n_n0", "n_n1", "n_n2"]
    return pd.DataFrame(rows, columns=["centre", "rule", *counted])


def _as_files(patients: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The columns of clinical.csv and of followup.csv again, without those that are wholly empty."""
    rows = patients.reset_index(drop=True)
    clinical = rows[[*(c.name for c in schema.COLUMNS if c.table == "clinical"), *(c.name for c in EXTRA_COLUMNS)]]
    names = [c.name for c in schema.COLUMNS if c.table == "followup"]
    recorded = {f"recorded_{n}": n for n in names if f"recorded_{n}" in rows}
    followup = rows.drop(columns=list(recorded.values())).rename(columns=recorded)[names]
    return clinical.dropna(axis=1, how="all"), followup.dropna(axis=1, how="all")


def write_study(path: str | Path, folder: str | Path) -> Path:
    """A study folder of the surrogate cohort, ready for `onlm run`; no CT.

    study.toml, clinical.csv, followup.csv, and the reports unmapped.csv, inconsistent.csv and surrogate_flow.csv.

    Args:
        path: the public table.
        folder: where the study is written; files of these names there are replaced.
    """
    from onlm_lab.study import starter_toml

    table, folder = read(path), Path(folder)
    cohort = surrogate_cohort(table)
    clinical, followup = _as_files(cohort.patients)
    columns = {
        c.name: {"type": c.type, "timing": c.timing, "unit": c.unit, "allowed": list(c.allowed),
                 "description": c.description}
        for c in EXTRA_COLUMNS if c.name in clinical
    }  # fmt: skip
    sections = {
        "study": {"licence": CITATION},
        "data": {"annotations": "", "ct": ""},
        "label": {"surrogate": True},
        "protocol": {"name": "surrogate: pT1a-T2a, M0, pN known", "rules": ["nsclc_confirmed", "adult"]},
        "training": {
            "models": ["clinical"],
            "predictors": ["age_years", "sex", "smoking", "pack_years", "lobe", "nodule_type", "histology"],
        },
        "analysis": {
            "primary_model": "clinical",
            "subgroups": ["sex", "age_years", "smoking", "nodule_type", "centre"],
        },
        "columns": columns,
    }
    files = {
        "clinical.csv": clinical, "followup.csv": followup, "unmapped.csv": table.unmapped,
        "inconsistent.csv": table.inconsistent, "surrogate_flow.csv": surrogate_flow(table),
    }  # fmt: skip
    for name, frame in files.items():
        schema.write_table(frame, folder / name, extra_columns=EXTRA_COLUMNS)
    text = starter_toml(name="NSCLC Radiogenomics (surrogate)", sections=sections)
    (folder / "study.toml").write_text(text, encoding="utf-8")
    return folder
