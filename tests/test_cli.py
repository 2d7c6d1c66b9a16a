"""What a user meets at the command line: one sentence a fault, exit code 2, nothing half-written."""

from __future__ import annotations

import shlex
import shutil

import pandas as pd
import pydicom
import pytest

from onlm_lab import cli, virtual
from onlm_lab.arguments import parser
from onlm_lab.runs import read_csv
from onlm_lab.schema import write_table


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    """A made-up trial without CT: clinical model only."""
    folder = tmp_path_factory.mktemp("cli") / "trial"
    virtual.write_trial(folder, n_patients=60, n_centres=3, seed=1, tables_only=True)
    return folder


@pytest.fixture
def study(tables, tmp_path):
    return shutil.copytree(tables, tmp_path / "study")


@pytest.fixture(scope="module")
def scanned(tmp_path_factory):
    """A made-up trial of a few patients with CT."""
    return virtual.write_trial(tmp_path_factory.mktemp("cli") / "scanned", n_patients=4, n_centres=1, seed=3)


def refused(capsys, *words) -> str:
    assert cli.main([str(w) for w in words]) == 2
    return capsys.readouterr().err


def change(study, file, edit):
    table = read_csv(study / file)
    write_table(edit(table), study / file)


def first(table, **values):
    """The table with other values in its first row."""
    table = table.copy()
    for name, value in values.items():
        table[name] = table[name].astype(object)
        table.loc[table.index[0], name] = value
    return table


def reword(study, old, new):
    text = (study / "study.toml").read_text(encoding="utf-8")
    assert old in text
    (study / "study.toml").write_text(text.replace(old, new), encoding="utf-8")


def replace_header(study, file, old, new):
    path = study / file
    header, rest = path.read_text(encoding="utf-8").split("\n", 1)
    path.write_text(header.replace(old, new) + "\n" + rest, encoding="utf-8")


def nothing_done(study) -> bool:
    return not list((study / "work").glob("steps/*.json"))


def test_sound_tables_pass_the_check(study, capsys):
    assert cli.main(["check", str(study)]) == 0
    assert "tables fit the schema" in capsys.readouterr().out


def test_a_missing_file_is_named_with_what_to_do(study, capsys):
    (study / "followup.csv").unlink()
    said = refused(capsys, "check", study)
    assert "followup.csv: there is no such file" in said and "[data]" in said and nothing_done(study)


def test_a_wrong_column_name_is_told_with_the_nearest(study, capsys):
    replace_header(study, "clinical.csv", "age_years", "age_yers")
    said = refused(capsys, "check", study)
    assert "'age_yers'" in said and "did you mean 'age_years'" in said and nothing_done(study)


def test_a_label_of_two_is_refused_with_its_row(study, capsys):
    change(study, "clinical.csv", lambda t: t.assign(onlm=[2] + [0] * (len(t) - 1)))
    said = refused(capsys, "check", study)
    assert "onlm" in said and "row 2" in said and "0 or 1" in said and nothing_done(study)


def test_a_patient_twice_is_named(study, capsys):
    change(study, "clinical.csv", lambda t: pd.concat([t, t.iloc[[0]]]))
    patient = read_csv(study / "clinical.csv")["patient_id"].iloc[0]
    said = refused(capsys, "check", study)
    assert patient in said and "clinical.csv" in said and nothing_done(study)


def test_a_negative_time_is_refused(study, capsys):
    change(study, "followup.csv", lambda t: first(t, followup_days=-5))
    said = refused(capsys, "check", study)
    assert "followup.csv" in said and "followup_days" in said and "row 2" in said and nothing_done(study)


def test_recurrence_after_death_is_refused(study, capsys):
    values = {"recurred": 1, "recurrence_days": 900, "followup_days": 300, "died": 1, "recurrence_site": "regional"}
    change(study, "followup.csv", lambda t: first(t, **values))
    said = refused(capsys, "check", study)
    assert "recurrence_days" in said and "row 2" in said and nothing_done(study)


def test_all_faults_come_at_once(study, capsys):
    change(study, "clinical.csv", lambda t: first(t, age_years=300, sex="man"))
    change(study, "followup.csv", lambda t: first(t, followup_days=-5))
    said = refused(capsys, "check", study)
    assert "age_years" in said and "sex" in said and "followup_days" in said


def test_a_post_operative_predictor_is_refused(study, capsys):
    reword(study, "[training]", '[training]\npredictors = ["age_years", "nodes_examined"]')
    said = refused(capsys, "check", study)
    assert "nodes_examined" in said and nothing_done(study)


def test_a_study_without_a_ct_folder_is_told_how_to_go_on_without_images(scanned, tmp_path, capsys):
    study = shutil.copytree(scanned, tmp_path / "s")
    shutil.rmtree(study / "ct")
    said = refused(capsys, "check", study)
    assert 'ct = "ct"' in said and 'models = ["clinical"]' in said and nothing_done(study)


def test_an_image_model_without_any_ct_named_is_refused(study, capsys):
    reword(study, '"clinical"', '"fused"')
    said = refused(capsys, "check", study)
    assert "[data] ct and annotations are empty" in said and "fused" in said and nothing_done(study)


def test_an_image_model_without_annotations_is_refused(scanned, tmp_path, capsys):
    study = shutil.copytree(scanned, tmp_path / "s")
    reword(study, "[columns.lvi]", '[data]\nannotations = ""\n[columns.lvi]')
    said = refused(capsys, "check", study)
    assert "[data] annotations is empty. Name the file that says where the tumours are" in said


def test_a_ct_folder_without_dicom_stops_before_anything_is_cut(scanned, tmp_path, capsys):
    study = shutil.copytree(scanned, tmp_path / "s")
    shutil.rmtree(study / "ct")
    (study / "ct").mkdir()
    (study / "ct" / "readme.txt").write_text("no DICOM here")
    assert cli.main(["check", str(study)]) == 0
    assert cli.main(["screen", str(study)]) == 0
    said = refused(capsys, "prepare", study)
    assert "no CT series among 1 file(s)" in said
    assert not (study / "work" / "prepared.csv").exists()


def test_a_dicom_without_pixels_is_one_patients_reason_and_not_the_end_of_the_study(scanned, tmp_path, capsys):
    study = shutil.copytree(scanned, tmp_path / "s")
    cli.main(["check", str(study)])
    cli.main(["screen", str(study)])
    status = read_csv(study / "work" / "status.csv")
    patient = status.loc[status["status"] == "eligible", "patient_id"].iloc[0]
    annotations = read_csv(study / "annotations.csv").set_index("patient_id")
    slices = sorted((study / annotations.loc[patient, "series_path"]).iterdir())
    middle = slices[len(slices) // 2]
    dataset = pydicom.dcmread(middle)
    del dataset.PixelData
    dataset.save_as(middle)
    code = cli.main(["prepare", str(study)])
    prepared = read_csv(study / "work" / "prepared.csv").set_index("patient_id")
    assert prepared.loc[patient, "usable"] == 0
    assert middle.name in prepared.loc[patient, "detail"] and "pixel" in prepared.loc[patient, "detail"]
    assert code == (0 if prepared["usable"].any() else 2)


def test_a_step_out_of_turn_names_the_step_that_it_needs(study, capsys):
    said = refused(capsys, "screen", study)
    assert "needs 'check' first" in said
    changed = refused(capsys, "screen", study, "--set", 'training.models=["clinical"]')
    assert f"""Run `onlm check {study.name} --set 'training.models=["clinical"]'` or `onlm run`.""" in changed


def test_a_folder_that_is_no_study_is_told_so(tmp_path, capsys):
    assert "No study.toml" in refused(capsys, "check", tmp_path)


def test_predictions_of_any_origin_are_analysed(tmp_path, capsys):
    path = tmp_path / "predictions.csv"
    rows = pd.DataFrame({"patient_id": [f"{i:03d}" for i in range(60)], "risk": [i / 60 for i in range(60)]})
    rows["onlm"] = [int(i > 30 or i % 7 == 0) for i in range(60)]
    write_table(rows, path)
    assert cli.main(["analyse", str(path), "--out", str(tmp_path / "results.json")]) == 0
    import json

    from sklearn.metrics import roc_auc_score

    said = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    assert said["model"]["roc"]["auc"]["value"] == pytest.approx(roc_auc_score(rows["onlm"], rows["risk"]), abs=1e-12)


def test_predictions_of_patients_that_the_cohort_lacks_are_counted(study, tmp_path, capsys):
    path = tmp_path / "predictions.csv"
    write_table(pd.DataFrame({"patient_id": ["stranger"], "risk": [0.5]}), path)
    said = refused(capsys, "analyse", path, "--clinical", study / "clinical.csv", "--out", tmp_path / "r.json")
    assert "1 of 1 patients are not in the cohort (stranger)" in said and not (tmp_path / "r.json").exists()


def test_free_text_is_refused_as_a_predictor_and_an_unknown_subgroup_is_named(study, capsys):
    lines = (study / "clinical.csv").read_text(encoding="utf-8").splitlines()
    lines = [f"{line},{'free' if i else 'note'}" for i, line in enumerate(lines)]
    (study / "clinical.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    toml = study / "study.toml"
    column = '\n[columns.note]\ntype = "text"\ntiming = "pre_treatment"\n'
    toml.write_text(toml.read_text(encoding="utf-8") + column, encoding="utf-8")
    kept = toml.read_text(encoding="utf-8")
    reword(study, "[training]", '[training]\npredictors = ["age_years", "note"]')
    assert "names note, free text" in refused(capsys, "check", study) and nothing_done(study)
    toml.write_text(kept + '\n[analysis]\nsubgroups = ["sexx"]\n', encoding="utf-8")
    assert "did you mean 'sex'" in refused(capsys, "check", study) and nothing_done(study)


def test_what_the_system_refuses_is_a_sentence(study, capsys):
    (study / "work").write_text("a file where a folder is wanted", encoding="utf-8")
    said = refused(capsys, "check", study)
    assert "/work' could not be used" in said


def test_a_lost_patch_or_another_mask_means_that_there_is_something_to_prepare(scanned, tmp_path):
    from onlm_lab import plan
    from onlm_lab.study import load_study

    study = shutil.copytree(scanned, tmp_path / "s")
    change(study, "annotations.csv", lambda t: t.assign(mask_path=["masks/one.nrrd", *t["mask_path"].iloc[1:]]))
    assert [cli.main([verb, str(study)]) for verb in ("check", "screen", "prepare")] == [0, 0, 0]

    def prepared() -> bool:
        return plan.planned(load_study(study), name="prepare").done()

    assert prepared()
    kept = sorted((study / "work").glob("cache-*/patches/*"))
    assert sorted(path.suffix for path in kept) == [".npy", ".npy", ".png"]  # the patch, its mask and its picture
    for lost in kept:
        lost.rename(lost.with_suffix(".lost"))
        assert not prepared(), lost.suffix
        lost.with_suffix(".lost").rename(lost)
        assert prepared()
    (study / "masks").mkdir()
    (study / "masks" / "one.nrrd").write_text("drawn later")
    assert not prepared()


def test_a_step_that_was_killed_is_told_with_its_signal():
    from onlm_lab.pipeline import StepFailed

    assert "signal 9 (killed, most often because memory ran out)" in str(StepFailed(name="train", code=137))
    assert "Mend what it says above" in str(StepFailed(name="train", code=2))


def test_one_scan_for_two_patients_is_refused(scanned, tmp_path, capsys):
    study = shutil.copytree(scanned, tmp_path / "s")
    change(
        study, "annotations.csv", lambda t: t.assign(series_uid=[t["series_uid"].iloc[0]] * 2 + [None] * (len(t) - 2))
    )
    said = refused(capsys, "check", study)
    assert "2 of 4 rows" in said and "row 2" in said and "row 3" in said and nothing_done(study)


@pytest.mark.parametrize("verb", [("dictionary",), ("what-if", "min_kps", "60"), ("summary",), ("compare",)])
def test_a_folder_in_place_of_a_file_is_refused_before_anything_is_done(study, tmp_path, capsys, verb):
    (tmp_path / "out").mkdir()
    name, *words = verb
    studies = {"dictionary": [], "compare": [study, study]}.get(name, [study])
    assert "is a folder; wanted the name of a file" in refused(
        capsys, name, *studies, *words, "--out", tmp_path / "out"
    )
    assert not list((tmp_path / "out").iterdir())


def test_a_dictionary_is_not_written_under_a_name_of_another_kind(tmp_path, capsys):
    assert "wanted .txt, .csv or .html" in refused(capsys, "dictionary", "--out", tmp_path / "d.pdf")
    assert cli.main(["dictionary", "--format", "text", "--out", str(tmp_path / "d.md")]) == 0


def test_a_port_that_does_not_exist_is_told_before_anything_runs(study, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(["run", str(study), "--serve", "--port", "70000"])
    assert ended.value.code == 2 and "wanted 1 to 65535, got 70000" in capsys.readouterr().err


def test_a_command_to_go_on_with_can_be_typed_as_it_stands(tmp_path, capsys):
    folder = tmp_path / "my ward"
    assert cli.main(["init", str(folder)]) == 0
    command = capsys.readouterr().out.split("then: ")[1]
    assert shlex.split(command) == ["onlm", "check", str(folder)]


def test_every_verb_says_what_each_of_its_words_is():
    verbs = next(a for a in parser()._actions if a.dest == "verb").choices
    assert set(verbs) == set(cli.CALLS)
    silent = [(name, a.dest) for name, verb in verbs.items() for a in verb._actions if not a.help]
    assert not silent


def test_a_table_without_a_centre_is_told_where_the_hospital_can_be_named(study, capsys):
    change(study, "clinical.csv", lambda t: t.drop(columns="centre"))
    assert "Add it, or name the one hospital in study.toml under [mapping.constants]" in refused(capsys, "check", study)


def two_sites(folder):
    for name in ("a", "b"):
        virtual.write_trial(folder / name, n_patients=3, n_centres=1, seed=1, tables_only=True)
    return folder / "a", folder / "b"


def test_the_folder_one_stands_in_is_named_in_messages(tmp_path, capsys, monkeypatch):
    (tmp_path / "ward").mkdir()
    monkeypatch.chdir(tmp_path / "ward")
    assert cli.main(["init", "."]) == 0
    said = refused(capsys, "dashboards", ".", "--page", "performance")
    assert "'ward' holds no run. Make one with `onlm run ward`" in said
    assert "'ward' has a study.toml" in refused(capsys, "init", ".")
    assert "'ward' holds a study that no merge wrote" in refused(capsys, "merge", *two_sites(tmp_path), "--out", ".")
