"""The cases page as a widget: who is listed, what one case shows, flags, the CT, and what it keeps to itself."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import ipywidgets as widgets
import numpy as np
import pandas as pd
import pytest
from made_run import NASTY, write_run
from page_parts import control, every, html_of

from onlm_lab import app, reading_plan, readings, served
from onlm_lab.app import cases_page, reading_place, scan_card, written_scan
from onlm_lab.app.case_cards import CLOSED, NO_NAMES
from onlm_lab.app.cases_state import CasesState
from onlm_lab.app.cases_view import CasesView
from onlm_lab.app.patient_list import Download, PatientList, spreadsheet_csv
from onlm_lab.app.shell import Card
from onlm_lab.errors import OnlmError
from onlm_lab.flags import FILE, add_flag, read_flags
from onlm_lab.learning.explained import Explained, Picture, write_explained, write_index
from onlm_lab.learning.neighbours import nearest
from onlm_lab.panels import case_list, cases
from onlm_lab.runs import Run, open_run
from onlm_lab.study import starter_toml


def explain(run: Run) -> None:
    """Give a made run embeddings, effects and pictures, as an explained one has them."""
    rng = np.random.default_rng(5)
    patients = run.patients
    patients.assign(role=np.where(patients["arm"] == "surgery", "labelled", "unlabelled"), part="development").to_csv(
        run.folder / "patients.csv", index=False
    )
    ids = patients["patient_id"].tolist()
    np.save(run.folder / "embeddings.npy", rng.normal(size=(len(ids), 4)))
    pd.DataFrame({"patient_id": ids}).to_csv(run.folder / "embeddings_ids.csv", index=False)
    risk = run.predictions.query("model_id == 'fused'").set_index("patient_id")["risk"]
    parts = []
    for row in patients.itertuples():
        sizes = sorted({10.0, 20.0, 30.0, row.total_diameter_mm})
        own = risk[row.patient_id]
        parts += [(row.patient_id, "fused", "total_diameter_mm", f"{s:g}", min(0.99, own * s / row.total_diameter_mm))
                  for s in sizes]  # fmt: skip
        parts += [(row.patient_id, "fused", "sex", s, own * (1 if s == row.sex else 0.9))
                  for s in ("female", "male")]  # fmt: skip
    effects = pd.DataFrame(parts, columns=["patient_id", "model_id", "predictor", "value", "risk"])
    effects.to_csv(run.folder / "effects.csv", index=False)
    (run.folder / "saliency").mkdir()
    views = ("axial -1100 to 300 HU", "coronal -1100 to 300 HU")
    paths = []
    for name in ids[:3]:
        maps = {"grad_cam": rng.normal(size=(24, 24)).astype(np.float32)}
        pictures = tuple(
            Picture(name=v, view=k, pixels=rng.integers(0, 255, (24, 24)).astype(np.uint8), maps=maps)
            for k, v in enumerate(views)
        )
        shown = Explained(patient_id=name, model_id="fused", seen_in_training=True, views=views,
                          attention=np.array([0.7, 0.3]), field_mm=48.0, pictures=pictures)  # fmt: skip
        paths.append(write_explained(run.folder / "saliency", shown))
    write_index(run.folder / "saliency", paths)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    run = write_run(tmp_path_factory.mktemp("cases") / "run", n_surgery=160, n_sbrt=50)
    explain(run)
    return run


@pytest.fixture
def run(made, tmp_path):
    shutil.copytree(made.folder, tmp_path / "run")
    return open_run(tmp_path / "run")


@pytest.fixture
def page(run):
    return app.cases(run)


def _list(page):
    return next(w for w in every(page, PatientList) if w.steps)


def _near(page):
    return next(w for w in every(page, PatientList) if not w.steps)


def _button(page, label):
    return next(b for b in every(page, widgets.Button) if b.description == label)


def _cards(page):
    return {c.children[0].name: c for c in every(page, Card) if c.children[0].figure and c.layout.display != "none"}


def _ids(page):
    return [row["id"] for row in _list(page).rows]


def test_everybody_is_listed_by_risk_and_the_first_is_shown(page, run):
    rows = run.rows().query("model_id == 'fused'").sort_values(["risk", "patient_id"], ascending=[False, True])
    assert _ids(page) == rows["patient_id"].tolist() and _list(page).chosen == rows["patient_id"].iloc[0]
    first = _list(page).rows[0]
    assert first["risk"].startswith(f"{100 * rows['risk'].iloc[0]:.1f}")
    assert set(_cards(page)) == {"case_risk", "case_effects"}


@pytest.mark.parametrize(("label", "value", "query"), [
    ("Error", "fn", "split == 'oof' and onlm == 1 and predicted_positive == 0"),
    ("Error", "fp", "split == 'oof' and onlm == 0 and predicted_positive == 1"),
    ("Tested or not", "unlabelled", "arm == 'sbrt'"), ("Tested or not", "tested", "arm == 'surgery'"),
])  # fmt: skip
def test_a_filter_keeps_whom_it_says(page, run, label, value, query):
    control(page, widgets.Dropdown, "Model").value = "clinical"
    control(page, widgets.Dropdown, label).value = value
    assert sorted(_ids(page)) == sorted(run.rows().query("model_id == 'clinical'").query(query)["patient_id"])
    assert _list(page).chosen in _ids(page)


def test_the_arm_a_subgroup_and_its_level_keep_whom_they_say(page, run):
    rows = run.rows().query("model_id == 'fused'")
    next(w for w in every(page, widgets.ToggleButtons) if "sbrt" in dict(w.options).values()).value = "sbrt"
    control(page, widgets.Dropdown, "Subgroup").value = "sex"
    level = control(page, widgets.Dropdown, "Level")
    assert len(_ids(page)) == (rows["arm"] == "sbrt").sum()
    level.value = "female"
    assert sorted(_ids(page)) == sorted(rows.query("arm == 'sbrt' and sex == 'female'")["patient_id"])
    control(page, widgets.Dropdown, "Subgroup").value = "smoking"
    assert level.value == "" and "never" in dict(level.options).values()


def test_another_threshold_makes_other_errors(page, run):
    control(page, widgets.Dropdown, "Error").value = "fp"
    control(page, widgets.FloatSlider, "Threshold").value = 30.0
    wanted = run.rows().query("model_id == 'fused' and split == 'oof' and onlm == 0 and risk >= 0.3")
    assert sorted(_ids(page)) == sorted(wanted["patient_id"]) and len(wanted)
    assert "At the threshold of 30.0" in html_of(page)


@pytest.mark.parametrize(("order", "column"), [("risk_up", "risk"), ("spread", "spread"), ("ood", "ood_score")])
def test_the_list_is_ordered_as_it_says(page, run, order, column):
    control(page, widgets.Dropdown, "Order").value = order
    rows = case_list.listed(run.rows(), model="fused").set_index("patient_id")[column]
    values = rows[_ids(page)].to_numpy()
    assert (np.diff(values) >= 0).all() if order == "risk_up" else (np.diff(values) <= 0).all()


def test_another_patient_changes_every_card_and_closes_what_became_known_later(page):
    later = next(b for b in every(page, widgets.ToggleButton) if "later" in b.description)
    assert CLOSED in html_of(page) and "Pathological" not in html_of(page)
    later.value = True
    assert "Occult nodal metastasis" in html_of(page) and "follow_up" in _cards(page)
    before = {name: card.children[0].figure for name, card in _cards(page).items()}
    values = html_of(page)
    _list(page).chosen = _ids(page)[7]
    after = {name: card.children[0].figure for name, card in _cards(page).items()}
    assert not later.value and CLOSED in html_of(page) and "follow_up" not in after
    assert all(before[name] != after[name] for name in after) and html_of(page) != values


def test_the_risk_card_says_spread_threshold_source_and_that_it_is_no_interval(run):
    rows = case_list.listed(run.rows(), model="fused")
    tested = rows[rows["kind"] == "tested"].iloc[3]
    panel = cases.risk_panel(rows, patient=tested["patient_id"])
    assert "model spread" in panel.sentence and "confidence interval" not in panel.sentence
    assert "It is no confidence interval." in panel.notes[-1] and panel.notes[0].startswith("Out of fold")
    other = rows[rows["kind"] == "unlabelled"].iloc[0]
    assert "Final model" in cases.risk_panel(rows, patient=other["patient_id"]).notes[0]
    same = rows[rows["split"] == "oof"]
    assert panel.table["n"].sum() == len(same)
    assert f"{(same['risk'] < tested['risk']).sum()} of the other {len(same) - 1}" in panel.sentence


def test_a_rare_case_says_so_in_words_and_another_does_not(run):
    rows = case_list.listed(run.rows(), model="fused")
    rare, usual = rows.loc[rows["ood_score"].idxmax()], rows.loc[rows["ood_score"].idxmin()]
    assert rare["ood_score"] > case_list.RARE
    assert any("rare" in note for note in cases.risk_panel(rows, patient=rare["patient_id"]).notes)
    assert not any("rare" in note for note in cases.risk_panel(rows, patient=usual["patient_id"]).notes)


def test_values_have_units_and_their_place_and_a_missing_one_is_said(run):
    patients = run.patients
    patients.loc[4, "age_years"] = np.nan
    patients.loc[5, "total_diameter_mm"] = 99.0
    table = cases.value_table(patients, patient=patients["patient_id"][5]).set_index("column")
    assert table.loc["total_diameter_mm", "value"] == "99 mm"
    assert table.loc["total_diameter_mm", "among"].startswith(f"the highest of {len(patients)}")
    lower = (patients["age_years"] < patients["age_years"][5]).sum() / (len(patients) - 1)
    assert f"lower in {100 * lower:.0f}" in table.loc["age_years", "among"]
    missing = cases.value_table(patients, patient=patients["patient_id"][4]).set_index("column").loc["age_years"]
    assert missing["value"] == "not known" and missing["among"] == f"not known in 1 of {len(patients)} patients"
    assert not {"onlm", "adjuvant", "treatment", "os_days"} & set(table.index)


def test_effects_mark_the_patients_own_value_and_say_that_they_are_no_cause(page, run):
    panel = _cards(page)["case_effects"]
    table = json.loads(panel.children[0].table)
    own = [row for row in table["rows"] if row[table["columns"].index("own")]]
    person = run.patients.set_index("patient_id").loc[_list(page).chosen]
    assert {row[table["columns"].index("predictor")] for row in own} == {"total_diameter_mm", "sex"}
    assert person["sex"] in {row[table["columns"].index("value")] for row in own}
    assert "not a cause" in panel.children[1].value
    control(page, widgets.Dropdown, "Model").value = "clinical"
    assert "no effects of the model clinical; there are those of fused" in html_of(page)


def test_a_nearest_patient_is_one_click_away_and_need_not_pass_the_filters(page, run):
    control(page, widgets.Dropdown, "Error").value = "fp"
    chosen = _list(page).chosen
    wanted = nearest(run, chosen, n=5)
    assert [row["id"] for row in _near(page).rows] == wanted["patient_id"].tolist()
    assert "no forecast" in html_of(page)
    other = next(p for p in wanted["patient_id"] if p not in _ids(page))
    _near(page).chosen = other
    assert _list(page).chosen == other and "does not pass the filters" in html_of(page)
    assert other not in [row["id"] for row in _near(page).rows] and _near(page).chosen == ""


def test_pictures_come_with_attention_and_without_a_map_until_one_is_asked_for(page, run):
    _list(page).chosen = run.patients["patient_id"][1]
    plain = html_of(page)
    assert plain.count("data:image/png") == 2 and "attention 70" in plain and "Yellow" not in plain
    chooser = next(w for w in every(page, widgets.ToggleButtons) if "grad_cam" in dict(w.options).values())
    chooser.value = "grad_cam"
    assert "Yellow raises the risk" in html_of(page) and html_of(page) != plain
    chooser.value = "occlusion"
    assert "no such map of this patient" in html_of(page)
    _list(page).chosen = run.patients["patient_id"][20]
    assert "No pictures of this patient were saved" in html_of(page)


def test_a_flag_is_written_shown_and_put_first_and_a_wrong_one_is_a_sentence(page, run):
    chosen = _ids(page)[5]
    _list(page).chosen = chosen
    assert NO_NAMES in html_of(page)
    control(page, widgets.Dropdown, "What is wrong").value = "doubtful_label"
    control(page, widgets.Text, "Your reader code").value = "Dr Miller"
    _button(page, "Save flag").click()
    assert "A reader is known by a code" in html_of(page) and not (run.folder / FILE).exists()
    control(page, widgets.Text, "Your reader code").value = "R07"
    control(page, widgets.Text, "Note").value = "node 4R <b>"
    _button(page, "Save flag").click()
    assert read_flags(run.folder).table[["patient_id", "kind", "reader_id"]].values.tolist() == [
        [chosen, "doubtful_label", "R07"]
    ]
    assert "node 4R &lt;b&gt;" in html_of(page) and control(page, widgets.Text, "Note").value == ""
    assert next(r for r in _list(page).rows if r["id"] == chosen)["flags"] == "Doubtful label"
    control(page, widgets.Dropdown, "Order").value = "flag"
    assert _ids(page)[0] == chosen


def test_all_flags_leave_as_a_table_of_which_no_cell_is_a_formula(page, run):
    add_flag(run.folder, "P0003", kind="other", reader_id="R01", note="=HYPERLINK(1)")
    page = app.cases(run)
    sent = []
    download = every(page, Download)[0]
    download.send = lambda content, buffers=None: sent.append(content)
    download._handle_custom_msg({"kind": "csv"}, [])
    assert "P0003,other,'=HYPERLINK(1),R01," in sent[0]["text"]
    assert spreadsheet_csv(pd.DataFrame({"a": ["-1", "b,c"]})) == '\ufeffa\r\n\'-1\r\n"b,c"\r\n'


class _Viewer(widgets.VBox):
    def __init__(self):
        super().__init__()
        self.told = []

    def load(self, path, *, layers=()):
        self.told.append((path, tuple(layers)))
        return True

    def clear(self):
        self.told.append("clear")


def _scan(run, write):
    view = CasesView(run, CasesState())
    view.state.model, view.state.patient = "fused", run.patients["patient_id"][1]
    viewer = _Viewer()
    card = scan_card.scan_card(view, viewer=viewer, write=write)
    view.state.observe(lambda _: card.refresh())
    card.refresh()
    return view, viewer, card


def _until(true, *, seconds=60):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


def _facts(folder):
    path = folder / "one.npy"
    path.with_suffix(".json").write_text(
        json.dumps({"centre_voxel": [3, 4, 5], "spacing_mm": [2.0, 1.0, 1.0], "why_no_centre": ""}), encoding="utf-8"
    )
    return path


def test_the_ct_is_read_beside_the_page_and_then_shown_with_its_maps(run, tmp_path):
    go, path = threading.Event(), _facts(tmp_path)
    asked = []

    def write(study, patient):
        asked.append(patient)
        assert go.wait(60)
        return path

    view, viewer, card = _scan(run, write)
    assert "read when you ask" in html_of(card) and viewer.told[-1] == "clear"
    _button(card, "Show CT").click()
    assert "Reading the CT" in html_of(card), "the page does not wait"
    go.set()
    _until(lambda: viewer.told[-1] != "clear")
    shown, layers = viewer.told[-1]
    assert shown == path and {layer.plane for layer in layers} == {"axial", "coronal"} and asked == ["P0001"]
    view.state.patient = run.patients["patient_id"][2]
    assert viewer.told[-1] == "clear" and "read when you ask" in html_of(card), "not the CT of the patient before"


def test_a_ct_that_cannot_be_read_is_a_sentence_and_can_be_asked_for_again(run, tmp_path):
    path, tries, go = _facts(tmp_path), [], threading.Semaphore(0)

    def write(study, patient):
        assert go.acquire(timeout=60)  # in a kernel the loop sees to it that the click is over first
        tries.append(patient)
        if len(tries) == 1:
            raise OnlmError("The series <b> has a gap.")
        return path

    _, viewer, card = _scan(run, write)
    _button(card, "Show CT").click()
    go.release()
    _until(lambda: "The series &lt;b&gt; has a gap." in html_of(card))
    assert _button(card, "Show CT").layout.display is None
    _button(card, "Show CT").click()
    go.release()
    _until(lambda: viewer.told[-1] != "clear")
    assert "has a gap" not in html_of(card)
    assert viewer.told[-1][0] == path and len(tries) == 2


def test_a_run_that_stands_alone_and_a_command_that_fails_say_why_there_is_no_ct(run, tmp_path):
    with pytest.raises(OnlmError, match="This run stands alone"):
        written_scan.write_scan(written_scan.study_of(run.folder), "P0001")
    (tmp_path / "study").mkdir()
    text = starter_toml(name="Tables only", made_up=True, seed=1, sections={"data": {"ct": "", "annotations": ""}})
    (tmp_path / "study" / "study.toml").write_text(text, encoding="utf-8")
    with pytest.raises(OnlmError, match="This study has no images") as told:
        written_scan.write_scan(tmp_path / "study", "--version")
    assert "onlm volume" not in str(told.value)


def test_an_id_that_is_html_shows_as_text_and_no_patient_is_ever_in_the_address(page, run):
    _list(page).chosen = NASTY
    for b in every(page, widgets.ToggleButton):
        b.value = "later" in b.description or b.value
    add_flag(run.folder, NASTY, kind="other", reader_id="R01", note=NASTY)
    for text in (html_of(page), html_of(app.cases(run)), *(c.children[0].figure for c in _cards(page).values())):
        assert "<img src=x" not in text
    state = cases_page.CasesState()
    assert not {"patient", "scan", "later"} & set(state.ADDRESS)
    state.begin()
    state.patient, state.scan, state.order = NASTY, NASTY, "ood"
    assert state.address() == {"order": "ood"}


def test_a_shared_page_refuses_in_a_sentence_unless_the_study_allows_it(run, monkeypatch):
    monkeypatch.setenv(served.SHARED, "1")
    page = app.cases(run.folder)
    assert "does not let shared pages do so" in html_of(page) and not every(page, PatientList)
    assert "P0001" not in html_of(page)
    toml = (run.folder / "study.toml").read_text(encoding="utf-8")
    (run.folder / "study.toml").write_text(toml.replace("[study]", "[study]\npatient_pages = true"), encoding="utf-8")
    assert every(app.cases(run.folder), PatientList)


def test_a_link_restores_filters_and_never_a_level_that_is_not_there(run):
    built = cases_page._page(run, "en")
    state = built.state
    state.begin()
    assert state.restore({"column": "sex", "level": "female", "order": "spread", "error": "fp"}) == []
    assert (state.column, state.level) == ("sex", "female")
    assert control(built.widget, widgets.Dropdown, "Level").value == "female"
    assert state.restore({"order": "beauty"}) == ["order"]
    assert state.level == "" and state.column == ""


def test_a_locked_patient_stays_closed(run):
    patients = run.patients
    first = patients["patient_id"][0]
    table = patients.assign(part=np.where(patients["patient_id"] == patients["patient_id"][3], "locked", "development"))
    blank = ["onlm", "os_days", "os_event", "recurrence_days", "recurrence_state", "adjuvant"]
    table.loc[3, blank] = np.nan
    table.to_csv(run.folder / "patients.csv", index=False)
    page = app.cases(run)
    _list(page).chosen = patients["patient_id"][3]
    later = next(b for b in every(page, widgets.ToggleButton) if "later" in b.description)
    later.value = True
    assert "locked test set" in html_of(page) and "follow_up" not in _cards(page)
    _list(page).chosen = first
    later.value = True
    assert "locked test set" not in html_of(page)


def test_a_run_that_was_not_explained_says_so_in_the_cards_that_need_it(tmp_path):
    page = app.cases(write_run(tmp_path / "run", n_surgery=60, n_sbrt=20))
    text = html_of(page)
    assert "has no effects.csv" in text and "saliency/index.csv" in text and "no embeddings.npy" in text
    assert "case_risk" in _cards(page)


def test_where_a_reader_study_is_planned_the_page_opens_blind_and_its_ct_is_there_before_the_clock(
    run, tmp_path, monkeypatch
):
    plan = reading_plan.plan_reading(run, readers=["R01"], n_positive=4, n_negative=4)
    asked = []

    def write(study, patient):
        asked.append((study, patient))
        raise OnlmError("The CT is lost.")

    monkeypatch.setattr(reading_place, "write_scan", write)
    page = app.cases(run)
    assert not every(page, PatientList) and not _cards(page) and "risk of occult N+" not in html_of(page)
    every(page, widgets.Text)[0].value = "R01"
    next(b for b in every(page, widgets.Button) if b.description.startswith("Begin")).click()
    assert asked == [(None, plan.orders["R01"][0])] and "The CT is lost." in html_of(page)
    next(w for w in every(page, widgets.ToggleButtons) if "Reading" in dict(w.options)).value = "Cases"
    assert every(page, PatientList) and "risk of occult N+" in html_of(page)


def test_reading_has_its_tab_and_results_only_where_somebody_has_read(page, run):
    tabs = next(w for w in every(page, widgets.ToggleButtons) if "Reading" in dict(w.options))
    assert list(dict(tabs.options)) == ["Cases", "Reading"]
    tabs.value = "Reading"
    assert not _cards(page) and not every(page, PatientList)
    plan = reading_plan.plan_reading(run, readers=["R01"], n_positive=4, n_negative=4)
    case = plan.orders["R01"][0]
    readings.record(run.folder, readings.Reading(reader_id="R01", patient_id=case, model_id=plan.model_id, session=1,
                                                 order=1, step=readings.ALONE, estimate=0.2, seconds=9.0))  # fmt: skip
    tabs = next(w for w in every(app.cases(run), widgets.ToggleButtons) if "Reading" in dict(w.options))
    assert list(dict(tabs.options)) == ["Cases", "Reading", "Readers' results"]


def test_a_kernel_that_shows_cases_loads_no_model_and_no_ct_reader(run):
    script = (
        "import sys; from onlm_lab import app; app.cases(sys.argv[1]); "
        "print([m for m in ('torch', 'timm', 'pydicom', 'SimpleITK', 'statsmodels', 'sklearn', 'lifelines', 'lark')"
        " if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script, str(run.folder)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_dashboard_calls_the_page():
    text = (Path(__file__).resolve().parents[1] / "dashboards" / "cases.ipynb").read_text(encoding="utf-8")
    assert "app.cases()" in text
