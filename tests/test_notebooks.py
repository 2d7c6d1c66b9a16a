"""The notebooks run from top to bottom on a small trial, say what they must, and keep their cells short."""

from __future__ import annotations

import re
import shutil
import warnings
from pathlib import Path

import jupytext
import pytest

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"
LONGEST_CELL = 10
TABLE = "nsclc_radiogenomics"


def executed(name: str, *, folder: Path) -> list[dict]:
    """The cells of a notebook after a fresh kernel ran them all in `folder`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of jupyter's own packages, not of ours
        from nbclient import NotebookClient

        notebook = jupytext.read(NOTEBOOKS / name)
        paths = {"metadata": {"path": str(folder)}}
        NotebookClient(notebook, timeout=900, kernel_name="python3", resources=paths).execute()
    return notebook.cells


def outputs(cells: list[dict]) -> list[dict]:
    return [output for cell in cells if cell.cell_type == "code" for output in cell.outputs]


def said(cells: list[dict]) -> str:
    """All text that the cells put out."""
    parts = []
    for output in outputs(cells):
        parts += [output.get("text", ""), output.get("data", {}).get("text/plain", "")]
    return "\n".join(parts)


def drawn(cells: list[dict]) -> list[dict]:
    """The plotly figures that the cells put out."""
    kind = "application/vnd.plotly.v1+json"
    return [o["data"][kind] for o in outputs(cells) if kind in o.get("data", {})]


@pytest.mark.parametrize("path", sorted(NOTEBOOKS.glob("*.py")), ids=lambda p: p.name)
def test_no_cell_is_longer_than_ten_lines_and_every_one_follows_a_word(path):
    cells = jupytext.read(path).cells
    assert cells[0].cell_type == "markdown"
    for cell in cells:
        if cell.cell_type == "code":
            assert len([line for line in cell.source.splitlines() if line.strip()]) <= LONGEST_CELL, cell.source
    first = cells[0].source
    assert "MADE-UP DATA" in first or "Surrogate" in first
    assert "Research use only" in first


def test_the_quickstart_runs_from_top_to_bottom_on_a_made_up_trial(alone_with_trial, tmp_path, monkeypatch):
    trial = alone_with_trial
    monkeypatch.setenv("ONLM_DEMO", str(trial))
    before = (trial / "work" / "steps" / "train.json").stat().st_mtime_ns
    cells = executed("01_quickstart.py", folder=tmp_path)
    text = said(cells)
    assert (trial / "work" / "steps" / "train.json").stat().st_mtime_ns == before, "what was done is done again"
    assert text.count("nothing changed, kept") == 6
    figures = drawn(cells)
    assert len(figures) == 10
    for figure in figures:
        marks = [a["text"] for a in figure["layout"].get("annotations", ())] + [figure["layout"]["title"]["text"]]
        assert any("MADE-UP DATA" in mark for mark in marks), figure["layout"]["title"]
    assert "oracle_full" in text and "of a random N+ and a random N0 patient" in text
    assert any("application/vnd.jupyter.widget-view+json" in o.get("data", {}) for o in outputs(cells))
    assert "report.html" in text


def test_the_real_tables_notebook_shows_its_counts_its_licence_and_its_limits(shared_data, tmp_path, monkeypatch):
    table = next(shared_data(TABLE).glob("*.csv"))
    monkeypatch.setenv("ONLM_RADIOGENOMICS", str(table))
    monkeypatch.setenv("ONLM_RADIOGENOMICS_STUDY", "study")
    cells = executed("08_real_table.py", folder=tmp_path)
    text = said(cells)
    assert "CC BY 3.0" in text and "10.7937/K9/TCIA.2017.7hs46erv" in text
    assert "23 N+ of 116" in text and "Warning" not in text
    flow = next(
        o["data"]["text/plain"] for o in outputs(cells) if "pt1a_to_pt2a" in o.get("data", {}).get("text/plain", "")
    )
    assert [word for word in ("211", "162", "116") if word not in flow] == []
    counts = next(
        o["data"]["text/plain"] for o in outputs(cells) if "recurred" in o.get("data", {}).get("text/plain", "")
    )
    assert counts.split()[-6:] == ["N0", "17", "93", "N+", "9", "23"]
    nodes = next(
        o["data"]["text/plain"] for o in outputs(cells) if "N0    129" in o.get("data", {}).get("text/plain", "")
    )
    assert nodes.split()[1:7] == ["N0", "129", "N2", "18", "N1", "15"]
    alive = next(line for line in text.splitlines() if line.startswith("Alive at 3 years, found N+: lifelines"))
    assert len(set(re.findall(r"0\.\d{6}", alive))) == 1, alive
    assert "211 patients, 40 columns" in text and "33 entries without a place, 40 contradictions" in text
    assert "116 eligible, 0 excluded, 0 undetermined" in text
    assert "116 labelled patients of development, 23 N+" in text and "not enough" in text
    low, high = map(float, re.search(r"in \d+ of 100 pairs \(95 % interval (\d+) to (\d+);", text).groups())
    assert low < 50 < high, "the notebook's conclusion is that the model does not separate"
    words = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    assert "Surrogate" in words and "Partly post-operative" in words
    page = next((tmp_path / "study" / "runs").glob("*/report.html")).read_text(encoding="utf-8").replace("\xa0", " ")
    head = page.split("</style>")[1].split("<nav")[0]
    assert "surrogate" in head and "Partly post-operative" in head and "CC BY 3.0" in head
    assert "MADE-UP" not in page.split("</style>")[1].split("<script>")[0]
    assert '<td class="short">17 of 93 (18 %)</td><td class="short">9 of 23 (39 %)</td>' in page


@pytest.mark.slow
def test_the_associations_notebook_counts_its_tests_and_says_what_they_are_not(shared_data, tmp_path, monkeypatch):
    table = next(shared_data(TABLE).glob("*.csv"))
    monkeypatch.setenv("ONLM_RADIOGENOMICS", str(table))
    monkeypatch.setenv("ONLM_RADIOGENOMICS_STUDY", "study")
    cells = executed("10_associations.py", folder=tmp_path)
    text = said(cells)
    assert "116 patients, 23 N+" in text and "CC BY 3.0" in text
    assert "0 of 5 markers go with the score at a false discovery rate of 5 %" in text
    assert "fewer than 5 patients in a level" in text and "associations, not mechanisms" in text
    lvi = re.search(r"Lymphovascular invasion: odds ratio of N\+ (\S+) \((\S+) to .*; 111 patients, 22 N\+", text)
    assert float(lvi[1]) == pytest.approx((8.5 * 83.5) / (14.5 * 6.5), abs=0.05) and float(lvi[2]) > 1
    effects, odds = drawn(cells)
    assert "With which markers" in effects["layout"]["title"]["text"] and odds["layout"]["xaxis"]["type"] == "log"
    labels = " ".join(effects["layout"]["yaxis"]["ticktext"])
    assert [
        word for word in ("19 : 70, 27 missing", "21 : 66", "2 : 85", "14 : 97", "25 : 90") if word not in labels
    ] == []
    words = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    assert [w for w in ("Surrogate", "Partly post-operative", "Exploratory", "not mechanism") if w not in words] == []


@pytest.mark.parametrize("notebook", ["08_real_table.py", "10_associations.py"])
def test_without_the_table_the_notebook_says_where_to_get_it(notebook, tmp_path, monkeypatch):
    from nbclient.exceptions import CellExecutionError

    monkeypatch.setenv("ONLM_RADIOGENOMICS", str(tmp_path / "elsewhere.csv"))
    with pytest.raises(
        CellExecutionError, match=r"elsewhere\.csv is not here.*doi\.org/10\.7937/K9/TCIA\.2017\.7hs46erv"
    ):
        executed(notebook, folder=tmp_path)
    assert not shutil.os.listdir(tmp_path)


def test_the_outcomes_notebook_tells_of_sbrt_of_immortal_time_and_of_no_effect(tmp_path):
    cells = executed("06_outcomes.py", folder=tmp_path)
    text = said(cells)
    low, high, ratio, least = (
        float(x) for x in re.search(
            r"SBRT, regional recurrence by 3 years: (\d+)% at low risk, (\d+)% at high risk\.\nGray P = \S+; "
            r"subdistribution hazard ratio (\S+) \((\S+) to", text
        ).groups()
    )  # fmt: skip
    assert low < 10 and high > 2 * low and ratio > 2 and least > 1
    assert float(re.search(r"Gray P = (\S+);", text)[1]) < 0.001
    by_group = re.findall(r"(low|high) risk: hazard ratio (\S+) \((\S+) to (\S+)\)", text)
    assert [g[0] for g in by_group] == ["low", "high"] and float(by_group[1][1]) > float(by_group[0][1])
    assert "immortal time" in text and "landmark(rows, day=180" in text
    naive = re.search(r"Naive: hazard ratio (\S+) \((\S+) to (\S+)\), P = (\S+)", text)
    assert float(naive[3]) < 1 and float(naive[4]) < 0.05
    fair = re.search(r"Landmark day 180: hazard ratio (\S+) \((\S+) to (\S+)\), P = (\S+)", text)
    assert float(fair[2]) < 1 < float(fair[3]) and float(fair[4]) > 0.05
    figures = drawn(cells)
    assert len(figures) == 7
    for figure in figures:
        assert any("MADE-UP DATA" in a["text"] for a in figure["layout"]["annotations"])
    told = [f for f in figures if any("Observational comparison" in a["text"] for a in f["layout"]["annotations"])]
    assert len(told) == 5
