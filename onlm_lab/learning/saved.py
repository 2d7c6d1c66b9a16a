"""The final models of a finished run, opened again: from runs/<id>/ to logits of any patient.

    fused = open_saved(run, "fused")
    logit = fused.logits(patches, patients)                    # (S,n), patches HU (n,D,D,D), NaN where there is no CT
    risk = fused.calibrator.apply(logit.mean(axis=0))
    network, batch = fused.networks[0], fused.batch(torch.from_numpy(patches), patients, seed=0)
    network(batch)                                             # row 0 again, from planes, for explaining (a focal loss
                                                               # is not yet taken back there)

In frozen mode the seeds share one backbone, which is not in the run's folder: it is loaded as study.toml says, and its
checksum must be the one that calibration.json has.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from onlm_lab.errors import OnlmError
from onlm_lab.learning.calibrate import Calibrator, calibrator_from_dict
from onlm_lab.learning.clinical import ClinicalEncoder
from onlm_lab.learning.dataset import Layout, cut_planes, layout_of
from onlm_lab.learning.features import BATCH_PATIENTS, FrozenFeatures, Projection
from onlm_lab.learning.model import Batch
from onlm_lab.learning.prior_shift import undo_loss
from onlm_lab.learning.shape import FrozenNetwork, build_network
from onlm_lab.learning.weights import Backbone, load_backbone, pixel_scale
from onlm_lab.runs import Run
from onlm_lab.study import MODELS, Study

WEIGHTS, CALIBRATION = "weights.safetensors", "calibration.json"
PROJECTION = "projection."  # of frozen features


@dataclass(frozen=True, eq=False)
class SavedModel:
    """The final model of a run: every seed's network, with the run's own calibrator and threshold.

    Attributes:
        model_id: as in predictions.csv.
        study: the run's.
        encoders: of the clinical columns: one, or one a seed; none for an image-only model.
        networks: one a seed, in eval mode: Batch -> logits (B,).
        calibrator, threshold: of the run's inner out-of-fold logits, unchanged.
        layout: how a patch becomes planes; None for a clinical-only model.
        mean, std: of pixel values in [0,1], as the backbone wants them.
    """

    model_id: str
    study: Study
    encoders: tuple[ClinicalEncoder, ...]
    networks: tuple[nn.Module, ...]
    calibrator: Calibrator
    threshold: float
    layout: Layout | None = None
    mean: float = 0.0
    std: float = 1.0

    @property
    def sees_ct(self) -> bool:
        return self.layout is not None

    @property
    def frozen(self) -> bool:
        """Whether the seeds share one backbone that was not trained."""
        return isinstance(self.networks[0], FrozenNetwork)

    @property
    def columns(self) -> list[str]:
        """The clinical columns that it reads."""
        return list(dict.fromkeys(item.column for encoder in self.encoders for item in encoder.inputs))

    def encoder(self, seed: int) -> ClinicalEncoder | None:
        return _encoder_of(self.encoders, seed)

    def n_table(self, seed: int) -> int:
        """How many numbers of a code come from the table: values, and what is missing."""
        encoder = self.encoder(seed)
        return 2 * len(encoder.inputs) if encoder else 0

    def batch(self, patches: Tensor | None, patients: pd.DataFrame, *, seed: int) -> Batch:
        """Patients as the network of this seed takes them; image: scaled planes (B,V,C,H,W).

        Args:
            patches: HU (B,D,D,D); a patient of whom any voxel is NaN has no CT; None: nobody has.
            patients: aligned by row.
            seed: whose encoder reads the table.
        """
        values, missing = self._table(patients, seed=seed)
        unknown = torch.full((len(patients),), torch.nan)
        return Batch(self._planes(patches, n=len(patients)), values, missing, unknown, tuple(patients["patient_id"]))

    @torch.inference_mode()
    def features(self, patches: np.ndarray) -> np.ndarray:
        """Frozen mode: the backbone's features float32 (n,V,F), the same for all seeds; NaN where there is no CT.

        Args:
            patches: HU (n,D,D,D); only a few patients are looked at at once.
        """
        found = []
        for rows in _chunks(len(patches)):
            planes = self._planes(torch.from_numpy(np.asarray(patches[rows], dtype=np.float32)), n=0)
            found.append(self.networks[0].features(planes))
        return torch.cat(found).numpy()

    @torch.inference_mode()
    def codes(
        self, patients: pd.DataFrame, *, patches: np.ndarray | None = None, features: np.ndarray | None = None
    ) -> list[Tensor]:
        """What each seed's network sees of the patients before its last step (OnlmModel.encode): S tensors (n,C).

        Args:
            patients: aligned by row with the others.
            patches: HU (n,D,D,D), NaN where there is no CT; None with features, or where nobody has a CT.
            features: of `features`, in frozen mode.
        """
        if self.sees_ct and self.frozen and features is None and patches is not None:
            features = self.features(patches)
        found: list[list[Tensor]] = [[] for _ in self.networks]
        for rows in _chunks(len(patients)) if self.sees_ct and features is None else [slice(None)]:
            image = None
            if features is not None:
                image = torch.from_numpy(features[rows])
            elif self.sees_ct:
                given = None if patches is None else torch.from_numpy(np.asarray(patches[rows], dtype=np.float32))
                image = self._planes(given, n=len(patients.iloc[rows]))
            for seed, network in enumerate(self.networks):
                values, missing = self._table(patients.iloc[rows], seed=seed)
                found[seed].append(network.encode(Batch(image, values, missing, torch.empty(0), ())))
        return [torch.cat(parts) for parts in found]

    @torch.inference_mode()
    def classify(self, codes: Sequence[Tensor]) -> np.ndarray:
        """Log odds of codes: S tensors (n,C) -> float64 (S,n); what a focal loss did to a network's is taken back."""
        logit = np.stack([
            network.classify(code).double().numpy() for network, code in zip(self.networks, codes, strict=True)
        ])  # fmt: skip
        training = self.study.training
        if training.loss == "focal" and self.sees_ct and not self.frozen:
            return undo_loss(logit, loss="focal", focal_gamma=training.focal_gamma)
        return logit

    def logits(self, patches: np.ndarray | None, patients: pd.DataFrame) -> np.ndarray:
        """Logits of every seed, float64 (S,n); `patches` as in `codes`. Only a few patients' planes are in memory."""
        return self.classify(self.codes(patients, patches=patches if self.sees_ct else None))

    def _table(self, patients: pd.DataFrame, *, seed: int) -> tuple[Tensor, Tensor]:
        encoder = self.encoder(seed)
        if encoder is None:
            nothing = torch.zeros((len(patients), 0))
            return nothing, nothing
        values, missing = encoder.transform(patients)
        return torch.from_numpy(values), torch.from_numpy(missing)

    def _planes(self, patches: Tensor | None, *, n: int) -> Tensor | None:
        if self.layout is None:
            return None
        if patches is None:
            px, n_views = self.layout.image_px, len(self.layout.views)
            return torch.full((1, n_views, self.layout.n_channels, px, px), torch.nan).expand(n, -1, -1, -1, -1)
        absent = patches.flatten(1).isnan().any(dim=1)  # (B,)
        planes = (cut_planes(patches.nan_to_num(), layout=self.layout) - self.mean) / self.std
        return torch.where(absent[:, None, None, None, None], torch.nan, planes)


def open_saved(run: Run, model_id: str, *, backbone: Backbone | None = None) -> SavedModel:
    """The final model of a finished run, every network in eval mode.

    Args:
        run: with weights.safetensors and calibration.json.
        model_id: "clinical", "image" or "fused"; "logistic" too, which has the form of the clinical model.
        backbone: opened before, where several models share it; None opens it as study.toml says.

    Raises:
        OnlmError: a file is missing or damaged, the run has no such model, or the backbone has other weights now.
    """
    said = read_calibration(run)
    states, encoders = _read_weights(run, model_id)
    models = said["models"]
    if model_id not in models or "final" not in models[model_id] or not states:
        known = [name for name in models if "final" in models[name]]
        raise OnlmError(f"Run {run.id} has no final model '{model_id}'; it has {', '.join(known)}.")
    study, final = run.study, models[model_id]["final"]
    finetuned = study.model.mode == "finetune" and any(name.startswith("seed0.") for name in states)
    sees_ct = finetuned or PROJECTION + "basis" in states
    layout = layout_of(study) if sees_ct else None
    if sees_ct and backbone is None:
        backbone = open_backbone(run)
    try:
        if finetuned:
            networks = _finetuned(states, encoders=encoders, backbone=backbone, study=study)
        else:
            networks = _on_features(states, encoders=encoders, backbone=backbone, study=study)
    except (KeyError, RuntimeError) as error:
        raise OnlmError(
            f"Run {run.id}: {WEIGHTS} does not fit the model '{model_id}' that its study.toml describes "
            f"({str(error).splitlines()[0].strip(' :')}). Put the run's own files back, or train it again."
        ) from error
    return SavedModel(
        model_id=model_id, study=study, encoders=encoders, networks=networks,
        calibrator=calibrator_from_dict(final["calibrator"]), threshold=float(final["threshold"]), layout=layout,
        mean=backbone.mean if sees_ct else 0.0, std=backbone.std if sees_ct else 1.0,
    )  # fmt: skip


def saved_models(run: Run) -> list[str]:
    """The models of a run that `open_saved` opens, those of [training] models first."""
    final = [name for name, said in read_calibration(run)["models"].items() if "final" in said]
    return [name for name in (*MODELS, "logistic") if name in final]


def open_backbone(run: Run) -> Backbone:
    """The backbone that a run saw its images with; in finetune mode its form alone: the run's file has the weights.

    Raises:
        OnlmError: it cannot be loaded, or its weights are no longer those of the run.
    """
    study, model = run.study, run.study.model
    finetuned = model.mode == "finetune"
    backbone = load_backbone(
        model.backbone, weights="none" if finetuned else model.weights, in_channels=layout_of(study).n_channels,
        image_px=model.image_px, seed=study.seed, folder=run.folder.absolute().parents[1],
    )  # fmt: skip
    if finetuned:
        mean, std = pixel_scale(backbone.module, pretrained=model.weights != "none")
        return replace(backbone, mean=mean, std=std)
    known = (read_calibration(run).get("backbone_weights") or {}).get("sha256", "")
    if backbone.sha256 != known:
        raise OnlmError(
            f"Run {run.id} was trained with weights of '{model.backbone}' whose SHA-256 begins {known[:12]}; "
            f"those of [model] weights = \"{model.weights}\" ({backbone.source}) begin {backbone.sha256[:12]}. Put the "
            "file of then back, or the version of timm that environment.txt names, or train the run again."
        )  # fmt: skip
    return backbone


def read_calibration(run: Run) -> dict[str, Any]:
    """calibration.json of a run.

    Raises:
        OnlmError: it is missing or damaged.
    """
    path = run.folder / CALIBRATION
    if not path.is_file():
        raise OnlmError(
            f"Run {run.id} has no {CALIBRATION}: its training is not finished. Finish it: `onlm run STUDY`."
        )
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        said = None
    if not isinstance(said, dict) or not isinstance(said.get("models"), dict):
        raise OnlmError(f"Run {run.id}: {CALIBRATION} is damaged. Put the run's own file back, or train it again.")
    return said


def _read_weights(run: Run, model_id: str) -> tuple[dict[str, Tensor], tuple[ClinicalEncoder, ...]]:
    """Tensors of one model by name, and its encoders."""
    from safetensors import SafetensorError, safe_open

    path = run.folder / WEIGHTS
    if not path.is_file():
        raise OnlmError(
            f"Run {run.id} has no {WEIGHTS}: its training is not finished. Finish it with `onlm run STUDY`."
        )
    prefix = f"{model_id}/"
    try:
        with safe_open(path, framework="pt") as file:
            said = json.loads(file.metadata()["onlm_lab"])
            states = {
                name.removeprefix(prefix): file.get_tensor(name) for name in file.keys() if name.startswith(prefix)
            }
        encoders = tuple(ClinicalEncoder.from_dict(plain) for plain in said["encoders"].get(model_id, ()))
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise OnlmError(
            f"Run {run.id}: {WEIGHTS} is damaged ({type(error).__name__}). Put the run's own file back, or train it "
            "again."
        ) from error
    return states, encoders


def _on_features(
    states: Mapping[str, Tensor], *, encoders: tuple[ClinicalEncoder, ...], backbone: Backbone | None, study: Study
) -> tuple[nn.Module, ...]:
    """Heads of frozen mode, seeds along the first axis of each tensor; behind the backbone where there is an image."""
    own = {name: value.float() for name, value in states.items() if "." in name or name in ("bias", "no_image")}
    heads = {name: value for name, value in own.items() if not name.startswith(PROJECTION)}
    projection = None
    if PROJECTION + "basis" in own:
        projection = Projection(mean=own[PROJECTION + "mean"], basis=own[PROJECTION + "basis"])
    extractor = None if projection is None else FrozenFeatures(backbone.module).eval().requires_grad_(False)
    networks: list[nn.Module] = []
    for s in range(len(heads["bias"])):
        encoder = _encoder_of(encoders, s)
        head = build_network(
            study.model, n_clinical=len(encoder.inputs) if encoder else 0,
            n_features=0 if projection is None else projection.basis.shape[1],
        )  # fmt: skip
        head.load_state_dict({name: value[s] for name, value in heads.items()})
        head.eval()
        whole = head if projection is None else FrozenNetwork(extractor=extractor, projection=projection, head=head)
        networks.append(whole.eval())
    return tuple(networks)


def _finetuned(
    states: Mapping[str, Tensor], *, encoders: tuple[ClinicalEncoder, ...], backbone: Backbone, study: Study
) -> tuple[nn.Module, ...]:
    """Whole networks, each with a backbone of its own."""
    import copy

    numbers = sorted({int(name.split(".", 1)[0].removeprefix("seed")) for name in states})
    networks = []
    for s in numbers:
        encoder = _encoder_of(encoders, s)
        network = build_network(
            study.model, n_clinical=len(encoder.inputs) if encoder else 0, n_features=backbone.n_features,
            backbone=copy.deepcopy(backbone.module).to(memory_format=torch.channels_last),
        )  # fmt: skip
        prefix = f"seed{s}."
        network.load_state_dict({n.removeprefix(prefix): v for n, v in states.items() if n.startswith(prefix)})
        networks.append(network.eval())
    return tuple(networks)


def _encoder_of(encoders: Sequence[ClinicalEncoder], seed: int) -> ClinicalEncoder | None:
    """The encoder of a seed: its own, or the one that all share."""
    return encoders[min(seed, len(encoders) - 1)] if encoders else None


def _chunks(n: int) -> Iterator[slice]:
    for start in range(0, n, BATCH_PATIENTS):
        yield slice(start, min(start + BATCH_PATIENTS, n))
