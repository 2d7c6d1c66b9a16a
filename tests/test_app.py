"""The performance page as a widget: one object, built lazily, safe against what data may hold."""

from __future__ import annotations

import ast
import json
import shutil
import subprocess
import sys
from pathlib import Path

import ipywidgets as widgets
import numpy as np
import pandas as pd
import pytest
from made_run import NASTY, write_run
from page_parts import control, every, html_of

from onlm_lab import analysis, app, served
from onlm_lab.app.figure_view import FigureView, plotly_bundle, table_json
from onlm_lab.app.shell import Card, sentence_html
from onlm_lab.errors import OnlmError
from onlm_lab.panels import patients

DASHBOARDS = sorted((Path(__file__).resolve().parents[1] / "dashboards").glob("*.ipynb"))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return write_run(tmp_path_factory.mktemp("app") / "run", n_surgery=160, n_sbrt=60)


@pytest.fixture
def page(run):
    return app.performance(run)


def _open(page, tab):
    next(w for w in every(page, widgets.ToggleButtons) if "Subgroups" in str(w.options)).value = tab


def _figures(page):
    return {c.children[0].name: json.loads(c.children[0].figure) for c in every(page, Card) if c.children[0].figure}


def test_the_header_names_the_study_and_wears_both_marks(page):
    text = html_of(page)
    assert "A made-up study" in text and "Research use only" in text and "MADE-UP DATA" in text


def test_a_study_of_real_data_does_not_say_made_up(tmp_path):
    real = app.performance(write_run(tmp_path / "run", made_up=False, name="A real table", n_surgery=80, n_sbrt=20))
    assert "MADE-UP DATA" not in html_of(real) and "Research use only" in html_of(real)
    assert all("MADE-UP" not in json.dumps(f) for f in _figures(real).values())


def test_three_models_are_drawn_at_first_and_a_baseline_when_it_is_chosen(run, tmp_path):
    copy = tmp_path / "run"
    shutil.copytree(run.folder, copy)
    rows = pd.read_csv(copy / "predictions.csv", dtype={"patient_id": str})
    more = [rows[rows["model_id"] == "clinical"].assign(model_id=name) for name in ("logistic", "boosting")]
    pd.concat([rows, *more]).to_csv(copy / "predictions.csv", index=False)
    page = app.performance(copy)

    def curves():
        return {t["name"].split(":")[0] for t in _figures(page)["roc"]["data"] if "AUC" in (t.get("name") or "")}

    assert curves() == {"fused", "clinical", "image"}
    chosen = control(page, widgets.SelectMultiple, "Models in the figures")
    assert [label for label, _ in chosen.options] == ["fused", "clinical", "image", "logistic", "boosting"]
    chosen.value = ("fused", "boosting")
    assert curves() == {"fused", "boosting"}


def test_a_tab_is_built_when_it_is_first_opened(page):
    assert set(_figures(page)) == {
        "roc", "calibration", "operating_point", "decision_curve", "auc_differences", "hundred_patients",
    }  # fmt: skip
    _open(page, "Subgroups")
    assert set(_figures(page)) == {"subgroups"}
    _open(page, "Outcomes")
    assert set(_figures(page)) == {"regional_surgery", "regional_sbrt", "regional_surgery_hazard",
                                   "regional_sbrt_hazard"}  # fmt: skip


def test_every_figure_has_traces_a_table_and_words_for_a_screen_reader(page):
    for tab in ("Performance", "Subgroups", "Centres", "Fairness", "Outcomes"):
        _open(page, tab)
        for card in every(page, Card):
            view = card.children[0]
            assert (
                (view.page or json.loads(view.figure)["data"]) and json.loads(view.table)["rows"] and view.description
            )


def test_moving_the_threshold_moves_tiles_and_figures_and_the_way_back_restores_the_studys_own(page, run):
    before, drawn = html_of(page), _figures(page)
    slider = control(page, widgets.FloatSlider, "Threshold")
    slider.value = 20.0
    point = analysis.operating_point(patients.tested(run.rows()), model="fused", threshold=0.2)
    assert f"{point.n_tp} of {point.n_tp + point.n_fn} N+ found" in html_of(page)
    assert _figures(page)["operating_point"] != drawn["operating_point"]
    assert _figures(page)["calibration"] == drawn["calibration"]
    control(page, widgets.ToggleButton, "Threshold").value = True
    assert html_of(page) == before and _figures(page) == drawn
    own = run.rows().query("model_id == 'fused'")["threshold"].median()
    assert slider.value == pytest.approx(100 * own, abs=0.06), "the slider names a threshold that no longer holds"


def test_another_model_changes_the_tiles_and_the_figures(page, run):
    before = _figures(page)
    control(page, widgets.Dropdown, "Model").value = "clinical"
    point = analysis.operating_point(patients.tested(run.rows()), model="clinical")
    assert f"{point.n_tp} of {point.n_tp + point.n_fn} N+ found" in html_of(page)
    assert _figures(page)["operating_point"] != before["operating_point"]


def test_choosing_an_arm_hides_the_other(page):
    _open(page, "Outcomes")
    control(page, widgets.ToggleButtons, "Arm").value = "sbrt"
    shown = {c.children[0].name for c in every(page, Card) if c.layout.display != "none"}
    assert shown == {"regional_sbrt", "regional_sbrt_hazard"}


def test_a_threshold_that_leaves_a_few_patients_in_a_group_takes_the_curve_away_and_says_why(page, run):
    _open(page, "Outcomes")
    rows = run.rows()
    sbrt = rows[(rows["model_id"] == "fused") & (rows["arm"] == "sbrt")]["risk"]
    slider = control(page, widgets.FloatSlider, "Threshold")
    few = next(t for t in np.arange(0.5, slider.max, 0.5) if 0 < (sbrt < t / 100).sum() < 10)
    slider.value = float(few)
    cards = [c for c in every(page, Card) if "SBRT arm: by risk" in c.children[1].value]
    assert "fewer than 10 are not drawn" in cards[0].children[1].value
    assert cards[0].children[0].layout.display == "none"


def test_choosing_an_endpoint_redraws_and_survival_takes_the_place_of_incidence(page):
    _open(page, "Outcomes")
    control(page, widgets.Dropdown, "Endpoint").value = "os"
    assert "os_surgery" in _figures(page) and "Overall survival" in json.dumps(_figures(page)["os_surgery"])


def test_no_column_chosen_is_a_sentence_and_the_old_figure_goes(page):
    _open(page, "Subgroups")
    control(page, widgets.SelectMultiple, "Divide patients by").value = ()
    card = every(page, Card)[0]
    assert "Choose at least one column" in card.children[1].value
    assert card.children[0].layout.display == "none"


def test_names_that_are_html_show_as_text_everywhere(page):
    for tab in ("Performance", "Subgroups", "Outcomes"):
        _open(page, tab)
        assert "<img" not in html_of(page)
        assert all("<img" not in json.dumps(f) for f in _figures(page).values())
    assert sentence_html(f"Patient {NASTY} is unknown.").count("&lt;img") == 1


def test_a_run_that_is_not_there_is_a_sentence_on_the_page(tmp_path):
    page = app.performance(tmp_path)
    assert "holds no run" in html_of(page) and "Traceback" not in html_of(page)


def test_without_a_run_the_page_says_how_to_name_one(monkeypatch):
    monkeypatch.delenv(served.VARIABLE, raising=False)
    assert "No run was named" in html_of(app.performance())


def test_the_served_run_is_found_without_an_argument(run, monkeypatch):
    monkeypatch.setenv(served.VARIABLE, served.variable([run.folder]))
    assert "A made-up study" in html_of(app.performance())


def test_a_card_that_fails_for_a_user_says_why_and_recovers():
    state = {"n": 0}

    def build():
        state["n"] += 1
        raise OnlmError("Too few patients <5>.")

    card = Card(build, key=lambda: state["n"] > 5)
    card.refresh()
    assert "Too few patients &lt;5&gt;." in card.children[1].value
    card.refresh()
    assert state["n"] == 1, "a refusal is not asked again until the choice changes"


def test_a_card_that_breaks_does_not_leave_an_old_figure_standing():
    def build():
        raise ZeroDivisionError

    card = Card(build, key=lambda: 1)
    with pytest.raises(ZeroDivisionError):
        card.refresh()
    assert "could not be computed" in card.children[1].value and card.children[0].layout.display == "none"


def test_a_table_reaches_the_page_with_missing_as_null_and_text_as_text():
    table = pd.DataFrame({"a": [1.5, float("nan")], "b": [NASTY, None], "c": [float("inf"), 2]})
    assert json.loads(table_json(table)) == {
        "columns": ["a", "b", "c"], "rows": [[1.5, NASTY, "inf"], [None, None, 2.0]],
    }  # fmt: skip


def test_without_a_served_bundle_the_kernel_sends_plotly(monkeypatch):
    monkeypatch.delenv("ONLM_PLOTLY", raising=False)
    view = FigureView()
    sent = []
    monkeypatch.setattr(FigureView, "send", lambda self, content, buffers=None: sent.append((content, buffers)))
    view._handle_custom_msg({"kind": "plotly"}, [])
    assert sent[0][0] == {"kind": "plotly"} and sent[0][1][0] == plotly_bundle().read_bytes()


def test_nothing_of_the_page_names_another_host():
    for name in ("figure_view.js", "figure_view.css", "page.css"):
        assert "http" not in (Path(app.__file__).parent / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda p: p.name)
def test_a_dashboard_is_at_most_four_code_cells_without_outputs_or_logic(path):
    cells = [c for c in json.loads(path.read_text(encoding="utf-8"))["cells"] if c["cell_type"] == "code"]
    assert 1 <= len(cells) <= 4
    assert all(c["outputs"] == [] and c["execution_count"] is None for c in cells)
    banned = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef, ast.If, ast.IfExp, ast.For, ast.While,
              ast.BinOp, ast.AugAssign, ast.comprehension, ast.Try)  # fmt: skip
    for cell in cells:
        assert not [n for n in ast.walk(ast.parse("".join(cell["source"]))) if isinstance(n, banned)]


def test_there_is_a_dashboard():
    assert {p.name for p in DASHBOARDS} >= {"cohort.ipynb", "outcomes.ipynb", "performance.ipynb"}


def test_the_dashboards_kernel_imports_neither_torch_nor_dicom_nor_grammars(run):
    cells = [c for path in DASHBOARDS for c in json.loads(path.read_text(encoding="utf-8"))["cells"]]
    code = "\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "code")
    code += (
        "\nimport sys\nbad = {'torch', 'timm', 'pydicom', 'SimpleITK', 'lark', 'rfc3987_syntax', 'skimage'}"
        "\nprint(sorted(bad & set(sys.modules)))"
    )
    import os

    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | {served.VARIABLE: served.variable([run.folder])},
        capture_output=True, text=True,
        check=True, timeout=120,
    )  # fmt: skip
    assert done.stdout.strip().splitlines()[-1] == "[]", done.stdout
