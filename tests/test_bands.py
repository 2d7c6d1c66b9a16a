"""The band of the ROC curve is pROC's ci.se, the partial area pROC's, and both go the right way."""

import math

import numpy as np
import pytest
from binary_reference import number, scored
from resampled_reference import R
from sklearn.metrics import auc as trapezoid
from sklearn.metrics import roc_curve

from onlm_lab.analysis import partial_auc, roc, roc_band
from onlm_lab.errors import OnlmError

TABLES = {"asah_s100b": ("asah", "s100b"), "asah_wfns": ("asah", "wfns"), "asah_p1": ("asah", "p1"),
          "tiny25_score": ("tiny25", "score")}  # fmt: skip
RANGES = {"r90": (0.9, 1.0), "r80": (0.8, 1.0), "middle": (0.55, 0.85), "all": (0.0, 1.0)}


@pytest.mark.parametrize("key", list(R["band"]))
def test_sensitivity_and_band_equal_procs_but_for_chance(key):
    want = R["band"][key]
    got = roc_band(scored(*TABLES[key]), specificities=want["specificity"], n_resamples=20_000).band
    np.testing.assert_allclose(got["sensitivity"], want["sensitivity"], atol=1e-10)
    coarse = 0.13 if key == "tiny25_score" else 1 / 41 + 1e-9  # a limit may jump by one of 41 N+, half of one of 4
    np.testing.assert_allclose(got["low"], want["low"], atol=coarse)
    np.testing.assert_allclose(got["high"], want["high"], atol=coarse)
    assert np.mean(np.abs(got["low"] - want["low"])) < 0.01


def test_the_band_is_read_off_the_curve_of_roc():
    rows = scored("asah", "wfns")
    curve, got = roc(rows).curve, roc_band(rows, n_resamples=20).band
    for specificity, part in curve.groupby("specificity"):
        at = np.isclose(got["specificity"], specificity)
        if at.any():
            assert got["sensitivity"][at].iloc[0] == pytest.approx(part["sensitivity"].max())
    assert len(got) == 101 and (got["sensitivity"].diff().dropna() <= 1e-12).all()


def test_a_wider_level_gives_a_wider_band_and_more_patients_a_narrower_one():
    rows = scored("asah", "p1")
    more = rows.loc[rows.index.repeat(9)].assign(patient_id=lambda t: np.arange(len(t)).astype(str))
    width = {
        name: float((b["high"] - b["low"]).mean())
        for name, b in {
            "plain": roc_band(rows).band, "wide": roc_band(rows, level=0.99).band, "more": roc_band(more).band,
        }.items()
    }  # fmt: skip
    assert width["wide"] > width["plain"] and width["more"] == pytest.approx(width["plain"] / 3, rel=0.15)


def test_one_class_or_one_event_has_no_band():
    rows = scored("asah", "p1")
    none = roc_band(rows.assign(onlm=0))
    assert none.band["sensitivity"].isna().all() and any("both classes are needed" in n for n in none.notes)
    one = roc_band(rows.assign(onlm=(rows.index == 3).astype(int))).band
    assert one["sensitivity"].notna().all() and one["low"].isna().all()


def test_one_seed_gives_one_band():
    rows = scored("asah", "p1")
    assert roc_band(rows, n_resamples=50).digest == roc_band(rows, n_resamples=50).digest


@pytest.mark.parametrize("key", list(TABLES))
@pytest.mark.parametrize("ends", list(RANGES))
def test_partial_area_and_its_correction_equal_procs(key, ends):
    want = R["partial"][key][ends]
    got = partial_auc(scored(*TABLES[key]), specificity=RANGES[ends], n_resamples=50)
    assert got.area.value == pytest.approx(want[0], abs=1e-12)
    assert got.corrected.value == pytest.approx(number(want[1]), abs=1e-12)


def test_below_the_diagonal_the_corrected_area_is_not_a_number_and_says_why():
    rows = scored("asah", "p1")
    rows = rows.assign(risk=1 - rows["risk"])
    for ends in ("r90", "r80"):
        want, got = R["partial"]["reversed"][ends], partial_auc(rows, specificity=RANGES[ends], n_resamples=50)
        assert got.area.value == pytest.approx(want[0], abs=1e-12) and want[1] == "NA"
        assert math.isnan(got.corrected.value) and "lies below that of chance" in got.corrected.note


def test_a_partial_area_of_a_resample_is_the_trapezoid_of_its_own_curve():
    rng = np.random.default_rng(3)
    rows = scored("asah", "s100b")
    for _ in range(5):
        drawn = rows.iloc[rng.integers(0, len(rows), len(rows))].assign(patient_id=np.arange(len(rows)))
        fpr, tpr, _cut = roc_curve(drawn["onlm"], drawn["risk"], drop_intermediate=False)
        last = np.searchsorted(fpr, 0.3, side="right")
        at = np.interp(0.3, fpr[last - 1 : last + 1], tpr[last - 1 : last + 1])
        want = trapezoid([*fpr[:last], 0.3], [*tpr[:last], at])
        assert partial_auc(drawn, specificity=(0.7, 1), n_resamples=5).area.value == pytest.approx(want, abs=1e-12)


def test_the_whole_range_is_the_area_and_the_interval_holds_it():
    rows = scored("asah", "p1")
    whole = partial_auc(rows, specificity=(0, 1))
    assert whole.area.value == pytest.approx(roc(rows).auc.value, abs=1e-12)
    assert whole.corrected.value == pytest.approx(whole.area.value, abs=1e-12)
    better = partial_auc(scored("asah", "p2"), specificity=(0.8, 1)).corrected
    part = partial_auc(rows, specificity=(0.8, 1)).corrected
    assert part.low < part.value < part.high and better.value > part.value
    assert part.method == "McClish; bootstrap, percentile"


def test_ranges_and_specificities_that_are_none_are_refused():
    rows = scored("asah", "p1")
    with pytest.raises(OnlmError, match=r"two different ends in \[0, 1\]"):
        partial_auc(rows, specificity=(90, 100))
    with pytest.raises(OnlmError, match="two different ends"):
        partial_auc(rows, specificity=(0.9, 0.9))
    with pytest.raises(OnlmError, match=r"must lie in \[0, 1\] \(0.9, not 90\), got 90"):
        roc_band(rows, specificities=[0.5, 90])
    one = partial_auc(rows.assign(onlm=1))
    assert math.isnan(one.area.value) and "all 113 patients are N+" in one.area.note
