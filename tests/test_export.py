"""A summary as CSV, page and workbook: numbers stay numbers, text stays text, and made-up data is marked."""

from __future__ import annotations

import html.parser
import io
import os
import re

import numpy as np
import openpyxl
import pandas as pd
import pytest

from onlm_lab.cohort import missing_by, table_one
from onlm_lab.cohort.export import MADE_UP, tables_html, tables_text, write_tables
from onlm_lab.errors import OnlmError

RISKY = ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", '=HYPERLINK("http://x")']


@pytest.fixture
def tables():
    rows = pd.DataFrame({"centre": ["=A1", "<script>alert(1)</script>", "=A1", "中心"],
                         "age_years": [50, 60, 70, np.nan], "sex": ["male", "female", "male", None]})  # fmt: skip
    odd = pd.DataFrame(
        {"name": RISKY, "x": [1.5, np.nan, -3, 0.1, np.inf, 1e-7], "n": range(6), "is": [True, False] * 3}
    )
    share = missing_by(rows, columns=["sex"])
    share.attrs["percent"] = ("fraction",)
    return {"Table 1": table_one(rows, by="centre"), "Odd": odd, "Missing: sex/centre?": share}


def test_a_workbook_has_a_sheet_a_table_numbers_as_numbers_and_no_formula(tables, tmp_path):
    path = write_tables(tables, tmp_path / "s.xlsx", made_up=True, licence="CC BY 3.0")
    book = openpyxl.load_workbook(path)
    assert book.sheetnames == ["Table 1", "Odd", "Missing  sex centre"]
    for sheet in book:
        assert [sheet["A1"].value, sheet["A2"].value] == [MADE_UP, "CC BY 3.0"]
        assert not [c.coordinate for row in sheet.iter_rows() for c in row if c.data_type == "f"]
    odd = book["Odd"]
    assert [odd.cell(i, 1).value for i in range(4, 10)] == RISKY and odd["A4"].quotePrefix
    assert [odd.cell(i, 2).value for i in range(4, 10)] == [1.5, None, -3, 0.1, None, 1e-7]
    assert isinstance(odd["C4"].value, int) and odd["D4"].value is True
    share = book["Missing  sex centre"]
    assert share["E4"].value == 0.25 and share["E4"].number_format == "0.0%"
    first = book["Table 1"]
    head = [c.value for c in first[3]]
    assert "=A1" in head and first[3][head.index("=A1")].data_type == "s"


def test_a_csv_holds_no_formula_and_reads_back(tables, tmp_path):
    alone = write_tables(tables["Odd"], tmp_path / "odd.csv")
    back = pd.read_csv(alone, encoding="utf-8-sig")
    assert back["name"].tolist() == [f"'{r}" for r in RISKY]
    np.testing.assert_array_equal(back["x"].to_numpy(float), tables["Odd"]["x"])
    assert alone.read_bytes().startswith(b"\xef\xbb\xbf")  # so that a spreadsheet shows Chinese right
    many = write_tables(tables, tmp_path / "all.csv", made_up=True, licence="-licence").read_text("utf-8-sig")
    lines = many.splitlines()
    assert lines[:4] == [MADE_UP, "'-licence", "", "Table 1"] and "Odd" in lines and "中心" in many
    assert not [line for line in lines if line[:1] in "=@" and line]
    assert pd.read_csv(io.StringIO(many.split("Odd\n")[1].split("\n\n")[0]))["n"].tolist() == list(range(6))


class _Reader(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.outside, self.text = [], [], ""

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.outside += [v for k, v in attrs if k in ("src", "href")]

    def handle_data(self, data):
        self.text += data


def test_the_page_is_escaped_in_words_marked_and_asks_nothing_from_outside(tables, tmp_path):
    page = write_tables(tables, tmp_path / "s.html", title="A <b>", made_up=True, licence="CC & BY").read_text("utf-8")
    read = _Reader()
    read.feed(page)
    assert "script" not in read.tags and "b" not in read.tags and read.outside == []
    assert "<script>alert(1)</script>" in read.text and "A <b>" in read.text and "CC & BY" in read.text
    assert read.text.count(MADE_UP) == 2  # in the title of the window and on the page
    assert "Age at treatment (years)" in read.text and "25.0 %" in read.text and "age_years" not in read.text
    assert "Percentages are of known values" in read.text
    assert MADE_UP not in tables_html(tables)


def test_a_terminal_gets_lines_without_repeats(tables):
    text = tables_text({"Table 1": tables["Table 1"]}, made_up=True)
    assert text.startswith(MADE_UP) and text.count("Sex") == 1 and "–" in text
    widths = {len(line) for line in text.splitlines() if set(line) <= {"-", " "} and line}
    assert len(widths) == 1


def test_an_unknown_suffix_is_refused_and_nothing_is_written(tables, tmp_path):
    with pytest.raises(OnlmError, match=r"'s\.docx' ends in '\.docx'; wanted \.csv, \.html or \.xlsx"):
        write_tables(tables, tmp_path / "s.docx")
    assert list(tmp_path.iterdir()) == []


def test_odd_tables_and_names_are_written_all_the_same(tmp_path):
    odd = {"": pd.DataFrame(), "a" * 40: pd.DataFrame({"x": []}), "A" * 40: pd.DataFrame({"x": ["\x00\x07bell"]}),
           "[x]": pd.DataFrame({"y": [None]})}  # fmt: skip
    book = openpyxl.load_workbook(write_tables(odd, tmp_path / "o.xlsx"))
    assert len(book.sheetnames) == 4 and all(len(n) <= 31 for n in book.sheetnames)
    assert book.worksheets[2]["A2"].value == "\ufffd\ufffdbell"
    for suffix in ("csv", "html"):
        assert write_tables(odd, tmp_path / f"o.{suffix}").stat().st_size > 0
    assert write_tables({}, tmp_path / "none.xlsx").is_file()


def test_columns_stand_below_their_heads_whatever_the_script(tmp_path):
    table = pd.DataFrame({"centre": ["复旦大学", "Ren Ji", "e\u0301cole"], "n": [1, 22, 333]})
    lines = tables_text({"Flow": table}).splitlines()[2:]
    shown = [sum(2 if ord(c) > 0x2E80 else 0 if c == "\u0301" else 1 for c in line) for line in lines]
    assert len(set(shown)) == 1  # every line ends below the head of its last column


def test_a_file_that_cannot_be_written_is_told_and_leaves_nothing_behind(tables, tmp_path):
    (tmp_path / "a.csv").mkdir()
    with pytest.raises(OnlmError, match="is a folder; wanted the name of a file"):
        write_tables(tables, tmp_path / "a.csv")
    with pytest.raises(OnlmError, match=r"There is no folder '.*none' to write 'x.xlsx' in. Make it first"):
        write_tables(tables, tmp_path / "none" / "x.xlsx")
    with pytest.raises(OnlmError, match=r"'x' has no ending; wanted .csv, .html or .xlsx"):
        write_tables(tables, tmp_path / "x")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "replace", _refused)
        with pytest.raises(OnlmError, match=r"x.html' cannot be written: Permission denied"):
            write_tables(tables, tmp_path / "x.html")
    assert [p.name for p in tmp_path.iterdir()] == ["a.csv"]


def _refused(*_: object) -> None:
    raise PermissionError(13, "Permission denied")


def test_a_yes_or_no_reads_yes_and_a_count_in_a_file_is_a_whole_number(tmp_path):
    rows = pd.DataFrame({"part": ["a", "b", "b"], "pet_ct_done": [1.0, None, 0.0], "ecog": [0.0, 1.0, 1.0]})
    table = table_one(rows, by="part", columns=["pet_ct_done", "ecog"], categories=["ecog"], missing_by_group=True)
    text = tables_text({"Table 1": table})
    assert re.search(r"PET/CT before treatment +yes", text) and not re.search(r" yes +2 \(66", text)
    said = write_tables(table, tmp_path / "x.csv").read_text("utf-8-sig")
    assert "pet_ct_done,1,1 (50.0 %),1 (100.0 %),0 (0.0 %),1," in said and said.splitlines()[2].endswith(",0,1")
