"""What a reader study found: for whoever runs it, never for a reader who is still reading."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd

from onlm_lab import analysis, figures
from onlm_lab.figures import theme
from onlm_lab.panels.panel import Panel, notes_of
from onlm_lab.results import ReaderComparison

SEQUENTIAL = (
    "The second estimate follows the first at once, with the model's risk in sight: it measures what the model adds to "
    "a judgement already made."
)


def readers_panel(
    rows: pd.DataFrame, *, threshold: float | None = None, random_readers: bool = True, told: Sequence[str] = (),
    mark: str = "",
) -> Panel:  # fmt: skip
    """Each reader's AUC without the model and with it, and their average.

    Args:
        rows: of `reading_plan.reader_rows`.
        threshold: an estimate from here on is positive.
        random_readers: whether the average is to speak for readers like these.
        told: what the table of readings wants its reader to know.
        mark: words laid across the figure.

    Raises:
        OnlmError: nothing can be compared yet.
    """
    found = analysis.compare_readers(rows, threshold=threshold, random_readers=random_readers)
    second = not math.isnan(found.auc_with_model.value)
    corrected = int(rows["n_corrections"].sum()) if "n_corrections" in rows.columns else 0
    notes = [*notes_of(found), *told, *([SEQUENTIAL] if second else [])]
    if corrected:
        notes.append(f"{corrected} estimates were corrected afterwards; the first ones are analysed.")
    return Panel(
        "readers", "Do readers tell N+ from N0 better with the model?" if second else "How well do readers tell N+?",
        figures.plot_readers(found, mark=mark), _table(found), _sentence(found, second=second), tuple(notes),
    )  # fmt: skip


def _sentence(found: ReaderComparison, *, second: bool) -> str:
    who = f"{found.n_readers} reader{'' if found.n_readers == 1 else 's'}"
    basis = f"{who}, {found.n} patients, {found.n_events} N+"
    said = f"Without the model the average AUC was {theme.with_interval(found.auc_alone)} ({basis})."
    if second:
        p = theme.p_value(found.p_value)
        said += (
            f" With it, it was {theme.with_interval(found.auc_with_model)}: a difference of "
            f"{theme.with_interval(found.difference)}{f', {p}' if p else ''}."
        )
        moved = found.readers[["n_toward", "n_away", "n_unmoved"]].sum()
        said += (
            f" Of {int(moved.sum())} second estimates {int(moved['n_toward'])} moved towards the truth, "
            f"{int(moved['n_away'])} away from it, {int(moved['n_unmoved'])} stayed."
        )
    if not math.isnan(found.auc_model.value):
        said += f" The model alone: {theme.with_interval(found.auc_model)}."
    seconds = found.readers.get("seconds_alone", pd.Series(dtype=float)).median()
    if not math.isnan(seconds):
        said += f" A case took {seconds:.0f} seconds (median of the readers' medians)."
    return said


def _table(found: ReaderComparison) -> pd.DataFrame:
    """The readers' rows, then a row for their average and one for the model."""
    average: dict[str, object] = {"reader_id": "average"}
    model: dict[str, object] = {"reader_id": "model alone"}
    for row in found.averages.to_dict("records"):
        measure, kind = row["measure"], row["kind"]
        if kind == "model_minus_alone":
            continue
        target = model if kind == "model" else average
        name = f"{measure}_alone" if kind == "model" else f"{measure}_{kind}"
        target |= {name: row["value"], f"{name}_low": row["low"], f"{name}_high": row["high"]}
        if name == "auc_difference":
            target["p_value"] = row["p_value"]
    added = [average, *([model] if len(model) > 1 else [])]
    return pd.concat([found.readers, pd.DataFrame(added)], ignore_index=True)
