"""What is known of the patients: missing values, follow-up, and the reference standard."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pandas as pd

from onlm_lab import analysis, figures
from onlm_lab.cohort import missing_by, reference_standard
from onlm_lab.cohort.parts import missing_where_asked
from onlm_lab.cohort.table_words import column_words
from onlm_lab.errors import OnlmError
from onlm_lab.figures import theme
from onlm_lab.panels.cohort import GROUPS, TREATMENTS, characteristic
from onlm_lab.panels.panel import Panel
from onlm_lab.schema import Column

MOST_EMPTY = 30


def missing_panel(
    patients: pd.DataFrame, *, predictors: Sequence[str] | None, extra_columns: Iterable[Column] = (), mark: str = ""
) -> Panel:
    """Which centre lacks what.

    Args:
        patients: with arm and part.
        predictors: the study's predictors; None: every clinical column that is missing in some, each counted among
            those of whom it is asked.
        extra_columns: the study's own columns.
        mark: words laid across the figure.

    Raises:
        OnlmError: nothing is missing, or no such column is there.
    """
    notes: tuple[str, ...] = ()
    if predictors is not None:
        found = missing_by(patients, columns=[n for n in predictors if n in patients])
    else:
        found, nobody = missing_where_asked(patients, extra_columns=tuple(extra_columns))
        notes = (
            "What is known only from surgery is counted in the surgery arm; a value that is asked of some "
            "patients only (SUVmax of those with PET/CT) among those.",
        )
        if nobody:
            more = f" and {len(nobody) - MOST_EMPTY} more" if len(nobody) > MOST_EMPTY else ""
            notes += (f"Nobody has: {'; '.join(map(column_words, nobody[:MOST_EMPTY]))}{more}.",)
    whole = found[found["group"] == "all"].set_index("column")
    some = whole[whole["n_missing"] > 0]
    if some.empty:
        raise OnlmError(f"Nothing is missing: all {len(whole)} columns are complete.")
    shown = found if predictors is not None else found[found["column"].isin(some.index)].reset_index(drop=True)
    names = {c: characteristic(str(c)) for c in shown["column"].unique()}
    top = some.loc[some["fraction"].idxmax()]
    sentence = (
        f"{len(some)} of {len(whole)} characteristics are missing in some patients; most: "
        f"{names[top.name]}, missing in {int(top['n_missing']):,} of {int(top['n']):,} ({100 * top['fraction']:.0f} %)."
    )
    figure = figures.plot_missing(shown, names=names, mark=mark)
    return Panel("missing", figure.layout.title.text, figure, shown, sentence, notes)


def follow_up_panel(patients: pd.DataFrame, *, by: str, mark: str = "") -> Panel:
    """How long each group was followed: median by reverse Kaplan-Meier with its interval.

    Raises:
        OnlmError: as analysis.follow_up.
    """
    found = analysis.follow_up(patients, by=by)
    table = found.table
    words = GROUPS.get(by, {})
    names = ["All" if i == 0 else words.get(str(g), str(g).replace("_", " ")) for i, g in enumerate(table["group"])]
    drawn = table.assign(words=[f"{name} (n = {n:,})" for name, n in zip(names, table["n"], strict=True)])
    figure = figures.plot_intervals(
        drawn, of="words", value="median_days", low="low", high="high", scale=1 / 365.25,
        axis="Years", title="How long were the patients followed?",
        subtitle=f"{found.n:,} patients, {found.n_events:,} deaths; median and 95 % interval by reverse Kaplan-Meier",
        mark=mark,
    )  # fmt: skip
    line = table.iloc[0]
    median = "is not reached" if pd.isna(line["median_days"]) else (
        f"is {theme.number(line['median_days'] / 365.25, digits=1)} years "
        f"({_years(line['low'])} to {_years(line['high'])})")  # fmt: skip
    sentence = (
        f"Median follow-up of all {found.n:,} patients {median}; those alive were seen for "
        f"{_years(line['alive_median_days'])} years in the median."
    )
    unreached = int(table["median_days"].isna().sum())
    notes = [f"{n[:1].upper()}{n[1:]}." for n in found.notes]
    notes += [f"{n:,} patients are not counted: {why}." for why, n in found.n_excluded.items()]
    if unreached:
        notes.append(f"In {unreached} group{'' if unreached == 1 else 's'} the median is not reached and not drawn.")
    return Panel("follow_up", figure.layout.title.text, figure, table, sentence, tuple(notes))


def _years(days: float) -> str:
    return "not reached" if pd.isna(days) else theme.number(days / 365.25, digits=1)


def reference_panel(patients: pd.DataFrame, *, by: str, mark: str = "") -> Panel:
    """How often the nodes held cancer, by how the reference standard was made.

    Raises:
        OnlmError: nobody was operated on.
    """
    table = reference_standard(patients, by=by)
    if table.empty:
        raise OnlmError("There is no patient of the surgery arm, so there is no reference standard.")
    words = [TREATMENTS.get(str(name), str(name).replace("_", " ")) for name in table[by]]
    counts = zip(words, table["n_positive"], table["n_labelled"], strict=True)
    drawn = table.assign(words=[f"{name}: {k:,}/{n:,}" for name, k, n in counts])
    n, labelled, positive = (int(table[c].sum()) for c in ("n", "n_labelled", "n_positive"))
    figure = figures.plot_intervals(
        drawn, of="words", value="positive_fraction", low="low", high="high", scale=100,
        axis="N+ (%)", title="How often did the nodes hold cancer?",
        subtitle=f"{n:,} patients of the surgery arm; beside each name: N+ of the labelled; 95 % interval (Wilson)",
        mark=mark,
    )  # fmt: skip
    share = f" ({100 * positive / labelled:.0f} %)" if labelled else ""
    nodes = patients.loc[patients["arm"] == "surgery", "nodes_examined"]
    sentence = (
        f"{labelled:,} of {n:,} patients of the surgery arm have a reference standard; {positive:,}{share} are N+."
    )
    if nodes.notna().any():
        sentence += f" {nodes.median():g} nodes were examined in the median."
    return Panel("reference_standard", figure.layout.title.text, figure, table, sentence)


def no_label_panel(patients: pd.DataFrame, *, mark: str = "") -> Panel:
    """Why patients have no label.

    Raises:
        OnlmError: everybody has one.
    """
    without = patients[patients["onlm"].isna()]
    if without.empty:
        raise OnlmError(f"All {len(patients):,} patients have a label.")
    table = without["onlm_missing_reason"].fillna("no reason recorded").value_counts()
    table = table.rename_axis("reason").reset_index(name="n")
    figure = figures.plot_counts(
        table, of="reason", series={"n": "Patients"}, title="Who has no label, and why?",
        subtitle=f"{len(without):,} of {len(patients):,} patients have none", mark=mark,
    )  # fmt: skip
    top = table.iloc[0]
    sentence = (
        f"{len(without):,} of {len(patients):,} patients have no label; most often: {top['reason']} ({top['n']:,})."
    )
    return Panel("no_label", figure.layout.title.text, figure, table, sentence)
