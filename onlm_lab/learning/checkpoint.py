"""Where a network stands after each epoch: written whole or not at all, by the first process, read for all."""

from __future__ import annotations

import io
import os
import pickle
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric

from onlm_lab.errors import OnlmError
from onlm_lab.steps import whole_or_not


def save_checkpoint(path: Path, state: dict[str, Any], *, fabric: Fabric) -> None:
    """Writes tensors and plain values; until they are whole on the disk, the file of the epoch before stays.

    Raises:
        OnlmError: in every process, where the disk is full or cannot be written.
    """
    said = ""
    if fabric.is_global_zero:
        try:
            _write(path, state)
        except OnlmError as error:
            said = str(error)
    said = fabric.broadcast(said)
    if said:
        raise OnlmError(said)


def load_checkpoint(path: Path, *, fabric: Fabric) -> dict[str, Any] | None:
    """What `save_checkpoint` wrote, on the CPU; None where nothing has been written.

    Raises:
        OnlmError: in every process, where the file is damaged.
    """
    found: dict[str, Any] | str | None = None
    if fabric.is_global_zero and path.is_file():
        try:
            found = torch.load(path, map_location="cpu", weights_only=True)
        except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
            found = (
                f"'{path.parent.name}/{path.name}' of the run is damaged ({type(error).__name__}). Delete it and start "
                "the run again: this one network begins anew, the others stay."
            )
    found = fabric.broadcast(found)
    if isinstance(found, str):
        raise OnlmError(found)
    return found


def _write(path: Path, state: dict[str, Any]) -> None:
    """Through memory: on a full disk torch's own writer gives no error of the system, but one of its archive."""
    whole = io.BytesIO()
    torch.save(state, whole)
    with whole_or_not(path) as half, half.open("wb") as stream:
        stream.write(whole.getbuffer())
        stream.flush()
        os.fsync(stream.fileno())
