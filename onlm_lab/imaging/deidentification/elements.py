"""What a DICOM file consists of, as bytes: elements, sequences of them, the file; nothing of it is interpreted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pydicom.datadict import DicomDictionary

CHARACTER_SET, PIXELS = 0x00080005, 0x7FE00010
LONG_VR = frozenset("OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
SHORT_VR = frozenset("AE AS AT CS DA DS DT FL FD IS LO LT PN SH SL SS ST TM UI UL US".split())
TEXT_VR = frozenset("AE AS CS DA DS DT IS LO LT PN SH ST TM UC UI UR UT".split())
ITEM, ITEM_END, SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
Buffer = bytes | memoryview


@dataclass(slots=True)
class Element:
    """One element: its bytes, or the data sets of a sequence.

    Attributes:
        vr: value type as the file says it; of an implicit file what the dictionary says, "UN" where it says nothing.
        value: the bytes in the file's byte order; empty for a sequence.
        items: data sets of a sequence, None for all else.
        packed: whether the value is pixels in fragments (compressed).
    """

    tag: int
    vr: str
    value: Buffer = b""
    items: list[dict[int, Element]] | None = None
    packed: bool = False

    def raw(self) -> bytes:
        """The value as bytes."""
        return bytes(self.value)

    def filled(self) -> bool:
        """Whether it says anything: blanks, zero bytes and the carets of an empty name do not."""
        if self.items is not None:
            return any(element.filled() for item in self.items for element in item.values())
        if len(self.value) > 4096:
            return True
        return bool(self.raw().strip(b" \0^=\\" if self.vr in TEXT_VR else b"\0"))


@dataclass(slots=True)
class File:
    """A whole DICOM file.

    Attributes:
        meta: the file meta information, group 0002.
        data: the data set.
        syntax: UID of the transfer syntax; where the file does not say it, the one that it is written in.
        explicit, little: how elements are written.
        preamble: the 128 bytes in front.
        n_trailing_bytes: what stands behind the data set and is none of it.
    """

    meta: dict[int, Element]
    data: dict[int, Element]
    syntax: str
    explicit: bool = True
    little: bool = True
    preamble: bytes = b""
    n_trailing_bytes: int = 0

    def text(self, tag: int) -> str:
        """An element of the data set in plain ASCII, without padding; "" where it is absent."""
        element = self.data.get(tag)
        return element.raw().decode("ascii", "replace").strip(" \0") if element is not None else ""

    def number(self, tag: int, *, default: int = 0) -> int:
        """A binary short (US or SS) of the data set, taken as unsigned."""
        element = self.data.get(tag)
        raw = element.raw() if element is not None else b""
        return int.from_bytes(raw, "little" if self.little else "big") if len(raw) == 2 else default


def known_vr(tag: int) -> str:
    """What the dictionary says of a tag's value type ("US or SS" for some); "" where it does not know the tag."""
    found = DicomDictionary.get(tag)
    return found[0] if found else ""


def walk(data: dict[int, Element], *, character_set: str = "") -> Iterator[tuple[Element, int, str]]:
    """Every element of a data set, sequences before what they hold, with its depth (0 on top) and character set."""
    stack: list[tuple[dict[int, Element], int, str]] = [(data, 0, character_set)]
    while stack:
        here, depth, characters = stack.pop()
        own = here.get(CHARACTER_SET)
        if own is not None:
            characters = own.raw().decode("ascii", "replace").strip(" \0")
        for element in here.values():
            yield element, depth, characters
            for item in element.items or ():
                stack.append((item, depth + 1, characters))
