"""study.toml as frozen dataclasses, one per stage: what a study is, said once, by a person, in one file.

    study = load_study("my_study")          # a folder, or the path of its study.toml
    study.training.folds, study.folder / study.data.clinical

A key that is not known is an error that names the nearest one; a value of the wrong kind names what was wanted.
`digest()` of a stage is what decides whether a step has to be done again.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import tomllib
import types
import typing
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, Literal

from onlm_lab.errors import StudyError

RULES = (
    "nsclc_confirmed", "clinical_stage_i", "adult", "performance_status", "radical_treatment", "imaging_complete",
    "followup_agreed", "consent", "ct_quality", "not_pure_ggo", "neuropsychiatric", "lost_to_followup",
)  # fmt: skip
CLINICAL_PREDICTORS = (
    "age_years", "sex", "smoking", "total_diameter_mm", "solid_diameter_mm", "ctr", "nodule_type",
    "central_location", "cea_ng_ml", "suv_max",
)  # fmt: skip


@dataclass(frozen=True)
class Info:
    """[study] Name and seed. `made_up = true` marks every artefact MADE-UP DATA."""

    name: str = "Unnamed study"
    made_up: bool = False
    seed: int = 2026
    licence: str = ""  # licence and citation of the data, printed on every artefact

    def __post_init__(self) -> None:
        if not 0 <= self.seed < 2**32:
            raise StudyError(f"[study] seed is {self.seed}; wanted a whole number from 0 to {2**32 - 1}.")


@dataclass(frozen=True)
class Data:
    """[data] Files, relative to the study's folder. An empty `annotations` or `ct` means: no images."""

    clinical: str = "clinical.csv"
    followup: str = "followup.csv"
    annotations: str = "annotations.csv"
    ct: str = "ct"
    missing_words: tuple[str, ...] = ("",)


@dataclass(frozen=True)
class ExtraColumn:
    """[columns.<name>] A column of the hospital's own: its type and, above all, when it is known."""

    type: Literal["number", "integer", "category", "boolean", "text"]
    timing: Literal["pre_treatment", "post_treatment"]
    unit: str = ""
    allowed: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None
    description: str = ""


@dataclass(frozen=True)
class Protocol:
    """[protocol] Who is in. Defaults: NCT06684418."""

    name: str = "NCT06684418"
    rules: tuple[str, ...] = RULES
    min_age_years: float = 18.0
    min_kps: float = 70.0
    imaging_trigger_mm: float = 30.0  # total diameter at which PET/CT or invasive staging is wanted (>=)
    central_definition: str = "inner concentric third of the hemithorax, tumour centre"

    def __post_init__(self) -> None:
        for rule in self.rules:
            if rule not in RULES:
                raise StudyError(f"[protocol] rules: '{rule}' is not a rule{_nearest(rule, RULES)}.")


@dataclass(frozen=True)
class Label:
    """[label] What counts as the reference standard. `surrogate`: no clinical N in the table, pN stands alone."""

    surrogate: bool = False
    min_nodes: int | None = None  # no default on purpose: named and logged where used
    min_n2_stations: int | None = None


@dataclass(frozen=True)
class Patch:
    """[patch] The cube cut around the tumour, on the patient's axes."""

    size_mm: float = 64.0
    spacing_mm: float = 1.0

    def __post_init__(self) -> None:
        _positive("[patch]", size_mm=self.size_mm, spacing_mm=self.spacing_mm)
        if self.size_mm / self.spacing_mm < 8:
            raise StudyError("[patch] size_mm / spacing_mm is below 8 voxels; wanted at least 8. Raise size_mm.")


@dataclass(frozen=True)
class Model:
    """[model] Backbone and fusion. `weights`: "none", "timm" (online), "installed" (offline package) or a file."""

    backbone: str = "tf_efficientnet_lite0"
    weights: str = "installed"
    mode: Literal["frozen", "finetune"] = "frozen"
    neighbours: int = 1  # planes on each side of the centre plane, as channels
    gap_mm: float = 3.0  # distance of those neighbours
    field_mm: float = 48.0  # edge of what a plane shows; at most the patch
    image_px: int = 96  # pixels of a plane on a side
    window_low_hu: float = -1100.0
    window_high_hu: float = 300.0
    width: int = 32  # features of each branch before fusion
    dropout: float = 0.2

    def __post_init__(self) -> None:
        if self.neighbours < 0:
            raise StudyError(f"[model] neighbours is {self.neighbours}; wanted 0 or more.")
        _positive("[model]", image_px=self.image_px, width=self.width, gap_mm=self.gap_mm, field_mm=self.field_mm)
        if self.window_low_hu >= self.window_high_hu:
            raise StudyError("[model] window_low_hu must be below window_high_hu.")
        if not 0 <= self.dropout < 1:
            raise StudyError(f"[model] dropout is {self.dropout}; wanted at least 0 and below 1.")


@dataclass(frozen=True)
class Training:
    """[training] How the model is trained and honestly tested."""

    predictors: tuple[str, ...] = CLINICAL_PREDICTORS
    models: tuple[str, ...] = ("clinical", "image", "fused")
    scheme: Literal["stratified", "leave_one_centre_out"] = "stratified"
    folds: int = 5
    repeats: int = 1
    seeds_per_fold: int = 5  # models a fold, for the model spread
    epochs: int = 60
    patience: int = 12
    batch_size: int = 32
    learning_rate: float = 1e-3
    backbone_learning_rate: float = 1e-4
    weight_decay: float = 0.1
    target_sensitivity: float = 0.95

    def __post_init__(self) -> None:
        known = ("clinical", "image", "fused")
        for model in self.models:
            if model not in known:
                raise StudyError(f"[training] models: '{model}' is not a model{_nearest(model, known)}.")
        if not self.models or len(set(self.models)) < len(self.models):
            raise StudyError(f"[training] models is {list(self.models)}; wanted each once, of {', '.join(known)}.")
        if not self.predictors and set(self.models) - {"image"}:
            raise StudyError("[training] predictors is empty; the clinical and the fused model need at least one.")
        _positive(
            "[training]", folds=self.folds - 1, repeats=self.repeats, epochs=self.epochs, patience=self.patience,
            batch_size=self.batch_size, learning_rate=self.learning_rate, seeds_per_fold=self.seeds_per_fold,
        )  # fmt: skip
        if self.weight_decay < 0:
            raise StudyError(f"[training] weight_decay is {self.weight_decay}; wanted at least 0.")
        if not 0 < self.target_sensitivity < 1:
            raise StudyError(f"[training] target_sensitivity is {self.target_sensitivity}; wanted between 0 and 1.")


@dataclass(frozen=True)
class Analysis:
    """[analysis] What is shown, stated before it is seen."""

    primary_model: str = ""  # shown first; empty: the last of [training] models
    subgroups: tuple[str, ...] = ("sex", "age_years", "smoking", "nodule_type", "total_diameter_mm", "centre")
    bins: dict[str, tuple[float, ...]] = field(
        default_factory=lambda: {"age_years": (65.0,), "total_diameter_mm": (20.0, 30.0)}
    )
    threshold_range: tuple[float, float] = (0.02, 0.40)  # of the decision curve
    endpoints: tuple[str, ...] = ("os", "rfs", "recurrence", "regional")
    horizon_days: int = 1095
    bootstrap: int = 500

    def __post_init__(self) -> None:
        low, high = self.threshold_range
        if not 0 < low < high < 1:
            raise StudyError(f"[analysis] threshold_range is {list(self.threshold_range)}; wanted 0 < low < high < 1.")
        _positive("[analysis]", horizon_days=self.horizon_days, bootstrap=self.bootstrap)


@dataclass(frozen=True)
class Study:
    """One study: where it lies and what it says. Stages are fields; `columns` are the hospital's own."""

    folder: Path
    study: Info = field(default_factory=Info)
    data: Data = field(default_factory=Data)
    columns: dict[str, ExtraColumn] = field(default_factory=dict)
    protocol: Protocol = field(default_factory=Protocol)
    label: Label = field(default_factory=Label)
    patch: Patch = field(default_factory=Patch)
    model: Model = field(default_factory=Model)
    training: Training = field(default_factory=Training)
    analysis: Analysis = field(default_factory=Analysis)

    def __post_init__(self) -> None:
        if self.training is None or self.analysis is None:
            return  # a stage with faults of its own, which are told
        primary, models = self.analysis.primary_model, self.training.models
        if primary and primary not in models:
            raise StudyError(
                f"[analysis] primary_model is '{primary}'; wanted one of [training] models{_nearest(primary, models)}."
            )

    @property
    def name(self) -> str:
        return self.study.name

    @property
    def made_up(self) -> bool:
        return self.study.made_up

    @property
    def seed(self) -> int:
        return self.study.seed

    @property
    def primary_model(self) -> str:
        """The model that pages and report show first."""
        return self.analysis.primary_model or self.training.models[-1]

    def path(self, name: str) -> Path:
        """A file of this study by its relative name."""
        return self.folder / name

    def to_dict(self) -> dict[str, Any]:
        """Everything but the folder, as plain values; what study.toml would say in full."""
        plain = asdict(self)
        del plain["folder"]
        return plain

    def digest(self, *stages: str) -> str:
        """SHA-256 of the named stages (all without a name): the same text, the same work."""
        plain = self.to_dict()
        kept = {name: plain[name] for name in (stages or plain)}
        return hashlib.sha256(json.dumps(kept, sort_keys=True, default=str).encode()).hexdigest()


def load_study(path: str | Path) -> Study:
    """The study in a folder, or in a study.toml.

    Raises:
        StudyError: no such file, not TOML, an unknown key (nearest offered), a value of the wrong kind; all at once.
    """
    path = Path(path)
    file = path / "study.toml" if path.is_dir() else path
    if not file.is_file():
        raise StudyError(
            f"No study.toml in '{path.name or path}'. A study is a folder with a study.toml; "
            "make one with `onlm virtual DIR` (made-up), or name the right folder."
        )
    try:
        raw = tomllib.loads(file.read_text(encoding="utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise StudyError(f"study.toml is not valid TOML: {error}. Correct that line.") from None
    faults: list[str] = []
    study = _build(Study, {"folder": file.parent, **raw}, where="", faults=faults)
    if faults:
        raise StudyError("\n".join(fault.replace("?.", "?") for fault in faults))
    return study


def starter_toml(
    *, name: str, made_up: bool = False, seed: int = 2026, sections: dict[str, dict[str, Any]] | None = None
) -> str:
    """The text of a study.toml with the given name and, by section, what differs from the defaults.

    `sections` such as {"data": {"ct": ""}, "columns": {"lvi": {"type": "boolean", "timing": "post_treatment"}}}.
    """
    import tomli_w

    said = {"study": {"name": name, "made_up": made_up, "seed": seed}}
    for section, values in (sections or {}).items():
        said[section] = said.get(section, {}) | values
    faults: list[str] = []
    _build(Study, {"folder": Path(), **said}, where="", faults=faults)
    if faults:
        raise StudyError("\n".join(fault.replace("?.", "?") for fault in faults))
    return "# What is not said here takes its default; `onlm study DIR` prints everything.\n" + tomli_w.dumps(said)


def _build(cls: type, raw: dict[str, Any], *, where: str, faults: list[str]) -> Any:
    """An instance of a dataclass from plain TOML values; every fault is added to `faults`."""
    hints = typing.get_type_hints(cls)
    known = [f.name for f in fields(cls)]
    values: dict[str, Any] = {}
    before = len(faults)
    for key, value in raw.items():
        if key not in known:
            label = f"[{where}] {key}" if where else f"[{key}]"
            shown = [k for k in known if k != "folder"]
            faults.append(f"study.toml: {label} is not known{_nearest(key, shown)}.")
            continue
        values[key] = _value(value, hints[key], where=f"{where}.{key}" if where else key, faults=faults)
    missing = [f.name for f in fields(cls) if f.name not in raw and _required(f)]
    if missing:
        faults.append(f"study.toml: [{where}] needs {', '.join(missing)}.")
    if len(faults) > before:
        return None
    try:
        return cls(**values)
    except StudyError as error:
        faults.append(f"study.toml: {error}")
        return None


def _required(f: Any) -> bool:
    from dataclasses import MISSING

    return f.default is MISSING and f.default_factory is MISSING


def _value(value: Any, hint: Any, *, where: str, faults: list[str]) -> Any:
    """One TOML value as the hinted type, or a fault."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if is_dataclass(hint):
        if isinstance(value, dict):
            return _build(hint, value, where=where, faults=faults)
        faults.append(f"study.toml: {where} must be a section [{where}], got {value!r}.")
    elif origin is dict:
        if isinstance(value, dict):
            return {k: _value(v, args[1], where=f"{where}.{k}", faults=faults) for k, v in value.items()}
        faults.append(f"study.toml: {where} must be a section [{where}], got {value!r}.")
    elif origin is tuple:
        fixed = len(args) if args[-1] is not Ellipsis else None
        if isinstance(value, list | tuple) and fixed in (None, len(value)):
            return tuple(_value(v, args[0], where=where, faults=faults) for v in value)
        wanted = "a list" if fixed is None else f"a list of {fixed}"
        faults.append(f"study.toml: {where} must be {wanted}, got {value!r}.")
    elif origin is Literal:
        if value in args:
            return value
        near = _nearest(str(value), [str(a) for a in args])
        faults.append(f"study.toml: {where} is {value!r}; wanted one of {', '.join(map(str, args))}{near}.")
    elif origin is types.UnionType:
        inner = next(a for a in args if a is not type(None))
        return _value(value, inner, where=where, faults=faults)
    elif hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    elif hint is int and isinstance(value, int) and not isinstance(value, bool):
        return value
    elif hint in (str, bool, Path) and isinstance(value, hint):
        return value
    else:
        words = {float: "a number", int: "a whole number", str: "text in quotes", bool: "true or false"}
        faults.append(f"study.toml: {where} must be {words.get(hint, hint)}, got {value!r}.")
    return None


def _positive(where: str, **values: float) -> None:
    for name, value in values.items():
        if not value > 0:
            wanted = "at least 2" if name == "folds" else "above 0"
            raise StudyError(f"{where} {name} must be {wanted}.")


def _nearest(word: str, known: typing.Iterable[str]) -> str:
    """' (did you mean x? ...)' for a message."""
    known = list(known)
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    return f"; did you mean '{near[0]}'?" if near else f"; known: {', '.join(known)}"
