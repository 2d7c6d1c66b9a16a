"""What a tumour's other sizes become when one of them is thought to be another. No torch here."""

from __future__ import annotations

import numpy as np
import pandas as pd

SIZE = ("total_diameter_mm", "solid_diameter_mm", "ctr", "nodule_type")


def one_tumour(
    table: pd.DataFrame, *, before: pd.DataFrame, changed: str, typical: float
) -> tuple[pd.DataFrame, np.ndarray]:
    """The table with the tumour's other sizes made to fit the changed one, and which rows can be.

    solid        the solid part is the tumour: both diameters change by one factor; CTR is 1
    part-solid   one diameter changes, the other stays, CTR = solid / total; a changed CTR changes the solid part
    pure_ggo     no solid part; CTR is 0
    another nodule_type: solid, the solid part becomes the whole; pure_ggo, it becomes 0; part_solid, `typical` of it.

    Args:
        table: with the new values in `changed`.
        before: the same rows as they were.
        changed: the column.
        typical: CTR of a part-solid tumour; NaN where nobody has one.
    """
    possible = np.ones(len(table), dtype=bool)
    if changed not in SIZE:
        return table, possible
    size = {c: table[c].to_numpy(dtype=np.float64) if c in table else np.full(len(table), np.nan) for c in SIZE[:3]}
    size = {c: values.copy() for c, values in size.items()}
    kind = table["nodule_type"].to_numpy(dtype=object) if "nodule_type" in table else np.full(len(table), "part_solid")
    new = ~((table[changed] == before[changed]) | (table[changed].isna() & before[changed].isna())).to_numpy(dtype=bool)
    total, solid, ratio = (size[c] for c in SIZE[:3])
    whole, mixed = new & (kind == "solid"), new & (kind != "solid") & (kind != "pure_ggo")
    if changed == "nodule_type":
        solid[whole] = np.where(np.isnan(total), solid, total)[whole]
        solid[mixed], ratio[mixed] = typical * total[mixed], typical
        solid[new & (kind == "pure_ggo")] = 0.0
        possible[mixed] = np.isfinite(typical)
    elif changed == "ctr":
        possible[new & ~mixed] = False
        solid[mixed] = ratio[mixed] * total[mixed]
    else:
        other, was = solid if changed == "total_diameter_mm" else total, before[changed].to_numpy(dtype=np.float64)
        with np.errstate(divide="ignore", invalid="ignore"):
            scaled = np.where(was > 0, other * size[changed] / was, size[changed])  # unknown: they are one and the same
            other[whole] = np.where(np.isnan(other), np.nan, scaled)[whole]
            ratio[mixed] = (solid / total)[mixed]
    ratio[whole], ratio[new & (kind == "pure_ggo")] = 1.0, 0.0
    ratio[~np.isfinite(ratio)] = np.nan
    fitted = {c: np.where(new, size[c], table[c]) for c in SIZE[:3] if c in table}
    return table.assign(**fitted), possible
