"""The page of a local recalibration tells what was done, what to expect, and what it must not be used for."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from onlm_lab.analysis import apply_recalibration, recalibrate
from onlm_lab.report.recalibration import render_recalibration, summary_lines, write_recalibration

NASTY = "<img src=x onerror=window.pwned=1>"


def made(n=500, seed=3, intercept=-1.0, slope=0.6):
    rng = np.random.default_rng(seed)
    x = rng.normal(-1.2, 1.2, n)
    onlm = (rng.random(n) < expit(intercept + slope * x)).astype(float)
    return pd.DataFrame({
        "patient_id": [f"P{i}" for i in range(n)], "model_id": "fused", "onlm": onlm, "risk": expit(x),
    })  # fmt: skip


@pytest.fixture(scope="module")
def found():
    return recalibrate(made())


def test_both_files_are_written_and_the_json_moves_later_patients(found, tmp_path):
    kept, page = write_recalibration(found, folder=tmp_path / "out", place="Hospital D", source="run-7")
    said = json.loads(kept.read_text(encoding="utf-8"))
    assert (said["place"], said["source"], said["chosen"]) == ("Hospital D", "run-7", "both")
    later = made(seed=4)
    moved = apply_recalibration(later, intercept=said["intercept"]["value"], slope=said["slope"]["value"])
    expected = apply_recalibration(later, intercept=found.intercept.value, slope=found.slope.value)
    pd.testing.assert_frame_equal(moved, expected)
    text = page.read_text(encoding="utf-8")
    assert "Local recalibration: Hospital D" in text and "run-7" in text


def test_the_page_tells_apparent_from_honest(found):
    text = render_recalibration(found, place="Hospital D")
    assert "after, on the patients who made the update (apparent)" in text and "after, cross-fitted" in text
    assert "each patient by an update made without him (10 folds)" in text
    assert "none against both" in text and "intercept against both" in text
    assert f"{found.slope.value:.3f}" in text
    expected = dict(summary_lines(found))["To be expected"]
    assert f"slope {found.cross_fitted.slope.value:.2f}" in expected and "by cross-fitting" in expected
    assert f"observed : expected {found.before.oe_ratio.value:.2f}" in dict(summary_lines(found))["Before"]


def test_a_refusal_is_said_first_and_the_calibration_as_it_is_still_shown():
    rows = made()
    rows["onlm"] = (rows.index < 3).astype(float)
    found = recalibrate(rows, method="both")
    text = render_recalibration(found, place="Hospital D")
    assert "No update was made: 3 patients of the rarer class; any update needs at least 5." in text
    assert "cross-fitted</th>" not in text and ">before</th>" in text
    assert "The update belongs to patients like these" not in text


def test_no_update_is_a_result_of_its_own():
    text = render_recalibration(recalibrate(made(intercept=0.0, slope=1.0)), place="Hospital D")
    assert "The risks stay as they are." in text and "New log odds" not in text


def test_names_are_text_and_made_up_data_bears_its_mark(found):
    text = render_recalibration(found, place=NASTY, source=NASTY, mark="MADE-UP DATA")
    assert NASTY not in text and "&lt;img" in text
    assert text.count("MADE-UP DATA") > 3
    assert "MADE-UP DATA" not in render_recalibration(found, place="Hospital D")
