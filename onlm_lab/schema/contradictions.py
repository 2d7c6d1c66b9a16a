"""What columns say together: rows in which two of them cannot both be right."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from onlm_lab.schema.dictionary import BY_NAME, NUMERIC, SITES
from onlm_lab.schema.texts import factorized

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

_FIX = "Correct one of them."


class Contradiction(NamedTuple):
    """Which columns are at odds, where, what is said of it and what to do."""

    columns: tuple[str, ...]
    where: Any
    what: str
    advice: str = _FIX
    unless: tuple[str, ...] = ()  # sentences that already tell of such a row


def contradictions(
    frame: pd.DataFrame, *, table: str, unusable: Mapping[str, np.ndarray] | None = None,
    unsure: Collection[str] = (),
) -> list[tuple[list[int], Contradiction]]:  # fmt: skip
    """Rows in which columns cannot all be right, with what is said of them.

    Args:
        unusable: by column the cells that are told already; a row is not told again for the same cell.
        unsure: columns whose absence may be a misspelt name; nothing is concluded from that.
    """
    import numpy as np
    import pandas as pd

    def of(name: str) -> pd.Series:
        spec = BY_NAME[name]
        if name not in frame:
            empty, kind = (np.nan, float) if spec.type in NUMERIC else (None, object)
            return pd.Series(empty, index=frame.index, dtype=kind)
        return pd.to_numeric(frame[name], errors="coerce") if spec.type in NUMERIC else frame[name]

    found: list[Contradiction] = []
    if table in ("clinical", "analysis"):
        found += _clinical(of)
    if table == "followup":
        found += _followup(of)
    if table in ("predictions", "analysis"):
        found.append(
            Contradiction(
                ("risk_low", "risk_high"),
                of("risk_low") > of("risk_high"),
                "risk_low is above risk_high",
                "Wanted low at most high.",
            )
        )
    hits: dict[str, np.ndarray] = {}
    told = []
    for one in found:
        if any(name in unsure for name in one.columns):
            continue
        where = one.where.fillna(False).to_numpy(dtype=bool).copy()
        for name in one.columns:
            if unusable and name in unusable:
                where &= ~unusable[name]
        for other in one.unless:
            if other in hits:
                where &= ~hits[other]
        hits[one.what] = where
        if where.any():
            told.append((np.flatnonzero(where).tolist(), one))
    return told


def _clinical(of: Any) -> list[Contradiction]:
    """What the columns of clinical.csv say together."""
    solid, total, pure = of("solid_diameter_mm"), of("total_diameter_mm"), of("nodule_type") == "pure_ggo"
    pn, nodes = of("pathological_n"), of("nodes_examined")
    positive = pn.isin(["N1", "N2", "N3"])
    c = Contradiction
    return [
        c(("solid_diameter_mm", "total_diameter_mm"), (solid > total) & ~(pure & (solid > 0)),
          "solid_diameter_mm is above total_diameter_mm", "Wanted solid at most total."),
        c(("nodule_type", "solid_diameter_mm"), pure & (solid > 0), "a pure_ggo has a solid_diameter_mm above 0",
          "Correct nodule_type, or the diameter."),
        c(("nodule_type", "solid_diameter_mm"), (of("nodule_type") == "solid") & (solid == 0),
          "a solid nodule has a solid_diameter_mm of 0", "Correct nodule_type, or the diameter."),
        c(("treatment", "pathological_n"), (of("treatment") == "sbrt") & pn.notna(),
          "an SBRT patient has a pathological_n",
          "SBRT has no pathological N: leave it empty, or correct treatment."),
        c(("pathological_n", "nodes_examined"), positive & (nodes == 0),
          "pathological_n is N1-N3 but nodes_examined is 0"),
        c(("invasive_staging_done", "invasive_staging_positive"),
          (of("invasive_staging_done") == 0) & (of("invasive_staging_positive") == 1),
          "invasive_staging_positive is 1 but invasive_staging_done is 0"),
        c(("smoking", "pack_years"), (of("smoking") == "never") & (of("pack_years") > 0),
          "smoking is never but pack_years is above 0"),
        c(("adjuvant", "adjuvant_start_days"), (of("adjuvant") == 0) & of("adjuvant_start_days").notna(),
          "adjuvant is 0 but has adjuvant_start_days"),
    ]  # fmt: skip


def _followup(of: Any) -> list[Contradiction]:
    """What the columns of followup.csv say together."""
    import numpy as np
    import pandas as pd

    last, died, recurred, recurrence = of("followup_days"), of("died"), of("recurred"), of("recurrence_days")
    site = of("recurrence_site")
    days = {s: of(f"{s}_days") for s in SITES}
    earliest = pd.Series(np.fmin.reduce([d.to_numpy(dtype=float) for d in days.values()]), index=last.index)
    order, c = "Wanted recurrence_days at most followup_days.", Contradiction
    death, contact = "recurrence comes after death", "recurrence comes after the last contact"
    strange = "recurrence_site is not any of local, regional, distant joined by ';', or unknown"
    given = "recurrence_days is given but recurred is not 1"
    elsewhere = "a site or day of recurrence is given but recurred is not 1"
    timed = ("followup_days", "recurrence_days")
    named = tuple(f"{s}_days" for s in SITES)
    found = [
        c(("recurrence_site",), _where_site(site, _is_bad_site), strange, "Write it so, such as 'regional;distant'."),
        c(("recurred", "recurrence_days"), (recurred != 1) & recurrence.notna(), given),
        c(("recurred", "recurrence_site", *named), (recurred != 1) & (site.notna() | earliest.notna()), elsewhere,
          _FIX, (given, strange)),
        c(("recurred", "recurrence_days"), (recurred == 1) & recurrence.isna(),
          "recurred is 1 but recurrence_days is empty", "Fill it."),
        c((*timed, "died"), (recurrence > last) & (died == 1), death, order, (given,)),
        c((*timed, "died"), (recurrence > last) & (died != 1), contact, order, (given,)),
        c(("died", "followup_days"), (died == 1) & last.isna(),
          "died is 1 but followup_days (the day of death) is empty", "Fill it."),
        c(("died", "death_cause"), (died != 1) & of("death_cause").notna(), "death_cause is given but died is not 1"),
        c(("last_imaging_days", "followup_days"), of("last_imaging_days") > last,
          "last_imaging_days is after followup_days", "Wanted at most followup_days.", (death, contact)),
        c(("recurrence_days", *named), earliest < recurrence,
          "a local, regional or distant day lies before recurrence_days (the first recurrence)", _FIX,
          (death, contact, given, elsewhere)),
    ]  # fmt: skip
    for name, when in days.items():
        found.append(
            c(
                (f"{name}_days", "followup_days"),
                when > last,
                f"{name}_days is after followup_days",
                "Wanted at most followup_days.",
                (death, contact, given, elsewhere),
            )
        )
    return found


def _where_site(sites: pd.Series, test: Any) -> pd.Series:
    import numpy as np
    import pandas as pd

    codes, words = factorized(sites.astype(object).to_numpy())
    hits = np.array([test(word) for word in words], dtype=bool)
    return pd.Series(hits[codes], index=sites.index)


def _is_bad_site(text: object) -> bool:
    if not isinstance(text, str) or text == "unknown":
        return False
    parts = text.split(";")
    return len(set(parts)) < len(parts) or not set(parts) <= set(SITES)
