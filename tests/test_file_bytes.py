"""Every element is read as pydicom reads it, written so that pydicom reads the same, and a broken file is refused."""

from __future__ import annotations

import io
import os
import warnings
from pathlib import Path

import made_ct
import pydicom
import pytest
from made_ct import Scan
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from onlm_lab.imaging.deidentification.elements import Element, walk
from onlm_lab.imaging.deidentification.file_bytes import BrokenError, NotDicomError, encode, opened, parse

BROKEN = ["DICOMDIR-nooffset", "MR_truncated.dcm", "rtplan_truncated.dcm"]


def _same(theirs: pydicom.Dataset, ours: dict[int, Element]) -> None:
    tags = {int(tag) for tag in theirs.keys() if int(tag) >> 16}
    assert tags <= set(ours)
    for tag in tags:
        raw, element = theirs.get_item(tag), ours[tag]
        if element.items is not None and element.vr == "SQ":
            items = theirs[tag].value
            assert len(items) == len(element.items)
            for one, other in zip(items, element.items, strict=True):
                _same(one, other)
        elif isinstance(raw, RawDataElement):
            assert (raw.value or b"") == element.raw()


def _pydicom(path) -> pydicom.Dataset:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # odd files are what these are for
        return pydicom.dcmread(path, force=True)


def _files() -> list[Path]:
    """The files that lie inside the package; the others it would fetch."""
    return sorted(path for path in (Path(pydicom.__file__).parent / "data" / "test_files").rglob("*") if path.is_file())


def test_every_test_file_of_pydicom_is_read_as_pydicom_reads_it():
    n_same = n_not_dicom = 0
    broken = []
    for path in _files():
        try:
            with opened(path) as file, warnings.catch_warnings():
                warnings.simplefilter("ignore")
                _same(_pydicom(path), file.data)
                n_same += 1
        except NotDicomError:
            n_not_dicom += 1
        except BrokenError:
            broken.append(path.name)
    assert n_same > 100 and n_not_dicom < 25
    assert sorted(broken) == BROKEN  # pydicom reads these in part and says nothing of the rest


def test_what_is_written_reads_the_same_in_pydicom(tmp_path):
    for path in _files():
        try:
            file = parse(path.read_bytes())
        except (NotDicomError, BrokenError):
            continue
        if 0x00020010 not in file.meta or any(element.vr == "UN" and element.items for element in file.data.values()):
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            again = pydicom.dcmread(io.BytesIO(encode(file)), force=True)
            _same(again, file.data)


@pytest.mark.parametrize(
    "syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian]
)
def test_every_native_transfer_syntax_comes_back(tmp_path, syntax):
    data = made_ct.slices(Scan())[0]
    inner = Dataset()
    inner.CodeValue, inner.ReferencedSOPInstanceUID = "T-1", "1.2.3"
    data.SourceImageSequence, data.file_meta.TransferSyntaxUID = [inner], syntax
    data.set_original_encoding(syntax.is_implicit_VR, syntax.is_little_endian)
    made_ct.write(tmp_path, [data], ["one.dcm"])
    with opened(tmp_path / "one.dcm") as file:
        assert file.syntax == syntax
        found = {element.tag: (element.raw(), depth) for element, depth, _ in walk(file.data)}
        assert found[0x00081155] == (b"1.2.3\0", 1) and found[0x00080060] == (b"CT", 0)
        assert file.number(0x00280010) == 20
        again = encode(file)
    assert parse(again).data[0x7FE00010].raw() == data.PixelData
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert pydicom.dcmread(io.BytesIO(again)).SourceImageSequence[0].CodeValue == "T-1"


def test_a_file_that_ends_early_is_refused_wherever_it_ends(tmp_path):
    data = made_ct.slices(Scan())[0]
    inner = Dataset()
    inner.PatientComments = "some words"
    data.SourceImageSequence = [inner]
    made_ct.write(tmp_path, [data], ["one"])
    whole = (tmp_path / "one").read_bytes()
    parse(whole)
    for end in range(140, len(whole) - 1, 7):
        cut = whole[:end]
        try:
            file = parse(cut)
        except BrokenError:
            continue
        # Cut between two elements nothing shows; what is read is then a true beginning of the file.
        assert {tag for tag, element in file.data.items() if element.items is None} <= {
            tag for tag in parse(whole).data
        }
        assert 0x7FE00010 not in file.data


def test_bytes_behind_the_pixels_and_zeros_that_fill_a_block_are_told_apart_from_data(tmp_path):
    made_ct.write(tmp_path, [made_ct.slices(Scan())[0]], ["one"])
    whole = (tmp_path / "one").read_bytes()
    assert parse(whole).n_trailing_bytes == 0
    assert parse(whole + b"HIDDEN TEXT").n_trailing_bytes == 11
    assert parse(whole + bytes(512)).n_trailing_bytes == 512


def test_what_is_not_dicom_is_said_to_be_something_else(tmp_path):
    for name, content in {
        "a.txt": b"hello world, this is text",
        "b.nrrd": b"NRRD0004\n",
        "c": b"\x08\x00garbage",
    }.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(NotDicomError), opened(tmp_path / name):
            pass
    (tmp_path / "blank.dcm").write_bytes(bytes(100))
    with pytest.raises(BrokenError), opened(tmp_path / "blank.dcm"):
        pass
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(NotDicomError), opened(tmp_path / "pipe"):
        pass


def test_a_file_without_its_128_bytes_is_read_all_the_same(tmp_path):
    made_ct.write(tmp_path, [made_ct.slices(Scan())[0]], ["one"])
    whole = (tmp_path / "one").read_bytes()
    assert parse(whole[132:]).text(0x00080060) == "CT"
    big = made_ct.slices(Scan())[0]
    big.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
    big.set_original_encoding(False, False)
    made_ct.write(tmp_path, [big], ["big"])
    bare = (tmp_path / "big").read_bytes()
    bare = bare[bare.index(b"\x00\x08\x00\x08CS") :]
    assert not parse(bare).little and parse(bare).text(0x00080060) == "CT"
    body = whole[whole.index(b"\x08\x00\x08\x00CS") :]
    assert parse(body).explicit and parse(body).text(0x00080060) == "CT"
