"""followup.csv from the Clinical Data Resource or the biotab form, and where the two disagree."""

from __future__ import annotations

import numpy as np
import pandas as pd

from onlm_lab.cohort import public_table as public
from onlm_lab.cohort.public_table import Findings, note
from onlm_lab.cohort.tcga.words import MISSING, NEW_TUMOUR, SOURCE


def followup_of_form(raw: pd.DataFrame, *, findings: Findings) -> pd.DataFrame:
    """Survival as the biotab form has it."""
    empty = pd.Series(np.nan, index=raw.index)
    died = public.map_words(
        raw, "vital_status", to="died", missing=MISSING, findings=findings,
        words={"Dead": 1.0, "Deceased": 1.0, "Alive": 0.0, "Living": 0.0},
    )  # fmt: skip
    last, death = (
        public.read_numbers(raw, name, missing=MISSING, findings=findings) if name in raw else empty
        for name in ("days_to_last_followup", "days_to_death")
    )
    table = pd.DataFrame({
        "patient_id": raw["patient_id"], "followup_days": last.where(died != 1, death), "died": died,
        "recurred": empty, "recurrence_days": empty, "recurrence_site": None,
    })  # fmt: skip
    return public.without_contradictions(table, zero="diagnosis", findings=findings)


def followup_of_cdr(cdr: pd.DataFrame, *, findings: Findings) -> tuple[pd.DataFrame, pd.DataFrame]:
    """followup.csv by the CDR, and its PFI, DFI and kinds of new tumour as own columns."""
    value = {
        name: public.read_numbers(cdr, name, missing=MISSING, findings=findings)
        for name in ("OS", "OS.time", "DSS", "DFI", "DFI.time", "PFI", "PFI.time", "new_tumor_event_dx_days_to")
        if name in cdr
    }
    for name in ("OS", "DSS", "DFI", "PFI"):
        bad = value[name].notna() & ~value[name].isin([0.0, 1.0])
        public.unreadable(cdr, bad, name, "0 or 1", findings=findings)
    findings.stop_at_faults()
    died, dss, dfi = value["OS"], value["DSS"], value["DFI"]
    cause = pd.Series(np.select([dss == 1, dss == 0], ["lung_cancer", "other"], default="unknown"), dtype=object)
    note(cdr, (dss == 1) & (died != 1), "death of the disease, but not dead", "cause of death left out",
         findings=findings)  # fmt: skip
    kinds = _kinds(cdr, findings=findings)
    primary = (dfi == 1) & (kinds == "new_primary")
    note(cdr, primary, "disease-free interval ends with a new primary, which is no recurrence",
         "recurrence, its day and site left out", findings=findings)  # fmt: skip
    day = value.get("new_tumor_event_dx_days_to")
    if day is not None:
        differs = (dfi == 1) & day.notna() & value["DFI.time"].notna() & (day != value["DFI.time"])
        note(cdr, differs, "day of the new tumour is not that of the disease-free interval", "DFI.time used",
             findings=findings)  # fmt: skip
    distant = kinds.isin(["distant", "distant;new_primary"])
    table = pd.DataFrame({
        "patient_id": cdr["patient_id"], "followup_days": value["OS.time"], "died": died,
        "death_cause": cause.where(died == 1, None), "recurred": dfi.mask(primary),
        "recurrence_days": value["DFI.time"].mask(primary),
        "recurrence_site": pd.Series(np.where(distant, "distant", "unknown"), dtype=object).where(
            (dfi == 1) & ~primary, None),
    })  # fmt: skip
    _outcome_remarks(cdr, table, kinds=kinds, findings=findings)
    own = pd.DataFrame({"new_tumour_event": kinds})
    for name in ("PFI", "DFI"):
        event, days = value[name], value[f"{name}.time"]
        note(cdr, days < 0, f"{name}.time before diagnosis", f"{name} and its day left out", findings=findings)
        own[f"{name.lower()}_event"], own[f"{name.lower()}_days"] = event.mask(days < 0), days.mask(days < 0)
    return public.without_contradictions(table, zero="diagnosis", findings=findings), own


def _kinds(cdr: pd.DataFrame, *, findings: Findings) -> pd.Series:
    """The kinds of the new tumour event, in a fixed order, joined by ';'."""
    if "new_tumor_event_type" not in cdr:
        return pd.Series([None] * len(cdr), dtype=object)
    words, found = {word.casefold(): kind for word, kind in NEW_TUMOUR.items()}, {}
    for text, count in cdr["new_tumor_event_type"].value_counts().items():
        parts = [part.strip().casefold() for part in text.split("|")]
        if text in MISSING:
            continue
        if set(parts) <= set(words):
            found[text] = ";".join(kind for word, kind in words.items() if word in parts)
        else:
            findings.unmapped.append(("new_tumor_event_type", text, int(count), "no such word: left empty"))
    kinds = cdr["new_tumor_event_type"].map(found)
    return kinds.astype(object).where(kinds.notna(), None)


def _outcome_remarks(cdr: pd.DataFrame, table: pd.DataFrame, *, kinds: pd.Series, findings: Findings) -> None:
    """What of the outcomes is not known, counted."""
    recurred = table["recurred"] == 1
    local = recurred & kinds.isin(["locoregional", "locoregional;distant", "locoregional;distant;new_primary"])
    for column, value, where, why in (
        ("new_tumor_event_type", "Locoregional Recurrence", local, "local or regional: recurrence_site unknown"),
        ("new_tumor_event_type", "(missing)", recurred & kinds.isna(), "recurrence of unknown kind and site"),
        ("DSS", "(missing)", (table["died"] == 1) & (table["death_cause"] == "unknown"), "cause of death unknown"),
        ("DFI", "(missing)", cdr["DFI"].isin(MISSING),
         "no complete response on record, stage IV, or dead with tumour: recurred left empty"),
        ("OS.time", "(missing)", cdr["OS.time"].isin(MISSING), "no day of last contact: followup_days left empty"),
    ):  # fmt: skip
        if where.any():
            findings.unmapped.append((column, value, int(where.sum()), why))


def compare(raw: pd.DataFrame, cdr: pd.DataFrame, *, clinical: pd.DataFrame, findings: Findings) -> None:
    """Where the biotab form and the CDR, which also read later follow-up forms, say different things."""
    read = {"missing": MISSING, "findings": Findings(SOURCE)}
    form = raw["vital_status"].str.casefold()
    dead, alive = form.isin(["dead", "deceased"]), form.isin(["alive", "living"])
    died, last = public.read_numbers(cdr, "OS", **read), public.read_numbers(cdr, "OS.time", **read)
    day = public.read_numbers(raw, "days_to_death", **read) if "days_to_death" in raw else last
    seen = public.read_numbers(raw, "days_to_last_followup", **read) if "days_to_last_followup" in raw else last
    used = "Clinical Data Resource used"
    note(raw, alive & (died == 1), "alive on the biotab form, dead in the Clinical Data Resource",
         f"{used}: it has the later follow-up", findings=findings)  # fmt: skip
    note(raw, dead & (died == 0), "dead on the biotab form, alive in the Clinical Data Resource", used,
         findings=findings)  # fmt: skip
    note(raw, dead & (died == 1) & (day != last) & day.notna() & last.notna(), "different days of death", used,
         findings=findings)  # fmt: skip
    note(raw, seen > last, "last contact on the biotab form is after the last day in the Clinical Data Resource", used,
         findings=findings)  # fmt: skip
    for ours, theirs in (("gender", "gender"), ("pathologic_stage", "ajcc_pathologic_tumor_stage")):
        if theirs in cdr:
            differs = (raw[ours].str.casefold() != cdr[theirs].str.casefold()) & (cdr[theirs] != "")
            note(raw, differs, f"{ours} differs between the biotab file and the Clinical Data Resource",
                 "biotab file used", findings=findings)  # fmt: skip
    for ours, theirs in (("age_years", "age_at_initial_pathologic_diagnosis"),
                         ("diagnosis_year", "initial_pathologic_dx_year")):  # fmt: skip
        if theirs in cdr and ours in clinical:
            value = public.read_numbers(cdr, theirs, **read)
            differs = value.notna() & clinical[ours].notna() & (value != clinical[ours])
            note(raw, differs, f"{ours} differs between the biotab file and the Clinical Data Resource",
                 "biotab file used", findings=findings)  # fmt: skip
    findings.faults.extend(read["findings"].faults)
