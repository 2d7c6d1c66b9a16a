"""A made-up multicentre trial with known truth: patients, CT, outcomes, and the oracle that knows the answers."""

from onlm_lab.virtual.trial import Trial, draw_trial
from onlm_lab.virtual.write import write_trial

__all__ = ["Trial", "draw_trial", "write_trial"]
