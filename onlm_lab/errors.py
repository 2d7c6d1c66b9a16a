"""The one family of errors that a user meets: a sentence that says what was wanted, what came, where, what to try."""


class OnlmError(ValueError):
    """Something in the user's data, study or request is wrong; the message is written for the user.

    The command line prints the message alone and exits with code 2; a dashboard shows it as a sentence on the page.
    """


class DataError(OnlmError):
    """A table does not fit the schema. `faults` lists every fault, one sentence each."""

    def __init__(self, faults: list[str]):
        self.faults = list(faults)
        super().__init__("\n".join(self.faults))


class StudyError(OnlmError):
    """study.toml, or a file that it names, cannot be used."""


class SeriesError(OnlmError):
    """A CT series, or a mask on it, cannot be read; the message names the slice and the fault."""
