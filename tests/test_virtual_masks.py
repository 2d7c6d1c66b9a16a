"""The made-up trial's contours and segments hold the known truth of its tumours; what is measured finds it again."""

from __future__ import annotations

import numpy as np
import pytest

from onlm_lab.imaging import (
    centre_of_mass_mm,
    find_lungs,
    find_series,
    locate_tumour,
    measure_tumour,
    read_mask,
    read_series,
    series_of_mask,
)
from onlm_lab.virtual import draw_trial, write_trial
from onlm_lab.virtual.canvas import scanner_grid
from onlm_lab.virtual.masks import true_mask
from onlm_lab.virtual.trial import mask_kind

N, SEED = 10, 7


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = write_trial(tmp_path_factory.mktemp("made") / "trial", n_patients=N, n_centres=5, seed=SEED, n_workers=1)
    return folder, draw_trial(n_patients=N, n_centres=5, seed=SEED)


def patients(trial, kind):
    return [i for i in range(N) if mask_kind(int(trial.truth["centre_index"][i])) == kind]


def read(made, i):
    folder, trial = made
    volume = read_series(folder / trial.annotations["series_path"][i])
    return volume, read_mask(folder / trial.annotations["mask_path"][i], volume)


def test_some_centres_draw_contours_some_segments_and_some_a_point_only(made):
    folder, trial = made
    kinds = {kind: patients(trial, kind) for kind in ("RTSTRUCT", "SEG", "")}
    assert all(kinds.values())
    for i in kinds[""]:
        assert trial.annotations["mask_path"][i] is None
    table = find_series(folder / "contours")
    assert sorted(table["modality"].unique()) == ["RTSTRUCT", "SEG"] and len(table) == N - len(kinds[""])


def test_a_segment_is_the_truth_voxel_for_voxel(made):
    trial = made[1]
    for i in patients(trial, "SEG"):
        volume, mask = read(made, i)
        np.testing.assert_array_equal(mask, true_mask(trial.scene(i), scanner_grid(trial.scanner(i))))
        assert series_of_mask(made[0] / trial.annotations["mask_path"][i]) == (volume.series_uid,)


def test_a_contour_encloses_the_true_volume(made):
    trial = made[1]
    for i in patients(trial, "RTSTRUCT"):
        volume, mask = read(made, i)
        truth = true_mask(trial.scene(i), scanner_grid(trial.scanner(i)))
        assert abs(int(mask.sum()) - int(truth.sum())) <= 0.02 * truth.sum() + 6
        assert (mask ^ truth).sum() <= 0.04 * truth.sum() + 12
        centre = np.array(trial.scene(i).tumour.centre_mm)
        assert np.abs(np.array(centre_of_mass_mm(mask, volume)) - centre).max() < max(volume.spacing_mm)


def test_what_is_measured_on_the_ct_follows_the_painted_tumour(made):
    trial = made[1]
    for i in [*patients(trial, "SEG"), *patients(trial, "RTSTRUCT")]:
        volume, mask = read(made, i)
        tumour = trial.scene(i).tumour
        facts = measure_tumour(mask, volume)
        # lobes reach at most a third beyond the round body
        assert 0.85 * tumour.total_diameter_mm - 2 <= facts.longest_axial_mm <= 1.36 * tumour.total_diameter_mm + 3
        where = locate_tumour(volume, lungs=find_lungs(volume, tumour=mask), mask=mask)
        assert where.side == ("left" if tumour.centre_mm[0] > 0 else "right")
        lobe = trial.clinical["lobe"][i]
        assert {"R": "right", "L": "left"}[lobe[0]] == where.side


def test_another_run_writes_the_same_bytes(made, tmp_path):
    again = write_trial(tmp_path / "again", n_patients=N, n_centres=5, seed=SEED, n_workers=2)
    for path in sorted((made[0] / "contours").iterdir()):
        assert path.read_bytes() == (again / "contours" / path.name).read_bytes()
