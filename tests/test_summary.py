"""Table 1, missing values and accrual."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from onlm_lab.cohort.summary import accrual, missingness, standardised_difference, table_one
from onlm_lab.errors import OnlmError


@pytest.fixture
def rows():
    return pd.DataFrame(
        {"patient_id": list("abcdefgh"), "arm": ["surgery"] * 5 + ["sbrt"] * 3, "centre": list("XXXYYYXX"),
         "age_years": [50, 60, 70, np.nan, 60, 70, 80, 90],
         "sex": ["male", "female", None, "male", "male", "female", "female", "male"],
         "pet_ct_done": [1, 1, 0, 1, 1, 0, 1, np.nan],
         "treatment_year": [2019, 2020, 2020, 2021, 2021, 2019, 2020, np.nan],
         "followup_days": [10, 20, 30, 40, 50, 60, 70, np.nan], "lost_to_followup": [0, 0, 1, 0, 0, 0, 0, 0]}
    )  # fmt: skip


def test_table_one_shows_each_group_what_is_missing_and_the_distance(rows):
    table = table_one(rows, by="arm", columns=["age_years", "sex", "pet_ct_done"])
    assert list(table.columns) == ["variable", "level", "overall", "sbrt", "surgery", "n_missing", "smd"]
    assert table.iloc[0][["overall", "sbrt", "surgery"]].tolist() == ["8", "3", "5"]
    age = table[table["variable"] == "age_years"].iloc[0]
    assert age["surgery"] == "60.0 (57.5-62.5)" and age["n_missing"] == 1
    # means 60 and 80, variances 66.67 and 100: 20 / sqrt(83.33)
    assert age["smd"] == pytest.approx(20 / math.sqrt((200 / 3 + 100) / 2))
    assert table.loc[(table["variable"] == "sex") & (table["level"] == "male"), "surgery"].item() == "3 (75.0 %)"
    assert table.loc[table["variable"] == "pet_ct_done", "level"].tolist() == ["1"]


def test_groups_that_are_alike_have_distance_zero_and_groups_further_apart_a_larger_one():
    near = standardised_difference(pd.Series([1, 2, 3.0]), pd.Series([1, 2, 3.0]), numeric=True)
    far = [standardised_difference(pd.Series([1, 2, 3.0]), pd.Series([1, 2, 3.0]) + k, numeric=True) for k in (1, 2)]
    assert near == 0 and 0 < far[0] < far[1]


def test_the_distance_of_a_yes_no_column_is_austins_formula():
    a, b = pd.Series([1.0] * 3 + [0.0] * 7), pd.Series([1.0] * 6 + [0.0] * 4)
    assert standardised_difference(a, b, numeric=False) == pytest.approx(0.3 / math.sqrt((0.3 * 0.7 + 0.6 * 0.4) / 2))


def test_the_distance_of_categories_does_not_depend_on_which_level_is_left_out():
    a, b = pd.Series(list("xxyzzz")), pd.Series(list("xyyyzz"))
    swapped = {"x": "z", "z": "x", "y": "y"}
    assert standardised_difference(a, b, numeric=False) == pytest.approx(
        standardised_difference(a.map(swapped), b.map(swapped), numeric=False)
    )


def test_too_few_patients_give_no_distance_instead_of_a_wrong_one():
    one = pd.Series([1.0])
    assert math.isnan(standardised_difference(one, pd.Series([2.0, 3.0]), numeric=True))
    assert math.isnan(standardised_difference(pd.Series(list("aa")), pd.Series(list("bb")), numeric=False))


def test_a_column_that_is_not_there_is_refused_with_the_nearest(rows):
    with pytest.raises(OnlmError, match="no column 'age'; did you mean 'age_years'"):
        table_one(rows, columns=["age"])
    with pytest.raises(OnlmError, match="no column 'arms'"):
        table_one(rows, by="arms")


def test_missing_values_are_counted_most_missing_first(rows):
    table = missingness(rows, columns=["sex", "patient_id", "age_years"])
    assert table["column"].tolist() == ["age_years", "sex", "patient_id"]
    assert table["n_missing"].tolist() == [1, 1, 0] and table["missing_fraction"][0] == 1 / 8
    assert table["timing"].tolist() == ["pre_treatment", "pre_treatment", "id"]


def test_accrual_says_when_and_how_long_by_centre(rows):
    table = accrual(rows).set_index("centre")
    assert table.index.tolist() == ["all", "X", "Y"]
    assert table.loc[
        "all", ["n", "first_year", "last_year", "followup_days_min", "followup_days_max", "n_lost"]
    ].tolist() == [8, 2019, 2021, 10, 70, 1]
    assert table.loc["X", "n_followup_missing"] == 1


def test_accrual_of_a_table_without_dates_and_with_a_centre_called_all():
    table = accrual(pd.DataFrame({"centre": ["all", "B", "B"], "treatment_year": [2019.0, 2020.0, None]}))
    assert table[["centre", "n", "n_year_missing", "n_followup_missing"]].to_numpy().tolist() == [
        ["all", 3, 1, 3], ["B", 2, 1, 2], ["centre = all", 1, 0, 1],
    ]  # fmt: skip
