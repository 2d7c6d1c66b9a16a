"""Every transfer syntax in use for CT gives the same volume; loss is flagged; what is broken off is refused."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import gdcm
import jpeg_ls
import made_ct
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from made_ct import Scan
from pydicom.data import get_testdata_file
from pydicom.encaps import encapsulate, encapsulate_extended, generate_frames
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    MPEG4HP41,
    UID,
    DeflatedExplicitVRLittleEndian,
    EnhancedCTImageStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from onlm_lab.errors import SeriesError
from onlm_lab.imaging import find_series, read_series

HERE = Path(__file__).parent
NATIVE = (ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian)


def _ridges(x, y, z):
    """Steps of every size and both signs, from whole numbers alone."""
    j, i, k = (np.rint((v - o) / s) for v, o, s in zip((x, y, z), (-10, -12, -100), (0.8, 1, 2), strict=True))
    return (j * j * 7 + i * 31 + k * 5) % 1900 - 900


RIDGES = Scan(field=_ridges, shape=(2, 35, 37))
SMALL = RIDGES.but(shape=(2, 17, 19))
FLAT_TOP = {  # bits stored, signed -> intercept, so that every stored value has a place in int16 HU
    (8, False): -1024.0, (10, False): -1024.0, (12, False): -1024.0, (12, True): 0.0, (13, True): 0.0,
    (16, False): -32768.0, (16, True): 0.0,
}  # fmt: skip


def _noise(bits_stored: int, signed: bool) -> Scan:
    """Every stored value that there can be is as likely, the lowest and the highest included; sizes are odd."""
    low, high = (-(2 ** (bits_stored - 1)), 2 ** (bits_stored - 1) - 1) if signed else (0, 2**bits_stored - 1)
    intercept = FLAT_TOP[bits_stored, signed]
    values = np.random.default_rng(bits_stored).integers(low, high + 1, (2, 35, 37))
    values[:, 0, :4] = low, high, low, high
    return Scan(
        field=lambda x, y, z: values + intercept, shape=values.shape, signed=signed, bits_stored=bits_stored,
        intercept=intercept,
    )  # fmt: skip


def stored_values(scan: Scan) -> list[np.ndarray]:
    """The stored values (y,x) of each slice."""
    dtype = np.int16 if scan.signed else np.uint16
    return [np.frombuffer(data.PixelData, dtype).reshape(scan.shape[1:]) for data in made_ct.slices(scan)]


# Encoders, each of one data set in place: codestreams come from OpenJPEG, CharLS, GDCM and pydicom.
def _native(syntax: UID) -> Callable:
    def write_as(data):
        order = ">" if syntax == ExplicitVRBigEndian else "<"
        data.PixelData = np.frombuffer(data.PixelData, "<u2").astype(f"{order}u2").tobytes()
        data["PixelData"].VR = "OW"
        data.file_meta.TransferSyntaxUID = syntax

    return write_as


def _by_pydicom(syntax: UID, plugin: str, **options) -> Callable:
    return lambda data: data.compress(syntax, encoding_plugin=plugin, generate_instance_uid=False, **options)


def _by_gdcm(syntax: UID) -> Callable:
    def compress(data):
        with tempfile.TemporaryDirectory() as folder:
            plain, coded = f"{folder}/plain", f"{folder}/coded"
            data.save_as(plain, enforce_file_format=True)
            reader, change, writer = gdcm.ImageReader(), gdcm.ImageChangeTransferSyntax(), gdcm.ImageWriter()
            reader.SetFileName(plain)
            assert reader.Read()
            change.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.GetTSType(str(syntax))))
            change.SetInput(reader.GetImage())
            assert change.Change()
            writer.SetFileName(coded)
            writer.SetFile(reader.GetFile())
            writer.SetImage(change.GetOutput())
            assert writer.Write()
            _hold(data, [_frame(pydicom.dcmread(coded))], syntax)

    return compress


def _hold(data, frames: list[bytes], syntax: UID, **encapsulation) -> None:
    data.file_meta.TransferSyntaxUID = syntax
    data.PixelData = encapsulate(frames, **encapsulation)
    data["PixelData"].VR, data["PixelData"].is_undefined_length = "OB", True


def _frame(data) -> bytes:
    return next(generate_frames(data.PixelData, number_of_frames=1))


LOSSLESS = {
    **{syntax.keyword: _native(syntax) for syntax in NATIVE},
    "RLE": _by_pydicom(RLELossless, "pydicom"),
    "JPEG Lossless": _by_gdcm(JPEGLossless),
    "JPEG Lossless SV1": _by_gdcm(JPEGLosslessSV1),
    "JPEG-LS": _by_pydicom(JPEGLSLossless, "pyjpegls"),
    "JPEG-LS by GDCM": _by_gdcm(JPEGLSLossless),
    "JPEG-LS near 0": _by_pydicom(JPEGLSNearLossless, "pyjpegls", jls_error=0),
    "JPEG 2000": _by_pydicom(JPEG2000Lossless, "pylibjpeg"),
    "JPEG 2000 by GDCM": _by_gdcm(JPEG2000Lossless),
}
COMPRESSED = [name for name in LOSSLESS if name not in {syntax.keyword for syntax in NATIVE}]


def _write(folder: Path, made: list, encode: Callable) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for k, data in enumerate(made):
        encode(data)
        syntax = data.file_meta.TransferSyntaxUID
        plain = pydicom.Dataset(data)  # without the encoding that it was made in
        plain.file_meta, plain.preamble = data.file_meta, b"\0" * 128
        how = {"implicit_vr": syntax == ImplicitVRLittleEndian, "little_endian": syntax != ExplicitVRBigEndian}
        pydicom.dcmwrite(folder / f"{k:03d}", plain, enforce_file_format=True, **how)
    return folder


@pytest.mark.parametrize("bits", FLAT_TOP, ids=lambda bits: f"{'signed' if bits[1] else 'unsigned'}{bits[0]}")
@pytest.mark.parametrize("name", LOSSLESS)
def test_every_lossless_syntax_gives_every_stored_value_back(tmp_path, name, bits):
    if name == "RLE" and bits == (8, False):
        pytest.skip("pydicom's encoder writes half of such a frame")
    scan = _noise(*bits)
    folder = _write(tmp_path, made_ct.slices(scan), LOSSLESS[name])
    np.testing.assert_array_equal(read_series(folder).hu, scan.hu())


@pytest.fixture(scope="module")
def codestreams() -> dict[str, dict]:
    """Slices of SMALL that libjpeg-turbo and OpenJPH compressed; see reference/make_codestreams.py."""
    said = json.loads((HERE / "reference" / "codestreams.json").read_text(encoding="utf-8"))
    return said["streams"]


def _referenced(folder: Path, stream: dict) -> tuple[Path, Scan]:
    scan = SMALL.but(
        bits_stored=stream["bits_stored"], signed=stream["signed"], intercept=0.0 if stream["signed"] else -1024.0
    )
    frames = iter(stream["slices"])
    encode = lambda data: _hold(data, [base64.b64decode(next(frames))], UID(stream["transfer_syntax"]))  # noqa: E731
    return _write(folder, made_ct.slices(scan), encode), scan


PREDICTORS = [f"JPEG Lossless, predictor {k}" for k in range(1, 8)]


@pytest.mark.parametrize("name", [*PREDICTORS, "JPEG Lossless, 16 bits", "HTJ2K", "HTJ2K, signed", "HTJ2K RPCL"])
def test_what_other_encoders_compressed_without_loss_comes_back_the_same(tmp_path, codestreams, name):
    folder, scan = _referenced(tmp_path, codestreams[name])
    volume = read_series(folder)
    np.testing.assert_array_equal(volume.hu, scan.hu())
    assert volume.acquisition["warnings"] == ()


def test_the_reference_holds_each_syntax_that_nothing_here_encodes(codestreams):
    held = {stream["transfer_syntax"] for stream in codestreams.values()}
    assert held == {JPEGLossless, JPEGLosslessSV1, JPEGExtended12Bit, HTJ2KLossless, HTJ2KLosslessRPCL, HTJ2K}


SMOOTH = Scan(field=lambda x, y, z: np.rint(8 * x + 6 * y + z), shape=(2, 40, 44), bits_stored=12)
LOSSY = {  # and by how much a value may differ, in HU
    "JPEG-LS near 2": (_by_pydicom(JPEGLSNearLossless, "pyjpegls", jls_error=2), 2),
    "JPEG 2000 at 8:1": (_by_pydicom(JPEG2000, "pylibjpeg", j2k_cr=[8]), 4),
}


@pytest.mark.parametrize("name", LOSSY)
def test_a_series_compressed_with_loss_stays_within_it_and_is_flagged_by_its_syntax_alone(tmp_path, name):
    encode, error_hu = LOSSY[name]
    made = made_ct.slices(SMOOTH)
    folder = _write(tmp_path, made, encode)
    assert all("LossyImageCompression" not in data for data in made)
    volume = read_series(folder)
    assert 0 < np.abs(volume.hu - SMOOTH.hu()).max() <= error_hu
    assert volume.acquisition["warnings"] == ("lossy_compression",)
    table = find_series(folder)
    assert table.faults[0] == ("lossy_compression",) and table.lossy[0]


@pytest.mark.parametrize(("name", "error_hu"), [("JPEG Extended, 12 bits", 60), ("HTJ2K with loss", 2)])
def test_what_other_encoders_compressed_with_loss_is_close_and_flagged(tmp_path, codestreams, name, error_hu):
    folder, scan = _referenced(tmp_path, codestreams[name])
    volume = read_series(folder)
    assert 0 < np.abs(volume.hu - scan.hu()).max() <= error_hu
    assert volume.acquisition["warnings"] == ("lossy_compression",)


def test_jpeg_baseline_of_eight_bits_is_read_close_and_flagged(tmp_path):
    scan = SMOOTH.but(bits_stored=8, slope=8.0, intercept=-1024.0)

    def encode(data):
        data.PixelData = np.frombuffer(data.PixelData, "<u2").astype("u1").tobytes()
        data.BitsAllocated = 8
        _by_gdcm(JPEGBaseline8Bit)(data)

    volume = read_series(_write(tmp_path, made_ct.slices(scan), encode))
    assert np.abs(volume.hu - scan.hu()).max() <= 3 * 8  # three of 256 grey values, and half a one for their rounding
    assert volume.acquisition["warnings"] == ("lossy_compression",)


@pytest.mark.parametrize(("syntax", "said", "flagged"), [
    (JPEGLSNearLossless, None, True), (JPEGLSNearLossless, "00", False), (JPEGLSNearLossless, "01", True),
    (JPEGLSLossless, None, False), (JPEGLSLossless, "01", True), (ExplicitVRLittleEndian, "01", True),
    (ExplicitVRLittleEndian, "00", False),
])  # fmt: skip
def test_loss_is_flagged_by_syntax_or_header_but_not_against_a_header_that_says_there_was_none(
    tmp_path, syntax, said, flagged
):
    made = made_ct.slices(SMOOTH)
    if said is not None:
        for data in made:
            data.LossyImageCompression = said
    encode = LOSSLESS["JPEG-LS near 0"] if syntax == JPEGLSNearLossless else LOSSLESS["JPEG-LS"]
    folder = _write(tmp_path, made, _native(syntax) if syntax == ExplicitVRLittleEndian else encode)
    volume = read_series(folder)
    np.testing.assert_array_equal(volume.hu, SMOOTH.hu())
    assert volume.acquisition["warnings"] == (("lossy_compression",) if flagged else ())


@pytest.mark.parametrize("name", ["JPEG-LS", "JPEG 2000"])
def test_negative_values_keep_their_sign_where_the_codestream_has_more_bits_than_are_stored(tmp_path, name):
    """Twelve signed bits in a codestream of sixteen without a sign: the bits above are no part of the value."""
    scan = RIDGES.but(signed=True, bits_stored=12, intercept=0.0)

    def encode(data):
        pattern = np.frombuffer(data.PixelData, "<u2") & 0x0FFF
        if name == "JPEG-LS":
            coded = jpeg_ls.encode_buffer(pattern.tobytes(), data.Rows, data.Columns, 1, 16)
            _hold(data, [bytes(coded)], JPEGLSLossless)
        else:
            data.PixelData, data.BitsStored, data.PixelRepresentation = pattern.tobytes(), 16, 0
            LOSSLESS["JPEG 2000"](data)
            data.BitsStored, data.PixelRepresentation = 12, 1

    np.testing.assert_array_equal(read_series(_write(tmp_path, made_ct.slices(scan), encode)).hu, scan.hu())


@pytest.mark.parametrize("name", ["JPEG Lossless SV1", "JPEG-LS", "JPEG 2000"])
@pytest.mark.parametrize("table", ["none", "basic", "extended"])
def test_a_frame_in_several_fragments_is_put_together_with_or_without_an_offset_table(tmp_path, name, table):
    def encode(data):
        LOSSLESS[name](data)
        frame, syntax = _frame(data), data.file_meta.TransferSyntaxUID
        if table == "extended":  # which allows no more than one fragment
            coded, offsets, lengths = encapsulate_extended([frame])
            _hold(data, [frame], syntax)
            data.PixelData, data.ExtendedOffsetTable, data.ExtendedOffsetTableLengths = coded, offsets, lengths
        else:
            _hold(data, [frame], syntax, fragments_per_frame=4, has_bot=table == "basic")

    np.testing.assert_array_equal(read_series(_write(tmp_path, made_ct.slices(RIDGES), encode)).hu, RIDGES.hu())


def _enhanced(scan: Scan) -> pydicom.Dataset:
    """One Enhanced CT that holds every slice, the last one first."""
    slices = made_ct.slices(scan)[::-1]
    data = slices[0]
    data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID = EnhancedCTImageStorage
    data.NumberOfFrames = len(slices)
    shared, own = pydicom.Dataset(), []
    for sequence, keywords in {
        "PixelMeasuresSequence": ("PixelSpacing", "SliceThickness"),
        "PlaneOrientationSequence": ("ImageOrientationPatient",),
        "PixelValueTransformationSequence": ("RescaleSlope", "RescaleIntercept"),
    }.items():
        setattr(shared, sequence, [_moved(data, keywords)])
    for one in slices:
        group = pydicom.Dataset()
        group.PlanePositionSequence = [_moved(one, ("ImagePositionPatient",))]
        own.append(group)
    data.SharedFunctionalGroupsSequence, data.PerFrameFunctionalGroupsSequence = [shared], own
    data.PixelData = b"".join([data.PixelData, *(one.PixelData for one in slices[1:])])
    return data


def _moved(data, keywords: tuple[str, ...]) -> pydicom.Dataset:
    item = pydicom.Dataset()
    for keyword in keywords:
        setattr(item, keyword, data[keyword].value)
        delattr(data, keyword)
    return item


@pytest.mark.parametrize("name", ["RLE", "JPEG Lossless SV1", "JPEG-LS", "JPEG 2000"])
@pytest.mark.parametrize("how", ["basic", "none", "extended", "several fragments, basic", "several fragments, none"])
def test_each_frame_of_a_multi_frame_ct_is_found_among_the_fragments(tmp_path, name, how):
    if name == "RLE" and how.startswith("several"):
        pytest.skip("DICOM PS3.5, A.4.2: a frame of RLE is one fragment")
    scan = RIDGES.but(shape=(5, 35, 37))
    alone = made_ct.slices(scan)[::-1]
    for data in alone:
        LOSSLESS[name](data)
    frames, whole = [_frame(data) for data in alone], _enhanced(scan)
    syntax = alone[0].file_meta.TransferSyntaxUID
    if how == "extended":
        _hold(whole, frames, syntax)
        whole.PixelData, whole.ExtendedOffsetTable, whole.ExtendedOffsetTableLengths = encapsulate_extended(frames)
    else:
        n = 3 if how.startswith("several") else 1
        _hold(whole, frames, syntax, fragments_per_frame=n, has_bot=how.endswith("basic"))
    np.testing.assert_array_equal(read_series(made_ct.write(tmp_path, [whole])).hu, scan.hu())


@pytest.mark.parametrize("name", COMPRESSED)
def test_a_frame_that_is_broken_off_names_its_slice_and_its_syntax(tmp_path, name):
    made = made_ct.slices(RIDGES)
    folder = _write(tmp_path, made, LOSSLESS[name])
    frame, syntax = _frame(made[1]), made[1].file_meta.TransferSyntaxUID
    words = rf"'001' at z = -98\.00 mm cannot be decoded \(transfer syntax {syntax.name.split('(')[0].strip()}"
    whole = frame.rstrip(b"\0")
    for n in np.unique(np.linspace(4, len(whole) - 2, 25).astype(int)):
        _write_one(folder / "001", made[1], whole[:n])
        with pytest.raises(SeriesError, match=words):
            read_series(folder)


def _write_one(path: Path, data, frame: bytes) -> None:
    _hold(data, [frame], data.file_meta.TransferSyntaxUID)
    data.save_as(path, enforce_file_format=True)


@pytest.mark.parametrize("name", [*COMPRESSED, "DeflatedExplicitVRLittleEndian"])
def test_a_compressed_file_that_is_broken_off_is_refused_wherever_it_ends(tmp_path, name):
    folder = _write(tmp_path, made_ct.slices(RIDGES), LOSSLESS[name])
    whole = (folder / "001").read_bytes()
    # The end: a delimiter of 8 bytes, a byte that pads the frame; two of deflate's checksum, which nobody reads.
    for n in np.linspace(200, len(whole) - 12, 40).astype(int):
        (folder / "001").write_bytes(whole[:n])
        with pytest.raises(SeriesError, match="'001'"):
            read_series(folder)


@pytest.mark.parametrize("name", COMPRESSED)
def test_the_end_of_a_frame_that_a_disk_lost_to_zeros_is_missed(tmp_path, name):
    made = made_ct.slices(RIDGES)
    folder = _write(tmp_path, made, LOSSLESS[name])
    whole = _frame(made[1])
    for n in np.linspace(80, len(whole) - 60, 12).astype(int):
        _write_one(folder / "001", made[1], whole[:n] + bytes(len(whole) - n))
        with pytest.raises(SeriesError, match=r"'001' at z = -98\.00 mm cannot be decoded"):
            read_series(folder)


@pytest.mark.parametrize("name", [name for name in COMPRESSED if name != "RLE"])  # which does not know its size
def test_a_frame_of_as_many_pixels_in_another_shape_is_not_poured_into_the_slice(tmp_path, name):
    made = made_ct.slices(RIDGES)
    folder = _write(tmp_path, made, LOSSLESS[name])
    turned = made_ct.slices(RIDGES.but(shape=(2, 37, 35)))[1]
    LOSSLESS[name](turned)
    _write_one(folder / "001", made[1], _frame(turned))
    with pytest.raises(SeriesError, match=r"'001' at z = -98\.00 mm cannot be decoded"):
        read_series(folder)


@pytest.mark.parametrize("name", ["JPEG-LS near 2", "JPEG 2000 at 8:1"])
def test_loss_under_the_name_of_a_lossless_syntax_is_refused(tmp_path, name):
    def encode(data):
        LOSSY[name][0](data)
        data.file_meta.TransferSyntaxUID = JPEGLSLossless if "LS" in name else JPEG2000Lossless

    with pytest.raises(SeriesError, match=r"'000' .* cannot be decoded"):
        read_series(_write(tmp_path, made_ct.slices(SMOOTH), encode))


def test_remarks_in_a_jpeg_that_no_decoder_knows_do_no_harm(tmp_path):
    def encode(data):
        LOSSLESS["JPEG Lossless SV1"](data)
        frame = _frame(data)
        odd = b"\xff\xe0\0\x10JFIF\0\x81\1\0\0\1\0\1\0\0" + b"\xff\xfe\0\6odd."  # JFIF of version 129.1
        _hold(data, [frame[:2] + odd + frame[2:]], JPEGLosslessSV1)

    np.testing.assert_array_equal(read_series(_write(tmp_path, made_ct.slices(RIDGES), encode)).hu, RIDGES.hu())


# A decoder that ends the process would end the tests: the damage is read in a process of its own.
READ_DAMAGED = """
import sys
from pathlib import Path
import numpy as np
from onlm_lab.errors import SeriesError
from onlm_lab.imaging import read_series
n_read = 0
for folder in map(Path, sys.argv[1:]):
    chance, whole = np.random.default_rng(5), (folder / "001").read_bytes()
    head = whole.find(b"\\xe0\\x7f\\x10\\x00")
    assert head > 0
    for _ in range(80):
        damaged = bytearray(whole)
        last = min(head + 300, len(whole)) if chance.random() < 0.7 else len(whole)
        place = int(chance.integers(head, last))
        if chance.random() < 0.6:
            damaged[place] ^= 1 << int(chance.integers(8))
        else:
            damaged[place : place + 16] = chance.bytes(len(damaged[place : place + 16]))
        (folder / "001").write_bytes(damaged)
        try:
            assert read_series(folder).shape == (2, 35, 37)
            n_read += 1
        except SeriesError as error:
            assert "001" in str(error), error
print("read", n_read)
"""


def test_damaged_frames_never_end_the_process_or_change_the_shape(tmp_path):
    folders = [_write(tmp_path / name, made_ct.slices(RIDGES), LOSSLESS[name]) for name in COMPRESSED]
    command = [sys.executable, "-c", READ_DAMAGED, *map(str, folders)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.startswith("read ")


def test_a_syntax_that_holds_films_not_slices_is_refused_by_name(tmp_path):
    folder = _write(tmp_path, made_ct.slices(RIDGES), lambda data: _hold(data, [b"\0\0\1\xb3" * 50], MPEG4HP41))
    with pytest.raises(SeriesError, match=r"'000' at z = -100\.00 mm cannot be decoded \(transfer syntax MPEG-4 AVC"):
        read_series(folder)
    assert find_series(folder).transfer_syntax[0].startswith("MPEG-4 AVC")


def test_real_chest_slices_come_back_the_same_in_every_lossless_syntax(tmp_path, shared_data):
    sound = next(path.parent for path in shared_data("lung1").rglob("1-001.dcm"))
    names = [f"1-{k:03d}.dcm" for k in (54, 55)]
    plain = [pydicom.dcmread(sound / name) for name in names]
    expected = [data.pixel_array * int(data.RescaleSlope) + int(data.RescaleIntercept) for data in plain]
    order = np.argsort([data.ImagePositionPatient[2] for data in plain])
    for name in COMPRESSED:
        made = [pydicom.dcmread(sound / file) for file in names]
        volume = read_series(_write(tmp_path / name, made, LOSSLESS[name]))
        np.testing.assert_array_equal(volume.hu, np.stack([expected[k] for k in order]), err_msg=name)


PIXEL_KEYWORDS = (
    "PixelData BitsAllocated BitsStored HighBit PixelRepresentation PixelPaddingValue RescaleSlope RescaleIntercept"
).split()


@pytest.mark.parametrize("file", [
    "693_J2KI.dcm", "J2K_pixelrep_mismatch.dcm",  # of pydicom itself
    "693_J2KR.dcm", "bad_sequence.dcm", "explicit_VR-UN.dcm",  # of pydicom-data
])  # fmt: skip
def test_ct_files_of_other_writers_are_decoded_as_simpleitk_decodes_them(tmp_path, file):
    path = get_testdata_file(file, download=False)
    assert path is not None, "pydicom-data is not installed: pip install -e '.[dev]'"
    theirs_read = pydicom.dcmread(path, force=True)
    made = made_ct.slices(Scan(shape=(2, theirs_read.Rows, theirs_read.Columns), spacing_mm=(1.0, 1.0, 1.0)))
    for data in made:  # the slice twice, 1 mm apart, makes a volume
        for keyword in PIXEL_KEYWORDS:
            if keyword in theirs_read:
                data[keyword] = theirs_read[keyword]
        data.file_meta.TransferSyntaxUID = theirs_read.file_meta.TransferSyntaxUID
    made_ct.write(tmp_path, made)
    volume = read_series(tmp_path)
    theirs = sitk.GetArrayFromImage(sitk.ReadImage(path))[0]
    measured = np.ones(theirs.shape, bool) if volume.padding is None else ~volume.padding[0]
    assert measured.mean() > 0.5
    np.testing.assert_array_equal(volume.hu[0][measured], theirs[measured])
    np.testing.assert_array_equal(volume.hu[0], volume.hu[1])
