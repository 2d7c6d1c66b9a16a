"""Rates by level equal the other calls', gaps equal a plain loop, a planted gap is found and chance is not."""

import math

import numpy as np
import pandas as pd
import pytest
from binary_reference import FOLDER
from scipy.stats import binom, hypergeom

from onlm_lab.analysis import by_subgroup, calibration_by, choose_threshold, fairness
from onlm_lab.analysis.gaps import Group, drawn_groups, intercepts, null_gaps, number_of_events
from onlm_lab.analysis.logistic import fit_logistic
from onlm_lab.errors import OnlmError

COLUMNS = ["sex", "smoking", "age_years", "centre"]
BINS = {"age_years": [60, 70]}


@pytest.fixture(scope="module")
def rows():
    rows = pd.read_csv(FOLDER / "centres.csv")
    rows.loc[:40, "sex"] = np.nan
    return rows


@pytest.fixture(scope="module")
def found(rows):
    return fairness(rows, columns=COLUMNS, bins=BINS, threshold=0.25)


def made(n=600, seed=3, prevalence=0.25):
    rng = np.random.default_rng(seed)
    onlm = rng.uniform(size=n) < prevalence
    odds = rng.normal(size=n) + 1.4 * onlm - 1.7
    return pd.DataFrame({
        "patient_id": np.arange(n), "onlm": onlm.astype(float), "risk": 1 / (1 + np.exp(-odds)),
        "group": rng.choice(["a", "b", "c"], n),
    })  # fmt: skip


def test_the_table_equals_subgroups_and_calibration_by_group_on_the_same_rows(rows, found):
    table = found.table
    want = by_subgroup(rows, columns=COLUMNS, bins=BINS, threshold=0.25).table
    assert table["level"].tolist() == want["level"].tolist() and table["n"].tolist() == want["n"].tolist()
    for end in ("", "_low", "_high"):
        for name in ("sensitivity", "oe_ratio"):
            np.testing.assert_array_equal(table[name + end], want[name + end])
    for got, mirrored in (("fpr", "specificity"), ("fpr_low", "specificity_high"), ("fpr_high", "specificity_low")):
        np.testing.assert_allclose(table[got], 1 - want[mirrored], atol=1e-14)
    for column in COLUMNS:
        one = calibration_by(rows, column=column, bins=BINS.get(column)).table
        mine = table[table["column"] == column]
        for name in ("intercept", "intercept_low", "intercept_high", "oe_ratio"):
            np.testing.assert_array_equal(mine[name], one[name])


def test_gaps_equal_a_plain_loop_over_the_levels(rows, found):
    for row in found.gaps.to_dict("records"):
        values = {}
        for one in found.table[found.table["column"] == row["column"]].to_dict("records"):
            if one["level"] != "missing" and not math.isnan(one[row["measure"]]):
                values[one["level"]] = one[row["measure"]]
        high, low = max(values, key=values.get), min(values, key=values.get)
        assert (row["level_high"], row["level_low"], row["n_levels"]) == (high, low, len(values))
        want = values[high] / values[low] if row["measure"] == "oe_ratio" else values[high] - values[low]
        assert row["gap"] == pytest.approx(want, abs=1e-15)
        assert row["low"] < row["gap"] < row["high"]
        nothing = 1 if row["measure"] == "oe_ratio" else 0
        assert row["low"] >= nothing and (row["low"] == nothing or row["p_value"] < 0.05)


def test_a_missing_value_is_a_level_that_stays_out_of_the_gaps(rows, found):
    assert found.table.loc[found.table["column"] == "sex", "level"].tolist() == ["female", "male", "missing"]
    known = fairness(rows[rows["sex"].notna()], columns=["sex"], threshold=0.25)
    mine = found.gaps[found.gaps["column"] == "sex"]
    np.testing.assert_array_equal(mine["gap"], known.gaps["gap"])


def test_the_vectorised_bootstrap_has_the_spread_of_a_plain_loop():
    rows, rng = made(300), np.random.default_rng(0)
    onlm, risk = rows["onlm"].to_numpy() == 1, rows["risk"].to_numpy()
    group = Group(onlm, risk, risk >= 0.3)
    drawn = drawn_groups(group, n_resamples=4000, generator=np.random.default_rng(1))
    events, others, loop = np.flatnonzero(onlm), np.flatnonzero(~onlm), {name: [] for name in drawn}
    for _ in range(800):
        within = np.concatenate([rng.choice(events, len(events)), rng.choice(others, len(others))])
        anyone = rng.integers(0, len(onlm), len(onlm))
        called = group.called
        loop["sensitivity"].append(called[within][onlm[within]].mean())
        loop["fpr"].append(called[within][~onlm[within]].mean())
        loop["ppv"].append(onlm[anyone][called[anyone]].mean())
        loop["oe_ratio"].append(onlm[anyone].sum() / risk[anyone].sum())
        x = np.log(risk[anyone] / (1 - risk[anyone]))
        loop["intercept"].append(fit_logistic(np.ones((len(x), 1)), onlm[anyone], offset=x).coef[0])
    for name, values in loop.items():
        assert np.mean(drawn[name]) == pytest.approx(np.mean(values), abs=5 * np.std(values) / math.sqrt(800)), name
        assert np.std(drawn[name]) == pytest.approx(np.std(values), rel=0.12), name


def test_intercepts_of_all_samples_equal_the_logistic_regression_of_each():
    rng, value = np.random.default_rng(4), np.array([0.02, 0.1, 0.3, 0.45, 0.9])
    totals = rng.integers(1, 30, (20, 5))
    events = np.array([rng.integers(1, t.sum()) for t in totals])
    got = intercepts(totals, events, value)
    for total, n_events, one in zip(totals, events, got, strict=True):
        x = np.repeat(np.log(value / (1 - value)), total)
        onlm = np.arange(len(x)) < n_events
        assert one == pytest.approx(fit_logistic(np.ones((len(x), 1)), onlm, offset=x).coef[0], abs=1e-8)
    assert intercepts(totals[:1], np.array([0, totals[0].sum()]), value).tolist() == [-math.inf, math.inf]


def test_the_p_of_two_levels_equals_the_exact_permutation():
    rows = made(400).assign(sex=lambda r: np.where(np.arange(len(r)) % 3 == 0, "f", "m"))
    got = fairness(rows, columns=["sex"], threshold=0.3).gaps.set_index("measure")
    for measure, label in (("sensitivity", 1), ("fpr", 0)):
        part = rows[rows["onlm"] == label]
        called, f = (part["risk"] >= 0.3).to_numpy(), (part["sex"] == "f").to_numpy()
        k = np.arange(called.sum() + 1)
        gap = np.abs(k / f.sum() - (called.sum() - k) / (~f).sum())
        want = hypergeom(len(part), called.sum(), f.sum()).pmf(k)[gap >= got.loc[measure, "gap"] - 1e-9].sum()
        assert got.loc[measure, "p_value"] == pytest.approx(want, abs=4 * math.sqrt(0.25 / 10_000))


@pytest.mark.parametrize("measure", ["ppv", "sensitivity"])
def test_chance_gaps_equal_those_of_labels_shuffled_one_by_one(measure):
    rows, rng = made(240), np.random.default_rng(0)
    onlm, risk, code = rows["onlm"].to_numpy() == 1, rows["risk"].to_numpy(), rows["group"].to_numpy()
    called, shuffled = risk >= 0.3, []
    for _ in range(2000):
        own, inside = code.copy(), called if measure == "ppv" else onlm
        own[inside] = rng.permutation(code[inside])
        if measure == "ppv":
            value = [onlm[called & (own == g)].mean() for g in "abc"]
        else:
            value = [called[onlm & (own == g)].mean() for g in "abc"]
        shuffled.append(max(value) - min(value))
    groups = [Group(onlm[code == g], risk[code == g], called[code == g]) for g in "abc"]
    got = null_gaps(groups, measure, n_permutations=4000, generator=np.random.default_rng(1))
    for share in (0.25, 0.5, 0.75, 0.95):
        assert np.quantile(got, share) == pytest.approx(np.quantile(shuffled, share), abs=0.02)


def test_chance_gaps_of_calibration_equal_those_of_labels_drawn_one_by_one():
    rows, rng = made(240), np.random.default_rng(0)
    onlm, risk, code = rows["onlm"].to_numpy() == 1, rows["risk"].to_numpy(), rows["group"].to_numpy()
    x = np.log(risk / (1 - risk))
    shifted = 1 / (1 + np.exp(-x - fit_logistic(np.ones((len(x), 1)), onlm, offset=x).coef[0]))
    ratios, shifts = [], []
    for _ in range(1000):
        drawn = rng.uniform(size=len(x)) < shifted
        of = [code == g for g in "abc"]
        value = [drawn[i].sum() / risk[i].sum() for i in of]
        ratios.append(max(value) / min(value))
        value = [fit_logistic(np.ones((i.sum(), 1)), drawn[i], offset=x[i]).coef[0] for i in of]
        shifts.append(max(value) - min(value))
    groups = [Group(onlm[code == g], risk[code == g]) for g in "abc"]
    for measure, want in (("oe_ratio", ratios), ("intercept", shifts)):
        got = null_gaps(groups, measure, n_permutations=8000, generator=np.random.default_rng(1))
        for share in (0.25, 0.5, 0.75, 0.95):
            assert np.quantile(got, share) == pytest.approx(np.quantile(want, share), rel=0.12), (measure, share)


def test_the_number_of_events_of_equal_risks_is_binomial():
    for n in (1, 2, 5, 1000):
        np.testing.assert_allclose(number_of_events(np.full(n, 0.17)), binom.pmf(np.arange(n + 1), n, 0.17), atol=1e-14)


def test_a_group_whose_metastases_are_missed_is_found_and_named():
    rows = made(1200)
    rows.loc[(rows["group"] == "b") & (rows["onlm"] == 1), "risk"] *= 0.4
    gaps = fairness(rows, columns=["group"], threshold=0.3).gaps.set_index("measure")
    assert gaps.loc["sensitivity", "level_low"] == "b" and gaps.loc["sensitivity", "p_holm"] < 0.01
    assert gaps.loc["sensitivity", "low"] > 0 and gaps.loc["fpr", "p_value"] > 0.05
    assert gaps.loc["oe_ratio", "level_high"] == gaps.loc["intercept", "level_high"] == "b"
    assert "permuted" in gaps.loc["sensitivity", "test"] and "drawn" in gaps.loc["oe_ratio", "test"]


def test_a_group_whose_risks_are_too_low_is_found_by_its_calibration():
    rng = np.random.default_rng(5)
    risk = rng.beta(1.5, 5, 1500)
    rows = pd.DataFrame({"patient_id": range(1500), "onlm": (rng.uniform(size=1500) < risk) * 1.0, "risk": risk,
                         "sex": rng.choice(["f", "m"], 1500)})  # fmt: skip
    rows.loc[rows["sex"] == "f", "risk"] *= 0.6
    gaps = fairness(rows, columns=["sex"], threshold=0.3).gaps.set_index("measure")
    for measure in ("oe_ratio", "intercept"):
        assert gaps.loc[measure, "level_high"] == "f" and gaps.loc[measure, "p_value"] < 0.01
    assert 1.2 < gaps.loc["oe_ratio", "gap"] < 2.4 and gaps.loc["oe_ratio", "low"] > 1


def test_levels_with_unlike_prevalence_but_equal_risks_within_class_are_no_gap_of_sensitivity():
    rows = made(1000)
    rng = np.random.default_rng(6)
    rows["site"] = np.where(rng.uniform(size=1000) < np.where(rows["onlm"] == 1, 0.7, 0.3), "high", "low")
    gaps = fairness(rows, columns=["site"], threshold=0.3).gaps.set_index("measure")
    assert (gaps.loc[["sensitivity", "fpr"], "p_value"] > 0.05).all()
    assert gaps.loc["ppv", "low"] > 0.2 and gaps.loc["ppv", "p_value"] < 0.001  # prevalence makes it, chance does not
    assert gaps.loc["oe_ratio", "p_value"] < 0.05, "risks that know nothing of the prevalence are miscalibrated"


def test_twenty_columns_of_chance_are_not_rejected_by_holm():
    rows, rng = made(500), np.random.default_rng(7)
    names = [f"c{k}" for k in range(20)]
    rows = rows.assign(**{name: rng.choice(["a", "b", "c"], 500) for name in names})
    got = fairness(rows, columns=names, threshold=0.3, n_resamples=50)
    assert len(got.gaps) == 100 and got.gaps["p_holm"].min() > 0.05
    assert not got.notes
    few = fairness(rows, columns=names, threshold=0.3, n_resamples=1, n_permutations=1000)
    assert "1000 permutations are too few for Holm over 100 gaps" in few.notes[0]


def test_too_few_patients_have_no_number_and_say_why(rows, found):
    table = found.table.set_index(["column", "level"])
    assert math.isnan(table.loc[("centre", "C8"), "sensitivity"]) and table.loc[("centre", "C8"), "fpr"] > 0
    assert table.loc[("centre", "C8"), "note"] == "fewer than 10 N+"
    alone = fairness(rows.assign(sex="female"), columns=["sex"], threshold=0.25).gaps
    assert alone["gap"].isna().all() and alone["p_value"].isna().all()
    assert (alone["note"] == "fewer than two levels with enough patients").all()
    tiny = fairness(rows[rows["centre"] == "C9"], columns=["sex"], threshold=0.25)
    assert tiny.gaps["gap"].isna().all() and (tiny.table["note"] != "").all()


def test_without_a_threshold_only_calibration_is_told(rows):
    got = fairness(rows, columns=["smoking"])
    assert "no threshold and no predicted_positive" in got.notes[0]
    assert got.table[["sensitivity", "fpr", "ppv", "n_called"]].isna().all(axis=None)
    assert got.gaps.set_index("measure")["gap"].notna().to_dict() == {
        "sensitivity": False, "fpr": False, "ppv": False, "oe_ratio": True, "intercept": True,
    }  # fmt: skip
    own = fairness(rows.assign(predicted_positive=rows["risk"] >= 0.25), columns=["smoking"])
    assert own.table.equals(fairness(rows, columns=["smoking"], threshold=0.25).table)


def test_everybody_called_positive_is_no_gap_and_no_evidence(rows):
    gaps = fairness(rows, columns=["smoking"], threshold=0.0).gaps.set_index("measure")
    assert gaps.loc["sensitivity", "gap"] == 0 and gaps.loc["sensitivity", "p_value"] == 1
    assert math.isnan(gaps.loc["sensitivity", "low"]) and "do not vary" in gaps.loc["sensitivity", "note"]


def test_a_threshold_chosen_on_these_patients_makes_the_result_apparent(rows):
    assert fairness(rows, columns="sex", threshold=choose_threshold(rows), n_resamples=5, n_permutations=5).apparent


def test_the_same_rows_give_the_same_result_and_another_generator_another(rows, found):
    again = fairness(rows, columns=COLUMNS, bins=BINS, threshold=0.25)
    assert again.digest == found.digest
    other = fairness(rows, columns=COLUMNS, bins=BINS, threshold=0.25, generator=np.random.default_rng(9))
    assert other.digest != found.digest


def test_bad_arguments_are_refused_with_what_was_wanted(rows):
    with pytest.raises(OnlmError, match="no column was named"):
        fairness(rows, columns=[])
    with pytest.raises(OnlmError, match="bins name 'age', which is not among the columns sex"):
        fairness(rows, columns=["sex"], bins={"age": [1]})
    with pytest.raises(OnlmError, match="fairness: column 'age_years' holds numbers"):
        fairness(rows, columns=["age_years"])
    with pytest.raises(OnlmError, match="n_permutations must be at least 1, got 0"):
        fairness(rows, columns=["sex"], n_permutations=0)


def test_the_interval_of_two_levels_far_apart_is_that_of_two_proportions():
    rows = made(3000).assign(group=lambda r: np.where(np.arange(len(r)) % 2 == 0, "a", "b"))
    rows = rows.assign(risk=rows["risk"].where(rows["group"] == "a", rows["risk"] / 3))
    found = fairness(rows, columns=["group"], threshold=0.3, n_resamples=4000, n_permutations=500)
    line, table = found.gaps.set_index("measure").loc["sensitivity"], found.table.set_index("level")
    share, n = table["sensitivity"], table["n_positive"]
    se = math.sqrt(sum(share[g] * (1 - share[g]) / n[g] for g in "ab"))
    assert [line["low"], line["high"]] == pytest.approx(
        [line["gap"] - 1.96 * se, line["gap"] + 1.96 * se], abs=0.1 * se
    )


@pytest.mark.slow
@pytest.mark.parametrize(("shares", "n"), [([0.8] * 8, 60), ([0.7, 0.8, 0.8, 0.8, 0.9], 60), ([0.6, 0.8], 100)])
def test_the_interval_of_the_largest_gap_covers_the_true_one(shares, n):
    rng, held = np.random.default_rng(1), 0
    for _ in range(200):
        parts = []
        for k, share in enumerate(shares):
            onlm = np.arange(2 * n) < n
            called = rng.uniform(size=2 * n) < np.where(onlm, share, 0.3)
            parts.append(
                pd.DataFrame({"onlm": onlm.astype(float), "risk": np.where(called, 0.6, 0.2), "group": f"g{k}"})
            )
        rows = pd.concat(parts, ignore_index=True).assign(patient_id=lambda r: range(len(r)))
        gap = fairness(rows, columns=["group"], threshold=0.5, n_resamples=200, n_permutations=200).gaps.iloc[0]
        held += gap["low"] - 1e-9 <= max(shares) - min(shares) <= gap["high"] + 1e-9
    assert held >= 181  # of 200: 0.905, three standard errors below 0.95
