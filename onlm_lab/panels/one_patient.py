"""One patient, by the clinical-only model: the risk, what it means in a hundred, and what it is made of."""

from __future__ import annotations

import html
import math

import numpy as np
import pandas as pd

from onlm_lab import figures
from onlm_lab.analysis.intervals import proportion
from onlm_lab.figures import hundred, label_of, theme
from onlm_lab.figures.one_patient import EFFECTS, TERMS, plot_effects, plot_terms
from onlm_lab.figures.subgroup import level_words
from onlm_lab.learning.coefficients import USE, ClinicalModel
from onlm_lab.learning.tumour_size import SIZE, one_tumour
from onlm_lab.panels.card import Card
from onlm_lab.panels.judged import Judged
from onlm_lab.panels.panel import Moved, Panel, notes_of
from onlm_lab.panels.typed_patient import Field, Judgement, derived, fields, risks, typed_words

SPREAD = "model spread, not a confidence interval"
NOT_CAUSES = "Associations, not causes: changing a value in a patient does not change the risk in this way."
LEAST, NEAR_ODDS = 20, 1.5  # fewer patients of similar risk are not counted; similar: odds within this factor
POINTS = 25
PART_SOLID = 0.5  # the ratio of a solid tumour that is thought to be part-solid
_STYLE = f"""<style>
.one {{ font: 14px/1.5 {theme.FONT}; color: {theme.INK}; }}
.one h3 {{ font-size: 15px; line-height: 1.35; margin: 0 0 6px; }}
.one .number {{ display: flex; flex-wrap: wrap; gap: 4px 20px; align-items: center; }}
.one .number b {{ font-size: 40px; line-height: 1.15; font-variant-numeric: tabular-nums; }}
.one .use {{ border: 2px solid #D55E00; color: #8a3d00; border-radius: 6px; padding: 6px 10px; font-weight: 650; flex: 1 1 220px; }}
.one p {{ margin: 6px 0; overflow-wrap: anywhere; }}
.one .refused {{ border-left: 4px solid #d55e00; background: #fff4ec; border-radius: 4px; padding: 8px 12px; }}
.one dl {{ display: grid; grid-template-columns: repeat(auto-fit, minmax(190px, 1fr)); gap: 4px 18px; margin: 8px 0 0; font-size: 13px; }}
.one dl div {{ display: flex; justify-content: space-between; gap: 10px; border-bottom: 1px solid {theme.GRID}; }}
.one dt {{ color: #4b5b6b; }} .one dd {{ margin: 0; font-weight: 600; text-align: right; overflow-wrap: anywhere; }}
.one .pill {{ border: 1px solid #D55E00; color: #8a3d00; border-radius: 1rem; padding: 1px 9px; font-size: 11px; }}
</style>"""  # noqa: E501
TITLE = "What risk of N+ does the model tell?"


def risk_card(model: ClinicalModel, judged: Judgement, *, mark: str = "") -> Card:
    """The risk with its spread, the words that must stand beside it, and what the study's threshold says; or why not.

    Args:
        model: the clinical-only model.
        judged: of `judge`.
        mark: words beside the title.
    """
    use = f"<div class='use' role='note'>{html.escape(USE)}</div>"
    about = (
        f"Clinical-only model of {model.study}, from {model.n:,} patients, {model.n_positive:,} of them N+. It sees no "
        "CT."
    )
    if judged.told:
        said = _told(model, judged)
        top = f"<div class='number'><b>{_percent(judged.risk)}</b>{use}</div><p>{html.escape(said)}</p>"
    else:
        parts = list(judged.refused)
        if judged.missing:
            parts.append(f"Fill in: {', '.join(judged.missing)}. What else is not known may stay empty.")
        said = " ".join(parts)
        lines = "<br>".join(map(html.escape, parts))
        kind = "class='refused' role='alert'" if judged.refused else "role='status'"
        top = f"<p {kind}>{lines}</p>{use}"
    typed = typed_words(model, judged)
    given = "".join(f"<div><dt>{html.escape(n)}</dt><dd>{html.escape(v)}</dd></div>" for n, v in typed)
    pill = f" <span class='pill'>{html.escape(mark)}</span>" if mark else ""
    page = (
        f"{_STYLE}<div class='one'><h3>{TITLE}{pill}</h3>{top}<dl>{given}</dl><p>{html.escape(about)}</p></div>"
    )  # fmt: skip
    table = pd.DataFrame(typed, columns=["what", "value"])
    if judged.told:
        numbers = {"risk": judged.risk, "risk_low": judged.low, "risk_high": judged.high, "threshold": model.threshold}
        more = pd.DataFrame(list(numbers.items()), columns=["what", "value"])
        table = pd.concat([table.astype(object), more.astype(object)], ignore_index=True)
    use_row = pd.DataFrame({"what": ["use"], "value": [USE]})
    return Card("risk", page, pd.concat([table, use_row], ignore_index=True), f"{TITLE} {said} {USE}")


def hundred_alike_panel(model: ClinicalModel, judged: Judgement, *, mark: str = "") -> Panel:
    """A hundred patients with such a risk: how many are N+."""
    plus = round(100 * judged.risk)
    counts, title = {"N+": plus, "N0": 100 - plus}, "Of 100 patients with such a risk, how many are N+?"
    figure = figures.plot_hundred(
        counts, signs={"N+": hundred.MISSED, "N0": hundred.SPARED}, title=title, mark=mark,
        subtitle=f"as the model tells it: risk {_percent(judged.risk)}",
    )  # fmt: skip
    sentence = (
        f"If the model is right, {plus} of 100 patients with such a risk are N+ and {100 - plus} are N0 (rounded to "
        f"whole patients). Which of them this one is, nobody can tell. {USE}"
    )
    table = pd.DataFrame({"kind": list(counts), "of_100": list(counts.values())})
    return Panel("hundred_alike", title, figure, table, sentence)


def similar_panel(judged: Judged, *, model_id: str, risk: float = math.nan, mark: str = "") -> Panel:
    """The calibration curve of the model in the study's out-of-fold patients, upon which `similar` lays the risk."""
    found = judged.calibration(model_id)
    title = "How right is the model around this risk?"
    figure = figures.plot_calibration(found, mark=mark)
    figure.update_layout(title={"text": title})
    return Panel("similar_patients", title, figure, found.groups, "", notes_of(found),
                 source=(found, risk))  # fmt: skip


def similar(judged: Judged, risk: float, *, model_id: str) -> Moved:
    """The study's out-of-fold patients of similar risk: how many were N+. Fewer than 20 are not counted.

    Args:
        judged: out-of-fold rows.
        risk: of one patient.
        model_id: whose risks.
    """
    given = judged.patients(model_id)
    low, high = (_shifted(risk, factor) for factor in (1 / NEAR_ODDS, NEAR_ODDS))
    near = (given.risk >= low) & (given.risk <= high)
    n, line = int(near.sum()), at_risk(risk)
    between = f"with a risk between {_percent(low)} and {_percent(high)} (odds within a factor of {NEAR_ODDS:g})"
    if n < LEAST:
        return Moved(
            f"Fewer than {LEAST} of the study's {given.n:,} out-of-fold patients are {between}: around this risk "
            "the study cannot say whether the model is right.", _similar_table(low, high), shapes=(line,),
        )  # fmt: skip
    n_plus, mean = int(given.onlm[near].sum()), float(given.risk[near].mean())
    share = proportion(n_plus, n, of="patients")
    point = {
        "type": "scatter", "x": [mean], "y": [share.value], "mode": "markers", "showlegend": False,
        "name": "patients of similar risk",
        "marker": {"color": theme.STYLES[3].colour, "size": 12, "symbol": "diamond"},
        "error_y": {"type": "data", "symmetric": False, "array": [share.high - share.value],
                    "arrayminus": [share.value - share.low], "color": theme.STYLES[3].colour},
        "hovertemplate": f"{n_plus} of {n} N+<br>predicted %{{x:.1%}}, observed %{{y:.1%}}<extra></extra>",
    }  # fmt: skip
    sentence = (
        f"Of the study's {given.n:,} out-of-fold patients, {n} are {between}. The model told {_percent(mean)} on "
        f"average; {n_plus} {'was' if n_plus == 1 else 'were'} N+: {theme.with_interval(share, as_percent=True)} "
        "(95 % interval)."
    )
    table = _similar_table(low, high, n=n, n_positive=n_plus, predicted=mean, observed=share.value,
                           observed_low=share.low, observed_high=share.high)  # fmt: skip
    return Moved(sentence, table, data=(point,), shapes=(line,))


def at_risk(risk: float) -> dict[str, object]:
    """The line of a risk upon a calibration curve."""
    return theme.straight(x=risk, color=theme.STYLES[3].colour, width=1.5, dash="solid")


def terms_of(model: ClinicalModel, judged: Judgement) -> pd.DataFrame:
    """What each input adds to the log odds, against the average training patient.

    Returns:
        label, said, coefficient, odds_ratio (for one more), contribution (log odds), contribution_odds_ratio; the first
        row is the average patient. The contributions add up to the log odds of the risk.
    """
    terms, row = model.terms(), judged.table.iloc[0]
    values, missing = model.encoder.transform(judged.table)
    words = {f.name: {v: w for w, v in f.levels.items()} for f in fields(model)}
    rows = []
    for k, (item, term) in enumerate(zip(model.encoder.inputs, terms.iloc[1:].itertuples(), strict=True)):
        z, unknown = float(values[0, k]), bool(missing[0, k])
        moved = term.missing_coefficient if unknown else term.coefficient * item.std * z
        own = row[item.column]
        label = label_of(item.column) + (f": {level_words(item.level)}" if item.level is not None else "")
        plain = "not known" if pd.isna(own) else f"{own:g}" if isinstance(own, float) else level_words(own)
        said = words.get(item.column, {}).get(own, plain)
        scale = " per doubling" if item.log_offset is not None else ""
        rows.append((label + scale, said, term.coefficient, term.odds_ratio, moved, math.exp(moved)))
    named = ["label", "said", "coefficient", "odds_ratio", "contribution", "contribution_odds_ratio"]
    found = pd.DataFrame(rows, columns=named)
    start = math.log(judged.risk / (1 - judged.risk)) - float(found["contribution"].sum())
    first = pd.DataFrame(
        [("the average training patient", "", math.nan, math.nan, start, math.exp(start))], columns=named
    )
    order = found["contribution"].abs().sort_values(ascending=False, kind="stable").index
    return pd.concat([first, found.loc[order]], ignore_index=True)


def terms_panel(model: ClinicalModel, judged: Judgement, *, mark: str = "") -> Panel:
    """What makes the risk higher or lower than the average training patient's."""
    table = terms_of(model, judged)
    start, parts = table.iloc[0], table.iloc[1:]
    said = [
        f"{row.label} ({row.said}) {'raises' if row.contribution > 0 else 'lowers'} the odds by a factor of "
        f"{row.contribution_odds_ratio:.2f}"
        for row in parts.head(3).itertuples()
    ]
    average = 1 / (1 + math.exp(-start["contribution"]))
    sentence = (
        f"The average training patient has a risk of {_percent(average)}. Most of the difference: {'; '.join(said)}. "
        f"{NOT_CAUSES}"
    )
    figure = plot_terms(parts, subtitle="associations, not causes; odds × the factor at the right", mark=mark)
    return Panel("terms", TERMS, figure, table, sentence)


def effects_panel(model: ClinicalModel, judged: Judgement, *, mark: str = "") -> Panel:
    """The risk with one other value, predictor by predictor; what cannot be has no point.

    Args:
        model: the clinical-only model.
        judged: of `judge`, with a risk.
        mark: words laid across the figure.
    """
    parts, own, labels = [], {}, {}
    for field in fields(model):
        labels[field.name] = field.label
        tried = _tried(model, field)
        said = list(tried) if field.levels else list(tried.values())
        told = risks(model, _with(model, judged.table, name=field.name, values=list(tried.values())))
        block = pd.DataFrame({"predictor": field.name, "value": pd.Series(said, dtype=object), "risk": told})
        parts.append(block.dropna(subset=["risk"]))
        mine = judged.table[field.name].iloc[0]
        if not pd.isna(mine):
            words = next((w for w, v in field.levels.items() if v == mine), mine) if field.levels else float(mine)
            own[field.name] = (words, judged.risk)
    curves = pd.concat(parts, ignore_index=True)
    tumour = (
        " One tumour: another diameter takes the others of a solid tumour with it." if "ctr" in derived(model) else ""
    )
    sentence = (
        f"Each small figure changes one value and leaves the rest; the diamond is what was typed.{tumour} Only values "
        f"that the training patients had (1st to 99th percentile). {NOT_CAUSES}"
    )
    figure = plot_effects(curves, own=own, labels=labels, subtitle="diamond: as typed; the others stay", mark=mark)
    return Panel("effects", EFFECTS, figure, curves, sentence, source=(own, labels))


def _tried(model: ClinicalModel, field: Field) -> dict[str, object]:
    """Words -> the values that a predictor is tried at."""
    if field.levels:
        return dict(field.levels)
    known = next(one for one in model.ranges if one.column == field.name)
    return {f"{v:g}": float(v) for v in np.linspace(known.p1, known.p99, POINTS)}


def _with(model: ClinicalModel, own: pd.DataFrame, *, name: str, values: list[object]) -> pd.DataFrame:
    """The patient once a value of one column, with what follows from it; NaN in all sizes where it cannot be."""
    before = own.iloc[np.zeros(len(values), dtype=int)].reset_index(drop=True)
    table = before.assign(**{name: pd.Series(values, dtype=before[name].dtype)})
    if name not in SIZE or "ctr" not in derived(model):
        return table
    ratio = float(own["ctr"].iloc[0])
    return one_tumour(table, before=before, changed=name, typical=ratio if 0 < ratio < 1 else PART_SOLID)[0]


def _similar_table(low: float, high: float, **numbers: float) -> pd.DataFrame:
    return pd.DataFrame([{"risk_from": low, "risk_to": high, **numbers}])


def _told(model: ClinicalModel, judged: Judgement) -> str:
    spread = (
        f"The models of its {len(model.bias)} seeds say {_percent(judged.low)} to {_percent(judged.high)} ({SPREAD}). "
        if math.isfinite(judged.low)
        else "Too few seeds to show their spread. "
    )
    is_positive = judged.risk >= model.threshold
    return (
        f"{spread}The study's threshold is {_percent(model.threshold)}, chosen to find "
        f"{theme.percent(model.target_sensitivity)} of N+ patients: by it this risk is "
        f"{'positive' if is_positive else 'negative'}."
    )


def _shifted(risk: float, factor: float) -> float:
    odds = factor * risk / (1 - risk)
    return odds / (1 + odds)


def _percent(risk: float) -> str:
    return theme.percent(risk, digits=1)
