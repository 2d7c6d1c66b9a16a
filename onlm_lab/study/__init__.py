"""study.toml as frozen dataclasses, one per stage: what a study is, said once, by a person, in one file.

    study = load_study("my_study")          # a folder, or the path of its study.toml
    study.training.folds, study.folder / study.data.clinical

A key that is not known is an error that names the nearest one; a value of the wrong kind names what was wanted.
`digest()` of a stage is what decides whether a step has to be done again.
"""

from onlm_lab.study.centrality import CENTRAL_DEFINITIONS, CentralDefinition, central_definition
from onlm_lab.study.changing import Changes, change_words, parse_changes
from onlm_lab.study.imaging import Imaging
from onlm_lab.study.learning import BASELINES, CLINICAL_PREDICTORS, MODELS, Model, Score, Training
from onlm_lab.study.reading import load_study, starter_toml
from onlm_lab.study.stages import (
    RULES,
    Analysis,
    Data,
    Elapsed,
    ExtraColumn,
    Info,
    Label,
    Mapping,
    OwnRule,
    Patch,
    Protocol,
    Split,
    Study,
)

__all__ = [
    "BASELINES",
    "CENTRAL_DEFINITIONS",
    "CLINICAL_PREDICTORS",
    "MODELS",
    "RULES",
    "Analysis",
    "CentralDefinition",
    "Changes",
    "Data",
    "Elapsed",
    "ExtraColumn",
    "Imaging",
    "Info",
    "Label",
    "Mapping",
    "Model",
    "OwnRule",
    "Patch",
    "Protocol",
    "Score",
    "Split",
    "Study",
    "Training",
    "central_definition",
    "change_words",
    "load_study",
    "parse_changes",
    "starter_toml",
]
