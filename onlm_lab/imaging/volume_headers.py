"""What the header of a NIfTI, NRRD or MetaImage file says that ITK passes over: whether all of it may be believed.

ITK fills what a file leaves out (a place, a spacing), takes one of two places that contradict each other, ignores
units, reads NaN as 0 and a file that ends early as far as it goes. Each of these is found here, by the file's header.
"""

from __future__ import annotations

import gzip
import struct
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import SimpleITK as sitk

SAME_PLACE = 0.1  # of a voxel, at the far corner
HEADER_BYTES = 100_000
NIFTI1, NIFTI2 = 348, 540  # the first number of a NIfTI file
FLOATS = {16: "f4", 64: "f8"}  # datatype codes of NIfTI-1
SPACES = ("left-posterior-superior", "right-anterior-superior", "left-anterior-superior", "lps", "ras", "las")
CHUNK = 1 << 22


def files_of_volume(path: Path) -> list[Path]:
    """A file and, where it is the header alone (.mhd, .nhdr), the files that hold its voxels; those that are there."""
    name = path.name.lower()
    if not name.endswith((".mhd", ".nhdr")) or not path.is_file():
        return [path]
    said = _header_lines(path, ":" if name.endswith(".nhdr") else "=")
    named = said.get("elementdatafile") or said.get("data file") or said.get("datafile") or ""
    data = path.parent / named
    if named.upper() == "LOCAL" or not named:
        return [path]
    if named.upper().startswith("LIST") or not data.is_file():  # several, by a pattern or one a line
        return sorted(other for other in path.parent.iterdir() if other.is_file())
    return [path, data]


def is_nifti2(path: Path) -> bool:
    """Whether a file is NIfTI-2, which ITK does not read."""
    try:
        start = next(_chunks(path), b"")[:4]
    except (OSError, EOFError, zlib.error):
        return False
    return any(struct.unpack(f"{order}i", start)[0] == NIFTI2 for order in "<>") if len(start) == 4 else False


def doubt_of(path: Path, image: sitk.Image) -> str:
    """Why a file's place, unit or content may not be believed, as a sentence without its name; "" where it may.

    Args:
        path: the file.
        image: what ITK read of it, three-dimensional.
    """
    name = path.name.lower()
    if name.endswith((".nii", ".nii.gz")):
        return _nifti_place(image) or _nifti_content(path, image)
    said = _header_lines(path, ":" if name.endswith((".nrrd", ".nhdr")) else "=")
    return _nrrd(said) if name.endswith((".nrrd", ".nhdr")) else _meta(path, said, image)


def _nifti_place(image: sitk.Image) -> str:
    codes = {form: int(float(image.GetMetaData(f"{form}_code"))) for form in ("qform", "sform")}
    if not any(codes.values()):
        return (
            "It names no place in the patient (qform_code and sform_code are 0), so that left and right are unknown. "
            "Export it with one."
        )
    forms = {"qform": _qform, "sform": _sform}
    used = np.diag([-1.0, -1.0, 1.0, 1.0]) @ _affine(image)  # NIfTI's x and y run the other way
    far = np.array([*(np.array(image.GetSize()) - 1), 1.0])
    for form in (form for form, code in codes.items() if code):
        away = max(
            float(np.abs((forms[form](image) - used) @ end)[:3].max()) for end in (far, np.array([0, 0, 0, 1.0]))
        )
        if away > SAME_PLACE * min(image.GetSpacing()):
            return (
                f"Its {form} places voxels up to {away:.1f} mm elsewhere than its spacing and its other form do. "
                "Correct its header: qform, sform and pixdim have to agree."
            )
    return ""


def _affine(image: sitk.Image) -> np.ndarray:
    """From voxel x, y, z to mm in LPS, 4x4, as ITK has it."""
    affine = np.eye(4)
    affine[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * np.array(image.GetSpacing())
    affine[:3, 3] = image.GetOrigin()
    return affine


def _numbers(image: sitk.Image, *keys: str) -> list[float]:
    return [float(value) for key in keys for value in image.GetMetaData(key).split()]


def _sform(image: sitk.Image) -> np.ndarray:
    return np.vstack([np.reshape(_numbers(image, "srow_x", "srow_y", "srow_z"), (3, 4)), [0, 0, 0, 1]]) * _in_mm(image)


def _qform(image: sitk.Image) -> np.ndarray:
    """Method 2 of the NIfTI-1 standard (nifti1.h): a quaternion, an offset, and pixdim."""
    b, c, d = _numbers(image, "quatern_b", "quatern_c", "quatern_d")
    a = np.sqrt(max(0.0, 1.0 - b * b - c * c - d * d))
    turn = np.array([
        [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
        [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
        [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c],
    ])  # fmt: skip
    size = np.array(_numbers(image, "pixdim[1]", "pixdim[2]", "pixdim[3]"))
    size[2] *= -1.0 if _numbers(image, "pixdim[0]")[0] < 0 else 1.0
    affine = np.eye(4)
    affine[:3, :3] = turn * size
    affine[:3, 3] = _numbers(image, "qoffset_x", "qoffset_y", "qoffset_z")
    return affine * _in_mm(image)


def _in_mm(image: sitk.Image) -> np.ndarray:
    """What the upper rows of an affine are multiplied with: the file may be in metres or micrometres."""
    unit = {1: 1000.0, 3: 0.001}.get(int(float(image.GetMetaData("xyzt_units"))) & 7, 1.0)
    return np.array([[unit], [unit], [unit], [1.0]])


def _nifti_content(path: Path, image: sitk.Image) -> str:
    """Whether every voxel is in the file, and finite."""
    n_dimensions = int(float(image.GetMetaData("dim[0]")))
    n_voxels = int(np.prod([float(image.GetMetaData(f"dim[{k}]")) for k in range(1, n_dimensions + 1)]))
    offset, bits = (int(float(image.GetMetaData(key))) for key in ("vox_offset", "bitpix"))
    wanted = offset + n_voxels * bits // 8
    kind = FLOATS.get(int(float(image.GetMetaData("datatype"))))
    n_bytes = 0
    try:
        for chunk in _chunks(path):
            if n_bytes == 0:
                order = "<" if struct.unpack("<i", chunk[:4])[0] == NIFTI1 else ">"
            first, last = max(offset - n_bytes, 0), min(wanted - n_bytes, len(chunk))
            n_bytes += len(chunk)
            whole = chunk[first : first + max(0, last - first) // (bits // 8) * (bits // 8)]
            if kind and not np.isfinite(np.frombuffer(whole, dtype=order + kind)).all():
                return "It holds values that are not finite (NaN), which were no measurement. Give the CT itself."
    except (OSError, EOFError, zlib.error):
        return "It ends early or is damaged. Copy it again."
    return "It ends before its voxels do. Copy it again." if n_bytes < wanted else ""


def _chunks(path: Path) -> Iterator[bytes]:
    """The content of a file that may be compressed, piece by piece; pieces hold whole voxels of a NIfTI file."""
    opened = gzip.open(path) if path.name.lower().endswith(".gz") else open(path, "rb")
    with opened as stream:
        first = stream.read(352)  # header and extension flag, so that pieces start at a voxel
        yield first
        while chunk := stream.read(CHUNK):
            yield chunk


def _header_lines(path: Path, between: str) -> dict[str, str]:
    """The fields of a text header, names in lower case."""
    with open(path, "rb") as stream:
        text = stream.read(HEADER_BYTES).decode("latin-1")
    found: dict[str, str] = {}
    for line in text.splitlines():
        name, sign, value = line.partition(between)
        if between == ":" and not line.strip():
            break  # the header of NRRD ends with a blank line
        if sign:
            found.setdefault(name.strip().lower(), value.strip())
        if name.strip() == "ElementDataFile":
            break
    return found


def _nrrd(said: Mapping[str, str]) -> str:
    if said.get("space", "").lower().removesuffix("-time") not in SPACES:
        return (
            f"Its space is {said.get('space') or 'not named'}, so that left and right are unknown; wanted "
            f"{SPACES[0]}, {SPACES[1]} or {SPACES[2]}. Export it with one."
        )
    if "space directions" not in said:
        return "It names no space directions, so that the size of a voxel is unknown. Export it with them."
    units = {word for word in said.get("space units", "").replace('"', " ").split() if word}
    return f"Its unit is {', '.join(sorted(units))}; wanted mm." if units - {"mm"} else ""


def _meta(path: Path, said: Mapping[str, str], image: sitk.Image) -> str:
    if not {"elementspacing", "elementsize"} & set(said):
        return "It names no ElementSpacing, so that the size of a voxel is unknown. Export it with it."
    unit = said.get("distanceunits", "mm").lower()
    if unit not in ("mm", "?", ""):
        return f"Its unit is {unit}; wanted mm."
    scale = [
        said.get(f"elementtointensityfunction{name}", neutral) for name, neutral in (("slope", "1"), ("offset", "0"))
    ]
    if [float(value) for value in scale] != [1.0, 0.0]:
        return "It names another scale of its values (ElementToIntensityFunction...). Export it with values in HU."
    if said.get("compresseddata", "").lower() != "true":
        return ""  # ITK refuses one that ends early
    wanted = image.GetNumberOfPixels() * image.GetSizeOfPixelComponent()
    return "" if _inflated_bytes(path, said.get("elementdatafile", "")) == wanted else (
        "It does not hold as many voxels as it says: it ends early or is damaged. Copy it again."
    )  # fmt: skip


def _inflated_bytes(path: Path, data_file: str) -> int:
    """How many bytes the compressed part of a MetaImage holds; -1 where it cannot be inflated."""
    local = data_file.upper() == "LOCAL"
    content = path.read_bytes() if local else (path.parent / data_file).read_bytes()
    if local:
        mark = content.find(b"\n", content.find(b"ElementDataFile"))
        content = content[mark + 1 :]
    try:
        return len(zlib.decompress(content))
    except zlib.error:
        return -1
