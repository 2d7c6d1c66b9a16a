"""Lessons 4 to 7: every answer is judged, and what they teach is true of the worlds that they draw."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from test_notebooks import drawn, executed, said

from onlm_lab import analysis, teaching
from onlm_lab.analysis.leakage import strong_alone
from onlm_lab.analysis.subgroup import adjust_p_values
from onlm_lab.cohort.duplicates import find_duplicates
from onlm_lab.teaching import competing, fishing, immortal, leakage, leakage_sliders
from onlm_lab.teaching.judging import judge
from onlm_lab.teaching.question import read_questions

LESSONS = ("leakage", "competing", "immortal", "fishing")
QUESTIONS = [(lesson, name) for lesson in LESSONS for name in read_questions(lesson)]
SEEDS = (1, 2, 3, 4, 5)


def question_of(lesson, name):
    return read_questions(lesson)[name]


def verdict(question, answer, **known):
    found = judge(question, answer, **known)
    return found.right, found.why


def given_mistakes(question):
    """A wrong number for each mistake that only the notebook knows, away from the truth and from each other."""
    names = [one.name for one in question.mistakes if one.name]
    return {name: 1000.0 + 10 * k for k, name in enumerate(names)}


@pytest.mark.parametrize(("lesson", "name"), QUESTIONS)
def test_every_answer_is_judged_and_each_wrong_one_is_told_why_it_is_wrong(lesson, name):
    question = question_of(lesson, name)
    if question.kind == "number":
        truth, mistakes = question.truth if question.truth is not None else 500.0, given_mistakes(question)
        assert verdict(question, truth, truth=truth, mistakes=mistakes) == (True, question.why)
        wrong = [one.value if not one.name else mistakes[one.name] for one in question.mistakes]
        assert len(wrong) >= 2
        for value, one in zip(wrong, question.mistakes, strict=True):
            assert verdict(question, value, truth=truth, mistakes=mistakes) == (False, one.why)
        assert question.hint in judge(question, 77_777.0, truth=truth, mistakes=mistakes).why
        return
    right = [one for one in question.options if one.right]
    if question.kind == "choice":
        assert [verdict(question, one.key) for one in question.options] == [(o.right, o.why) for o in question.options]
        assert len(right) == 1
        return
    assert verdict(question, [one.key for one in right]) == (True, question.why)
    for one in question.options:
        changed = {o.key for o in right} ^ {one.key}
        found = judge(question, sorted(changed))
        assert not found.right and (one.right or one.why in found.why)


@pytest.mark.parametrize(("lesson", "name"), QUESTIONS)
def test_a_wrong_answer_given_on_the_page_shows_its_why(lesson, name, tmp_path):
    shelf, question = teaching.Lesson(lesson, folder=tmp_path), question_of(lesson, name)
    truth = (500.0 if question.truth is None else None) if question.kind == "number" else None
    card = shelf.check(name, truth, mistakes=given_mistakes(question) or None)
    if question.kind == "number":
        one = question.mistakes[0]
        wrong = given_mistakes(question)[one.name] if one.name else one.value
        card.give(100 * wrong if question.unit == "%" else wrong)
    else:
        one = next(o for o in question.options if not o.right)
        card.give(one.key if question.kind == "choice" else [one.key])
    assert card.verdict["right"] is False and card.verdict["word"] == "Not yet" and one.why in card.verdict["why"]


@pytest.mark.parametrize("seed", SEEDS)
def test_of_five_teams_the_honest_one_keeps_its_auc_and_four_fall(seed):
    table = leakage.scores(seed=seed).pivot(index="team", columns="where", values="auc")
    fall = table[leakage.HANDED_IN] - table[leakage.NEW]
    assert abs(fall["Team A"]) < 0.1 and table.loc["Team A", leakage.NEW] > 0.68
    assert (fall.drop("Team A") > 0.12).all()
    assert (table.loc[["Team D", "Team E"], leakage.NEW] - 0.5).abs().max() < 0.06
    assert table.loc["Team B", leakage.HANDED_IN] > 0.93


def test_in_the_lesson_the_honest_team_hands_in_the_lowest_auc_and_ends_with_the_highest():
    table = leakage.scores().pivot(index="team", columns="where", values="auc")
    assert table[leakage.HANDED_IN].idxmin() == table[leakage.NEW].idxmax() == "Team A"


def test_the_search_for_a_leak_names_the_planted_column_and_no_other():
    work = leakage.hand_in("Team B")
    said_of_it = analysis.suspicion(
        analysis.roc(work.tested).auc, model_id="Team B", predictors=work.columns, rows=work.tested
    )
    assert "follow_up_plan" in said_of_it and "surgery" in said_of_it
    assert strong_alone(work.tested, columns=work.columns)["column"].tolist() == ["follow_up_plan"]
    assert analysis.suspicion(analysis.roc(leakage.hand_in("Team A").tested).auc, model_id="Team A") is None
    assert set(leakage.hand_in("Team A").new["follow_up_plan"]) == {"surgeon"}  # before surgery: nobody was sent on


def test_team_cs_patients_are_found_under_their_second_ids():
    work = leakage.hand_in("Team C")
    rows = pd.concat([work.taught, work.tested]).drop(columns=["risk", "model_id"])
    pairs = find_duplicates(rows)
    assert (pairs["patient_b"] == pairs["patient_a"] + "-2").all()
    assert 0.9 * 140 <= len(pairs) <= 140


@pytest.mark.parametrize("seed", SEEDS)
def test_the_more_test_patients_taught_the_forest_the_better_it_looks_and_only_there(seed):
    areas = [[analysis.roc(r).auc.value for r in leakage.with_shared_patients(s, seed=seed)] for s in (0, 0.5, 1)]
    test, new = zip(*areas, strict=True)
    assert test[0] < test[1] - 0.05 and test[1] < test[2] - 0.05 and test[2] > 0.95
    assert max(new) < 0.76 and test[0] < 0.82


def test_features_of_noise_fit_where_they_are_picked_before_the_split_and_not_within_the_folds():
    many = np.array([[analysis.roc(r).auc.value for r in leakage.with_picked_features(2000, seed=s)] for s in SEEDS])
    few = np.array([[analysis.roc(r).auc.value for r in leakage.with_picked_features(10, seed=s)] for s in SEEDS])
    assert many[:, 0].min() > 0.8 and abs(many[:, 1].mean() - 0.5) < 0.08
    assert np.array_equal(few[:, 0], few[:, 1])  # ten of ten: nothing is picked


@pytest.mark.parametrize("seed", SEEDS)
def test_a_threshold_chosen_on_the_test_patients_promises_too_much_the_more_the_fewer_they_are(seed):
    gains = []
    for n in (30, 100, 600):
        table = leakage.chosen_thresholds(n, seed=seed)
        both = table[table["measure"] == "sensitivity + specificity"].set_index("threshold")["value"]
        gains.append(both[leakage.CHOSEN] - both[leakage.BROUGHT])
    assert gains[0] > gains[1] > gains[2] > 0


@pytest.mark.parametrize("seed", SEEDS)
def test_team_es_model_knows_nothing_inside_a_hospital(seed):
    rows = leakage.hand_in("Team E", seed=seed).tested
    assert analysis.roc(rows).auc.low > 0.65
    pooled = analysis.by_centre(rows).measures.set_index("measure").loc["auc"]
    assert abs(pooled["value"] - 0.5) < 0.09


@pytest.mark.parametrize("seed", SEEDS)
def test_deaths_move_the_incidence_and_not_one_minus_kaplan_meier(seed):
    read = {rate: competing.overstated(rate, seed=seed).table.iloc[0] for rate in (0.0, 0.1, 0.4)}
    for rate, row in read.items():
        truth = competing.true_incidence(death_per_year=rate, years=5)
        assert row["incidence"] == pytest.approx(truth, abs=0.03)
        assert row["one_minus_km"] == pytest.approx(1 - np.exp(-0.3), abs=0.05)
    assert read[0.0]["excess"] == pytest.approx(0, abs=1e-12)
    assert 0 < read[0.1]["excess"] < read[0.4]["excess"]


def test_the_ten_patients_counted_by_hand_are_counted_alike_by_the_software():
    days = [1.0] * 2 + [2.0] * 5 + [3.0] + [4.0] * 2
    state = [1] * 2 + [2] * 5 + [1] + [0] * 2
    rows = pd.DataFrame({"patient_id": range(10), "regional_days": days, "regional_state": state})
    row = analysis.one_minus_km(rows, endpoint="regional", horizons_days=[4]).table.iloc[0]
    question = question_of("competing", "ten")
    assert row["incidence"] == pytest.approx(question.truth)
    assert judge(question, row["one_minus_km"]).why.startswith("That is 1 − Kaplan-Meier")


@pytest.mark.parametrize("seed", SEEDS)
def test_sbrt_counted_as_n0_makes_n_plus_rare_and_moves_the_auc_whichever_way_sbrt_was_given(seed):
    moved = {}
    for whom in competing.TO_WHOM:
        table = competing.sbrt_as_negative(0.4, to_whom=whom, seed=seed).set_index("way")
        wrong, truth = table.loc["SBRT counted as N0"], table.loc["the hidden truth"]
        assert wrong["found_fraction"] < truth["found_fraction"] and wrong["high"] < 1
        assert truth["low"] < 1 < truth["high"] and wrong["expected_fraction"] == truth["expected_fraction"]
        moved[whom] = wrong["auc"] - truth["auc"]
    assert moved["more often at low risk"] > 0.02 and moved["more often at high risk"] < -0.1


@pytest.mark.parametrize("seed", SEEDS)
def test_sbrt_counted_as_n0_teaches_that_age_protects_though_it_says_nothing(seed):
    odds = competing.odds_by_age(competing.draw_both_arms(3000, share_sbrt=0.4, seed=seed)).set_index("way")
    assert odds.loc["SBRT counted as N0", "high"] < 0.7
    assert odds.loc["the hidden truth", "odds_ratio"] == pytest.approx(1, abs=0.2)


def test_without_sbrt_all_ways_of_counting_are_one():
    table = competing.sbrt_as_negative(0.0)
    assert table.drop(columns="way").nunique().eq(1).all()


@pytest.mark.parametrize("seed", SEEDS)
def test_recurrence_in_the_nodes_misses_hidden_disease_early_and_blames_clean_nodes_late(seed):
    rows = competing.draw_by_nodes(1500, seed=seed)
    shares = [competing.recurrence_as_label(rows, years=y) for y in (1, 2, 5)]
    missed, false = ([one[k] for one in shares] for k in ("missed_fraction", "false_fraction"))
    assert missed[0] > missed[1] > missed[2] > 0.35 and false[2] > 0.25
    assert missed[1] == pytest.approx(1 - 0.2 / 0.3 * (1 - np.exp(-0.6)), abs=0.07)
    table = competing.fates(rows, years=2).set_index("hidden_nodes")
    hidden = table.loc["hidden N+", list(competing.FATES)]
    assert 1 - hidden["recurred"] / hidden.sum() == pytest.approx(missed[1])
    assert table[list(competing.FATES)].to_numpy().sum() == 1500


@pytest.mark.parametrize("seed", (1, 2, 3, 4, 5, 20))
def test_counted_from_surgery_the_treatment_protects_more_the_longer_patients_wait_and_it_does_nothing(seed):
    ratios = [immortal.naive_ratio(immortal.draw_patients(waiting_days=w, seed=seed)) for w in (0, 60, 120, 300)]
    assert ratios == sorted(ratios, reverse=True) and ratios[2] < 0.85 and ratios[3] < 0.65
    lives = [immortal.draw_patients(waiting_days=w, seed=seed)["rfs_days"] for w in (0, 300)]
    assert lives[0].equals(lives[1])


def test_the_landmarks_interval_covers_no_effect_in_most_worlds_and_the_naive_one_in_few():
    worlds = [immortal.effect(immortal.draw_patients(waiting_days=120, seed=s)).table for s in range(20)]
    assert sum(w["low"][1] <= 1 <= w["high"][1] for w in worlds) >= 17
    assert sum(w["high"][0] < 1 for w in worlds) >= 16
    assert np.exp(np.mean([np.log(w["hr"][1]) for w in worlds])) == pytest.approx(1, abs=0.07)


@pytest.mark.parametrize("seed", SEEDS)
def test_no_treated_patient_has_the_event_before_treatment(seed):
    rows = immortal.draw_patients(waiting_days=120, seed=seed)
    treated = rows[rows["adjuvant"] == 1]
    assert (treated["adjuvant_start_days"] < treated["rfs_days"]).all()
    assert rows.loc[rows["adjuvant"] == 0, "adjuvant_start_days"].isna().all()
    early = immortal.early_events(rows, by_day=180)
    assert 0 < early["n_treated"] < 0.4 * early["n_events"]


def test_of_five_ways_the_two_fair_ones_lie_about_one_and_the_others_below():
    found = [immortal.ways_of_counting(immortal.draw_patients(waiting_days=120, seed=s)) for s in range(12)]
    mean = np.exp(np.mean([np.log(one["hr"]) for one in found], axis=0))
    right = found[0]["right"].to_numpy()
    assert right.sum() == 2 and np.abs(mean[right] - 1).max() < 0.06 and mean[~right].max() < 0.9
    lesson = immortal.ways_of_counting(immortal.draw_patients(waiting_days=120, seed=20))
    assert (lesson.loc[~lesson["right"], "high"] < 1).all()
    assert ((lesson["low"] < 1) & (lesson["high"] > 1))[lesson["right"]].all()


def test_the_bars_of_waiting_show_each_patient_once_and_no_cross_before_treatment():
    rows = immortal.draw_patients(waiting_days=120, seed=20)
    figure = immortal.plot_waiting(rows)
    bars = {trace.name: np.asarray(trace.x, dtype=float) for trace in figure.data if trace.type == "bar"}
    few = rows.head(immortal.N_SHOWN)
    shown = {name: int((length > 0).sum()) for name, length in bars.items()}
    n_treated, n_late = int(few["adjuvant"].sum()), int((few["planned"] - few["adjuvant"]).sum())
    assert shown[immortal.TREATED] == n_treated > 0 and shown[immortal.TOO_LATE] == n_late > 0
    assert shown[immortal.NOT_PLANNED] == immortal.N_SHOWN - n_treated - n_late
    crosses = next(trace for trace in figure.data if trace.type == "scatter")
    for x, y in zip(crosses.x, crosses.y, strict=True):
        waited = bars[immortal.WAITING][y]
        assert x > waited or waited == 0


def test_twenty_null_subgroups_show_something_in_64_percent_of_trials_of_any_size():
    assert fishing.chance_of_any(20) == pytest.approx(1 - 0.95**20) and fishing.chance_of_any(1) == pytest.approx(0.05)
    for n, n_subgroups in ((1600, 20), (8000, 20), (1600, 5)):
        share = fishing.long_run(150, n=n, n_subgroups=n_subgroups)
        assert share == pytest.approx(fishing.chance_of_any(n_subgroups), abs=0.11)


def test_the_fished_numbers_are_coxs_and_their_adjustments_those_of_the_analysis():
    rows = fishing.draw_trial(seed=46)
    table = fishing.fish(rows)
    for row in table.iloc[:3].itertuples():
        own = analysis.cox(rows[rows["subgroup"] == row.subgroup], endpoint="os", covariates=["treatment_new"])
        first = own.table.iloc[0]
        assert [row.hr, row.low, row.high, row.p_value] == pytest.approx(
            [first["hr"], first["low"], first["high"], first["p_value"]], rel=1e-6
        )
        assert (row.n, row.n_events) == (own.n, own.n_events)
    for method in ("holm", "bh"):
        assert np.allclose(table[f"p_{method}"], adjust_p_values(table["p_value"].to_numpy(), method=method))
    assert table["n"].sum() == 1600 and len(table) == 20
    caught = table[table["p_value"] < 0.05]
    assert len(caught) == 1 and caught["p_holm"].iloc[0] > 0.2 and fishing.interaction_p(rows) > 0.2


def test_a_null_interaction_is_seldom_significant_and_holm_seldom_calls_any():
    tables = [fishing.draw_trial(seed=s) for s in range(20)]
    assert sum(fishing.interaction_p(rows) < 0.05 for rows in tables) <= 4
    assert sum((fishing.fish(rows)["p_holm"] < 0.05).any() for rows in tables) <= 4


@pytest.mark.parametrize("seed", SEEDS)
def test_one_true_effect_is_significant_in_the_large_subgroup_and_the_interaction_is_not(seed):
    rows = fishing.two_sizes(seed=seed)
    table = fishing.fish(rows).set_index("subgroup")
    assert table.loc["large subgroup", "p_value"] < 0.001 < table.loc["small subgroup", "p_value"]
    assert fishing.interaction_p(rows) > 0.3
    assert table["hr"].tolist() == pytest.approx([0.7, 0.7], abs=0.12)


@pytest.mark.parametrize("seed", SEEDS)
def test_holm_finds_least_and_errs_least_and_no_adjustment_finds_most(seed):
    table = fishing.some_real(n_real=5, seed=seed).set_index("rule")
    order = ["P < 0.05", "Benjamini-Hochberg", "Holm"]
    for column in ("n_true", "n_false"):
        assert table.loc[order, column].is_monotonic_decreasing
    assert (table["n_true"] + table["n_missed"] == 5).all() and table.loc["P < 0.05", "n_true"] >= 2


def test_the_factor_of_holm_in_the_question_is_the_softwares():
    question = question_of("fishing", "holm")
    p = np.r_[0.004, np.linspace(0.2, 0.9, 19)]
    assert adjust_p_values(p, method="holm")[0] == pytest.approx(question.truth)
    assert question_of("fishing", "any").mistakes[2].value == pytest.approx(0.95**20, abs=0.005)


def test_two_seeds_are_two_worlds_and_one_seed_is_one():
    assert leakage.draw_patients(50, seed=1).equals(leakage.draw_patients(50, seed=1))
    for draw in (
        lambda s: leakage.draw_patients(50, seed=s),
        lambda s: competing.draw_sbrt(50, death_per_year=0.1, seed=s),
        lambda s: competing.draw_by_nodes(50, seed=s),
        lambda s: immortal.draw_patients(50, waiting_days=90, seed=s),
        lambda s: fishing.draw_trial(200, seed=s),
    ):
        assert draw(3).equals(draw(3)) and not draw(3).equals(draw(4))


EXPLORERS = {
    "shared": (leakage_sliders.explore_shared, {"share": 0.5}),
    "picking": (leakage_sliders.explore_picking, {"n_features": 500, "seed": 2}),
    "thresholds": (leakage_sliders.explore_thresholds, {"n_tested": 200}),
    "death": (competing.explore_death, {"death_per_year": 0.2}),
    "sbrt": (competing.explore_sbrt, {"share_sbrt": 0.3, "to_whom": "more often at low risk"}),
    "horizon": (lambda: competing.explore_horizon(competing.draw_by_nodes(400, seed=1)), {"years": 4.0}),
    "waiting": (lambda: immortal.explore_waiting(seed=20), {"waiting_days": 120, "day": 360}),
    "subgroups": (fishing.explore_subgroups, {"seed": 7, "n": 2000, "n_subgroups": 8}),
}


@pytest.mark.parametrize("name", EXPLORERS)
def test_each_slider_changes_the_figure_and_the_sentence_and_the_figure_is_marked(name):
    make, moves = EXPLORERS[name]
    explorer = make()
    for control, value in moves.items():
        before = explorer.figure, explorer.sentence
        said_now = explorer.move(control, value)
        assert (explorer.figure["data"], said_now) != (before[0]["data"], before[1])
        assert said_now != before[1]
        assert any(a["text"] == "MADE-UP DATA" for a in explorer.figure["layout"]["annotations"])
    assert "nan" not in explorer.sentence.lower()


def test_what_the_sentence_says_is_what_the_slider_shows():
    at = competing.explore_death().move("death_per_year", 0.2)
    row = competing.overstated(0.2).table.iloc[0]
    assert [round(100 * row[c]) for c in ("one_minus_km", "incidence")] == [
        int(x) for x in re.findall(r"(\d+)\s%", at)[:2]
    ]
    at = immortal.explore_waiting(seed=20).move("waiting_days", 120)
    assert f"{immortal.naive_ratio(immortal.draw_patients(waiting_days=120, seed=20)):.2f}, clearly below 1" in at
    at = fishing.explore_subgroups().move("seed", 46)
    assert "1 has P < 0.05 (group 04: hazard ratio 0.46)" in at and "After Holm 0" in at


def test_too_few_deaths_are_said_and_not_made_into_a_number():
    rows = fishing.draw_trial(60, n_subgroups=20, seed=1)
    table = fishing.fish(rows)
    assert table["hr"].isna().any() and "not tested" in fishing.say_fished(table, p_interaction=float("nan"))
    figure = fishing.plot_fished(table, p_interaction=float("nan"))
    assert "interaction not tested" in figure.layout.title.subtitle.text


def test_the_teachers_notes_say_the_numbers_that_the_class_will_see():
    notes = " ".join((Path(__file__).parents[1] / "docs" / "teaching_later_lessons.md").read_text("utf-8").split())
    table = leakage.scores().pivot(index="team", columns="where", values="auc")
    for team, row in table.iterrows():
        assert f"| {team[-1]} | {row[leakage.HANDED_IN]:.2f} | {row[leakage.NEW]:.2f} |" in notes
    test, _ = (analysis.roc(rows).auc.value for rows in leakage.with_shared_patients(0.5))
    assert f"shared: {test:.2f} ({test - 0.05:.2f} to {test + 0.05:.2f} counts" in notes
    truths = [competing.true_incidence(death_per_year=rate, years=5) for rate in (0, 0.1, 0.2, 0.4)]
    said_truths = re.search(r"truly (\d+) % .*? (\d+) % at deaths .*? (\d+) % at 20 %, (\d+) % at 40 %", notes).groups()
    assert [round(100 * one) for one in truths] == [int(one) for one in said_truths]
    areas = [competing.sbrt_as_negative(0.4, to_whom=w).set_index("way")["auc"].iloc[1] for w in competing.TO_WHOM]
    assert "{:.2f} (SBRT given alike), {:.2f} (more often at low risk), {:.2f} (more".format(*areas) in notes
    sbrt = competing.draw_by_nodes(1500, seed=1)
    two, five = (competing.recurrence_as_label(sbrt, years=y) for y in (2, 5))
    assert f"{two['missed_fraction']:.0%} of hidden".replace("%", " %") in notes
    assert f"{five['missed_fraction']:.0%} by 5 years, and {five['false_fraction']:.0%} of".replace("%", " %") in notes
    rows = immortal.effect(immortal.draw_patients(waiting_days=120, seed=20)).table.itertuples()
    naive, fair = (f"{row.hr:.2f} ({row.low:.2f} to {row.high:.2f})" for row in rows)
    assert f"hazard ratio is {naive}; from day 180 it is {fair}" in notes
    rows = fishing.draw_trial(seed=46)
    caught = fishing.fish(rows).nsmallest(1, "p_value").iloc[0]
    found = f"hazard ratio of {caught['hr']:.2f}, P = {caught['p_value']:.3f}; after Holm {caught['p_holm']:.2f}"
    assert f"{found}; the interaction test has P = {fishing.interaction_p(rows):.2f}" in notes


def marked(cells):
    return all(any(a["text"] == "MADE-UP DATA" for a in f["layout"]["annotations"]) for f in drawn(cells))


@pytest.mark.slow
def test_the_leakage_lesson_runs_and_finds_the_planted_leaks(tmp_path):
    cells = executed("teaching/04_leakage.py", folder=tmp_path)
    text = said(cells)
    assert "Team A: four values known before surgery" in text and "About 0.9" in text
    assert "follow_up_plan ('oncologist' or not: AUC 0.9" in text
    assert int(re.search(r"(\d+) pairs look like one person", text)[1]) > 120
    shared = float(re.search(r"came out as: (0\.\d+)", text)[1])
    assert 0.75 < shared < 0.95 and "apparent: True" in text
    assert len(drawn(cells)) == 3 and marked(cells)


@pytest.mark.slow
def test_the_competing_risks_lesson_runs_and_its_numbers_go_the_way_it_says(tmp_path):
    cells = executed("teaching/05_competing_risks.py", folder=tmp_path)
    text = said(cells)
    read = re.findall(r"a year: 1 − Kaplan-Meier (\d+)%, cumulative incidence (\d+)%, truth (\d+)%", text)
    km, incidence, truth = ([int(v) for v in column] for column in zip(*read, strict=True))
    assert max(km) - min(km) <= 3 and incidence == sorted(incidence, reverse=True) and incidence[-1] < 16
    assert max(abs(a - b) for a, b in zip(incidence, truth, strict=True)) <= 2
    areas = {whom: (float(a), float(b)) for whom, a, b in re.findall(r"SBRT (.+): AUC (\S+), in truth (\S+)", text)}
    assert areas["more often at low risk"][0] > areas["more often at low risk"][1]
    assert areas["more often at high risk"][0] < areas["more often at high risk"][1]
    assert "has competing events" in text
    assert len(drawn(cells)) == 2 and marked(cells)


@pytest.mark.slow
def test_the_immortal_time_lesson_runs_and_the_protection_goes_with_the_landmark(tmp_path):
    cells = executed("teaching/06_immortal_time.py", folder=tmp_path)
    text = said(cells)
    naive = [float(x) for x in re.search(r"Hazard ratio (\S+) \((\S+) to (\S+)\), P", text).groups()]
    assert naive[2] < 1 and "Its interval covers 1" in text and "immortal time" in text
    by_wait = [float(x) for x in re.findall(r"counted from surgery (0\.\d+|1\.\d+)$", text, flags=re.M)]
    assert len(by_wait) == 4 and all(a > b for a, b in itertools.pairwise(by_wait))
    n_naive, n_covers = map(int, re.search(r"Of 20 worlds (\d+) show .* in (\d+) the", text).groups())
    assert n_naive >= 16 and n_covers >= 17
    assert len(drawn(cells)) == 3 and marked(cells)


@pytest.mark.slow
def test_the_fishing_lesson_runs_and_catches_what_is_not_there(tmp_path):
    cells = executed("teaching/07_subgroup_fishing.py", folder=tmp_path)
    text = said(cells)
    assert 54 <= int(re.search(r"below 0\.05 in (\d+)%", text)[1]) <= 74 and "1 − 0.95²⁰: 64%" in text
    small, large = map(int, re.search(r"in (\d+)% of small trials and in (\d+)% of large", text).groups())
    assert abs(small - large) <= 15
    assert "1 has P < 0.05 (group 04: hazard ratio 0.46)" in text and "P well above 0.05" in text
    assert len(drawn(cells)) == 3 and marked(cells)
