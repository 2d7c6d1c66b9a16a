"""Padding: the stored value that stands for "nothing was measured here"."""

from __future__ import annotations

from onlm_lab.imaging.header import Header

TISSUE_HU = (-900.0, 3071.0)  # a padding value in here would turn tissue into air


def padding_hu(header: Header) -> float:
    """The Hounsfield value that the padding would have, NaN without padding."""
    if header.padding is None:
        return float("nan")
    return stored_value(header, header.padding) * header.slope + header.intercept


def stored_value(header: Header, value: int) -> int:
    """A padding value as it is stored: writers mix up signed and unsigned."""
    if header.signed and value > 32767:
        return value - 65536
    return value + 65536 if not header.signed and value < 0 else value
