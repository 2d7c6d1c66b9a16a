"""The bootstrap draws what it says, its statistics are those of drawn patients, its intervals R's and SciPy's."""

import math
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from binary_reference import scored
from resampled_reference import R, asah, centres
from scipy import stats
from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score

from onlm_lab.analysis import bootstrap, roc
from onlm_lab.analysis.bootstrapping import _area_without_one, _Named, _without_one
from onlm_lab.analysis.replicates import STATISTICS, replicate, runs, tally_of, value_of
from onlm_lab.analysis.resampling import drawn_counts
from onlm_lab.analysis.rows import labelled
from onlm_lab.errors import OnlmError


def made(n=200, seed=1, decimals=2):
    rng = np.random.default_rng(seed)
    risk = rng.uniform(size=n).round(decimals)
    onlm = (rng.uniform(size=n) < risk * 0.6).astype(float)
    return pd.DataFrame({"patient_id": np.arange(n).astype(str), "onlm": onlm, "risk": risk})


def drawn(rows, *, n_resamples, stratified, seed=3):
    """Some samples as counts, and as scikit-learn takes them: labels, risks, weights."""
    counted = tally_of(rows["onlm"].to_numpy() == 1, rows["risk"].to_numpy())
    kept = []

    def keep(events, nonevents, value):
        kept.append((events, nonevents))
        return np.zeros(len(events))

    replicate(keep, counted, n_resamples=n_resamples, stratified=stratified, generator=np.random.default_rng(seed))
    events, nonevents = (np.concatenate(part) for part in zip(*kept, strict=True))
    value = counted.value
    y, s = np.repeat([1, 0], len(value)), np.concatenate([value, value])
    return events, nonevents, value, y, s, np.concatenate([events, nonevents], axis=1)


@pytest.mark.parametrize("decimals", [1, 2, 9])
@pytest.mark.parametrize("stratified", [True, False])
def test_each_sample_has_scikit_learns_number(decimals, stratified):
    events, nonevents, value, y, s, weights = drawn(made(decimals=decimals), n_resamples=40, stratified=stratified)
    theirs = {"auc": roc_auc_score, "average_precision": average_precision_score, "brier": brier_score_loss}
    for name, peer in theirs.items():
        want = [peer(y[w > 0], s[w > 0], sample_weight=w[w > 0]) for w in weights]
        np.testing.assert_allclose(STATISTICS[name](events, nonevents, value), want, atol=1e-12)
    want = [w @ y / (w @ s) for w in weights]
    np.testing.assert_allclose(STATISTICS["oe_ratio"](events, nonevents, value), want, atol=1e-12)


def test_the_slope_of_a_sample_is_that_of_rs_glm_with_the_counts_as_weights():
    rows = asah()
    value, place = np.unique(rows["risk"], return_inverse=True)
    number = np.arange(1, len(rows) + 1)
    for key, weight in {"a": number * 7 % 4, "b": number * 5 % 3}.items():
        events, nonevents = (
            np.bincount(place, weights=weight * (rows["onlm"] == label), minlength=len(value)) for label in (1, 0)
        )
        got = STATISTICS["calibration_slope"](events[None], nonevents[None], value)[0]
        assert got == pytest.approx(R["weighted_slope"][key], abs=1e-8)


def test_a_sample_that_one_risk_parts_or_of_one_class_has_no_slope():
    value = np.array([0.1, 0.2, 0.6])
    events = np.array([[0, 0, 2], [0, 1, 1], [1, 2, 3], [2, 0, 1]])
    nonevents = np.array([[1, 1, 0], [1, 1, 0], [0, 0, 0], [1, 1, 1]])
    got = STATISTICS["calibration_slope"](events, nonevents, value)
    assert np.isnan(got[:3]).all() and np.isfinite(got[3])


def test_samples_keep_the_events_when_stratified_and_vary_them_otherwise():
    rows = made()
    events, nonevents, *_ = drawn(rows, n_resamples=300, stratified=True)
    m = int(rows["onlm"].sum())
    assert (events.sum(axis=1) == m).all() and (nonevents.sum(axis=1) == 200 - m).all()
    events, nonevents, *_ = drawn(rows, n_resamples=4000, stratified=False)
    assert ((events + nonevents).sum(axis=1) == 200).all()
    assert events.sum(axis=1).var() == pytest.approx(200 * m / 200 * (1 - m / 200), rel=0.1)


@pytest.mark.parametrize("counts", [[5, 0, 15, 30], [5, 0, 3, 2], [2000, 0, 50_000, 30_000]])
def test_drawn_counts_have_the_moments_of_drawn_patients_whichever_way_they_are_made(counts):
    counts = np.array(counts)
    n = counts.sum()
    got = drawn_counts(counts, n_resamples=200 if n > 1000 else 20_000, generator=np.random.default_rng(2))
    assert (got.sum(axis=1) == n).all() and (got[:, 1] == 0).all()
    expected = counts * (1 - counts / n)
    np.testing.assert_allclose(got.mean(axis=0), counts, atol=5 * math.sqrt(expected.max() / len(got)))
    np.testing.assert_allclose(got.var(axis=0), expected, rtol=0.05 if n < 1000 else 0.4)
    covariance = np.cov(got[:, 0], got[:, 3])[0, 1]
    if n < 1000:
        assert covariance == pytest.approx(-counts[0] * counts[3] / n, rel=0.1)


def test_many_patients_are_drawn_and_counted_rightly_beyond_16_bits():
    got = drawn_counts(np.ones(70_000, int), n_resamples=3, generator=np.random.default_rng(1))
    assert (got.sum(axis=1) == 70_000).all()
    assert (got == 0).mean() == pytest.approx(math.exp(-1), abs=0.01)


@pytest.mark.parametrize("name", ["auc", "average_precision"])
def test_counting_neighbours_of_one_class_together_changes_no_area(name):
    counted = tally_of(made()["onlm"].to_numpy() == 1, made()["risk"].to_numpy())
    short = runs(counted, of_events=name == "auc")
    assert len(short.value) < len(counted.value) and short.n == counted.n
    assert value_of(STATISTICS[name], short) == pytest.approx(value_of(STATISTICS[name], counted), abs=1e-15)


@pytest.mark.parametrize(("key", "score"), [("asah_p1", "p1"), ("asah_s100b", "s100b")])
def test_the_interval_and_variance_of_the_auc_are_procs_but_for_chance(key, score):
    want, got = R["boot_area"][key], bootstrap(scored("asah", score), n_resamples=20_000)
    assert (got.estimate.low, got.estimate.high) == pytest.approx(want["ci"], abs=0.004)
    assert got.se**2 == pytest.approx(want["var"], rel=0.05)
    assert got.estimate.value == roc(scored("asah", score)).auc.value
    assert got.drawn == "patients within N+ and within N0" and got.estimate.method == "bootstrap, percentile"


@pytest.mark.parametrize("name", ["auc", "oe_ratio", "brier"])
def test_whole_centres_are_drawn_as_rs_loop_draws_them(name):
    want = R["clusters"][name]
    got = bootstrap(centres(), statistic=name, by_cluster="centre", n_resamples=20_000)
    assert (got.estimate.low, got.estimate.high) == pytest.approx(
        want["ci"], abs=0.06 * (want["ci"][1] - want["ci"][0])
    )
    assert got.se == pytest.approx(want["sd"], rel=0.03)
    assert got.drawn == "whole clusters of centre" and any("only 9 clusters" in n for n in got.notes)


@pytest.mark.parametrize("name", ["oe_ratio", "brier", "calibration_slope"])
def test_patients_drawn_from_all_give_rs_intervals_but_for_chance(name):
    want = R["patients"][name]
    got = bootstrap(scored("asah", "p1"), statistic=name, stratified=False, n_resamples=10_000)
    assert (got.estimate.low, got.estimate.high) == pytest.approx(
        want["ci"], abs=0.08 * (want["ci"][1] - want["ci"][0])
    )
    assert got.se == pytest.approx(want["sd"], rel=0.06)


def test_what_hangs_on_the_share_of_events_is_drawn_from_all_unless_told():
    rows = made()
    for name in ("oe_ratio", "brier", "average_precision"):
        assert bootstrap(rows, statistic=name, n_resamples=50).drawn == "patients"
    held = bootstrap(rows, statistic="oe_ratio", stratified=True)
    assert held.se < 0.6 * bootstrap(rows, statistic="oe_ratio").se


def test_bca_of_the_auc_is_scipys_on_the_same_replicates():
    rows = scored("asah", "s100b")
    got = bootstrap(rows, interval="bca")
    event, nonevent = (rows["risk"][rows["onlm"] == label].to_numpy() for label in (1, 0))

    def area(a, b, axis=-1):
        a, b = np.expand_dims(a, -1), np.expand_dims(b, -2)
        return ((a > b) + 0.5 * (a == b)).mean(axis=(-1, -2))

    same = SimpleNamespace(bootstrap_distribution=got.replicates["value"].to_numpy())
    want = stats.bootstrap(
        (event, nonevent), area, n_resamples=0, bootstrap_result=same, method="BCa", vectorized=True
    ).confidence_interval
    assert (got.estimate.low, got.estimate.high) == pytest.approx((want.low, want.high), abs=1e-10)


def test_bca_of_a_mean_of_all_patients_is_scipys_and_of_a_call_too():
    rows = made(decimals=1)
    loss = ((rows["risk"] - rows["onlm"]) ** 2).to_numpy()

    def squares(frame):
        return ((frame["risk"] - frame["onlm"]) ** 2).mean()

    for statistic, n in (("brier", 2000), (squares, 400)):
        got = bootstrap(rows, statistic=statistic, stratified=False, interval="bca", n_resamples=n)
        same = SimpleNamespace(bootstrap_distribution=got.replicates["value"].to_numpy())
        want = stats.bootstrap((loss,), np.mean, n_resamples=0, bootstrap_result=same, method="BCa").confidence_interval
        assert (got.estimate.low, got.estimate.high) == pytest.approx((want.low, want.high), abs=1e-10)


def test_the_closed_form_jackknife_of_the_auc_is_that_of_leaving_patients_out():
    given = labelled(made(n=80, decimals=1))
    counted = tally_of(given.onlm, given.risk)
    plain = _without_one(_Named(given, STATISTICS["auc"], counted))
    for (closed, ones), (slow, times) in zip(_area_without_one(given), plain, strict=True):
        assert ones.sum() == times.sum()
        np.testing.assert_allclose(np.sort(closed), np.sort(np.repeat(slow, times.astype(int))), atol=1e-12)


def test_bca_moves_the_interval_of_a_high_auc_to_the_left():
    rows = scored("asah", "p2")
    plain, better = bootstrap(rows).estimate, bootstrap(rows, interval="bca").estimate
    assert better.low < plain.low and better.method == "bootstrap, BCa"


def test_a_call_sees_a_patient_drawn_twice_as_two_and_our_own_calls_can_be_used():
    rows = made(n=60)

    def area(frame):
        return roc(frame).auc.value

    got = bootstrap(rows, statistic=area, n_resamples=200, generator=np.random.default_rng(1))
    assert got.statistic == "area" and got.n_used == 200
    assert got.se == pytest.approx(bootstrap(rows).se, rel=0.2)
    clustered = bootstrap(
        rows.assign(centre=np.arange(60) % 6), statistic=area, by_cluster="centre", n_resamples=50, interval="bca"
    )
    assert clustered.estimate.low < got.estimate.value < clustered.estimate.high


def test_one_seed_gives_one_interval_and_the_data_are_left_alone():
    rows = made()
    before = rows.copy()
    a, b = (bootstrap(rows, n_resamples=100, generator=np.random.default_rng(5)) for _ in range(2))
    assert a.digest == b.digest and bootstrap(rows, n_resamples=100).digest == bootstrap(rows, n_resamples=100).digest
    assert bootstrap(rows, n_resamples=100, generator=np.random.default_rng(6)).digest != a.digest
    pd.testing.assert_frame_equal(rows, before)


def test_samples_without_a_number_are_counted_and_left_out():
    rows = scored("tiny25", "score")
    got = bootstrap(rows, statistic="average_precision")
    lost = got.n_resamples - got.n_used
    assert lost == pytest.approx(2000 * (21 / 25) ** 25, abs=25) and len(got.replicates) == got.n_used
    assert any(f"{lost} of 2000 bootstrap samples had no average_precision" in n for n in got.notes)
    assert any("only 4 N+ patients" in n for n in got.notes)


def test_too_few_patients_give_no_interval_and_say_so():
    one = made(50)
    one["onlm"] = (one.index == 7).astype(float)
    got = bootstrap(one)
    assert 0 <= got.estimate.value <= 1 and math.isnan(got.estimate.low) and "two N+" in got.estimate.note
    none = bootstrap(one.assign(onlm=0.0))
    assert math.isnan(none.estimate.value) and "all 50 patients are N0" in none.estimate.note and none.n_used == 0
    for name in ("auc", "average_precision", "brier"):
        drawn_from_all = bootstrap(one, statistic=name, stratified=False, interval="bca", n_resamples=300)
        assert math.isfinite(drawn_from_all.estimate.value) and drawn_from_all.n_used <= 300
        assert (name == "brier") == math.isfinite(drawn_from_all.estimate.low)
    assert bootstrap(one.assign(onlm=0), statistic="brier", interval="bca", n_resamples=99).estimate.low > 0
    alone = bootstrap(made(50).assign(centre="A"), by_cluster="centre")
    assert math.isnan(alone.estimate.low) and "one cluster" in alone.estimate.note


def test_complete_separation_has_no_interval():
    rows = pd.DataFrame({"patient_id": range(30), "onlm": [0] * 18 + [1] * 12, "risk": np.linspace(0.1, 0.9, 30)})
    for interval in ("percentile", "bca"):
        got = bootstrap(rows, interval=interval)
        assert got.estimate.value == 1 and math.isnan(got.estimate.low) and "same value" in got.estimate.note
    slope = bootstrap(rows, statistic="calibration_slope")
    assert math.isnan(slope.estimate.value) and slope.estimate.note


def test_patients_without_a_label_are_counted_out():
    rows = made()
    rows.loc[:9, "onlm"] = np.nan
    got = bootstrap(rows, n_resamples=20)
    assert got.n == 190 and got.n_excluded == {"label missing": 10}


def test_wrong_arguments_are_said():
    rows = made(40)
    with pytest.raises(OnlmError, match=r"statistic must be one of auc, .* got 'roc'"):
        bootstrap(rows, statistic="roc")
    with pytest.raises(OnlmError, match=r"or a call that takes rows, got \['auc'\]"):
        bootstrap(rows, statistic=["auc"])
    with pytest.raises(OnlmError, match="interval must be 'percentile' or 'bca', got 'basic'"):
        bootstrap(rows, interval="basic")
    with pytest.raises(OnlmError, match="whole clusters cannot be drawn within"):
        bootstrap(rows.assign(centre="A"), by_cluster="centre", stratified=True)
    with pytest.raises(OnlmError, match=r"center' \(nearest present: 'centre'\)"):
        bootstrap(rows.assign(centre="A"), by_cluster="center")
    with pytest.raises(OnlmError, match="centre is missing for 1 of 40 patients"):
        bootstrap(rows.assign(centre=[None, *["A"] * 39]), by_cluster="centre")
    with pytest.raises(OnlmError, match="must give a number, got Estimate"):
        bootstrap(rows, statistic=lambda frame: roc(frame).auc)
    with pytest.raises(OnlmError, match="at least 1, got 0"):
        bootstrap(rows, n_resamples=0)
    with pytest.raises(OnlmError, match="at least 1, got 0"):
        bootstrap(
            rows.assign(centre=rows.index % 3), by_cluster="centre", n_resamples=0, statistic=lambda frame: len(frame)
        )
