"""The TCGA files as text: a biotab file with its header lines, the Clinical Data Resource, the two matched."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from onlm_lab.cohort import public_file
from onlm_lab.cohort import public_table as public
from onlm_lab.cohort.public_table import Findings
from onlm_lab.cohort.tcga.words import (
    ALIASES,
    CDR_NO_PLACE,
    CDR_REQUIRED,
    CDR_USED,
    MISSING,
    REQUIRED,
    SOURCE,
)
from onlm_lab.errors import DataError

_BIOTAB = "a clinical patient file of TCGA lung (nationwidechildrens.org_clinical_patient_luad.txt or ..._lusc.txt)"
_CDR = "the TCGA Clinical Data Resource (TCGA-CDR-SupplementalTableS1.xlsx, or its sheet TCGA-CDR as CSV)"


def read_biotab(paths: Sequence[Path], *, findings: Findings) -> pd.DataFrame:
    """The rows of all files as text, columns by the names of the second header line."""
    tables = []
    if not paths:
        raise DataError([f"No file was named; wanted {_BIOTAB}."])
    for path in paths:
        try:
            tables.append(_one_biotab(path))
        except DataError as error:
            findings.faults.extend(error.faults)
    if len(tables) < len(paths):
        return pd.DataFrame()
    raw = pd.concat(tables, ignore_index=True).fillna("[Not Available]")
    raw["patient_id"] = raw["bcr_patient_barcode"].str.upper()
    names = " + ".join(path.name for path in paths)
    public.check_patients(raw, file=names, findings=findings)
    odd = ~raw["patient_id"].str.fullmatch(r"TCGA-[A-Z0-9]{2}-[A-Z0-9]{4}") & (raw["patient_id"] != "")
    if odd.any():
        findings.faults.append(
            f"{names}: bcr_patient_barcode must be a patient's barcode such as TCGA-05-4244; {int(odd.sum())} of "
            f"{len(raw)} are not (patient {', '.join(str(i + 1) for i in raw.index[odd][:5])} below the header lines)."
        )
    return raw


def _one_biotab(path: Path) -> pd.DataFrame:
    """One file; its header is every line above the first barcode."""
    rows = public_file.read_cells(path, wanted=_BIOTAB)
    column = next((i for i, name in enumerate(rows[0]) if name == "bcr_patient_barcode"), None)
    if column is None:
        raise DataError([f"{path.name}: this is not {_BIOTAB}: it has no column bcr_patient_barcode. Name the file."])
    if len(rows[0]) > 2 and any(n.startswith("bcr_") and n.endswith("_barcode") and n != "bcr_patient_barcode"
                                for n in rows[0]):  # fmt: skip
        raise DataError([
            f"{path.name}: this is a follow-up, drug, radiation or new-tumour file; wanted {_BIOTAB}. The follow-up is "
            "in the Clinical Data Resource: --cdr."
        ])  # fmt: skip
    first = next(
        (i for i, r in enumerate(rows) if len(r) > column and r[column].upper().startswith("TCGA-")), len(rows)
    )
    names = rows[1] if first > 1 and "pathologic_N" in rows[1] else _translated(rows[0])
    own = Findings(SOURCE)
    return public_file.as_table(
        names, rows[first:], file=path.name, first_row=first + 1, wanted=REQUIRED, kind=_BIOTAB, findings=own
    )


def _translated(names: Sequence[str]) -> list[str]:
    """Names of the first header line as those of the second."""
    twice = iter(("diagnosis", "histological_type"))
    return [next(twice, name) if name == "histologic_diagnosis" else ALIASES.get(name, name) for name in names]


def read_cdr(path: Path, *, findings: Findings) -> pd.DataFrame:
    """The rows of the Clinical Data Resource as text."""
    try:
        rows = public_file.read_cells(path, wanted=_CDR, sheet="TCGA-CDR")
        raw = public_file.as_table(
            rows[0], rows[1:], file=path.name, first_row=2, wanted=CDR_REQUIRED, kind=_CDR, findings=Findings(SOURCE)
        )
    except DataError as error:
        findings.faults.extend(error.faults)
        return pd.DataFrame()
    raw["patient_id"] = raw["bcr_patient_barcode"].str.upper()
    public.check_patients(raw, file=path.name, findings=findings)
    return raw


def without_redacted(raw: pd.DataFrame, cdr: pd.DataFrame, *, file: str, findings: Findings) -> pd.DataFrame:
    """The patients whose case was not withdrawn; the two tables are matched and counted on the way."""
    known = raw["patient_id"].isin(cdr["patient_id"])
    if not known.any():
        raise DataError(
            [f"{file}: none of its {len(cdr)} patients is in the biotab file. Name the file of this cohort."]
        )
    if (~known).any():
        findings.unmapped.append(
            ("Clinical Data Resource", "no row", int((~known).sum()), "not in that table: follow-up left empty")
        )
    others = int((~cdr["patient_id"].isin(raw["patient_id"])).sum())
    if others:
        findings.unmapped.append(("Clinical Data Resource", "other patients", others, "not in the biotab file"))
    for name in cdr.columns:
        if name not in CDR_USED and name != "patient_id" and not name.startswith("(column"):
            filled = int((~cdr[name].isin(MISSING)).sum())
            why = CDR_NO_PLACE.get(name, "no column of ours") if filled else "empty in every row"
            findings.unmapped.append((f"CDR {name}", "(all)", filled or len(cdr), why))
    if "Redaction" not in cdr:
        return raw
    redacted = set(cdr.loc[~cdr["Redaction"].isin(MISSING), "patient_id"])
    gone = raw["patient_id"].isin(redacted)
    if gone.any():
        findings.unmapped.append(
            ("CDR Redaction", "Redacted", int(gone.sum()), "withdrawn from TCGA: patient left out")
        )
    if gone.all():
        raise DataError([f"{file}: all {len(raw)} patients are marked as redacted; nobody is left."])
    return raw[~gone].reset_index(drop=True)
