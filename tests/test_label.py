"""The label: 1, 0, or missing with its reason."""

from __future__ import annotations

import pandas as pd
import pytest

from onlm_lab.cohort.label import REASONS, arm, label, reference_standard, uncertain_negatives

GOOD = {
    "patient_id": "A", "treatment": "lobectomy", "neoadjuvant": 0.0, "invasive_staging_positive": 0.0,
    "clinical_n": "N0", "clinical_m": "M0", "pathological_n": "N0", "nodes_examined": 12.0,
    "n2_stations_examined": 3.0,
}  # fmt: skip
NAN = float("nan")


def labelled(*changes, **more):
    return label(pd.DataFrame([GOOD | c for c in changes]), **more)


@pytest.mark.parametrize(("pathological_n", "onlm"), [("N0", 0.0), ("N1", 1.0), ("N2", 1.0), ("N3", 1.0)])
def test_pathological_n_gives_the_label_where_all_conditions_hold(pathological_n, onlm):
    row = labelled({"pathological_n": pathological_n}).iloc[0]
    assert row["onlm"] == onlm and row["onlm_missing_reason"] is None


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"treatment": "sbrt", "pathological_n": None}, "SBRT: no pathological N"),
        ({"neoadjuvant": 1.0, "pathological_n": "N1"}, "neoadjuvant treatment"),
        ({"neoadjuvant": NAN}, "neoadjuvant treatment unknown"),
        ({"invasive_staging_positive": 1.0, "pathological_n": "N2"}, "nodes positive at invasive staging"),
        ({"clinical_n": "N1", "pathological_n": "N1"}, "clinical N1-N3"),
        ({"clinical_n": "NX"}, "clinical N unknown"),
        ({"clinical_n": None}, "clinical N unknown"),
        ({"clinical_m": "M1a"}, "clinical M1"),
        ({"clinical_m": None}, "clinical M unknown"),
        ({"pathological_n": None}, "pathological N unknown"),
        ({"pathological_n": "NX"}, "pathological N is NX"),
        ({"nodes_examined": 0.0}, "no node examined"),
        ({"nodes_examined": NAN}, "number of nodes examined unknown"),
    ],
)
def test_a_label_that_cannot_be_given_is_missing_with_its_reason(change, reason):
    row = labelled(change).iloc[0]
    assert pd.isna(row["onlm"]) and row["onlm_missing_reason"] == reason and reason in REASONS


def test_a_positive_needs_no_count_of_nodes():
    assert labelled({"pathological_n": "N1", "nodes_examined": NAN})["onlm"].iloc[0] == 1


def test_sbrt_is_never_a_negative_even_if_somebody_wrote_n0():
    assert pd.isna(labelled({"treatment": "sbrt"})["onlm"].iloc[0])
    assert pd.isna(labelled({"treatment": "sbrt"}, surrogate=True)["onlm"].iloc[0])


def test_a_surrogate_label_rests_on_pathological_n_but_not_against_what_is_known():
    bare = {"clinical_n": None, "clinical_m": None, "neoadjuvant": NAN, "nodes_examined": NAN}
    found = labelled(bare, bare | {"pathological_n": "N2"}, bare | {"clinical_n": "N1"}, surrogate=True)
    assert found["onlm"].tolist()[:2] == [0.0, 1.0] and pd.isna(found["onlm"][2])


def test_the_arm_is_surgery_where_only_pathology_tells():
    rows = pd.DataFrame({"treatment": ["sbrt", "wedge", None, None], "pathological_n": [None, None, "N0", None]})
    assert arm(rows).tolist() == ["sbrt", "surgery", "surgery", None]


def test_negatives_with_few_nodes_or_stations_are_listed_by_the_named_minimum():
    rows = pd.DataFrame(
        [GOOD | {"patient_id": p, "nodes_examined": n, "n2_stations_examined": s, "onlm": o}
         for p, n, s, o in [("A", 5.0, 3.0, 0.0), ("B", 6.0, 2.0, 0.0), ("C", 1.0, 0.0, 1.0), ("D", NAN, 3.0, 0.0)]]
    )  # fmt: skip
    assert uncertain_negatives(rows, min_nodes=6)["patient_id"].tolist() == ["A", "D"]
    assert uncertain_negatives(rows, min_n2_stations=3)["patient_id"].tolist() == ["B"]
    both = uncertain_negatives(rows, min_nodes=6, min_n2_stations=3)
    assert both["reason"].str.contains("fewer than").all() and len(both) == 3
    assert uncertain_negatives(rows).empty


def test_the_reference_standard_shows_extent_and_yield():
    rows = pd.DataFrame(
        [GOOD | {"arm": "surgery", "onlm": 0.0}, GOOD | {"nodes_examined": 4.0, "arm": "surgery", "onlm": 1.0}]
    )
    (row,) = reference_standard(rows).to_dict("records")
    assert (row["treatment"], row["n"], row["n_positive"], row["nodes_median"]) == ("lobectomy", 2, 1, 8.0)
