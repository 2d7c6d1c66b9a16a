"""Where training runs: this processor, a GPU, several of them, several machines; and how they share one batch.

    fabric = make_fabric(devices=4, nodes=2, strategy="ddp")
    fabric.launch()                 # first thing in the command: starts it once more for each further device
    ...                             # from here on, every process does the same on its share

The strategies are Lightning Fabric's own. A batch is the batch of the study, whatever the number of processes: each
takes its share of it, and the gradient is that of the whole batch. Files are written by the first process alone
(`fabric.is_global_zero`).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from onlm_lab.errors import OnlmError

STRATEGIES = ("auto", "ddp", "ddp_find_unused_parameters_true")
ACCELERATORS = ("auto", "cpu", "cuda")
PRECISIONS = ("auto", "32", "bf16-mixed", "16-mixed")


def make_fabric(
    *,
    devices: int | str = 1,
    nodes: int = 1,
    strategy: str = "auto",
    accelerator: str = "auto",
    precision: str = "auto",
) -> Fabric:
    """What trains, not yet launched.

    Args:
        devices: GPUs of each machine, or processes where there is no GPU; "auto": every GPU, or one process.
        nodes: machines.
        strategy: "auto", "ddp", or "ddp_find_unused_parameters_true" for backbones with parts that no picture reaches.
        accelerator: "cpu", "cuda", or "auto": a GPU where there is one.
        precision: "32", "bf16-mixed", "16-mixed", or "auto": bf16 on a GPU that has it, else 32.

    Raises:
        OnlmError: an unknown name, more devices than there are, or a precision that the device has not.
    """
    for option, said, known in (
        ("strategy", strategy, STRATEGIES), ("accelerator", accelerator, ACCELERATORS),
        ("precision", precision, PRECISIONS),
    ):  # fmt: skip
        if said not in known:
            raise OnlmError(f"{option} is '{said}'; wanted {', '.join(known)}.")
    n_gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if accelerator == "cuda" and not n_gpus:
        raise OnlmError("accelerator is 'cuda', and torch finds no GPU here. Use 'cpu', or install torch with CUDA.")
    on_gpu = accelerator != "cpu" and n_gpus > 0
    n_devices = _count(devices, there_are=n_gpus if on_gpu else 1)
    if on_gpu and n_devices > n_gpus:
        raise OnlmError(
            f"devices is {n_devices}, and this machine has {n_gpus} GPU{'s' * (n_gpus != 1)}. "
            f"Ask for {n_gpus} at most, or for processes without GPU by accelerator 'cpu'."
        )
    if nodes < 1:
        raise OnlmError(f"nodes is {nodes}; wanted the number of machines, 1 or more.")
    if on_gpu:  # cuBLAS repeats its sums only with a workspace of fixed size, chosen before its first use
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    return Fabric(
        accelerator="cuda" if on_gpu else "cpu", devices=n_devices, num_nodes=nodes, strategy=strategy,
        precision=_precision(precision, on_gpu=on_gpu),
    )  # fmt: skip


def _count(devices: int | str, *, there_are: int) -> int:
    if devices == "auto":
        return there_are
    if not str(devices).isascii() or not str(devices).isdigit() or int(devices) < 1:
        raise OnlmError(f"devices is '{devices}'; wanted a number, 1 or more, or 'auto'.")
    return int(devices)


def _precision(asked: str, *, on_gpu: bool) -> str:
    has_bf16 = on_gpu and torch.cuda.is_bf16_supported(including_emulation=False)
    if asked == "auto":
        return "bf16-mixed" if has_bf16 else "32-true"
    if asked == "16-mixed" and not on_gpu:
        raise OnlmError("[training] precision is '16-mixed', which needs a GPU. Use 'auto', '32' or 'bf16-mixed'.")
    return "32-true" if asked == "32" else asked


@contextmanager
def sound_kernels(fabric: Fabric) -> Iterator[None]:
    """Around training: without oneDNN where a processor computes in bf16.

    On processors with bf16 instructions of their own (AVX512_BF16) the gradients of its convolutions are NaN now and
    then (torch 2.13: of the same training, not each time). torch's own kernels are right there, and slower.
    """
    before = torch.backends.mkldnn.enabled
    if "bf16" in str(fabric.strategy.precision.precision) and fabric.device.type == "cpu":
        torch.backends.mkldnn.enabled = False
    try:
        yield
    finally:
        torch.backends.mkldnn.enabled = before


def share(part: Tensor, *, rank: int, n_processes: int) -> tuple[Tensor, float]:
    """What one process takes of a batch, and the factor that makes the sum of its losses a share of the batch's mean.

    Gradients are averaged over processes: with the factor, n_processes / n of the whole batch, that average is the
    gradient of the mean loss of the whole batch, also where shares differ by one. Where there are more processes than
    patients, one without a patient takes the first, for nothing: every process has to go along.
    """
    mine = part[rank::n_processes]
    if len(mine) == 0:
        return part[:1], 0.0
    return mine, n_processes / len(part)


@torch.no_grad()
def gather(call: Callable[[int], Tensor], *, sizes: Sequence[int], fabric: Fabric) -> Tensor:
    """What `call` gives for the rows of each part, side by side, on the CPU of every process: (n,...).

    Args:
        call: number of a part -> (rows of that part,...).
        sizes: rows of each part; parts are dealt to the processes in turn.
        fabric: launched.
    """
    ends = torch.tensor(sizes).cumsum(0).tolist()
    whole = None
    for k in range(fabric.global_rank, max(len(sizes), fabric.global_rank + 1), fabric.world_size):
        found = call(k % len(sizes))  # a process without a part does another's, to know the shape
        if whole is None:
            whole = found.new_zeros(ends[-1], *found.shape[1:])
        if k < len(sizes):
            whole[ends[k] - sizes[k] : ends[k]] = found
    return fabric.all_reduce(whole, reduce_op="sum").cpu()  # zeros of others add nothing: the same bits everywhere


def agree_on_buffers(modules: Sequence[nn.Module], *, fabric: Fabric) -> None:
    """Statistics that each process collected from its own share (batch norm) become those of the first process."""
    if fabric.world_size == 1:
        return
    for module in modules:
        first = fabric.broadcast({name: value.cpu() for name, value in module.named_buffers()})
        for name, value in module.named_buffers():
            value.copy_(first[name])
