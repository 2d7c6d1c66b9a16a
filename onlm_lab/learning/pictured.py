"""A saved model looked at: pictures of patients with maps of what moves their logit, means over the model's seeds."""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from onlm_lab.learning.dataset import Layout
from onlm_lab.learning.explained import Explained, Picture
from onlm_lab.learning.model import Batch
from onlm_lab.learning.saliency import saliency
from onlm_lab.learning.saved import SavedModel

UPRIGHT = ("coronal", "sagittal")  # planes whose rows run from feet to head: turned over to be looked at


def explain_patients(
    saved: SavedModel, patients: pd.DataFrame, *, patches: np.ndarray, occluded: np.ndarray, grad_cam: bool = True,
    features: np.ndarray | None = None,
) -> list[Explained]:  # fmt: skip
    """Pictures, maps and attention of some patients: means over the model's seeds.

    Args:
        saved: a model that sees the CT.
        patients: with `role`, where labelled says that the model has learnt from them.
        patches: HU (n,D,D,D), aligned.
        occluded: of whom occlusion is wanted too (n,).
        grad_cam: whether the backbone has a map for it.
        features: frozen mode: of the backbone (n,V,F), where they are known.
    """
    hu = torch.from_numpy(patches)
    batches = [saved.batch(hu, patients, seed=s) for s in range(1 if saved.frozen else len(saved.networks))]
    networks: list[nn.Module] = [SeedMean(saved.networks)] if saved.frozen else list(saved.networks)
    pairs = list(zip(networks, batches, strict=True))
    seen = None if features is None else torch.from_numpy(features)
    with torch.no_grad():
        shares = [net.attention(batch if seen is None else batch._replace(image=seen)) for net, batch in pairs]  # (n,V)
    attention = torch.stack(shares).mean(dim=0).numpy()
    maps: list[dict[str, np.ndarray]] = [{} for _ in range(len(patients))]
    if grad_cam:
        for own, found in zip(maps, _mean(pairs, kind="grad_cam"), strict=True):
            own["grad_cam"] = found
    for k in np.flatnonzero(occluded):
        one = slice(k, k + 1)
        maps[k]["occlusion"] = _mean([(net, _rows(batch, one)) for net, batch in pairs], kind="occlusion")[0]
    planes = (batches[0].image * saved.std + saved.mean).clamp(0, 1).numpy()
    return [
        Explained(
            patient_id=patient, model_id=saved.model_id, seen_in_training=role == "labelled",
            views=saved.layout.views, attention=attention[k], field_mm=saved.layout.field_mm,
            pictures=lay_out(planes[k], maps[k], layout=saved.layout),
        )
        for k, (patient, role) in enumerate(zip(patients["patient_id"], patients["role"], strict=True))
    ]  # fmt: skip


def lay_out(planes: np.ndarray, maps: dict[str, np.ndarray], *, layout: Layout) -> tuple[Picture, ...]:
    """A patient's planes (V,C,H,W) in [0,1] with the maps (V,H,W), as pictures to look at: the middle plane of each
    view; all planes of a view whose channels are different ones (three_planes)."""
    pictures = []
    for view, name in enumerate(layout.views):
        channels = layout.planes[view % len(layout.planes)]
        shown = range(len(channels)) if layout.name == "three_planes" else [layout.neighbours]
        for c in shown:
            plane = channels[c][0]
            turn = slice(None, None, -1 if plane in UPRIGHT else None)
            pictures.append(
                Picture(
                    name=name.replace(", ".join(p for p, _ in channels), plane), view=view,
                    pixels=np.rint(planes[view, c][turn] * 255).astype(np.uint8),
                    maps={kind: values[view][turn] for kind, values in maps.items()},
                )
            )  # fmt: skip
    return tuple(pictures)


class SeedMean(nn.Module):
    """The mean logit of frozen networks, which share their backbone: it is run once for all, (B,V,C,H,W) -> (B,)."""

    def __init__(self, networks: tuple[nn.Module, ...]):
        super().__init__()
        self.networks = nn.ModuleList(networks)
        self.extractor = networks[0].extractor
        self.eval()

    def forward(self, batch: Batch) -> Tensor:
        batch = self._seen(batch)
        return torch.stack([network(batch) for network in self.networks]).mean(dim=0)

    def attention(self, batch: Batch) -> Tensor:  # -> (B,V)
        batch = self._seen(batch)
        return torch.stack([network.attention(batch) for network in self.networks]).mean(dim=0)

    def _seen(self, batch: Batch) -> Batch:
        first = self.networks[0]
        return batch if batch.image.ndim == 3 else batch._replace(image=first.features(batch.image))


def backbone_of(network: nn.Module) -> nn.Module:
    """The part of a saved model's network that sees planes."""
    return network.extractor if hasattr(network, "extractor") else network.backbone


def _mean(pairs: list[tuple[nn.Module, Batch]], *, kind: str) -> np.ndarray:  # -> (n,V,H,W)
    found = [saliency(network, batch, backbone=backbone_of(network), kind=kind) for network, batch in pairs]
    return torch.stack(found).mean(dim=0).numpy()


def _rows(batch: Batch, rows: slice) -> Batch:
    return Batch(
        batch.image[rows], batch.clinical[rows], batch.missing[rows], batch.onlm[rows], batch.patient_id[rows]
    )  # fmt: skip
