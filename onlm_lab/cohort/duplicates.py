"""The same person under two ids, and rows that are nearly the same: found by how much their agreement says.

Two rows that agree at a rare value say more than two that agree at a common one. After Fellegi and Sunter (A theory for
record linkage, J Am Stat Assoc 1969;64:1183-1210, doi:10.1080/01621459.1969.10501049) a pair scores, over columns that
are nearly independent of each other, log2 of how much likelier what is seen is for one person than for two strangers:
agreement adds -log2 of the share of patients of this table who have that value, disagreement subtracts by how seldom
one person's cells differ. A pair is accused where its score exceeds log2 of the number of pairs by MARGIN_BITS: were
the columns independent, strangers would give less than 2**-MARGIN_BITS false accusations a table, since a likelihood
ratio of strangers exceeds 2**b with a chance below 2**-b. Short rows carry too few bits to accuse anybody.

Columns are not independent where a small centre fills one default into many cells, or where one rare kind of patient
shares many values. There a row has many look-alikes, and one person is in few rows: a pair must also exceed by
MARGIN_BITS what either row scores with its LOOK_ALIKES-th nearest row, unless every cell is the same.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd

from onlm_lab.cohort.row_pairs import candidates, key, unique
from onlm_lab.errors import DataError, Fault, OnlmError
from onlm_lab.schema import nearest

MARGIN_BITS = 10.0
CELL_DIFFERS = 1 / 16  # how often a cell of one person differs between two rows, by a slip or a second measurement
EPISODE_DIFFERS = 1 / 2  # likewise for what belongs to one treatment, where the two rows have different arms
NEAR_PENALTY_BITS = 2.0  # agreement within tolerance is likelier by chance and rarer in one person than equality
LOOK_ALIKES = 10  # one person is in fewer rows than that, or in rows that are all the same
SHOWN = 20
KINDS = ("alike ids", "same rows", "nearly the same rows")


@dataclass(frozen=True)
class Trait:
    """A column that is compared: within `near` (or `near_share` of the value) two numbers may still be one person's.

    `episode`: belongs to one treatment, and differs where one person was treated twice.
    """

    name: str
    near: float = 0.0
    near_share: float = 0.0
    episode: bool = False


# Nearly independent of each other. Left out on purpose: what follows from these (stage, CTR, ECOG from KPS, the state
# of an endpoint) or nearly follows (nodule type, stations, last imaging, clinical T).
TRAITS = (
    Trait("sex"),
    Trait("age_years", near=1.0),
    Trait("smoking"),
    Trait("pack_years", near=1.0),
    Trait("performance"),
    Trait("lobe"),
    Trait("total_diameter_mm", near=1.0),
    Trait("solid_diameter_mm", near=1.0),
    Trait("central_location"),
    Trait("histology"),
    Trait("cea_ng_ml", near_share=0.03),
    Trait("suv_max", near_share=0.03),
    Trait("treatment_year", episode=True),
    Trait("ct_to_treatment_days", near=3.0, episode=True),
    Trait("treatment", episode=True),
    Trait("pathological_n", episode=True),
    Trait("nodes_examined", episode=True),
    Trait("adjuvant_start_days", near=3.0, episode=True),
    Trait("followup_days", near=3.0, episode=True),
    Trait("recurrence_days", near=3.0, episode=True),
)


def find_duplicates(patients: pd.DataFrame, *, distinct: Iterable[Sequence[str]] = ()) -> pd.DataFrame:
    """Pairs of rows that look like one person.

    Args:
        patients: patient_id and any columns of the cohort; absent ones are not compared. Centre and arm may differ.
        distinct: pairs of ids that somebody has checked to be two persons.

    Returns:
        patient_a, patient_b (in order), kind ("alike ids", "same rows", "nearly the same rows"), bits (how much more
        the agreement says than chance does, log2), differs (the columns whose cells differ; centre and arm too).
        The strongest pair first.
    """
    rows = patients.sort_values("patient_id", kind="stable", ignore_index=True)
    columns = ["patient_a", "patient_b", "kind", "bits", "differs"]
    if len(rows) < 2:
        return pd.DataFrame(columns=columns)
    traits, arm, n = _traits(rows), _codes(rows.get("arm"), n=len(rows)), len(rows)
    chance = float(np.log2(n * (n - 1) / 2))
    alike = _alike_ids(rows)
    alike = alike[_score(traits, pairs=alike, arm=arm, least=0.0)[0]]
    strength = {trait.name: float(np.mean(trait.exact_bits)) for trait in traits}
    pairs = candidates({trait.name: trait.values for trait in traits}, bits=strength, n=n)
    pairs = pairs[_score(traits, pairs=pairs, arm=arm, least=chance)[0]]
    pairs = unique(np.concatenate([pairs, alike]), n=n)
    bits = _score(traits, pairs=pairs, arm=arm, least=-np.inf)[1]
    n_differ = _n_differ(traits, pairs=pairs)
    named = np.isin(key(pairs, n=n), key(alike, n=n))
    stand_out = (n_differ == 0) | (bits > _look_alikes(pairs, bits=bits, n=n) + MARGIN_BITS)
    accused = ((bits > chance + MARGIN_BITS) & stand_out) | named
    pairs, bits, n_differ, named = pairs[accused], bits[accused], n_differ[accused], named[accused]
    ids = rows["patient_id"].to_numpy(dtype=object)
    found = pd.DataFrame({"patient_a": ids[pairs[:, 0]], "patient_b": ids[pairs[:, 1]]}, dtype=object)
    found["kind"] = np.select([named, n_differ == 0], KINDS[:2], KINDS[2])
    found["bits"] = bits.round(1)
    found["differs"] = _differing(rows, pairs=pairs)
    checked = {frozenset(pair) for pair in distinct}
    kept = [frozenset(pair) not in checked for pair in zip(found["patient_a"], found["patient_b"], strict=True)]
    found = found[np.array(kept, dtype=bool)]
    return found.sort_values(["bits", "patient_a"], ascending=[False, True], ignore_index=True)[columns]


def refuse_duplicates(
    patients: pd.DataFrame, *, distinct: Iterable[Sequence[str]] = (), known: Iterable[str] | None = None,
    file: str = "clinical.csv",
) -> None:  # fmt: skip
    """Stops where two rows look like one person, with every such pair.

    Args:
        patients: as find_duplicates.
        distinct: [split] distinct_patients.
        known: every id that `distinct` may name; None: those of `patients`.
        file: where the rows stand.

    Raises:
        OnlmError: a checked pair that names nobody, or one patient twice.
        DataError: a fault for each pair.
    """
    distinct = [tuple(pair) for pair in distinct]
    _require_known(distinct, known=patients["patient_id"] if known is None else known)
    found = find_duplicates(patients, distinct=distinct)
    if not len(found):
        return
    faults = [Fault(_said(pair), file=file, patients=(pair.patient_a, pair.patient_b)) for pair in found.itertuples()]
    more = f" The first {SHOWN} are named." if len(faults) > SHOWN else ""
    first = found.iloc[0]
    head = Fault(
        f"{file}: {len(faults)} pair{'s' if len(faults) > 1 else ''} of rows among {len(patients)} patients "
        f"look{'' if len(faults) > 1 else 's'} like one person; a person on both sides of a split makes every result "
        f"too good.{more} Keep one row of each, or, where somebody has checked that they are two persons, say so: "
        f'[split] distinct_patients = [["{first.patient_a}", "{first.patient_b}"]].',
        file=file,
    )
    raise DataError([head, *faults[:SHOWN]])


def _said(pair: object) -> str:
    differs = f"; they differ in {pair.differs}" if pair.differs else ""
    why = {
        KINDS[0]: "their ids differ in spelling only, and their rows do not contradict each other",
        KINDS[1]: "every cell that is compared is the same in both",
        KINDS[2]: "their rows are nearly the same",
    }[pair.kind]
    return f"  '{pair.patient_a}' and '{pair.patient_b}': {why} ({pair.bits:.0f} bits){differs}."


def _require_known(distinct: list[tuple[str, ...]], *, known: Iterable[str]) -> None:
    ids = set(known)
    for pair in distinct:
        if len(pair) != 2 or pair[0] == pair[1]:
            raise OnlmError(
                f"[split] distinct_patients: {list(pair)} is not a pair; wanted the ids of two patients who look alike."
            )
        for name in pair:
            if name not in ids:
                near = nearest(name, ids)
                hint = f" Did you mean '{near}'?" if near else " Correct the id, or take the pair out."
                raise OnlmError(f"[split] distinct_patients names '{name}', who is not a patient of this table.{hint}")


# --- what is compared ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Column:
    """One trait as numbers, with how much an agreement at each row's value says."""

    name: str
    values: np.ndarray  # (n,) float: the number, or a code of the word; NaN: unknown
    exact_bits: np.ndarray  # (n,)
    near_bits: np.ndarray  # (n,)
    within: np.ndarray  # (n,) how far off is still near; 0: not at all
    differs_bits: float
    episode_bits: float


def _traits(rows: pd.DataFrame) -> list[_Column]:
    found = []
    for trait in TRAITS:
        values = _values(rows, name=trait.name)
        if values is None:
            continue
        known = ~np.isnan(values)
        n = int(known.sum())
        if n < 2:
            continue
        within = np.nan_to_num(np.maximum(trait.near, trait.near_share * np.abs(values)))
        ordered = np.sort(values[known])
        same = _share(ordered, values, reach=np.zeros(len(values)))
        near = _share(ordered, values, reach=within)
        chance = float(np.mean(near[known]))
        if chance > 0.999:  # the same in all patients: says nothing
            continue
        episode = EPISODE_DIFFERS if trait.episode else CELL_DIFFERS
        found.append(
            _Column(
                trait.name, values, -np.log2(same), np.maximum(-np.log2(near) - NEAR_PENALTY_BITS, 0.0), within,
                float(np.log2(CELL_DIFFERS / (1 - chance))) if chance < 1 - CELL_DIFFERS else 0.0,
                float(np.log2(episode / (1 - chance))) if chance < 1 - episode else 0.0,
            )
        )  # fmt: skip
    return found


def _share(ordered: np.ndarray, values: np.ndarray, *, reach: np.ndarray) -> np.ndarray:
    """The share of known values that lie within reach of each value; 1 where the value is unknown."""
    low = np.searchsorted(ordered, values - reach - 1e-9, side="left")
    high = np.searchsorted(ordered, values + reach + 1e-9, side="right")
    return np.where(np.isnan(values), 1.0, np.maximum(high - low, 1) / len(ordered))


def _values(rows: pd.DataFrame, *, name: str) -> np.ndarray | None:
    """The cells of one trait; a cell that follows from another trait counts as unknown."""
    if name == "performance":
        name = next((c for c in ("kps", "ecog") if c in rows and rows[c].notna().any()), "kps")
    if name == "recurrence_days" and "recorded_recurrence_days" in rows:
        name = "recorded_recurrence_days"  # the endpoint of that name is the end of follow-up where nothing recurred
    if name not in rows:
        return None
    column = rows[name]
    if not pd.api.types.is_numeric_dtype(column):
        return _codes(column, n=len(rows))
    values = column.to_numpy(dtype=float, na_value=np.nan).copy()
    if name == "pack_years" and "smoking" in rows:
        values[values == 0] = np.nan
    if name == "solid_diameter_mm" and "total_diameter_mm" in rows:
        values[np.isclose(values, rows["total_diameter_mm"].to_numpy(dtype=float, na_value=np.nan))] = np.nan
        values[values == 0] = np.nan
    values[~np.isfinite(values)] = np.nan
    return values


def _codes(column: pd.Series | None, *, n: int) -> np.ndarray:
    """Words as numbers; missing is NaN."""
    if column is None:
        return np.full(n, np.nan)
    codes = pd.factorize(column, sort=False)[0].astype(float)
    codes[codes < 0] = np.nan
    return codes


def _score(
    traits: list[_Column], *, pairs: np.ndarray, arm: np.ndarray, least: float
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Which pairs reach `least` bits, and the bits of those; who can no longer reach it is not looked at further."""
    traits = sorted(traits, key=lambda t: -np.mean(t.exact_bits))
    rest = np.zeros(len(arm)) if not traits else np.sum([t.exact_bits for t in traits], axis=0)
    left, right = pairs[:, 0], pairs[:, 1]
    kept, bits = np.arange(len(pairs)), np.zeros(len(pairs))
    for trait in traits:
        rest = rest - trait.exact_bits
        bits = bits + _bits(trait, left=left, right=right, arm=arm)
        alive = bits + rest[left] >= least - 1e-9
        if not alive.all():
            kept, bits, left, right = kept[alive], bits[alive], left[alive], right[alive]
    reached = bits >= least
    return kept[reached], bits[reached]


def _bits(trait: _Column, *, left: np.ndarray, right: np.ndarray, arm: np.ndarray) -> np.ndarray:
    """What one trait says of each pair; nothing where a cell is unknown."""
    apart = np.abs(trait.values[left] - trait.values[right])
    bits = np.where(apart <= 1e-9, trait.exact_bits[left], 0.0)  # NaN is neither the same nor different
    other = np.flatnonzero(apart > 1e-9)
    left, right, apart = left[other], right[other], apart[other]
    near = apart <= np.maximum(trait.within[left], trait.within[right]) + 1e-9
    two_arms = (arm[left] != arm[right]) & ~np.isnan(arm[left]) & ~np.isnan(arm[right])
    differs = np.where(two_arms, trait.episode_bits, trait.differs_bits)
    bits[other] = np.where(near, np.minimum(trait.near_bits[left], trait.near_bits[right]), differs)
    return bits


def _n_differ(traits: list[_Column], *, pairs: np.ndarray) -> np.ndarray:
    """In how many traits a pair is not quite the same; a cell known in one row only counts."""
    n_differ = np.zeros(len(pairs), dtype=int)
    for trait in traits:
        a, b = trait.values[pairs[:, 0]], trait.values[pairs[:, 1]]
        n_differ += ~(np.abs(a - b) <= 1e-9) & ~(np.isnan(a) & np.isnan(b))
    return n_differ


def _look_alikes(pairs: np.ndarray, *, bits: np.ndarray, n: int) -> np.ndarray:
    """The bits of the LOOK_ALIKES-th nearest row of either row of a pair; below everything where there are fewer."""
    ends, both = np.concatenate([pairs[:, 0], pairs[:, 1]]), np.concatenate([bits, bits])
    order = np.lexsort((-both, ends))
    ends, both = ends[order], both[order]
    at = np.searchsorted(ends, np.arange(n)) + LOOK_ALIKES - 1
    there = at < len(ends)
    there[there] = ends[at[there]] == np.flatnonzero(there)
    found = np.full(n, -np.inf)
    found[there] = both[at[there]]
    return np.maximum(found[pairs[:, 0]], found[pairs[:, 1]])


def _differing(rows: pd.DataFrame, *, pairs: np.ndarray) -> list[str]:
    """The columns in which two rows differ; a cell that only one of them has differs too."""
    stands_for = {"performance": ("kps", "ecog"), "recurrence_days": ("recorded_recurrence_days",)}
    names = ["centre", "arm", *(name for trait in TRAITS for name in stands_for.get(trait.name, (trait.name,)))]
    said = np.full(len(pairs), "", dtype=object)
    for name in (name for name in names if name in rows):
        cells = _codes(rows[name].astype(object), n=len(rows))
        a, b = cells[pairs[:, 0]], cells[pairs[:, 1]]
        differs = (a != b) & ~(np.isnan(a) & np.isnan(b))
        said[differs] += np.where(said[differs] == "", name, ", " + name)
    return said.tolist()


# --- ids -------------------------------------------------------------------------------------------------------------


def _alike_ids(rows: pd.DataFrame) -> np.ndarray:
    """Pairs (i < j) of one centre whose ids differ in case, blanks, hyphens, width of letters or leading zeros only.

    Two centres may both count their patients from 1: "P1" of one and "P001" of the other are two persons.
    """
    spelled = rows["patient_id"].astype(object).map(spelling)
    spelled += "\0" + rows["centre"].astype(str) if "centre" in rows else ""
    shared = spelled[spelled.duplicated(keep=False)]
    groups = [same.index for _, same in shared.groupby(shared, sort=False)]
    pairs = [pair for same in groups if len(same) <= 50 for pair in combinations(sorted(same), 2)]
    return np.array(pairs, dtype=np.int64).reshape(-1, 2)


def spelling(patient_id: str) -> str:
    """An id without what a hand or a spreadsheet changes: "P-007", "p007 " and "P7" are one, "P1" and "P10" are two.

    >>> spelling("P-007"), spelling("Ｐ 7"), spelling("P1-12"), spelling("P11-2")
    ('p.7', 'p.7', 'p.1.12', 'p.11.2')
    """
    folded = unicodedata.normalize("NFKC", str(patient_id)).casefold()
    parts = re.findall(r"\d+|[^\W\d_]+", folded) or [folded]
    return ".".join(part.lstrip("0") or "0" if part.isdecimal() else part for part in parts)
