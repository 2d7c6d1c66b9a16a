"""Lesson 4: five teams hand in an AUC, and in four of them something leaked. MADE-UP DATA; the truth is known.

In this world four values known before surgery tell N+ from N0 with an AUC of about 0.75; nothing can do better. Picking
features before the split: Ambroise and McLachlan 2002, doi:10.1073/pnas.102102699. Scanners that go with the label by
hospital: Zech and others 2018, doi:10.1371/journal.pmed.1002683.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd
from scipy.special import expit
from threadpoolctl import threadpool_limits

from onlm_lab import analysis

PREDICTORS = ("solid_diameter_mm", "cea_ng_ml", "suv_max", "age_years")
FROM_REPORT = "follow_up_plan"  # written after the pathology report: the planted column
CHOSEN, BROUGHT = "chosen on the test patients", "brought from training"
HANDED_IN, NEW = "as handed in", "in new patients"
TEAMS = {
    "Team A": "Four values known before surgery. 200 patients taught the model, 200 others tested it.",
    "Team B": "As Team A, and one column more: follow_up_plan, who sees the patient next. 200 patients taught the "
    "model, 200 others tested it.",
    "Team C": "The four values in a random forest. Each CT is a row of its own (many patients had two), and half of "
    "the rows, drawn at random, taught the model; the other half tested it.",
    "Team D": "2,000 texture features of 120 CTs. We kept the ten that differ most between N+ and N0, then tested a "
    "model of these ten by five-fold cross-validation.",
    "Team E": "An image model of three hospitals, nothing but the CT goes in. Half of the patients taught it, the "
    "other half tested it.",
}  # fmt: skip
N_TAUGHT, N_TESTED, N_NEW, N_OF_HOSPITALS = 200, 200, 2000, 600
HOSPITALS = ("Hospital 1", "Hospital 2", "Hospital 3")
SHARE_POSITIVE = {"Hospital 1": 0.55, "Hospital 2": 0.06, "Hospital 3": 0.08}  # of Team E: Hospital 1 is sent the worst
NOISE_HU = {"Hospital 1": 36.0, "Hospital 2": 18.0, "Hospital 3": 20.0}  # each hospital has a scanner of its own
MOST_FEATURES, N_KEPT, N_CTS, N_FOLDS = 2000, 10, 120, 5
_WEIGHTS = np.array([0.8, 0.5, 0.45, -0.3])


@dataclass(frozen=True, eq=False)
class HandIn:
    """What a team hands in, and what becomes of it.

    Attributes:
        team: its name.
        tested: rows of the patients on whom the team tested: patient_id, centre, onlm, risk, model_id and the columns.
        new: the same of 2,000 new patients as they are before surgery, from the same world, whom nobody has seen.
        taught: rows of those who taught the model.
        columns: what went into the model.
    """

    team: str
    tested: pd.DataFrame
    new: pd.DataFrame
    taught: pd.DataFrame
    columns: tuple[str, ...]


def draw_patients(n: int, *, seed: int, prefix: str = "P") -> pd.DataFrame:
    """Made-up patients with clean-looking nodes, what was measured, and what the pathologist found.

    Args:
        n: how many.
        seed: of the chance.
        prefix: of their ids.

    Returns:
        patient_id, centre, sex, lobe, age_years, total_diameter_mm, solid_diameter_mm, cea_ng_ml, suv_max, pack_years,
        follow_up_plan (written after surgery), onlm.
    """
    chance = np.random.default_rng([4, seed])
    z = chance.normal(size=(n, 4))
    onlm = (chance.uniform(size=n) < expit(-1.7 + z @ _WEIGHTS)).astype(int)
    solid = np.round(np.exp(2.8 + 0.35 * z[:, 0]), 1)
    to_oncologist = chance.uniform(size=n) < np.where(onlm == 1, 0.93, 0.03)
    return pd.DataFrame({
        "patient_id": [f"{prefix}{k:04d}" for k in range(1, n + 1)],
        "centre": chance.choice(HOSPITALS, n),
        "sex": chance.choice(["female", "male"], n),
        "lobe": chance.choice(["RUL", "RML", "RLL", "LUL", "LLL"], n),
        "age_years": np.round(64 + 9 * z[:, 3]),
        "total_diameter_mm": np.round(solid + chance.gamma(1.5, 2, n), 1),
        "solid_diameter_mm": solid,
        "cea_ng_ml": np.round(np.exp(0.95 + 0.75 * z[:, 1]), 2),
        "suv_max": np.round(np.exp(1.3 + 0.5 * z[:, 2]), 1),
        "pack_years": np.round(chance.gamma(1.2, 18, n)),
        FROM_REPORT: np.where(to_oncologist, "oncologist", "surgeon"),
        "onlm": onlm,
    })  # fmt: skip


@lru_cache(maxsize=32)
def hand_in(team: str, *, seed: int = 1) -> HandIn:
    """One team's work, and the same model in 2,000 new patients.

    Args:
        team: one of TEAMS.
        seed: of the chance.

    Raises:
        KeyError: no such team.
    """
    makers = {"Team A": _before_surgery, "Team B": _with_the_report, "Team C": _rows_of_ct, "Team D": _textures,
              "Team E": _scanners}  # fmt: skip
    return makers[team](team, seed)


def scores(*, seed: int = 1, teams: Sequence[str] = tuple(TEAMS)) -> pd.DataFrame:
    """The AUC that each team hands in, and that of its model in new patients: team, where, auc, low, high, n."""
    lines = []
    for team in teams:
        work = hand_in(team, seed=seed)
        for where, rows in ((HANDED_IN, work.tested), (NEW, work.new)):
            found = analysis.roc(rows)
            lines.append([team, where, found.auc.value, found.auc.low, found.auc.high, found.n])
    return pd.DataFrame(lines, columns=["team", "where", "auc", "low", "high", "n"])


def with_shared_patients(share: float, *, seed: int = 1) -> tuple[pd.DataFrame, pd.DataFrame]:
    """A random forest tested on patients of whom a share also taught it, by an earlier CT, and on new patients.

    Args:
        share: of the 200 test patients, 0 to 1.
        seed: of the chance.

    Returns:
        The rows of the test and those of new patients: patient_id, onlm, risk, model_id.
    """
    tested, new, _ = _shared(share, seed)
    return tested, new


def with_picked_features(n_features: int, *, seed: int = 1) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Ten of many features that mean nothing, picked before the split and picked anew within each fold.

    Args:
        n_features: how many to pick from, 10 or more.
        seed: of the chance.

    Returns:
        Out-of-fold rows of both: patient_id, onlm, risk, model_id. The true AUC of both is 0.5.
    """
    chance = np.random.default_rng([44, seed])
    features = chance.normal(size=(N_CTS, MOST_FEATURES))[:, :n_features]
    onlm = np.repeat([1, 0], [N_CTS // 4, N_CTS - N_CTS // 4])
    fold = chance.permutation(np.arange(N_CTS) % N_FOLDS)
    everywhere = _most_different(features, onlm)
    before, within = np.zeros(N_CTS), np.zeros(N_CTS)
    for k in range(N_FOLDS):
        own = fold != k
        before[~own] = _logistic(features[own][:, everywhere], onlm[own], features[~own][:, everywhere])
        chosen = _most_different(features[own], onlm[own])
        within[~own] = _logistic(features[own][:, chosen], onlm[own], features[~own][:, chosen])
    ids = [f"P{k:04d}" for k in range(1, N_CTS + 1)]
    return _rows(ids, onlm, before, "picked before the split"), _rows(ids, onlm, within, "picked in each fold")


def chosen_thresholds(n_tested: int, *, seed: int = 1, n_times: int = 100) -> pd.DataFrame:
    """Sensitivity and specificity at a threshold chosen on the test patients, and at one brought from training.

    The model is Team A's; the threshold maximises sensitivity + specificity. Averages over made-up test sets; low and
    high are where 95 % of the test sets lie.

    Args:
        n_tested: patients of each test set.
        seed: of the chance.
        n_times: how many test sets.

    Returns:
        threshold (CHOSEN, BROUGHT), measure, value, low, high.
    """
    chance = np.random.default_rng([444, seed])
    work = hand_in("Team A", seed=seed)
    brought = float(analysis.choose_threshold(_scored(work.taught, work), rule="youden"))
    cases, others = (work.new[work.new["onlm"] == k] for k in (1, 0))
    n_cases = max(4, round(n_tested * len(cases) / len(work.new)))
    found: dict[tuple[str, str], list[float]] = {}
    for _ in range(n_times):
        rows = pd.concat([cases.iloc[chance.permutation(len(cases))[:n_cases]],
                          others.iloc[chance.permutation(len(others))[: n_tested - n_cases]]])  # fmt: skip
        own = analysis.choose_threshold(rows, rule="youden")
        for name, threshold in ((CHOSEN, own), (BROUGHT, brought)):
            point = analysis.operating_point(rows, threshold=float(threshold))
            for measure in ("sensitivity", "specificity"):
                found.setdefault((name, measure), []).append(getattr(point, measure).value)
            both = point.sensitivity.value + point.specificity.value
            found.setdefault((name, "sensitivity + specificity"), []).append(both)
    lines = [[*key, np.mean(v), *np.percentile(v, [2.5, 97.5])] for key, v in found.items()]
    return pd.DataFrame(lines, columns=["threshold", "measure", "value", "low", "high"])


def _before_surgery(team: str, seed: int) -> HandIn:
    return _by_patient(team, seed, PREDICTORS)


def _with_the_report(team: str, seed: int) -> HandIn:
    return _by_patient(team, seed, (*PREDICTORS, FROM_REPORT))


def _by_patient(team: str, seed: int, columns: tuple[str, ...]) -> HandIn:
    patients = draw_patients(N_TAUGHT + N_TESTED, seed=seed)
    taught, tested = patients[:N_TAUGHT], patients[N_TAUGHT:].reset_index(drop=True)
    new = draw_patients(N_NEW, seed=1000 + seed, prefix="N")
    new = new.assign(**{FROM_REPORT: "surgeon"})  # before surgery nobody has been sent to the oncologist
    risks = [_logistic(_matrix(taught, columns), taught["onlm"].to_numpy(), _matrix(r, columns)) for r in (tested, new)]
    tested, new = (r.assign(risk=p, model_id=team) for r, p in zip((tested, new), risks, strict=True))
    return HandIn(team, tested, new, taught, columns)


def _rows_of_ct(team: str, seed: int) -> HandIn:
    tested, new, taught = _shared(0.7, seed)
    return HandIn(team, tested.assign(model_id=team), new.assign(model_id=team), taught, PREDICTORS)


def _shared(share: float, seed: int) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    from sklearn.ensemble import RandomForestClassifier  # a second to import: only where it is used

    patients = draw_patients(N_TAUGHT + N_TESTED, seed=seed)
    tested = patients[N_TAUGHT:].reset_index(drop=True)
    again = tested[: round(share * N_TESTED)].copy()
    chance = np.random.default_rng([5, seed])
    for column in ("solid_diameter_mm", "suv_max"):  # measured anew on the other CT; the rest is the same blood and age
        again[column] = (again[column] * np.exp(0.01 * chance.normal(size=len(again)))).round(1)
    again["patient_id"] = again["patient_id"] + "-2"
    taught = pd.concat([patients[:N_TAUGHT], again], ignore_index=True)
    new = draw_patients(N_NEW, seed=1000 + seed, prefix="N")
    forest = RandomForestClassifier(60, random_state=seed).fit(_matrix(taught, PREDICTORS), taught["onlm"])
    risks = [forest.predict_proba(_matrix(r, PREDICTORS))[:, 1] for r in (tested, new)]
    return (
        tested.assign(risk=risks[0], model_id="on the test patients"),
        new.assign(risk=risks[1], model_id="on new patients"),
        taught,
    )


def _textures(team: str, seed: int) -> HandIn:
    tested, _ = with_picked_features(MOST_FEATURES, seed=seed)
    chance = np.random.default_rng([444, 4, seed])  # the features mean nothing, so new patients' risks do not either
    onlm = (chance.uniform(size=N_NEW) < 0.25).astype(int)
    ids = [f"N{k:04d}" for k in range(1, N_NEW + 1)]
    new = _rows(ids, onlm, chance.permutation(np.resize(tested["risk"].to_numpy(), N_NEW)), team)
    columns = tuple(f"texture_{k:04d}" for k in range(1, N_KEPT + 1))
    return HandIn(team, tested.assign(model_id=team), new, tested, columns)


def _scanners(team: str, seed: int) -> HandIn:
    patients = _of_hospitals(2 * N_OF_HOSPITALS, seed=seed)
    taught, tested = patients[:N_OF_HOSPITALS], patients[N_OF_HOSPITALS:].reset_index(drop=True)
    new = _of_hospitals(N_NEW, seed=1000 + seed, prefix="N")
    one_scanner = np.random.default_rng([6, seed]).normal(NOISE_HU["Hospital 2"], 2.5, N_NEW)
    new = new.assign(centre="a fourth hospital", noise_hu=one_scanner.round(1))
    columns = ("noise_hu",)
    risks = [_logistic(_matrix(taught, columns), taught["onlm"].to_numpy(), _matrix(r, columns)) for r in (tested, new)]
    tested, new = (r.assign(risk=p, model_id=team) for r, p in zip((tested, new), risks, strict=True))
    return HandIn(team, tested, new, taught, columns)


def _of_hospitals(n: int, *, seed: int, prefix: str = "P") -> pd.DataFrame:
    """Patients of whom the CT shows nothing but which scanner took it."""
    chance = np.random.default_rng([7, seed])
    centre = chance.choice(HOSPITALS, n)
    share, noise = (np.vectorize(given.get, otypes=[float])(centre) for given in (SHARE_POSITIVE, NOISE_HU))
    return pd.DataFrame({
        "patient_id": [f"{prefix}{k:04d}" for k in range(1, n + 1)], "centre": centre,
        "noise_hu": chance.normal(noise, 2.5).round(1), "onlm": (chance.uniform(size=n) < share).astype(int),
    })  # fmt: skip


def _scored(rows: pd.DataFrame, work: HandIn) -> pd.DataFrame:
    """Rows with the risks that the team's model gives them."""
    taught = work.taught
    risk = _logistic(_matrix(taught, work.columns), taught["onlm"].to_numpy(), _matrix(rows, work.columns))
    return rows.assign(risk=risk, model_id=work.team)


def _matrix(rows: pd.DataFrame, columns: Sequence[str]) -> np.ndarray:
    """(n, p) numbers; skew ones on the log scale, the plan as 0 and 1."""
    logged = ("solid_diameter_mm", "cea_ng_ml", "suv_max")
    out = [
        rows[c].eq("oncologist") if c == FROM_REPORT else np.log(rows[c]) if c in logged else rows[c] for c in columns
    ]
    return np.column_stack([np.asarray(column, dtype=float) for column in out])


def _logistic(x: np.ndarray, onlm: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Risks of other patients by a logistic model taught on x."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    with threadpool_limits(limits=1):  # the matrices are small, and a class shares a host
        model = make_pipeline(StandardScaler(), LogisticRegression(solver="newton-cholesky"))
        return model.fit(x, onlm).predict_proba(other)[:, 1]


def _most_different(features: np.ndarray, onlm: np.ndarray) -> np.ndarray:
    """Which features differ most between N+ and N0, in mean."""
    apart = np.abs(features[onlm == 1].mean(axis=0) - features[onlm == 0].mean(axis=0))
    return np.argsort(-apart)[:N_KEPT]


def _rows(ids: list[str], onlm: np.ndarray, risk: np.ndarray, model_id: str) -> pd.DataFrame:
    return pd.DataFrame({"patient_id": ids, "onlm": onlm, "risk": risk, "model_id": model_id})
