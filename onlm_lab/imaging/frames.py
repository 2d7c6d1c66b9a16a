"""The slices of a multi-frame CT (Enhanced, Legacy Converted): what its functional groups say of each frame.

DICOM PS3.3, C.7.6.16: what all frames share stands once in the shared group, the rest in a group a frame.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pydicom.dataset import Dataset

NAN = float("nan")


@dataclass(frozen=True, slots=True)
class Frame:
    """What one frame says about itself; the fields are those of a `Header`, which they replace."""

    position_mm: tuple[float, ...] = ()
    orientation: tuple[float, ...] = ()
    pixel_spacing_mm: tuple[float, ...] = ()
    slope: float = NAN
    intercept: float = NAN
    rescale_type: str = ""
    thickness_mm: float = NAN
    kernel: str = ""
    kvp: float = NAN
    gantry_degrees: float = NAN
    image_type: tuple[str, ...] = ()
    acquisition: str = ""
    phase: str = ""
    stack: str = ""


# Where each fact stands: the sequence, its attribute, what it is.
_PLACES = {
    "position_mm": ("PlanePositionSequence", "ImagePositionPatient", "numbers"),
    "orientation": ("PlaneOrientationSequence", "ImageOrientationPatient", "numbers"),
    "pixel_spacing_mm": ("PixelMeasuresSequence", "PixelSpacing", "numbers"),
    "slope": ("PixelValueTransformationSequence", "RescaleSlope", "number"),
    "intercept": ("PixelValueTransformationSequence", "RescaleIntercept", "number"),
    "rescale_type": ("PixelValueTransformationSequence", "RescaleType", "text"),
    "thickness_mm": ("PixelMeasuresSequence", "SliceThickness", "above zero"),
    "kernel": ("CTReconstructionSequence", "ConvolutionKernel", "text"),
    "kvp": ("CTXRayDetailsSequence", "KVP", "above zero"),
    "gantry_degrees": ("CTAcquisitionDetailsSequence", "GantryDetectorTilt", "number"),
    "image_type": ("CTImageFrameTypeSequence", "FrameType", "texts"),
    "acquisition": ("FrameContentSequence", "FrameAcquisitionNumber", "text"),
    "phase": ("FrameContentSequence", "TemporalPositionIndex", "text"),
    "stack": ("FrameContentSequence", "StackID", "text"),
}


def read_frames(data: Dataset) -> tuple[Frame, ...]:
    """Every frame of a multi-frame CT, in the order of its pixels; none where it has no functional groups.

    Raises:
        ValueError, TypeError: a value is not what its type demands.
    """
    shared = next(iter(data.get("SharedFunctionalGroupsSequence") or ()), Dataset())
    own = data.get("PerFrameFunctionalGroupsSequence") or ()
    same: dict[str, object] = {}
    frames = []
    for groups in own:
        said = {}
        for name, (sequence, attribute, kind) in _PLACES.items():
            if sequence in groups:
                value = _first(groups[sequence].value, attribute, kind)
            else:
                if name not in same:
                    same[name] = _first(shared.get(sequence), attribute, kind)
                value = same[name]
            if value is not None:
                said[name] = value
        frames.append(Frame(**said))
    return tuple(frames)


def above_zero(text: object) -> float:
    """A number; 0 and below, which some scanners write where they do not know, is not known."""
    value = float(text)
    return value if value > 0 else float("nan")


def _first(items: object, attribute: str, kind: str) -> object | None:
    item = next(iter(items or ()), None)
    value = None if item is None else item.get(attribute)
    if value is None or value == "":
        return None
    if kind == "number":
        return float(value)
    if kind == "above zero":
        return above_zero(value)
    if kind == "numbers":
        return tuple(float(part) for part in _many(value))
    if kind == "texts":
        return tuple(str(part).strip() for part in _many(value))
    return "\\".join(str(part).strip() for part in _many(value))


def _many(value: object) -> Iterator[object]:
    return iter([value] if isinstance(value, str | float | int) else value)
