"""Which region of an RTSTRUCT or SEG is meant: by its name, its number, or a pattern; in any character set."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping, Sequence

import pydicom

from onlm_lab.errors import SeriesError
from onlm_lab.imaging.privacy import safe_text
from onlm_lab.imaging.texts import readings

Names = tuple[str, ...]  # what a region's name may be, the declared reading first


def names_of(item: pydicom.Dataset, keyword: str, data: pydicom.Dataset) -> Names:
    """Every reading of a region's name that its bytes allow; one that is empty where it has none."""
    if keyword not in item:
        return ("",)
    value = item.get_item(keyword).value
    if not isinstance(value, bytes):
        return (str(value).strip(" \0"),)
    said = data.get("SpecificCharacterSet", "")
    characters = said if isinstance(said, str) else "\\".join(map(str, said))
    return readings(value, characters) or ("",)


def choose_region(
    names: Mapping[int, Names], roi: str | int | None, *, file: str, identifying: Sequence[str]
) -> int:  # fmt: skip
    """The number of the one contour or segment that `roi` stands for.

    Raises:
        SeriesError: none or several match; the message lists what there is.
    """
    shown = ", ".join(f"{number}: {safe_text(name[0], identifying=identifying)}" for number, name in names.items())
    if roi is None and len(names) == 1:
        return next(iter(names))
    if roi is None:
        raise SeriesError(f"'{file}' holds {len(names)} regions; name one: {shown}.")
    text = str(roi)
    folded = text.casefold()
    matches = (
        [number for number, name in names.items() if text in name],
        [number for number in names if str(number) == text],
        [n for n, name in names.items() if any(fnmatch.fnmatchcase(said.casefold(), folded) for said in name)],
    )
    found = next((match for match in matches if match), [])
    if len(found) != 1:
        asked = safe_text(text, identifying=identifying)
        raise SeriesError(f"{len(found)} regions of '{file}' match '{asked}'; exactly one is wanted of: {shown}.")
    return found[0]


def refuse_other_frame(frame: str, referenced: Sequence[str], name: str, *, frame_of_ct: str, series_uid: str) -> None:
    """Refuse a mask whose place in the scan is unknown.

    Args:
        frame: the mask's FrameOfReferenceUID, or "".
        referenced: the series that it names.
        name: of the mask, for the message.
        frame_of_ct, series_uid: of the CT; "" where it has none.

    Raises:
        SeriesError: another frame of reference; or none to compare, and the mask names another series.
    """
    if frame and frame_of_ct:
        if frame != frame_of_ct:
            raise SeriesError(
                f"The mask in '{name}' belongs to another frame of reference than the CT, so its place in this scan "
                "is unknown. Give the mask that was drawn on this series."
            )
    elif series_uid and referenced and series_uid.partition("#")[0] not in referenced:
        raise SeriesError(
            f"The mask in '{name}' names another series than this CT, and there is no frame of reference to tell "
            "whether they show the same place. Give the mask that was drawn on this series."
        )
