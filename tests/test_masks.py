"""A mask lands on the voxels that were drawn, or is refused with the reason."""

from __future__ import annotations

import made_ct
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from made_ct import Scan
from skimage.draw import polygon2mask

from onlm_lab.errors import SeriesError
from onlm_lab.imaging import centre_of_mass_mm, measure_tumour, read_mask, read_mask_noted, read_series, series_of_mask
from onlm_lab.imaging.rasterising import rasterise

SCAN = Scan(shape=(8, 30, 36), spacing_mm=(2.0, 1.0, 1.0))


@pytest.fixture(scope="module")
def volume(tmp_path_factory):
    return read_series(made_ct.write_scan(tmp_path_factory.mktemp("scan"), SCAN))


@pytest.fixture(scope="module")
def lung1(request):
    folder = request.getfixturevalue("shared_data")("lung1")
    return folder, read_series(folder)


def square(volume, z, low, high):
    """A contour around pixels low..high (row and column) of slice z, on their outer edges."""
    edges = [(low, low), (low, high + 1), (high + 1, high + 1), (high + 1, low)]
    return volume.to_patient_mm([(z, row - 0.5, column - 0.5) for row, column in edges])


def save(tmp_path, data):
    made_ct.write(tmp_path, [data], ["mask.dcm"])
    return tmp_path / "mask.dcm"


def test_a_real_gtv_has_the_published_centre_of_mass_and_volume(lung1):
    folder, volume = lung1
    mask = read_mask(next(folder.rglob("1-1.dcm")), volume, "GTV-1")
    centre_zyx = (np.array(centre_of_mass_mm(mask, volume)) - volume.origin_mm)[::-1]
    np.testing.assert_array_equal(np.floor(centre_zyx), [114, 266, 175])  # published, truncated to whole mm
    assert mask.sum() * volume.voxel_ml == pytest.approx(359, abs=1)
    assert measure_tumour(mask, volume).longest_axial_mm == pytest.approx(103, abs=1)


def test_a_real_gtv_equals_another_rasteriser_within_one_percent(lung1):
    folder, volume = lung1
    path = next(folder.rglob("1-1.dcm"))
    mask = read_mask(path, volume, "GTV-1")
    other = np.zeros_like(mask)
    for contour in pydicom.dcmread(path).ROIContourSequence[5].ContourSequence:
        points = volume.to_voxel(np.reshape(np.array(contour.ContourData, float), (-1, 3)))
        other[int(np.rint(points[0, 0]))] ^= polygon2mask(mask.shape[1:], points[:, 1:])
    assert abs(int(mask.sum()) - int(other.sum())) < 0.01 * other.sum()
    assert (mask ^ other).sum() < 0.01 * other.sum()


def test_regions_of_a_real_rtstruct_are_named_by_name_number_or_pattern(lung1):
    folder, volume = lung1
    path = next(folder.rglob("1-1.dcm"))
    by_pattern = read_mask(path.parent, volume, "gtv*")
    np.testing.assert_array_equal(by_pattern, read_mask(path, volume, 6))
    listed = "1: Lung-Right, 2: Lung-Left, 3: Heart, 4: Esophagus, 5: Spinal-Cord, 6: GTV-1"
    with pytest.raises(SeriesError, match=f"'1-1.dcm' holds 6 regions; name one: {listed}"):
        read_mask(path, volume)
    with pytest.raises(
        SeriesError, match=f"2 regions of '1-1.dcm' match 'Lung\\*'; exactly one is wanted of: {listed}"
    ):
        read_mask(path, volume, "Lung*")


def test_real_segments_have_the_voxels_of_their_frames(shared_data):
    folder = shared_data("dicom_ct_seg")
    volume = read_series(folder)
    frames = pydicom.dcmread(folder / "liver.dcm").pixel_array
    np.testing.assert_array_equal(
        read_mask(folder / "liver.dcm", volume), frames.astype(bool)
    )  # stored from the feet up
    green, orange = (read_mask(folder / "partial_overlaps.dcm", volume, roi) for roi in ("GREEN", 2))
    assert (green.sum(), orange.sum()) == (9602, 11888)
    assert (green & orange).sum() > 0  # they overlap, and neither loses a voxel
    with pytest.raises(SeriesError, match="holds 5 regions; name one: 1: GREEN, 2: ORANGE, 3: PURPLE"):
        read_mask(folder / "partial_overlaps.dcm", volume)
    with pytest.raises(SeriesError, match="holds 2 RTSTRUCT or SEG files, not one"):
        read_mask(folder, volume)


def test_a_real_nrrd_nodule_keeps_its_837_voxels(shared_data):
    folder = shared_data("nrrd_nodule")
    volume = read_series(folder / "lung1_image.nrrd")
    mask = read_mask(folder / "lung1_label.nrrd", volume)
    assert mask.sum() == 837 and sorted(set(np.nonzero(mask)[0])) == [32, 33, 34]
    assert mask.sum() * volume.voxel_ml == pytest.approx(1.36, abs=0.005)


def test_a_contour_fills_the_pixels_whose_centres_it_encloses(volume, tmp_path):
    data = made_ct.rtstruct({"tumour": [square(volume, z, 5, 12) for z in (2, 3, 4)]})
    mask = read_mask(save(tmp_path, data), volume)
    expected = np.zeros(SCAN.shape, bool)
    expected[2:5, 5:13, 5:13] = True
    np.testing.assert_array_equal(mask, expected)
    np.testing.assert_allclose(centre_of_mass_mm(mask, volume), volume.to_patient_mm([3, 8.5, 8.5]))


def test_a_hole_is_empty_and_an_island_in_it_is_filled(volume, tmp_path):
    rings = [square(volume, 3, low, high) for low, high in ((4, 20), (8, 16), (11, 13))]
    apart = square(volume, 3, 24, 26)
    mask = read_mask(save(tmp_path, made_ct.rtstruct({"t": [*rings, apart]})), volume)
    expected = np.zeros(SCAN.shape, bool)
    for low, high, value in ((4, 20, True), (8, 16, False), (11, 13, True), (24, 26, True)):
        expected[3, low : high + 1, low : high + 1] = value
    np.testing.assert_array_equal(mask, expected)


def test_a_contour_that_comes_twice_is_counted_once_and_crossing_ones_are_united(volume, tmp_path):
    whole, over = square(volume, 3, 4, 12), square(volume, 3, 10, 16)
    mask, notes = read_mask_noted(save(tmp_path, made_ct.rtstruct({"t": [whole, whole[::-1], over]})), volume)
    expected = np.zeros(SCAN.shape, bool)
    expected[3, 4:13, 4:13] = expected[3, 10:17, 10:17] = True
    np.testing.assert_array_equal(mask, expected)
    assert notes == (
        "1 contour(s) are repeats of another one on the same slice and were counted once.",
        "1 contour(s) cross another one on the same slice; the two were united.",
    )
    data = made_ct.rtstruct({"t": [whole, over]})
    for contour in data.ROIContourSequence[0].ContourSequence:
        contour.ContourGeometricType = "CLOSEDPLANAR_XOR"
    expected[3, 10:13, 10:13] = False
    np.testing.assert_array_equal(read_mask(save(tmp_path, data), volume), expected)


def test_what_encloses_nothing_and_slices_that_were_skipped_are_told(volume, tmp_path):
    data = made_ct.rtstruct({"t": [square(volume, z, 5, 12) for z in (1, 2, 3, 5, 6)]})
    contours = data.ROIContourSequence[0].ContourSequence
    contours[0].ContourGeometricType, contours[-1].ContourGeometricType = "OPEN_PLANAR", "POINT"
    mask, notes = read_mask_noted(save(tmp_path, data), volume)
    assert mask.any(axis=(1, 2)).nonzero()[0].tolist() == [2, 3, 5]
    z = volume.to_patient_mm([4, 0, 0])[2]
    assert notes == (
        "2 contour(s) of 5 enclose nothing (1 OPEN_PLANAR, 1 POINT).",
        f"Nothing is drawn on 1 slice between drawn ones (z = {z:.1f} mm): several parts, "
        "or a slice that was forgotten.",
    )


@pytest.mark.parametrize("apart", [1.05, 1.3, 1.45])
@pytest.mark.parametrize("kind", ["RTSTRUCT", "SEG"])
def test_planes_of_a_somewhat_thicker_series_fill_as_much_as_was_drawn(tmp_path, kind, apart):
    scan = SCAN.but(shape=(40, 12, 12))
    volume = read_series(made_ct.write_scan(tmp_path / "scan", scan))
    n, start = 16, 5.2
    if kind == "RTSTRUCT":
        data = made_ct.rtstruct({"t": [square(volume, start + apart * k, 3, 7) for k in range(n)]})
    else:
        coarse = scan.but(
            shape=(n, 12, 12), spacing_mm=(2.0 * apart, 1, 1), origin_mm=tuple(volume.to_patient_mm([start, 0, 0]))
        )
        drawn = np.zeros(coarse.shape, bool)
        drawn[:, 3:8, 3:8] = True
        data = made_ct.segmentation({"t": drawn}, coarse)
    mask, notes = read_mask_noted(save(tmp_path, data), volume)
    assert mask.sum() == pytest.approx(25 * n * apart, abs=25)  # to one slice, wherever the ends fall
    held = mask.any(axis=(1, 2)).nonzero()[0]
    assert len(held) == held[-1] - held[0] + 1
    assert held.mean() == pytest.approx(start + apart * (n - 1) / 2, abs=0.5)
    assert notes == (
        f"The mask was drawn on planes that lie {apart:.2f} of the CT's slices apart, not on its slices.",
    ) or (apart == 1.05 and notes == ())


def test_planes_midway_between_the_slices_fill_as_many_slices_as_there_are_planes(volume, tmp_path):
    data = made_ct.rtstruct({"t": [square(volume, z + 0.5, 5, 12) for z in (1, 2, 3)]})
    mask = read_mask(save(tmp_path, data), volume)
    assert mask.any(axis=(1, 2)).sum() == 3 and mask.sum() == 3 * 64


def test_a_segment_cropped_to_coarser_pixels_keeps_its_rim(volume, tmp_path):
    coarse = SCAN.but(
        shape=(8, 5, 6), spacing_mm=(2.0, 2.0, 2.0), origin_mm=tuple(volume.to_patient_mm([0, 10.5, 12.5]))
    )
    drawn = np.zeros(coarse.shape, bool)
    drawn[3] = True  # to every edge of the frames
    mask = read_mask(save(tmp_path, made_ct.segmentation({"t": drawn}, coarse)), volume)
    expected = np.zeros(SCAN.shape, bool)
    expected[3, 10:20, 12:24] = True
    np.testing.assert_array_equal(mask, expected)


def test_a_region_without_a_frame_of_reference_has_that_of_its_structure_set(volume, tmp_path):
    for frame, refused in ((made_ct.FRAME, False), ("1.2.3.4", True)):
        data = made_ct.rtstruct({"t": [square(volume, 3, 5, 12)]})
        del data.StructureSetROISequence[0].ReferencedFrameOfReferenceUID
        item = pydicom.Dataset()
        item.FrameOfReferenceUID = frame
        data.ReferencedFrameOfReferenceSequence = [item]
        path = save(tmp_path, data)
        if refused:
            with pytest.raises(SeriesError, match="belongs to another frame of reference"):
                read_mask(path, volume)
        else:
            assert read_mask(path, volume).any()


@pytest.mark.parametrize(
    ("values", "roi", "found"),
    [
        ((0.0, 1.0), "1.0", 1),
        ((0.0, 0.9999), 1, 1),
        ((0, 1234567, 1234568), "1234568", 1),
        ((0, 1, 2), "2", 1),
        ((0, 1, 2), "GTV", "has no label GTV; there are: 1, 2"),
        ((0.0, 0.4, 1.0), None, "values that are no labels, as 0.4: whole numbers are wanted"),
        ((0.0, np.nan, 1.0), None, "values that are no labels, as nan"),
    ],
)
def test_labels_are_numbers_and_whole(volume, tmp_path, values, roi, found):
    labels = np.full(SCAN.shape, values[0], dtype=np.float64 if isinstance(values[0], float) else np.int32)
    for k, value in enumerate(values[1:], start=1):
        labels[3, 10, 10 + k] = value
    image = sitk.GetImageFromArray(labels)
    image.SetSpacing(volume.spacing_mm[::-1])
    image.SetOrigin(volume.origin_mm)
    sitk.WriteImage(image, str(tmp_path / "mask.nrrd"))
    if isinstance(found, int):
        assert read_mask(tmp_path / "mask.nrrd", volume, roi).sum() == found
    else:
        with pytest.raises(SeriesError, match=found):
            read_mask(tmp_path / "mask.nrrd", volume, roi)


def test_a_circle_has_its_area_and_neighbouring_polygons_share_no_pixel():
    angles = np.linspace(0, 2 * np.pi, 400, endpoint=False)
    circle = np.stack([40.3 + 25 * np.sin(angles), 39.8 + 25 * np.cos(angles)], axis=1)
    assert rasterise([circle], (80, 80)).sum() == pytest.approx(np.pi * 25**2, rel=0.005)
    left, right = np.array([(0, 0), (0, 5), (9, 5), (9, 0)]), np.array([(0, 5), (0, 9), (9, 9), (9, 5)])
    a, b = rasterise([left], (10, 10)), rasterise([right], (10, 10))
    assert not (a & b).any() and (a | b).sum() == 81


def test_a_segment_is_placed_by_its_frames_positions(volume, tmp_path):
    core = np.zeros(SCAN.shape, bool)
    core[2:5, 6:9, 20:24] = True
    whole = core.copy()
    whole[1:6, 4:11, 18:26] = True
    path = save(tmp_path, made_ct.segmentation({"core": core, "whole": whole}, SCAN))
    np.testing.assert_array_equal(read_mask(path, volume, "core"), core)
    np.testing.assert_array_equal(read_mask(path, volume, 2), whole)


def test_a_segment_on_a_cropped_finer_grid_covers_the_same_place(volume, tmp_path):
    fine = SCAN.but(
        shape=(8, 20, 24), spacing_mm=(2.0, 0.5, 0.5), origin_mm=tuple(volume.to_patient_mm([0, 9.75, 9.75]))
    )
    drawn = np.zeros(fine.shape, bool)
    drawn[3, 4:12, 6:16] = True  # 8 x 10 half-millimetre pixels: rows 12-15 and columns 13-17 of the CT
    mask = read_mask(save(tmp_path, made_ct.segmentation({"t": drawn}, fine)), volume)
    assert np.argwhere(mask).min(axis=0).tolist() == [3, 12, 13] and mask.sum() == 4 * 5


@pytest.mark.parametrize("name", ["mask.nii.gz", "mask.nrrd", "mask.mha"])
def test_a_mask_file_is_placed_by_its_geometry_even_when_its_axes_run_the_other_way(volume, tmp_path, name):
    expected = np.zeros(SCAN.shape, np.uint8)
    expected[2:5, 6:9, 20:24] = 1
    image = sitk.GetImageFromArray(expected)
    image.SetSpacing(volume.spacing_mm[::-1])
    image.SetOrigin(volume.origin_mm)
    sitk.WriteImage(sitk.Flip(image, (True, True, False)), str(tmp_path / name))
    np.testing.assert_array_equal(read_mask(tmp_path / name, volume), expected.astype(bool))


def _image(volume, values):
    image = sitk.GetImageFromArray(values)
    image.SetSpacing(volume.spacing_mm[::-1])
    image.SetOrigin(volume.origin_mm)
    return image


def test_one_of_several_labels_has_to_be_named(volume, tmp_path):
    values = np.zeros(SCAN.shape, np.uint8)
    values[2], values[5, 3:6] = 1, 7
    sitk.WriteImage(_image(volume, values), str(tmp_path / "m.nrrd"))
    with pytest.raises(SeriesError, match="holds 2 labels; name one as roi: 1, 7"):
        read_mask(tmp_path / "m.nrrd", volume)
    with pytest.raises(SeriesError, match=r"has no label 3; there are: 1, 7"):
        read_mask(tmp_path / "m.nrrd", volume, 3)
    assert read_mask(tmp_path / "m.nrrd", volume, 7).sum() == 3 * 36


def test_a_mask_that_is_empty_elsewhere_or_without_geometry_is_refused(volume, tmp_path):
    values = np.zeros(SCAN.shape, np.uint8)
    sitk.WriteImage(_image(volume, values), str(tmp_path / "empty.nrrd"))
    with pytest.raises(SeriesError, match=r"'empty\.nrrd' is empty"):
        read_mask(tmp_path / "empty.nrrd", volume)
    values[2:5, 6:9, 20:24] = 1
    far = _image(volume, values)
    far.SetOrigin([500.0, 0.0, 0.0])
    sitk.WriteImage(far, str(tmp_path / "far.nrrd"))
    with pytest.raises(SeriesError, match=r"36 of 36 voxels of the mask 'far\.nrrd' lie outside the scan"):
        read_mask(tmp_path / "far.nrrd", volume)
    sitk.WriteImage(sitk.GetImageFromArray(values), str(tmp_path / "bare.nrrd"))
    with pytest.raises(SeriesError, match=r"lost the geometry"):
        read_mask(tmp_path / "bare.nrrd", volume)
    with pytest.raises(SeriesError, match=r"'nowhere\.dcm' does not exist"):
        read_mask(tmp_path / "nowhere.dcm", volume)
    (tmp_path / "text.dcm").write_text("no")
    with pytest.raises(SeriesError, match=r"'text\.dcm' is neither DICOM nor one of"):
        read_mask(tmp_path / "text.dcm", volume)
    (tmp_path / "text.nrrd").write_text("no")
    with pytest.raises(SeriesError, match=r"'text\.nrrd' cannot be read"):
        read_mask(tmp_path / "text.nrrd", volume)
    ct = made_ct.write(tmp_path, made_ct.slices(SCAN)[:1], ["ct.dcm"]) / "ct.dcm"
    with pytest.raises(SeriesError, match=r"'ct\.dcm' is a DICOM file of kind CT"):
        read_mask(ct, volume)


def test_a_mask_of_the_cts_size_that_was_turned_or_shifted_is_refused(volume, tmp_path):
    values = np.zeros(SCAN.shape, np.uint8)
    values[3:5, 12:16, 14:20] = 1
    turned = _image(volume, values)
    turned.SetDirection([0, 1, 0, 1, 0, 0, 0, 0, 1])  # rows for columns
    sitk.WriteImage(turned, str(tmp_path / "turned.nrrd"))
    with pytest.raises(
        SeriesError, match=r"'turned\.nrrd' has as many voxels as the CT.*lost the geometry or was turned"
    ):
        read_mask(tmp_path / "turned.nrrd", volume)
    shifted = _image(volume, values)
    shifted.SetOrigin([volume.origin_mm[0], volume.origin_mm[1], volume.origin_mm[2] + 4.0])
    sitk.WriteImage(shifted, str(tmp_path / "shifted.nii"))
    with pytest.raises(SeriesError, match=r"its corners are 2\.0 voxels off"):
        read_mask(tmp_path / "shifted.nii", volume)


def test_a_mask_on_another_grid_is_resampled_by_its_place(volume, tmp_path):
    fine = np.zeros((24, 40, 40), np.uint8)
    fine[6:15, 8:24, 10:30] = 1  # voxels of 0.5 mm
    image = sitk.GetImageFromArray(fine)
    image.SetSpacing([0.5, 0.5, 0.5])
    image.SetOrigin(volume.to_patient_mm([1, 5, 6]).tolist())
    sitk.WriteImage(image, str(tmp_path / "fine.nrrd"))
    mask = read_mask(tmp_path / "fine.nrrd", volume)
    places = volume.to_patient_mm(np.argwhere(np.ones(volume.shape)))
    index = np.rint((places - image.GetOrigin()) / 0.5).astype(int)[:, ::-1]
    inside = ((index >= 0) & (index < fine.shape)).all(axis=1)
    expected = np.zeros(len(places), bool)
    expected[inside] = fine[tuple(index[inside].T)] > 0
    assert (mask.ravel() ^ expected).sum() <= 0.02 * expected.sum() and mask.sum() > 100


def test_an_oblique_segment_is_resampled_onto_the_slices(volume, tmp_path):
    lean = np.radians(15)
    oblique = SCAN.but(
        shape=(20, 30, 36), spacing_mm=(1.0, 1.0, 1.0), row=(float(np.cos(lean)), 0.0, float(np.sin(lean))),
        origin_mm=(-8.0, -12.0, -105.0),
    )  # fmt: skip
    middle = np.array(volume.to_patient_mm([3.5, 15, 17]))
    index = np.indices(oblique.shape).reshape(3, -1).T
    normal = np.cross(oblique.row, oblique.column)
    places = np.array(oblique.origin_mm) + index @ np.array([normal, oblique.column, oblique.row])
    drawn = (np.linalg.norm(places - middle, axis=1) < 5.0).reshape(oblique.shape)
    mask = read_mask(save(tmp_path, made_ct.segmentation({"ball": drawn}, oblique)), volume)
    assert mask.sum() * volume.voxel_ml == pytest.approx(4 / 3 * np.pi * 0.5**3, rel=0.08)
    np.testing.assert_allclose(centre_of_mass_mm(mask, volume), middle, atol=0.3)


def test_a_segment_with_thinner_frames_is_not_inflated_by_them(volume, tmp_path):
    thin = SCAN.but(shape=(32, 30, 36), spacing_mm=(0.5, 1.0, 1.0))
    drawn = np.zeros(thin.shape, bool)
    for k in range(8, 21):  # a cone that grows by a row a frame
        drawn[k, 4 : 4 + k, 6:20] = True
    mask = read_mask(save(tmp_path, made_ct.segmentation({"t": drawn}, thin)), volume)
    assert {k: int(mask[k].any(axis=1).sum()) for k in range(8) if mask[k].any()} == {2: 8, 3: 12, 4: 16, 5: 20}


def test_without_a_frame_of_reference_a_mask_has_to_name_the_series(tmp_path):
    scan = SCAN.but(frame="")
    volume = read_series(made_ct.write_scan(tmp_path / "scan", scan))
    drawn = np.zeros(scan.shape, bool)
    drawn[3, 5:9, 5:9] = True
    data = made_ct.segmentation({"t": drawn}, scan)
    assert read_mask(save(tmp_path, data), volume).sum() == 16  # it names none: taken for its place
    data.ReferencedSeriesSequence = [pydicom.Dataset()]
    data.ReferencedSeriesSequence[0].SeriesInstanceUID = volume.series_uid
    assert read_mask(save(tmp_path, data), volume).sum() == 16
    assert series_of_mask(tmp_path / "mask.dcm") == (volume.series_uid,)
    data.ReferencedSeriesSequence[0].SeriesInstanceUID = "1.2.3"
    with pytest.raises(SeriesError, match="names another series than this CT, and there is no frame of reference"):
        read_mask(save(tmp_path, data), volume)


@pytest.mark.parametrize(
    ("characters", "codec"),
    [("GB18030", "gb18030"), ("", "gb18030"), ("ISO_IR 192", "utf_8"), ("\\ISO 2022 IR 58", None)],
)
def test_a_region_is_found_by_its_chinese_name_in_any_character_set(volume, tmp_path, characters, codec):
    data = made_ct.rtstruct({"heart": [square(volume, 3, 2, 4)], "tumour": [square(volume, 3, 5, 12)]})
    name = "肿瘤"
    raw = name.encode(codec) if codec else b"\x1b$)A" + name.encode("gb2312")
    if characters:
        data.SpecificCharacterSet = characters.split("\\")
    data.StructureSetROISequence[1].add_new(0x30060026, "LO", "XX")
    path = save(tmp_path, data)
    place = path.read_bytes().index(b"\x06\x30\x26\x00LO\x02\x00XX")
    whole = bytearray(path.read_bytes())
    raw += b" " * (len(raw) % 2)
    whole[place : place + 10] = b"\x06\x30\x26\x00LO" + len(raw).to_bytes(2, "little") + raw
    grown = len(raw) - 2
    _grow(whole, data, grown)
    path.write_bytes(whole)
    assert read_mask(path, volume, "肿*").sum() == 64 and read_mask(path, volume, "肿瘤").sum() == 64
    with pytest.raises(SeriesError, match="holds 2 regions; name one: 1: heart, 2: "):
        read_mask(path, volume)


def _grow(whole, data, n_bytes):
    """Lengthen the sequence of regions and its second item by so many bytes, in the written file."""
    head = b"\x06\x30\x20\x00SQ\x00\x00"
    at = whole.index(head) + len(head)
    length = int.from_bytes(whole[at : at + 4], "little")
    if length != 0xFFFFFFFF:
        whole[at : at + 4] = (length + n_bytes).to_bytes(4, "little")
    item = whole.index(b"\xfe\xff\x00\xe0", whole.index(b"\xfe\xff\x00\xe0", at) + 4)
    length = int.from_bytes(whole[item + 4 : item + 8], "little")
    if length != 0xFFFFFFFF:
        whole[item + 4 : item + 8] = (length + n_bytes).to_bytes(4, "little")


def test_a_malformed_structure_set_is_a_sentence_and_no_crash(volume, tmp_path):
    data = made_ct.rtstruct({"t": [square(volume, 3, 5, 12)]})
    data.ROIContourSequence[0].ContourSequence[0].ContourData = ["1", "2", "3", "4"]
    with pytest.raises(SeriesError, match=r"The RTSTRUCT 'mask\.dcm' cannot be understood"):
        read_mask(save(tmp_path, data), volume)


def test_contours_that_do_not_fit_the_scan_are_refused(volume, tmp_path):
    def refused(contours, words, **options):
        with pytest.raises(SeriesError, match=words):
            read_mask(save(tmp_path, made_ct.rtstruct({"t": contours}, **options)), volume)

    good = [square(volume, z, 5, 12) for z in (2, 3)]
    refused(good, "another frame of reference", frame="1.2.3.4")
    refused([], "'t' in 'mask.dcm' has no closed contour")
    refused([square(volume, 20, 5, 12)], r"contour 1 of 'mask\.dcm' lies outside the scan: voxels z, y, x from \[20\.0")
    refused([square(volume, 3, 25, 40)], "lies outside the scan")
    refused([square(volume, z, 5, 12) for z in (1, 3, 5)], r"drawn on one slice in 2 of the CT \(3 in all\)")
    lean = np.array([[0, 0, 0], [0, 0, 0], [0, 0, 3], [0, 0, 3]])
    refused([square(volume, 3, 5, 12) + lean], "not parallel to the CT's slices")
    refused(
        [square(volume, 3, 5, 4)], r"no closed contour. 1 contour\(s\) of 1 enclose nothing \(1 of fewer than 3 points"
    )
    between = volume.to_patient_mm([(3, row, column) for row, column in ((5.2, 5.2), (5.2, 5.8), (5.8, 5.5))])
    refused([between], "is empty on the CT's grid")
    tenth = [square(volume, z / 10, 5, 12) for z in range(30, 36)]
    refused(tenth, r"6 planes that lie 0\.1 of a slice apart\. Its coordinates are not in mm")


def test_a_segment_that_does_not_fit_the_scan_is_refused(volume, tmp_path):
    drawn = np.zeros(SCAN.shape, bool)
    drawn[3, 5:9, 5:9] = True

    def refused(scan, words):
        with pytest.raises(SeriesError, match=words):
            read_mask(save(tmp_path, made_ct.segmentation({"t": drawn}, scan)), volume)

    refused(SCAN.but(frame="1.2.3"), "another frame of reference")
    refused(SCAN.but(origin_mm=(-10.0, -12.0, 50.0)), "lies outside the scan: on slice 78 of 8")
    refused(SCAN.but(origin_mm=(300.0, -12.0, -100.0)), "Part of the mask in 'mask.dcm' lies outside the scan")
    refused(SCAN.but(row=(0.8, 0.0, 0.6)), "is not parallel to the CT's slices")
