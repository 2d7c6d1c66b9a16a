"""A finished run before the patients of another study: may they be predicted, how unlike are they, and what came out.

    out = predict_study("demo", "hospital_d", say=print)     # the study's folder; its predictions/<run id>/

Torch is never imported here: the models are applied by `onlm_lab.learning.apply`, in a process of its own.
"""

from onlm_lab.predicting.drift import Drift, measure_drift
from onlm_lab.predicting.performing import predict_study
from onlm_lab.predicting.suitability import Suitability, assess_suitability

__all__ = ["Drift", "Suitability", "assess_suitability", "measure_drift", "predict_study"]
