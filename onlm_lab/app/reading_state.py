"""Where a reader stands in a reader study, and nothing else."""

from __future__ import annotations

from traitlets import Bool, Float, HasTraits, Int, Unicode


class ReadingState(HasTraits):
    """What the reading tab shows.

    Attributes:
        step: enter (a code is asked for), alone, with_model, shown (the risk, without a second estimate), done.
        reader_id: the reader's code; "" before it was given.
        patient_id: of the open case; "": none is open.
        order: its place in the reader's order, from 1.
        n_cases: of the study.
        own: the reader's own estimate of the open case, 0 to 1; None before it was saved.
        message: what went wrong, in a sentence; "".
        unseen: the open case's CT cannot be shown, so that no estimate is taken.
    """

    step = Unicode("enter")
    reader_id = Unicode("")
    patient_id = Unicode("")
    order = Int(0)
    n_cases = Int(0)
    own = Float(None, allow_none=True)
    message = Unicode("")
    unseen = Bool(False)
