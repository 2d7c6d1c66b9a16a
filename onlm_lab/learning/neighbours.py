"""Which patients look most alike to a run's final model, without torch.

    nearest(run, "P017", n=5)        # patient_id, distance, rank

Alike is what the model sees, just before its last step (embeddings.npy): table and image side by side, each number in
units of its spread over the training patients. That two patients are alike to a model says nothing of why, and their
outcomes are no forecast: it lets a reader see whom the model takes for whom.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from onlm_lab import runs, schema
from onlm_lab.errors import OnlmError
from onlm_lab.runs import Run

EMBEDDINGS, IDS = "embeddings.npy", "embeddings_ids.csv"


def nearest(run: Run, patient_id: str, *, n: int = 5, labelled_only: bool = False) -> pd.DataFrame:
    """The patients nearest to one, nearest first: patient_id, distance, rank (from 1).

    Args:
        run: a finished run.
        patient_id: who; not among the found.
        n: how many at most.
        labelled_only: only patients whom the model has learnt from, whose nodes are known.

    Raises:
        OnlmError: n is below 1, there is no such patient, or the run has no embeddings or they do not fit it.
    """
    if n < 1:
        raise OnlmError(f"nearest: n is {n}; wanted 1 or more.")
    ids, codes = _embeddings(run)
    if patient_id not in ids:
        near = schema.nearest(patient_id, ids)
        offer = f"; did you mean {near}?" if near else "."
        raise OnlmError(f"Run {run.id} has no patient {patient_id} among its {len(ids)}{offer}")
    patients = run.patients
    labelled = np.isin(ids, patients.loc[patients["role"] == "labelled", "patient_id"])
    codes = _standardised(codes, taught=labelled)
    distance = np.linalg.norm(codes - codes[ids.index(patient_id)], axis=1)
    candidates = np.array(ids) != patient_id
    if labelled_only:
        candidates &= labelled
    rows = np.flatnonzero(candidates)
    rows = rows[np.lexsort((np.array(ids)[rows], distance[rows]))][:n]  # ties by name
    return pd.DataFrame({
        "patient_id": [ids[k] for k in rows], "distance": distance[rows], "rank": np.arange(1, len(rows) + 1)
    })  # fmt: skip


def _standardised(codes: np.ndarray, *, taught: np.ndarray) -> np.ndarray:
    """In units of the training patients' spread; what is the same in all of them (a value never missing) has none and
    stays as it is."""
    codes = codes.astype(np.float64)
    known = codes[taught] if taught.any() else codes
    spread = known.std(axis=0)
    return (codes - known.mean(axis=0)) / np.where(spread > 1e-9, spread, 1.0)


def _embeddings(run: Run) -> tuple[list[str], np.ndarray]:
    paths = [run.folder / name for name in (EMBEDDINGS, IDS)]
    lost = [path.name for path in paths if not path.is_file()]
    if lost:
        raise OnlmError(
            f"Run {run.id} has no {' and no '.join(lost)}: its training is not finished. Finish it: `onlm run STUDY`."
        )
    try:
        codes = np.load(paths[0], allow_pickle=False)
    except (ValueError, EOFError):
        raise OnlmError(f"Run {run.id}: {EMBEDDINGS} is damaged. Train the run again.") from None
    ids = runs.read_csv(paths[1])["patient_id"].tolist()
    if len(ids) != len(codes):
        raise OnlmError(
            f"Run {run.id}: {EMBEDDINGS} has {len(codes)} rows, and {IDS} names {len(ids)} patients. "
            "Train the run again."
        )
    return ids, codes
