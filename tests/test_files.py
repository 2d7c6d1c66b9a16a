"""A hospital's file comes in right whatever program wrote it, or says what is wrong with it."""

from __future__ import annotations

import csv
import datetime
import io

import openpyxl
import pytest

from onlm_lab import schema
from onlm_lab.cohort import load_cohort
from onlm_lab.errors import DataError
from onlm_lab.study import Data, Elapsed, Mapping

ROWS = [["patient_id", "centre", "age_years", "sex"], ["007", "1", "61.5", "female"], ["NA", "NA", "70", "male"]]


@pytest.fixture
def saved(tmp_path):
    """A file of bytes, of text in an encoding, or of rows as a workbook."""

    def save(content, name="clinical.csv", encoding="utf-8"):
        path = tmp_path / name
        if isinstance(content, list):
            book = openpyxl.Workbook()
            for row in content:
                book.active.append(row)
            book.save(path)
        elif isinstance(content, openpyxl.Workbook):
            content.save(path)
        else:
            path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
        return path

    return save


def text(rows, separator=","):
    stream = io.StringIO()
    csv.writer(stream, delimiter=separator).writerows(rows)
    return stream.getvalue()


def faults_of(path, **more):
    with pytest.raises(DataError) as raised:
        schema.read(path, table="clinical", **more)
    return raised.value.faults


def only_fault(path, **more):
    (fault,) = faults_of(path, **more)
    return fault


# --- formats ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content", "encoding"),
    [
        ("clinical.csv", text(ROWS), "utf-8"), ("clinical.csv", text(ROWS), "utf-8-sig"),
        ("clinical.csv", text(ROWS, ";"), "utf-8"), ("clinical.tsv", text(ROWS, "\t"), "utf-8"),
        ("clinical.txt", text(ROWS, "\t"), "utf-16"), ("clinical.txt", text(ROWS, "|"), "utf-8"),
        ("clinical.csv", "sep=;\r\n" + text(ROWS, ";"), "utf-8"), ("clinical.csv", text(ROWS), "gb18030"),
        ("clinical.xlsx", ROWS, ""), ("clinical.xlsm", ROWS, ""),
    ],
)  # fmt: skip
def test_identifiers_survive_every_format_to_the_cohort(saved, name, content, encoding):
    patients = load_cohort(saved(content, name, encoding)).patients
    assert patients["patient_id"].tolist() == ["007", "NA"]
    assert patients["centre"].tolist() == ["1", "NA"]
    assert patients["age_years"].tolist() == [61.5, 70.0] and patients["sex"].tolist() == ["female", "male"]


def test_a_pair_of_files_of_different_kinds_is_one_cohort(saved):
    clinical = saved(ROWS, "clinical.xlsx")
    followup = saved("patient_id;followup_days;died\nNA;300,5;0\n007;20;1\n", "followup.csv")
    cohort = load_cohort((clinical, followup))
    assert (
        cohort.patients["followup_days"].tolist() == [20.0, 300.5] and cohort.source == "clinical.xlsx + followup.csv"
    )
    assert "followup.csv: decimal commas read in 1 cell (followup_days)." in cohort.notes


def test_one_sheet_may_hold_both_tables(saved):
    head = [*ROWS[0], "followup_days", "died"]
    cohort = load_cohort(saved(text([head, [*ROWS[1], "30", "1"], [*ROWS[2], "60", "0"]])))
    assert cohort.patients["os_days"].tolist() == [30, 60] and cohort.patients["age_years"].tolist() == [61.5, 70]


def test_one_workbook_may_hold_both_tables_as_sheets(saved):
    book = openpyxl.Workbook()
    book.active.title = "Clinical"
    for row in ROWS:
        book.active.append(row)
    second = book.create_sheet("followup")
    for row in (["patient_id", "followup_days", "died"], ["007", 30, 1], ["NA", 60, 0]):
        second.append(row)
    cohort = load_cohort(saved(book, "all.xlsx"))
    assert cohort.patients["os_days"].tolist() == [30, 60] and cohort.source == "all.xlsx"
    assert "all.xlsx: read the sheet 'Clinical' of 2." in cohort.notes


def test_the_separator_is_found_beside_quoted_names(saved):
    path = saved('"patient_id";"a, b, c, d";centre\n1;;X\n')
    assert "column 'a, b, c, d' is not known" in only_fault(path)


def test_a_named_separator_goes_first(saved):
    path = saved("patient_id;centre\n1;A\n")
    assert "is not known" in faults_of(path, data=Data(separator=","))[0]


def test_rows_are_numbered_as_a_spreadsheet_shows_them(saved):
    path = saved('patient_id,centre,sex\nA,"two\nlines",male\n\n,,\nB,X,mal\n')
    faults = faults_of(path)
    assert "in row 2" in faults[0] and "'mal' in row 5 (B; did you mean 'male'?)" in faults[1]
    reading = schema.read(saved("patient_id,centre\nA,X\n\nB,X\n"), table="clinical")
    assert reading.notes == ("clinical.csv: 1 empty row between the others passed over.",)
    assert reading.rows.tolist() == [2, 4]


def test_a_title_above_the_names_is_told_as_such(saved):
    rows = [["Lung cancer registry 2024"], [], *ROWS]
    assert "the names must stand in the first row; they seem to stand in row 3" in only_fault(saved(text(rows)))
    assert "the names must stand in the first row" in only_fault(saved(rows, "clinical.xlsx"))


def test_a_column_without_a_name_is_told_where_it_holds_something(saved):
    rows = [[*row, "", ""] for row in ROWS]
    assert len(schema.read(saved(text(rows)), table="clinical").frame.columns) == 4
    rows[2][5] = "check this"
    assert "column F has no name in the first row, but 1 filled cell (row 3)" in only_fault(saved(text(rows)))
    assert "column F has no name" in only_fault(saved(rows, "clinical.xlsx"))


def test_a_row_with_too_many_cells_does_not_hide_the_other_faults(saved):
    faults = faults_of(saved("patient_id,centre,sex\nA,X,male,female\nB,X,mal\n"))
    assert "1 of 2 rows do not have the 3 cells" in faults[0] and "'mal' in row 3" in faults[1] and len(faults) == 2


# --- Excel -----------------------------------------------------------------------------------------------------------


def test_excel_numbers_are_what_the_sheet_shows(saved):
    book = openpyxl.Workbook()
    sheet = book.active
    for row in (["patient_id", "centre", "age_years", "pet_ct_done"], [7, 1.0, 0.1 + 0.2, True], [8, 12, 61, False]):
        sheet.append(row)
    sheet["A2"].number_format = "0000"
    frame = schema.read(saved(book, "clinical.xlsx"), table="clinical").frame
    assert frame["patient_id"].tolist() == ["0007", "8"] and frame["centre"].tolist() == ["1", "12"]
    assert frame["age_years"].tolist() == [0.3, 61] and frame["pet_ct_done"].tolist() == [1, 0]


def test_a_decimal_comma_of_the_study_does_not_change_excel_numbers(saved):
    path = saved([ROWS[0], ["1", "A", 61.5, "male"], ["2", "A", "62,5", "male"]], "clinical.xlsx")
    assert schema.read(path, table="clinical", data=Data(decimal=",")).frame["age_years"].tolist() == [61.5, 62.5]


def test_error_cells_and_formulas_without_a_result_are_faults_and_never_missing(saved):
    path = saved([ROWS[0], ["1", "A", "#DIV/0!", "male"], ["2", "A", "=60+1", "male"]], "clinical.xlsx")
    fault = only_fault(path)
    assert "age_years has no value in 2 cells: the error #DIV/0! in row 2, a formula without its result" in fault
    assert "in row 3" in fault


def test_an_identifier_that_excel_rounded_or_took_for_a_date_is_a_fault(saved):
    rows = [ROWS[0], [12345678901234567, "A", 61, "male"], ["1", datetime.datetime(2020, 4, 3), 61, "male"]]
    faults = faults_of(saved(rows, "clinical.xlsx"))
    assert "a number of more than 15 digits" in faults[0] and "centre" in faults[1] and "(a date) in row 3" in faults[1]
    assert len(faults) == 2
    assert "long number in Excel's short form" in only_fault(saved("patient_id,centre\n1.23457E+17,A\n"))


def test_excel_dates_are_dates_whatever_format_the_study_names(saved):
    path = saved(
        [["patient_id", "centre", "ct", "op"], ["1", "A", datetime.datetime(2020, 1, 1, 9, 30), "31.01.2020"]],
        "clinical.xlsx",
    )
    data, mapping = Data(date_format="DD.MM.YYYY"), Mapping(dates={"ct_to_treatment_days": Elapsed("op", "ct")})
    frame = schema.read(path, table="clinical", data=data, mapping=mapping).frame
    assert frame["ct_to_treatment_days"].tolist() == [30.0]


def test_several_filled_sheets_want_a_name(saved):
    book = openpyxl.Workbook()
    for row in ROWS:
        book.active.append(row)
    book.create_sheet("Notes").append(["x"])
    book.create_sheet("Empty")
    path = saved(book, "clinical.xlsx")
    assert "2 sheets hold something ('Sheet', 'Notes'); wanted to know which" in only_fault(path)
    assert len(schema.read(path, table="clinical", data=Data(clinical_sheet="Sheet")).frame) == 2
    assert "there is no sheet 'Sheets'; it has Sheet, Notes, Empty; did you mean 'Sheet'?" in only_fault(
        path, data=Data(clinical_sheet="Sheets")
    )
    book["Notes"].sheet_state = "hidden"
    assert len(schema.read(saved(book, "clinical.xlsx"), table="clinical").frame) == 2


def test_merged_and_hidden_cells_are_read_and_told(saved):
    book = openpyxl.Workbook()
    for row in [*ROWS, [], []]:
        book.active.append(row)
    book.active.merge_cells("D2:D3")
    book.active.row_dimensions[3].hidden = True
    book.active.column_dimensions["C"].hidden = True
    reading = schema.read(saved(book, "clinical.xlsx"), table="clinical")
    assert reading.frame["sex"].tolist() == ["female", None] and reading.frame["age_years"].tolist() == [61.5, 70]
    said = " ".join(reading.notes)
    assert "1 merged cells (D2:D3)" in said and "1 hidden row read" in said and "1 hidden column read" in said


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"PK\x03\x04 broken", "cannot be read as an Excel workbook"), (b"\xd0\xcf\x11\xe0x", "save it as .xlsx"),
     ([[]], "no visible sheet of the workbook holds anything")],
)  # fmt: skip
def test_what_is_no_such_workbook_says_so(saved, content, said):
    assert said in only_fault(saved(content, "clinical.xlsx"))


# --- encodings -------------------------------------------------------------------------------------------------------

CHINESE = [
    "性别,医院\n男,上海市胸科医院\n女,复旦大学附属肿瘤医院\n",
    "住院号,姓名,性别,科室\n001,王芳,女,胸外科\n002,李娜,女,呼吸科\n003,张伟,男,胸外科\n",
    "centre,sex\n瑞金医院,男\n中山医院,女\n",
    "sex\n男\n女\n",
    "姓名,病理\n陈喆,腺癌\n朱镕,鳞癌\n刘堃,浸润性腺癌\n𠮷野,大细胞癌\n",
    "编号,病灶位置,备注\n1,右上叶,无淋巴结转移\n2,左下叶（混合磨玻璃）,术后随访\n",
    "肿瘤大小mm,CT日期,T分期\n12,2020年1月,T1a期\n",
]
WESTERN = [
    "Klinik,Name\nUniversitätsklinikum Würzburg,Müller\nCharité,Weiß\n",
    "hôpital,état\nHôpital Européen,créée\nCHU Besançon,à l'été\n",
    "hospital\nHospital Niño Jesús\nHospital de la Santa Creu i Sant Pau, año\n",
    "operação\nHospital São João\nlesões\nnão\nOPERAÇÕES\ncoração\n",
    "sykehus\nRigshospitalet København\nSahlgrenska Göteborg\nÅrhus\nTromsø\nblåbærgrød\n",
    "größe\n3 cm²\n5 µg\n37 °C\n",
    "Größe\nÄRZTEHAUS Straße\nfrüh\n",
    "name\nJosé\n",
]


@pytest.mark.parametrize("words", CHINESE)
def test_a_chinese_file_that_is_not_utf8_is_read_as_gb18030(words):
    from onlm_lab.schema.encodings import decode

    found, note = decode(words.encode("gb18030"), file="t.csv")
    assert found == words and "GB18030" in note


@pytest.mark.parametrize("words", WESTERN)
@pytest.mark.parametrize("encoding", ["latin-1", "cp1252"])
def test_a_western_file_that_is_not_utf8_is_read_as_windows_1252(words, encoding):
    from onlm_lab.schema.encodings import decode

    found, note = decode(words.encode(encoding), file="t.csv")
    assert found == words and "Windows-1252" in note


@pytest.mark.parametrize(
    ("words", "encoding"),
    [("имя\nМосква\n", "cp1251"), ("имя\nМосква\n", "koi8-r"), ("病院\n東京大学病院\nがん\n", "shift_jis"),
     ("病院\n東京大学医学部附属病院\n肺がん\n", "euc-jp"), ("병원\n서울대학교병원\n삼성서울병원\n남자\n", "euc-kr"),
     ("醫院\n臺大醫院\n長庚醫院\n", "big5"), ("jméno\nŘehoř\nPříliš žluťoučký kůň\n", "cp1250"),
     ("imię\nPaweł Śliwiński\nŁódź\n", "cp1250"), ("isim\nŞişli\nAyşe Yılmaz\n", "cp1254"),
     ("Größe\nMüller\n", "mac-roman"), ("Größe\nMüller\n", "cp850"), ("νοσοκομείο\nΑθήνα\n", "cp1253")],
)  # fmt: skip
def test_bytes_that_leave_a_doubt_are_a_fault_that_asks_for_the_encoding(saved, words, encoding):
    from onlm_lab.schema.encodings import decode

    with pytest.raises(DataError, match=r"name it in study.toml under \[data\], such as encoding"):
        decode(words.encode(encoding), file="t.csv")
    assert decode(words.encode(encoding), file="t.csv", encoding=encoding)[0] == words


def test_an_unknown_or_a_wrong_encoding_is_told(saved):
    path = saved(text(ROWS))
    assert "encoding 'gb18031' is not an encoding; did you mean 'gb18030'?" in only_fault(
        path, data=Data(encoding="gb18031")
    )
    assert "is not an encoding" in only_fault(path, data=Data(encoding="hex"))
    wrong = saved("patient_id,centre\n1,Besançon\n", encoding="latin-1")
    assert "line 2 is not utf-8 text" in only_fault(wrong, data=Data(encoding="utf-8"))


def test_a_chinese_spreadsheet_reads_right_with_its_own_names_and_words(saved):
    path = saved("住院号,医院,性别,年龄\n007,上海市胸科医院,男,61\nNA,华山医院,女,\n", encoding="gb18030")
    mapping = Mapping(
        columns={"住院号": "patient_id", "医院": "centre", "性别": "sex", "年龄": "age_years"},
        values={"sex": {"男": "male", "女": "female"}},
    )
    reading = schema.read(path, table="clinical", mapping=mapping)
    assert reading.frame["sex"].tolist() == ["male", "female"]
    assert reading.frame["patient_id"].tolist() == ["007", "NA"]
    assert reading.frame["centre"].tolist() == ["上海市胸科医院", "华山医院"]
    assert "not UTF-8; read as GB18030" in reading.notes[0] and "2 cells recoded (sex 2)" in reading.notes[-1]


# --- numbers and blanks ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cell", "said"),
    [("1.234,5", "'1234.5'"), ("1,234.5", "'1234.5'"), ("1 234", "between the thousands"),
     ("１２", "did you mean '12'?"),
     ("<0.5", "a limit is no number"), (">100", "a limit is no number"), ("12 mm", "without its unit: '12'"),
     ("ca. 12", "write the number alone"), ("12%", "without %"), ("10-12", "looks like several"),
     ("NA", "missing_words"), ("unknown", "missing_words"), ("-", "missing_words"), ("未知", "missing_words"),
     ("-99", "missing_words"), ("2020-01-31", "(a date) in row 2"), ("31.1.20", "(a date) in row 2")],
)  # fmt: skip
def test_what_is_no_plain_number_is_a_fault_that_says_what_to_do(saved, cell, said):
    fault = only_fault(saved(text([["patient_id", "centre", "age_years"], ["1", "A", cell]])))
    assert said in fault and "age_years must be a number from 0 to 120 years" in fault


def test_decimal_commas_are_read_where_semicolons_separate_or_the_study_says_so(saved):
    rows = [["patient_id", "centre", "age_years"], ["1", "A", "61,5"], ["2", "A", "62"]]
    assert schema.read(saved(text(rows, ";")), table="clinical").frame["age_years"].tolist() == [61.5, 62]
    assert "set decimal" in only_fault(saved(text(rows, "\t")))
    with_comma = schema.read(saved(text(rows, "\t")), table="clinical", data=Data(decimal=","))
    assert with_comma.frame["age_years"].tolist() == [61.5, 62]
    assert "did you mean '61,5'?" in only_fault(saved(text([rows[0], ["1", "A", "61.5"]])), data=Data(decimal=","))


def test_both_decimal_signs_in_one_column_are_one_fault(saved):
    rows = [["patient_id", "centre", "age_years"], ["1", "A", "61,5"], ["2", "A", "62.5"], ["3", "A", "70"]]
    assert "decimal commas (row 2) and decimal points (row 3)" in only_fault(saved(text(rows, ";")))


@pytest.mark.parametrize("blank", [" ", "\u00a0", "\u3000", "\u200b", "\ufeff", "\t"])
def test_blanks_at_the_ends_are_taken_off_and_counted(saved, blank):
    rows = [["patient_id", f"centre{blank}", "sex"], [f"P1{blank}", "A", f"{blank}male"]]
    reading = schema.read(saved(text(rows)), table="clinical")
    assert reading.frame.to_dict("records") == [{"patient_id": "P1", "centre": "A", "sex": "male"}]
    assert reading.notes == (
        "clinical.csv: blanks at the ends of 1 column name were taken off.",
        "clinical.csv: blanks at the ends of 2 cells were taken off (in patient_id, sex).",
    )


def test_an_id_with_and_without_a_blank_is_a_doubled_id(saved):
    fault = only_fault(saved("patient_id,centre\nP1 ,A\nP1,A\n"))
    assert "wanted one row a patient; 1 has more (P1: rows 2, 3)" in fault


def test_missing_words_are_declared_and_never_hold_for_identifiers(saved):
    path = saved("patient_id,centre,age_years,kps\nNA,NA,NA,999\n")
    mapping = Mapping(missing_words={"kps": ("999",)})
    frame = schema.read(path, table="clinical", data=Data(missing_words=("NA",)), mapping=mapping).frame
    assert frame["patient_id"].tolist() == ["NA"] and frame[["age_years", "kps"]].isna().all(axis=None)


def test_long_text_is_never_shown_in_a_message(saved):
    words = "Mrs Miller from next door said that she never smoked at all"
    fault = only_fault(saved(f"patient_id,centre,smoking\n1,A,{words}\n"))
    assert "Miller" not in fault and f"(a text of {len(words)} characters)" in fault


def test_utf16_without_its_mark_is_told_as_such(saved):
    path = saved("patient_id,centre\n1,A\n", encoding="utf-16-le")
    assert "looks like UTF-16 without its mark" in only_fault(path)
    assert len(schema.read(path, table="clinical", data=Data(encoding="utf-16-le")).frame) == 1


def test_a_note_beside_the_table_makes_no_patient(saved):
    book = openpyxl.Workbook()
    for row in ROWS:
        book.active.append(row)
    book.active["H9"] = "checked by the data manager"
    fault = only_fault(saved(book, "clinical.xlsx"))
    assert "1 row holds something only in column H, which has no name in the first row (row 9)" in fault


def test_what_nobody_sees_inside_an_identifier_is_a_fault(saved):
    assert "control character inside it" in only_fault(saved("patient_id,centre\nP\u200b1,A\nP1,A\n"))
    assert "control character inside it" in only_fault(saved("patient_id,centre\nP\x001,A\nP,A\n"))


def test_a_file_is_read_by_its_bytes_whatever_it_is_called(saved):
    book = saved(ROWS, "clinical.xlsx").read_bytes()
    assert len(schema.read(saved(book, "clinical.csv"), table="clinical").frame) == 2
    assert len(schema.read(saved(text(ROWS), "clinical.xlsx"), table="clinical").frame) == 2


def test_the_annotations_come_in_by_the_mapping_too(saved, tmp_path):
    from onlm_lab.cohort.tables import read_annotation_table
    from onlm_lab.study import load_study, starter_toml

    saved("住院号;x;tumour_y_mm;tumour_z_mm\n007;1,5;2;3\n", "annotations.csv", "gb18030")
    columns = {"住院号": "patient_id", "x": "tumour_x_mm"}
    sections = {"mapping": {"columns": columns}, "data": {"encoding": "gb18030"}}
    (tmp_path / "study.toml").write_text(starter_toml(name="S", sections=sections), encoding="utf-8")
    frame = read_annotation_table(load_study(tmp_path)).frame
    assert frame["patient_id"].tolist() == ["007"] and frame["tumour_x_mm"].tolist() == [1.5]


@pytest.mark.parametrize(
    ("style", "shown"),
    [("000", "007"), ('"P"000', "P007"), ("\\P000", "P007"), ("[$-409]000", "007"), ("000;-000", "007"),
     ("000-000", "000-007"), ('"A-"#000', "A-007"), ("00 00", "00 07"), ("General", "7"), ("#,##0", "7"),
     ("# ##0", "7"), ('0 "mm"', "7"), ("0E+00", "7"), ("0.00", "7")],
)  # fmt: skip
def test_an_identifier_is_read_as_its_number_format_shows_it(saved, style, shown):
    book = openpyxl.Workbook()
    for row in (["patient_id", "centre"], [7, "A"]):
        book.active.append(row)
    book.active["A2"].number_format = style
    frame = schema.read(saved(book, "clinical.xlsx"), table="clinical").frame
    assert frame["patient_id"].tolist() == [shown]


def test_a_percentage_of_a_workbook_is_a_fault_as_it_is_in_a_csv_file(saved):
    book = openpyxl.Workbook()
    for row in (["patient_id", "centre", "cea_ng_ml"], ["007", "A", 0.5]):
        book.active.append(row)
    book.active["C2"].number_format = "0%"
    assert "'50%' in row 2 (007; write the number without %)" in only_fault(saved(book, "clinical.xlsx"))


def test_an_identifier_that_excel_took_for_a_date_is_told_as_that(saved):
    path = saved([ROWS[0], [datetime.date(2020, 3, 1), "A", 61.5, "male"]], "clinical.xlsx")
    assert "(a date) in row 2 (Excel took it for a date" in only_fault(path)


@pytest.mark.parametrize("given", [None, 5, {"clinical": object()}, ["clinical.csv", 3]])
def test_what_is_no_path_is_refused_in_a_sentence(given):
    with pytest.raises(DataError, match="Wanted a study, its folder, or the paths of one or two files; got "):
        load_cohort(given)


def test_a_follow_up_of_none_is_none(saved):
    path = saved(text(ROWS))
    assert load_cohort({"clinical": path, "followup": None}).sha256 == load_cohort(path).sha256


@pytest.mark.parametrize("encoding", ["gb18030", "euc-kr"])
def test_wide_digits_alone_are_read_and_never_taken_for_western_signs(saved, encoding):
    path = saved("patient_id,centre\n００７,Ａ（１）\n", encoding=encoding)
    frame = schema.read(path, table="clinical").frame
    assert frame.to_numpy().tolist() == [["００７", "Ａ（１）"]]


@pytest.mark.parametrize(
    ("word", "encoding"),
    [("남", "euc-kr"), ("여", "euc-kr"), ("Ärztin", "mac-roman"), ("Muñoz", "mac-roman"), ("żona", "iso-8859-2"),
     ("żona", "cp1250"), ("žena", "cp852"), ("Skåne", "mac-roman"), ("Nîmes", "cp850")],
)  # fmt: skip
def test_a_single_word_that_western_europe_does_not_write_so_is_doubted(saved, word, encoding):
    path = saved(f"patient_id,centre\n007,{word}\n", encoding=encoding)
    assert "its bytes do not say for certain what it is" in only_fault(path)


@pytest.mark.parametrize("word", ["Œdème", "Cœur", "¿Qué?", "5 €", "½ Jahr", "Köln–Bonn", "10–20", "Größe", "l’âge"])
def test_what_western_europe_does_write_is_read(saved, word):
    path = saved(f"patient_id,centre\n007,{word}\n", encoding="cp1252")
    assert schema.read(path, table="clinical").frame["centre"].tolist() == [word]


NOTED = "patient_id,centre,note\n007,A,x\n8,A,{}\n9,A,z\nNA,A,y{}\n11,A,v\n"


@pytest.mark.parametrize("quotes", [('"open', ""), ('"open', '"')], ids=["never closed", "closed three rows below"])
def test_a_quotation_mark_that_swallows_rows_is_told_even_in_a_column_that_nobody_wants(saved, quotes):
    path = saved(NOTED.format(*quotes))
    said = only_fault(path, mapping=Mapping(ignore=("note",)))
    assert 'a quotation mark (") is opened' in said and "row 3" in said


def test_a_text_of_several_lines_between_quotation_marks_swallows_nothing(saved):
    path = saved(NOTED.format('"two, or\nthree, lines"', ""))
    frame = schema.read(path, table="clinical", mapping=Mapping(ignore=("note",))).frame
    assert frame["patient_id"].tolist() == ["007", "8", "9", "NA", "11"]


def test_a_zero_is_a_zero_whatever_its_sign(saved):
    cohorts = [load_cohort(saved(f"patient_id,centre,cea_ng_ml\n007,A,{zero}\n")) for zero in ("0", "-0", "-0.0")]
    assert len({cohort.sha256 for cohort in cohorts}) == 1
