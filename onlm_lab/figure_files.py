"""Every figure of a run as files for a paper: SVG and PNG, its table as CSV beside it, and a caption that says it all.

    written = write_figures(open_run("demo"), Path("figures"))

A figure is drawn by a Chromium or Chrome of this machine through kaleido (extra `export`); nothing is fetched.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from onlm_lab import steps
from onlm_lab.errors import OnlmError
from onlm_lab.figures import theme
from onlm_lab.outcome_figure_files import outcome_panels_of
from onlm_lab.panels import groups, patients, performance, robustness, subgroups
from onlm_lab.panels.doubt import DOUBTS, abstention_panel
from onlm_lab.panels.judged import Judged
from onlm_lab.panels.panel import Panel
from onlm_lab.runs import Run

FORMATS = ("svg", "png")
WIDTH_PX, SCALE = 900, 3  # a PNG has SCALE pixels for each of these: 2,700 across, enough for two columns in print
CAPTIONS = "captions.md"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")


def write_figures(
    run: Run, folder: Path, *, formats: Sequence[str] = FORMATS, say: Callable[[str], None] = lambda line: None
) -> list[Path]:
    """Draw every figure of a run into a folder, each whole or not at all.

    Args:
        run: a finished run.
        folder: for NAME.svg, NAME.png, NAME.csv (the numbers drawn) and captions.md; made where it is not there.
        formats: of "svg" and "png".
        say: told what could not be drawn, and why.

    Returns:
        The files written.

    Raises:
        OnlmError: an unknown format, no kaleido or no Chromium on this machine, or no tested patient in the run.
    """
    unknown = [f for f in formats if f not in FORMATS]
    if unknown or not formats:
        raise OnlmError(f"figures: format is '{', '.join(unknown) or 'none'}'; wanted {' or '.join(FORMATS)}.")
    kaleido = _kaleido()
    folder.mkdir(parents=True, exist_ok=True)
    drawn: list[tuple[str, Panel]] = []
    captions = [f"# Figures of {run.study.name}, {run.id}", ""]
    if run.study.made_up:
        captions += [f"**{theme.MADE_UP}**", ""]
    for name, build in panels_of(run):
        try:
            panel = build()
        except OnlmError as refusal:
            captions += [f"## {name}", "", f"Not drawn: {refusal}", ""]
            say(f"{name}: not drawn: {refusal}")
            continue
        drawn.append((name, panel))
        captions += [f"## {name}", "", *_caption(panel), ""]
    written = _draw(kaleido, drawn, folder=folder, formats=formats)
    for name, panel in drawn:
        path = folder / f"{name}.csv"
        with steps.whole_or_not(path) as half:
            panel.table.to_csv(half, index=False)
        written.append(path)
    with steps.whole_or_not(folder / CAPTIONS) as half:
        half.write_text("\n".join(captions), encoding="utf-8")
    return [*written, folder / CAPTIONS]


def panels_of(run: Run) -> Iterator[tuple[str, Callable[[], Panel]]]:
    """The figures of a run by file name, each built when it is asked for.

    Raises:
        OnlmError: the run has no patient on whom its models may be judged.
    """
    study, rows = run.study, run.rows()
    plan, model = study.analysis, study.primary_model
    judged = Judged(patients.tested(rows))
    models = patients.models_of(judged.rows, first=model)
    mark = theme.MADE_UP if study.made_up else ""
    others = [m for m in ("clinical", *models[1:]) if m in models and m != model]
    chance = {"thresholds": plan.thresholds, "n_bootstrap": plan.bootstrap, "seed": study.seed, "mark": mark}
    yield "roc", lambda: performance.roc_panel(judged, models=models, mark=mark)
    yield "precision_recall", lambda: performance.precision_panel(judged, models=models, mark=mark)
    yield "calibration", lambda: performance.calibration_panel(judged, models=models, mark=mark)
    yield "decision_curve", lambda: performance.decision_panel(judged, models=models, **chance)
    yield "operating_point", lambda: performance.operating_panel(judged, model=model, mark=mark)
    if others:
        other = others[0]
        yield "auc_differences", lambda: performance.comparison_panel(judged, model=model, mark=mark)
        yield (
            f"net_benefit_against_{other}",
            lambda: performance.benefit_difference_panel(judged, model=model, other=other, **chance),
        )
        yield (
            f"decisions_against_{other}",
            lambda: performance.operating_differences_panel(judged, model=model, other=other, mark=mark),
        )
    for by in DOUBTS:
        yield f"abstention_{by}", lambda by=by: abstention_panel(judged.rows, model=model, by=by, mark=mark)
    divided = {"model": model, "bins": plan.bins, "mark": mark}
    columns = subgroups.columns_of(judged.rows, wanted=plan.subgroups)
    for measure in ("auc", "sensitivity", "specificity", "oe_ratio"):
        yield (
            f"subgroups_{measure}",
            lambda measure=measure: subgroups.subgroup_panel(judged, columns=columns, measure=measure, **divided),
        )
    left_out = study.training.scheme == "leave_one_centre_out"
    for measure in groups.MEASURE_WORDS:
        yield (
            f"centres_{measure}",
            lambda measure=measure: groups.centres_panel(
                judged, model=model, measure=measure, left_out=left_out, mark=mark
            ),
        )
    compared = subgroups.columns_of(judged.rows, wanted=plan.fairness)
    if compared:
        for measure in groups.RATE_WORDS:
            yield (
                f"fairness_{measure}",
                lambda measure=measure: groups.fairness_panel(
                    judged, columns=compared, measure=measure, n_resamples=plan.bootstrap, seed=study.seed, **divided
                ),
            )
    if plan.min_nodes:
        yield (
            "label_sensitivity",
            lambda: robustness.label_panel(judged, model=model, min_nodes=plan.min_nodes, mark=mark),
        )
    predictors = [c for c in study.training.predictors if c in judged.rows.columns]
    if judged.rows[predictors].isna().any(axis=None):
        yield (
            "missing_sensitivity",
            lambda: robustness.missing_panel(judged, model=model, columns=predictors, mark=mark),
        )
    yield "mistakes", lambda: robustness.mistakes_panel(judged, model=model, mark=mark)
    if plan.markers:
        yield (
            "associations",
            lambda: robustness.associations_panel(
                judged.rows, model=model, markers=plan.markers, adjust=plan.confounders, mark=mark
            ),
        )
    yield from outcome_panels_of(run)


def _caption(panel: Panel) -> list[str]:
    """Title and subtitle of the figure, what it says, and what a reader must know."""
    title = panel.figure.layout.title
    said = [f"**{title.text}** {title.subtitle.text or ''}".strip(), "", panel.sentence]
    return [*said, *(["", *(f"- {note}" for note in panel.notes)] if panel.notes else [])]


def _draw(kaleido: object, drawn: list[tuple[str, Panel]], *, folder: Path, formats: Sequence[str]) -> list[Path]:
    files, asked = [], []
    for name, panel in drawn:
        height = int(panel.figure.layout.height or 420)
        for kind in formats:
            path = folder / f"{name}.{kind}"
            opts = {"format": kind, "width": WIDTH_PX, "height": height, "scale": SCALE if kind == "png" else 1}
            asked.append({"fig": panel.figure, "path": path.with_name(f".{path.name}.half"), "opts": opts})
            files.append(path)
    browser = next((found for found in map(shutil.which, BROWSERS) if found), None)
    options = {"mathjax": False} | ({"path": browser} if browser else {})  # nothing is fetched
    try:
        kaleido.write_fig_from_object_sync(asked, kopts=options)
    except kaleido.errors.ChromeNotFoundError as error:
        raise OnlmError(
            "figures: no Chromium or Chrome on this machine, which draws the files. Install one (Debian: apt-get "
            "install chromium), or download figures from the dashboard, one by one."
        ) from error
    for path, one in zip(files, asked, strict=True):
        one["path"].replace(path)
    return files


def _kaleido() -> object:
    try:
        import kaleido
        import kaleido.errors
    except ImportError as error:
        raise OnlmError("figures: needs the extra `export`: pip install 'onlm_lab[export]'.") from error
    return kaleido
