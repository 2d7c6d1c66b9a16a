"""The stages of a study as frozen dataclasses: what each section of study.toml may say, and what it says by default."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

from onlm_lab.errors import StudyError
from onlm_lab.showing import Said, quantity, shows_itself
from onlm_lab.study.centrality import DEFAULT, central_definition
from onlm_lab.study.imaging import Imaging
from onlm_lab.study.learning import Model, Score, Training
from onlm_lab.study.limits import nearest, require_positive

RULES = (
    "nsclc_confirmed", "clinical_stage_i", "adult", "performance_status", "radical_treatment", "imaging_complete",
    "followup_agreed", "consent", "ct_quality", "not_pure_ggo", "neuropsychiatric", "lost_to_followup",
)  # fmt: skip


@shows_itself
@dataclass(frozen=True)
class Info:
    """[study] Name and seed. `made_up = true` marks every artefact MADE-UP DATA."""

    name: str = "Unnamed study"
    made_up: bool = False
    seed: int = 2026
    patient_pages: bool = False  # whether pages may list patients one by one; else they show counts alone
    licence: str = ""  # licence and citation of the data, printed on every artefact

    def __post_init__(self) -> None:
        if not 0 <= self.seed < 2**32:
            raise StudyError(f"[study] seed is {self.seed}; wanted a whole number from 0 to {2**32 - 1}.")


@shows_itself
@dataclass(frozen=True)
class Data:
    """[data] Files, relative to the study's folder. An empty `annotations` or `ct` means: no images."""

    clinical: str = "clinical.csv"
    followup: str = "followup.csv"
    annotations: str = "annotations.csv"
    ct: str = "ct"
    missing_words: tuple[str, ...] = ("",)
    clinical_sheet: str = ""  # of an Excel workbook; empty: its only sheet
    followup_sheet: str = ""
    encoding: str = ""  # empty: UTF-8; else GB18030 or Windows-1252 where the bytes leave no doubt, with a note
    separator: Literal["", ",", ";", "tab"] = ""  # empty: what the first row uses
    decimal: Literal["", ".", ","] = ""  # empty: a point; in a file separated by semicolons also a comma, with a note
    date_format: Literal[
        "YYYY-MM-DD",
        "YYYY/MM/DD",
        "YYYY.MM.DD",
        "YYYYMMDD",
        "YYYY年MM月DD日",
        "DD.MM.YYYY",
        "DD/MM/YYYY",
        "DD-MM-YYYY",
        "DD-MMM-YYYY",
        "MM/DD/YYYY",
        "MM-DD-YYYY",
    ] = "YYYY-MM-DD"
    redcap_dictionary: str = ""  # the project's data dictionary: raw codes become the labels of their choices

    def __post_init__(self) -> None:
        if not self.clinical.strip():
            raise StudyError("[data] clinical is empty; wanted the file with one row a patient, such as clinical.csv.")


@shows_itself
@dataclass(frozen=True)
class Elapsed:
    """[mapping.dates.<our column>] Days, years or the calendar year, from dates of the hospital's own table."""

    end: str  # the hospital's column
    start: str = ""  # likewise; not wanted for a calendar year
    unit: Literal["days", "years", "calendar_year"] = "days"

    def __post_init__(self) -> None:
        if (self.unit == "calendar_year") == bool(self.start):
            wanted = "no start" if self.unit == "calendar_year" else "a start as well as an end"
            raise StudyError(f"[mapping.dates] unit '{self.unit}' wants {wanted} (end '{self.end}').")


@shows_itself
@dataclass(frozen=True)
class Mapping:
    """[mapping] A hospital's own names and words on the left, ours on the right. Holds for every table of the study."""

    columns: dict[str, str] = field(default_factory=dict)  # "Geschlecht" = "sex"
    values: dict[str, dict[str, str]] = field(default_factory=dict)  # [mapping.values.sex] "m" = "male"
    factors: dict[str, float] = field(default_factory=dict)  # total_diameter_mm = 10, where the table has cm
    constants: dict[str, str] = field(default_factory=dict)  # centre = "Hospital A", where the table has no such column
    dates: dict[str, Elapsed] = field(default_factory=dict)
    checkboxes: dict[str, dict[str, str]] = field(default_factory=dict)  # [mapping.checkboxes.lobe] "lobe___1" = "RUL"
    missing_words: dict[str, tuple[str, ...]] = field(default_factory=dict)  # of one of our columns: kps = ["999"]
    ignore: tuple[str, ...] = ()  # columns of the hospital that nobody wants here, such as names
    only: dict[str, dict[str, str]] = field(default_factory=dict)  # [mapping.only.clinical] event = "baseline"


@shows_itself
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


@shows_itself
@dataclass(frozen=True)
class OwnRule:
    """[[protocol.own]] A rule of the study's own: passes, fails or stays open by the words of `passes`."""

    name: str
    text: str
    passes: str  # such as "age_years >= 18 and (pet_ct_done == 1 or invasive_staging_done == 1)"
    source: str = ""
    version: str = "1"


@shows_itself
@dataclass(frozen=True)
class Protocol:
    """[protocol] Who is in. Defaults: NCT06684418.

    `rules` are applied in their order: names of the registration's rules and of the study's own; own rules that it
    does not name come last. An own rule with the name of one of the registration's takes its place.
    """

    name: str = "NCT06684418"
    version: str = "1"
    rules: tuple[str, ...] = RULES
    own: tuple[OwnRule, ...] = ()
    limits: dict[str, float] = field(default_factory=dict)  # named numbers that own rules read
    min_age_years: float = 18.0
    min_kps: float = 70.0
    imaging_trigger_mm: float = 30.0  # total diameter at which PET/CT or invasive staging is wanted (>=)
    central_definition: str = DEFAULT.text  # a key or text of CENTRAL_DEFINITIONS, or "other: ..."

    def __post_init__(self) -> None:
        central_definition(self.central_definition)
        own = [rule.name for rule in self.own if rule is not None]
        for rule in self.rules:
            if rule not in (*RULES, *own):
                raise StudyError(f"[protocol] rules: '{rule}' is not a rule{nearest(rule, (*RULES, *own))}.")
        for name in own:
            if own.count(name) > 1:
                raise StudyError(f"[[protocol.own]] name '{name}' is there {own.count(name)} times; wanted once.")


@shows_itself
@dataclass(frozen=True)
class Label:
    """[label] What counts as the reference standard. `surrogate`: no clinical N in the table, pN stands alone."""

    surrogate: bool = False
    min_nodes: int | None = None  # no default on purpose: named and logged where used
    min_n2_stations: int | None = None

    def __post_init__(self) -> None:
        for name in ("min_nodes", "min_n2_stations"):
            least = getattr(self, name)
            if least is not None and least < 1:
                raise StudyError(f"[label] {name} is {least}; wanted at least 1, or take it out.")


@shows_itself
@dataclass(frozen=True)
class Split:
    """[split] Who is kept apart from development before anything is fitted; the folds are under [training]."""

    external_centres: tuple[str, ...] = ()  # never trained on: external testing
    temporal_from_year: int | None = None  # treated in this year or later: temporal testing
    locked_fraction: float = 0.0  # of the rest, drawn by label and centre; `onlm open-test` opens it and logs it
    distinct_patients: tuple[tuple[str, str], ...] = ()  # look like one person; somebody has checked that they are two

    def __post_init__(self) -> None:
        if not 0 <= self.locked_fraction < 1:
            raise StudyError(f"[split] locked_fraction is {self.locked_fraction}; wanted at least 0 and below 1.")


@shows_itself
@dataclass(frozen=True)
class Patch:
    """[patch] The cube cut around the tumour, on the patient's axes."""

    size_mm: float = 64.0
    spacing_mm: float = 1.0

    def __post_init__(self) -> None:
        require_positive("[patch]", size_mm=self.size_mm, spacing_mm=self.spacing_mm)
        if self.size_mm / self.spacing_mm < 8:
            raise StudyError("[patch] size_mm / spacing_mm is below 8 voxels; wanted at least 8. Raise size_mm.")


N_THRESHOLDS = 39  # of a decision curve


@shows_itself
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
    adjust: tuple[str, ...] = ("age_years", "sex", "clinical_t")  # beside the risk in models of outcome
    balance: tuple[str, ...] = ("age_years", "sex", "kps", "total_diameter_mm", "nodule_type")  # treatments compared
    landmark_days: tuple[int, ...] = (90, 180, 300)  # from which adjuvant treatment is judged; the middle one is told
    bootstrap: int = 500
    prevalence: float | None = None  # share of N+ where the model is to be used: for PPV, NPV and counts per 1,000
    risk_cuts: tuple[float, ...] = ()  # limits of risk categories, for net reclassification; none without them
    fairness: tuple[str, ...] = ("sex", "age_years", "smoking", "centre")  # whose levels are held against each other
    min_nodes: tuple[int, ...] = ()  # once more with N0 of at least so many examined nodes only
    markers: tuple[str, ...] = ()  # molecular and pathological findings that the risk is held against
    confounders: tuple[str, ...] = ()  # what those associations are adjusted for

    def __post_init__(self) -> None:
        low, high = self.threshold_range
        if not 0 < low < high < 1:
            raise StudyError(f"[analysis] threshold_range is {list(self.threshold_range)}; wanted 0 < low < high < 1.")
        if self.prevalence is not None and not 0 < self.prevalence < 1:
            raise StudyError(f"[analysis] prevalence is {self.prevalence}; wanted between 0 and 1 (0.12, not 12).")
        cuts = (0.0, *self.risk_cuts, 1.0)
        if any(a >= b for a, b in pairwise(cuts)):
            raise StudyError(f"[analysis] risk_cuts is {list(self.risk_cuts)}; wanted rising, each between 0 and 1.")
        if any(least < 1 for least in self.min_nodes):
            raise StudyError(f"[analysis] min_nodes is {list(self.min_nodes)}; wanted each at least 1.")
        if not self.landmark_days or any(day < 1 for day in self.landmark_days):
            raise StudyError(f"[analysis] landmark_days is {list(self.landmark_days)}; wanted days from 1 on.")
        require_positive("[analysis]", horizon_days=self.horizon_days, bootstrap=self.bootstrap)

    @property
    def thresholds(self) -> tuple[float, ...]:
        """The grid of the decision curve, over the range that the study states."""
        low, high = self.threshold_range
        step = (high - low) / (N_THRESHOLDS - 1)
        return tuple(round(low + i * step, 6) for i in range(N_THRESHOLDS))


@shows_itself
@dataclass(frozen=True)
class Study:
    """One study: where it lies and what it says. Stages are fields; `columns` are the hospital's own."""

    folder: Path
    study: Info = field(default_factory=Info)
    data: Data = field(default_factory=Data)
    mapping: Mapping = field(default_factory=Mapping)
    columns: dict[str, ExtraColumn] = field(default_factory=dict)
    protocol: Protocol = field(default_factory=Protocol)
    label: Label = field(default_factory=Label)
    split: Split = field(default_factory=Split)
    imaging: Imaging = field(default_factory=Imaging)
    patch: Patch = field(default_factory=Patch)
    model: Model = field(default_factory=Model)
    training: Training = field(default_factory=Training)
    scores: dict[str, Score] = field(default_factory=dict)  # published scores, by the name they are shown under
    analysis: Analysis = field(default_factory=Analysis)

    def __post_init__(self) -> None:
        if self.training is None or self.analysis is None:
            return  # a stage with faults of its own, which are told
        primary, models = self.analysis.primary_model, self.training.models
        if primary and primary not in models:
            raise StudyError(
                f"[analysis] primary_model is '{primary}'; wanted one of [training] models{nearest(primary, models)}."
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

    def _said(self) -> Said:
        facts = {
            "folder": self.folder.resolve(), "clinical": self.data.clinical, "follow-up": self.data.followup,
            "CT": self.data.ct or "none", "protocol": f"{self.protocol.name}, {len(self.protocol.rules)} rules",
            "label": "surrogate: pathological N alone" if self.label.surrogate else "occult nodal metastasis",
            "own columns": tuple(self.columns), "models": self.training.models, "main model": self.primary_model,
            "predictors": self.training.predictors, "folds": self.training.folds,
            "patch": quantity(self.patch.size_mm, "mm"), "endpoints": self.analysis.endpoints,
            "horizon": quantity(float(self.analysis.horizon_days), "days", digits=5), "seed": self.seed,
        }  # fmt: skip
        return Said(f"Study '{self.name}' in '{self.folder.resolve().name}'", facts, made_up=self.made_up)

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
