"""All models beside each other at one threshold, as a table that prints."""

from __future__ import annotations

import html
from collections.abc import Sequence

import pandas as pd

from onlm_lab import analysis, figures
from onlm_lab.figures import theme
from onlm_lab.panels.card import Card
from onlm_lab.panels.judged import Judged
from onlm_lab.panels.patients import models_of, threshold_words
from onlm_lab.results import Estimate

TITLE = "Which model, at the same threshold?"
_FOOT = (
    "Brackets: 95 % interval of each number alone; whether two models differ is in the paired comparisons. Slope: 1 is "
    "right, below 1 the high risks are too high. Net benefit: N+ found per 100 patients, less needless work-ups at the "
    "worth that the threshold gives them; 0 is working up nobody."
)
_STYLE = f"""<style>
.side {{ font: 14px/1.45 {theme.FONT}; color: {theme.INK}; }}
.side h3 {{ font-size: 15px; line-height: 1.35; margin: 0 0 2px; }}
.side p {{ font-size: 12.5px; margin: 2px 0 8px; color: #4b5b6b; overflow-wrap: anywhere; }}
.side .across {{ overflow-x: auto; }}
.side table {{ border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }}
.side th, .side td {{ text-align: left; padding: 6px 14px 6px 0; border-bottom: 1px solid {theme.GRID}; white-space: nowrap; }}
.side td span, .side th span {{ font-weight: 400; display: block; font-size: 12px; color: #4b5b6b; }}
.side tr.chosen {{ background: #eef5fa; }}
.side thead th {{ border-bottom: 2px solid {theme.QUIET}; font-size: 13px; }}
.side .across:focus-visible {{ outline: 3px solid #0072b2; outline-offset: 2px; }}
.side .pill {{ border: 1px solid #D55E00; color: #8a3d00; border-radius: 1rem; padding: 1px 9px; font-size: 11px; }}
</style>"""  # noqa: E501


def models_card(
    rows: pd.DataFrame | Judged, *, model: str, threshold: float | None = None, mark: str = ""
) -> Card:  # fmt: skip
    """AUC, sensitivity, specificity, calibration slope and net benefit of every model, with intervals.

    Args:
        rows: tested rows of all models.
        model: the chosen one, which stands first.
        threshold: positive if risk >= threshold, for all of them; None: each row's own.
        mark: words beside the title.
    """
    judged = Judged.of(rows)
    names = [model, *(m for m in models_of(judged.rows) if m != model)]
    found = [(name, _numbers(judged, model=name, threshold=threshold)) for name in names]
    table = pd.DataFrame([_row(judged, name, numbers) for name, numbers in found])
    at = threshold_words(judged.patients(model).frame, threshold=threshold)
    if threshold is None:
        at = "each model's own thresholds, as the study fixed them"
    best = max(found, key=lambda one: one[1]["Net benefit per 100"].value)
    sentence = (
        f"At {at}, {best[0]} has the largest net benefit of {len(names)} models: "
        f"{theme.with_interval(best[1]['Net benefit per 100'], digits=1)} per 100 patients."
    )
    lines = []
    for name, numbers in found:
        given = judged.patients(name)
        lines.append((name, f"{given.n_events:,} of {given.n:,}", numbers))
    page = models_page(lines, at=at, chosen=model, mark=mark, foot=f"{sentence} {_FOOT}")
    source = [(judged.roc(name), judged.point(name, threshold=threshold), judged.slope(name)) for name in names]
    return Card("models", page, table, f"{TITLE} {sentence} {_FOOT}", source=source)


def _numbers(judged: Judged, *, model: str, threshold: float | None) -> dict[str, Estimate]:
    point = judged.point(model, threshold=threshold)
    worth = analysis.net_benefit_at(judged.patients(model), threshold=threshold)
    per_100 = Estimate(100 * worth.value, 100 * worth.low, 100 * worth.high, worth.level, worth.method)
    return {
        "AUC": figures.preferred_auc(judged.roc(model)), "Sensitivity": point.sensitivity,
        "Specificity": point.specificity, "Calibration slope": judged.slope(model), "Net benefit per 100": per_100,
    }  # fmt: skip


def _row(judged: Judged, name: str, numbers: dict[str, Estimate]) -> dict[str, object]:
    given = judged.patients(name)
    row: dict[str, object] = {"model_id": name, "n": given.n, "n_positive": given.n_events}
    for label, one in numbers.items():
        key = label.lower().replace(" ", "_")
        row |= {key: one.value, f"{key}_low": one.low, f"{key}_high": one.high}
    return row


def models_page(
    rows: Sequence[tuple[str, str, dict[str, Estimate]]], *, at: str, chosen: str, mark: str, foot: str
) -> str:
    """The card as HTML, escaped.

    Args:
        rows: a model, its N+ of n in words, and its numbers.
        at: the threshold in words.
        chosen: the model that stands out.
        mark: words beside the title.
        foot: what stands below.
    """
    pill = f" <span class='pill'>{html.escape(mark)}</span>" if mark else ""
    heads = "".join(f"<th scope='col'>{name}</th>" for name in ("Model", "N+ of n", *rows[0][2]))
    lines = []
    for name, counted, numbers in rows:
        cells = "".join(_cell(label, one) for label, one in numbers.items())
        is_chosen = " class='chosen'" if name == chosen else ""
        word = "<span>chosen</span>" if name == chosen else ""
        lines.append(f"<tr{is_chosen}><th scope='row'>{html.escape(name)}{word}</th>"
                     f"<td>{html.escape(counted)}</td>{cells}</tr>")  # fmt: skip
    return (
        f"{_STYLE}<div class='side'><h3>{TITLE}{pill}</h3><p>{html.escape(at[:1].upper() + at[1:])}</p>"
        f"<div class='across' tabindex='0' role='region' aria-label='{TITLE}'><table><thead><tr>{heads}</tr></thead>"
        f"<tbody>{''.join(lines)}</tbody></table></div><p>{html.escape(foot)}</p></div>"
    )


def _cell(label: str, one: Estimate) -> str:
    as_percent = label in ("Sensitivity", "Specificity")
    digits = 1 if label.startswith("Net") else 2
    words = theme.with_interval(one, digits=digits, as_percent=as_percent)
    value, _, spread = words.partition(" (")
    return f"<td>{value}<span>{f'({spread}' if spread else ''}</span></td>"
