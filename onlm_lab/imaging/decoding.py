"""Decodes one frame of compressed pixels, by the one decoder that is right for its transfer syntax.

pydicom tries every decoder that happens to be installed until one gives something, and what one refuses as broken off
another fills with grey; so the decoder is named here, and the frame is held against its header first.
"""

from __future__ import annotations

import warnings
from functools import lru_cache
from pathlib import Path

import numpy as np
from pydicom.encaps import encapsulate, get_frame, parse_basic_offsets, parse_fragments
from pydicom.errors import InvalidDicomError
from pydicom.pixels import get_decoder

from onlm_lab.imaging.codestream import JPEG, checked
from onlm_lab.imaging.header import Header
from onlm_lab.imaging.header_values import MALFORMED
from onlm_lab.imaging.quiet import reading_quietly

UNDECODABLE = (InvalidDicomError, OSError, EOFError, RuntimeError, MemoryError, *MALFORMED)
RLE, EXTENDED = "1.2.840.10008.1.2.5", JPEG + "51"
ITEM_HEADER, STARTS = 8, (b"\xff\xd8", b"\xff\x4f")  # of JPEG and JPEG-LS, of JPEG 2000
DECODERS = {  # of pydicom's, by transfer syntax; pylibjpeg stands for OpenJPEG
    RLE: "pydicom",
    **{JPEG + kind: "gdcm" for kind in ("50", "51", "57", "70", "80", "81")},
    **{JPEG + kind: "pylibjpeg" for kind in ("90", "91", "201", "202", "203")},
}


def decode_frame(path: str | Path, header: Header) -> np.ndarray:
    """The stored values (y,x) of one compressed slice.

    Raises:
        one of UNDECODABLE: they cannot be decoded.
    """
    if header.transfer_syntax not in DECODERS:
        raise NotImplementedError(f"transfer syntax {header.transfer_syntax} is no CT's")
    if header.n_frames > 1:
        _refuse_other_count(str(path), header.pixel_offset, header.n_frames, header.modified_ns)
    with open(path, "rb") as stream:
        stream.seek(header.pixel_offset)
        frame = get_frame(stream, max(header.frame, 0), number_of_frames=header.n_frames)
    frame = checked(frame, header)
    if header.transfer_syntax == EXTENDED:
        return _decode_extended(frame, header)
    with reading_quietly():
        warnings.filterwarnings("error", message="The decoded RLE segment contains")  # more than a slice: damaged
        values, _ = get_decoder(header.transfer_syntax).as_array(
            encapsulate([frame], has_bot=False),
            index=0,
            decoding_plugin=DECODERS[header.transfer_syntax],
            pixel_keyword="PixelData",
            number_of_frames=1,
            samples_per_pixel=1,
            photometric_interpretation="MONOCHROME2",  # or 1: stored values are not turned
            rows=header.rows,
            columns=header.columns,
            bits_allocated=header.bits_allocated,
            bits_stored=header.bits_stored,
            pixel_representation=int(header.signed),
        )
    return values


@lru_cache(maxsize=64)
def _refuse_other_count(path: str, offset: int, n_frames: int, modified_ns: int) -> None:
    """Refuses a file that holds another number of frames than it says: the place of each would be another's."""
    with open(path, "rb") as stream:
        stream.seek(offset)
        offsets = parse_basic_offsets(stream)
        n_fragments, places = parse_fragments(stream)
        starts = 0
        for place in places:  # a frame of JPEG may be cut into fragments, and begins with one of these
            stream.seek(place + ITEM_HEADER)
            starts += stream.read(2) in STARTS
    held = len(offsets) or starts or n_fragments
    if held != n_frames:
        raise ValueError(f"{held} frames are held, {n_frames} are said")


def _decode_extended(frame: bytes, header: Header) -> np.ndarray:
    """JPEG Extended by GDCM, which pydicom refuses for 12 bits although GDCM decodes them as libjpeg-turbo does."""
    import gdcm

    fragment, fragments = gdcm.Fragment(), gdcm.SequenceOfFragments.New()
    fragment.SetByteStringValue(frame)
    fragments.AddFragment(fragment)
    element = gdcm.DataElement(gdcm.Tag(0x7FE0, 0x0010))
    element.SetValue(fragments.__ref__())
    image = gdcm.Image()
    image.SetNumberOfDimensions(2)
    image.SetDimensions((header.columns, header.rows, 1))
    image.SetDataElement(element)
    grey = gdcm.PhotometricInterpretation.MONOCHROME2
    image.SetPhotometricInterpretation(gdcm.PhotometricInterpretation(grey))
    image.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.GetTSType(EXTENDED)))
    # Said to be allocated, 12 bits are decoded at once; said 16, GDCM complains on stderr and tries again.
    allocated = min(header.bits_allocated, 12)
    stored = min(header.bits_stored, allocated)
    image.SetPixelFormat(gdcm.PixelFormat(1, allocated, stored, stored - 1, 0))
    values = image.GetBuffer()  # a char* that SWIG gives as text
    if values is None:
        raise RuntimeError("GDCM cannot decode the frame")
    kind = np.uint8 if allocated <= 8 else np.uint16
    return np.frombuffer(values.encode("utf-8", "surrogateescape"), dtype=kind).reshape(header.rows, header.columns)
