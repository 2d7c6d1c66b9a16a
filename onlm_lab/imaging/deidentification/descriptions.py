"""The words of a series' description that say what it shows, and nothing else: a cleaned description.

Staff write anything into a description, names too. Here only words of a fixed list come through, numbers of up to two
digits, and the names of kernels; what a reader needs to tell a localizer from a lung series survives, the rest does
not. The list is about chest CT and can grow.
"""

from __future__ import annotations

import re
from collections.abc import Collection

# What a body or a series is called; also what regions are called, so no name of a patient is looked for in these.
WORDS = frozenset(
    """
abdomen ac acq add apex arterial artery aorta axial base body bolus bone brain breast breath bronchus bronchial cap
cardiac carina central chest contour contrast cor cord coronal cranial ct ctac ctv curved default delay delayed dose
dual early ebus enhanced enlarged esophagus exam expiration external fdg ffs fine follow gated ggo ggn ground glass
gtv gtvn gtvp head heart helical hfs hi high hilar hilum hold hr hrct inferior info inspiration internal itv kernel
kidney large larynx late lateral left lesion lingula liver lll lobe lobectomy localizer locator long low lower lul lung
lungs mask max maxip mean medial mediastinal mediastinum metastasis middle min minip mip mm monitoring mpr nac native
neck nodal node nodes nodule noncontrast of oesophagus organ outer page part patient pelvis pet phase pilot plain
planning pleura pleural portal post pre primary prior protocol ptv pulmonary recon reconstruction record reformat
reformatted region rendering report respiratory right rml roi rtdose rtstruct rul rll sag sagittal scan scanogram scout
seg segment segmentation sharp shoulder single skin slab small smart smartprep smooth soft solid spinal spiral spleen
standard start std sternum stomach structure structures superior surestart sure surgical surview target tb thick thin
thoracic thorax tissue topogram total trachea tracker tree tumor tumour upper us vascular vein venous volume vr vrt
vertebra wall wb whole window with without
""".split()
)
# The same words as Chinese hospitals write them.
_CHINESE = {
    "定位": "localizer", "剂量": "dose report", "平扫": "plain", "增强": "contrast", "薄层": "thin", "肺窗": "lung",
    "纵隔": "mediastinum", "骨窗": "bone", "胸部": "chest", "动脉期": "arterial", "静脉期": "venous", "冠状": "coronal",
    "矢状": "sagittal", "重建": "recon", "监测": "monitoring",
}  # fmt: skip
_LONGEST = 64  # of a value of type LO
_NUMBER = re.compile(r"\d{1,2}(\.\d{1,3})?(mm)?")
_KERNEL = re.compile(r"[bdhijkqsu][a-z]?\d{2}[a-z]?")
_TOKEN = re.compile(r"\d+(?:\.\d+)?(?:mm)?(?![a-z0-9])|[a-z][a-z0-9]*|\d+[a-z0-9]*")


def plain_description(text: str, *, names: Collection[str] = ()) -> str:
    """What of a description is harmless, in lower case; "" where nothing is.

    Args:
        text: the description.
        names: words of people's names in small letters; none of them comes through, whatever the list says.
    """
    for word, english in _CHINESE.items():
        text = text.replace(word, f" {english} ")
    kept: list[str] = []
    for token in _TOKEN.findall(text.casefold()):
        if _is_harmless(token) and token not in names and len(" ".join([*kept, token])) <= _LONGEST:
            kept.append(token)
    return " ".join(kept)


def is_plain(text: str) -> bool:
    """Whether a description holds nothing but what `plain_description` lets through."""
    return all(_is_harmless(token) for token in text.split(" ") if token)


def _is_harmless(token: str) -> bool:
    return token in WORDS or bool(_NUMBER.fullmatch(token) or _KERNEL.fullmatch(token))
