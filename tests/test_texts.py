"""A name is read right in every character set of DICOM, and known in a folder's name even where none is declared."""

from __future__ import annotations

import made_ct
import pytest
from made_ct import Scan

from onlm_lab.errors import SeriesError
from onlm_lab.imaging import find_series, read_series
from onlm_lab.imaging.texts import decode, readings

# The examples of DICOM PS3.5, annexes H, I, J and K, byte for byte.
EXAMPLES = [
    ("\\ISO 2022 IR 87", b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B",
     "Yamada^Tarou=山田^太郎=やまだ^たろう"),
    ("ISO 2022 IR 13\\ISO 2022 IR 87",
     b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3=\x1b$B;3ED\x1b(J^\x1b$BB@O:\x1b(J=\x1b$B$d$^$@\x1b(J^\x1b$B$?$m$&\x1b(J",
     "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう"),
    ("\\ISO 2022 IR 149",
     b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7=\x1b$)C\xc8\xab^\x1b$)C\xb1\xe6\xb5\xbf",
     "Hong^Gildong=洪^吉洞=홍^길동"),
    ("\\ISO 2022 IR 58",
     b"Zhang^XiaoDong=\x1b$)A\xd5\xc5^\x1b$)A\xd0\xa1\xb6\xab=", "Zhang^XiaoDong=张^小东="),
    ("ISO_IR 192", b"Wang^XiaoDong=\xe7\x8e\x8b^\xe5\xb0\x8f\xe6\x9d\xb1=", "Wang^XiaoDong=王^小東="),
    ("GB18030", b"Wang^XiaoDong=\xcd\xf5^\xd0\xa1\xb6\xab=", "Wang^XiaoDong=王^小东="),
    ("ISO_IR 100", b"Buc^J\xe9r\xf4me", "Buc^Jérôme"),
    ("ISO_IR 144", b"\xbb\xee\xda\x63\x65\xdc\xd1\x79\x70\xd3", "ЛюкceмЬyp"),
]  # fmt: skip


@pytest.mark.parametrize(("characters", "raw", "text"), EXAMPLES[:7])
def test_the_standards_own_names_are_read_right(characters, raw, text):
    assert decode(raw, characters) == text


def test_every_reading_of_undeclared_bytes_holds_the_right_one():
    assert "王^小东" in readings("王^小东".encode("gb18030"), "")
    assert "王^小東" in readings("王^小東".encode("big5"), "")
    assert "Иванов" in readings("Иванов".encode("cp1251"), "ISO_IR 100")
    assert readings(b"Doe^John", "anything at all") == ("Doe^John",)


@pytest.mark.parametrize(
    ("characters", "raw", "folder"),
    [
        ("GB18030", "王^小东".encode("gb18030"), "王小东"),
        ("", "王^小东".encode("gb18030"), "王小东"),  # not declared: what a hospital forgets
        ("ISO_IR 100", "王^小东".encode(), "小东 王"),  # declared wrongly
        ("\\ISO 2022 IR 58", b"Zhang^XiaoDong=\x1b$)A\xd5\xc5^\x1b$)A\xd0\xa1\xb6\xab=", "张小东"),
        ("\\ISO 2022 IR 149", EXAMPLES[2][1], "홍길동"),
        ("\\ISO 2022 IR 87", EXAMPLES[0][1], "山田太郎"),
    ],
)
def test_a_folder_that_bears_the_name_is_recognised_in_any_script(tmp_path, characters, raw, folder):
    made = made_ct.slices(Scan(shape=(4, 4, 4)))
    raw += b" " * (len(raw) % 2)
    for data in made:
        data.PatientName = "X" * len(raw)
        if characters:
            data.SpecificCharacterSet = characters.split("\\")
    made_ct.write(tmp_path / "ct" / folder, made, [f"{k}.dcm" for k in range(4)])
    for path in (tmp_path / "ct" / folder).iterdir():
        path.write_bytes(path.read_bytes().replace(b"X" * len(raw), raw))
    table = find_series(tmp_path / "ct")
    assert len(table) == 1 and table.path[0].startswith("id-") and folder not in table.to_csv()
    assert read_series(tmp_path / "ct" / table.path[0]).shape == (4, 4, 4)
    (tmp_path / "ct" / folder / "1.dcm").unlink()
    with pytest.raises(SeriesError, match="slices are missing") as raised:
        read_series(tmp_path / "ct" / folder)
    assert folder not in str(raised.value)
