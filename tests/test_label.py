"""The label: 1, 0, or missing with its reason."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest

from onlm_lab.cohort.label import (
    REASONS,
    arm,
    label,
    label_given,
    label_quality,
    label_table,
    positives_by_yield,
    quality_rule,
    reference_standard,
    uncertain_negatives,
)
from onlm_lab.errors import OnlmError, StudyError
from onlm_lab.study import Label

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


# One way to each reason, in the order of REASONS; `surrogate` says whether the reason still holds in a surrogate table.
WAYS = {
    "SBRT: no pathological N": ({"treatment": "sbrt"}, True),
    "neoadjuvant treatment": ({"neoadjuvant": 1.0}, True),
    "neoadjuvant treatment unknown": ({"neoadjuvant": NAN}, False),
    "nodes positive at invasive staging": ({"invasive_staging_positive": 1.0}, True),
    "clinical N1-N3": ({"clinical_n": "N3"}, True),
    "clinical N unknown": ({"clinical_n": None}, False),
    "clinical M1": ({"clinical_m": "M1c"}, True),
    "clinical M unknown": ({"clinical_m": "MX"}, False),
    "pathological N unknown": ({"pathological_n": None}, True),
    "pathological N is NX": ({"pathological_n": "NX"}, True),
    "no node examined": ({"nodes_examined": 0.0}, True),
    "number of nodes examined unknown": ({"nodes_examined": NAN}, False),
}


@pytest.mark.parametrize("reason", REASONS)
def test_every_reason_leaves_the_label_missing_and_is_the_one_given(reason):
    change, in_surrogate = WAYS[reason]
    row = labelled(change).iloc[0]
    assert pd.isna(row["onlm"]) and row["onlm_missing_reason"] == reason
    row = labelled(change, surrogate=True).iloc[0]
    assert (row["onlm_missing_reason"] == reason) if in_surrogate else (row["onlm"] == 0)


@pytest.mark.parametrize(
    ("first", "later"),
    [pair for pair in itertools.combinations(REASONS, 2) if not set(WAYS[pair[0]][0]) & set(WAYS[pair[1]][0])],
)  # one cell cannot hold two reasons
def test_of_two_reasons_the_earlier_is_given(first, later):
    one, other = WAYS[first][0], WAYS[later][0]
    assert labelled(one | other)["onlm_missing_reason"][0] == first


@pytest.mark.parametrize("pathological_n", ["N0", "N1", "N2", "N3", "NX", None])
@pytest.mark.parametrize("surrogate", [True, False])
def test_sbrt_is_never_labelled_whatever_somebody_typed(pathological_n, surrogate):
    row = labelled({"treatment": "sbrt", "pathological_n": pathological_n}, surrogate=surrogate).iloc[0]
    assert pd.isna(row["onlm"]) and row["onlm_missing_reason"] == "SBRT: no pathological N"


def test_a_table_without_any_column_is_labelled_nowhere():
    bare = label(pd.DataFrame({"patient_id": ["A", "B"]}))
    assert bare["onlm"].isna().all() and set(bare["onlm_missing_reason"]) == {"neoadjuvant treatment unknown"}
    assert label(pd.DataFrame([GOOD]).iloc[:0]).empty


def test_the_types_of_the_columns_do_not_change_the_label():
    rows = pd.DataFrame([GOOD, GOOD | {"pathological_n": None, "nodes_examined": NAN}, GOOD | {"pathological_n": "N1"}])
    other = rows.convert_dtypes().astype({"clinical_m": "category"})
    assert other["nodes_examined"].dtype == "Int64" and other["pathological_n"].dtype == "string"
    pd.testing.assert_frame_equal(label(other), label(rows))
    assert arm(other).tolist() == arm(rows).tolist()


def test_a_ready_made_label_stands_but_not_for_sbrt_nor_against_what_is_known():
    rows = pd.DataFrame(
        [{"treatment": "lobectomy"}, {"treatment": None}, {"treatment": "sbrt"}, {"neoadjuvant": 1.0},
         {"clinical_n": "N2"}, {"clinical_m": "M1a"}, {"invasive_staging_positive": 1.0}, {}],
    )  # fmt: skip
    found = label_given(rows, given=pd.Series([1.0, 0.0, 0.0, 1.0, 1.0, 0.0, 1.0, NAN]))
    np.testing.assert_array_equal(found["onlm"], [1.0, 0.0, NAN, NAN, NAN, NAN, NAN, NAN])
    assert found["onlm_missing_reason"].tolist() == [
        None, None, "SBRT: no pathological N", "neoadjuvant treatment", "clinical N1-N3", "clinical M1",
        "nodes positive at invasive staging", "no label given",
    ]  # fmt: skip


YIELDS = pd.DataFrame(
    [GOOD | {"patient_id": p, "nodes_examined": n, "n2_stations_examined": s, "onlm": o}
     for p, n, s, o in [("A", 5.0, 3.0, 0.0), ("B", 6.0, 2.0, 0.0), ("C", 1.0, 0.0, 1.0), ("D", NAN, 3.0, 0.0),
                        ("E", 20.0, 5.0, 0.0), ("F", 9.0, 9.0, NAN)]],
    index=list("uvwxyz"),
)  # fmt: skip


@pytest.mark.parametrize(
    ("least", "quality"),
    [
        ({}, ["N0", "N0", "N+", "N0", "N0", None]),
        ({"min_nodes": 6}, ["N0 uncertain", "N0", "N+", "N0 uncertain", "N0", None]),
        ({"min_n2_stations": 3}, ["N0", "N0 uncertain", "N+", "N0", "N0", None]),
        ({"min_nodes": 6, "min_n2_stations": 3}, ["N0 uncertain", "N0 uncertain", "N+", "N0 uncertain", "N0", None]),
    ],
)
def test_a_negative_below_the_named_minimum_is_uncertain_and_a_positive_never_is(least, quality):
    found = label_quality(YIELDS, **least)
    assert found["quality"].tolist() == quality and found.index.tolist() == list("uvwxyz")
    uncertain = found["quality"] == "N0 uncertain"
    assert found.loc[uncertain, "quality_reason"].str.contains("fewer than").all()
    assert found.loc[~uncertain, "quality_reason"].isna().all()
    assert uncertain_negatives(YIELDS, **least)["patient_id"].tolist() == YIELDS["patient_id"][uncertain].tolist()


def test_the_reason_names_each_minimum_that_is_not_reached():
    row = label_quality(YIELDS.assign(n2_stations_examined=1.0), min_nodes=6, min_n2_stations=3).loc["u"]
    assert row["quality_reason"] == (
        "fewer than 6 nodes known to be examined; fewer than 3 mediastinal stations known to be examined"
    )


def test_a_table_without_counts_makes_every_negative_uncertain_once_a_minimum_is_named():
    bare = YIELDS[["patient_id", "onlm"]]
    assert label_quality(bare, min_nodes=6)["quality"].tolist().count("N0 uncertain") == 4
    assert len(uncertain_negatives(bare, min_n2_stations=1)) == 4
    assert label_quality(bare.iloc[:0], min_nodes=6).empty


def test_the_table_of_labels_holds_what_each_rests_on():
    rows = YIELDS.assign(arm="surgery", onlm_missing_reason=None)
    found = label_table(rows, min_nodes=6)
    told = found[["patient_id", "onlm", "quality", "treatment", "pathological_n", "nodes_examined"]]
    assert told.iloc[0].tolist() == ["A", 0.0, "N0 uncertain", "lobectomy", "N0", 5.0]
    assert found["centre"].isna().all() and len(found) == len(rows)


def test_the_rule_of_quality_is_said_for_the_log():
    assert "every pN0 is taken as it is" in quality_rule()
    assert quality_rule(min_nodes=6, min_n2_stations=1) == (
        "a pN0 with fewer than 6 nodes or fewer than 1 mediastinal station known to be examined is uncertain"
    )


@pytest.mark.parametrize("least", [{"min_nodes": 0}, {"min_n2_stations": -3}])
def test_a_minimum_below_one_is_refused(least):
    with pytest.raises(OnlmError, match="wanted at least 1"):
        label_quality(YIELDS, **least)
    with pytest.raises(StudyError, match=rf"\[label\] {next(iter(least))} is .* wanted at least 1"):
        Label(**least)
    assert Label(min_nodes=1, min_n2_stations=3).min_nodes == 1


def test_the_reference_standard_by_centre_keeps_the_classes_and_leaves_sbrt_out():
    rows = pd.DataFrame(
        [GOOD | {"centre": "B", "arm": "surgery", "onlm": 0.0},
         GOOD | {"centre": "A", "arm": "surgery", "onlm": 1.0, "pathological_n": "N2", "nodes_examined": NAN},
         GOOD | {"centre": "A", "arm": "surgery", "onlm": NAN, "pathological_n": "NX", "nodes_examined": 3.0},
         GOOD | {"centre": "A", "arm": "sbrt", "onlm": NAN, "pathological_n": None}]
    )  # fmt: skip
    found = reference_standard(rows, by="centre").set_index("centre")
    assert found.loc["A", ["n", "n_labelled", "n_positive", "n0", "n2", "nodes_missing"]].tolist() == [2, 1, 1, 0, 1, 1]
    assert found.loc["B", ["n", "n_labelled", "n_positive", "n0", "stations_median"]].tolist() == [1, 1, 0, 1, 3]
    assert found.loc["A", "positive_fraction"] == 1 and found.loc["A", "high"] == 1
    assert reference_standard(rows.iloc[3:]).empty


def test_the_share_of_positives_by_node_yield_has_the_wilson_interval_of_statsmodels():
    from statsmodels.stats.proportion import proportion_confint

    rng = np.random.default_rng(5)
    nodes = rng.integers(0, 30, 500).astype(float)
    rows = pd.DataFrame({"nodes_examined": nodes, "onlm": (rng.random(500) < nodes / 60).astype(float)})
    rows.loc[rows.index[:9], "nodes_examined"] = NAN
    rows.loc[rows.index[9:20], "onlm"] = NAN
    found = positives_by_yield(rows)
    assert found["nodes"].tolist() == ["fewer than 1", "1-5", "6-10", "11-15", "16 or more", "not known"]
    assert found["n"].sum() == 489 and found["n_positive"].sum() == (rows["onlm"] == 1).sum()
    kept = rows[rows["onlm"].notna()]
    assert found.loc[2, "n"] == kept["nodes_examined"].between(6, 10).sum()
    assert found.loc[1, "positive_fraction"] < found.loc[4, "positive_fraction"]
    low, high = proportion_confint(found["n_positive"], found["n"], method="wilson")
    np.testing.assert_allclose(found[["low", "high"]], np.column_stack([low, high]), rtol=1e-12, atol=1e-12)


def test_bands_of_node_yield_without_a_patient_say_so():
    found = positives_by_yield(YIELDS, cuts=(1, 2, 50))
    assert found["nodes"].tolist() == ["1", "2-49", "50 or more", "not known"]
    assert found["n"].tolist() == [1, 3, 0, 1] and np.isnan(found["positive_fraction"][2])
    with pytest.raises(OnlmError, match="wanted rising numbers"):
        positives_by_yield(YIELDS, cuts=(5, 3))
