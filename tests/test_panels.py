"""A panel's figure, table and sentence say the numbers of the analysis, about the right patients."""

from __future__ import annotations

import numpy as np
import pytest
from made_run import write_run

from onlm_lab import analysis
from onlm_lab.errors import OnlmError
from onlm_lab.panels import cohort, hazards, outcomes, patients, performance, subgroups
from onlm_lab.panels.panel import Panel


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    return write_run(tmp_path_factory.mktemp("panels") / "run", n_surgery=160, n_sbrt=60).rows()


@pytest.fixture(scope="module")
def tested(rows):
    return patients.tested(rows)


def test_only_patients_that_the_model_has_not_seen_are_tested_and_sbrt_is_never_among_them(rows, tested):
    assert set(tested["split"]) == {"oof"} and set(tested["arm"]) == {"surgery"}
    assert len(tested) == 3 * 160


def test_without_a_tested_row_the_reader_is_told_what_is_wanted(rows):
    with pytest.raises(OnlmError, match="none of 180 rows is of split oof, test, external"):
        patients.tested(rows[rows["split"] == "unlabelled"])


def test_with_repeats_a_patient_counts_once(rows):
    twice = rows.assign(repeat=1)
    import pandas as pd

    both = pd.concat([rows, twice])
    assert len(patients.tested(both)) == len(patients.tested(rows))
    assert len(patients.of_arm(both, model="fused", arm="sbrt")) == 60


def test_a_model_that_is_not_there_is_named_with_those_that_are(rows):
    with pytest.raises(OnlmError, match="no model 'fussed'; there is clinical, image, fused"):
        patients.of_model(rows, model="fussed")


def test_tiles_show_the_librarys_numbers_with_interval_and_n(tested):
    tiles = {t.name: t for t in performance.tiles(tested, model="fused", threshold=0.2)}
    point = analysis.operating_point(tested, model="fused", threshold=0.2)
    assert tiles["Sensitivity"].value == f"{100 * point.sensitivity.value:.0f}\u00a0%"
    assert tiles["Sensitivity"].note == f"{point.n_tp} of {point.n_tp + point.n_fn} N+ found"
    assert tiles["N+ missed, of 1,000"].value == f"{1000 * point.n_fn / point.n:.0f}"
    assert all("CI" in t.interval and any(c.isdigit() for c in t.note) for t in tiles.values())


def test_a_tile_says_once_why_it_has_no_interval(tested):
    positive = tested.index[tested["onlm"] == 1]
    one = tested.drop(index=tested.index[tested["patient_id"].isin(tested.loc[positive, "patient_id"].unique()[1:])])
    auc = performance.tiles(one, model="fused")[0]
    assert auc.interval == "no interval: a variance needs at least two N+ and two N0 patients"


def test_a_higher_threshold_finds_fewer_and_spares_more(tested):
    low, high = (performance.tiles(tested, model="fused", threshold=t) for t in (0.05, 0.4))
    number = (
        {t.name: float(t.value.removesuffix("\u00a0%")) for t in low},
        {t.name: float(t.value.removesuffix("\u00a0%")) for t in high},
    )
    assert number[0]["Sensitivity"] > number[1]["Sensitivity"]
    assert number[0]["N0 spared, of 1,000"] < number[1]["N0 spared, of 1,000"]


def test_the_roc_panel_draws_every_model_and_its_table_holds_the_aucs(tested):
    panel = performance.roc_panel(tested, models=["fused", "clinical"], mark="MADE-UP DATA")
    assert list(panel.table["model_id"]) == ["fused", "clinical"]
    for name, auc in zip(panel.table["model_id"], panel.table["auc"], strict=True):
        assert auc == analysis.roc(tested, model=name).auc.value
    assert sum("AUC" in (t.name or "") for t in panel.figure.data) == 2
    assert "of 100 pairs" in panel.sentence and "by fold" in panel.sentence


def test_a_threshold_of_the_reader_is_called_optimistic_and_the_studys_own_is_not(tested):
    assert "optimistic" in performance.operating_panel(tested, model="fused", threshold=0.2).sentence
    assert "optimistic" not in performance.operating_panel(tested, model="fused").sentence


def test_the_comparison_is_the_paired_difference(tested):
    panel = performance.comparison_panel(tested, model="fused")
    expected = analysis.compare_aucs(tested, model_a="fused", model_b="clinical")
    row = panel.table.set_index("model_b").loc["clinical"]
    assert row["difference"] == expected.difference.value and row["p_value"] == expected.p_value
    assert panel.figure.data[0].x[0] == expected.difference.value


def test_calibration_and_decision_panels_draw_what_the_analysis_returns(tested):
    calibration = performance.calibration_panel(tested, models=["fused"])
    expected = analysis.assess_calibration(tested, model="fused")
    assert calibration.table["slope"].iloc[0] == expected.slope.value
    decision = performance.decision_panel(tested, thresholds=[0.05, 0.1, 0.2], n_bootstrap=20, threshold=0.1)
    assert set(decision.table["model_id"]) >= {"fused", "treat_all", "treat_none"}
    drawn = next(t for t in decision.figure.data if t.name == "fused")
    own = decision.table[decision.table["model_id"] == "fused"]
    np.testing.assert_array_equal(drawn.y, own["net_benefit"])


def test_a_model_that_only_equals_working_up_nobody_is_not_said_to_beat_it(tested):
    blind = tested.assign(risk=0.001)
    panel = performance.decision_panel(blind, models=["fused"], thresholds=[0.1, 0.2], n_bootstrap=5)
    assert "at none of 2 thresholds" in panel.sentence
    seer = tested.assign(risk=tested["onlm"] * 0.98 + 0.01)
    panel = performance.decision_panel(seer, models=["fused"], thresholds=[0.1, 0.2], n_bootstrap=5)
    assert "at 2 of 2 thresholds, between 10 and 20 %" in panel.sentence


def test_subgroups_follow_the_threshold_of_the_reader(tested):
    loose = subgroups.subgroup_panel(tested, model="fused", columns=["sex"], measure="sensitivity", threshold=0.02)
    strict = subgroups.subgroup_panel(tested, model="fused", columns=["sex"], measure="sensitivity", threshold=0.5)
    assert (loose.table["sensitivity"] >= strict.table["sensitivity"]).all()
    assert loose.table["sensitivity"].sum() > strict.table["sensitivity"].sum()


def test_subgroups_without_a_column_ask_for_one(tested):
    with pytest.raises(OnlmError, match="Choose at least one column"):
        subgroups.subgroup_panel(tested, model="fused", columns=[])


def test_surgery_carries_the_adjuvant_sentence_and_sbrt_the_missing_label(rows):
    surgery = outcomes.outcome_panel(rows, model="fused", endpoint="os", arm="surgery")
    sbrt = outcomes.outcome_panel(rows, model="fused", endpoint="os", arm="sbrt")
    assert "adjuvant therapy" in surgery.sentence and "out-of-fold risks (160)" in surgery.sentence
    assert "no pathological N" in sbrt.sentence and "risks of the final model (60)" in sbrt.sentence
    assert all("Observational" in p.sentence for p in (surgery, sbrt))
    assert "adjuvant therapy" not in sbrt.sentence


def test_an_endpoint_with_competing_events_is_shown_as_incidence_and_never_as_one_minus_survival(rows):
    panel = outcomes.outcome_panel(rows, model="fused", endpoint="regional", arm="sbrt", horizon_days=1095)
    grouped = patients.with_predicted_group(patients.of_arm(rows, model="fused", arm="sbrt"))
    expected = analysis.cumulative_incidence(grouped, endpoint="regional", by="predicted_group").at(days=[1095])
    np.testing.assert_array_equal(panel.table["incidence"], expected["incidence"])
    assert "other events competing" in panel.sentence


def test_high_and_low_risk_follow_each_rows_own_threshold_or_the_readers(rows):
    sbrt = patients.of_arm(rows, model="fused", arm="sbrt")
    own = patients.with_predicted_group(sbrt)
    assert ((own["predicted_group"] == "high risk") == (own["risk"] >= own["threshold"])).all()
    reader = patients.with_predicted_group(sbrt, threshold=0.3)
    assert ((reader["predicted_group"] == "high risk") == (reader["risk"] >= 0.3)).all()
    assert list(own["predicted_group"].cat.categories) == ["low risk", "high risk"]


def test_a_group_of_a_few_patients_is_refused_in_a_sentence_and_an_empty_one_leaves_one_curve(rows):
    risks = patients.of_arm(rows, model="fused", arm="sbrt")["risk"].sort_values(ascending=False).to_numpy()
    with pytest.raises(OnlmError, match=r"SBRT arm: .* 9 of 60 patients are high risk\. Groups of fewer than 10"):
        outcomes.outcome_panel(rows, model="fused", endpoint="os", arm="sbrt", threshold=risks[8])
    drawn = outcomes.outcome_panel(rows, model="fused", endpoint="os", arm="sbrt", threshold=risks[9])
    assert "high risk" in drawn.sentence and "(n = 10)" in drawn.sentence
    nobody = outcomes.outcome_panel(rows, model="fused", endpoint="os", arm="sbrt", threshold=1.1)
    assert "(n = 60)" in nobody.sentence and "high risk" not in nobody.sentence


def test_who_was_left_out_is_said_in_words(rows):
    unknown = rows.assign(regional_state=rows["regional_state"].mask(rows["patient_id"] == rows["patient_id"].iloc[-1]))
    panel = outcomes.outcome_panel(unknown, model="fused", endpoint="regional", arm="sbrt")
    assert "Left out: 1 (regional (nodal) recurrence unknown)" in panel.notes


def test_a_single_threshold_is_not_a_range():
    assert performance._from_to(0.16, 0.16) == "at 16 %"
    assert performance._from_to(0.02, 0.40) == "between 2 and 40 %"


def test_the_hazard_figure_says_the_endpoint_the_arm_and_whose_risk(rows):
    figure = hazards.hazard_panel(rows, model="fused", endpoint="regional", arm="sbrt").figure
    under = figure.layout.title.subtitle.text
    assert "regional (nodal) recurrence" in under and "SBRT arm, risk of fused" in under


def test_no_hazard_ratio_per_ten_points_where_no_two_risks_differ_by_ten(rows):
    narrow = rows.assign(risk=0.19 + 0.05 * rows["risk"])
    with pytest.raises(OnlmError, match=r"SBRT arm: no hazard ratio, for 90 % of the 60 risks lie between"):
        hazards.hazard_panel(narrow, model="fused", endpoint="os", arm="sbrt")


def test_the_hazard_panel_gives_the_ratio_per_ten_points(rows):
    panel = hazards.hazard_panel(rows, model="fused", endpoint="os", arm="surgery")
    assert "per 10 percentage points" in panel.sentence
    assert panel.figure.data[0].x[0] == panel.table["hr"].iloc[0]


def test_an_arm_without_patients_is_said(rows):
    with pytest.raises(OnlmError, match="no patient in the SBRT arm"):
        outcomes.outcome_panel(rows[rows["arm"] == "surgery"], model="fused", endpoint="os", arm="sbrt")


def test_a_panel_is_a_question_a_figure_a_table_and_a_sentence(tested):
    panel = performance.operating_panel(tested, model="fused")
    assert isinstance(panel, Panel) and panel.title.endswith("?") and panel.sentence.endswith(".")
    assert len(panel.table) == 4 and len(panel.figure.data) == 1


# --- who is in -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def screening():
    import pandas as pd

    from onlm_lab.cohort import build_cohort, screen
    from onlm_lab.study import Protocol

    nan = float("nan")
    frame = pd.DataFrame({
        "patient_id": list("ABCDE"), "centre": ["X", "X", "Y", "Y", "Y"], "age_years": [60.0, 9.0, nan, 60.0, nan],
        "kps": [90.0, 90.0, nan, 60.0, 90.0], "consent": ["yes", "yes", "yes", "yes", "no"],
    })  # fmt: skip
    protocol = Protocol(rules=("adult", "performance_status", "consent"))
    return screen(build_cohort(frame, source="test"), protocol)


def test_the_flow_panel_says_the_rule_at_which_most_left_and_its_table_has_each_centre(screening):
    panel = cohort.flow_panel(screening.flow)
    assert panel.sentence == (
        "Of 5 patients screened, 1 (20 %) are eligible. Most were left out at 'Age at least 18 years': 1 excluded, "
        "1 undetermined because a value that matters is missing."
    )
    assert panel.table.values.tolist() == [["X", 2, 1, 0, 1], ["Y", 3, 2, 1, 0], ["All centres", 5, 3, 1, 1]]
    of_y = cohort.flow_panel(screening.flow, centre="Y").sentence
    assert of_y.startswith("Of 3 patients screened in Y, 0 (0 %) are eligible.")


def test_who_left_at_each_rule_in_each_centre(screening):
    table = cohort.rule_by_centre(screening.flow)
    assert list(table) == ["Rule", "X", "Y", "All centres"]
    assert table.values.tolist() == [
        ["Age at least 18 years", 1, 0, 1], ["KPS at least 70", 0, 1, 1], ["Informed consent, or waived", 0, 1, 1],
    ]  # fmt: skip
    assert cohort.rule_by_centre(screening.flow, count="n_undetermined")["All centres"].tolist() == [1, 0, 0]


def test_whom_to_look_up_and_what(screening):
    table = cohort.undetermined_table(screening.undetermined, rules=screening.rules)
    assert table.values.tolist() == [["C", "Age at least 18 years; KPS at least 70", "Age (years), KPS, ECOG"]]
    counts = cohort.look_up_counts(screening.undetermined)
    assert counts.values.tolist() == [["Age (years)", 1, 0], ["ECOG", 1, 0], ["KPS", 1, 0]]


def test_with_nobody_screened_or_nobody_undetermined_the_panels_still_say_so():
    import pandas as pd

    from onlm_lab.cohort import build_cohort, screen
    from onlm_lab.study import Protocol

    nobody = screen(build_cohort(pd.DataFrame({"patient_id": [], "centre": []}, dtype=object), source="test"))
    panel = cohort.flow_panel(nobody.flow)
    assert panel.sentence == "Of 0 patients screened, 0 are eligible." and panel.table["n_screened"].tolist()[-1] == 0
    assert cohort.undetermined_table(nobody.undetermined, rules=nobody.rules).empty
    assert cohort.look_up_counts(nobody.undetermined).empty
    one = build_cohort(pd.DataFrame({"patient_id": ["A"], "centre": ["X"]}), source="test")
    everybody = screen(one, Protocol(rules=()))
    assert cohort.flow_panel(everybody.flow).sentence == "Of 1 patients screened, 1 (100 %) are eligible."
