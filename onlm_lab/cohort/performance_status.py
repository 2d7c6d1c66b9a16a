"""Karnofsky (KPS) and ECOG performance status: what one says about the other.

Source: Prasad et al., World J Clin Oncol 2018;9:140-147, doi:10.5306/wjco.v9.i7.140 (5,844 paired assessments of 1,501
patients with lung cancer): KPS 100 is ECOG 0, 80-90 is 1, 70 is 2, 50-60 is 3, 10-40 is 4. Buccheri et al., Eur J
Cancer 1996;32A:1135-1141 (lung cancer too) put KPS 60 with ECOG 2. Both are respected: KPS 60 goes with ECOG 2 and 3.
KPS 0 and ECOG 5 both mean dead.
"""

from __future__ import annotations

import math

# The first of several is the one of Prasad et al.
ECOG_OF_KPS: dict[int, tuple[int, ...]] = {
    100: (0,), 90: (1,), 80: (1,), 70: (2,), 60: (3, 2), 50: (3,), 40: (4,), 30: (4,), 20: (4,), 10: (4,), 0: (5,),
}  # fmt: skip
KPS_OF_ECOG: dict[int, tuple[int, int]] = {
    grade: (min(found), max(found))
    for grade in range(6)
    for found in [[kps for kps, grades in ECOG_OF_KPS.items() if grade in grades]]
}


def ecog_of_kps(kps: float) -> tuple[int, ...]:
    """The ECOG grades that a KPS may be, Prasad's first; a KPS between two tens may be what either is.

    >>> ecog_of_kps(60), ecog_of_kps(75)
    ((3, 2), (1, 2))

    Raises:
        ValueError: not from 0 to 100.
    """
    if not 0 <= kps <= 100:
        raise ValueError(f"KPS is {kps:g}; wanted 0 to 100.")
    above, below = math.ceil(kps / 10) * 10, math.floor(kps / 10) * 10
    return tuple(dict.fromkeys((*ECOG_OF_KPS[above], *ECOG_OF_KPS[below])))


def kps_of_ecog(ecog: float) -> tuple[int, int]:
    """The lowest and the highest KPS that an ECOG grade may be.

    >>> kps_of_ecog(2)
    (60, 70)

    Raises:
        ValueError: not a whole number from 0 to 5.
    """
    if ecog not in KPS_OF_ECOG:
        raise ValueError(f"ECOG is {ecog:g}; wanted a whole number from 0 to 5.")
    return KPS_OF_ECOG[int(ecog)]
