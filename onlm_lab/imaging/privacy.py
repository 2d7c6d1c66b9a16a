"""Keeps names out of what the software shows: safe paths, safe texts, digests."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from onlm_lab.imaging.texts import without_escapes

DIGEST_PREFIX = "id-"


class Whole(str):
    """A number or a date of the header: it tells only as a whole, its parts sit in harmless names of slices."""


def identifying_texts(header: Mapping[str, Any]) -> tuple[str, ...]:
    """What of a header (by keyword) may stand in the names of its folders and files and tells who the patient is."""
    names = [without_escapes(str(header.get(keyword) or "")) for keyword in ("PatientName", "PatientID")]
    numbers = [str(header.get(keyword) or "") for keyword in ("AccessionNumber", "PatientBirthDate", "OtherPatientIDs")]
    return (*(text for text in names if text), *(Whole(text) for text in numbers if len(_plain(text)) >= 4))


def digest_text(text: str) -> str:
    """A short digest that stands for a name or an identifier wherever the text itself must not appear."""
    return DIGEST_PREFIX + hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:10]


def safe_path(path: str | os.PathLike, *, identifying: Iterable[str] = ()) -> str:
    """A relative path in which every part that tells who the patient is has become a digest.

    Args:
        path: path relative to the study.
        identifying: texts of the header that tell who the patient is, of `identifying_texts`; blanks are ignored.
    """
    texts = [text for text in identifying if _plain(text)]
    parts = Path(path).parts
    return "/".join(digest_text(part) if _tells(part, texts) else part for part in parts)


def safe_text(text: str, *, identifying: Iterable[str]) -> str:
    """Free text of a header (a contour's name), replaced by a digest when it tells who the patient is."""
    return digest_text(text) if _tells(text, [item for item in identifying if _plain(item)]) else text


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


def _tells(part: str, identifying: list[str]) -> bool:
    plain, stem = _plain(part), _plain(Path(part).stem)
    if not plain:
        return False
    for text in identifying:
        whole = _plain(text)
        if whole in (plain, stem) or (len(whole) >= 4 and whole in plain):
            return True
        if isinstance(text, Whole):
            continue
        if len(stem.encode()) >= 3 and stem in whole:
            return True
        # A short word ("li", "1") sits inside too many harmless names to be looked for there.
        words = [_plain(word) for word in re.split(r"[\^=\s,_.-]+", str(text))]
        tokens = {re.sub(r"[\W_]+", "", token).casefold() for token in re.split(r"[\W_]+", part)}
        if any(word in tokens for word in words if len(word) >= 2 and not word.isdigit()):
            return True
    return False
