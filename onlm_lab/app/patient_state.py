"""What was typed about one patient, and nothing else. None of it ever stands in an address."""

from __future__ import annotations

from typing import Any, ClassVar

from traitlets import Dict

from onlm_lab.app.state import Choices


class PatientState(Choices):
    """The values behind the form.

    Attributes:
        values: column -> a number, a level, or a text that is no number; what is not there is not known. It speaks of
            a person, so ADDRESS does not hold it: no link, no history and no log has it.
    """

    ADDRESS: ClassVar[tuple[str, ...]] = ()
    values = Dict()

    def typed(self, name: str, value: Any) -> None:
        """Take a field's value; None: it is not known."""
        kept = {k: v for k, v in self.values.items() if k != name}
        self.values = kept if value is None else {**kept, name: value}
