"""Where each statistic comes from: the publications that the docstrings name, as a table by call."""

from __future__ import annotations

import inspect
import re
import sys

from doi_links import dois

# "Austin, Harrell and van Klaveren 2020, ", "Benjamini and Hochberg (1995, ", "DeLong et al. 1988, "
_NAME = r"(?:(?:van|Van|de|De|von) )?[A-Z][\w-]+"
_AUTHORS = re.compile(
    rf"({_NAME}(?:(?:, | and |, and ){_NAME})*(?: et al\.| and others)?)'?s? \(?(\d{{4}})[^();]{{0,40}}$"
)


def statistics_sources() -> str:
    """Markdown: a row a call of onlm_lab.analysis that names a publication with its DOI."""
    from onlm_lab import analysis

    rows = ["| call | sources |", "|---|---|"]
    for name in analysis.__all__:
        call = getattr(analysis, name)
        said = sources_in(inspect.getdoc(call) or "") or sources_in(inspect.getdoc(sys.modules[call.__module__]) or "")
        if said:
            link = f"{{py:func}}`~onlm_lab.analysis.{name}`"
            rows.append(f"| {link} | {'; '.join(said).replace('|', chr(92) + '|').replace('<', '&lt;')} |")
    return "\n".join(rows)


def sources_in(text: str) -> list[str]:
    """Author and year where they stand before a DOI, with it: "DeLong et al. 1988, doi:10.2307/2531595"."""
    text = " ".join(text.split())
    found, last = [], 0
    for start, end, _ in dois(text):
        before = _AUTHORS.search(text[last:start])
        said = f"{before[1].strip(' ,')} {before[2]}, " if before else ""
        found.append(said + text[start:end])
        last = end
    return list(dict.fromkeys(found))
