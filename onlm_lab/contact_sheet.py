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


def write_contact_sheet(
    study: Study, *, prepared: pd.DataFrame, cache: PatchCache, disagreements: pd.DataFrame
) -> Path:  # fmt: skip
    """Writes work/contact_sheet.html; the pictures stay in the cache, outside every folder that is served.

    Args:
        prepared: a row a patient, of `prepare_images`.
        cache: the patches.
        disagreements: of `measured.image_disagreements`.
    """
    out = study.folder / "work" / FILE
    doubts = {patient: rows for patient, rows in disagreements.groupby("patient_id")}
    none = disagreements.iloc[:0]

    def urgency(row: dict[str, object]) -> tuple[bool, bool, float, str]:
        patient, score = str(row["patient_id"]), row.get("score", 1.0)
        decides = bool(doubts.get(patient, none)["matters"].any())
        return not decides, not _text(row, "ct_notes"), 0.0 if pd.isna(score) else float(score), patient

    usable = sorted(prepared[prepared["usable"] == 1].to_dict("records"), key=urgency)
    shown = [
        _patient(row, cache=cache, folder=out.parent, doubts=doubts.get(str(row["patient_id"]), none)) for row in usable
    ]
    lost = [_lost(row) for row in prepared[prepared["usable"] != 1].to_dict("records")]
    mark = '<p class="mark">MADE-UP DATA</p>' if study.made_up else ""
    said = (
        f"{len(shown)} patients: first those on whom CT and spreadsheet disagree so that it may decide who is in, "
        f"then those with a remark on the mask, then the lowest quality; {len(lost)} without a usable CT come last. "
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


def _patient(row: dict[str, object], *, cache: PatchCache, folder: Path, doubts: pd.DataFrame) -> str:
    patient = str(row["patient_id"])
    sheet = cache.sheet(patient)
    picture = ""
    if sheet is not None:
        place = html.escape(Path(os.path.relpath(sheet, folder)).as_posix(), quote=True)
        picture = f'<img loading="lazy" src="{place}" alt="CT of patient {html.escape(patient, quote=True)}">'
    score = row.get("score")
    told = "" if score is None or pd.isna(score) else f", {100 * float(score):.0f} % of the quality checks passed"
    said = "".join(
        f'<p class="{kind}"><b>{head}</b> {html.escape(text)}</p>' for kind, head, text in _remarks(row, doubts) if text
    )
    return f"<section><h2>{html.escape(patient)}{told}</h2>{picture}{said}</section>"


def _remarks(row: dict[str, object], doubts: pd.DataFrame) -> list[tuple[str, str, str]]:
    """Class, heading and text of what a person should know; an empty text where there is nothing to say."""
    faults, unchecked = (_text(row, name) for name in ("series_faults", "unchecked"))
    beside = "; ".join(
        f"{one.what}: {one.recorded} recorded, {one.derived} on CT{' (may decide who is in)' if one.matters else ''}"
        for one in doubts.itertuples()
    )
    series = f"Series: {faults.replace(';', ', ')}." if faults else ""
    return [
        ("doubt", "CT and spreadsheet", f"{beside}." if beside else ""),
        ("doubt", "Mask", _text(row, "ct_notes")),
        ("doubt", "Quality", " ".join(filter(None, (_text(row, "reasons"), series)))),
        ("", "Place", _text(row, "ct_location_reasons")),
        ("", "Not checked", f"{unchecked.replace('_', ' ')}." if unchecked else ""),
    ]


def _text(row: dict[str, object], name: str) -> str:
    value = row.get(name)
    return "" if value is None or pd.isna(value) else str(value)


def _lost(row: dict[str, object]) -> str:
    said = " ".join(filter(None, (_text(row, name) for name in ("reason", "detail"))))
    return (
        f'<section><h2>{html.escape(str(row["patient_id"]))}: not usable</h2><p class="doubt">{html.escape(said)}</p>'
        "</section>"
    )
