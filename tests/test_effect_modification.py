"""Treatment by group against R survival; tests/reference/make_survival.R makes the numbers."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from survival_reference import in_r, table

from onlm_lab.analysis.effect_modification import OBSERVATIONAL, interaction
from onlm_lab.errors import OnlmError

LUNG = table("lung")
KNOWN = LUNG[LUNG["ecog"] < 3].assign(ecog=lambda d: d["ecog"].astype(int))


def trial(n: int, *, helps_only_high: bool, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    more, high = rng.integers(0, 2, n), rng.integers(0, 2, n)
    log_hr = np.where((high == 1) | (not helps_only_high), -1.2, 0.0) * more
    days, end = rng.exponential(900 * np.exp(-log_hr)), rng.uniform(100, 2500, n)
    columns = {"os_days": np.minimum(days, end), "os_event": (days <= end).astype(int)}
    treatment = np.where(more == 1, "lobectomy", "a_wedge")
    return pd.DataFrame({"patient_id": np.arange(n), **columns, "treatment": treatment, "high": high})


@pytest.mark.parametrize(("case", "covariates"), [("interaction_lung", []), ("interaction_lung_age", ["age"])])
def test_hazard_ratios_by_group_and_the_likelihood_ratio_test_equal_those_of_r(case, covariates):
    fit, expected = interaction(KNOWN, endpoint="os", treatment="sex", group="ecog", covariates=covariates), in_r(case)
    found = {"chi2": fit.chi2, "df": fit.df, "p": fit.p_value}
    for row in fit.table.to_dict("records"):
        found |= {f"{name}:{row['group']}": row[name] for name in ("hr", "low", "high", "n", "n_events")}
    for key, value in expected.items():
        assert found[key] == pytest.approx(value, rel=1e-6), key
    assert fit.contrast == "male against female"


def test_a_treatment_that_helps_one_group_only_is_found_and_one_that_helps_both_is_not():
    found = interaction(trial(800, helps_only_high=True, seed=1), endpoint="os", treatment="treatment", group="high")
    hr = found.table.set_index("group")["hr"]
    assert hr["1"] < 0.5 < hr["0"] and found.p_value < 1e-4
    both = interaction(trial(800, helps_only_high=False, seed=1), endpoint="os", treatment="treatment", group="high")
    assert (both.table["high"] < 1).all() and both.p_value > 0.05


def test_every_result_says_that_the_comparison_is_observational():
    fit = interaction(KNOWN, endpoint="os", treatment="sex", group="ecog")
    assert fit.notes[0] == OBSERVATIONAL


def test_a_group_without_events_is_nan_with_a_note_and_so_is_the_test():
    rows = trial(200, helps_only_high=False, seed=2)
    rows.loc[rows["high"] == 1, "os_event"] = 0
    fit = interaction(rows, endpoint="os", treatment="treatment", group="high")
    assert fit.table["hr"].isna().tolist() == [False, True] and math.isnan(fit.p_value)
    assert "1: no hazard ratio (too few events on one side)" in fit.notes
    assert "no interaction test: too few events in a treatment and group" in fit.notes


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"treatment": "ecog", "group": "sex"}, "the treatment 'ecog' needs two levels, it has 3: 0, 1, 2"),
        ({"treatment": "sex", "group": "one"}, "the group 'one' needs at least two levels, it has only 1"),
        ({"treatment": "sex", "group": "sex"}, "must be different columns, but one is named twice"),
        ({"treatment": "sex", "group": "ecog", "covariates": "age"}, "covariates must be a list of columns"),
        ({"treatment": "sex", "group": "ecog", "cause": 2}, "'os' has one kind of event only"),
        (
            {"treatment": "sex", "group": "ecog", "endpoint": "regional"},
            "'regional' has competing events: name cause=1",
        ),
    ],
)
def test_what_cannot_be_compared_is_refused_in_one_sentence(options, message):
    with pytest.raises(OnlmError, match=message):
        interaction(KNOWN.assign(one=1, regional_days=1, regional_state=1), **{"endpoint": "os", **options})
