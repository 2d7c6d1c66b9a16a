"""Padding: the stored value that stands for "nothing was measured here"."""

from __future__ import annotations

from onlm_lab.imaging.header import Header

TISSUE_HU = (-900.0, 3071.0)  # a padding value in here would turn tissue into air


def padding_hu(header: Header) -> float:
    """The Hounsfield value that the padding would have, NaN without padding."""
    if header.padding is None:
        return float("nan")
    return stored_value(header, header.padding) * header.slope + header.intercept


def range_holds_tissue(header: Header) -> bool:
    """Whether what lies between the padding value and the limit of its range are values that tissue has."""
    if header.padding is None or header.padding_limit is None:
        return False
    limit_hu = stored_value(header, header.padding_limit) * header.slope + header.intercept
    low, high = sorted((padding_hu(header), limit_hu))
    return low <= TISSUE_HU[1] and high >= TISSUE_HU[0]


def stored_value(header: Header, value: int) -> int:
    """A padding value as it is stored: writers mix up signed and unsigned, of 16 bits and of those that are used."""
    used = 1 << header.bits_stored
    if header.signed and used // 2 <= value < used:
        return value - used
    if header.signed and value > 32767:
        return value - 65536
    return value + 65536 if not header.signed and value < 0 else value


def beyond_bits(header: Header, value: int) -> bool:
    """Whether a stored value needs more bits than the slice says that it uses: it stands in the unused ones."""
    low, high = (
        (-(1 << header.bits_stored - 1), 1 << header.bits_stored - 1) if header.signed else (0, 1 << header.bits_stored)
    )
    return header.bits_stored > 0 and not low <= value < high
