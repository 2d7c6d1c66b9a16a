"""`python -m benchmarks.learning FOLDER WHAT...`: what the models reach on made-up trials of 1,200 patients, as tables.

    main      clinical, image, fused and the baselines, out of fold, beside the oracle that knows the truth
    centres   the same, leaving one centre out
    layouts   fused, every layout and every fusion
    permuted  20 shuffles of the labels, and patches of noise: nothing may be found

Each trial is drawn as `onlm virtual` draws it, dealt and trained as `onlm run` does; only the way over DICOM files is
left out: the slices about a tumour are painted in memory and cut by `imaging.cut_patch` (tests/test_learning_tables.py
holds such a patch against the one that `onlm prepare` cuts). What is finished is not done again.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import multiprocessing
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from onlm_lab import analysis, dealing, imaging, patches, pipeline, plan, runs, schema, screening, split_files, virtual
from onlm_lab.learning.train import train_run
from onlm_lab.preparation import patch_spec
from onlm_lab.runs import Run
from onlm_lab.study import Study, load_study
from onlm_lab.virtual import oracle
from onlm_lab.virtual.canvas import scanner_grid
from onlm_lab.virtual.phantom import render
from onlm_lab.virtual.trial import Trial, draw_trial

SEEDS = (1, 2, 3, 4, 5)
N_PATIENTS, N_CENTRES, N_SHUFFLES = 1200, 5, 20
MODELS = ("clinical", "image", "fused")
ORACLE = {"clinical": "oracle_clinical", "logistic": "oracle_clinical", "boosting": "oracle_clinical"}
MARGIN_MM = 8.0


def patch_of(trial: Trial, index: int, *, spec: patches.PatchSpec) -> np.ndarray:
    """The patch of one patient, painted and cut in memory, float32 (z,y,x) in HU."""
    scene = trial.scene(index)
    grid = scanner_grid(scene.scanner)
    step = grid.spacing_mm[0]
    middle = (scene.tumour.centre_mm[2] - grid.origin_mm[2]) / step
    reach = (spec.size_mm / 2 + MARGIN_MM) / step
    slab = grid.slab(max(0, int(middle - reach)), min(grid.shape[0], int(middle + reach) + 2))
    x, y, z = grid.origin_mm
    volume = imaging.CtVolume(
        hu=render(scene, slab), spacing_mm=grid.spacing_mm, origin_mm=(x, y, z + slab.first_slice * step),
        direction=np.eye(3)[:, ::-1], series_uid="", acquisition={},
    )  # fmt: skip
    return imaging.cut_patch(volume, scene.tumour.centre_mm, spec)


@lru_cache(maxsize=1)
def _trial(seed: int) -> Trial:
    return draw_trial(n_patients=N_PATIENTS, n_centres=N_CENTRES, seed=seed)


def _write(cache: Path, seed: int, index: int, patient_id: str, spec: patches.PatchSpec) -> None:
    if not patches.has_row(cache, patient_id=patient_id, key="in memory"):
        patch = patch_of(_trial(seed), index, spec=spec)
        patches.write_patch(cache, patient_id=patient_id, patch=patch, key="in memory", facts={})


def made(folder: Path, *, seed: int) -> Study:
    """The study of one trial, its tables written and screened, its patches cut."""
    place = folder / f"seed{seed}"
    virtual.write_trial(place, n_patients=N_PATIENTS, n_centres=N_CENTRES, seed=seed, tables_only=True)
    study = load_study(place)
    training = dataclasses.replace(study.training, models=MODELS)
    study = dataclasses.replace(study, training=training)
    if not (place / "work" / "status.csv").is_file():
        for name, table in screening.screen_study(study).tables.items():
            schema.write_table(table, place / "work" / name, extra_columns=schema.declared(study.columns))
    status = _work(study, "status.csv")
    eligible = status.loc[status["status"] == "eligible", "patient_id"].tolist()
    prepared = pd.DataFrame({"patient_id": eligible, "usable": 1, "reason": None})
    schema.write_table(prepared, place / "work" / "prepared.csv")
    spec = patch_spec(study)
    cache = patches.create_cache(place / "cache", spec=spec)
    rows = {p: k for k, p in enumerate(_trial(seed).clinical["patient_id"])}
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        jobs = [pool.submit(_write, cache, seed, rows[p], p, spec) for p in eligible]
        for job in jobs:
            job.result()
    return study


def _work(study: Study, name: str) -> pd.DataFrame:
    return runs.read_csv(plan.work_file(study, name))


def trained(study: Study, *, name: str, cache: Path | None = None, shuffle: int | None = None) -> Run:
    """A finished run of a study under a name of its own.

    Args:
        study: with the settings to try.
        name: of the run.
        cache: of patches; None: the study's.
        shuffle: seed of a permutation of the labels; None leaves them.
    """
    run = Run(study.folder / "runs" / name)
    if run.finished:
        return run
    cohort, status, prepared = (_work(study, name) for name in ("cohort.csv", "status.csv", "prepared.csv"))
    if shuffle is not None:  # before the folds are dealt, which spread the labels evenly
        in_run = cohort["patient_id"].isin(prepared["patient_id"]) & (cohort["arm"] != "sbrt")
        known = np.flatnonzero(in_run & cohort["onlm"].notna())
        onlm = cohort["onlm"].to_numpy(dtype=float, copy=True)
        onlm[known] = np.random.default_rng(shuffle).permutation(onlm[known])
        cohort["onlm"] = onlm
    dealt = dealing.deal(study, cohort=cohort, status=status, prepared=prepared)
    schema.write_table(dealt.patients, run.folder / "patients.csv")
    split_files.write_split(run.folder, folds=dealt.folds, parts=dealt.parts, facts=dealt.facts)
    pipeline.write_study(study, run.folder)
    said = (study.folder / "runs" / "main" / part for part in ("features.npy", "features.json"))
    if cache is None and study.model == load_study(study.folder).model:  # the same pictures: no need to look again
        for part in said:
            if part.is_file():
                (run.folder / part.name).write_bytes(part.read_bytes())
    train_run(run.folder, cache=cache or study.folder / "cache", progress=False)
    return run


def changed(study: Study, **sections: dict) -> Study:
    """A study with other values in some sections."""
    parts = {name: dataclasses.replace(getattr(study, name), **values) for name, values in sections.items()}
    return dataclasses.replace(study, **parts)


def measured(study: Study, run: Run) -> dict[str, dict]:
    """By model: AUC, its gap to the oracle, calibration, and the paired difference of fused to it."""
    rows = run.rows(split="oof")
    rows = rows[rows["repeat"] == 0]
    one = rows.drop_duplicates("patient_id")
    known = oracle.oracle_aucs(study.folder, ids=one["patient_id"].tolist(), onlm=one["onlm"].tolist())
    found = {}
    for model in rows["model_id"].unique():
        auc = analysis.roc(rows, model=model).auc.value
        calibration = analysis.assess_calibration(rows, model=model)
        best = known[ORACLE.get(model, "oracle_full")]
        found[model] = {
            "auc": auc, "gap": best - auc, "slope": calibration.slope.value, "intercept": calibration.intercept.value,
        }  # fmt: skip
        if "fused" in set(rows["model_id"]) and model != "fused":
            paired = analysis.compare_aucs(rows, model_a="fused", model_b=model)
            found[model] |= {"difference": paired.difference.value, "z": paired.z, "p": paired.p_value}
    found["oracle"] = known | {"n": len(one), "n_positive": int(one["onlm"].sum())}
    return found


def mean(values: list[float]) -> str:
    """Mean over trials with its t interval."""
    x = np.asarray(values, dtype=float)
    half = stats.t.ppf(0.975, len(x) - 1) * x.std(ddof=1) / np.sqrt(len(x)) if len(x) > 1 else np.nan
    return f"{x.mean():.3f} ({x.mean() - half:.3f} to {x.mean() + half:.3f})"


def table_of_models(found: list[dict[str, dict]], *, seeds: tuple[int, ...]) -> Iterator[str]:
    """A row a model: AUC of every trial, then means over the trials."""
    yield (
        "| model | "
        + " | ".join(f"seed {s}" for s in seeds)
        + " | gap to oracle | slope | intercept | fused better by | P |"
    )
    yield "|---" * (len(seeds) + 6) + "|"
    for kind in ("oracle_clinical", "oracle_full"):
        yield f"| {kind} | " + " | ".join(f"{f['oracle'][kind]:.3f}" for f in found) + " | | | | | |"
    for model in [m for m in found[0] if m != "oracle"]:
        rows = [f[model] for f in found]
        cells = [f"{r['auc']:.3f}" for r in rows]
        cells += [mean([r[name] for r in rows]) for name in ("gap", "slope", "intercept")]
        if "z" in rows[0]:
            z = sum(r["z"] for r in rows) / np.sqrt(len(rows))  # Stouffer: the trials are independent
            cells += [mean([r["difference"] for r in rows]), f"{2 * stats.norm.sf(abs(z)):.1e}"]
        else:
            cells += ["", ""]
        yield f"| {model} | " + " | ".join(cells) + " |"


def main_table(folder: Path, seeds: tuple[int, ...]) -> Iterator[str]:
    """Every model beside the oracle."""
    found = []
    for seed in seeds:
        study = made(folder, seed=seed)
        found.append(measured(study, trained(study, name="main")))
        sys.stderr.write(f"seed {seed}: {json.dumps(found[-1], default=float)}\n")
    yield from table_of_models(found, seeds=seeds)


def centres_table(folder: Path, seeds: tuple[int, ...]) -> Iterator[str]:
    """Leaving one centre out."""
    found = []
    for seed in seeds:
        study = changed(made(folder, seed=seed), training={"scheme": "leave_one_centre_out", "baselines": ()})
        found.append(measured(study, trained(study, name="centres")))
        sys.stderr.write(f"seed {seed}: {json.dumps(found[-1], default=float)}\n")
    yield from table_of_models(found, seeds=seeds)


def layouts_table(folder: Path, seeds: tuple[int, ...]) -> Iterator[str]:
    """The fused model by layout and fusion."""
    yield "| layout | fusion | " + " | ".join(f"seed {s}" for s in seeds) + " | gap to oracle | slope |"
    yield "|---" * (len(seeds) + 4) + "|"
    tried = [(layout, "concat") for layout in ("orthogonal", "slab", "three_planes", "multi_window")]
    tried += [("orthogonal", fusion) for fusion in ("gated", "film", "late")]
    for layout, fusion in tried:
        found = []
        for seed in seeds:
            study = changed(
                made(folder, seed=seed), model={"layout": layout, "fusion": fusion},
                training={"models": ("fused",), "baselines": ()},
            )  # fmt: skip
            found.append(measured(study, trained(study, name=f"{layout}-{fusion}"))["fused"])
        cells = [f"{f['auc']:.3f}" for f in found] + [mean([f[name] for f in found]) for name in ("gap", "slope")]
        yield f"| {layout} | {fusion} | " + " | ".join(cells) + " |"


def permuted_table(folder: Path, seeds: tuple[int, ...]) -> Iterator[str]:
    """Shuffled labels, and patches of noise, on the first trial."""
    study = made(folder, seed=seeds[0])
    quick = changed(study, training={"baselines": ()})
    aucs: dict[str, list[float]] = {}
    for k in range(N_SHUFFLES):
        run = trained(quick, name=f"shuffled{k}", shuffle=k)
        rows = run.rows(split="oof")
        for model in MODELS:
            aucs.setdefault(model, []).append(analysis.roc(rows, model=model).auc.value)
        sys.stderr.write(f"shuffle {k}: {[round(v[-1], 3) for v in aucs.values()]}\n")
    for model, values in aucs.items():
        yield f"labels shuffled {N_SHUFFLES} times, {model}: mean AUC {mean(values)}"
    noise = study.folder / "noise"
    spec = patch_spec(study)
    patches.create_cache(noise, spec=spec)
    rng = np.random.default_rng(0)
    for patient_id in _work(study, "prepared.csv")["patient_id"]:
        patches.write_patch(
            noise, patient_id=patient_id, patch=rng.normal(-500, 300, spec.shape), key="noise", facts={}
        )
    found = measured(quick, trained(quick, name="noise", cache=noise))
    for model in MODELS:
        yield f"patches of noise, {model}: AUC {found[model]['auc']:.3f}"
    yield f"patches of noise, fused less clinical: P {found['clinical']['p']:.2f}"


TABLES = {"main": main_table, "centres": centres_table, "layouts": layouts_table, "permuted": permuted_table}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("what", nargs="+", choices=TABLES)
    parser.add_argument("--seeds", type=int, nargs="+", default=list(SEEDS))
    words = parser.parse_args()
    for name in words.what:
        print(f"\n## {name}\n", flush=True)
        for line in TABLES[name](words.folder, tuple(words.seeds)):
            print(line, flush=True)


if __name__ == "__main__":
    main()
