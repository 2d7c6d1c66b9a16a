"""A real CT with a real contour goes the whole way from a study's folder into the cache (NSCLC-Radiomics, LUNG1-002).

Aerts et al., Nat Commun 2014;5:4006, doi:10.7937/K9/TCIA.2015.PF0M9REI, CC BY-NC 3.0: for tests only. Known from an
independent pipeline: GTV-1's centre of mass at (z, y, x) = (114, 266, 175) mm from the first voxel, about 359 mL,
103 mm in the axial plane.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from onlm_lab import imaging, patches, preparation
from onlm_lab.figures import plot_patch
from onlm_lab.schema import write_table
from onlm_lab.study import load_study, starter_toml


@pytest.fixture(scope="module")
def study(shared_data, tmp_path_factory):
    """A study of one patient whose CT and RTSTRUCT lie side by side, as an archive gave them."""
    folder = tmp_path_factory.mktemp("real")
    (folder / "ct").symlink_to(shared_data("lung1"), target_is_directory=True)
    found = imaging.find_series(folder / "ct")
    (mask,) = (folder / "ct" / found.loc[found["modality"] == "RTSTRUCT", "path"].iloc[0]).iterdir()
    annotation = {
        "patient_id": "LUNG1-002",
        "series_uid": found.loc[found["modality"] == "CT", "uid"].iloc[0],
        "mask_path": str(mask.relative_to(folder)),
        "mask_roi": "GTV-1",
    }
    write_table(pd.DataFrame([annotation]), folder / "annotations.csv")
    (folder / "study.toml").write_text(starter_toml(name="LUNG1-002", sections={"patch": {"size_mm": 120.0}}))
    return load_study(folder)


@pytest.fixture(scope="module")
def prepared(study):
    table = pd.read_csv(study.path("annotations.csv"), dtype=str)
    return preparation.prepare_images(study, patient_ids=["LUNG1-002"], annotations=table).iloc[0]


def test_the_contour_is_measured_as_an_independent_pipeline_did(prepared):
    assert prepared["usable"] == 1, prepared["detail"]
    assert prepared["ct_volume_ml"] == pytest.approx(359, rel=0.01)
    assert prepared["ct_longest_axial_mm"] == pytest.approx(103, abs=1)


def test_the_patch_lies_around_the_published_centre(study, prepared):
    series = imaging.find_series(study.path("ct"))
    uid = series.loc[series["modality"] == "CT", "uid"].iloc[0]
    volume = imaging.read_series(study.path("ct"), uid)
    first = np.array(volume.to_patient_mm(np.zeros(3)))
    published = first + np.array([175.5, 266.5, 114.5])  # x, y, z; truncated to whole mm, so half a mm is added
    expected = imaging.cut_patch(volume, tuple(published), preparation.patch_spec(study))
    patch = patches.open_cache(preparation.cache_folder(study)).load("LUNG1-002")
    assert np.corrcoef(patch.ravel(), expected.ravel())[0, 1] > 0.98


def test_the_real_patch_is_drawn_as_three_planes_with_millimetres_on_the_axes(study, prepared):
    patch = patches.open_cache(preparation.cache_folder(study)).load("LUNG1-002")
    figure = plot_patch(patch, spacing_mm=study.patch.spacing_mm)
    assert [trace.type for trace in figure.data] == ["heatmap"] * 3
    axial = np.array(figure.data[0].z, dtype=float)
    np.testing.assert_allclose(axial, patch[patch.shape[0] // 2], atol=0.5)
    assert "mm" in figure.layout.xaxis.title.text
