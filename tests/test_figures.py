"""Figures draw the numbers that they are given, ask a clinical question and carry n, interval and mark."""

from __future__ import annotations

import itertools
import json
import math

import numpy as np
import pandas as pd
import pytest

from onlm_lab import analysis, figures
from onlm_lab.errors import OnlmError
from onlm_lab.figures import theme
from onlm_lab.figures.subgroup import log_ticks
from onlm_lab.results import (
    AucComparison,
    Calibration,
    DecisionCurve,
    Estimate,
    HazardModel,
    IncidenceCurves,
    LogRank,
    OperatingPoint,
    PerThousand,
    Roc,
    SubgroupTable,
    SurvivalCurves,
)


def _roc(model: str = "fused", *, prefer_logit: bool = False) -> Roc:
    curve = pd.DataFrame({
        "threshold": [np.inf, 0.6, 0.3, 0.1], "sensitivity": [0, 0.5, 0.9, 1.0], "specificity": [1, 0.95, 0.6, 0.0],
    })  # fmt: skip
    return Roc(curve=curve, auc=Estimate(0.84, 0.79, 0.89, method="DeLong"),
               auc_logit=Estimate(0.84, 0.78, 0.88, method="DeLong, logit"), prefer_logit=prefer_logit,
               model_id=model, n=300, n_events=51)  # fmt: skip


def _point(model: str = "fused", threshold: float = 0.1) -> OperatingPoint:
    ratio = Estimate(2.0, 1.5, 2.6)
    return OperatingPoint(
        threshold=threshold, sensitivity=Estimate(0.96, 0.86, 0.99), specificity=Estimate(0.5, 0.44, 0.56),
        ppv=Estimate(0.3, 0.2, 0.4), npv=Estimate(0.98, 0.94, 0.99), lr_positive=ratio, lr_negative=ratio,
        n_tp=48, n_fp=126, n_tn=126, n_fn=2, model_id=model, n=302, n_events=50,
    )  # fmt: skip


def _thousand(model: str = "fused") -> PerThousand:
    table = pd.DataFrame({"outcome": ["N+ found", "N+ missed", "N0 spared", "N0 called positive"],
                          "patients": [159.0, 7.0, 417.0, 417.0], "low": [120.0, 2.0, 360.0, 361.0],
                          "high": [205.0, 24.0, 474.0, 475.0]})  # fmt: skip
    return PerThousand(table=table, threshold=0.1, prevalence=50 / 302, at_target=False, level=0.95, model_id=model,
                       n=302, n_events=50)  # fmt: skip


def _calibration(model: str = "fused") -> Calibration:
    grid = np.linspace(0.05, 0.5, 6)
    curve = pd.DataFrame({"risk": grid, "observed": grid**1.1, "low": grid - 0.04, "high": grid + 0.05})
    groups = pd.DataFrame({"n": [150, 150], "n_events": [10, 41], "risk": [0.08, 0.28], "observed": [0.07, 0.27]})
    return Calibration(
        intercept=Estimate(0), intercept_joint=Estimate(0), slope=Estimate(0.93, 0.7, 1.2),
        oe_ratio=Estimate(1.05, 0.8, 1.3), ici=0.02, e50=0.01, e90=0.04, emax=0.05, brier=Estimate(0.12),
        scaled_brier=0.2, curve=curve, groups=groups, model_id=model, n=300, n_events=51,
    )  # fmt: skip


def _decision() -> DecisionCurve:
    at = [0.05, 0.1, 0.2]
    parts = []
    for model, benefit in {
        "fused": [0.13, 0.1, 0.06],
        "treat_all": [0.12, 0.07, -0.04],
        "treat_none": [0, 0, 0],
    }.items():
        low = np.array(benefit, float) - 0.02 if model == "fused" else np.nan
        high = np.array(benefit, float) + 0.02 if model == "fused" else np.nan
        parts.append(pd.DataFrame({"model_id": model, "threshold": at, "net_benefit": benefit, "low": low, "high": high,
                                   "interventions_avoided": 10.0}))  # fmt: skip
    return DecisionCurve(table=pd.concat(parts, ignore_index=True), n=300, n_events=51)


def _subgroups(level: str = "female") -> SubgroupTable:
    row = {"column": "sex", "level": level, "n": 140, "n_positive": 24, "note": ""}
    small = {"column": "sex", "level": "male", "n": 12, "n_positive": 1, "note": "too few N+"}
    for name, value in {"auc": 0.8, "sensitivity": 0.95, "specificity": 0.5, "oe_ratio": 1.1}.items():
        row |= {name: value, f"{name}_low": value - 0.1, f"{name}_high": value + 0.04}
        small |= {name: np.nan, f"{name}_low": np.nan, f"{name}_high": np.nan}
    tests = pd.DataFrame({"column": ["sex"], "chi2": [1.1], "df": [1], "p_value": [0.29], "p_holm": [0.29],
                          "p_bh": [0.29]})  # fmt: skip
    return SubgroupTable(table=pd.DataFrame([row, small]), interaction=tests, model_id="fused", n=152, n_events=25)


def _curve(value: str) -> pd.DataFrame:
    start, drop = (1.0, -0.1) if value == "survival" else (0.0, 0.1)
    parts = []
    for i, group in enumerate(["low risk", "high risk"]):
        steps = [start, start + drop * (i + 1), start + 2 * drop * (i + 1)]
        parts.append(pd.DataFrame({
            "group": group, "days": [0.0, 400.0, 1500.0], value: steps, "low": np.array(steps) - 0.05,
            "high": np.minimum(1, np.array(steps) + 0.05), "at_risk": [50, 50, 20], "n_events": [0, 5, 2],
            "n_censored": [0, 0, 18],
        }))  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def _survival() -> SurvivalCurves:
    groups = pd.DataFrame({"group": ["low risk", "high risk"], "n": 50, "n_events": 7, "followup_days": 1500.0})
    median = pd.DataFrame({"group": ["low risk", "high risk"], "days": np.nan, "low": np.nan, "high": np.nan})
    return SurvivalCurves(curve=_curve("survival"), median=median, log_rank=LogRank(4.0, 1, 0.044), groups=groups,
                          endpoint="os", by="predicted_group", n=100, n_events=14)  # fmt: skip


def _incidence() -> IncidenceCurves:
    curve = _curve("incidence").assign(cause=1)
    other = _curve("incidence").assign(cause=2, incidence=lambda t: t["incidence"] / 2)
    groups = pd.DataFrame({"group": ["low risk", "high risk"], "n": 50, "n_events": 7, "followup_days": 1500.0})
    gray = pd.DataFrame({"cause": [1, 2], "chi2": [5.0, 0.1], "df": 1, "p_value": [0.025, 0.75]})
    return IncidenceCurves(curve=pd.concat([curve, other], ignore_index=True), gray_test=gray, groups=groups,
                           endpoint="regional", by="predicted_group", n=100, n_events=14)  # fmt: skip


def _hazards() -> HazardModel:
    table = pd.DataFrame({"covariate": ["risk"], "unit": ["per 10 percentage points"], "coef": [0.3], "se": [0.1],
                          "hr": [1.35], "low": [1.1], "high": [1.64], "p_value": [0.003]})  # fmt: skip
    return HazardModel(table=table, concordance=Estimate(0.66), ph_test=pd.DataFrame(), endpoint="os", method="Cox",
                       log_likelihood=-1, log_likelihood_null=-2, n=100, n_events=14)  # fmt: skip


def _comparison() -> AucComparison:
    return AucComparison(difference=Estimate(0.05, -0.01, 0.11), auc_a=Estimate(0.84), auc_b=Estimate(0.79), z=1.6,
                         p_value=0.1, model_a="fused", model_b="clinical", n=300, n_events=51)  # fmt: skip


def _flow() -> pd.DataFrame:
    return pd.DataFrame({
        "centre": ["North", "North", "South", "South"], "rule": ["adult", "consent"] * 2, "n_in": [60, 58, 40, 40],
        "n_excluded": [2, 5, 0, 1], "n_undetermined": [0, 1, 0, 0], "n_left": [58, 52, 40, 39],
    })  # fmt: skip


ALL = {
    "roc": lambda mark: figures.plot_roc([_roc(), _roc("clinical")], points=[_point()], mark=mark),
    "auc_differences": lambda mark: figures.plot_auc_differences([_comparison()], mark=mark),
    "operating_point": lambda mark: figures.plot_operating_point(_thousand(), mark=mark),
    "calibration": lambda mark: figures.plot_calibration([_calibration(), _calibration("clinical")], mark=mark),
    "decision": lambda mark: figures.plot_decision_curve(_decision(), threshold=0.1, mark=mark),
    "subgroups": lambda mark: figures.plot_subgroups(_subgroups(), mark=mark),
    "hazards": lambda mark: figures.plot_hazard_ratios(_hazards(), mark=mark),
    "survival": lambda mark: figures.plot_survival(_survival(), mark=mark),
    "incidence": lambda mark: figures.plot_incidence(_incidence(), mark=mark),
    "flow": lambda mark: figures.plot_flow(_flow(), mark=mark),
}


def _trace(figure, name):
    found = [t for t in figure.data if t.name and t.name.startswith(name)]
    assert found, f"no trace called {name}: {[t.name for t in figure.data]}"
    return found[0]


@pytest.mark.parametrize("name", ALL)
def test_every_figure_asks_a_question_and_says_on_how_many_patients_it_rests(name):
    figure = ALL[name]("")
    assert figure.layout.title.text.endswith("?")
    assert "patients" in figure.layout.title.subtitle.text
    assert len(figure.data) > 0


@pytest.mark.parametrize("name", ALL)
def test_every_figure_of_made_up_data_says_so_and_no_other_does(name):
    def marks(figure):
        return [a.text for a in figure.layout.annotations if a.name == "mark"]

    assert marks(ALL[name](theme.MADE_UP)) == ["MADE-UP DATA"]
    assert marks(ALL[name]("")) == []


@pytest.mark.parametrize("name", [n for n in ALL if n != "flow"])
def test_every_axis_that_is_shown_carries_its_unit_or_name(name):
    figure = ALL[name]("")
    assert figure.layout.xaxis.title.text
    if name in ("roc", "calibration", "decision", "survival", "incidence"):
        assert figure.layout.yaxis.title.text


def test_a_roc_curve_draws_the_sensitivities_and_specificities_of_the_result():
    figure = figures.plot_roc(_roc(), points=[_point()])
    trace = _trace(figure, "fused: AUC")
    assert list(trace.y) == [0, 0.5, 0.9, 1.0]
    assert list(trace.x) == pytest.approx([0, 0.05, 0.4, 1.0])
    point = _trace(figure, "fused at the threshold")
    assert point.y[0] == 0.96 and point.x[0] == 0.5
    assert point.error_y.array[0] == pytest.approx(0.03) and point.error_y.arrayminus[0] == pytest.approx(0.10)
    assert point.error_x.array[0] == pytest.approx(0.06) and point.error_x.arrayminus[0] == pytest.approx(0.06)


def test_the_legend_shows_the_interval_that_the_result_prefers():
    assert "0.84 (0.79 to 0.89)" in _trace(figures.plot_roc(_roc()), "fused").name
    assert "0.84 (0.78 to 0.88)" in _trace(figures.plot_roc(_roc(prefer_logit=True)), "fused").name


def test_models_differ_by_dash_as_well_as_by_colour():
    figure = figures.plot_roc([_roc("fused"), _roc("clinical"), _roc("mine")])
    drawn = [t for t in figure.data if t.name and "AUC" in t.name]
    assert len({t.line.color for t in drawn}) == 3 and len({t.line.dash for t in drawn}) == 3


def test_a_thousand_patients_are_drawn_as_they_were_counted_with_their_intervals():
    bars, table = figures.plot_operating_point(_thousand()).data[0], _thousand().table
    assert list(bars.x) == list(table["patients"]) and list(bars.y) == list(table["outcome"])
    assert list(bars.error_x.array) == pytest.approx(list(table["high"] - table["patients"]))
    assert list(bars.error_x.arrayminus) == pytest.approx(list(table["patients"] - table["low"]))


def test_calibration_draws_curve_band_and_tenths():
    figure = figures.plot_calibration(_calibration())
    expected = _calibration().curve
    assert list(_trace(figure, "fused: slope").y) == list(expected["observed"])
    assert list(_trace(figure, "fused, lower limit").y) == list(expected["low"])
    assert list(_trace(figure, "fused, upper limit").y) == list(expected["high"])
    assert list(_trace(figure, "fused, tenths").y) == [0.07, 0.27]


def test_a_decision_curve_draws_every_strategy_and_marks_the_threshold():
    figure = figures.plot_decision_curve(_decision(), threshold=0.1)
    assert list(_trace(figure, "fused").y) != [] and list(_trace(figure, "work up everybody").y) == [0.12, 0.07, -0.04]
    assert list(_trace(figure, "work up nobody").y) == [0, 0, 0]
    assert figure.layout.shapes[0].x0 == 0.1


def test_a_forest_draws_each_level_and_says_too_few_instead_of_a_number():
    figure = figures.plot_subgroups(_subgroups())
    trace = _trace(figure, "estimate")
    assert trace.x[0] == 0.8 and np.isnan(trace.x[1])
    assert trace.error_x.arrayminus[0] == pytest.approx(0.1) and trace.error_x.array[0] == pytest.approx(0.04)
    texts = [a.text for a in figure.layout.annotations]
    assert "0.80 (0.70 to 0.84)" in texts and "too few" in texts
    assert any("24/140" in t for t in figure.layout.yaxis.ticktext)
    assert any("P = 0.29" in t for t in texts)


def test_a_measure_that_is_not_known_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match="'aucs' is not known; wanted one of auc, sensitivity"):
        figures.plot_subgroups(_subgroups(), measure="aucs")


def test_survival_is_drawn_in_steps_with_the_numbers_at_risk_under_the_same_days():
    figure = figures.plot_survival(_survival())
    line = _trace(figure, "high risk")
    high = next(t for t in figure.data if t.name == "high risk")
    assert high.line.shape == "hv" and line is not None
    assert list(high.x) == [0, 400, 1500] and list(high.y) == pytest.approx([1, 0.8, 0.6])
    table = _trace(figure, "high risk, at risk")
    assert list(table.x) == list(figure.layout.xaxis.tickvals)
    expected = _survival().at(days=list(table.x))
    expected = expected[expected["group"] == "high risk"]["at_risk"]
    assert list(table.text) == [str(n) for n in expected]
    assert figure.layout.xaxis.range == figure.layout.xaxis2.range
    assert "log-rank P = 0.044" in figure.layout.title.subtitle.text


def test_incidence_draws_the_asked_cause_and_its_own_test():
    figure = figures.plot_incidence(_incidence())
    high = next(t for t in figure.data if t.name == "high risk")
    assert list(high.y) == pytest.approx([0, 0.2, 0.4])
    assert "Gray P = 0.025" in figure.layout.title.subtitle.text
    second = figures.plot_incidence(_incidence(), cause=2)
    assert list(next(t for t in second.data if t.name == "high risk").y) == pytest.approx([0, 0.1, 0.2])


def test_a_large_number_is_short():
    said = {0.5: "0.50", 9.876: "9.88", 38.804: "38.8", 325.88: "326", -0.04: "−0.04", math.inf: "∞", math.nan: "–"}
    assert {value: theme.number(value) for value in said} == said


def test_a_hazard_ratio_says_its_unit():
    figure = figures.plot_hazard_ratios(_hazards())
    assert "per 10 percentage" in figure.layout.yaxis.ticktext[0]
    assert figure.data[0].x[0] == 1.35
    assert figure.layout.xaxis.type == "log"


@pytest.mark.parametrize(
    ("values", "wanted"),
    [((1, 2.33, 19.25), [1, 2, 5, 10]), ((1, 0.89, 1.62), [0.9, 1, 1.2, 1.4, 1.6]), ((1, 0.51, 1.6), [0.7, 1, 1.5]),
     ((1, 0.004, 300), [0.001, 0.01, 0.1, 1, 10, 100, 1000]), ((np.nan,), [1])],
)  # fmt: skip
def test_a_log_axis_has_a_few_plain_numbers_and_one_among_them(values, wanted):
    assert log_ticks(values) == pytest.approx(wanted)


def test_the_flow_sums_over_centres_and_names_who_left():
    figure = figures.plot_flow(_flow())
    assert list(_trace(figure, "left").text) == ["<b>100</b> screened", "<b>98</b> left", "<b>91</b> eligible"]
    gone = _trace(figure, "out").text
    assert "2 excluded" in gone[0] and "6 excluded, 1 undetermined" in gone[1]


def test_the_flow_of_one_centre_is_that_centres_and_an_unknown_centre_is_an_error():
    figure = figures.plot_flow(_flow(), centre="South")
    assert list(_trace(figure, "left").text) == ["<b>40</b> screened", "<b>40</b> left", "<b>39</b> eligible"]
    assert "in South" in figure.layout.title.subtitle.text
    with pytest.raises(OnlmError, match="No centre is called 'Soth'; did you mean 'South'\\?"):
        figures.plot_flow(_flow(), centre="Soth")


def test_the_flow_says_a_rule_in_the_protocols_own_words_wrapped_and_as_text():
    words = "CTR above 0.5 on <b>thin</b> CT read by two radiologists independently of one another"
    figure = figures.plot_flow(_flow().assign(text=["Adult", words] * 2))
    first, second = _trace(figure, "out").text
    assert first.startswith("Adult<br><b>2 excluded")
    assert second.count("<br>") == 3 and "&lt;b&gt;thin&lt;/b&gt;" in second
    assert second.replace("<br>", " ").replace("&lt;", "<").replace("&gt;", ">").startswith(words)
    gaps = np.diff(_trace(figure, "left").y)
    assert gaps[1] > gaps[0]  # room for more lines


@pytest.mark.parametrize("n_rules", [1, 20])
def test_the_flow_has_a_box_before_the_first_and_after_each_rule_and_none_overlap(n_rules):
    rows = [("X", f"rule_{i}", 100 - i, 1, 0, 99 - i, "long words " * (1 + i)) for i in range(n_rules)]
    names = ["centre", "rule", "n_in", "n_excluded", "n_undetermined", "n_left", "text"]
    figure = figures.plot_flow(pd.DataFrame(rows, columns=names))
    boxes = sorted((shape.y0, shape.y1) for shape in figure.layout.shapes if shape.type == "rect")
    assert len(boxes) == n_rules + 1 and all(low > high for (_, high), (low, _) in itertools.pairwise(boxes))
    assert len(_trace(figure, "out").text) == n_rules
    assert figure.layout.height > boxes[-1][1] - boxes[0][0]


def test_the_sums_that_a_screening_keeps_beside_its_centres_are_not_counted_twice():
    sums = _flow().groupby("rule", sort=False).sum(numeric_only=True).reset_index().assign(centre="all")
    figure = figures.plot_flow(pd.concat([sums, _flow()]))
    assert _trace(figure, "left").text[0] == "<b>100</b> screened"
    assert "in 2 centres" in json.dumps(figure.to_plotly_json()["layout"]["title"])


def test_names_from_data_are_text_and_not_tags():
    nasty = "<img src=x>"
    drawn = [
        figures.plot_roc(_roc(nasty), points=[_point(nasty)]), figures.plot_subgroups(_subgroups(nasty)),
        figures.plot_calibration(_calibration(nasty)), figures.plot_operating_point(_thousand(nasty)),
    ]  # fmt: skip
    for figure in drawn:
        texts = json.dumps(json.loads(figure.to_json()))  # plotly's own JSON hides the sign as \\u003c
        assert "<img" not in texts and "&lt;img" in texts


def test_ticks_are_whole_or_half_years_and_never_more_than_eight():
    from onlm_lab.figures.outcomes import time_ticks

    for last in (300, 1000, 1900, 2600, 5000, 12000):
        ticks = time_ticks(last)
        assert len(ticks) <= 8 and ticks[0] == 0 and ticks[-1] <= last
        assert all((d / 182.625) == pytest.approx(round(d / 182.625)) for d in ticks)


def test_a_curve_of_very_many_points_is_drawn_through_points_of_its_own_less_than_a_pixel_apart():
    chance = np.random.default_rng(2)
    onlm = chance.integers(0, 2, 30_000)
    rows = pd.DataFrame({"patient_id": np.arange(len(onlm)), "onlm": onlm})
    rows["risk"] = chance.uniform(size=len(onlm)) * 0.7 + 0.3 * onlm * chance.uniform(size=len(onlm))
    result = analysis.roc(rows)
    drawn = figures.plot_roc(result).data[1]
    assert len(drawn.x) < 2100 < len(result.curve)
    whole = set(zip((1 - result.curve["specificity"]).tolist(), result.curve["sensitivity"].tolist(), strict=True))
    assert set(zip(drawn.x, drawn.y, strict=True)) <= whole
    assert (drawn.x[0], drawn.y[0], drawn.x[-1], drawn.y[-1]) == (0, 0, 1, 1)
    x, y = 1 - result.curve["specificity"].to_numpy(), result.curve["sensitivity"].to_numpy()
    nearest = np.array([np.hypot(x[i] - drawn.x, y[i] - drawn.y).min() for i in range(0, len(x), 50)])
    assert nearest.max() < 0.0015


def test_of_many_models_the_first_three_have_bands_and_the_figure_says_so():
    chance = np.random.default_rng(3)
    onlm = chance.integers(0, 2, 200)
    rows = pd.concat([
        pd.DataFrame({"patient_id": np.arange(200), "model_id": f"m{k}", "onlm": onlm,
                      "risk": np.clip(0.3 * onlm + chance.uniform(size=200) * 0.6, 0, 1)}) for k in range(5)
    ])  # fmt: skip
    calibrations = [analysis.assess_calibration(rows, model=f"m{k}") for k in range(5)]
    curve = analysis.net_benefit(rows, thresholds=[0.1, 0.2, 0.3], n_bootstrap=20)
    for figure in (figures.plot_calibration(calibrations), figures.plot_decision_curve(curve)):
        bands = [trace.name.split(",")[0] for trace in figure.data if "upper limit" in (trace.name or "")]
        assert [name for name in bands if name.startswith("m")] == ["m0", "m1", "m2"]
        assert "(the first 3 models)" in figure.layout.title.subtitle.text
    assert "the first" not in figures.plot_calibration(calibrations[:3]).layout.title.subtitle.text
