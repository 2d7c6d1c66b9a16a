"""Nested cross-validation: what one training set teaches, and what it says about patients that it never saw.

A `Task` is one model on one set of training rows: an outer fold, or all labelled rows of development (the final model,
for everybody else: patients without a label, of external centres, of later years, of the locked test set). Whatever is
fitted - encoder, projection, heads, number of epochs, calibrator, threshold, scale of `ood_score` - is fitted inside
`Task.learn`; `Task.apply` rows are read only.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
import torch
from sklearn.model_selection import StratifiedKFold
from torch import Tensor

from onlm_lab.errors import OnlmError
from onlm_lab.learning.calibrate import Calibrator, fit_calibrator, threshold_for
from onlm_lab.learning.clinical import ClinicalEncoder
from onlm_lab.learning.features import Projection
from onlm_lab.learning.heads import Stack, fit_heads
from onlm_lab.learning.model import Batch, OnlmModel
from onlm_lab.learning.shape import build_network
from onlm_lab.study import Study

FINAL = -1  # the "fold" of the model that learns from all labelled development rows
INNER_FOLDS = 5
COMPONENTS = 24  # of the frozen features


@dataclass(frozen=True, eq=False)
class Material:
    """All patients of a run, aligned by row."""

    patients: pd.DataFrame  # index 0..n-1
    onlm: np.ndarray  # (n,) 1, 0, NaN
    features: Tensor | None = None  # (n,V,F), frozen mode
    patches: np.ndarray | None = None  # (n,D,D,D) HU, finetune mode
    facts: pd.DataFrame | None = None  # what was measured when the patches were cut, NaN where it could not be

    @property
    def ids(self) -> list[str]:
        return self.patients["patient_id"].tolist()


@dataclass(frozen=True, eq=False)
class Task:
    """One model to be fitted on `learn` and applied to `apply` (row numbers)."""

    model: str
    repeat: int
    fold: int
    learn: np.ndarray
    apply: np.ndarray

    @property
    def name(self) -> str:
        return f"{self.model}-r{self.repeat}-" + ("final" if self.fold == FINAL else f"f{self.fold}")

    def seed(self, study_seed: int) -> int:
        """A seed of its own, whatever else is trained beside it."""
        kind = int.from_bytes(hashlib.sha256(self.model.encode()).digest()[:4], "big")
        parts = [study_seed, kind, self.repeat, self.fold + 1]
        return int(np.random.SeedSequence(parts).generate_state(1)[0])


@dataclass(frozen=True, eq=False)
class Fitted:
    """What a task leaves behind."""

    inner_logit: np.ndarray  # (n_learn,) of each training row by models that had not seen it
    apply_logit: np.ndarray  # (S, n_apply)
    ood: np.ndarray  # (n_apply,) share of held-out training patients that are less unlike the training rows
    epoch: int
    history: list[dict[str, float]]
    code: np.ndarray | None = None  # (n, D) what the model sees of every patient, before the last step
    states: dict[str, Tensor] = field(default_factory=dict)  # name -> (S,...)
    encoders: tuple[ClinicalEncoder, ...] = ()  # one, or one a seed


def list_tasks(onlm: np.ndarray, *, ids: list[str], split: pd.DataFrame, models: tuple[str, ...]) -> list[Task]:
    """Every outer fold of every repeat and the final model, for each model.

    Raises:
        OnlmError: the split and the labelled patients do not belong together, or a training set has too few of a class.
    """
    labelled = np.flatnonzero(~np.isnan(onlm))
    place = {patient: k for k, patient in enumerate(ids)}
    wanted = {ids[k] for k in labelled}
    tasks = []
    for repeat, rows in split.groupby("repeat", sort=True):
        if rows["patient_id"].duplicated().any() or set(rows["patient_id"]) != wanted:
            strangers = sorted(set(rows["patient_id"]) ^ wanted)
            raise OnlmError(
                f"split.csv, repeat {repeat}: {len(rows)} rows, wanted one for each of the {len(wanted)} labelled "
                f"patients{' (see ' + ', '.join(strangers[:5]) + ')' if strangers else ''}. Make the run anew."
            )
        fold_of = np.full(len(ids), FINAL)
        for patient, fold in zip(rows["patient_id"], rows["fold"], strict=True):
            fold_of[place[patient]] = fold
        for model in models:
            for fold in sorted(rows["fold"].unique()):
                learn, test = labelled[fold_of[labelled] != fold], labelled[fold_of[labelled] == fold]
                tasks.append(Task(model, int(repeat), int(fold), learn, test))
    unlabelled = np.flatnonzero(np.isnan(onlm))
    tasks += [Task(model, 0, FINAL, labelled, unlabelled) for model in models]
    for task in tasks:
        n_positive = int(onlm[task.learn].sum())
        few = min(n_positive, len(task.learn) - n_positive)
        if few < 2:
            raise OnlmError(
                f"The training rows of fold {task.fold} (repeat {task.repeat}) hold {n_positive} N+ of "
                f"{len(task.learn)} patients; wanted at least 2 of each class. Use fewer folds or another scheme."
            )
    return tasks


def inner_folds(onlm: np.ndarray, *, seed: int) -> np.ndarray:
    """The inner fold of each training row, labels spread evenly: (n_learn,)."""
    few = int(min(onlm.sum(), len(onlm) - onlm.sum()))
    folds = StratifiedKFold(min(INNER_FOLDS, few), shuffle=True, random_state=seed % 2**31)
    found = np.empty(len(onlm), dtype=int)
    for fold, (_, out) in enumerate(folds.split(onlm, onlm)):
        found[out] = fold
    return found


def without_others(task: Task, *, material: Material) -> tuple[Task, Material]:
    """The task with nobody in sight but its own patients: those it learns from and those it is applied to."""
    rows = np.union1d(task.learn, task.apply)
    task = replace(task, learn=np.searchsorted(rows, task.learn), apply=np.searchsorted(rows, task.apply))
    return task, Material(
        patients=material.patients.iloc[rows].reset_index(drop=True),
        onlm=material.onlm[rows],
        features=None if material.features is None else material.features[rows],
        patches=None if material.patches is None else material.patches[rows],
        facts=None if material.facts is None else material.facts.iloc[rows].reset_index(drop=True),
    )


def fit_frozen(task: Task, *, material: Material, study: Study) -> Fitted:
    """Heads on frozen features (or on clinical data alone): inner folds and all training rows together."""
    seed = task.seed(study.seed)
    inner = inner_folds(material.onlm[task.learn], seed=seed)
    stack, lens = build_stack(task, material=material, study=study, inner=inner)
    n_clinical = stack.clinical.shape[-1]
    n_image = 0 if stack.image is None else stack.image.shape[-1]
    others = lens.see(material, rows=task.apply)

    def make() -> OnlmModel:
        return build_network(study.model, n_clinical=n_clinical, n_features=n_image, columns=lens.columns)

    heads = fit_heads(
        stack, others=others, make=make, n_seeds=study.training.seeds_per_fold, seed=seed, epochs=study.training.epochs,
        patience=study.training.patience, ridge=study.training.ridge,
    )  # fmt: skip
    states = {name: value[-1] for name, value in heads.states.items()}  # (S,...): of all training rows
    if lens.projection is not None:
        states |= {"projection.mean": lens.projection.mean, "projection.basis": lens.projection.basis}
    return Fitted(
        inner_logit=heads.inner_logit.mean(dim=0).double().numpy(),
        apply_logit=heads.apply_logit.double().numpy(),
        ood=unlikeness(side_by_side(stack), fits=stack.fits, watches=stack.watches, others=side_by_side(others)),
        epoch=heads.epoch,
        history=heads.history,
        code=side_by_side(lens.see(material, rows=np.arange(len(material.onlm)))).numpy(),
        states=states,
        encoders=(lens.encoder,) if lens.encoder else (),
    )


@dataclass(frozen=True, eq=False)
class Lens:
    """How one set of training rows sees any patient: its encoder, its projection, or both."""

    encoder: ClinicalEncoder | None
    projection: Projection | None

    @property
    def columns(self) -> list[int] | None:
        """Of each clinical input, the number of the column that it comes from."""
        return None if self.encoder is None else self.encoder.column_numbers

    def see(self, material: Material, *, rows: np.ndarray) -> Batch:
        """These patients as tensors: features (m,V,D), clinical and missing (m,K). Their labels are not looked at."""
        image = None if self.projection is None else self.projection.apply(material.features[rows])
        values = missing = np.zeros((len(rows), 0), dtype=np.float32)
        if self.encoder is not None:
            values, missing = self.encoder.transform(material.patients.iloc[rows])
        unknown = torch.full((len(rows),), torch.nan)
        return Batch(image, torch.from_numpy(values), torch.from_numpy(missing), unknown, ())


def build_stack(task: Task, *, material: Material, study: Study, inner: np.ndarray) -> tuple[Stack, Lens]:
    """The task's training rows as each inner fold's training rows see them and, last, as all of them see themselves.

    Returns:
        The stack, and the lens of all training rows.
    """
    n_groups = int(inner.max()) + 2
    watches = torch.from_numpy(inner[None] == np.arange(n_groups)[:, None])  # (G,n); none in the last group
    lenses = _lenses([task.learn[row] for row in ~watches.numpy()], task=task, material=material, study=study)
    seen = [lens.see(material, rows=task.learn) for lens in lenses]
    stack = Stack(
        image=None if seen[0].image is None else torch.stack([b.image for b in seen]),  # (G,n,V,D)
        clinical=torch.stack([b.clinical for b in seen]),
        missing=torch.stack([b.missing for b in seen]),
        onlm=torch.from_numpy(material.onlm[task.learn]).float(),
        fits=~watches,
        watches=watches,
    )
    return stack, lenses[-1]


def _lenses(groups: list[np.ndarray], *, task: Task, material: Material, study: Study) -> list[Lens]:
    """One for each set of rows; all with the same columns, so that their tensors can be stacked."""
    encoders: list[ClinicalEncoder | None] = [None] * len(groups)
    projections: list[Projection | None] = [None] * len(groups)
    if task.model != "image":
        table = material.patients
        whole = ClinicalEncoder.fit(table.iloc[task.learn], predictors=study.training.predictors)
        encoders = [whole.refit(table.iloc[rows]) for rows in groups]
    if task.model != "clinical":
        found = [Projection.fit(material.features[rows], n_components=COMPONENTS) for rows in groups]
        n_kept = min(p.basis.shape[1] for p in found)
        projections = [replace(p, basis=p.basis[:, :n_kept]) for p in found]
    return [Lens(encoder, projection) for encoder, projection in zip(encoders, projections, strict=True)]


def calibrated(
    fitted: Fitted, *, task: Task, onlm: np.ndarray, sensitivity: float, kind: str = "platt"
) -> tuple[Calibrator, float]:
    """Calibrator and threshold of a task, both from inner out-of-fold logits of its training rows."""
    known = ~np.isnan(fitted.inner_logit)  # finetune with fewer seeds than inner folds leaves rows out
    logit, truth = fitted.inner_logit[known], onlm[task.learn][known]
    calibrator = fit_calibrator(kind, logit, truth)
    return calibrator, threshold_for(calibrator.apply(logit), truth, sensitivity=sensitivity)


def side_by_side(seen: Stack | Batch) -> Tensor:
    """What is seen of each patient, as one row of numbers (of views, the mean): (...,n,K+D)."""
    parts = [seen.clinical] + ([] if seen.image is None else [seen.image.mean(dim=-2)])
    return torch.cat(parts, dim=-1)


def unlikeness(codes: Tensor, *, fits: Tensor, watches: Tensor, others: Tensor) -> np.ndarray:
    """Mahalanobis distance to the training rows, as the share of held-out training rows that lie nearer: 0 to 1, (m,).

    Args:
        codes: (G,n,C) training rows as each group's training rows see them; the last group judges the others.
        fits, watches: (G,n) bool: rows that a group measures from, and rows that it measures.
        others: (m,C).
    """
    known = [mahalanobis(c[w], fit=c[f]) for c, f, w in zip(codes, fits, watches, strict=True)]
    distance = mahalanobis(others, fit=codes[-1][fits[-1]])  # (m,)
    return (torch.cat(known)[None] <= distance[:, None]).double().mean(dim=1).numpy()


def mahalanobis(code: Tensor, *, fit: Tensor, shrink: float = 0.2) -> Tensor:
    """Distance of each row of `code` to the mean of `fit`, by its covariance, shrunk towards a sphere: (n,)."""
    fit, code = fit.double(), code.double()
    centre = fit.mean(dim=0)
    covariance = torch.cov((fit - centre).T).reshape(fit.shape[1], fit.shape[1])
    sphere = covariance.diagonal().mean().clamp_min(1e-9) * torch.eye(len(covariance), dtype=torch.float64)
    solved = torch.linalg.solve((1 - shrink) * covariance + shrink * sphere, (code - centre).T)  # (D,n)
    return ((code - centre) * solved.T).sum(dim=1).clamp_min(0).sqrt()
