"""Makes codestreams.json: slices compressed by libjpeg-turbo and OpenJPH, which no dependency of the tests can encode.

From the folder tests/, where the slices are made: `pip install imagecodecs && python reference/make_codestreams.py`.
"""

from __future__ import annotations

import base64
import json
import sys
from pathlib import Path

import imagecodecs
import numpy as np

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))
from test_transfer_syntaxes import SMALL, stored_values  # noqa: E402

TWELVE, SIGNED = SMALL.but(bits_stored=12), SMALL.but(signed=True, intercept=0.0)
JPEG = "1.2.840.10008.1.2.4."


def main() -> None:
    made = {}
    for predictor in range(1, 8):
        made[f"JPEG Lossless, predictor {predictor}"] = (
            JPEG + "57", TWELVE,
            lambda a, p=predictor: imagecodecs.jpeg8_encode(a, lossless=True, predictor=p, bitspersample=12),
        )  # fmt: skip
    made |= {
        "JPEG Lossless, 16 bits": (
            JPEG + "70", SIGNED,
            lambda a: imagecodecs.jpeg8_encode(a.view(np.uint16), lossless=True, predictor=1, bitspersample=16),
        ),
        "JPEG Extended, 12 bits": (
            JPEG + "51", TWELVE, lambda a: imagecodecs.jpeg8_encode(a, 90, bitspersample=12),
        ),
        "HTJ2K": (JPEG + "201", TWELVE, lambda a: imagecodecs.htj2k_encode(a, reversible=True)),
        "HTJ2K, signed": (JPEG + "201", SIGNED, lambda a: imagecodecs.htj2k_encode(a, reversible=True)),
        "HTJ2K RPCL": (JPEG + "202", SIGNED, lambda a: imagecodecs.htj2k_encode(a, reversible=True)),
        "HTJ2K with loss": (JPEG + "203", SIGNED, lambda a: imagecodecs.htj2k_encode(a, reversible=False)),
    }  # fmt: skip
    streams = {
        name: {
            "transfer_syntax": syntax,
            "bits_stored": scan.bits_stored,
            "signed": scan.signed,
            "slices": [base64.b64encode(bytes(encode(a))).decode() for a in stored_values(scan)],
        }
        for name, (syntax, scan, encode) in made.items()
    }
    parts = [
        part for part in imagecodecs.version().split(", ") if part.startswith(("imagecodecs", "libjpeg_", "openjph"))
    ]
    said = {"made_by": parts, "streams": streams}
    (HERE / "codestreams.json").write_text(json.dumps(said, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
