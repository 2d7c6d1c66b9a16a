"""What the user chose, and nothing else. Controls link to it, panels redraw from it."""

from __future__ import annotations

from traitlets import Float, HasTraits, Int, Tuple, Unicode


class ViewState(HasTraits):
    """The choices behind the performance page.

    Attributes:
        tab: which tab is open.
        model: whose numbers stand in the tiles.
        compared: models drawn together, `model` first.
        split: which tested patients: oof, test, external or temporal.
        threshold: positive if risk >= threshold; None: each row's own, fixed without it.
        columns: what patients are divided by in the subgroups.
        measure: auc, sensitivity, specificity or oe_ratio.
        endpoint: such as os or regional.
        arm: surgery, sbrt or both.
        horizon_days: the day at which outcomes are read.
    """

    tab = Unicode("Performance")
    model = Unicode("")
    compared = Tuple()
    split = Unicode("oof")
    threshold = Float(None, allow_none=True)
    columns = Tuple()
    measure = Unicode("auc")
    endpoint = Unicode("")
    arm = Unicode("both")
    horizon_days = Int(1095)
