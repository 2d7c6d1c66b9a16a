"""One door for spreadsheets: every fault at once, in sentences that a clinician can act on."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from onlm_lab import schema
from onlm_lab.errors import DataError, OnlmError

CLINICAL = "patient_id,centre,age_years,sex,pathological_n,nodes_examined,pet_ct_done,treatment\n"
FOLLOWUP = "patient_id,followup_days,died,death_cause,recurred,recurrence_days,recurrence_site,regional_days\n"


@pytest.fixture
def written(tmp_path):
    def write(text, name="clinical.csv", encoding="utf-8"):
        path = tmp_path / name
        path.write_bytes(text.encode(encoding))
        return path

    return write


def faults_of(path, table="clinical", **more):
    with pytest.raises(DataError) as raised:
        schema.read_table(path, table=table, **more)
    return raised.value.faults


def test_identifiers_stay_text_even_where_they_look_like_numbers_or_missing_words(written):
    path = written(CLINICAL + "007,1,61.5,female,N0,3,1,lobectomy\nNA,NA,,NA,,,,\n")
    rows = schema.read_table(path, table="clinical", missing_words=("", "NA"))
    assert rows["patient_id"].tolist() == ["007", "NA"]
    assert rows["centre"].tolist() == ["1", "NA"]
    assert rows["sex"].tolist() == ["female", None]
    assert rows["age_years"].dtype == float and np.isnan(rows["age_years"][1])


def test_a_byte_order_mark_is_read_over(written):
    path = written("\ufeff" + CLINICAL + "A,B,1,male,,,0,wedge\n")
    assert schema.read_table(path, table="clinical").columns[0] == "patient_id"


def test_every_fault_of_a_table_is_said_at_once(written):
    path = written(CLINICAL + "A,X,-3,femal,N1,0,2,sbrt\nA,,abc,male,N0,2.5,1,wedge\n")
    faults = faults_of(path)
    words = " | ".join(faults)
    assert len(faults) == 8
    assert "centre is empty in 1 of 2 rows (row 3 A)" in words
    assert "age_years must be a number from 0 to 120 years; 2 cells hold something else: '-3' in row 2 (A)" in words
    assert "'femal' in row 2 (A; did you mean 'female'?)" in words
    assert "pet_ct_done must be 0 or 1; 1 cell holds something else: '2' in row 2 (A)" in words
    assert "nodes_examined must be a whole number from 0 to 200" in words
    assert "wanted one row a patient; 1 has more (A: rows 2, 3)" in words
    assert "an SBRT patient has a pathological_n in 1 of 2 rows (row 2 A)" in words
    assert "pathological_n is N1-N3 but nodes_examined is 0" in words
    assert all(f.startswith("clinical.csv: ") for f in faults)


def test_a_label_of_two_is_a_fault_and_never_true(written):
    path = written("patient_id,centre,onlm\nA,X,2\nB,X,1\n")
    assert faults_of(path) == [
        "clinical.csv: onlm must be 0 or 1; 1 cell holds something else: '2' in row 2 (A). "
        "Correct it, or leave the cell empty."
    ]
    with pytest.raises(DataError, match="onlm must be 0 or 1"):
        schema.check(pd.DataFrame({"patient_id": ["A"], "centre": ["X"], "onlm": [2]}), table="clinical")


def test_many_wrong_cells_are_one_sentence_with_a_count_and_the_first_five(written):
    rows = "".join(f"P{i},X,,,,,,laser\n" for i in range(9))
    (fault,) = faults_of(written(CLINICAL + rows))
    assert "9 cells hold something else" in fault and "(P4)" in fault and "(P5)" not in fault and "and 4 more" in fault


def test_a_missing_file_is_named_without_its_folder(tmp_path):
    (fault,) = faults_of(tmp_path / "clinical.csv")
    assert fault.startswith("clinical.csv: there is no such file") and str(tmp_path) not in fault


def test_a_wrong_column_name_offers_the_nearest(written):
    (fault,) = faults_of(written("patient_id,centre,solid_diametr_mm\nA,X,3\n"))
    assert "column 'solid_diametr_mm' is not known; did you mean 'solid_diameter_mm'?" in fault
    assert "[columns.solid_diametr_mm]" in fault


def test_a_missing_needed_column_is_named(written):
    assert any("column 'centre' is missing" in f for f in faults_of(written("patient_id,age_years\nA,3\n")))


def test_a_column_twice_is_a_fault(written):
    assert any("column 'sex' is there 2 times" in f for f in faults_of(written("patient_id,centre,sex,sex\nA,X,,\n")))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"PK\x03\x04 and so on", "Excel workbook"),
        (b"\xd0\xcf\x11\xe0 and so on", "save it as .xlsx"),
        ("patient_id,centre\nA,\u041c\u043e\u0441\u043a\u0432\u0430\n".encode("cp1251"), "line 2 is not UTF-8"),
        (b"", "the file is empty"),
        (b"patient_id,centre\n", "no row below the column names"),
        (b"patient_id,centre\nA,X,Y\n", "1 of 1 rows do not have the 2 cells"),
    ],
)
def test_a_file_that_is_no_such_table_says_what_it_is(tmp_path, content, said):
    path = tmp_path / "clinical.csv"
    path.write_bytes(content)
    faults = faults_of(path)
    assert len(faults) == 1 and said in faults[0]


def test_a_comma_as_decimal_sign_is_explained_and_a_blank_at_an_end_is_taken_off_and_counted(written):
    (fault,) = faults_of(written('patient_id,centre,age_years,sex\nA,X,"61,5",male\n'))
    assert "did you mean '61.5'?" in fault
    reading = schema.read(written("patient_id,centre,sex\nA,X,male \n"), table="clinical")
    assert reading.frame["sex"].tolist() == ["male"]
    assert reading.notes == ("clinical.csv: blanks at the ends of 1 cell were taken off (in sex).",)


@pytest.mark.parametrize("cell", ["nan", "inf", "1_000", "1e400", "0x10", "٣"])
def test_what_python_takes_for_a_number_but_nobody_wrote_as_one_is_refused(written, cell):
    assert "age_years must be a number" in faults_of(written(f"patient_id,centre,age_years\nA,X,{cell}\n"))[0]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("A,-1,0,,0,,,", "followup_days must be a number of at least 0 days; 1 cell holds something else: '-1'"),
        ("A,100,1,other,1,200,regional,", "recurrence comes after death in 1 of 1 rows (row 2 A)"),
        ("A,100,0,,1,200,regional,", "recurrence comes after the last contact"),
        ("A,,1,other,0,,,", "died is 1 but followup_days"),
        ("A,100,0,,1,,regional,", "recurred is 1 but recurrence_days is empty"),
        ("A,100,0,,0,50,,", "recurrence_days is given but recurred is not 1"),
        ("A,100,0,,0,,regional,", "a site or day of recurrence is given but recurred is not 1"),
        ("A,100,0,other,0,,,", "death_cause is given but died is not 1"),
        ("A,100,0,,1,50,brain,", "recurrence_site is not any of local, regional, distant"),
        ("A,100,0,,1,50,local;local,", "recurrence_site is not any of local, regional, distant"),
        ("A,100,0,,1,50,local,40", "lies before recurrence_days"),
        ("A,100,0,,1,50,local,140", "regional_days is after followup_days"),
    ],
)
def test_a_followup_that_contradicts_itself_is_refused(written, row, said):
    faults = faults_of(written(FOLLOWUP + row + "\n", "followup.csv"), table="followup")
    assert len(faults) == 1 and said in faults[0] and faults[0].startswith("followup.csv: ")


@pytest.mark.parametrize("row", ["A,100,1,other,1,100,regional;distant,100", "A,100,0,,1,50,unknown,", "A,0,0,,0,,,"])
def test_a_followup_at_its_limits_is_taken(written, row):
    assert len(schema.read_table(written(FOLLOWUP + row + "\n", "followup.csv"), table="followup")) == 1


@pytest.mark.parametrize(
    ("columns", "row", "said"),
    [
        ("total_diameter_mm,solid_diameter_mm", "20,21", "solid_diameter_mm is above total_diameter_mm"),
        ("nodule_type,solid_diameter_mm", "pure_ggo,4", "a pure_ggo has a solid_diameter_mm above 0"),
        ("invasive_staging_done,invasive_staging_positive", "0,1", "invasive_staging_done is 0"),
        ("smoking,pack_years", "never,10", "smoking is never but pack_years is above 0"),
        ("adjuvant,adjuvant_start_days", "0,30", "adjuvant is 0 but has adjuvant_start_days"),
    ],
)
def test_clinical_columns_that_contradict_each_other_are_refused(written, columns, row, said):
    (fault,) = faults_of(written(f"patient_id,centre,{columns}\nA,X,{row}\n"))
    assert said in fault


def test_rows_of_a_patient_whom_nobody_knows_are_named_with_the_nearest_id():
    rows = pd.DataFrame({"patient_id": ["P001", "P0O2"]})
    (fault,) = schema.check_known_patients(rows, patients=["P001", "P002"], file="followup.csv")
    assert "followup.csv: 1 of 2 rows belong to a patient who is not in clinical.csv (row 3 P0O2)" in fault
    assert "Did you mean 'P002'?" in fault
    assert schema.check_known_patients(rows, patients=["P001", "P0O2"], file="followup.csv") == []


def test_predictions_are_one_row_a_patient_model_split_and_repeat(tmp_path):
    rows = pd.DataFrame(
        {"patient_id": ["A", "A"], "model_id": "m", "split": "oof", "repeat": [0, 1], "risk": [0.1, 0.2]}
    )
    schema.check(rows, table="predictions")
    with pytest.raises(DataError, match="wanted one row a combination of patient_id, model_id, split, repeat"):
        schema.check(rows.assign(repeat=0), table="predictions")
    with pytest.raises(DataError, match=r"risk must be a number from 0 to 1; 1 cell holds something else: '1\.2'"):
        schema.check(rows.assign(risk=[0.1, 1.2]), table="predictions")
    with pytest.raises(DataError, match="split must be one of oof, test, external, unlabelled"):
        schema.check(rows.assign(split="OOF"), table="predictions")


def test_a_studys_own_column_is_checked_by_its_declaration(written):
    lvi = schema.Column("lvi", "clinical", "boolean", timing="post_treatment")
    path = written("patient_id,centre,lvi\nA,X,3\n")
    assert "lvi must be 0 or 1" in faults_of(path, extra_columns=(lvi,))[0]


def test_a_studys_own_column_cannot_take_a_fixed_name():
    from onlm_lab.study import ExtraColumn

    with pytest.raises(OnlmError, match=r"\[columns.pathological_n\] is a fixed column"):
        schema.declared({"pathological_n": ExtraColumn(type="category", timing="pre_treatment")})


def test_writing_twice_gives_the_same_bytes_and_reading_gives_the_table_back(tmp_path):
    rows = pd.DataFrame(
        {"patient_id": ["007", "NA"], "centre": ["A,1", "B"], "age_years": [0.1 + 0.2, np.nan],
         "nodes_examined": [3.0, np.nan], "pet_ct_done": [1.0, 0.0], "sex": ["male", None]}
    )  # fmt: skip
    first = schema.write_table(rows, tmp_path / "a" / "clinical.csv").read_bytes()
    assert first == (
        b"patient_id,centre,age_years,nodes_examined,pet_ct_done,sex\n"
        b'007,"A,1",0.30000000000000004,3,1,male\nNA,B,,,0,\n'
    )
    again = schema.read_table(tmp_path / "a" / "clinical.csv", table="clinical")
    pd.testing.assert_frame_equal(again, rows)
    assert schema.write_table(again, tmp_path / "b.csv").read_bytes() == first


def test_writing_leaves_the_old_file_whole_when_it_fails(tmp_path):
    path = schema.write_table(pd.DataFrame({"x": [1]}), tmp_path / "t.csv")
    with pytest.raises(UnicodeEncodeError):
        schema.write_table(pd.DataFrame({"x": ["\ud800"]}), path)
    assert path.read_text() == "x\n1\n" and list(tmp_path.iterdir()) == [path]


def test_the_pandera_schemas_refuse_what_the_reader_refuses():
    import pandera.errors

    good = pd.DataFrame({"patient_id": ["A"], "centre": ["X"], "kps": [90.0]})
    schema.PatientRows.validate(good)
    with pytest.raises(pandera.errors.SchemaError):
        schema.PatientRows.validate(good.assign(kps=900.0))
    assert "risk" in schema.AnalysisRows.columns and "regional_state" in schema.AnalysisRows.columns
    for name in ("FollowupRows", "AnnotationRows", "Predictions"):
        assert not getattr(schema, name).coerce


def test_importing_the_schema_loads_no_pandera():
    code = "import sys, onlm_lab.schema; print('pandera' in sys.modules, 'pandas' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


def test_every_column_has_a_timing_and_a_description():
    assert all(c.description and c.timing for c in schema.COLUMNS)
    pathology = ("pathological_n", "nodes_examined", "n2_stations_examined", "adjuvant", "treatment")
    assert {schema.column(name).timing for name in pathology} == {"post_treatment"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('patient_id,centre\n1,"A' + "x" * 140000, "opened and never closed"),
        ('patient_id,centre\n"a\nb",A\n', "line break"),
        ("patient_id,centre\n1,A\0\n", "control character"),
    ],
)
def test_what_an_export_leaves_behind_is_told(tmp_path, text, said):
    path = tmp_path / "clinical.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=said):
        schema.read_table(path, table="clinical")


KNOWN = {"patient_id": ["007", "NA", "3"], "centre": ["A", "B", "B"], "age_years": [60, 61.5, np.nan],
         "sex": ["male", "female", None], "pet_ct_done": [1, 0, np.nan], "nodes_examined": [1, 2, np.nan]}  # fmt: skip
KINDS = {"patient_id": "string", "centre": "category", "age_years": "Float64", "sex": "category",
         "pet_ct_done": "boolean", "nodes_examined": "Int64"}  # fmt: skip


def test_a_frame_of_pandas_own_types_is_checked_like_a_plain_one_whatever_its_index():
    plain = pd.DataFrame(KNOWN, index=[10, 10, -5])
    typed = plain.astype(KINDS)
    assert schema.check(typed, table="clinical") is typed
    assert schema.table_text(typed) == schema.table_text(plain)
    for frame in (plain, typed):
        frame = frame.assign(age_years=frame["age_years"].add(100), sex=["m", None, "male"])
        with pytest.raises(DataError) as raised:
            schema.check(frame, table="clinical")
        assert [(f.column, f.rows, f.patients) for f in raised.value.details] == [
            ("age_years", (2, 3), ("007", "NA")), ("sex", (2,), ("007",)),
        ]  # fmt: skip


def test_what_two_columns_of_pandas_own_types_say_together_is_told():
    frame = pd.DataFrame({"patient_id": ["007", "NA"], "followup_days": [10, 20], "died": [0, 1]})
    frame["recurred"] = pd.array([True, None], dtype="boolean")
    frame["recurrence_days"] = pd.array([None, None], dtype="Int64")
    with pytest.raises(DataError, match=r"recurred is 1 but recurrence_days is empty in 1 of 2 rows \(row 2 007\)"):
        schema.check(frame, table="followup")


def test_a_date_in_a_column_of_numbers_of_a_frame_is_told_and_not_shown():
    frame = pd.DataFrame(KNOWN).assign(age_years=pd.to_datetime(["2020-01-31"] * 3))
    with pytest.raises(
        DataError, match=r"age_years must be a number .* 3 cells hold something else: \(a date\) in row 2"
    ) as e:
        schema.check(frame, table="clinical")
    assert "2020" not in str(e.value)


def test_nothing_is_concluded_from_a_needed_column_that_is_missing(written):
    path = written("patient_id,followup_days,death_cause\n007,100,other\n", "followup.csv")
    assert faults_of(path, table="followup") == [
        "followup.csv: column 'died' is missing (Dead at followup_days). Add it."
    ]


def test_a_derived_column_is_told_to_be_derived(written):
    assert faults_of(written("patient_id,centre,arm\n007,A,surgery\n")) == [
        "clinical.csv: column 'arm' is not known; it is derived here and never read. Take it out, or name it under "
        "[mapping] ignore."
    ]


@pytest.mark.parametrize(
    "cell",
    ["Feb 1st, 1950", "1er février 1950", "3 de mayo de 1950", "昭和25年2月1日", "1950_02_01", "1950 02 01",
     "1950–02–01", "19500201120000", "geb. 01.02.1950", "02.1950", "01,02,1950"],
)  # fmt: skip
def test_a_date_is_not_shown_however_it_is_written(written, cell):
    (said,) = faults_of(written(f'patient_id,centre,lobe\n007,A,"{cell}"\n'))
    assert "1950" not in said and "25" not in said and "date) in row 2 (007)" in said


@pytest.mark.parametrize("cell", ["1.2000", "12/13", "1,234,567", "T1a N0 M0", "2.5x3.0x1.2"])
def test_what_is_no_date_is_shown(written, cell):
    (said,) = faults_of(written(f'patient_id,centre,lobe\n007,A,"{cell}"\n'))
    assert f"'{cell}' in row 2 (007" in said
