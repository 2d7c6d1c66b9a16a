"""Does one model find more N+ patients, or spare more N0, than another in the same patients? McNemar's tests."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from scipy.special import bdtr

from onlm_lab.analysis.intervals import normal_quantile, proportion
from onlm_lab.analysis.rows import paired
from onlm_lab.analysis.tails import chi2_tail
from onlm_lab.analysis.thresholds import chosen_on_these, predicted_positive
from onlm_lab.results import Estimate, OperatingComparison

_METHOD = "Newcombe, method 10"


def compare_operating_points(
    rows: pd.DataFrame,
    *,
    model_a: str,
    model_b: str,
    threshold_a: float | None = None,
    threshold_b: float | None = None,
    level: float = 0.95,
    apparent: bool = False,
) -> OperatingComparison:
    """Sensitivity and specificity of model_a minus those of model_b in the same patients, each at its threshold.

    The difference has Newcombe's paired interval, method 10: Wilson's limits, squared and added, with the correlation
    corrected for continuity (1998, doi:10.1002/(SICI)1097-0258(19981130)17:22<2635::AID-SIM954>3.0.CO;2-C). The tests
    are McNemar's (1947, doi:10.1007/BF02295996): chi2 without and with continuity correction, exact, and mid-P, which
    keeps the level best in small samples (Fagerland et al. 2013, doi:10.1186/1471-2288-13-91).

    Args:
        rows: predictions of both models: patient_id, model_id, onlm, risk; predicted_positive where a threshold is
            not given.
        model_a, model_b: two model_ids; a positive difference says that model_a is right more often.
        threshold_a, threshold_b: positive if risk >= threshold; None takes each row's own predicted_positive.
        level: coverage of the intervals.
        apparent: True where a threshold was chosen on these very patients; one from `choose_threshold` knows it.

    Raises:
        OnlmError: an unknown model, no common patient, a threshold that is NaN, or an unusable predicted_positive.
    """
    normal_quantile(level)
    sets, n_excluded = paired(rows, models=[model_a, model_b])
    cuts = (threshold_a, threshold_b)
    positive = [predicted_positive(one, threshold=t) for one, t in zip(sets, cuts, strict=True)]
    onlm = sets[0].onlm
    found = _compared(positive[0][onlm], positive[1][onlm], of="N+ patients", level=level)
    spared = _compared(~positive[0][~onlm], ~positive[1][~onlm], of="N0 patients", level=level)
    notes = sets[0].notes
    if sets[0].one_class:
        notes = (*notes, sets[0].one_class)
    table = pd.DataFrame([{"measure": "sensitivity"} | found[1], {"measure": "specificity"} | spared[1]])
    shown = [math.nan if t is None else float(t) for t in cuts]
    return OperatingComparison(
        table=table, sensitivity=found[0], specificity=spared[0], model_a=model_a, model_b=model_b,
        threshold_a=shown[0], threshold_b=shown[1], n=sets[0].n, n_events=sets[0].n_events, n_excluded=n_excluded,
        apparent=apparent or any(chosen_on_these(s, threshold=t) for s, t in zip(sets, cuts, strict=True)),
        notes=notes,
    )  # fmt: skip


def paired_difference(*, n_both: int, n_only_a: int, n_only_b: int, n_neither: int, level: float = 0.95) -> Estimate:
    """Share of a minus share of b in the same patients, with Newcombe's interval (method 10).

    Args:
        n_both, n_only_a, n_only_b, n_neither: patients with it under both, under one only, under none.
        level: coverage of the interval.
    """
    n = n_both + n_only_a + n_only_b + n_neither
    if n == 0:
        return Estimate(math.nan, level=level, method=_METHOD, note="no patients")
    a = proportion(n_both + n_only_a, n, of="patients", level=level)
    b = proportion(n_both + n_only_b, n, of="patients", level=level)
    phi = _correlation(n_both, n_only_a, n_only_b, n_neither)
    difference = (n_only_a - n_only_b) / n
    down = _added(a.value - a.low, b.high - b.value, phi)
    up = _added(b.value - b.low, a.high - a.value, phi)
    return Estimate(difference, max(-1.0, difference - down), min(1.0, difference + up), level, _METHOD)


def mcnemar(*, n_only_a: int, n_only_b: int) -> dict[str, float]:
    """McNemar's tests from the two discordant counts: chi2 and P, plain and corrected, the exact P and the mid-P.

    Args:
        n_only_a, n_only_b: patients that only one of the two called rightly.
    """
    n, least = n_only_a + n_only_b, min(n_only_a, n_only_b)
    if n == 0:
        nothing = dict.fromkeys(("chi2", "p_value", "chi2_corrected", "p_corrected"), math.nan)
        return nothing | {"p_exact": 1.0, "p_mid": 1.0}
    apart = abs(n_only_a - n_only_b)
    plain, corrected = apart**2 / n, max(0, apart - 1) ** 2 / n
    up_to = float(bdtr(least, n, 0.5))
    at = up_to - (float(bdtr(least - 1, n, 0.5)) if least else 0.0)
    exact = min(1.0, 2 * up_to)
    return {
        "chi2": plain, "p_value": chi2_tail(plain, 1), "chi2_corrected": corrected,
        "p_corrected": chi2_tail(corrected, 1), "p_exact": exact,
        "p_mid": exact - at if apart else 1 - at / 2,
    }  # fmt: skip


def _compared(right_a: np.ndarray, right_b: np.ndarray, *, of: str, level: float) -> tuple[Estimate, dict[str, object]]:
    """The difference in patients called rightly, and its row of the table."""
    n = len(right_a)
    counts = {
        "n_both": int(np.sum(right_a & right_b)), "n_only_a": int(np.sum(right_a & ~right_b)),
        "n_only_b": int(np.sum(~right_a & right_b)), "n_neither": int(np.sum(~right_a & ~right_b)),
    }  # fmt: skip
    difference = paired_difference(**counts, level=level)
    tests = mcnemar(n_only_a=counts["n_only_a"], n_only_b=counts["n_only_b"])
    note = ""
    if n == 0:
        note = f"no {of}"
        difference = Estimate(math.nan, level=level, method=_METHOD, note=note)
        tests = dict.fromkeys(tests, math.nan)
    elif counts["n_only_a"] + counts["n_only_b"] == 0:
        note = f"both models decide alike in all {n} {of}"
    shares = {f"value_{m}": float(r.mean()) if n else math.nan for m, r in (("a", right_a), ("b", right_b))}
    spread = {"difference": difference.value, "low": difference.low, "high": difference.high}
    return difference, {"n": n} | shares | spread | counts | tests | {"note": note}


def _correlation(n_both: int, n_only_a: int, n_only_b: int, n_neither: int) -> float:
    """Phi of the fourfold table, drawn towards 0 by half a patient where it is positive (Newcombe's correction)."""
    a, b = n_both + n_only_a, n_both + n_only_b
    n = a + n_only_b + n_neither
    margins = a * (n - a) * b * (n - b)
    if margins == 0:
        return 0.0
    product = n_both * n_neither - n_only_a * n_only_b
    return (product if product < 0 else max(0.0, product - n / 2)) / math.sqrt(margins)


def _added(first: float, second: float, phi: float) -> float:
    return math.sqrt(max(0.0, first**2 - 2 * phi * first * second + second**2))
