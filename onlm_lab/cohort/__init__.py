"""Who is in, what they have, how they are labelled and split. Knows no CT, no model and no picture."""

from onlm_lab.cohort.eligibility import RULES, Screening, screen
from onlm_lab.cohort.endpoints import endpoint_counts, endpoints
from onlm_lab.cohort.label import label, reference_standard, uncertain_negatives
from onlm_lab.cohort.predictors import refuse_post_treatment
from onlm_lab.cohort.splits import make_folds, split_digest
from onlm_lab.cohort.staging import disagreements, stage_table
from onlm_lab.cohort.summary import accrual, missingness, table_one
from onlm_lab.cohort.table import Cohort, build_cohort, load_cohort

__all__ = [
    "RULES",
    "Cohort",
    "Screening",
    "accrual",
    "build_cohort",
    "disagreements",
    "endpoint_counts",
    "endpoints",
    "label",
    "load_cohort",
    "make_folds",
    "missingness",
    "reference_standard",
    "refuse_post_treatment",
    "screen",
    "split_digest",
    "stage_table",
    "table_one",
    "uncertain_negatives",
]
