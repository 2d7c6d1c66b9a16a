"""The contact sheet: a strip of pictures a patient, the doubtful first, to be looked through before training."""

from __future__ import annotations

import html
import os
from pathlib import Path

import pandas as pd

from onlm_lab.patches import PatchCache
from onlm_lab.steps import write_text
from onlm_lab.study import Study

FILE = "contact_sheet.html"
_STYLE = """
body { font: 14px/1.4 system-ui, sans-serif; margin: 0; color: #1a1a1a; background: #fff; }
header { position: sticky; top: 0; background: #fff; border-bottom: 1px solid #bbb; padding: 8px 16px; z-index: 1; }
h1 { font-size: 18px; margin: 0; }
.mark { color: #9a3b00; font-weight: 700; }
section { padding: 8px 16px; border-bottom: 1px solid #e2e2e2; }
h2 { font-size: 15px; margin: 0 0 4px; }
img { max-width: 100%; height: auto; background: #000; display: block; }
p { margin: 4px 0; max-width: 90ch; }
.doubt { color: #9a3b00; }
@media print { header { position: static; } section { break-inside: avoid; } }
"""


def write_contact_sheet(study: Study, *, prepared: pd.DataFrame, cache: PatchCache) -> Path:
    """Writes work/contact_sheet.html; the pictures stay in the cache, outside every folder that is served.

    Args:
        prepared: a row a patient, of `prepare_images`.
        cache: the patches.
    """
    out = study.folder / "work" / FILE
    usable = prepared[prepared["usable"] == 1]
    score = usable["score"] if "score" in usable else pd.Series(1.0, index=usable.index)
    order = usable.assign(_score=score.fillna(0)).sort_values(["_score", "patient_id"], kind="stable")
    shown = [_patient(row, cache=cache, folder=out.parent) for row in order.to_dict("records")]
    lost = [_lost(row) for row in prepared[prepared["usable"] != 1].to_dict("records")]
    mark = '<p class="mark">MADE-UP DATA</p>' if study.made_up else ""
    said = (
        f"{len(shown)} patients, those with the lowest quality first; {len(lost)} without a usable CT at the end. "
        "Left: the patch from above, from the front, from the left, the mask outlined in orange. Then the whole scan "
        "from the front and from the side through the tumour, and slices from head to feet. Lung window."
    )
    page = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Contact sheet: {html.escape(study.name)}'
        f'</title><meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head><body><header>'
        f"<h1>Contact sheet: {html.escape(study.name)}</h1>{mark}<p>{html.escape(said)}</p></header>"
        f"{''.join(shown)}{''.join(lost)}</body></html>"
    )
    write_text(out, page)
    return out


def _patient(row: dict[str, object], *, cache: PatchCache, folder: Path) -> str:
    patient = str(row["patient_id"])
    sheet = cache.sheet(patient)
    picture = ""
    if sheet is not None:
        place = html.escape(Path(os.path.relpath(sheet, folder)).as_posix(), quote=True)
        picture = f'<img loading="lazy" src="{place}" alt="CT of patient {html.escape(patient, quote=True)}">'
    score = row.get("score")
    told = "" if score is None or pd.isna(score) else f", {100 * float(score):.0f} % of the quality checks passed"
    reasons = str(row.get("reasons") or "")
    faults = str(row.get("series_faults") or "")
    doubts = " ".join(part for part in (reasons, f"Series: {faults.replace(';', ', ')}." if faults else "") if part)
    doubt = f'<p class="doubt">{html.escape(doubts)}</p>' if doubts else ""
    return f"<section><h2>{html.escape(patient)}{told}</h2>{picture}{doubt}</section>"


def _lost(row: dict[str, object]) -> str:
    said = " ".join(str(row[name]) for name in ("reason", "detail") if row.get(name) and not pd.isna(row[name]))
    return (
        f'<section><h2>{html.escape(str(row["patient_id"]))}: not usable</h2><p class="doubt">{html.escape(said)}</p>'
        "</section>"
    )
