"""The cohort page as a widget: each control moves its own cards, numbers are the library's, nobody is named."""

from __future__ import annotations

import json
import shutil

import ipywidgets as widgets
import pandas as pd
import pytest
from made_run import NASTY
from page_parts import control, every, html_of

from onlm_lab import analysis, app, cohort, served, virtual
from onlm_lab.app.limit_slider import range_of, values_to_try
from onlm_lab.app.shell import Card
from onlm_lab.cohort.parts import missing_where_asked, parted
from onlm_lab.panels.cohort import baseline_table, look_up_counts, undetermined_table
from onlm_lab.panels.shared.counts import said
from onlm_lab.runs import Run
from onlm_lab.study import load_study

TABS = {
    "Who is in": {"flow", "rule_by_centre", "what-if", "undetermined", "patients_left_out"},
    "Who they are": {"table_1", "centres", "accrual"},
    "What is known": {"missing", "follow_up", "reference_standard", "no_label"},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A made-up trial, tables only; one centre and one patient bear names that are HTML."""
    place = tmp_path_factory.mktemp("cohort") / "study"
    virtual.write_trial(place, n_patients=300, n_centres=4, seed=5, tables_only=True)
    first = ""
    for name in ("clinical.csv", "followup.csv"):
        table = pd.read_csv(place / name, dtype=str, keep_default_na=False)
        first = first or table["patient_id"].iloc[0]
        table["patient_id"] = table["patient_id"].replace(first, NASTY)
        if "centre" in table:
            table["centre"] = table["centre"].replace("C4", NASTY)
        table.to_csv(place / name, index=False)
    return place


@pytest.fixture(scope="module")
def data(folder):
    return cohort.load_cohort(load_study(folder))


@pytest.fixture(scope="module")
def screening(folder, data):
    return cohort.screen(data, load_study(folder).protocol)


@pytest.fixture(scope="module")
def eligible(folder, data, screening):
    patients, _ = parted(data.patients, study=load_study(folder))
    return patients[(screening.status["status"] == "eligible").to_numpy()].reset_index(drop=True)


@pytest.fixture
def page(folder):
    return app.cohort(folder)


def _copy(folder, tmp_path, *, toml="", clinical=None):
    place = tmp_path / "copy"
    shutil.copytree(folder, place)
    if toml:
        path = place / "study.toml"
        path.write_text(path.read_text(encoding="utf-8").replace("[study]", f"[study]\n{toml}", 1), encoding="utf-8")
    if clinical is not None:
        table = pd.read_csv(place / "clinical.csv", dtype=str, keep_default_na=False)
        clinical(table).to_csv(place / "clinical.csv", index=False)
    return place


def _open(page, tab):
    next(w for w in every(page, widgets.ToggleButtons) if "Who is in" in str(w.options)).value = tab


def _cards(page):
    """What each card of the open tab shows: figure, table and words."""
    return {
        c.children[0].name: (c.children[0].figure, c.children[0].table, c.children[1].value) for c in every(page, Card)
    }


def _table(page, name):
    found = json.loads(_cards(page)[name][1])
    return pd.DataFrame(found["rows"], columns=found["columns"])


def _same(shown, wanted):
    wanted = wanted.reset_index(drop=True).astype(object).where(wanted.reset_index(drop=True).notna(), None)
    shown = shown.astype(object).where(shown.notna(), None)
    assert list(shown) == [str(c) for c in wanted]
    for name in shown:
        for a, b in zip(shown[name], wanted[name], strict=True):
            assert a == b or float(a) == pytest.approx(float(b)), name


def _everything(page):
    """All that is sent to the browser."""
    sent = [html_of(page)]
    for tab in TABS:
        _open(page, tab)
        sent += [json.dumps(_cards(page)), html_of(page)]
    for box in every(page, (widgets.Dropdown, widgets.SelectMultiple, widgets.ToggleButtons)):
        sent.append(json.dumps([str(label) for label, _ in box.options]))
    return " ".join(sent)


def test_the_header_wears_both_marks_and_the_tiles_count_as_the_screening(page, screening, eligible):
    text = html_of(page)
    assert "Research use only" in text and "MADE-UP DATA" in text
    for status, n in screening.status["status"].value_counts().items():
        assert f"data-tile='{status.capitalize()}'><div class='name'>{status.capitalize()}</div>" in text
        assert f"<div class='value'>{n}</div><div class='note'>of 300 screened" in text
    labelled = eligible["onlm"].dropna()
    assert f"<div class='value'>{int(labelled.sum())}</div><div class='note'>of {len(labelled)} labelled" in text


def test_a_tab_is_built_when_it_is_first_opened_and_each_figure_has_traces_a_table_and_words(page):
    for tab, names in TABS.items():
        _open(page, tab)
        assert set(_cards(page)) == names
        for card in every(page, Card):
            view = card.children[0]
            assert json.loads(view.figure)["data"] and json.loads(view.table)["rows"] and view.description
            assert view.layout.display is None and "onlm-error" not in card.children[1].value


MOVES = [
    ("Who is in", widgets.Dropdown, "Flow of", "C2", {"flow"}),
    ("Who is in", widgets.Dropdown, "Rule, centre by centre", "consent", {"rule_by_centre", "patients_left_out"}),
    ("Who is in", widgets.Dropdown, "Limit of the protocol", "min_age_years", {"what-if"}),
    ("Who is in", widgets.FloatSlider, "Least KPS", 50.0, {"what-if"}),
    ("Who is in", widgets.ToggleButtons, "Bars divided by", "label", {"what-if"}),
    ("Who they are", widgets.ToggleButtons, "Patients described", "everyone", {"table_1", "centres", "accrual"}),
    ("Who they are", widgets.Dropdown, "Table 1 compares", "sex", {"table_1"}),
    ("Who they are", widgets.SelectMultiple, "Table 1 shows", ("age_years", "kps"), {"table_1"}),
    ("What is known", widgets.ToggleButtons, "Patients described", "everyone", TABS["What is known"]),
    ("What is known", widgets.ToggleButtons, "Missing values of", "every", {"missing"}),
    ("What is known", widgets.Dropdown, "Follow-up by", "arm", {"follow_up"}),
    ("What is known", widgets.Dropdown, "Reference standard by", "centre", {"reference_standard"}),
]


@pytest.mark.parametrize(("tab", "kind", "label", "value", "moved"), MOVES, ids=[f"{m[0]}: {m[2]}" for m in MOVES])
def test_a_control_changes_its_own_cards_and_no_other(page, tab, kind, label, value, moved):
    _open(page, tab)
    before = _cards(page)
    control(page, kind, label).value = value
    after = _cards(page)
    assert {name for name in before if before[name] != after[name]} == moved


def test_every_control_of_the_page_was_moved(page):
    found = {
        (kind, box.children[0].value)
        for box in every(page, widgets.VBox)
        if len(box.children) > 1 and isinstance(box.children[0], widgets.Label)
        for kind in [type(box.children[1])]
    }
    other_limits = {(k, n) for k, n in found if k is widgets.FloatSlider and not n.startswith("Least KPS")}
    assert {(k, n.split(":")[0]) for k, n in found - other_limits} == {(m[1], m[2]) for m in MOVES}


def test_the_flow_is_the_screenings_over_all_centres_and_in_one(page, screening):
    flow = screening.flow
    total = flow[flow["centre"] == "all"]
    texts = json.loads(_cards(page)["flow"][0])["data"][0]["text"]
    assert texts[1:-1] == [f"<b>{n:,}</b> left" for n in total["n_left"].iloc[:-1]]
    control(page, widgets.Dropdown, "Flow of").value = "C2"
    one = flow[flow["centre"] == "C2"]
    assert f"<b>{one['n_left'].iloc[-1]}</b> eligible" in json.loads(_cards(page)["flow"][0])["data"][0]["text"]


def test_a_rule_is_counted_centre_by_centre(page, screening):
    control(page, widgets.Dropdown, "Rule, centre by centre").value = "consent"
    flow = screening.flow
    wanted = flow[(flow["rule"] == "consent") & (flow["centre"] != "all")].sort_values("centre")
    shown = _table(page, "rule_by_centre")
    columns = ["centre", "n_in", "n_excluded", "n_undetermined", "n_left"]
    _same(shown.iloc[:-1], wanted[columns])
    total = flow[(flow["rule"] == "consent") & (flow["centre"] == "all")].iloc[0]
    assert shown.iloc[-1].tolist() == ["All centres", *(int(total[c]) for c in columns[1:])]


@pytest.mark.parametrize("value", [50.0, 90.0])
def test_the_slider_says_how_many_more_or_fewer_the_library_counts(page, data, value):
    control(page, widgets.FloatSlider, "Least KPS").value = value
    shown = _table(page, "what-if")
    found = cohort.what_if(data, limit="min_kps", values=shown["value"].tolist())
    _same(shown, found.table)
    more = int(found.table.set_index("value").loc[value, "n_more"])
    assert more != 0 and (f"At {value:g} there would be {abs(more)} {'more' if more > 0 else 'fewer'}"
                          in _cards(page)["what-if"][2])  # fmt: skip


def test_each_limit_has_its_slider_and_keeps_its_value(page):
    slider, chosen = control(page, widgets.FloatSlider, "Least KPS"), control(page, widgets.Dropdown, "Limit of")
    slider.value = 60.0
    chosen.value = "min_age_years"
    shown = [
        s for s in every(page, widgets.VBox) if len(s.children) == 2 and isinstance(s.children[1], widgets.FloatSlider)
    ]
    assert [s.children[0].value for s in shown if s.layout.display is None] == ["Least age (years): 18 in the protocol"]
    assert "Least age (years) at 18" in _cards(page)["what-if"][2]
    chosen.value = "min_kps"
    assert slider.value == 60 and "At 60 there would be" in _cards(page)["what-if"][2]


def test_the_values_tried_hold_the_protocols_and_the_chosen_one_and_stay_in_range():
    span = range_of("min_kps", current=70.0)
    assert values_to_try(70.0, current=70.0, span=span) == [50, 60, 70, 80, 90]
    assert values_to_try(40.0, current=70.0, span=span) == [40, 50, 60, 70]
    far = values_to_try(0.0, current=70.0, span=span)
    assert far[0] == 0 and far[-1] == 70 and len(far) <= 7 and all(v % 10 == 0 for v in far)
    own = range_of("most_days", current=28.0)
    assert own.low == 0 and own.high == 56 and values_to_try(28.0, current=28.0, span=own)[0] == 26
    assert range_of("zero", current=0.0).high > 0 and range_of("below", current=-3.0).low == -6


def test_the_undetermined_are_counted_by_what_is_missing_on_a_shared_page(folder, screening, monkeypatch):
    monkeypatch.setenv(served.SHARED, "1")
    page = app.cohort(folder)
    shown, wanted = _table(page, "undetermined"), look_up_counts(screening.undetermined).set_index("column")["patients"]
    assert dict(zip(shown["column"], shown["patients"].map(str), strict=True)) == wanted.map(said).to_dict()


@pytest.mark.parametrize("by", ["onlm", "arm", "centre", "sex", "lobe"])
def test_table_one_is_the_librarys_by_any_grouping(page, eligible, data, by):
    _open(page, "Who they are")
    control(page, widgets.Dropdown, "Table 1 compares").value = by
    control(page, widgets.SelectMultiple, "Table 1 shows").value = ("age_years", "smoking", "kps")
    columns = [v for _, v in control(page, widgets.SelectMultiple, "Table 1 shows").options]
    columns = [c for c in columns if c in ("age_years", "smoking", "kps")]
    wanted = baseline_table(eligible, by=by, columns=columns, extra_columns=data.extra_columns)
    shown = _table(page, "table_1")
    assert shown.to_numpy().tolist() == wanted.to_numpy().tolist() and list(shown) == list(map(str, wanted))
    drawn = json.loads(_cards(page)["table_1"][0])["data"][0]["x"]
    raw = cohort.table_one(eligible, by=by, columns=columns).drop_duplicates("variable")["smd"].iloc[1:]
    assert drawn == pytest.approx(raw.tolist())


def test_table_one_is_open_and_no_column_chosen_is_a_sentence(page):
    _open(page, "Who they are")
    card = every(page, Card)[0]
    assert card.children[0].opened
    control(page, widgets.SelectMultiple, "Table 1 shows").value = ()
    assert "Choose at least one characteristic" in card.children[1].value
    assert card.children[0].layout.display == "none"


def test_centres_and_accrual_add_up_to_the_patients(page, eligible):
    _open(page, "Who they are")
    shown = _table(page, "centres")
    assert shown["n"].tolist() == eligible["centre"].value_counts().sort_index().tolist()
    parts = ["n_positive", "n_negative", "n_unlabelled", "n_sbrt", "n_no_arm"]
    assert (shown[parts].sum(axis=1) == shown["n"]).all()
    wanted = cohort.accrual(eligible).iloc[1:]
    assert shown["n_lost"].tolist() == wanted["n_lost"].tolist()
    when = _table(page, "accrual")
    counts = eligible["treatment_year"].value_counts()
    assert {y: n for y, n in zip(when["year"], when["All centres"], strict=True) if n} == counts.to_dict()


def test_missing_follow_up_and_reference_standard_are_the_librarys(page, folder, eligible, data):
    _open(page, "What is known")
    predictors = [n for n in load_study(folder).training.predictors if n in eligible]
    _same(_table(page, "missing"), cohort.missing_by(eligible, columns=predictors))
    _same(_table(page, "follow_up"), analysis.follow_up(eligible, by="centre").table)
    _same(_table(page, "reference_standard"), cohort.reference_standard(eligible))
    reasons = eligible.loc[eligible["onlm"].isna(), "onlm_missing_reason"].value_counts()
    assert dict(_table(page, "no_label").to_numpy().tolist()) == reasons.to_dict()
    control(page, widgets.ToggleButtons, "Missing values of").value = "every"
    every, _ = missing_where_asked(eligible, extra_columns=data.extra_columns)
    some = every[(every["group"] == "all") & (every["n_missing"] > 0)]["column"]
    _same(_table(page, "missing"), every[every["column"].isin(some)])


def test_no_patient_is_named_anywhere_on_a_shared_page(folder, data, monkeypatch):
    monkeypatch.setenv(served.SHARED, "1")
    sent = _everything(app.cohort(folder))
    assert not [p for p in data.patients["patient_id"] if p in sent and p != NASTY]
    assert "study.toml does not let pages list patients" in sent


@pytest.mark.parametrize("shared", ["", "1"])
def test_patients_are_listed_to_their_owner_and_to_others_where_the_study_allows_it(
    folder, tmp_path, screening, monkeypatch, shared
):
    monkeypatch.setenv(served.SHARED, shared)
    page = app.cohort(_copy(folder, tmp_path, toml="patient_pages = true") if shared else folder)
    _same(_table(page, "undetermined"), undetermined_table(screening.undetermined, rules=screening.rules))
    control(page, widgets.Dropdown, "Rule, centre by centre").value = "consent"
    who = screening.status.loc[screening.status["first_rule"] == "consent", "patient_id"]
    shown = _table(page, "patients_left_out")
    assert shown["patient_id"].tolist() == who.tolist() and shown["reason"].notna().all()
    assert "does not let pages list" not in html_of(page)


def test_names_that_are_html_show_as_text_everywhere(folder, monkeypatch):
    for shared in ("", "1"):
        monkeypatch.setenv(served.SHARED, shared)
        page = app.cohort(folder)
        for tab in TABS:
            _open(page, tab)
            assert "<img" not in html_of(page)
            assert not [c for c in every(page, Card) if "<img" in c.children[0].figure]


def test_a_rule_at_which_nobody_left_is_a_sentence_in_the_list(folder, tmp_path):
    page = app.cohort(_copy(folder, tmp_path, toml="patient_pages = true", clinical=lambda t: t.assign(consent="yes")))
    control(page, widgets.Dropdown, "Rule, centre by centre").value = "consent"
    assert any("No patient was left out at this rule" in c.children[1].value for c in every(page, Card))


def test_where_nobody_is_eligible_the_cards_say_so_and_everyone_can_be_described(folder, tmp_path):
    page = app.cohort(_copy(folder, tmp_path, clinical=lambda t: t.assign(consent="no")))
    for tab in ("Who they are", "What is known"):
        _open(page, tab)
        assert all("None of the 300 patients is eligible" in c.children[1].value for c in every(page, Card))
    control(page, widgets.ToggleButtons, "Patients described").value = "everyone"
    assert not [c for c in every(page, Card) if "onlm-error" in c.children[1].value]


def test_a_study_without_follow_up_surgery_or_years_says_so_in_its_cards(folder, tmp_path):
    def bare(table):
        return table.assign(treatment="sbrt", pathological_n="", nodes_examined="", treatment_year="")

    place = _copy(folder, tmp_path, clinical=bare)
    path = place / "study.toml"
    path.write_text(path.read_text(encoding="utf-8").replace("[data]", '[data]\nfollowup = ""', 1), encoding="utf-8")
    page = app.cohort(place)
    _open(page, "Who they are")
    control(page, widgets.ToggleButtons, "Patients described").value = "everyone"
    assert "No year of treatment is recorded" in html_of(page)
    _open(page, "What is known")
    assert "There is no patient of the surgery arm" in html_of(page) and "Traceback" not in html_of(page)


def test_a_faulty_study_an_empty_one_and_none_are_sentences(folder, tmp_path, monkeypatch):
    faulty = app.cohort(_copy(folder, tmp_path, clinical=lambda t: t.assign(age_years="old")))
    assert "age_years" in html_of(faulty) and "onlm-error" in html_of(faulty)
    shutil.rmtree(tmp_path / "copy")
    empty = app.cohort(_copy(folder, tmp_path, clinical=lambda t: t.iloc[:0]))
    assert "onlm-error" in html_of(empty) and "Traceback" not in html_of(empty)
    (tmp_path / "nothing").mkdir()
    assert "onlm-error" in html_of(app.cohort(tmp_path / "nothing"))
    monkeypatch.delenv(served.VARIABLE, raising=False)
    assert "No study was named" in html_of(app.cohort())


def test_a_run_leads_to_its_study_and_what_is_served_is_found(folder, tmp_path, monkeypatch):
    place = _copy(folder, tmp_path)
    run = place / "runs" / "run-1"
    run.mkdir(parents=True)
    for named in (Run(run), run, load_study(place), place / "study.toml"):
        assert set(_cards(app.cohort(named))) == TABS["Who is in"]
    monkeypatch.setenv(served.VARIABLE, served.variable([run]))
    assert set(_cards(app.cohort())) == TABS["Who is in"]


def test_of_locked_patients_no_label_is_counted(folder, tmp_path):
    place = _copy(folder, tmp_path)
    path = place / "study.toml"
    path.write_text(path.read_text(encoding="utf-8") + "\n[split]\nlocked_fraction = 0.3\n", encoding="utf-8")
    page = app.cohort(place)
    study = load_study(place)
    data = cohort.load_cohort(study)
    patients, closed = parted(data.patients, study=study)
    assert closed and closed in html_of(page)
    known = int(patients["onlm"].notna().sum())
    assert known < int(data.patients["onlm"].notna().sum())
    control(page, widgets.FloatSlider, "Least KPS").value = 60.0
    shown = _table(page, "what-if").set_index("value").loc[70.0]
    status = cohort.screen(data, study.protocol).status["status"] == "eligible"
    assert shown["n_labelled"] == int(patients.loc[status.to_numpy(), "onlm"].notna().sum())
