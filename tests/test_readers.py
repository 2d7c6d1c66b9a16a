"""Reader studies: the published analysis of Van Dyke's readers, pROC's of each, and what the call refuses and tells."""

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from onlm_lab.analysis import compare_aucs, compare_readers
from onlm_lab.analysis.reader_variance import average_over_readers
from onlm_lab.errors import OnlmError

FOLDER = Path(__file__).parent / "reference"
PUBLISHED = json.loads((FOLDER / "van_dyke.json").read_text(encoding="utf-8"))
PROC = json.loads((FOLDER / "readers.json").read_text(encoding="utf-8"))["readers"]
RATED_3 = 0.6  # ratings 1 to 5 stand as estimates of 0.2 to 1


@pytest.fixture(scope="module")
def rows():
    """Cine MRI as the estimate alone and spin-echo as the one with the model, so that differences are as published."""
    table = pd.read_csv(FOLDER / "van_dyke.csv")
    return pd.concat([
        pd.DataFrame({
            "reader_id": f"R{j}", "patient_id": table["case"].astype(str), "onlm": table["dissection"],
            "estimate_alone": table[f"reader{j}_cine"] / 5, "estimate_with_model": table[f"reader{j}_se"] / 5,
            "seconds_alone": 60.0 + j, "seconds_with_model": 10.0, "risk": table["reader1_se"] / 5,
        }) for j in range(1, 6)
    ], ignore_index=True)  # fmt: skip


@pytest.fixture(scope="module")
def found(rows):
    return compare_readers(rows, threshold=RATED_3)


def _average(found, kind, measure="auc"):
    return found.averages.set_index(["measure", "kind"]).loc[(measure, kind)]


def test_the_average_difference_equals_what_the_authors_of_mrmcaov_print(found):
    want, got = PUBLISHED["delong"]["difference"], _average(found, "difference")
    for name, digits in (("value", 1e-8), ("se", 1e-7), ("low", 1e-9), ("high", 1e-9), ("p_value", 1e-8), ("df", 1e-5)):
        assert got[name] == pytest.approx(want[name], abs=digits), name
    assert (found.difference.low, found.difference.high) == (got["low"], got["high"])
    assert (found.df, found.p_value) == (got["df"], got["p_value"])


@pytest.mark.parametrize(("kind", "treatment"), [("alone", "cine"), ("with_model", "se")])
def test_the_average_of_each_kind_equals_what_the_authors_of_mrmcaov_print(found, kind, treatment):
    want, got = PUBLISHED["delong"][treatment], _average(found, kind)
    for name, digits in (("value", 1e-7), ("se", 1e-8), ("low", 1e-7), ("high", 1e-7), ("df", 1e-5)):
        assert got[name] == pytest.approx(want[name], abs=digits), name


def test_variance_components_equal_the_published_ones(rows):
    wide = {kind: rows.pivot(index="reader_id", columns="patient_id", values=f"estimate_{kind}")
            for kind in ("alone", "with_model")}  # fmt: skip
    event = rows.groupby("patient_id")["onlm"].first().reindex(wide["alone"].columns).to_numpy() == 1
    placed = {}
    for kind, table in wide.items():
        pairs = table.to_numpy()[:, event, None] - table.to_numpy()[:, None, ~event]
        won = (pairs > 0) + 0.5 * (pairs == 0)  # DeLong's kernel written out, pair by pair
        placed[kind] = won.mean(axis=2), won.mean(axis=1)
    apart = [a - b for a, b in zip(placed["with_model"], placed["alone"], strict=True)]
    got, want = average_over_readers(*apart, fixed=False), PUBLISHED["delong"]
    assert got.ms_readers == pytest.approx(2 * want["ms_tr"], abs=1e-9)
    assert got.variance == pytest.approx(2 * (want["error"] - want["cov1"]), abs=1e-9)
    assert got.covariance == pytest.approx(2 * (want["cov2"] - want["cov3"]), abs=1e-9)


def test_fixed_readers_equal_the_published_form_on_jackknife_components(rows):
    """The published covariances go through the published formula; ours, on DeLong's, lies within 1 %."""
    want = PUBLISHED["jackknife_fixed_readers"]
    by_hand = math.sqrt(2 / 5 * (want["error"] - want["cov1"] + 4 * (want["cov2"] - want["cov3"])))
    assert by_hand == pytest.approx(want["difference"]["se"], abs=1e-8)
    got = compare_readers(rows, random_readers=False)
    assert _average(got, "difference")["se"] == pytest.approx(want["difference"]["se"], rel=0.01)
    assert math.isinf(_average(got, "difference")["df"]) and not got.random_readers
    assert got.difference.high < 0 < compare_readers(rows).difference.high, "fixed readers vary less"
    assert any("for these readers, not for others" in note for note in got.notes)


def test_sensitivity_over_readers_equals_what_the_authors_of_mrmcaov_print(found):
    want, got = PUBLISHED["sensitivity_from_rating_3"], _average(found, "difference", "sensitivity")
    for name, digits in (("value", 1e-8), ("se", 1e-8), ("df", 1e-5)):
        assert got[name] == pytest.approx(want["difference"][name], abs=digits), name
    for kind, treatment in (("alone", "cine"), ("with_model", "se")):
        assert found.readers[f"sensitivity_{kind}"].tolist() == pytest.approx(want[treatment], abs=5e-4)


def test_each_readers_areas_and_paired_test_equal_procs(found, rows):
    assert found.readers["auc_alone"].tolist() == pytest.approx(PUBLISHED["auc"]["cine"], abs=1e-7)
    for got, want in zip(found.readers.to_dict("records"), PROC, strict=True):
        assert [got["auc_with_model"], got["auc_alone"]] == pytest.approx(want["auc"], abs=1e-12)
        assert got["auc_difference"] == pytest.approx(want["difference"], abs=1e-12)
        assert got["p_value"] == pytest.approx(want["p_value"], abs=1e-10)
        se = math.sqrt(sum(want["variance"]) - 2 * want["covariance"])
        assert (got["auc_difference_high"] - got["auc_difference_low"]) / 2 / 1.959963984540054 == pytest.approx(se)


def test_each_readers_difference_equals_that_of_two_models(found, rows):
    one = rows[rows["reader_id"] == "R5"]
    models = pd.concat([one.assign(model_id=kind, risk=one[f"estimate_{kind}"]) for kind in ("alone", "with_model")])
    want = compare_aucs(models, model_a="with_model", model_b="alone").difference
    got = found.readers.set_index("reader_id").loc["R5"]
    ends = [got["auc_difference"], got["auc_difference_low"], got["auc_difference_high"]]
    assert ends == pytest.approx([want.value, want.low, want.high])


def test_the_model_stands_beside_the_readers_average(found, rows):
    assert found.auc_model.value == pytest.approx(PUBLISHED["auc"]["se"][0], abs=1e-7)
    assert found.model_minus_alone.value == pytest.approx(found.auc_model.value - found.auc_alone.value)
    assert found.model_minus_alone.low < found.model_minus_alone.value < found.model_minus_alone.high
    without = compare_readers(rows.drop(columns="risk"))
    assert math.isnan(without.auc_model.value) and without.difference.value == found.difference.value


def test_movement_and_time_are_counted_by_reader(found, rows):
    assert (found.readers[["n_toward", "n_away", "n_unmoved"]].sum(axis=1) == 114).all()
    one = rows[rows["reader_id"] == "R2"]
    moved = np.sign(one["estimate_with_model"] - one["estimate_alone"]) * np.where(one["onlm"] == 1, 1, -1)
    got = found.readers.set_index("reader_id").loc["R2"]
    assert [got["n_toward"], got["n_away"]] == [(moved > 0).sum(), (moved < 0).sum()]
    assert got["seconds_alone"] == 62 and got["seconds_with_model"] == 10


def test_a_reader_helped_by_the_model_has_a_positive_difference(rows):
    helped = rows.assign(estimate_with_model=0.5 * rows["estimate_alone"] + 0.5 * rows["onlm"])
    got = compare_readers(helped)
    assert got.difference.low > 0 and (got.readers["auc_difference"] >= 0).all()
    assert got.readers["n_away"].sum() == 0


def test_without_a_second_estimate_the_first_is_judged_alone(rows):
    got = compare_readers(rows.drop(columns=["estimate_with_model", "seconds_with_model"]), threshold=RATED_3)
    assert got.auc_alone.value == pytest.approx(PUBLISHED["delong"]["cine"]["value"], abs=1e-7)
    assert math.isnan(got.difference.value) and math.isnan(got.p_value)
    assert set(got.averages["kind"]) == {"alone", "model", "model_minus_alone"}
    assert got.readers["auc_with_model"].isna().all()


def test_patients_count_whom_all_have_read_and_the_reader_behind_is_named(rows):
    gap = rows.drop(index=rows.index[(rows["reader_id"] == "R3") & rows["patient_id"].isin([str(k) for k in range(9)])])
    got = compare_readers(gap)
    assert got.n == 114 - 8 and got.n_excluded == {"not read by every reader": 8}
    assert any("reader R3 has read 106 cases, another 114" in note for note in got.notes)
    unknown = rows.assign(onlm=rows["onlm"].astype(float).mask(rows["patient_id"] == "5"))
    assert compare_readers(unknown).n_excluded == {"label missing": 1}


def test_few_readers_and_few_events_are_told(rows):
    assert any("one reader" in n for n in compare_readers(rows[rows["reader_id"] == "R1"]).notes)
    assert not compare_readers(rows[rows["reader_id"] == "R1"]).random_readers
    two = compare_readers(rows[rows["reader_id"].isin(["R1", "R2"])])
    assert any("2 readers" in n for n in two.notes)
    few = rows[(rows["onlm"] == 0) | rows["patient_id"].isin([str(k) for k in range(70, 80)])]
    assert any(n.startswith("10 N+ patients") for n in compare_readers(few).notes)
    assert compare_readers(rows).notes == ()


def test_one_class_or_readers_who_agree_wholly_give_no_interval_and_no_crash(rows):
    got = compare_readers(rows[rows["onlm"] == 0], threshold=RATED_3)
    assert math.isnan(got.auc_alone.value) and got.n_events == 0
    assert set(got.averages.loc[got.averages["measure"] != "auc", "measure"]) == {"specificity"}
    same = compare_readers(rows.assign(estimate_with_model=rows["estimate_alone"]))
    assert same.difference.value == 0 and math.isnan(same.difference.low) and math.isnan(same.p_value)
    assert "nothing varies" in same.difference.note


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda r: r.drop(columns="estimate_alone"), "estimate_alone"),
        (lambda r: pd.concat([r, r.head(1)]), "there before"),
        (lambda r: r.assign(estimate_alone=r["estimate_alone"] * 100), "from 0 to 1; 570 of 570"),
        (lambda r: r.assign(onlm=np.where(r.index == 3, 1 - r["onlm"], r["onlm"])), "the same for a patient"),
        (lambda r: r.assign(onlm=2), "1, 0 or missing"),
        (lambda r: r.iloc[:0], "nobody has read"),
        (lambda r: r[(r["reader_id"] == "R1") == (r["patient_id"] == "1")], "read by all of 5 readers"),
    ],
)
def test_what_cannot_be_compared_is_refused_in_a_sentence(rows, spoil, said):
    with pytest.raises(OnlmError, match=said):
        compare_readers(spoil(rows))


def test_a_threshold_or_level_outside_0_to_1_is_refused(rows):
    for wrong in ({"threshold": 60}, {"level": 95}):
        with pytest.raises(OnlmError, match="between 0 and 1"):
            compare_readers(rows, **wrong)
