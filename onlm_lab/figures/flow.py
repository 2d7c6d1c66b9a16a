"""Who is in, who was left out and why: the flow diagram."""

from __future__ import annotations

import textwrap

import pandas as pd
import plotly.graph_objects as go

from onlm_lab.figures import theme

RULES = {
    "nsclc_confirmed": "NSCLC confirmed by pathology", "clinical_stage_i": "Clinical stage I (AJCC 8)",
    "adult": "Age at least 18 years", "performance_status": "KPS at least 70",
    "radical_treatment": "Radical surgery or SBRT", "imaging_complete": "Imaging work-up complete",
    "followup_agreed": "Willing to be followed up", "consent": "Informed consent or waiver",
    "ct_quality": "CT of adequate quality", "not_pure_ggo": "Not a pure ground-glass nodule",
    "neuropsychiatric": "No neuropsychiatric exclusion", "lost_to_followup": "Not lost to follow-up",
}  # fmt: skip


def flow_counts(flow: pd.DataFrame) -> pd.DataFrame:
    """The flow over all centres: rule, n_in, n_excluded, n_undetermined, n_left, in the order of the rules."""
    flow = of_centres(flow)
    counted = ["n_in", "n_excluded", "n_undetermined", "n_left"]
    return flow.groupby("rule", sort=False)[counted].sum().reset_index()


def of_centres(flow: pd.DataFrame) -> pd.DataFrame:
    """The rows of the centres, without the sums that a screening keeps beside them as centre "all"."""
    if "centre" not in flow:
        return flow
    apart = flow[flow["centre"] != "all"]
    return apart if len(apart) else flow


def plot_flow(flow: pd.DataFrame, *, mark: str = "") -> go.Figure:
    """The flow diagram of a screening: after each rule how many are left; at the right who left and why.

    Args:
        flow: a row a centre and rule: rule, n_in, n_excluded, n_undetermined, n_left.
        mark: words laid across the figure.
    """
    steps = flow_counts(flow)
    n_in, n_left = (int(steps["n_in"].iloc[0]), int(steps["n_left"].iloc[-1])) if len(steps) else (0, 0)
    centres = of_centres(flow)["centre"].nunique() if "centre" in flow else 1
    figure = theme.blank(
        title="Who is in the study, and who was left out?",
        subtitle=f"{n_in:,} patients screened in {centres} centre{'' if centres == 1 else 's'}, {n_left:,} eligible",
        height=150 + 62 * (len(steps) + 1), mark=mark,
    )  # fmt: skip
    texts = [f"<b>{n_in:,}</b> screened"] + [f"<b>{int(n):,}</b> left" for n in steps["n_left"]]
    texts[-1] = f"<b>{n_left:,}</b> eligible" if len(steps) else texts[-1]
    figure.add_scatter(x=[0.0] * len(texts), y=list(range(len(texts))), mode="text", text=texts, name="left",
                       hoverinfo="skip", showlegend=False)  # fmt: skip
    for i in range(len(texts)):
        _box(figure, x=(-0.5, 0.5), y=(i - 0.28, i + 0.28), colour=theme.STYLES[0].colour)
        if i:
            figure.add_annotation(x=0, y=i - 0.28, ax=0, ay=i - 0.72, xref="x", yref="y", axref="x", ayref="y",
                                  showarrow=True, arrowhead=2, arrowcolor=theme.QUIET, text="")  # fmt: skip
    gone = [_left_text(row) for row in steps.to_dict("records")]
    figure.add_scatter(
        x=[0.66] * len(gone), y=[i + 0.5 for i in range(len(gone))], mode="text", text=gone, name="out",
        textposition="middle right", hoverinfo="skip", showlegend=False, textfont={"size": 11},
    )  # fmt: skip
    for i in range(len(gone)):
        figure.add_shape(type="line", x0=0, x1=0.62, y0=i + 0.5, y1=i + 0.5, line={"color": theme.GRID, "width": 1.5})
    figure.update_xaxes(visible=False, range=[-0.52, 2.2], fixedrange=True)
    figure.update_yaxes(visible=False, range=[len(texts) - 0.5, -0.5], fixedrange=True)
    figure.update_layout(margin={"l": 12, "r": 12, "b": 16})
    return figure


def _left_text(row: dict[str, object]) -> str:
    rule = "<br>".join(textwrap.wrap(theme.safe(RULES.get(str(row["rule"]), str(row["rule"]))), 34))
    said = [f"{int(row['n_excluded']):,} excluded"]
    if row["n_undetermined"]:
        said.append(f"{int(row['n_undetermined']):,} undetermined")
    return f"{rule}<br><b>{', '.join(said)}</b>"


def _box(figure: go.Figure, *, x: tuple[float, float], y: tuple[float, float], colour: str) -> None:
    figure.add_shape(type="rect", x0=x[0], x1=x[1], y0=y[0], y1=y[1], layer="below",
                     line={"color": colour, "width": 1.2}, fillcolor=theme.faint(colour, alpha=0.06))  # fmt: skip
