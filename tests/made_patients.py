"""Patients whose names, numbers and dates are planted wherever a DICOM file can hold one, and the search for them."""

from __future__ import annotations

import copy
import hashlib
import zlib
from dataclasses import dataclass, field
from pathlib import Path

import made_ct
import numpy as np
from made_ct import Scan
from pydicom.dataset import Dataset, FileDataset
from pydicom.uid import ExplicitVRLittleEndian

CODECS = ("utf-8", "gb18030", "utf-16-le", "utf-16-be", "latin-1", "iso2022_jp", "shift_jis", "euc_jp", "euc_kr")
NAME, PATIENT, UID_ROOT = "Zhuravlyova^Taisiya", "HOSP-471184", "1.2.840.113619.2.55"
CHINESE, JAPANESE, KOREAN = "王^晓明华", "山田^太郎丸", "洪^길동수"


@dataclass
class Planted:
    """Texts that must not come out; looked for in every spelling that a file could hold."""

    texts: dict[str, str] = field(default_factory=dict)

    def __call__(self, where: str, text: str | None = None) -> str:
        if text is not None:
            self.texts[where] = text
        return self.texts.setdefault(where, _word(where))

    def spellings(self) -> dict[str, set[bytes]]:
        found: dict[str, set[bytes]] = {}
        for where, text in self.texts.items():
            for part in {text, text.replace("^", ""), *text.split("^")}:
                if len(part) < 2 or (part.isascii() and len(part) < 4):
                    continue
                for codec in CODECS:
                    try:
                        spelt = part.encode(codec)
                    except UnicodeEncodeError:
                        continue
                    if codec == "iso2022_jp":  # without the escape sequences around it
                        spelt = spelt.removeprefix(b"\x1b$B").removesuffix(b"\x1b(B")
                    if len(spelt) >= 4:
                        found.setdefault(where, set()).add(spelt)
        return found

    def leaks(self, *places: Path | str) -> list[tuple[str, str]]:
        """Where what was planted is found: in the bytes and names of files below a folder, or in a text."""
        found = []
        for place in places:
            if isinstance(place, str):
                found += self._in(place.encode("utf-8"), "a text")
                continue
            for path in sorted([place, *place.rglob("*")]):
                found += self._in(path.name.encode("utf-8"), f"the name {path.name}")
                if path.is_file():
                    content = path.read_bytes()
                    found += self._in(content + _inflated(content), path.name)
        return found

    def _in(self, content: bytes, where: str) -> list[tuple[str, str]]:
        small = content.lower()
        return [
            (what, where)
            for what, spellings in self.spellings().items()
            if any(spelt in content or spelt.lower() in small for spelt in spellings)
        ]


def _word(where: str) -> str:
    """A word of its own for each place, so that none is found out because a name elsewhere is like it."""
    digest = hashlib.sha256(where.encode()).digest()
    return "".join(
        "bdfghjklmnprstvz"[digest[k] % 16] + "aeiou"[digest[k + 1] % 5] for k in range(0, 12, 2)
    ).capitalize()


def _inflated(content: bytes) -> bytes:
    """What a deflated data set holds; nothing of any other file."""
    if content[128:132] != b"DICM" or b"1.2.840.10008.1.2.1.99" not in content[:600]:
        return b""
    start = 144 + int.from_bytes(content[140:144], "little")
    return zlib.decompressobj(-zlib.MAX_WBITS).decompress(content[start:])


def slices(planted: Planted | None = None, *, scan: Scan | None = None, patient: str = PATIENT, name: str = NAME):
    """A made-up CT of one patient with names everywhere, one data set a slice."""
    plant = Planted() if planted is None else planted
    made = made_ct.slices(Scan() if scan is None else scan)
    nested = _nested(plant)
    for k, data in enumerate(made):
        _on_top(data, plant, patient=patient, name=name)
        data.SOPInstanceUID = plant(f"uid_instance_{k}", f"{UID_ROOT}.471184.{k}.77123")
        data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
        data.SeriesInstanceUID = plant("uid_series", f"{UID_ROOT}.471184.19510203.1")
        data.StudyInstanceUID = plant("uid_study", f"{UID_ROOT}.471184.19510203.2")
        data.FrameOfReferenceUID = plant("uid_frame", f"{UID_ROOT}.471184.19510203.3")
        data.InstanceNumber, data.SeriesNumber = k + 1, 4
        data.SourceImageSequence, data.DerivationCodeSequence = [copy.deepcopy(nested)], [copy.deepcopy(nested)]
        data.RequestAttributesSequence = [copy.deepcopy(nested)]
        _beside(data, plant)
    return made


def _on_top(data: FileDataset, plant: Planted, *, patient: str, name: str) -> None:
    data.PatientName, data.PatientID = plant("name", name), plant("patient_id", patient)
    data.AccessionNumber, data.PatientBirthDate = plant("accession"), plant("birth_date", "19510203")
    data.PatientSex, data.PatientAge, data.PatientWeight = "F", "068Y", "71"
    data.StudyDate, data.SeriesDate = plant("study_date", "20190704"), "20190704"
    data.AcquisitionDate, data.ContentDate = "20190704", "20190704"
    data.StudyTime = data.AcquisitionTime = "101112.123456"
    data.AcquisitionDateTime = plant("date_time", "20190704101113.987654+0800")
    data.FrameReferenceDateTime = "20190704101113.987654+0800"
    data.SeriesDescription = f"Lung 1.0 B60f {plant('description')}"
    data.StudyDescription, data.ProtocolName = plant("study_description"), plant("protocol")
    data.ImageComments, data.PatientComments = plant("comments"), plant("patient_comments")
    data.AdditionalPatientHistory = plant("history")
    data.InstitutionName, data.StationName = plant("institution"), plant("station")
    data.DeviceSerialNumber, data.DeviceUID = plant("serial"), f"{UID_ROOT}.99"
    data.ReferringPhysicianName, data.OperatorsName = plant("physician"), [plant("operator_1"), plant("operator_2")]
    data.OtherPatientIDs = [plant("other_id_1"), plant("other_id_2")]
    data.ContrastBolusAgent, data.KVP, data.ConvolutionKernel = f"Iohexol {plant('agent')}", "120", "B60f"
    data.Manufacturer, data.ManufacturerModelName = "SIEMENS", "SOMATOM Definition AS+"
    data.SoftwareVersions = "syngo CT 2012B"
    data.BodyPartExamined = "CHEST"
    data.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL", "CT_SOM5 SPI"]
    data.FilterType = f"Wide {plant('filter', 'Zhuravlyova')}"  # the patient, where a scanner writes
    data.PositionReferenceIndicator = plant("date_in_text", "seen 04.07.2019")


def _nested(plant: Planted) -> Dataset:
    """Depth 3, as a source image could have it."""
    inner, middle, outer = Dataset(), Dataset(), Dataset()
    inner.PatientName, inner.PatientComments = plant("nested_name"), plant("nested_comments")
    inner.ContentDate, inner.ReferencedSOPInstanceUID = plant("nested_date", "20190705"), f"{UID_ROOT}.471184.5.5"
    inner.AccessionNumber, inner.ReferencedSOPClassUID = plant("nested_accession"), "1.2.840.10008.5.1.4.1.1.2"
    block = inner.private_block(0x0011, plant("nested_creator"), create=True)
    block.add_new(1, "LO", plant("nested_private"))
    middle.AnatomicRegionModifierSequence = [inner]
    middle.CodeValue, middle.CodingSchemeDesignator, middle.CodeMeaning = "1", "99HOSP", plant("local_code")
    outer.AnatomicRegionSequence, outer.PatientID = [middle], plant("nested_id")
    outer.ReferencedSOPInstanceUID, outer.ReferencedSOPClassUID = f"{UID_ROOT}.471184.6.6", "1.2.840.10008.5.1.4.1.1.2"
    return outer


def _beside(data: FileDataset, plant: Planted) -> None:
    """What lies outside the usual elements."""
    data.preamble = plant("preamble").encode().ljust(128, b"\0")
    data.file_meta.SourceApplicationEntityTitle = plant("sender")
    data.file_meta.PrivateInformationCreatorUID = f"{UID_ROOT}.8"
    data.file_meta.PrivateInformation = plant("meta_private").encode()
    data.file_meta.ImplementationVersionName = plant("meta_version")
    block = data.private_block(0x0099, plant("creator"), create=True)
    block.add_new(1, "LO", plant("private"))
    block.add_new(2, "UN", plant("private_unknown").encode())
    data.add_new(0x60000010, "US", 8)
    data.add_new(0x60000022, "LO", plant("overlay_description"))
    data.add_new(0x60003000, "OW", plant("overlay").encode())
    data.add_new(0x60004000, "LT", plant("overlay_comments"))
    data.add_new(0x60020022, "LO", plant("overlay_2"))
    data.add_new(0x50000030, "SH", plant("curve_units"))
    data.add_new(0x50003000, "OW", plant("curve").encode())
    data.add_new(0x0018FFF0, "UN", plant("unknown").encode())
    data.add_new(0x0018FFF1, "LT", plant("unknown_text"))
    data.add_new(0x00140104, "PN", plant("name_outside_the_table"))
    data.add_new(0xFFFCFFFC, "OB", plant("padding").encode())
    data.VolumeFrameOfReferenceUID = plant("uid_outside_the_table", f"{UID_ROOT}.471184.7.7")
    data.DateOfGainCalibration = "20190101"
    data.ContainerComponentMaterial = "GLASS"


def contours(scan: Scan, names: dict[str, str], *, like: FileDataset) -> FileDataset:
    """An RTSTRUCT on a scan, a square of another size for each name (the words say where it lies)."""
    z = scan.positions()[:, 2]
    x0, y0 = scan.origin_mm[0], scan.origin_mm[1]
    regions = {}
    for number, name in enumerate(names.values(), start=2):
        low, high = 2.1, 2.1 + 2 * number
        square = np.array([[x0 + low, y0 + low], [x0 + high, y0 + low], [x0 + high, y0 + high], [x0 + low, y0 + high]])
        regions[name] = [np.c_[square, np.full(4, height)] for height in z[2:5]]
    data = made_ct.rtstruct(regions, frame=like.FrameOfReferenceUID)
    return _belongs(data, like, uid=f"{UID_ROOT}.471184.19510203.10", series=f"{UID_ROOT}.471184.19510203.11")


def segments(scan: Scan, names: list[str], *, like: FileDataset) -> FileDataset:
    """A SEG on a scan, a block of another size for each name."""
    masks = {}
    for number, name in enumerate(names, start=2):
        mask = np.zeros(scan.shape, dtype=bool)
        mask[2:5, 3 : 3 + 2 * number, 4 : 4 + 2 * number] = True
        masks[name] = mask
    data = made_ct.segmentation(masks, scan.but(frame=like.FrameOfReferenceUID))
    return _belongs(data, like, uid=f"{UID_ROOT}.471184.19510203.20", series=f"{UID_ROOT}.471184.19510203.21")


def _belongs(data: FileDataset, like: FileDataset, *, uid: str, series: str) -> FileDataset:
    for keyword in ("PatientName", "PatientID", "PatientBirthDate", "StudyDate", "StudyInstanceUID"):
        setattr(data, keyword, like[keyword].value)
    data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID = uid
    data.SeriesInstanceUID, data.StructureSetLabel = series, f"{like.PatientID} plan"[:16]
    referenced, instance = Dataset(), Dataset()
    instance.ReferencedSOPInstanceUID, instance.ReferencedSOPClassUID = like.SOPInstanceUID, like.SOPClassUID
    referenced.SeriesInstanceUID, referenced.ReferencedInstanceSequence = like.SeriesInstanceUID, [instance]
    data.ReferencedSeriesSequence = [referenced]
    return data


def written_as(data: FileDataset, syntax: str = ExplicitVRLittleEndian) -> FileDataset:
    """The data set as it is written in another native transfer syntax."""
    data.file_meta.TransferSyntaxUID = syntax
    uid = data.file_meta.TransferSyntaxUID
    if not uid.is_little_endian:
        data.PixelData = np.frombuffer(data.PixelData, "<u2").astype(">u2").tobytes()
    data.set_original_encoding(uid.is_implicit_VR, uid.is_little_endian)
    return data
