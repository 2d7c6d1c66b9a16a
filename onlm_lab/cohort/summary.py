"""Table 1 and accrual: what a reader asks before the first result."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from onlm_lab import schema
from onlm_lab.cohort.baseline import OVERALL, TABLE_ONE, Baseline, Line, baseline, level_text
from onlm_lab.cohort.distances import Numbers, standardised_difference
from onlm_lab.cohort.hypothesis import NOT_ADJUSTED, hypothesis_test
from onlm_lab.cohort.missing import missingness
from onlm_lab.errors import OnlmError

__all__ = ["TABLE_ONE", "accrual", "missingness", "standardised_difference", "table_one", "table_one_numbers"]
MEDIAN, MEAN, RANGE = "median (Q1-Q3)", "mean (SD)", "min-max"
NOTHING = "-"
NONE_KNOWN = "none known"
MOST_DIGITS = 8
SMD_NOTE = (
    "SMD: absolute standardised mean difference of known values; with more than two groups the largest of all pairs. "
    "Percentages are of known values."
)


def table_one(
    patients: pd.DataFrame,
    *,
    by: str | None = None,
    columns: Sequence[str] | None = None,
    extra_columns: Iterable[schema.Column] = (),
    mean: Sequence[str] = (),
    ranges: Sequence[str] = (),
    categories: Sequence[str] = (),
    tests: bool = False,
    pairs: bool = False,
    missing_by_group: bool = False,
) -> pd.DataFrame:
    """Who the patients are, overall and by group, with what is missing and how far the groups are apart.

    The standardised mean difference is abs(difference) / sqrt of the mean variance (Austin, Stat Med 2009;28:3083,
    doi:10.1002/sim.3697), for categories its multinomial form (Yang & Dalton, SAS Global Forum 2012, 335); with more
    than two groups the largest of all pairs. It rests on known values; NaN where it cannot be computed.

    Args:
        patients: one row a patient.
        by: a column that names the groups, such as "arm", "centre", "onlm" or "part"; rows without it are in
            "overall" only, and the notes count them.
        columns: what to show; None takes those of TABLE_ONE that hold anything.
        extra_columns: the study's own columns.
        mean: columns shown as mean (SD); all other numbers as median (quartiles).
        ranges: columns of numbers that get a line with the smallest and the largest value too.
        categories: columns of numbers shown level by level, such as ECOG.
        tests: adds p_value and test.
        pairs: adds the SMD of each pair of groups, in columns "smd: a | b".
        missing_by_group: adds the number missing in each group, in columns "n_missing: a".

    Returns:
        variable, level ("median (Q1-Q3)", "mean (SD)", "min-max" or the category; of a yes-or-no column only "1"),
        overall, one column a group ("n (%)" or the numbers, in text), n_missing, smd, and what was asked for. The first
        row is the number of patients. `attrs["notes"]` says what a reader must know.

    Raises:
        OnlmError: a column that is not in the table (the nearest is named) or there twice, that has too many groups or
            levels to be a table; a mean or range of something that is no number; tests without groups.

    Example:
        >>> rows = pd.DataFrame({"arm": ["surgery", "surgery", "sbrt", "sbrt"], "age_years": [60.0, 62, 75, 81]})
        >>> table_one(rows, by="arm")[["level", "sbrt", "surgery"]].values.tolist()[1]
        ['median (Q1-Q3)', '78.0 (76.5-79.5)', '61.0 (60.5-61.5)']
    """
    found = _computed(patients, by=by, columns=columns, extra_columns=extra_columns, mean=mean, ranges=ranges,
                      categories=categories, tests=tests)  # fmt: skip
    more = [f"n_missing: {g}" for g in found.groups[1:]] if missing_by_group else []
    more += [f"smd: {a} | {b}" for a, b in found.pairs] if pairs else []
    head = ["variable", "level", *found.groups, "n_missing", "smd", *(["p_value", "test"] if tests else []), *more]
    first = dict(zip(found.groups, map(str, found.sizes), strict=True))
    rows: list[dict[str, object]] = [{"variable": "patients", "level": "n"} | first]
    used: list[str] = []
    for line in found.lines:
        shared: dict[str, object] = {"variable": line.name, "n_missing": int(line.n_missing[0]),
                                     "smd": line.largest_smd}  # fmt: skip
        if tests:
            shared["p_value"], shared["test"] = hypothesis_test(line, mean=line.name in mean)
            used.append(str(shared["test"]))
        if missing_by_group:
            shared |= {f"n_missing: {g}": int(k) for g, k in zip(found.groups[1:], line.n_missing[1:], strict=True)}
        if pairs:
            shared |= {f"smd: {a} | {b}": d for (a, b), d in zip(found.pairs, line.smd, strict=True)}
        for level, cells in _texts(line, mean=line.name in mean, ranged=line.name in ranges):
            rows.append({"level": level} | dict(zip(found.groups, cells, strict=True)) | shared)
    table = _with_counts(pd.DataFrame(rows, columns=head), ["n_missing", *(n for n in more if n.startswith("n_m"))])
    table.attrs["notes"] = _notes(found, used=used if tests else None)
    return table


def table_one_numbers(
    patients: pd.DataFrame,
    *,
    by: str | None = None,
    columns: Sequence[str] | None = None,
    extra_columns: Iterable[schema.Column] = (),
    mean: Sequence[str] = (),
    categories: Sequence[str] = (),
    tests: bool = False,
) -> pd.DataFrame:
    """Table 1 as numbers, a row each: to compare, to export, to compute with.

    Args:
        patients, by, columns, extra_columns, categories: as in table_one.
        mean: whose means are compared where `tests`; means and medians are given of every number.
        tests: adds rows with the P values.

    Returns:
        kind ("patients", "number", "level", "smd" or "test"), variable, level, group, n (known), n_missing, mean, sd,
        median, q1, q3, min, max, count, fraction (of known), smd, p_value, test. A row of kind "smd" is of a pair of
        groups, named in `group` as "a | b".

    Raises:
        OnlmError: as table_one.
    """
    found = _computed(patients, by=by, columns=columns, extra_columns=extra_columns, mean=mean, ranges=(),
                      categories=categories, tests=tests)  # fmt: skip
    rows: list[dict[str, object]] = [
        {"kind": "patients", "variable": "patients", "group": g, "n": n, "n_missing": 0}
        for g, n in zip(found.groups, found.sizes, strict=True)
    ]
    for line in found.lines:
        for i, group in enumerate(found.groups):
            of = {"variable": line.name, "group": group, "n": int(line.n[i]), "n_missing": int(line.n_missing[i])}
            if line.kind == "number":
                x = line.numbers[i]
                rows.append({"kind": "number", **of, "mean": x.mean, "sd": x.sd, "median": x.median, "q1": x.q1,
                             "q3": x.q3, "min": x.low, "max": x.high})  # fmt: skip
                continue
            for level, count in zip(line.levels, line.counts[:, i], strict=True):
                fraction = count / line.n[i] if line.n[i] else math.nan
                rows.append({"kind": "level", **of, "level": level_text(level), "count": int(count),
                             "fraction": fraction})  # fmt: skip
        rows += [{"kind": "smd", "variable": line.name, "group": f"{a} | {b}", "smd": d}
                 for (a, b), d in zip(found.pairs, line.smd, strict=True)]  # fmt: skip
        if tests:
            p, name = hypothesis_test(line, mean=line.name in mean)
            rows.append({"kind": "test", "variable": line.name, "p_value": p, "test": name})
    head = ["kind", "variable", "level", "group", "n", "n_missing", "mean", "sd", "median", "q1", "q3", "min", "max",
            "count", "fraction", "smd", "p_value", "test"]  # fmt: skip
    table = _with_counts(pd.DataFrame(rows, columns=head), ["n", "n_missing", "count"])
    table.attrs["notes"] = _notes(found, used=None)
    return table


def _with_counts(table: pd.DataFrame, names: Iterable[str]) -> pd.DataFrame:
    """Counts as whole numbers, so that no file says 40.0 patients."""
    return table.astype(dict.fromkeys(names, "Int64"))


def _computed(
    patients: pd.DataFrame, *, by: str | None, columns: Sequence[str] | None, extra_columns: Iterable[schema.Column],
    mean: Sequence[str], ranges: Sequence[str], categories: Sequence[str], tests: bool,
) -> Baseline:  # fmt: skip
    found = baseline(patients, by=by, columns=columns, extra_columns=extra_columns, categories=categories)
    kinds = {line.name: line.kind for line in found.lines}
    for what, names in (("mean", mean), ("ranges", ranges)):
        for name in names:
            if name not in kinds:
                raise OnlmError(
                    f"Table 1: {what} names '{name}', which the table does not show; it has {_some(kinds)}."
                )
            if kinds[name] != "number":
                raise OnlmError(f"Table 1: {what} names '{name}', which is shown level by level, not as a number.")
    if tests and len(found.groups) < 3:
        raise OnlmError(
            f"Table 1: tests compare groups, but by={by!r} gives {len(found.groups) - 1} of them; wanted at least 2."
        )
    return found


def _some(names: Iterable[str]) -> str:
    names = list(names)
    return ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "") or "no column"


def _notes(found: Baseline, *, used: list[str] | None) -> tuple[str, ...]:
    notes = [SMD_NOTE if found.by else "Percentages are of known values."]
    if found.n_ungrouped:
        notes.append(
            f"{found.n_ungrouped} of {found.sizes[0]} patients have no {found.by}: they are in '{OVERALL}' only."
        )
    partly = sum(any(map(math.isnan, line.smd)) and not math.isnan(line.largest_smd) for line in found.lines)
    if partly:
        notes.append(
            f"In {partly} of {len(found.lines)} characteristics the largest SMD leaves out pairs of groups for which "
            "it cannot be computed: too few known values, or a difference without any spread inside the groups."
        )
    if used is not None:
        done = dict.fromkeys(t for t in used if not t.startswith("not tested"))
        notes.append(f"Tests: {', '.join(done) or 'none possible'}. {NOT_ADJUSTED}")
    return tuple(notes)


def _texts(line: Line, *, mean: bool, ranged: bool) -> list[tuple[str, list[str]]]:
    """Level and cells of each row that a characteristic takes."""
    if line.kind == "number":
        rows = [(MEAN if mean else MEDIAN, [_number_text(x, line=line, mean=mean) for x in line.numbers])]
        if ranged:
            rows.append((RANGE, [_range_text(x, line=line) for x in line.numbers]))
        return rows
    if not line.levels:
        return [(NONE_KNOWN, [NOTHING] * len(line.n))]
    shown = [(level_text(v), [_share(int(c), int(n)) for c, n in zip(counts, line.n, strict=True)])
             for v, counts in zip(line.levels, line.counts, strict=True)]  # fmt: skip
    return [row for row in shown if row[0] == "1"] if line.kind == "boolean" else shown


def _digits(line: Line, values: tuple[float, ...]) -> int:
    """Decimals that a reader can use: none for whole numbers, more for small ones; the same in every group."""
    overall = line.numbers[0]
    if line.whole and all(v == round(v) for v in values):
        return 0
    size = max(abs(overall.q1), abs(overall.q3))
    if line.whole or not size < 10:
        return 1
    return 2 if size >= 0.1 or size == 0 else min(1 - math.floor(math.log10(size)), MOST_DIGITS)


def _number_text(x: Numbers, *, line: Line, mean: bool) -> str:
    if x.n == 0:
        return NOTHING
    if mean:
        digits = max(_digits(line, (0.5,)), 1)
        return f"{x.mean:.{digits}f} ({f'{x.sd:.{digits}f}' if not math.isnan(x.sd) else NOTHING})"
    digits = _digits(line, (x.median, x.q1, x.q3))
    return f"{x.median:.{digits}f} ({_span(x.q1, x.q3, digits=digits)})"


def _range_text(x: Numbers, *, line: Line) -> str:
    if x.n == 0:
        return NOTHING
    digits = _digits(line, (x.low, x.high))
    return _span(x.low, x.high, digits=digits)


def _span(low: float, high: float, *, digits: int) -> str:
    """From one to the other; in words where a minus sign would be taken for the dash."""
    return f"{low:.{digits}f}{' to ' if low < 0 else '-'}{high:.{digits}f}"


def _share(count: int, n: int) -> str:
    return f"{count} ({100 * count / n:.1f} %)" if n else NOTHING


def accrual(patients: pd.DataFrame) -> pd.DataFrame:
    """When and how long patients were followed, by centre and for all.

    An absent column counts as not known. The median follow-up is not here: it needs the reverse Kaplan-Meier estimate
    (analysis.follow_up).

    Returns:
        centre, n, first_year, last_year, n_year_missing, followup_days_min, followup_days_max, n_followup_missing,
        n_lost.
    """
    numbers = pd.DataFrame({
        name: pd.to_numeric(column, errors="coerce").to_numpy(float, na_value=np.nan)
        for name, column in patients.reindex(columns=["treatment_year", "followup_days", "lost_to_followup"]).items()
    })  # fmt: skip
    codes, centres = pd.factorize(patients["centre"], sort=True)
    names = ["centre = all" if c == "all" else c for c in centres]
    groups = [("all", numbers), *((c, numbers[codes == i]) for i, c in enumerate(names))]
    rows = []
    for centre, part in groups:
        year, days = part["treatment_year"], part["followup_days"]
        rows.append(
            {"centre": centre, "n": len(part), "first_year": year.min(), "last_year": year.max(),
             "n_year_missing": int(year.isna().sum()), "followup_days_min": days.min(), "followup_days_max": days.max(),
             "n_followup_missing": int(days.isna().sum()), "n_lost": int((part["lost_to_followup"] == 1).sum())}
        )  # fmt: skip
    return pd.DataFrame(rows)
