"""Study ids, UIDs, shifts of dates and names of files, all from one secret: the same secret gives the same again.

Everything is HMAC-SHA256 of the old value under the secret, so that the copy alone leads nowhere, the CT of today and
the mask of next year meet, and no table of old and new has to be kept. Whoever holds the secret and a list of
hospital ids can find everybody again: it stays with the hospital.
"""

from __future__ import annotations

import hmac
import os
import re
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

from onlm_lab.errors import OnlmError
from onlm_lab.imaging.deidentification.profile_table import NEW_UID, is_registered

SECRET_BYTES = 32
ALPHABET = "CDFHJKMNPRTVWXY34679"  # no vowels (no words), and nothing that looks alike: 0OQ 1IL 2Z 5S 8B G
MIN_SHIFT_DAYS, MAX_SHIFT_DAYS = 366, 3653  # more than a year, at most ten years
_DATE = re.compile(r"(\d{4})[.]?(\d\d)[.]?(\d\d)")
_DATE_TIME = re.compile(r"(\d{4})(?:(\d\d)(?:(\d\d)((?:\d\d){0,3}(?:\.\d{1,6})?)?)?)?([+-]\d{4})?")


@dataclass(frozen=True)
class Pseudonyms:
    """What stands in the place of names, numbers and dates. Nothing of it can be turned back without the secret."""

    secret: bytes = field(repr=False)

    def study_id(self, patient_id: str, *, issuer: str = "") -> str:
        """An id for the study from a hospital's number and who issued it: three groups of four signs."""
        number = int.from_bytes(self._digest("patient", patient_id, issuer), "big")
        signs = []
        for _ in range(12):
            number, k = divmod(number, len(ALPHABET))
            signs.append(ALPHABET[k])
        return "-".join("".join(signs[k : k + 4]) for k in (0, 4, 8))

    def shift_days(self, study_id: str) -> int:
        """By how many days every date of a patient moves; always back, so the result is negative.

        Whole days, no whole weeks: times of day and intervals survive, the day of the week does not.
        """
        span = MAX_SHIFT_DAYS - MIN_SHIFT_DAYS + 1
        return -(MIN_SHIFT_DAYS + int.from_bytes(self._digest("dates", study_id), "big") % span)

    def uid(self, old: str) -> str:
        """The UID that stands for an old one everywhere; registered ones stay, they name kinds of things."""
        if not old or is_registered(old):
            return old
        return f"{NEW_UID}{uuid.UUID(bytes=self._digest('uid', old)[:16], version=4).int}"

    def folder_name(self, series_uid: str) -> str:
        """The name of a series' folder."""
        return "s" + self._digest("series", series_uid).hex()[:12]

    def file_name(self, instance_uid: str) -> str:
        """The name of a file: its order among others says nothing of the order of slices."""
        return self._digest("instance", instance_uid).hex()[:16] + ".dcm"

    def check(self) -> str:
        """Tells two secrets apart without giving away anything of either."""
        return self._digest("check").hex()[:16]

    def _digest(self, use: str, *texts: str) -> bytes:
        message = "\0".join(("onlm", use, *texts)).encode("utf-8", "surrogateescape")
        return hmac.digest(self.secret, message, "sha256")


def shifted_date(text: str, days: int) -> str | None:
    """A date (DA) moved by some days; None where it is no date."""
    match = _DATE.fullmatch(text)
    if match is None:
        return None
    try:
        moved = date(*map(int, match.groups())) + timedelta(days)
    except (ValueError, OverflowError):
        return None
    return f"{moved:%Y%m%d}".zfill(8)


def shifted_date_time(text: str, days: int) -> str | None:
    """A date with time (DT) moved by some days: as precise as before, time of day and time zone as they were.

    Example:
        >>> shifted_date_time("20190704101112.5+0800", -3)
        '20190701101112.5+0800'
    """
    match = _DATE_TIME.fullmatch(text)
    if match is None:
        return None
    year, month, day, time, zone = match.groups()
    moved = shifted_date(f"{year}{month or '01'}{day or '01'}", days)
    if moved is None:
        return None
    return moved[: 8 if day else 6 if month else 4] + (time or "") + (zone or "")


def open_secret(path: str | os.PathLike, *, outside: Iterable[Path]) -> tuple[Pseudonyms, bool]:
    """The secret of a file, which is made where it does not exist yet.

    Args:
        path: of the file; a new one can be read by its owner only.
        outside: folders in which it must not lie, links followed.

    Returns:
        the pseudonyms, and whether the secret is new.

    Raises:
        OnlmError: it lies in one of the folders, is too short, or is no file.
    """
    path = Path(path)
    refuse_inside(path, outside=outside, what="The secret", option="--secret")
    if path.is_dir():
        raise OnlmError("The secret is a folder; wanted the name of a file that holds it, or is to (--secret).")
    if not path.exists():
        _write_new(path, os.urandom(SECRET_BYTES).hex().encode() + b"\n")
        return Pseudonyms(path.read_bytes().strip()), True
    said = path.read_bytes().strip()
    if len(said) < SECRET_BYTES:
        raise OnlmError(
            f"The secret has {len(said)} bytes; wanted at least {SECRET_BYTES} that nobody can guess. Name a file that "
            "does not exist yet: the command fills it."
        )
    return Pseudonyms(said), False


def refuse_inside(path: Path, *, outside: Iterable[Path], what: str, option: str) -> None:
    """Refuse a file that would lie in a folder which is given away or searched.

    Raises:
        OnlmError: it does; links are followed.
    """
    place = path.resolve()
    for folder in outside:
        if place == folder.resolve() or folder.resolve() in place.parents:
            raise OnlmError(
                f"{what} would lie in the folder that is copied or in the copy ({option}). Keep it elsewhere, where "
                "only the hospital can read it."
            )


def write_private(path: Path, content: bytes) -> None:
    """Write a file that only its owner can read, whole or not at all."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        _write_new(part, content)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def _write_new(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
