"""Published scores: every kind of term, what fills a missing cell, and every fault before anything is trained."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from onlm_lab.errors import OnlmError, StudyError
from onlm_lab.learning.published import PublishedScore, Term, check_scores
from onlm_lab.study import ExtraColumn, Score

COEFFICIENTS = {
    "age_years > 65": -0.4,
    "sex=female": 0.3,
    "log(cea_ng_ml)": 0.7,
    "log2(solid_diameter_mm)": 0.5,
    "suv_max": 0.1,
    "central_location": 0.6,
}


def patients(n=60, seed=0):
    rng = np.random.default_rng(seed)
    return pd.DataFrame({
        "patient_id": [f"P{i:03d}" for i in range(n)],
        "age_years": rng.integers(50, 85, n).astype(float),
        "sex": rng.choice(["female", "male"], n),
        "cea_ng_ml": np.exp(rng.normal(size=n)),
        "solid_diameter_mm": rng.uniform(5, 30, n),
        "suv_max": rng.uniform(1, 12, n),
        "central_location": rng.integers(0, 2, n).astype(float),
        "pathological_n": "N0",
        "lvi": 0.0,
    })  # fmt: skip


def score(**coefficients):
    return Score(source="made up", intercept=-2.0, coefficients=coefficients)


def faults(scores, table, **more):
    with pytest.raises(StudyError) as caught:
        check_scores(scores, patients=table, **more)
    return str(caught.value)


def test_the_linear_predictor_is_that_of_statsmodels_with_the_same_coefficients():
    """statsmodels builds the terms from a formula of its own."""
    import statsmodels.formula.api as smf

    table = patients(200)
    table["onlm"] = np.random.default_rng(1).integers(0, 2, 200)
    formula = (
        "onlm ~ I(age_years > 65) + I(sex == 'female') + np.log(cea_ng_ml) + np.log2(solid_diameter_mm) + suv_max"
        " + central_location"
    )
    model = smf.logit(formula, data=table).fit(disp=False)
    coefficients = dict(zip(COEFFICIENTS, model.params.iloc[1:], strict=True))
    given = Score(source="made up", intercept=float(model.params.iloc[0]), coefficients=coefficients)
    check_scores({"fitted": given}, patients=table)
    ours = PublishedScore.fit(given, name="fitted", patients=table).logit(table)
    np.testing.assert_allclose(ours, model.predict(table, which="linear"), rtol=1e-9)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("age_years", [64.0, 65.0, 66.0]),
        ("age_years > 65", [0, 0, 1]),
        ("age_years>=65", [0, 1, 1]),
        (" age_years < 65 ", [1, 0, 0]),
        ("age_years <= 65.0", [1, 1, 0]),
        ("sex=female", [1, 0, 1]),
        ("sex = male", [0, 1, 0]),
        ("ecog=1", [0, 1, 0]),
        ("log(cea_ng_ml)", np.log([1.0, 2.0, 8.0])),
        ("ln( cea_ng_ml )", np.log([1.0, 2.0, 8.0])),
        ("log2(cea_ng_ml)", [0, 1, 3]),
        ("log10(cea_ng_ml + 1)", np.log10([2.0, 3.0, 9.0])),
    ],
)
def test_each_kind_of_term_is_what_it_says(text, expected):
    table = pd.DataFrame({
        "age_years": [64.0, 65.0, 66.0, np.nan], "sex": ["female", "male", "female", None],
        "ecog": [0.0, 1.0, 2.0, np.nan], "cea_ng_ml": [1.0, 2.0, 8.0, np.nan],
    })  # fmt: skip
    term = Term.read(text)
    np.testing.assert_allclose(term.values(table[term.column]), [*expected, np.nan])


@pytest.mark.parametrize(
    "text", ["sqrt(age_years)", "age_years ^ > 2 > 3", "log(age_years", "age_years > old", "=", "a=b=c"]
)
def test_a_term_that_cannot_be_read_says_what_is_wanted(text):
    with pytest.raises(StudyError, match=r"cannot be read; wanted a column \(age_years\), a level \(sex=female\)"):
        Term.read(text)


def test_a_missing_cell_takes_the_training_rows_median_or_commonest_value_and_is_counted():
    table = patients()
    table.loc[:9, ["age_years", "cea_ng_ml", "sex", "central_location"]] = [np.nan, np.nan, None, np.nan]
    learn = table.iloc[:40]
    found = PublishedScore.fit(Score(source="x", intercept=0.0, coefficients=COEFFICIENTS), name="x", patients=learn)
    known = table.iloc[10:40]
    assert found.fills["cea_ng_ml"] == pytest.approx(known["cea_ng_ml"].median())
    assert found.fills["sex"] == known["sex"].value_counts().index[0]
    assert found.fills["central_location"] in (0.0, 1.0)
    halves = table.iloc[:2].assign(central_location=[1.0, 0.0])
    tied = PublishedScore.fit(score(central_location=1.0), name="x", patients=halves)
    assert tied.fills == {"central_location": 0.0}, "not one half, which is no value of the column"
    filled = table.fillna(dict(found.fills))
    np.testing.assert_allclose(found.logit(table), found.logit(filled))
    assert found.n_missing(table) == {
        "age_years": 10, "sex": 10, "cea_ng_ml": 10, "solid_diameter_mm": 0, "suv_max": 0, "central_location": 10,
    }  # fmt: skip
    said = found.note(table)
    assert "of 60 patients, filled: age_years of 10 by" in said and "sex of 10 by '" in said and "suv_max" not in said
    assert found.note(table.iloc[10:]) == ""


def test_the_fill_does_not_change_with_the_test_rows():
    table = patients()
    table.loc[3, "cea_ng_ml"] = np.nan
    given = score(**{"log(cea_ng_ml)": 1.0})
    before = PublishedScore.fit(given, name="x", patients=table.iloc[:40])
    moved = table.copy()
    moved.loc[40:, "cea_ng_ml"] = 9e4
    assert PublishedScore.fit(given, name="x", patients=moved.iloc[:40]) == before
    leaky = PublishedScore.fit(given, name="x", patients=moved)
    assert leaky.fills != before.fills, "the planted leak must be seen"


def test_all_faults_of_all_scores_are_told_at_once():
    table = patients()
    table.loc[:2, "cea_ng_ml"] = 0.0
    table["suv_max"] = np.nan
    said = faults(
        {
            "one": score(**{"age_year": 1.0, "pathological_n=N1": 2.0, "sex=femal": 1.0, "lvi": 1.0}),
            "two": score(**{"log(cea_ng_ml)": 1.0, "sex": 1.0, "suv_max": float("nan"), "sqrt(age_years)": 1.0}),
            "three": score(**{"sex > 3": 1.0, "central_location=yes": 1.0, "central_location=7": 1.0, "centre=A": 1.0}),
        },
        table.assign(centre="A"),
        columns={"lvi": ExtraColumn(type="boolean", timing="post_treatment")},
    ).splitlines()
    wanted = [
        "study.toml: [scores.one] 'age_year': the table of patients has no column 'age_year' (did you mean 'age_years'",
        "[scores.one] 'pathological_n=N1': pathological_n cannot predict: not known before treatment",
        "[scores.one] 'sex=femal': sex never is 'femal'; known: female, male; did you mean 'female'?",
        "[scores.one] 'lvi': lvi cannot predict: not known before treatment",
        "[scores.two] 'suv_max' is nan; wanted a finite number.",
        "[scores.two] 'log(cea_ng_ml)': 3 of 60 patients have no logarithm there (the lowest cea_ng_ml is 0)",
        "[scores.two] 'sex': sex holds words; wanted one of its levels, such as 'sex=female'.",
        "[scores.two] 'suv_max': suv_max is known of none of the 60 patients.",
        "[scores.two] 'sqrt(age_years)': the term cannot be read; wanted a column",
        "[scores.three] 'sex > 3': sex holds words",
        "[scores.three] 'central_location=yes': central_location holds numbers, and 'yes' is none",
        "[scores.three] 'central_location=7': central_location never is 7; of these patients it is 0 to 1.",
        "[scores.three] 'centre=A': centre cannot predict",
    ]
    assert len(said) == len(wanted)
    for line, start in zip(said, wanted, strict=True):
        assert line.startswith(start)


def test_a_name_that_a_model_has_or_no_file_can_have_is_refused():
    said = faults({"logistic": score(suv_max=1.0), "a/b": score(suv_max=1.0)}, patients()).splitlines()
    assert said[0].endswith("[scores.logistic] a model of this program has that name. Give the score another.")
    assert said[1].startswith("[scores.a/b] wanted a name of letters, digits")
    check_scores({"Brock-2013.v2": score(suv_max=1.0)}, patients=patients())


def test_what_the_dictionary_knows_may_be_absent_among_these_patients():
    table = patients().assign(histology="adenocarcinoma", ecog=0.0, grade="G1")
    own = {"grade": ExtraColumn(type="category", timing="pre_treatment", allowed=("G1", "G2"))}
    given = {"x": score(**{"histology=squamous": 1.0, "ecog=2": 1.0, "grade=G2": 1.0})}
    check_scores(given, patients=table, columns=own)
    assert (PublishedScore.fit(given["x"], name="x", patients=table).logit(table) == -2.0).all()
    assert "grade never is 'G2'; known: G1" in faults(given, table)


def test_histology_from_the_resection_scores_only_in_a_surrogate_study():
    table = patients().assign(histology="adenocarcinoma", histology_source="resection")
    given = {"x": score(**{"histology=adenocarcinoma": 1.0})}
    assert "histology comes from no biopsy in 60 of 60 patients" in faults(given, table)
    check_scores(given, patients=table, surrogate=True)


def test_a_logarithm_of_zero_is_refused_where_the_score_is_applied_and_an_addend_helps():
    table = patients()
    found = PublishedScore.fit(score(**{"log2(suv_max)": 1.0}), name="x", patients=table)
    table.loc[4, "suv_max"] = 0.0
    with pytest.raises(OnlmError, match=r"1 of 60 patients have no logarithm there .* such as log2\(suv_max \+ 1\)"):
        found.logit(table)
    helped = score(**{"log2(suv_max + 1)": 1.0})
    check_scores({"x": helped}, patients=table)
    assert PublishedScore.fit(helped, name="x", patients=table).logit(table)[4] == -2.0


def test_a_column_that_no_training_patient_has_and_one_that_is_not_there_are_refused():
    table = patients()
    found = PublishedScore.fit(score(suv_max=1.0), name="x", patients=table)
    with pytest.raises(OnlmError, match=r"\[scores.x\] needs the column suv_max; the table does not have it"):
        found.logit(table.drop(columns="suv_max"))
    with pytest.raises(OnlmError, match="suv_max is known of none of the 60 training patients"):
        PublishedScore.fit(score(suv_max=1.0), name="x", patients=table.assign(suv_max=np.nan))


def test_a_score_needs_no_torch():
    script = "import sys, onlm_lab.learning.published; sys.exit('torch' in sys.modules or 'sklearn' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
