"""Everybody whom the headers of a folder name, and whether a text tells of one of them."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property

from onlm_lab.imaging.deidentification.descriptions import WORDS
from onlm_lab.imaging.deidentification.elements import File, known_vr, walk
from onlm_lab.imaging.privacy import spellings
from onlm_lab.imaging.texts import readings

# Numbers that stand for a person, a visit or an order, beside every name (value type PN).
NUMBERS = frozenset(
    (
        0x00080050, 0x00100020, 0x00100030, 0x00101000, 0x00101050, 0x00101090, 0x00102154, 0x00101040, 0x00380010,
        0x00380060, 0x00401001, 0x00400009, 0x00400253, 0x00402016, 0x00402017, 0x0040050A, 0x00120040,
        0x00120042, 0x00200010,
    )
)  # fmt: skip
_MAKERS = frozenset(
    """
ge medical systems siemens healthineers healthcare philips toshiba canon hitachi fujifilm shimadzu neusoft uih united
imaging minfound anke cms inc varian elekta raysearch mim brainlab nuclear solutions corporation company ltd
""".split()
)
# Somebody is spoken of, whoever it is.
_TITLES = re.compile(r"\b(dr|prof|doctor|mrs|phd|nurse)\b|医生|医师|大夫|主任|教授|老师|护士|技师|先生|女士")
_MONTH = "(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]{0,6}"
_GAP = "[-./_, ]{0,2}"
_DATES = re.compile(
    r"(?<!\d)(?:19|20)\d\d[-./_ 年]?(?:0?[1-9]|1[0-2])[-./_ 月]?(?:0[1-9]|[12]\d|3[01]|[1-9])(?!\d)"
    r"|(?<!\d)[0-3]?\d[-./_][0-3]?\d[-./_](?:19|20)\d\d(?!\d)"
    rf"|(?<!\d)[0-3]?\d{_GAP}{_MONTH}{_GAP}\d{{2}}(?:\d\d)?(?!\d)|{_MONTH}{_GAP}[0-3]?\d{_GAP}(?:19|20)\d\d(?!\d)"
)
_SHORT_DATES = re.compile(r"(?<!\d)[0-3]?\d[-./_][0-3]?\d[-./_]\d\d(?!\d)")  # versions of software look like it
_SPLIT = re.compile(r"[\W_]+|(?<=[a-z])(?=\d)|(?<=\d)(?=[a-z])")


_ONE_LETTER_NAME = re.compile("[\u4e00-\u9fff\uac00-\ud7a3]")  # 王, 김
LONG_NAME = 5  # letters; a shorter name sits inside too many words


@dataclass(frozen=True)
class Care:
    """How closely a text is looked at.

    Attributes:
        shortest_word: letters that a word needs to be taken for a name.
        shortest_part: letters that a whole name or number needs to be looked for inside a longer text.
        longest_digits: digits in a row that pass; longer ones may be a number of the hospital.
        typed: whether people type it: a title (Dr, 主任) or a date with two digits for the year then tells, too.
        dated: whether what looks like a date is one.
    """

    shortest_word: int
    shortest_part: int
    longest_digits: int
    typed: bool = False
    dated: bool = True


LABEL = Care(shortest_word=2, shortest_part=4, longest_digits=4, typed=True)  # what people type
DEVICE = Care(shortest_word=3, shortest_part=6, longest_digits=6)  # what scanners fill in
CODE = Care(shortest_word=4, shortest_part=6, longest_digits=6)  # words of the standard
CODED = Care(shortest_word=3, shortest_part=99, longest_digits=18, dated=False)  # codes of a public scheme


@dataclass(frozen=True)
class Identities:
    """Names and numbers of everybody in a folder: patients and staff.

    Attributes:
        words: single words of names, in small letters.
        wholes: whole names and numbers, letters and digits only.
        lengths: of these.
    """

    words: frozenset[str] = field(repr=False)
    wholes: frozenset[str] = field(repr=False)
    lengths: tuple[int, ...] = field(repr=False)
    _known: dict[tuple[str, Care], bool] = field(default_factory=dict, repr=False, compare=False)

    @cached_property
    def digest(self) -> str:
        """Changes when somebody is known who was not."""
        said = "\0".join([*sorted(self.words), "", *sorted(self.wholes)])
        return hashlib.sha256(said.encode("utf-8", "surrogatepass")).hexdigest()

    def tells(self, text: str, care: Care) -> bool:
        """Whether a text tells who somebody is: a name or number of the folder, a date, a long number, a title."""
        key = (text, care)
        if key not in self._known:
            self._known[key] = self._tells(text, care)
        return self._known[key]

    def _tells(self, text: str, care: Care) -> bool:
        return any(self._spelled_tells(small, care) for small in spellings(_folded(text)))

    def _spelled_tells(self, small: str, care: Care) -> bool:
        if (care.dated and _DATES.search(small)) or re.search(rf"\d{{{care.longest_digits + 1}}}", small):
            return True
        if care.typed and (_TITLES.search(small) or _SHORT_DATES.search(small)):
            return True
        plain = _plain(small)
        if plain in self.wholes and (care.typed or plain not in _MAKERS):
            return True
        tokens = {token for token in _SPLIT.split(small) if token}
        tokens |= {_without_words(token) for token in tokens}
        harmless = WORDS if care.typed else WORDS | _MAKERS
        if any(len(token) >= care.shortest_word and token in self.words for token in tokens - harmless):
            return True
        if care.typed and any(self._holds_a_name(token) for token in tokens - harmless):
            return True
        return any(len(whole) >= care.shortest_part or not whole.isascii() for whole in self._inside(plain))

    def _holds_a_name(self, token: str) -> bool:
        """Whether a name of some length, or a Chinese one of any, stands inside a word: GTVpZhang, Zhangs."""
        if any(letter in self.words for letter in token if _ONE_LETTER_NAME.match(letter)):
            return True
        inside = (
            token[start : start + length]
            for length in range(LONG_NAME, len(token) + 1)
            for start in range(len(token) - length + 1)
        )
        return any(part in self.words and part not in WORDS for part in inside)

    def _inside(self, plain: str) -> Iterator[str]:
        """Every whole name or number that is a part of a text: its parts are looked up, not the thousands of names."""
        for length in self.lengths:
            for start in range(len(plain) - length + 1):
                if plain[start : start + length] in self.wholes:
                    yield plain[start : start + length]

    def __reduce__(self) -> tuple[type, tuple[frozenset[str], frozenset[str], tuple[int, ...]]]:
        return Identities, (self.words, self.wholes, self.lengths)  # what is known already stays behind


def people_of(file: File) -> set[tuple[bool, str]]:
    """What a file says of people, at any depth: (whether it is a name, the text in every reading of its bytes)."""
    found = set()
    for element, _, characters in walk(file.data):
        is_name = element.vr == "PN" or known_vr(element.tag) == "PN"
        if element.items is None and (is_name or element.tag in NUMBERS) and 0 < len(element.value) < 1024:
            for text in readings(element.raw(), characters):
                found |= {(is_name, part) for part in text.split("\\") if part.strip(" ^=")}
    return found


def gathered(people: Iterable[tuple[bool, str]]) -> Identities:
    """The names and numbers of everybody, ready to be looked for."""
    words: set[str] = set()
    wholes: set[str] = set()
    for is_name, text in people:
        groups = [group for small in spellings(_folded(text)) for group in (small.split("=") if is_name else [small])]
        for group in groups:
            parts = [part for part in (_plain(part) for part in re.split(r"[\^\s,]+", group)) if part]
            if is_name:
                found = {word for part in re.split(r"[\W_]+", group) for word in _SPLIT.split(part)}
                words |= {word for word in found if len(word) >= 2 or _ONE_LETTER_NAME.match(word)}
                wholes |= {part for part in parts if not part.isascii() and len(part) >= 2}
            for whole in {"".join(parts), "".join(parts[:2]), "".join(parts[1::-1])} if is_name else {"".join(parts)}:
                if len(whole) >= 2 and (is_name or len(whole) >= 4):
                    wholes.add(whole)
    wholes -= WORDS
    words = {word for word in words if not word.isdigit()}
    return Identities(frozenset(words), frozenset(wholes), tuple(sorted({len(whole) for whole in wholes})))


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()


def _plain(text: str) -> str:
    return re.sub(r"[\W_]+", "", text)


def _without_words(token: str) -> str:
    """GTVZhang -> zhang: a word of the list at its head or its end is no part of a name."""
    for word in sorted(_FRONTS, key=len, reverse=True):
        if token.startswith(word) and len(token) > len(word):
            return token[len(word) :]
        if token.endswith(word) and len(token) > len(word):
            return token[: -len(word)]
    return token


_FRONTS = ("gtv", "ctv", "itv", "ptv", "roi", "tumor", "tumour", "nodule", "lesion", "lung", "mask", "seg")
