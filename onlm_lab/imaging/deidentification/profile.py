"""What of the basic profile a folder still holds: which elements are filled, in how many files; never their values."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, field, fields
from functools import lru_cache
from pathlib import Path

import pandas as pd
from pydicom.datadict import private_dictionaries

from onlm_lab.errors import OnlmError
from onlm_lab.imaging.deidentification.batches import files_below, in_batches
from onlm_lab.imaging.deidentification.burned_in import DIRECTORY, RISKS, risks
from onlm_lab.imaging.deidentification.elements import File, known_vr, walk
from onlm_lab.imaging.deidentification.file_bytes import BrokenError, NotDicomError, opened
from onlm_lab.imaging.deidentification.profile_table import (
    action_of,
    is_graphic,
    is_own_copy,
    is_private,
    keyword_of,
    name_of,
    stands_for,
    tag_text,
)
from onlm_lab.imaging.privacy import digest_text, identifying_texts, tells
from onlm_lab.imaging.texts import lenient, readings

COLUMNS = "keyword tag n_files n_replaced n_nested name action kind".split()
KINDS = {
    "profile": "an element of the basic profile",
    "file_meta": "a sender, a receiver or private information in the file's first lines (group 0002)",
    "private": "elements of a vendor, whose content only the vendor knows",
    "unknown": "elements that the dictionary does not know, and bytes behind the data",
    "overlay": "an overlay or a curve, which may be letters",
    "burned_in": "letters may stand in the picture, or the file is a document",
    "preamble": "the 128 bytes in front of the file are not blank",
    "path": "a name of a folder or file tells who the patient is",
}
# Of the file meta information: senders, receivers, addresses, private information. Its UIDs are in the profile.
_META = (0x00020016, 0x00020017, 0x00020018, 0x00020026, 0x00020027, 0x00020028, 0x00020100, 0x00020102)
_Key = tuple[str, str]  # kind, and a tag in eight digits or a word


@dataclass
class _Counts:
    """How many files hold what."""

    found: Counter[_Key] = field(default_factory=Counter)
    replaced: Counter[_Key] = field(default_factory=Counter)
    nested: Counter[_Key] = field(default_factory=Counter)
    facts: Counter[str] = field(default_factory=Counter)

    def add(self, other: _Counts) -> None:
        for one in fields(self):
            getattr(self, one.name).update(getattr(other, one.name))


def identifying_elements(
    folder: str | os.PathLike, *, workers: int | None = None, progress: bool = False
) -> pd.DataFrame:
    """What below a folder tells, or may tell, who a patient is: elements of DICOM's basic profile, and more.

    Args:
        folder: read with everything below it, whatever the files are called.
        workers: processes; None decides by the number of files.
        progress: whether to show a bar.

    Returns:
        One row an element that is filled somewhere: keyword, tag, n_files, n_replaced (files made by `deidentify` in
        which the copy put another value there: they are not in n_files), n_nested (files in which it lies inside a
        sequence), name, action (of the basic profile: X remove, Z empty, D dummy, U other UID), kind (of KINDS).
        Private elements are counted together as "private" and by their creator; a creator that is no known vendor is a
        digest. Values are never shown. `.attrs` holds n_files (DICOM files read), n_not_dicom, n_broken,
        n_directories (DICOMDIR), n_closed_folders, n_identity_removed (files that say that they were de-identified),
        n_method (those that say how) and n_own_copies.

    Raises:
        OnlmError: the folder does not exist.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise OnlmError(f"'{folder.name}' is not a folder. Give the folder that holds the DICOM files.")
    names, n_closed = files_below(folder)
    counts = _Counts()
    counts.facts["n_closed_folders"] = n_closed
    for one in in_batches(_count_batch, folder, names, workers=workers, progress=progress, what="looking"):
        counts.add(one)
    keys = sorted(counts.found.keys() | counts.replaced.keys(), key=lambda key: (list(KINDS).index(key[0]), key[1]))
    rows = [
        (*_named(kind, what), counts.found[kind, what], counts.replaced[kind, what], counts.nested[kind, what],
         *_described(kind, what), kind)
        for kind, what in keys
    ]  # fmt: skip
    order = ["keyword", "tag", "n_files", "n_replaced", "n_nested", "name", "action", "kind"]
    table = pd.DataFrame(rows, columns=order)[COLUMNS]
    table.attrs.update({name: counts.facts[name] for name in _FACTS})
    return table


_FACTS = "n_files n_not_dicom n_broken n_directories n_closed_folders n_identity_removed n_method n_own_copies".split()


def _count_batch(folder: Path, names: list[str]) -> _Counts:
    counts = _Counts()
    for name in names:
        try:
            with opened(folder / name) as file:
                _count(file, f"{folder.resolve().name}/{name}", counts)
        except NotDicomError:
            counts.facts["n_not_dicom"] += 1
        except (BrokenError, OSError):
            counts.facts["n_broken"] += 1
    return counts


def _count(file: File, place: str, counts: _Counts) -> None:
    own = is_own_copy(file)
    found: set[_Key] = set()
    replaced: set[_Key] = set()
    nested: set[_Key] = set()
    creators = _creators(file)
    for element, depth, _ in walk(file.data):
        if not element.filled():
            continue
        for key in _keys(element.tag, None if depth else creators):
            mine = own and key[0] == "profile" and stands_for(element, file)
            (replaced if mine else found).add(key)
            if depth:
                nested.add(key)
    for element in file.meta.values():
        if element.filled() and (element.tag in _META or action_of(element.tag)):
            kind = "file_meta" if element.tag in _META else "profile"
            mine = own and kind == "profile" and stands_for(element, file)
            (replaced if mine else found).add((kind, f"{element.tag:08X}"))
    found |= {("burned_in", risk) for risk in risks(file)}
    if file.preamble.strip(b"\0"):
        found.add(("preamble", "preamble"))
    if file.n_trailing_bytes and not own:
        found.add(("unknown", "trailing"))
    if _path_tells(file, place):  # a copy's folders bear the study id
        (replaced if own and place.split("/")[-3:-2] == [file.text(0x00100020)] else found).add(("path", "path"))
    counts.found.update(found)
    counts.replaced.update(replaced - found)
    counts.nested.update(nested)
    counts.facts.update(
        n_files=1,
        n_own_copies=own,
        n_identity_removed=file.text(0x00120062) == "YES",
        n_method=any(tag in file.data and file.data[tag].filled() for tag in (0x00120063, 0x00120064)),
        n_directories=file.text(0x00080016) == DIRECTORY or 0x00041220 in file.data,
    )


def _keys(tag: int, creators: dict[tuple[int, int], str] | None) -> list[_Key]:
    """As what an element counts; a private one as private and, on top, by its creator."""
    if tag & 0xFFFF == 0:
        return []  # the length of a group
    if is_private(tag):
        if creators is None or tag & 0xFFFF < 0x0100:
            return [("private", "")]
        creator = creators.get((tag >> 16, tag >> 8 & 0xFF), "")
        return [("private", ""), ("private", f"{tag >> 16:04X} {creator or 'without a creator'}")]
    if is_graphic(tag):
        return [("overlay", f"{tag & 0xFF00FFFF if tag >> 24 == 0x60 else 0x50000000:08X}")]
    if action_of(tag):
        return [("profile", f"{tag:08X}")]
    return [] if known_vr(tag) or tag >> 24 == 0x7F else [("unknown", "elements")]


def _creators(file: File) -> dict[tuple[int, int], str]:
    """Who made the private elements of a group and block: a vendor known to pydicom by name, others by a digest."""
    found = {}
    for tag, element in file.data.items():
        if is_private(tag) and 0x10 <= tag & 0xFFFF <= 0xFF and element.items is None:
            found[tag >> 16, tag & 0xFF] = _vendor(lenient(element.raw(), file.text(0x00080005)))
    return found


@lru_cache(maxsize=4096)
def _vendor(creator: str) -> str:
    return creator if creator in private_dictionaries else digest_text(creator)


def _path_tells(file: File, place: str) -> bool:
    said = {}
    for keyword, tag in _PEOPLE.items():
        element = file.data.get(tag)
        said[keyword] = readings(element.raw(), file.text(0x00080005)) if element is not None and element.value else ()
    texts = tuple(
        dict.fromkeys(text for keyword, all_of in said.items() for one in all_of for text in _texts(keyword, one))
    )
    return any(_part_tells(part, texts) for part in place.split("/"))


_PEOPLE = {
    "PatientName": 0x00100010, "PatientID": 0x00100020, "AccessionNumber": 0x00080050, "PatientBirthDate": 0x00100030,
    "OtherPatientIDs": 0x00101000,
}  # fmt: skip


def _texts(keyword: str, text: str) -> tuple[str, ...]:
    return identifying_texts({keyword: text})


@lru_cache(maxsize=8192)
def _part_tells(part: str, texts: tuple[str, ...]) -> bool:
    return bool(part) and tells(part, texts)


def _named(kind: str, what: str) -> tuple[str, str]:
    """Keyword and tag of a row."""
    if kind == "private":
        group, _, creator = what.partition(" ")
        return (f"private {creator}", f"({group},xxxx)") if creator else ("private", "")
    if kind in ("profile", "file_meta"):
        return keyword_of(int(what, 16)), tag_text(int(what, 16))
    if kind == "overlay":
        tag = int(what, 16)
        return ("CurveData", "(50xx,xxxx)") if tag >> 24 == 0x50 else (keyword_of(tag) or "overlay", tag_text(tag))
    return what, ""


def _described(kind: str, what: str) -> tuple[str, str]:
    """Name and action of a row."""
    if kind in ("profile", "file_meta", "overlay"):
        tag = int(what, 16)
        name = "Curve Data" if tag >> 24 == 0x50 else name_of(tag)
        return name, action_of(tag) or ("X" if kind == "overlay" else "")
    if kind == "burned_in":
        return RISKS[what], ""
    return KINDS[kind], "X" if kind == "private" else ""
