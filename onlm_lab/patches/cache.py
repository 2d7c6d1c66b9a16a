"""The cache of image patches: one file a patient, which training reads back, and what was measured beside it.

A row is two files: `patches/<name>-<key>.npy` (int16 HU) and `rows/<name>.json`, which is written last and names the
first. A run killed at any point leaves only whole rows behind.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from onlm_lab.errors import OnlmError
from onlm_lab.patches.spec import OF_THE_CUBE, PatchSpec, digest, plain_value
from onlm_lab.showing import Said, quantity, shows_itself

if TYPE_CHECKING:
    import pandas as pd
SPEC_FILE = "spec.json"
HALF = ".tmp"  # of a file that is being written
ROW = {"patient_id", "file", "key", "sha256", "beside", "seals", "facts"}
PACK_FILE, PACK_INDEX = "pack.npy", "pack.json"


@shows_itself
@dataclass(frozen=True, eq=False)
class PatchCache:
    """A folder of patches that belong to one spec.

    Attributes:
        folder: where the cache lies.
        spec: what every patch in it is.
        rows: patient_id -> row (file, key, sha256, facts), sorted by patient_id.
    """

    folder: Path
    spec: PatchSpec
    rows: Mapping[str, Mapping[str, Any]]

    def _said(self) -> Said:
        n = " x ".join(map(str, self.spec.shape))
        n_masks = sum("mask" in row["beside"] for row in self.rows.values())
        facts = {
            "patients": len(self.rows), "with a contour": n_masks, "voxels": n,
            "spacing": quantity(self.spec.spacing_mm, "mm"), "folder": self.folder,
            "first patients": self.patient_ids[:3],
        }  # fmt: skip
        return Said(f"Patches of {len(self.rows)} patients, {n} voxels each, in '{self.folder.name}'", facts)

    @property
    def patient_ids(self) -> tuple[str, ...]:
        """The patients with a patch, sorted."""
        return tuple(self.rows)

    @property
    def digest(self) -> str:
        """Stands for the content, that is the spec, the patients and every voxel of their patches."""
        return digest([self.spec.digest, [[patient, row["sha256"]] for patient, row in self.rows.items()]])

    @property
    def files(self) -> list[Path]:
        """Every file that a row names, and the rows themselves."""
        named = {file for row in self.rows.values() for file in row["seals"]}
        return [*sorted((self.folder / "rows").glob("*.json")), *(self.folder / file for file in sorted(named))]

    @property
    def facts(self) -> pd.DataFrame:
        """One row a patient, patient_id and the facts that were measured when the patch was cut."""
        import pandas as pd  # the cache itself needs numpy only

        return pd.DataFrame([{"patient_id": patient, **row["facts"]} for patient, row in self.rows.items()])

    def load(self, patient_id: str) -> np.ndarray:
        """The patch of one patient, float32 (z,y,x) in HU.

        Raises:
            OnlmError: the patient has no patch, or its file is gone or damaged.
        """
        row = self._row(patient_id)
        patch = self._loaded(row, row["file"], f"The patch of patient {patient_id}")
        if patch.shape != self.spec.shape:
            raise OnlmError(f"The patch of patient {patient_id} has shape {patch.shape}, wanted {self.spec.shape}.")
        return patch.astype(np.float32)

    def load_mask(self, patient_id: str) -> np.ndarray | None:
        """The tumour on the patch of one patient, bool (z,y,x); None where there was only a point.

        Raises:
            OnlmError: the patient has no patch, or the mask's file is gone or damaged.
        """
        row = self._row(patient_id)
        file = row["beside"].get("mask")
        if file is None:
            return None
        packed = self._loaded(row, file, f"The mask of patient {patient_id}")
        bits = np.unpackbits(packed, count=int(np.prod(self.spec.shape)))
        return bits.reshape(self.spec.shape).astype(bool)

    def sheet(self, patient_id: str) -> Path | None:
        """The picture of a patient for the contact sheet, where there is one."""
        file = self._row(patient_id)["beside"].get("sheet")
        return None if file is None else self.folder / file

    def array(self, patient_ids: Sequence[str] | None = None) -> np.ndarray:
        """The patches of several patients in the order given, int16 (n,z,y,x) in HU; None takes all.

        Uses the packed file where it belongs to this cache; then nothing is copied for all patients in order.
        """
        wanted = self.patient_ids if patient_ids is None else tuple(patient_ids)
        rows = [self._row(patient) for patient in wanted]
        packed = self._packed()
        if packed is not None:
            place = {patient: k for k, patient in enumerate(self.patient_ids)}
            chosen = [place[patient] for patient in wanted]
            return packed if chosen == list(range(len(packed))) else packed[chosen]
        stack = np.empty((len(rows), *self.spec.shape), dtype=np.int16)
        for k, patient in enumerate(wanted):
            stack[k] = self.load(patient)
        return stack

    def _loaded(self, row: Mapping[str, Any], file: str, what: str) -> np.ndarray:
        """The array in one file of a row, held against what was written."""
        try:
            content = (self.folder / file).read_bytes()
        except OSError:
            content = b""
        if _seal(content) != row["seals"][file]:
            raise OnlmError(f"{what} is lost or damaged. Prepare the images again; only what is damaged is cut.")
        return np.load(io.BytesIO(content), allow_pickle=False)

    def _row(self, patient_id: str) -> Mapping[str, Any]:
        if patient_id not in self.rows:
            raise OnlmError(
                f"Patient {patient_id} has no patch among the {len(self.rows)} of '{self.folder.name}'. "
                "Prepare the images of this patient first."
            )
        return self.rows[patient_id]

    def _packed(self) -> np.ndarray | None:
        index = self.folder / PACK_INDEX
        if not index.exists() or json.loads(index.read_text(encoding="utf-8")).get("digest") != self.digest:
            return None
        return np.load(self.folder / PACK_FILE, mmap_mode="r", allow_pickle=False)


def row_key(
    spec: PatchSpec,
    *,
    series_uid: str,
    files_digest: str,
    centre_mm: Sequence[float],
    mask_digest: str = "",
    reader_version: str,
    settings: Mapping[str, Any] | None = None,
) -> str:
    """The key of one patch: it changes when anything changes that the patch, or a fact beside it, was made from.

    Args:
        spec: of the patch; only what the cube's voxels depend on counts.
        series_uid, files_digest: the series, and the state of its files.
        centre_mm: x, y, z, or nothing where the mask gives it.
        mask_digest: of the mask's content.
        reader_version: of the reader.
        settings: what else decides: treatments of faults, the solid cut, limits of quality.
    """
    place = [repr(float(value)) for value in centre_mm]
    parts = [spec.cube_digest, series_uid, files_digest, place, mask_digest, reader_version]
    return digest([*parts, dict(settings)] if settings else parts)


def create_cache(folder: str | os.PathLike, *, spec: PatchSpec) -> Path:
    """The folder of a cache, made if needed, that holds patches of this spec only.

    Raises:
        OnlmError: the folder holds patches of another spec; the message names what differs.
    """
    folder = Path(folder)
    path = folder / SPEC_FILE
    for name in ("patches", "rows"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for half in (*folder.glob(f".*{HALF}"), *folder.glob(f"*/.*{HALF}")):  # of a run that was killed, or a full disk
        half.unlink(missing_ok=True)
    if path.exists():
        _same_spec(folder, _read_spec(folder), spec)
        return folder
    _write(path, json.dumps(asdict(spec), indent=1, sort_keys=True).encode())
    return folder


def has_row(cache_dir: str | os.PathLike, *, patient_id: str, key: str) -> bool:
    """Whether the patch of a patient is there, whole, and made from exactly what the key stands for."""
    row = _read_row(Path(cache_dir) / "rows" / f"{file_name(patient_id)}.json")
    if row is None or row["key"] != key or row["patient_id"] != patient_id:
        return False
    return all(_is_whole(Path(cache_dir) / file, seal) for file, seal in row["seals"].items())


def write_patch(
    cache_dir: str | os.PathLike, *, patient_id: str, patch: np.ndarray, key: str, facts: Mapping[str, Any],
    mask: np.ndarray | None = None, sheet: bytes | None = None,
) -> Path:  # fmt: skip
    """Writes one patient's patch and facts so that a killed run leaves either all of the row or none; gives its file.

    Args:
        cache_dir: made by `create_cache`.
        patient_id: any text; the file's name is safe whatever it holds.
        patch: (z,y,x) in HU, rounded to whole HU; the shape must be the spec's.
        key: of `row_key`.
        facts: plain numbers, texts and None, kept beside the patch.
        mask: bool (z,y,x), the tumour on the patch's voxels, where there is a mask.
        sheet: a PNG to look at: the patient's row of the contact sheet.

    Raises:
        OnlmError: the cache does not exist or a shape is not the spec's.
    """
    cache_dir = Path(cache_dir)
    spec = _read_spec(cache_dir)
    if patch.shape != spec.shape:
        raise OnlmError(f"The patch of patient {patient_id} has shape {patch.shape}; the spec wants {spec.shape}.")
    if mask is not None and mask.shape != spec.shape:
        raise OnlmError(f"The mask of patient {patient_id} has shape {mask.shape}; the spec wants {spec.shape}.")
    name = file_name(patient_id)
    values = np.clip(np.rint(patch), -32768, 32767).astype(np.int16)
    file = f"patches/{name}-{key[:12]}.npy"
    path = cache_dir / file
    _write(path, npy_bytes(values))
    beside = {}
    if mask is not None:
        beside["mask"] = f"patches/{name}-{key[:12]}-mask.npy"
        _write(cache_dir / beside["mask"], npy_bytes(np.packbits(mask)))
    if sheet is not None:
        beside["sheet"] = f"patches/{name}-{key[:12]}.png"
        _write(cache_dir / beside["sheet"], sheet)
    row = {
        "patient_id": patient_id,
        "file": file,
        "key": key,
        "sha256": hashlib.sha256(values.tobytes()).hexdigest(),
        "beside": beside,
        "seals": {name: _seal((cache_dir / name).read_bytes()) for name in (file, *beside.values())},
        "facts": {name: plain_value(value) for name, value in facts.items()},
    }
    place = cache_dir / "rows" / f"{name}.json"
    before = _read_row(place)
    _write(place, json.dumps(row, indent=1, allow_nan=False).encode())
    for old in (set(before["seals"]) if before is not None else set()) - set(row["seals"]):
        (cache_dir / old).unlink(missing_ok=True)
    return path


def drop_broken_rows(cache_dir: str | os.PathLike) -> None:
    """Removes the rows that are damaged or lost a file; of patients who are still wanted they are cut again."""
    for path in (Path(cache_dir) / "rows").glob("*.json"):
        row = _read_row(path)
        if row is None or not all((Path(cache_dir) / file).exists() for file in row["seals"]):
            path.unlink(missing_ok=True)


def _seal(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _is_whole(path: Path, seal: str) -> bool:
    """Whether a file holds what was written."""
    try:
        return _seal(path.read_bytes()) == seal
    except OSError:
        return False


def npy_bytes(values: np.ndarray) -> bytes:
    """An array as the bytes of a .npy file."""
    stream = io.BytesIO()
    np.save(stream, np.ascontiguousarray(values), allow_pickle=False)
    return stream.getvalue()


def open_cache(folder: str | os.PathLike, *, spec: PatchSpec | None = None) -> PatchCache:
    """A cache of patches to read from.

    Args:
        folder: made by `create_cache`.
        spec: what is wanted; None takes what is there.

    Raises:
        OnlmError: no cache, patches of another spec than wanted, or a row without its file.
    """
    folder = Path(folder)
    found = _read_spec(folder)
    if spec is not None:
        _same_spec(folder, found, spec)
        found = spec
    rows = [row for path in sorted((folder / "rows").glob("*.json")) if (row := _read_row(path)) is not None]
    lost = [row["patient_id"] for row in rows if not (folder / row["file"]).exists()]
    if lost:
        raise OnlmError(
            f"'{folder.name}' lost the patches of {len(lost)} of {len(rows)} patients ({', '.join(lost[:5])}). "
            "Prepare the images again; only these are cut."
        )
    return PatchCache(folder, found, {row["patient_id"]: row for row in sorted(rows, key=lambda r: r["patient_id"])})


def pack(cache: PatchCache) -> Path:
    """Joins all patches of a cache into one memory map, int16 (n,z,y,x), used from then on; gives its file."""
    path = cache.folder / PACK_FILE
    temporary = _temporary(path)
    shape = (len(cache.rows), *cache.spec.shape)
    joined = np.lib.format.open_memmap(temporary, mode="w+", dtype=np.int16, shape=shape)
    for k, patient in enumerate(cache.patient_ids):
        joined[k] = cache.load(patient)
    joined.flush()
    del joined
    (cache.folder / PACK_INDEX).unlink(missing_ok=True)
    os.replace(temporary, path)
    index = {"digest": cache.digest, "patient_ids": cache.patient_ids}
    _write(cache.folder / PACK_INDEX, json.dumps(index).encode())
    return path


def _read_spec(folder: Path) -> PatchSpec:
    path = folder / SPEC_FILE
    if not path.exists():
        raise OnlmError(f"'{folder.name}' is not a cache of patches: it has no {SPEC_FILE}. Prepare the images first.")
    try:
        return PatchSpec(**json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise OnlmError(
            f"'{folder.name}/{SPEC_FILE}' is damaged. Delete the folder '{folder.name}' and prepare the images again."
        ) from error


def _same_spec(folder: Path, found: PatchSpec, wanted: PatchSpec) -> None:
    names = [name for name in OF_THE_CUBE if getattr(found, name) != getattr(wanted, name)]
    if not names:
        return
    differ = ", ".join(f"{name} {getattr(found, name)} there, {getattr(wanted, name)} wanted" for name in names)
    raise OnlmError(f"'{folder.name}' holds patches of another spec: {differ}. Use another cache folder.")


def _read_row(path: Path) -> dict[str, Any] | None:
    """What a row says; None where it is absent, damaged, or of an earlier form: it is cut again."""
    try:
        row = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    return row if isinstance(row, dict) and row.keys() >= ROW else None


def _write(path: Path, content: bytes) -> None:
    temporary = _temporary(path)
    with open(temporary, "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(temporary, path)


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}{HALF}")


def file_name(patient_id: str) -> str:
    """A patient's name for a file: safe on every file system, different for different patients whatever their case."""
    slug = re.sub(r"[^A-Za-z0-9-]+", "_", patient_id)[:24].strip("_") or "patient"
    return f"{slug}-{hashlib.sha256(patient_id.encode('utf-8', 'surrogateescape')).hexdigest()[:12]}"
