"""A CT that comes as one file: NIfTI, NRRD or MetaImage, through SimpleITK."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from onlm_lab.errors import SeriesError
from onlm_lab.imaging.privacy import safe_file_name
from onlm_lab.imaging.volume import CtVolume
from onlm_lab.imaging.volume_headers import doubt_of, is_nifti2
from onlm_lab.study.imaging import require_treatments

VOLUME_FILES = (".nrrd", ".nhdr", ".nii", ".nii.gz", ".mha", ".mhd")
AIR_HU = -500.0  # a chest CT has air in and around it; values that stay above may be no Hounsfield units
STRETCHED = 1e-3  # how far the axes of a file may be from perpendicular


def read_volume_file(path: Path, *, treatments: Mapping[str, str] | None = None) -> CtVolume:
    """A CT from one file, in the patient's frame; ITK turns NIfTI's and NRRD's axes to LPS.

    Args:
        path: the file.
        treatments: as in [imaging.faults] of study.toml; of a file only no_air.

    Raises:
        SeriesError: the file cannot be read, has not three dimensions, or values that are not HU.
    """
    image = read_image(path, what="")
    name = safe_file_name(path)
    if min(image.GetSize()) < 2:
        raise SeriesError(f"'{name}' holds a single slice; a volume needs at least two.")
    values = sitk.GetArrayFromImage(image)
    if values.dtype.kind == "f":
        _refuse_scaled(name, values)
    if values.dtype != np.int16:
        values = np.rint(values)
        if values.min() < -32768 or values.max() > 32767:
            raise SeriesError(f"'{name}' holds values that are no Hounsfield units. Give the CT itself.")
    direction = np.reshape(image.GetDirection(), (3, 3))[:, ::-1].copy()
    warnings = ("no_air",) if values.min() > AIR_HU else ()
    if warnings and require_treatments(dict(treatments or {}))["no_air"] == "refuse":
        raise SeriesError(
            f"'{name}' has no value as low as air's (its lowest is {values.min():g}), so that it may not be in HU."
        )
    return CtVolume(
        hu=values.astype(np.int16),
        spacing_mm=tuple(image.GetSpacing()[::-1]),
        origin_mm=tuple(image.GetOrigin()),
        direction=direction,
        series_uid="",
        acquisition={"source": "volume file", "thickness_mm": float("nan"), "kernel": "", "warnings": warnings},
    )


def _refuse_scaled(name: str, values: np.ndarray) -> None:
    if not np.isfinite(values).all() or (np.abs(values).max() <= 1.5 and (values != np.rint(values)).any()):
        raise SeriesError(
            f"'{name}' holds values that are no Hounsfield units: not finite, or scaled to about 0 to 1. Give the "
            "CT itself."
        )


def read_image(path: Path, *, what: str) -> sitk.Image:
    """A three-dimensional image of one value a voxel; a fourth dimension of one is taken off.

    Args:
        path: the file.
        what: put before the file's name in messages, such as "The mask ".

    Raises:
        SeriesError: it cannot be read, or is no such image.
    """
    name = f"{what}'{safe_file_name(path)}'"
    try:
        with _without_itks_words():
            image = sitk.ReadImage(str(path))
    except RuntimeError as error:
        if is_nifti2(path):
            raise SeriesError(f"{name} is NIfTI-2, which is not read. Save it as NIfTI-1.") from error
        raise SeriesError(f"{name} cannot be read as NIfTI, NRRD or MetaImage. Export it again.") from error
    while image.GetDimension() > 3 and image.GetSize()[-1] == 1:
        image = sitk.Extract(image, [*image.GetSize()[:-1], 0], [0] * image.GetDimension())
    n, parts = image.GetDimension(), image.GetNumberOfComponentsPerPixel()
    if n != 3 or parts != 1:
        raise SeriesError(f"{name} has {n} dimensions and {parts} value(s) a voxel; wanted three dimensions and one.")
    axes = np.reshape(image.GetDirection(), (3, 3))
    if np.abs(axes.T @ axes - np.eye(3)).max() > STRETCHED:
        raise SeriesError(f"{name} has axes that are not perpendicular. Resample it first.")
    if doubt := doubt_of(path, image):
        raise SeriesError(f"{name} cannot be used. {doubt}")
    return image


@contextmanager
def _without_itks_words() -> Iterator[None]:
    """ITK's warnings name the whole path of a file, and with it perhaps a patient."""
    shown = sitk.ProcessObject.GetGlobalWarningDisplay()
    sitk.ProcessObject.GlobalWarningDisplayOff()
    try:
        yield
    finally:
        sitk.ProcessObject.SetGlobalWarningDisplay(shown)
