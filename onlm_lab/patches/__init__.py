"""What a patch around a tumour is, and the folder that holds one a patient; numpy only, no DICOM, no torch."""

from onlm_lab.patches.cache import (
    SPEC_FILE,
    PatchCache,
    create_cache,
    drop_broken_rows,
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
    "SPEC_FILE",
    "PatchCache",
    "PatchSpec",
    "create_cache",
    "cut_planes",
    "drop_broken_rows",
    "file_name",
    "has_row",
    "npy_bytes",
    "open_cache",
    "pack",
    "row_key",
    "write_patch",
]
