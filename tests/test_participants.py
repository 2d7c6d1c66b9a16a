"""The report's sections on participants: follow-up by centre, what is missing where, development against testing."""

from __future__ import annotations

import base64
import html
import json
import re
import shutil

import numpy as np
import pandas as pd
import pytest
from made_run import write_run

from onlm_lab import analysis, schema
from onlm_lab.report import write, write_report
from onlm_lab.runs import Run

SECTIONS = ("participants", "missing_values", "table_one_section")


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Run:
    return write_run(tmp_path_factory.mktemp("made") / "run")


def _page(run: Run, tmp_path, patients: pd.DataFrame) -> str:
    """Those three sections of a run whose patients were changed."""
    shutil.copytree(run.folder, tmp_path / "run")
    schema.write_table(patients, tmp_path / "run" / "patients.csv")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(write, "SECTIONS", tuple(b for b in write.SECTIONS if b.__name__ in SECTIONS))
        return write_report(Run(tmp_path / "run"), work=tmp_path / "work").read_text(encoding="utf-8")


def _words(page: str) -> str:
    return " ".join(html.unescape(re.sub(r"<script.*?</script>|<[^>]*>", " ", page, flags=re.DOTALL)).split())


def test_follow_up_is_told_by_centre_with_the_numbers_of_the_analysis(run, tmp_path):
    text = _words(_page(run, tmp_path, run.patients)).split("Follow-up: median")[1]
    found = analysis.follow_up(run.patients, by="centre").table
    for row in found.itertuples():
        cell = f"{row.median_days / 365.25:.1f} ({row.low / 365.25:.1f} to {row.high / 365.25:.1f})"
        name = "All centres" if row.group == "all" else row.group
        assert f"{name} {row.n} {row.n_deaths} {cell}" in text


def test_missing_predictors_are_drawn_by_centre_and_names_from_data_stay_text(run, tmp_path):
    patients = run.patients
    name = next(n for n in run.study.training.predictors if n in patients and patients[n].dtype == float)
    lost = patients.index[patients["centre"] == "East"][:10]
    patients.loc[lost, name] = np.nan
    page = _page(run, tmp_path, patients)
    drawn = re.search(r'<figure id="fig-missing">.*?<script type="application/json">(.*?)</script>', page, re.DOTALL)
    figure = json.loads(drawn.group(1))
    packed = figure["data"][0]["customdata"]
    counts = np.frombuffer(base64.b64decode(packed["bdata"]), dtype=packed["dtype"])
    counts = counts.reshape([int(n) for n in packed["shape"].split(",")])
    assert "<img" not in drawn.group(1) and any("East" in t for t in figure["layout"]["xaxis"]["ticktext"])
    assert counts[:, 0].sum() == 10 and counts[:, 1:].sum() == 10 and (counts[:, 1:].max(axis=0) > 0).sum() == 1
    assert "fig-missing" not in _page(run, tmp_path / "whole", run.patients)


def test_without_follow_up_the_report_says_so(run, tmp_path):
    patients = run.patients.drop(columns=[c for c in run.patients if c.startswith("os_")])
    assert "Follow-up is not shown: endpoint 'os' needs the columns" in _words(_page(run, tmp_path, patients))


def test_development_stands_against_testing_where_patients_were_held_out(run, tmp_path):
    patients = run.patients
    assert "Table 1c" not in _words(_page(run, tmp_path / "none", patients))
    patients["part"] = np.where(patients["centre"] == "East", "external", "development")
    text = _words(_page(run, tmp_path, patients)).split("Table 1c.")[1]
    counts = patients["part"].value_counts()
    assert f"Patients {len(patients)} {counts['development']} {counts['external']}" in text
