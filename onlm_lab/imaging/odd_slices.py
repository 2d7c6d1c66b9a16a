"""Which slices of a series differ from most of it, and how a message names them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np

from onlm_lab.imaging.header import Header, slice_name

Findings = list[tuple[str, str]]  # codes of study.imaging.FAULTS and sentences


def name_some(headers: Sequence[Header]) -> str:
    """The first three slices, and how many more there are."""
    shown = ", ".join(slice_name(header) for header in headers[:3])
    return shown + (f" and {len(headers) - 3} more" if len(headers) > 3 else "")


def odd_ones(headers: Sequence[Header], of: Callable[[Header], object]) -> list[Header]:
    """The slices that differ from what most of them say."""
    said = [of(header) for header in headers]
    if len(set(said)) == 1:
        return []
    usual = Counter(said).most_common(1)[0][0]
    return [header for header, one in zip(headers, said, strict=True) if one != usual]


def far_ones(headers: Sequence[Header], of: Callable[[Header], tuple], tolerance: float) -> list[Header]:
    """The slices that lie further than that from the median in any number."""
    if len({of(header) for header in headers}) == 1:
        return []
    values = np.array([of(header) for header in headers])
    far = np.abs(values - np.median(values, axis=0)).max(axis=1) > tolerance
    return [header for header, odd in zip(headers, far, strict=True) if odd]
