"""What the user chose, and nothing else. Controls link to it, panels redraw from it, a link restores it."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Any, ClassVar
from urllib.parse import unquote

from traitlets import Dict, Float, HasTraits, Int, TraitType, Tuple, Unicode

from onlm_lab.app import texts

Parsed = tuple[Any, bool]  # the value, and whether the text was one
_SEPARATOR = "~"  # between the values of a list; unreserved in an address
_INSIDE = str.maketrans({"%": "%25", _SEPARATOR: "%7E"})  # within a value


class Choices(HasTraits):
    """The choices behind one page: a base of the pages' own.

    A link holds those of ADDRESS that differ from what the page began with. What a control offers is registered with
    `offer`, so that a link can never choose what no control would.
    """

    ADDRESS: ClassVar[tuple[str, ...]] = ()
    language = Unicode("en")

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._offered: dict[str, Callable[[Any], bool]] = {}
        self._begun: dict[str, Any] = {}

    def say(self, english: str) -> str:
        """A text of the interface in the reader's language."""
        return texts.say(english, language=self.language)

    def key(self, *names: str) -> Callable[[], object]:
        """What a card depends on: it is drawn again when one of these choices changes."""
        return lambda: tuple(getattr(self, name) for name in names)

    def offer(self, name: str, values: Iterable[Hashable] | Callable[[Any], bool]) -> None:
        """Say what may be chosen for a trait: the values themselves, or a test of one."""
        if callable(values):
            self._offered[name] = values
            return
        known = set(values)
        many = isinstance(self.traits()[name], Tuple)
        self._offered[name] = (lambda chosen: set(chosen) <= known) if many else known.__contains__

    def begin(self) -> None:
        """Take the present choices for those that a link need not name."""
        self._begun = {name: getattr(self, name) for name in self.ADDRESS}

    def address(self) -> dict[str, str]:
        """What a link must name to bring this view back."""
        chosen = {name: getattr(self, name) for name in self.ADDRESS}
        return {name: _text(value) for name, value in chosen.items() if value != self._begun.get(name)}

    def restore(self, said: Mapping[str, str]) -> list[str]:
        """Choose what a link says.

        Args:
            said: as `address` gives it; what it does not name stays as the page began.

        Returns:
            Names of choices that could not be restored: the page has no such value (any more), and keeps its own.
        """
        lost: list[str] = []
        with self.hold_trait_notifications():
            for name in self.ADDRESS:
                if name not in said:
                    value: Any = self._begun.get(name, getattr(self, name))
                else:
                    value, known = _parsed(said[name], trait=self.traits()[name])
                    if not known or not self._offered.get(name, lambda _: False)(value):
                        lost.append(name)
                        continue
                if getattr(self, name) != value:
                    setattr(self, name, value)
        return lost


class ViewState(Choices):
    """The choices behind the performance and the outcomes page; each uses those that it has controls for.

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
        grouping: how patients are divided for curves: threshold, quartiles or pathology.
        adjust: covariates beside the risk.
        landmark_day: the day from which adjuvant treatment is judged.
    """

    ADDRESS = (
        "tab", "model", "compared", "split", "threshold", "columns", "measure", "endpoint", "arm", "horizon_days",
        "grouping", "adjust", "landmark_day",
    )  # fmt: skip
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
    grouping = Unicode("threshold")
    adjust = Tuple()
    landmark_day = Int(180)


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, tuple):
        return _SEPARATOR.join(str(one).translate(_INSIDE) for one in value)
    if isinstance(value, dict):
        return _SEPARATOR.join(f"{str(name).translate(_INSIDE)}:{number!r}" for name, number in sorted(value.items()))
    return repr(value) if isinstance(value, float) else str(value)


def _parsed(text: str, *, trait: TraitType) -> Parsed:
    if not text and getattr(trait, "allow_none", False):
        return None, True
    try:
        if isinstance(trait, Tuple):
            return tuple(map(unquote, text.split(_SEPARATOR))) if text else (), True
        if isinstance(trait, Dict):
            pairs = (part.rpartition(":")[::2] for part in text.split(_SEPARATOR)) if text else ()
            return {unquote(name): float(number) for name, number in pairs}, True
        return (float(text) if isinstance(trait, Float) else int(text) if isinstance(trait, Int) else text), True
    except ValueError:
        return None, False
