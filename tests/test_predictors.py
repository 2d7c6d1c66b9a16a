"""Only what is known before treatment may predict."""

from __future__ import annotations

import pandas as pd
import pytest

from onlm_lab.cohort.predictors import refuse_post_treatment
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
