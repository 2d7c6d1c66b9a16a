"""CT in Hounsfield units, tumour masks, measured facts, quality, and the patch cut around a tumour."""

from onlm_lab.imaging.choosing import Rule, acquisition_dates, choose_series
from onlm_lab.imaging.cut import cut_mask, cut_patch
from onlm_lab.imaging.deidentification.deidentify import Deidentified, deidentify
from onlm_lab.imaging.deidentification.profile import identifying_elements
from onlm_lab.imaging.deidentification.pseudonyms import refuse_inside
from onlm_lab.imaging.facts import TumourFacts, measure_tumour
from onlm_lab.imaging.finding import Found, search, series_kind
from onlm_lab.imaging.headers import telling_texts_of
from onlm_lab.imaging.indexing import SeriesIndex, index_files, index_found, index_series, series_digest
from onlm_lab.imaging.kernels import kernel_class
from onlm_lab.imaging.limits import quality_limits
from onlm_lab.imaging.location import TumourLocation, locate_tumour
from onlm_lab.imaging.lungs import Lungs, find_lungs
from onlm_lab.imaging.masks import centre_of_mass_mm, read_mask, read_mask_noted, series_of_mask
from onlm_lab.imaging.parts import largest_part
from onlm_lab.imaging.privacy import find_path
from onlm_lab.imaging.quality import Quality, QualityLimits, assess_quality
from onlm_lab.imaging.series import READER_VERSION, find_series, read_index, read_series, series_table
from onlm_lab.imaging.strips import contact_strip
from onlm_lab.imaging.thirds import NOT_COMPUTED
from onlm_lab.imaging.volume import CtVolume
from onlm_lab.imaging.volume_files import VOLUME_FILES
from onlm_lab.imaging.volume_headers import files_of_volume

__all__ = [
    "NOT_COMPUTED",
    "READER_VERSION",
    "VOLUME_FILES",
    "CtVolume",
    "Deidentified",
    "Found",
    "Lungs",
    "Quality",
    "QualityLimits",
    "Rule",
    "SeriesIndex",
    "TumourFacts",
    "TumourLocation",
    "acquisition_dates",
    "assess_quality",
    "centre_of_mass_mm",
    "choose_series",
    "contact_strip",
    "cut_mask",
    "cut_patch",
    "deidentify",
    "files_of_volume",
    "find_lungs",
    "find_path",
    "find_series",
    "identifying_elements",
    "index_files",
    "index_found",
    "index_series",
    "kernel_class",
    "largest_part",
    "locate_tumour",
    "measure_tumour",
    "quality_limits",
    "read_index",
    "read_mask",
    "read_mask_noted",
    "read_series",
    "refuse_inside",
    "search",
    "series_digest",
    "series_kind",
    "series_of_mask",
    "series_table",
    "telling_texts_of",
]
