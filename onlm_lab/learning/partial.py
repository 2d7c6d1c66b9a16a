"""What a run has finished so far: one file a task in runs/<id>/partial/, written whole or not at all.

A run that is started again reads these files and goes on; files made from other inputs are thrown away first.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from safetensors.torch import load_file, save

from onlm_lab import steps
from onlm_lab.learning.clinical import ClinicalEncoder
from onlm_lab.learning.validate import Fitted, Task

HISTORY = (
    "model_id", "repeat", "fold", "seed", "epoch", "train_loss", "valid_loss", "valid_auc", "learning_rate", "seconds",
)  # fmt: skip
ARRAYS = ("inner_logit", "apply_logit", "ood", "code")


@dataclass(frozen=True)
class Partial:
    """The folder of finished tasks."""

    folder: Path

    @classmethod
    def open(cls, folder: Path, *, inputs: str) -> Partial:
        """The folder, emptied where it belongs to other inputs."""
        return cls(steps.folder_for(folder, inputs=inputs))

    def has(self, task: Task) -> bool:
        return self._path(task).is_file()

    def save(self, task: Task, fitted: Fitted) -> None:
        tensors = {f"state/{name}": value.contiguous() for name, value in fitted.states.items()}
        for name in ARRAYS:
            value = getattr(fitted, name)
            if value is not None:
                tensors[name] = torch.from_numpy(np.ascontiguousarray(value))
        said = {
            "epoch": fitted.epoch,
            "history": fitted.history,
            "encoders": [encoder.to_dict() for encoder in fitted.encoders],
        }
        with steps.whole_or_not(self._path(task)) as half:
            half.write_bytes(save(tensors, metadata={"said": json.dumps(said)}))
        for path in self.folder.glob(f"{task.name}-s*.ckpt"):
            path.unlink()

    def load(self, task: Task) -> Fitted:
        from safetensors import safe_open

        path = self._path(task)
        with safe_open(path, framework="pt") as file:
            said = json.loads(file.metadata()["said"])
        tensors = load_file(path)
        arrays = {name: tensors[name].numpy() for name in ARRAYS if name in tensors}
        return Fitted(
            **arrays,
            epoch=said["epoch"],
            history=said["history"],
            states={name.removeprefix("state/"): value for name, value in tensors.items() if name.startswith("state/")},
            encoders=tuple(ClinicalEncoder.from_dict(plain) for plain in said["encoders"]),
        )

    def checkpoint(self, task: Task, *, seed: int) -> Path:
        """Where one network of a task keeps its last epoch."""
        return self.folder / f"{task.name}-s{seed}.ckpt"

    def _path(self, task: Task) -> Path:
        return self.folder / f"{task.name}.safetensors"


def history_rows(history: list[dict[str, float]], *, task: Task) -> pd.DataFrame:
    """A task's epochs as rows of history.csv; the final model is fold -1."""
    said = {"model_id": task.model, "repeat": task.repeat, "fold": task.fold}
    return pd.DataFrame([{**said, **row} for row in history], columns=list(HISTORY))


def append_history(path: Path, rows: pd.DataFrame) -> None:
    """Adds rows to history.csv; its first line names the columns."""
    rows.to_csv(path, mode="a", header=not path.is_file(), index=False, lineterminator="\n")
