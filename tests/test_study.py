"""study.toml says what a study is; what it says wrongly is told in one go."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from onlm_lab.errors import StudyError
from onlm_lab.study import Study, load_study, starter_toml
from onlm_lab.study.imaging import FAULTS


def write(folder, text):
    (folder / "study.toml").write_text(text, encoding="utf-8")
    return folder


def test_a_starter_text_is_a_study_with_the_defaults_of_the_trial(tmp_path):
    study = load_study(write(tmp_path, starter_toml(name="T", made_up=True, seed=7)))
    assert (study.name, study.made_up, study.seed, study.folder) == ("T", True, 7, tmp_path)
    assert study.protocol.name == "NCT06684418" and study.protocol.min_kps == 70


def test_every_fault_of_a_study_file_is_told_at_once_with_the_nearest_key(tmp_path):
    text = "[study]\nnmae = 'x'\nseed = 'seven'\n[trainig]\nfolds = 5\n[model]\nmode = 'frozn'\n"
    with pytest.raises(StudyError) as error:
        load_study(write(tmp_path, text))
    lines = str(error.value).splitlines()
    assert len(lines) == 4
    assert "[study] nmae is not known; did you mean 'name'?" in lines[0]
    assert "study.seed must be a whole number, got 'seven'" in lines[1]
    assert "did you mean 'training'?" in lines[2]
    assert "did you mean 'frozen'?" in lines[3]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("[training]\nfolds = 1\n", "folds must be at least 2"),
        ("[training]\ntarget_sensitivity = 1.5\n", "wanted between 0 and 1"),
        ("[analysis]\nthreshold_range = [0.5, 0.1]\n", "0 < low < high < 1"),
        ("[analysis]\nprevalence = 12\n", "between 0 and 1 (0.12, not 12)"),
        ("[analysis]\nrisk_cuts = [0.2, 0.1]\n", "wanted rising, each between 0 and 1"),
        ("[analysis]\nmin_nodes = [0, 6]\n", "wanted each at least 1"),
        ("[protocol]\nrules = ['adlt']\n", "did you mean 'adult'?"),
        ("[patch]\nsize_mm = 4\n", "at least 8"),
        ("[columns.lvi]\ntype = 'boolean'\n", "needs timing"),
        ("[study]\nseed = -1\n", "from 0 to 4294967295"),
        ("[training]\nweight_decay = -0.1\n", "weight_decay is -0.1"),
        ("[study\n", "not valid TOML"),
        ("folder = 'x'\n", "[folder] is not known"),
        ("[data]\nclinical = ''\n", "[data] clinical is empty"),
    ],
)
def test_a_value_out_of_range_says_what_was_wanted(tmp_path, text, wanted):
    with pytest.raises(StudyError, match=re.escape(wanted)):
        load_study(write(tmp_path, text))


def test_a_study_that_is_no_utf8_or_no_study_is_told_so(tmp_path):
    write(tmp_path, "")
    (tmp_path / "study.toml").write_bytes("[study]\nname = '北京'\n".encode("gb18030"))
    with pytest.raises(StudyError, match=r"line 2 is not UTF-8 text\. Save the file as UTF-8\."):
        load_study(tmp_path)
    (tmp_path / "clinical.csv").write_text("patient_id\n", encoding="utf-8")
    with pytest.raises(StudyError, match=r"'clinical\.csv' is a file; wanted a study"):
        load_study(tmp_path / "clinical.csv")


def test_a_folder_without_a_study_is_told_so(tmp_path):
    with pytest.raises(StudyError, match=r"No study\.toml"):
        load_study(tmp_path)


def test_the_digest_follows_the_named_stage_alone(tmp_path):
    one = Study(folder=tmp_path)
    two = load_study(write(tmp_path, "[training]\nfolds = 7\n"))
    assert one.digest("patch") == two.digest("patch")
    assert one.digest("training") != two.digest("training")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[training]\nmodels = []", "wanted each once"),
        ('[training]\nmodels = ["clinical", "clinical"]', "wanted each once"),
        ("[training]\npredictors = []", "predictors is empty"),
        ('[analysis]\nprimary_model = "fuzed"', "did you mean 'fused'"),
        ("[model]\nneighbours = -1", "neighbours is -1"),
    ],
)
def test_a_setting_that_no_step_could_follow_is_refused_at_the_start(tmp_path, text, said):
    (tmp_path / "study.toml").write_text(text, encoding="utf-8")
    with pytest.raises(StudyError, match=said):
        load_study(tmp_path)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ('[[protocol.own]]\nname = "a"\ntext = "A"\npasses = "kps > 1"\n[[protocol.own]]\nname = "b"\ntext = "B"',
         "[protocol.own.b] needs passes."),
        ('[[protocol.own]]\ntext = "A"\npasses = "kps > 1"', "[protocol.own.1] needs name."),
        ('[[protocol.own]]\nname = "a"\ntext = "A"\npasses = 5', "protocol.own.a.passes must be text in quotes, got 5"),
        ('[protocol.own]\nname = "a"', "protocol.own must be a list of sections, each under [[protocol.own]] in two"),
    ],
)  # fmt: skip
def test_a_fault_of_one_of_several_rules_says_which(tmp_path, text, wanted):
    (tmp_path / "study.toml").write_text(text, encoding="utf-8")
    with pytest.raises(StudyError, match=re.escape(wanted)):
        load_study(tmp_path)


def test_the_documentation_lists_every_fault_with_what_may_be_done_about_it():
    text = (Path(__file__).resolve().parents[1] / "docs" / "images.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| (.*) \| ([a-z, ]+) \|$", text, flags=re.MULTILINE)
    assert {code: (what, tuple(words.split(", "))) for code, what, words in rows} == FAULTS
