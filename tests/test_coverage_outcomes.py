"""The page on time to event: its truth is the population's by a simulation of its own, and its runs repeat."""

import json
import math

import numpy as np
import pytest

from benchmarks import coverage_outcomes, known_times, outcomes_page

N = 1_000_000


@pytest.fixture(scope="module")
def drawn():
    """Uncensored times of a million patients, drawn by formulas of their own: bisection of each distribution."""
    chance = np.random.default_rng(5)
    z, male = chance.normal(size=N), chance.integers(0, 2, N)
    risk = 1 / (1 + np.exp(-(known_times.MU + known_times.S * z)))
    hazard_ratio = 1.3 ** (10 * risk) * 1.5**male
    os = chance.weibull(1.2, N) * 3000 * hazard_ratio ** (-1 / 1.2)
    more = 1.3 ** (10 * risk) * 1.4**male

    def first(days):  # P(regional recurrence by a day | x), as Fine and Gray wrote it
        return 1 - (1 - 0.15 * (1 - np.exp(-days / 800))) ** more

    u = chance.uniform(size=N)
    own = u < 1 - 0.85**more
    low, high = np.zeros(N), np.full(N, 1e6)
    for _ in range(60):
        middle = (low + high) / 2
        early = first(middle) < u
        low, high = np.where(early, middle, low), np.where(early, high, middle)
    other = chance.exponential(3600, N) / (1.1 ** (10 * risk) * 1.3**male)
    ends = np.minimum(chance.exponential(10_000, N), chance.uniform(3.5 * 365.25, 8 * 365.25, N))
    return {"risk": risk, "os": os, "ends": ends, "regional": np.where(own, low, other), "cause": np.where(own, 1, 2)}


def area(case, control):
    """By ranks: the chance that a case's score is above a control's."""
    both = np.argsort(np.argsort(np.r_[case, control]))
    return (both[: len(case)].mean() - (len(case) - 1) / 2) / len(control)


def pairs(risk, os, *, day, ends):
    """The chance that the higher risk dies first, of half a million random pairs whose first death can be seen."""
    half = N // 2
    first = np.where(os[:half] < os[half:], np.arange(half), np.arange(half) + half)
    second = np.where(os[:half] < os[half:], np.arange(half) + half, np.arange(half))
    used = (os[first] <= day) & (os[first] <= np.minimum(ends[first], ends[second]))
    return float((risk[first] > risk[second])[used].mean()), used.sum()


def test_the_true_values_are_those_of_a_million_patients_drawn_apart(drawn):
    true, horizon = known_times.truth(), 3 * 365.25
    risk, os, ends = drawn["risk"], drawn["os"], drawn["ends"]
    positive, lived = risk >= 0.15, np.minimum(os, horizon)
    seen = {
        "survival": (os > horizon).mean(), "survival_positive": (os > horizon)[positive].mean(),
        "incidence_1": ((drawn["cause"] == 1) & (drawn["regional"] <= horizon)).mean(),
        "incidence_2": ((drawn["cause"] == 2) & (drawn["regional"] <= horizon)).mean(),
    }  # fmt: skip
    for name, value in seen.items():
        assert value == pytest.approx(true[name], abs=0.002), name
    assert np.median(os) == pytest.approx(true["median"], rel=0.005)
    difference = lived[positive].mean() - lived[~positive].mean()
    assert difference == pytest.approx(true["rmst_difference"], abs=3)
    event = (drawn["cause"] == 1) & (drawn["regional"] <= horizon)
    none = drawn["regional"] > horizon
    areas = {
        "auc_os": area(risk[os <= horizon], risk[os > horizon]), "auc_regional_free": area(risk[event], risk[none]),
        "auc_regional": area(risk[event], risk[~event]),
    }  # fmt: skip
    for name, value in areas.items():
        assert value == pytest.approx(true[name], abs=0.003), name
    for name, day, until in (("uno_c", horizon, np.full(N, np.inf)), ("harrell_c", np.inf, ends)):
        value, n_pairs = pairs(risk, os, day=day, ends=until)
        assert value == pytest.approx(true[name], abs=3.5 * math.sqrt(0.25 / n_pairs)), name
    left = {"os": (os > ends).mean(), "regional": (drawn["regional"] > ends).mean()}
    assert known_times.censored() == pytest.approx(left, abs=0.002)


def test_samples_are_of_that_population(drawn):
    rows = known_times.sample(200_000, generator=np.random.default_rng(9))
    assert (rows["os_event"] == 0).mean() == pytest.approx(known_times.censored()["os"], abs=0.005)
    assert (rows["regional_state"] == 0).mean() == pytest.approx(known_times.censored()["regional"], abs=0.005)
    asked = np.linspace(0.05, 0.9, 8)
    assert rows["risk"].quantile(asked).to_numpy() == pytest.approx(np.quantile(drawn["risk"], asked), abs=0.01)
    for name, time in (("os_days", drawn["os"]), ("regional_days", drawn["regional"])):
        observed = np.minimum(time, drawn["ends"])
        assert rows[name].quantile(asked).to_numpy() == pytest.approx(np.quantile(observed, asked), rel=0.03), name


def test_the_same_block_gives_the_same_counts_and_knows_every_measure():
    first, second = coverage_outcomes.block(1, 0, 3), coverage_outcomes.block(1, 0, 3)
    assert first == second and coverage_outcomes.block(1, 1, 3) != first
    named = {m.key for m in (*outcomes_page.INTERVALS, *outcomes_page.TESTS)}
    assert named - set(first) <= {"auc_regional", "auc_regional_free"} and set(first) <= named
    assert all(count[0] == 3 for count in first.values())


def test_most_intervals_of_thirty_samples_hold_the_truth():
    for name, count in coverage_outcomes.block(1, 7, 30).items():
        missed = sum(count[1:])
        assert missed <= 7, name  # P(more of 30) is below 1 in 5,000 at 95 %


def test_the_page_is_made_of_finished_blocks(tmp_path, monkeypatch, capsys):
    page, kept = tmp_path / "coverage_outcomes.md", tmp_path / "coverage_outcomes.json"
    counts = coverage_outcomes.block(1, 0, 2)
    kept.write_text(json.dumps({f"{name}, block 0, 2 runs": counts for name, _ in outcomes_page.SCENARIOS}))
    monkeypatch.setattr(coverage_outcomes, "block", None)  # would fail if it were called
    coverage_outcomes.main([str(page), "--runs", "2", "--processes", "1"])
    text = page.read_text(encoding="utf-8")
    assert "| Median survival | inverted log(-log) limits |" in text and "2 samples a column" in text
    assert "hazard ratio of 1.30 for 10 points of risk and 1.50 for men" in text
    assert "coverage_outcomes.md" in capsys.readouterr().err
