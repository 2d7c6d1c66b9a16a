"""What the user chose on the performance page, and nothing else."""

from __future__ import annotations

from traitlets import Tuple, Unicode

from onlm_lab.app.state import ViewState


class PerformanceState(ViewState):
    """The choices behind the performance page.

    Attributes:
        only: whom the subgroups are judged in: "" everybody, else column=level.
        centre_measure: auc, intercept, slope or oe_ratio.
        fair_measure: sensitivity, fpr, ppv, oe_ratio or intercept.
        fair_columns: whose groups are held against each other.
    """

    ADDRESS = (*ViewState.ADDRESS, "only", "centre_measure", "fair_measure", "fair_columns")
    only = Unicode("")
    centre_measure = Unicode("auc")
    fair_measure = Unicode("sensitivity")
    fair_columns = Tuple()
