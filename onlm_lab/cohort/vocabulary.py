"""What a rule of a protocol may speak of: the columns of the cohort, and quantities that several columns bound.

`t` (or `derived_t`) is the clinical T of AJCC 8 as far as nodule type, diameters and descriptor tell it, and
`derived_stage` the stage group as far as these, clinical N and M do; `performance_kps` is the KPS, or where none is
recorded the KPS range of the recorded ECOG.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from onlm_lab import schema
from onlm_lab.cohort.staging import ABOVE_IIA, ORDER

Kind = Literal["number", "boolean", "grade", "word"]
T_INPUTS = ("nodule_type", "total_diameter_mm", "solid_diameter_mm", "t_descriptor")
KPS_INPUTS = ("kps", "ecog")
STAGE_INPUTS = (*T_INPUTS, "clinical_n", "clinical_m")
# Derived columns that nobody can look up: what they come from.
_COMES_FROM = {"derived_t": T_INPUTS, "derived_stage": STAGE_INPUTS, "ctr": T_INPUTS[:3], "arm": ("treatment",)}
FIXED_LIMITS = ("min_age_years", "min_kps", "imaging_trigger_mm")
FUNCTIONS = ("recorded", "known", "column")
RESERVED = (*FUNCTIONS, "t", "performance_kps", "true", "false")
_UNKNOWN = ("tx", "nx", "mx", "unknown", "not known", "not_known")


@dataclass(frozen=True)
class Scale:
    """Words in their order; `spans` are words that stand for several of them, such as T1 for T1mi to T1c."""

    levels: tuple[str, ...]
    spans: tuple[tuple[str, str, str], ...] = ()

    def ends(self, word: str) -> tuple[int, int] | None:
        """The first and the last place that a word covers; None where it is not of this scale."""
        for span, first, last in self.spans:
            if word == span:
                return self.levels.index(first), self.levels.index(last)
        return (self.levels.index(word),) * 2 if word in self.levels else None

    @property
    def words(self) -> tuple[str, ...]:
        return (*self.levels, *(span for span, _, _ in self.spans))


_T = Scale(("T0", *ORDER), (("T1", "T1mi", "T1c"), ("T2", "T2a", "T2b")))
_N = Scale(("N0", "N1", "N2", "N3"))
_M = Scale(("M0", "M1a", "M1b", "M1c"), (("M1", "M1a", "M1c"),))
_STAGE = Scale(
    tuple(group for group in schema.STAGES if group != ABOVE_IIA),
    (("IA", "IA1", "IA3"), ("I", "IA1", "IB"), ("II", "IIA", "IIB"), ("III", "IIIA", "IIIC"), ("IV", "IVA", "IVB"),
     (ABOVE_IIA, "IIB", "IVB")),
)  # fmt: skip
_SCALES = {
    "clinical_t": _T, "derived_t": _T, "clinical_n": _N, "pathological_n": _N, "clinical_m": _M,
    "derived_stage": _STAGE,
}  # fmt: skip
# What a log calls a column; the others are called by the dictionary.
LABELS = {
    "age_years": "age", "kps": "KPS", "ecog": "ECOG", "total_diameter_mm": "total diameter", "arm": "arm",
    "solid_diameter_mm": "solid diameter", "nodule_type": "nodule type", "central_location": "central location",
    "t_descriptor": "T descriptor", "clinical_t": "recorded clinical T", "clinical_n": "clinical N",
    "clinical_m": "clinical M", "cea_ng_ml": "CEA", "suv_max": "SUVmax", "pet_ct_done": "PET/CT done",
    "invasive_staging_done": "invasive staging done", "treatment": "treatment", "radical_intent": "radical intent",
    "invasive_staging_positive": "nodes positive at invasive staging", "neoadjuvant": "neoadjuvant treatment",
    "followup_agreed": "willing to be followed up", "consent": "consent", "ct_quality": "CT quality",
    "neuropsychiatric_exclusion": "neuropsychiatric disorder judged to interfere", "ctr": "CTR", "onlm": "ONLM",
    "lost_to_followup": "lost to follow-up", "derived_t": "derived clinical T", "derived_stage": "derived stage",
    "patient_id": "patient", "treatment_year": "year of treatment", "lobe": "lobe", "histology": "histology",
    "ct_to_treatment_days": "time from CT to treatment", "nsclc_confirmed": "NSCLC confirmed",
}  # fmt: skip
# Timing "post_treatment" keeps these from predicting; who was treated how is known at time zero.
_KNOWN_AT_BASELINE = ("treatment", "arm")


@dataclass(frozen=True)
class Noun:
    """One thing that a rule may name.

    Attributes:
        name: as the rule writes it.
        kind: number; boolean (0 or 1); grade (words with an order); word.
        inputs: the columns that it reads.
        label, unit: for a sentence.
        scale: of a grade.
        allowed: of a word; empty: any.
        unknown: words of the column that say that it is not known.
        after_baseline: known only after treatment began.
        shown: whether a log may show what its cells hold.
    """

    name: str
    kind: Kind
    inputs: tuple[str, ...]
    label: str
    unit: str = ""
    scale: Scale | None = None
    allowed: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    after_baseline: bool = False
    shown: bool = True


def vocabulary(extra_columns: Iterable[schema.Column] = ()) -> dict[str, Noun]:
    """Everything that a rule may name: the columns of the cohort, the study's own among them, t, performance_kps."""
    found = {
        "t": Noun("t", "grade", T_INPUTS, "clinical T", scale=_T),
        "performance_kps": Noun("performance_kps", "number", KPS_INPUTS, "KPS"),
    }
    for table in ("clinical", "followup", "derived"):
        for spec in schema.COLUMNS:
            if spec.table == table:
                found.setdefault(spec.name, _noun(spec, own=False))
    for spec in extra_columns:
        found.setdefault(unicodedata.normalize("NFKC", spec.name), _noun(spec, own=True))
    return found


def reserved(extra_columns: Iterable[schema.Column]) -> list[str]:
    """The study's own columns whose names mean something else in a rule."""
    return [spec.name for spec in extra_columns if spec.name in RESERVED]


def _noun(spec: schema.Column, *, own: bool) -> Noun:
    kind: Kind = "boolean" if spec.type == "boolean" else "number" if spec.type in schema.NUMERIC else "word"
    scale = None if own else _SCALES.get(spec.name)
    unknown = tuple(word for word in spec.allowed if word.casefold() in _UNKNOWN)
    inputs = (spec.name,) if own else _COMES_FROM.get(spec.name, (spec.name,))
    return Noun(
        spec.name, "grade" if scale else kind, inputs, _label(spec, own=own), unit=spec.unit, scale=scale,
        allowed=tuple(word for word in spec.allowed if word not in unknown), unknown=unknown or _unlisted(spec),
        after_baseline=spec.timing in ("post_treatment", "outcome") and spec.name not in _KNOWN_AT_BASELINE,
        shown=not (spec.type == "text" and (own or spec.table == "derived")),
    )  # fmt: skip


def _unlisted(spec: schema.Column) -> tuple[str, ...]:
    """A column of free words may still say "unknown"."""
    return ("unknown",) if spec.type in ("text", "category") and not spec.allowed else ()


def _label(spec: schema.Column, *, own: bool) -> str:
    if not own and spec.name in LABELS:
        return LABELS[spec.name]
    said = spec.description.split(";")[0].split(":")[0].strip().rstrip(".")
    if not said or said == "declared in study.toml" or len(said) > 60 or set(said) & set("'\""):
        return spec.name.replace("_", " ")
    return said[:1].lower() + said[1:] if said[1:2].islower() else said
