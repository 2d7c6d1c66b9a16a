"""What was saved to explain a run, read without torch: pictures with their saliency, attention, effects.

runs/<id>/
  effects.csv              patient_id, model_id, predictor, value, risk: the risk if that one value were another
  saliency/index.csv       patient_id, file, model_id, kinds, seen_in_training; written last
  saliency/attention.csv   patient_id, view, attention: shares of a patient's views, which sum to 1
  saliency/<name>.npz      a patient's pictures (see `Explained`); numbers and text only, nothing pickled

    shown = read_explained(run, "P017")
    for picture in shown.pictures:
        picture.pixels, picture.maps["grad_cam"]          # (H,W) uint8, (H,W) float32 in units of the logit
"""

from __future__ import annotations

import io
import os
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from onlm_lab import runs, schema, steps
from onlm_lab.errors import OnlmError
from onlm_lab.patches import file_name
from onlm_lab.runs import Run

FOLDER, INDEX, ATTENTION, EFFECTS = "saliency", "index.csv", "attention.csv", "effects.csv"
KINDS = ("grad_cam", "occlusion")


@dataclass(frozen=True, eq=False)
class Picture:
    """A plane as radiologists look at it (head or front at the top, the patient's right at the left), and on it what
    raises the risk (positive) and what lowers it.

    Attributes:
        name: which plane, and its window.
        view: number of the model's view that it belongs to.
        pixels: uint8 (H,W), 0 the lower end of the window, 255 the upper.
        maps: by kind float32 (H,W), what each pixel adds to the logit.
    """

    name: str
    view: int
    pixels: np.ndarray
    maps: Mapping[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class Explained:
    """One patient, as the final model sees him.

    Attributes:
        patient_id, model_id: whom, and by which model; maps and attention are means over its seeds.
        seen_in_training: the model has learnt from this very patient: the map shows what it knows of him, not how well
            it does with others.
        views: names of the V views.
        attention: (V,) weight of each view, which sum to 1.
        field_mm: edge of every picture.
        pictures: one a view, or one a plane where a view has several planes as its colours.
    """

    patient_id: str
    model_id: str
    seen_in_training: bool
    views: tuple[str, ...]
    attention: np.ndarray
    field_mm: float
    pictures: tuple[Picture, ...]

    @property
    def kinds(self) -> tuple[str, ...]:
        """Which maps there are; none of a patient without occlusion where the backbone has no map for Grad-CAM."""
        return tuple(self.pictures[0].maps)


def write_explained(folder: Path, shown: Explained) -> Path:
    """Writes one patient's file whole or not at all; gives its place."""
    arrays = {
        "patient_id": np.array(shown.patient_id), "model_id": np.array(shown.model_id),
        "seen_in_training": np.array(shown.seen_in_training), "views": np.array(shown.views),
        "attention": shown.attention.astype(np.float32), "field_mm": np.array(shown.field_mm),
        "names": np.array([picture.name for picture in shown.pictures]),
        "view": np.array([picture.view for picture in shown.pictures]),
        "pixels": np.stack([picture.pixels for picture in shown.pictures]),
    }  # fmt: skip
    for kind in shown.kinds:
        arrays[kind] = np.stack([picture.maps[kind] for picture in shown.pictures]).astype(np.float16)
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)
    path = folder / f"{file_name(shown.patient_id)}.npz"
    with steps.whole_or_not(path) as half, half.open("wb") as file:
        file.write(stream.getvalue())
        file.flush()
        os.fsync(file.fileno())
    return path


def load_explained(path: Path) -> Explained:
    """One patient's file.

    Raises:
        OnlmError: it is not there, or damaged.
    """
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}  # each is held against its checksum as it is read
        kinds = [kind for kind in KINDS if kind in arrays]
        pictures = tuple(
            Picture(
                name=str(name), view=int(view), pixels=pixels,
                maps={kind: arrays[kind][k].astype(np.float32) for kind in kinds},
            )
            for k, (name, view, pixels) in enumerate(
                zip(arrays["names"], arrays["view"], arrays["pixels"], strict=True)
            )
        )  # fmt: skip
        return Explained(
            patient_id=str(arrays["patient_id"]), model_id=str(arrays["model_id"]),
            seen_in_training=bool(arrays["seen_in_training"]), views=tuple(map(str, arrays["views"])),
            attention=arrays["attention"], field_mm=float(arrays["field_mm"]), pictures=pictures,
        )  # fmt: skip
    except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        raise OnlmError(
            f"{FOLDER}/{path.name} is lost or damaged ({type(error).__name__}). Explain the run again: only what is "
            "damaged is made anew."
        ) from error


def write_index(folder: Path, paths: Sequence[Path]) -> None:
    """Writes attention.csv and, last, index.csv of these patients' files."""
    attention, index = [], []
    for path in paths:
        with np.load(path, allow_pickle=False) as file:  # what is not named here is not read
            patient, model = str(file["patient_id"]), str(file["model_id"])
            shares = zip(file["views"].tolist(), file["attention"].tolist(), strict=True)
            attention += [{"patient_id": patient, "view": view, "attention": share} for view, share in shares]
            index.append({
                "patient_id": patient, "file": path.name, "model_id": model,
                "kinds": ";".join(kind for kind in KINDS if kind in file.files),
                "seen_in_training": int(file["seen_in_training"]),
            })  # fmt: skip
    schema.write_table(pd.DataFrame(attention, columns=["patient_id", "view", "attention"]), folder / ATTENTION)
    columns = ["patient_id", "file", "model_id", "kinds", "seen_in_training"]
    schema.write_table(pd.DataFrame(index, columns=columns), folder / INDEX)


def read_index(run: Run) -> pd.DataFrame:
    """Whose pictures there are: patient_id, file, model_id, kinds (joined by ";", empty: none), seen_in_training (0/1).

    Raises:
        OnlmError: the run has not been explained.
    """
    index = _table(run, f"{FOLDER}/{INDEX}")
    return index.assign(kinds=index["kinds"].astype(object).where(index["kinds"].notna(), ""))


def read_attention(run: Run) -> pd.DataFrame:
    """patient_id, view, attention: what share of a patient's image each view is.

    Raises:
        OnlmError: the run has not been explained.
    """
    return _table(run, f"{FOLDER}/{ATTENTION}")


def read_explained(run: Run, patient_id: str) -> Explained:
    """One patient's pictures, maps and attention.

    Raises:
        OnlmError: the run has not been explained, the patient is not among those shown, or the file is damaged.
    """
    index = read_index(run)
    rows = index[index["patient_id"] == patient_id]
    if rows.empty:
        raise OnlmError(
            f"Run {run.id} shows no pictures of patient {patient_id}; it has those of {len(index)} patients"
            f"{_offer(patient_id, index['patient_id'])}."
        )
    return load_explained(run.folder / FOLDER / str(rows["file"].iloc[0]))


def read_effects(run: Run, *, patient_id: str | None = None) -> pd.DataFrame:
    """patient_id, model_id, predictor, value (text; empty: not known), risk. The model's effect, not a cause.

    Args:
        run: explained.
        patient_id: of one patient; None: of all.

    Raises:
        OnlmError: the run has not been explained, or there is no such patient.
    """
    effects = _table(run, EFFECTS, text=("value", "predictor", "model_id"))
    if patient_id is None:
        return effects
    rows = effects[effects["patient_id"] == patient_id]
    if rows.empty:
        offer = _offer(patient_id, effects["patient_id"].unique())
        raise OnlmError(f"Run {run.id}: {EFFECTS} has no patient {patient_id}{offer}.")
    return rows.reset_index(drop=True)


def _offer(patient_id: str, known: Sequence[str] | pd.Series) -> str:
    near = schema.nearest(patient_id, list(known))
    return f"; did you mean {near}?" if near else ""


def _table(run: Run, name: str, *, text: Sequence[str] = ()) -> pd.DataFrame:
    path = run.folder / name
    if not path.is_file():
        raise OnlmError(f"Run {run.id} has no {name}: it has not been explained. Finish it: `onlm run STUDY`.")
    kinds = dict.fromkeys((*runs.TEXT, *text), str)
    return pd.read_csv(path, dtype=kinds, keep_default_na=False, na_values=[""])
