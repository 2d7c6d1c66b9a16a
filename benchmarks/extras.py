"""What each extra weighs: `python -m benchmarks.extras [EXTRA ...]` installs each into an empty environment of its own.

Prints a Markdown table: packages, megabytes on disk, and how long pip took beside the base's installation in the same
run (a ratio: networks and machines differ). Needs a package index, or pip's cache, and some gigabytes.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
EXTRAS = ("", "train", "lab", "pretrained", "cluster", "export", "docs", "all")


@dataclass(frozen=True)
class Weight:
    """What one installation left."""

    extra: str
    n_packages: int
    megabytes: float
    seconds: float


def weigh(extra: str, *, wheel: Path) -> Weight:
    """Install the wheel with one extra ("" for the base) into an empty environment, and weigh what is there."""
    with tempfile.TemporaryDirectory(prefix="onlm_extra_") as name:
        python = Path(name) / "bin" / "python"
        subprocess.run([sys.executable, "-m", "venv", name], check=True)
        before = _megabytes(Path(name))
        wanted = f"{wheel}[{extra}]" if extra else str(wheel)
        began = time.perf_counter()
        subprocess.run(
            [str(python), "-W", "ignore", "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
             "--constraint", str(ROOT / "constraints.txt"), wanted],
            check=True, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        took = time.perf_counter() - began
        listed = subprocess.run(
            [str(python), "-W", "ignore", "-m", "pip", "list", "--format", "freeze"], check=True, capture_output=True,
            text=True,
        )  # fmt: skip
        packages = [line for line in listed.stdout.splitlines() if not line.startswith(("pip=", "setuptools="))]
        return Weight(extra, len(packages), _megabytes(Path(name)) - before, took)


def _megabytes(folder: Path) -> float:
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6


def main(extras: list[str]) -> None:
    with tempfile.TemporaryDirectory(prefix="onlm_wheel_") as name:
        subprocess.run(
            [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", name, str(ROOT)],
            check=True, capture_output=True,
        )  # fmt: skip
        wheel = next(Path(name).glob("*.whl"))
        base = weigh("", wheel=wheel)
        print("| extra | packages | MB on disk | pip's time beside the base's |\n|---|---|---|---|", flush=True)
        for extra in ["", *extras]:
            found = weigh(extra, wheel=wheel) if extra else base
            print(
                f"| {extra or '(base)'} | {found.n_packages} | {found.megabytes:,.0f} | "
                f"{found.seconds / base.seconds:.1f} |",
                flush=True,
            )


if __name__ == "__main__":
    main(sys.argv[1:] or [extra for extra in EXTRAS if extra])
