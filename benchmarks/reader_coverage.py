"""How often the 95 % interval of a reader study's difference holds the truth, and how often its test rejects nothing.

    python -m benchmarks.reader_coverage --runs 1000

Readers and patients are drawn from Roe and Metz's model (1997, doi:10.1016/S1076-6332(97)80032-3): the decision
variable is a sum of normal parts of reader, patient and their interactions with the way of reading; the AUC over all
readers and patients is known. The estimates go through `analysis.compare_readers` as a study's do.
"""

from __future__ import annotations

import argparse
import math
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.special import ndtr

from onlm_lab import analysis

SEED = 20261128
# Variances; those of patient and error add up to 1. Reading twice one after the other, as here, ties the two readings
# closer than two separate sessions would.
PATIENT, WAY_PATIENT, READER_PATIENT, ERROR = 0.3, 0.2, 0.2, 0.3


class Scenario(NamedTuple):
    """One way a study may be: readers, N+ and N0 patients, separation without and with the model, readers' variance."""

    n_readers: int
    n_events: int
    n_nonevents: int
    alone: float = 1.2
    with_model: float = 1.2
    reader: float = 0.03
    way_reader: float = 0.03


SCENARIOS = (
    Scenario(3, 50, 50), Scenario(5, 50, 50), Scenario(10, 50, 50), Scenario(5, 20, 80), Scenario(5, 20, 180),
    Scenario(5, 50, 50, with_model=1.5), Scenario(5, 20, 80, with_model=1.5),
    Scenario(5, 50, 50, reader=0.15, way_reader=0.1),
)  # fmt: skip


def true_auc(separation: float, scenario: Scenario) -> float:
    """The AUC over all readers and patients: each of the two patients compared brings all its parts."""
    return float(ndtr(separation / math.sqrt(2 * (1 + scenario.reader + scenario.way_reader))))


def study(scenario: Scenario, *, generator: np.random.Generator) -> pd.DataFrame:
    """The rows of one reader study."""
    r, parts = scenario.n_readers, []
    for label, n in ((1, scenario.n_events), (0, scenario.n_nonevents)):

        def drawn(variance: float, *shape: int) -> np.ndarray:
            return math.sqrt(variance) * generator.standard_normal(shape)

        shared = drawn(PATIENT, 1, n) + drawn(scenario.reader, r, 1) + drawn(READER_PATIENT, r, n)
        said = {}
        for name, separation in (("alone", scenario.alone), ("with_model", scenario.with_model)):
            value = label * separation + shared + drawn(WAY_PATIENT, 1, n)
            value = value + drawn(scenario.way_reader, r, 1) + drawn(ERROR, r, n)
            said[f"estimate_{name}"] = np.round(ndtr(value / 1.5 - 0.5), 2).ravel()  # whole percents, as readers give
        parts.append(pd.DataFrame({
            "reader_id": np.repeat([f"R{j}" for j in range(r)], n), "onlm": label,
            "patient_id": np.tile([f"{label}-{k}" for k in range(n)], r), **said,
        }))  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def covered(scenario: Scenario, *, runs: int, generator: np.random.Generator) -> dict[str, float]:
    """Shares over many studies: intervals that hold the truth, tests that reject, and the mean width."""
    truth = true_auc(scenario.with_model, scenario) - true_auc(scenario.alone, scenario)
    held = {"random": 0, "fixed": 0, "alone": 0, "rejected": 0}
    width = 0.0
    for _ in range(runs):
        rows = study(scenario, generator=generator)
        found, fixed = analysis.compare_readers(rows), analysis.compare_readers(rows, random_readers=False)
        held["random"] += found.difference.low <= truth <= found.difference.high
        held["fixed"] += fixed.difference.low <= truth <= fixed.difference.high
        held["alone"] += found.auc_alone.low <= true_auc(scenario.alone, scenario) <= found.auc_alone.high
        held["rejected"] += found.p_value < 0.05
        width += found.difference.high - found.difference.low
    return {name: n / runs for name, n in held.items()} | {"width": width / runs, "truth": truth}


def main() -> None:
    """Print the table of docs/reader_study.md."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--runs", type=int, default=1000)
    runs = asked.parse_args().runs
    print("| readers | N+ | N0 | true difference | readers' variance | covered, random readers | width | "
          "covered, fixed readers | average alone covered | test rejects |")  # fmt: skip
    print("|" + "---:|" * 10)
    for k, scenario in enumerate(SCENARIOS):
        got = covered(scenario, runs=runs, generator=np.random.default_rng([SEED, k]))
        print(f"| {scenario.n_readers} | {scenario.n_events} | {scenario.n_nonevents} | {got['truth']:.3f} | "
              f"{scenario.reader:g} + {scenario.way_reader:g} | {got['random']:.3f} | {got['width']:.3f} | "
              f"{got['fixed']:.3f} | {got['alone']:.3f} | {got['rejected']:.3f} |", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
