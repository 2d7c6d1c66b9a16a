"""The words of the TCGA lung tables and what each becomes here: data, no code.

Names are those of the second header line of the biotab file (the names of the XML forms). Word tables do not look at
case.
"""

from __future__ import annotations

from onlm_lab.schema import Column

SOURCE = "TCGA lung"
CITATION = (
    "The Cancer Genome Atlas, open access, NCI Genomic Data Commons (portal.gdc.cancer.gov); TCGA Clinical Data "
    "Resource: Liu et al., Cell 2018;173:400-416, doi:10.1016/j.cell.2018.02.052"
)
MISSING = (
    "", "[Not Available]", "[Not Applicable]", "[Unknown]", "[Not Evaluated]", "[Discrepancy]", "[Completed]",
    "[Pending]", "#N/A", "NA", "nan",
)  # fmt: skip
YES_NO = {"YES": 1.0, "NO": 0.0}
EDITIONS = ("1st", "2nd", "3rd", "4th", "5th", "6th", "7th", "8th")
STAGES = ("0", "I", "IA", "IB", "II", "IIA", "IIB", "III", "IIIA", "IIIB", "IV")
T_STAGES = ("TX", "T0", "Tis", "T1", "T1a", "T1b", "T2", "T2a", "T2b", "T3", "T4")
M_STAGES = ("MX", "M0", "M1", "M1a", "M1b")
NEW_TUMOUR = {
    "Locoregional Recurrence": "locoregional", "Distant Metastasis": "distant", "New Primary Tumor": "new_primary",
}  # fmt: skip
# Smoking: codes of caDSR common data element 2181650. "Reformed" is former, however long ago.
SMOKING = {
    "1": "never", "Lifelong Non-smoker": "never",
    "2": "current", "Current smoker": "current",
    "3": "former", "Current reformed smoker for > 15 years": "former",
    "4": "former", "Current reformed smoker for < or = 15 years": "former",
    "Current reformed smoker for <= 15 years": "former",
    "5": "former", "Current Reformed Smoker, Duration Not Specified": "former",
}  # fmt: skip
LOBES = {"R-Upper": "RUL", "R-Middle": "RML", "R-Lower": "RLL", "L-Upper": "LUL", "L-Lower": "LLL"}
LOBES_OF_SITE = {"C34.1": ("RUL", "LUL"), "C34.2": ("RML",), "C34.3": ("RLL", "LLL")}  # ICD-O-3: upper, middle, lower
# raw column -> (our column, raw word -> our value)
WORDS: dict[str, tuple[str, dict[str, object]]] = {
    "gender": ("sex", {"MALE": "male", "FEMALE": "female"}),
    "tobacco_smoking_history": ("smoking", SMOKING),
    "diagnosis": (
        "histology",
        {"Lung Adenocarcinoma": "adenocarcinoma", "Lung Squamous Cell Carcinoma": "squamous"},
    ),
    "pathologic_N": ("pathological_n", {n: n for n in ("N0", "N1", "N2", "N3", "NX")}),
    "history_of_neoadjuvant_treatment": (
        "neoadjuvant",
        {"No": 0.0, "Yes": 1.0, "Yes, Pharmaceutical Treatment Prior to Resection": 1.0,
         "Yes, Radiation Prior to Resection": 1.0},
    ),
    "race": (
        "race",
        {"WHITE": "white", "BLACK OR AFRICAN AMERICAN": "black", "ASIAN": "asian",
         "AMERICAN INDIAN OR ALASKA NATIVE": "native_american",
         "NATIVE HAWAIIAN OR OTHER PACIFIC ISLANDER": "pacific_islander"},
    ),
    "ethnicity": ("ethnicity", {"NOT HISPANIC OR LATINO": "not_hispanic", "HISPANIC OR LATINO": "hispanic"}),
    "prior_dx": (
        "prior_malignancy",
        {"No": "no", "Yes": "yes", "Yes, History of Prior Malignancy": "prior",
         "Yes, History of Synchronous and or Bilateral Malignancy": "synchronous",
         "Yes, History of Synchronous/Bilateral Malignancy": "synchronous"},
    ),
    "laterality": ("laterality", {"Left": "left", "Right": "right", "Bilateral": "bilateral"}),
    "location_in_lung_parenchyma": (
        "location_in_parenchyma", {"Central Lung": "central", "Peripheral Lung": "peripheral"}
    ),
    "system_version": ("ajcc_edition", {e: e for e in EDITIONS}),
    "pathologic_T": ("pathological_t", {t: t for t in T_STAGES}),
    "pathologic_M": ("pathological_m", {m: m for m in M_STAGES}),
    "pathologic_stage": ("pathological_stage", {f"Stage {s}": s for s in STAGES}),
    "residual_tumor": ("residual_tumour", {r: r for r in ("R0", "R1", "R2", "RX")}),
    "radiation_therapy": ("adjuvant_radiation", YES_NO),
    "postoperative_rx_tx": ("adjuvant_drugs", YES_NO),
    "targeted_molecular_therapy": ("targeted_therapy", YES_NO),
    "kras_mutation_found": ("kras_mutated", YES_NO),
    "egfr_mutation_identified": ("egfr_mutated", YES_NO),
    "eml4_alk_translocation_identified": ("alk_translocated", YES_NO),
}  # fmt: skip
NUMBERS = {
    "age_at_initial_pathologic_diagnosis": "age_years", "number_pack_years_smoked": "pack_years",
    "lymph_node_examined_count": "nodes_examined", "number_of_lymphnodes_positive_by_he": "nodes_positive",
    "year_of_initial_pathologic_diagnosis": "diagnosis_year", "year_of_tobacco_smoking_onset": "smoking_start_year",
    "stopped_smoking_year": "smoking_stop_year", "pre_bronchodilator_fev1_percent": "fev1_percent",
    "post_bronchodilator_fev1_percent": "fev1_after_bronchodilator_percent",
    "pre_bronchodilator_fev1_fvc_percent": "fev1_fvc_percent",
    "post_bronchodilator_fev1_fvc_percent": "fev1_fvc_after_bronchodilator_percent",
    "dlco_predictive_percent": "dlco_percent",
}  # fmt: skip
PERFORMANCE = {"karnofsky_performance_score": "kps", "eastern_cancer_oncology_group": "ecog"}
BEFORE_SURGERY = ("pre-operative", "preoperative")
# Columns without which a file is no patient file of TCGA lung; the others may be absent from one of the two.
REQUIRED = (
    "bcr_patient_barcode", "gender", "diagnosis", "pathologic_T", "pathologic_N", "pathologic_M", "pathologic_stage",
    "system_version", "tobacco_smoking_history", "history_of_neoadjuvant_treatment", "vital_status",
    "age_at_initial_pathologic_diagnosis",
)  # fmt: skip
# First header line -> second, for files whose second line somebody took away; histologic_diagnosis stands there twice.
ALIASES = {
    "history_other_malignancy": "prior_dx", "anatomic_organ_subdivision": "anatomic_neoplasm_subdivision",
    "location_lung_parenchyma": "location_in_lung_parenchyma",
    "initial_pathologic_dx_year": "year_of_initial_pathologic_diagnosis", "ajcc_staging_edition": "system_version",
    "ajcc_tumor_pathologic_pt": "pathologic_T", "ajcc_nodes_pathologic_pn": "pathologic_N",
    "ajcc_metastasis_pathologic_pm": "pathologic_M", "ajcc_pathologic_tumor_stage": "pathologic_stage",
    "ajcc_tumor_clinical_ct": "clinical_T", "ajcc_nodes_clinical_cn": "clinical_N",
    "ajcc_metastasis_clinical_cm": "clinical_M", "ajcc_clinical_tumor_stage": "clinical_stage",
    "fev1_percent_ref_prebroncholiator": "pre_bronchodilator_fev1_percent",
    "fev1_percent_ref_postbroncholiator": "post_bronchodilator_fev1_percent",
    "fev1_fvc_ratio_prebroncholiator": "pre_bronchodilator_fev1_fvc_percent",
    "fev1_fvc_ratio_postbroncholiator": "post_bronchodilator_fev1_fvc_percent",
    "carbon_monoxide_diffusion_dlco": "dlco_predictive_percent",
    "egfr_mutation_status": "egfr_mutation_performed", "egfr_mutation_identified_type": "egfr_mutation_result",
    "tobacco_smoking_history_indicator": "tobacco_smoking_history",
    "history_neoadjuvant_treatment": "history_of_neoadjuvant_treatment",
    "tobacco_smoking_year_started": "year_of_tobacco_smoking_onset",
    "tobacco_smoking_year_stopped": "stopped_smoking_year",
    "tobacco_smoking_pack_years_smoked": "number_pack_years_smoked",
    "karnofsky_score": "karnofsky_performance_score", "ecog_score": "eastern_cancer_oncology_group",
    "performance_status_timing": "performance_status_scale_timing",
    "radiation_treatment_adjuvant": "radiation_therapy", "pharmaceutical_tx_adjuvant": "postoperative_rx_tx",
    "birth_days_to": "days_to_birth", "last_contact_days_to": "days_to_last_followup",
    "death_days_to": "days_to_death",
}  # fmt: skip
# Columns that are read, but not into a column of their own.
READ_ASIDE = {
    "bcr_patient_barcode": "patient_id", "tissue_source_site": "centre (as the second part of the barcode)",
    "histological_type": "the own column histological_type, word for word",
    "anatomic_neoplasm_subdivision": "lobe", "anatomic_neoplasm_subdivision_other": "lobe, where it names the lingula",
    "icd_o_3_site": "compared with the lobe", "egfr_mutation_result": "egfr_mutated, where it names a mutation",
    "performance_status_scale_timing": "whether kps and ecog were taken before surgery",
    "days_to_birth": "compared with the age",
}  # fmt: skip
NO_PLACE = {
    "bcr_patient_uuid": "a second identifier of the same patient",
    "patient_id": "the last part of the barcode", "form_completion_date": "a date of the paperwork",
    "tissue_prospective_collection_indicator": "how the tissue was collected",
    "tissue_retrospective_collection_indicator": "how the tissue was collected",
    "tumor_tissue_site": "the organ, lung",
    "days_to_initial_pathologic_diagnosis": "time zero itself",
    "disease_code": "of another project", "project_code": "of another project",
    "icd_10": "the site is in lobe", "icd_o_3_histology": "the histology is in histology and histological_type",
    "informed_consent_verified": "consent to TCGA, not to this study: consent left empty",
    "pulmonary_function_test_performed": "says itself by the values",
    "kras_gene_analysis_performed": "says itself by kras_mutated", "kras_mutation_result": "which mutation",
    "egfr_mutation_performed": "a test without a result is not a negative test: egfr_mutated left empty",
    "eml4_alk_translocation_performed": "a test without a result is not a negative test",
    "eml4_alk_translocation_method": "how it was tested",
    "primary_therapy_outcome_success": "known only after treatment; the Clinical Data Resource has the later one",
    "person_neoplasm_cancer_status": "at last contact; the Clinical Data Resource has the later one",
    "new_tumor_event_after_initial_treatment": "without a day; recurrence comes from the Clinical Data Resource",
    "clinical_T": "clinical T is not given", "clinical_N": "clinical N is not given: the label is a surrogate",
    "clinical_M": "clinical M is not given", "clinical_stage": "clinical stage is not given",
}  # fmt: skip
OUTCOME_COLUMNS = ("vital_status", "days_to_last_followup", "days_to_death")
CDR_USED = {
    "bcr_patient_barcode": "patient_id", "OS": "died", "OS.time": "followup_days", "DSS": "death_cause",
    "DFI": "recurred", "DFI.time": "recurrence_days", "PFI": "pfi_event", "PFI.time": "pfi_days",
    "new_tumor_event_type": "new_tumour_event and recurrence_site", "Redaction": "redacted patients are left out",
    "new_tumor_event_dx_days_to": "compared with DFI.time",
    "gender": "compared with the biotab file", "age_at_initial_pathologic_diagnosis": "compared with the biotab file",
    "ajcc_pathologic_tumor_stage": "compared with the biotab file",
    "initial_pathologic_dx_year": "compared with the biotab file",
}  # fmt: skip
CDR_REQUIRED = ("bcr_patient_barcode", "OS", "OS.time", "DSS", "DFI", "DFI.time", "PFI", "PFI.time")
CDR_NO_PLACE = {
    "type": "the project; histology comes from the biotab file", "DSS.time": "the same as OS.time",
    "vital_status": "the same as OS", "last_contact_days_to": "in OS.time", "death_days_to": "in OS.time",
    "race": "taken from the biotab file", "histological_type": "taken from the biotab file",
    "birth_days_to": "taken from the biotab file", "clinical_stage": "clinical stage is not given",
    "tumor_status": "in DSS and PFI", "treatment_outcome_first_course": "in DFI: decides who counts as disease-free",
}  # fmt: skip
_POST = "post_treatment"


def _own(name: str, type: str, timing: str, description: str, unit: str = "", **more: object) -> Column:
    return Column(name=name, table="clinical", type=type, timing=timing, description=description, unit=unit, **more)


def _percent(name: str, what: str) -> Column:
    said = f"{what}; the form does not say when it was measured"
    return _own(name, "number", _POST, said, unit="%", low=0, high=300)


def _combinations() -> tuple[str, ...]:
    kinds = tuple(NEW_TUMOUR.values())
    return tuple(
        ";".join(kind for i, kind in enumerate(kinds) if pattern >> i & 1) for pattern in range(1, 2 ** len(kinds))
    )


# What the tables have beyond our columns. Pre-treatment only where the thing itself lies before, such as smoking.
EXTRA_COLUMNS: tuple[Column, ...] = (
    _own("race", "category", "pre_treatment", "Race as recorded",
         allowed=("white", "black", "asian", "native_american", "pacific_islander")),
    _own("ethnicity", "category", "pre_treatment", "Ethnicity as recorded", allowed=("not_hispanic", "hispanic")),
    _own("prior_malignancy", "category", "pre_treatment", "Another malignancy: prior, synchronous, or yes without more",
         allowed=("no", "yes", "prior", "synchronous")),
    _own("smoking_start_year", "integer", "pre_treatment", "Year in which smoking began", low=1900, high=2100),
    _own("smoking_stop_year", "integer", "pre_treatment", "Year in which smoking ended", low=1900, high=2100),
    _own("diagnosis_year", "integer", "pre_treatment", "Year of initial pathologic diagnosis: time zero, not surgery",
         low=1950, high=2100),
    _own("laterality", "category", "pre_treatment", "Side", allowed=("left", "right", "bilateral")),
    _own("location_in_parenchyma", "category", _POST, "Central or peripheral; the form does not say by what or when",
         allowed=("central", "peripheral")),
    _percent("fev1_percent", "FEV1, percent of predicted, before bronchodilator"),
    _percent("fev1_after_bronchodilator_percent", "FEV1, percent of predicted, after bronchodilator"),
    _percent("fev1_fvc_percent", "FEV1/FVC before bronchodilator"),
    _percent("fev1_fvc_after_bronchodilator_percent", "FEV1/FVC after bronchodilator"),
    _percent("dlco_percent", "Diffusing capacity, percent of predicted"),
    _own("histological_type", "text", _POST, "Histological type of the resected tumour, word for word"),
    _own("ajcc_edition", "category", _POST, "Edition of the AJCC manual behind pathological T, N, M and stage",
         allowed=EDITIONS),
    _own("pathological_t", "category", _POST, "Pathological T in the words of its own edition, not converted",
         allowed=T_STAGES),
    _own("pathological_m", "category", _POST, "Pathological M", allowed=M_STAGES),
    _own("pathological_stage", "category", _POST, "Pathological stage by its own edition", allowed=STAGES),
    _own("residual_tumour", "category", _POST, "Residual tumour", allowed=("R0", "R1", "R2", "RX")),
    _own("nodes_positive", "integer", _POST, "Lymph nodes positive by HE", low=0, high=200),
    _own("adjuvant_radiation", "boolean", _POST, "Adjuvant radiotherapy"),
    _own("adjuvant_drugs", "boolean", _POST, "Adjuvant drugs"),
    _own("targeted_therapy", "boolean", _POST, "Targeted molecular therapy"),
    _own("kras_mutated", "boolean", _POST, "KRAS mutation (tissue of the resection)"),
    _own("egfr_mutated", "boolean", _POST, "EGFR mutation (tissue of the resection); 1 or not known"),
    _own("alk_translocated", "boolean", _POST, "EML4-ALK translocation (tissue of the resection)"),
    _own("new_tumour_event", "category", _POST, "Kinds of the new tumour event (Clinical Data Resource)",
         allowed=_combinations()),
    _own("pfi_event", "boolean", _POST, "Progression-free interval: any new tumour, or death with tumour"),
    _own("pfi_days", "number", _POST, "Diagnosis to that event or last contact", unit="days", low=0),
    _own("dfi_event", "boolean", _POST, "Disease-free interval: recurrence or new lung primary"),
    _own("dfi_days", "number", _POST, "Diagnosis to that event or last contact", unit="days", low=0),
)  # fmt: skip
