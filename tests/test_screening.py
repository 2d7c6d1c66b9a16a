"""What screening a study leaves, and what it says."""

from __future__ import annotations

import pandas as pd
import pytest

from onlm_lab import pipeline, schema, screening, virtual
from onlm_lab.cohort import load_cohort
from onlm_lab.errors import StudyError
from onlm_lab.study import load_study


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("screening") / "trial"
    virtual.write_trial(folder, n_patients=400, n_centres=3, seed=5, tables_only=True)
    return load_study(folder)


def test_every_table_speaks_of_patients_of_the_cohort_and_no_other(study):
    found = screening.screen_study(study)
    ids = set(load_cohort(study).patients["patient_id"])
    for name in ("decisions.csv", "status.csv", "undetermined.csv", "cohort.csv", "label.csv", "disagreements.csv"):
        assert len(found.tables[name]) and set(found.tables[name]["patient_id"]) <= ids
    assert set(found.tables["label.csv"]["patient_id"]) == ids == set(found.tables["status.csv"]["patient_id"])


def test_the_counts_add_up_and_the_first_sentence_says_them(study):
    found = screening.screen_study(study)
    assert sum(found.counts.values()) == 400
    assert found.sentences[0] == ", ".join(f"{n} {status}" for status, n in found.counts.items())
    assert any("no minimum of nodes" in note for note in found.notes)


def test_what_to_look_up_is_counted_by_patient_the_most_wanted_first(study):
    found = screening.screen_study(study)
    undetermined = found.tables["undetermined.csv"]
    (line,) = [line for line in found.sentences if line.startswith("to be looked up")]
    wanted = {
        column: undetermined.loc[[column in m.split(", ") for m in undetermined["missing"]], "patient_id"].nunique()
        for column in {c for m in undetermined["missing"] for c in m.split(", ")}
    }
    told = [part.split(" for ") for part in line.split(": ")[1].split(" and ")[0].split(", ")]
    assert told and all(wanted[name] == int(n) for name, n in told)
    counts = [int(n) for _, n in told]
    assert counts == sorted(counts, reverse=True) and counts[0] == max(wanted.values())


def test_disagreements_that_were_planted_are_said_to_be_looked_at_again(study):
    found = screening.screen_study(study)
    again = found.tables["disagreements.csv"]
    (line,) = [line for line in found.sentences if "look at again" in line]
    assert line.startswith(f"{again['patient_id'].nunique()} patients to look at again")


def test_the_step_writes_the_tables_and_refuses_a_study_in_which_nobody_is_eligible(study, tmp_path):
    rows = schema.read_table(study.path("clinical.csv"), table="clinical", extra_columns=schema.declared(study.columns))
    schema.write_table(rows.assign(nsclc_confirmed=0.0), tmp_path / "clinical.csv")
    for name in ("study.toml", "followup.csv"):
        (tmp_path / name).write_bytes(study.path(name).read_bytes())
    said: list[str] = []
    with pytest.raises(StudyError, match=r"No patient is eligible\. work/flow\.csv says which rule"):
        pipeline.screen(load_study(tmp_path), say=said.append)
    assert (tmp_path / "work" / "rules.csv").is_file() and "0 eligible, 400 excluded" in said[0]
    assert pd.read_csv(tmp_path / "work" / "status.csv")["first_rule"].eq("nsclc_confirmed").all()
