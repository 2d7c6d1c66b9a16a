"""Only what is known before treatment may predict."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from onlm_lab import schema
from onlm_lab.errors import OnlmError

# Names under which post-operative findings usually travel; refused whatever timing they are declared with.
_BY_NAME = re.compile(
    r"(^|_)(lvi|lymphovascular|stas|vpi|pleural_invasion|perineural|grade|differentiation|patholog\w*|pt|pn|ypt|ypn|"
    r"nodes?_(examined|positive|resected|dissected)|resection|margin|adjuvant|extent|death|died|recur\w*|surviv\w*)(_|$)",
    re.IGNORECASE,
)
_WHY = {
    "post_treatment": "is known only after treatment",
    "outcome": "is an outcome",
    "id": "identifies or administers",
}


def refuse_post_treatment(
    predictors: Sequence[str],
    *,
    extra_columns: Mapping[str, Any] | Iterable[schema.Column] = (),
    patients: pd.DataFrame | None = None,
    surrogate: bool = False,
) -> None:
    """Raise if a predictor is not known before treatment, by its name or by its declared timing.

    Args:
        predictors: names of columns.
        extra_columns: the study's own columns with their timing (`study.columns`).
        patients: if given, histology is also refused where it does not come from a biopsy in every patient in whom
            it is known (histology_source).
        surrogate: the study says that its model is a surrogate, partly post-operative: histology from the resection
            is then let through.

    Raises:
        OnlmError: one sentence a refused predictor.
    """
    extra = schema.declared(extra_columns)
    faults = []
    for name in predictors:
        spec = schema.column(name, extra_columns=extra)
        if spec is not None and spec.timing != "pre_treatment":
            faults.append(f"'{name}' {_WHY[spec.timing]} (timing {spec.timing})")
        elif (spec is None or spec in extra) and _BY_NAME.search(name):
            faults.append(f"'{name}' is by its name a finding after treatment")
    if "histology" in predictors and patients is not None and not surrogate:
        known = patients[patients["histology"].notna()]
        late = int((known["histology_source"] != "biopsy").sum())
        if late:
            faults.append(f"'histology' comes from no biopsy in {late} of {len(known)} patients (histology_source)")
    if faults:
        raise OnlmError(
            f"Only what is known before treatment may predict: {'; '.join(faults)}. "
            "Take it out of predictors in study.toml under [training]."
        )
