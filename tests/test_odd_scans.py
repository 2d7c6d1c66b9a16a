"""Scans that look sound and are not, or look odd and are sound: each is read right, or refused by name."""

from __future__ import annotations

import gzip
import re

import made_ct
import numpy as np
import pytest
import SimpleITK as sitk
from made_ct import Scan
from pydicom.encaps import encapsulate, generate_frames

from onlm_lab.errors import SeriesError
from onlm_lab.imaging import find_series, read_series

LINEAR = Scan(
    field=lambda x, y, z: np.rint(3 * x + 5 * y + 7 * z - 100), shape=(20, 20, 24), spacing_mm=(1.0, 1.0, 0.8)
)


def read(tmp_path, datasets, uid=None, **treatments):
    folder = made_ct.write(tmp_path / f"scan{len(list(tmp_path.iterdir()))}", datasets)
    return read_series(folder, uid, treatments=treatments)


def refused(tmp_path, datasets, words, **treatments):
    with pytest.raises(SeriesError, match=words):
        read(tmp_path, datasets, **treatments)


def assert_in_place(volume, scan=LINEAR, at_most=1.0):
    index = np.stack(np.meshgrid(*(np.arange(n) for n in volume.shape), indexing="ij"), axis=-1)
    x, y, z = np.moveaxis(volume.to_patient_mm(index), -1, 0)
    assert np.abs(volume.hu - scan.field(x, y, z)).max() <= at_most


# --- two scans under one UID -----------------------------------------------------------------------------------------


def interleaved(offset_mm, **second):
    other = LINEAR.but(
        origin_mm=(*LINEAR.origin_mm[:2], LINEAR.origin_mm[2] + offset_mm), field=lambda x, y, z: 0 * x + 300
    )
    made = made_ct.slices(LINEAR)
    for data in made:
        data.AcquisitionNumber, data.KVP = 1, 120
        data.StudyInstanceUID = "1.2.3"
    for k, data in enumerate(made_ct.slices(other)):
        data.AcquisitionNumber, data.KVP, data.StudyInstanceUID = 1, 120, "1.2.3"
        data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID = f"1.2.9.{k}"
        for name, value in second.items():
            setattr(data, name, value)
        made.append(data)
    return made


@pytest.mark.parametrize(
    "second",
    [{"AcquisitionNumber": 2}, {"ConvolutionKernel": "B31f"}, {"KVP": 80}, {"TemporalPositionIdentifier": 2},
     {"StudyInstanceUID": "1.2.4"}, {"ContrastBolusAgent": "yes"}],
)  # fmt: skip
@pytest.mark.parametrize("offset", [0.0, 0.45, 0.5])
def test_two_scans_whose_slices_fall_between_one_another_are_not_one(tmp_path, second, offset):
    made = interleaved(offset, **second)
    refused(tmp_path, made, "holds 2 stacks of slices")
    uid = str(made[0].SeriesInstanceUID)
    found = [read(tmp_path, made, f"{uid}#{k}") for k in (1, 2)]
    assert sorted(volume.shape[0] for volume in found) == [20, 20]
    assert_in_place(next(volume for volume in found if np.ptp(volume.hu)))


def test_parts_that_follow_one_another_are_one_scan(tmp_path):
    made = made_ct.slices(LINEAR)
    for k, data in enumerate(made):
        data.AcquisitionNumber = 1 + k // 10
    assert read(tmp_path, made).shape == LINEAR.shape


@pytest.mark.parametrize("jitter", ["spacing", "orientation"])
def test_rounding_to_one_side_or_the_other_parts_no_stack(tmp_path, jitter):
    scan = LINEAR.but(spacing_mm=(1.0, 0.7135, 0.7135), column=(0.0, float(np.cos(np.arcsin(0.035))), 0.035))
    made = made_ct.slices(scan)
    for k, data in enumerate(made):
        if jitter == "spacing":
            data.PixelSpacing = ["0.7134999" if k % 2 else "0.7135001"] * 2
        else:
            data.ImageOrientationPatient[5] = "0.0349999" if k % 2 else "0.0350001"
    assert_in_place(read(tmp_path, made), scan, 1.5)


# --- where slices lie -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("digits", [2, 3])
@pytest.mark.parametrize("degrees", [1.0, 5.0, 12.0, 20.0])
def test_rounded_positions_of_an_oblique_scan_are_no_tilt(tmp_path, digits, degrees):
    turn = np.radians(degrees)
    column = (0.0, float(np.cos(turn)), float(np.sin(turn)))
    scan = LINEAR.but(shape=(300, 6, 6), column=column, spacing_mm=(0.7, 0.8, 0.8))
    made = made_ct.slices(scan)
    for data in made:
        data.ImagePositionPatient = [round(float(v), digits) for v in data.ImagePositionPatient]
    volume = read(tmp_path, made)
    assert volume.acquisition["warnings"] == () and volume.shape == scan.shape
    assert_in_place(volume, scan, 1.2)


def moved_sideways(offsets):
    made = made_ct.slices(LINEAR)
    for data, offset in zip(made, offsets, strict=True):
        x, y, z = data.ImagePositionPatient
        data.ImagePositionPatient = [f"{float(x) + offset:.4f}", y, z]
    return made


def test_positions_that_tremble_are_no_tilt(tmp_path):
    volume = read(tmp_path, moved_sideways([0.02 * (-1) ** k for k in range(20)]))
    assert volume.acquisition["warnings"] == () and abs(volume.acquisition["tilt_degrees"]) < 0.1


@pytest.mark.parametrize("offset", [0.6, 1.0, 1.1, 5.0])
def test_half_a_scan_that_was_shifted_is_told_with_how_far(tmp_path, offset):
    refused(tmp_path, moved_sideways([0.0] * 10 + [offset] * 10), rf"10 of 20 slices lie sideways .* up to {offset} mm")


def at_heights(heights):
    made = made_ct.slices(LINEAR.but(shape=(len(heights), 20, 24)))
    for data, z in zip(made, heights, strict=True):
        data.ImagePositionPatient[2] = f"{z:.4f}"
    return made


def test_a_hole_is_not_filled_by_calling_it_uneven(tmp_path):
    heights = [*np.arange(0, 10), *np.arange(15.4, 25)]
    refused(tmp_path, at_heights(heights), "more than 5 mm is never filled", variable_spacing="resample")


def test_one_narrow_gap_makes_no_slice_missing(tmp_path):
    heights = [0.0, 5.0, 10.0, 10.5, 15.5, 20.5, 25.5]
    refused(
        tmp_path, at_heights(heights), r"The slice spacing varies \(0\.5 mm x1, 5 mm x5\)", missing_slices="interpolate"
    )
    volume = read(tmp_path, at_heights(heights), variable_spacing="resample")
    assert volume.shape[0] in (6, 7)


def test_evened_planes_reach_from_the_first_slice_to_the_last(tmp_path):
    heights = np.cumsum([0.0, 1.0, 1.2, 1.0, 0.9, 1.3, 1.0, 1.15])
    volume = read(tmp_path, at_heights(heights), variable_spacing="resample")
    ends = [volume.to_patient_mm([k, 0, 0])[2] for k in (0, volume.shape[0] - 1)]
    assert ends == pytest.approx([0.0, heights[-1]])


def test_spacings_that_look_alike_are_told_apart(tmp_path):
    heights = np.cumsum([0.0, *[1.0] * 150, *[1.002] * 149])
    refused(tmp_path, at_heights(heights), r"The slice spacing varies \(1 mm x150, 1\.002 mm x149\)")


# --- frames ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.90"])
@pytest.mark.parametrize("table", [True, False])
def test_as_many_compressed_frames_as_the_header_says_are_read(tmp_path, syntax, table):
    scan = LINEAR.but(shape=(20, 64, 64))
    data = made_ct.enhanced(scan)
    plugins = {"1.2.840.10008.1.2.4.80": "pyjpegls", "1.2.840.10008.1.2.4.90": "pylibjpeg"}
    data.compress(syntax, encoding_plugin=plugins.get(syntax, "pydicom"))
    frames = list(generate_frames(data.PixelData, number_of_frames=20))
    data.PixelData = encapsulate(frames, has_bot=table, fragments_per_frame=1 if syntax.endswith("5") else 2)
    assert_in_place(read(tmp_path, [data]), scan)


@pytest.mark.parametrize("lost", [0, -1])
def test_frames_without_a_group_of_their_own_are_refused(tmp_path, lost):
    data = made_ct.enhanced(LINEAR)
    del data.PerFrameFunctionalGroupsSequence[lost]
    refused(tmp_path, [data], "lack a usable .*PerFrameFunctionalGroupsSequence with a group for every frame")


@pytest.mark.parametrize("table", [True, False])
def test_more_compressed_frames_than_the_header_says_are_refused(tmp_path, table):
    data = made_ct.enhanced(LINEAR)
    data.compress("1.2.840.10008.1.2.5", encoding_plugin="pydicom")
    data.PixelData = encapsulate(list(generate_frames(data.PixelData, number_of_frames=20)), has_bot=table)
    data.NumberOfFrames = 19
    del data.PerFrameFunctionalGroupsSequence[-1]
    refused(tmp_path, [data], "cannot be decoded")


def test_a_file_that_counts_no_frames_does_not_stop_the_search(tmp_path):
    folder = made_ct.write_scan(tmp_path / "ct" / "good", LINEAR)
    odd = made_ct.slices(LINEAR.but(shape=(1, 20, 24), series="odd"))[0]
    odd.NumberOfFrames = 0
    del odd.ImagePositionPatient
    made_ct.write(tmp_path / "ct", [odd], ["odd"])
    table = find_series(tmp_path / "ct")
    assert len(table) == 2 and read_series(folder).shape == LINEAR.shape


def test_pixels_in_fragments_under_a_native_syntax_are_refused(tmp_path):
    noise = np.random.default_rng(1).integers(0, 3000, LINEAR.shape)  # larger compressed than not
    made = made_ct.slices(LINEAR.but(field=lambda x, y, z: noise))
    made[3].compress("1.2.840.10008.1.2.5", encoding_plugin="pydicom")
    folder = made_ct.write(tmp_path / "ct", made)
    content = (folder / "003").read_bytes()
    (folder / "003").write_bytes(content.replace(b"1.2.840.10008.1.2.5\0", b"1.2.840.10008.1.2.1\0"))
    with pytest.raises(SeriesError, match=r"name another length of their pixels"):
        read_series(folder)


# --- values ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("padding", "limit", "code"), [(0, 3000, True), (0, 10, False), (63536, 65000, False)])
def test_a_padding_range_that_holds_tissue_empties_nothing(tmp_path, padding, limit, code):
    scan = LINEAR.but(field=lambda x, y, z: 0 * x + 40)
    made = made_ct.slices(scan)
    for data in made:
        stored = np.frombuffer(data.PixelData, np.uint16).copy()
        stored[:50] = padding
        data.PixelData = stored.tobytes()
        data.add_new(0x00280120, "US", padding)
        data.add_new(0x00280121, "US", limit)
    volume = read(tmp_path, made)
    assert ("padding_in_tissue_range" in volume.acquisition["warnings"]) is code
    assert volume.padding.sum() == 50 * 20 and (volume.hu[~volume.padding] == 40).all()
    assert (volume.hu[volume.padding] == -1024).all()


@pytest.mark.parametrize(
    ("signed", "raw", "said", "vr"),
    [
        (False, 0xF830, 63536, "US"),
        (False, 0xF830, -2000, "SS"),
        (True, 0xF430, -3024, "SS"),
        (True, 0x0800, 2048, "US"),
    ],
)
def test_padding_in_the_unused_bits_of_twelve_is_padding(tmp_path, signed, raw, said, vr):
    intercept = 0.0 if signed else -1024.0
    scan = LINEAR.but(field=lambda x, y, z: 0 * x + 40, signed=signed, intercept=intercept, bits_stored=12)
    made = made_ct.slices(scan)
    for data in made:
        stored = np.frombuffer(data.PixelData, np.uint16).copy()
        stored[:30] = raw
        data.PixelData = stored.tobytes()
        data.add_new(0x00280120, vr, said)
    volume = read(tmp_path, made)
    assert volume.padding.sum() == 30 * 20 and set(np.unique(volume.hu)) == {-1024, 40}
    assert volume.acquisition["warnings"] == ()


@pytest.mark.parametrize("intercept", ["-1e12", "1e30"])
def test_an_absurd_intercept_is_refused(tmp_path, intercept):
    made = made_ct.slices(LINEAR)
    for data in made:
        data.RescaleIntercept = intercept
    refused(tmp_path, made, "beyond what a CT measures")


@pytest.mark.parametrize(
    ("image_type", "kind"),
    [
        (["DERIVED", "PRIMARY", "AXIAL", "MAT_SPECIFIC"], "not_hounsfield"),
        (["DERIVED", "PRIMARY", "AXIAL", "MAT_REMOVED"], "not_hounsfield"),
        (["DERIVED", "PRIMARY", "AXIAL", "VNC"], "not_hounsfield"),
        (["DERIVED", "PRIMARY", "AXIAL", "SUBTRACT"], "not_hounsfield"),
        (["DERIVED", "PRIMARY", "VOLUME", "MAXIMUM"], "projection"),
        (["DERIVED", "PRIMARY", "VOLUME", "MINIMUM"], "projection"),
        (["ORIGINAL", "PRIMARY", "AXIAL", "CT_SOM5 SPI"], "axial"),
    ],
)
def test_maps_of_materials_and_projections_are_no_ct_to_choose(tmp_path, image_type, kind):
    made = made_ct.slices(LINEAR)
    for data in made:
        data.ImageType = image_type
    assert find_series(made_ct.write(tmp_path / "ct", made))["kind"].tolist() == [kind]


def test_modified_hounsfield_units_are_no_hounsfield_units(tmp_path):
    made = made_ct.slices(LINEAR)
    for data in made:
        data.RescaleType = "HU_MOD"
    refused(tmp_path, made, "another unit than HU")


# --- single files ---------------------------------------------------------------------------------------------------


def image_of(scan=LINEAR, dtype=np.int16):
    image = sitk.GetImageFromArray(scan.hu().astype(dtype))
    image.SetSpacing(scan.spacing_mm[::-1])
    image.SetOrigin(scan.origin_mm)
    return image


def nifti(path, *, edit=None, dtype=np.int16):
    """A NIfTI file whose bytes are edited before they are compressed."""
    plain = path.with_name("plain.nii")
    sitk.WriteImage(image_of(dtype=dtype), str(plain))
    content = bytearray(plain.read_bytes())
    plain.unlink()
    content = edit(content) if edit else content
    path.write_bytes(gzip.compress(content) if path.name.endswith(".gz") else bytes(content))
    return path


def put(place, kind, *values):
    """An edit that writes numbers at a place of the header (nifti1.h)."""

    def edit(content):
        content[place : place + np.dtype(kind).itemsize * len(values)] = np.array(values, dtype=kind).tobytes()
        return content

    return edit


QFORM_CODE, SFORM_CODE, SROW_X, QOFFSET_X, DATA = 252, 254, 280, 268, 352


@pytest.mark.parametrize("name", ["chest.nii", "chest.nii.gz", "chest.nrrd", "chest.mha"])
def test_a_sound_file_is_read(tmp_path, name):
    sitk.WriteImage(image_of(), str(tmp_path / name), True)
    assert_in_place(read_series(tmp_path / name))


@pytest.mark.parametrize("code", [(QFORM_CODE, SFORM_CODE), (SFORM_CODE, QFORM_CODE)])
def test_one_form_alone_will_do(tmp_path, code):
    off, _ = code
    assert_in_place(read_series(nifti(tmp_path / "chest.nii", edit=put(off, "<i2", 0))))


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (put(QFORM_CODE, "<i2", 0, 0), r"names no place in the patient \(qform_code and sform_code are 0\)"),
        (put(QOFFSET_X, "<f4", 40.0), r"form places voxels up to 30\.0 mm elsewhere"),
        (put(SROW_X, "<f4", -1.6), "form places voxels up to .* mm elsewhere|axes that are not perpendicular"),
        (put(SROW_X + 4, "<f4", 0.1), "form places voxels up to 1.9 mm elsewhere|axes that are not perpendicular"),
        (lambda content: content[:-300], "ends before its voxels do|cannot be read"),
    ],
)
@pytest.mark.parametrize("name", ["chest.nii", "chest.nii.gz"])
def test_a_nifti_file_that_contradicts_itself_or_ends_early_is_refused(tmp_path, edit, words, name):
    with pytest.raises(SeriesError, match=words):
        read_series(nifti(tmp_path / name, edit=edit))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_in_a_nifti_file_is_refused(tmp_path, value):
    edit = put(DATA + 4 * 333, "<f4", value)
    with pytest.raises(SeriesError, match="not finite"):
        read_series(nifti(tmp_path / "chest.nii.gz", edit=edit, dtype=np.float32))


def test_a_compressed_stream_that_was_cut_is_refused(tmp_path):
    path = nifti(tmp_path / "chest.nii.gz")
    path.write_bytes(path.read_bytes()[:-80])
    with pytest.raises(SeriesError, match=r"ends early or is damaged|cannot be read"):
        read_series(path)
    sitk.WriteImage(image_of(), str(tmp_path / "chest.mha"), True)
    content = (tmp_path / "chest.mha").read_bytes()
    (tmp_path / "chest.mha").write_bytes(content.replace(b"DimSize = 24 20 20", b"DimSize = 24 20 21"))
    with pytest.raises(SeriesError, match=r"does not hold as many voxels|cannot be read"):
        read_series(tmp_path / "chest.mha")


def test_nifti_2_and_a_single_slice_are_refused_by_name(tmp_path):
    (tmp_path / "two.nii").write_bytes(np.array([540], "<i4").tobytes() + b"n+2\0\r\n\x1a\n" + bytes(1000))
    with pytest.raises(SeriesError, match=r"'two\.nii' is NIfTI-2, which is not read"):
        read_series(tmp_path / "two.nii")
    sitk.WriteImage(image_of(LINEAR.but(shape=(1, 20, 24))), str(tmp_path / "one.nii"))
    with pytest.raises(SeriesError, match="holds a single slice"):
        read_series(tmp_path / "one.nii")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda text: text.replace("space: left-posterior-superior", "space: scanner-xyz"), "space is scanner-xyz"),
        (lambda text: re.sub("space.*\n", "", text), "space is not named"),
        (lambda text: text.replace("kinds:", 'space units: "cm" "cm" "cm"\nkinds:'), "unit is cm; wanted mm"),
        (lambda text: text.replace("kinds:", 'space units: "mm" "mm" "mm"\nkinds:'), None),
        (lambda text: text.replace("left-posterior-superior", "LPS"), None),
    ],
)
def test_an_nrrd_file_without_a_place_in_the_patient_is_refused(tmp_path, change, words):
    sitk.WriteImage(image_of(), str(tmp_path / "chest.nhdr"))
    path = tmp_path / "chest.nhdr"
    path.write_text(change(path.read_text()))
    if words is None:
        assert_in_place(read_series(path))
        return
    with pytest.raises(SeriesError, match=words):
        read_series(path)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda text: re.sub("ElementSpacing.*\n", "", text), "names no ElementSpacing"),
        (lambda text: text.replace("DimSize", "DistanceUnits = cm\nDimSize"), "unit is cm"),
        (lambda text: text.replace("DimSize", "ElementToIntensityFunctionSlope = 2\nDimSize"), "another scale"),
    ],
)
def test_a_metaimage_in_other_units_is_refused(tmp_path, change, words):
    sitk.WriteImage(image_of(), str(tmp_path / "chest.mhd"))
    path = tmp_path / "chest.mhd"
    path.write_text(change(path.read_text()))
    with pytest.raises(SeriesError, match=words):
        read_series(path)


def test_a_file_named_after_a_patient_is_named_by_a_digest_and_itk_is_silent(tmp_path, capfd):
    name = "Mustermann_Erika_19600101.nii"
    nifti(tmp_path / name, edit=put(SROW_X, "<f4", -0.808))
    with pytest.raises(SeriesError) as raised:
        read_series(tmp_path / name)
    said = str(raised.value) + "".join(capfd.readouterr())
    assert "ustermann" not in said and "1960" not in said and "'id-" in said
