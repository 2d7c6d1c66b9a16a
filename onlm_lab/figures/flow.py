"""Who is in, who was left out and why: the flow diagram."""

from __future__ import annotations

import difflib
import textwrap

import pandas as pd
import plotly.graph_objects as go

from onlm_lab.errors import OnlmError
from onlm_lab.figures import theme

WIDTH, MOST_LINES = 31, 6  # of a rule's text: letters a line, lines

RULES = {
    "nsclc_confirmed": "NSCLC confirmed by pathology", "clinical_stage_i": "Clinical stage I (AJCC 8)",
    "adult": "Age at least 18 years", "performance_status": "KPS at least 70",
    "radical_treatment": "Radical surgery or SBRT", "imaging_complete": "Imaging work-up complete",
    "followup_agreed": "Willing to be followed up", "consent": "Informed consent or waiver",
    "ct_quality": "CT of adequate quality", "not_pure_ggo": "Not a pure ground-glass nodule",
    "neuropsychiatric": "No neuropsychiatric exclusion", "lost_to_followup": "Not lost to follow-up",
}  # fmt: skip


def flow_counts(flow: pd.DataFrame, *, centre: str | None = None) -> pd.DataFrame:
    """The flow over all centres, or of one: rule, n_in, n_excluded, n_undetermined, n_left, text, in their order.

    Raises:
        OnlmError: no such centre (nearest offered).
    """
    counted = ["n_in", "n_excluded", "n_undetermined", "n_left"]
    flow = of_centres(flow)
    if centre is not None:
        known = [str(name) for name in flow["centre"].unique()] if "centre" in flow else []
        if centre not in known:
            near = difflib.get_close_matches(centre, known, n=1)
            tip = f"; did you mean '{near[0]}'?" if near else "."
            raise OnlmError(f"No centre is called '{centre}'{tip} The flow has {', '.join(known) or 'none'}.")
        flow = flow[flow["centre"] == centre]
    steps = flow.groupby("rule", sort=False)[counted].sum().reset_index()
    own = dict(zip(flow["rule"], flow["text"], strict=True)) if "text" in flow else {}
    return steps.assign(text=[rule_text(rule, own.get(rule)) for rule in steps["rule"]])


def rule_text(rule: object, text: object = None) -> str:
    """What a reader is told of a rule: its own text, else the registration's, else its name."""
    return text if isinstance(text, str) and text else RULES.get(str(rule), str(rule))


def of_centres(flow: pd.DataFrame) -> pd.DataFrame:
    """The rows of the centres, without the sums that a screening keeps beside them as centre "all"."""
    if "centre" not in flow:
        return flow
    apart = flow[flow["centre"] != "all"]
    return apart if len(apart) else flow


def plot_flow(flow: pd.DataFrame, *, centre: str | None = None, mark: str = "") -> go.Figure:
    """The flow diagram of a screening: after each rule how many are left; at the right who left and why.

    Args:
        flow: a row a centre and rule: rule, n_in, n_excluded, n_undetermined, n_left; text, where the rules have one.
        centre: one centre; None: all of them.
        mark: words laid across the figure.

    Raises:
        OnlmError: no such centre (nearest offered).
    """
    steps = flow_counts(flow, centre=centre)
    n_in, n_left = (int(steps["n_in"].iloc[0]), int(steps["n_left"].iloc[-1])) if len(steps) else (0, 0)
    n_centres = of_centres(flow)["centre"].nunique() if "centre" in flow and centre is None else 1
    where = f"in {n_centres} centre{'' if n_centres == 1 else 's'}" if centre is None else f"in {theme.safe(centre)}"
    gone = [_left_lines(row) for row in steps.to_dict("records")]
    at = [0]
    for lines in gone:  # pixels from one box to the next: as high as the words between them
        at.append(at[-1] + max(62, 17 * len(lines) + 14))
    figure = theme.blank(
        title="Who is in the study, and who was left out?",
        subtitle=f"{n_in:,} patients screened {where}, {n_left:,} eligible", height=150 + at[-1] + 62, mark=mark,
    )  # fmt: skip
    texts = [f"<b>{n_in:,}</b> screened"] + [f"<b>{int(n):,}</b> left" for n in steps["n_left"]]
    texts[-1] = f"<b>{n_left:,}</b> eligible" if len(steps) else texts[-1]
    figure.add_scatter(x=[0.0] * len(texts), y=at, mode="text", text=texts, name="left",
                       hoverinfo="skip", showlegend=False)  # fmt: skip
    for i, y in enumerate(at):
        _box(figure, x=(-0.5, 0.5), y=(y - 17, y + 17), colour=theme.STYLES[0].colour)
        if i:
            figure.add_annotation(x=0, y=y - 17, ax=0, ay=at[i - 1] + 17, xref="x", yref="y", axref="x", ayref="y",
                                  showarrow=True, arrowhead=2, arrowcolor=theme.QUIET, text="")  # fmt: skip
    between = [(at[i] + at[i + 1]) / 2 for i in range(len(gone))]
    figure.add_scatter(
        x=[0.66] * len(gone), y=between, mode="text", text=["<br>".join(lines) for lines in gone], name="out",
        textposition="middle right", hoverinfo="skip", showlegend=False, textfont={"size": 11}, cliponaxis=False,
    )  # fmt: skip
    _touched(figure, rules=[str(rule) for rule in steps["rule"]], y=between)
    for y in between:
        figure.add_shape(type="line", x0=0, x1=0.62, y0=y, y1=y, line={"color": theme.GRID, "width": 1.5})
    figure.update_xaxes(visible=False, range=[-0.52, 2.2], fixedrange=True)
    figure.update_yaxes(visible=False, range=[at[-1] + 31, -31], fixedrange=True)
    figure.update_layout(margin={"l": 12, "r": 12, "b": 16})
    return figure


def _touched(figure: go.Figure, *, rules: list[str], y: list[float]) -> None:
    """Unseen marks over the words of each rule, which tell a page the rule that was clicked on."""
    across = [0.66 + 0.18 * k for k in range(9)]
    figure.add_scatter(
        x=across * len(rules), y=[at for at in y for _ in across], mode="markers", name="rule",
        customdata=[rule for rule in rules for _ in across], marker={"size": 26, "symbol": "square", "opacity": 0},
        hovertemplate="Click: who they are<extra></extra>", showlegend=False,
    )  # fmt: skip


def _left_lines(row: dict[str, object]) -> list[str]:
    """A rule in lines of a width that fits, then who left at it."""
    said = [f"{int(row['n_excluded']):,} excluded"]
    if row["n_undetermined"]:
        said.append(f"{int(row['n_undetermined']):,} undetermined")
    lines = textwrap.wrap(str(row["text"]), WIDTH, max_lines=MOST_LINES, placeholder=" …")
    return [*(theme.safe(line) for line in lines), f"<b>{', '.join(said)}</b>"]


def _box(figure: go.Figure, *, x: tuple[float, float], y: tuple[float, float], colour: str) -> None:
    figure.add_shape(type="rect", x0=x[0], x1=x[1], y0=y[0], y1=y[1], layer="below",
                     line={"color": colour, "width": 1.2}, fillcolor=theme.faint(colour, alpha=0.06))  # fmt: skip
