"""The report says who was held out, what the model does in each set, and how often the locked one was opened."""

from __future__ import annotations

import html
import json
import re

import numpy as np
import pandas as pd
import pytest
from made_run import write_run

from onlm_lab import analysis, runs, steps
from onlm_lab.report.held_out import held_out
from onlm_lab.report.material import gather
from onlm_lab.report.section import Table
from onlm_lab.split_files import write_split


@pytest.fixture
def run(tmp_path):
    """60 patients of other centres, 50 of later years and 40 locked among those of a made-up run."""
    run = write_run(tmp_path / "run")
    patients = run.patients
    part = np.array(["development"] * len(patients), dtype=object)
    part[:60], part[60:110], part[110:150] = "external", "temporal", "locked"
    parts = pd.DataFrame({"patient_id": patients["patient_id"], "part": part})
    folds = run.split[run.split["patient_id"].isin(parts.loc[part == "development", "patient_id"])]
    write_split(run.folder, folds=folds, parts=parts, facts={"seed": 3})
    locked = patients["part"] = part
    truth = patients[["patient_id", "onlm"]][locked == "locked"]
    patients.assign(onlm=patients["onlm"].where(locked != "locked")).to_csv(run.folder / "patients.csv", index=False)
    splits = {"external": "external", "temporal": "external", "locked": "test"}
    by_id = parts.set_index("patient_id")["part"].map(splits)
    rows = pd.read_csv(run.folder / "predictions.csv", dtype={"patient_id": str})
    rows["split"] = rows["patient_id"].map(by_id).fillna(rows["split"])
    rows.loc[rows["split"] != "oof", "fold"] = np.nan
    rows.to_csv(run.folder / "predictions.csv", index=False)
    return runs.Run(run.folder), truth


def open_run(run, truth, *, times):
    openings = [
        {"number": k, "time_utc": f"2026-01-0{k}T00:00:00Z", "purpose": f"look {k} <b>", "by": "", "run_id": "run",
         "sha256": f"{k}" * 64}
        for k in range(1, times + 1)
    ]  # fmt: skip
    truth.to_csv(run.folder / "opened.csv", index=False)
    said = {"predictions_sha256": steps.file_digest(run.folder / "predictions.csv"), "openings": openings}
    (run.folder / "opening.json").write_text(json.dumps(said), encoding="utf-8")


def section_of(run):
    section = held_out(gather(run, work=run.folder / "work"))
    tables = [block for block in section.blocks if isinstance(block, Table)]
    return tables, " ".join(block.text for block in section.blocks if not isinstance(block, Table))


def test_each_held_out_set_has_the_numbers_of_its_own_patients(run):
    run, _ = run
    tables, text = section_of(run)
    assert [t.caption.split(":")[0] for t in tables[1:]] == ["External testing", "Temporal testing"]
    rows = run.rows()
    for shown, part in zip(tables[1:], ("external", "temporal"), strict=True):
        one = rows[(rows["model_id"] == "fused") & (rows["part"] == part)]
        cells = dict(zip(shown.columns, next(r for r in shown.rows if r[0] == "fused"), strict=True))
        auc = analysis.roc(one)
        assert cells["N+ / patients"] == f"{auc.n_events} / {auc.n}"
        assert cells["AUC (95 % interval)"].startswith(f"{auc.auc.value:.2f} (")
    assert "locked test set (40 patients) has not been opened" in text
    assert ("internal testing: locked test set", "40", "all", "not opened") in tables[0].rows


def test_an_opened_set_shows_its_record_and_a_second_opening_is_said_loudly(run):
    run, truth = run
    open_run(run, truth, times=1)
    tables, text = section_of(run)
    assert "Internal testing: locked test set" in tables[1].caption and "has been opened" not in text
    open_run(run, truth, times=2)
    tables, text = section_of(run)
    assert "has been opened 2 times" in text and "no longer an untouched test" in text
    assert [row[2] for row in tables[-1].rows] == ["look 1 <b>", "look 2 <b>"]
    assert tables[0].rows[-1][1:] == ("40", "40", str(int(truth["onlm"].sum())))


def test_without_held_out_patients_the_section_says_so_with_the_hash_of_the_split(tmp_path):
    run = write_run(tmp_path / "run")
    tables, text = section_of(run)
    assert not tables and text.startswith("No patient was held out") and run.dealt.sha256 in text


def test_a_purpose_is_escaped_on_the_page(run):
    from onlm_lab.report import write_report

    run, truth = run
    open_run(run, truth, times=2)
    page = write_report(run, work=run.folder / "work").read_text(encoding="utf-8")
    part = re.search(r'<section id="held-out".*?</section>', page, re.S).group()
    assert "look 1 <b>" not in part and html.escape("look 1 <b>") in part
