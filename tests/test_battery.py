"""results.json holds each call's own result under its model, and says what was refused."""

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest

from onlm_lab import analysis
from onlm_lab.analysis.battery import analyse, write_results
from onlm_lab.panels.patients import of_arm
from onlm_lab.study import Analysis

PLAN = Analysis(bootstrap=5, subgroups=("sex",), bins={}, endpoints=("os", "regional"))


def predictions(n: int = 120, **change: object) -> pd.DataFrame:
    rng = np.random.default_rng(4)
    risk = rng.uniform(0.02, 0.8, n)
    days = rng.exponential(1500 * np.exp(-risk)).round() + 1
    return pd.DataFrame(
        {
            "patient_id": [f"P{i}" for i in range(n)], "model_id": "a", "split": "external", "repeat": 0, "risk": risk,
            "onlm": (rng.uniform(size=n) < risk).astype(float), "centre": rng.choice(list("ABC"), n),
            "sex": rng.choice(["female", "male"], n), "arm": "surgery", "os_days": days,
            "os_event": rng.integers(0, 2, n), "regional_days": days, "regional_state": rng.integers(0, 3, n),
        }
    ).assign(**change)  # fmt: skip


def test_each_call_stands_under_its_model_with_the_numbers_of_the_call_itself(tmp_path):
    rows = predictions()
    both = pd.concat([rows, predictions(model_id="b", risk=1 - rows["risk"])])
    write_results(analyse(both, plan=PLAN), tmp_path / "results.json")
    found = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    assert found["a"]["roc"]["auc"]["value"] == analysis.roc(rows).auc.value > 0.5 > found["b"]["roc"]["auc"]["value"]
    assert found["a"]["compare_aucs"]["b"]["difference"]["value"] > 0
    survival = analysis.kaplan_meier(rows, endpoint="os").curve["survival"].tolist()
    assert [row["survival"] for row in found["a"]["kaplan_meier"]["os"]["surgery"]["curve"]] == survival
    assert found["a"]["cumulative_incidence"]["regional"]["surgery"]["n"] == 120 and found["a"]["not_done"] == {}
    assert set(found) == {"a", "b"} and found["b"]["about"]["n_patients_by_split"] == {"external": 120}


def test_an_operating_point_at_a_threshold_chosen_on_the_same_patients_is_apparent_and_their_own_is_not():
    rows = predictions()
    assert analyse(rows, plan=PLAN)["a"]["operating_point"]["apparent"] is True
    decided = rows.assign(predicted_positive=(rows["risk"] > 0.2).astype(float))
    assert analyse(decided, plan=PLAN)["a"]["operating_point"]["apparent"] is False


def test_models_are_compared_in_every_way_and_the_better_one_is_better_in_all():
    chance = np.random.default_rng(8)
    good = predictions()
    onlm = good["onlm"].to_numpy()
    risk = np.clip(0.15 + 0.4 * onlm + chance.normal(0, 0.15, len(onlm)), 0.01, 0.99)
    good = good.assign(risk=risk, predicted_positive=(risk >= 0.3).astype(float))
    poor = good.assign(model_id="b", risk=0.4, predicted_positive=1.0)
    plan = dataclasses.replace(PLAN, risk_cuts=(0.2, 0.5))
    found = analyse(pd.concat([good, poor]), plan=plan)["a"]
    assert found["compare_operating_points"]["b"]["specificity"]["low"] > 0
    assert found["compare_operating_points"]["b"]["sensitivity"]["value"] <= 0  # whom everybody calls, nobody misses
    differences = [row["difference"] for row in found["compare_net_benefit"]["b"]["table"]]
    assert len(differences) == 39 and max(differences) > 0
    assert found["reclassification"]["b"]["nri"]["value"] > 0  # from b to a
    assert "reclassification" not in analyse(pd.concat([good, poor]), plan=PLAN)["a"]


def test_the_plan_says_prevalence_minimum_of_nodes_markers_and_predictors():
    chance = np.random.default_rng(9)
    rows = predictions(240)
    rows = rows.assign(
        predicted_positive=(rows["risk"] > 0.3).astype(float), nodes_examined=chance.integers(1, 30, len(rows)),
        egfr=(chance.uniform(size=len(rows)) < rows["risk"]).astype(float), age_years=chance.normal(65, 8, len(rows)),
        cea_ng_ml=np.where(chance.uniform(size=len(rows)) < 0.3, np.nan, 3.0),
    )  # fmt: skip
    plan = dataclasses.replace(
        PLAN,
        prevalence=0.1,
        min_nodes=(6, 10),
        markers=("egfr",),
        confounders=("age_years",),
        bins={"age_years": (65.0,)},
        fairness=("sex", "age_years"),
    )
    found = analyse(rows, plan=plan, predictors=["cea_ng_ml", "age_years"])["a"]
    assert found["not_done"] == {}
    assert sum(row["patients"] for row in found["per_1000"]["table"][:2]) == pytest.approx(100)
    assert found["operating_point"]["ppv_at_prevalence"]["value"] < found["operating_point"]["ppv"]["value"]
    assert [row["minimum"] for row in found["label_sensitivity"]["table"]] == [None, 6, 10]
    assert {row["column"] for row in found["fairness"]["gaps"]} == {"sex", "age_years"}
    assert found["associations"]["adjusted_for"] == ["age_years"]
    assert found["associations"]["tests"][0]["p_value"] < 0.05
    assert {row["grouping"] for row in found["missing_data_sensitivity"]["table"]} >= {"completeness", "cea_ng_ml"}
    assert "label_sensitivity" not in analyse(rows, plan=PLAN)["a"]


def test_no_patients_row_is_in_the_results():
    found = analyse(predictions(), plan=PLAN)["a"]
    assert found["confident_mistakes"]["n_missed"] > 0 and found["confident_mistakes"]["compared"]
    assert "patient_id" not in json.dumps(found) and '"P1"' not in json.dumps(found)


def test_what_a_call_refuses_is_kept_in_its_own_words_and_the_rest_is_done():
    found = analyse(predictions().drop(columns="onlm"), plan=PLAN)["a"]
    assert "column 'onlm'" in found["not_done"]["roc"] and "kaplan_meier" in found and "roc" not in found


# --- testing sets stand apart ----------------------------------------------------------------------------------------


def four_sets() -> pd.DataFrame:
    """120 patients each: out of fold, other centres, later years, locked; and 40 of SBRT without a label."""
    parts = {"development": "oof", "external": "external", "temporal": "external", "locked": "test"}
    tables = [
        predictions(split=split, part=part).assign(patient_id=lambda t, part=part: part + t["patient_id"])
        for part, split in parts.items()
    ]
    tables[1]["onlm"] = 1 - tables[1]["onlm"]  # elsewhere the model is worse than chance
    sbrt = predictions(40, split="unlabelled", part="external", arm="sbrt", onlm=np.nan)
    return pd.concat([*tables, sbrt], ignore_index=True)


def test_testing_sets_are_never_pooled_and_each_has_the_numbers_of_its_own_rows():
    rows = four_sets()
    found = analyse(rows, plan=PLAN)["a"]
    assert found["about"]["main_split"] == "oof" and set(found["by_split"]) == {"external", "temporal", "test"}
    assert found["roc"]["n"] == 120 and found["roc"]["auc"]["value"] == analysis.roc(rows[:120]).auc.value
    external = found["by_split"]["external"]
    assert external["roc"]["auc"]["value"] == analysis.roc(rows[120:240]).auc.value < 0.5 < found["roc"]["auc"]["value"]
    assert set(found) - {"by_split", "about", "not_done"} >= set(external) - {"about", "not_done"}
    for call in ("roc", "operating_point", "assess_calibration", "by_subgroup", "by_centre", "net_benefit"):
        assert call in external, external["not_done"]
    assert not any("different splits together" in json.dumps(part) for part in (found, external))


def test_each_patient_has_one_outcome_in_one_set_and_sbrt_stands_with_the_main_one():
    found = analyse(four_sets(), plan=PLAN)["a"]
    assert found["kaplan_meier"]["os"]["surgery"]["n"] == 120 and found["kaplan_meier"]["os"]["sbrt"]["n"] == 40
    for name in ("external", "temporal", "test"):
        by_arm = found["by_split"][name]["kaplan_meier"]["os"]
        assert set(by_arm) == {"surgery"} and by_arm["surgery"]["n"] == 120


def test_who_was_operated_elsewhere_or_later_without_a_label_has_the_outcome_of_that_set():
    rows = four_sets()
    n = {"development": 7, "external": 5, "temporal": 3}
    more = [
        predictions(k, split="unlabelled", part=part, onlm=np.nan).assign(
            patient_id=lambda t, part=part: "x" + part + t["patient_id"]
        )
        for part, k in n.items()
    ]
    rows = pd.concat([rows, *more], ignore_index=True)
    found = analyse(rows, plan=PLAN)["a"]
    assert found["kaplan_meier"]["os"]["surgery"]["n"] == 127 and found["kaplan_meier"]["os"]["sbrt"]["n"] == 40
    assert found["by_split"]["external"]["kaplan_meier"]["os"]["surgery"]["n"] == 125
    assert found["by_split"]["temporal"]["kaplan_meier"]["os"]["surgery"]["n"] == 123
    assert found["by_split"]["external"]["roc"]["n"] == 120
    assert len(of_arm(rows, model="a", arm="surgery")) == 127 and len(of_arm(rows, model="a", arm="sbrt")) == 40


def test_a_locked_set_that_nobody_opened_is_not_a_testing_set_and_changes_nothing():
    rows = four_sets()
    test = rows["split"] == "test"
    blank = rows.assign(onlm=rows["onlm"].mask(test), os_days=rows["os_days"].mask(test))
    found, without = analyse(blank, plan=PLAN)["a"], analyse(rows[~test], plan=PLAN)["a"]
    assert set(found["by_split"]) == {"external", "temporal"}
    assert found["kaplan_meier"] == without["kaplan_meier"] and found["roc"] == without["roc"]


def test_without_out_of_fold_rows_the_one_set_there_is_stands_first():
    found = analyse(predictions(), plan=PLAN)["a"]
    assert found["about"]["main_split"] == "external" and "by_split" not in found
    found = analyse(predictions().drop(columns="split"), plan=PLAN)["a"]
    assert found["roc"]["n"] == 120 and found["kaplan_meier"]["os"]["surgery"]["n"] == 120
