"""[imaging] of study.toml: which series is taken, what is done about each fault of it, how a tumour is measured."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from typing import Literal

from onlm_lab.errors import StudyError
from onlm_lab.showing import shows_itself

# Each fault that a CT series may have: what it is, and what may be done about it, the default first.
#   refuse       the series is not read
#   warn         it is read, and the fault is named with it
#   resample     it is read onto an even, upright grid, and the fault is named with it
#   interpolate  the missing slices are filled from their neighbours, named, and counted against its quality
FAULTS: dict[str, tuple[str, tuple[str, ...]]] = {
    "gantry_tilt": ("the gantry was tilted, so that the slices form a sheared stack", ("resample", "refuse")),
    "variable_spacing": ("the slices lie at uneven distances", ("refuse", "resample")),
    "missing_slices": ("slices within the series are missing", ("refuse", "interpolate")),
    "identical_slices": ("the same slice is there more than once", ("warn", "refuse")),
    "duplicate_slices": ("different slices lie at the same place", ("refuse",)),
    "several_stacks": ("one series holds several stacks of slices", ("refuse",)),
    "missing_numbers": ("by their instance numbers, slices at an end may be missing", ("warn", "refuse")),
    "missing_files": ("files that DICOMDIR lists are not there", ("refuse", "warn")),
    "broken_files": ("files beside the slices have a broken header and may be slices", ("refuse", "warn")),
    "overlapping_slices": ("slices are more than twice as thick as they lie apart", ("warn", "refuse")),
    "lossy_compression": ("the images were compressed with loss", ("warn", "refuse")),
    "mixed_image_types": ("the slices differ in ImageType", ("warn", "refuse")),
    "mixed_kernels": ("the slices differ in their convolution kernel", ("warn", "refuse")),
    "mixed_thickness": ("the slices differ in thickness", ("warn", "refuse")),
    "mixed_rescale": ("the slices differ in their rescale to HU or in how pixels are written", ("warn", "refuse")),
    "padding_in_tissue_range": ("the padding value is also a tissue's value", ("warn", "refuse")),
    "tilt_not_in_geometry": ("the header names a gantry tilt that its geometry does not show", ("warn", "refuse")),
    "no_air": ("a NIfTI, NRRD or MetaImage file without a value as low as air's may not be in HU", ("warn", "refuse")),
    "no_pixels": ("files have no pixels", ("refuse",)),
    "truncated_pixels": ("files end before their pixels do", ("refuse",)),
    "odd_pixel_length": ("pixels that are not as long as rows and columns say", ("refuse", "warn")),
    "no_geometry": ("slices cannot be placed in the patient", ("refuse",)),
    "multi_frame": ("several frames in one file without a place for each", ("refuse",)),
    "no_rescale": ("slices cannot be turned into HU", ("refuse",)),
    "not_hounsfield": ("the values are in another unit than HU", ("refuse",)),
    "not_grey": ("colour pictures", ("refuse",)),
    "localizer": ("localizers among the slices", ("refuse",)),
    "one_slice": ("a single slice", ("refuse",)),
    "unreadable_values": ("header values that cannot be understood", ("refuse",)),
    "mixed_patients": ("slices of different patients", ("refuse",)),
    "mixed_modality": ("files of another kind among the slices", ("refuse",)),
    "mixed_sizes": ("slices of different sizes", ("refuse",)),
    "mixed_pixel_spacing": ("slices of different pixel spacing", ("refuse",)),
    "mixed_orientation": ("slices of different orientation", ("refuse",)),
    "mixed_frame_of_reference": ("slices of different frames of reference", ("refuse",)),
    "shifted_slices": ("slices are shifted sideways against the others", ("refuse",)),
}  # fmt: skip


@shows_itself
@dataclass(frozen=True)
class Imaging:
    """[imaging] Which CT series is taken, what is done about its faults, and how a tumour is measured on it.

    `faults`, a section of its own: what is done where the default is not wanted, such as gantry_tilt = "refuse".
    `quality`, likewise: limits that the quality check names, such as max_noise_hu = 40.
    """

    kernel: Literal["lung", "soft", "any"] = "lung"  # preferred, where a patient has both
    lung_kernels: tuple[str, ...] = ()  # own patterns, such as "B?0f"; they go before the known names
    soft_kernels: tuple[str, ...] = ()
    max_thickness_mm: float = 5.0  # a thicker series is never chosen
    min_coverage_mm: float = 100.0  # from the first slice to the last; a shorter one is never chosen
    max_days_before_treatment: float | None = None  # an older CT is never chosen; no default on purpose
    solid_cut_hu: float = -300.0  # solid above, ground glass below; disputed, so it is named with every result
    diameter_tolerance_mm: float = 3.0  # spreadsheet and CT may differ by this much before they are listed
    volume_cache_gb: float = 4.0  # of whole series for the viewer; the oldest go first
    faults: dict[str, str] = field(default_factory=dict)
    quality: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        require_treatments(self.faults)
        for name in ("max_thickness_mm", "volume_cache_gb"):
            if not getattr(self, name) > 0:
                raise StudyError(f"[imaging] {name} must be above 0.")
        for name in ("min_coverage_mm", "diameter_tolerance_mm"):
            if getattr(self, name) < 0:
                raise StudyError(f"[imaging] {name} must be at least 0.")
        if self.max_days_before_treatment is not None and self.max_days_before_treatment < 0:
            raise StudyError("[imaging] max_days_before_treatment must be at least 0; or take it out.")
        if not -1000 < self.solid_cut_hu < 200:
            raise StudyError(f"[imaging] solid_cut_hu is {self.solid_cut_hu:g}; wanted between -1000 and 200.")


def require_treatments(faults: dict[str, str]) -> dict[str, str]:
    """What is done about every fault of FAULTS: the given word, else the default.

    Raises:
        StudyError: a fault that nobody knows, or a word that does not go with it; all at once.
    """
    said = []
    for name, treatment in faults.items():
        if name not in FAULTS:
            near = difflib.get_close_matches(name, FAULTS, n=1, cutoff=0.5)
            offer = f"did you mean '{near[0]}'?" if near else f"known: {', '.join(FAULTS)}."
            said.append(f"[imaging.faults] {name} is not a fault; {offer}")
        elif treatment not in FAULTS[name][1]:
            what, allowed = FAULTS[name]
            wanted = " or ".join(f"'{word}'" for word in allowed)
            said.append(f"[imaging.faults] {name} is {treatment!r}; wanted {wanted} ({what}).")
    if said:
        raise StudyError("\n".join(said))
    return {name: allowed[0] for name, (_, allowed) in FAULTS.items()} | dict(faults)
