"""What the user chose on the training page: the settings of the next run, and what is looked at."""

from __future__ import annotations

from typing import Any, ClassVar

from traitlets import Bool, Float, Int, Tuple, Unicode

from onlm_lab.app.state import Choices
from onlm_lab.study import Study

SECTIONS: dict[str, tuple[str, ...]] = {
    "model": ("layout", "backbone", "fusion", "mode"),
    "training": (
        "models",
        "baselines",
        "scheme",
        "folds",
        "repeats",
        "seeds_per_fold",
        "epochs",
        "patience",
        "learning_rate",
        "backbone_learning_rate",
    ),
    "patch": ("size_mm",),
}


class TrainingState(Choices):
    """The choices behind the training page.

    Attributes:
        tab: which tab is open.
        layout, backbone, fusion, mode: of [model].
        models, baselines, scheme, folds, repeats, seeds_per_fold, epochs, patience, learning_rate,
        backbone_learning_rate: of [training].
        size_mm: of [patch].
        drawn: the model whose curves are drawn; "" is the one in training.
        compared: runs beside each other.
        going: whether a run is going; kept by the page, in no link.
        seen: stands for what the run's history said last; kept by the page, in no link.
        runs_seen: stands for what the study's runs have finished; likewise.
    """

    ADDRESS: ClassVar[tuple[str, ...]] = (
        "tab", *(name for names in SECTIONS.values() for name in names), "drawn", "compared",
    )  # fmt: skip
    tab = Unicode("Run")
    layout, backbone, fusion, mode = Unicode(""), Unicode(""), Unicode(""), Unicode("")
    models, baselines = Tuple(), Tuple()
    scheme = Unicode("")
    folds, repeats, seeds_per_fold, epochs, patience = Int(5), Int(1), Int(5), Int(60), Int(12)
    learning_rate, backbone_learning_rate, size_mm = Float(1e-3), Float(1e-4), Float(64.0)
    drawn = Unicode("")
    compared = Tuple()
    going = Bool(False)
    seen, runs_seen = Unicode(""), Unicode("")

    def take(self, study: Study) -> None:
        """Choose what the study says."""
        with self.hold_trait_notifications():
            for section, names in SECTIONS.items():
                for name in names:
                    setattr(self, name, getattr(getattr(study, section), name))

    def changes(self, study: Study) -> dict[str, dict[str, Any]]:
        """The chosen settings that are not the study's own, by section."""
        found: dict[str, dict[str, Any]] = {}
        for section, names in SECTIONS.items():
            for name in names:
                chosen = getattr(self, name)
                if chosen != getattr(getattr(study, section), name):
                    found.setdefault(section, {})[name] = list(chosen) if isinstance(chosen, tuple) else chosen
        return found
