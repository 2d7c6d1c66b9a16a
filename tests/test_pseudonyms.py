"""Ids, UIDs and shifts follow from the secret alone: the same in every process, nothing of the old in the new."""

from __future__ import annotations

import hashlib
import re
import stat
import subprocess
import sys
import uuid
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onlm_lab.errors import OnlmError
from onlm_lab.imaging.deidentification.pseudonyms import (
    ALPHABET,
    MAX_SHIFT_DAYS,
    MIN_SHIFT_DAYS,
    Pseudonyms,
    open_secret,
    shifted_date,
    shifted_date_time,
)

SECRET = b"an example of a secret, 32 bytes"
KEYED = Pseudonyms(SECRET)


def _hmac(message: bytes) -> bytes:
    """RFC 2104, written out."""
    key = SECRET.ljust(64, b"\0")
    inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in key) + message).digest()
    return hashlib.sha256(bytes(byte ^ 0x5C for byte in key) + inner).digest()


def test_a_uid_is_the_hmac_of_the_old_one_as_a_uuid():
    raw = bytearray(_hmac(b"onlm\0uid\x001.2.3")[:16])
    raw[6], raw[8] = raw[6] & 0x0F | 0x40, raw[8] & 0x3F | 0x80  # version 4, RFC 9562
    assert KEYED.uid("1.2.3") == f"2.25.{int.from_bytes(raw, 'big')}"
    assert uuid.UUID(int=int(KEYED.uid("1.2.3").removeprefix("2.25."))).version == 4


@pytest.mark.parametrize("uid", ["1.2.840.10008.1.2.1", "1.2.840.10008.5.1.4.1.1.2", "2.16.840.1.113883.6.96", ""])
def test_uids_of_kinds_of_things_stay(uid):
    assert KEYED.uid(uid) == uid


def test_the_same_comes_out_of_every_process():
    code = (
        f"from onlm_lab.imaging.deidentification.pseudonyms import Pseudonyms as P; p = P({SECRET!r}); "
        "print(p.uid('1.2.3'), p.study_id('007', issuer='A'), p.shift_days('S-1'), p.file_name('1'), p.check())"
    )
    said = {
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        for _ in range(2)
    }
    here = (
        KEYED.uid("1.2.3"),
        KEYED.study_id("007", issuer="A"),
        KEYED.shift_days("S-1"),
        KEYED.file_name("1"),
        KEYED.check(),
    )
    assert said == {" ".join(map(str, here)) + "\n"}


def test_study_ids_are_readable_different_and_hang_on_the_issuer():
    made = {KEYED.study_id(str(k)) for k in range(5000)}
    assert len(made) == 5000
    assert all(re.fullmatch(rf"([{ALPHABET}]{{4}}-){{2}}[{ALPHABET}]{{4}}", one) for one in made)
    assert not set(ALPHABET) & set("0OQ1IL2Z5S8BGUEA")
    assert KEYED.study_id("7") != KEYED.study_id("07") != KEYED.study_id("7", issuer="A")
    assert KEYED.study_id("7a") != KEYED.study_id("7", issuer="a")


def test_shifts_lie_between_one_and_ten_years_back_and_spread():
    shifts = [KEYED.shift_days(str(k)) for k in range(4000)]
    assert -MAX_SHIFT_DAYS <= min(shifts) < -3600 and -420 < max(shifts) <= -MIN_SHIFT_DAYS
    assert len({shift % 7 for shift in shifts}) == 7  # the day of the week does not survive
    assert len(set(shifts)) > 2000


def test_no_secret_is_shown():
    assert "secret" not in repr(KEYED).replace("Pseudonyms", "") and SECRET.decode() not in repr(KEYED)


@given(
    st.dates(date(1890, 1, 1), date(2100, 12, 31)),
    st.dates(date(1890, 1, 1), date(2100, 12, 31)),
    st.integers(-3653, -366),
)
def test_intervals_survive(first, second, days):
    one, other = (shifted_date(f"{day:%Y%m%d}", days) for day in (first, second))
    assert date.fromisoformat(one) - date.fromisoformat(other) == first - second
    assert date.fromisoformat(one) == first + timedelta(days)


@pytest.mark.parametrize(
    ("text", "moved"),
    [
        ("20190704", "20190701"), ("2019.07.04", "20190701"), ("20200302", "20200228"), ("00010101", None),
        ("20190230", None), ("2019074", None), ("", None), ("2019-07-04", None), ("１２３４５６７８", None),
    ],
)  # fmt: skip
def test_a_date_moves_or_is_none(text, moved):
    days = {"20200302": -3}.get(text, -3)
    assert shifted_date(text, days) == moved


@pytest.mark.parametrize(
    ("text", "moved"),
    [
        ("20190704101112.123456+0800", "20190701101112.123456+0800"), ("20190704", "20190701"), ("201907", "201906"),
        ("2019", "2018"), ("2019070410", "2019070110"), ("201907041011-0130", "201907011011-0130"),
        ("2019+0800", "2018+0800"), ("20190704101112.", None), ("yesterday", None),
    ],
)  # fmt: skip
def test_a_date_with_time_keeps_its_precision_its_time_and_its_zone(text, moved):
    assert shifted_date_time(text, -3) == moved


def test_a_secret_that_is_too_short_or_no_file_is_refused(tmp_path):
    (tmp_path / "short").write_bytes(b"x" * 31)
    with pytest.raises(OnlmError, match="has 31 bytes; wanted at least 32"):
        open_secret(tmp_path / "short", outside=())
    with pytest.raises(OnlmError, match="The secret is a folder"):
        open_secret(tmp_path, outside=())


def test_a_secret_is_made_once_and_read_without_its_last_newline(tmp_path):
    made, new = open_secret(tmp_path / "keys" / "secret", outside=[tmp_path / "copy"])
    assert new and stat.S_IMODE((tmp_path / "keys" / "secret").stat().st_mode) == 0o600
    raw = (tmp_path / "keys" / "secret").read_bytes()
    (tmp_path / "windows").write_bytes(raw.strip() + b"\r\n")  # as an editor may leave it
    again, new = open_secret(tmp_path / "windows", outside=())
    assert not new and again.uid("1.2.3") == made.uid("1.2.3")
    other, _ = open_secret(tmp_path / "other", outside=())
    assert other.uid("1.2.3") != made.uid("1.2.3") and other.check() != made.check()
