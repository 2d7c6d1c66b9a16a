"""Does the model work alike in every hospital, and does it err more in some patients than in others?"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import pandas as pd

from onlm_lab import figures
from onlm_lab.figures import theme
from onlm_lab.figures.subgroup import level_words
from onlm_lab.panels.judged import Judged
from onlm_lab.panels.panel import Panel, notes_of

RATE_WORDS = {"sensitivity": "sensitivity", "fpr": "false positives among N0", "ppv": "PPV",
              "oe_ratio": "observed : expected", "intercept": "calibration in the large"}  # fmt: skip
MEASURE_WORDS = {"auc": "AUC", "slope": "calibration slope", "oe_ratio": "observed : expected",
                 "intercept": "calibration in the large"}  # fmt: skip
MAY_CONCLUDE = (
    "A gap says that the model errs more often in one group. It does not say why: the groups also differ in age, stage "
    "and in how they were examined.",
    "Where N+ is more common in one group, sensitivity, false positives and PPV cannot all be equal unless the risk is "
    "perfect (Chouldechova 2017): no gap alone is a verdict.",
    "Only the groups that the table names were looked at; small groups are shown without a number.",
)


def centres_panel(
    rows: pd.DataFrame | Judged, *, model: str, measure: str = "auc", left_out: bool = False, mark: str = ""
) -> Panel:
    """A measure in each centre, pooled, and where that of a new centre is expected.

    Args:
        rows: tested rows of one or several models.
        model: whose risks.
        measure: "auc", "intercept", "slope" or "oe_ratio".
        left_out: whether each centre was left out of the training that predicted it.
        mark: words laid across the figure.
    """
    found = Judged.of(rows).centres(model)
    pooled = found.measures.set_index("measure").loc[measure]
    name = MEASURE_WORDS[measure]
    if math.isnan(pooled["value"]):
        sentence = f"The {name} is not pooled: {pooled['note']}."
    else:
        sentence = (
            f"Over {pooled['n_pooled']} of {found.n_centres} centres the {name} is {pooled['value']:.2f} "
            f"({pooled['low']:.2f} to {pooled['high']:.2f}); in a new centre it is expected between "
            f"{pooled['prediction_low']:.2f} and {pooled['prediction_high']:.2f}."
        )
    return Panel(f"centres_{measure}", "Does it work in each hospital?",
                 figures.plot_centres(found, measure=measure, left_out=left_out, mark=mark), found.table, sentence,
                 notes_of(found), source=(found, measure, left_out))  # fmt: skip


def fairness_panel(
    rows: pd.DataFrame | Judged, *, model: str, columns: Sequence[str],
    bins: Mapping[str, Sequence[float]] | None = None, measure: str = "sensitivity", threshold: float | None = None,
    n_resamples: int = 500, seed: int = 0, mark: str = "",
) -> Panel:  # fmt: skip
    """Rates by level of each column, and the largest gaps.

    Args:
        rows: tested rows of one or several models.
        model: whose risks.
        columns: whose levels are held against each other.
        bins: cuts of numeric columns.
        measure: drawn: "sensitivity", "fpr", "ppv", "oe_ratio" or "intercept"; the sentence speaks of all.
        threshold: positive if risk >= threshold; None: each row's own.
        n_resamples: of the gaps' intervals.
        seed: of the bootstrap.
        mark: words laid across the figure.
    """
    found = Judged.of(rows).fairness(
        model, columns=columns, threshold=threshold, bins=bins or {}, n_resamples=n_resamples, seed=seed
    )
    tested = found.gaps.dropna(subset=["p_holm"])
    clear = tested[tested["p_holm"] < 0.05]
    if len(clear):
        named = "; ".join(
            f"{RATE_WORDS[r['measure']]} by {figures.label_of(r['column'])}, highest in "
            f"{level_words(r['level_high'])}, lowest in {level_words(r['level_low'])} "
            f"(Holm {theme.p_value(r['p_holm'])})"
            for r in clear.to_dict("records")
        )  # fmt: skip
        sentence = f"Larger than chance, {len(clear)} of {len(tested)} gaps: {named}."
    elif len(tested):
        sentence = f"None of {len(tested)} gaps is larger than chance makes them (Holm), which is no proof of fairness."
    else:
        sentence = "No group has enough patients to compare."
    return Panel("fairness", "Does the model err more in some patients than in others?",
                 figures.plot_fairness(found, measure=measure, mark=mark), found.gaps, sentence,
                 (*notes_of(found), *MAY_CONCLUDE), source=(found, measure))  # fmt: skip
