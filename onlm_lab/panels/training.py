"""A training as it goes, and runs beside each other: from history.csv and results.json, nothing computed twice."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from statistics import fmean
from typing import Any, NamedTuple

import pandas as pd

from onlm_lab import analysis, figures
from onlm_lab.errors import OnlmError
from onlm_lab.figures.training import TITLE, plot_training, training_traces
from onlm_lab.panels import patients
from onlm_lab.panels.panel import Moved, Panel, notes_of
from onlm_lab.runs import Run

FINAL = -1  # the fold of the model that learns from every labelled patient
MOST_LINES = 12  # of a figure: those that were begun last
SHOWN = ("model", "training", "patch")
TASK = ["model_id", "repeat", "fold"]
MEASURED = ["train_loss", "valid_loss", "valid_auc"]


class Progress(NamedTuple):
    """How far a training is.

    Attributes:
        n_done, n: fits that are finished, and all.
        left_s: seconds that the rest may take, by what the finished ones took; None where nothing is finished yet.
        table: a row a model: folds done of all, and whether the final model is.
    """

    n_done: int
    n: int
    left_s: float | None
    table: pd.DataFrame


class Fits(NamedTuple):
    """The fits of a training: what is to be fitted, as (model, repeat, fold), and each one's file."""

    tasks: list[tuple[str, int, int]]
    files: list[str]


def fits_of(run: Run, *, left_out: Sequence[str] = ()) -> Fits:
    """What a run fits.

    Args:
        run: begun; its split is dealt.
        left_out: models that training said it leaves out.
    """
    study, split = run.study, run.split
    said = study.training
    models = [m for m in (*said.models, *said.baselines, *study.scores) if m not in left_out]
    if not set(said.models) - {"clinical"}:
        models = [m for m in models if m != "image_facts"]
    pairs = [*split[["repeat", "fold"]].drop_duplicates().itertuples(index=False, name=None), (0, FINAL)]
    tasks = [(m, int(r), int(f)) for m in models for r, f in pairs]
    return Fits(tasks, [f"{m}-r{r}-{'final' if f == FINAL else f'f{f}'}.safetensors" for m, r, f in tasks])


def progress_of(run: Run, *, fits: Fits | None = None, history: pd.DataFrame | None = None) -> Progress:
    """How far the training of a run is, from its own files.

    Args:
        run: begun; its split is dealt.
        fits: of the run; None: read now.
        history: of the run; None: read now.
    """
    fits = fits_of(run) if fits is None else fits
    partial = run.folder / "partial"
    there = set(os.listdir(partial)) if partial.is_dir() else set()
    done = {task for task, name in zip(*fits, strict=True) if name in there}
    rows = []
    for model in dict.fromkeys(task[0] for task in fits.tasks):
        folds = [task for task in fits.tasks if task[0] == model and task[2] != FINAL]
        rows.append({"model": model, "folds done": sum(task in done for task in folds), "folds": len(folds),
                     "final model": "done" if (model, 0, FINAL) in done else ""})  # fmt: skip
    left = _left(fits.tasks, done=done, history=run.history if history is None else history)
    return Progress(len(done), len(fits.tasks), left, pd.DataFrame(rows))


def _left(
    tasks: Sequence[tuple[str, int, int]], *, done: Collection[tuple[str, int, int]], history: pd.DataFrame
) -> float | None:  # fmt: skip
    """Seconds of the fits that are still to be done: as long as those of the same model took, else as any."""
    if not done or not len(history):
        return None
    took = history.groupby(TASK)["seconds"].sum().to_dict()
    known = {task: seconds for task, seconds in took.items() if task in done}
    if not known:
        return None
    own: dict[str, list[float]] = {}
    for (model, *_), seconds in known.items():
        own.setdefault(model, []).append(seconds)
    means = {model: fmean(seconds) for model, seconds in own.items()}
    any_model = fmean(known.values())
    return sum(max(0.0, means.get(t[0], any_model) - took.get(t, 0.0)) for t in tasks if t not in done)


class Curves(NamedTuple):
    """The curves of one model: a row a line and epoch, how many folds there are, and what they say."""

    table: pd.DataFrame
    n_lines: int
    sentence: str


def curves_of(history: pd.DataFrame, *, model: str) -> Curves:
    """The newest curves of a model: at most MOST_LINES.

    Raises:
        OnlmError: it has no epoch yet.
    """
    one = history[history["model_id"] == model] if len(history) else history
    if not len(one):
        raise OnlmError(f"{model} has no epoch yet. Wait until its first one is finished.")
    folds = one[["repeat", "fold"]].drop_duplicates()
    newest = one.merge(folds.tail(MOST_LINES), on=["repeat", "fold"])
    table = _curve_table(newest, many=one["repeat"].nunique() > 1)
    n_drawn, n_seeds = min(len(folds), MOST_LINES), int(one["seed"].nunique())
    drawn = f"{n_drawn} {'line' if n_drawn == 1 else 'lines'}"
    if len(folds) > MOST_LINES:
        drawn = f"the newest {n_drawn} of {len(folds)} folds and repeats"
    sentence = (
        f"{model}: {drawn}, up to epoch {int(table['epoch'].max())}; "
        f"each the mean of {'one seed' if n_seeds == 1 else f'up to {n_seeds} seeds'}. Held-out loss that rises while "
        "training loss falls means that the model learns its own patients by heart."
    )
    return Curves(table, len(folds), sentence)


def n_drawn(history: pd.DataFrame, *, model: str) -> int:
    """How many lines the curves of a model have."""
    one = history[history["model_id"] == model] if len(history) else history
    return min(len(one[["repeat", "fold"]].drop_duplicates()), MOST_LINES) if len(one) else 0


def curves_panel(history: pd.DataFrame, *, model: str, mark: str = "", empty: bool = False) -> Panel:
    """Loss and AUC of one model, epoch by epoch, a line a fold: the mean of its seeds.

    Args:
        history: of a run.
        model: whose curves.
        mark: laid across the figure.
        empty: the figure without its lines, which `curves_moved` lays upon it as they grow.

    Raises:
        OnlmError: it has no epoch yet.
    """
    found = curves_of(history, model=model)
    note = (
        "Held out here means patients within the training rows, kept to know when to stop: not the test of the model.",
    )
    figure = plot_training(
        found.table, subtitle=f"{figures.theme.safe(model)}; final: learns from every fold", mark=mark, empty=empty
    )
    return Panel(f"training_{model}", TITLE, figure, found.table, found.sentence, note)


def curves_moved(history: pd.DataFrame, *, model: str) -> Moved:
    """The lines of `curves_panel`, its table and its sentence."""
    found = curves_of(history, model=model)
    return Moved(found.sentence, found.table, training_traces(found.table))


def curve_table(history: pd.DataFrame, *, model: str) -> pd.DataFrame:
    """line, epoch, train_loss, valid_loss, valid_auc: the mean over the seeds that came so far."""
    return curves_of(history, model=model).table


def _curve_table(rows: pd.DataFrame, *, many: bool) -> pd.DataFrame:
    mean = rows.groupby(["repeat", "fold", "epoch"], sort=False)[MEASURED].mean().reset_index()
    names = {
        (r, f): "final" if f == FINAL else f"fold {f + 1}" + (f", repeat {r + 1}" if many else "")
        for r, f in mean[["repeat", "fold"]].drop_duplicates().itertuples(index=False, name=None)
    }
    line = [names[pair] for pair in zip(mean["repeat"], mean["fold"], strict=True)]
    return mean.assign(line=line)[["line", "epoch", *MEASURED]]


def differing(runs: Sequence[Run]) -> dict[str, dict[str, Any]]:
    """The settings in which runs differ: run -> "training.folds" -> value."""
    said = {run.id: _flat(run.study.to_dict()) for run in runs}
    names = dict.fromkeys(name for one in said.values() for name in one)
    kept = [n for n in names if len({repr(one.get(n)) for one in said.values()}) > 1]
    return {run: {name: one.get(name) for name in kept} for run, one in said.items()}


def _flat(plain: Mapping[str, Any]) -> dict[str, Any]:
    return {f"{section}.{key}": value for section in SHOWN for key, value in plain[section].items()}


def runs_table(runs: Sequence[Run]) -> pd.DataFrame:
    """A row a run: patients, models, main model, its AUC with interval, calibration slope, Brier, time trained, and
    the settings that differ; empty cells where a run is not finished or its statistics are not made."""
    others = differing(runs)
    rows = []
    for run in runs:
        study = run.study
        row: dict[str, Any] = {"run": run.id, "state": "finished" if run.finished else "not finished"}
        found = _results(run, model=study.primary_model)
        roc, calibration = found.get("roc", {}), found.get("assess_calibration", {})
        row |= {"n": roc.get("n"), "n_positive": roc.get("n_events"), "models": ", ".join(study.training.models),
                "main_model": study.primary_model}  # fmt: skip
        auc = (roc.get("auc_logit") if roc.get("prefer_logit") else roc.get("auc")) or {}
        row |= {"auc": (roc.get("auc") or {}).get("value"), "auc_low": auc.get("low"), "auc_high": auc.get("high")}
        for name in ("slope", "brier"):
            one = calibration.get(name)
            row[name] = one.get("value") if isinstance(one, dict) else one
        history = run.history if run.finished else pd.DataFrame()  # while it grows the number is old at once
        row["trained_s"] = float(history["seconds"].sum()) if len(history) else None
        rows.append(row | {name: _said(value) for name, value in others[run.id].items()})
    return pd.DataFrame(rows)


def _results(run: Run, *, model: str) -> dict[str, Any]:
    if not (run.folder / "results.json").is_file():
        return {}
    found = run.results.get(model, {})
    return found if isinstance(found, dict) else {}


def _said(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def compared_roc_panel(runs: Sequence[Run], *, mark: str = "") -> Panel:
    """The main model's ROC curve of each run, out of fold, in the same patients.

    Raises:
        OnlmError: fewer than two finished runs, or they tested different patients.
    """
    finished = [run for run in runs if run.finished]
    if len(finished) < 2:
        raise OnlmError("ROC curves of runs stand beside each other when two finished runs are chosen.")
    tables = {run.id: _tested(run) for run in finished}
    first = next(iter(tables.values()))
    for name, one in tables.items():
        if not _same(one, first):
            raise OnlmError(
                f"Runs {next(iter(tables))} and {name} were not tested in the same patients ({len(first)} and "
                f"{len(one)}), so their curves cannot be compared."
            )
    rocs = [analysis.roc(one.assign(model_id=name)) for name, one in tables.items()]
    table = pd.DataFrame([
        {"run": r.model_id, "n": r.n, "n_positive": r.n_events, "auc": r.auc.value,
         "auc_low": figures.preferred_auc(r).low, "auc_high": figures.preferred_auc(r).high} for r in rocs
    ])  # fmt: skip
    told = "; ".join(f"{row.run} {row.auc:.2f} ({row.auc_low:.2f} to {row.auc_high:.2f})" for row in table.itertuples())
    sentence = f"AUC (95 % interval) of each run's main model in the same {rocs[0].n} patients: {told}."
    notes = ("To choose the run with the highest AUC makes its AUC too high: test the chosen one in other patients.",)
    return Panel("runs_roc", "Which settings tell N+ from N0 best?", figures.plot_roc(rocs, points=[], mark=mark),
                 table, sentence, notes + notes_of(*rocs))  # fmt: skip


def _tested(run: Run) -> pd.DataFrame:
    rows = patients.of_model(patients.tested(run.rows(), split="oof"), model=run.study.primary_model)
    return rows[rows["onlm"].notna()].sort_values("patient_id", ignore_index=True)


def _same(one: pd.DataFrame, other: pd.DataFrame) -> bool:
    return one["patient_id"].tolist() == other["patient_id"].tolist() and one["onlm"].tolist() == other["onlm"].tolist()


def compared_curves_panel(histories: Mapping[str, pd.DataFrame], *, mark: str = "", empty: bool = False) -> Panel:
    """Training curves of the runs' main models over each other, each the mean over folds and seeds.

    Args:
        histories: run -> the rows of its main model.
        mark: laid across the figure.
        empty: the figure without its lines, which `compared_curves_moved` lays upon it as they grow.

    Raises:
        OnlmError: none of them has an epoch.
    """
    table = _compared_table(histories)
    figure = plot_training(table, subtitle="main model of each run, mean over folds and seeds", mark=mark, empty=empty)
    sentence = "Each line is a run: the mean over its folds and seeds, as long as any of them was still in training."
    return Panel("runs_training", TITLE, figure, table, sentence)


def compared_curves_moved(histories: Mapping[str, pd.DataFrame]) -> Moved:
    """The lines of `compared_curves_panel`, and its table."""
    table = _compared_table(histories)
    return Moved("", table, training_traces(table))


def _compared_table(histories: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    parts = [
        one.groupby("epoch")[MEASURED].mean().reset_index().assign(line=run)
        for run, one in histories.items()
        if len(one)
    ]
    if not parts:
        raise OnlmError("No chosen run has an epoch of its main model yet.")
    return pd.concat(parts, ignore_index=True)
