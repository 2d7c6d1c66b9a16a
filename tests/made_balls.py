"""A study of soft balls in lung, a CT, a contour and a patch each, whose every number the tests know."""

from __future__ import annotations

import hashlib
import shutil

import made_ct
import numpy as np
import pandas as pd
from made_ct import Scan

from onlm_lab import preparation
from onlm_lab.schema import write_table
from onlm_lab.study import load_study, starter_toml

BALL = Scan(shape=(16, 20, 20), spacing_mm=(2.0, 1.5, 1.5), origin_mm=(-15.0, -15.0, -15.0), signed=True, intercept=0.0)
CENTRE = (0.0, 0.0, 1.0)
FEW, MANY = 6, 200


def scan_of(k):
    """A soft ball in lung, a little different for each patient."""
    rng = np.random.default_rng(k)
    noise = rng.integers(-20, 21, BALL.shape)

    def field(x, y, z):
        return np.where(np.sqrt(x**2 + y**2 + (z - 1) ** 2) < 5 + k % 4, 30, -820) + noise

    return BALL.but(field=field, series=f"series {k}", frame=f"1.2.3.{k + 1}")


def contour_of(k, radius_mm):
    angles = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    planes = [z for z in np.arange(-15.0, 16.0, 2.0) if abs(z - 1) < radius_mm]
    reach = [np.sqrt(radius_mm**2 - (z - 1) ** 2) for z in planes]
    return [
        np.stack([r * np.cos(angles), r * np.sin(angles), np.full(40, z)], axis=1)
        for r, z in zip(reach, planes, strict=True)
    ]


def write_contour(folder, k, radius_mm):
    data = made_ct.rtstruct({"GTV": contour_of(k, radius_mm)}, frame=f"1.2.3.{k + 1}")
    made_ct.write(folder / "masks", [data], [f"P{k:03d}.dcm"])


def make_study(folder, n, *, masks=True, **imaging):
    rows = []
    for k in range(n):
        made_ct.write_scan(folder / "ct" / f"P{k:03d}", scan_of(k))
        row = {"patient_id": f"P{k:03d}", "series_path": f"ct/P{k:03d}"}
        if masks:
            write_contour(folder, k, 5 + k % 4)
            row |= {"mask_path": f"masks/P{k:03d}.dcm"}
        else:
            row |= dict(zip(("tumour_x_mm", "tumour_y_mm", "tumour_z_mm"), CENTRE, strict=True))
        rows.append(row)
    write_table(pd.DataFrame(rows), folder / "annotations.csv")
    sections = {"patch": {"size_mm": 24.0, "spacing_mm": 1.5}}
    sections |= {"imaging": {"min_coverage_mm": 10.0, **imaging}}
    (folder / "study.toml").write_text(starter_toml(name="balls", sections=sections))
    return folder


def annotations(folder):
    return pd.read_csv(folder / "annotations.csv", dtype={"patient_id": str})


def prepare(folder, **options):
    table = annotations(folder)
    return preparation.prepare_images(
        load_study(folder), patient_ids=table["patient_id"], annotations=table, **options
    )  # fmt: skip


def bytes_of(folder):
    """Digest of every file of the cache."""
    cache = preparation.cache_folder(load_study(folder))
    return {
        path.relative_to(cache).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(cache.rglob("*"))
        if path.is_file()
    }


def copy(folder, target, *, keep_work=False):
    ignore = None if keep_work else shutil.ignore_patterns("work")
    return shutil.copytree(folder, target, ignore=ignore, copy_function=shutil.copy2)
