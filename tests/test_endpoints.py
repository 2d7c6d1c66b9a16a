"""What became of each patient: states and days by the written rules."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from onlm_lab.cohort.endpoints import endpoint_counts, endpoints

NAN = float("nan")
EMPTY = {
    "patient_id": "A", "followup_days": 1000.0, "died": 0.0, "death_cause": None, "recurred": 0.0,
    "recurrence_days": NAN, "recurrence_site": None, "local_days": NAN, "regional_days": NAN, "distant_days": NAN,
}  # fmt: skip


def outcome(**change):
    return endpoints(pd.DataFrame([EMPTY | change])).iloc[0]


def pairs(row):
    return {
        n: (row[f"{n}_days"], row.get(f"{n}_event", row.get(f"{n}_state")))
        for n in ("os", "rfs", "recurrence", "regional", "distant", "cancer_death")
    }


def test_alive_without_recurrence_is_censored_everywhere():
    assert set(pairs(outcome()).values()) == {(1000.0, 0.0)}


def test_death_without_recurrence_is_an_event_of_survival_and_competes_with_recurrence():
    found = pairs(outcome(died=1.0, death_cause="other"))
    assert found["os"] == found["rfs"] == (1000.0, 1.0)
    assert found["recurrence"] == found["regional"] == found["distant"] == found["cancer_death"] == (1000.0, 2.0)


def test_recurrence_then_death_counts_once_for_rfs_at_the_recurrence():
    found = pairs(
        outcome(died=1.0, death_cause="lung_cancer", recurred=1.0, recurrence_days=300.0, recurrence_site="distant")
    )
    assert found["os"] == (1000.0, 1.0) and found["cancer_death"] == (1000.0, 1.0)
    assert found["rfs"] == found["recurrence"] == found["distant"] == (300.0, 1.0)
    assert found["regional"] == (300.0, 2.0)


@pytest.mark.parametrize(
    ("site", "regional", "distant"),
    [("local", 2, 2), ("regional", 1, 2), ("distant", 2, 1), ("regional;distant", 1, 2), ("local;regional", 1, 2),
     ("local;distant", 2, 1), ("unknown", NAN, NAN), (None, NAN, NAN)],
)  # fmt: skip
def test_sites_found_together_count_as_regional_if_one_is_and_unknown_sites_are_missing(site, regional, distant):
    row = outcome(recurred=1.0, recurrence_days=300.0, recurrence_site=site)
    np.testing.assert_array_equal([row["regional_state"], row["distant_state"]], [regional, distant])
    assert row["rfs_event"] == 1 and row["recurrence_state"] == 1
    assert np.isnan(row["regional_days"]) == np.isnan(regional)


def test_a_nodal_failure_after_another_recurrence_competes_instead_of_counting():
    row = outcome(
        recurred=1.0, recurrence_days=300.0, recurrence_site="local;regional", local_days=300.0, regional_days=500.0
    )
    assert (row["regional_days"], row["regional_state"]) == (300.0, 2.0)


def test_days_of_sites_alone_tell_which_came_first():
    row = outcome(recurred=1.0, recurrence_days=300.0, regional_days=300.0, distant_days=400.0)
    assert row["regional_state"] == 1 and row["distant_state"] == 2


def test_an_unknown_cause_of_death_leaves_only_cancer_death_open():
    row = outcome(died=1.0, death_cause="unknown")
    assert np.isnan(row["cancer_death_state"]) and np.isnan(row["cancer_death_days"]) and row["os_event"] == 1


def test_what_is_not_known_is_missing_in_days_and_state_alike():
    found = pairs(outcome(died=NAN, followup_days=NAN, recurred=NAN))
    assert all(np.isnan(v).all() for v in found.values())
    found = pairs(outcome(recurred=NAN))
    assert found["os"] == (1000.0, 0.0) and np.isnan(found["rfs"]).all() and np.isnan(found["regional"]).all()


def test_the_counts_of_each_endpoint_add_up_to_all_patients():
    rows = pd.concat(
        [endpoints(pd.DataFrame([EMPTY | {"recurred": 1.0, "recurrence_days": 9.0, "recurrence_site": "unknown"}])),
         endpoints(pd.DataFrame([EMPTY])), endpoints(pd.DataFrame([EMPTY | {"died": 1.0}]))]
    )  # fmt: skip
    counts = endpoint_counts(rows).set_index("endpoint")
    assert (counts[["n_events", "n_competing", "n_censored", "n_missing"]].sum(axis=1) == 3).all()
    assert counts.loc["regional", ["n", "n_events", "n_competing", "n_censored", "n_missing"]].tolist() == [
        2,
        0,
        1,
        1,
        1,
    ]
    assert "counts as regional" in counts.loc["regional", "rule"]


# (what was recorded) -> (rfs, recurrence, regional, distant) as (days, state), by the definitions in words:
# first recurrence at any site or death; nodal failure first, with distant it counts as regional; unknown: missing.
OPEN = (NAN, NAN)
CASES = {
    "death the day of the recurrence": (
        {"died": 1.0, "followup_days": 300.0, "recurred": 1.0, "recurrence_days": 300.0, "recurrence_site": "regional"},
        [(300, 1), (300, 1), (300, 1), (300, 2)],
    ),
    "death without recurrence": ({"died": 1.0}, [(1000, 1), (1000, 2), (1000, 2), (1000, 2)]),
    "local only": (
        {"recurred": 1.0, "recurrence_days": 300.0, "recurrence_site": "local"},
        [(300, 1), (300, 1), (300, 2), (300, 2)],
    ),
    "local only, with its own day": (
        {"recurred": 1.0, "recurrence_days": 300.0, "recurrence_site": "local", "local_days": 300.0},
        [(300, 1), (300, 1), (300, 2), (300, 2)],
    ),
    "regional and distant on one day": (
        {"recurred": 1.0, "recurrence_days": 300.0, "regional_days": 300.0, "distant_days": 300.0},
        [(300, 1), (300, 1), (300, 1), (300, 2)],
    ),
    "distant first, regional later": (
        {"recurred": 1.0, "recurrence_days": 300.0, "recurrence_site": "distant;regional", "regional_days": 400.0},
        [(300, 1), (300, 1), (300, 2), (300, 1)],
    ),
    "distant and local on one day": (
        {"recurred": 1.0, "recurrence_days": 300.0, "recurrence_site": "local;distant", "local_days": 300.0,
         "distant_days": 300.0},
        [(300, 1), (300, 1), (300, 2), (300, 1)],
    ),
    "regional named, its day later than the first recurrence": (
        {"recurred": 1.0, "recurrence_days": 300.0, "recurrence_site": "regional", "regional_days": 500.0},
        [(300, 1), (300, 1), OPEN, OPEN],
    ),
    "site unknown": (
        {"recurred": 1.0, "recurrence_days": 300.0, "recurrence_site": "unknown"},
        [(300, 1), (300, 1), OPEN, OPEN],
    ),
    "site unknown, but a day for the nodes": (
        {"recurred": 1.0, "recurrence_days": 300.0, "recurrence_site": "unknown", "regional_days": 300.0},
        [(300, 1), (300, 1), (300, 1), (300, 2)],
    ),
    "day of the recurrence unknown": (
        {"recurred": 1.0, "recurrence_site": "regional"},
        [OPEN, OPEN, OPEN, OPEN],
    ),
    "not known whether it recurred, then death": ({"recurred": NAN, "died": 1.0}, [OPEN, OPEN, OPEN, OPEN]),
    "not known whether dead, recurred before": (
        {"recurred": 1.0, "recurrence_days": 300.0, "recurrence_site": "regional", "died": NAN},
        [(300, 1), (300, 1), (300, 1), (300, 2)],
    ),
    "not known whether dead, no recurrence": ({"died": NAN}, [OPEN, OPEN, OPEN, OPEN]),
    "on day zero": (
        {"recurred": 1.0, "recurrence_days": 0.0, "recurrence_site": "regional", "followup_days": 0.0, "died": 1.0},
        [(0, 1), (0, 1), (0, 1), (0, 2)],
    ),
}  # fmt: skip
NAMES = ("rfs", "recurrence", "regional", "distant")


@pytest.mark.parametrize("case", CASES)
def test_each_definition_holds_case_by_case(case):
    change, expected = CASES[case]
    found = pairs(outcome(**change))
    np.testing.assert_array_equal([found[name] for name in NAMES], expected)


def test_all_patients_at_once_are_what_each_is_alone():
    rows = pd.DataFrame([EMPTY | change for change, _ in CASES.values()], index=range(10, 10 + len(CASES)))
    together = endpoints(rows)
    alone = pd.concat([endpoints(rows.iloc[[i]]) for i in range(len(rows))])
    pd.testing.assert_frame_equal(together, alone)
    assert together.index.tolist() == list(range(10, 10 + len(CASES)))


@pytest.mark.parametrize(
    ("change", "state"),
    [
        ({"died": 1.0, "death_cause": "lung_cancer"}, 1), ({"died": 1.0, "death_cause": "other"}, 2),
        ({"died": 1.0, "death_cause": "unknown"}, NAN), ({"died": 1.0}, NAN), ({"died": 0.0}, 0), ({"died": NAN}, NAN),
        ({"died": 1.0, "death_cause": "lung_cancer", "followup_days": NAN}, NAN),
    ],
)  # fmt: skip
def test_death_from_lung_cancer_has_other_death_as_competitor_and_unknown_causes_missing(change, state):
    row = outcome(**change)
    np.testing.assert_array_equal(row["cancer_death_state"], state)
    assert np.isnan(row["cancer_death_days"]) == np.isnan(state)


def test_unknown_sites_are_counted_as_missing_of_the_site_endpoints_alone():
    rows = pd.DataFrame([EMPTY | change for change, _ in CASES.values()])
    counts = endpoint_counts(endpoints(rows)).set_index("endpoint")
    assert counts.loc["regional", "n_missing"] - counts.loc["recurrence", "n_missing"] == 2
    assert (counts["n"] + counts["n_missing"] == len(rows)).all()


def test_a_follow_up_without_any_column_leaves_every_endpoint_missing():
    bare = endpoints(pd.DataFrame({"patient_id": ["A", "B"]}))
    assert bare.isna().all().all() and bare.shape == (2, 12)
    assert endpoints(pd.DataFrame([EMPTY]).iloc[:0]).shape == (0, 12)


def test_the_types_of_the_columns_do_not_change_an_endpoint():
    rows = pd.DataFrame(
        {
            "followup_days": [900.0, 700.0, NAN], "died": [0.0, 1.0, NAN], "death_cause": [None, "lung_cancer", None],
            "recurred": [0.0, 1.0, NAN], "recurrence_days": [NAN, 300.0, NAN],
            "recurrence_site": [None, "regional;distant", None],
        }
    )  # fmt: skip
    for other in (rows.convert_dtypes(), rows.astype(object).where(rows.notna(), pd.NA), rows.astype("object")):
        pd.testing.assert_frame_equal(endpoints(other), endpoints(rows))
