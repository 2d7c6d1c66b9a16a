"""A page and its address: a link brings back what a control chose, and nothing that no control offers."""

from __future__ import annotations

import os
import shutil

import ipywidgets as widgets
import pytest
from made_run import tell_event_risk, write_run
from page_parts import every

from onlm_lab import app, served, virtual
from onlm_lab.app import linked
from onlm_lab.app.bar import Bar

LOST = "Part of this link could not be restored"
CONTROLS = (widgets.Dropdown, widgets.ToggleButtons, widgets.SelectMultiple)
PAGES = ("performance", "outcomes", "cohort")


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("linked") / "trial"
    virtual.write_trial(folder, n_patients=120, n_centres=3, seed=5, tables_only=True)
    for name in ("run-a", "run-b"):
        tell_event_risk(write_run(folder / "runs" / name, n_surgery=120, n_sbrt=40, name=f"Study of {name}"))
    return folder


@pytest.fixture
def served_study(study, monkeypatch):
    monkeypatch.setenv(served.VARIABLE, served.variable([study / "runs" / "run-a", study / "runs" / "run-b"]))
    monkeypatch.setenv(served.PAGES, '["start", "cohort", "performance", "outcomes"]')
    return study


def _html(widget):
    return " ".join(w.value for w in every(widget, widgets.HTML) if w.layout.display != "none")


def _bar(page):
    return every(page, Bar)[0]


def _go(page, fragment):
    """As the browser says what stands in its address."""
    _bar(page)._handle_custom_msg({"address": fragment}, [])


def _chosen(page):
    return [(type(c).__name__, c.value) for c in every(page, CONTROLS)] + [
        s.value for s in every(page, widgets.FloatSlider)
    ]


def _tabs(page):
    return next(c for c in every(page, widgets.ToggleButtons))


@pytest.mark.parametrize("name", PAGES)
def test_a_link_brings_back_what_each_control_chose(served_study, name):
    page, other = getattr(app, name)(), getattr(app, name)()
    begun, moved = _chosen(page), 0
    tabs = _tabs(page)
    for tab in [value for _, value in tabs.options] if isinstance(tabs.options[0], tuple) else list(tabs.options):
        tabs.value = tab
        for i in range(len(every(page, CONTROLS))):
            control = every(page, CONTROLS)[i]
            if control is tabs:
                continue
            values = [o[1] if isinstance(o, tuple) else o for o in control.options]
            wanted = tuple(values[-1:]) if isinstance(control, widgets.SelectMultiple) else values[-1]
            if control.value == wanted:
                continue
            control.value, moved = wanted, moved + 1
        for slider in every(page, widgets.FloatSlider):
            slider.value = slider.min + 10 * slider.step
        _go(other, _bar(page).fragment)
        assert LOST not in _html(other), _bar(page).fragment
        assert _bar(other).fragment == _bar(page).fragment and _chosen(other) == _chosen(page)
    assert moved >= 4
    _go(other, "")
    assert _chosen(other) == begun and _bar(other).fragment == "", "the way back leads to where the page began"


HOSTILE = ["run=../../x", "study=..%2F..", "run=" + "x" * 50_000, "model=%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E",
           "threshold=nan", "threshold=1e999", "threshold=-1", "horizon_days=" + "9" * 3000, "tab=%00", "model=%ff%fe",
           "model=fused&model=nobody", "compared=" + "fused~" * 500, "columns=__class__", "&&==&=;%%%", "arm=SBRT",
           "endpoint=os~rfs", "ｍｏｄｅｌ=fused"]  # fmt: skip


@pytest.mark.parametrize("fragment", HOSTILE)
def test_a_hostile_address_is_a_sentence_at_most_and_never_repeated(served_study, fragment):
    page = app.performance()
    before = _chosen(page)
    _go(page, fragment)
    said = _html(page)
    assert "<img" not in said and "onerror" not in said and "xxxx" not in said and "Traceback" not in said
    assert len(_bar(page).fragment) <= linked.LONGEST and "nobody" not in _bar(page).fragment
    if fragment.startswith(("run", "study")):
        assert "The link names a" in said and not every(page, CONTROLS)
        assert _bar(page).fragment == _bar(page).common == "", "the address does not keep what is not here"
    else:
        known = fragment.startswith(("&&", "ｍ"))
        assert (LOST in said) is not known and _chosen(page) == before
    _go(page, "")
    assert _chosen(page) == before and "The link names" not in _html(page) and LOST not in _html(page)


def test_an_address_names_the_run_and_the_language(served_study):
    page = app.performance()
    assert "Study of run-b" in _html(page) and _bar(page).common == ""
    _go(page, "run=run-a&model=clinical")
    assert "Study of run-a" in _html(page) and _bar(page).fragment == "run=run-a&model=clinical"
    assert _bar(page).common == "run=run-a", "the other pages show the same run"
    _go(page, "run=run-a&lang=klingon")
    assert _bar(page).fragment == "run=run-a" and _bar(page).language == "en"


def test_an_unknown_run_leaves_the_study_and_the_language_in_the_address(served_study):
    page = app.performance()
    _go(page, "study=trial&run=run-z&lang=zh")
    assert not every(page, CONTROLS)
    assert _bar(page).fragment == _bar(page).common == "study=trial&lang=zh", "the other pages show what is here"
    _go(page, "study=trial&run=run-a&lang=zh")
    assert "Study of run-a" in _html(page) and _bar(page).common == "study=trial&run=run-a&lang=zh"


def test_the_bar_says_which_address_it_answers_in_the_same_message(served_study, monkeypatch):
    page = app.performance()
    bar, sent = _bar(page), []
    monkeypatch.setattr(bar, "send_state", lambda key=None: sent.append({name: getattr(bar, name) for name in key}))
    bar._handle_custom_msg({"address": "model=clinical", "number": 4}, [])
    assert [one for one in sent if "heard" in one] == [{"fragment": "model=clinical", "heard": 4}] == sent
    bar._handle_custom_msg({"address": "model=clinical", "number": "5"}, [])
    assert bar.heard == 4


def test_values_of_a_list_come_back_from_an_address_whatever_letters_they_have():
    from urllib.parse import parse_qsl, urlencode

    from traitlets import Dict, Tuple

    from onlm_lab.app.state import Choices

    class Listed(Choices):
        ADDRESS = ("columns", "limits")
        columns = Tuple()
        limits = Dict()

    names = ("a~b", "中心~一", "100%", "50%25", "%7E", "one, two", "Ärzte & Söhne", "a:b", "a+b", " c ", "#d=e")
    page, other = Listed(), Listed()
    for one in (page, other):
        one.begin()
        one.offer("columns", names)
        one.offer("limits", lambda said: set(said) <= set(names))
    page.columns, page.limits = names, {name: 0.1 * i for i, name in enumerate(names)}
    address = dict(parse_qsl(urlencode(page.address())))
    assert other.restore(address) == [] and other.columns == names and other.limits == page.limits
    page.columns, page.limits = ("sex", "age_years"), {}
    assert page.address() == {"columns": "sex~age_years"}, "plain names stay as they are"


def test_a_threshold_of_a_link_stands_on_the_grid_of_a_shared_page(served_study, monkeypatch):
    monkeypatch.setenv(served.SHARED, "1")
    page, other = app.performance(), app.performance()
    slider = every(page, widgets.SelectionSlider)[0]
    positions = [value for _, value in slider.options]
    assert len(positions) > 3
    between = positions[1] + 0.3 * (positions[2] - positions[1])
    _go(page, f"threshold={between!r}")
    assert slider.value == positions[1] and _bar(page).fragment == f"threshold={positions[1]!r}"
    every(other, widgets.SelectionSlider)[0].value = positions[1]
    assert _html(page) == _html(other), "a link shows no more than the slider does"


def test_a_page_that_waited_ready_shows_what_was_finished_since_and_else_stays_as_it_was_built(served_study):
    page = app.performance()
    place = page.children[-1]
    first = place.children[0]
    _go(page, "")
    assert place.children[0] is first, "nothing was built twice"
    predictions = served_study / "runs" / "run-b" / "predictions.csv"
    said = predictions.read_text(encoding="utf-8")
    try:
        predictions.write_text(said.replace("fused", "joined"), encoding="utf-8")
        os.utime(predictions, ns=(1, predictions.stat().st_mtime_ns + 1_000_000))
        _go(page, "")
        assert place.children[0] is not first and "joined" in str(every(page, widgets.Dropdown)[0].options)
    finally:
        predictions.write_text(said, encoding="utf-8")


def test_a_page_that_waited_ready_meets_a_run_that_began_since(served_study, monkeypatch):
    monkeypatch.setenv(served.VARIABLE, served.variable([served_study]))
    page = app.performance()
    new = served_study / "runs" / "run-c"
    shutil.copytree(served_study / "runs" / "run-a", new)
    try:
        text = (new / "study.toml").read_text(encoding="utf-8").replace("Study of run-a", "Study of run-c")
        (new / "study.toml").write_text(text, encoding="utf-8")
        _go(page, "")
        assert "Study of run-c" in _html(page)
    finally:
        shutil.rmtree(new)


@pytest.mark.parametrize(
    "message", [None, "x", 3, [], {}, {"address": None}, {"address": ["run"]}, {"adress": "run=x"}]
)
def test_what_is_no_address_is_not_heard(served_study, message):
    page = app.performance()
    before = _html(page)
    _bar(page)._handle_custom_msg(message, [])
    assert _html(page) == before


def test_the_bar_leads_to_the_pages_that_are_served_and_to_no_other(served_study, monkeypatch):
    monkeypatch.setenv(served.PAGES, '["start", "performance"]')
    links = _bar(app.performance()).links
    assert [link["href"] for link in links] == ["start.ipynb", "performance.ipynb"], "below any base URL"
    assert [link["here"] for link in links] == [False, True]


def test_no_choice_that_a_link_holds_is_a_patient():
    from onlm_lab.app.state import Choices

    kinds = [Choices, *Choices.__subclasses__()]
    names = {name for kind in kinds for name in kind.ADDRESS}
    assert names and not {name for name in names if "patient" in name or name in ("id", "case", "person")}
    assert linked.LONGEST < 10_000


def test_a_study_that_cannot_be_read_is_a_sentence_and_the_others_stand(served_study, monkeypatch, tmp_path):
    broken = write_run(tmp_path / "broken", n_surgery=20, n_sbrt=5).folder
    (broken / "predictions.csv").write_bytes(b"\xff\xfe\x00 no table")
    monkeypatch.setenv(served.VARIABLE, served.variable([served_study, broken]))
    page = app.start()
    assert "Study of run-b" not in _html(page) and "run-b" in _html(page)
    assert "its predictions cannot be read" in _html(page)
