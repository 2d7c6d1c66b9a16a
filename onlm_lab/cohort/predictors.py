"""Only what is known before treatment may predict: what is not is refused by its declared timing and by its name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from onlm_lab import schema
from onlm_lab.errors import OnlmError

_WHY = {
    "post_treatment": "is known only after treatment",
    "outcome": "is an outcome",
    "id": "identifies or administers",
}
# Words of a name that say how something was known before treatment, or that it lies in the past.
_BEFORE = frozenset(
    "biopsy ebus eus mediastinoscopy ct pet mri imaging radiologic radiological radiology clinical baseline preop "
    "preoperative pretreatment pretherapeutic".split()
)
_PAST = frozenset("history previous previously prior past family preop preoperative".split())


@dataclass(frozen=True)
class _Name:
    """Names that tell a finding after treatment: every word of one of `words` is among the words of the name.

    `unless`: words beside which the name means something else.
    """

    words: tuple[str, ...]
    unless: frozenset[str] = frozenset()

    def fits(self, name: frozenset[str]) -> bool:
        return not name & self.unless and any(set(words.split("+")) <= name for words in self.words)


_NAMES = (
    # pathology of the specimen
    _Name(("pt", "pn", "ptn", "ptnm", "ypt", "ypn", "yptnm", "ptstage", "pnstage", "pstage", "p+stage", "r0", "r1",
           "patholog", "histopatholog", "specimen", "resected", "dissected", "dissection", "lymphadenectomy",
           "upstag", "path+t", "path+n", "path+m", "path+stage", "path+subtype", "path+grade", "patht",
           "pathn", "pathstage", "mpr", "tumour+regression", "tumor+regression", "residual+tumour", "residual+tumor",
           "r+status")),
    _Name(("micropapillary", "predominant+pattern", "predominant+subtype", "frozen"), unless=_BEFORE),
    _Name(("resection", "surgery", "surgical", "operation", "operative", "lobectomy", "segmentectomy", "pneumonectomy",
           "wedge", "vats", "thoracotomy", "intraoperative", "postoperative", "postop", "postsurgical", "post+op"),
          unless=_PAST),
    _Name(("post+treatment", "post+therapy", "posttreatment", "posttherapy")),
    _Name(("stas", "tumour+spread", "tumor+spread", "air+spaces", "air+space+spread")),
    _Name(("lvi", "lvsi", "alvi", "vpi", "pni", "lymphovascular", "angiolymphatic", "angioinvasion", "perineural",
           "vascular+invasion", "vessel+invasion", "venous+invasion", "lymphatic+invasion", "pleural+invasion",
           "pleura+invasion", "invasion+size", "invasive+size", "differentiation"), unless=_BEFORE),
    _Name(("grade", "grading"),
          unless=_BEFORE | frozenset("dyspnoea dyspnea emphysema copd gold mrc mmrc asa nyha ctcae fibrosis".split())),
    _Name(("margin", "margins"), unless=_BEFORE | frozenset(
        "tumour tumor nodule lesion spiculated lobulated irregular smooth spiculation lobulation".split())),
    _Name(("nodes+positive", "node+positive", "nodes+examined", "node+examined", "nodes+removed", "nodes+harvested",
           "nodes+sampled", "nodes+retrieved", "node+count", "node+yield", "nodes+count", "nodes+total", "node+ratio",
           "nodes+ratio", "lnr", "ln+ratio", "ln+positive", "ln+examined", "lns+positive", "lns+examined",
           "stations+examined", "stations+positive", "station+positive", "nodal+status", "node+status", "nodes+status",
           "ln+pos", "ln+status", "ln+number", "ln+count", "lnm", "lnd", "n+positive", "n+nodes", "occult+n",
           "occult+nodal", "occult+node", "occult+nodes", "metastas", "metastatic", "onlm"), unless=_BEFORE | _PAST),
    # treatment after the decision
    _Name(("adjuvant", "neoadjuvant", "hospital+stay", "length+stay", "blood+loss", "complication", "complications")),
    _Name(("chemo", "chemotherapy", "radiotherapy", "immunotherapy", "sbrt", "sabr"), unless=_PAST),
    _Name(("extent",), unless=frozenset("emphysema fibrosis disease ggo ground ct imaging".split())),
    # outcome
    _Name(("os", "dfs", "rfs", "pfs", "efs", "css", "ttp", "recur", "relaps", "surviv", "censor", "followup",
           "follow+up", "progress", "vital+status", "alive")),
    _Name(("death", "died", "dead", "deceased", "mortality"), unless=_PAST),
)  # fmt: skip
_STEMS = ("patholog", "histopatholog", "upstag", "metastas", "recur", "relaps", "surviv", "censor", "progress")
_IN_ONE = re.compile(r"y?p(t([0-4x]|is)[a-c]?(mi)?|n[0-3x][ab]?|m[01x][a-c]?)")  # pT2a, pN1, ypN0; not PM2.5
# Names that say where or how the patient was treated.
_ADMINISTERS = re.compile(
    r"((hospital|institution|centre|center|site|surgeon|operator)(_?(id|name|code|no|number))?"
    r"|(treatment|therapy)(_?(arm|group|type|modality))?|arm)"
)
# The same in Chinese: pathology, after surgery, recurrence, death, survival, follow-up, vascular and pleural invasion,
# spread through air spaces, dissection, margin, differentiation, nodal metastasis, positive nodes, micropapillary, kind
# and extent of operation, adjuvant; unless biopsy, before
# surgery, CT, imaging.
_CHINESE = re.compile(
    "病理|术后|复发|死亡|生存|随访|脉管|胸膜侵犯|气腔播散|清扫|切缘|分化|淋巴结转移|淋巴结阳性|微乳头|手术方式|切除范围|辅助"
)
_CHINESE_BEFORE = re.compile("活检|术前|CT|影像|临床", re.IGNORECASE)
# Where a name in camel case may be cut: pNStage and nPositiveNodes; LNmetastasis and OSmonths.
_CUTS = (r"(?<=[a-z0-9])(?=[A-Z][a-z])|(?<=[A-Z])(?=[A-Z][a-z])|(?<=[a-z]{3})(?=[A-Z])", r"(?<=[A-Z]{2})(?=[a-z]{4})")


def named_late(name: str) -> bool:
    """Whether a column is by its name a finding after treatment, whatever case and separators it is written with.

    >>> [n for n in ("pN_stage", "LVI", "lymphNodeRatio", "OS_months", "ptt_seconds", "biopsy_grade") if named_late(n)]
    ['pN_stage', 'LVI', 'lymphNodeRatio', 'OS_months']
    """
    if _CHINESE.search(name) and not _CHINESE_BEFORE.search(name):
        return True
    written = [name, *(re.sub(cut, "_", name) for cut in _CUTS)]
    lower = " ".join(written).lower().replace("lymphnode", "lymph_node")
    found = {word for word in re.split(r"[^a-z0-9]+", lower) if word}
    stems = {stem for word in found for stem in _STEMS if word.startswith(stem)}
    words = frozenset(found | stems | {word.rstrip("0123456789") for word in found})
    return any(kind.fits(words) for kind in _NAMES) or any(_IN_ONE.fullmatch(word) for word in found)


def refuse_post_treatment(
    predictors: Sequence[str],
    *,
    extra_columns: Mapping[str, Any] | Iterable[schema.Column] = (),
    patients: pd.DataFrame | None = None,
    surrogate: bool = False,
) -> None:
    """Raise if a predictor is not known before treatment, by its name or by its declared timing.

    Refused are post-operative and pathological findings, treatment, outcome, what identifies or administers (centre),
    and histology unless it comes from a biopsy. An own column declared pre_treatment is refused too where its name
    says otherwise (`named_late`).

    Args:
        predictors: names of columns.
        extra_columns: the study's own columns with their timing (`study.columns`).
        patients: if given, histology is also refused where it does not come from a biopsy in every patient in whom
            it is known (histology_source).
        surrogate: the study says that its model is a surrogate, partly post-operative: histology from the resection
            is then let through.

    Raises:
        OnlmError: one sentence a refused predictor.
    """
    extra = schema.declared(extra_columns)
    faults: list[str] = []
    by_name: list[str] = []
    for name in predictors:
        spec = schema.column(name, extra_columns=extra)
        if spec is not None and spec.timing != "pre_treatment":
            faults.append(f"'{name}' {_WHY[spec.timing]} (timing {spec.timing})")
        elif (spec is None or spec in extra) and named_late(name):
            faults.append(f"'{name}' is by its name a finding after treatment")
            by_name.append(name)
        elif spec in extra and _ADMINISTERS.fullmatch(name.lower().replace("-", "_")):
            faults.append(f"'{name}' is by its name a hospital or a treatment, not a property of the patient")
    if "histology" in predictors and patients is not None and not surrogate and "histology" in patients:
        known = patients[patients["histology"].notna()]
        source = known["histology_source"] if "histology_source" in known else pd.Series(None, index=known.index)
        late = int((source != "biopsy").sum())
        if late:
            faults.append(f"'histology' comes from no biopsy in {late} of {len(known)} patients (histology_source)")
    if faults:
        raise OnlmError(
            f"Only what is known before treatment may predict: {'; '.join(faults)}. "
            f"Take it out of predictors in study.toml under [training].{_way_out(by_name)}"
        )


def _way_out(names: Sequence[str]) -> str:
    """What to do about a column that is only named like a late finding."""
    if not names:
        return ""
    prefixed = [f"biopsy_{name}" for name in names if not named_late(f"biopsy_{name}")]
    example = f", such as {prefixed[0]} for a finding at biopsy" if prefixed else ""
    return (
        f" If {names[0]} is something else, or was known before treatment, give the column a name that says so"
        f"{example}, and declare that one pre_treatment under [columns]."
    )
