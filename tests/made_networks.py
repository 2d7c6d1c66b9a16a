"""Small networks to train, and, run as a script, their training shared between two processes of this machine."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from onlm_lab.errors import OnlmError
from onlm_lab.learning import finetune
from onlm_lab.learning.dataset import Layout
from onlm_lab.learning.fabric import make_fabric
from onlm_lab.learning.feeding import Rows
from onlm_lab.learning.finetune import fit_network
from onlm_lab.learning.model import OnlmModel
from onlm_lab.learning.weights import load_backbone
from onlm_lab.study import Training

N, PX = 20, 16
LEARN, WATCH = np.arange(14), np.arange(14, N)
QUICK = Training(
    epochs=4,
    patience=4,
    batch_size=6,
    freeze_epochs=1,
    learning_rate=0.01,
    backbone_learning_rate=0.003,
    precision="32",
)
# An odd batch: 3 patients for one process, 2 for the other. Slowly: Adam makes steps of one size of gradients of any,
# so that where one is all but 0 the last bit of a sum decides which way the step goes.
SHARED = replace(QUICK, batch_size=5, learning_rate=1e-3, backbone_learning_rate=3e-4)
# Layer and group norm, which ask nobody else; batch norm where it rests. Without chance in the network itself.
CASES = {
    "layer norm": ("test_efficientnet_ln", SHARED),
    "group norm, no running mean, no rest": ("test_efficientnet_gn", replace(SHARED, ema_decay=0.0, freeze_epochs=0)),
    "batch norm at rest, weighted": ("test_resnet", replace(SHARED, freeze_epochs=4, loss="weighted")),
}


def make_rows(**changed) -> Rows:
    """A ball of soft tissue in noise, larger in N+."""
    rng = np.random.default_rng(1)
    onlm = (np.arange(N) % 3 == 0).astype(np.float32)
    radius = np.linalg.norm(np.mgrid[-7.5:8, -7.5:8, -7.5:8], axis=0)
    hu = np.where(radius < 3 + 2 * onlm[:, None, None, None], 40.0, -850.0) + rng.normal(0, 30, (N, *radius.shape))
    layout = Layout(size_mm=16.0, field_mm=16.0, image_px=PX, neighbours=1, gap_mm=1.0, windows_hu=((-1100.0, 300.0),))
    said = {
        "patches": torch.from_numpy(hu.astype(np.int16)),
        "clinical": torch.from_numpy(rng.normal(size=(N, 2)).astype(np.float32)),
        "missing": torch.zeros(N, 2),
        "onlm": torch.from_numpy(onlm),
        "layout": layout,
    }
    return Rows(**said | {"mean": 0.5, "std": 0.25} | changed)


def make_model(name: str = "test_resnet", *, dropout: float = 0.2, modality_dropout: float = 0.0) -> OnlmModel:
    """Always the same one."""
    backbone = load_backbone(name, weights="none", in_channels=3)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return OnlmModel(
            n_clinical=2, n_features=backbone.n_features, backbone=backbone.module, width=4, dropout=dropout,
            modality_dropout=modality_dropout,
        )  # fmt: skip


def fit(folder: Path, *, fabric, rows=None, model=None, training=QUICK, **others):
    """A network trained in a folder that keeps its checkpoint, on one thread."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    return fit_network(
        make_rows() if rows is None else rows, model=make_model() if model is None else model, learn=LEARN, watch=WATCH,
        seed=5, training=training, checkpoint=folder / "net.ckpt", fabric=fabric, **others,
    )  # fmt: skip


def fit_case(folder: Path, *, case: str, fabric) -> dict[str, torch.Tensor]:
    """Weights and logits of one of `CASES`."""
    name, training = CASES[case]
    found = fit(folder, fabric=fabric, model=make_model(name, dropout=0.0), training=training)
    return found.state | {"logit": found.logit}


def share_out(folder: Path) -> None:
    """What two processes have to show: every case, one stopped and resumed, one on a full disk."""
    fabric = make_fabric(devices=2, strategy="ddp", accelerator="cpu", precision="32")
    fabric.launch()
    found = {case: fit_case(folder / str(k), case=case, fabric=fabric) for k, case in enumerate(CASES)}
    found["resumed"] = _resumed(folder / "resumed", case="layer norm", fabric=fabric)
    if fabric.is_global_zero:
        (folder / "full").mkdir()
        (folder / "full" / "net.ckpt.half").symlink_to("/dev/full")
    fabric.barrier()
    try:
        fit_case(folder / "full", case="layer norm", fabric=fabric)
    except OnlmError as error:
        found["full disk"] = str(error)
    torch.save(found, folder / f"process{fabric.global_rank}.pt")


def _resumed(folder: Path, *, case: str, fabric) -> dict:
    train = finetune.train_epoch

    def stop(*args, **named):
        if named["epoch"] == 2:
            raise KeyboardInterrupt
        return train(*args, **named)

    finetune.train_epoch = stop
    try:
        fit_case(folder, case=case, fabric=fabric)
    except KeyboardInterrupt:
        finetune.train_epoch = train
    return fit_case(folder, case=case, fabric=fabric)


if __name__ == "__main__":
    share_out(Path(sys.argv[1]))
