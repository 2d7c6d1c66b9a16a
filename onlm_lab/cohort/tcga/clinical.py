"""clinical.csv from the biotab rows: words, numbers, what was taken when, and what contradicts itself."""

from __future__ import annotations

import numpy as np
import pandas as pd

from onlm_lab import schema
from onlm_lab.cohort import public_table as public
from onlm_lab.cohort.public_table import Findings, note
from onlm_lab.cohort.tcga.words import (
    BEFORE_SURGERY,
    EXTRA_COLUMNS,
    LOBES,
    LOBES_OF_SITE,
    MISSING,
    NO_PLACE,
    NUMBERS,
    OUTCOME_COLUMNS,
    PERFORMANCE,
    READ_ASIDE,
    WORDS,
)


def clinical_table(raw: pd.DataFrame, *, findings: Findings) -> pd.DataFrame:
    """The columns that the file fills, ours and the own ones."""
    data = {"patient_id": raw["patient_id"], "centre": raw["patient_id"].str[5:7]}
    absent = pd.Series(np.nan, index=raw.index)
    for column, (name, words) in WORDS.items():
        if _filled(raw, column):
            data[name] = public.map_words(raw, column, to=name, words=words, missing=MISSING, findings=findings)
        else:
            numeric = all(isinstance(value, float) for value in words.values())
            data[name] = absent if numeric else pd.Series(None, index=raw.index, dtype=object)
    for column, name in NUMBERS.items():
        if _filled(raw, column):
            to = "" if name == "pack_years" else name
            data[name] = public.read_numbers(raw, column, missing=MISSING, findings=findings, to=to)
    data["pack_years"] = public.never_smoked_nothing(
        raw, data.get("pack_years", absent), column="number_pack_years_smoked", never=data["smoking"] == "never",
        findings=findings,
    )  # fmt: skip
    data |= _performance(raw, findings=findings)
    data["lobe"] = _lobe(raw, findings=findings)
    if "histological_type" in raw:
        data["histological_type"] = raw["histological_type"].where(~raw["histological_type"].isin(MISSING), None)
    known = data["histology"].notna()
    data["nsclc_confirmed"] = known.astype(float).where(known)
    data["histology_source"] = pd.Series(np.where(known, "resection", None), dtype=object)
    data["egfr_mutated"] = _egfr(raw, data["egfr_mutated"], findings=findings)
    kinds = [data[name] for name in ("adjuvant_radiation", "adjuvant_drugs", "targeted_therapy")]
    data["adjuvant"] = _any_given(pd.concat(kinds, axis=1))
    table = pd.DataFrame(data)
    _contradictions(raw, table, findings=findings)
    _unused(raw, findings=findings)
    return table[[name for name in schema.columns("clinical", extra_columns=EXTRA_COLUMNS) if name in table]]


def _filled(raw: pd.DataFrame, column: str) -> bool:
    return column in raw and not raw[column].isin(MISSING).all()


def _performance(raw: pd.DataFrame, *, findings: Findings) -> dict[str, pd.Series]:
    """Karnofsky and ECOG where they were taken before surgery; taken later or nobody knows when, they are left out."""
    timing, found = "performance_status_scale_timing", {}
    when = raw[timing] if timing in raw else pd.Series("nobody knows when", index=raw.index)
    before = when.str.casefold().isin(BEFORE_SURGERY)
    for column, name in PERFORMANCE.items():
        if not _filled(raw, column):
            continue
        value = public.read_numbers(raw, column, missing=MISSING, findings=findings, to=name)
        for word, count in when[value.notna() & ~before].value_counts().sort_index().items():
            findings.unmapped.append((column, f"taken: {word}", int(count), f"not before surgery: {name} left empty"))
        value = value.where(before)
        if name == "kps":
            note(raw, value == 0, "Karnofsky 0 (dead) before surgery", "left out", findings=findings)
            value = value.mask(value == 0)
        found[name] = value
    return found


def _lobe(raw: pd.DataFrame, *, findings: Findings) -> pd.Series:
    """The one lobe that is named; the lingula is part of the left upper lobe."""
    column = "anatomic_neoplasm_subdivision"
    if column not in raw:
        return pd.Series([None] * len(raw), index=raw.index, dtype=object)
    words = {word.casefold(): lobe for word, lobe in LOBES.items()}
    found = raw[column].str.casefold().map(words).astype(object)
    other = raw.get(f"{column}_other", pd.Series("", index=raw.index)).str.casefold()
    lingula = found.isna() & other.str.fullmatch(r"(left |l )?lingula")
    if lingula.any():
        findings.unmapped.append((f"{column}_other", "Lingula", int(lingula.sum()), "the lingula is part of the LUL"))
    found = found.mask(lingula, "LUL")
    for value, count in raw.loc[found.isna(), column].value_counts().sort_index().items():
        why = "not known" if value in MISSING else "not one lobe"
        findings.unmapped.append((column, value, int(count), f"{why}: lobe left empty"))
    site = raw["icd_o_3_site"].str[:5].map(LOBES_OF_SITE) if "icd_o_3_site" in raw else None
    if site is not None:
        other_lobe = [
            isinstance(s, tuple) and isinstance(f, str) and f not in s for s, f in zip(site, found, strict=True)
        ]
        note(raw, pd.Series(other_lobe, index=raw.index), "lobe and ICD-O site name different lobes", "lobe used",
             findings=findings)  # fmt: skip
    return found.where(found.notna(), None)


def _egfr(raw: pd.DataFrame, given: pd.Series, *, findings: Findings) -> pd.Series:
    """A named EGFR mutation is a mutation; a test without a result is not known."""
    column = "egfr_mutation_result"
    if column not in raw:
        return given
    named = ~raw[column].isin(MISSING)
    note(raw, named & (given == 0), "EGFR mutation named but said to be absent", "counted as mutated",
         findings=findings)  # fmt: skip
    return given.mask(named, 1.0)


def _any_given(kinds: pd.DataFrame) -> pd.Series:
    """1 if one kind of treatment was given, 0 only if each is known not to have been."""
    return pd.Series(np.where((kinds == 1).any(axis=1), 1.0, np.where((kinds == 0).all(axis=1), 0.0, np.nan)))


def _contradictions(raw: pd.DataFrame, table: pd.DataFrame, *, findings: Findings) -> None:
    """What the pathological T, N, M, stage, edition and the age say against each other; all kept as they stand."""
    stage, n = table["pathological_stage"], table["pathological_n"]
    m, t, edition = table["pathological_m"], table["pathological_t"], table["ajcc_edition"]
    kept = "kept as they stand; the label follows N"
    positive = n.isin(["N1", "N2", "N3"])
    for where, what, done in (
        (positive & stage.isin(["I", "IA", "IB"]), "pathological N1-N3 but stage I", kept),
        (n.isin(["N2", "N3"]) & stage.isin(["II", "IIA", "IIB"]), "pathological N2-N3 but stage II", kept),
        (m.isin(["M1", "M1a", "M1b"]) & stage.notna() & (stage != "IV"), "pathological M1 but stage below IV", kept),
        ((m == "M0") & (stage == "IV"), "pathological M0 but stage IV", kept),
        (t.isin(["T1a", "T1b", "T2a", "T2b"]) & edition.isin(["1st", "2nd", "3rd", "4th", "5th", "6th"]),
         "T1 or T2 with a letter in an edition before the 7th", "kept as it stands"),
    ):  # fmt: skip
        note(raw, where, what, done, findings=findings)
    if "days_to_birth" in raw and "age_years" in table:
        born = public.read_numbers(raw, "days_to_birth", missing=MISSING, findings=findings)
        apart = (table["age_years"] - np.floor(-born / 365.25)).abs() >= 1
        note(raw, apart, "age is not that of the days since birth", "age at diagnosis used", findings=findings)


def _unused(raw: pd.DataFrame, *, findings: Findings) -> None:
    """Every column that reached no column of ours, and why."""
    used = {*WORDS, *NUMBERS, *PERFORMANCE, *READ_ASIDE, *OUTCOME_COLUMNS, "patient_id"}
    for name in raw.columns:
        empty = raw[name].isin(MISSING).all()
        if empty:
            findings.unmapped.append((name, raw[name].iloc[0], len(raw), "empty in every row"))
        elif name not in used:
            filled = int((~raw[name].isin(MISSING)).sum())
            findings.unmapped.append((name, "(all)", filled, NO_PLACE.get(name, "no column of ours")))
    findings.unmapped.append(("patient_id", "(all)", len(raw), NO_PLACE["patient_id"]))
    for name in (*WORDS, *NUMBERS, *PERFORMANCE):
        if name not in raw:
            findings.unmapped.append((name, "(absent)", len(raw), "no such column in this file: left empty"))


def standing_remarks(raw: pd.DataFrame, *, findings: Findings) -> None:
    """What holds for every patient of these tables."""
    n = len(raw)
    ages = pd.to_numeric(raw["age_at_initial_pathologic_diagnosis"], errors="coerce")
    capped = int((ages >= 90).sum())
    if capped:
        findings.unmapped.append(
            ("age_at_initial_pathologic_diagnosis", "90", capped, "TCGA writes every age above 89 as 90: kept")
        )
    findings.unmapped.extend([
        ("time zero", "(all)", n, "the initial pathologic diagnosis, not surgery: all days count from it"),
        ("year_of_initial_pathologic_diagnosis", "(all)", n, "not the year of treatment: own column diagnosis_year"),
        ("diagnosis", "(all)", n, "comes from the resection: histology_source resection"),
        ("pathologic_T", "(all)", n, "editions of the AJCC manual are mixed and not converted: see ajcc_edition"),
        ("clinical T, N, M", "(all)", n, "not given: the label rests on pathological N alone (surrogate)"),
        ("tumour size", "(all)", n, "absent from the table"),
        ("extent of surgery", "(all)", n, "absent from the table: treatment left empty"),
        ("follow-up, new-tumour, drug and radiation files", "(all)", n, "not read; the CDR was made from them"),
    ])  # fmt: skip
