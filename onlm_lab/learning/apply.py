"""A finished run on other patients: python -m onlm_lab.learning.apply RUN_FOLDER OUT [--cache FOLDER]

Reads OUT/patients.csv (columns of the cohort, `split`: external or unlabelled, and `has_ct`), gives every patient to
the run's final models with their own calibrator and threshold, and writes OUT/predictions.csv last. Nothing is fitted
to the new patients. Started again after a kill, it goes on with what is not done.

`risk` is the calibrated mean of the seeds' logits. Of a patient without CT, or with an empty cell that the model reads,
it is what the networks learnt to say without (modality dropout, `missing`); `risk_low` and `risk_high` are then the 5th
and 95th percentile over the seeds, each with the values of the 20 training patients who are most alike in what is known
(see `donors`), opened to hold the plain spread and the risk. An image-only model has no row for a patient without CT.

In frozen mode a donor's image stands in by its features. In finetune mode every seed's network looks at the training
patients' patches again, where they are still there. Where they are not, the run still has what the first seed's network
saw: how far a donor's image moves that network's logit is added to every seed's, which is too narrow by what the other
networks would have made of it.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from tqdm.auto import tqdm

from onlm_lab import schema, steps
from onlm_lab.errors import OnlmError
from onlm_lab.learning.anew import baseline_rows
from onlm_lab.learning.donors import N_DONORS, Fills, find_fills
from onlm_lab.learning.features import backbone_features, write_array
from onlm_lab.learning.newcomers import Newcomers, open_newcomers, taught_again
from onlm_lab.learning.predict import MIN_SPREAD, assemble, risk_rows
from onlm_lab.learning.saved import SavedModel, open_backbone, open_saved, read_calibration
from onlm_lab.learning.taught import Taught, donors_codes, projected
from onlm_lab.learning.train import repeatable
from onlm_lab.runs import Run
from onlm_lab.study import MODELS

PART_PATIENTS = 32  # a part that a killed run keeps; also what is in memory at once


def apply_run(
    folder: Path, out: Path, *, cache: Path | None, train_cache: Path | None = None, progress: bool = True
) -> dict[str, Any]:
    """Writes OUT/predictions.csv, and OUT/applied.json: how many patients each model predicted, what was left out.

    Args:
        folder: of a finished run.
        out: holds patients.csv.
        cache: of the new patients' patches; None: nobody has a CT.
        train_cache: of the training patients' patches, which finetune mode looks at again; None where it is not there.
        progress: show bars on stderr.

    Returns:
        What applied.json says.

    Raises:
        OnlmError: the run is not finished or its files do not fit, or patients.csv or the patches cannot be used.
    """
    run, out = Run(Path(folder)), Path(out)
    calibration = read_calibration(run)
    models = [name for name, said in calibration["models"].items() if "final" in said]
    with repeatable():
        new = open_newcomers(out, run=run, cache=cache)
        taught = Taught.of(run)
        teachers = taught_again(taught.patients, new=new, cache=train_cache)
        parts: dict[str, pd.DataFrame] = {}
        said: dict[str, Any] = {"models": {}, "left_out": []}
        own = [name for name in MODELS if name in models]
        seeing = [name for name in own if name != "clinical"]
        backbone = open_backbone(run) if seeing else None
        features = None
        if backbone is not None and run.study.model.mode == "frozen":
            features = _features(
                new, saved=open_saved(run, seeing[0], backbone=backbone), backbone=backbone, show=progress
            )
        for name in own:
            saved = open_saved(run, name, backbone=backbone if name in seeing else None)
            if teachers is not None and saved.sees_ct and not saved.frozen:
                codes = _network_codes(saved, of=teachers, show=progress)
                taught = taught.with_codes(saved, [code.numpy() for code in codes])
            parts[name], facts = _predict(saved, new=new, taught=taught, features=features, show=progress)
            said["models"][name] = facts
        for name in (name for name in models if name not in own):
            rows, reason = baseline_rows(name, new=new.patients, facts=new.facts, taught=taught, final=calibration)
            if reason:
                said["left_out"].append(reason)
                sys.stderr.write(f"  left out: {reason}\n")
            else:
                parts[name], said["models"][name] = rows, {"n": len(rows), "n_without_ct": 0, "n_filled": 0}
    steps.write_text(out / "applied.json", json.dumps(said, indent=1))
    schema.write_table(assemble(parts), out / "predictions.csv")
    shutil.rmtree(new.folder)
    return said


def _features(new: Newcomers, *, saved: SavedModel, backbone: Any, show: bool) -> np.ndarray:
    """Frozen mode: the backbone's features of every new patient (n,V,F), NaN where there is no CT; part by part."""
    found = []
    rows = np.flatnonzero(new.has_ct)
    parts = np.split(rows, range(PART_PATIENTS, len(rows), PART_PATIENTS)) if len(rows) else []
    for number, part in enumerate(tqdm(parts, desc="features", unit="part", disable=not (show and parts))):
        folder = new.folder / f"features-{number}"
        folder.mkdir(exist_ok=True)
        ids = [new.ids[k] for k in part]
        found.append(
            backbone_features(new.cache, patient_ids=ids, backbone=backbone, layout=saved.layout, folder=folder)
        )
    if not found:  # of what shape they would be
        shape = saved.features(np.zeros((1, *new.shape), dtype=np.float32)).shape[1:]
        return np.full((len(new.ids), *shape), np.nan, dtype=np.float32)
    features = np.full((len(new.ids), *found[0].shape[1:]), np.nan, dtype=np.float32)
    features[rows] = np.concatenate(found)
    return features


def _predict(
    saved: SavedModel, *, new: Newcomers, taught: Taught, features: np.ndarray | None, show: bool
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Rows of predictions.csv of one model, and how many patients it was with."""
    image_only = saved.sees_ct and not saved.encoders
    kept = np.flatnonzero(new.has_ct) if image_only else np.arange(len(new.ids))
    patients = new.patients.iloc[kept].reset_index(drop=True)
    seen = features[kept] if features is not None and saved.sees_ct else None
    facts = {"n": len(kept), "n_without_ct": int((~new.has_ct).sum()) if saved.sees_ct else 0, "n_filled": 0}
    if not len(kept):
        return pd.DataFrame(), facts
    if saved.sees_ct and not saved.frozen:
        codes = [code[kept] for code in _network_codes(saved, of=new, show=show)]
    else:
        codes = saved.codes(patients, features=seen)
    logit = saved.classify(codes)
    ood = taught.unlikeness(saved, patients=patients, features=seen, codes=codes)
    if saved.sees_ct:
        known = new.facts
        ood = taught.unlikeness_with_quality(ood, facts=None if known is None else known.iloc[kept])
    task = taught.task(saved.model_id, apply=np.arange(len(kept)))
    rows = risk_rows(
        logit, task=task, ids=patients["patient_id"].tolist(), calibrator=saved.calibrator, threshold=saved.threshold,
        ood=ood, splits=patients["split"].tolist(),
    )  # fmt: skip
    if len(logit) >= MIN_SPREAD and saved.encoders:
        fills = _fills(saved, patients=patients, features=seen, codes=codes, taught=taught)
        facts["n_filled"] = len(fills.rows)
        if len(fills.rows):
            filled = _filled_logits(saved, fills, features=seen, codes=codes, taught=taught)
            _open_spread(rows, fills=fills, logit=filled, saved=saved)
    return rows, facts


def _network_codes(saved: SavedModel, *, of: Newcomers, show: bool) -> list[torch.Tensor]:
    """Finetune mode: what every seed's network sees, part by part; parts are computed beside each other."""
    spans = [slice(k, k + PART_PATIENTS) for k in range(0, len(of.ids), PART_PATIENTS)]
    n_seeds = len(saved.networks)

    def work(number: int) -> list[torch.Tensor]:
        paths = [of.folder / f"{saved.model_id}-{number}-{s}.npy" for s in range(n_seeds)]
        if not all(path.is_file() for path in paths):
            codes = saved.codes(of.patients.iloc[spans[number]], patches=of.patches(spans[number]))
            for path, code in zip(paths, codes, strict=True):
                write_array(path, code.numpy())
        return [torch.from_numpy(np.load(path, allow_pickle=False)) for path in paths]

    found = list(_beside(work, range(len(spans)), what=f"{saved.model_id}, {of.folder.name}", show=show))
    return [torch.cat([part[s] for part in found]) for s in range(n_seeds)]


def _beside(work: Callable[[int], Any], items: Sequence[int], *, what: str, show: bool) -> Iterator[Any]:
    """Whole parts on a thread each: the numbers do not depend on how many cores there are."""
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        yield from tqdm(pool.map(work, items), total=len(items), desc=what, unit="part", disable=not show)


def _fills(
    saved: SavedModel, *, patients: pd.DataFrame, features: np.ndarray | None, codes: list[torch.Tensor], taught: Taught
) -> Fills:
    train_image = donors_codes(saved, taught=taught)
    image = None
    if train_image is not None and saved.frozen:
        image = projected(saved.networks[0], features=features)
    elif train_image is not None:
        code, n_table = codes[0].numpy(), saved.n_table(0)
        image = np.where(code[:, -1:] > 0, np.nan, code[:, n_table:-1])
    return find_fills(
        patients, table=taught.patients, encoder=saved.encoder(0), image=image, train_image=train_image,
        seed=saved.study.seed,
    )  # fmt: skip


def _filled_logits(
    saved: SavedModel, fills: Fills, *, features: np.ndarray | None, codes: list[torch.Tensor], taught: Taught
) -> np.ndarray:
    """Logits of every seed for every filled patient, float64 (S, m*N_DONORS)."""
    own, lent = np.repeat(fills.rows, N_DONORS), fills.image_donor >= 0
    if not saved.sees_ct:
        return saved.classify(saved.codes(fills.table))
    if saved.frozen:
        found = []
        for start in range(0, len(own), PART_PATIENTS * N_DONORS):
            rows = slice(start, start + PART_PATIENTS * N_DONORS)
            seen = features[own[rows]]
            if lent[rows].any():
                seen[lent[rows]] = taught.material.features.numpy()[fills.image_donor[rows][lent[rows]]]
            found.append(saved.classify(saved.codes(fills.table.iloc[rows], features=seen)))
        return np.concatenate(found, axis=1)
    return _logits_of_networks(saved, fills, own=own, lent=lent, codes=codes, donors=taught.codes.get(saved.model_id))


def _logits_of_networks(
    saved: SavedModel, fills: Fills, *, own: np.ndarray, lent: np.ndarray, codes: list[torch.Tensor],
    donors: Sequence[np.ndarray] | None,
) -> np.ndarray:  # fmt: skip
    """Finetune mode: table and image are exchanged in what each network has seen, before its last step."""
    filled = []
    for seed, code in enumerate(codes):
        table = np.concatenate(saved.encoder(seed).transform(fills.table), axis=1)
        filled.append(torch.cat([torch.from_numpy(table), code[own][:, saved.n_table(seed) :]], dim=1))
    if not lent.any():
        return saved.classify(filled)
    known = range(len(donors))
    before = saved.classify(filled)
    for seed in known:
        image = torch.from_numpy(donors[seed][fills.image_donor[lent]][:, saved.n_table(seed) :])
        filled[seed][torch.from_numpy(lent), saved.n_table(seed) :] = image
    after = saved.classify(filled)
    for seed in range(len(known), len(codes)):  # whose own donors nobody knows
        after[seed, lent] += (after[0] - before[0])[lent]
    return after


def _open_spread(rows: pd.DataFrame, *, fills: Fills, logit: np.ndarray, saved: SavedModel) -> None:
    """Widens the spread of the filled patients, in place: percentiles over seeds x donors, and never narrower."""
    risk = saved.calibrator.apply(logit).reshape(len(logit), len(fills.rows), N_DONORS)
    low, high = np.percentile(risk, [5, 95], axis=(0, 2))
    rows.loc[fills.rows, "risk_low"] = np.minimum(rows["risk_low"].to_numpy()[fills.rows], low)
    rows.loc[fills.rows, "risk_high"] = np.maximum(rows["risk_high"].to_numpy()[fills.rows], high)


def main(arguments: list[str] | None = None) -> int:
    """The command behind `onlm predict`: 0 when finished, 2 with one sentence on stderr when the user must act."""
    parser = argparse.ArgumentParser(
        prog="onlm_lab.learning.apply", description="Predict patients with a run's models."
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--cache", type=Path, default=None)
    parser.add_argument("--train-cache", type=Path, default=None)
    parser.add_argument("--quiet", action="store_true", help="no progress bars")
    given = parser.parse_args(arguments)
    try:
        apply_run(given.folder, given.out, cache=given.cache, train_cache=given.train_cache, progress=not given.quiet)
    except OnlmError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
