"""The public NSCLC Radiogenomics table in our columns, with a report of what could not be mapped.

Bakr et al., Sci Data 2018;5:180202, doi:10.1038/sdata.2018.202; Gevaert et al., Radiology 2012;264:387; data:
doi:10.7937/K9/TCIA.2017.7hs46erv, CC BY 3.0. The table has no clinical N, T or size: pathological N stands alone, so
the label is a surrogate; histology comes from the resection, so a model that uses it is partly post-operative.
Time zero is the day of surgery: the day of the CT plus the days between CT and surgery.
"""

from onlm_lab.cohort.nsclc_radiogenomics.source import read, surrogate_cohort, surrogate_flow, write_study
from onlm_lab.cohort.nsclc_radiogenomics.words import CITATION, EXTRA_COLUMNS

__all__ = ["CITATION", "EXTRA_COLUMNS", "read", "surrogate_cohort", "surrogate_flow", "write_study"]
