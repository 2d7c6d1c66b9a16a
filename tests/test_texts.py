"""The interface in Chinese, and help beside each figure: one table, whole pages said, names and numbers kept."""

from __future__ import annotations

import html
import json
import re
import time

import ipywidgets as widgets
import pandas as pd
import pytest
from made_run import NASTY, tell_event_risk, write_run
from page_parts import every
from test_cases_page import explain

from onlm_lab import app, readings, served, virtual
from onlm_lab.app import ct_viewer_texts, spoken, texts
from onlm_lab.app.ct_viewer import CtViewer
from onlm_lab.app.estimate_entry import EstimateEntry
from onlm_lab.app.figure_view import FigureView
from onlm_lab.app.help import HELP, help_of
from onlm_lab.app.patient_list import Download, PatientList
from onlm_lab.app.shell import Card
from onlm_lab.learning.coefficients import load_clinical_model
from onlm_lab.panels import typed_patient
from onlm_lab.reading_plan import plan_reading, read_plan
from onlm_lab.readings import ALONE, WITH_MODEL, Reading
from onlm_lab.study import starter_toml

EVERY = ["performance", "outcomes", "cohort", "cases", "training", "patient"]
HISTORY = [
    "model_id", "repeat", "fold", "seed", "epoch", "train_loss", "valid_loss", "valid_auc", "learning_rate", "seconds",
]  # fmt: skip
HOLE = re.compile(r"\{(\w+)\}")
CHINESE = re.compile(r"[\u4e00-\u9fff]")
# Names and terms that stand in Latin letters in Chinese papers too, and what the made-up study calls its own.
KEPT = {
    "AUC", "SBRT", "KPS", "AJCC", "NSCLC", "PET", "ECOG", "CEA", "CTR", "SUVmax", "SMD", "ICI", "DeLong", "Gray", "Cox",
    "Efron", "Holm", "Kaplan", "Meier", "Wilson", "log", "rank", "cloglog", "onlm", "lab", "fused", "clinical", "image",
    "MADE", "made", "study", "UTC", "NCT", "sHR", "run", "lost", "followup", "central", "location", "IIA",
    "SVG", "PNG", "CSV", "HTML", "Fine", "Ctrl", "Shift", "Page", "Down", "Home", "End", "Esc", "Grad", "CAM", "PPV",
    "NPV", "Brier", "FiLM", "ROC", "timm", "Start", "toml", "logistic", "boosting", "logit", "tiny",
    "North", "South", "East", "img", "src", "onerro", "facts",
}  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    made = write_run(tmp_path_factory.mktemp("texts") / "run", n_surgery=160, n_sbrt=60)
    tell_event_risk(made)
    return made


@pytest.fixture(scope="module")
def read(tmp_path_factory):
    """A run that was explained and read by two readers, with a case left."""
    made = write_run(tmp_path_factory.mktemp("read") / "run", n_surgery=120, n_sbrt=30)
    explain(made)
    plan_reading(made, readers=["R01", "R02"], n_positive=6, n_negative=6)
    plan = read_plan(made)
    for k, (reader, cases) in enumerate(plan.orders.items()):
        for order, one in enumerate(cases[: len(cases) - k], start=1):
            for step, risk in ((ALONE, None), (WITH_MODEL, 0.3)):
                readings.record(made.folder, Reading(
                    reader_id=reader, patient_id=one, model_id=plan.model_id, session=1, order=order, step=step,
                    estimate=0.05 * order + 0.1 * k, seconds=20.0, risk_shown=risk, note="",
                ))  # fmt: skip
    return made


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A study with two runs, as far as the training page reads them."""
    place = tmp_path_factory.mktemp("trained") / "study"
    for name, seed in (("run-a", 1), ("run-b", 1)):
        made = write_run(place / "runs" / name, n_surgery=120, n_sbrt=20, seed=seed)
        epochs = [("fused", 0, fold, 0, k, 1 / k, 1.1 / k, 0.6, 0.01, 1.0) for fold in (-1, 0, 1) for k in (1, 2, 3)]
        pd.DataFrame(epochs, columns=HISTORY).to_csv(made.folder / "history.csv", index=False)
    (place / "study.toml").write_text(starter_toml(name="A made-up study", made_up=True, seed=3))
    return place


@pytest.fixture(scope="module")
def opened(run, study, read, trained, request):
    """opened(name, language): a page of a small made-up study, with whatever must be typed or chosen first."""
    subjects = {"cohort": study, "cases": read, "training": trained}

    def open_page(name, language="zh"):
        if name != "patient":
            return getattr(app, name)(subjects.get(name, run), language=language)
        tiny = request.getfixturevalue("frozen_run")
        page = app.patient(tiny, language=language)
        _type_typical(page, load_clinical_model(tiny.folder / "clinical_model.json"))
        return page

    return open_page


def _type_typical(page, model):
    boxes = [w for w in every(page, widgets.Text | widgets.Dropdown)]
    for field, box in zip(typed_patient.fields(model), boxes, strict=True):
        known = next(one for one in model.ranges if one.column == field.name)
        box.value = next(iter(field.levels.values())) if field.levels else f"{(known.p1 + known.p99) / 2:.1f}"


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    place = tmp_path_factory.mktemp("cohort") / "study"
    virtual.write_trial(place, n_patients=200, n_centres=3, seed=5, tables_only=True)
    return place


def _tabs(page):
    """The page with each of its tabs open, in turn."""
    boxes = [w for w in every(page, widgets.ToggleButtons) if "onlm-tabs" in w._dom_classes]
    if not boxes:
        yield page
        return
    for _, tab in boxes[0].options:
        boxes[0].value = tab
        for button in (b for b in every(page, widgets.ToggleButton) if not b.value and b.tooltip):
            button.value = True  # what is folded away
        yield page


def _interface(page):
    """Labels, options, buttons, headings and marks, titles of figures and of their axes, help and fold-outs."""
    for box in every(page, widgets.Label):
        yield box.value
    for box in every(page, widgets.ToggleButtons | widgets.Dropdown | widgets.SelectMultiple):
        yield from (label for label, _ in box.options)
    for box in every(page, widgets.ToggleButton | widgets.Button):
        yield from (box.description, box.tooltip or "")
    for box in every(page, widgets.Text):
        yield from (box.description, box.placeholder)
    for box in every(page, PatientList):
        yield from (box.label, *(column["label"] for column in box.columns), *(box.texts.values() if box.steps else ()))
    for box in every(page, Download):
        yield box.label
    for box in every(page, EstimateEntry):
        yield from (box.label, box.action)
    for box in every(page, CtViewer):
        yield from (re.sub(r"\{\w+\}", "", text) for text in _strings(box.texts))
    for view in (v for v in every(page, FigureView) if v.name != "figure"):  # without a name: nothing is drawn in it
        yield view.help
        yield from view.texts.values()
        if view.figure:
            layout = json.loads(view.figure)["layout"]
            yield layout["title"]["text"]
            yield from (
                a.get("title", {}).get("text", "") for name, a in layout.items() if re.fullmatch(r"[xy]axis\d*", name)
            )


def _strings(value):
    if isinstance(value, str):
        yield value
    else:
        for one in value.values() if isinstance(value, dict) else value:
            yield from _strings(one)


def _sentences(page):
    for box in every(page, PatientList):
        yield from (cell for row in box.rows for key, cell in row.items() if key != "id")
    for box in every(page, widgets.HTML):
        if not box.value.startswith("<style>"):
            yield from (html.unescape(t).strip() for t in re.split(r"<[^>]+>", box.value))


def _english(said):
    """Words of a text that are still English."""
    bare = re.sub(r"`[^`]*`|<[^>]*>", "", said)
    return [word for word in re.findall(r"[A-Za-z]{3,}", bare) if word not in KEPT]


@pytest.mark.parametrize("name", EVERY)
def test_nothing_of_the_interface_is_left_in_english(name, opened):
    page = opened(name)
    left = {said for tab in _tabs(page) for said in _interface(tab) if _english(said)}
    assert not left
    assert any(CHINESE.search(said) for said in _interface(page))


@pytest.mark.parametrize("name", EVERY)
def test_sentences_notes_and_tiles_are_said_in_chinese(name, opened):
    page = opened(name)
    said = {s for tab in _tabs(page) for s in _sentences(tab) if re.search("[A-Za-z]{3}", s)}
    left = {s for s in said if len(_english(s)) > 4}
    assert len(said) > 1 and len(left) <= 0.1 * len(said), left


def test_the_start_page_speaks_chinese_and_keeps_the_name_of_the_study(study):
    said = list(_sentences(app.start(study, language="zh")))
    assert "研究与运行" in said and "仅供研究使用" in said and any("虚构试验" in s for s in said)


def test_a_generated_sentence_keeps_its_numbers_and_names():
    said = texts.say(
        "my_model: of a random N+ and a random N0 patient, the N+ patient has the higher risk in 81 of 100 pairs "
        "(95 % interval 75 to 86; 51 N+ of 300). The marks show risk ≥ 12 % (set by the reader).", language="zh",
    )  # fmt: skip
    assert all(part in said for part in ("my_model", "81", "100", "95%", "75", "86", "51", "300", "12%", "读者设定"))
    assert not _english(said.replace("my_model", ""))


def test_what_the_table_does_not_have_stays_english_and_english_is_never_touched():
    odd = "A sentence that nobody has written yet, with 3 numbers."
    assert texts.say(odd, language="zh") == odd
    assert texts.say("Model", language="en") == "Model"


@pytest.mark.parametrize("language", [one for one in texts.LANGUAGES if one != "en"])
def test_every_translation_has_the_holes_of_its_english(language):
    for english, said in texts.table_of(language).items():
        assert set(HOLE.findall(said)) <= set(HOLE.findall(english)), english
        lost = {h for h in HOLE.findall(english) if h.isdigit()} - set(HOLE.findall(said))
        assert not lost, f"a number is lost: {english}"


def test_a_value_of_the_data_stays_escaped_in_chinese(run):
    page = app.performance(run, language="zh")
    for opened in _tabs(page):
        assert all("<img" not in box.value for box in every(opened, widgets.HTML))
        assert all(NASTY not in view.figure for view in every(opened, FigureView))


def test_the_text_of_html_is_said_and_its_markup_and_values_stay():
    source = "<p class='x' aria-label='Pages'>Model</p><b>&lt;img src=x&gt;</b><style>.Model { }</style>"
    said = spoken.html_in(source, language="zh")
    assert said == "<p class='x' aria-label='页面'>模型</p><b>&lt;img src=x&gt;</b><style>.Model { }</style>"


def test_a_page_is_said_fast_enough(run):
    figure = json.loads(every(app.performance(run), FigureView)[0].figure)
    spoken.figure_in(figure, language="zh")
    start = time.perf_counter()
    for _ in range(10):
        spoken.figure_in(figure, language="zh")
    assert (time.perf_counter() - start) / 10 < 0.1


@pytest.mark.parametrize("name", EVERY)
def test_every_panel_of_every_page_has_help(name, opened):
    page = opened(name, "en")
    shown = {v.name: v.help for o in _tabs(page) for c in every(o, Card) for v in every(c, FigureView) if v.name}
    shown.pop("figure", None)
    assert shown and [panel for panel, said in shown.items() if not said] == []


def test_every_text_of_the_viewer_keeps_its_places():
    for english in _strings(ct_viewer_texts.TEXTS):
        said = texts.say(english, language="zh")
        assert set(HOLE.findall(said)) == set(HOLE.findall(english)), english


@pytest.mark.parametrize("name", ["performance", "outcomes", "cohort", "patient"])
def test_a_shared_page_is_said_in_chinese_too(name, opened, monkeypatch):
    monkeypatch.setenv(served.SHARED, "1")
    page = opened(name)
    left = {said for tab in _tabs(page) for said in _interface(tab) if _english(said)}
    assert not left
    said = {s for tab in _tabs(page) for s in _sentences(tab) if re.search("[A-Za-z]{3}", s)}
    left = {s for s in said if len(_english(s)) > 4}
    assert len(left) <= 0.1 * len(said), left


def test_the_table_is_read_where_a_language_asks_for_it_and_fast():
    texts._table.cache_clear()
    assert texts.say("Model", language="en") == "Model" and texts._table.cache_info().currsize == 0
    start = time.perf_counter()
    assert texts.say("Model", language="zh") == "模型"
    assert time.perf_counter() - start < 1.5


def test_help_is_short_and_is_said_in_every_language():
    for text in HELP.values():
        assert 2 <= len(re.findall(r"[.:](?:\s|$)", text)) <= 6
        assert texts.say(text, language="zh") != text
    assert help_of("regional_sbrt_hazard") != help_of("regional_sbrt") != "" and help_of("no such panel") == ""
