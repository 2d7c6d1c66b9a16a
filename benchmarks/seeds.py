"""`python -m benchmarks.seeds FOLDER`: the made-up trial of 300 patients, seeds 1 to 5, as the table in docs/seeds.md.

Every seed is reported. A trial that is already in FOLDER is not made again; a finished step is not done again.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

from onlm_lab import pipeline, virtual

SEEDS = (1, 2, 3, 4, 5)
HEAD = (
    "| seed | labelled (N+) | clinical | image | fused | fused - clinical (paired DeLong) | P | "
    "oracle, table | oracle, all |\n|---|---|---|---|---|---|---|---|---|"
)


def lines(folder: Path, *, n_patients: int) -> Iterator[str]:
    """A row of the table a seed."""
    for seed in SEEDS:
        trial = virtual.write_trial(folder / f"seed{seed}", n_patients=n_patients, seed=seed, progress=True)
        run = pipeline.run(trial, say=print)
        said = run.results
        oracle = json.loads((trial / "work" / "oracle.json").read_text(encoding="utf-8"))
        aucs = [interval(said[model]["roc"]["auc"]) for model in ("clinical", "image", "fused")]
        paired = said["fused"]["compare_aucs"]["clinical"]
        counts = f"{said['fused']['roc']['n']} ({said['fused']['roc']['n_events']})"
        cells = [
            str(seed), counts, *aucs, interval(paired["difference"]), p_value(paired['p_value']),
            f"{oracle['clinical']['value']:.2f}", f"{oracle['full']['value']:.2f}",
        ]  # fmt: skip
        yield "| " + " | ".join(cells) + " |"


def interval(estimate: dict[str, float]) -> str:
    return f"{estimate['value']:.2f} ({estimate['low']:.2f} to {estimate['high']:.2f})"


def p_value(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--patients", type=int, default=300)
    words = parser.parse_args()
    table = list(lines(words.folder, n_patients=words.patients))
    print(HEAD, *table, sep="\n")


if __name__ == "__main__":
    main()
