"""What a shared page lets through: panels by policy, counts in fives, a grid of thresholds, messages without counts."""

from __future__ import annotations

import math

import ipywidgets as widgets
import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest
from made_run import write_run
from shared_attack import all_of, shown

from onlm_lab import app, served
from onlm_lab.app import controls, sharing
from onlm_lab.app.shell import Card, sentence_html
from onlm_lab.app.state import ViewState
from onlm_lab.errors import OnlmError
from onlm_lab.panels import outcomes, patients, performance
from onlm_lab.panels.followed import Followed
from onlm_lab.panels.judged import Judged
from onlm_lab.panels.panel import Panel
from onlm_lab.panels.shared import Refusal, as_shared, curves, shared_tiles, threshold_grid
from onlm_lab.panels.shared.counts import cell, rounded, said, share
from onlm_lab.panels.shared.tables import Rule, Share, safe_table


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return write_run(tmp_path_factory.mktemp("shared_panels") / "run", n_surgery=260, n_sbrt=90)


@pytest.fixture(scope="module")
def rows(run):
    return run.rows()


@pytest.fixture
def shared(monkeypatch):
    monkeypatch.setenv(served.SHARED, "1")


def _panel(name, **changed):
    return Panel(name, "Who?", go.Figure(), pd.DataFrame({"n": [3]}), "3 patients.", ("3 were left out.",))._replace(
        **changed
    )


@pytest.mark.parametrize(
    "name", ["new_thing", "roc_of_patients", "brier_os_surgery", "decision_os_surgery", "patients_left_out", "what-if"]
)
def test_a_panel_without_a_policy_or_of_single_patients_is_refused_in_words_without_a_number(name):
    found = as_shared(_panel(name))
    assert isinstance(found, Refusal) and found.sentence.endswith(".")
    assert not any(c.isdigit() for c in found.sentence)


def test_nothing_of_the_old_words_passes_through():
    old = _panel("no_label", table=pd.DataFrame({"reason": ["x", "y"], "n": [3, 98]}))
    found = as_shared(old)
    assert found.sentence != old.sentence and "3 were" not in " ".join(found.notes) and found.source is None
    assert found.table["n"].tolist() == [100, "<5"]


def test_counts_are_multiples_of_five_and_few_ones_are_not_told():
    for n in range(200):
        assert rounded(n) % 5 == 0 and (abs(rounded(n) - n) <= 2 or n < 5)
        assert said(n) == ("<5" if 0 < n < 5 else f"{rounded(n):,}")
    assert cell(math.nan) is None and cell(0) == 0 and cell(4) == "<5"


def test_a_share_is_that_of_rounded_counts_and_hidden_where_part_or_rest_is_few():
    assert share(97, 203).value == 95 / 205 and share(97, 203).low < 95 / 205 < share(97, 203).high
    assert share(97, 203) == share(96, 204)  # what the reader sees is the same: he cannot tell which it was
    for few in (share(3, 100), share(97, 100), share(2, 4)):
        assert math.isnan(few.value) and math.isnan(few.low)
    assert share(0, 100).value == 0


def test_a_table_keeps_the_columns_that_its_rule_names_and_blanks_what_rests_on_few():
    table = pd.DataFrame({
        "level": ["a", "b", "c"], "n": [101, 40, 30], "n_positive": [33, 3, 27], "auc": [0.7512, 0.8123, 0.6],
        "sensitivity": [30 / 33, 1.0, 1.0], "patient_id": ["P1", "P2", "P3"],
    })  # fmt: skip
    rule = Rule(labels=("level",), counts=("n", "n_positive"), estimates={"auc": ".2f"}, least=("n", "n_positive"),
                shares={"sensitivity": Share("n_positive")})  # fmt: skip
    safe = safe_table(table, rule)
    assert "patient_id" not in safe and safe["n_positive"].tolist() == [35, "<5", 25]
    assert safe["auc"].tolist()[0] == 0.75 and safe["auc"].isna().tolist() == [False, True, True]  # 3 N+; 3 N0 left
    assert safe["sensitivity"].isna().all()  # 3 of 33 are missed
    with pytest.raises(KeyError, match="n_positive"):
        safe_table(table.drop(columns="n_positive"), rule)


def _between(rows, grid, *, model):
    """How many lie below, between and above the thresholds, of each group that is counted together."""
    one = patients.of_model(patients.tested(rows, split="oof"), model=model)
    found = [one.loc[one["onlm"] == label, "risk"] for label in (0, 1)]
    found += [patients.of_arm(rows, model=model, arm=arm)["risk"] for arm in ("surgery", "sbrt")]
    edges = [-np.inf, *np.nextafter(grid, -np.inf), np.inf]  # positive is risk >= threshold
    return [np.diff(np.searchsorted(np.sort(risks), edges, side="right")) for risks in found]


@pytest.mark.parametrize("model", ["clinical", "fused"])
def test_between_two_thresholds_of_the_grid_there_are_none_or_at_least_five_of_every_group(rows, model):
    grid = threshold_grid(rows, model=model)
    assert len(grid) >= 4 and list(grid) == sorted(grid)
    assert grid == threshold_grid(rows.sample(frac=1, random_state=1), model=model)
    steps = np.array(_between(rows, grid, model=model))
    assert ((steps == 0) | (steps >= 5)).all() and (steps.max(axis=0) >= 5).all()
    every = tuple(np.round(np.arange(0.005, 0.95, 0.005), 4))
    open_steps = np.array(_between(rows, every, model=model))  # an open page's slider shows single patients
    assert ((open_steps > 0) & (open_steps < 5)).any()


def test_too_few_patients_leave_no_threshold_but_the_studys_own(rows):
    few = rows[rows["patient_id"].isin(rows["patient_id"].unique()[:6])]
    assert threshold_grid(few, model="fused") == ()
    state = ViewState(threshold=0.2)
    box = controls.threshold_slider(state, own_fraction=0.1, top_fraction=0.6, grid=tuple)
    assert state.threshold is None and not all_of(box, widgets.FloatSlider)
    assert all_of(box, widgets.SelectionSlider)[0].disabled and all_of(box, widgets.ToggleButton)[0].disabled


def test_the_threshold_stands_on_the_grid_of_the_chosen_model_whatever_sets_it():
    state, grids = ViewState(threshold=0.29, model="a"), {"a": (0.1, 0.2, 0.3), "b": (0.15, 0.6)}
    box = controls.threshold_slider(state, own_fraction=0.12, top_fraction=0.6, grid=lambda: grids[state.model])
    assert state.threshold == 0.3  # such as from a link
    state.threshold = 0.16
    slider = all_of(box, widgets.SelectionSlider)[0]
    assert state.threshold == 0.2 and slider.value == 0.2 and [v for _, v in slider.options] == list(grids["a"])
    slider.value = 0.3
    assert state.threshold == 0.3
    seen = []
    state.observe(lambda change: seen.append(state.threshold), ["model", "threshold"])
    state.model = "b"
    assert [v for _, v in slider.options] == [0.15, 0.6] and slider.value == 0.15 and set(seen) == {0.15}
    all_of(box, widgets.ToggleButton)[0].value = True
    assert state.threshold is None and slider.value == 0.15
    state.threshold = 0.58  # such as from a link: the button follows, and does not press itself
    assert state.threshold == 0.6 and slider.value == 0.6
    state.threshold = None
    all_of(box, widgets.ToggleButton)[0].value = False
    assert state.threshold == 0.15


def test_at_a_readers_threshold_the_rates_of_the_first_model_alone_are_told(rows):
    judged, grid = Judged(patients.tested(rows)), threshold_grid(rows, model="fused")
    models = ["fused", "clinical"]
    own = as_shared(performance.roc_panel(judged, models=models)).table
    moved = as_shared(performance.roc_panel(judged, models=models, threshold=grid[1])).table
    assert own["sensitivity"].notna().any() and moved["sensitivity"].isna()[1] and moved["auc"].notna().all()


def test_curves_of_outcomes_step_at_quarters_of_a_year_by_five_patients_or_more(rows):
    known = Followed(rows)
    panel = outcomes.outcome_panel(known, model="fused", endpoint="os", arm="surgery")
    found, _, _ = panel.source
    safe = curves.safe_steps(found)
    days = safe.curve["days"].to_numpy()
    assert np.allclose(days % curves.QUARTER_DAYS, 0) and (safe.curve["at_risk"] >= 5).all()
    assert (safe.curve["at_risk"] % 5 == 0).all() and (safe.groups[["n", "n_events"]] % 5 == 0).all().all()
    assert not set(found.curve["days"]) & set(days[days > 0])  # nobody's own day
    for name, own in safe.curve.groupby("group", observed=True):
        n = int(found.groups.set_index("group").loc[name, "n"])
        true = found.at(days=own["days"].tolist())
        true = true[true["group"] == name].reset_index(drop=True)
        gap = np.abs(own["survival"].to_numpy() - true["survival"].to_numpy())[1:]
        assert len(gap) > 2 and gap.max() < 2.51 / rounded(n)  # to the nearest five patients
        assert (true["n_events"][1:] >= 5).all()  # since the point before
        drops = -np.diff(own["survival"]) * rounded(n)
        assert all(abs(d) < 1e-9 or d > 5 - 1e-6 for d in drops)
        said_at_risk = next(t for t in as_shared(panel).figure.data if t.name == f"{name}, at risk")
        real = found.at(days=list(map(float, said_at_risk.x)))
        assert list(said_at_risk.text) == [said(k).replace("<", "&lt;") for k in real[real["group"] == name]["at_risk"]]


def test_tiles_are_made_of_rounded_counts(rows):
    judged = Judged(patients.tested(rows))
    for threshold in (None, *threshold_grid(rows, model="fused")):
        tiles = {t.name: t for t in shared_tiles(judged, model="fused", threshold=threshold)}
        point = judged.point("fused", threshold=threshold)
        expected = share(point.n_tp, point.n_tp + point.n_fn)
        wanted = "not shown" if math.isnan(expected.value) else f"{100 * expected.value:.0f}\u00a0%"
        assert tiles["Sensitivity"].value == wanted
        assert tiles["Sensitivity"].note == f"{said(point.n_tp)} of {said(point.n_tp + point.n_fn)} N+ found"
    real = {t.name for t in performance.tiles(judged, model="fused")}
    assert {t.name for t in shared_tiles(judged, model="fused")} == real


def test_anything_but_nothing_and_0_counts_as_shared(monkeypatch):
    for value, wanted in (("", False), ("0", False), ("1", True), ("yes", True), ("false", True)):
        monkeypatch.setenv(served.SHARED, value)
        assert sharing.is_shared() is wanted
    monkeypatch.delenv(served.SHARED)
    assert (
        not sharing.is_shared()
        and sharing.thresholds(pd.DataFrame(), state=ViewState()) is None
        and sharing.count(3) == "3"
    )


def test_a_message_that_holds_a_number_is_withheld(shared):
    said_of_few = "Surgery arm: by risk ≥ 40.0 %, 3 of 757 patients are high risk."
    assert sharing.message(said_of_few) == sharing.WITHHELD and "757" not in sentence_html(said_of_few)
    assert "Choose a column" in sentence_html("Choose a column.")
    assert sharing.messages(["3 are left out", "Nobody is left out"]) == ["Nobody is left out"]


def test_a_card_that_is_refused_says_why_and_shows_no_figure(shared):
    def refused():
        return _panel("new_thing")

    def failed():
        raise OnlmError("3 of 757 patients are high risk.")

    for build, words in ((refused, "not part of a shared page"), (failed, "cannot be shown here")):
        card = Card(build, key=lambda: 0)
        card.refresh()
        view, text = card.children
        assert (
            words in text.value and view.layout.display == "none" and view.figure == "" and view.table.count("3") == 0
        )


def test_the_same_page_is_open_where_it_is_not_shared_and_in_fives_where_it_is(run, monkeypatch):
    monkeypatch.delenv(served.SHARED, raising=False)
    open_page = shown(app.performance(run))
    monkeypatch.setenv(served.SHARED, "1")
    closed = shown(app.performance(run))
    assert open_page.keys() == closed.keys()
    n_open, n_closed = ({row[1] for row in page["roc"]["table"]["rows"]} for page in (open_page, closed))
    assert n_open == {260} and n_closed == {260} and open_page["roc"]["table"] != closed["roc"]["table"]
    curves_of = [sum(t["mode"] == "lines" for t in p["roc"]["figure"]["data"]) for p in (open_page, closed)]
    assert curves_of == [4, 4]
    assert any("350 patients (surgery 260; SBRT 90)" in text for text in closed[""]["text"])


@pytest.mark.parametrize("allowed", [False, True])
def test_a_row_of_a_patient_is_listed_only_where_the_study_lists_them(shared, tmp_path, allowed):
    from onlm_lab import virtual

    virtual.write_trial(tmp_path / "study", n_patients=120, n_centres=3, seed=5, tables_only=True)
    path = tmp_path / "study" / "study.toml"
    text = path.read_text(encoding="utf-8").replace("patient_pages = false\n", "")
    said = text.replace("[study]", f"[study]\npatient_pages = {str(allowed).lower()}", 1)
    path.write_text(said, encoding="utf-8")
    page = shown(app.cohort(tmp_path / "study"))
    ids = set(pd.read_csv(tmp_path / "study" / "clinical.csv", dtype=str)["patient_id"])
    found = ids & {str(v) for card in page.values() for row in card["table"]["rows"] for v in row}
    assert bool(found) is allowed and ("patients_left_out" in page) is allowed and "undetermined" in page
