"""Central location by named definition: what "central" means is a choice, and the choice is said and logged."""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from onlm_lab.errors import StudyError
from onlm_lab.showing import shows_itself

_CASAL = "Casal et al., Eur Respir J 2019;53:1802220, doi:10.1183/13993003.02220-2018"
_SHIN = "Shin et al., Eur Respir J 2019;53:1801508, PMC6422838"
_SURVEY = "Casal et al., Ann Am Thorac Soc 2017;14:118-123"


@shows_itself
@dataclass(frozen=True)
class CentralDefinition:
    """One definition of a central tumour: its key, its text, and where it is used."""

    key: str
    text: str
    source: str

    @property
    def column(self) -> str:
        """The table's own column that holds it, where there is one."""
        return f"central_{self.key}"


def _thirds() -> list[CentralDefinition]:
    """The eight definitions that Casal 2019 compared: lines x how many thirds x which point of the tumour."""
    found = []
    for lines, drawn in (("concentric", "concentric"), ("vertical", "vertical-line")):
        for thirds, inner in (("third", "inner {} third"), ("two_thirds", "inner {} two thirds")):
            for point, where in (("centre", "tumour centre"), ("medial", "most medial point of the tumour")):
                source = _CASAL
                if (lines, thirds, point) == ("concentric", "third", "centre"):
                    source = f"{_SHIN} (lines from the midline; the one of seven that went with occult N2); {_CASAL}"
                text = f"{inner.format(drawn)} of the hemithorax, {where}"
                found.append(CentralDefinition(f"inner_{thirds}_{lines}_{point}", text, source))
    return found


CENTRAL_DEFINITIONS: dict[str, CentralDefinition] = {
    found.key: found
    for found in (
        *_thirds(),
        CentralDefinition(
            "hilar_contact", "in contact with hilar structures",
            f"{_SURVEY} (29 % of 218 answers); Martínez-Palau et al., Arch Bronconeumol 2021;57:359-365, "
            "doi:10.1016/j.arbr.2021.03.003 (49.7 % of 430)",
        ),
        CentralDefinition(
            "bronchial_tree_2cm", "within 2 cm of the proximal bronchial tree",
            "Timmerman et al., J Clin Oncol 2006;24:4833-4839",
        ),
        CentralDefinition(
            "mediastinum_2cm", "within 2 cm of the bronchial tree or another critical structure of the mediastinum",
            "described in Radiat Oncol 2016, doi:10.1186/s13014-016-0693-8",
        ),
    )
}  # fmt: skip
DEFAULT = CENTRAL_DEFINITIONS["inner_third_concentric_centre"]
OTHER = "other: "


def central_definition(said: str) -> CentralDefinition | None:
    """The definition that `[protocol] central_definition` names by key or by text; None for "other: ...".

    Raises:
        StudyError: neither a definition of the table nor "other: " with a text behind it.
    """
    if said in CENTRAL_DEFINITIONS:
        return CENTRAL_DEFINITIONS[said]
    for found in CENTRAL_DEFINITIONS.values():
        if said == found.text:
            return found
    if said.startswith(OTHER.strip()) and said[len(OTHER.strip()) :].strip():
        return None
    known = (*CENTRAL_DEFINITIONS, *(found.text for found in CENTRAL_DEFINITIONS.values()))
    near = difflib.get_close_matches(said, known, n=1, cutoff=0.5)
    offer = f"; did you mean '{near[0]}'?" if near else "."
    raise StudyError(
        f"[protocol] central_definition: '{said}' is not a definition{offer} Wanted one of "
        f"{', '.join(CENTRAL_DEFINITIONS)}, or 'other: ' and your own words."
    )
