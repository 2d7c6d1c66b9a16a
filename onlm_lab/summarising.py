"""A study at a glance: flow, Table 1, what is missing, follow-up, reference standard, endpoints, sample size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from onlm_lab import analysis, cohort
from onlm_lab.cohort import splits
from onlm_lab.cohort.parameters import candidate_parameters
from onlm_lab.cohort.parts import missing_where_asked, parted
from onlm_lab.cohort.table_words import column_words
from onlm_lab.errors import OnlmError
from onlm_lab.results import FollowUp, SampleSize, TestingSampleSize
from onlm_lab.schema import Column
from onlm_lab.study import Study, load_study

MOST_PATTERNS = 15
MOST_EMPTY = 30
NOT_NAMED = (
    "How well the model is expected to do was not named, so no size is told: name it with --c-statistic, "
    "--r2-nagelkerke or --r2-cox-snell."
)


@dataclass(frozen=True, eq=False)
class Summary:
    """The tables of a study by name, in the order in which they are read; `table()` gives a copy.

    `written` holds tables that only files get: the numbers behind Table 1.
    """

    title: str
    tables: dict[str, pd.DataFrame]
    written: dict[str, pd.DataFrame]
    made_up: bool = False
    licence: str = ""

    def table(self, name: str) -> pd.DataFrame:
        return (self.tables | self.written)[name].copy()

    def text(self) -> str:
        """Lines for a terminal."""
        return cohort.tables_text(self.tables, made_up=self.made_up, licence=self.licence)

    def write(self, path: str | Path) -> Path:
        """The summary as .csv, .html or .xlsx; an unknown suffix is refused."""
        shown = self.tables if Path(path).suffix.lower() == ".html" else self.tables | self.written
        return cohort.write_tables(shown, path, title=self.title, made_up=self.made_up, licence=self.licence)

    def __repr__(self) -> str:
        return f"Summary '{self.title}': {', '.join(self.tables)}"

    def _repr_html_(self) -> str:
        return cohort.tables_html(self.tables, title=self.title, made_up=self.made_up, licence=self.licence)


def summarise(
    study: Study | str | Path,
    *,
    by: str | None = None,
    columns: Sequence[str] | None = None,
    mean: Sequence[str] = (),
    tests: bool = False,
    everyone: bool = False,
    c_statistic: float | None = None,
    r2_nagelkerke: float | None = None,
    r2_cox_snell: float | None = None,
) -> Summary:
    """Everything that a reader asks of a study before its first result.

    Args:
        study: a Study, its folder or its study.toml.
        by: what Table 1 compares: a column, or "part" for development against testing; None: the label, where both
            classes are there, else the arm.
        columns, mean, tests: as in cohort.table_one.
        everyone: all patients of the files; else those whom the protocol lets in.
        c_statistic, r2_nagelkerke, r2_cox_snell: what the model is expected to reach; without one of them no sample
            size is told.

    Raises:
        DataError: every fault of the study's files.
        OnlmError: `by` or `columns` name no column, or nobody is eligible.
    """
    study = study if isinstance(study, Study) else load_study(study)
    data = cohort.load_cohort(study)
    screening = cohort.screen(data, study.protocol)
    patients, closed = parted(data.patients, study=study)
    eligible = (screening.status["status"] == "eligible").to_numpy()
    if not everyone and not eligible.any():
        raise OnlmError(
            f"None of the {len(patients)} patients is eligible by {screening.protocol}; `onlm screen` says why. "
            "With --all the summary is of everyone in the files."
        )
    kept = patients if everyone else patients[eligible].reset_index(drop=True)
    by = by or _default_group(kept)
    extra = data.extra_columns
    whom = f"All {len(patients):,} patients of the files." if everyone else (
        f"{len(kept):,} of {len(patients):,} patients: those whom {screening.protocol} lets in.")  # fmt: skip
    options = {"by": by, "columns": columns, "extra_columns": extra, "mean": mean, "tests": tests}
    one = cohort.table_one(kept, **options, missing_by_group=True)
    one.attrs["notes"] = (whom, *([closed] if closed else []), *one.attrs["notes"])
    if by == "onlm":
        one.attrs["heads"] = {"0": "N0", "1": "N+"}
    tables = {"Flow": _flow(screening.flow, protocol=screening.protocol), f"Table 1, by {by}": one,
              "Missing, by centre": _missing(kept, extra=extra), "Missing together": _patterns(kept, study=study),
              "Accrual": cohort.accrual(kept)}  # fmt: skip
    tables |= _follow_up(kept) | _reference_standard(kept) | {"Endpoints": cohort.endpoint_counts(kept)}
    tables |= _sample_size(kept, study=study, extra=extra, c_statistic=c_statistic, r2_nagelkerke=r2_nagelkerke,
                           r2_cox_snell=r2_cox_snell)  # fmt: skip
    numbers = cohort.table_one_numbers(kept, **options)
    return Summary(
        title=f"{study.name}: summary", tables=tables, written={"Table 1, numbers": numbers}, made_up=study.made_up,
        licence=study.study.licence,
    )  # fmt: skip


def _default_group(patients: pd.DataFrame) -> str:
    return "onlm" if patients["onlm"].nunique() > 1 else "arm"


def _flow(flow: pd.DataFrame, *, protocol: str) -> pd.DataFrame:
    """Rule by rule over all centres, then how many are left in each centre."""
    total = flow[flow["centre"] == "all"].drop(columns="centre").reset_index(drop=True)
    left = flow[flow["centre"] != "all"].pivot(index="rule", columns="centre", values="n_left")
    left = left.reindex(total["rule"]).reset_index(drop=True).add_prefix("left in ")
    first = ["rule", *(["text"] if "text" in total else [])]
    table = pd.concat([total[first], total.drop(columns=first), left], axis=1)
    table.attrs["notes"] = (
        f"Protocol: {protocol}. A patient counts once: at the first rule that fails, else at the first that stays "
        "undetermined.",
    )
    return table


def _missing(patients: pd.DataFrame, *, extra: tuple[Column, ...]) -> pd.DataFrame:
    """A row a column that is missing in some: the number over all, fractions in each centre."""
    found, nobody = missing_where_asked(patients, extra_columns=extra)
    groups = list(dict.fromkeys(found["group"]))
    names = list(dict.fromkeys(found["column"]))
    shares = found.pivot(index="column", columns="group", values="fraction").reindex(index=names, columns=groups)
    counts = found[found["group"] == "all"]["n_missing"].to_numpy()
    table = pd.concat([pd.DataFrame({"column": names, "n_missing": counts}), shares.reset_index(drop=True)], axis=1)
    table = table[table["n_missing"] > 0].reset_index(drop=True)
    table.attrs["percent"] = tuple(groups)
    table.attrs["notes"] = (
        f"{len(names) - len(table)} further columns are complete. What is known only from surgery is counted in the "
        "surgery arm, and a column that is asked of some only (SUVmax of those with PET/CT) among those.",
        *_nobody_has([column_words(c) for c in nobody]),
    )
    return table


def _nobody_has(names: list[str]) -> tuple[str, ...]:
    """The columns that are empty in every patient, for a note."""
    more = f" and {len(names) - MOST_EMPTY} more" if len(names) > MOST_EMPTY else ""
    return (f"Nobody has: {'; '.join(names[:MOST_EMPTY])}{more}.",) if names else ()


def _patterns(patients: pd.DataFrame, *, study: Study) -> pd.DataFrame:
    names = [n for n in study.training.predictors if n in patients]
    found = cohort.missing_patterns(patients, columns=names)
    table = found.head(MOST_PATTERNS).reset_index(drop=True)
    table["pattern"] = table["pattern"].replace("", "none missing")
    rest = found.iloc[MOST_PATTERNS:]
    notes = ["Of the study's predictors."]
    if len(rest):
        notes.append(f"{len(rest)} rarer patterns in {int(rest['n'].sum())} patients are not shown.")
    table.attrs |= {"percent": ("fraction",), "notes": tuple(notes)}
    return table


def _sentence(note: str) -> str:
    return f"{note[:1].upper()}{note[1:]}."


def _follow_up(patients: pd.DataFrame) -> dict[str, pd.DataFrame]:
    tables = {}
    for by in ("arm", "centre"):
        try:
            found: FollowUp = analysis.follow_up(patients, by=by)
        except OnlmError as refusal:
            empty = pd.DataFrame(columns=["group", "n", "n_deaths", "median_days", "low", "high"])
            said = str(refusal)
            empty.attrs["notes"] = (said[:1].upper() + said[1:],)
            tables[f"Follow-up, by {by}"] = empty
            continue
        table = found.table.drop(columns="completeness")
        left_out = tuple(f"{n} patients: {why}." for why, n in found.n_excluded.items())
        table.attrs["notes"] = (*map(_sentence, found.notes), *left_out)
        tables[f"Follow-up, by {by}"] = table
    return tables


def _reference_standard(patients: pd.DataFrame) -> dict[str, pd.DataFrame]:
    reasons = patients.loc[patients["onlm"].isna(), "onlm_missing_reason"].fillna("no reason recorded").value_counts()
    why = pd.DataFrame({"reason": reasons.index.to_numpy(object), "n": reasons.to_numpy(int)})
    return {"Reference standard": cohort.reference_standard(patients), "No label, and why": why}


def _sample_size(
    patients: pd.DataFrame, *, study: Study, extra: tuple[Column, ...], c_statistic: float | None,
    r2_nagelkerke: float | None, r2_cox_snell: float | None,
) -> dict[str, pd.DataFrame]:  # fmt: skip
    """What the labelled patients of development carry, and whether they are enough."""
    labelled = patients[patients["onlm"].notna() & (patients["part"] == "development")]
    names = [n for n in study.training.predictors if n in patients]
    parameters = candidate_parameters(labelled, predictors=names, extra_columns=extra)
    n, events, k = len(labelled), int((labelled["onlm"] == 1).sum()), int(parameters["n_parameters"].sum())
    said = f"{n:,} labelled patients of development, {events:,} N+, {k} candidate predictor parameters."
    parameters.attrs["notes"] = (said, *parameters.attrs["notes"])
    tables = {"Predictor parameters": parameters}
    criteria = pd.DataFrame(columns=["criterion", "means", "n", "n_events"])
    if not 0 < events < n or k == 0:
        criteria.attrs["notes"] = (said, "No sample size without both classes and at least one parameter.")
    elif c_statistic is None and r2_nagelkerke is None and r2_cox_snell is None:
        criteria.attrs["notes"] = (said, NOT_NAMED)
    else:
        found: SampleSize = analysis.sample_size_binary(
            n_parameters=k, prevalence=events / n, c_statistic=c_statistic, r2_nagelkerke=r2_nagelkerke,
            r2_cox_snell=r2_cox_snell, n=n, n_events=events,
        )  # fmt: skip
        criteria = found.criteria
        reached = (
            f"With {n:,} patients the expected shrinkage is {found.shrinkage_at_n:.3f}, and the overall risk is known "
            f"to within {found.margin_at_n:.3f}."
        )
        criteria.attrs["notes"] = (
            said, found.sentence, reached, *map(_sentence, found.notes),
            "Riley et al., BMJ 2020;368:m441, doi:10.1136/bmj.m441.",
        )  # fmt: skip
    tables["Sample size of development"] = criteria
    if c_statistic is not None and 0 < events < n:
        tables["Sample size of testing"] = _testing(patients, prevalence=events / n, c_statistic=c_statistic)
    return tables


def _testing(patients: pd.DataFrame, *, prevalence: float, c_statistic: float) -> pd.DataFrame:
    """What a test of the model needs, and whether each part that is kept for testing has it."""
    found: TestingSampleSize = analysis.sample_size_external(prevalence=prevalence, c_statistic=c_statistic)
    notes = [found.sentence]
    for part, rows in patients[patients["part"] != splits.DEVELOPMENT].groupby("part", sort=True):
        known = int(rows["onlm"].notna().sum())
        if part == splits.LOCKED:
            known = int((rows["arm"] == "surgery").sum())  # their labels are not to be seen yet
        more = found.n_required - known
        judged = "enough" if more <= 0 else f"not enough, {more:,} more are needed"
        noun = "patients of the surgery arm" if part == splits.LOCKED else "labelled patients"
        notes.append(f"{str(part).capitalize()} testing has {known:,} {noun}: {judged}.")
    criteria = found.criteria.drop(columns="width_at_n")
    criteria.attrs["notes"] = (
        *notes, f"For a prevalence of {prevalence:.3f}, that of development. {_sentence(found.notes[0])}",
        "Riley et al., Stat Med 2021, doi:10.1002/sim.9025.",
    )  # fmt: skip
    return criteria
