"""Days, years and calendar years from the dates of a hospital's table. No date ever stands in a message."""

from __future__ import annotations

import datetime
import re
from typing import Literal

from onlm_lab.schema.texts import DATE, Texts

_PATTERNS = {
    "YYYY-MM-DD": (r"(\d{4})-(\d{1,2})-(\d{1,2})", "ymd"),
    "YYYY/MM/DD": (r"(\d{4})/(\d{1,2})/(\d{1,2})", "ymd"),
    "YYYYMMDD": (r"(\d{4})(\d{2})(\d{2})", "ymd"),
    "DD.MM.YYYY": (r"(\d{1,2})\.(\d{1,2})\.(\d{4})", "dmy"),
    "DD/MM/YYYY": (r"(\d{1,2})/(\d{1,2})/(\d{4})", "dmy"),
    "MM/DD/YYYY": (r"(\d{1,2})/(\d{1,2})/(\d{4})", "mdy"),
    "YYYY.MM.DD": (r"(\d{4})\.(\d{1,2})\.(\d{1,2})", "ymd"),
    "DD-MM-YYYY": (r"(\d{1,2})-(\d{1,2})-(\d{4})", "dmy"),
    "MM-DD-YYYY": (r"(\d{1,2})-(\d{1,2})-(\d{4})", "mdy"),
    "DD-MMM-YYYY": (r"(\d{1,2})[- ]?([A-Za-z]{3})[- ]?(\d{4})", "dmy"),
    "YYYY年MM月DD日": (r"(\d{4})年(\d{1,2})月(\d{1,2})日", "ymd"),
}
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")  # of DD-MMM-YYYY
_TIME = r"(?:[ T]\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?)?"  # a time of day is passed over


def read_dates(column: Texts, *, date_format: str) -> tuple[list[datetime.date | None], list[str]]:
    """For each word its date (None where it is empty or no date), and what is wrong with it ("" where nothing is)."""
    dates, faults = [], []
    for word in column.words:
        found = _date(word, date_format=date_format) if word else None
        dates.append(found if isinstance(found, datetime.date) else None)
        faults.append(found if isinstance(found, str) else "")
    return dates, faults


def _date(word: str, *, date_format: str) -> datetime.date | str:
    """The date, or what is wrong with it."""
    if word.startswith(DATE):
        return datetime.date.fromisoformat(word[len(DATE) :])
    pattern, order = _PATTERNS[date_format]
    match = re.fullmatch(pattern + _TIME, word, re.ASCII)
    if not match:
        if re.fullmatch(r"\d{1,2}([./-])\d{1,2}\1\d{2}", word, re.ASCII):
            return "the year has two digits; wanted four"
        other = [name for name, (p, _) in _PATTERNS.items() if re.fullmatch(p + _TIME, word, re.ASCII)]
        if other:
            return f"it is written like {' or '.join(other)}"
        if re.fullmatch(r"\d{5}", word, re.ASCII):
            return "it looks like the number that Excel keeps for a date; format the column as a date"
        return "it is no date"
    part = dict(zip(order, map(_count, match.groups()[:3]), strict=True))
    if not part["m"]:
        return "the month is not one of Jan, Feb, Mar and so on"
    if not 1900 <= part["y"] <= 2100:
        return "the year is not between 1900 and 2100"
    try:
        return datetime.date(part["y"], part["m"], part["d"])
    except ValueError:
        if part["m"] > 12 and part["d"] <= 12:
            return f"there is no month {part['m']}; day and month may be the other way round"
        return "there is no such day in the calendar"


def _count(text: str) -> int:
    """A number, or the number of a month by its first three letters; 0 where it is none."""
    if text.isdigit():
        return int(text)
    return _MONTHS.index(text.lower()) + 1 if text.lower() in _MONTHS else 0


def elapsed(
    start: datetime.date | None, end: datetime.date, *, unit: Literal["days", "years", "calendar_year"]
) -> float:
    """What lies between two dates.

    Years are completed years plus the part of the running year, in thousandths rounded down: 18 years are reached on
    the birthday and never a day before, whatever the leap years. A birthday on 29 February counts as 1 March in other
    years.
    """
    if unit == "calendar_year":
        return float(end.year)
    if start is None:
        return float("nan")
    if unit == "days":
        return float((end - start).days)
    if end < start:
        return -elapsed(end, start, unit="years")
    last = end.year - start.year
    if _birthday(start, last) > end:
        last -= 1
    since, until = _birthday(start, last), _birthday(start, last + 1)
    return last + (1000 * (end - since).days // (until - since).days) / 1000


def _birthday(start: datetime.date, years: int) -> datetime.date:
    try:
        return start.replace(year=start.year + years)
    except ValueError:
        return datetime.date(start.year + years, 3, 1)
