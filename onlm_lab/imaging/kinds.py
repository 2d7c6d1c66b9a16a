"""What a series is: axial slices of a body, or a localizer, a dose page, a reformat, the tracking of a bolus.

Only "axial" may be chosen for a patient. ImageType has two standard values and whatever the maker adds (PS3.3,
C.7.6.1.1.2), so every rule reads several words, and geometry where words are missing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

KINDS = {
    "axial": "slices across the body",
    "localizer": "a localizer (scout, topogram)",
    "dose_page": "a dose page or protocol page",
    "picture": "pictures of a screen or a workstation, not slices",
    "projection": "projections through a slab (MIP, MinIP, average) or a rendering",
    "reformat": "a reformat (MPR) or a plane other than axial",
    "bolus_tracking": "the tracking of a contrast bolus",
    "support": "a CT for the attenuation correction of PET, or for positioning (cone beam)",
    "repeated": "the same slices several times (perfusion, cardiac phases)",
    "not_hounsfield": "a map in other units than HU",
    "not_placed": "images without a place in the patient",
    "not_ct": "not CT",
}
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"  # and those below it: .7.1 to .7.4
AXIAL_COSINE = 0.82  # the slices' normal against the body axis: at most 35 degrees, more than a gantry tilts
MAPS = (  # the last two rows: value 4 of multi-energy CT (PS3.3, C.8.15.3.1.4 and C.8.15.2.1.1), and makers' words
    "PERFUSION", "RCBF", "RCBV", "MTT", "TTP", "IODINE", "Z_EFF", "EFF_ATOMIC_NUM", "ELECTRON_DENSITY", "VNC_MAP",
    "MAT_SPECIFIC", "MAT_REMOVED", "MAT_FRACTIONAL", "MAT_VALUE_BASED", "MAT_MODIFIED", "VNC", "IODINE_MAP",
    "EFFECTIVE_Z", "SUBTRACT", "SUBTRACTION", "SUBTRACTED",
)  # fmt: skip

_DESCRIPTIONS = (
    ("support", r"\bac ?ct\b|\bct ?ac\b|attenuation|\bcbct\b|cone ?beam|on-board imager"),
    ("localizer", r"topogram|scout|surview|scanogram|localizer|pilot"),
    ("dose_page", r"dose (report|record|info|page)|patient protocol|exam protocol"),
    ("bolus_tracking", r"bolus|monitoring|smart ?prep|sure ?start|tracker|locator"),
    ("projection", r"\bm(ax)?[ -]?ips?\b|\bmin[ -]?ips?\b|\baip\b|\bave[ -]?ip\b|volume rendering|\bvrt?\b|密度投影"),
    ("reformat", r"\bmpr\b|reformat|curved"),
)
_TOKENS = (
    ("localizer", ("LOCALIZER", "SCOUT", "TOPOGRAM")),
    ("dose_page", ("DOSE", "DOSE_INFO", "DOSE REPORT", "CT_SOM5 PROT", "CT_SOM7 PROT", "CT_SOM8 PROT", "PROT")),
    ("picture", ("SCREEN SAVE", "SCREENSAVE", "SCREEN", "REPORT", "PASTED")),
    ("projection", ("MIP", "MAX_IP", "MIN_IP", "MINIP", "MAXIP", "MAXIMUM", "MINIMUM", "THIN_MIP", "AVERAGE", "VRT",
                    "VOLREN", "CSA 3D", "PROJECTION IMAGE")),
    ("reformat", ("MPR", "REFORMATTED", "CURVED", "CPR", "CSA MPR", "CSA MPR CURVED", "CORONAL", "SAGITTAL")),
    ("bolus_tracking", ("CSAMONITORING", "MONITORING", "BOLUS", "SMARTPREP", "LOCATOR", "TRACKER")),
    ("not_hounsfield", MAPS),
)  # fmt: skip


def said_by_description(text: str) -> str:
    """The kind that a series' description names, or "": a word of this module, never the text itself."""
    lowered = re.sub(r"[\s_]+", " ", text.casefold())
    return next((kind for kind, pattern in _DESCRIPTIONS if re.search(pattern, lowered)), "")


def support_by_model(model: str) -> str:
    """ "support" where a machine for treatment made the images, or ""."""
    return "support" if "on-board imager" in model.casefold() else ""


def said_by_image_type(image_type: Iterable[str]) -> str:
    """The kind that ImageType names, or ""."""
    tokens = {token.strip().upper() for token in image_type}
    return next((kind for kind, words in _TOKENS if tokens & set(words)), "")


def kind_of(
    *,
    modality: str,
    sop_class_uid: str,
    image_type: tuple[str, ...],
    hint: str,
    grey: bool,
    in_hu: bool,
    normal_along_body: float | None,
    n_slices: int,
    n_places: int,
) -> str:
    """What a series is, by key of KINDS.

    Args:
        modality: Modality of DICOM.
        sop_class_uid: of its first file.
        image_type: all words of ImageType in the series.
        hint: what `said_by_description` found in its description.
        grey: one sample a pixel.
        in_hu: RescaleType names no other unit than HU.
        normal_along_body: absolute cosine of the slices' normal and the body axis; None where it is not known.
        n_slices: slices (frames) of the series.
        n_places: different positions along the normal.
    """
    if modality != "CT":
        return "not_ct"
    said = said_by_image_type(image_type)
    if said in ("localizer", "dose_page"):
        return said
    if not grey or sop_class_uid.startswith(SECONDARY_CAPTURE) or said == "picture":
        return "dose_page" if hint == "dose_page" else "picture"
    if normal_along_body is None:
        return hint if hint in ("localizer", "dose_page") else "not_placed"
    if said in ("projection", "bolus_tracking", "not_hounsfield") or not in_hu:
        return said or "not_hounsfield"
    if said == "reformat" or normal_along_body < AXIAL_COSINE:
        return "localizer" if hint == "localizer" else "reformat"
    measured = {"ORIGINAL", "PRIMARY", "AXIAL"} <= {word.strip().upper() for word in image_type}
    if hint == "support":
        return hint
    if hint in ("projection", "reformat") and not measured:  # "1.0 for MPR" is the source of one
        return hint
    if hint in ("localizer", "dose_page", "bolus_tracking") and n_places <= 3:  # words alone have many uses
        return hint
    if n_slices >= 2 * n_places and n_places > 0:
        return "bolus_tracking" if n_places <= 3 else "repeated"
    return "axial"
