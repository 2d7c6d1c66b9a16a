"""Texts of a DICOM header from their bytes: any SpecificCharacterSet, and the readings that a wrong one leaves open."""

from __future__ import annotations

import re
import warnings
from functools import lru_cache

from pydicom.charset import convert_encodings, decode_bytes

from onlm_lab.imaging.quiet import reading_quietly

# Character sets without escape sequences, which Python reads by itself and fast.
PLAIN = {
    "": "ascii", "ISO_IR 6": "ascii", "ISO_IR 100": "latin_1", "ISO_IR 192": "utf_8", "GB18030": "gb18030",
    "GBK": "gbk",
}  # fmt: skip
# What hospitals write names in without saying so; a folder that bears the name is recognised in any of them.
GUESSES = ("utf_8", "gb18030", "big5", "shift_jis", "euc_kr", "cp1251", "latin_1")
_ESCAPE = re.compile("\x1b[\x20-\x2f]+[\x30-\x7e]")
_DELIMITERS = {0x0A, 0x0C, 0x0D, 0x09, 0x5C}  # of texts; between the groups of a name also ^ and = (PS3.5, 6.1.2.5.3)


def decode(raw: bytes, character_set: str) -> str:
    """A text of the header, without the padding at its ends.

    Args:
        raw: the element's bytes.
        character_set: SpecificCharacterSet as it stands in the file, several joined by backslashes.

    Raises:
        UnicodeDecodeError, LookupError: the bytes are not in that character set, or nobody knows it.
    """
    if raw.isascii() and b"\x1b" not in raw:
        return raw.decode("ascii").strip(" \0")
    codec = PLAIN.get(character_set)
    if codec is not None:
        return raw.decode(codec).strip(" \0")
    text = decode_bytes(raw, list(_encodings(character_set)), _DELIMITERS | {0x5E, 0x3D})
    return without_escapes(text).strip(" \0")


def without_escapes(text: str) -> str:
    """A text without the escape sequences of ISO 2022, which pydicom leaves in where it decodes ISO 2022 IR 58."""
    return _ESCAPE.sub("", text)


def lenient(raw: bytes, character_set: str) -> str:
    """The same, with a sign in the place of every byte that is not in the character set."""
    try:
        return decode(raw, character_set)
    except (UnicodeDecodeError, LookupError):
        return raw.decode("ascii", errors="replace").strip(" \0")


def readings(raw: bytes, character_set: str) -> tuple[str, ...]:
    """Every text that the bytes may stand for, the declared reading first; one where they are plain ASCII."""
    found: list[str] = []
    for read in (lambda: decode(raw, character_set), *(_reader(raw, codec) for codec in GUESSES)):
        try:
            text = read()
        except (UnicodeDecodeError, LookupError):
            continue
        if text and text not in found:
            found.append(text)
        if raw.isascii() and b"\x1b" not in raw:
            break
    return tuple(found)


def _reader(raw: bytes, codec: str):
    return lambda: without_escapes(raw.decode(codec)).strip(" \0")


@lru_cache(maxsize=64)
def _encodings(character_set: str) -> tuple[str, ...]:
    """Python's names for the character sets of a header."""
    with reading_quietly():
        warnings.simplefilter("error")  # pydicom would go on with another character set than the file names
        try:
            return tuple(convert_encodings([part.strip() for part in character_set.split("\\")]))
        except Warning as warning:
            raise LookupError(str(warning)) from None
