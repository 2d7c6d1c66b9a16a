"""What a link may open: what is served, by its short name, and nothing else."""

from __future__ import annotations

import json
import shutil

import pytest
from made_run import write_run

from onlm_lab import served
from onlm_lab.errors import OnlmError

HOSTILE = ["../../x", "..", "/etc", "run-a/../../..", "run-a\x00", "<img src=x onerror=alert(1)>", "ｒｕｎ－ａ",
           "x" * 100_000, "RUN-A", "run-a ", "%2e%2e%2f", ".", "*", "run-?"]  # fmt: skip


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A study with two runs."""
    folder = tmp_path_factory.mktemp("studies") / "trial"
    for name in ("run-a", "run-b"):
        write_run(folder / "runs" / name, n_surgery=20, n_sbrt=5)
    shutil.copyfile(folder / "runs" / "run-a" / "study.toml", folder / "study.toml")
    return folder


@pytest.fixture
def serving_it(study, monkeypatch):
    monkeypatch.setenv(served.VARIABLE, served.variable([study]))


@pytest.mark.parametrize("name", HOSTILE)
def test_a_link_opens_no_study_and_no_run_that_is_not_served(serving_it, name):
    with pytest.raises(OnlmError, match=r"The link names a study that is not served here\. There is trial"):
        served.opened(name)
    with pytest.raises(OnlmError, match=r"The link names a run that is not here\. There is run-a, run-b") as said:
        served.opened("trial").run(name)
    assert len(name) < 3 or name not in str(said.value), "what a link says is not said again"


def test_a_run_that_was_named_alone_opens_no_other_of_its_study(study, monkeypatch):
    monkeypatch.setenv(served.VARIABLE, served.variable([study / "runs" / "run-b"]))
    one = served.opened("")
    assert one.name == "trial" and [run.id for run in one.runs] == ["run-b"] and one.run("").id == "run-b"
    with pytest.raises(OnlmError, match="There is run-b"):
        one.run("run-a")


def test_runs_of_one_study_stand_together_and_two_folders_of_one_name_get_two_names(study, tmp_path):
    other = write_run(tmp_path / "elsewhere" / "trial", n_surgery=20, n_sbrt=5).folder
    runs = [study / "runs" / "run-a", study / "runs" / "run-b"]
    found = served.named([*runs, other])
    assert [(one.name, one.only) for one in found] == [("trial", ("run-a", "run-b")), ("trial-2", ())]
    assert served.named([study, runs[0]])[0].only == (), "the study has all of them"


def test_a_name_has_only_letters_that_an_address_may_hold(tmp_path):
    folder = tmp_path / "a b<&>é#%"
    folder.mkdir()
    assert served.named([folder])[0].name == "a-b"
    (tmp_path / "文").mkdir()
    assert served.named([tmp_path / "文"])[0].name == "study"


def test_a_study_without_a_run_and_nothing_served_are_sentences(tmp_path, monkeypatch, study):
    bare = tmp_path / "bare"
    bare.mkdir()
    shutil.copyfile(study / "study.toml", bare / "study.toml")
    with pytest.raises(OnlmError, match="This study has no run yet"):
        served.named([bare])[0].run("")
    monkeypatch.setenv(served.VARIABLE, "")
    assert not served.is_served()
    with pytest.raises(OnlmError, match="No study is served here"):
        served.opened("")


def test_others_see_single_patients_only_where_the_study_says_so(study, monkeypatch):
    told = served.named([study])[0].study
    monkeypatch.setenv(served.SHARED, "")
    assert served.lists_patients(told) and not served.is_shared()
    monkeypatch.setenv(served.SHARED, "1")
    assert served.is_shared() and not served.lists_patients(told)


def test_what_is_served_travels_as_whole_paths(study):
    assert json.loads(served.variable([study])) == [str(study.resolve())]
