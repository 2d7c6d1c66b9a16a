"""An empty study: it loads, its tables fit, nothing is overwritten, and a made-up trial can be filled in."""

from __future__ import annotations

import csv
import re
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
from openpyxl import load_workbook

from onlm_lab import schema
from onlm_lab.cli import main
from onlm_lab.errors import StudyError
from onlm_lab.starting import init_study, study_text
from onlm_lab.study import Study, load_study


def test_an_empty_study_loads_and_has_a_column_for_everything_that_people_enter(tmp_path):
    folder = init_study(tmp_path / "ward", name="Ward 7")
    assert load_study(folder).name == "Ward 7"
    for table in ("clinical", "followup", "annotations"):
        (header,) = csv.reader((folder / f"{table}.csv").read_text().splitlines())
        assert header == list(c.name for c in schema.COLUMNS if c.table == table)
    assert sorted(p.name for p in folder.iterdir()) == [
        "README.md", "annotations.csv", "clinical.csv", "ct", "dictionary.csv", "dictionary.html", "followup.csv",
        "study.toml", "tables.xlsx",
    ]  # fmt: skip


def uncommented(text: str) -> str:
    """The text with every default made active."""
    return re.sub(r'^# (?=[a-z_]+ = |  "|\]$)', "", text, flags=re.M)


@pytest.mark.parametrize("images", [True, False])
def test_every_default_that_is_shown_is_the_default(tmp_path, images):
    text = study_text(name="S", images=images)
    (tmp_path / "study.toml").write_text(text, encoding="utf-8")
    plain = load_study(tmp_path)
    active = uncommented(text)
    assert len(tomllib.loads(active)["training"]) > 4 and "rules" in tomllib.loads(active)["protocol"]
    (tmp_path / "study.toml").write_text(active, encoding="utf-8")
    assert load_study(tmp_path) == plain
    if images:
        assert plain == replace(Study(folder=tmp_path), study=plain.study)
    else:
        assert (plain.data.ct, plain.data.annotations, plain.training.models) == ("", "", ("clinical",))


@pytest.mark.parametrize("centre", ["", "Hospital A"])
def test_every_example_that_is_shown_can_be_used(tmp_path, centre):
    text = re.sub(r"^#: ", "", study_text(name="S", centre=centre), flags=re.M)
    (tmp_path / "study.toml").write_text(text, encoding="utf-8")
    study = load_study(tmp_path)
    assert study.mapping.columns["肿瘤大小"] == "total_diameter_mm" and study.label.min_nodes
    assert study.mapping.constants == {"centre": "Hospital A"} and study.protocol.own[0].name == "no_prior_cancer"
    ours = {c.name for c in schema.COLUMNS if c.table in ("clinical", "followup")}
    assert set(study.mapping.columns.values()) | set(study.mapping.dates) | set(study.mapping.checkboxes) <= ours


def test_one_hospital_needs_no_column_for_itself(tmp_path):
    folder = init_study(tmp_path / "ward", centre='Klinikum "Süd" \\ 1', images=False)
    assert load_study(folder).mapping.constants == {"centre": 'Klinikum "Süd" \\ 1'}
    assert "centre" not in (folder / "clinical.csv").read_text().split(",")
    assert not (folder / "annotations.csv").exists() and not (folder / "ct").exists()
    assert "annotations" not in (folder / "README.md").read_text()


def test_nothing_is_ever_overwritten(tmp_path, capsys):
    folder = init_study(tmp_path / "ward")
    before = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    with pytest.raises(StudyError, match=r"'ward' has a study\.toml; nothing is overwritten"):
        init_study(folder)
    (folder / "study.toml").rename(folder / "old.toml")
    with pytest.raises(StudyError, match=r"'ward' has clinical\.csv, .* already; nothing is overwritten"):
        init_study(folder)
    (folder / "old.toml").rename(folder / "study.toml")
    assert {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()} == before
    assert main(["init", str(folder / "README.md")]) == 2
    assert "is a file; wanted a folder" in capsys.readouterr().err


def test_a_folder_that_holds_scans_already_is_taken(tmp_path):
    (tmp_path / "ward" / "ct").mkdir(parents=True)
    (tmp_path / "ward" / "export.csv").write_text("x")
    init_study(tmp_path / "ward")
    assert (tmp_path / "ward" / "export.csv").read_text() == "x"


def test_a_name_of_more_than_a_line_is_refused(tmp_path):
    with pytest.raises(StudyError, match="one line of text"):
        init_study(tmp_path / "ward", name="a\nb")


def validations(sheet) -> dict[str, object]:
    """The rule of each column, by its name."""
    names = {cell.column_letter: cell.value for cell in sheet[1]}
    return {names[re.match("[A-Z]+", str(r.sqref)).group()]: r for r in sheet.data_validations.dataValidation}


def test_the_workbook_offers_the_allowed_words_and_keeps_to_the_ranges(tmp_path):
    book = load_workbook(init_study(tmp_path / "ward") / "tables.xlsx")
    assert book.sheetnames == ["clinical", "followup", "annotations", "dictionary"]
    for table in ("clinical", "followup", "annotations"):
        sheet, specs = book[table], [c for c in schema.COLUMNS if c.table == table]
        assert [cell.value for cell in sheet[1]] == [c.name for c in specs] and sheet.max_row == 1
        rules = validations(sheet)
        assert set(rules) == {c.name for c in specs if c.type != "text"}
        for cell, c in zip(sheet[1], specs, strict=True):
            assert c.description in cell.comment.text and c.source in cell.comment.text
            text_format = sheet.column_dimensions[cell.column_letter].number_format == "@"
            assert text_format == (c.type in ("text", "category"))
            if c.type == "category":
                assert rules[c.name].formula1 == '"' + ",".join(c.allowed) + '"'
            elif c.type in ("number", "integer"):
                assert rules[c.name].type == ("whole" if c.type == "integer" else "decimal")
                assert c.low is None or float(rules[c.name].formula1) == c.low
                assert c.high is None or float(rules[c.name].formula2) == c.high
            if c.name in rules:
                assert str(rules[c.name].sqref).endswith("2:" + cell.column_letter + "1048576")
                assert len(rules[c.name].formula1) <= 257 and len(rules[c.name].prompt) <= 255


def test_words_too_long_for_a_validation_stand_on_a_hidden_sheet(tmp_path):
    words = tuple(f"category, number {i}" for i in range(40))
    own = schema.Column(name="grade", table="clinical", type="category", allowed=words, description="=1+1")
    path = tmp_path / "t.xlsx"
    path.write_bytes(schema.template_workbook([schema.Entry(own)]))
    book = load_workbook(path)
    assert book["words"].sheet_state == "hidden"
    assert validations(book["clinical"])["grade"].formula1 == "words!$A$2:$A$41"
    assert [c.value for c in book["words"]["A"]][1:] == list(words)
    assert all(cell.data_type != "f" for row in book["dictionary"] for cell in row)


def fill(folder: Path, trial: Path, *, tables=("clinical", "followup")) -> None:
    """Write the rows of a trial below the header rows of the template."""
    for table in tables:
        rows = list(csv.DictReader((trial / f"{table}.csv").read_text(encoding="utf-8").splitlines()))
        path = folder / f"{table}.csv"
        names = path.read_text(encoding="utf-8").strip().split(",")
        with path.open("a", encoding="utf-8", newline="") as stream:
            csv.DictWriter(stream, names, extrasaction="ignore", lineterminator="\n").writerows(rows)


@pytest.fixture(scope="module")
def made_up(tmp_path_factory):
    from onlm_lab.virtual import write_trial

    return write_trial(tmp_path_factory.mktemp("made_up") / "trial", n_patients=60, n_centres=3, tables_only=True)


def test_a_made_up_trial_filled_in_passes_the_check(tmp_path, made_up, capsys):
    folder = init_study(tmp_path / "ward", images=False)
    fill(folder, made_up)
    assert main(["check", str(folder)]) == 0, capsys.readouterr().err


def fill_workbook(path, made_up):
    """Enter a made-up trial into the workbook of an empty study."""
    book = load_workbook(path)
    for table in ("clinical", "followup"):
        names = [cell.value for cell in book[table][1]]
        for row in csv.DictReader((made_up / f"{table}.csv").read_text(encoding="utf-8").splitlines()):
            kinds = {c.name: c.type for c in schema.COLUMNS if c.table == table}
            cells = [row[n] if kinds[n] in ("text", "category") else float(row[n] or "nan") for n in names]
            book[table].append([None if c == "" or c != c else c for c in cells])
    book.save(path)


def test_the_workbook_filled_in_gives_the_same_cohort_and_ids_survive(tmp_path, made_up):
    from onlm_lab.cohort import load_cohort

    plain, excel = (init_study(tmp_path / name, images=False) for name in ("plain", "excel"))
    fill(plain, made_up)
    fill_workbook(excel / "tables.xlsx", plain)
    text = (
        (excel / "study.toml").read_text().replace("clinical.csv", "tables.xlsx").replace("followup.csv", "tables.xlsx")
    )
    (excel / "study.toml").write_text(text)
    assert load_cohort(load_study(excel)).sha256 == load_cohort(load_study(plain)).sha256


def test_a_check_of_empty_tables_is_one_clear_sentence(tmp_path, capsys):
    folder = init_study(tmp_path / "ward")
    assert main(["check", str(folder)]) == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert len(said) == 1
    assert "clinical.csv, followup.csv and annotations.csv have no patient yet" in said[0]


def test_a_filled_workbook_that_no_study_names_is_pointed_at(tmp_path, made_up, capsys):
    folder = init_study(tmp_path / "ward", images=False)
    fill_workbook(folder / "tables.xlsx", made_up)
    assert main(["check", str(folder)]) == 2
    said = capsys.readouterr().err
    assert 'tables.xlsx has 60 rows: to read them, write "tables.xlsx" for each table under [data]' in said


LABELS = {"1": "Yes", "0": "No", "": ""}


@pytest.mark.parametrize("labels", [False, True], ids=["raw codes", "labels"])
def test_an_export_of_a_redcap_project_made_from_the_dictionary_reads_as_it_is(tmp_path, made_up, labels):
    from onlm_lab.cohort import load_cohort

    folder = init_study(tmp_path / "ward", images=False)
    (folder / "redcap.csv").write_text(schema.redcap_design(schema.dictionary_entries()), encoding="utf-8")
    kinds = {c.name: c.type for c in schema.COLUMNS if c.table in ("clinical", "followup")}
    after = {r["patient_id"]: r for r in csv.DictReader((made_up / "followup.csv").read_text().splitlines())}
    rows = []
    for row in csv.DictReader((made_up / "clinical.csv").read_text().splitlines()):
        row = {k: v for k, v in (row | after[row["patient_id"]]).items() if k in kinds}
        ticked = row.pop("recurrence_site").split(";")
        if labels:
            row = {k: LABELS[v] if kinds[k] == "boolean" else v for k, v in row.items()}
        for site in ("local", "regional", "distant", "unknown"):
            words = ("Unchecked", "Checked") if labels else ("0", "1")
            row[f"recurrence_site___{site}"] = words[site in ticked]
        rows.append(row | {"clinical_complete": "2", "followup_complete": "Complete" if labels else "2"})
    with (folder / "export.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    text = (folder / "study.toml").read_text(encoding="utf-8")
    text = text.replace('"clinical.csv"', '"export.csv"').replace('"followup.csv"', '""')
    text = text.replace('# redcap_dictionary = ""', 'redcap_dictionary = "redcap.csv"')
    text = re.sub(r'^#: (?=\[mapping.checkboxes|"recurrence_site___)', "", text, flags=re.M)
    (folder / "study.toml").write_text(text, encoding="utf-8")
    read = load_cohort(folder).patients
    assert len(read) == 60
    truth = {r["patient_id"]: r for r in csv.DictReader((made_up / "clinical.csv").read_text().splitlines())}
    for row in read.itertuples():
        said = truth[row.patient_id]
        assert (row.t_descriptor or "", row.sex or "") == (said["t_descriptor"], said["sex"])
        assert (row.recurrence_site or "") == after[row.patient_id]["recurrence_site"]
        assert ("" if row.died != row.died else str(int(row.died))) == after[row.patient_id]["died"]
