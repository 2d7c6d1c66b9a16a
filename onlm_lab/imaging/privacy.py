"""Keeps names out of what the software shows: safe paths, safe texts, digests."""

from __future__ import annotations

import hashlib
import os
import re
import unicodedata
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from onlm_lab.imaging.texts import without_escapes

DIGEST_PREFIX = "id-"


_DAY, _MONTH, _YEAR, _BETWEEN = "(0[1-9]|[12][0-9]|3[01])", "(0[1-9]|1[0-2])", "(19|20)[0-9]{2}", "[-._ ]"
_DATE = re.compile(
    rf"(?<![0-9])({_YEAR}{_BETWEEN}?{_MONTH}{_BETWEEN}?{_DAY}|{_DAY}{_BETWEEN}{_MONTH}{_BETWEEN}{_YEAR}"
    rf"|{_MONTH}{_BETWEEN}{_DAY}{_BETWEEN}{_YEAR})(?![0-9])"
)
_GERMAN = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss"})  # the others lose their accents
_HARMLESS = frozenset(
    "abdomen annotation axial bad base baseline big body box case center centre chest contour contours core coronal "
    "crop cropped ctv cut data dcm dicom empty export far file flipped float frame gtv half hosp hospital image "
    "images img input inside label labels large left lesion liver lobe lost low lower lung lungs mask masks metre "
    "mha mhd moved nan nhdr nifti nii node nodule nodules noise nrrd oblique one other out output outside part pat "
    "patient pet post pre primary ptv raw reader resampled right roi rtss rtstruct scaled scan seg segment "
    "segmentation series shifted short single site slice slices small soft space spacing struct structure "
    "structures study sub subject test thick thin thorax three tilted truncated tumor tumour turned two uid unit "
    "upper vol volume whole without wrong".split()
)  # words that files of images and masks are named with
LONG_WORD = 4  # letters; a shorter part of a name sits inside too many harmless words


class Whole(str):
    """A number or a date of the header: it tells only as a whole, its parts sit in harmless names of slices."""


class Alone(str):
    """A short number that tells only where it stands by itself."""


def identifying_texts(header: Mapping[str, Any]) -> tuple[str, ...]:
    """What of a header (by keyword) may stand in the names of its folders and files and tells who the patient is."""
    names = [without_escapes(str(header.get(keyword) or "")) for keyword in ("PatientName", "PatientID")]
    numbers = [str(header.get(keyword) or "") for keyword in ("AccessionNumber", "PatientBirthDate", "OtherPatientIDs")]
    return (
        *(text for text in names if text), *(Whole(text) for text in numbers if len(_plain(text)) >= 4),
        *_other_orders(str(header.get("PatientBirthDate") or "").strip()),
    )  # fmt: skip


def _other_orders(date: str) -> tuple[str, ...]:
    """A date of DICOM as people write it: day first, month first, and with two digits of the year."""
    if not re.fullmatch("[0-9]{8}", date):
        return ()
    year, month, day = date[:4], date[4:6], date[6:]
    orders = (Whole(day + month + year), Whole(month + day + year))
    return (*orders, *(Alone(text) for text in (date[2:], day + month + year[2:], month + day + year[2:])))


def digest_text(text: str) -> str:
    """A short digest that stands for a name or an identifier wherever the text itself must not appear."""
    return DIGEST_PREFIX + hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:10]


def safe_path(path: str | os.PathLike, *, identifying: Iterable[str] = ()) -> str:
    """A relative path in which every part that tells who the patient is, or names a date, has become a digest.

    Args:
        path: path relative to the study.
        identifying: texts of the header that tell who the patient is, of `identifying_texts`; blanks are ignored.
    """
    texts = tuple(identifying)
    parts = Path(path).parts
    return "/".join(
        digest_text(part) if _is_odd(part) or _DATE.search(part) or tells(part, texts) else part for part in parts
    )


def _is_odd(part: str) -> bool:
    """Whether a name is no text here (bytes of another character set), so that it cannot be written into a table."""
    try:
        part.encode("utf-8")
    except UnicodeEncodeError:
        return True
    return False


def safe_file_name(path: str | os.PathLike) -> str:
    """The name of a file that has no header to say who the patient is: a digest where it looks like a name or a date.

    Like a name look: a word with a capital, letters that are not ASCII, and two words or more; words of one or two
    letters and those of the trade (chest, mask, gtv ...) aside.
    """
    name = Path(path).name
    if name.startswith(DIGEST_PREFIX):
        return name
    words = [word for word in re.findall(r"[^\W\d_]+", name) if word.casefold() not in _HARMLESS]
    words = [word for word in words if len(word) > 2 or not word.isascii()]
    harmless = len(words) < 2 and all(word.isascii() and word.islower() for word in words)
    return name if harmless and not _DATE.search(name) else digest_text(name)


def safe_text(text: str, *, identifying: Iterable[str]) -> str:
    """Free text of a header (a contour's name), replaced by a digest when it tells who the patient is."""
    words = re.findall(r"[^\W\d_]+", text.casefold())
    harmless = words and not re.search(r"\d", text) and _HARMLESS.issuperset(words)  # "Lung" of patient LUNG1-001
    return digest_text(text) if not harmless and tells(text, identifying) else text


def find_path(path: str | os.PathLike) -> Path:
    """The file or folder on disk that a path given by `safe_path` stands for; other paths come back unchanged."""
    path = Path(path)
    if path.exists() or not any(part.startswith(DIGEST_PREFIX) for part in path.parts):
        return path
    found = Path(path.anchor) if path.anchor else Path()
    for part in path.parts[1:] if path.anchor else path.parts:
        step = found / part
        if part.startswith(DIGEST_PREFIX) and not step.exists() and found.is_dir():
            step = next((found / name for name in sorted(os.listdir(found)) if digest_text(name) == part), step)
        found = step
    return found


def _plain(text: str) -> str:
    """Letters and digits only, lower case: DOE^JOHN, doe_john and Doe-John become one."""
    return re.sub(r"[\W_]+", "", str(text)).casefold()


def spellings(text: str) -> tuple[str, ...]:
    """Lower case, and without accents in both ways in use: Müller, Mueller and Muller find one another."""
    folded = unicodedata.normalize("NFC", str(text).casefold())
    if folded.isascii():
        return (folded,)
    bare = "".join(c for c in unicodedata.normalize("NFKD", folded) if not unicodedata.combining(c))
    return tuple(dict.fromkeys((folded, folded.translate(_GERMAN), bare)))


@lru_cache(maxsize=4096)
def _known(text: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The whole of an identifying text, and its words, in all spellings."""
    spelled = spellings(text)
    parts = [[part for part in map(_plain, re.split(r"[\^=\s,_.-]+", one)) if part] for one in spelled]
    wholes = {_plain(one) for one in spelled}
    if not isinstance(text, Whole):
        wholes |= {"".join(part[1::-1] + part[2:]) for part in parts}  # the first name first
    words = {word for part in parts for word in part if len(word) >= 2 and not word.isdigit()}
    return tuple(wholes - {""}), tuple(words)


def _is_long(word: str) -> bool:
    """Whether a name is long enough to be looked for inside other words; in Chinese two characters are."""
    return len(word) >= (LONG_WORD if word.isascii() else 2)


def tells(part: str, identifying: Iterable[str]) -> bool:
    """Whether a part of a path, or a text, tells who the patient is.

    Args:
        part: a folder, a file, or a text.
        identifying: of `identifying_texts`.
    """
    spelled = spellings(part)
    plains, stems = tuple(map(_plain, spelled)), tuple(_plain(Path(one).stem) for one in spelled)
    if not plains[0]:
        return False
    tokens: set[str] | None = None
    for text in identifying:
        wholes, words = _known(text)
        if not wholes:
            continue
        if any(whole in plains or whole in stems for whole in wholes):
            return True
        tokens = {_plain(token) for one in spelled for token in re.split(r"[\W_]+", one)} if tokens is None else tokens
        if isinstance(text, Alone):
            if text in tokens:
                return True
            continue
        if any(_is_long(whole) and whole in plain for whole in wholes for plain in plains):
            return True
        if isinstance(text, Whole):
            continue
        if any(len(stem.encode()) >= 3 and stem in whole for stem in stems for whole in wholes):
            return True
        # A short word ("li", "1") sits inside too many harmless names to be looked for there.
        if any(word in tokens or (_is_long(word) and word in plain) for word in words for plain in plains):
            return True
    return False
