"""What a patch around a tumour is, and the folder that holds one a patient; numpy only, no DICOM, no torch."""

from onlm_lab.patches.cache import (
    PatchCache,
    create_cache,
    file_name,
    has_row,
    npy_bytes,
    open_cache,
    pack,
    row_key,
    write_patch,
)
from onlm_lab.patches.spec import PatchSpec, cut_planes

__all__ = [
    "PatchCache",
    "PatchSpec",
    "create_cache",
    "cut_planes",
    "file_name",
    "has_row",
    "npy_bytes",
    "open_cache",
    "pack",
    "row_key",
    "write_patch",
]
