"""An update of the risks, judged in patients who had no part in it: R's numbers, and better only where it is."""

import json
import math

import numpy as np
import pandas as pd
import pytest
from binary_reference import FOLDER, scored

from onlm_lab import figures
from onlm_lab.analysis import recalibrate, recalibration_effect
from onlm_lab.errors import OnlmError

R = json.loads((FOLDER / "by_level.json").read_text(encoding="utf-8"))


def wrong():
    rows = scored("asah", "p2")
    odds = np.log(rows["risk"] / (1 - rows["risk"]))
    return rows.assign(risk=1 / (1 + np.exp(-(0.4 + 0.6 * odds))))


def made(n=600, *, shift=0.0, seed=4):
    rng = np.random.default_rng(seed)
    odds = rng.normal(-1.5, 1.1, n)
    onlm = (rng.random(n) < 1 / (1 + np.exp(-(odds + shift)))).astype(float)
    return pd.DataFrame({"patient_id": np.arange(n), "onlm": onlm, "risk": 1 / (1 + np.exp(-odds))})


def test_an_update_judged_on_held_out_patients_equals_r():
    rows = wrong()
    odd = np.arange(len(rows)) % 2 == 0
    got, want = recalibration_effect(rows[odd], held_out=rows[~odd], method="both"), R["effect"]
    table = got.table.set_index("measure")
    for when in ("before", "after"):
        for name in ("intercept", "slope", "oe_ratio", "brier"):
            line = [table.loc[name, c] for c in (when, f"{when}_low", f"{when}_high")]
            assert line == pytest.approx(want[when][name], abs=1e-7), (when, name)
        assert table.loc["ici", when] == pytest.approx(want[when]["ici"], abs=1e-8)
        assert table.loc["scaled_brier", when] == pytest.approx(want[when]["scaled_brier"], abs=1e-8)
    change = got.brier_change
    assert [change.value, change.low, change.high] == pytest.approx(want["brier_change"], abs=1e-8)
    assert got.how == "held-out patients" and (got.before.model_id, got.after.model_id) == (
        "model", "model, recalibrated",
    )  # fmt: skip


def test_without_held_out_patients_after_is_the_cross_fitted_calibration():
    rows = made(shift=0.8)
    got, update = recalibration_effect(rows, method="both"), recalibrate(rows, method="both")
    assert got.how == "cross-fitted, 10 folds" and got.chosen == "both"
    assert got.after.slope.value == pytest.approx(update.cross_fitted.slope.value, abs=1e-12)
    assert got.after.slope.value != pytest.approx(1, abs=1e-6)  # the apparent one is 1 by construction
    table = got.table.set_index("measure")
    assert abs(table.loc["intercept", "after"]) < 0.1 < table.loc["intercept", "before"]
    assert got.brier_change.high < 0 and table.loc["ici", "after"] < table.loc["ici", "before"]


def test_good_risks_are_not_made_better_by_an_update():
    got = recalibration_effect(made(2000), method="both")
    assert abs(got.brier_change.value) < 0.001 and got.brier_change.high > 0


def test_a_refused_update_leaves_after_empty_and_says_so():
    rows = made(60).assign(onlm=[1.0] * 3 + [0.0] * 57)
    got = recalibration_effect(rows)
    assert got.after is None and got.chosen == "refused" and got.table["after"].isna().all()
    assert math.isnan(got.brier_change.value) and any("at least 5" in note for note in got.notes)
    other = made(60, seed=9).assign(patient_id=np.arange(100, 160))
    assert recalibration_effect(rows, held_out=other).after is None


def test_a_patient_on_both_sides_is_refused():
    with pytest.raises(OnlmError, match="5 of 100 held-out patients are also in rows"):
        recalibration_effect(made(200), held_out=made(100).assign(patient_id=np.arange(195, 295)))


def test_both_curves_are_drawn_side_by_side_under_their_names():
    effect = recalibration_effect(made(shift=0.8), method="both")
    figure = figures.plot_calibration([effect.before, effect.after])
    assert [t.name.split(":")[0] for t in figure.data if "slope" in t.name] == ["model", "model, recalibrated"]


def test_the_folds_follow_the_generator():
    rows = made(shift=0.8)
    first, again = (recalibration_effect(rows, method="both") for _ in range(2))
    other = recalibration_effect(rows, method="both", generator=np.random.default_rng(3))
    assert first.digest == again.digest != other.digest
