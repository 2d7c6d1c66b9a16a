"""Table 1 against the independent package tableone, on the real table; and what it says where conventions differ."""

from __future__ import annotations

import itertools
import math
import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from onlm_lab.cohort import nsclc_radiogenomics
from onlm_lab.cohort.hypothesis import NOT_ADJUSTED
from onlm_lab.cohort.summary import table_one, table_one_numbers
from onlm_lab.errors import OnlmError
from onlm_lab.schema import Column

NUMBERS = ["age_years", "pack_years", "ct_to_treatment_days", "weight_lb", "followup_days"]
MEANS = ["age_years", "weight_lb"]
WORDS = ["sex", "smoking", "lobe", "nodule_type", "grade", "adjuvant", "lvi", "egfr_mutated", "pathological_t", "died"]


@pytest.fixture(scope="module")
def real(shared_data):
    found = list(shared_data("nsclc_radiogenomics").glob("*.csv"))
    return nsclc_radiogenomics.read(found[0]).cohort.patients


def _theirs(patients, by):
    """tableone's numbers; only the warnings that it raises itself are let by."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"tableone(\..*)?")
        from tableone import TableOne

        for package in ("pandas", "numpy", "scipy"):  # what tableone sets off inside them
            warnings.filterwarnings("ignore", module=rf"{package}(\..*)?")
        return TableOne(
            patients[[by, *NUMBERS, *WORDS]], columns=NUMBERS + WORDS, categorical=WORDS, continuous=NUMBERS,
            groupby=by, nonnormal=[n for n in NUMBERS if n not in MEANS], pval=True, smd=True, htest_name=True,
            include_null=False,
        )  # fmt: skip


@pytest.mark.parametrize("by", ["onlm", "centre", "histology", pytest.param("pathological_n", marks=pytest.mark.slow)])
def test_every_number_of_table_one_is_that_of_tableone_on_the_real_table(real, by):
    patients = real[real[by].notna()].reset_index(drop=True)  # tableone leaves rows without a group out altogether
    theirs = _theirs(patients, by)
    ours = table_one_numbers(patients, by=by, columns=NUMBERS + WORDS, mean=MEANS, tests=True,
                             extra_columns=nsclc_radiogenomics.EXTRA_COLUMNS)  # fmt: skip
    groups = [g for g in ours["group"].unique() if isinstance(g, str) and g != "overall" and "|" not in g]
    theirs_of = {str(f"{k:g}" if isinstance(k, float) else k): k for k in sorted(patients[by].unique())}
    assert groups == list(theirs_of) and len(groups) >= 2
    compared = 0
    for name, group in itertools.product(NUMBERS, groups):
        row = ours[(ours["kind"] == "number") & (ours["variable"] == name) & (ours["group"] == group)].iloc[0]
        for mine, other in {"n": "count", "mean": "mean", "sd": "std", "median": "median", "q1": "q25", "q3": "q75",
                            "min": "min", "max": "max"}.items():  # fmt: skip
            assert row[mine] == pytest.approx(theirs.cont_describe[other][theirs_of[group]][name], rel=1e-12)
            compared += 1
    for name, group in itertools.product(WORDS, groups):
        rows = ours[(ours["kind"] == "level") & (ours["variable"] == name) & (ours["group"] == group)]
        freq = theirs.cat_describe["freq"][theirs_of[group]].loc[name]
        percent = theirs.cat_describe["percent"][theirs_of[group]].loc[name]
        for level, count, fraction in zip(rows["level"], rows["count"], rows["fraction"], strict=True):
            key = next((k for k in freq.index if str(k).removesuffix(".0") == level), None)
            assert count == (freq[key] if key is not None else 0)  # tableone has no line for what nobody has
            assert 100 * fraction == pytest.approx(percent[key] if key is not None else 0.0, rel=1e-12)
            compared += 2
        assert rows["count"].sum() == freq.sum()
    for name in NUMBERS + WORDS:
        missing = ours[(ours["variable"] == name) & (ours["group"] == "overall")]["n_missing"].iloc[0]
        said = theirs.tableone.xs(
            next(k for k in theirs.tableone.index.get_level_values(0) if k.startswith(name + ","))
        )
        assert missing == int(said[(f"Grouped by {by}", "Missing")].iloc[0])
    assert compared > 200


@pytest.mark.parametrize("by", ["onlm", "centre", "histology"])
def test_every_distance_is_that_of_tableone_but_for_its_sign(real, by):
    patients = real[real[by].notna()].reset_index(drop=True)
    theirs = _theirs(patients, by)
    ours = table_one_numbers(patients, by=by, columns=NUMBERS + WORDS, extra_columns=nsclc_radiogenomics.EXTRA_COLUMNS)
    ours = ours[ours["kind"] == "smd"].set_index(["variable", "group"])["smd"]
    keys = sorted(patients[by].unique())
    shown = [f"{k:g}" if isinstance(k, float) else k for k in keys]
    compared = singular = 0
    for (a, x), (b, y) in itertools.combinations(zip(keys, shown, strict=True), 2):
        for name in NUMBERS + WORDS:
            other = float(theirs.smd_table.loc[name, f"SMD ({a},{b})"])
            mine = ours[(name, f"{x} | {y}")]
            if math.isnan(other):
                singular += 1  # a level that neither group has makes its matrix singular; ours leaves that level out
                continue
            assert mine == pytest.approx(abs(other), rel=1e-9), name  # ours says how far apart, not in which direction
            compared += 1
    assert compared >= 14 and (singular == 0 or by == "histology")


@pytest.mark.parametrize("by", ["onlm", "centre", "histology"])
def test_p_values_are_those_of_tableone_where_the_same_test_is_meant(real, by):
    patients = real[real[by].notna()].reset_index(drop=True)
    theirs = _theirs(patients, by).htest_table
    ours = table_one_numbers(patients, by=by, columns=NUMBERS + WORDS, mean=MEANS, tests=True,
                             extra_columns=nsclc_radiogenomics.EXTRA_COLUMNS)  # fmt: skip
    ours = ours[ours["kind"] == "test"].set_index("variable")
    same = {"Welch’s T-test": "Welch's t", "One-way ANOVA": "one-way ANOVA", "Kruskal-Wallis": "Kruskal-Wallis",
            "Fisher's exact": "Fisher's exact", "Chi-squared": "chi-square",
            "Chi-squared (warning: expected count < 5)": "chi-square (an expected count is below 5)"}  # fmt: skip
    compared = set()
    for name in NUMBERS + WORDS:
        test, p = ours.loc[name, "test"], ours.loc[name, "p_value"]
        assert test == same[theirs.loc[name, "Test"]]
        table = pd.crosstab(patients[name], patients[by]) if name in WORDS else None
        if test == "chi-square" and table.shape == (2, 2):  # there tableone corrects for continuity, and ours does not
            assert float(theirs.loc[name, "P-Value"]) == pytest.approx(stats.chi2_contingency(table)[1], rel=1e-9)
            assert p == pytest.approx(stats.chi2_contingency(table, correction=False)[1], rel=1e-12)
            assert p < float(theirs.loc[name, "P-Value"])
            continue
        assert p == pytest.approx(float(theirs.loc[name, "P-Value"]), rel=1e-9)
        compared.add(test)
    assert len(compared) >= 3


def _rows() -> pd.DataFrame:
    return pd.DataFrame(
        {"patient_id": [f"p{i}" for i in range(12)], "part": ["development"] * 6 + ["locked"] * 5 + [None],
         "age_years": [50, 60, 70, np.nan, 60, 66, 70, 80, 90, 75, 71, 60.0],
         "ecog": [0, 1, 1, 0, 2, 1, 0, 0, 1, 1, 2, 0],
         "sex": ["male", "female"] * 6, "pet_ct_done": [1, 1, 0, 1, 1, 0, 1, 1, 1, 0, 1, np.nan],
         "nodule_type": ["solid"] * 10 + [None] * 2, "ctr": np.linspace(0.1, 1, 12)}
    )  # fmt: skip


def test_levels_stand_in_the_order_of_the_schema_and_those_nobody_has_are_shown_in_short_lists():
    table = table_one(_rows(), by="part", columns=["nodule_type", "sex", "pet_ct_done"])
    assert table.loc[table["variable"] == "nodule_type", "level"].tolist() == ["solid", "part_solid", "pure_ggo"]
    assert table.loc[table["level"] == "pure_ggo", "locked"].item() == "0 (0.0 %)"
    assert table.loc[table["variable"] == "sex", "level"].tolist() == ["female", "male"]
    assert table.loc[table["variable"] == "pet_ct_done", ["level", "overall"]].to_numpy().tolist() == [
        ["1", "8 (72.7 %)"]
    ]
    stages = pd.DataFrame({"derived_t": ["T1a", "T2a", "T1b"]})
    assert table_one(stages)["level"].tolist() == ["n", "T1a", "T1b", "T2a"]


def test_numbers_are_medians_unless_a_mean_is_asked_for_with_decimals_that_fit():
    table = table_one(_rows(), columns=["age_years", "ecog", "ctr"], ranges=["age_years"], mean=["ctr"])
    assert table["level"].tolist() == ["n", "median (Q1-Q3)", "min-max", "median (Q1-Q3)", "mean (SD)"]
    assert table["overall"].tolist() == ["12", "70.0 (60.0-73.0)", "50.0-90.0", "1 (0-1)", "0.55 (0.29)"]
    levels = table_one(_rows(), columns=["ecog"], categories=["ecog"])
    assert levels["level"].tolist() == ["n", "0", "1", "2"] and levels["overall"].tolist()[1] == "5 (41.7 %)"


def test_missing_is_counted_overall_and_by_group_and_patients_without_a_group_are_told():
    table = table_one(_rows(), by="part", columns=["age_years", "nodule_type"], missing_by_group=True, pairs=True)
    age = table[table["variable"] == "age_years"].iloc[0]
    assert (age["n_missing"], age["n_missing: development"], age["n_missing: locked"]) == (1, 1, 0)
    assert age["smd"] == age["smd: development | locked"] > 1
    assert table.attrs["notes"][1] == "1 of 12 patients have no part: they are in 'overall' only."


def test_tests_are_there_only_when_asked_for_and_say_what_they_are():
    assert "p_value" not in table_one(_rows(), by="part", columns=["age_years"])
    table = table_one(_rows(), by="part", columns=["age_years", "ctr", "sex", "nodule_type"], mean=["ctr"], tests=True)
    tests = table.drop_duplicates("variable").set_index("variable")["test"]
    assert tests[["age_years", "ctr", "sex"]].tolist() == ["Kruskal-Wallis", "Welch's t", "Fisher's exact"]
    assert tests["nodule_type"] == "not tested: all values are equal"
    assert NOT_ADJUSTED in table.attrs["notes"][-1] and "Fisher's exact" in table.attrs["notes"][-1]
    with pytest.raises(OnlmError, match="tests compare groups, but by=None gives 0"):
        table_one(_rows(), tests=True)


def test_a_stronger_difference_has_a_smaller_p_value_and_a_larger_distance():
    rng = np.random.default_rng(5)
    base = pd.DataFrame({"g": ["a"] * 60 + ["b"] * 60, "x": rng.normal(size=120)})
    found = []
    for shift in (0.3, 0.6, 1.2):
        table = table_one(base.assign(x=base["x"] + shift * (base["g"] == "b")), by="g", columns=["x"], tests=True)
        found.append((table["p_value"].iloc[1], table["smd"].iloc[1]))
    assert found[0][0] > found[1][0] > found[2][0] and found[0][1] < found[1][1] < found[2][1]


def test_every_kind_of_odd_table_gives_a_table_and_no_crash():
    empty = _rows().iloc[:0]
    assert table_one(empty, by="part", columns=["age_years", "sex"])["overall"].tolist()[0] == "0"
    blank = _rows().assign(age_years=np.nan, sex=None)
    table = table_one(blank, by="part", columns=["age_years", "sex"], tests=True)
    assert table["overall"].tolist()[1] == "-" and table["n_missing"].tolist()[1:] == [12] * (len(table) - 1)
    assert table["test"].iloc[1] == "not tested: a group has no known value"
    one = table_one(_rows().iloc[:1], by="part", columns=["age_years"])
    assert one["development"].tolist() == ["1", "50.0 (50.0-50.0)"] and math.isnan(one["smd"].iloc[1])
    odd = _rows().assign(
        centre=["overall", "level", "<b>", "中心", "", "n", "smd", "p_value", "1", "2", "variable", "é"]
    )
    names = list(table_one(odd, by="centre", columns=["age_years"]).columns)
    assert len(set(names)) == len(names) and "centre = overall" in names and "中心" in names
    huge = _rows().assign(big=[1e300, -1e300, *[1e15] * 10])
    assert "e+" in str(table_one_numbers(huge, columns=["big"])["max"].max())


def test_a_table_that_would_be_no_table_is_refused():
    many = pd.DataFrame({"name": [f"x{i}" for i in range(200)], "age_years": np.arange(200.0), "x": 1.0})
    with pytest.raises(OnlmError, match="by 'age_years' would have 200 groups"):
        table_one(many, by="age_years", columns=["x"])
    with pytest.raises(OnlmError, match="'name' has 200 different values in 200 patients"):
        table_one(many, columns=["name"])
    with pytest.raises(OnlmError, match="mean names 'sex', which is shown level by level"):
        table_one(_rows(), columns=["sex"], mean=["sex"])
    with pytest.raises(OnlmError, match="ranges names 'kps', which the table does not show; it has sex"):
        table_one(_rows(), columns=["sex"], ranges=["kps"])
    twice = pd.concat([_rows(), _rows()[["sex"]]], axis=1)
    with pytest.raises(OnlmError, match="'sex' is there 2 times"):
        table_one(twice, columns=["sex"])


def test_a_column_nobody_declared_is_read_by_what_it_holds():
    rows = pd.DataFrame({"flag": [0, 1, 1], "yes": [True, False, True], "count": [3, 4, 5], "stage": [1, 2, 2]})
    table = table_one(rows, columns=["flag", "yes", "count", "stage"],
                      extra_columns=[Column("stage", "clinical", "category", allowed=("1", "2"))])  # fmt: skip
    assert table["overall"].tolist()[1:4] == ["2 (66.7 %)", "2 (66.7 %)", "4.00 (3.50-4.50)"]
    assert table[["level", "overall"]].to_numpy().tolist()[4:] == [["1", "1 (33.3 %)"], ["2", "2 (66.7 %)"]]
    assert list(_cells(pd.Series([60, 62, None], dtype=object))) == ["61.0 (60.5-61.5)"]
    assert list(_cells(pd.Categorical([1, 2, 2]))) == ["1 (33.3 %)", "2 (66.7 %)"]


def _cells(values, name="own", **more) -> pd.Series:
    """What the table says of one column of three patients."""
    return table_one(pd.DataFrame({name: values}), columns=[name], **more)["overall"].iloc[1:]


@pytest.mark.parametrize(
    ("name", "values", "said"),
    [
        (
            "age_years",
            ["60", "61", None],
            r"'age_years' wants numbers, but 2 of 2 known values are none \(first in row 1",
        ),
        ("age_years", [60.0, np.inf, 61.0], r"wants finite numbers, but 1 of 3 known values are none \(first in row 2"),
        ("pet_ct_done", ["yes", "no", None], r"'pet_ct_done' wants 0 or 1, but 2 of 2 known values are none"),
        ("own", pd.Series([1, "1", 2], dtype=object), "'own' holds both a number and a text that read '1'"),
        ("own", pd.to_datetime(["2020-01-01"] * 3), "'own' holds dates, which no table shows"),
    ],
)
def test_values_that_the_column_cannot_hold_are_refused_and_never_shown(name, values, said):
    with pytest.raises(OnlmError, match=said) as told:
        _cells(values, name=name)
    assert "2020" not in str(told.value) and "yes" not in str(told.value)


def test_free_text_is_no_table_and_a_name_alone_is_no_list():
    rows = pd.DataFrame({"remark": ["Mr A", "Mr B", "Mr A"], "age_years": [60.0, 61.0, 62.0]})
    own = [Column("remark", "clinical", "text", timing="pre_treatment")]
    for how in ({"columns": ["remark"]}, {"by": "remark", "columns": ["age_years"]}):
        with pytest.raises(OnlmError, match="'remark' is free text, which no table shows") as told:
            table_one(rows, extra_columns=own, **how)
        assert "Mr" not in str(told.value)
    with pytest.raises(OnlmError, match=r"wanted a list of columns, got the text 'age_years'\. Write \['age_years'\]"):
        table_one(rows, columns="age_years")


def test_groups_keep_their_exact_names_and_two_that_read_the_same_are_refused():
    rows = pd.DataFrame({"code": [1_000_000, 1_000_001, 1_000_001, 1_000_000], "age_years": [60.0, 70, 72, 62]})
    table = table_one(rows, by="code", columns=["age_years"])
    assert table.loc[1, ["1000000", "1000001"]].tolist() == ["61.0 (60.5-61.5)", "71.0 (70.5-71.5)"]
    with pytest.raises(OnlmError, match="'code' holds both a number and a text that read '1'"):
        table_one(rows.assign(code=pd.Series([1, "1", 1, "1"], dtype=object)), by="code", columns=["age_years"])
    odd = rows.assign(code=["", "smd: a | b", "n_missing: a", "a"])
    names = list(table_one(odd, by="code", columns=["age_years"], pairs=True, missing_by_group=True).columns)
    assert len(set(names)) == len(names) and "code = ''" in names and "code = n_missing: a" in names


def test_small_and_negative_numbers_can_be_read():
    assert list(_cells([-500.0, -20.0, -3.5], ranges=["own"])) == ["-20.0 (-260.0 to -11.8)", "-500.0 to -3.5"]
    assert list(_cells([0.011, 0.02, 0.043])) == ["0.020 (0.015-0.032)"]


def test_a_category_of_which_nothing_is_known_keeps_its_line_and_its_count_of_missing_values():
    rows = pd.DataFrame({"part": ["a", "a", "b"], "lobe": [None] * 3, "sex": [None] * 3})
    table = table_one(rows, by="part", columns=["lobe", "sex"]).iloc[1:]
    assert table[["variable", "level", "overall", "a"]].to_numpy().tolist() == [
        ["lobe", "none known", "-", "-"], ["sex", "none known", "-", "-"],
    ]  # fmt: skip
    assert table["n_missing"].tolist() == [3, 3] and table["n_missing"].dtype == "Int64"


def test_a_largest_distance_that_leaves_pairs_out_says_so():
    rows = pd.DataFrame({"part": list("aabbcc"), "sex": ["female", "male"] * 2 + ["other"] * 2})
    table = table_one(rows, by="part", columns=["sex"], pairs=True)
    assert table["smd"].iloc[1] == 0 and math.isnan(table["smd: a | c"].iloc[1])
    assert any("In 1 of 1 characteristics the largest SMD leaves out pairs" in n for n in table.attrs["notes"])
    assert not any("leaves out" in n for n in table_one(rows.iloc[:4], by="part", columns=["sex"]).attrs["notes"])


@pytest.mark.parametrize("value", [0.1, 7.3, 1 / 3, 64.7])
def test_groups_in_which_everybody_has_the_same_value_are_not_apart_by_the_dust_of_a_sum(value):
    rows = pd.DataFrame({"part": ["a"] * 100 + ["b"] * 317, "own": value})
    found = table_one_numbers(rows, by="part", columns=["own"])
    assert found["smd"].dropna().tolist() == [0.0] and found["sd"].dropna().tolist() == [0.0] * 3
    apart = table_one_numbers(rows.assign(own=np.where(rows["part"] == "a", value, 1.0)), by="part", columns=["own"])
    assert apart["smd"].isna().all()
