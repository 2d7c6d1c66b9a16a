"""What the user chose on the cases page, and nothing else. No patient is ever part of an address."""

from __future__ import annotations

from traitlets import Bool, Float, Int, Unicode, observe

from onlm_lab.app.state import Choices


class CasesState(Choices):
    """The choices behind the cases page.

    Attributes:
        tab: which tab is open.
        model: whose risks.
        threshold: positive if risk >= threshold; None: each row's own, fixed without it.
        arm: surgery, sbrt or both.
        split: of case_list.SPLITS.
        error: of case_list.ERRORS.
        column, level: of a subgroup; "": everybody.
        order: of case_list.ORDERS.
        saliency: of the saved pictures: grad_cam, occlusion, or "" for none.
        patient: whose case is shown.
        scan: of whom the whole CT was asked for; "": of nobody.
        later: whether what became known later is unfolded.
        n_flags: how many flags were written from this page: the list is drawn again.
        n_scans: how many CTs were read since: the viewer is filled again.
    """

    ADDRESS = ("tab", "model", "threshold", "arm", "split", "error", "column", "level", "order", "saliency")
    tab = Unicode("Cases")
    model = Unicode("")
    threshold = Float(None, allow_none=True)
    arm = Unicode("both")
    split = Unicode("all")
    error = Unicode("")
    column = Unicode("")
    level = Unicode("")
    order = Unicode("risk")
    saliency = Unicode("")
    patient = Unicode("")
    scan = Unicode("")
    later = Bool(False)
    n_flags = Int(0)
    n_scans = Int(0)

    @observe("patient")
    def _begin_anew(self, _: object) -> None:
        # What became known of one patient, or the CT of one, must not be unfolded beside the next.
        self.later, self.scan = False, ""

    @observe("column")
    def _any_level(self, _: object) -> None:
        known = self._offered.get("level")
        if known is not None and not known(self.level):
            self.level = ""
