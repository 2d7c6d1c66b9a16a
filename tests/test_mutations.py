"""Whatever happens to the files of a series, it is read right, or refused with the slice's name; never read wrong.

Every voxel's value says where it lies, so that a slice that is lost, doubled, moved or turned cannot hide: a volume
that comes back has to show its own places.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import made_ct
import numpy as np
import pydicom
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from made_ct import Scan
from pydicom.uid import RLELossless, generate_uid

from onlm_lab.errors import SeriesError
from onlm_lab.imaging import find_series, read_series

N, ROWS, COLUMNS = 9, 6, 7
SCAN = Scan(
    field=lambda x, y, z: np.rint(20 * x + 30 * y + 50 * z), shape=(N, ROWS, COLUMNS), spacing_mm=(2.0, 1.0, 1.0),
    origin_mm=(-3.0, -3.0, -8.0), intercept=-2000.0,
)  # fmt: skip
# A position may be off by what passes for rounding: a tenth of a spacing along, half a millimetre sideways.
AT_MOST_HU = 0.1 * 2.0 * 50 + 0.5 * 50 + 2

Slices = list[pydicom.Dataset]
Mutation = Callable[[Slices, "st.DataObject"], set[str]]


def pick(data, slices, what="slice", *, having=None):
    """One slice; with `having` one from which no mutation before took that element."""
    able = [one for one in slices if having is None or having in one]
    if having == "PixelData":  # coded pixels that were edited are not written at all
        able = [one for one in able if not one.file_meta.TransferSyntaxUID.is_compressed]
    assume(able)
    return able[data.draw(st.integers(0, len(able) - 1), label=what)]


def _drop(slices, data):
    k = data.draw(st.integers(1, len(slices) - 2), label="dropped")
    del slices[k]
    return {"missing_slices", "variable_spacing"}


def _drop_an_end(slices, data):
    del slices[data.draw(st.sampled_from([0, -1]), label="end")]
    return {"nothing"}  # no gap tells of it; the volume is right for what is there


def _shuffle(slices, data):
    order = data.draw(st.permutations(range(len(slices))), label="order")
    for number, k in enumerate(order):
        slices[k].InstanceNumber = number + 1
    slices[:] = [slices[k] for k in order]
    return {"nothing"}


def _copy(slices, data):
    twin = pydicom.dcmread(_bytes(pick(data, slices)))
    twin.SOPInstanceUID = twin.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    slices.append(twin)
    return {"identical_slices"}


def _other_copy(slices, data):
    twin = pydicom.dcmread(_bytes(pick(data, slices, having="PixelData")))
    twin.SOPInstanceUID = twin.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    twin.PixelData = bytes(reversed(twin.PixelData))
    slices.append(twin)
    return {"duplicate_slices"}


def _between(slices, data):
    """A slice half-way between two others: an overlapping reconstruction that got into the folder."""
    z = float(pick(data, slices, having="ImagePositionPatient").ImagePositionPatient[2]) + 1.0
    extra = made_ct.slices(SCAN.but(origin_mm=(-3.0, -3.0, z), shape=(1, ROWS, COLUMNS)))[0]
    extra.SOPInstanceUID = extra.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    slices.append(extra)
    return {"variable_spacing", "missing_slices"}


def _move_along(slices, data):
    one = pick(data, slices, having="ImagePositionPatient")
    shift = data.draw(st.sampled_from([-7.3, -1.1, 0.7, 0.9, 3.4, 400.0]), label="mm along")
    one.ImagePositionPatient[2] = float(one.ImagePositionPatient[2]) + shift
    return {"variable_spacing", "missing_slices", "duplicate_slices"}


def _move_sideways(slices, data):
    one = pick(data, slices, having="ImagePositionPatient")
    axis = data.draw(st.integers(0, 1), label="axis")
    one.ImagePositionPatient[axis] = float(one.ImagePositionPatient[axis]) + 4.0
    return {"shifted_slices", "gantry_tilt"}


def _turn(slices, data):
    pick(data, slices).ImageOrientationPatient = data.draw(
        st.sampled_from([[0, 1, 0, -1, 0, 0], [-1, 0, 0, 0, 1, 0], [1, 0, 0, 0, 0, -1]]), label="orientation"
    )
    return {"mixed_orientation"}


def _set(name, value, *codes):
    def change(slices, data):
        setattr(pick(data, slices), name, value)
        return set(codes)

    change.__name__ = f"_set_{name}_{value}"
    return change


def _without(name, *codes):
    def change(slices, data):
        one = pick(data, slices)
        if name in one:
            delattr(one, name)
        return set(codes)

    change.__name__ = f"_without_{name}"
    return change


def _fewer_rows(slices, data):
    one = pick(data, slices, having="PixelData")
    one.Rows = ROWS - 1
    one.PixelData = one.PixelData[: 2 * (ROWS - 1) * COLUMNS]
    return {"mixed_sizes"}


def _short_pixels(slices, data):
    one = pick(data, slices, having="PixelData")
    one.PixelData = one.PixelData[: data.draw(st.integers(1, ROWS * COLUMNS - 1), label="kept") * 2]
    return {"truncated_pixels"}


def _compressed(slices, data):
    one = pick(data, slices)
    if not one.file_meta.TransferSyntaxUID.is_compressed and one.get("SamplesPerPixel") == 1 and "PixelData" in one:
        with pytest.MonkeyPatch.context():
            try:
                one.compress(RLELossless, generate_instance_uid=False)
            except (ValueError, AttributeError):  # something else is wrong with it already
                return {"another"}
    return {"nothing"}


MUTATIONS: list[Mutation] = [
    _drop, _drop_an_end, _shuffle, _copy, _other_copy, _between, _move_along, _move_sideways, _turn, _fewer_rows,
    _short_pixels, _compressed,
    _set("RescaleSlope", 0, "no_rescale"), _set("RescaleIntercept", -1000, "mixed_rescale"),
    _set("PixelSpacing", [1.0, 1.3], "mixed_pixel_spacing"),
    _set("FrameOfReferenceUID", "1.2.3", "mixed_frame_of_reference"),
    _set("SamplesPerPixel", 3, "not_grey"), _set("NumberOfFrames", 2, "multi_frame"),
    _set("ImageType", ["ORIGINAL", "PRIMARY", "LOCALIZER"], "localizer"), _set("PatientID", "other", "mixed_patients"),
    _set("BitsStored", 12, "mixed_rescale"), _set("PixelRepresentation", 1, "mixed_rescale"),
    _set("HighBit", 3, "unreadable_values"),
    _set("Modality", "PT", "mixed_modality"), _set("SeriesInstanceUID", "1.2.3.4", "another series"),
    _set("RescaleType", "Z_EFF", "not_hounsfield"), _set("ConvolutionKernel", "B70f", "mixed_kernels"),
    _set("SliceThickness", 9.0, "mixed_thickness"), _set("GantryDetectorTilt", 20.0, "tilt_not_in_geometry"),
    _without("ImagePositionPatient", "no_geometry"), _without("ImageOrientationPatient", "no_geometry"),
    _without("PixelSpacing", "no_geometry"), _without("RescaleIntercept", "no_rescale"),
    _without("PixelData", "no_pixels"), _without("PixelRepresentation", "unreadable_values"),
    _without("Rows", "no_pixels"), _without("BitsAllocated", "unreadable_values"),
]  # fmt: skip
MAY_CHANGE_VALUES = {"_set_RescaleIntercept_-1000", "_set_BitsStored_12", "_set_PixelRepresentation_1"}  # and says so


def _bytes(data):
    import io

    stream = io.BytesIO()
    data.save_as(stream, enforce_file_format=True)
    stream.seek(0)
    return stream


def named_faults(folder):
    table = find_series(folder)
    codes = {code for faults in table["faults"] for code in faults}
    if (table["modality"] == "CT").sum() != 1 or table.attrs["n_unreadable"] or table.attrs["n_without_series"]:
        codes.add("another series")
    return codes


def wrong_voxels(volume):
    x, y, z = np.moveaxis(volume.to_patient_mm(np.moveaxis(np.indices(volume.shape), 0, -1)), -1, 0)
    off = np.abs(volume.hu - (20 * x + 30 * y + 50 * z)) > AT_MOST_HU
    return off if volume.padding is None else off & ~volume.padding


def outcome(folder):
    """The volume, or the sentence with which it was refused; anything else is an error of this package."""
    try:
        return read_series(folder)
    except SeriesError as error:
        return str(error)


def check(slices, expected, folder, *, values_may_change=False):
    made_ct.write(folder, slices)
    codes = named_faults(folder)
    found = outcome(folder)
    if isinstance(found, str):
        # Pixels that were spoilt under a sound header (a spoilt copy whose original is gone) are seen on reading alone.
        seen_in_pixels = "beyond what a CT measures" in found and "' at z = " in found
        assert codes or seen_in_pixels, f"refused ({found}) and the table of series says nothing"
    elif wrong_voxels(found).any():
        assert values_may_change and "mixed_rescale" in found.acquisition["warnings"]
    if expected and not expected & {"nothing", "another"}:
        assert expected & codes, (expected, codes)


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda m: m.__name__)
def test_each_mutation_alone_is_named_by_its_own_fault(mutation, tmp_path):
    seen = set()

    @settings(max_examples=8, deadline=None, derandomize=True, database=None)
    @given(st.data())
    def run(data):
        slices = made_ct.slices(SCAN)
        expected = mutation(slices, data)
        seen.add(frozenset(expected))
        with tempfile.TemporaryDirectory(dir=tmp_path) as name:
            check(slices, expected, Path(name) / "ct", values_may_change=mutation.__name__ in MAY_CHANGE_VALUES)

    run()
    assert seen


def several_at_once(folder, data):
    slices = made_ct.slices(SCAN)
    chosen = data.draw(st.lists(st.sampled_from(MUTATIONS), min_size=1, max_size=4), label="mutations")
    for mutation in chosen:
        mutation(slices, data)
    check(slices, set(), folder, values_may_change=bool({m.__name__ for m in chosen} & MAY_CHANGE_VALUES))


def damaged_bytes(folder, data):
    """Bytes of one file's header changed, cut out or put in, or its end cut off; pixels themselves bear no checksum."""
    made_ct.write(folder, made_ct.slices(SCAN))
    path = folder / f"{data.draw(st.integers(0, N - 1), label='file'):03d}"
    whole = bytearray(path.read_bytes())
    pixels = len(whole) - 2 * ROWS * COLUMNS
    for _ in range(data.draw(st.integers(1, 4), label="hits")):
        if not whole:
            break
        at = data.draw(st.integers(0, min(pixels, len(whole)) - 1), label="at")
        how = data.draw(st.sampled_from(["change", "cut", "put", "end"]), label="how")
        if how == "change":
            whole[at] = data.draw(st.integers(0, 255), label="byte")
        elif how == "cut":
            del whole[at : at + data.draw(st.integers(1, 40), label="n")]
        elif how == "put":
            whole[at:at] = data.draw(st.binary(min_size=1, max_size=12), label="bytes")
        else:
            del whole[max(at, 1) :]
    path.write_bytes(whole)
    named_faults(folder)
    found = outcome(folder)
    if not isinstance(found, str) and wrong_voxels(found).any():
        assert "mixed_rescale" in found.acquisition["warnings"]


def run_many(one, base, n_examples):
    @settings(max_examples=n_examples, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(st.data())
    def run(data):
        with tempfile.TemporaryDirectory(dir=base) as name:
            one(Path(name) / "ct", data)

    run()


@pytest.mark.parametrize("one", [several_at_once, damaged_bytes])
def test_mutations_never_give_a_wrong_volume_or_a_crash(one, tmp_path):
    run_many(one, tmp_path, 80)


@pytest.mark.slow
@pytest.mark.parametrize("one", [several_at_once, damaged_bytes])
def test_five_hundred_mutations_never_give_a_wrong_volume_or_a_crash(one, tmp_path):
    run_many(one, tmp_path, 500)
