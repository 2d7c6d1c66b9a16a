"""A CT comes back in Hounsfield units at its place in the patient, or as a sentence that names slice and fault."""

from __future__ import annotations

import os
from pathlib import Path

import made_ct
import numpy as np
import pydicom
import pydicom.data
import pytest
from made_ct import Scan
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian, RLELossless

from onlm_lab.errors import OnlmError, SeriesError
from onlm_lab.imaging import find_series, index_series, read_series
from onlm_lab.imaging import headers as headers_module
from onlm_lab.imaging.searching import list_files
from onlm_lab.imaging.walk import START_BYTES, walk

SLOPED = Scan(field=lambda x, y, z: np.rint(3 * x + 5 * y + 7 * z), shape=(6, 12, 10))
COLUMNS = "uid modality n_instances spacing_mm thickness_mm kernel tilt_degrees transfer_syntax faults path".split()


def test_two_series_of_a_real_patient_are_found_with_their_geometry(shared_data):
    table = find_series(shared_data("lung1"))
    assert list(table.columns[:10]) == COLUMNS
    ct = table[table.modality == "CT"].iloc[0]
    assert sorted(table.modality) == ["CT", "RTSTRUCT"]
    assert (ct.n_instances, ct.spacing_mm, ct.thickness_mm, ct.tilt_degrees) == (111, pytest.approx(3.0), 3.0, 0.0)
    assert ct.kernel == "" and np.isnan(ct.kvp) and ct.faults == ()
    assert table.attrs == {"n_files": 112, "n_not_dicom": 0, "n_unreadable": 0, "n_without_series": 0}


def test_padding_of_a_real_ct_equals_the_stored_value_slice_by_slice(shared_data):
    folder = shared_data("dicom_ct_seg")
    volume = read_series(folder)
    for k, name in enumerate(["03.dcm", "02.dcm", "01.dcm"]):  # file numbers run from head to feet
        stored = pydicom.dcmread(folder / name).pixel_array
        np.testing.assert_array_equal(volume.padding[k], stored == -2000)
        np.testing.assert_array_equal(volume.hu[k][stored != -2000], stored[stored != -2000] - 1024)


def test_order_and_spacing_come_from_positions_not_from_names_numbers_or_thickness(tmp_path):
    made = made_ct.slices(SLOPED)
    shuffled = np.random.default_rng(3).permutation(len(made))
    for k, data in enumerate(made):
        data.InstanceNumber, data.SliceThickness = int(shuffled[k]), 5.0
    names = [f"{'deep/er' if k % 2 else 'a b'}/{shuffled[k]}" for k in range(len(made))]
    volume = read_series(made_ct.write(tmp_path, made, names))
    np.testing.assert_array_equal(volume.hu, SLOPED.hu())
    assert volume.spacing_mm == pytest.approx(SLOPED.spacing_mm)
    assert volume.origin_mm == pytest.approx(SLOPED.origin_mm)


@pytest.mark.parametrize(
    ("row", "column"),
    [
        ((1, 0, 0), (0, 1, 0)),
        ((-1, 0, 0), (0, 1, 0)),  # seen from the head: slices run towards the feet
        ((-1, 0, 0), (0, -1, 0)),  # prone
        ((1, 0, 0), (0, 0, -1)),  # coronal
        ((0.8, 0.6, 0), (-0.36, 0.48, 0.8)),  # oblique
    ],
)
def test_every_voxel_lies_where_its_value_says_whatever_the_orientation(tmp_path, row, column):
    scan = SLOPED.but(row=row, column=column, origin_mm=(3.0, 4.0, 5.0), intercept=-2000.0)
    volume = read_series(made_ct.write_scan(tmp_path, scan))
    x, y, z = np.moveaxis(volume.to_patient_mm(np.moveaxis(np.indices(volume.shape), 0, -1)), -1, 0)
    np.testing.assert_allclose(volume.hu, 3 * x + 5 * y + 7 * z, atol=0.51)
    np.testing.assert_allclose(volume.direction.T @ volume.direction, np.eye(3), atol=1e-6)
    places = volume.to_patient_mm([[0, 0, 0], [5, 3, 2]])
    np.testing.assert_allclose(volume.to_voxel(places), [[0, 0, 0], [5, 3, 2]], atol=1e-9)


def test_each_slice_is_rescaled_by_its_own_slope_and_intercept(tmp_path):
    parts = [SLOPED, SLOPED.but(slope=0.5, intercept=-1000.0), SLOPED.but(slope=2.0, intercept=-3000.0, signed=True)]
    made = [made_ct.slices(parts[k % 3])[k] for k in range(6)]
    volume = read_series(made_ct.write(tmp_path, made))
    assert np.abs(volume.hu.astype(int) - SLOPED.hu()).max() <= 1  # slope 2 stores whole steps of 2 HU
    np.testing.assert_array_equal(volume.hu[[0, 1, 3, 4]], SLOPED.hu()[[0, 1, 3, 4]])
    assert volume.acquisition["warnings"] == ("mixed_rescale",)


def test_bits_above_those_stored_are_not_part_of_the_value(tmp_path):
    made = made_ct.slices(SLOPED.but(bits_stored=12))
    for data in made:
        data.PixelData = (np.frombuffer(data.PixelData, "<u2") | 0xA000).tobytes()
    np.testing.assert_array_equal(read_series(made_ct.write(tmp_path, made)).hu, SLOPED.hu())


@pytest.mark.parametrize(("signed", "value"), [(False, 63536), (False, -2000), (True, -2000), (True, 63536)])
def test_padding_reads_as_air_and_is_marked_however_its_sign_was_written(tmp_path, signed, value):
    made = made_ct.slices(SLOPED.but(signed=signed, intercept=-24.0 if signed else -1024.0))
    for data in made:
        stored = np.frombuffer(data.PixelData, "<u2").copy()
        stored[:5] = 63536  # the bits of -2000
        data.PixelData = stored.tobytes()
        vr = "US" if value > 0 else "SS"
        data[0x00280120] = pydicom.DataElement(0x00280120, vr, value)
    volume = read_series(made_ct.write(tmp_path, made))
    assert volume.padding.sum() == 5 * 6 and volume.padding[:, 0, :5].all()
    assert (volume.hu[volume.padding] == -1024).all()
    expected = SLOPED.hu()
    np.testing.assert_array_equal(volume.hu[~volume.padding], expected[~volume.padding])


def test_a_padding_value_that_tissue_also_has_turns_no_tissue_into_air(tmp_path):
    made = made_ct.slices(Scan())
    for data in made:
        data.PixelPaddingValue = 1024  # 0 HU
    folder = made_ct.write(tmp_path, made)
    volume = read_series(folder)
    assert (volume.hu == 0).all() and volume.acquisition["warnings"] == ("padding_in_tissue_range",)
    assert find_series(folder).faults[0] == ("padding_in_tissue_range",)


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian])
def test_every_uncompressed_encoding_gives_the_same_volume(tmp_path, syntax):
    for k, data in enumerate(made_ct.slices(SLOPED)):
        stored = np.frombuffer(data.PixelData, "<u2")
        data.PixelData = stored.astype(">u2" if syntax == ExplicitVRBigEndian else "<u2").tobytes()
        data["PixelData"].VR = "OW"
        data.file_meta.TransferSyntaxUID = syntax
        plain = pydicom.Dataset(data)
        pydicom.dcmwrite(
            tmp_path / f"{k}", _with_meta(plain, data.file_meta), enforce_file_format=True, **_encoding(syntax)
        )
    np.testing.assert_array_equal(read_series(tmp_path).hu, SLOPED.hu())


def _encoding(syntax: str) -> dict[str, bool]:
    return {"implicit_vr": syntax == ImplicitVRLittleEndian, "little_endian": syntax != ExplicitVRBigEndian}


def _with_meta(data: pydicom.Dataset, meta: pydicom.Dataset) -> pydicom.Dataset:
    data.file_meta, data.preamble = meta, b"\0" * 128
    return data


def test_a_compressed_series_gives_the_same_volume(tmp_path):
    made = made_ct.slices(SLOPED)
    for data in made:
        data.compress(RLELossless, generate_instance_uid=False)
    folder = made_ct.write(tmp_path, made)
    np.testing.assert_array_equal(read_series(folder).hu, SLOPED.hu())
    assert find_series(folder).transfer_syntax[0] == "RLE Lossless"


def _dropped(made):
    del made[3]


def _doubled(made):
    made.append(made_ct.slices(SLOPED.but(series="one", field=lambda x, y, z: 0 * x + 0 * y + 0 * z + 9))[2])
    made[-1].SOPInstanceUID = made[-1].file_meta.MediaStorageSOPInstanceUID = pydicom.uid.generate_uid()


def _moved(made):
    made[4].ImagePositionPatient[2] += 0.7


def _larger(made):
    made[2] = made_ct.slices(SLOPED.but(shape=(6, 12, 12)))[2]


def _turned(made):
    made[5].ImageOrientationPatient = [0, 1, 0, -1, 0, 0]


def _no_pixels(made):
    del made[1].PixelData


def _cut_short(made):
    made[1].PixelData = made[1].PixelData[:100]


def _no_position(made):
    del made[4].ImagePositionPatient


def _one(made):
    del made[1:]


def _scout(made):
    made[0].ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]


def _frames(made):
    made[0].NumberOfFrames = 2


def _colour(made):
    made[0].SamplesPerPixel = 3


def _no_slope(made):
    made[0].RescaleSlope = 0


def _no_intercept(made):
    del made[1].RescaleIntercept, made[4].RescaleIntercept


def _other_frame(made):
    made[3].FrameOfReferenceUID = "1.2.3"


def _wider(made):
    made[3].PixelSpacing = [1.0, 0.9]


@pytest.mark.parametrize(
    ("break_it", "code", "words"),
    [
        (_dropped, "missing_slices", r"1 of 6 slices are missing: after '002' at z = -96\.00 mm.* 4\.00 mm on .*2\.00"),
        (_doubled, "duplicate_slices", r"1 slices lie where another one lies, first '002'.* and '006'"),
        (_moved, "variable_spacing", r"spacing varies \(1\.3 mm x1, 2 mm x3, 2\.7 mm x1\)"),
        (_larger, "mixed_sizes", r"1 of 6 slices have another number of rows or columns: '002'"),
        (_turned, "mixed_orientation", r"1 of 6 slices have another orientation: '005'"),
        (_wider, "mixed_pixel_spacing", r"1 of 6 slices have another pixel spacing: '003'"),
        (_other_frame, "mixed_frame_of_reference", r"1 of 6 slices have another frame of reference: '003'"),
        (_no_pixels, "no_pixels", r"1 of 6 files have no pixels: '001' at z = -98\.00 mm"),
        (_cut_short, "truncated_pixels", r"1 of 6 files end before their pixels do: '001'"),
        (_no_position, "no_geometry", r"1 of 6 files lack a usable ImagePositionPatient: '004'"),
        (_one, "one_slice", r"a single slice, '000' at z = -100\.00 mm"),
        (_scout, "localizer", r"1 of 6 files are localizers, not axial slices: '000'"),
        (_frames, "multi_frame", r"'000' at z = -100\.00 mm holds several frames"),
        (_colour, "not_grey", r"'000' at z = -100\.00 mm is a colour picture"),
        (_no_slope, "no_rescale", r"1 of 6 files lack a usable RescaleSlope and RescaleIntercept: '000'"),
        (_no_intercept, "no_rescale", r"2 of 6 files lack a usable RescaleSlope and RescaleIntercept: '001'.*'004'"),
    ],
)
def test_each_fault_is_refused_by_name_with_the_slice_that_has_it(tmp_path, break_it, code, words):
    made = made_ct.slices(SLOPED)
    break_it(made)
    folder = made_ct.write(tmp_path / "scan", made)
    with pytest.raises(SeriesError, match=words):
        read_series(folder)
    assert code in find_series(folder).faults[0]


def test_a_tilted_gantry_is_refused_with_its_angle_where_the_study_says_so(tmp_path):
    lean = np.radians(12.0)
    tilted = SLOPED.but(column=(0, float(np.cos(lean)), float(-np.sin(lean))), step=(0, 0, 1))
    with pytest.raises(SeriesError, match=r"gantry was tilted by 12\.0 degrees"):
        read_series(made_ct.write_scan(tmp_path, tilted), treatments={"gantry_tilt": "refuse"})
    assert find_series(tmp_path).tilt_degrees[0] == pytest.approx(12.0, abs=0.01)
    assert find_series(tmp_path).faults[0] == ("gantry_tilt",)


def test_positions_written_with_one_decimal_are_still_even(tmp_path):
    scan = SLOPED.but(spacing_mm=(1.25, 1.0, 0.8), shape=(12, 6, 6), origin_mm=(0.0, 0.0, 0.0))
    made = made_ct.slices(scan)
    for data in made:
        data.ImagePositionPatient = [round(float(v), 1) for v in data.ImagePositionPatient]
    assert read_series(made_ct.write(tmp_path, made)).spacing_mm[0] == pytest.approx(1.25, abs=0.01)


def test_several_series_are_listed_until_one_is_named(tmp_path):
    made_ct.write_scan(tmp_path / "a", SLOPED)
    made_ct.write_scan(tmp_path / "b", Scan(series="two"))
    uids = list(find_series(tmp_path).uid)
    with pytest.raises(SeriesError, match="holds 2 CT series; name one by series_uid") as raised:
        read_series(tmp_path)
    assert all(uid in str(raised.value) for uid in uids)
    assert read_series(tmp_path, uids[1]).shape == (8, 20, 24)
    with pytest.raises(SeriesError, match=r"no CT series 9\.9; there are: "):
        read_series(tmp_path, "9.9")


def test_no_folder_an_empty_folder_and_a_file_each_get_their_sentence(tmp_path):
    with pytest.raises(SeriesError, match="'nowhere' does not exist"):
        find_series(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(OnlmError, match="'empty' holds no CT series: 0 files"):
        read_series(tmp_path / "empty")
    (tmp_path / "file.txt").write_text("x")
    with pytest.raises(SeriesError, match=r"'file\.txt' is a file, not a folder"):
        read_series(tmp_path / "file.txt")
    (tmp_path / "scan.nrrd").write_text("not one")
    with pytest.raises(SeriesError, match=r"'scan\.nrrd' cannot be read as NIfTI"):
        read_series(tmp_path / "scan.nrrd")
    assert list(find_series(tmp_path / "empty").columns[:10]) == COLUMNS


def test_files_that_are_not_dicom_are_left_out_and_counted(tmp_path):
    made_ct.write_scan(tmp_path / "scan", SLOPED)
    (tmp_path / "notes.txt").write_text("text")
    (tmp_path / "broken").write_bytes(b"\0" * 128 + b"DICM" + b"\x02\x00\x00\x00UL\x04")
    table = find_series(tmp_path)
    assert len(table) == 1 and table.path[0] == "scan"
    assert (table.attrs["n_files"], table.attrs["n_not_dicom"]) == (8, 1)
    assert (table.attrs["n_unreadable"], table.attrs["n_without_series"]) == (1, 0)


@pytest.mark.parametrize("n_bytes", [0, 60, 140, 400])
def test_a_slice_whose_file_broke_off_is_never_just_left_out(tmp_path, n_bytes):
    folder = made_ct.write_scan(tmp_path, SLOPED)
    (folder / "005").write_bytes((folder / "005").read_bytes()[:n_bytes])  # the last slice: it leaves no gap
    with pytest.raises(SeriesError, match=r"1 DICOM files beside the CT's 5 slices have a broken header \('005'\)"):
        read_series(folder)
    (folder / "005").rename(folder / ".005")
    if n_bytes < 128:  # hidden files of a desktop are no slices
        assert read_series(folder).shape[0] == 5


def test_random_damage_never_gives_another_shape_of_volume_or_a_crash(tmp_path):
    rng = np.random.default_rng(8)
    folder = made_ct.write_scan(tmp_path, SLOPED)
    whole = (folder / "003").read_bytes()
    outcomes = set()
    for _ in range(60):
        damaged = bytearray(whole)
        damaged[rng.integers(132, 1200)] = rng.integers(256)
        start = rng.integers(132, 1200)
        del damaged[start : start + rng.integers(0, 3)]
        (folder / "003").write_bytes(damaged)
        find_series(folder)
        try:
            outcomes.add(read_series(folder).shape)
        except SeriesError:
            outcomes.add("refused")
    assert outcomes <= {(6, 12, 10), "refused"} and "refused" in outcomes


def test_a_ct_without_modality_is_known_by_its_storage_class(tmp_path):
    made = made_ct.slices(SLOPED)
    for data in made:
        del data.Modality
    assert find_series(made_ct.write(tmp_path, made)).modality[0] == "CT"


def test_two_processes_find_the_same_as_one(tmp_path):
    made_ct.write_scan(tmp_path / "a", SLOPED)
    made_ct.write_scan(tmp_path / "b", Scan(series="two"))
    assert find_series(tmp_path, workers=2).equals(find_series(tmp_path, workers=1))


def test_an_index_changes_its_digest_when_a_file_changes(tmp_path):
    folder = made_ct.write_scan(tmp_path, SLOPED)
    before = index_series(folder).digest
    assert index_series(folder).digest == before
    state = (folder / "002").stat()
    os.utime(folder / "002", ns=(state.st_atime_ns, state.st_mtime_ns + 1))
    assert index_series(folder).digest != before


def test_a_value_beyond_int16_is_refused_not_wrapped(tmp_path):
    made = made_ct.slices(SLOPED)
    made[2].RescaleSlope = 100
    with pytest.raises(SeriesError, match=r"'002' at z = -96\.00 mm reaches .* HU, beyond what a CT measures"):
        read_series(made_ct.write(tmp_path, made))


def test_pixels_that_cannot_be_decoded_name_the_slice(tmp_path):
    made = made_ct.slices(SLOPED)
    for data in made:
        data.compress(RLELossless, generate_instance_uid=False)
    made[1].PixelData = pydicom.encaps.encapsulate([b"\xff" * 40])
    with pytest.raises(SeriesError, match=r"pixels of '001' .* cannot be decoded \(transfer syntax RLE Lossless\)"):
        read_series(made_ct.write(tmp_path, made))


@pytest.fixture(scope="module")
def dicom_folders() -> list[Path]:
    shared = Path(os.environ.get("ONLM_SHARED", Path(__file__).resolve().parents[2] / "shared")) / "data"
    own = Path(pydicom.data.__file__).parent / "test_files"
    return [
        folder for folder in (own, *(shared / name for name in ("dicom_ct_seg", "dicom_ge_tilt"))) if folder.is_dir()
    ]


def test_the_quick_walk_over_a_header_says_what_pydicom_says_on_every_file(dicom_folders):
    n_quick = 0
    for folder in dicom_folders:
        for file in list_files(folder):
            with open(folder / file, "rb") as stream:
                state = os.fstat(stream.fileno())
                if walk(stream.read(START_BYTES), state.st_size, wanted=headers_module.WANTED) is None:
                    continue
                slow = headers_module._parse(folder, file, stream, state)
            quick = headers_module.read_header(folder, file)
            if slow is None:  # no class and no series: nothing that could be read
                assert quick.unreadable == headers_module.UNREADABLE, file
                continue
            assert repr(quick) == repr(slow), file
            assert (quick.patient, quick.tells) == (slow.patient, slow.tells), file
            n_quick += 1
    assert n_quick > 80


def test_a_long_search_shows_a_bar_and_finds_the_same(tmp_path, capsys, monkeypatch):
    from onlm_lab.imaging import searching

    made_ct.write(tmp_path, made_ct.slices(Scan()))
    quiet = find_series(tmp_path)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(searching, "BAR_AFTER_S", 0.0)
    assert find_series(tmp_path, progress=True).equals(quiet)
    assert "headers" in capsys.readouterr().err


def test_a_link_to_nowhere_is_counted_as_a_file_without_a_header(tmp_path):
    made_ct.write(tmp_path, made_ct.slices(Scan()))
    (tmp_path / "lost.dcm").symlink_to(tmp_path / "nowhere")
    assert find_series(tmp_path).attrs["n_unreadable"] == 1
