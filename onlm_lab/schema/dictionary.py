"""The dictionary: what every column is called, its unit, range and timing. The names are fixed."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from onlm_lab.errors import DataError
from onlm_lab.schema.meanings import OWN, source_of
from onlm_lab.showing import shows_itself

Type = Literal["text", "category", "number", "integer", "boolean"]
Timing = Literal["id", "pre_treatment", "post_treatment", "outcome"]
NUMERIC = ("number", "integer", "boolean")


@shows_itself
@dataclass(frozen=True)
class Column:
    """One column: its name, kind, unit, range (both ends allowed) and when it is known.

    `timing`: id (identifies or administers, never predicts), pre_treatment (may predict), post_treatment (extent of
    surgery, pathology, adjuvant treatment: never predicts), outcome. `required`: the column must be there;
    `filled`: no cell may be empty. `source`: who gives it, or where it comes from.
    """

    name: str
    table: str
    type: Type
    unit: str = ""
    low: float | None = None
    high: float | None = None
    allowed: tuple[str, ...] = ()
    timing: Timing = "pre_treatment"
    description: str = ""
    required: bool = False
    filled: bool = False
    source: str = ""

    @property
    def wanted(self) -> str:
        """What a cell must hold, in words."""
        if self.type == "boolean":
            return "0 or 1"
        if self.type == "category":
            return "one of " + ", ".join(self.allowed) if self.allowed else "a word"
        if self.type == "text":
            return "filled"
        kind = "a whole number" if self.type == "integer" else "a number"
        unit = f" {self.unit}" if self.unit else ""
        if self.low is not None and self.high is not None:
            return f"{kind} from {self.low:g} to {self.high:g}{unit}"
        if self.low is not None:
            return f"{kind} of at least {self.low:g}{unit}"
        return kind if self.high is None else f"{kind} of at most {self.high:g}{unit}"


TREATMENTS = ("lobectomy", "segmentectomy", "wedge", "pneumonectomy", "sbrt")
DESCRIPTORS = (
    "none", "main_bronchus", "visceral_pleura", "atelectasis", "satellite", "chest_wall", "other_t3", "other_t4",
)  # fmt: skip
T_STAGES = ("TX", "T0", "Tis", "T1mi", "T1", "T1a", "T1b", "T1c", "T2", "T2a", "T2b", "T3", "T4")
STAGES = (
    "0", "IA1", "IA2", "IA3", "IB", "IIA", "IIB", "IIIA", "IIIB", "IIIC", "IVA", "IVB", "above IIA",
)  # fmt: skip
N_STAGES = ("N0", "N1", "N2", "N3", "NX")
SITES = ("local", "regional", "distant")
ENDPOINTS = {
    "os": "event", "rfs": "event", "recurrence": "state", "regional": "state", "distant": "state",
    "cancer_death": "state",
}  # fmt: skip
KEYS = {
    "clinical": ("patient_id",),
    "followup": ("patient_id",),
    "annotations": ("patient_id",),
    "predictions": ("patient_id", "model_id", "split", "repeat"),
    "analysis": ("patient_id", "model_id", "split", "repeat"),
}


def _columns() -> tuple[Column, ...]:
    """The table of columns; the names are fixed."""
    pre, post, admin, out = "pre_treatment", "post_treatment", "id", "outcome"

    def c(name: str, type: Type, timing: Timing, description: str, unit: str = "", **more: Any) -> Column:
        return Column(
            name=name, table=table, type=type, unit=unit, timing=timing, description=description,
            source=source_of(table, name), **more,
        )  # fmt: skip

    def id_column() -> Column:
        return c("patient_id", "text", admin, "The patient's identifier, as text", required=True, filled=True)

    found: list[Column] = []
    table = "clinical"
    found += [
        id_column(),
        c("centre", "text", admin, "Hospital", required=True, filled=True),
        c("treatment_year", "integer", admin, "Calendar year of treatment", low=1950, high=2100),
        c("age_years", "number", pre, "Age at treatment", "years", low=0, high=120),
        c("sex", "category", pre, "Sex", allowed=("female", "male")),
        c("smoking", "category", pre, "Smoking history", allowed=("never", "former", "current")),
        c("pack_years", "number", pre, "Smoking dose", "pack-years", low=0, high=400),
        c("kps", "integer", pre, "Karnofsky performance status", low=0, high=100),
        c("ecog", "integer", pre, "ECOG performance status", low=0, high=5),
        c("nsclc_confirmed", "boolean", admin, "NSCLC confirmed by pathology"),
        c("histology", "category", pre, "Histology; a predictor only where it comes from a biopsy",
          allowed=("adenocarcinoma", "squamous", "other_nsclc")),
        c("histology_source", "category", admin, "Where histology comes from", allowed=("biopsy", "resection")),
        c("lobe", "category", pre, "Lobe of the tumour (lingula: LUL)", allowed=("RUL", "RML", "RLL", "LUL", "LLL")),
        c("total_diameter_mm", "number", pre, "Largest diameter, ground glass included", "mm", low=0.1, high=300),
        c("solid_diameter_mm", "number", pre, "Largest diameter of the solid part", "mm", low=0, high=300),
        c("nodule_type", "category", pre, "Type on thin-section CT", allowed=("solid", "part_solid", "pure_ggo")),
        c("central_location", "boolean", pre, "Central by the protocol's definition"),
        c("t_descriptor", "category", pre, "T descriptor other than size, on imaging", allowed=DESCRIPTORS),
        c("clinical_t", "category", pre, "Recorded clinical T (AJCC 8)", allowed=T_STAGES),
        c("clinical_n", "category", pre, "Recorded clinical N", allowed=N_STAGES),
        c("clinical_m", "category", pre, "Recorded clinical M", allowed=("M0", "M1", "M1a", "M1b", "M1c", "MX")),
        c("cea_ng_ml", "number", pre, "Carcinoembryonic antigen before treatment", "ng/mL", low=0, high=100000),
        c("suv_max", "number", pre, "SUVmax of the tumour on PET", low=0, high=200),
        c("pet_ct_done", "boolean", pre, "PET/CT before treatment"),
        c("invasive_staging_done", "boolean", pre, "Invasive mediastinal staging before treatment"),
        c("invasive_staging_positive", "boolean", pre, "Nodes positive at invasive staging before treatment"),
        c("treatment", "category", post, "Primary treatment; extent of surgery", allowed=TREATMENTS),
        c("radical_intent", "boolean", admin, "Treated with radical intent"),
        c("ct_to_treatment_days", "number", admin, "Days from the CT to treatment", "days", low=0),
        c("consent", "category", admin, "Informed consent", allowed=("yes", "waived", "no")),
        c("followup_agreed", "boolean", admin, "Willing to be followed up"),
        c("ct_quality", "category", admin, "Quality of the CT", allowed=("adequate", "poor")),
        c("neuropsychiatric_exclusion", "boolean", admin, "Epilepsy, CNS or mental disorder judged to interfere"),
        c("lost_to_followup", "boolean", out, "Lost to follow-up (known only after baseline)"),
        c("neoadjuvant", "boolean", admin, "Treatment before surgery"),
        c("pathological_n", "category", post, "Pathological N; empty for SBRT", allowed=N_STAGES),
        c("nodes_examined", "integer", post, "Lymph nodes examined", low=0, high=200),
        c("n2_stations_examined", "integer", post, "Mediastinal stations examined", low=0, high=20),
        c("adjuvant", "boolean", post, "Adjuvant treatment given"),
        c("adjuvant_start_days", "number", post, "Start of adjuvant treatment", "days", low=0),
    ]  # fmt: skip
    table = "followup"
    found += [
        id_column(),
        c("followup_days", "number", out, "Time zero to death or last contact", "days", low=0, required=True),
        c("last_imaging_days", "number", out, "Time zero to the last imaging", "days", low=0),
        c("died", "boolean", out, "Dead at followup_days", required=True),
        c("death_cause", "category", out, "Cause of death", allowed=("lung_cancer", "other", "unknown")),
        c("recurred", "boolean", out, "Any recurrence"),
        c("recurrence_days", "number", out, "Time zero to the first recurrence", "days", low=0),
        c("recurrence_site", "text", out, "Any of local, regional, distant, joined by ';', or unknown"),
        c("local_days", "number", out, "Time zero to local recurrence", "days", low=0),
        c("regional_days", "number", out, "Time zero to regional (nodal) recurrence", "days", low=0),
        c("distant_days", "number", out, "Time zero to distant recurrence", "days", low=0),
    ]
    table = "annotations"
    found += [
        id_column(),
        c("series_uid", "text", admin, "SeriesInstanceUID of the CT"),
        c("series_path", "text", admin, "Folder or file of the CT, relative to the study"),
        c("tumour_x_mm", "number", admin, "Tumour centre, x in the DICOM patient frame (LPS)", "mm"),
        c("tumour_y_mm", "number", admin, "Tumour centre, y (LPS)", "mm"),
        c("tumour_z_mm", "number", admin, "Tumour centre, z (LPS)", "mm"),
        c("mask_path", "text", admin, "Tumour mask, relative to the study"),
        c("mask_roi", "text", admin, "Name of the region in an RTSTRUCT, or segment in a SEG, that holds several"),
    ]
    table = "predictions"
    found += [
        id_column(),
        c("model_id", "text", admin, "Which model", required=True, filled=True),
        c("split", "category", admin, "What the row is", allowed=("oof", "test", "external", "unlabelled"),
          required=True, filled=True),
        c("repeat", "integer", admin, "Repeat of the cross-validation, from 0", low=0, required=True, filled=True),
        c("fold", "integer", admin, "Outer fold, from 0; empty for the final model", low=0),
        c("risk", "number", out, "P(onlm = 1), calibrated", low=0, high=1, required=True, filled=True),
        c("risk_raw", "number", out, "The same before calibration", low=0, high=1),
        c("risk_low", "number", out, "5th percentile of the model spread", low=0, high=1),
        c("risk_high", "number", out, "95th percentile of the model spread", low=0, high=1),
        c("threshold", "number", out, "Cut that was chosen without this row", low=0, high=1),
        c("predicted_positive", "boolean", out, "risk >= threshold"),
        c("ood_score", "number", out, "How unlike the training patients (higher: less alike)"),
    ]  # fmt: skip
    table = "derived"
    found += [
        c("onlm", "boolean", out, "Occult nodal metastasis: the label"),
        c("onlm_missing_reason", "text", out, "Why the label is missing"),
        c("arm", "category", admin, "Arm", allowed=("surgery", "sbrt")),
        c("ctr", "number", pre, "Consolidation-to-tumour ratio", low=0, high=1),
        c("derived_t", "category", pre, "Clinical T derived from size, type and descriptor (AJCC 8)", allowed=T_STAGES),
        c("derived_stage", "category", pre, "Clinical stage derived from derived_t, clinical N and M", allowed=STAGES),
    ]
    # Three endpoints share the name of their days with followup.csv; there the cohort keeps what was recorded apart.
    for name in ("recurrence", "regional", "distant"):
        found.append(c(f"recorded_{name}_days", "number", out, f"{name}_days as in followup.csv", "days", low=0))
    for name, kind in ENDPOINTS.items():
        found.append(c(f"{name}_days", "number", out, f"Time of the endpoint {name}", "days", low=0))
        high, said = (1, "") if kind == "event" else (2, ", 2 a competing event")
        found.append(c(f"{name}_{kind}", "integer", out, f"0 censored, 1 the event{said}", low=0, high=high))
    return tuple(found)


COLUMNS: tuple[Column, ...] = _columns()
BY_NAME: dict[str, Column] = {c.name: c for c in reversed(COLUMNS)}
# The label and the endpoints may also come ready-made with a table from elsewhere; then they are checked like the rest.
_ALSO = {"clinical": ("onlm",), "predictions": tuple(c.name for c in COLUMNS if c.table == "derived")}
_PARTS = {"analysis": ("predictions", "clinical", "followup", "derived")}


def columns(table: str, *, extra_columns: Iterable[Column] = ()) -> dict[str, Column]:
    """The columns of "clinical", "followup", "annotations", "predictions" or "analysis", by name, in their order."""
    parts = _PARTS.get(table, (table,))
    found: dict[str, Column] = {}
    for column in COLUMNS:
        if column.table in parts or (column.table == "derived" and column.name in _ALSO.get(table, ())):
            found.setdefault(column.name, column)
    if not found:
        raise ValueError(f"'{table}' is not a table; known: clinical, followup, annotations, predictions, analysis.")
    return found | {c.name: c for c in extra_columns}


def column(name: str, *, extra_columns: Iterable[Column] = ()) -> Column | None:
    """A column by its name, or None where nobody declared it."""
    return {c.name: c for c in extra_columns}.get(name, BY_NAME.get(name))


def declared(found: Mapping[str, Any] | Iterable[Column]) -> tuple[Column, ...]:
    """A study's own columns (`study.columns`: name -> type, timing, unit, allowed, low, high) as Columns.

    Raises:
        DataError: one of them takes a name that is already fixed; its timing must not be declared anew.
    """
    if not isinstance(found, Mapping):
        return tuple(found)
    taken = [name for name in found if name in BY_NAME]
    if taken:
        raise DataError([f"study.toml: [columns.{name}] is a fixed column; take this section out." for name in taken])
    return tuple(
        Column(
            name=name, table="clinical", type=said.type, unit=said.unit, low=said.low, high=said.high,
            allowed=tuple(said.allowed), timing=said.timing, description=said.description or "declared in study.toml",
            required=True, source=OWN,
        )
        for name, said in found.items()
    )  # fmt: skip


def nearest(word: str, known: Iterable[str]) -> str:
    """The known word nearest to `word` (case does not count), or '' where none is near, or several short ones alike."""
    by_case = {k.lower(): k for k in known}
    near = difflib.get_close_matches(word.lower(), list(by_case), n=2, cutoff=0.5)
    if len(word) <= 3 and len(near) > 1 and len({_alike(word.lower(), k) for k in near}) == 1:
        return ""  # N4 is as near to N0 as to N3: any of them would be a guess
    return by_case[near[0]] if near else ""


def _alike(word: str, known: str) -> float:
    return difflib.SequenceMatcher(None, known, word).ratio()


def meant(word: str, known: Iterable[str]) -> str:
    """The end of a sentence about a word that is not known: "; did you mean 'x'?" or "."."""
    near = nearest(word, known)
    return f"; did you mean '{near}'?" if near else "."
