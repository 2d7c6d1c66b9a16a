"""Who is in, what they have, how they are labelled and split. Knows no CT, no model and no picture."""

from onlm_lab.cohort.eligibility import RULES, Screening, screen
from onlm_lab.cohort.endpoints import endpoint_counts, endpoints
from onlm_lab.cohort.label import label, reference_standard, uncertain_negatives
from onlm_lab.cohort.predictors import refuse_post_treatment
from onlm_lab.cohort.splits import hold_out, make_folds, split_digest
from onlm_lab.cohort.staging import disagreements, stage_table
from onlm_lab.cohort.summary import accrual, missingness, table_one
from onlm_lab.cohort.table import Cohort, build_cohort, load_cohort
from onlm_lab.split_files import DealtSplit, read_split, write_split

__all__ = [
    "RULES",
    "Cohort",
    "DealtSplit",
    "Screening",
    "accrual",
    "build_cohort",
    "disagreements",
    "endpoint_counts",
    "endpoints",
    "hold_out",
    "label",
    "load_cohort",
    "make_folds",
    "missingness",
    "read_split",
    "reference_standard",
    "refuse_post_treatment",
    "screen",
    "split_digest",
    "stage_table",
    "table_one",
    "uncertain_negatives",
    "write_split",
]
