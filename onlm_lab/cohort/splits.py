"""Who is kept apart from development, and who is tested in which fold: by patient, before anything is fitted."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Literal

import numpy as np
import pandas as pd

from onlm_lab.errors import OnlmError
from onlm_lab.schema import table_text
from onlm_lab.study.limits import nearest

DEVELOPMENT, EXTERNAL, TEMPORAL, LOCKED = PARTS = ("development", "external", "temporal", "locked")


def hold_out(
    patients: pd.DataFrame,
    *,
    external_centres: Iterable[str] = (),
    temporal_from_year: int | None = None,
    locked_fraction: float = 0.0,
    seed: int,
    drawn: Mapping[str, bool] | None = None,
) -> pd.DataFrame:
    """The part of the study that each patient belongs to, whoever else is trained or tested later.

    The first that holds: "external", of a centre that is kept for external testing; "temporal", treated in
    `temporal_from_year` or later; "locked", drawn from the labelled patients that remain; else "development". The
    locked test set takes the same fraction of each label and, to within one patient, of each label in each centre.
    Who is drawn hangs on a digest of seed and patient_id, not on the order of rows, and hardly on who else is there:
    one patient more moves one patient at most in a stratum, and nobody who is in `drawn`. Patients without a label are
    never drawn: nothing is fitted on them.

    Args:
        patients: patient_id, centre, onlm (1, 0 or missing), and treatment_year where `temporal_from_year` is given.
        external_centres: centres that development never sees.
        temporal_from_year: None for no temporal testing.
        locked_fraction: from 0 (none) to below 1, of the labelled patients that are neither external nor temporal.
        seed: the study's seed.
        drawn: who was locked (True) and who was not (False) when the set was drawn before: they stay on their side,
            and newcomers fill it up to its share.

    Returns:
        patient_id, part; sorted by patient_id.

    Raises:
        OnlmError: a patient twice, a centre that is not there, a patient whom the year cannot place, or a part that
            would have nobody, nobody with a label, or (locked and development) one class only.
    """
    rows = _one_row_each(patients)
    labelled = rows["onlm"].notna()
    part = pd.Series(DEVELOPMENT, index=rows.index, dtype=object)
    centres = [external_centres] if isinstance(external_centres, str) else list(external_centres)
    part[_external(rows, centres=centres)] = EXTERNAL
    if temporal_from_year is not None:
        part[_late(rows, among=part == DEVELOPMENT, year=temporal_from_year)] = TEMPORAL
    if not 0 <= locked_fraction < 1:
        raise OnlmError(f"locked_fraction is {locked_fraction}; wanted at least 0 and below 1.")
    if locked_fraction:
        pool = rows[labelled & (part == DEVELOPMENT)]
        part[_draw(pool, fraction=locked_fraction, seed=seed, drawn=drawn or {})] = LOCKED
        _require_both_classes(rows["onlm"], part=part, fraction=locked_fraction)
    _require_labelled(rows, part=part)
    return pd.DataFrame({"patient_id": rows["patient_id"], "part": part})


def _one_row_each(patients: pd.DataFrame) -> pd.DataFrame:
    """The rows by patient_id, each patient once, the label as 1.0, 0.0 or NaN."""
    missing = [name for name in ("patient_id", "centre", "onlm") if name not in patients]
    if missing:
        raise OnlmError(f"A split needs patient_id, centre and onlm; {', '.join(missing)} not found.")
    ids = patients["patient_id"].astype(object)
    if ids.isna().any() or ids.map(type).nunique() > 1:
        n = int((~ids.map(lambda name: isinstance(name, str))).sum())
        raise OnlmError(
            f"patient_id is missing or no text in {n} of {len(ids)} rows; a split is by patient. Fill it in."
        )
    plain = patients.assign(patient_id=ids, centre=patients["centre"].astype(object), onlm=_known_labels(patients))
    rows = plain.sort_values("patient_id", kind="stable", ignore_index=True)
    doubled = rows.loc[rows["patient_id"].duplicated(), "patient_id"].unique()
    if len(doubled):
        raise OnlmError(
            f"A split is by patient: wanted one row each, but {len(doubled)} patients have more "
            f"({', '.join(map(str, doubled[:5]))}). Keep one row of each."
        )
    return rows


def _known_labels(patients: pd.DataFrame) -> pd.Series:
    """onlm as 1.0, 0.0 or NaN, whatever type the column has."""
    given = patients["onlm"].astype(object)
    found = given.map(lambda label: float(label) if label in (0, 1) else np.nan, na_action="ignore").astype(float)
    strange = int((found.isna() & given.notna()).sum())
    if strange:
        raise OnlmError(f"onlm is neither 1 nor 0 nor missing in {strange} of {len(given)} rows. Correct it.")
    return found


def _external(rows: pd.DataFrame, *, centres: list[str]) -> pd.Series:
    """Whose centre is kept for external testing."""
    known = sorted(rows["centre"].dropna().unique())
    unknown = [c for c in centres if c not in known]
    if unknown:
        said = "; ".join(f"'{c}' is not a centre of these {len(rows)} patients{nearest(c, known)}" for c in unknown)
        raise OnlmError(f"[split] external_centres: {said}" + ("" if said.endswith("?") else "."))
    chosen = rows["centre"].isin(centres)
    if centres and chosen.all():
        raise OnlmError(
            f"[split] external_centres names all {len(known)} centres; wanted at least one to develop the model in. "
            "Take one out."
        )
    return chosen


def _late(rows: pd.DataFrame, *, among: pd.Series, year: int) -> pd.Series:
    """Who of `among` was treated in that year or later."""
    treated = rows["treatment_year"] if "treatment_year" in rows else pd.Series(np.nan, index=rows.index)
    if not pd.api.types.is_numeric_dtype(treated):
        raise OnlmError(f"[split] temporal_from_year = {year} needs treatment_year as numbers; the column is text.")
    unknown = rows.loc[among & treated.isna(), "patient_id"]
    if len(unknown):
        more = ", ..." if len(unknown) > 5 else ""
        raise OnlmError(
            f"[split] temporal_from_year = {year} cannot place {len(unknown)} of {int(among.sum())} patients, whose "
            f"treatment_year is missing ({', '.join(unknown[:5])}{more}). Fill it in, or take temporal_from_year out."
        )
    late = among & (treated >= year)
    for none, side in ((~late.any(), f"in {year} or later"), (late.sum() == among.sum(), f"before {year}")):
        if none:
            span = f"{treated[among].min():.0f} to {treated[among].max():.0f}"
            raise OnlmError(
                f"[split] temporal_from_year = {year}: none of {int(among.sum())} patients was treated {side}; they "
                f"were treated from {span}. Choose a year between."
            )
    return late


def _draw(rows: pd.DataFrame, *, fraction: float, seed: int, drawn: Mapping[str, bool]) -> pd.Index:
    """Index of the patients of the locked test set: in each label a rounded share, spread over its centres."""
    ticket = [hashlib.sha256(f"{seed}\0{patient}".encode()).hexdigest() for patient in rows["patient_id"]]
    before = np.array([drawn.get(patient, np.nan) for patient in rows["patient_id"]], dtype=float)
    rows = rows.assign(ticket=ticket, before=before, new=np.isnan(before))
    rows = rows.sort_values(["onlm", "centre", "ticket"], kind="stable")
    place = rows.groupby(["onlm", "centre", "new"], dropna=False).cumcount()
    strata = rows.groupby(["onlm", "centre"], dropna=False).size().rename("n").reset_index()
    wanted = strata["n"] * fraction
    strata["take"] = np.floor(wanted + 1e-9)
    strata["rest"] = (wanted - strata["take"]).round(9)
    strata["tie"] = [hashlib.sha256(f"{seed}\0{c}".encode()).hexdigest() for c in strata["centre"]]
    for _, of_label in strata.groupby("onlm"):
        total = np.floor(of_label["n"].sum() * fraction + 0.5)
        more = int(total - of_label["take"].sum())
        first = of_label.sort_values(["rest", "tie"], ascending=[False, True]).index[: max(more, 0)]
        strata.loc[first, "take"] += 1
    take = rows[["onlm", "centre"]].merge(strata, on=["onlm", "centre"], how="left")["take"].to_numpy()
    had = rows.groupby(["onlm", "centre"], dropna=False)["before"].transform("sum").to_numpy()
    return rows.index[(rows["before"] == 1) | (rows["new"] & (place.to_numpy() < take - had))]


def _require_both_classes(onlm: pd.Series, *, part: pd.Series, fraction: float) -> None:
    for name in (LOCKED, DEVELOPMENT):
        for value, words in ((1, "with"), (0, "without")):
            if not (onlm[part == name] == value).any():
                n = int((onlm[part.isin([LOCKED, DEVELOPMENT])] == value).sum())
                raise OnlmError(
                    f"[split] locked_fraction = {fraction:g} leaves the {name} part with none of the {n} patients "
                    f"{words} nodal metastasis; wanted at least 1. Change the fraction, or take it out."
                )


def _require_labelled(rows: pd.DataFrame, *, part: pd.Series) -> None:
    """Nobody can be tested, and nothing learned, where there is no label."""
    for name, n in part.value_counts().items():
        if rows.loc[part == name, "onlm"].isna().all():
            what = "nothing can be learned" if name == DEVELOPMENT else "nothing can be tested there"
            raise OnlmError(
                f"[split] none of the {n} patients of the {name} part has a known onlm: {what}. "
                "Change [split], or add patients."
            )


def make_folds(
    patients: pd.DataFrame,
    *,
    n_folds: int | None = 5,
    n_repeats: int = 1,
    seed: int,
    scheme: Literal["stratified", "leave_one_centre_out"] = "stratified",
) -> pd.DataFrame:
    """The fold in which each patient is tested.

    "stratified": within each label, the patients of one centre after the other are dealt to the folds in turn, so that
    the folds differ by at most one patient in each stratum of label and centre, in each label, and in all, however
    small a stratum is. "leave_one_centre_out": one fold a centre, in the order of their names; n_folds, n_repeats and
    chance play no part.

    Args:
        patients: patient_id, centre, and onlm (missing is a stratum of its own); the order of rows does not matter.
            Where there is a column `part` (see hold_out), only development is dealt.
        n_folds: at least 2, at most the number of patients.
        n_repeats: how often all patients are dealt anew.
        seed: the study's seed.

    Returns:
        patient_id, repeat, fold (both from 0), sorted by repeat and patient_id.

    Raises:
        OnlmError: a patient twice, fewer patients than folds, or a single centre to leave out.
    """
    rows = _one_row_each(patients)
    if "part" in rows:
        rows = rows[rows["part"] == DEVELOPMENT].reset_index(drop=True)
    if scheme == "leave_one_centre_out":
        nowhere = int(rows["centre"].isna().sum())
        if nowhere:
            raise OnlmError(
                f"Leaving one centre out needs the centre of each patient; {nowhere} of {len(rows)} have none. Fill it."
            )
        centres = sorted(rows["centre"].unique())
        if len(centres) < 2:
            raise OnlmError(
                f"Leaving one centre out needs at least 2 centres; there is {len(centres)}. Use 'stratified'."
            )
        fold = rows["centre"].map({c: i for i, c in enumerate(centres)})
        return pd.DataFrame({"patient_id": rows["patient_id"], "repeat": 0, "fold": fold.astype("int64")})
    if scheme != "stratified":
        raise OnlmError(f"scheme '{scheme}' is not known; wanted 'stratified' or 'leave_one_centre_out'.")
    if n_repeats < 1 or seed < 0:
        raise OnlmError(f"n_repeats is {n_repeats} and seed {seed}; wanted at least 1, and at least 0.")
    if not isinstance(n_folds, int | np.integer) or not 2 <= n_folds <= len(rows):
        raise OnlmError(f"n_folds is {n_folds}; wanted at least 2 and at most the {len(rows)} patients.")
    repeats = []
    for repeat in range(n_repeats):
        fold = _deal(rows, n_folds=n_folds, rng=np.random.default_rng([seed, repeat]))
        repeats.append(pd.DataFrame({"patient_id": rows["patient_id"], "repeat": repeat, "fold": fold}))
    return pd.concat(repeats, ignore_index=True)


def _deal(rows: pd.DataFrame, *, n_folds: int, rng: np.random.Generator) -> np.ndarray:
    """Fold of each row: the rows, ordered by label and centre and at random within, dealt out in turn."""
    stratum = rows["onlm"].fillna(2.0).to_numpy()
    centre = pd.factorize(rows["centre"], sort=True)[0]
    order = np.lexsort((rng.permutation(len(rows)), centre, stratum))
    fold = np.empty(len(rows), dtype=np.int64)
    fold[order] = rng.permutation(n_folds)[np.arange(len(rows)) % n_folds]
    return fold


def split_digest(folds: pd.DataFrame) -> str:
    """SHA-256 of a split: the same patients in the same folds, whatever the order of rows."""
    rows = folds[["patient_id", "repeat", "fold"]].sort_values(["repeat", "patient_id"], kind="stable")
    return hashlib.sha256(table_text(rows).encode()).hexdigest()
