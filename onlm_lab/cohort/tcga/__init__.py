"""The public TCGA lung tables in our columns, with a report of what could not be mapped.

Clinical biotab files of LUAD and LUSC (nationwidechildrens.org_clinical_patient_*.txt, NCI Genomic Data Commons, open
access), and the outcomes of the TCGA Clinical Data Resource, CDR (Liu et al., Cell 2018;173:400-416,
doi:10.1016/j.cell.2018.02.052). No clinical N, T or size: pathological N stands alone, so the label is a surrogate;
histology comes from the resection, so a model that uses it is partly post-operative. Editions 3 to 7 of the AJCC manual
are mixed and not converted. TIME ZERO IS THE INITIAL PATHOLOGIC DIAGNOSIS, not surgery.

Outcomes, by the CDR's own definitions: OS is death from any cause. DSS calls a death with tumour a cancer death, an
approximation by its authors' word. DFI counts recurrences and new primaries of the lung in patients with a complete
response; PFI also progression, any new primary and death with tumour. `recurred` is DFI without new primaries; DFI and
PFI themselves are own columns, dfi_* and pfi_*. A locoregional recurrence may be local or regional: site unknown.
"""

from onlm_lab.cohort.tcga.source import read, surrogate_cohort, surrogate_flow, write_study
from onlm_lab.cohort.tcga.words import CITATION, EXTRA_COLUMNS

__all__ = ["CITATION", "EXTRA_COLUMNS", "read", "surrogate_cohort", "surrogate_flow", "write_study"]
