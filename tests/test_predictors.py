"""Only what is known before treatment may predict."""

from __future__ import annotations

import pandas as pd
import pytest

from onlm_lab import schema
from onlm_lab.cohort.predictors import named_late, refuse_post_treatment
from onlm_lab.errors import OnlmError
from onlm_lab.study import CLINICAL_PREDICTORS, ExtraColumn


def test_the_default_predictors_are_let_through():
    refuse_post_treatment(CLINICAL_PREDICTORS)
    refuse_post_treatment(["ctr", "smoking", "lobe", "derived_t"])


@pytest.mark.parametrize(
    "name",
    ["pathological_n", "nodes_examined", "n2_stations_examined", "adjuvant", "treatment", "centre", "histology_source",
     "followup_days", "recurred", "onlm", "patient_id", "lost_to_followup", "regional_state"],
)  # fmt: skip
def test_a_fixed_column_that_is_not_known_before_treatment_is_refused_by_name(name):
    with pytest.raises(OnlmError, match=f"'{name}'"):
        refuse_post_treatment(["age_years", name])


@pytest.mark.parametrize(
    "name", ["lvi", "stas", "grade", "pathological_t", "pT", "visceral_pleural_invasion", "tumour_grade", "VPI"]
)
def test_a_pathological_finding_is_refused_by_name_even_if_declared_as_known_before(name):
    columns = {name: ExtraColumn(type="boolean", timing="pre_treatment")}
    with pytest.raises(OnlmError, match="by its name a finding after treatment"):
        refuse_post_treatment([name], extra_columns=columns)


def test_an_own_column_is_refused_by_its_declared_timing():
    said = {"marker": ExtraColumn(type="number", timing="post_treatment")}
    with pytest.raises(OnlmError, match="'marker' is known only after treatment"):
        refuse_post_treatment(["marker"], extra_columns=said)
    refuse_post_treatment(["marker"], extra_columns={"marker": ExtraColumn(type="number", timing="pre_treatment")})


def test_all_refused_predictors_are_named_at_once():
    with pytest.raises(OnlmError, match=r"'treatment'.*'centre'"):
        refuse_post_treatment(["treatment", "centre"])


def test_histology_predicts_only_where_it_comes_from_a_biopsy_or_the_study_says_surrogate():
    rows = pd.DataFrame(
        {"histology": ["adenocarcinoma", "squamous", None], "histology_source": ["biopsy", "resection", None]}
    )
    with pytest.raises(OnlmError, match="'histology' comes from no biopsy in 1 of 2 patients"):
        refuse_post_treatment(["histology"], patients=rows)
    refuse_post_treatment(["histology"], patients=rows, surrogate=True)
    refuse_post_treatment(["histology"], patients=rows.iloc[:1])


# Findings after treatment as hospitals write them: snake, camel, capitals, dots, dashes, Chinese.
LATE = (
    "pT", "pN_stage", "pNStage", "pTNM", "pStage", "p_stage", "pT2a", "ypN0", "pathologic_stage", "PathologicalT",
    "pathologyReport", "vascular_invasion", "VascularInvasion", "lymphovascular_invasion", "LVI", "lvi_present",
    "LVSI", "STAS", "stas_present", "spread_through_air_spaces", "spreadThroughAirSpaces", "n_positive_nodes",
    "nPositiveNodes", "positive_lymph_nodes", "nodes_resected", "lymph_node_ratio", "LNR", "lymphNodeRatio",
    "Ki67_resection", "adjuvant_chemo", "adjuvantChemotherapy", "overall_survival_days", "OS_months", "os", "DFS",
    "dfs_event", "relapse", "relapse_date", "recurrence_free", "time_to_recurrence", "death_date", "deceased",
    "vital_status", "grade", "tumour_grade", "histologic-grade", "Grade", "differentiation",
    "visceral_pleural_invasion", "VPI", "perineural_invasion", "resection_margin", "margin_status", "margin_mm", "R0",
    "r0_resection", "surgical_approach", "extent_of_resection", "extent", "postop_fev1", "post_op_pain",
    "postoperativeComplications", "operation_time", "nodal_upstaging", "upstaged", "lymph_node_metastasis",
    "LNmetastasis", "follow_up_months", "followupDays", "lost_to_follow_up", "progression_free", "sbrt_dose",
    "chemotherapy", "pathological_size", "invasive_size", "nodes_removed", "stations_examined", "osMonths",
    "OS.months", "pN0", "hospital_stay", "tumor_spread", "TumourGrade", "specimen_weight", "pT_size", "lobectomy",
    "alive", "PFSdays", "PositiveLymphnodes", "病理N分期", "术后化疗", "复发时间", "脉管侵犯",
    "path_T", "pathN", "path_subtype", "LN_pos", "number_LN", "LNM", "nodal_status", "station7_positive", "N2_positive",
    "occult_N", "occult_nodal", "R_status", "residual_tumour", "frozen_section", "micropapillary_percent",
    "predominant_pattern", "blood_loss", "MPR", "手术方式", "切除范围", "淋巴结阳性", "微乳头",
)  # fmt: skip
# Names that share letters with those and are innocent.
INNOCENT = (
    "spiculation", "pleural_contact", "ptt_seconds", "upstream", "post_bronchodilator_fev1", "grade_of_dyspnoea",
    "mmrc_grade", "emphysema_extent", "tumour_margin", "spiculated_margin", "biopsy_grade", "ct_pleural_invasion",
    "pet_positive_nodes", "node_short_axis_mm", "lymph_node_size", "history_of_surgery", "prior_chemotherapy",
    "family_history_of_cancer", "preoperative_cea", "preop_fev1", "age", "weight_kg", "ptp_score", "option",
    "spn_score", "lung_position", "cross_section", "osteoporosis", "oscillometry", "cosinus", "distance_to_pleura_mm",
    "pleural_tag", "vessel_convergence", "lobulation", "fev1_percent", "dlco", "albumin", "crp", "cyfra21_1", "nse",
    "egfr_biopsy", "ki67", "mean_hu", "necrosis", "air_bronchogram", "bubble_lucency", "ebus_done", "patient_weight",
    "postcode", "ptah_stain", "rose", "progesterone_receptor", "depth_mm", "opt", "gradient_hu", "gradeability",
    "radiomics_glcm_contrast", "术前病理", "CT值", "肿瘤最大径", "nodule_margin", "imaging_node_count",
    "prior_lobectomy", "baseline_grade", "PM2_5", "pm10", "r2_star", "tumour_centre_x",
    "faecal_occult_blood", "ct_nodal_status", "biopsy_micropapillary", "airway_path", "number_nodules",
    "smoking_status", "术前淋巴结阳性", "center_distance_mm", "hospital_anxiety_score", "CTvalue", "SUVmax", "meanHU",
)  # fmt: skip


@pytest.mark.parametrize("name", [c.name for c in schema.COLUMNS if c.timing != "pre_treatment"])
def test_every_fixed_column_that_is_not_known_before_treatment_is_refused(name):
    with pytest.raises(OnlmError, match=f"'{name}'"):
        refuse_post_treatment([name])


@pytest.mark.parametrize("name", [c.name for c in schema.COLUMNS if c.timing == "pre_treatment"])
def test_every_fixed_column_that_is_known_before_treatment_is_let_through(name):
    refuse_post_treatment([name])


@pytest.mark.parametrize("name", LATE)
def test_a_late_finding_is_refused_however_it_is_written_and_whatever_it_is_declared(name):
    columns = {name: ExtraColumn(type="number", timing="pre_treatment")}
    with pytest.raises(OnlmError, match="by its name a finding after treatment"):
        refuse_post_treatment([name], extra_columns=columns)


@pytest.mark.parametrize("name", INNOCENT)
def test_a_name_that_only_looks_like_a_late_finding_is_let_through(name):
    refuse_post_treatment([name], extra_columns={name: ExtraColumn(type="number", timing="pre_treatment")})


@pytest.mark.parametrize("timing", ["post_treatment", "outcome", "id"])
def test_every_timing_but_pre_treatment_is_refused(timing):
    column = schema.Column("marker", table="clinical", type="number", timing=timing)
    with pytest.raises(OnlmError, match=f"timing {timing}"):
        refuse_post_treatment(["marker"], extra_columns=[column])


def test_the_refusal_says_how_to_rename_what_was_known_before():
    with pytest.raises(OnlmError, match="such as biopsy_grade for a finding at biopsy"):
        refuse_post_treatment(["grade"])
    assert not named_late("biopsy_grade")
    with pytest.raises(OnlmError, match=r"If pt is something else.* a name that says so, and declare") as caught:
        refuse_post_treatment(["pt"])
    assert "biopsy" not in str(caught.value)
    with pytest.raises(OnlmError) as caught:
        refuse_post_treatment(["centre"])
    assert "something else" not in str(caught.value)


def test_histology_without_a_column_that_tells_its_source_comes_from_no_biopsy():
    with pytest.raises(OnlmError, match="no biopsy in 1 of 1"):
        refuse_post_treatment(["histology"], patients=pd.DataFrame({"histology": ["squamous"]}))
    refuse_post_treatment(["histology"], patients=pd.DataFrame({"age_years": [60.0]}))


@pytest.mark.parametrize(
    "name", ["center", "Hospital", "hospital_id", "centre-name", "institution", "surgeon", "treatment_arm", "therapy"]
)
def test_where_and_how_the_patient_was_treated_is_refused_by_name(name):
    with pytest.raises(OnlmError, match="a hospital or a treatment"):
        refuse_post_treatment([name], extra_columns={name: ExtraColumn(type="text", timing="pre_treatment")})
