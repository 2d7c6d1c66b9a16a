"""Local recalibration from files: the risks of a run, or of any predictions.csv, updated to one place's patients."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from onlm_lab import elsewhere, runs, schema
from onlm_lab.analysis import apply_recalibration, battery, recalibrate
from onlm_lab.errors import OnlmError
from onlm_lab.figures import theme
from onlm_lab.report.recalibration import summary_lines, write_recalibration
from onlm_lab.results import Recalibration
from onlm_lab.schema import nearest

OUT_OF_FOLD = (
    "these risks are out of fold: they come from the models of the folds, while a new patient gets the final model's. "
    "What is learned here describes the procedure; update the final model on patients of the place who are new to it"
)


def recalibrate_files(
    source: Path, *, out: Path, say: Callable[[str], None], model: str | None = None, centre: str | None = None,
    split: str | None = None, method: str = "test", clinical: Path | None = None, apply: Path | None = None,
) -> Recalibration:  # fmt: skip
    """Fits the update, writes recalibration.json and .html, and, where asked, other predictions with it applied.

    Args:
        source: a study or run, or a predictions.csv.
        out: the folder to write.
        say: takes a line for the user.
        model: model_id; None: the study's primary model, or the only one there is.
        centre: only its patients; None: all.
        split: "oof", "external", "temporal" or "test"; None: external testing where there is any, else the first.
        method: "none", "intercept", "both" or "test".
        clinical: with the labels, beside a predictions.csv.
        apply: another predictions.csv of the same model, written to out/predictions.csv with its risks updated.

    Raises:
        OnlmError: no such model, centre or split, no labels, or tables that do not fit.
    """
    rows, first, seed, made_up, name = _rows(source, clinical=clinical)
    model = _chosen(model or first, rows["model_id"], what="model")
    rows = battery.first_repeat(rows[rows["model_id"] == model])
    sets = battery.testing_sets(rows)
    split = split or ("external" if "external" in sets else next(iter(sets), None))
    if split not in sets:
        raise OnlmError(f"There is no testing set '{split}' with labels; there is {', '.join(sets) or 'none'}.")
    rows = sets[split]
    if centre is not None:
        if "centre" not in rows:
            raise OnlmError("--centre needs the column centre. Give the clinical table with --clinical.")
        rows = rows[rows["centre"] == _chosen(centre, rows["centre"], what="centre")]
    if split == "oof":
        say(f"  {OUT_OF_FOLD}")
    found = recalibrate(rows, method=method, model=model, generator=np.random.default_rng(seed))
    place = centre or f"all centres ({split})"
    mark = theme.MADE_UP if made_up else ""
    kept, page = write_recalibration(found, folder=out, place=place, source=f"{name}, {split}", mark=mark)
    for line in summary_lines(found):
        say(f"  {line}")
    say(f"  {kept.name} and {page.name} in {out}")
    if apply is not None:
        _apply(apply, found=found, model=model, out=out, say=say)
    return found


def _rows(source: Path, *, clinical: Path | None) -> tuple[pd.DataFrame, str, int, bool, str]:
    """Predictions with their labels, the model to take first, the seed, whether made up, and a name."""
    if source.suffix != ".csv":
        if clinical is not None:
            raise OnlmError("--clinical goes with a predictions.csv; a run knows its own patients.")
        run = runs.open_run(source)
        return run.rows(), run.study.primary_model, run.study.seed, run.study.made_up, run.id
    rows = elsewhere.read_predictions(source, clinical=clinical)
    if "onlm" not in rows:
        raise OnlmError(f"{source.name} has no labels (onlm). Give the clinical table with --clinical.")
    return rows, str(rows["model_id"].iloc[0]) if rows["model_id"].nunique() == 1 else "", 0, False, source.name


def _chosen(name: str, known: pd.Series, *, what: str) -> str:
    """One of the names that are there."""
    there = sorted(map(str, known.dropna().unique()))
    if name in there:
        return name
    near = nearest(name, there) if name else None
    offer = f" Did you mean '{near}'?" if near else ""
    asked = f"There is no {what} '{name}'" if name else f"Name one {what} with --{what}"
    raise OnlmError(f"{asked}; there is {', '.join(there) or 'none'}.{offer}")


def _apply(path: Path, *, found: Recalibration, model: str, out: Path, say: Callable[[str], None]) -> None:
    rows = schema.read_table(path, table="predictions", defaults=elsewhere.DEFAULTS)
    mine = rows["model_id"] == _chosen(model, rows["model_id"], what="model")
    moved = apply_recalibration(rows[mine], intercept=found.intercept.value, slope=found.slope.value)
    schema.write_table(moved, out / "predictions.csv")
    say(f"  {len(moved)} risks of {path.name} updated: {out / 'predictions.csv'}")
