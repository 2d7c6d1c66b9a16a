"""onlm_lab: occult nodal metastasis in clinical stage I lung cancer, from CT and spreadsheets to outcomes."""

__version__ = "0.1.0"
