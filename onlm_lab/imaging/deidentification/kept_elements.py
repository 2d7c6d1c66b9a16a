"""Which elements a copy may keep beside those of the profile, and what their values must be like."""

from __future__ import annotations

from functools import lru_cache

from pydicom.datadict import dictionary_VM

from onlm_lab.imaging.deidentification.elements import PIXELS, TEXT_VR, Element, File, known_vr
from onlm_lab.imaging.deidentification.profile_table import REGION_NAME, action_of, is_graphic, is_private

# Regions and segments: by these names a mask is chosen. The second tag is the number that stands beside the name.
REGION_NAMES = {REGION_NAME: (0x30060022, "ROI"), 0x00620005: (0x00620004, "Segment")}
# Free text that scanners and planning systems fill in themselves, and that a reader of CT, PET and masks needs.
DEVICE_TEXTS = frozenset(
    (
        0x00080070, 0x00081090, 0x00181020,  # maker, model, software
        0x00180031, 0x00181040, 0x00181160, 0x00181210,  # tracer, route of contrast, filter, kernel
        0x00201040, 0x00209056, 0x00209421, 0x00281054, 0x00281055, 0x00283004, 0x00409210,  # meaning of numbers
        0x00541101, 0x00541103, 0x00541105, 0x00620009, 0x00660031, 0x00660036,  # how PET and masks were computed
        0x00080100, 0x00080102, 0x00080103, 0x00080104, 0x00080119,  # codes
    )
)  # fmt: skip
CODE_VALUES = (0x00080100, 0x00080103, 0x00080119)
CODE_MEANING, CODE_SCHEME, BODY_PART = 0x00080104, 0x00080102, 0x00180015
# Schemes whose texts are fixed; a hospital's own scheme may say anything.
SCHEMES = frozenset(
    "DCM SRT SCT SNM3 99SDM UCUM LN FMA RADLEX RADELEMENT NCIt NCIT ICDO3 IBSI UMLS UBERON MDC CTCAE".split()
)
NUMBER_BYTES = {
    "US": 2, "SS": 2, "UL": 4, "SL": 4, "FL": 4, "AT": 4, "FD": 8, "UV": 8, "SV": 8,
}  # fmt: skip
# Bytes that are kept: pixels and where they lie, lookup tables, the points of a surface or a deformation.
BULK = frozenset(
    (
        PIXELS, 0x7FE00001, 0x7FE00002, 0x7FE00008, 0x7FE00009, 0x00283006, 0x00281201, 0x00281202, 0x00281203,
        0x00281221, 0x00281222, 0x00281223, 0x00660016, 0x00660021, 0x00660023, 0x00660024, 0x00660025, 0x00660029,
        0x00660040, 0x00660041, 0x00660042, 0x00660043, 0x00640009,
    )
)  # fmt: skip
# Command set, file meta, directory records, private data's descriptions, signatures and encrypted originals.
LEFT_GROUPS = (0x0000, 0x0002, 0x0004, 0x0400, 0x4FFE)
LEFT = (0x00080300, 0x00120062, 0x00120063, 0x00120064, 0x00280303)


@lru_cache(maxsize=8192)
def left_behind(tag: int) -> str:
    """Why an element is never kept, whatever it says; "" where it may be."""
    if is_private(tag):
        return "private"
    if is_graphic(tag):
        return "graphics"
    if tag & 0xFFFF == 0 or tag >> 16 in LEFT_GROUPS or tag in LEFT:
        return "nothing"  # lengths of groups and what the copy says anew: nothing to tell of
    if tag >> 24 == 0x7F and tag >> 16 != 0x7FE0:
        return "unknown"
    if not known_vr(tag) and not action_of(tag):
        return "unknown"
    return "" if known_vr(tag) else "nothing"


def value_type(element: Element) -> str | None:
    """The value type to write, or None where the file's own does not go with the dictionary's."""
    allowed = known_vr(element.tag).split(" or ")
    if element.vr in allowed:
        return element.vr if (element.items is not None) == (element.vr == "SQ") else None
    if element.items is not None or "SQ" in allowed:
        return None
    if element.vr == "UN" or (element.vr in TEXT_VR and allowed[0] in TEXT_VR):
        return allowed[0]
    if element.vr in NUMBER_BYTES and allowed[0] in NUMBER_BYTES:
        return element.vr
    return None


def are_numbers(element: Element, vr: str) -> bool:
    """Whether bytes are as many numbers as the dictionary allows, and not letters in their place."""
    n, rest = divmod(len(element.value), NUMBER_BYTES[vr])
    least, _, most = dictionary_VM(element.tag).partition("-")
    if rest or (n and n < int(least)) or (n > int(least) and not most) or (most.isdigit() and n > int(most)):
        return False
    if len(element.value) > 4096:
        return True
    raw = element.raw().strip(b"\0 ")
    return len(raw) < 4 or not raw.isascii() or not raw.decode("ascii").isprintable()


def region_number(element: Element | None, file: File) -> str:
    """The number beside a region's name."""
    if element is None:
        return ""
    if element.vr in ("US", "UN") and len(element.value) == 2:
        return str(int.from_bytes(element.raw(), "little" if file.little else "big"))
    text = element.raw().decode("latin_1").strip(" \0")
    return text if text.isdigit() and len(text) <= 4 else ""
