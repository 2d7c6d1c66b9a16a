"""Is a convolution kernel one for the lung (sharp) or for soft tissue? Makers name them each in their own way.

Siemens: B50 to B80 are offered for thorax and lung, B10 to B49 for body tissue (SOMATOM Sensation Cardiac, operating
instructions A60, "Body Kernels"); since then two letters and a number, the second letter l for lung, the number the
sharpness. GE: by word. Canon and Toshiba: FC with a number. Soft tissue, B30, STANDARD and FC03: NCI BRIDG model 5.3.1,
"Convolution Kernel". Where a name is not known here it is neither, and a study may name its own.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Sequence
from typing import Literal

Class = Literal["lung", "soft", "unknown"]
SHARP_FROM = 50  # of Siemens' numbers
_WORDS: dict[str, Class] = {
    "LUNG": "lung", "BONE": "lung", "BONEPLUS": "lung", "EDGE": "lung", "CHEST": "lung", "CHST": "lung", "L": "lung",
    "STANDARD": "soft", "STND": "soft", "STD": "soft", "SOFT": "soft", "DETAIL": "soft", "A": "soft", "B": "soft",
}  # fmt: skip


def kernel_class(kernel: str, *, lung: Sequence[str] = (), soft: Sequence[str] = ()) -> Class:
    """Whether a kernel is one for the lung or for soft tissue.

    Args:
        kernel: ConvolutionKernel of DICOM; of several values the first.
        lung, soft: patterns of the study's own, such as "B?0f", which go before the known names.

    Example:
        >>> kernel_class("B70f"), kernel_class("Br40"), kernel_class("FC51"), kernel_class("YA")
        ('lung', 'soft', 'lung', 'unknown')
    """
    name = kernel.split("\\")[0].strip()
    for own, found in ((lung, "lung"), (soft, "soft")):
        if any(fnmatch.fnmatchcase(name.casefold(), pattern.casefold()) for pattern in own):
            return found
    upper = re.sub(r"[+ _]+$", "", name.upper())
    if upper in _WORDS:
        return _WORDS[upper]
    words = set(re.findall("[A-Z]+", upper))
    if "LUNG" in words:
        return "lung"
    if match := re.fullmatch(r"([BIDUQ])([A-Z]?)(\d{2})[A-Z]?", upper):
        return "lung" if match[2] == "L" or int(match[3]) >= SHARP_FROM else "soft"
    if match := re.fullmatch(r"FC(\d{2})", upper):
        number = int(match[1])
        return "lung" if 50 <= number < 60 or 80 <= number < 90 else "soft" if number < 20 else "unknown"
    if match := re.fullmatch(r"[A-Z]_(V?SHARP|SOFT|VSOFT)_[A-Z]+", upper):
        return "lung" if "SHARP" in match[1] else "soft"
    return "unknown"
