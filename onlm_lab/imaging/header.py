"""What one slice of a CT says about itself, as its DICOM header has it."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from pydicom.config import IGNORE
from pydicom.uid import UID

from onlm_lab.imaging.frames import Frame
from onlm_lab.imaging.whereabouts import safe_place

DIRECTORY_STORAGE = "1.2.840.10008.1.3.10"
UNREADABLE = ("the header",)  # the elements of a header that cannot be read at all
_HIDDEN = ("file", "patient", "tells", "frames")


class Header(NamedTuple):
    """What one DICOM file, or one frame of it, says about itself. Nothing in it tells who the patient is but `file`.

    A tuple, since an index holds millions of them and sends them from one process to another.

    Attributes:
        file: relative to the folder that was read, with slashes; its parts may bear the patient's name.
        tells: which parts of "<that folder's name>/<file>" do, counted from 0.
        patient: a digest of PatientID, or of the name where there is none.
        frame: number of the frame in a multi-frame file, from 0; -1 for a file that is one slice.
        frames: what the functional groups of a multi-frame file say, until `slices_of` makes a header of each.
        number: InstanceNumber; it orders nothing, but a hole in it tells of a lost slice.
        phase, stack, acquisition: what tells slices at one place apart.
        hint: the kind of series (see kinds.KINDS) that its description names.
        unreadable: elements whose value is not what its type demands.
    """

    file: str
    size_bytes: int
    modified_ns: int
    series_uid: str = ""
    study_uid: str = ""
    sop_class_uid: str = ""
    modality: str = ""
    frame_of_reference_uid: str = ""
    image_type: tuple[str, ...] = ()
    position_mm: tuple[float, ...] = ()
    orientation: tuple[float, ...] = ()
    pixel_spacing_mm: tuple[float, ...] = ()
    rows: int = 0
    columns: int = 0
    n_frames: int = 1
    frame: int = -1
    samples: int = 1
    bits_allocated: int = 0
    bits_stored: int = 0
    high_bit: int = 0
    signed: bool = False
    slope: float = float("nan")  # a CT without its rescale has no Hounsfield units
    intercept: float = float("nan")
    rescale_type: str = ""
    padding: int | None = None
    padding_limit: int | None = None
    lossy: bool = False
    transfer_syntax: str = ""
    pixel_offset: int = -1
    pixel_bytes: int = -1  # as the header says; -1 where it leaves it open
    thickness_mm: float = float("nan")
    kernel: str = ""
    kvp: float = float("nan")
    gantry_degrees: float = float("nan")
    manufacturer: str = ""
    model: str = ""
    contrast: bool = False
    patient_position: str = ""
    acquisition: str = ""
    number: int | None = None
    phase: str = ""
    stack: str = ""
    hint: str = ""
    body_part: str = ""
    unreadable: tuple[str, ...] = ()
    patient: str = ""
    tells: tuple[int, ...] = ()
    frames: tuple[Frame, ...] = ()

    def __repr__(self) -> str:
        """Without what may tell who the patient is."""
        shown = (f"{name}={value!r}" for name, value in self._asdict().items() if name not in _HIDDEN)
        return f"Header({', '.join(shown)})"

    @property
    def is_directory(self) -> bool:
        """Whether the file is a DICOMDIR."""
        return self.sop_class_uid == DIRECTORY_STORAGE

    @property
    def named(self) -> str:
        """The file as a message names it."""
        return safe_place(f"/{self.file}", self.tells)


GROUPS = "PerFrameFunctionalGroupsSequence with a group for every frame"


def slices_of(headers: list[Header]) -> list[Header]:
    """One header a slice: a multi-frame file becomes its frames, all else stays as it is."""
    if not any(header.frames for header in headers):
        return headers
    found = []
    for header in headers:
        if not header.frames:
            found.append(header)
            continue
        bad = header.unreadable + (() if len(header.frames) == header.n_frames else (GROUPS,))
        for k, frame in enumerate(header.frames):
            said = {name: getattr(frame, name) for name in Frame.__slots__}
            kept = {name: value for name, value in said.items() if value == value and value not in ("", ())}
            found.append(header._replace(frame=k, frames=(), unreadable=bad, **kept))
    return found


def slice_name(header: Header) -> str:
    """A slice as a message names it: its file, made safe, the frame in it, and its position."""
    frame = f" frame {header.frame + 1}" if header.frame >= 0 else ""
    where = f" at z = {header.position_mm[2]:.2f} mm" if len(header.position_mm) == 3 else ""
    return f"'{header.named}'{frame}{where}"


def syntax_name(header: Header) -> str:
    """The transfer syntax in words; one that DICOM does not know keeps its number."""
    return UID(header.transfer_syntax, IGNORE).name


@lru_cache(maxsize=64)
def _byte_order(transfer_syntax: str) -> str | None:
    syntax = UID(transfer_syntax, IGNORE)
    if not syntax.is_transfer_syntax or syntax.is_compressed or syntax.is_deflated:
        return None
    return "<" if syntax.is_little_endian else ">"


def native_order(header: Header) -> str | None:
    """The byte order ("<" or ">") of uncompressed pixels that can be read in place; None where a decoder is needed."""
    alone = header.n_frames == 1 or header.frame >= 0
    if header.bits_allocated != 16 or header.samples != 1 or not alone or header.pixel_offset <= 0:
        return None
    return _byte_order(header.transfer_syntax)


def first_byte(header: Header) -> int:
    """Where in the file the native pixels of this slice start."""
    return header.pixel_offset + max(header.frame, 0) * 2 * header.rows * header.columns
