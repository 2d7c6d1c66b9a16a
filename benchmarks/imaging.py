"""Reading and cutting CT beside SimpleITK, on a made-up series."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from onlm_lab import imaging, virtual
from onlm_lab.patches import PatchSpec
from onlm_lab.runs import read_csv

Race = tuple[str, str, Callable[[], object], Callable[[], object]]
SPEC = PatchSpec(size_mm=64.0, spacing_mm=1.0)


def races() -> Iterator[Race]:
    """Name, peer, our work, the peer's work."""
    with tempfile.TemporaryDirectory() as temporary:
        trial = virtual.write_trial(Path(temporary) / "trial", n_patients=4, n_centres=2, seed=1)
        row = read_csv(trial / "annotations.csv").iloc[0]
        folder, uid = trial / row["series_path"], row["series_uid"]
        centre = tuple(row[f"tumour_{axis}_mm"] for axis in "xyz")
        index = imaging.index_series(folder, uid)
        yield (
            f"whole CT to HU, {index.shape}",
            "SimpleITK ImageSeriesReader",
            lambda: imaging.read_series(folder, uid),
            lambda: _whole(folder, uid),
        )
        yield (
            "patch around the tumour, series index built",
            "SimpleITK read, crop, resample",
            lambda: imaging.cut_patch(index, centre, SPEC),
            lambda: _cropped(folder, uid, centre),
        )


def _whole(folder: Path, uid: str) -> sitk.Image:
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder), uid))
    return reader.Execute()


def _cropped(folder: Path, uid: str, centre: tuple[float, ...]) -> np.ndarray:
    half = (SPEC.n_voxels - 1) / 2 * SPEC.spacing_mm
    size, spacing = [SPEC.n_voxels] * 3, [SPEC.spacing_mm] * 3
    origin = [c - half for c in centre]
    image = _whole(folder, uid)
    return sitk.GetArrayFromImage(
        sitk.Resample(
            image, size, sitk.Transform(), sitk.sitkLinear, origin, spacing, [1, 0, 0, 0, 1, 0, 0, 0, 1], -1024
        )
    )
