"""What a reader meets in a cell: short, escaped, with counts and units, and one line at a prompt."""

from __future__ import annotations

import importlib
import inspect
import math
import re
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from made_run import write_run

from onlm_lab import analysis, patches, runs, showing, virtual
from onlm_lab.cohort import Screening, build_cohort, screen
from onlm_lab.imaging import CtVolume
from onlm_lab.panels.panel import Panel
from onlm_lab.predicting import Drift, Suitability
from onlm_lab.reading_plan import ReadingPlan
from onlm_lab.results import Estimate
from onlm_lab.showing import LONGEST_LINE, MOST_ROWS, Said, shows_itself, table_html, to_html
from onlm_lab.study import Study


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of a made-up study, without CT and without training."""
    return write_run(tmp_path_factory.mktemp("study") / "runs" / "run-1")


SCRIPT = "<script>alert(1)</script>"
ROOMS = (
    "results", "cohort", "imaging", "patches", "predicting", "study", "virtual", "runs", "split_files", "summarising",
    "comparing", "volumes", "launching", "learning.calibrate",
)  # fmt: skip
NAMED = {"reading_plan": ["ReadingPlan"], "readings": ["Readings"], "flags": ["Flags"], "panels.panel": ["Panel"],
         "schema": ["Column"], "learning.published": ["PublishedScore"], "cohort.public_table": ["PublicTable"],
         "cohort.locked": ["Opening"]}  # fmt: skip


def nouns() -> list[type]:
    """Every public class of the rooms that a user calls."""
    found = []
    for room in ROOMS:
        module = importlib.import_module(f"onlm_lab.{room}")
        own = [n for n, v in vars(module).items() if getattr(v, "__module__", "") == module.__name__ and n[0] != "_"]
        found += [v for n in getattr(module, "__all__", own) if inspect.isclass(v := getattr(module, n))]
    found += [getattr(importlib.import_module(f"onlm_lab.{m}"), n) for m, ns in NAMED.items() for n in ns]
    return [cls for cls in dict.fromkeys(found) if not issubclass(cls, Exception)]


def test_every_noun_of_the_public_rooms_shows_itself_in_a_cell():
    assert len(nouns()) > 90
    assert [cls.__name__ for cls in nouns() if not hasattr(cls, "_repr_html_")] == []


def test_every_noun_has_a_repr_of_its_own_and_not_that_of_all_its_fields():
    plain = [cls.__name__ for cls in nouns() if "__create_fn__" in cls.__repr__.__qualname__]
    assert plain == [], "these print every array and table"


def one_line(thing: object) -> str:
    text = repr(thing)
    assert "\n" not in text and len(text) <= LONGEST_LINE, text
    return text


def test_a_study_and_its_run_say_what_they_are_without_a_path(run):
    study = run.study
    assert one_line(study) == f"Study '{study.name}' in '{run.id}'"
    shown = study._repr_html_()
    assert "MADE-UP DATA" in shown and "64 mm" in shown and "1095 days" in shown and "/" not in study.name
    assert str(run.folder.parent) not in shown + run._repr_html_()
    assert one_line(run) == f"Run {run.id} of {study.name}: finished"
    shown = run._repr_html_()
    labelled = int(run.patients["onlm"].notna().sum())
    assert f"<th>patients</th><td>{len(run.patients)}</td>" in shown and f"<td>{labelled}</td>" in shown


def test_a_run_that_cannot_be_read_says_so_instead_of_failing(tmp_path):
    gone = runs.Run(tmp_path / "run-0")
    assert one_line(gone) == "Run that cannot be read"
    assert "study.toml" in gone._repr_html_()


def test_a_run_whose_tables_are_spoilt_says_so_without_a_word_of_them(run, tmp_path):
    spoilt = runs.Run(shutil.copytree(run.folder, tmp_path / "run-2"))
    (spoilt.folder / "patients.csv").write_text('patient_id,centre\n"DOE^JANE,A\n', encoding="utf-8")
    assert one_line(spoilt) == "Run that cannot be read"
    shown = spoilt._repr_html_()
    assert "did not foresee" in shown and "DOE" not in shown


def test_names_from_the_data_are_escaped_wherever_they_stand(run, tmp_path):
    rows = virtual.draw_trial(n_patients=30, n_centres=1, seed=1).clinical.assign(centre=SCRIPT)
    rows.loc[0, "patient_id"] = SCRIPT
    cohort = build_cohort(rows, source=SCRIPT, notes=[SCRIPT])
    study = run.study
    evil = replace(study, study=replace(study.study, name=SCRIPT), folder=tmp_path / SCRIPT.replace("/", ""))
    plan = ReadingPlan(SCRIPT, "oof", {SCRIPT: [SCRIPT]}, (SCRIPT,), 0.2, True, 1, "", "")
    oof = run.rows(split="oof").assign(centre=SCRIPT)
    oof = oof[oof["model_id"] == "clinical"].assign(model_id=SCRIPT)
    columns = ("column", "unit", "train", "new", "smd", "smd_by_chance", "n_outside", "drifted")
    drift = Drift(pd.DataFrame([dict.fromkeys(columns, SCRIPT)]), (SCRIPT,))
    things = [cohort, screen(cohort), evil, plan, drift, Suitability((SCRIPT,), (SCRIPT,)), analysis.roc(oof),
              analysis.by_subgroup(oof, columns=["centre"]), Panel("x", SCRIPT, None, drift.table, SCRIPT)]  # fmt: skip
    for thing in things:
        shown = thing._repr_html_()
        assert "<script" not in shown, type(thing)
        assert "&lt;script&gt;" in shown or isinstance(thing, Screening), type(thing)


def test_no_noun_shows_a_birth_date_or_a_name_that_an_acquisition_holds():
    acquisition = {"kernel": "B30f", "patient_name": "DOE^JANE", "birth_date": "19500101", "kvp": 120}
    volume = CtVolume(np.zeros((3, 4, 5), np.int16), (2.5, 0.7, 0.7), (1.0, 2.0, 3.0), np.eye(3), "1.2.3", acquisition)
    shown = volume._repr_html_()
    assert "B30f" in shown and "120" in shown and "DOE" not in shown and "1950" not in shown
    assert one_line(volume) == "CT of 3 x 4 x 5 voxels, 2.5 x 0.7 x 0.7 mm apart (z, y, x)"
    assert "7.5 x 2.8 x 3.5 mm" in shown


def test_the_cache_counts_patients_and_tells_the_size_of_a_patch(tiny_cache):
    cache = patches.open_cache(tiny_cache)
    n = len(cache.patient_ids)
    assert f"Patches of {n} patients" in one_line(cache)
    assert f"<td>{n}</td>" in cache._repr_html_() and cache.patient_ids[-1] not in cache._repr_html_()
    assert one_line(patches.PatchSpec()) == "Patch of 60 mm, 60 x 60 x 60 voxels"


def test_a_made_up_trial_says_that_it_is_made_up_and_keeps_its_truth():
    trial = virtual.draw_trial(n_patients=30, n_centres=2, seed=3)
    assert one_line(trial) == "Made-up trial of 30 patients in 2 centres (seed 3)"
    shown = trial._repr_html_()
    assert "MADE-UP DATA" in shown and "and 10 more rows" in shown
    assert not [name for name in trial.truth if name.startswith("true_") and name in shown]


def test_a_result_tells_its_estimate_with_the_interval_and_how_it_was_made(run):
    rows = run.rows(split="oof")
    roc = analysis.roc(rows, model="clinical")
    assert one_line(roc) == f"Roc: model clinical, n {roc.n}, events {roc.n_events}, auc {roc.auc}"
    assert f"{roc.auc}; 95 % interval, DeLong" in roc._repr_html_()
    assert one_line(roc.auc).startswith(f"{roc.auc.value:.3f} (")
    calibration = analysis.assess_calibration(rows, model="clinical")
    assert "Apparent" in replace(calibration, apparent=True)._repr_html_() and not calibration.apparent
    assert "Apparent" not in calibration._repr_html_()


def test_an_estimate_that_is_none_says_why():
    assert one_line(Estimate(math.nan, note="too few N+")) == "not estimated (too few N+)"


def test_a_long_table_shows_its_first_rows_and_counts_the_others():
    shown = table_html(pd.DataFrame({"patient_id": [f"P{i:03}" for i in range(57)]}))
    assert shown.count("<tr>") == MOST_ROWS and "P019" in shown and "P020" not in shown
    assert "and 37 more rows" in shown
    assert "more" not in table_html(pd.DataFrame({"a": range(MOST_ROWS)}))


def test_a_long_line_and_a_line_break_are_cut_from_a_repr():
    @shows_itself
    @dataclass(frozen=True)
    class Long:
        def _said(self) -> Said:
            return Said("word\n" * 100)

    assert one_line(Long()).endswith(" ...")


def test_nothing_sets_a_colour_so_that_a_dark_notebook_stays_dark(run):
    cohort = build_cohort(virtual.draw_trial(n_patients=30, n_centres=1, seed=1).clinical, source="x")
    for thing in (run, run.study, cohort, screen(cohort), analysis.roc(run.rows(split="oof"), model="clinical")):
        shown = thing._repr_html_()
        assert [word for word in ("color", "background", "<style") if word in shown] == []


def test_what_is_empty_takes_no_row_and_a_number_is_not_told_to_its_last_digit():
    shown = to_html(Said("x", {"nothing": None, "none": (), "nan": math.nan, "third": 1 / 3, "yes": True}))
    assert "nothing" not in shown and "none" not in shown and ">nan<" not in shown
    assert "0.3333<" in shown and "<td>yes</td>" in shown


@pytest.mark.parametrize("value", [Study(folder=Path("somewhere"))])
def test_a_noun_made_by_hand_shows_itself_too(value):
    assert "somewhere" in one_line(value) and "<table>" in value._repr_html_()


def test_every_bar_is_one_that_a_notebook_draws_as_a_widget():
    package = Path(showing.__file__).parent
    plain = [
        p.name for p in package.rglob("*.py") if re.search(r"(from tqdm import|^ *import tqdm)", p.read_text("utf-8"))
    ]
    assert plain == [], "wanted: from tqdm.auto import tqdm"
    assert sum("from tqdm.auto import tqdm" in p.read_text("utf-8") for p in package.rglob("*.py")) >= 8
