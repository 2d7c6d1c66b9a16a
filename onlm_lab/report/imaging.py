"""The section on the images: protocol by centre, which series were taken, faults, quality, what the CT measures."""

from __future__ import annotations

import pandas as pd

from onlm_lab.figures import theme
from onlm_lab.report import words
from onlm_lab.report.material import Material
from onlm_lab.report.section import Block, Section, Text, note, table
from onlm_lab.study.imaging import FAULTS

PROTOCOL = {
    "spacing_mm": ("Slice spacing (mm)", 2), "thickness_mm": ("Slice thickness (mm)", 2), "pixel_mm": ("Pixel (mm)", 2),
    "noise_hu": ("Noise (HU)", 0), "days": ("CT to treatment (days)", 0),
}  # fmt: skip
NAMED = {"scanner": "Scanner", "kernel": "Kernel"}
EQUIPMENT = ("contrast", "kvp", *NAMED)
MEASURED = {
    "ct_longest_axial_mm": ("Longest axial diameter (mm)", 1), "ct_solid_axial_mm": ("Solid diameter (mm)", 1),
    "ct_ctr": ("Consolidation-to-tumour ratio", 2), "ct_volume_ml": ("Volume (mL)", 1),
    "ct_mean_hu": ("Mean density (HU)", 0), "ct_distance_to_pleura_mm": ("Distance to the pleura (mm)", 1),
    "ct_contact_length_mm": ("Pleural contact (mm)", 1),
}  # fmt: skip
CHECKS = {
    "spacing": "slices too far apart", "thickness": "slices too thick", "pixel": "pixels too wide",
    "gap": "gaps between slices", "noise": "noise", "field_of_view": "the cube reaches beyond the scan",
    "motion": "motion (proxy)", "streaks": "streaks (proxy)", "tumour_cut": "the scan cuts the tumour",
    "days_before_treatment": "too long before treatment, or after it",
}  # fmt: skip
ALL = "All centres"
SHOWN = 3  # commonest scanners and kernels of a centre


def imaging(material: Material) -> Section:
    """How the patients were imaged, and what was made of it."""
    prepared = material.prepared
    facts = [name for name in (*PROTOCOL, "manufacturer", "kernel") if name in prepared]
    if not facts:
        return Section("imaging", "Imaging", (Text("This run used no CT images."),))
    usable = _usable(material)
    patch = material.study.patch
    blocks: list[Block] = [
        Text(
            f"From each CT a cube of {patch.size_mm:g} mm around the tumour was resampled to {patch.spacing_mm:g} mm "
            "on the patient's own axes."
        ),
        table(_protocol(usable), caption="Imaging protocol from the DICOM headers: median (quartiles)."),
        *_equipment(usable),
        *_choice(material), *_faults(usable), *_quality(usable), *_measured(material, usable),
    ]  # fmt: skip
    return Section("imaging", "Imaging", tuple(blocks))


def _usable(material: Material) -> pd.DataFrame:
    """Prepared patients with centre, scanner in words, and the days to treatment that are known."""
    prepared = material.prepared[material.prepared["usable"] == 1]
    known = [name for name in ("patient_id", "centre", "onlm", "ct_to_treatment_days") if name in material.patients]
    usable = prepared.merge(material.patients[known], on="patient_id")
    days = usable.get("days_before_treatment", pd.Series(float("nan"), index=usable.index))
    usable["days"] = days.fillna(usable.get("ct_to_treatment_days", days))
    parts = [usable[name].fillna("").astype(str) for name in ("manufacturer", "model") if name in usable]
    if parts:
        usable["scanner"] = [" ".join(part for part in row if part) or None for row in zip(*parts, strict=True)]
    return usable


def _centres(usable: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    return [*((str(name), scans) for name, scans in usable.groupby("centre", sort=True)), (ALL, usable)]


def _protocol(usable: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for centre, scans in _centres(usable):
        row = {"Centre": centre, "Patients": f"{len(scans):,}"}
        row |= {title: words.middle(scans[name], digits=digits) for name, (title, digits) in PROTOCOL.items()
                if name in scans}  # fmt: skip
        rows.append(row)
    return pd.DataFrame(rows)


def _equipment(usable: pd.DataFrame) -> list[Block]:
    if not set(EQUIPMENT) & set(usable):
        return []
    rows = []
    for centre, scans in _centres(usable):
        row = {"Centre": centre}
        if "contrast" in scans:
            row["Contrast"] = words.share(int((scans["contrast"] == 1).sum()), int(scans["contrast"].notna().sum()))
        if "kvp" in scans:
            row["Tube voltage (kV)"] = words.middle(scans["kvp"], digits=0)
        row |= {title: "" if centre == ALL else _commonest(scans[name]) for name, title in NAMED.items()
                if name in scans}  # fmt: skip
        rows.append(row)
    return [table(pd.DataFrame(rows), caption="Contrast, voltage, and the commonest scanners and kernels.")]


def _commonest(values: pd.Series) -> str:
    known = values.dropna()
    if known.empty:
        return "not recorded"
    counted = known.value_counts()
    more = len(counted) - SHOWN
    return ", ".join(f"{name} ({n})" for name, n in counted.head(SHOWN).items()) + (
        f" and {more} more" if more > 0 else ""
    )


def _choice(material: Material) -> list[Block]:
    """How many series there were, and how the taken ones were chosen."""
    series = material.series
    if series.empty or "reason" not in series:
        return []
    ct = series[series["modality"] == "CT"]
    taken = ct[ct["chosen"] == 1]
    how = taken["reason"].fillna("")
    counts = {
        "named in annotations.csv": int(how.str.contains("named in annotations").sum()),
        "named by the mask": int(how.str.contains("mask was drawn").sum()),
    }
    counts["by rule"] = len(taken) - sum(counts.values())
    said = ", ".join(f"{n:,} {what}" for what, n in counts.items() if n)
    return [note(
        f"{words.plural(len(ct), 'CT series', 'CT series')} in the folder; {len(taken):,} taken: {said}. Why each was "
        "taken or left out is in series.csv in the study's work folder."
    )]  # fmt: skip


def _faults(usable: pd.DataFrame) -> list[Block]:
    """Faults with which series were read, as the study's policy allows."""
    if "series_faults" not in usable:
        return []
    codes = usable["series_faults"].dropna().astype(str).str.split(";").explode()
    counted = codes[codes != ""].value_counts()
    if counted.empty:
        return [note("No series that was read had a fault.")]
    rows = [{"Fault": FAULTS[code][0] if code in FAULTS else code, "Series": f"{n:,}"} for code, n in counted.items()]
    return [table(pd.DataFrame(rows), caption="Faults with which series were read, as study.toml allows.")]


def _quality(usable: pd.DataFrame) -> list[Block]:
    """How many series passed the checks, and which checks the others failed."""
    if "score" not in usable:
        return []
    passed = words.middle(100 * usable["score"])
    whole = words.share(int((usable["score"] == 1).sum()), len(usable))
    failed = (
        usable["failed"].fillna("").astype(str).str.split(", ").explode()
        if "failed" in usable
        else pd.Series(dtype=object)
    )
    named = {text: int((failed == name).sum()) for name, text in CHECKS.items()}
    said = ", ".join(f"{text} {n:,}" for text, n in sorted(named.items(), key=lambda item: -item[1]) if n)
    return [note(
        f"CT quality checks that a series passed: median (quartiles) {passed} % of those that could be made; {whole} "
        f"passed all of them.{f' Failed: {said}.' if said else ''} What each failed is in prepared.csv, and to be "
        "seen on contact_sheet.html, in the study's work folder. The limits are settings; nobody was left out by them."
    )]  # fmt: skip


def _measured(material: Material, usable: pd.DataFrame) -> list[Block]:
    """What the CT says of the tumours, by label, and where it disagrees with the spreadsheet."""
    names = [name for name in MEASURED if name in usable and usable[name].notna().any()]
    if not names:
        return []
    groups = [("All", usable)]
    if "onlm" in usable and usable["onlm"].nunique() == 2:
        groups = [("N+", usable[usable["onlm"] == 1]), ("N0", usable[usable["onlm"] == 0]), *groups]
    shown = pd.DataFrame([
        {"Measured on the CT": MEASURED[name][0]}
        | {f"{title} ({len(part):,})": f"{words.middle(part[name], digits=MEASURED[name][1])}; "
           f"n = {int(part[name].notna().sum()):,}" for title, part in groups}
        for name in names
    ])  # fmt: skip
    cut = material.study.imaging.solid_cut_hu
    said = (
        "Fewer than all patients (n) where the tumour's centre alone was marked, or it could not be measured. "
        f"Known before treatment. Solid is what lies at or above {theme.number(cut, digits=0)} HU: which cut is right "
        "is disputed, and the same is measured at other cuts in prepared.csv."
    )
    blocks: list[Block] = [table(shown, caption="Tumours as the CT shows them: median (quartiles).")]
    return [*blocks, note(said), *_disagreements(material)]


def _disagreements(material: Material) -> list[Block]:
    found = material.image_disagreements
    if found.empty:
        return []
    rows = [
        {
            "What": what, "Patients": f"{part['patient_id'].nunique():,}",
            "May decide who is in": f"{int(part['matters'].sum()):,}",
        }
        for what, part in found.groupby("what", sort=False)
    ]  # fmt: skip
    tolerance = material.study.imaging.diameter_tolerance_mm
    return [
        table(pd.DataFrame(rows), caption="CT and spreadsheet disagree."),
        note(
            f"Diameters that differ by more than {tolerance:g} mm. Reported, never overruled; each is a line of "
            "image_disagreements.csv in the work folder."
        ),
    ]
