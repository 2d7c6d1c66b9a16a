"""Shared pages: an attacker who moves every control finds no one to four patients, and finds them without a policy."""

from __future__ import annotations

import re

import ipywidgets as widgets
import pytest
from made_run import tell_event_risk, write_clinical_model, write_run
from shared_attack import all_of, findings, shown, views

from onlm_lab import app, served, virtual
from onlm_lab.app import sharing
from onlm_lab.panels.shared import policies

REAL = dict(policies.POLICIES)
TABS = {
    "performance": ("Performance", "Subgroups", "Centres", "Fairness", "Outcomes"),
    "outcomes": ("Curves", "Hazards", "Event risks", "Treatments"),
    "cohort": ("Who is in", "Who they are", "What is known"),
}


# Ratios and differences hold no count that could be read; every other policy must be seen to hold something back.
CAUGHT = {
    "performance": {
        "hundred", "models", "roc", "calibration", "operating_point", "decision_curve", "subgroups", "centres",
        "fairness", "curves",
    },
    "outcomes": {
        "curves", "outcome_card", "mean_time", "hazard_comparison", "not_singly", "auc_over_time", "event_calibration",
        "treatment", "landmark",
    },
    "cohort": {
        "flow", "rule_by_centre", "differences_of_patients", "undetermined", "table_1", "centres", "accrual", "missing",
        "follow_up", "reference_standard", "no_label",
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    made = write_run(tmp_path_factory.mktemp("shared") / "run", n_surgery=260, n_sbrt=90)
    tell_event_risk(made)
    write_clinical_model(made)
    return made


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Four centres, so that many cells of tables by centre hold one to four patients."""
    place = tmp_path_factory.mktemp("shared_cohort") / "study"
    virtual.write_trial(place, n_patients=260, n_centres=6, seed=5, tables_only=True)
    return place


@pytest.fixture
def shared(monkeypatch):
    monkeypatch.setenv(served.SHARED, "1")


def _page(name, run, study):
    return getattr(app, name)(study if name == "cohort" else run)


SLOW = ["cohort", *(pytest.param(name, marks=pytest.mark.slow) for name in ("performance", "outcomes"))]


@pytest.mark.parametrize("name", SLOW)
def test_no_position_of_any_control_shows_one_to_four_patients(name, run, study, shared):
    seen = list(views(_page(name, run, study), tabs=TABS[name]))
    assert len(seen) > 20 and len({card for view in seen for card in view}) > 5
    assert not findings(seen)


def _policy_of(name):
    return next((policy for pattern, policy in REAL.items() if re.fullmatch(pattern, name)), None)


@pytest.mark.parametrize("name", SLOW)
def test_the_attacker_finds_patients_once_a_policy_lets_its_panel_through(name, run, study, shared, monkeypatch):
    """Each policy that a page needs is switched off; what is then found by card shows that the attack can see."""
    monkeypatch.setattr(policies, "POLICIES", {pattern: lambda panel: panel for pattern in REAL})
    found = findings(list(views(_page(name, run, study), tabs=TABS[name])))
    caught = {_policy_of(line.split(":")[0]) for line in found}
    assert {policy.__name__ for policy in caught if policy} == CAUGHT[name]


def _typed(page):
    """Views of the page of one patient: ages and sizes through their range, each with both sexes."""
    age, size = all_of(page, widgets.Text)
    sex = all_of(page, widgets.Dropdown)[0]
    for chosen in ("female", "male"):
        sex.value = chosen
        for years, millimetres in zip(range(42, 86, 5), range(10, 45, 4), strict=False):
            age.value, size.value = f"{years}", f"{millimetres}"
            yield shown(page)


def _accepted(page, *, values):
    """Which ages the form takes."""
    age, size = all_of(page, widgets.Text)
    size.value, all_of(page, widgets.Dropdown)[0].value = "20", "female"
    for value in values:
        age.value = f"{value:g}"
        if "terms" in shown(page):
            yield value


def _beyond(run, page):
    """Training patients at or beyond the lowest and the highest age that the form takes."""
    ages = run.patients.query("arm == 'surgery'")["age_years"]
    taken = list(_accepted(page, values=range(30, 92)))
    return int((ages <= taken[0]).sum()), int((ages >= taken[-1]).sum())


def test_the_page_of_one_patient_counts_nobody_and_its_limits_are_reached_by_five(run, shared):
    page = app.patient(run)
    seen = list(_typed(page))
    told = [view for view in seen if "terms" in view]
    assert len(told) > 8 and set(told[0]) == {"risk", "hundred_alike", "similar_patients", "terms", "effects", ""}
    assert not findings(seen) and min(_beyond(run, page)) >= 5
    assert {card.get("upon", "{}") for view in seen for card in view.values()} == {"{}"}


def test_the_attacker_finds_patients_on_the_page_of_one_patient_once_nothing_holds_them_back(run, shared, monkeypatch):
    monkeypatch.setattr(policies, "POLICIES", {pattern: lambda panel: panel for pattern in REAL})
    assert {line.split(":")[0] for line in findings(list(_typed(app.patient(run))))} == {"similar_patients"}
    monkeypatch.setattr(sharing, "clinical_model", lambda model, *, rows: model)
    assert min(_beyond(run, app.patient(run))) < 5


def test_too_few_training_patients_leave_no_form_on_a_shared_page(tmp_path, shared):
    few = write_run(tmp_path / "run", n_surgery=18, n_sbrt=4)
    write_clinical_model(few)
    page = app.patient(few)
    said = " ".join(w.value for w in all_of(page, widgets.HTML))
    assert not all_of(page, widgets.Text) and "Too few" in said


def test_a_shared_page_offers_only_filters_that_have_and_leave_twenty_and_counts_them_in_fives(run, shared):
    page = app.performance(run)
    options = next(w for w in all_of(page, widgets.Dropdown) if w.options[0][1] == "" and "Everybody" in w.options[0])
    people = run.rows().query("split == 'oof'").drop_duplicates("patient_id")
    assert len(options.options) > 8
    for words, value in options.options[1:]:
        assert int(re.search(r"\((\d+)\)$", words)[1]) % 5 == 0
        column, _, level = value.partition("=")
        if column in ("centre", "sex", "treatment_year"):
            n = int((people[column].astype(str) == level).sum())
            assert n >= 20 and len(people) - n >= 20


@pytest.mark.parametrize("name", ["performance", "patient"])
def test_nothing_moves_alone_upon_a_figure_of_a_shared_page(name, run, shared):
    page = getattr(app, name)(run)
    for slider in all_of(page, widgets.SelectionSlider):
        slider.value = slider.options[-1][1]
    assert {card.get("upon", "{}") for card in shown(page).values()} == {"{}"}


def test_a_shared_cohort_page_has_no_slider_whose_card_it_refuses(study, shared, monkeypatch):
    assert not all_of(app.cohort(study), widgets.FloatSlider)
    monkeypatch.setenv(served.SHARED, "")
    assert all_of(app.cohort(study), widgets.FloatSlider)
