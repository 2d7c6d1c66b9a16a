"""Which patients a panel speaks about, and where their risks come from."""

from __future__ import annotations

import pandas as pd

from onlm_lab.analysis.battery import first_repeat, held_apart, set_names
from onlm_lab.errors import OnlmError
from onlm_lab.study import BASELINES, MODELS

TESTED = {
    "oof": "out-of-fold: each risk comes from models that did not see the patient, and describes the procedure",
    "test": "internal test patients",
    "external": "external test patients",
    "temporal": "test patients treated later than those of development",
}
GROUP = "predicted_group"
GROUPS = ("low risk", "high risk")
SMALLEST_GROUP = 10  # a curve of fewer patients looks like knowledge and is chance; it would also show single patients
# Where 90 % of the risks lie closer together, a cut through them compares chance, and a ratio per 10 points speaks of
# patients who are not there.
NARROWEST_RISKS = 0.10
ARMS = {"surgery": "surgery", "sbrt": "SBRT"}


def arm_words(arm: str) -> str:
    """An arm as a sentence begins with it: 'Surgery arm'."""
    name = ARMS.get(arm, arm)
    return f"{name[:1].upper()}{name[1:]} arm"


def models_of(rows: pd.DataFrame, *, first: str = "") -> tuple[str, ...]:
    """The models of the rows: `first` where it is there, then ours, then the baselines, then whatever else there is."""
    names = [str(m) for m in pd.unique(rows["model_id"])]
    known = [first, *MODELS, *BASELINES]
    return tuple(sorted(names, key=lambda m: known.index(m) if m in known else len(known)))


def splits_of(rows: pd.DataFrame) -> tuple[str, ...]:
    """The splits whose labels the model has not seen, and somebody has: not a locked test set before it is opened."""
    names = set_names(rows)
    there = set(names[rows["onlm"].notna()] if "onlm" in rows.columns else names)
    return tuple(s for s in TESTED if s in there)


def tested(rows: pd.DataFrame, *, split: str | None = None) -> pd.DataFrame:
    """The rows on which a model may be judged, of one split; the first repeat.

    Raises:
        OnlmError: there is none.
    """
    found = splits_of(rows)
    if not found:
        raise OnlmError(
            f"predictions: none of {len(rows)} rows is of split {', '.join(TESTED)}; a model is judged only on "
            "patients that it has not seen. Finish the run with `onlm run STUDY`."
        )
    if split is not None and split not in found:
        raise OnlmError(f"predictions: there is no split '{split}'; there is {', '.join(found)}.")
    return first_repeat(rows[set_names(rows) == (split or found[0])])


def of_model(rows: pd.DataFrame, *, model: str) -> pd.DataFrame:
    """The rows of one model.

    Raises:
        OnlmError: there is none; the message names those there are.
    """
    chosen = rows[rows["model_id"] == model]
    if chosen.empty:
        names = ", ".join(models_of(rows)) or "none"
        raise OnlmError(f"predictions: there is no model '{model}'; there is {names}.")
    return chosen


def arms_of(rows: pd.DataFrame) -> tuple[str, ...]:
    """The arms that have patients, surgery first."""
    return tuple(a for a in ARMS if "arm" in rows.columns and (rows["arm"] == a).any())


def of_arm(rows: pd.DataFrame, *, model: str, arm: str) -> pd.DataFrame:
    """The patients of one arm with one model's risk, one row each: the labelled ones of the main testing set (out of
    fold, where there is a cross-validation), those without a label from the final model. Other testing sets (external
    centres, later years, the locked test set), and who was operated there without a label, are never pooled with them.

    Raises:
        OnlmError: the arm has no patient.
    """
    own = (rows["model_id"] == model).to_numpy()
    if not own.any():
        of_model(rows, model=model)  # raises, naming the models there are
    if "repeat" in rows.columns:
        repeat = rows["repeat"]
        own &= (repeat == repeat[own].min()).to_numpy()
    chosen = rows[own & (rows["arm"] == arm).to_numpy()]
    main, names = splits_of(rows)[:1], set_names(chosen)
    others = ~names.isin(TESTED) & held_apart(chosen).isin(["", *main])
    inside = (names.isin(main) | others).to_numpy()
    chosen = chosen if inside.all() else chosen[inside]
    if chosen.empty:
        raise OnlmError(f"predictions: there is no patient in the {ARMS.get(arm, arm)} arm under model '{model}'.")
    return chosen


def at_threshold(rows: pd.DataFrame, *, threshold: float | None) -> pd.DataFrame:
    """The rows with predicted_positive by `threshold`; unchanged with None (each row's own, fixed without it)."""
    if threshold is None:
        if "predicted_positive" not in rows.columns:
            raise OnlmError("predictions: there is no column predicted_positive; name a threshold.")
        return rows
    called = rows.copy(deep=False)
    called["predicted_positive"], called["threshold"] = (rows["risk"] >= threshold).astype(float), threshold
    return called


def with_predicted_group(rows: pd.DataFrame, *, threshold: float | None = None) -> pd.DataFrame:
    """The rows with `predicted_group`: low risk or high risk."""
    rows = at_threshold(rows, threshold=threshold).copy(deep=False)  # a wide table is not copied for one column
    positive = rows["predicted_positive"]
    rows[GROUP] = pd.Categorical.from_codes((positive == 1).to_numpy(dtype=int), categories=GROUPS)
    known = positive.notna().to_numpy()
    return rows if known.all() else rows[known]


def source_of(rows: pd.DataFrame) -> str:
    """Where the risks come from, in words."""
    counted = rows["split"].value_counts()
    words = {
        "oof": "out-of-fold risks", "test": "risks of internal test patients", "external": "risks of external patients",
        "unlabelled": "risks of the final model",
    }  # fmt: skip
    return " and ".join(f"{words.get(str(s), str(s))} ({n})" for s, n in counted.items())


def threshold_words(rows: pd.DataFrame, *, threshold: float | None) -> str:
    """The threshold in words: the reader's, or the study's range over folds."""
    if threshold is not None:
        return f"risk ≥ {100 * threshold:.1f} % (set by the reader)"
    own = rows["threshold"].dropna() if "threshold" in rows.columns else pd.Series(dtype=float)
    if own.empty:
        return "the study's own threshold"
    low, high = 100 * own.min(), 100 * own.max()
    if round(low, 1) == round(high, 1):
        return f"the study's own threshold, {low:.1f} %"
    return f"the study's own thresholds, {low:.1f} to {high:.1f} % by fold"
