"""[model], [training] and [scores] of study.toml: how pictures and table become a risk, and how that is tested."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from onlm_lab.errors import StudyError
from onlm_lab.showing import shows_itself
from onlm_lab.study.limits import nearest, require_positive

# What the literature supports. Sex and smoking are inconsistent there, and what is no predictor costs patients: they
# are for subgroups and fairness, and a study may name them.
CLINICAL_PREDICTORS = (
    "age_years", "total_diameter_mm", "solid_diameter_mm", "ctr", "nodule_type", "central_location", "cea_ng_ml",
    "suv_max",
)  # fmt: skip
MODELS = ("clinical", "image", "fused")
BASELINES = ("logistic", "boosting", "image_facts")


@shows_itself
@dataclass(frozen=True)
class Model:
    """[model] Backbone, layout and fusion. `weights`: "none", "timm" (online), "installed" (offline package) or a file.

    `layout` names how the patch becomes pictures:
      orthogonal     axial, coronal and sagittal plane, each with `neighbours` on both sides as channels
      slab           `slices` axial planes one by one, attention over them
      three_planes   the three centre planes as the three channels of one picture (Zhong, Radiology 2022)
      multi_window   orthogonal, once for each of `windows_hu`
    """

    backbone: str = "tf_efficientnet_lite0"
    weights: str = "installed"
    mode: Literal["frozen", "finetune"] = "frozen"
    layout: Literal["orthogonal", "slab", "three_planes", "multi_window"] = "orthogonal"
    neighbours: int = 1  # orthogonal, multi_window: planes on each side of the centre plane, as channels
    slices: int = 9  # slab: axial planes
    gap_mm: float = 3.0  # distance of neighbours, and of the slab's planes
    field_mm: float = 48.0  # edge of what a plane shows; at most the patch
    image_px: int = 96  # pixels of a plane on a side
    window_low_hu: float = -1100.0
    window_high_hu: float = 300.0
    windows_hu: tuple[tuple[float, float], ...] = ((-1100.0, 300.0), (-160.0, 240.0))  # multi_window: lung, soft tissue
    fusion: Literal["concat", "gated", "film", "late"] = "concat"
    width: int = 32  # features of each branch before fusion
    dropout: float = 0.2
    modality_dropout: float = 0.1  # share of training steps in which a patient's CT, or one known cell, is hidden

    def __post_init__(self) -> None:
        if self.neighbours < 0:
            raise StudyError(f"[model] neighbours is {self.neighbours}; wanted 0 or more.")
        require_positive(
            "[model]", image_px=self.image_px, width=self.width, gap_mm=self.gap_mm, field_mm=self.field_mm,
            slices=self.slices,
        )  # fmt: skip
        if self.window_low_hu >= self.window_high_hu:
            raise StudyError("[model] window_low_hu must be below window_high_hu.")
        if not self.windows_hu or any(low >= high for low, high in self.windows_hu):
            raise StudyError("[model] windows_hu: wanted at least one window, each from a lower to a higher HU.")
        for name in ("dropout", "modality_dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise StudyError(f"[model] {name} is {getattr(self, name)}; wanted at least 0 and below 1.")


@shows_itself
@dataclass(frozen=True)
class Training:
    """[training] How the model is trained and honestly tested."""

    predictors: tuple[str, ...] = CLINICAL_PREDICTORS
    models: tuple[str, ...] = MODELS
    baselines: tuple[str, ...] = BASELINES  # beside them in every run, on the same folds; [] for none
    scheme: Literal["stratified", "leave_one_centre_out"] = "stratified"
    folds: int = 5
    repeats: int = 1
    seeds_per_fold: int = 5  # models a fold, for the model spread
    epochs: int = 60
    patience: int = 12
    loss: Literal["plain", "weighted", "focal"] = "plain"  # finetune; weighted and focal risks are corrected back
    focal_gamma: float = 2.0
    freeze_epochs: int = 2  # finetune: the backbone rests in these first epochs
    ema_decay: float = 0.98  # finetune: running mean of the weights, which is what is judged and kept; 0 for none
    precision: Literal["auto", "32", "bf16-mixed", "16-mixed"] = "auto"  # auto: bf16 on a GPU that has it, else 32
    batch_size: int = 32
    learning_rate: float = 1e-3
    backbone_learning_rate: float = 1e-4
    weight_decay: float = 0.05  # finetune
    ridge: float = 10.0  # frozen: precision of the prior on standardised coefficients, whatever the number of patients
    calibration: Literal["platt", "temperature"] = "platt"
    target_sensitivity: float = 0.95
    explain: bool = True  # afterwards, for the pages: what the models look at (saliency/), what they react to

    def __post_init__(self) -> None:
        for key, known in (("models", MODELS), ("baselines", BASELINES)):
            given = getattr(self, key)
            for name in given:
                if name not in known:
                    raise StudyError(f"[training] {key}: '{name}' is not a {key[:-1]}{nearest(name, known)}.")
            if len(set(given)) < len(given):
                raise StudyError(f"[training] {key} is {list(given)}; wanted each once, of {', '.join(known)}.")
        if not self.models:
            raise StudyError(f"[training] models is []; wanted each once, of {', '.join(MODELS)}.")
        if not self.predictors and set(self.models) - {"image"}:
            raise StudyError("[training] predictors is empty; the clinical and the fused model need at least one.")
        require_positive(
            "[training]", folds=self.folds - 1, repeats=self.repeats, epochs=self.epochs, patience=self.patience,
            batch_size=self.batch_size, learning_rate=self.learning_rate, seeds_per_fold=self.seeds_per_fold,
        )  # fmt: skip
        for name in ("weight_decay", "ridge", "focal_gamma", "freeze_epochs"):
            if getattr(self, name) < 0:
                raise StudyError(f"[training] {name} is {getattr(self, name)}; wanted at least 0.")
        if not 0 <= self.ema_decay < 1:
            raise StudyError(f"[training] ema_decay is {self.ema_decay}; wanted at least 0 and below 1.")
        if not 0 < self.target_sensitivity < 1:
            raise StudyError(f"[training] target_sensitivity is {self.target_sensitivity}; wanted between 0 and 1.")


@shows_itself
@dataclass(frozen=True)
class Score:
    """[scores.<name>] A published score: log odds = intercept + the sum of coefficient x term, as its source says.

    A term is a column ("age_years"), one level of a category ("sex=female"), a number above a limit
    ("age_years > 65"), or a logarithm ("log(cea_ng_ml)", "log2(solid_diameter_mm)").
    """

    source: str
    intercept: float
    coefficients: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.source.strip():
            raise StudyError("[scores] source is empty; wanted where the score was published, such as a DOI.")
        if not self.coefficients:
            raise StudyError("[scores] coefficients is empty; wanted at least one term.")
