"""One DICOM file as it may leave the hospital: what of it is kept is put into a new file, nothing else gets there.

Of an element the profile's table decides first. For the rest, what can hold free text has to be on a short list, and
is looked through; dates move, UIDs are replaced, numbers have to be numbers. Elements that no dictionary knows,
private ones, overlays, curves and signatures are left behind.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field

from pydicom.charset import python_encoding

from onlm_lab.imaging.deidentification.descriptions import plain_description
from onlm_lab.imaging.deidentification.elements import CHARACTER_SET, PIXELS, TEXT_VR, Element, File
from onlm_lab.imaging.deidentification.identities import CODE, CODED, DEVICE, LABEL, Care, Identities
from onlm_lab.imaging.deidentification.kept_elements import (
    BODY_PART,
    BULK,
    CODE_MEANING,
    CODE_SCHEME,
    CODE_VALUES,
    DEVICE_TEXTS,
    NUMBER_BYTES,
    REGION_NAMES,
    SCHEMES,
    are_numbers,
    left_behind,
    region_number,
    value_type,
)
from onlm_lab.imaging.deidentification.pixel_traces import cleaned_pixels, comments
from onlm_lab.imaging.deidentification.profile_table import (
    CONTRAST_AGENT,
    DESCRIPTION,
    DUMMY,
    METHOD,
    METHOD_CODES,
    PATIENT_ID,
    PATIENT_NAME,
    action_of,
    is_moved_date,
)
from onlm_lab.imaging.deidentification.pseudonyms import Pseudonyms, shifted_date, shifted_date_time
from onlm_lab.imaging.texts import readings

IMPLEMENTATION_UID = "2.25.288363211503958136492013849672787896988"  # of this writer; UUIDs need no registration
IMPLEMENTATION_NAME = "ONLM_LAB"
_NUMBERS = re.compile(rb"[0-9+\-.eE \\\0]*")
_DATE = re.compile(r"(19|20)\d\d(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])\d{0,6}")  # series are numbered so somewhere
_TIME = re.compile(r"\d\d:?(\d\d:?(\d\d(\.\d{1,6})?)?)?")
_NO_CONTRAST = re.compile(r"|no|none|n|0|-|nil|without|w/o|native|plain|unenhanced|无|未使用|未用|平扫|不用")


class LeaveOutError(ValueError):
    """The file must not be copied; `args[0]` is a key of copying.REASONS."""


@dataclass(frozen=True)
class Subject:
    """Whose file it is, in the copy: the study's id and by how many days dates move."""

    study_id: str
    shift_days: int


@dataclass(frozen=True)
class Cleaner:
    """Makes the copy of one file after another.

    Attributes:
        pseudonyms: what stands for old UIDs.
        identities: everybody whom the folder names.
        counts: what was done, by key of copying.DONE.
    """

    pseudonyms: Pseudonyms
    identities: Identities
    counts: Counter[str] = field(default_factory=Counter)

    def clean(self, file: File, subject: Subject) -> File:
        """The file for the copy.

        Raises:
            LeaveOutError, ShortPixelsError
        """
        for comment in comments(file):
            if any(self.identities.tells(text, DEVICE) for text in readings(comment, "")):
                raise LeaveOutError("telling_comment")
        data = self._data_set(file.data, file, subject, "")
        if PIXELS in file.data:
            data[PIXELS], n_cut, n_cleared = cleaned_pixels(file)
            self.counts["tails_cut"] += n_cut > 0
            self.counts["unused_bits_cleared"] += n_cleared > 0
        self.counts["trailing_bytes"] += file.n_trailing_bytes > 0
        for element in _said_of_copy(subject):
            data[element.tag] = element
        return File(_meta(file, data), data, file.syntax, file.explicit, file.little)

    def _data_set(self, old: dict[int, Element], file: File, subject: Subject, characters: str) -> dict[int, Element]:
        if CHARACTER_SET in old:
            characters = old[CHARACTER_SET].raw().decode("ascii", "replace").strip(" \0")
        new = {}
        for element in old.values():
            if element.tag == PIXELS:
                continue
            kept = self._element(element, old, file, subject, characters)
            if kept is not None:
                new[kept.tag] = kept
        return new

    def _element(
        self, element: Element, beside: dict[int, Element], file: File, subject: Subject, characters: str
    ) -> Element | None:
        tag = element.tag
        why = left_behind(tag)
        if why:
            self.counts[why] += why != "nothing"
            return None
        vr = value_type(element)
        if vr is None:
            self.counts["malformed"] += 1
            return None
        if vr == "SQ":
            return self._sequence(element, file, subject, characters)
        if tag in (PATIENT_ID, PATIENT_NAME):
            return _text(tag, vr, subject.study_id)
        if tag in REGION_NAMES:
            return self._region(element, vr, beside, file, characters)
        if tag == DESCRIPTION:
            texts = readings(element.raw(), characters)
            return _text(tag, vr, plain_description(texts[0] if texts else "", names=self.identities.words))
        if tag == CONTRAST_AGENT:
            return _text(tag, vr, _contrast(element, characters))
        if is_moved_date(tag, vr):
            return self._date(element, vr, subject.shift_days)
        if vr == "UI":
            return self._uid(element)
        if action := action_of(tag):
            return _by_profile(element, vr, action)
        return self._kept(element, vr, beside, characters)

    def _sequence(self, element: Element, file: File, subject: Subject, characters: str) -> Element | None:
        action = action_of(element.tag)
        if action in ("", "X/Z/U*"):
            items = [self._data_set(item, file, subject, characters) for item in element.items or ()]
            return Element(element.tag, "SQ", items=items)
        return None if "X" in action and "Z" not in action else Element(element.tag, "SQ", items=[])

    def _region(
        self, element: Element, vr: str, beside: dict[int, Element], file: File, characters: str
    ) -> Element | None:
        if not self._tells(element, characters, LABEL):
            return Element(element.tag, vr, element.value)
        self.counts["region_names_replaced"] += 1
        number_tag, word = REGION_NAMES[element.tag]
        return _text(element.tag, vr, f"{word} {region_number(beside.get(number_tag), file)}")

    def _date(self, element: Element, vr: str, days: int) -> Element:
        texts = element.raw().decode("ascii", "replace").strip(" \0").split("\\")
        if vr == "TM":
            new = [text if _TIME.fullmatch(text.strip()) else None for text in texts]
        else:
            move = shifted_date if vr == "DA" else shifted_date_time
            new = [move(text.strip(), days) if text.strip() else "" for text in texts]
        if any(text is None for text in new) and any(text.strip() for text in texts):
            self.counts["malformed"] += 1
        return _text(element.tag, vr, "\\".join(text or "" for text in new))

    def _uid(self, element: Element) -> Element:
        texts = element.raw().decode("latin_1").split("\\")
        return _text(element.tag, "UI", "\\".join(self.pseudonyms.uid(text.strip(" \0")) for text in texts))

    def _kept(self, element: Element, vr: str, beside: dict[int, Element], characters: str) -> Element | None:
        """What the profile does not name and a reader may need."""
        tag = element.tag
        if tag == CHARACTER_SET:
            known = all(part.strip(" \0") in python_encoding for part in element.raw().decode("latin_1").split("\\"))
            return Element(tag, vr, element.value) if known else None
        if vr in ("DS", "IS"):
            good = _NUMBERS.fullmatch(element.raw())
            if good and self._is_number_of_someone(element):
                self.counts["telling_texts"] += 1
                return Element(tag, vr)
        elif vr in NUMBER_BYTES:
            good = are_numbers(element, vr)
        elif vr == "CS":
            care = LABEL if tag == BODY_PART else CODE
            good = element.raw().isascii() and not self._tells(element, characters, care)
        elif tag in DEVICE_TEXTS and vr in ("LO", "SH", "UC"):
            public = _scheme(beside) in SCHEMES
            if tag == CODE_MEANING and not public:
                return _text(tag, vr, DUMMY)
            good = not self._tells(element, characters, CODED if public and tag in CODE_VALUES else DEVICE)
        elif vr in TEXT_VR:
            self.counts["free_text"] += element.filled()
            return None
        else:
            good = tag in BULK
        if good:
            return Element(tag, vr, element.value)
        self.counts["telling_texts" if vr in ("CS", "LO", "SH", "UC") else "malformed"] += 1
        return None

    def _tells(self, element: Element, characters: str, care: Care) -> bool:
        return any(self.identities.tells(text, care) for text in readings(element.raw(), characters))

    def _is_number_of_someone(self, element: Element) -> bool:
        """A hospital's number in the place of a count, too long for one and known; or a date."""
        if len(element.value) > 64:
            return False
        texts = [part.strip(" \0+") for part in element.raw().decode("ascii").split("\\")]
        return any(len(text) >= 5 and (text in self.identities.wholes or _DATE.fullmatch(text)) for text in texts)


def _by_profile(element: Element, vr: str, action: str) -> Element | None:
    """The strictest choice that leaves an element which its kind of file may demand."""
    if not element.filled() and action != "X":
        return Element(element.tag, vr)
    if "D" in action and vr in TEXT_VR and vr not in ("UR", "AS"):
        return _text(element.tag, vr, "0" if vr in ("DS", "IS") else DUMMY)
    return Element(element.tag, vr) if "Z" in action else None


def _contrast(element: Element, characters: str) -> str:
    """Whether contrast was given, without the words for it."""
    texts = readings(element.raw(), characters)
    text = texts[0].strip().casefold() if texts else ""
    return "" if not text else "NONE" if _NO_CONTRAST.fullmatch(text) else "CONTRAST"


def _scheme(beside: dict[int, Element]) -> str:
    element = beside.get(CODE_SCHEME)
    return element.raw().decode("latin_1").strip(" \0") if element is not None else ""


def _text(tag: int, vr: str, text: str) -> Element:
    raw = text.encode("ascii", "replace")
    return Element(tag, vr, raw + (b"\0" if vr == "UI" else b" ") * (len(raw) % 2))


def _said_of_copy(subject: Subject) -> list[Element]:
    """What the standard wants a copy to say of itself (PS3.15, E.1.1; PS3.3, C.12.1)."""
    codes = [
        {
            element.tag: element
            for element in (
                _text(0x00080100, "SH", code), _text(0x00080102, "SH", "DCM"), _text(0x00080104, "LO", meaning),
            )
        }
        for code, meaning in METHOD_CODES.items()
    ]  # fmt: skip
    return [
        _text(PATIENT_NAME, "PN", subject.study_id),
        _text(PATIENT_ID, "LO", subject.study_id),
        _text(0x00120062, "CS", "YES"),
        _text(0x00120063, "LO", METHOD),
        Element(0x00120064, "SQ", items=codes),
        _text(0x00280303, "CS", "MODIFIED"),
    ]


def _meta(file: File, data: dict[int, Element]) -> dict[int, Element]:
    """The file meta information from nothing: the source's names its senders and may bear private data."""
    if 0x00080016 not in data or 0x00080018 not in data:
        raise LeaveOutError("no_uid")
    elements = (
        Element(0x00020001, "OB", b"\0\1"),
        Element(0x00020002, "UI", data[0x00080016].value),
        Element(0x00020003, "UI", data[0x00080018].value),
        _text(0x00020010, "UI", file.syntax),
        _text(0x00020012, "UI", IMPLEMENTATION_UID),
        _text(0x00020013, "SH", IMPLEMENTATION_NAME),
    )
    return {element.tag: element for element in elements}
