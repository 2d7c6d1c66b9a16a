"""The made-up patients: calibrated to what is published, with every planted disorder written down."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from onlm_lab.errors import StudyError
from onlm_lab.virtual import Trial, draw_trial
from onlm_lab.virtual.trial import RULES


@pytest.fixture(scope="module")
def large() -> Trial:
    return draw_trial(n_patients=12_000, n_centres=5, seed=7)


def labelled(trial: Trial) -> np.ndarray:
    """Eligible surgical patients with a label, by the truth alone."""
    c, t = trial.clinical, trial.truth
    return (
        (t["violations"] == "") & (t["undetermined"] == "") & (c["treatment"] != "sbrt") & (c["nodes_examined"] > 0)
    ).to_numpy()


def positives(trial: Trial) -> pd.Series:
    return trial.clinical["pathological_n"].isin(["N1", "N2", "N3"])


def test_one_seed_draws_one_trial_and_another_seed_another():
    first, again = (draw_trial(n_patients=50, n_centres=5, seed=3) for _ in range(2))
    other = draw_trial(n_patients=50, n_centres=5, seed=4)
    for name in ("clinical", "followup", "annotations", "truth"):
        pd.testing.assert_frame_equal(getattr(first, name), getattr(again, name))
    assert not first.clinical.equals(other.clinical)


def test_a_patient_stays_the_same_in_a_larger_trial():
    small, big = draw_trial(n_patients=20, n_centres=5, seed=3), draw_trial(n_patients=60, n_centres=5, seed=3)
    pd.testing.assert_frame_equal(small.clinical, big.clinical.head(20))
    pd.testing.assert_frame_equal(small.followup, big.followup.head(20))
    pd.testing.assert_frame_equal(small.truth, big.truth.head(20))


def test_nodal_metastasis_is_as_frequent_as_published(large):
    assert 0.15 <= positives(large)[labelled(large)].mean() <= 0.22


def test_nodal_upstaging_rises_with_the_solid_share_as_published(large):
    truth, who = large.truth, labelled(large)
    ratio = (truth["true_solid_diameter_mm"] / truth["true_total_diameter_mm"])[who]
    rate = positives(large)[who].groupby(pd.cut(ratio, [0.5, 0.75, 0.9999, 1.0]), observed=True).mean()
    assert rate.to_numpy() == pytest.approx([0.018, 0.090, 0.20], abs=0.025)
    assert rate.is_monotonic_increasing


def test_the_table_alone_reaches_0_75_and_table_with_image_0_90(large):
    who = labelled(large)
    onlm, truth = positives(large)[who], large.truth[who]
    assert 0.73 <= roc_auc_score(onlm, truth["risk_clinical"]) <= 0.77
    assert 0.88 <= roc_auc_score(onlm, truth["risk_full"]) <= 0.92


@pytest.mark.parametrize("risk", ["risk_clinical", "risk_full"])
def test_the_oracles_are_calibrated(large, risk):
    truth = large.truth[large.clinical["clinical_n"] == "N0"]
    tenth = pd.qcut(truth[risk], 10)
    said, came = (truth[c].groupby(tenth, observed=True).mean() for c in (risk, "true_onlm"))
    error = np.sqrt(came * (1 - came) / (len(truth) / 10)) + 0.002
    assert ((said - came).abs() / error).max() < 3.5


def test_no_column_known_before_treatment_tells_of_the_image(large):
    truth = large.truth
    for column in ("lp_clinical", "true_total_diameter_mm", "true_cea_ng_ml", "true_suv_max", "true_kps"):
        assert abs(np.corrcoef(truth[column], truth["lp_image"])[0, 1]) < 0.03, column


def test_every_rule_is_broken_by_somebody_in_the_demonstration():
    planted = draw_trial(n_patients=300, n_centres=5, seed=7).truth["violations"]
    assert {rule for cell in planted for rule in cell.split(";") if rule} == set(RULES)


def test_screening_finds_every_planted_violation_and_invents_none(tmp_path):
    from onlm_lab.cohort import load_cohort, screen
    from onlm_lab.study import load_study
    from onlm_lab.virtual import write_trial

    study = load_study(write_trial(tmp_path / "t", n_patients=1500, n_centres=5, seed=11, tables_only=True))
    decisions = screen(load_cohort(study), study.protocol).decisions
    truth = pd.read_csv(tmp_path / "t" / "truth.csv", dtype=str, keep_default_na=False)
    for outcome, column in (("fail", "violations"), ("undetermined", "undetermined")):
        rows = decisions[decisions["outcome"] == outcome]
        cells = zip(truth["patient_id"], truth[column], strict=True)
        planted = {(patient, rule) for patient, cell in cells for rule in cell.split(";") if rule}
        assert set(zip(rows["patient_id"], rows["rule"], strict=True)) == planted
        assert len(planted) > 20


def test_the_recorded_stage_departs_from_the_derived_one_where_truth_says_so(large):
    from onlm_lab.cohort.staging import t_bounds

    head = large.clinical.head(1500)
    head = head[head["clinical_t"].notna()]
    derived = t_bounds(head)["low"]
    assert ((head["clinical_t"] != derived) == (large.truth.loc[head.index, "stage_disagrees"] == 1)).all()
    assert large.truth["stage_disagrees"].mean() > 0.01


def test_radiotherapy_patients_are_older_and_have_no_pathology(large):
    sbrt = large.clinical["treatment"] == "sbrt"
    assert 0.18 < sbrt.mean() < 0.27
    assert large.clinical.loc[sbrt, ["pathological_n", "nodes_examined", "lvi"]].isna().all().all()
    age = large.clinical["age_years"]
    assert age[sbrt].mean() > age[~sbrt].mean() + 3


def test_centres_differ_in_their_patients(large):
    onlm = positives(large)[labelled(large)].groupby(large.clinical["centre"]).mean()
    assert list(onlm.index) == ["C1", "C2", "C3", "C4", "C5"]
    assert onlm.max() - onlm.min() > 0.03


def test_pathological_invasion_tempts_although_it_is_known_too_late(large):
    who = labelled(large)
    assert roc_auc_score(positives(large)[who], large.clinical["lvi"][who]) > 0.68


def test_full_size_scans_are_rare_and_300_patients_stay_below_three_gigabytes():
    trial = draw_trial(n_patients=300, n_centres=5, seed=7)
    scanners = [trial.scanner(i) for i in range(300)]
    assert sum(s.n_pixels == 512 and s.n_slices == 200 for s in scanners) == 5
    assert {s.n_slices for s in scanners if s.n_pixels == 256} <= set(range(40, 61))
    assert sum(2 * s.n_pixels**2 * s.n_slices for s in scanners) < 2.9e9


@pytest.mark.parametrize(
    ("n_patients", "n_centres", "seed", "said"),
    [(0, 5, 7, "patients from 1 .* got 0"), (10, 0, 7, "centres from 1 to 50, got 0"), (10, 5, -1, "seed .* got -1")],
)
def test_a_request_out_of_range_is_refused_in_a_sentence(n_patients, n_centres, seed, said):
    with pytest.raises(StudyError, match=said):
        draw_trial(n_patients=n_patients, n_centres=n_centres, seed=seed)
