"""Who is in, what they have, how they are labelled and split. Knows no CT, no model and no picture."""

from onlm_lab.cohort.centrality import central_location
from onlm_lab.cohort.comparison import Comparison, compare_cohorts
from onlm_lab.cohort.disagreements import disagreements
from onlm_lab.cohort.duplicates import find_duplicates, refuse_duplicates
from onlm_lab.cohort.eligibility import Screening, screen
from onlm_lab.cohort.endpoints import endpoint_counts, endpoints
from onlm_lab.cohort.export import tables_html, tables_text, write_tables
from onlm_lab.cohort.label import (
    label,
    label_given,
    label_quality,
    label_table,
    positives_by_yield,
    quality_rule,
    reference_standard,
    uncertain_negatives,
)
from onlm_lab.cohort.merging import Merged, merge_sites
from onlm_lab.cohort.missing import missing_by, missing_patterns, missingness
from onlm_lab.cohort.predictors import refuse_post_treatment
from onlm_lab.cohort.rules import Rule, require_rules
from onlm_lab.cohort.splits import hold_out, make_folds, split_digest
from onlm_lab.cohort.staging import ctr_band, stage_table, t_bounds
from onlm_lab.cohort.summary import accrual, table_one, table_one_numbers
from onlm_lab.cohort.table import Cohort, build_cohort, load_cohort
from onlm_lab.cohort.tables import Tables, read_tables
from onlm_lab.cohort.what_if import WhatIf, patients_gained, what_if
from onlm_lab.split_files import DealtSplit, read_split, write_split

__all__ = [
    "Cohort",
    "Comparison",
    "DealtSplit",
    "Merged",
    "Rule",
    "Screening",
    "Tables",
    "WhatIf",
    "accrual",
    "build_cohort",
    "central_location",
    "compare_cohorts",
    "ctr_band",
    "disagreements",
    "endpoint_counts",
    "endpoints",
    "find_duplicates",
    "hold_out",
    "label",
    "label_given",
    "label_quality",
    "label_table",
    "load_cohort",
    "make_folds",
    "merge_sites",
    "missing_by",
    "missing_patterns",
    "missingness",
    "patients_gained",
    "positives_by_yield",
    "quality_rule",
    "read_split",
    "read_tables",
    "reference_standard",
    "refuse_duplicates",
    "refuse_post_treatment",
    "require_rules",
    "screen",
    "split_digest",
    "stage_table",
    "t_bounds",
    "table_one",
    "table_one_numbers",
    "tables_html",
    "tables_text",
    "uncertain_negatives",
    "what_if",
    "write_split",
    "write_tables",
]
