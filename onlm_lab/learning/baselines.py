"""What every model must beat, on the same folds, by the same rules: two clinical baselines, one on image facts, and
published scores.

    fitted = fit_baseline(task, material=material, study=study)     # task.model: "logistic", a name in study.scores ...

    logistic     ridge-penalised logistic regression on the clinical columns
    boosting     gradient-boosted small trees on the clinical columns; what is missing stays missing
    image_facts  ridge-penalised logistic regression on what was measured on the CT: no network sees the image
    <score>      a published score (see `published`), with nothing fitted

Whatever is fitted - encoder, penalty, number of trees, weights - is fitted inside `Task.learn`. As in frozen mode, each
of S models weighs the training patients anew by balanced draws, and its penalty or number of trees is the one with the
lowest loss of their mean on rows that they had not seen.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from threadpoolctl import threadpool_limits

from onlm_lab.errors import OnlmError
from onlm_lab.learning.calibrate import auc
from onlm_lab.learning.classical import (
    INVERSE_PENALTIES,
    TREE_RATE,
    TREES,
    Boosting,
    Learned,
    Ridge,
    balanced_weights,
    choose,
    held_out,
    log_loss,
)
from onlm_lab.learning.clinical import ClinicalEncoder, Input
from onlm_lab.learning.published import PublishedScore
from onlm_lab.learning.validate import Fitted, Material, Task, inner_folds, unlikeness
from onlm_lab.study import BASELINES, Study
from onlm_lab.study.limits import nearest

# What the cache measured on the tumour (imaging.facts: size, solid part, density; imaging.location: pleura, depth), and
# what is added before a logarithm where doubling is the natural step (None: none is taken). Left out on purpose: what
# tells of the scanner or the scan (kernel, noise, dates), and what the mask or the cut was.
IMAGE_FACTS: dict[str, float | None] = {
    "ct_volume_ml": 0.1,
    "ct_longest_axial_mm": 1.0,
    "ct_short_axial_mm": 1.0,
    "ct_longest_3d_mm": 1.0,
    "ct_solid_axial_mm": 1.0,
    "ct_ctr": None,
    "ct_solid_volume_fraction": None,
    "ct_mean_hu": None,
    "ct_median_hu": None,
    "ct_p10_hu": None,
    "ct_p90_hu": None,
    "ct_mean_solid_hu": None,
    "ct_distance_to_pleura_mm": 1.0,
    "ct_contact_length_mm": 1.0,
    "ct_contact_fraction": None,
    "ct_concentric_centre_fraction": None,
}


def fit_baseline(task: Task, *, material: Material, study: Study, others: Material | None = None) -> Fitted:
    """A baseline as `validate.fit_frozen` leaves its model: inner out-of-fold logits, S models on all training rows.

    A published score is one model (S = 1), so no spread can be shown of it; its inner logits are its logits, for which
    it had to see no row. `states` of the two logistic regressions are those of an `OnlmModel` without image and meeting
    network. `epoch` is the number of trees of boosting, else 0.

    Args:
        task: rows to learn from and to judge.
        material: all patients of the run.
        study: the run's.
        others: patients of another cohort, judged in place of `task.apply`. Trees are not kept in a run: its final
            task, given again with the run's own patients, grows the same ones within seconds.

    Raises:
        OnlmError: an unknown name, or nothing to learn from (see `why_not`).
    """
    if reason := why_not(task.model, material=material, study=study):
        raise OnlmError(reason)
    seed, n_models = task.seed(study.seed), study.training.seeds_per_fold
    onlm = material.onlm[task.learn]
    inner = inner_folds(onlm, seed=seed)
    with threadpool_limits(limits=1):  # the same sums on any number of cores, and faster: the matrices are small
        seeing = task.model == "image_facts"
        learn, apply = _tables(task, material=material, others=others, facts=seeing)
        if task.model in study.scores:
            score = PublishedScore.fit(study.scores[task.model], name=task.model, patients=learn)
            return _fit_published(score, learn=learn, apply=apply, inner=inner, onlm=onlm)
        predictors = study.training.predictors
        whole = facts_encoder(learn) if seeing else ClinicalEncoder.fit(learn, predictors=predictors)
        seen = see_rows(learn, apply=apply, whole=whole, inner=inner)
        fit = _fit_boosting if task.model == "boosting" else _fit_ridge
        return fit(seen, onlm=onlm, weight=balanced_weights(n_models, len(onlm), seed=seed))


def why_not(name: str, *, material: Material, study: Study) -> str:
    """Why a baseline cannot be fitted for these patients, in a sentence; "" where it can."""
    if name in study.scores:
        return ""
    if name not in BASELINES:
        return f"'{name}' is no baseline and no published score{nearest(name, [*BASELINES, *study.scores])}."
    if name != "image_facts":
        if study.training.predictors:
            return ""
        return f"The baseline {name} needs clinical columns, and [training] predictors is empty. Name some."
    if material.facts is None:
        return "The baseline image_facts needs what was measured on the CT, and this study has no images."
    known = [fact for fact in IMAGE_FACTS if fact in material.facts and material.facts[fact].notna().any()]
    if known:
        return ""
    return (
        f"The baseline image_facts needs what was measured on the CT, and of {len(material.facts)} patients nothing is "
        "known. Give a mask or a centre of each tumour in annotations.csv, and run `onlm prepare STUDY` again."
    )


def facts_encoder(facts: pd.DataFrame) -> ClinicalEncoder:
    """Image facts as numbers, fitted on these (training) rows as `ClinicalEncoder` fits clinical columns.

    The facts are those of `IMAGE_FACTS`: what a mask and its CT say of the tumour (TumourFacts) and where it lies
    (TumourLocation). One that is the same in all rows, or never known, is left out.

    Raises:
        OnlmError: none is left.
    """
    inputs = tuple(
        Input(name=name, column=name, log_offset=offset)
        for name, offset in IMAGE_FACTS.items()
        if name in facts and facts[name].nunique() > 1
    )
    if not inputs:
        raise OnlmError(
            f"None of the {len(IMAGE_FACTS)} image facts varies in the {len(facts)} training rows. Look at "
            'work/prepared.csv, or take "image_facts" out of [training] baselines.'
        )
    return ClinicalEncoder(inputs=inputs).refit(facts)


@dataclass(frozen=True, eq=False)
class Seen:
    """Training rows as the other rows of each inner fold see them and, last, as all of them see themselves; others."""

    encoder: ClinicalEncoder  # of all training rows
    values: np.ndarray  # (G,n,K)
    missing: np.ndarray  # (G,n,K)
    fits: np.ndarray  # (G,n) bool: rows that the group learns from; all in the last
    other_values: np.ndarray  # (m,K)
    other_missing: np.ndarray  # (m,K)

    def unlikeness(self) -> np.ndarray:
        """Mahalanobis distance to the training rows, as the share of held-out training rows that lie nearer: (m,)."""
        fits, others = torch.from_numpy(self.fits), torch.from_numpy(self.other_values)
        return unlikeness(torch.from_numpy(self.values), fits=fits, watches=~fits, others=others)


def _tables(
    task: Task, *, material: Material, others: Material | None, facts: bool
) -> tuple[pd.DataFrame, pd.DataFrame]:  # fmt: skip
    """The rows to learn from and the rows to judge, of the table of patients or of image facts."""
    table = material.facts if facts else material.patients
    if others is None:
        return table.iloc[task.learn], table.iloc[task.apply]
    if facts and others.facts is None:
        raise OnlmError("image_facts needs what was measured on the CT, and the other cohort has no images.")
    return table.iloc[task.learn], others.facts if facts else others.patients


def see_rows(learn: pd.DataFrame, *, apply: pd.DataFrame, whole: ClinicalEncoder, inner: np.ndarray) -> Seen:
    """Encodes both tables: all groups with the columns of the encoder of all training rows."""
    fits = inner[None] != np.arange(int(inner.max()) + 2)[:, None]  # (G,n)
    groups = [whole.refit(learn[rows]).transform(learn) for rows in fits]
    values, missing = (np.stack(part).astype(np.float64) for part in zip(*groups, strict=True))
    others = whole.transform(apply)
    return Seen(whole, values, missing, fits, *(part.astype(np.float64) for part in others))


def _fit_ridge(seen: Seen, *, onlm: np.ndarray, weight: np.ndarray) -> Fitted:
    designs = np.concatenate([seen.values, seen.missing], axis=-1)  # (G,n,2K)
    others = np.concatenate([seen.other_values, seen.other_missing], axis=-1)
    out = held_out(Ridge.fit, designs, fits=seen.fits, onlm=onlm, weight=weight, settings=INVERSE_PENALTIES)
    best = choose(out, onlm=onlm)
    chosen = INVERSE_PENALTIES[best]
    models = [Ridge.fit(designs[-1], onlm, w, settings=(chosen,)) for w in weight]
    states = {
        "clinical_linear.weight": torch.from_numpy(np.stack([m.coef for m in models])),  # (S,1,2K)
        "bias": torch.from_numpy(np.stack([m.intercept for m in models])),  # (S,1)
        "inverse_penalty": torch.tensor(chosen, dtype=torch.float64),
    }
    return _fitted(
        models, seen=seen, design=designs[-1], others=others, out=out[best], onlm=onlm, weight=weight, states=states
    )


def _fit_boosting(seen: Seen, *, onlm: np.ndarray, weight: np.ndarray) -> Fitted:
    designs = np.where(seen.missing == 1, np.nan, seen.values)  # (G,n,K)
    others = np.where(seen.other_missing == 1, np.nan, seen.other_values)
    out = held_out(Boosting.fit, designs, fits=seen.fits, onlm=onlm, weight=weight, settings=TREES)
    best = choose(out, onlm=onlm)
    models = [Boosting.fit(designs[-1], onlm, w, settings=(TREES[best],)) for w in weight]
    return _fitted(
        models, seen=seen, design=designs[-1], others=others, out=out[best], onlm=onlm, weight=weight,
        epoch=TREES[best], learning_rate=TREE_RATE,
    )  # fmt: skip


def _fit_published(
    score: PublishedScore, *, learn: pd.DataFrame, apply: pd.DataFrame, inner: np.ndarray, onlm: np.ndarray
) -> Fitted:  # fmt: skip
    """Nothing is learned but the fills; unlikeness is over the score's own columns, NaN where none of them varies."""
    logit = score.logit(learn)
    judged, ood = score.logit(apply), np.full(len(apply), np.nan)
    if any(learn[column].nunique() > 1 for column in score.columns):
        whole = ClinicalEncoder.fit(learn, predictors=score.columns)
        ood = see_rows(learn, apply=apply, whole=whole, inner=inner).unlikeness()
    filled = {column: [n, score.n_missing(apply)[column]] for column, n in score.n_missing(learn).items()}
    loss = float(log_loss(logit, onlm))
    return Fitted(
        inner_logit=logit,
        apply_logit=judged[None],
        ood=ood,
        epoch=0,
        history=[_history_row(0, train=loss, valid=loss, area=auc(logit, onlm))],
        states={
            "intercept": torch.tensor([score.intercept], dtype=torch.float64),
            "coefficients": torch.tensor([score.coefficients], dtype=torch.float64),
            **{f"filled.{column}": torch.tensor(n) for column, n in filled.items()},  # of learn, of apply
        },
    )


def _fitted(
    models: list[Learned], *, seen: Seen, design: np.ndarray, others: np.ndarray, out: np.ndarray, onlm: np.ndarray,
    weight: np.ndarray, states: dict[str, torch.Tensor] | None = None, epoch: int = 0, learning_rate: float = math.nan,
) -> Fitted:  # fmt: skip
    history = [
        _history_row(
            s, train=float(log_loss(model.logits(design)[0], onlm, weight=weight[s])),
            valid=float(log_loss(out[s], onlm)), area=auc(out[s], onlm), learning_rate=learning_rate,
        )
        for s, model in enumerate(models)
    ]  # fmt: skip
    return Fitted(
        inner_logit=out.mean(axis=0),
        apply_logit=np.concatenate([model.logits(others) for model in models]),  # (S,m)
        ood=seen.unlikeness(),
        epoch=epoch,
        history=history,
        states=states or {},
        encoders=(seen.encoder,),
    )


def _history_row(
    seed: int, *, train: float, valid: float, area: float, learning_rate: float = math.nan
) -> dict[str, float]:  # fmt: skip
    return {
        "seed": seed, "epoch": 0, "train_loss": train, "valid_loss": valid, "valid_auc": area,
        "learning_rate": learning_rate,
    }  # fmt: skip
