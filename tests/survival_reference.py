"""Tables and R's numbers for the time-to-event tests (made by reference/make_survival.R)."""

from pathlib import Path

import pandas as pd

REFERENCE = Path(__file__).parent / "reference"
TIMED = {"days": "os_days", "event": "os_event", "time": "os_days", "status": "os_event"}
COMPETING = {"days": "regional_days", "time": "regional_days", "state": "regional_state", "cr": "regional_state"}


def table(name: str, *, names: dict[str, str] = TIMED) -> pd.DataFrame:
    """One public table, its time and event under the names of an endpoint."""
    frame = pd.read_csv(REFERENCE / f"{name}.csv").rename(columns=names)
    return frame.assign(patient_id=frame.index.astype(str))


def in_r(case: str) -> dict[str, float]:
    """What R gave for a case, by key."""
    numbers = pd.read_csv(REFERENCE / "survival_reference.csv", na_values=["NA"])
    numbers = numbers[numbers["case"] == case]
    return dict(zip(numbers["key"], numbers["value"], strict=True))
