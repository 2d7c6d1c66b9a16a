"""The whole training loop beside bare steps on tensors that lie in memory; prediction, and what memory both take.

The loop cuts, turns and roughens every patch, and moves the running mean of the weights; the bare steps do nothing but
forward, backward and AdamW on the same network, batch and threads. A ratio of 1 means that pictures cost no time.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import torch
from lightning_fabric import Fabric
from torch.nn import functional as F

from benchmarks.memory import peak_gb
from onlm_lab.learning.dataset import Layout
from onlm_lab.learning.fabric import make_fabric
from onlm_lab.learning.feeding import Rows
from onlm_lab.learning.finetune import apply_to_all, train_epoch
from onlm_lab.learning.learner import Learner
from onlm_lab.learning.losses import Loss
from onlm_lab.learning.model import OnlmModel
from onlm_lab.learning.weights import load_backbone
from onlm_lab.study import Training

Work = Callable[[], object]
Race = tuple[str, str, Work, Work]
BACKBONE, PX, N_CLINICAL = "tf_efficientnet_lite0", 96, 10
TRAINING = Training(batch_size=32, freeze_epochs=0)
N_BATCHES, N_PREDICTED = 6, 1000
LAYOUT = Layout(
    size_mm=64.0, field_mm=48.0, image_px=PX, neighbours=1, gap_mm=3.0, windows_hu=((-1100.0, 300.0),)
)  # fmt: skip


def races() -> Iterator[Race]:
    """Name, peer, our work, the peer's work; on one thread, on all, and on a GPU where there is one."""
    for n_threads in sorted({1, os.cpu_count() or 1}):
        fabric = make_fabric(accelerator="cpu", precision="32")
        yield (
            f"an epoch of {N_BATCHES * TRAINING.batch_size} patients, {n_threads} thread{'s' * (n_threads > 1)}",
            "steps on tensors in memory",
            *_contestants(fabric, n_threads=n_threads, n_batches=N_BATCHES),
        )
    if torch.cuda.is_available():
        fabric = make_fabric(accelerator="cuda")
        n_batches = 8 * N_BATCHES
        yield (
            f"an epoch of {n_batches * TRAINING.batch_size} patients, {fabric.strategy.precision.precision}",
            "steps on tensors in the GPU",
            *_contestants(fabric, n_threads=1, n_batches=n_batches),
        )


def _contestants(
    fabric: Fabric, *, n_threads: int, n_batches: int
) -> tuple[Callable[[], object], Callable[[], object]]:
    rows = make_rows(n_batches * TRAINING.batch_size)
    loop = Learner.begin(make_model(), training=TRAINING, fabric=fabric)
    bare = Learner.begin(make_model(), training=TRAINING, fabric=fabric)
    batch = rows.batch(torch.arange(TRAINING.batch_size), device=fabric.device)
    steps = partial(_bare, bare.wrapped(resting=False), bare, batch=batch, n_batches=n_batches)
    epoch = partial(
        train_epoch, loop.wrapped(resting=False), loop, rows=rows, learn=np.arange(len(rows.onlm)), epoch=0, seed=1,
        loss=Loss(), training=TRAINING,
    )  # fmt: skip
    return partial(_with_threads, n_threads, epoch), partial(_with_threads, n_threads, steps)


def _with_threads(n_threads: int, work: Work) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(n_threads)
    try:
        work()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
    finally:
        torch.set_num_threads(before)


def _bare(net, learner: Learner, *, batch, n_batches: int) -> None:
    net.train()
    for _ in range(n_batches):
        loss = F.binary_cross_entropy_with_logits(net(batch), batch.onlm)
        learner.optimiser.zero_grad()
        learner.fabric.backward(loss)
        learner.optimiser.step()


def make_rows(n: int) -> Rows:
    """Patients of noise, in patches as large as a study's."""
    chance = torch.Generator().manual_seed(1)
    return Rows(
        patches=torch.randint(-1000, 300, (n, 64, 64, 64), generator=chance, dtype=torch.int16),
        clinical=torch.randn(n, N_CLINICAL, generator=chance), missing=torch.zeros(n, N_CLINICAL),
        onlm=(torch.rand(n, generator=chance) < 0.2).float(), layout=LAYOUT, mean=0.5, std=0.5,
    )  # fmt: skip


def make_model() -> OnlmModel:
    """The network of a study that says nothing else, with random weights."""
    backbone = load_backbone(BACKBONE, weights="none", in_channels=LAYOUT.n_channels)
    module = backbone.module.to(memory_format=torch.channels_last)
    return OnlmModel(n_clinical=N_CLINICAL, n_features=backbone.n_features, backbone=module, modality_dropout=0.1)


def measure(what: str) -> None:
    """One work in a process of its own, whose peak of memory is then its own: prints seconds and gigabytes as JSON."""
    rows = make_rows(N_PREDICTED if what == "predict" else N_BATCHES * TRAINING.batch_size)
    fabric = make_fabric(accelerator="cpu", precision="32")
    learner = Learner.begin(make_model(), training=TRAINING, fabric=fabric)
    before = peak_gb()
    began = time.perf_counter()
    if what == "predict":
        apply_to_all(learner.model.eval(), rows=rows, fabric=fabric)
    else:
        net = learner.wrapped(resting=False)
        learn = np.arange(len(rows.onlm))
        train_epoch(net, learner, rows=rows, learn=learn, epoch=0, seed=1, loss=Loss(), training=TRAINING)
    seconds = time.perf_counter() - began
    print(json.dumps([seconds, before, peak_gb()]))


def report() -> None:
    """Print how long prediction takes, and the memory of prediction and training."""
    print(f"\n{BACKBONE}, {len(LAYOUT.views)} views of {PX} px, {torch.get_num_threads()} threads")
    works = {
        "predict": f"one network predicts {N_PREDICTED:,} patients",
        "train": f"an epoch of {N_BATCHES * TRAINING.batch_size} patients",
    }
    for what, name in works.items():
        command = [sys.executable, "-c", f"from benchmarks.training import measure; measure({what!r})"]
        said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        seconds, before, after = json.loads(said.splitlines()[-1])
        print(f"  {name:<40} {seconds:6.1f} s   peak {after:.2f} GB, of which patches and library {before:.2f} GB")


if __name__ == "__main__":
    report()
