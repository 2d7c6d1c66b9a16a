"""Settings of one run: said on the command line, carried to every step, written into the run; study.toml stays."""

from __future__ import annotations

import json

import pytest
from made_study import write_small_study

from onlm_lab import cli, steps
from onlm_lab.errors import StudyError
from onlm_lab.plan import STEPS, planned, run_of
from onlm_lab.runs import list_runs
from onlm_lab.study import change_words, load_study, parse_changes


def test_a_setting_is_a_value_of_toml_or_a_text_without_quotes():
    found = parse_changes(
        ["training.folds=3", "model.layout=slab", 'training.models=["clinical", "image"]', "training.explain=false"]
    )
    assert found == {
        "training": {"folds": 3, "models": ["clinical", "image"], "explain": False}, "model": {"layout": "slab"},
    }  # fmt: skip


@pytest.mark.parametrize("said", [
    {"training": {"folds": 3, "learning_rate": 1e-4, "models": ("clinical", "image"), "baselines": ()}},
    {"model": {"weights": 'a "quoted" name', "windows_hu": [[-1100.0, 300.0]]}},
])  # fmt: skip
def test_words_of_a_command_are_read_back_as_they_were(said):
    words = change_words(said)
    assert words[::2] == ["--set"] * (len(words) // 2)
    assert json.loads(json.dumps(parse_changes(words[1::2]))) == json.loads(json.dumps(said))


@pytest.mark.parametrize(("word", "wanted"), [
    ("training.folds", "section.key=value"), ("folds=3", "section.key=value"), (".folds=3", "section.key=value"),
    ("trainng.folds=3", "did you mean 'training'"), ("protocol.min_kps=60", "stands in study.toml"),
])  # fmt: skip
def test_what_cannot_be_set_is_said(word, wanted):
    with pytest.raises(StudyError, match=wanted):
        parse_changes([word])


def test_a_setting_said_twice_is_refused():
    with pytest.raises(StudyError, match="said twice"):
        parse_changes(["training.folds=3", "training.folds=4"])


def test_a_key_that_is_not_known_is_told_with_the_nearest_as_in_the_file(small):
    with pytest.raises(StudyError, match="did you mean 'folds'"):
        load_study(small, changes={"training": {"fold": 3}})
    with pytest.raises(StudyError, match="folds must be a whole number"):
        load_study(small, changes={"training": {"folds": "many"}})


def test_a_change_stands_in_the_place_of_the_files_own_and_the_rest_stays(small):
    own, changed = load_study(small), load_study(small, changes={"training": {"folds": 2}})
    assert (own.training.folds, changed.training.folds) == (3, 2)
    assert changed.training.epochs == own.training.epochs == 5


def test_a_step_done_with_other_inputs_since_counts_while_what_both_write_is_unchanged(tmp_path):
    shared, own = tmp_path / "work" / "shared.csv", tmp_path / "runs" / "own.csv"
    steps.write_text(own, "own")

    def done(inputs, text):
        steps.write_text(shared, text)
        step = steps.Step(name="prepare", folder=tmp_path, inputs=inputs)
        step.finish(outputs=[shared, own], seconds=0.0, sealed=[shared])
        return step

    first = done("one", "a")
    same = done("two", "a")
    assert first.done() and same.done()
    other = done("three", "b")
    assert other.done() and not first.done() and not same.done()
    done("one", "a")
    assert first.done() and same.done() and not other.done()


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    return write_small_study(tmp_path_factory.mktemp("changing") / "study")


@pytest.mark.slow
def test_a_run_with_other_settings_is_another_run_and_the_studys_own_is_kept(small, capfd):
    text = (small / "study.toml").read_bytes()
    assert cli.main(["run", str(small)]) == 0
    own = run_of(load_study(small))
    before = (own.folder / "predictions.csv").stat().st_mtime_ns
    assert cli.main(["run", str(small), "--set", "training.folds=2"]) == 0
    changed = run_of(load_study(small, changes={"training": {"folds": 2}}))
    assert changed.id != own.id and {run.id for run in list_runs(small)} == {own.id, changed.id}
    assert changed.study.training.folds == 2 and changed.finished
    assert sorted(changed.split["fold"].unique()) == [0, 1]
    assert (small / "study.toml").read_bytes() == text
    capfd.readouterr()
    assert cli.main(["run", str(small)]) == 0
    said = capfd.readouterr().out
    assert said.count("nothing changed, kept") == len(STEPS), said
    assert (own.folder / "predictions.csv").stat().st_mtime_ns == before
    both = ({}, {"training": {"folds": 2}})
    assert all(planned(load_study(small, changes=c), name=name).done() for c in both for name in STEPS)


def test_a_wrong_setting_ends_the_command_with_the_sentence(small, capfd):
    assert cli.main(["run", str(small), "--set", "training.fold=2"]) == 2
    assert "did you mean 'folds'" in capfd.readouterr().err
