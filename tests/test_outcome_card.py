"""The outcome card: its numbers against other libraries, and what it shows and hides."""

import re

import numpy as np
import pandas as pd
import pytest
from lifelines import CoxPHFitter, KaplanMeierFitter
from sksurv.nonparametric import cumulative_incidence_competing_risks

from onlm_lab import analysis
from onlm_lab.errors import OnlmError
from onlm_lab.panels.card import card_of, outcome_card
from tests.made_run import NASTY, write_run

HORIZON = 1095


def made(n: int = 400, *, seed: int = 3) -> pd.DataFrame:
    """Patients with distinct event times: recurrence in the nodes or elsewhere, death before it, in two groups."""
    rng = np.random.default_rng(seed)
    high = rng.integers(0, 2, n)
    nodal, other, death = (rng.exponential(days / (1 + 2 * high)) for days in (6000, 4000, 8000))
    end, after = rng.uniform(500, 3000, n), rng.exponential(900, n)
    first = np.minimum(np.minimum(nodal, other), death)
    days, seen = np.minimum(first, end), first <= end
    died = np.where(first == death, death, first + after)
    return pd.DataFrame({
        "patient_id": [f"p{i}" for i in range(n)],
        "group": pd.Categorical(np.where(high == 1, "high", "low"), categories=["low", "high"]),
        "os_days": np.minimum(died, end), "os_event": (died <= end) * 1.0,
        "rfs_days": days, "rfs_event": seen * 1.0,
        "recurrence_days": days, "recurrence_state": np.where(~seen, 0, np.where(first == death, 2, 1)).astype(float),
        "regional_days": days, "regional_state": np.where(~seen, 0, np.where(first == nodal, 1, 2)).astype(float),
    })  # fmt: skip


ROWS = made()


@pytest.fixture(scope="module")
def card():
    return analysis.outcome_card(ROWS, by="group", horizon_days=HORIZON)


def value(card, group, endpoint):
    table = card.table
    return table[(table["group"] == group) & (table["endpoint"] == endpoint)].iloc[0]


@pytest.mark.parametrize("group", ["low", "high"])
@pytest.mark.parametrize("endpoint", ["os", "rfs"])
def test_survival_is_that_of_lifelines(card, group, endpoint):
    own = ROWS[ROWS["group"] == group]
    fitted = KaplanMeierFitter().fit(own[f"{endpoint}_days"], own[f"{endpoint}_event"])
    limits = fitted.confidence_interval_.asof(HORIZON)
    found = value(card, group, endpoint)
    assert found["value"] == pytest.approx(fitted.predict(HORIZON), abs=1e-10)
    assert [found["low"], found["high"]] == pytest.approx(limits.tolist(), abs=1e-8)
    assert found["at_risk"] == (own[f"{endpoint}_days"] >= HORIZON).sum() and found["n"] == len(own)


@pytest.mark.parametrize("group", ["low", "high"])
@pytest.mark.parametrize("endpoint", ["recurrence", "regional"])
def test_incidence_is_that_of_scikit_survival(card, group, endpoint):
    own = ROWS[ROWS["group"] == group]
    days, curves = cumulative_incidence_competing_risks(own[f"{endpoint}_state"].astype(int), own[f"{endpoint}_days"])
    found = value(card, group, endpoint)
    assert found["kind"] == "incidence"
    assert found["value"] == pytest.approx(curves[1][np.searchsorted(days, HORIZON, side="right") - 1], abs=1e-10)


def test_the_hazard_ratio_is_that_of_lifelines_and_above_1_for_the_worse_group(card):
    own = pd.DataFrame({"days": ROWS["os_days"], "event": ROWS["os_event"], "high": (ROWS["group"] == "high") * 1.0})
    fitted = CoxPHFitter().fit(own, "days", "event")
    found = card.comparison.set_index("endpoint").loc["os"]
    assert found["hr"] == pytest.approx(np.exp(fitted.params_["high"]), rel=1e-5)
    assert [found["low"], found["high"]] == pytest.approx(np.exp(fitted.confidence_intervals_.iloc[0]), rel=1e-4)
    assert found["hr"] > 1 and found["against"] == "low" and found["p_value"] < 0.001
    ratio = card.comparison.set_index("endpoint").loc["regional"]
    assert ratio["kind"] == "subdistribution hazard ratio" and ratio["hr"] > 1
    assert ratio["hr"] == analysis.fine_gray(
        ROWS.assign(high=own["high"]), endpoint="regional", covariates=["high"]
    ).table["hr"][0]  # fmt: skip


def test_the_hundred_patients_are_the_curves_and_add_up(card):
    for group in ("low", "high"):
        own = card.hundred[card.hundred["group"] == group].set_index("state")
        assert own["share"].sum() == pytest.approx(1, abs=1e-12) and own["count"].sum() == 100
        assert own.loc["event_free", "share"] == pytest.approx(value(card, group, "rfs")["value"], abs=1e-10)
        assert own.loc["regional", "share"] == pytest.approx(value(card, group, "regional")["value"], abs=1e-12)
        assert ((own["count"] - 100 * own["share"]).abs() < 1).all()


def test_who_has_no_known_site_leaves_the_hundred_but_not_the_recurrences(card):
    rows = ROWS.copy()
    unknown = (rows["recurrence_state"] == 1) & (np.arange(len(rows)) % 7 == 0)
    rows.loc[unknown, ["regional_days", "regional_state"]] = np.nan
    found = analysis.outcome_card(rows, by="group", horizon_days=HORIZON)
    assert found.n_excluded == {"regional unknown": int(unknown.sum())}
    assert value(found, "high", "recurrence")["value"] == value(card, "high", "recurrence")["value"]
    assert found.hundred.groupby("group", observed=True)["share"].sum().tolist() == pytest.approx([1, 1])


def test_without_sites_the_hundred_tell_recurrence_and_without_recurrence_nothing():
    plain = analysis.outcome_card(ROWS.drop(columns=["regional_days", "regional_state"]), by="group")
    assert plain.hundred["state"].unique().tolist() == ["event_free", "recurrence", "death"]
    assert analysis.outcome_card(ROWS[["patient_id", "group", "os_days", "os_event"]], by="group").hundred.empty


def test_a_group_that_nobody_followed_that_long_has_no_value():
    rows = ROWS.assign(os_days=np.where(ROWS["group"] == "high", ROWS["os_days"].clip(upper=400), ROWS["os_days"]))
    rows["os_event"] = np.where(rows["os_days"] == 400, 0.0, rows["os_event"])
    found = analysis.outcome_card(rows, by="group", horizon_days=HORIZON)
    assert np.isnan(value(found, "high", "os")["value"]) and value(found, "low", "os")["value"] > 0
    assert "high: nobody was followed to day 1095 for os" in found.notes
    assert "not followed that long" in card_of(found).html


def test_one_group_all_censored_and_one_event_give_numbers_without_a_ratio():
    quiet = analysis.outcome_card(ROWS.assign(os_event=0.0), by="group", endpoints=["os"])
    assert quiet.table["value"].tolist() == [1, 1] and quiet.comparison["hr"].isna().all()
    one = analysis.outcome_card(ROWS[ROWS["group"] == "low"], by="group", endpoints=["os", "regional"])
    assert one.comparison.empty and "no patient with group = high" in one.notes
    rows = ROWS.assign(os_event=(ROWS.index == ROWS["os_days"].idxmin()) * 1.0)
    assert analysis.outcome_card(rows, by="group", endpoints=["os"]).comparison["hr"].isna().all()


def test_bad_arguments_are_sentences():
    with pytest.raises(OnlmError, match="none of the endpoints os"):
        analysis.outcome_card(ROWS[["patient_id", "group"]], by="group")
    with pytest.raises(OnlmError, match="above 0"):
        analysis.outcome_card(ROWS, by="group", horizon_days=0)
    with pytest.raises(OnlmError, match="'grop'"):
        analysis.outcome_card(ROWS, by="grop")


def test_four_groups_are_each_compared_with_the_first():
    rows = ROWS.assign(group=np.repeat(["a", "b", "c", "d"], 100))
    found = analysis.outcome_card(rows, by="group", endpoints=["os", "regional"])
    assert found.comparison["group"].tolist() == ["b", "c", "d"] * 2 and set(found.comparison["against"]) == {"a"}
    assert card_of(found).html.count('class="group"') == 4


def test_the_page_shows_a_hundred_signs_a_group_and_every_number(card):
    page = card_of(card, who="surgery arm", said="Said beside it.", mark="MADE-UP DATA").html
    pictures = re.findall(r'<svg viewBox="0 0 100 100".*?</svg>', page, flags=re.DOTALL)
    assert [len(re.findall(r"<(?:circle|path|rect)", p)) for p in pictures] == [100, 100]
    assert "MADE-UP DATA" in page and "Said beside it." in page and "an association, not an effect" in page
    for row in card.table.itertuples():
        assert f"{100 * row.value:.0f}" in page and f"({100 * row.low:.0f} to {100 * row.high:.0f})" in page


def test_names_of_groups_are_escaped_and_few_patients_are_not_shown():
    rows = ROWS.assign(group=np.where(ROWS.index < 6, NASTY, "other"))
    found = card_of(analysis.outcome_card(rows, by="group", horizon_days=HORIZON))
    assert "<img" not in found.html and "&lt;img" in found.html
    assert "fewer than 10 patients" in found.html and "too few patients" in found.html and "too few" in found.sentence


def test_the_card_of_a_run_is_of_one_arm_and_model(tmp_path):
    rows = write_run(tmp_path / "run").rows()
    card = outcome_card(rows, model="fused", arm="sbrt", mark="MADE-UP DATA")
    assert card.name == "outcome_card_sbrt" and "no pathological N" in card.html and "SBRT arm" in card.html
    n = card.table.groupby("endpoint")["n"].sum()
    assert n["os"] == rows.loc[(rows["arm"] == "sbrt") & (rows["model_id"] == "fused"), "os_days"].notna().sum()
    assert card.sentence.startswith("By 3 years: overall survival low risk")
