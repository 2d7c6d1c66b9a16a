"""How a file or a folder is named to the user: the parts of its path that tell who the patient is are digests."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import PurePosixPath

from onlm_lab.imaging.privacy import digest_text, safe_path


def telling_parts(place: str, *, identifying: tuple[str, ...]) -> tuple[int, ...]:
    """Which parts of a path tell who the patient is, counted from 0.

    Args:
        place: the name of the folder that was read, a slash, and the file relative to it.
        identifying: texts of the header, of `identifying_texts`.
    """
    parts = place.split("/")
    told = [k for k, part in enumerate(parts[:-1]) if _folder_tells(part, identifying)]
    if safe_path(parts[-1], identifying=identifying) != parts[-1]:
        told.append(len(parts) - 1)
    return tuple(told)


@lru_cache(maxsize=4096)
def _folder_tells(part: str, identifying: tuple[str, ...]) -> bool:
    return bool(part) and safe_path(part, identifying=identifying) != part


def safe_place(place: str, told: Iterable[int], *, first: int = 1) -> str:
    """A path from its part `first` on, with digests for the parts that were told of.

    Args:
        place: as in `telling_parts`.
        told: numbers of the parts that tell.
        first: 1 leaves out the folder that was read, 0 names it.
    """
    hidden = set(told)
    parts = [digest_text(part) if k in hidden else part for k, part in enumerate(place.split("/"))]
    return "/".join(parts[first:])


def shared_folder(places: Sequence[str]) -> str:
    """The folder that holds several files, as a path from the folder that was read."""
    folders = {place.rpartition("/")[0] for place in places}
    return str(PurePosixPath(os.path.commonpath(folders)))
