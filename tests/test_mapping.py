"""A hospital's own names and words become ours; whatever does not fit is listed at once."""

from __future__ import annotations

import datetime

import pytest

from onlm_lab import schema
from onlm_lab.cohort import load_cohort
from onlm_lab.cohort.tables import read_tables
from onlm_lab.errors import DataError
from onlm_lab.schema.dates import elapsed, read_dates
from onlm_lab.schema.texts import texts
from onlm_lab.study import Data, Elapsed, Mapping, starter_toml


@pytest.fixture
def saved(tmp_path):
    def save(text, name="clinical.csv"):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return save


def read(path, mapping, data=None, table="clinical", **more):
    return schema.read(path, table=table, mapping=mapping, data=data or Data(), **more)


def faults_of(path, mapping, data=None, **more):
    with pytest.raises(DataError) as raised:
        read(path, mapping, data, **more)
    return raised.value.faults


def only_fault(path, mapping, data=None, **more):
    (fault,) = faults_of(path, mapping, data, **more)
    return fault


GERMAN = "Pat-Nr;Klinik;Geschlecht;Alter;Größe cm;Name\nP1;Nord;m;61,5;1,2;Meier\nP2;Nord;w;70;3;Huber\n"
TO_OURS = Mapping(
    columns={"Pat-Nr": "patient_id", "Klinik": "centre", "Geschlecht": "sex", "Alter": "age_years",
             "Größe cm": "total_diameter_mm"},
    values={"sex": {"m": "male", "w": "female"}}, factors={"total_diameter_mm": 10}, ignore=("Name",),
)  # fmt: skip


def test_names_words_factors_and_ignored_columns(saved):
    reading = read(saved(GERMAN), TO_OURS)
    assert reading.frame.to_dict("list") == {
        "patient_id": ["P1", "P2"], "centre": ["Nord", "Nord"], "sex": ["male", "female"], "age_years": [61.5, 70.0],
        "total_diameter_mm": [12.0, 30.0],
    }  # fmt: skip
    assert reading.notes == (
        "clinical.csv: read as separated by ';'.",
        "clinical.csv: 5 columns renamed by [mapping.columns].",
        "clinical.csv: 1 column ignored, as study.toml says.",
        "clinical.csv: Größe cm (total_diameter_mm) multiplied by 10, as study.toml says.",
        "clinical.csv: decimal commas read in 2 cells (age_years, total_diameter_mm).",
        "clinical.csv: 2 cells recoded (sex 2).",
    )


def test_a_fault_calls_the_column_as_the_file_does_and_shows_the_files_words(saved):
    path = saved(GERMAN.replace(";m;", ";x;").replace("1,2", "120"))
    faults = faults_of(path, TO_OURS)
    assert "Geschlecht (sex) must be one of female, male; 1 cell holds something else: 'x' in row 2 (P1)" in faults[0]
    assert "Größe cm (total_diameter_mm) must be a number from 0.1 to 300 mm" in faults[1] and "'120'" in faults[1]
    assert len(faults) == 2


def test_all_unmapped_words_of_all_columns_are_listed_with_count_and_nearest(saved):
    rows = "".join(f"P{i},A,{'M' if i % 2 else 'F'},{('Raucher', 'ex', 'Never')[i % 3]}\n" for i in range(12))
    faults = faults_of(saved("patient_id,centre,sex,smoking\n" + rows), Mapping())
    assert "Its words: 'F' 6 times, 'M' 6 times. Recode them in study.toml under [mapping.values.sex]." in faults[0]
    assert "'Never' 4 times (did you mean 'never'?)" in faults[1] and "'Raucher' 4 times" in faults[1]
    assert len(faults) == 2


def test_what_the_mapping_itself_says_wrong_is_told_at_once(saved):
    mapping = Mapping(
        columns={"a": "sexx"}, values={"sex": {"m": "mal"}, "kps": {"x": "ninety"}}, factors={"sex": 2, "age_years": 0},
        constants={"centr": "A"}, missing_words={"kpss": ("9",)}, only={"clinicals": {"a": "b"}},
        checkboxes={"recurrence_site": {"x": "brain"}}, dates={"sex": Elapsed("a", "b")},
    )  # fmt: skip
    faults = faults_of(saved("patient_id,centre\n1,A\n"), mapping)
    said = "\n".join(faults)
    for words in (
        "[mapping.columns] 'sexx' is not one of our columns; did you mean 'sex'?",
        "[mapping.values.sex] 'm' = 'mal': wanted one of female, male; did you mean 'male'?",
        "[mapping.values.kps] 'x' = 'ninety': wanted a whole number from 0 to 100",
        "[mapping.factors] sex holds no numbers", "[mapping.factors] age_years = 0; wanted a number other than 0",
        "[mapping.constants] 'centr' is not one of our columns; did you mean 'centre'?",
        "[mapping.missing_words] 'kpss' is not one of our columns; did you mean 'kps'?",
        "[mapping.only] 'clinicals' is not a table; did you mean 'clinical'?",
        "[mapping.checkboxes.recurrence_site] 'x' = 'brain' is not a word of recurrence_site",
        "[mapping.dates.sex] sex holds no numbers",
    ):  # fmt: skip
        assert words in said
    assert all(fault.startswith("study.toml: [mapping") for fault in faults)


def test_two_of_theirs_for_one_of_ours_is_a_fault(saved):
    path = saved("patient_id,centre,sex,Sex\n1,A,male,male\n")
    assert "the columns 'sex' and 'Sex' are both sex; wanted one" in only_fault(path, Mapping(columns={"Sex": "sex"}))


def test_a_source_that_no_file_has_is_told_with_the_nearest_and_nothing_follows_from_it(saved, tmp_path):
    path = saved("patient_id,centre,Geschlecht\n1,A,male\n")
    fault = only_fault(path, Mapping(columns={"Geschlechtt": "sex"}))
    assert "names 'Geschlechtt', which is not a column of clinical.csv; did you mean 'Geschlecht'?" in fault
    saved("Nr,centre,Geschlecht\n1,A,male\n")
    saved("Nummer,followup_days,died\n1,30,0\n", "followup.csv")
    mapping = {"Nr": "patient_id", "Nummer": "patient_id", "Geschlecht": "sex", "tot": "died"}
    toml = starter_toml(name="S", sections={"mapping": {"columns": mapping}})
    (tmp_path / "study.toml").write_text(toml, encoding="utf-8")
    with pytest.raises(DataError) as raised:
        load_cohort(tmp_path)
    (fault,) = raised.value.faults
    assert "names 'tot', which is not a column of clinical.csv nor followup.csv" in fault
    (tmp_path / "study.toml").write_text(toml.replace('tot = "died"\n', ""), encoding="utf-8")
    assert load_cohort(tmp_path).patients["os_days"].tolist() == [30]


def test_constants_stand_in_for_a_column_and_not_beside_it(saved):
    path = saved("patient_id\n1\n2\n")
    reading = read(path, Mapping(constants={"centre": "Nord"}))
    assert reading.frame["centre"].tolist() == ["Nord", "Nord"]
    assert reading.notes == ("clinical.csv: centre is 'Nord' in every row, as study.toml says.",)
    path = saved("patient_id,centre\n1,A\n")
    assert "but clinical.csv has the column 'centre'; wanted one of the two" in only_fault(
        path, Mapping(constants={"centre": "Nord"})
    )


def test_rows_are_chosen_by_their_words_and_counted(saved):
    path = saved("patient_id,centre,visit\n1,A,base\n1,A,late\n2,A,base\n")
    reading = read(path, Mapping(only={"clinical": {"visit": "base"}}))
    assert reading.frame["patient_id"].tolist() == ["1", "2"] and reading.rows.tolist() == [2, 4]
    assert reading.notes[0] == "clinical.csv: 1 of 3 rows left out; kept are those with visit = 'base'."
    fault = only_fault(path, Mapping(only={"clinical": {"visit": "basis"}}, ignore=("visit",)))
    assert "wants 'visit' = 'basis', but no row of clinical.csv has that; it has 'base', 'late'" in fault
    fault = only_fault(path, Mapping(only={"clinical": {"visitt": "base"}}, ignore=("visit",)))
    assert "names 'visitt', which clinical.csv does not have; did you mean 'visit'?" in fault


# --- dates -----------------------------------------------------------------------------------------------------------

DATES = Mapping(
    dates={"age_years": Elapsed("op", "born", "years"), "treatment_year": Elapsed("op", unit="calendar_year"),
           "ct_to_treatment_days": Elapsed("op", "ct")},
)  # fmt: skip


@pytest.mark.parametrize(
    ("form", "born", "ct", "op"),
    [("YYYY-MM-DD", "1960-03-01", "2020-02-28", "2020-03-01"), ("YYYY/MM/DD", "1960/3/1", "2020/2/28", "2020/3/1"),
     ("YYYYMMDD", "19600301", "20200228", "20200301"), ("DD.MM.YYYY", "01.03.1960", "28.02.2020", "1.3.2020"),
     ("DD/MM/YYYY", "01/03/1960", "28/02/2020", "01/03/2020"), ("MM/DD/YYYY", "03/01/1960", "02/28/2020", "03/01/2020"),
     ("YYYY年MM月DD日", "1960年3月1日", "2020年2月28日", "2020年03月01日 08:30")],
)  # fmt: skip
def test_dates_of_every_form_become_days_years_and_a_year(saved, form, born, ct, op):
    path = saved(f"patient_id,centre,born,ct,op\n1,A,{born},{ct},{op}\n2,A,,,\n")
    frame = read(path, DATES, Data(date_format=form)).frame
    assert frame.iloc[0][["age_years", "treatment_year", "ct_to_treatment_days"]].tolist() == [60.0, 2020.0, 2.0]
    assert frame.iloc[1][["age_years", "treatment_year", "ct_to_treatment_days"]].isna().all()


@pytest.mark.parametrize(
    ("cell", "said"),
    [("01.03.20", "the year has two digits"), ("30.02.2020", "there is no such day in the calendar"),
     ("03.13.2020", "there is no month 13; day and month may be the other way round"),
     ("2020-03-01", "it is written like YYYY-MM-DD"), ("soon", "it is no date"),
     ("43891", "it looks like the number that"),
     ("01.03.1820", "the year is not between 1900 and 2100")],
)  # fmt: skip
def test_a_date_that_cannot_be_read_is_named_by_row_and_column_and_never_shown(saved, cell, said):
    path = saved(
        f"patient_id,centre,born,ct,op\n1,A,01.03.1960,28.02.2020,01.03.2020\nP7,A,01.03.1960,28.02.2020,{cell}\n"
    )
    fault = only_fault(path, DATES, Data(date_format="DD.MM.YYYY"))
    assert f"op must be a date written DD.MM.YYYY; 1 cell is not: row 3 (P7; {said}" in fault
    assert cell not in fault


def test_a_span_the_wrong_way_round_falls_to_the_range_of_its_column(saved):
    path = saved("patient_id,centre,a,b\n1,A,2020-05-01,2020-03-01\n")
    fault = only_fault(path, Mapping(dates={"age_years": Elapsed("b", "a", "years")}))
    assert "age_years (from a to b) must be a number from 0 to 120 years" in fault and "2020" not in fault


def test_years_are_reached_on_the_birthday_and_never_a_day_before():
    born = datetime.date(2000, 2, 29)
    assert elapsed(born, datetime.date(2018, 2, 28), unit="years") < 18
    assert elapsed(born, datetime.date(2018, 3, 1), unit="years") == 18
    assert elapsed(born, datetime.date(2020, 2, 29), unit="years") == 20
    assert elapsed(datetime.date(1990, 1, 1), datetime.date(2008, 7, 2), unit="years") == pytest.approx(18.5, abs=0.002)
    assert elapsed(datetime.date(1990, 1, 1), datetime.date(2007, 12, 31), unit="years") == 17.997
    assert elapsed(datetime.date(2020, 1, 1), datetime.date(2019, 1, 1), unit="years") == -1


def test_a_date_may_stand_in_the_studys_other_table(saved, tmp_path):
    clinical = saved("patient_id,centre,op\nB,A,2020-01-01\nA,A,2020-02-01\n")
    followup = saved("patient_id,died,last\nA,0,2020-03-01\nB,1,2020-01-31\n", "followup.csv")
    mapping = Mapping(dates={"followup_days": Elapsed("last", "op")})
    frame = read(followup, mapping, table="followup", beside=clinical).frame
    assert frame["followup_days"].tolist() == [29.0, 30.0]
    said = {"mapping": {"dates": {"followup_days": {"end": "last", "start": "op"}}}}
    (tmp_path / "study.toml").write_text(starter_toml(name="S", sections=said), encoding="utf-8")
    assert load_cohort(tmp_path).patients.set_index("patient_id")["os_days"].to_dict() == {"B": 30, "A": 29}
    (tmp_path / "study.toml").write_text(
        starter_toml(name="S", sections=said).replace("last", "laste"), encoding="utf-8"
    )
    with pytest.raises(
        DataError, match=r"names 'laste', which neither followup\.csv nor clinical\.csv has; did you mean"
    ):
        read_tables(tmp_path)
    saved("patient_id,centre,op\nB,A,2020-01-01\nB,A,2020-02-01\n")
    assert any("wanted one row a patient" in f for f in faults_of(followup, mapping, table="followup", beside=clinical))


# --- checkboxes ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("yes", "no"), [("1", "0"), ("Checked", "Unchecked")])
def test_checkboxes_become_one_word_or_several_joined(saved, yes, no):
    boxes = {"recurrence_site": {"site___3": "distant", "site___1": "local", "site___2": "regional"}}
    path = saved(
        "patient_id,followup_days,died,recurred,recurrence_days,site___1,site___2,site___3\n"
        f"1,90,0,1,9,{no},{yes},{yes}\n2,90,0,0,,{no},{no},{no}\n", "followup.csv",
    )  # fmt: skip
    reading = read(path, Mapping(checkboxes=boxes), table="followup")
    assert reading.frame["recurrence_site"].tolist() == ["regional;distant", None]
    assert "none is checked in 1 row, left empty" in reading.notes[-1]


def test_several_checked_boxes_of_a_single_word_are_a_fault(saved):
    boxes = {"lobe": {"l___1": "RUL", "l___2": "RML"}}
    path = saved("patient_id,centre,l___1,l___2\n1,A,1,1\n2,A,0,1\n3,A,2,0\n")
    faults = faults_of(path, Mapping(checkboxes=boxes))
    assert "l___1 must be 0 or 1, or Checked or Unchecked: '2' (row 4)" in faults[0]
    assert "several of its checkboxes are checked in 1 rows: 'RUL;RML' (row 2)" in faults[1]
    assert len(faults) == 2


def test_a_comma_beside_decimal_points_in_other_columns_may_be_a_thousand_and_is_a_fault(saved):
    path = saved("patient_id;centre;age_years;cea_ng_ml\n1;A;61.5;1,234\n")
    assert "cea_ng_ml has commas in its numbers (row 2), but other columns have decimal points" in only_fault(
        path, Mapping()
    )


def test_blanks_at_the_ends_of_the_mappings_own_words_do_not_matter(saved):
    mapping = Mapping(columns={" Sex ": "sex"}, values={"sex": {"m ": "male"}}, ignore=("note\u00a0",))
    frame = read(saved("patient_id,centre,Sex,note\n1,A,m,x\n"), mapping).frame
    assert frame["sex"].tolist() == ["male"] and list(frame) == ["patient_id", "centre", "sex"]


def test_what_the_mapping_says_of_a_word_goes_before_a_missing_word(saved):
    reading = read(
        saved("patient_id,centre,smoking\n1,A,9\n2,A,99\n"),
        Mapping(values={"smoking": {"9": "current"}}), Data(missing_words=("9", "99")),
    )  # fmt: skip
    assert reading.frame["smoking"].tolist() == ["current", None]
    assert reading.notes == ("clinical.csv: 1 cell recoded (smoking 1).",)


def test_one_sheet_of_both_tables_is_known_by_what_the_mapping_makes_of_it(saved, tmp_path):
    saved("id,centre,op,seen,state\n007,A,2020-03-15,2021-03-15,dead\n")
    mapping = {
        "columns": {"id": "patient_id", "state": "died"}, "values": {"died": {"dead": "1"}},
        "dates": {"followup_days": {"start": "op", "end": "seen"}},
    }  # fmt: skip
    sections = {"data": {"followup": ""}, "mapping": mapping}
    (tmp_path / "study.toml").write_text(starter_toml(name="S", sections=sections), encoding="utf-8")
    patients = load_cohort(tmp_path).patients
    assert patients[["followup_days", "died"]].to_numpy().tolist() == [[365.0, 1.0]]


def test_a_column_mapped_to_the_other_table_is_told_to_belong_there(saved):
    mapping = Mapping(columns={"state": "died"})
    said = only_fault(saved("patient_id,centre,state\n007,A,1\n"), mapping)
    assert said == "clinical.csv: column 'state' is not known; it belongs into the followup table. Move it."


@pytest.mark.parametrize(
    ("form", "cell"),
    [("YYYY.MM.DD", "2020.3.15"), ("DD-MM-YYYY", "15-03-2020"), ("MM-DD-YYYY", "03-15-2020"),
     ("DD-MMM-YYYY", "15-Mar-2020"), ("DD-MMM-YYYY", "15MAR2020"), ("DD-MMM-YYYY", "15 mar 2020")],
)  # fmt: skip
def test_further_forms_of_a_date(form, cell):
    (found,), faults = read_dates(texts([cell]), date_format=form)
    assert found == datetime.date(2020, 3, 15) and faults == [""]
    assert read_dates(texts(["31-Foo-2020"]), date_format="DD-MMM-YYYY")[1] == [
        "the month is not one of Jan, Feb, Mar and so on"
    ]


def test_a_constant_that_its_column_cannot_hold_is_a_fault_of_the_study_alone(saved):
    path = saved("patient_id,centre\n007,A\n")
    assert faults_of(path, Mapping(constants={"sex": "mal", "age_years": "300"})) == [
        "study.toml: [mapping.constants] sex = 'mal': wanted one of female, male; did you mean 'male'?",
        "study.toml: [mapping.constants] age_years = '300': wanted a number from 0 to 120 years.",
    ]


def test_a_column_mapped_to_a_name_that_we_do_not_have_is_told_once(saved):
    path = saved("patient_id,Haus,age\n007,A,61\n")
    assert faults_of(path, Mapping(columns={"Haus": "center", "age": "age_yeras"})) == [
        "study.toml: [mapping.columns] 'center' is not one of our columns; did you mean 'centre'?",
        "study.toml: [mapping.columns] 'age_yeras' is not one of our columns; did you mean 'age_years'?",
    ]


def test_a_sheet_named_for_a_file_without_sheets_is_refused(saved):
    said = only_fault(saved("patient_id,centre\n007,A\n"), Mapping(), Data(clinical_sheet="x"))
    assert said.startswith("study.toml: [data] names the sheet 'x', but clinical.csv is no Excel workbook.")


@pytest.mark.parametrize("cell", ["２０２０／０１／３１", "2020-05", "2020年5月", "March 2020"])
def test_no_form_of_a_date_is_shown(saved, cell):
    said = only_fault(saved(f"patient_id,centre,sex\n007,A,{cell}\n"), Mapping())
    assert "holds something else: (a date) in row 2 (007)" in said and cell not in said
