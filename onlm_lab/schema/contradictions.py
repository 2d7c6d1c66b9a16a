"""What columns say together: rows in which two of them cannot both be right."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from onlm_lab.schema.dictionary import BY_NAME, NUMERIC, SITES

if TYPE_CHECKING:
    import pandas as pd


def contradictions(frame: pd.DataFrame, *, table: str) -> list[tuple[list[int], tuple[str, str]]]:
    """Rows in which two columns cannot both be right, with what is said of them."""
    import numpy as np
    import pandas as pd

    def of(name: str) -> pd.Series:
        spec = BY_NAME[name]
        if name not in frame:
            return pd.Series(
                np.nan if spec.type in NUMERIC else None,
                index=frame.index,
                dtype=object if spec.type not in NUMERIC else float,
            )
        return pd.to_numeric(frame[name], errors="coerce") if spec.type in NUMERIC else frame[name]

    found: list[tuple[pd.Series, str, str]] = []
    if table in ("clinical", "analysis"):
        solid, total = of("solid_diameter_mm"), of("total_diameter_mm")
        found += [
            (solid > total, "solid_diameter_mm is above total_diameter_mm", "Wanted solid at most total."),
            ((of("nodule_type") == "pure_ggo") & (solid > 0), "a pure_ggo has a solid_diameter_mm above 0",
             "Correct nodule_type, or the diameter."),
            ((of("treatment") == "sbrt") & of("pathological_n").notna(), "an SBRT patient has a pathological_n",
             "SBRT has no pathological N: leave it empty, or correct treatment."),
            (of("pathological_n").isin(["N1", "N2", "N3"]) & (of("nodes_examined") == 0),
             "pathological_n is N1-N3 but nodes_examined is 0", "Correct one of them."),
            ((of("invasive_staging_done") == 0) & (of("invasive_staging_positive") == 1),
             "invasive_staging_positive is 1 but invasive_staging_done is 0", "Correct one of them."),
            ((of("smoking") == "never") & (of("pack_years") > 0), "smoking is never but pack_years is above 0",
             "Correct one of them."),
            ((of("adjuvant") == 0) & of("adjuvant_start_days").notna(), "adjuvant is 0 but has adjuvant_start_days",
             "Correct one of them."),
        ]  # fmt: skip
    if table == "followup":
        found += _followup_contradictions(of)
    if table in ("predictions", "analysis"):
        found.append((of("risk_low") > of("risk_high"), "risk_low is above risk_high", "Wanted low at most high."))
    hits = [(np.flatnonzero(where.to_numpy(dtype=bool)).tolist(), (what, do)) for where, what, do in found]
    return [(rows, said) for rows, said in hits if rows]


def _followup_contradictions(of: Any) -> list[tuple[Any, str, str]]:
    """What the columns of followup.csv say together."""
    last, died, recurred, recurrence = of("followup_days"), of("died"), of("recurred"), of("recurrence_days")
    earliest = of("local_days").combine(of("regional_days"), _least).combine(of("distant_days"), _least)
    order, fix = "Wanted recurrence_days at most followup_days.", "Correct one of them."
    rest = of("recurrence_site").notna() | earliest.notna()
    found = [
        ((recurrence > last) & (died == 1), "recurrence comes after death", order),
        ((recurrence > last) & (died != 1), "recurrence comes after the last contact", order),
        ((died == 1) & last.isna(), "died is 1 but followup_days (the day of death) is empty", "Fill it."),
        ((recurred == 1) & recurrence.isna(), "recurred is 1 but recurrence_days is empty", "Fill it."),
        ((recurred != 1) & recurrence.notna(), "recurrence_days is given but recurred is not 1", fix),
        ((recurred != 1) & rest, "a site or day of recurrence is given but recurred is not 1", "Correct one of them."),
        ((died != 1) & of("death_cause").notna(), "death_cause is given but died is not 1", "Correct one of them."),
        (of("last_imaging_days") > last, "last_imaging_days is after followup_days", "Wanted at most followup_days."),
        (earliest < recurrence, "a local, regional or distant day lies before recurrence_days (the first recurrence)",
         "Correct one of them."),
        (of("recurrence_site").map(_bad_site),
         "recurrence_site is not any of local, regional, distant joined by ';', or unknown",
         "Write it so, such as 'regional;distant'."),
    ]  # fmt: skip
    for site in SITES:
        days = of(f"{site}_days")
        found.append((days > last, f"{site}_days is after followup_days", "Wanted at most followup_days."))
    return found


def _least(a: float, b: float) -> float:
    return b if a != a else a if b != b else min(a, b)


def _bad_site(text: object) -> bool:
    if not isinstance(text, str) or text == "unknown":
        return False
    parts = text.split(";")
    return len(set(parts)) < len(parts) or not set(parts) <= set(SITES)
