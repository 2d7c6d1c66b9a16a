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

SECTIONS = ("design", "participants", "missing_values", "table_one_section")


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Run:
    return write_run(tmp_path_factory.mktemp("made") / "run")


def _page(run: Run, tmp_path, patients: pd.DataFrame) -> str:
    """Those sections of a run whose patients were changed."""
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


def _screened(folder) -> None:
    """What a screening of four patients in two centres left; one centre is called what a table calls its own column."""
    folder.mkdir(parents=True)
    flow = [("all", "adult", 4, 1, 0, 3), ("all", "kps", 3, 0, 2, 1), ("Rule", "adult", 2, 1, 0, 1),
            ("Rule", "kps", 1, 0, 0, 1), ("<b>S", "adult", 2, 0, 0, 2), ("<b>S", "kps", 2, 0, 2, 0)]  # fmt: skip
    columns = ["centre", "rule", "n_in", "n_excluded", "n_undetermined", "n_left"]
    text = {"adult": "Adult", "kps": "Fit"}
    table = pd.DataFrame(flow, columns=columns).assign(text=lambda t: t["rule"].map(text))
    table.to_csv(folder / "flow.csv", index=False)
    pd.DataFrame(
        {
            "patient_id": ["P1", "P2", "P2"],
            "rule": ["kps", "kps", "adult"],
            "missing": ["kps, ecog", "kps", "age_years"],
        }
    ).to_csv(folder / "undetermined.csv", index=False)
    pd.DataFrame({"patient_id": ["P1", "P2", "P1"], "what": ["clinical T", "clinical T", "ECOG against KPS"],
                  "recorded": "T1a", "derived": "T4", "matters": [1, 0, 0]}).to_csv(
        folder / "disagreements.csv", index=False
    )  # fmt: skip
    pd.DataFrame(
        {
            "name": ["adult"],
            "text": ["Adult"],
            "source": ["Our board <i>"],
            "version": ["2.10"],
            "passes": ["age_years >= 18"],
            "inputs": ["age_years"],
        }
    ).to_csv(folder / "rules.csv", index=False)


def test_what_screening_left_stands_behind_the_flow_as_counts_and_of_no_patient_by_name(run, tmp_path):
    _screened(tmp_path / "work")
    page = _page(run, tmp_path, run.patients)
    text = _words(page)
    assert "Excluded at each rule, by centre. Rule <b>S Rule All centres Adult 0 1 1" in text
    assert "Undetermined at each rule, by centre. Rule <b>S Rule All centres Fit 2 0 2" in text
    assert "To look up for the 2 patients whose eligibility is undetermined." in text
    assert "KPS 2 0" in text and "Age (years) 1 0" in text and "ECOG 1 0" in text
    assert "To be looked at again: 2 patients with records that disagree." in text
    assert "Clinical T 2 1" in text and "ECOG against KPS 1 0" in text
    assert (
        "The 1 rule of the protocol as applied." in text
        and "Adult age_years >= 18 Age (years) Our board <i> 2.10" in text
    )
    assert "T1a" not in text and "T4" not in text and "<i>" not in page.split("</style>")[1]


def test_a_screening_that_left_nothing_open_has_no_such_tables(run, tmp_path):
    text = _words(_page(run, tmp_path, run.patients))
    assert "To look up for" not in text and "records that disagree" not in text and "as applied" not in text


def test_labels_that_rest_on_few_nodes_are_counted_and_those_kept_locked_are_not(run, tmp_path):
    patients = run.patients.assign(nodes_examined=20.0)
    few = patients.index[patients["onlm"] == 0][:7]
    patients.loc[few, "nodes_examined"] = 3.0
    patients.loc[few[:2], "onlm"] = np.nan  # kept locked: their label is blank in the run
    known = patients["onlm"].value_counts()
    shutil.copytree(run.folder, tmp_path / "run")
    schema.write_table(patients, tmp_path / "run" / "patients.csv")
    toml = (tmp_path / "run" / "study.toml").read_text() + "\n[label]\nmin_nodes = 10\n"
    (tmp_path / "run" / "study.toml").write_text(toml)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(write, "SECTIONS", tuple(b for b in write.SECTIONS if b.__name__ == "reference_standard"))
        text = _words(write_report(Run(tmp_path / "run"), work=tmp_path / "work").read_text(encoding="utf-8"))
    assert f"Label Patients N+ {known[1]} N0 {known[0] - 5} N0 uncertain 5" in text
    assert "N0 uncertain: fewer than 10 nodes known to be examined 5" in text


def test_table_one_says_of_whom_nothing_later_is_shown(run, tmp_path):
    patients = run.patients
    closed = patients.index[patients["onlm"].notna()][:3]
    assert "locked for testing" not in _words(_page(run, tmp_path / "open", patients))
    patients.loc[closed, "onlm"] = np.nan
    patients.loc[closed, "onlm_missing_reason"] = "locked test set, not opened"
    text = _words(_page(run, tmp_path / "shut", patients))
    assert "3 patients of this run are locked for testing: what became known of them after treatment counts" in text
