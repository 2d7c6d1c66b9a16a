"""The blind reader: what is shown when, what is saved, and that nothing of the model comes before the own estimate."""

import json

import ipywidgets as widgets
import pandas as pd
import pytest
from made_run import NASTY, write_run
from page_parts import every

from onlm_lab import reading_plan, readings
from onlm_lab.app import reading_tab as tab
from onlm_lab.app import reading_words as words
from onlm_lab.app.estimate_entry import EstimateEntry
from onlm_lab.app.readers_card import readers_card
from onlm_lab.errors import OnlmError
from onlm_lab.figures import theme
from onlm_lab.reading_plan import plan_reading
from onlm_lab.readings import read_readings


class Clock:
    """Seconds that a test sets."""

    now = 100.0

    def __call__(self):
        return self.now


def _seen(widget):
    """All HTML that is not hidden, itself or with its box."""
    if widget.layout.display == "none":
        return ""
    own = widget.value if isinstance(widget, widgets.HTML) else ""
    return own + " ".join(_seen(child) for child in getattr(widget, "children", ()))


def _buttons(widget):
    """The buttons that are not hidden, by their words."""
    if widget.layout.display == "none":
        return {}
    found = {widget.description: widget} if isinstance(widget, widgets.Button) else {}
    for child in getattr(widget, "children", ()):
        found |= _buttons(child)
    return found


def _press(widget, text):
    _buttons(widget)[text].click()


def _entry(widget):
    return every(widget, EstimateEntry)[0]


def _save(widget, percent, **change):
    """What the page sends when the reader presses the button of the box, or Enter in it."""
    entry = _entry(widget)
    entry._handle_custom_msg({"kind": "save", "value": percent, "case": entry.case} | change, [])


def _text(state):
    return json.dumps(state, ensure_ascii=False, default=str)


def _begin(widget, code="R01"):
    every(widget, widgets.Text)[0].value = code
    _press(widget, words.BEGIN)


@pytest.fixture
def run(tmp_path):
    made = write_run(tmp_path / "run", n_surgery=120, n_sbrt=20)
    plan_reading(made, readers=["R01", "R02"], n_positive=3, n_negative=3)
    return made


@pytest.fixture
def plan(run):
    return reading_plan.read_plan(run)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def opened(run, clock):
    calls = []
    page = tab.reading_tab(run, viewer=widgets.Label("CT"), show_case=calls.append, clock=clock)
    page.calls = calls
    return page


def test_a_reader_gives_his_code_and_sees_the_first_case_of_his_own_order(opened, plan):
    assert words.ABOUT in _seen(opened) and opened.calls == []
    _begin(opened, " r01 ")
    assert "Case 1 of 6" in _seen(opened) and "reader R01" in _seen(opened)
    assert opened.calls == [plan.orders["R01"][0]]
    assert set(_buttons(opened)) == {words.STOP} and _entry(opened).action == words.SAVE
    assert "Total diameter (mm)" in _seen(opened)


@pytest.mark.parametrize(
    "sent",
    [{"value": None}, {"value": "37"}, {"value": 101}, {"value": -1}, {"value": float("nan")}, {"value": True}, {},
     {"value": 37, "case": 99}, {"value": 37, "kind": "other"}],
)  # fmt: skip
def test_nothing_is_saved_but_a_percent_for_the_case_on_the_screen(run, opened, sent):
    _begin(opened)
    _entry(opened)._handle_custom_msg({"kind": "save", "case": _entry(opened).case} | sent, [])
    assert len(read_readings(run.folder).table) == 0 and "The model" not in _seen(opened)
    _save(opened, 0)
    assert read_readings(run.folder).table["estimate"].tolist() == [0]


def test_a_second_press_is_not_taken_for_the_next_step(run, opened):
    _begin(opened)
    case = _entry(opened).case
    _save(opened, 37)
    _save(opened, 37, case=case)
    assert read_readings(run.folder).table["step"].tolist() == ["alone"]
    keep = _buttons(opened)[words.KEEP]
    keep.click()
    keep.click()
    assert read_readings(run.folder).table["step"].tolist() == ["alone", "with_model"]
    assert "Case 2 of 6" in _seen(opened)
    _press(opened, words.STOP)
    _save(opened, 37, case=case)
    _save(opened, 37)
    assert len(read_readings(run.folder).table) == 2 and words.ABOUT in _seen(opened)


def test_nothing_of_the_model_leaves_the_kernel_before_the_own_estimate_is_on_the_disk(run, plan, monkeypatch):
    sent, on_disk_when_read = [], []
    real_send, real_risks = widgets.Widget.send_state, reading_plan.risks

    def send(self, key=None):
        sent.append(_text(self.get_state(key)))
        return real_send(self, key)

    def risks(*args, **kwargs):
        on_disk_when_read.append(len(read_readings(run.folder).table))
        return real_risks(*args, **kwargs)

    monkeypatch.setattr(widgets.Widget, "send_state", send)
    monkeypatch.setattr(reading_plan, "risks", risks)
    page = tab.reading_tab(run)
    _begin(page)
    case = plan.orders["R01"][0]
    shown = real_risks(run, plan=plan)[case]
    said = ("The model", theme.percent(shown.risk) + "<", f"{shown.risk:.4f}")
    states = [_text(w.get_state()) for w in every(page, widgets.Widget)]
    assert sent and not [m for m in (*sent, *states) if any(w in m for w in said)]
    assert on_disk_when_read == [], "the predictions were not even read"
    _save(page, 37)
    assert on_disk_when_read == [1], "the estimate was on the disk when the risk was read"
    assert any(said[0] in m and said[1] in m for m in sent)
    assert f"<strong>{theme.percent(shown.risk)}</strong>" in _seen(page)


def test_where_the_estimate_cannot_be_saved_no_risk_is_shown(opened, monkeypatch):
    def refuse(*_, **__):
        raise OnlmError("The estimate was not saved: No space left on device.")

    _begin(opened)
    monkeypatch.setattr(readings, "record", refuse)
    case = _entry(opened).case
    _save(opened, 37)
    assert "No space left" in _seen(opened) and "The model" not in _seen(opened)
    assert _entry(opened).case == case and _entry(opened).answered == 1, "what was given stays in the box"
    monkeypatch.undo()
    _save(opened, 37)
    assert "The model" in _seen(opened) and "No space left" not in _seen(opened)


def test_estimates_times_and_the_shown_risk_are_recorded(run, plan, opened, clock):
    _begin(opened)
    case = plan.orders["R01"][0]
    first = _entry(opened).case
    clock.now += 41.26
    _save(opened, 37)
    assert _entry(opened).case != first, "the box of the second estimate is blank too"
    assert (_entry(opened).label, _entry(opened).action) == (words.ASK_AGAIN, words.SAVE_AGAIN)
    clock.now += 8
    _save(opened, 52)
    table = read_readings(run.folder).table
    assert table["step"].tolist() == ["alone", "with_model"] and table["patient_id"].tolist() == [case, case]
    assert table["estimate"].tolist() == [0.37, 0.52] and table["seconds"].tolist() == [41.3, 8.0]
    assert table.loc[1, "risk_shown"] == reading_plan.risks(run, plan=plan)[case].risk
    assert "Case 2 of 6" in _seen(opened) and "The model" not in _seen(opened)
    assert opened.calls == plan.orders["R01"][:2]


def test_the_first_estimate_can_be_kept(run, opened):
    _begin(opened)
    _save(opened, 12)
    assert set(_buttons(opened)) == {words.KEEP, words.STOP}
    _press(opened, words.KEEP)
    table = read_readings(run.folder).table
    assert table["estimate"].tolist() == [0.12, 0.12] and table["note"].tolist() == ["", readings.KEPT]


def test_a_reload_and_another_day_go_on_where_the_reader_was(run, plan, opened):
    _begin(opened)
    _save(opened, 12)
    again = tab.reading_tab(run)
    _begin(again)
    assert "Case 1 of 6" in _seen(again) and "The model" in _seen(again) and "12" in _seen(again)
    _save(again, 20)
    _press(again, words.STOP)
    assert words.ABOUT in _seen(again) and "Case" not in _seen(again)
    _begin(again)
    assert "Case 2 of 6" in _seen(again) and "The model" not in _seen(again)
    _save(again, 5)
    assert read_readings(run.folder).table["session"].tolist() == [1, 2, 3], "a row tells its sitting"


def test_stopping_closes_the_ct(opened):
    _begin(opened)
    _press(opened, words.STOP)
    assert opened.calls[-1] == ""


def test_a_second_open_page_of_the_same_reader_cannot_save_a_case_twice(run, opened):
    other = tab.reading_tab(run)
    _begin(opened)
    _begin(other)
    _save(opened, 12)
    _save(other, 90)
    assert "has one of this reader already" in _seen(other)
    assert f"Your own estimate: {theme.percent(0.12)}, saved" in _seen(other), "it goes on from what is on the disk"
    assert read_readings(run.folder).table["estimate"].tolist() == [0.12]
    _press(other, words.KEEP)
    assert "Case 2 of 6" in _seen(other) and "already" not in _seen(other)


def test_all_cases_read_end_in_a_sentence_and_show_no_result(run, opened):
    _begin(opened)
    for k in range(6):
        _save(opened, 10 + k)
        _press(opened, words.KEEP)
    assert words.DONE.format(n=6) in _seen(opened)
    assert "AUC" not in _seen(opened) and _buttons(opened) == {}
    assert opened.calls[-1] == ""
    assert len(read_readings(run.folder).table) == 12


def test_without_a_second_estimate_the_risk_is_shown_and_the_next_case_follows(tmp_path):
    run = write_run(tmp_path / "run", n_surgery=120, n_sbrt=20)
    plan_reading(run, readers=["R01"], n_positive=2, n_negative=2, second_estimate=False)
    page = tab.reading_tab(run)
    _begin(page)
    _save(page, 30)
    assert "The model" in _seen(page) and set(_buttons(page)) == {words.NEXT, words.STOP}
    _press(page, words.NEXT)
    assert "Case 2 of 4" in _seen(page) and "The model" not in _seen(page)
    assert read_readings(run.folder).table["step"].tolist() == ["alone"]


def test_a_case_without_its_ct_is_not_estimated_and_can_be_passed_over(run, plan):
    first = plan.orders["R01"][0]

    def show(patient_id):
        if patient_id == first:
            raise OnlmError("The series has no slices.")

    page = tab.reading_tab(run, show_case=show)
    _begin(page)
    assert "The series has no slices" in _seen(page)
    assert _entry(page).closed
    _save(page, 30)
    assert len(read_readings(run.folder).table) == 0
    _press(page, words.SKIP)
    assert "Case 2 of 6" in _seen(page) and words.SKIP not in _buttons(page)
    for _ in range(5):
        _save(page, 30)
        _press(page, words.KEEP)
    assert words.DONE_BUT.format(k=1) in _seen(page)
    assert first not in set(read_readings(run.folder).table["patient_id"])


@pytest.mark.parametrize(("code", "said"), [("Dr Wang", "known by a code"), ("R77", "not on the list"), ("", "a code")])
def test_a_name_or_an_unknown_code_is_refused_in_a_sentence(opened, code, said):
    _begin(opened, code)
    assert said in _seen(opened) and "Case" not in _seen(opened) and opened.calls == []


def test_without_a_plan_or_with_a_changed_table_the_page_says_so(tmp_path, run):
    bare = write_run(tmp_path / "bare", n_surgery=120, n_sbrt=20)
    assert "No reader study is planned" in _seen(tab.reading_tab(bare))
    (run.folder / readings.FILE).write_text("something else\n")
    page = tab.reading_tab(run)
    _begin(page)
    assert "does not begin with the names" in _seen(page)


def test_no_patient_id_label_or_outcome_is_on_the_page_and_values_are_escaped(tmp_path):
    run = write_run(tmp_path / "run", n_surgery=120, n_sbrt=20)
    table = pd.read_csv(run.folder / "patients.csv")
    table["nodule_type"] = NASTY
    table.to_csv(run.folder / "patients.csv", index=False)
    plan = plan_reading(run, readers=["R01"], n_positive=2, n_negative=2, columns=["nodule_type", "age_years"])
    page = tab.reading_tab(run)
    _begin(page)
    assert "<img" not in _seen(page) and "&lt;img" in _seen(page)
    assert plan.orders["R01"][0] not in _seen(page)
    assert not any(word in _seen(page).lower() for word in ("onlm", "pathological", "survival", "p00"))


def test_a_missing_value_is_said_to_be_unknown(tmp_path):
    run = write_run(tmp_path / "run", n_surgery=120, n_sbrt=20)
    table = pd.read_csv(run.folder / "patients.csv")
    table["age_years"] = float("nan")
    table.to_csv(run.folder / "patients.csv", index=False)
    plan_reading(run, readers=["R01"], n_positive=2, n_negative=2, columns=["age_years"])
    page = tab.reading_tab(run)
    _begin(page)
    assert f"<td>{words.UNKNOWN}</td>" in _seen(page)


def test_whoever_runs_the_study_sees_the_analysis_and_a_sentence_before_there_is_one(run, plan):
    card = readers_card(run)
    assert "nobody has read a case yet" in card.children[1].value
    reading_plan.add_reader(run, reader="R03")
    for code in ("R01", "R02"):
        page = tab.reading_tab(run)
        _begin(page, code)
        for k in range(6):
            _save(page, 10 + 7 * k)
            _save(page, 15 + 9 * k)
    card.refresh()
    said = card.children[1].value
    assert "2 readers, 6 patients, 3 N+" in said and "2 readers: how much" in said and "3 N+ patients" in said
    assert "Still reading: R03 (0 of 6 cases)." in said
    assert '"average"' in card.children[0].table and "MADE-UP DATA" in card.children[0].figure
