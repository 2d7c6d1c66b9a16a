"""Restricted cubic splines: smooth between knots, straight beyond the outer ones.

Harrell 2015, doi:10.1007/978-3-319-19425-7, section 2.4.5; as rcspline.eval of R Hmisc.
"""

from __future__ import annotations

import numpy as np

from onlm_lab.errors import OnlmError

SMALL_SAMPLE = 100  # below, the outer knots are the fifth value from either end


def harrell_knots(values: np.ndarray, *, n_knots: int) -> np.ndarray:
    """Knots at equally spaced quantiles between the outer ones (0.10, 0.05 from four knots on, 0.025 from seven on).

    Raises:
        OnlmError: a number of knots outside 3 to 7, or so few distinct values that knots coincide.
    """
    if isinstance(n_knots, bool) or n_knots not in range(3, 8):
        raise OnlmError(f"knots must be a whole number from 3 to 7, got {n_knots!r}.")
    outer = 0.10 if n_knots == 3 else 0.05 if n_knots < 7 else 0.025
    knots = np.quantile(values, np.linspace(outer, 1 - outer, n_knots))
    if 10 <= len(values) < SMALL_SAMPLE:
        ranked = np.sort(values)
        knots[0], knots[-1] = ranked[4], ranked[-5]
    if len(values) < 10 or (np.diff(knots) <= 0).any():
        raise OnlmError(
            f"{n_knots} knots need more distinct values: they fall on {', '.join(f'{k:g}' for k in knots)} in "
            f"{len(values)} patients. Take fewer knots, or the covariate as a category."
        )
    return knots


def spline_basis(values: np.ndarray, knots: np.ndarray) -> np.ndarray:
    """The values themselves and k - 2 cubic terms (n, k - 1), these over the squared distance of the outer knots."""
    first, before_last, last = knots[0], knots[-2], knots[-1]

    def cube(knot: float) -> np.ndarray:
        return np.clip(values - knot, 0, None) ** 3

    tail, end = cube(before_last), cube(last)
    bent = [
        cube(k) - tail * (last - k) / (last - before_last) + end * (before_last - k) / (last - before_last)
        for k in knots[:-2]
    ]
    return np.column_stack([values, *(b / (last - first) ** 2 for b in bent)])
