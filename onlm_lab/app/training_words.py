"""What the training page says: how the run is doing, its log, and the table of runs; every value escaped."""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd

from onlm_lab import launching
from onlm_lab.app import shell
from onlm_lab.app.training_watch import Watch
from onlm_lab.panels.training import Progress

STATES = {
    "going": "Training is going on. It goes on when this page is closed.",
    "done": "The run is finished.",
    "stopped": "The run was stopped. Resume goes on where it stood.",
    "failed": "The run ended with an error:",
    "lost": "The run ended without a word: it was killed, or the machine went down. Resume goes on where it stood.",
    "busy": "Another onlm command is at work on this study, started from a terminal. Wait for it, or stop it there.",
    "none": "No run was started from this page yet. Choose the settings and press Start.",
}
STEPS = {
    "check": "reading the tables", "screen": "screening", "prepare": "cutting the CT", "train": "training",
    "analyse": "computing the statistics", "report": "writing the report",
}  # fmt: skip
LOG = "What the command says"
N_LINES = 12  # of the log
HEADS = {
    "run": "Run", "state": "State", "n": "Patients", "n_positive": "N+", "models": "Models", "main_model": "Main model",
    "auc": "AUC (95 % interval)", "slope": "Calibration slope", "brier": "Brier", "trained_s": "Fits took",
}  # fmt: skip
Say = Callable[[str], str]


def state_of(watch: Watch) -> str:
    """Which of STATES holds."""
    if watch.busy:
        return "busy"
    return "going" if watch.going else "none" if watch.launch is None else watch.launch.ended


def status_html(watch: Watch, *, say: Say) -> str:
    """How the run is doing, in a region that a screen reader follows."""
    name, launch = state_of(watch), watch.launch
    parts = [f"<p class='onlm-sentence' data-state='{name}'><b>{html.escape(say(STATES[name]))}</b></p>"]
    if launch is not None:
        if settings := launch.settings:
            told = "; ".join(f"{s}.{k} = {v}" for s, values in settings.items() for k, v in values.items())
            parts.append(f"<p class='onlm-sentence'>{html.escape(f'Settings of this run: {told}.')}</p>")
        if name == "failed":
            parts.append(shell.sentence_html(launch.said_last or "It said nothing."))
        number, n, step = launching.stage_of(watch.lines)
        if number and name != "done":
            parts.append(f"<p class='onlm-sentence'>Step {number} of {n}: {html.escape(STEPS.get(step, step))}.</p>")
    if watch.run is not None and name != "done":
        if isinstance(watch.progress, str):
            parts.append(shell.sentence_html(watch.progress))
        elif watch.progress is not None:
            parts.append(_progress_html(watch.progress, run=watch.run.id, going=watch.going))
    return f"<div role='status' aria-live='polite'>{''.join(parts)}</div>"


def _progress_html(found: Progress, *, run: str, going: bool) -> str:
    left = ""
    if going and found.left_s is not None and found.n_done < found.n:
        left = f" About {duration(found.left_s)} of training left, an estimate from the fits that are done."
    bars = "".join(
        f"<tr><th scope='row'>{html.escape(row[0])}</th><td><progress max='{row[2]}' value='{row[1]}' "
        f"aria-label='{html.escape(row[0], quote=True)}'></progress></td><td>{row[1]} of {row[2]} folds</td>"
        f"<td>{'final model done' if row[3] else ''}</td></tr>"
        for row in found.table.itertuples(index=False, name=None)
    )
    return (
        f"<p class='onlm-sentence'>{html.escape(run)}: {found.n_done} of {found.n} fits done.{left}</p>"
        f"<div class='onlm-runs' tabindex='0'><table>{bars}</table></div>"
    )


def log_html(watch: Watch, *, say: Say) -> str:
    """The command's last lines, folded away on a click."""
    if watch.launch is None:
        return ""
    lines = "\n".join(html.escape(line) for line in watch.lines[-N_LINES:])
    style = "white-space:pre-wrap;overflow-wrap:anywhere;font-size:12px"
    return (
        f"<details open><summary>{html.escape(say(LOG))}</summary>"
        f"<pre class='onlm-log' tabindex='0' style='{style}'>{lines}</pre></details>"
    )


def runs_html(table: pd.DataFrame, *, say: Say, ways: Mapping[str, str]) -> str:
    """A row a run.

    Args:
        table: of panels.training.runs_table.
        say: a text in the reader's language.
        ways: run -> where its name leads; a run without one leads nowhere.
    """
    names = [name for name in table if name not in ("auc_low", "auc_high")]
    head = "".join(f"<th scope='col'>{html.escape(say(HEADS.get(name, name)))}</th>" for name in names)
    rows = []
    for row in table.to_dict("records"):
        cells = [html.escape(_cell(name, row)) for name in names]
        if row["run"] in ways:
            cells[0] = f"<a href='{html.escape(ways[row['run']], quote=True)}'>{cells[0]}</a>"
        rows.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    return f"<div class='onlm-runs' tabindex='0'><table><tr>{head}</tr>{''.join(rows)}</table></div>"


def _cell(name: str, row: Mapping[str, Any]) -> str:
    value = row[name]
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return ""
    if name == "auc":
        return f"{value:.2f} ({row['auc_low']:.2f} to {row['auc_high']:.2f})"
    if name == "trained_s":
        return duration(value)
    if name in ("n", "n_positive"):
        return f"{int(value):,}"
    return f"{value:.2f}" if name == "slope" else f"{value:.3f}" if name == "brier" else str(value)


def duration(seconds: float) -> str:
    """'40 s', '3 min', '2.5 h'."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
