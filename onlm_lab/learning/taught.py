"""What the training patients of a finished run were, from its own folder, to set other patients beside them.

taught = Taught.of(run)
ood = taught.unlikeness("fused", patients=new, features=features)   # as the run gave it to its own patients
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
import torch

from onlm_lab import runs
from onlm_lab.learning.features import Projection
from onlm_lab.learning.saved import SavedModel
from onlm_lab.learning.shape import FrozenNetwork
from onlm_lab.learning.unlike import with_quality
from onlm_lab.learning.validate import FINAL, Material, Task, build_stack, inner_folds, side_by_side, unlikeness
from onlm_lab.runs import Run
from onlm_lab.study import MODELS, Study

FACTS = "image_facts.csv"


@dataclass(frozen=True, eq=False)
class Taught:
    """The labelled patients of development, sorted by patient_id, as training saw them.

    Attributes:
        run: finished.
        study: the run's.
        material: patients, label; `features` in frozen mode, `facts` of the CT where the run kept them.
        codes: finetune mode: by model, what its networks saw of them, float32 (n,C) each: all seeds' where they were
            computed again, else the first seed's of the one model whose embeddings the run keeps.
    """

    run: Run
    study: Study
    material: Material
    codes: Mapping[str, Sequence[np.ndarray]] = field(default_factory=dict)

    @classmethod
    def of(cls, run: Run) -> Taught:
        """Read from the run's folder. What an earlier version did not keep there is None."""
        study = run.study
        everyone = run.patients.sort_values("patient_id", kind="stable", ignore_index=True)
        patients = everyone[everyone["role"] == "labelled"].reset_index(drop=True)
        ids = patients["patient_id"].tolist()
        onlm = patients["onlm"].to_numpy(dtype=np.float64)
        facts = None
        if (run.folder / FACTS).is_file():
            facts = runs.read_csv(run.folder / FACTS).set_index("patient_id").reindex(ids).reset_index()
        features, codes = None, {}
        if study.model.mode == "frozen":
            features = _rows_of(run, "features.npy", known=_feature_ids(run), ids=ids)
        elif (run.folder / "embeddings_ids.csv").is_file():
            known = runs.read_csv(run.folder / "embeddings_ids.csv")["patient_id"].tolist()
            shown = next((m for m in reversed(MODELS) if m in study.training.models), "")
            first = _rows_of(run, "embeddings.npy", known=known, ids=ids)
            codes = {} if first is None else {shown: (first,)}
        kept = None if features is None else torch.from_numpy(features)
        material = Material(patients=patients, onlm=onlm, features=kept, facts=facts)
        return cls(run, study, material, codes)

    @property
    def patients(self) -> pd.DataFrame:
        return self.material.patients

    def task(self, model_id: str, *, apply: np.ndarray | None = None) -> Task:
        """The task that made the final model, whose seed dealt its inner folds."""
        nobody = np.zeros(0, dtype=int)
        return Task(model_id, 0, FINAL, np.arange(len(self.material.onlm)), nobody if apply is None else apply)

    def unlikeness(
        self, saved: SavedModel, *, patients: pd.DataFrame, features: np.ndarray | None, codes: list[torch.Tensor]
    ) -> np.ndarray:
        """How unlike the training patients by what the model sees, 0 to 1, as the run reckons it: the share of held-out
        training patients who lie nearer. Of a patient without CT the table alone counts; NaN where nothing is known.

        Args:
            saved: the model.
            patients: new ones, aligned by row.
            features: of the backbone (n,V,F), in frozen mode; NaN where there is no CT.
            codes: of `saved.codes`.
        """
        task = self.task(saved.model_id)
        inner = inner_folds(self.material.onlm, seed=task.seed(self.study.seed))
        if saved.sees_ct and not saved.frozen:
            return self._unlike_networks(saved, codes=codes, inner=inner)
        if saved.sees_ct and self.material.features is None:
            return np.full(len(patients), np.nan)
        kind = "clinical" if not saved.sees_ct else "image" if not saved.encoders else "fused"
        stack, lens = build_stack(replace(task, model=kind), material=self.material, study=self.study, inner=inner)
        seen = None if features is None or not saved.sees_ct else torch.from_numpy(features)
        new = Material(patients=patients, onlm=np.full(len(patients), np.nan), features=seen)
        others = lens.see(new, rows=np.arange(len(patients)))
        return _shares(
            side_by_side(stack), others=side_by_side(others), fits=stack.fits,
            watches=stack.watches, n_table=stack.clinical.shape[-1],
        )  # fmt: skip

    def with_codes(self, saved: SavedModel, codes: Sequence[np.ndarray]) -> Taught:
        """With what every seed's network of a model sees of the training patients, computed again; left as it is where
        that is not what the run saw: then their patches are no longer the same."""
        known = self.codes.get(saved.model_id)
        if known is not None and not (
            known[0].shape == codes[0].shape and np.allclose(known[0], codes[0], rtol=1e-3, atol=1e-3)
        ):
            return self
        return replace(self, codes={**self.codes, saved.model_id: tuple(codes)})

    def _unlike_networks(self, saved: SavedModel, *, codes: list[torch.Tensor], inner: np.ndarray) -> np.ndarray:
        """Finetune mode: each seed's network by the inner fold that it held out, and their mean."""
        n_folds, found = int(inner.max()) + 1, []
        for seed, own in enumerate(self.codes.get(saved.model_id, ())):
            code, n_table = codes[seed], saved.n_table(seed)
            absent = code[:, -1:] > 0
            code = torch.where(absent & (torch.arange(code.shape[1]) >= n_table), torch.nan, code)
            held = torch.from_numpy(inner == seed % n_folds)[None]
            found.append(_shares(torch.from_numpy(own)[None], others=code, fits=~held, watches=held, n_table=n_table))
        return np.mean(found, axis=0) if found else np.full(len(codes[0]), np.nan)

    def unlikeness_with_quality(self, ood: np.ndarray, *, facts: pd.DataFrame | None) -> np.ndarray:
        """The score with the CT's quality beside what the model sees of it; `facts` are aligned with `ood`."""
        return ood if facts is None else with_quality(ood, self.material.facts, facts)


def donors_codes(saved: SavedModel, *, taught: Taught) -> np.ndarray | None:
    """What the model sees of the training patients' images, one row each (n,D); None where the run did not keep it."""
    if not saved.sees_ct:
        return None
    if saved.frozen:
        if taught.material.features is None:
            return None
        network = saved.networks[0]
        return projected(network, features=taught.material.features.numpy())
    own = taught.codes.get(saved.model_id)
    return None if own is None else own[0][:, saved.n_table(0) : -1]


def projected(network: FrozenNetwork, *, features: np.ndarray) -> np.ndarray:
    """Projected features, views by their mean: (n,V,F) -> (n,D)."""
    lens = Projection(mean=network.mean, basis=network.basis)
    return lens.apply(torch.from_numpy(features)).mean(dim=1).numpy()


def _shares(
    codes: torch.Tensor, *, others: torch.Tensor, fits: torch.Tensor, watches: torch.Tensor, n_table: int
) -> np.ndarray:
    """Shares of held-out training rows that lie nearer: over all numbers, or the table's where the others are NaN."""
    share = np.full(len(others), np.nan)
    whole = ~others.isnan().any(dim=1)
    for rows, width in ((whole, codes.shape[-1]), (~whole, n_table)):
        if not rows.any() or not width:
            continue
        part = codes[..., :width]
        share[rows.numpy()] = unlikeness(part, fits=fits, watches=watches, others=others[rows, :width])
    return share


def _feature_ids(run: Run) -> list[str]:
    note = run.folder / "features.json"
    return json.loads(note.read_text(encoding="utf-8"))["patient_ids"] if note.is_file() else []


def _rows_of(run: Run, name: str, *, known: list[str], ids: list[str]) -> np.ndarray | None:
    """The rows of these patients in an array of the run; None where it does not have all of them."""
    path = run.folder / name
    place = {patient: k for k, patient in enumerate(known)}
    if not path.is_file() or not set(ids) <= set(place):
        return None
    return np.load(path, allow_pickle=False)[[place[patient] for patient in ids]].astype(np.float32)
