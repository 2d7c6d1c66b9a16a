"""Where tests find real data (never in the repository) and a small made-up trial (built once a session)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

SHARED = Path(os.environ.get("ONLM_SHARED", Path(__file__).resolve().parents[2] / "shared"))


@pytest.fixture(scope="session")
def shared_data():
    """A function that gives a folder or file of the real test data, or skips with the reason."""

    def find(name: str) -> Path:
        path = SHARED / "data" / name
        if not path.exists():
            pytest.skip(f"real data '{name}' is not here (its licence keeps it out of the repository)")
        return path

    return find


@pytest.fixture(scope="session")
def shared_reference():
    """A function that gives a file of R's reference values, or skips with the reason."""

    def find(name: str) -> Path:
        path = SHARED / "reference" / name
        if not path.exists():
            pytest.skip(f"reference values '{name}' are not here")
        return path

    return find
