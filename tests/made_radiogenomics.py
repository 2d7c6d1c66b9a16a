"""Writes small tables with the columns of NSCLC Radiogenomics, made up cell by cell."""

from __future__ import annotations

import pandas as pd

# A made-up table of the published columns: what differs from this patient is said by each test.
PATIENT = {
    "Case ID": "R01-001", "Patient affiliation": "Stanford", "Age at Histological Diagnosis": "60",
    "Weight (lbs)": "150", "Gender": "Male", "Ethnicity": "Caucasian", "Smoking status": "Former", "Pack Years": "20",
    "Quit Smoking Year": "1990", "%GG": "0%",
    **{f"Tumor Location (choice={lobe})": "Unchecked" for lobe in ("RML", "RLL", "LUL", "LLL", "L Lingula", "Unknown")},
    "Tumor Location (choice=RUL)": "Checked", "Histology ": "Adenocarcinoma", "Pathological T stage": "T1a",
    "Pathological N stage": "N0", "Pathological M stage": "M0", "Histopathological Grade": "G1 Well differentiated",
    "Lymphovascular invasion": "Absent", "Pleural invasion (elastic, visceral, or parietal)": "No",
    "EGFR mutation status": "Wildtype", "KRAS mutation status": "Wildtype", "ALK translocation status": "Wildtype",
    "Adjuvant Treatment": "No", "Chemotherapy": "No", "Radiation": "No", "Recurrence": "no",
    "Recurrence Location": "N/A", "Date of Recurrence": "N/A", "Date of Last Known Alive": "1/11/1995",
    "Survival Status": "Alive", "Date of Death": "N/A", "Time to Death (days)": "N/A", "CT Date": "1/1/1994",
    "Days between CT and surgery": "10", "PET Date": "Not Collected",
}  # fmt: skip


def made_up(path, *patients, columns=tuple(PATIENT), newline="\n", encoding="utf-8"):
    """A CSV of made-up patients, each a dict of what differs from PATIENT."""
    rows = [{**PATIENT, "Case ID": f"R01-{i + 1:03d}", **said} for i, said in enumerate(patients)]
    assert all(set(row) == set(PATIENT) for row in rows)
    table = pd.DataFrame(rows)[list(columns)]
    path.write_bytes(table.to_csv(index=False, lineterminator=newline).encode(encoding))
    return path
