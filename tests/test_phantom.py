"""The painted chest: its voxels say what the table says, and show what the table does not."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import binary_opening, label

from onlm_lab.virtual import draw_trial
from onlm_lab.virtual.canvas import Grid, scanner_grid
from onlm_lab.virtual.lesion import Tumour
from onlm_lab.virtual.phantom import Scene, place_tumour, render
from onlm_lab.virtual.world import SCANNERS, Scanner

CENTRE = (-75.0, 20.0, 20.0)


def scene(scanner: Scanner, *, total: float = 22.0, solid: float = 22.0, noise: float = 1.0, **signs: float) -> Scene:
    none = dict(core_hu=25.0, spiculation=0.0, necrosis=0.0, pleural_tag=0.0, lobulation=0.0, vessel_convergence=0.0)
    return Scene(scanner, Tumour(CENTRE, total, solid, **(none | signs)), 1.0, noise, (7, 1))


def around(scene: Scene, *, reach_mm: float = 32.0) -> tuple[np.ndarray, np.ndarray, Grid]:
    """HU of the neighbourhood of the tumour on the scanner's own voxels, distance to its centre, and the grid."""
    grid = scanner_grid(scene.scanner)
    centre = np.array(scene.tumour.centre_mm)[::-1]
    axes = grid.axes()
    first = [int(np.searchsorted(a, c - reach_mm)) for a, c in zip(axes, centre, strict=True)]
    stop = [int(np.searchsorted(a, c + reach_mm)) for a, c in zip(axes, centre, strict=True)]
    origin = (float(axes[2][first[2]]), float(axes[1][first[1]]), grid.origin_mm[2])
    shape = tuple(s - f for s, f in zip(stop, first, strict=True))
    box = Grid(origin, grid.spacing_mm, shape, grid.thickness_mm, first[0])
    z, y, x = np.meshgrid(*(a - c for a, c in zip(box.axes(), centre, strict=True)), indexing="ij")
    return render(scene, box).astype(float), np.sqrt(z**2 + y**2 + x**2), box


def diameter_mm(mask: np.ndarray, grid: Grid) -> float:
    """Of the sphere of the same volume."""
    return 2 * (3 * mask.sum() * float(np.prod(grid.spacing_mm)) / (4 * np.pi)) ** (1 / 3)


scanners = pytest.mark.parametrize("scanner", SCANNERS, ids=[s.kernel for s in SCANNERS])


@scanners
def test_lung_and_tumour_have_their_density_and_noise_at_every_centre(scanner):
    hu, away, _ = around(scene(scanner))
    assert np.median(hu[away > 16]) == pytest.approx(-845, abs=12)
    assert hu[away < 6].mean() == pytest.approx(25, abs=10)
    whole = render(scene(scanner), scanner_grid(scanner).slab(20, 24)).astype(float)
    corner = whole[:, 3:30, 3:30]
    assert corner[corner > -1024].size > 100
    inside = np.where(away < 6, hu, np.nan)
    assert np.nanstd(inside) == pytest.approx(scanner.noise_hu, rel=0.35)


@scanners
@pytest.mark.parametrize("total", [12.0, 22.0, 38.0])
def test_the_size_in_the_voxels_is_the_size_in_the_table(scanner, total):
    hu, away, grid = around(scene(scanner, total=total, solid=total))
    assert diameter_mm((hu > -410) & (away < total), grid) == pytest.approx(total, rel=0.08)


@scanners
def test_the_solid_share_in_the_voxels_is_the_one_in_the_table(scanner):
    hu, away, grid = around(scene(scanner, total=28.0, solid=17.0))
    assert diameter_mm((hu > -725) & (away < 18), grid) == pytest.approx(28, rel=0.08)
    assert diameter_mm((hu > -290) & (away < 18), grid) == pytest.approx(17, rel=0.12)


def test_a_pure_ground_glass_nodule_has_no_solid_part():
    hu, away, _ = around(scene(SCANNERS[0], total=20.0, solid=0.0))
    assert hu[away < 6].mean() == pytest.approx(-600, abs=10)
    assert hu[away < 14].max() < -400


@scanners
def test_spikes_fill_the_shell_round_the_tumour_more_the_stronger_the_sign(scanner):
    shares = []
    for spiculation in (0.0, 0.5, 1.0):
        hu, away, _ = around(scene(scanner, spiculation=spiculation))
        shares.append(float((hu[(away > 14) & (away < 17)] > -650).mean()))
    assert shares[0] < 0.01
    assert shares[1] > 0.04
    assert shares[2] > 1.3 * shares[1]


@scanners
def test_dark_patches_are_seen_inside_but_not_in_the_mean(scanner):
    cores = []
    for necrosis in (0.0, 0.5, 1.0):
        hu, away, _ = around(scene(scanner, necrosis=necrosis))
        cores.append(hu[away < 7.5])
    spread = [core.std() for core in cores]
    assert spread[1] > spread[0] + 40
    assert spread[2] > spread[1] + 40
    whole = [around(scene(scanner, necrosis=n)) for n in (0.0, 1.0)]
    means = [hu[away < 10.5].mean() for hu, away, _ in whole]
    assert abs(means[1] - means[0]) < 35


def test_a_strand_reaches_from_the_tumour_to_the_pleura():
    plain, strand = (render(scene(SCANNERS[0], pleural_tag=t, noise=0), scanner_grid(SCANNERS[0])) for t in (0.0, 1.0))
    changed = np.argwhere((strand.astype(int) - plain) > 200)
    x = scanner_grid(SCANNERS[0]).axes()[2][changed[:, 2]]
    assert x.min() < CENTRE[0] - 25
    assert x.max() < CENTRE[0] + 5


def test_slabs_join_without_a_seam():
    one = scene(SCANNERS[4], spiculation=0.8, necrosis=0.6, pleural_tag=1.0, vessel_convergence=1.0)
    grid = scanner_grid(SCANNERS[4])
    slabs = [render(one, grid.slab(first, first + 18)) for first in (0, 18, 36)]
    np.testing.assert_array_equal(np.concatenate(slabs), render(one, grid))


def test_a_poor_scan_is_noisier():
    good, poor = (around(scene(SCANNERS[0], noise=n))[0] for n in (1.0, 3.0))
    assert poor[0].std() > good[0].std()
    assert np.diff(poor[:, :8, :8]).std() == pytest.approx(3 * np.diff(good[:, :8, :8]).std(), rel=0.1)


@pytest.mark.parametrize("side", [1, -1])
@pytest.mark.parametrize("upper", [True, False])
def test_a_central_tumour_lies_in_the_inner_third_and_a_peripheral_one_does_not(side, upper):
    for height in (0.0, 0.5, 1.0):
        where = dict(side=side, upper=upper, middle=False, height=height, front=0.5, radius_mm=10.0, scale=1.0)
        inner, outer = (place_tumour(depth=d, **where) for d in (0.2, 0.7))
        assert np.sign(inner[0]) == np.sign(outer[0]) == side
        assert abs(inner[0]) < abs(outer[0]) - 20


def test_every_tumour_lies_in_lung_and_well_inside_the_scan():
    trial = draw_trial(n_patients=400, n_centres=5, seed=3)
    for i in range(0, 400, 10):
        one = trial.scene(i)
        grid = scanner_grid(one.scanner)
        for axis, position in zip(grid.axes(), one.tumour.centre_mm[::-1], strict=True):
            assert axis[0] + 20 < position < axis[-1] - 20
        none = Scene(one.scanner, Tumour(one.tumour.centre_mm, -5, 0, 0, 0, 0, 0, 0, 0), one.body_scale, 0, (1, i))
        x, y, z = one.tumour.centre_mm
        spot = Grid((x, y, z), (1.0, 1.0, 1.0), (1, 1, 1), 1.0)
        assert render(none, spot)[0, 0, 0] < -700, trial.truth["patient_id"][i]


def measured(one: Scene) -> list[float]:
    """Size, solid share and mean HU of the solid part, from the voxels alone."""
    hu, away, grid = around(one)
    found, _ = label((hu > -700) & (away < 28))
    centre = np.unravel_index(int(np.argmin(away)), away.shape)
    body = binary_opening(found == found[centre], iterations=1) if found[centre] else away < 4
    solid = body & (hu > -300)
    mean_hu = float(hu[solid].mean()) if solid.any() else -600.0
    total = max(diameter_mm(body, grid), 1.0)
    return [total, diameter_mm(solid, grid) / total, mean_hu]


@pytest.mark.slow
def test_measured_size_solid_share_and_density_stay_far_below_the_full_oracle():
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    trial = draw_trial(n_patients=1600, n_centres=5, seed=7)
    clinical, truth = trial.clinical, trial.truth
    who = (truth["violations"] == "") & (truth["undetermined"] == "") & (clinical["nodes_examined"] > 0)
    onlm = clinical["pathological_n"][who].isin(["N1", "N2"]).to_numpy()
    table = np.array([measured(trial.scene(i)) for i in np.flatnonzero(who)])
    model = make_pipeline(StandardScaler(), LogisticRegression())
    risk = cross_val_predict(model, table, onlm, cv=10, method="predict_proba")[:, 1]
    reached, possible = roc_auc_score(onlm, risk), roc_auc_score(onlm, truth["risk_full"][who])
    assert reached > 0.55
    assert reached < possible - 0.05
