"""results.json holds each call's own result under its model, and says what was refused."""

import json

import numpy as np
import pandas as pd

from onlm_lab import analysis
from onlm_lab.analysis.battery import analyse, write_results
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


def test_what_a_call_refuses_is_kept_in_its_own_words_and_the_rest_is_done():
    found = analyse(predictions().drop(columns="onlm"), plan=PLAN)["a"]
    assert "column 'onlm'" in found["not_done"]["roc"] and "kaplan_meier" in found and "roc" not in found
