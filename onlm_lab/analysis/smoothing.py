"""Exact local quadratic regression on one variable: loess(degree = 2, surface = "direct") without its n x n cost.

R's loess interpolates by default; the exact fit solves a weighted regression at every distinct value. Done naively
that costs n x n. The tricube weight (1 - |u|^3)^3 is a polynomial on each side of the point, so every sum that the
regression needs is a sum of powers over a window of sorted values: running sums, centred near the point so that
nothing cancels, give all of them in O(n). Cleveland and Devlin 1988, doi:10.1080/01621459.1988.10478639.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_DIRECT = 400  # up to so many distinct values the plain way is as fast
_ROWS = 32  # points at a time in the plain way: 32 x 20,000 numbers
_SINGULAR = 1e-10
_TRICUBE = ((0, 1.0), (3, -3.0), (6, 3.0), (9, -1.0))  # powers of |u| and their factors


@dataclass(frozen=True, eq=False)
class Tabulated:
    """Outcomes on distinct values: value (k,) rising, count (k,), total (k,) the sum of the outcome at each."""

    value: np.ndarray
    count: np.ndarray
    total: np.ndarray

    @property
    def n(self) -> int:
        return int(self.count.sum())


def bandwidths(points: np.ndarray, data: Tabulated, *, span: float) -> np.ndarray:
    """The distance from each point to the nearest share `span` of the patients (R: floor(n span + 1e-5) of them)."""
    sample = np.repeat(data.value, data.count)
    near = max(1, int(np.floor(len(sample) * span + 1e-5)))
    first, last = sample[: len(sample) - near + 1], sample[near - 1 :]
    at = np.searchsorted(first + last, 2 * points)  # the window whose two ends are equally far
    reach = [
        np.maximum(points - first[i], last[i] - points) for i in (np.clip(at - s, 0, len(first) - 1) for s in (0, 1))
    ]
    return np.minimum(*reach)


def fit_at_values(data: Tabulated, *, span: float = 0.75) -> np.ndarray:
    """The smooth outcome at each distinct value; NaN where the nearest share of patients sits on a single value."""
    bandwidth = bandwidths(data.value, data, span=span)
    if not np.all(bandwidth > 0):
        return np.full(len(data.value), np.nan)
    if len(data.value) <= _DIRECT:
        return fit_at(data.value, data, span=span)[0]
    fitted = np.empty(len(data.value))
    start = 0
    while start < len(data.value):
        # Within a quarter bandwidth of the centre the shift of the sums loses no digits.
        stop = int(np.searchsorted(data.value, data.value[start] + 0.5 * bandwidth[start], "right"))
        at = slice(start, stop)
        fitted[at] = _fit_block(data, data.value[at], bandwidth[at], span=span)
        start = stop
    return fitted


def lowess_at_values(data: Tabulated, *, span: float = 2 / 3) -> np.ndarray:
    """The local linear outcome at each distinct value, as R's lowess(iter = 0, delta = 0): (k,).

    Cleveland 1979, doi:10.1080/01621459.1979.10481038. As in R, a point has the mean of its neighbourhood where that
    is narrower than a thousandth of the range, and its own where the nearest share of patients sits on it. R takes
    weights within a thousandth of the bandwidth as 1 and of its edge as 0; beyond 400 values that is left out (1e-9).
    """
    near = max(2, min(data.n, int(span * data.n + 1e-7)))  # R's
    bandwidth = bandwidths(data.value, data, span=near / data.n)
    alone = ~(bandwidth > 0)
    if alone.all():
        return data.total / data.count
    bandwidth[alone] = bandwidth.max()  # their fit is replaced below
    fitted, least, start = np.empty(len(data.value)), 1e-3 * np.ptp(data.value), 0
    while start < len(data.value):
        if len(data.value) <= _DIRECT:
            at = slice(start, start + _ROWS)
            moments, outcome = _plain_sums(data, data.value[at], bandwidth[at])
        else:
            stop = int(np.searchsorted(data.value, data.value[start] + 0.5 * bandwidth[start], "right"))
            at = slice(start, stop)
            moments, outcome = _block_sums(data, data.value[at], bandwidth[at])
        weight, mean, level = moments[:, 0], moments[:, 1] / moments[:, 0], outcome[:, 0] / moments[:, 0]
        spread = np.clip(moments[:, 2] / weight - mean**2, 0, None)
        sloped = np.sqrt(spread) * bandwidth[at] > least
        slope = np.divide(outcome[:, 1] / weight - mean * level, spread, out=np.zeros_like(mean), where=sloped)
        fitted[at] = level - slope * mean
        start = at.stop
    fitted[alone] = data.total[alone] / data.count[alone]
    return fitted


def _plain_sums(data: Tabulated, points: np.ndarray, bandwidth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weighted moments 0..2 of the values around each point, and 0..1 of the outcome, with R's two thresholds."""
    u = (data.value - points[:, None]) / bandwidth[:, None]
    far = np.abs(u)
    kernel = np.where(far <= 1e-3, 1.0, np.clip(1 - far**3, 0, None) ** 3)
    kernel[far > 0.999] = 0
    moments = np.stack([(kernel * u**j) @ data.count for j in range(3)], axis=1)
    return moments, np.stack([(kernel * u**j) @ data.total for j in range(2)], axis=1)


def fit_at(
    points: np.ndarray, data: Tabulated, *, span: float = 0.75, variance: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """The smooth outcome at any points, and its standard error given the variance of one outcome at each value."""
    bandwidth = bandwidths(points, data, span=span)
    fitted, spread = np.full(len(points), np.nan), np.full(len(points), np.nan)
    if not np.all(bandwidth > 0):
        return fitted, spread
    for start in range(0, len(points), _ROWS):
        at = slice(start, start + _ROWS)
        weight = _operator(points[at], data, bandwidth[at])
        fitted[at] = weight @ data.total
        if variance is not None:
            spread[at] = np.sqrt(weight**2 @ (data.count * variance))
    return fitted, spread


def _operator(points: np.ndarray, data: Tabulated, bandwidth: np.ndarray) -> np.ndarray:
    """(points, values): what one patient's outcome at each value adds to the fit at each point."""
    u = (data.value - points[:, None]) / bandwidth[:, None]
    kernel = 1 - np.abs(u) ** 3
    np.clip(kernel, 0, None, out=kernel)
    kernel = kernel * kernel * kernel
    counted = kernel * data.count
    square = u * u
    moments = np.stack(
        [
            counted.sum(1), (counted * u).sum(1), (counted * square).sum(1), (counted * square * u).sum(1),
            (counted * square * square).sum(1),
        ],
        axis=1,
    )  # fmt: skip
    row, singular = _first_row(moments)
    weight = kernel * (row[:, :1] + row[:, 1:2] * u + row[:, 2:] * square)
    for i in np.flatnonzero(singular):  # fewer than three distinct values in reach: least norm, as R
        inside = np.flatnonzero(kernel[i] > 0)
        root = np.sqrt(counted[i, inside])
        design = root[:, None] * np.stack([np.ones(len(inside)), u[i, inside], square[i, inside]], axis=1)
        weight[i] = 0
        weight[i, inside] = np.linalg.pinv(design, rcond=1e-8)[0] * root / data.count[inside]
    return weight


def _first_row(moments: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First row of the inverse of the normal matrix made of moments 0..4, and where there is none."""
    index = np.array([[0, 1, 2], [1, 2, 3], [2, 3, 4]])
    normal = moments[:, index]
    scale = moments[:, 0] * moments[:, 2] * moments[:, 4]
    with np.errstate(divide="ignore", invalid="ignore"):
        singular = ~(np.linalg.det(normal) / scale > _SINGULAR)
    normal[singular] = np.eye(3)
    unit = np.zeros((len(moments), 3, 1))
    unit[:, 0] = 1
    return np.linalg.solve(normal, unit)[:, :, 0], singular


def _fit_block(data: Tabulated, points: np.ndarray, bandwidth: np.ndarray, *, span: float) -> np.ndarray:
    """The fit at neighbouring points from running sums of powers around their middle."""
    moments, outcome = _block_sums(data, points, bandwidth)
    row, singular = _first_row(moments)
    fitted = np.sum(row * outcome, axis=1)
    if singular.any():
        fitted[singular] = fit_at(points[singular], data, span=span)[0]
    return fitted


def _block_sums(data: Tabulated, points: np.ndarray, bandwidth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weighted moments 0..4 of the values around neighbouring points, (points, 5), and 0..2 of the outcome."""
    reach = float(bandwidth.max())
    centre = (points[0] + points[-1]) / 2
    low, high = np.searchsorted(data.value, [points[0] - reach, points[-1] + reach])
    high = min(high + 1, len(data.value))
    value = data.value[low:high]
    ends = [
        np.searchsorted(value, edge, side)
        for edge, side in ((points - bandwidth, "left"), (points, "left"), (points + bandwidth, "right"))
    ]
    middle = int(np.searchsorted(value, centre))
    z = (value - centre) / reach
    shift, stretch = (centre - points) / reach, reach / bandwidth
    top = 4 + 9
    left, right = _window_sums(z, data.count[low:high], middle, ends, top=top)
    moments = _weighted(_shifted(left, shift, stretch), _shifted(right, shift, stretch), n=5)
    left, right = _window_sums(z, data.total[low:high], middle, ends, top=top - 2)
    return moments, _weighted(_shifted(left, shift, stretch), _shifted(right, shift, stretch), n=3)


def _window_sums(
    z: np.ndarray, weight: np.ndarray, middle: int, ends: list[np.ndarray], *, top: int
) -> tuple[np.ndarray, np.ndarray]:
    """Sums of weight z^j, j = 0..top, left and right of each point inside its window: two (top + 1, points)."""
    left, right = np.empty((top + 1, len(ends[0]))), np.empty((top + 1, len(ends[0])))
    term = weight.astype(float)
    running = np.empty(len(z) + 1)
    for j in range(top + 1):
        running[middle] = 0  # summed outwards from the middle, so that far values never swamp near ones
        np.cumsum(term[middle:], out=running[middle + 1 :])
        running[:middle] = -np.cumsum(term[:middle][::-1])[::-1]
        edge = [running[e] for e in ends]
        left[j], right[j] = edge[1] - edge[0], edge[2] - edge[1]
        term = term * z
    return left, right


def _shifted(sums: np.ndarray, shift: np.ndarray, stretch: np.ndarray) -> np.ndarray:
    """Sums of powers about the middle -> sums of powers of u about each point: binomial theorem, a triangle of sums."""
    out = sums.copy()
    for first in range(1, len(out)):
        for k in range(len(out) - 1, first - 1, -1):
            out[k] += shift * out[k - 1]
    factor = np.ones_like(stretch)
    for k in range(1, len(out)):
        factor = factor * stretch
        out[k] *= factor
    return out


def _weighted(left: np.ndarray, right: np.ndarray, *, n: int) -> np.ndarray:
    """Tricube-weighted moments 0..n-1, (points, n), from plain ones; left of the point |u|^j is (-1)^j u^j."""
    return sum(f * (right[j : j + n] + (-1.0) ** j * left[j : j + n]) for j, f in _TRICUBE).T
