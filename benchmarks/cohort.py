"""A table of 100,000 patients: seconds and memory of each step, and Table 1 beside tableone.

The steps run in a process of their own, so that the memory is theirs alone. They are printed, never asserted.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd

from benchmarks.memory import peak_gb
from onlm_lab import virtual
from onlm_lab.cohort import accrual, load_cohort, missingness, screen, table_one
from onlm_lab.schema import columns, declared, read_table
from onlm_lab.study import load_study

N_PATIENTS, N_CENTRES, SEED = 100_000, 20, 7
Race = tuple[str, str, Callable[[], object], Callable[[], object]]


def races() -> Iterator[Race]:
    """Name, peer, our work, the peer's work; on a tenth of the patients, as the peers take long."""
    with tempfile.TemporaryDirectory() as folder:
        study = virtual.write_trial(folder, n_patients=N_PATIENTS // 10, n_centres=5, seed=SEED, tables_only=True)
        patients = load_cohort(study).patients
        surgery = patients[patients["onlm"].notna()]
        shown = ["age_years", "sex", "smoking", "total_diameter_mm", "solid_diameter_mm", "nodule_type", "cea_ng_ml"]
        yield (
            f"Table 1 with SMD by label, n = {len(surgery):,}",
            "tableone",
            lambda: table_one(surgery, by="onlm", columns=shown),
            lambda: _tableone(surgery, shown=shown),
        )
        clinical, own = Path(study) / "clinical.csv", declared(load_study(study).columns)
        yield (
            f"clinical table read and checked, n = {len(patients):,}",
            "pandas read_csv + pandera, lazy",
            lambda: read_table(clinical, table="clinical", extra_columns=own),
            lambda: _pandera(clinical),
        )


def _tableone(patients: pd.DataFrame, *, shown: list[str]) -> object:
    from tableone import TableOne

    words = [name for name in shown if patients[name].dtype == object]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its own, about what it does inside
        return TableOne(patients[[*shown, "onlm"]], columns=shown, categorical=words, groupby="onlm", smd=True)


def _pandera(path: Path) -> object:
    import pandera.pandas as pa

    frame = pd.read_csv(path, dtype={"patient_id": str, "centre": str})
    wanted = {
        c.name: pa.Column(
            checks=[pa.Check.isin(c.allowed)] if c.allowed else [pa.Check.in_range(c.low, c.high)] if c.high else None,
            nullable=True, required=False,
        )
        for c in columns("clinical").values()
    }  # fmt: skip
    return pa.DataFrameSchema(wanted).validate(frame, lazy=True)


def steps(folder: Path) -> None:
    """Load, check, screen and summarise; a line of JSON a step: name, seconds, peak memory so far in GB."""
    began = time.perf_counter()

    def told(name: str) -> None:
        nonlocal began
        print(json.dumps([name, time.perf_counter() - began, peak_gb()]), flush=True)
        began = time.perf_counter()

    cohort = load_cohort(folder)
    told("read, checked, labelled, staged")
    screen(cohort)
    told("screened")
    patients = cohort.patients
    table_one(patients, by="arm")
    missingness(patients)
    accrual(patients)
    told("summarised")


def report() -> None:
    """Print the steps of a table of 100,000 patients."""
    with tempfile.TemporaryDirectory() as folder:
        virtual.write_trial(folder, n_patients=N_PATIENTS, n_centres=N_CENTRES, seed=SEED, tables_only=True)
        command = [sys.executable, "-c", f"from benchmarks.cohort import steps; steps({folder!r})"]
        said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    rows = [json.loads(line) for line in said.splitlines()]
    print(f"\n{N_PATIENTS:,} patients")
    for name, seconds, memory in rows:
        print(f"  {name:<40} {seconds:6.1f} s   peak so far {memory:.2f} GB")
    print(f"  {'together':<40} {sum(r[1] for r in rows):6.1f} s")


if __name__ == "__main__":
    report()
