"""CT in Hounsfield units, tumour masks, measured facts, quality, and the patch cut around a tumour."""

from onlm_lab.imaging.cut import cut_patch
from onlm_lab.imaging.facts import TumourFacts, measure_tumour
from onlm_lab.imaging.masks import centre_of_mass_mm, read_mask
from onlm_lab.imaging.privacy import find_path
from onlm_lab.imaging.quality import Quality, QualityLimits, assess_quality
from onlm_lab.imaging.series import READER_VERSION, SeriesIndex, find_series, index_series, read_index, read_series
from onlm_lab.imaging.volume import CtVolume

__all__ = [
    "READER_VERSION",
    "CtVolume",
    "Quality",
    "QualityLimits",
    "SeriesIndex",
    "TumourFacts",
    "assess_quality",
    "centre_of_mass_mm",
    "cut_patch",
    "find_path",
    "find_series",
    "index_series",
    "measure_tumour",
    "read_index",
    "read_mask",
    "read_series",
]
