"""What a run's final models look at and react to: python -m onlm_lab.learning.explain RUN_FOLDER [--cache FOLDER]

Writes saliency/ (pictures with Grad-CAM of all patients, with occlusion of some, attention) and effects.csv, for pages
that have no torch (see `explained`). Needs a run whose weights are there. Started again after a kill, it goes on with
the patients that are not done; other weights or patches make all anew.

Only the final model is there to be looked at. It has learnt from the labelled patients: what it shows of them
(seen_in_training 1) is how it sees what it knows. Of the others (0) it is what it makes of somebody new.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from tqdm.auto import tqdm

from onlm_lab import schema, steps
from onlm_lab.errors import OnlmError
from onlm_lab.learning.effects import COLUMNS, effects, left_out
from onlm_lab.learning.explained import EFFECTS, FOLDER, INDEX, load_explained, write_explained, write_index
from onlm_lab.learning.features import BATCH_PATIENTS, backbone_features
from onlm_lab.learning.pictured import backbone_of, explain_patients
from onlm_lab.learning.saliency import KINDS, WINDOW_FRACTION, find_map
from onlm_lab.learning.saved import SavedModel, open_backbone, open_saved, saved_models
from onlm_lab.learning.train import open_patches, repeatable
from onlm_lab.patches import PatchCache, file_name
from onlm_lab.runs import Run

OCCLUDED = 24  # patients: fifty times the work of a Grad-CAM


def explain_run(
    folder: Path, *, cache: Path | None, n_patients: int | None = None, n_occluded: int = OCCLUDED,
    progress: bool = True,
) -> None:  # fmt: skip
    """Writes effects.csv and, where a model sees the CT, saliency/ into a run's folder.

    Args:
        folder: runs/<id>/.
        cache: folder of patches; None where no model sees images.
        n_patients: pictures of so many, evenly from the lowest to the highest risk; None: of all.
        n_occluded: of how many of these occlusion too, chosen alike.
        progress: show bars on stderr.

    Raises:
        OnlmError: the training is not finished, its files do not fit, or patches are missing.
    """
    for name, value in (("patients", n_patients), ("occlusion", n_occluded)):
        if value is not None and value < 0:
            raise OnlmError(f"--{name} is {value}; wanted 0 or more.")
    run = Run(Path(folder))
    patients = run.patients.sort_values("patient_id", kind="stable", ignore_index=True)
    taught = patients[patients["role"] == "labelled"]
    known = saved_models(run)
    shown = next((name for name in ("fused", "image") if name in known), None)
    parts = []
    with repeatable():
        if "clinical" in known:
            saved = open_saved(run, "clinical")
            parts.append(_effects(saved, patients, taught=taught, codes=saved.codes(patients)))
        if shown is not None:
            patches = open_patches(cache, patients=patients, study=run.study)
            backbone = open_backbone(run)
            saved = open_saved(run, shown, backbone=backbone)
            features = None
            if saved.frozen:  # as training kept them
                features = backbone_features(
                    patches, patient_ids=patients["patient_id"].tolist(), backbone=backbone, layout=saved.layout,
                    folder=run.folder,
                )  # fmt: skip
            codes = _codes(saved, patients, patches=patches, features=features, progress=progress)
            if saved.encoders:
                parts.append(_effects(saved, patients, taught=taught, codes=codes))
            logit = saved.classify(codes).mean(axis=0)
            chosen = _evenly(logit, n=n_patients, among=np.arange(len(logit)))
            _draw_all(
                saved, patients.iloc[chosen].reset_index(drop=True), patches=patches, run=run, progress=progress,
                features=None if features is None else features[chosen],
                occluded=np.isin(chosen, _evenly(logit, n=n_occluded, among=chosen)),
            )  # fmt: skip
    table = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=COLUMNS)
    schema.write_table(table, run.folder / EFFECTS)


def _effects(saved: SavedModel, patients: pd.DataFrame, *, taught: pd.DataFrame, codes: list[Tensor]) -> pd.DataFrame:
    for name, why in left_out(saved.columns).items():
        sys.stderr.write(f"  left out of {EFFECTS}: {name} in {saved.model_id} ({why})\n")
    return effects(saved, patients, taught=taught, codes=codes)


def _codes(
    saved: SavedModel, patients: pd.DataFrame, *, patches: PatchCache, features: np.ndarray | None, progress: bool
) -> list[Tensor]:
    """What each seed's network sees of every patient."""
    ids = patients["patient_id"].tolist()
    if features is not None:
        return saved.codes(patients, features=features)
    found = []
    for rows in _batches(len(ids), what="looking", progress=progress):
        found.append(saved.codes(patients.iloc[rows], patches=patches.array(ids[rows])))
    return [torch.cat(parts) for parts in zip(*found, strict=True)]


def _batches(n: int, *, what: str, progress: bool) -> Iterator[slice]:
    starts = range(0, n, BATCH_PATIENTS)
    for start in tqdm(starts, desc=what, unit="batch", disable=not progress):
        yield slice(start, min(start + BATCH_PATIENTS, n))


def _evenly(logit: np.ndarray, *, n: int | None, among: np.ndarray) -> np.ndarray:
    """So many row numbers (of `among`, all where n is None), evenly from the lowest to the highest logit; sorted."""
    if n is None or n >= len(among):
        return among
    order = among[np.argsort(logit[among], kind="stable")]
    return np.sort(order[np.rint(np.linspace(0, len(order) - 1, n)).astype(int)])


def _draw_all(
    saved: SavedModel, patients: pd.DataFrame, *, occluded: np.ndarray, features: np.ndarray | None,
    patches: PatchCache, run: Run, progress: bool,
) -> None:  # fmt: skip
    """Every patient's file, batch by batch, and the index last."""
    folder = _folder(run, patches=patches, model_id=saved.model_id)
    kinds = _kinds(saved, patients, patches=patches)
    for rows in _batches(len(patients), what="saliency", progress=progress):
        some = patients.iloc[rows].reset_index(drop=True)
        done = np.array([
            _is_done(folder, patient, kinds=_wanted(kinds, occluded=also))
            for patient, also in zip(some["patient_id"], occluded[rows], strict=True)
        ])  # fmt: skip
        if done.all():
            continue
        found = explain_patients(  # always the whole batch: in a smaller one the last digits are others
            saved, some, patches=patches.array(some["patient_id"].tolist()).astype(np.float32),
            features=None if features is None else features[rows], grad_cam="grad_cam" in kinds,
            occluded=occluded[rows] & ~done,
        )  # fmt: skip
        for shown in (one for one, whole in zip(found, done, strict=True) if not whole):
            write_explained(folder, shown)
    paths = [folder / f"{file_name(patient)}.npz" for patient in patients["patient_id"]]
    write_index(folder, paths)


def _folder(run: Run, *, patches: PatchCache, model_id: str) -> Path:
    """saliency/, emptied where it was made from something else, and without its index until all is done."""
    inputs = steps.digest(
        run.study.digest("patch", "model"), run.folder / "weights.safetensors", run.folder / "patients.csv",
        patches.digest, model_id, WINDOW_FRACTION, torch.__version__,
    )  # fmt: skip
    folder = steps.folder_for(run.folder / FOLDER, inputs=inputs)
    (folder / INDEX).unlink(missing_ok=True)
    return folder


def _kinds(saved: SavedModel, patients: pd.DataFrame, *, patches: PatchCache) -> tuple[str, ...]:
    """The kinds of map that this model can have; why not Grad-CAM, is said."""
    if patients.empty:
        return KINDS
    one = torch.from_numpy(patches.array([patients["patient_id"].iloc[0]]).astype(np.float32))
    batch = saved.batch(one, patients.iloc[:1], seed=0)
    try:
        find_map(backbone_of(saved.networks[0]), batch.image[:, 0])
    except OnlmError as error:
        sys.stderr.write(f"  left out of {FOLDER}: {error}\n")
        return ("occlusion",)
    return KINDS


def _wanted(kinds: tuple[str, ...], *, occluded: bool) -> tuple[str, ...]:
    return tuple(kind for kind in kinds if kind != "occlusion" or occluded)


def _is_done(folder: Path, patient_id: str, *, kinds: tuple[str, ...]) -> bool:
    path = folder / f"{file_name(patient_id)}.npz"
    if not path.is_file():
        return False
    try:
        return set(kinds) <= set(load_explained(path).kinds)
    except OnlmError:
        return False


def main(arguments: list[str] | None = None) -> int:
    """The command: 0 when finished, 2 with one sentence on stderr when the user must act."""
    parser = argparse.ArgumentParser(prog="onlm_lab.learning.explain", description="Explain a run's final models.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--cache", type=Path, default=None)
    parser.add_argument("--patients", type=int, default=None, help="pictures of so many patients (default: all)")
    parser.add_argument("--occlusion", type=int, default=OCCLUDED, help="occlusion of so many (default: %(default)s)")
    parser.add_argument("--quiet", action="store_true", help="no progress bars")
    given = parser.parse_args(arguments)
    try:
        explain_run(
            given.folder, cache=given.cache, n_patients=given.patients, n_occluded=given.occlusion,
            progress=not given.quiet,
        )  # fmt: skip
    except OnlmError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
