"""The NSCLC Radiogenomics table as a cohort, the surrogate of clinical stage I in it, and a study of that."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from onlm_lab import schema
from onlm_lab.cohort import public_file, public_study
from onlm_lab.cohort import public_table as public
from onlm_lab.cohort.nsclc_radiogenomics.words import (
    CITATION,
    EXTRA_COLUMNS,
    FOLLOWUP,
    IDENTIFIERS,
    LOBE_COLUMNS,
    LOBES,
    MISSING,
    N_PATIENTS,
    NO_PLACE,
    NODULE_TYPES,
    NUMBERS,
    REMARKS,
    SOURCE,
    WORDS,
    YES_NO,
)
from onlm_lab.cohort.public_table import Findings, PublicTable, note
from onlm_lab.cohort.table import Cohort
from onlm_lab.errors import DataError

_KIND = "the clinical table of NSCLC Radiogenomics (doi:10.7937/K9/TCIA.2017.7hs46erv)"
_CENTRE = "Patient affiliation"
SURROGATE_RULES: public_study.Rules = (
    ("pathological_n_known", lambda p: p["pathological_n"].isin(public_study.CLASSES_OF_N)),
    ("pt1a_to_pt2a", lambda p: p["pathological_t"].isin(["T1a", "T1b", "T2a"])),
    ("pathological_m0", lambda p: p["pathological_m"] == "M0"),
)


def read(path: str | Path) -> PublicTable:
    """The public table as a cohort, with the two reports.

    Args:
        path: the CSV or XLSX file, or the folder that holds one CSV file.

    Raises:
        DataError: all faults at once: the file or columns are missing, a number or a date cannot be read, a patient is
            there twice.
    """
    findings = Findings(SOURCE)
    raw = _raw(Path(path), findings=findings)
    clinical = _clinical(raw, findings=findings)
    followup = _followup(raw, findings=findings)
    for column, why in REMARKS:
        findings.unmapped.append((column, "(all)", len(raw), why))
    if len(raw) != N_PATIENTS:
        findings.unmapped.append(("patients", "(all)", len(raw), f"the published table has {N_PATIENTS}"))
    return public.as_public_table(clinical, followup=followup, extra_columns=EXTRA_COLUMNS, findings=findings)


def _raw(path: Path, *, findings: Findings) -> pd.DataFrame:
    """The cells as text; the identifier, whatever it is called, is patient_id."""
    if path.is_dir():
        found = sorted(path.glob("*.csv"))
        if len(found) != 1:
            raise DataError([f"{path.name}: wanted one CSV file in this folder, found {len(found)}. Name the file."])
        path = found[0]
    rows = public_file.read_cells(path, wanted=_KIND)
    identifier = IDENTIFIERS[0]
    names = [identifier if name in IDENTIFIERS else name for name in rows[0]]
    wanted = [identifier, _CENTRE, *WORDS, *NUMBERS, *FOLLOWUP, *LOBE_COLUMNS]
    raw = public_file.as_table(
        names, rows[1:], file=path.name, first_row=2, wanted=wanted, kind=_KIND, findings=findings
    )  # fmt: skip
    raw = raw.rename(columns={identifier: "patient_id"})
    public.check_patients(raw, file=path.name, findings=findings)
    findings.stop_at_faults()
    for name in raw.columns:
        if name not in wanted and name != "patient_id":
            findings.unmapped.append((name, "(all)", len(raw), NO_PLACE.get(name, "no column of ours")))
    return raw


def _clinical(raw: pd.DataFrame, *, findings: Findings) -> pd.DataFrame:
    data = {"patient_id": raw["patient_id"], "centre": _centre(raw, findings=findings)}
    for column, (name, words) in WORDS.items():
        data[name] = public.map_words(raw, column, to=name, words=words, missing=MISSING, findings=findings)
    for column, name in NUMBERS.items():
        to = "" if name == "pack_years" else name
        data[name] = public.read_numbers(raw, column, missing=MISSING, findings=findings, to=to)
    data["pack_years"] = public.never_smoked_nothing(
        raw, data["pack_years"], column="Pack Years", never=data["smoking"] == "never", findings=findings
    )
    data["nodule_type"] = _nodule_type(data["ground_glass"])
    data["lobe"] = _lobe(raw, findings=findings)
    known = data["histology"].notna()
    data["nsclc_confirmed"] = known.astype(float).where(known)
    data["histology_source"] = pd.Series(np.where(known, "resection", None), dtype=object)
    pet = (_dates(raw, "PET Date", findings=findings) - _surgery(raw, findings=Findings(SOURCE))).dt.days
    data["pet_ct_done"] = pd.Series(np.where(pet <= 0, 1.0, np.nan))
    findings.unmapped.append(("PET Date", "(missing)", int(pet.isna().sum()), "not known: pet_ct_done left empty"))
    note(raw, pet > 0, "PET after surgery", "not counted as PET/CT before treatment", findings=findings)
    days = data["ct_to_treatment_days"]
    note(raw, days > 90, "CT more than 90 days before surgery", "kept; days in the table", findings=findings)
    note(raw, days < 0, "CT after surgery", "days from CT to treatment left out", findings=findings)
    data["ct_to_treatment_days"] = days.mask(days < 0)
    note(raw, data["weight_lb"] < 60, "weight below 60 lb", "kept as it stands; no model uses it", findings=findings)
    table = pd.DataFrame(data)
    return table[[name for name in schema.columns("clinical", extra_columns=EXTRA_COLUMNS) if name in table]]


def _centre(raw: pd.DataFrame, *, findings: Findings) -> pd.Series:
    """The affiliation word for word."""
    absent = raw[_CENTRE].isin(MISSING)
    if absent.any():
        findings.unmapped.append((_CENTRE, "(missing)", int(absent.sum()), "not known: centre is 'not recorded'"))
    return raw[_CENTRE].mask(absent, "not recorded")


def _nodule_type(ground_glass: pd.Series) -> pd.Series:
    """Solid without, pure_ggo with nothing but ground glass, part_solid between."""
    found = ground_glass.map(NODULE_TYPES).astype(object)
    return found.mask(ground_glass.notna() & found.isna(), "part_solid").where(ground_glass.notna(), None)


def _lobe(raw: pd.DataFrame, *, findings: Findings) -> pd.Series:
    """The lobe of the Checked/Unchecked columns; None where none or several are checked."""
    checked = {}
    for column, lobe in zip(LOBE_COLUMNS, (*LOBES, "Unknown"), strict=True):
        words = {"Checked": 1.0, "Unchecked": 0.0}
        checked[lobe] = public.map_words(raw, column, to="lobe", words=words, missing=(), findings=findings) == 1
    unknown, table = checked.pop("Unknown"), pd.DataFrame(checked)
    number = table.sum(axis=1)
    for value, where, why in (
        ("several lobes", number > 1, "not one lobe: lobe left empty"),
        ("no lobe", (number == 0) & ~unknown, "not known: lobe left empty"),
        ("Unknown", (number == 0) & unknown, "not known: lobe left empty"),
        ("a lobe and Unknown", (number == 1) & unknown, "the lobe is taken"),
        ("L Lingula", table["L Lingula"] & (number == 1), "the lingula is part of the LUL"),
    ):
        if where.any():
            findings.unmapped.append(("Tumor Location", value, int(where.sum()), why))
    return table.idxmax(axis=1).map(LOBES).astype(object).where(number == 1, None)


def _followup(raw: pd.DataFrame, *, findings: Findings) -> pd.DataFrame:
    """Days from surgery; what contradicts itself is left out or moved, and each time noted."""
    zero = _surgery(raw, findings=findings)

    def days(column: str) -> pd.Series:
        return (_dates(raw, column, findings=findings) - zero).dt.days.astype(float)

    def words(column: str, to: str, said: dict[str, object]) -> pd.Series:
        return public.map_words(raw, column, to=to, words=said, missing=MISSING, findings=findings)

    last, death, recurrence = days("Date of Last Known Alive"), days("Date of Death"), days("Date of Recurrence")
    died = words("Survival Status", "died", {"Dead": 1.0, "Alive": 0.0})
    recurred = words("Recurrence", "recurred", YES_NO)
    site = words("Recurrence Location", "recurrence_site", {s: s for s in schema.SITES})
    stated = public.read_numbers(raw, "Time to Death (days)", missing=MISSING, findings=findings)
    if zero.isna().any():
        findings.unmapped.append(
            ("CT Date", "(missing)", int(zero.isna().sum()), "day of surgery not known: follow-up left empty")
        )

    differs = (died == 1) & (stated != death) & (death >= 0)
    alive = differs & (stated == last)
    for where, what, done in (
        (alive, "time to death is the day last known alive, not the day of death", "day of death used"),
        (differs & ~alive & stated.notna(), "time to death is not the day of death", "day of death used"),
        ((died == 1) & death.isna() & stated.notna(), "death without a date", "time to death used"),
        ((died == 0) & (death.notna() | stated.notna()), "alive, but with a day of death", "day of death left out"),
        ((recurred != 1) & recurrence.notna(), "day of recurrence, but no recurrence", "day of recurrence left out"),
    ):
        note(raw, where, what, done, findings=findings)
    table = pd.DataFrame(
        {"patient_id": raw["patient_id"], "followup_days": last.where(died != 1, death.fillna(stated)), "died": died,
         "recurred": recurred, "recurrence_days": recurrence,
         "recurrence_site": site.where(site.notna(), "unknown").where(recurred == 1, None)}
    )  # fmt: skip
    return public.without_contradictions(table, zero="surgery", findings=findings)


def _surgery(raw: pd.DataFrame, *, findings: Findings) -> pd.Series:
    column = "Days between CT and surgery"
    days = public.read_numbers(raw, column, missing=MISSING, findings=Findings(SOURCE))  # its faults are told already
    return _dates(raw, "CT Date", findings=findings) + pd.to_timedelta(days, unit="D")


def _dates(raw: pd.DataFrame, column: str, *, findings: Findings) -> pd.Series:
    """Dates written m/d/yyyy, or by a workbook yyyy-mm-dd. Messages never show one."""
    texts = raw[column].where(~raw[column].str.casefold().isin([word.casefold() for word in MISSING]))
    found = pd.to_datetime(texts, format="%m/%d/%Y", errors="coerce")
    found = found.fillna(pd.to_datetime(texts.str[:10], format="%Y-%m-%d", errors="coerce"))
    public.unreadable(raw, texts.notna() & found.isna(), column, "a date m/d/yyyy", findings=findings)
    return found


def surrogate_cohort(table: PublicTable) -> Cohort:
    """The patients with pT1a-T2a, M0 and a known pathological N: the nearest to clinical stage I in this table."""
    return public_study.surrogate_of(table, SURROGATE_RULES, source=f"{SOURCE}, pT1a-T2a M0 with pN")


def surrogate_flow(table: PublicTable) -> pd.DataFrame:
    """How the surrogate cohort came about, as a Screening's flow; and of those left how many N0, N1, N2 and N3."""
    return public_study.rules_flow(table.cohort.patients, SURROGATE_RULES)


def write_study(path: str | Path, folder: str | Path) -> Path:
    """A study folder of the surrogate cohort, ready for `onlm run`; no CT.

    study.toml, clinical.csv, followup.csv, and the reports unmapped.csv, inconsistent.csv and surrogate_flow.csv.

    Args:
        path: the public table.
        folder: where the study is written; an earlier one of the same table there is replaced, no other.
    """
    table = read(path)
    sections = {
        "study": {"licence": CITATION},
        "protocol": {"name": "surrogate: pT1a-T2a, M0, pN known", "rules": ["nsclc_confirmed", "adult"]},
        "training": {
            "models": ["clinical"],
            "predictors": ["age_years", "sex", "smoking", "pack_years", "lobe", "nodule_type", "histology"],
        },
        "analysis": {
            "primary_model": "clinical",
            "subgroups": ["sex", "age_years", "smoking", "nodule_type", "centre"],
            "endpoints": ["os", "rfs", "recurrence", "regional", "distant"],  # no cause of death is recorded
        },
    }
    reports = {
        "unmapped.csv": table.unmapped, "inconsistent.csv": table.inconsistent,
        "surrogate_flow.csv": surrogate_flow(table),
    }  # fmt: skip
    cohort = surrogate_cohort(table)
    return public_study.write_folder(
        Path(folder), name=f"{SOURCE} (surrogate)", cohort=cohort, reports=reports, sections=sections
    )
