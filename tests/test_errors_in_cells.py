"""An error of ours in a notebook's cell: its sentence and the line of the cell, no frames, nothing of the patients."""

from __future__ import annotations

import warnings

import nbformat
import pytest

from onlm_lab.errors import DEBUG, DataError, OnlmError, SeriesError

NAME = "DOE^JANE"
SETUP = f"""
import pandas as pd
from onlm_lab import analysis
rows = pd.DataFrame({{"patient_id": ["{NAME}"] * 3, "risk": [0.1, 0.2, 0.3]}})
"""
FAILING = "first = 1\nanalysis.roc(rows)\nlast = 2"


def ran(*cells: str, env: dict[str, str] | None = None) -> list[dict]:
    """What the last of some cells put out, in a real kernel."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of jupyter's own packages, not of ours
        from nbclient import NotebookClient

        head = [f"import os; os.environ.update({env!r})"] if env else []
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in (*head, *cells)])
        NotebookClient(notebook, timeout=120, kernel_name="python3", allow_errors=True).execute()
    return notebook.cells[-1].outputs


def test_an_error_in_a_cell_is_its_sentence_and_the_line_of_the_cell_that_met_it(monkeypatch):
    monkeypatch.delenv(DEBUG, raising=False)
    (error,) = ran(SETUP, FAILING)
    assert error.output_type == "error" and error.ename == "OnlmError"
    shown = error.traceback
    assert len(shown) == 3, shown
    assert shown[0].startswith("OnlmError: rows: column 'onlm' not found among patient_id, risk")
    assert shown[1] == "In line 2 of the cell: analysis.roc(rows)"
    assert DEBUG in shown[2]
    text = "\n".join(shown)
    assert "Traceback" not in text and ".py" not in text and NAME not in text


def test_the_whole_traceback_comes_back_for_whoever_asks_for_it():
    (error,) = ran(SETUP, FAILING, env={DEBUG: "1"})
    text = "\n".join(error.traceback)
    assert text.startswith("Traceback (most recent call last)") and "discrimination.py" in text
    assert "rows: column 'onlm' not found" in text and NAME not in text


def test_the_cell_after_it_runs_on():
    (stream,) = ran(SETUP, FAILING, "print('on')")
    assert stream.text == "on\n"


def test_a_list_of_faults_keeps_a_line_for_each():
    error = DataError(["clinical.csv: one", "clinical.csv: two"])
    assert error._render_traceback_()[0] == "DataError: clinical.csv: one\nclinical.csv: two"


@pytest.mark.parametrize("kind", [OnlmError, SeriesError])
def test_an_error_that_met_no_cell_names_no_line(kind, monkeypatch):
    monkeypatch.delenv(DEBUG, raising=False)
    with pytest.raises(OnlmError) as met:
        raise kind("nothing is there")
    assert met.value._render_traceback_() == [
        f"{kind.__name__}: nothing is there",
        f"({DEBUG}=1 shows the whole traceback)",
    ]


def test_ipython_alone_shows_it_the_same_way(monkeypatch, capsys):
    from IPython.core.interactiveshell import InteractiveShell

    monkeypatch.delenv(DEBUG, raising=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        shell = InteractiveShell()
        shell.run_cell("from onlm_lab.errors import OnlmError\nsecret = 'DOE^JANE'\nraise OnlmError('wanted a study')")
    out = capsys.readouterr().out
    assert "OnlmError: wanted a study" in out and "In line 3 of the cell: raise OnlmError('wanted a study')" in out
    assert "Traceback" not in out and "secret" not in out
