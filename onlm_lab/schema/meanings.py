"""What the dictionary says of a column beyond its kind and range: who gives it, what its words mean, how it is made.

Meanings of T, N and M: 8th edition (Feng SH, Yang ST, Diagn Interv Radiol 2019;25:270, doi:10.5152/dir.2019.18458).
ECOG: Oken MM et al., Am J Clin Oncol 1982;5:649.
"""

from __future__ import annotations

HOSPITAL = "hospital administration"
RECORD = "patient record before treatment"
CT = "CT before treatment, thin section"
TREATING = "treating department"
PATHOLOGY = "pathology report after surgery"
FOLLOW_UP = "follow-up visits, death register"
STUDY_OFFICE = "study office"
DERIVED = "derived by onlm_lab"
MODEL = "written by the model"
OWN = "the hospital's own, declared in study.toml"

_SOURCES = {
    HOSPITAL: ("centre", "treatment_year", "age_years", "sex"),
    RECORD: ("smoking", "pack_years", "kps", "ecog"),
    "pathology report: biopsy, else resection (histology_source says which)": (
        "nsclc_confirmed", "histology", "histology_source",
    ),
    CT: (
        "lobe", "total_diameter_mm", "solid_diameter_mm", "nodule_type", "central_location", "t_descriptor",
        "ct_quality",
    ),
    "clinical staging before treatment (CT, PET/CT, invasive staging)": ("clinical_t", "clinical_n", "clinical_m"),
    "laboratory, last value before treatment": ("cea_ng_ml",),
    "PET/CT before treatment": ("suv_max", "pet_ct_done"),
    "EBUS, EUS or mediastinoscopy before treatment": ("invasive_staging_done", "invasive_staging_positive"),
    TREATING: ("treatment", "radical_intent", "neoadjuvant", "adjuvant", "adjuvant_start_days"),
    "dates of the CT and of the treatment": ("ct_to_treatment_days",),
    STUDY_OFFICE: ("consent", "followup_agreed", "neuropsychiatric_exclusion", "lost_to_followup"),
    PATHOLOGY: ("pathological_n", "nodes_examined", "n2_stations_examined"),
}  # fmt: skip
_SOURCE_OF = {name: source for source, names in _SOURCES.items() for name in names}
_SOURCE_OF_TABLE = {
    "followup": FOLLOW_UP,
    "annotations": "whoever marks the tumour on the CT (radiology)",
    "predictions": MODEL,
    "derived": DERIVED,
}


def source_of(table: str, name: str) -> str:
    """Who gives a column, or where it comes from."""
    if name == "patient_id" and table != "predictions":
        return f"{STUDY_OFFICE}: a pseudonym, never the hospital number"
    return _SOURCE_OF_TABLE.get(table) or _SOURCE_OF.get(name, "")


_N_MEANINGS = {
    "N0": "no regional lymph node with cancer",
    "N1": "same side: peribronchial, hilar or intrapulmonary nodes",
    "N2": "same side: mediastinal nodes, or subcarinal nodes",
    "N3": "other side: mediastinal or hilar nodes; either side: scalene or supraclavicular nodes",
    "NX": "nodes could not be assessed",
}
_T_MEANINGS = {
    "TX": "tumour not seen on imaging or at bronchoscopy",
    "T0": "no evidence of a primary tumour",
    "Tis": "carcinoma in situ",
    "T1mi": "minimally invasive adenocarcinoma",
    "T1": "T1, subgroup not recorded",
    "T1a": "at most 10 mm",
    "T1b": "above 10, at most 20 mm",
    "T1c": "above 20, at most 30 mm",
    "T2": "T2, subgroup not recorded",
    "T2a": "above 30, at most 40 mm, or a T2 descriptor",
    "T2b": "above 40, at most 50 mm",
    "T3": "above 50, at most 70 mm, or a T3 descriptor",
    "T4": "above 70 mm, or a T4 descriptor",
}
MEANINGS: dict[str, dict[str, str]] = {
    "smoking": {"never": "never smoked", "former": "stopped before diagnosis", "current": "smokes at diagnosis"},
    "ecog": {
        "0": "fully active", "1": "no strenuous work, walks about", "2": "cares for self, no work",
        "3": "limited self-care, over half the day in bed or chair", "4": "completely disabled", "5": "dead",
    },
    "kps": {"100": "no complaints", "70": "cares for self, no normal activity or work", "0": "dead"},
    "histology": {
        "squamous": "squamous-cell carcinoma",
        "other_nsclc": "any other non-small-cell lung cancer, mixed types included",
    },
    "histology_source": {
        "biopsy": "known before treatment", "resection": "known after surgery only: then it cannot predict",
    },
    "lobe": {
        "RUL": "right upper", "RML": "right middle", "RLL": "right lower", "LUL": "left upper, lingula included",
        "LLL": "left lower",
    },
    "nodule_type": {
        "solid": "no ground glass", "part_solid": "ground glass with a solid part",
        "pure_ggo": "ground glass (ground-glass opacity) without a solid part",
    },
    "t_descriptor": {
        "none": "size alone decides",
        "main_bronchus": "T2: in the main bronchus, carina free",
        "visceral_pleura": "T2: invades the visceral pleura",
        "atelectasis": "T2: atelectasis or obstructive pneumonitis up to the hilum",
        "satellite": "T3: separate nodule in the same lobe",
        "chest_wall": "T3: invades the chest wall or the parietal pleura",
        "other_t3": "T3: phrenic nerve or parietal pericardium",
        "other_t4": "T4: mediastinum, diaphragm, heart, great vessels, trachea, carina, oesophagus, spine, recurrent "
        "nerve, or a nodule in another lobe of the same side",
    },
    "clinical_t": _T_MEANINGS,
    "derived_t": _T_MEANINGS,
    "clinical_n": _N_MEANINGS,
    "pathological_n": _N_MEANINGS | {"NX": "nodes were not examined, or could not be assessed"},
    "clinical_m": {
        "M0": "no distant metastasis", "M1": "M1, subgroup not recorded",
        "M1a": "nodule in the other lung, pleural or pericardial nodules or malignant effusion",
        "M1b": "one metastasis outside the chest", "M1c": "several metastases outside the chest",
        "MX": "could not be assessed",
    },
    "treatment": {
        "lobectomy": "bilobectomy and sleeve lobectomy included", "segmentectomy": "one or several segments",
        "wedge": "wedge resection", "pneumonectomy": "the whole lung",
        "sbrt": "stereotactic body radiotherapy: no surgery, no pathological N",
    },
    "consent": {
        "yes": "signed", "waived": "the ethics committee allowed use without consent", "no": "refused or withdrawn",
    },
    "ct_quality": {"adequate": "fit for reading", "poor": "motion, gaps or artefacts over the tumour"},
    "death_cause": {
        "lung_cancer": "this lung cancer", "other": "anything else, its treatment included",
        "unknown": "dead, cause not known",
    },
    "recurrence_site": {
        "local": "at the resection line or the irradiated tumour, or in the same lobe",
        "regional": "in hilar, mediastinal or supraclavicular lymph nodes",
        "distant": "anywhere else", "unknown": "recurrence known, place not known",
    },
    "split": {
        "oof": "out of fold: the model never saw this patient", "test": "held back for the test",
        "external": "another hospital or later years", "unlabelled": "no label, such as SBRT",
    },
    "arm": {"surgery": "operated on", "sbrt": "stereotactic body radiotherapy"},
}  # fmt: skip

# The day from which all days are counted.
_FROM_ZERO = "Counted from time zero: the day of surgery, or of the first SBRT fraction."
ENDPOINT_RULES = {
    "os": "death from any cause; alive: censored at last contact",
    "rfs": "first recurrence at any site, or death from any cause; else censored at last contact",
    "recurrence": "first recurrence at any site; death competes",
    "regional": (
        "nodal failure at the first recurrence (found together with distant: counts as regional); death and other "
        "recurrence compete; site unknown: missing"
    ),
    "distant": (
        "distant failure at the first recurrence without a regional one; death and other recurrence compete; site "
        "unknown: missing"
    ),
    "cancer_death": "death from lung cancer; other death competes; cause unknown: missing",
}
# How a column is measured, filled in or derived.
NOTES: dict[str, str] = {
    "patient_id": "Kept letter by letter: '007' and 'NA' are identifiers. The same in every table.",
    "centre": "Spelled the same way in every row.",
    "age_years": "Years, fractions allowed; never a date of birth.",
    "pack_years": "Packs a day times years; 0 where smoking is never.",
    "kps": "Steps of 10. Decides where both KPS and ECOG are known.",
    "total_diameter_mm": "Measured on one plane, in the lung window.",
    "solid_diameter_mm": "Measured in the lung window; equals the total where the tumour is solid, 0 where it is pure "
    "ground glass.",
    "central_location": "By the definition named in study.toml ([protocol] central_definition).",
    "clinical_t": "As recorded before treatment; compared with derived_t, never overruled.",
    "suv_max": "Empty where no PET/CT was done.",
    "treatment": "The first radical treatment. Known too late to predict.",
    "pathological_n": "The reference standard.",
    "nodes_examined": "All nodes of the specimen and of the dissection, N1 nodes included.",
    "lost_to_followup": "Known only after baseline: the protocol's flow leaves such patients out, survival keeps them.",
    "neoadjuvant": "Any anti-cancer treatment before surgery: such a patient gets no label.",
    "adjuvant_start_days": _FROM_ZERO,
    "followup_days": _FROM_ZERO,
    "last_imaging_days": _FROM_ZERO,
    "recurrence_days": _FROM_ZERO,
    "local_days": _FROM_ZERO,
    "regional_days": _FROM_ZERO,
    "distant_days": _FROM_ZERO,
    "recurrence_site": "Sites of the first recurrence; several are joined by a semicolon, such as regional;distant.",
    "series_uid": "Names the CT by itself; series_path by its folder. One of the two is enough.",
    "tumour_x_mm": "x grows to the patient's left. A centre (x, y, z), or a mask, or both.",
    "tumour_y_mm": "y grows to the patient's back.",
    "tumour_z_mm": "z grows to the patient's head.",
    "mask_path": "DICOM SEG or RTSTRUCT, NIfTI or NRRD.",
    "onlm": "1: clinical N0 M0, nothing given before surgery, pathological N1-N3. 0: the same with pathological N0 and "
    "at least one node examined. Else missing, with the reason. SBRT never has a label. In a surrogate study "
    "pathological N stands alone.",
    "onlm_missing_reason": "The first reason that holds; empty where the label is known.",
    "arm": "From treatment; surgery too where only a pathological N tells so.",
    "ctr": "solid_diameter_mm / total_diameter_mm: solid 1, pure ground glass 0.",
    "derived_t": "AJCC 8: the solid diameter where the tumour is part-solid, else the total, then the descriptor.",
    "derived_stage": "AJCC 8: from derived_t, clinical_n and clinical_m.",
    "threshold": "Chosen on training patients only.",
    "risk": "A probability of cancer in the nodes now, never of an event by a time.",
}
NOTES |= {f"recorded_{name}_days": f"{name}_days as it came; {name}_days itself is the endpoint's in the cohort."
          for name in ("recurrence", "regional", "distant")}  # fmt: skip


def note_of(table: str, name: str) -> str:
    """How a column is measured, filled in or derived; "" where its description says it all."""
    endpoint = name.removesuffix("_days").removesuffix("_event").removesuffix("_state")
    if table == "derived" and endpoint in ENDPOINT_RULES:
        return ENDPOINT_RULES[endpoint][0].upper() + ENDPOINT_RULES[endpoint][1:] + ". " + _FROM_ZERO
    return NOTES.get(name, "")
