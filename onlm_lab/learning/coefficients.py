"""The clinical-only model as coefficients in a JSON file: a page or another program computes the risk without torch.

    model = clinical_coefficients(encoder, weights=..., bias=..., calibrator=..., threshold=0.12, ranges=..., ...)
    model = load_clinical_model(run_folder / "clinical_model.json")
    model.outside_range(patients)            # what the model never saw: a page refuses such input
    model.risk(patients)                     # risk, risk_low, risk_high
    model.terms()                            # the same as numbers that a person can follow

In frozen mode the clinical model is linear in what the encoder gives, a mean over S seeds, then a calibrator that is
linear too: together one logistic regression. The baseline "logistic" has the same form. Research use only.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from onlm_lab.errors import OnlmError
from onlm_lab.learning.calibrate import Calibrator, calibrator_from_dict
from onlm_lab.learning.clinical import ClinicalEncoder, Input
from onlm_lab.learning.ranges import Range

FORMAT = "onlm_lab clinical model, version 1"
USE = "Research use only: no medical device, not for decisions about a patient."
MIN_SPREAD = 5  # models wanted before their spread is shown, as in predictions.csv
CALCULATION = (
    "Each input x is transformed, then z = (x - mean) / std; a missing value, or a level that is not in `levels`, has "
    "z = 0 and missing = 1, else missing = 0. A level's x is 1 where the column is that level, else 0. Of each seed: "
    "logit = bias + sum(weight z) + sum(missing_weight missing). risk = 1 / (1 + exp(-(intercept + slope mean_logit))) "
    "with intercept and slope of the calibrator; risk_low and risk_high are the 5th and 95th percentile of the seeds' "
    "risks (model spread, no confidence interval), opened to hold the risk."
)


@dataclass(frozen=True)
class ClinicalModel:
    """A clinical-only model, whole: encoder, weights of every seed, calibrator, threshold, and what it has seen.

    Attributes:
        model_id: as in predictions.csv.
        study: the study's name.
        made_up: it learned from made-up patients.
        n, n_positive: labelled training patients, and those of them with N+.
        weights: of each seed, K of the values and K of what is missing.
        bias: of each seed.
        threshold: the calibrated risk from which a patient is predicted positive.
        target_sensitivity: which the threshold was chosen for.
        ranges: of each column that the model reads.
    """

    model_id: str
    study: str
    made_up: bool
    n: int
    n_positive: int
    encoder: ClinicalEncoder
    weights: tuple[tuple[float, ...], ...]
    bias: tuple[float, ...]
    calibrator: Calibrator
    threshold: float
    target_sensitivity: float
    ranges: tuple[Range, ...]

    @property
    def columns(self) -> list[str]:
        """The columns that the model reads, each once."""
        return [found.column for found in self.ranges]

    def risk(self, patients: pd.DataFrame) -> pd.DataFrame:
        """Calibrated risk of N+ of each patient, and the spread of the seeds' risks.

        Args:
            patients: a column for each of `columns`; empty cells are missing values, which the model allows.

        Returns:
            patient_id (where the table has it), risk, risk_low, risk_high; the last two NaN with fewer than five seeds.

        Raises:
            OnlmError: a column is not there, or cells of a number are no number.
        """
        values, missing = self.encoder.transform(self._checked(patients))
        design = np.concatenate([values, missing], axis=1).astype(np.float64)  # (n,2K)
        logit = np.array(self.bias)[:, None] + np.array(self.weights) @ design.T  # (S,n)
        risk = self.calibrator.apply(logit.mean(axis=0))
        low = high = np.full(len(risk), np.nan)
        if len(logit) >= MIN_SPREAD:
            low, high = np.percentile(self.calibrator.apply(logit), [5, 95], axis=0)
            low, high = np.minimum(low, risk), np.maximum(high, risk)
        found = pd.DataFrame({"risk": risk, "risk_low": low, "risk_high": high}, index=patients.index)
        if "patient_id" in patients:
            found.insert(0, "patient_id", patients["patient_id"])
        return found

    def outside_range(self, patients: pd.DataFrame) -> pd.DataFrame:
        """Cells that lie beyond every training patient's, or name a level that none had; missing cells are not listed.

        Returns:
            row (from 0), column, value, low, high (NaN for words), wanted (in words).
        """
        patients, rows = self._checked(patients), []
        for known in self.ranges:
            values = patients[known.column]
            low, high = (np.nan, np.nan) if known.lowest is None else (known.lowest, known.highest)
            rows += [
                (int(row), known.column, values.iloc[row], low, high, known.wanted)
                for row in np.flatnonzero(known.beyond(values))
            ]
        found = pd.DataFrame(
            sorted(rows, key=lambda row: row[0]), columns=["row", "column", "value", "low", "high", "wanted"]
        )
        return found.astype({"row": np.int64, "value": object, "low": np.float64, "high": np.float64})

    def terms(self) -> pd.DataFrame:
        """The model as one logistic regression in the columns' own units, the mean over seeds, calibrated.

        Log odds = the row `intercept` + the sum of coefficient x the input as `transform` writes it. Where a cell is
        missing, the input is put at `mean` (a level: likewise), and `missing_coefficient` is added.

        Returns:
            input, column, transform, unit, mean, std, coefficient (log odds for one more), odds_ratio,
            missing_coefficient.
        """
        slope, k = self.calibrator.slope, len(self.encoder.inputs)
        weight = slope * np.array(self.weights).mean(axis=0)  # (2K,)
        means, stds = (np.array([getattr(item, name) for item in self.encoder.inputs]) for name in ("mean", "std"))
        coefficient = weight[:k] / stds
        start = self.calibrator.intercept + slope * np.mean(self.bias) - np.sum(coefficient * means)
        units = {found.column: found.unit for found in self.ranges}
        rows = [("intercept", "", "", "", np.nan, np.nan, start, np.nan, np.nan)]
        for item, c, m in zip(self.encoder.inputs, coefficient, weight[k:], strict=True):
            unit = "" if item.level is not None else units[item.column]
            rows.append((item.name, item.column, transform_of(item), unit, item.mean, item.std, c, np.exp(c), m))
        names = "input column transform unit mean std coefficient odds_ratio missing_coefficient"
        return pd.DataFrame(rows, columns=names.split())

    def to_json(self) -> str:
        """The model as text, with how to compute a risk from it."""
        k = len(self.encoder.inputs)
        inputs = [
            {**asdict(item), "transform": transform_of(item), "weight": [w[i] for w in self.weights],
             "missing_weight": [w[k + i] for w in self.weights]}
            for i, item in enumerate(self.encoder.inputs)
        ]  # fmt: skip
        said = {
            "format": FORMAT, "use": USE, "made_up": self.made_up, "study": self.study, "model_id": self.model_id,
            "n": self.n, "n_positive": self.n_positive, "calculation": CALCULATION, "bias": list(self.bias),
            "inputs": inputs, "calibrator": self.calibrator.to_dict(), "threshold": self.threshold,
            "target_sensitivity": self.target_sensitivity, "ranges": [asdict(found) for found in self.ranges],
            "terms": json.loads(self.terms().to_json(orient="records", double_precision=10)),
        }  # fmt: skip
        return json.dumps(said, indent=1, allow_nan=False, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> ClinicalModel:
        """A model from such text.

        Raises:
            OnlmError: it is no such text, of another version, or damaged.
        """
        try:
            said = json.loads(text)
        except ValueError as error:
            raise OnlmError(f"A clinical model wants JSON; the text is none ({error}). Write the file anew.") from error
        given = said.get("format") if isinstance(said, dict) else None
        if given != FORMAT:
            raise OnlmError(f"A clinical model wants the format '{FORMAT}'; got {given!r}. Train the run again.")
        try:
            return _read(said)
        except (KeyError, TypeError, ValueError) as error:
            raise OnlmError(
                f"The clinical model is damaged: {error} is missing or does not fit. Train the run again."
            ) from error

    def _checked(self, patients: pd.DataFrame) -> pd.DataFrame:
        """The model's columns, numbers as numbers; all that cannot be read is told at once."""
        lost = [column for column in self.columns if column not in patients]
        if lost:
            raise OnlmError(
                f"The model needs the column {', '.join(lost)}, and the table does not have it. Add it, empty where "
                "nothing is known."
            )
        kept, faults = {}, []
        for known in self.ranges:
            values = patients[known.column]
            if known.lowest is None:
                kept[known.column] = values.astype(object)
                continue
            numbers = pd.to_numeric(values, errors="coerce").astype(np.float64)
            words = values.map(lambda value: isinstance(value, str))
            bad = words | (values.notna() & numbers.isna()) | np.isinf(numbers)
            if bad.any():
                first = values[bad].iloc[0]
                faults.append(f"{known.column}: {int(bad.sum())} of {len(bad)} cells are no number (such as {first!r})")
            kept[known.column] = numbers
        if faults:
            raise OnlmError("; ".join(faults) + ". Wanted numbers, or empty cells where nothing is known.")
        return pd.DataFrame(kept, index=patients.index)


def clinical_coefficients(
    encoder: ClinicalEncoder,
    *,
    weights: np.ndarray,
    bias: np.ndarray,
    calibrator: Calibrator,
    threshold: float,
    target_sensitivity: float,
    ranges: Sequence[Range],
    model_id: str,
    study: str,
    made_up: bool,
) -> ClinicalModel:
    """The clinical-only model, or the baseline "logistic", as a `ClinicalModel`.

    Args:
        encoder: of the rows that the weights learned from.
        weights: (S,2K) or (S,1,2K), of values and then of what is missing: state "clinical_linear.weight".
        bias: (S,) or (S,1): state "bias".
        calibrator: of inner out-of-fold logits; its n and n_positive are the model's.
        threshold: calibrated risk.
        target_sensitivity: which it was chosen for.
        ranges: of `training_ranges`.
        model_id, study, made_up: what every artefact says of itself.

    Raises:
        OnlmError: weights, bias, ranges and encoder do not belong together, or a number is not finite.
    """
    weights = np.asarray(weights, dtype=np.float64)
    weights, bias = weights.reshape(len(weights), -1), np.asarray(bias, dtype=np.float64).ravel()
    n_inputs = len(encoder.inputs)
    if weights.shape != (len(bias), 2 * n_inputs):
        raise OnlmError(
            f"The clinical model has {len(bias)} biases and weights of shape {weights.shape}; wanted two weights of "
            f"each of the encoder's {n_inputs} inputs a bias. Only a model without a meeting network can be written so."
        )
    if not (np.isfinite(weights).all() and np.isfinite(bias).all()):
        raise OnlmError("The clinical model has weights that are not numbers. Lower [training] learning_rate.")
    columns = {item.column for item in encoder.inputs}
    found = {known.column: known for known in ranges}
    if columns - set(found):
        raise OnlmError(f"No training range of {', '.join(sorted(columns - set(found)))}; wanted one of each column.")
    return ClinicalModel(
        model_id=model_id, study=study, made_up=made_up, n=calibrator.n, n_positive=calibrator.n_positive,
        encoder=encoder, weights=tuple(map(tuple, weights.tolist())), bias=tuple(bias.tolist()), calibrator=calibrator,
        threshold=float(threshold), target_sensitivity=float(target_sensitivity),
        ranges=tuple(found[name] for name in dict.fromkeys(item.column for item in encoder.inputs)),
    )  # fmt: skip


def load_clinical_model(path: str | Path) -> ClinicalModel:
    """The model that a run left, for a page or a program without torch.

    Raises:
        OnlmError: there is no such file, or it is no clinical model.
    """
    path = Path(path)
    if not path.is_file():
        raise OnlmError(
            f"{path.name} is not there; wanted the clinical model of a finished run. Run `onlm train STUDY` with "
            '"clinical" among [training] models.'
        )
    try:
        return ClinicalModel.from_json(path.read_text(encoding="utf-8"))
    except (OnlmError, UnicodeDecodeError) as error:
        raise OnlmError(f"{path.name}: {error}") from error


def transform_of(item: Input) -> str:
    """How a cell becomes the input, before it is scaled: "log2(cea_ng_ml + 0.5)", "1 if sex is female else 0"."""
    if item.level is not None:
        return f"1 if {item.column} is {item.level} else 0"
    return item.column if item.log_offset is None else f"log2({item.column} + {item.log_offset:g})"


def _read(said: dict[str, Any]) -> ClinicalModel:
    own = ("transform", "weight", "missing_weight")
    encoder = ClinicalEncoder.from_dict(
        {"inputs": [{name: v for name, v in item.items() if name not in own} for item in said["inputs"]]}
    )
    values, missing = (np.array([item[name] for item in said["inputs"]], dtype=np.float64) for name in own[1:])
    return clinical_coefficients(
        encoder,
        weights=np.concatenate([values, missing]).T,
        bias=np.array(said["bias"], dtype=np.float64),
        calibrator=calibrator_from_dict(said["calibrator"]),
        threshold=said["threshold"],
        target_sensitivity=said["target_sensitivity"],
        ranges=[Range(**{**known, "levels": tuple(known["levels"])}) for known in said["ranges"]],
        model_id=said["model_id"],
        study=said["study"],
        made_up=said["made_up"],
    )
