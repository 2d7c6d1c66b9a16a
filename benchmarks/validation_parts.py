"""What a comparison is, and how far two columns of numbers lie apart."""

from __future__ import annotations

import importlib.metadata
import json
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from benchmarks.validation_data import FOLDER

Z95 = 1.959963984540054
SMALLEST = 1e-3  # a difference from anything smaller is divided by this: relative to nothing says nothing

Pairs = Iterator[tuple[Any, Any]]  # ours and theirs: numbers, or arrays of one shape


@dataclass(frozen=True)
class Check:
    """One line of the page.

    Args:
        quantity: what is compared, in the field's words.
        call: the public calls of onlm_lab.analysis that give our numbers, separated by commas.
        peer: whose numbers they are compared with, with version.
        data: the tables they were computed on.
        files: files of tests/reference that are read, names separated by blanks; none where the peer runs beside ours.
        pairs: gives our numbers beside the peer's.
        within: the largest difference that counts as equal.
        absolute: `within` is an absolute difference, as where both sides draw random samples or the published numbers
            are rounded; otherwise it is a relative one.
        remark: what differs on purpose.
    """

    quantity: str
    call: str
    peer: str
    data: str
    files: str
    pairs: Callable[[], Pairs]
    within: float
    absolute: bool = False
    remark: str = ""


@dataclass(frozen=True)
class Found:
    """How far apart the two are: the number of values, the largest absolute and the largest relative difference."""

    check: Check
    n: int
    absolute: float
    relative: float

    @property
    def agrees(self) -> bool:
        """Whether the largest difference lies within what is claimed; no value compared is no agreement."""
        return self.n > 0 and (self.absolute if self.check.absolute else self.relative) <= self.check.within


def columns(check: Check) -> tuple[np.ndarray, np.ndarray]:
    """Ours and theirs, all values of a check below each other. A pair of different lengths is refused."""
    ours, theirs = [], []
    for own, other in check.pairs():
        a, b = (np.atleast_1d(np.asarray(side, dtype=float)) for side in (own, other))
        if a.shape != b.shape:
            raise ValueError(f"{check.quantity}: {a.shape} values of ours beside {b.shape} of theirs")
        ours.append(a.ravel())
        theirs.append(b.ravel())
    return np.concatenate(ours), np.concatenate(theirs)


def differences(ours: np.ndarray, theirs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Absolute and relative difference of each value. Both not given, or both infinite alike: no difference."""
    alike = (ours == theirs) | (np.isnan(ours) & np.isnan(theirs))
    with np.errstate(invalid="ignore"):
        absolute = np.where(alike, 0.0, np.abs(ours - theirs))
    absolute = np.where(np.isnan(absolute), np.inf, absolute)
    size = np.maximum(np.where(np.isfinite(theirs), np.abs(theirs), 0.0), SMALLEST)
    return absolute, absolute / size


def measure(check: Check) -> Found:
    """Run one comparison."""
    return compared(check, *columns(check))


def compared(check: Check, ours: np.ndarray, theirs: np.ndarray) -> Found:
    """How far two columns of numbers lie apart."""
    absolute, relative = differences(ours, theirs)
    return Found(check, len(ours), float(absolute.max(initial=0.0)), float(relative.max(initial=0.0)))


def estimate(found: Any) -> list[float]:
    """Value and both limits."""
    return [found.value, found.low, found.high]


def log_log_limits(share: float, variance: float) -> tuple[float, float]:
    """95 % limits of a share on the log(-log) scale, from its estimate and variance; none where nothing varies."""
    if share == 0 or variance == 0:
        return math.nan, math.nan
    half = Z95 * math.sqrt(variance) / (share * math.log(share))
    return share ** math.exp(-half), share ** math.exp(half)


def in_r(function: str, file: str) -> str:
    """R's function with the version that the file of its numbers records."""
    package = function.split("::")[0]
    r, packages = _made_with(file)
    version = packages.get(package, r)
    return f"R {function} ({version})" if version else f"R {function} (version not recorded)"


def beside(package: str, function: str) -> str:
    """A Python package that runs beside ours, with the version that is installed."""
    return f"{package} {importlib.metadata.version(package)}, {function}"


@cache
def _made_with(file: str) -> tuple[str, dict[str, str]]:
    """R's version, and those of its packages, as a file records them."""
    if not file.endswith(".json"):
        return "", {}
    stored = json.loads((FOLDER / file).read_text(encoding="utf-8"))
    said = stored.get("made_with", stored.get("made_by", stored.get("r", "")))
    said = said if isinstance(said, dict) else {"R": said, "pROC": stored.get("pROC", "")}
    said = {name: value[0] if isinstance(value, list) else value for name, value in said.items()}
    number = re.search(r"\d+\.\d+\.\d+", said.pop("R"))
    return f"R {number.group()}", {name: version for name, version in said.items() if version}
