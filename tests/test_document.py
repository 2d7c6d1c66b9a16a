"""The data dictionary in a terminal, a spreadsheet, a browser and REDCap says what the schema checks."""

from __future__ import annotations

import csv
import io
import subprocess
import sys
from html.parser import HTMLParser

import pytest

from onlm_lab import schema
from onlm_lab.cli import main
from onlm_lab.cohort.endpoints import RULES
from onlm_lab.errors import OnlmError
from onlm_lab.schema.meanings import ENDPOINT_RULES, MEANINGS, NOTES
from onlm_lab.study import load_study

STUDY = """
[study]
name = "<b>Ward & Sons</b>"
made_up = true
[columns.lvi]
type = "boolean"
timing = "post_treatment"
description = "Invasion <script>alert(1)</script>"
[mapping.columns]
"Geschlecht" = "sex"
"性别" = "smoking"
[mapping.values.sex]
"m" = "male"
"w" = "female"
[mapping.factors]
total_diameter_mm = 10
[mapping.constants]
centre = "Hospital A"
[mapping.dates.age_years]
start = "Geburtsdatum"
end = "OP-Datum"
unit = "years"
[mapping.missing_words]
kps = ["999"]
"""


@pytest.fixture
def study(tmp_path):
    (tmp_path / "study.toml").write_text(STUDY, encoding="utf-8")
    return load_study(tmp_path)


def rows_of(text):
    return list(csv.DictReader(io.StringIO(text)))


def test_every_column_of_the_schema_is_in_every_form_with_its_source():
    entries = schema.dictionary_entries()
    assert [(e.column.table, e.column.name) for e in entries] == [(c.table, c.name) for c in schema.COLUMNS]
    assert all(c.source and c.description for c in schema.COLUMNS)
    rows = rows_of(schema.dictionary_csv(entries))
    text, page = schema.dictionary_text(entries), schema.dictionary_html(entries)
    assert len(rows) == len(schema.COLUMNS)
    for c, row in zip(schema.COLUMNS, rows, strict=True):
        assert (row["column"], row["type"], row["unit"], row["timing"]) == (c.name, c.type, c.unit, c.timing)
        assert row["allowed"].split(" | ") == list(c.allowed or [""])
        assert row["low"] == ("" if c.low is None else f"{c.low:g}")
        assert f"\n{c.name}  [" in text and f'id="{c.table}-{c.name}"' in page


def test_the_spreadsheet_says_ranges_in_words():
    rows = {r["column"]: r for r in rows_of(schema.dictionary_csv(schema.dictionary_entries()))}
    names = ("age_years", "ct_to_treatment_days", "died", "sex")
    assert [rows[n]["range"] for n in names] == ["0 to 120", "at least 0", "0 or 1", ""]
    assert rows["sex"]["allowed"] == "female | male" and rows["age_years"]["may_predict"] == "1"


def test_what_words_mean_is_said_of_words_that_exist():
    known = {c.name: c for c in schema.COLUMNS}
    scales = {"ecog", "kps", "recurrence_site"}
    for name, said in MEANINGS.items():
        assert name in known
        assert name in scales or set(said) <= set(known[name].allowed), name
    assert set(NOTES) <= set(known)


def test_the_rules_of_the_endpoints_are_those_that_are_computed():
    assert ENDPOINT_RULES is RULES
    entry = next(e for e in schema.dictionary_entries("derived") if e.column.name == "regional_state")
    assert "found together with distant: counts as regional" in entry.note


@pytest.mark.parametrize("width", [60, 80, 120])
def test_the_text_stays_within_the_terminal(width):
    lines = schema.dictionary_text(schema.dictionary_entries(), width=width).splitlines()
    assert max(map(len, lines)) <= width and len(lines) > 200


def test_one_table_only_and_an_unknown_table_offers_the_nearest():
    assert {e.column.table for e in schema.dictionary_entries("followup")} == {"followup"}
    with pytest.raises(OnlmError, match=r"'folowup' is not a table .* Did you mean 'followup'\?"):
        schema.dictionary_entries("folowup")


def test_a_study_adds_its_own_columns_and_the_hospitals_names(study):
    entries = {e.column.name: e for e in schema.dictionary_entries("clinical", study=study)}
    assert entries["lvi"].column.timing == "post_treatment" and "own" in entries["lvi"].column.source
    assert entries["sex"].hospital == ('column "Geschlecht"', '"m" means male', '"w" means female')
    assert entries["total_diameter_mm"].hospital == ("multiplied by 10",)
    assert entries["centre"].hospital == ('"Hospital A" in every row',)
    assert entries["age_years"].hospital == ('years from "Geburtsdatum" to "OP-Datum"',)
    assert entries["kps"].hospital == ("not known: 999",)
    assert 'In this study: column "性别"' in schema.dictionary_text([entries["smoking"]])


class Reader(HTMLParser):
    """What a browser would be asked to fetch or run."""

    def __init__(self):
        super().__init__()
        self.fetched, self.scripts, self.anchors, self.ids = [], 0, [], set()

    def handle_starttag(self, tag, attrs):
        named = dict(attrs)
        self.scripts += tag == "script"
        self.fetched += [named[k] for k in ("src", "action") if k in named]
        if tag == "link":
            self.fetched.append(named.get("href"))
        if tag == "a":
            self.anchors.append(named["href"])
        if "id" in named:
            self.ids.add(named["id"])


def test_the_page_fetches_nothing_escapes_what_a_study_says_and_its_links_lead_somewhere(study):
    page = schema.dictionary_html(schema.dictionary_entries(study=study), title=study.name, note="MADE-UP DATA")
    reader = Reader()
    reader.feed(page)
    assert reader.fetched == [] and reader.scripts == 1
    assert {a.removeprefix("#") for a in reader.anchors} <= reader.ids
    assert "<script>alert" not in page and "&lt;script&gt;alert(1)" in page and "<b>Ward" not in page
    assert "MADE-UP DATA" in page and "Geschlecht" in page and "In this study" in page
    assert "In this study" not in schema.dictionary_html(schema.dictionary_entries())


def test_a_redcap_project_gets_its_eighteen_columns_and_limits():
    rows = rows_of(schema.redcap_design(schema.dictionary_entries()))
    assert len(rows[0]) == 18 and rows[0]["Variable / Field Name"] == "patient_id"
    by_name = {r["Variable / Field Name"]: r for r in rows}
    assert len(by_name) == len(rows)  # patient_id stands once
    assert [r["Form Name"] for r in rows] == sorted(r["Form Name"] for r in rows)  # forms do not come back
    assert set(r["Form Name"] for r in rows) == {"clinical", "followup"}
    age, sex, descriptor = by_name["age_years"], by_name["sex"], by_name["t_descriptor"]
    assert (age["Text Validation Type OR Show Slider Number"], age["Text Validation Max"]) == ("number", "120")
    assert sex["Field Type"] == "radio"
    assert sex["Choices, Calculations, OR Slider Labels"] == "female, female | male, male"
    assert descriptor["Field Type"] == "dropdown" and "chest_wall: T3" in descriptor["Field Note"]
    assert by_name["died"]["Field Type"] == "yesno" and by_name["recurrence_site"]["Field Type"] == "checkbox"
    assert by_name["patient_id"]["Identifier?"] == "y" and by_name["centre"]["Required Field?"] == "y"


def test_what_redcap_would_not_take_is_said(tmp_path):
    with pytest.raises(OnlmError, match="wanted the table clinical or followup"):
        schema.redcap_design(schema.dictionary_entries("derived"))
    text = '[columns."Grad 2"]\ntype = "integer"\ntiming = "post_treatment"\n'
    (tmp_path / "study.toml").write_text(text)
    with pytest.raises(OnlmError, match=r"would not take Grad 2\. Rename"):
        schema.redcap_design(schema.dictionary_entries(study=load_study(tmp_path)))
    text = '[columns.grade]\ntype = "category"\ntiming = "post_treatment"\nallowed = ["well done", "bad"]\n'
    (tmp_path / "study.toml").write_text(text)
    rows = rows_of(schema.redcap_design(schema.dictionary_entries(study=load_study(tmp_path))))
    grade = next(r for r in rows if r["Variable / Field Name"] == "grade")
    assert grade["Choices, Calculations, OR Slider Labels"] == "1, well done | 2, bad"


def test_a_redcap_project_has_no_field_for_what_the_study_says_of_every_row(tmp_path, capsys):
    (tmp_path / "study.toml").write_text('[mapping.constants]\ncentre = "North"\n', encoding="utf-8")
    out = tmp_path / "redcap.csv"
    assert main(["dictionary", "--study", str(tmp_path), "--format", "redcap", "--out", str(out)]) == 0
    fields = [row["Variable / Field Name"] for row in rows_of(out.read_text(encoding="utf-8"))]
    assert "centre" not in fields and fields.count("patient_id") == 1
    assert capsys.readouterr().out.startswith(f"{len(fields)} columns in ")


def test_the_verb_prints_and_writes_by_the_name_of_the_file(tmp_path, capsys, study):
    assert main(["dictionary", "--table", "followup"]) == 0
    assert "followup_days  [required" in capsys.readouterr().out
    assert main(["dictionary", "--study", str(study.folder), "--out", str(tmp_path / "d.html")]) == 0
    assert (tmp_path / "d.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    assert main(["dictionary", "--out", str(tmp_path / "d.csv")]) == 0
    assert (tmp_path / "d.csv").read_text(encoding="utf-8").startswith("table,column,type")
    assert main(["dictionary", "--format", "redcap", "--table", "derived"]) == 2
    assert "REDCap" in capsys.readouterr().err


def test_a_reader_that_has_enough_ends_the_verb_quietly():
    command = [sys.executable, "-m", "onlm_lab.cli", "dictionary", "--format", "html"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as verb:
        verb.stdout.close()
        assert verb.stderr.read() == b""
    assert verb.returncode == 0
