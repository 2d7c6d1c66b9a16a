"""The words of the NSCLC Radiogenomics table and what each becomes here: data, no code. Case is not looked at."""

from __future__ import annotations

from onlm_lab import schema
from onlm_lab.schema import Column

SOURCE = "NSCLC Radiogenomics"
CITATION = (
    "NSCLC Radiogenomics, CC BY 3.0, doi:10.7937/K9/TCIA.2017.7hs46erv; Bakr et al., Sci Data 2018;5:180202; Gevaert "
    "et al., Radiology 2012;264:387"
)
N_PATIENTS = 211
MISSING = ("", "N/A", "Not Collected", "Not Recorded In Database", "Not Assessed", "Unknown")
IDENTIFIERS = ("Case ID", "Patient ID")
YES_NO = {"Yes": 1.0, "No": 0.0}
MUTATION = {"Wildtype": 0.0, "Mutant": 1.0, "Translocated": 1.0}
GRADES = {
    "G1 Well differentiated": "G1", "Other, Type I: Well to moderately differentiated": "G1-G2",
    "G2 Moderately differentiated": "G2", "Other, Type II: Moderately to poorly differentiated": "G2-G3",
    "G3 Poorly differentiated": "G3",
}  # fmt: skip
GROUND_GLASS = {
    "0%": "0%", ">0 - 25%": "0-25%", "25 - 50%": "25-50%", "50 - 75%": "50-75%", "75 - < 100%": "75-100%",
    "100%": "100%",
}  # fmt: skip
NODULE_TYPES = {"0%": "solid", "100%": "pure_ggo"}  # what lies between is part-solid
M_STAGES = ("M0", "M1", "M1a", "M1b", "M1c", "MX")
ETHNICITIES = {
    "Caucasian": "caucasian", "Asian": "asian", "African-American": "african_american",
    "Hispanic/Latino": "hispanic", "Native Hawaiian/Pacific Islander": "pacific_islander",
}  # fmt: skip


def _staged(stages: tuple[str, ...]) -> dict[str, object]:
    """Each stage, also with the p of pathology before it."""
    return {f"{letter}{stage}": stage for stage in stages for letter in ("", "p")}


# raw column -> (our column, raw word -> our value)
WORDS: dict[str, tuple[str, dict[str, object]]] = {
    "Gender": ("sex", {"Male": "male", "Female": "female"}),
    "Smoking status": ("smoking", {"Nonsmoker": "never", "Former": "former", "Current": "current"}),
    "Histology": (
        "histology",
        {"Adenocarcinoma": "adenocarcinoma", "Squamous cell carcinoma": "squamous",
         "NSCLC NOS (not otherwise specified)": "other_nsclc"},
    ),
    "Pathological N stage": ("pathological_n", _staged(schema.N_STAGES)),
    "Adjuvant Treatment": ("adjuvant", YES_NO),
    "Ethnicity": ("ethnicity", ETHNICITIES),
    "%GG": ("ground_glass", GROUND_GLASS),
    "Pathological T stage": ("pathological_t", _staged(schema.T_STAGES)),
    "Pathological M stage": ("pathological_m", _staged(M_STAGES)),
    "Histopathological Grade": ("grade", GRADES),
    "Lymphovascular invasion": ("lvi", {"Absent": 0.0, "Present": 1.0}),
    "Pleural invasion (elastic, visceral, or parietal)": ("pleural_invasion", YES_NO),
    "EGFR mutation status": ("egfr_mutated", MUTATION),
    "KRAS mutation status": ("kras_mutated", MUTATION),
    "ALK translocation status": ("alk_translocated", MUTATION),
    "Chemotherapy": ("chemotherapy", YES_NO),
    "Radiation": ("radiation", YES_NO),
}  # fmt: skip
NUMBERS = {
    "Age at Histological Diagnosis": "age_years", "Pack Years": "pack_years", "Weight (lbs)": "weight_lb",
    "Days between CT and surgery": "ct_to_treatment_days",
}  # fmt: skip
LOBES = {"RUL": "RUL", "RML": "RML", "RLL": "RLL", "LUL": "LUL", "LLL": "LLL", "L Lingula": "LUL"}
LOBE_COLUMNS = tuple(f"Tumor Location (choice={lobe})" for lobe in (*LOBES, "Unknown"))
FOLLOWUP = (
    "Recurrence", "Recurrence Location", "Date of Recurrence", "Date of Last Known Alive", "Survival Status",
    "Date of Death", "Time to Death (days)", "CT Date", "PET Date",
)  # fmt: skip
NO_PLACE = {"Quit Smoking Year": "calendar years, but dates in this table are shifted"}
REMARKS = (  # column, why; holds for every patient
    ("Histology", "comes from the resection: histology_source resection"),
    ("clinical T, N, M", "absent from the table: the label rests on pathological N alone (surrogate)"),
    ("tumour size", "absent from the table"),
    ("extent of surgery", "absent from the table: treatment left empty"),
    ("treatment before surgery", "absent from the table: neoadjuvant left empty"),
    ("nodes examined", "absent from the table"),
    ("cause of death", "absent from the table: cancer_death is missing for the dead"),
    ("treatment_year", "dates are shifted: left empty"),
)
_MUTATION = {"type": "boolean", "timing": "post_treatment"}
# What this table has beyond our columns; all but ground glass, weight and ethnicity is known only from the resection.
EXTRA_COLUMNS: tuple[Column, ...] = tuple(
    Column(name=name, table="clinical", **said)
    for name, said in {
        "ethnicity": {"type": "category", "timing": "pre_treatment", "allowed": tuple(ETHNICITIES.values()),
                      "description": "Ethnicity as recorded"},
        "ground_glass": {"type": "category", "timing": "pre_treatment", "allowed": tuple(GROUND_GLASS.values()),
                         "description": "Share of ground glass as read on the CT"},
        "weight_lb": {"type": "number", "timing": "pre_treatment", "unit": "lb", "low": 0, "description": "Weight"},
        "pathological_t": {"type": "category", "timing": "post_treatment", "allowed": schema.T_STAGES,
                           "description": "Pathological T"},
        "pathological_m": {"type": "category", "timing": "post_treatment", "allowed": M_STAGES,
                           "description": "Pathological M"},
        "grade": {"type": "category", "timing": "post_treatment", "allowed": tuple(GRADES.values()),
                  "description": "Histopathological grade"},
        "lvi": {"type": "boolean", "timing": "post_treatment", "description": "Lymphovascular invasion"},
        "pleural_invasion": {"type": "boolean", "timing": "post_treatment", "description": "Pleural invasion"},
        "egfr_mutated": {**_MUTATION, "description": "EGFR mutation (tissue of the resection)"},
        "kras_mutated": {**_MUTATION, "description": "KRAS mutation (tissue of the resection)"},
        "alk_translocated": {**_MUTATION, "description": "ALK translocation (tissue of the resection)"},
        "chemotherapy": {**_MUTATION, "description": "Adjuvant chemotherapy"},
        "radiation": {**_MUTATION, "description": "Adjuvant radiotherapy"},
    }.items()
)  # fmt: skip
