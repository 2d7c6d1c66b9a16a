"""Level by level, centre by centre: R's numbers for each, and the level that was made to be unlike is the one found."""

import json

import numpy as np
import pandas as pd
import pytest
from binary_reference import FOLDER, number

from onlm_lab import figures
from onlm_lab.analysis import assess_calibration, by_centre, by_subgroup, calibration_by, fairness, leave_one_out
from onlm_lab.analysis.subgroup import adjust_p_values

R = json.loads((FOLDER / "by_level.json").read_text(encoding="utf-8"))
BINS = {"age_years": [60, 70]}
MEASURES = ["auc", "intercept", "slope", "oe_ratio"]
POOLED = [
    "value", "low", "high", "low_conservative", "high_conservative", "prediction_low", "prediction_high", "tau2", "i2",
]  # fmt: skip


@pytest.fixture(scope="module")
def rows():
    return pd.read_csv(FOLDER / "centres.csv")


def triple(line, name):
    return [line[name], line[f"{name}_low"], line[f"{name}_high"]]


def tables(rows):
    kept = {"three": ["C1", "C2", "C3"], "five": ["C4", "C5", "C6", "C7", "C8", "C9"]}
    some = {name: rows[rows["centre"].isin(centres)] for name, centres in kept.items()}
    return some | {"nine": rows, "alike": rows.assign(centre=[f"D{i % 6}" for i in range(len(rows))])}


@pytest.mark.parametrize("column", ["sex", "smoking", "age_years"])
def test_every_measure_of_every_level_equals_r(rows, column):
    got = calibration_by(rows, column=column, bins=BINS.get(column)).table.set_index("level")
    assert set(got.index) == set(R["levels"][column])
    for label, want in R["levels"][column].items():
        line = got.loc[label]
        assert (line["n"], line["n_positive"]) == (want["n"], want["n_positive"])
        for name in ("intercept", "slope"):
            assert triple(line, name) == pytest.approx(want[name], abs=1e-7), name
        for name in ("oe_ratio", "brier"):
            assert triple(line, name) == pytest.approx(want[name], abs=1e-11), name
        assert [line["ici"]] == pytest.approx([want["ici"]], abs=1e-10)


def test_the_curve_of_a_level_is_that_of_its_patients_and_few_patients_have_none(rows):
    got = calibration_by(rows, column="centre")
    assert set(got.curve["level"]) == {f"C{i}" for i in range(1, 8)}  # C8: 3 N+, C9: 6
    own = assess_calibration(rows[rows["centre"] == "C2"]).curve
    drawn = got.curve[got.curve["level"] == "C2"].drop(columns="level").reset_index(drop=True)
    pd.testing.assert_frame_equal(drawn, own, rtol=1e-12)
    none = calibration_by(rows, column="sex", min_patients=10_000)
    assert none.curve.empty and list(none.curve.columns) == ["level", "risk", "observed", "low", "high"]


def test_the_figure_draws_each_levels_curve_and_band_with_its_counts(rows):
    marked = rows.assign(smoking=rows["smoking"].replace({"never": "<b>never</b>"}))
    result = calibration_by(marked, column="smoking")
    figure = figures.plot_calibration_by(result, mark="MADE-UP DATA")
    for name in ("current", "former"):
        curve = result.curve[result.curve["level"] == name]
        line = next(t for t in figure.data if t.name.startswith(f"{name} ("))
        low = next(t for t in figure.data if t.name == f"{name}, lower limit")
        assert list(line.y) == list(curve["observed"]) and list(low.y) == list(curve["low"])
        row = result.table.set_index("level").loc[name]
        assert f"({row['n_positive']}/{row['n']})" in line.name
    text = figure.to_json()
    assert "742 patients, 193 N+" in figure.layout.title.subtitle.text.replace("\xa0", " ")
    assert "MADE-UP DATA" in text and "<b>never" not in text


def test_the_figure_draws_six_levels_at_most_and_says_how_many_are_not_drawn(rows):
    figure = figures.plot_calibration_by(calibration_by(rows, column="centre"))
    assert sum("slope" in t.name for t in figure.data) == 6
    assert "3 of 9 levels not drawn" in figure.layout.title.subtitle.text
    nobody = figures.plot_calibration_by(calibration_by(rows, column="sex", min_patients=10_000))
    assert "2 of 2 levels not drawn" in nobody.layout.title.subtitle.text


@pytest.mark.parametrize("name", ["nine", "three", "alike", "five"])
@pytest.mark.parametrize("measure", MEASURES)
def test_every_measure_is_pooled_as_metafor_pools_it(rows, name, measure):
    got = by_centre(tables(rows)[name]).measures.set_index("measure").loc[measure]
    want = R["centres"][name][measure]
    assert got["n_pooled"] == want["k"]
    for field in POOLED:
        assert got[field] == pytest.approx(want[field], abs=1e-7), field


def test_the_tables_of_centres_hold_the_hard_cases(rows):
    assert R["centres"]["alike"]["auc"]["tau2"] == 0 < R["centres"]["nine"]["auc"]["tau2"]
    assert R["centres"]["three"]["auc"]["k"] == 3
    n_pooled = by_centre(rows).measures.set_index("measure")["n_pooled"]
    assert n_pooled.to_dict() == {"auc": 7, "intercept": 8, "slope": 7, "oe_ratio": 8}  # C8 has 3 N+, C9 is separated


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("name", ["nine", "alike"])
def test_leaving_each_centre_out_equals_metafors_leave1out(rows, name, measure):
    table, want = leave_one_out(tables(rows)[name], measure=measure).table.iloc[1:], R["centres"][name][measure]
    assert table["left_out"].tolist() == want["leave1out"]["centre"]
    for field in ("value", "low", "high", "tau2", "i2"):
        assert table[field].tolist() == pytest.approx(want["leave1out"][field], abs=1e-6), field


def test_risks_halved_in_one_centre_raise_its_o_to_e_and_the_spread_between_centres(rows):
    halved = rows.assign(risk=rows["risk"].where(rows["centre"] != "C1", rows["risk"] / 2))
    was, now = by_centre(rows), by_centre(halved)
    ratio = [r.table.set_index("centre")["oe_ratio"] for r in (was, now)]
    assert ratio[1]["C1"] == pytest.approx(2 * ratio[0]["C1"]) and ratio[1]["C2"] == ratio[0]["C2"]
    tau2 = [r.measures.set_index("measure").loc["oe_ratio", "tau2"] for r in (was, now)]
    assert tau2[1] > tau2[0]


@pytest.mark.parametrize("column", ["sex", "smoking", "age_years"])
def test_every_number_of_a_subgroup_equals_r(rows, column):
    table = by_subgroup(rows, columns=[column], bins=BINS if column == "age_years" else None, threshold=0.2).table
    got = table.set_index("level")
    for label, want in R["levels"][column].items():
        line = got.loc[label]
        of = {"sensitivity": want["tpr"], "specificity": [1 - v for v in (want["fpr"][0], *want["fpr"][:0:-1])]}
        of |= {
            "oe_ratio": want["oe_ratio"],
            "auc": [want["auc"], *want["ci" if want["n_positive"] >= 50 else "logit_ci"]],
        }
        for name, values in of.items():
            assert [line[name], line[f"{name}_low"], line[f"{name}_high"]] == pytest.approx(values, abs=1e-8), name


def test_adjusted_p_values_equal_p_adjust_with_missing_ones():
    p = np.array([number(v) for v in R["adjusted"]["p"]])
    for method in ("holm", "bh"):
        want = [number(v) for v in R["adjusted"][method]]
        np.testing.assert_allclose(adjust_p_values(p, method=method), want, atol=1e-15)


def test_the_p_of_a_gap_between_two_levels_equals_rs_exact_one(rows):
    got = fairness(rows, columns=["sex"], threshold=0.2, n_resamples=20, n_permutations=20_000).gaps
    p = got.set_index("measure")["p_value"]
    for name, key in (("sensitivity", "tpr"), ("fpr", "fpr")):
        assert p[name] == pytest.approx(R["gap_p"][key][0], abs=0.012), name  # 20,000 deals: 3.4 standard errors


@pytest.mark.parametrize("column", ["sex", "smoking", "age_years"])
def test_every_measure_of_fairness_equals_r(rows, column):
    table = fairness(rows, columns=[column], bins={c: BINS[c] for c in BINS if c == column}, threshold=0.2,
                     n_resamples=20, n_permutations=200).table.set_index("level")  # fmt: skip
    names = {"sensitivity": "tpr", "fpr": "fpr", "ppv": "ppv", "intercept": "intercept", "oe_ratio": "oe_ratio"}
    for label, want in R["levels"][column].items():
        for name, key in names.items():
            assert triple(table.loc[label], name) == pytest.approx(want[key], abs=1e-7), (label, name)
