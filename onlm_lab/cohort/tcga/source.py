"""The TCGA lung tables as a cohort, the surrogate of clinical stage I in it, and a study of that."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import pandas as pd

from onlm_lab.cohort import public_study
from onlm_lab.cohort import public_table as public
from onlm_lab.cohort.public_table import Findings, PublicTable
from onlm_lab.cohort.table import Cohort
from onlm_lab.cohort.tcga.clinical import clinical_table, standing_remarks
from onlm_lab.cohort.tcga.files import read_biotab, read_cdr, without_redacted
from onlm_lab.cohort.tcga.outcomes import compare, followup_of_cdr, followup_of_form
from onlm_lab.cohort.tcga.words import CITATION, EXTRA_COLUMNS, SOURCE
from onlm_lab.errors import DataError

Edition = Literal["any", "7th"]


def read(biotab: str | Path | Sequence[str | Path], *, cdr: str | Path | None = None) -> PublicTable:
    """The public tables as a cohort, with the two reports.

    Args:
        biotab: the clinical patient file of LUAD, of LUSC, or both.
        cdr: the Clinical Data Resource, XLSX or CSV. None: survival from the biotab form alone, which ends when the
            form was filled in; recurrence is then not known.

    Raises:
        DataError: all faults at once: a file or column is missing, a number cannot be read, a patient is there twice.
    """
    findings = Findings(SOURCE)
    paths = [Path(p) for p in ([biotab] if isinstance(biotab, str | Path) else biotab)]
    raw = read_biotab(paths, findings=findings)
    outcomes = None if cdr is None else read_cdr(Path(cdr), findings=findings)
    findings.stop_at_faults()
    if outcomes is not None:
        raw = without_redacted(raw, outcomes, file=Path(cdr or "").name, findings=findings)
    clinical = clinical_table(raw, findings=findings)
    if outcomes is None:
        followup = followup_of_form(raw, findings=findings)
        findings.unmapped.append(
            ("Clinical Data Resource", "(all)", len(raw), "not given: last contact of the form alone, no recurrence")
        )
    else:
        matched = raw[["patient_id"]].merge(outcomes, on="patient_id", how="left", validate="one_to_one").fillna("")
        followup, own = followup_of_cdr(matched, findings=findings)
        clinical[list(own)] = own
        compare(raw, matched, clinical=clinical, findings=findings)
    standing_remarks(raw, findings=findings)
    return public.as_public_table(clinical, followup=followup, extra_columns=EXTRA_COLUMNS, findings=findings)


def _stage_i_by_its_edition(patients: pd.DataFrame) -> pd.Series:
    """T that with N0 M0 is stage I in the edition that was used.

    T1 in each; any T2 up to the 6th edition, where T2 N0 M0 was stage IB whatever the size above 30 mm (Mountain, Chest
    1997;111:1710); only T2a in the 7th, which made T2 of more than 50 mm T2b and took T2b N0 out of stage I (Rami-Porta
    et al., J Thorac Oncol 2007;2:593; Goldstraw et al., ibid. 706). T2 without a letter in the 7th or in an unknown
    edition could be either and is out.
    """
    t, edition = patients["pathological_t"], patients["ajcc_edition"]
    early = edition.isin(["1st", "2nd", "3rd", "4th", "5th", "6th"])
    return t.isin(["T1", "T1a", "T1b", "T2a"]) | ((t == "T2") & early)


def _no_distant_metastasis(patients: pd.DataFrame) -> pd.Series:
    """M0; or M not assessed by the pathologist, while a stage below IV was given, which takes M0 for granted."""
    m, stage = patients["pathological_m"], patients["pathological_stage"]
    below = stage.notna() & (stage != "IV")
    return (m == "M0") | ((m.isna() | (m == "MX")) & below)


def _rules(edition: Edition) -> public_study.Rules:
    """Who is nearest to clinical stage I in these tables."""
    rules = [
        ("pathological_n_known", lambda p: p["pathological_n"].isin(public_study.CLASSES_OF_N)),
        ("t_of_stage_i_by_its_edition", _stage_i_by_its_edition),
        ("no_distant_metastasis", _no_distant_metastasis),
        ("no_neoadjuvant_treatment", lambda p: p["neoadjuvant"] == 0),
    ]
    if edition == "7th":
        rules.insert(1, ("ajcc_7th_edition", lambda p: p["ajcc_edition"] == "7th"))
    elif edition != "any":
        raise DataError([f"edition is '{edition}'; wanted 'any' (all editions mixed, not converted) or '7th'."])
    return tuple(rules)


def surrogate_cohort(table: PublicTable, *, edition: Edition = "any") -> Cohort:
    """The patients nearest to clinical stage I: T of stage I, no M1, no treatment before surgery, known pathological N.

    Args:
        table: as read.
        edition: "any" mixes editions 3 to 7 of the AJCC manual, each by its own words: a T2 of the 6th may measure more
            than 50 mm. "7th" takes the patients staged by the 7th alone.
    """
    said = "all editions" if edition == "any" else "7th edition"
    return public_study.surrogate_of(table, _rules(edition), source=f"{SOURCE}, T of stage I, no M1, with pN, {said}")


def surrogate_flow(table: PublicTable, *, edition: Edition = "any") -> pd.DataFrame:
    """How the surrogate cohort came about, as a Screening's flow; and of those left how many N0, N1, N2 and N3."""
    return public_study.rules_flow(table.cohort.patients, _rules(edition))


def write_study(
    biotab: str | Path | Sequence[str | Path], folder: str | Path, *, cdr: str | Path | None = None,
    edition: Edition = "any",
) -> Path:  # fmt: skip
    """A study folder of the surrogate cohort, ready for `onlm run`; no CT.

    study.toml, clinical.csv, followup.csv, and the reports unmapped.csv, inconsistent.csv and surrogate_flow.csv.

    Args:
        biotab: as in `read`.
        folder: where the study is written; an earlier one of the same table there is replaced, no other.
        cdr: as in `read`.
        edition: as in `surrogate_cohort`.
    """
    table = read(biotab, cdr=cdr)
    cohort = surrogate_cohort(table, edition=edition)
    patients = cohort.patients
    several = ["histology"] if patients["histology"].nunique() > 1 else []
    editions = "AJCC editions mixed" if edition == "any" else "AJCC 7th edition"
    name = f"TCGA lung (surrogate; {editions}; time zero: diagnosis)"
    sections = {
        "study": {"licence": CITATION},
        "protocol": {
            "name": f"surrogate: T of stage I by its edition, no M1, pN known ({editions}); days from diagnosis",
            "rules": ["nsclc_confirmed", "adult"],
        },
        "training": {
            "models": ["clinical"], "predictors": ["age_years", "sex", "smoking", "pack_years", "lobe", *several],
        },
        "analysis": {
            "primary_model": "clinical", "subgroups": ["sex", "age_years", "smoking", "ajcc_edition", *several],
            "endpoints": ["os", "rfs", "recurrence", "cancer_death"] if cdr is not None else ["os"],
        },
    }  # fmt: skip
    reports = {
        "unmapped.csv": table.unmapped, "inconsistent.csv": table.inconsistent,
        "surrogate_flow.csv": surrogate_flow(table, edition=edition),
    }  # fmt: skip
    return public_study.write_folder(Path(folder), name=name, cohort=cohort, reports=reports, sections=sections)
