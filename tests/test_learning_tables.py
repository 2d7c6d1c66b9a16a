"""The tables of what the models reach stand on the same patches as a run over DICOM files."""

from __future__ import annotations

import numpy as np
from conftest import N_CENTRES, N_PATIENTS, SEED

from benchmarks.learning import mean, patch_of
from onlm_lab import patches, plan, runs
from onlm_lab.preparation import cache_folder, patch_spec
from onlm_lab.study import load_study
from onlm_lab.virtual.trial import draw_trial


def test_a_patch_painted_in_memory_is_the_one_that_prepare_cuts_from_the_files(trial):
    study = load_study(trial)
    cache = patches.open_cache(cache_folder(study))
    drawn = draw_trial(n_patients=N_PATIENTS, n_centres=N_CENTRES, seed=SEED)
    place = {patient: k for k, patient in enumerate(drawn.clinical["patient_id"])}
    centres = drawn.clinical.set_index("patient_id")["centre"]
    known = runs.read_csv(plan.work_file(study, "prepared.csv"))
    usable = known.loc[known["usable"] == 1, "patient_id"]
    for centre in sorted(centres.unique()):
        patient = next(p for p in usable if centres[p] == centre)
        made = patch_of(drawn, place[patient], spec=patch_spec(study))
        assert np.abs(np.rint(made) - cache.load(patient)).max() <= 1, f"{patient} of {centre}"


def test_the_mean_over_trials_carries_its_t_interval():
    assert mean([0.1, 0.2, 0.3]) == "0.200 (-0.048 to 0.448)"  # R: t.test(c(.1, .2, .3))$conf.int


def test_one_trial_has_no_interval():
    assert mean([0.5]) == "0.500 (nan to nan)"
