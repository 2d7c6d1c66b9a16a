"""What follows a threshold: a hundred patients as signs, and the line upon the decision curve."""

from __future__ import annotations

import pandas as pd

from onlm_lab import figures
from onlm_lab.analysis.hundred_patients import whole_of_100
from onlm_lab.errors import OnlmError
from onlm_lab.figures import hundred, theme
from onlm_lab.panels.judged import Judged
from onlm_lab.panels.panel import Moved, Panel, notes_of
from onlm_lab.panels.patients import threshold_words

TITLE = "Of 100 such patients, who is found and who is missed?"
SIGNS = {
    "N+ found": hundred.N_PLUS, "N+ missed": hundred.MISSED, "N0 called positive": hundred.NEEDLESS,
    "N0 spared": hundred.SPARED,
}  # fmt: skip


def hundred_panel(
    rows: pd.DataFrame | Judged, *, model: str, threshold: float | None = None, mark: str = ""
) -> Panel:  # fmt: skip
    """A hundred patients as signs: N+ found and missed, N0 called positive and spared.

    Raises:
        OnlmError: there is no labelled patient.
    """
    judged = Judged.of(rows)
    per_1000, frame = judged.per_1000(model, threshold=threshold), judged.patients(model).frame
    share = per_1000.table.set_index("outcome")["patients"].reindex(list(SIGNS)) / 1000
    if share.isna().any():
        raise OnlmError("No labelled patient is here, so that nobody can be counted.")
    counts = {kind: int(n) for kind, n in zip(SIGNS, whole_of_100(share.to_numpy()), strict=True)}
    called, plus = counts["N+ found"] + counts["N0 called positive"], counts["N+ found"] + counts["N+ missed"]
    sentence = (
        f"Of 100 such patients {plus} are N+ and {100 - plus} are N0. "
        f"At {threshold_words(frame, threshold=threshold)}, "
        f"{called} are called positive: {counts['N+ found']} of them N+, {counts['N0 called positive']} N0. "
        f"N+ missed: {counts['N+ missed']}; N0 spared: {counts['N0 spared']}. Whole patients, so rounded; the "
        "table has the shares with their intervals."
    )
    table = per_1000.table.set_index("outcome").loc[list(SIGNS)].reset_index()
    table = table.rename(columns={"patients": "of_1000"}).assign(of_100=list(counts.values()))
    figure = figures.plot_hundred(
        counts, signs=SIGNS, title=TITLE, mark=mark,
        subtitle=f"{theme.safe(model)}; from {theme.counts(per_1000.n, per_1000.n_events)}",
    )  # fmt: skip
    source = judged.point(model, threshold=threshold)
    return Panel("hundred_patients", TITLE, figure, table, sentence, notes_of(per_1000), source)


def decision_moved(threshold: float | None) -> Moved:
    """The line of a threshold upon a decision curve."""
    line = figures.threshold_line(threshold)
    return Moved(shapes=tuple(line["shapes"]), annotations=tuple(line["annotations"]))
