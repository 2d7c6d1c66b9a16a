"""What the report of the real table must say of outcomes, each sentence with the numbers of other libraries."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import outcomes_elsewhere as by
import pandas as pd
import statsmodels.api as sm
from lifelines.statistics import multivariate_logrank_test
from report_ledger import Claim
from scipy.stats import chi2
from statsmodels.genmod.families.links import CLogLog
from statsmodels.tools.sm_exceptions import DomainWarning

HORIZON, MONTH, YEAR = 1095, 365.25 / 12, 365.25
SURVIVAL = {"os": "overall survival", "rfs": "recurrence-free survival"}
EVENT = {"os": "death", "rfs": "recurrence or death"}
COMPETING = {
    "recurrence": "recurrence", "regional": "regional (nodal) recurrence", "distant": "distant recurrence",
}  # fmt: skip
ENDPOINTS = SURVIVAL | COMPETING
HALVES = ("low risk", "high risk")
FREE = "How long do patients stay alive and free of the event?"
DRAWN = "Surgery arm, groups by clinical; {} patients, {} events ({} %); band: 95 % interval; "
FEW_EVENTS = 10


@dataclass(frozen=True)
class Table:
    """The patients of the clinical model, everybody's risks, and what the run tells of probabilities."""

    rows: pd.DataFrame
    risks: pd.DataFrame
    told: pd.DataFrame

    def of(self, endpoint: str, inside: np.ndarray | slice = slice(None)) -> tuple[np.ndarray, np.ndarray]:
        """Days and state of an endpoint, in some of the patients."""
        return self.rows[f"{endpoint}_days"].to_numpy()[inside], self.rows[f"{endpoint}_state"].to_numpy()[inside]

    @property
    def halves(self) -> dict[str, np.ndarray]:
        return {"low risk": self.rows["high"].to_numpy() == 0, "high risk": self.rows["high"].to_numpy() == 1}

    def probabilities(self, endpoint: str, at: int) -> np.ndarray:
        """P(event by the day), as event_risk.csv has it, in the order of the rows."""
        one = self.told.query("model_id == 'clinical' and endpoint == @endpoint and horizon_days == @at")
        return one.set_index("patient_id")["event_risk"].reindex(self.rows["patient_id"]).to_numpy()


def read(run: Path) -> Table:
    """The run's own files, joined by pandas: halves, the risk in standard deviations, the state of every endpoint."""
    patients, risks = pd.read_csv(run / "patients.csv"), pd.read_csv(run / "predictions.csv")
    own = risks[risks["model_id"] == "clinical"][["patient_id", "risk", "fold", "predicted_positive", "split"]]
    rows = patients.merge(own, on="patient_id", validate="one_to_one")
    rows = rows.assign(
        high=(rows["risk"] >= rows["risk"].median()).astype(int),
        sd_risk=(rows["risk"] - rows["risk"].mean()) / rows["risk"].std(), male=(rows["sex"] == "male").astype(int),
        os_state=rows["os_event"], rfs_state=rows["rfs_event"],
    )  # fmt: skip
    return Table(rows, risks, pd.read_csv(run / "event_risk.csv"))


def percents(values) -> list[float]:
    return [100 * v for v in values]


def value_at(t: Table, endpoint: str, inside, at: float = HORIZON) -> list[float]:
    """Survival or incidence with its limits, in per cent."""
    days, state = t.of(endpoint, inside)
    return percents((by.survival_at if endpoint in SURVIVAL else by.incidence_at)(days, state, at))


def p_of_halves(t: Table, r: dict[str, float], endpoint: str) -> float | None:
    """Log-rank by lifelines; Gray's test only R has."""
    if endpoint in COMPETING:
        return r.get(f"{endpoint}/gray_p")
    return float(multivariate_logrank_test(*_by(t, endpoint)).p_value)


def _by(t: Table, endpoint: str):
    days, state = t.of(endpoint)
    return days, t.rows["high"], state


def ratio_of_halves(t: Table, r: dict[str, float], endpoint: str) -> list[float | None]:
    if endpoint in COMPETING:
        return [r.get(f"{endpoint}/{part}") for part in ("shr", "shr_low", "shr_high")]
    days, state = t.of(endpoint)
    return list(by.ratio(by.cox(t.rows[["high"]], days, state), "high")[:3])


def whole_numbers(share: list[float]) -> list[int]:
    """Of a hundred, by largest remainders."""
    exact = 100 * np.array(share)
    count = np.floor(exact + 1e-9)
    count[np.argsort(-(exact - count), kind="stable")[: round(100 - count.sum())]] += 1
    return count.astype(int).tolist()


def all_claims(t: Table, r: dict[str, float]) -> list[Claim]:
    """Every sentence of the sections, in their order."""
    return [
        *settings(), *arm(t), *card(t, r), *sites(t), *curves(t, r), *by_pathologist(t), *inside_pathology(t),
        *mean_times(t), *hazards(t), *accuracy(t), *calibration(t), *worth(t),
    ]  # fmt: skip


def settings() -> list[Claim]:
    """What is no result: levels, chance, units, limits."""
    return [
        Claim("{} % interval", (95,)), Claim("{} - Kaplan-Meier would have read", (1,)),
        Claim("at {} years:", (3,)), Claim("by {} years, other events competing", (3,)),
        Claim("What became of the patients by {} years?", (3,)), Claim("By {} years |", (3,)),
        Claim("Groups of fewer than {} are not compared.", (10,)), Claim("where {} is chance", (0.5,)),
        Claim("An adjusted ratio needs {} events a coefficient.", (5,)),
        Claim("Surgery: clinical, by {} years", (3,)), Claim("within {} years |", (3,)),
        Claim("AUC: {} is chance. Scaled Brier: above {} is", (0.5, 0)),
        Claim("same probability, below {} worse", (0,)), Claim("slope: {} is right.", (1,)),
        Claim("death within {} years: predicted", (3,)),
        Claim("AUC for recurrence or death within {} years", (3,)),
        Claim("Recurrence or death within {} years:", (3,)), Claim("thresholds {} % to {} %", (2, 40)),
    ]  # fmt: skip


def arm(t: Table) -> list[Claim]:
    rows, risk = t.rows, t.rows["risk"]
    n_high = int(rows["predicted_positive"].sum())
    low, high = np.quantile(risk, [0.05, 0.95])
    return [
        Claim("{} patients, {} deaths; median follow-up {} years",
              (len(rows), rows["died"].sum(), by.followed_days(rows["os_days"], rows["os_event"]) / YEAR)),
        Claim("threshold {} of {} patients are predicted low risk and {} high risk",
              (len(rows) - n_high, len(rows), n_high)),
        Claim("{} % of the predicted risks lie between {} % and {} %", (90, 100 * low, 100 * high)),
        Claim("split at the median risk instead ({} %)", (100 * np.median(risk),)),
        Claim("does not separate N+ from N0 in internal testing (out-of-fold): AUC {} ({} to {})",
              by.area_of_roc(risk, rows["onlm"])),
    ]  # fmt: skip


def card(t: Table, r: dict[str, float]) -> list[Claim]:
    said = [Claim("high risk from the median risk on, {} %; {} patients", (100 * t.rows["risk"].median(), len(t.rows)))]
    for name, inside in t.halves.items():
        days, state = t.of("os", inside)
        any_site, died = (by.incidence_at(*t.of("recurrence", inside), HORIZON, cause=c)[0] for c in (1, 2))
        nodal = by.incidence_at(*t.of("regional", inside), HORIZON)[0]
        counts = whole_numbers([1 - any_site - died, nodal, any_site - nodal, died])
        words = ("alive, no recurrence", "recurrence in the nodes first", "recurrence elsewhere first",
                 "died without recurrence")  # fmt: skip
        said.append(Claim(
            f"{name}\n{{}} patients; median follow-up {{}} years\nOf {{}} such patients, within {{}} years:\n"
            "Of {} such patients: " + ", ".join(f"{{}} {w}" for w in words) + "\n"
            + "\n".join(f"{{}} {w}" for w in words),
            (inside.sum(), by.followed_days(days, state) / YEAR, 100, 3, 100, *counts, *counts),
        ))  # fmt: skip
    for endpoint, words in ENDPOINTS.items():
        cells = [v for inside in t.halves.values() for v in value_at(t, endpoint, inside)]
        kind = "sHR" if endpoint in COMPETING else "HR"
        said.append(Claim(
            f"{words.capitalize()} | {{}} % ({{}} to {{}}) | {{}} % ({{}} to {{}}) | {kind} {{}} ({{}} to {{}}), "
            "P = {}",
            (*cells, *ratio_of_halves(t, r, endpoint), p_of_halves(t, r, endpoint)),
        ))  # fmt: skip
    few = {words: n for e, words in ENDPOINTS.items() if (n := int((t.of(e)[1] == 1).sum())) < FEW_EVENTS}
    said.append(Claim(f"Few events ({', '.join(f'{w} {{}}' for w in few)})", tuple(few.values())))
    return said


def each_one(claims: list[tuple[str, list]]) -> list[Claim]:
    """Counts of some of the patients with their share, one after another."""
    return [Claim(sentence, tuple(v for k, n in pairs for v in (k, n, 100 * k / n))) for sentence, pairs in claims]


CELL = "{} of {} ({} %)"


def sites(t: Table) -> list[Claim]:
    recurred, site = t.rows["recurred"] == 1, t.rows["recurrence_site"]
    where = {"any": recurred} | {s: recurred & (site == s) for s in ("local", "regional", "distant")}
    groups = [*t.halves.values(), np.ones(len(t.rows), dtype=bool)]
    names = {"regional": "regional (nodes)"}
    assert where["local"].sum() + where["regional"].sum() + where["distant"].sum() == recurred.sum()  # none unknown
    return each_one([
        (f"\n{names.get(name, name)} | " + " | ".join([CELL] * 3), [((found & g).sum(), g.sum()) for g in groups])
        for name, found in where.items()
    ])  # fmt: skip


def curves(t: Table, r: dict[str, float]) -> list[Claim]:
    said = []
    for endpoint, words in ENDPOINTS.items():
        competing = endpoint in COMPETING
        groups = [(*value_at(t, endpoint, g), g.sum()) for g in t.halves.values()]
        start = f"Incidence of {words} by 3 years, other events competing" if competing else (
            f"{words.capitalize()} at 3 years"
        )  # fmt: skip
        p, test = p_of_halves(t, r, endpoint), "Gray" if competing else "log-rank"
        parts = ", ".join(f"{name} {{}} % ({{}} to {{}}) (n = {{}})" for name in HALVES)
        n, n_events = len(t.rows), int((t.of(endpoint)[1] == 1).sum())
        title = {"os": "How long do patients stay alive?", "rfs": FREE}.get(
            endpoint, f"How many patients have {words}?"
        )
        said.append(Claim(
            f"{start}: {parts}; {test} P = {{}}.\n{title}\n{DRAWN}{test} P = {{}}",
            (*(v for g in groups for v in g), p, n, n_events, 100 * n_events / n, p),
        ))  # fmt: skip
        wrong = []
        for name, inside in t.halves.items() if competing else ():
            days, state = t.of(endpoint, inside)
            naive, right = 100 - 100 * by.survival_at(days, state == 1, HORIZON)[0], value_at(t, endpoint, inside)[0]
            wrong += [(name, naive, right)] if naive - right >= 1 else []
        if wrong:
            parts = ", ".join(f"{{}} % instead of {{}} % ({name})" for name, *_ in wrong)
            said.append(Claim(f"would have read {parts} by {{}} years", (*(v for _, *w in wrong for v in w), 3)))
    return said


def by_pathologist(t: Table) -> list[Claim]:
    labels = [t.rows["onlm"] == 0, t.rows["onlm"] == 1]
    return each_one([
        (f"\n{EVENT.get(e, words)} | {CELL} | {CELL}", [((t.of(e)[1] == 1)[g].sum(), g.sum()) for g in labels])
        for e, words in ENDPOINTS.items()
    ])  # fmt: skip


def inside_pathology(t: Table) -> list[Claim]:
    positive, days, state = t.rows["onlm"].to_numpy() == 1, *t.of("rfs")
    four = {
        f"{half}, {label}": inside & own
        for half, inside in t.halves.items() for label, own in (("N0", ~positive), ("N+", positive))
    }  # fmt: skip
    values = [(*value_at(t, "rfs", g), g.sum()) for g in four.values()]
    code = sum(i * g.astype(int) for i, g in enumerate(four.values()))
    p = float(multivariate_logrank_test(days, code, state).p_value)
    stratified = float(sm.duration.survdiff(days, state, t.rows["high"].to_numpy(), strata=positive.astype(int))[1])
    parts = ", ".join(f"{name} {{}} % ({{}} to {{}}) (n = {{}})" for name in four)
    n_events = int(state.sum())
    return [
        Claim(f"Recurrence-free survival at 3 years: {parts}; log-rank P = {{}}.",
              (*(v for g in values for v in g), p)),
        Claim(f"within N0 and within N+ (stratified test): P = {{}}.\n{FREE}\n{DRAWN}log-rank P = {{}}",
              (stratified, len(days), n_events, 100 * n_events / len(days), p)),
    ]  # fmt: skip


def mean_times(t: Table) -> list[Claim]:
    said = []
    for endpoint, words in ENDPOINTS.items():
        call, what = (by.time_lost, "lost to") if endpoint in COMPETING else (by.mean_time, "of")
        found = [call(*t.of(endpoint, g), HORIZON) for g in t.halves.values()]
        found.append((found[1][0] - found[0][0], np.hypot(found[0][1], found[1][1])))
        values = [(v + k * by.Z * error) / MONTH for v, error in found for k in (0, -1, 1)]
        said.append(Claim(
            f"Months {what} {words} within 3 years | {{}} ({{}} to {{}}) | {{}} ({{}} to {{}}) | {{}} ({{}} to {{}}) |",
            tuple(values),
        ))  # fmt: skip
    return said


def hazards(t: Table) -> list[Claim]:
    spread = 100 * t.rows["risk"].std()
    said = [Claim("per standard deviation ({} percentage points)", (spread,))]
    for endpoint, words in ENDPOINTS.items():
        days, state = t.of(endpoint)
        event = state == 1
        alone = by.cox(t.rows[["sd_risk"]], days, event)
        hr, low, high, p = by.ratio(alone, "sd_risk")
        constant = by.proportional_p(t.rows["sd_risk"], days, event, float(alone.params_["sd_risk"]))
        start = f"\n{words} | {{}} / {{}} | {{}} ({{}} to {{}}) | {{}} | "
        first = (event.sum(), len(days), hr, low, high, p)
        if event.sum() < 15:  # five a coefficient
            said += [Claim(f"{start}– | – | – | {{}} |", (*first, constant)),
                     Claim(f"{words.capitalize()}: few events: {{}} for {{}} coefficient (at least {{}} each",
                           (event.sum(), 1, 10))]  # fmt: skip
            continue
        beside, gain_p, gain = added(t, days, event)
        said.append(Claim(f"{start}{{}} ({{}} to {{}}) | {{}} | {{}} ({{}} to {{}}) | {{}} |",
                          (*first, *beside[:3], gain_p, *gain, constant)))  # fmt: skip
        if endpoint == "os":
            n = len(days)
            said += [
                Claim("alone {} ({} to {}), P = {}, beside age and sex {} ({} to {}), P = {}.",
                      (hr, low, high, p, *beside)),
                Claim("the risk changes the concordance by {} ({} to {}) (likelihood ratio P = {}; apparent)",
                      (*gain, gain_p)),
                Claim("risk of clinical; {} patients, {} events ({} %)", (n, event.sum(), 100 * event.sum() / n)),
            ]  # fmt: skip
    return said


def added(t: Table, days, event) -> tuple[tuple[float, ...], float, list[float]]:
    """The risk beside age and sex: its ratio, the likelihood-ratio test, the difference of C with its limits."""
    base = by.cox(t.rows[["age_years", "male"]], days, event)
    full = by.cox(t.rows[["sd_risk", "age_years", "male"]], days, event)
    p = float(chi2.sf(2 * (full.log_likelihood_ - base.log_likelihood_), 1))
    scores = [np.round(np.log(f.predict_partial_hazard(t.rows)).to_numpy(), 9) for f in (base, full)]

    def difference(weight: np.ndarray) -> float:
        return by.concordance(scores[1], days, event, weight) - by.concordance(scores[0], days, event, weight)

    value = difference(np.ones(len(days)))
    half = by.Z * by.jackknife_error(difference, len(days), corrected=False)
    return by.ratio(full, "sd_risk"), p, [value, value - half, value + half]


def accuracy(t: Table) -> list[Claim]:
    said = []
    for endpoint, words in ENDPOINTS.items():
        days, state = t.of(endpoint)
        area = by.area_at(t.rows["risk"], days, state, HORIZON)
        what = EVENT.get(endpoint, words)
        start, remark = f"\n{what} within 3 years | {{}} ({{}} to {{}}) | ", f"{what.capitalize()} within {{}} years: "
        by_then = days <= HORIZON
        n_cases, n_others = ((state == 1) & by_then).sum(), (~by_then | ((state == 2) & by_then)).sum()
        if area[2] < 0.5:
            said.append(Claim(f"{remark}the interval of the AUC lies below {{}}.", (3, 0.5)))
        if n_cases < FEW_EVENTS:
            said += [
                Claim(f"{remark}few: {{}} cases and {{}} controls", (3, n_cases, n_others)),
                Claim(f"{remark}too few events", (3,)), Claim(f"{start}– | – | – | – |", area),
            ]  # fmt: skip
            continue
        told = t.probabilities(endpoint, HORIZON)
        brier = by.brier_at(told, days, state, HORIZON)
        reference = by.brier_at(np.full(len(days), by.share_with_event(days, state, HORIZON)), days, state, HORIZON)
        ratio, slope = observed_to_expected(t, endpoint), slope_of(t, endpoint)
        said.append(Claim(
            f"{start}{{}} ({{}} to {{}}) | {{}} % | {{}} ({{}} to {{}}) | {{}} ({{}} to {{}}) |",
            (*area, *brier, 100 * (1 - brier[0] / reference[0]), *ratio, *slope),
        ))  # fmt: skip
    return said + over_time(t)


def over_time(t: Table) -> list[Claim]:
    """The sentences under the figures of recurrence or death."""
    days, state = t.of("rfs")
    n, late = len(days), 1826
    n_cases, n_late = ((state == 1) & (days <= HORIZON)).sum(), ((state == 1) & (days <= late)).sum()
    areas = []
    for model in ("clinical", "logistic", "boosting"):
        own = t.risks[t.risks["model_id"] == model].set_index("patient_id")["risk"].reindex(t.rows["patient_id"])
        areas += by.area_at(own, days, state, HORIZON)
    told = t.probabilities("rfs", late)
    same = np.full(n, by.share_with_event(days, state, late))
    return [
        Claim("within 3 years: clinical {} ({} to {}); logistic {} ({} to {}); boosting {} ({} to {}) ({} with the "
              "event by then)", (*areas, n_cases)),
        Claim("surgery arm; {} patients, {} events by {} years ({} %)", (n, n_late, 5, 100 * n_late / n)),
        Claim("clinical {} ({} to {}) at {} years; telling everybody the same probability gives {}.",
              (*by.brier_at(told, days, state, late), 5, by.brier_at(same, days, state, late)[0])),
    ]  # fmt: skip


def share_with_limits(t: Table, endpoint: str) -> list[float]:
    days, state = t.of(endpoint)
    if endpoint in COMPETING:
        return list(by.incidence_at(days, state, HORIZON))
    s, low, high = by.survival_at(days, state, HORIZON)
    return [1 - s, 1 - high, 1 - low]


def observed_to_expected(t: Table, endpoint: str) -> list[float]:
    """Observed over mean predicted, the interval on the log scale from the observed share's own standard error, which
    is read back from the library's log-log limits."""
    observed, low, high = share_with_limits(t, endpoint)
    value, limit = (observed, low) if endpoint in COMPETING else (1 - observed, 1 - high)
    error = np.log(np.log(limit) / np.log(value)) * value * -np.log(value) / by.Z
    expected = t.probabilities(endpoint, HORIZON).mean()
    return [observed / expected * np.exp(k * by.Z * error / observed) for k in (0, -1, 1)]


def slope_of(t: Table, endpoint: str) -> list[float]:
    """Pseudo-observations (each patient left out in turn) on the predicted risk, by statsmodels' GEE on the cloglog
    scale."""
    days, state = t.of(endpoint)
    n, everybody = len(days), np.arange(len(days))
    whole = by.share_with_event(days, state, HORIZON)
    others = [by.share_with_event(days[everybody != i], state[everybody != i], HORIZON) for i in everybody]
    pseudo = n * whole - (n - 1) * np.array(others)
    x = np.log(-np.log(1 - t.probabilities(endpoint, HORIZON)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DomainWarning)  # a mean in (0, 1) beside normal errors is what is meant
        family = sm.families.Gaussian(link=CLogLog(), check_link=False)
        fit = sm.GEE(pseudo, sm.add_constant(x), groups=everybody, family=family).fit(
            start_params=[0.0, 1.0], maxiter=500, ctol=1e-10
        )
    return [fit.params[1] + k * by.Z * fit.bse[1] for k in (0, -1, 1)]


def calibration(t: Table) -> list[Claim]:
    days, state = t.of("rfs")
    told = t.probabilities("rfs", HORIZON)
    cases, early = ((state == 1) & (days <= HORIZON)).sum(), ((state == 0) & (days < HORIZON)).sum()
    return [
        Claim("within 3 years: predicted {} % on average, observed {} % ({} to {}); O:E {} ({} to {}), slope {} "
              "({} to {})",
              (100 * told.mean(), *percents(share_with_limits(t, "rfs")), *observed_to_expected(t, "rfs"),
               *slope_of(t, "rfs"))),
        Claim("within 3 years: {} patients; {} events, {} censored before", (len(days), cases, early)),
    ]  # fmt: skip


def worth(t: Table, *, n_bootstrap: int = 200) -> list[Claim]:
    """Net benefit from its definition at the thresholds 2 to 40 %; its band by an own bootstrap."""
    days, state = t.of("rfs")
    told, grid = t.probabilities("rfs", HORIZON), np.arange(2, 41) / 100

    def gains(at: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
        own = [by.net_benefit(told[at], days[at], state[at], HORIZON, p) for p in thresholds]
        share = by.share_with_event(days[at], state[at], HORIZON)
        everybody = share - (1 - share) * thresholds / (1 - thresholds)
        return np.minimum(own, own - everybody)

    everybody = np.arange(len(days))
    better = grid[gains(everybody, grid) > 1e-12]
    drawn = np.random.default_rng(1).integers(0, len(days), (n_bootstrap, len(days)))
    sure = (np.quantile([gains(at, better) for at in drawn], 0.025, axis=0) > 0).sum()
    n_cases = ((state == 1) & (days <= HORIZON)).sum()
    return [
        Claim("within {} years: acting on the risk of clinical is worth more than acting on everybody and on nobody at "
              "{} of {} thresholds, the lowest {} % and the highest {} %; the 95 % intervals of both differences "
              "lie above {} at {} of them",
              (3, len(better), len(grid), 100 * better.min(), 100 * better.max(), 0, sure)),
        Claim("within 3 years: {} patients, {} events; Kaplan-Meier", (len(days), n_cases)),
    ]  # fmt: skip
