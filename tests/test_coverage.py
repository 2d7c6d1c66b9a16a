"""The page on coverage: its truth is the population's, its runs repeat, and finished blocks are not done again."""

import json

import numpy as np
import pytest

from benchmarks import coverage, coverage_page, known_truth
from onlm_lab import analysis


def test_the_true_values_are_those_of_a_very_large_sample():
    rows = known_truth.sample(400_000, by_design=False, generator=np.random.default_rng(3))
    true, own = known_truth.truth(), dict(list(rows.groupby("model_id")))
    point = analysis.operating_point(own["a"], threshold=known_truth.THRESHOLD, prevalence=known_truth.ELSEWHERE)
    seen = {name: getattr(point, name).value for name in ("sensitivity", "specificity", "ppv", "npv", "lr_positive",
            "lr_negative", "ppv_at_prevalence", "npv_at_prevalence")}  # fmt: skip
    seen["auc"] = analysis.roc(own["a"]).auc.value
    seen["auc_difference"] = seen["auc"] - analysis.roc(own["c"]).auc.value
    other = analysis.operating_point(own["c"], threshold=known_truth.THRESHOLD)
    seen["sensitivity_difference"] = point.sensitivity.value - other.sensitivity.value
    seen["specificity_difference"] = point.specificity.value - other.specificity.value
    for name, mark in (("a", ""), ("x", "_x")):
        seen[f"oe_ratio{mark}"] = own[name]["onlm"].sum() / own[name]["risk"].sum()
        seen[f"brier{mark}"] = float(((own[name]["onlm"] - own[name]["risk"]) ** 2).mean())
    curves = {m: analysis.net_benefit(own[m], thresholds=[known_truth.THRESHOLD], n_bootstrap=1).table for m in "ac"}
    seen["net_benefit"] = curves["a"]["net_benefit"][0]
    seen["net_benefit_difference"] = seen["net_benefit"] - curves["c"]["net_benefit"][0]
    for name, value in seen.items():
        assert value == pytest.approx(true[name], abs=0.007 if "difference" in name else 0.02 * abs(true[name])), name


def test_by_design_there_are_exactly_fifteen_percent_and_in_a_cohort_there_are_not():
    generator = np.random.default_rng(1)
    fixed = [known_truth.sample(100, by_design=True, generator=generator) for _ in range(5)]
    assert all(rows.loc[rows["model_id"] == "a", "onlm"].sum() == 15 for rows in fixed)
    free = {known_truth.sample(100, by_design=False, generator=generator)["onlm"].sum() for _ in range(5)}
    assert len(free) > 1


def test_the_same_block_gives_the_same_counts_and_knows_every_measure():
    first, second = coverage.block(2, 0, 3), coverage.block(2, 0, 3)
    assert first == second and coverage.block(2, 1, 3) != first
    named = {m.key for m in (*coverage_page.MEASURES, *coverage_page.TESTS)}
    assert set(first) == named and all(count[0] <= 3 for count in first.values())


def test_finished_blocks_are_kept_beside_the_page_and_not_done_again(tmp_path, monkeypatch, capsys):
    page, kept = tmp_path / "coverage.md", tmp_path / "coverage.json"
    counts = coverage.block(2, 0, 2)
    done = {f"{name}, block 0, 2 runs": counts for name, _, _ in coverage_page.SCENARIOS}
    kept.write_text(json.dumps(done), encoding="utf-8")
    monkeypatch.setattr(coverage, "block", None)  # would fail if it were called
    coverage.main([str(page), "--runs", "2", "--processes", "1"])
    text = page.read_text(encoding="utf-8")
    assert "| Net benefit | bootstrap of patients |" in text and "2 samples a column" in text
    assert "blocks" not in text and "coverage.md" in capsys.readouterr().err


def test_a_share_outside_its_limits_is_bold_and_one_that_is_seldom_given_says_so():
    def cell(count):
        return coverage_page._cell(count, of=coverage_page.covered, good=coverage_page.GOOD, n_runs=1000)

    assert cell([1000, 20, 30]) == "95.0 (0.7)"
    assert cell([1000, 60, 40]) == "**90.0** (0.9)"
    assert cell([500, 10, 15]) == "95.0 (1.0); given in 50.0 %"
    assert cell([5, 0, 0]) == "given in 0.5 % only"
