"""Bytes as text: UTF-8 and UTF-16 by what they are, GB18030 and Windows-1252 only where the bytes leave no doubt."""

from __future__ import annotations

import codecs
import difflib
import re
from collections import Counter

from onlm_lab.errors import DataError, Fault

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig", "UTF-8"), (codecs.BOM_UTF32_LE, "utf-32", "UTF-32"),
    (codecs.BOM_UTF32_BE, "utf-32", "UTF-32"), (codecs.BOM_UTF16_LE, "utf-16", "UTF-16"),
    (codecs.BOM_UTF16_BE, "utf-16", "UTF-16"),
)  # fmt: skip
NAMES = (
    "utf-8", "utf-16", "gb18030", "gbk", "gb2312", "big5", "shift_jis", "euc-jp", "euc-kr", "cp949", "windows-1252",
    "latin-1", "iso-8859-1", "iso-8859-2", "iso-8859-15", "windows-1250", "windows-1251", "windows-1254", "koi8-r",
    "mac-roman", "cp437", "cp850",
)  # fmt: skip
# Characters that tables of patients and plain Chinese text are full of. Korean or Japanese bytes read as Chinese
# give characters from all over the code instead.
_COMMON = frozenset(
    "的一是不了在人有我他这个们中来上大为和国地到以说时要就出会可也你对生能而子那得于着下自之年过发后作里用道行所然家种事成方"
    "多经么去法学如都同现当没动面起看定天分还进好小部其些主样理心她本前开但因只从想实日军者意无力它与长把机十民第公此已工使情明"
    "性知全三又关点正业外将两高间由问很最重并物手应战向头文体政美相见被利什二等产或新己制身果加西斯月话合回特代内信表化老给世"
    "位次度门任常先海通教儿原东声提立及比员解水名真论处走义各入几口认条平系气题活尔更别打女变四神总何电数安少报才结反受目太量"
    "再感建务做接必场件计管期市直德资命山金指克许统区保至队形社便空决治展马科司五基眼书非则听白却界达光放强即像难且权思王象完"
    "设式色路记南品住告类求据程北边死张该交规万取拉格望觉术领共确传师观清今切院让识候带导争运"
    "男龄岁号编院医患病床住址姓籍肿瘤胸肺癌淋巴转移吸烟史从既往现偶戒腺鳞实磨玻璃纯混右左叶段楔切除化疗放射术前后随访复存亡"
    "诊断理检查期直径最大密度支气管镜纵隔穿刺否是有无未知不详见完成功能评估室附属省县肝脑骨远处局区域胆固醇血糖压冠心脏糖尿高"
    "李王张刘陈杨赵黄周吴徐孙胡朱高林何郭罗梁宋郑谢韩唐冯于董萧程曹袁邓许傅沈曾彭吕苏卢蒋蔡贾丁魏薛叶阎余潘杜戴夏钟汪田任姜"
    "京津沪渝川湘鄂粤桂滇黔陕甘宁夏蒙辽吉黑冀鲁晋皖浙闽苏州杭武汉广深圳仁济华瑞复旦协和同友谊中福建安徽河湖四青新疆西藏台港澳"
)
_ELSEWHERE = frozenset(  # common in Taiwan, Japan and Korea
    "東學醫臺灣長庚榮總號齡煙菸無轉葉師陽陰會國際縣關氏喫歴齢検査県広島橋鈴木佐藤歷病史處術後"
    "이김박최정강조윤장임한오서신권황안송전홍고문양손배백허유남심노하성주우구민진지나원천방현여도소석선설마연기반왕금인제모국"
    "어은용대학교병환자름별폐암수술림프절없음있흡비과거재좌상중엽삼세브란스울산의료센터녀희철영수"
)
_LATIN_LETTERS = frozenset("äöüßÄÖÜàâæçéèêëîïôœùûüÿÀÂÆÇÉÈÊËÎÏÔŒÙÛáéíóúñÁÉÍÓÚÑãõÃÕåøÅØìòÌÒðþýÐÞÝ")
_SIGNS = frozenset("€‚„…‰‹‘’“”–—™›\xa0¡£§©ª«®°±²³´µ·¹º»¼½¾¿×÷")
_UNLIKELY = re.compile(
    r"[ìòùÌÒÙ](?=[A-Za-zÀ-ÿ])"  # Italian and French end words with these
    r"|õ(?!e)|Õ(?!E)"  # Portuguese writes õe
    r"|(?<=[A-Za-zÀ-ÿ])[^\x00-\x7fÀ-ÖØ-öø-ÿŒœ’´–·\xa0](?=[A-Za-zÀ-ÿ])"  # a sign inside a word
    r"|(?<=[A-Za-zÀ-ÿ])[‚„]|[ºª²³](?=[A-Za-z])|(?<!\w)’(?=\w)|[×÷](?=[A-Za-zÀ-ÿ])|(?<=[^\d\s])[×÷]"
    r"|[ß-öø-ÿ](?=[A-Z])"  # a small letter before a capital
    r"|[€§®©¾¼½…™‰](?=[A-Za-zÀ-ÿ])|(?<=[A-Za-z])–(?=[a-z])|(?<=[a-z])Œ|Œ(?=[a-z])(?![udsin])"
    r"|[£¢][¡-ÿ]|¡[¡-¿]|[¢£§©ª®±²³´µ¹º¼½¾¿]{2}"  # letters and signs of East Asia, two bytes each
)
_ICELANDIC, _WITNESS = frozenset("ðþýÐÞÝ"), frozenset("áéíóúæÁÉÍÓÚÆ")


def decode(raw: bytes, *, file: str, encoding: str = "") -> tuple[str, str]:
    """The text, and a sentence about its encoding where that is not plain UTF-8.

    Raises:
        DataError: the named encoding is unknown or does not fit, or the bytes leave a doubt.
    """
    if encoding:
        return _named(raw, file=file, encoding=encoding), f"{file}: read as {encoding}, as study.toml says."
    for mark, codec, name in _MARKS:
        if raw.startswith(mark):
            try:
                return raw.decode(codec), "" if name == "UTF-8" else f"{file}: read as {name}."
            except UnicodeDecodeError as error:
                raise DataError([_broken(raw, error, file=file, name=name)]) from None
    if raw[:2000].count(0) > len(raw[:2000]) // 5:
        said = (
            f"{file}: this looks like UTF-16 without its mark. Save it as 'CSV UTF-8', or name it in study.toml under "
            '[data]: encoding = "utf-16-le".'
        )
        raise DataError([Fault(said, file=file)])
    try:
        return raw.decode("utf-8"), ""
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
    chinese, western = _as_chinese(raw), _as_western(raw)
    if chinese is not None and western is None:
        return chinese, f"{file}: not UTF-8; read as GB18030 (Chinese), which its bytes leave no doubt of."
    if western is not None and chinese is None:
        return western, (
            f"{file}: not UTF-8; read as Windows-1252 (western Europe), which all its letters fit. If an accent is "
            "wrong, name the encoding in study.toml under [data]."
        )
    raise DataError(
        [
            Fault(
                f"{file}: line {line} is not UTF-8 text, and its bytes do not say for certain what it is. Save it as "
                "'CSV UTF-8', or name it in study.toml under [data], such as encoding = \"gb18030\" (Chinese), "
                '"windows-1252" (western Europe), "big5", "shift_jis", "euc-kr" or "windows-1250".',
                file=file,
            )
        ]
    )


def _named(raw: bytes, *, file: str, encoding: str) -> str:
    try:
        info = codecs.lookup(encoding)
        known = info._is_text_encoding  # hex, zip and the like are codecs, but no encodings of a text
    except (LookupError, ValueError):
        known = False
    if not known:
        near = difflib.get_close_matches(encoding.lower(), NAMES, n=1, cutoff=0.5)
        hint = f"did you mean '{near[0]}'?" if near else f"known, among others: {', '.join(NAMES)}."
        raise DataError([f"study.toml: [data] encoding '{encoding}' is not an encoding; {hint}"])
    codec = {"utf-8": "utf-8-sig"}.get(info.name, info.name)
    try:
        return raw.decode(codec).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise DataError([_broken(raw, error, file=file, name=encoding)]) from None
    except UnicodeError:  # a codec that is no encoding of files
        raise DataError([f"study.toml: [data] encoding '{encoding}' cannot read {file}; wanted another."]) from None


def _broken(raw: bytes, error: UnicodeDecodeError, *, file: str, name: str) -> Fault:
    line = raw[: error.start].count(b"\n") + 1
    return Fault(
        f"{file}: line {line} is not {name} text. Save the file as 'CSV UTF-8', or name its encoding in study.toml "
        "under [data].",
        file=file,
    )


def _as_chinese(raw: bytes) -> str | None:
    """The text read as GB18030, or None where it is not Chinese beyond doubt.

    GB 18030 lets almost any two high bytes be a character. Chinese of today is written with the characters of GB 2312
    (both bytes from A1), a good part of them common, and seldom with one character between two Latin letters.
    """
    try:
        text = raw.decode("gb18030")
    except UnicodeDecodeError:
        return None
    found = Counter(c for c in text if c > "\x7f")
    plain = common = hanzi = total = 0
    for char, n in found.items():
        code = char.encode("gb18030")
        total += n
        if 0xE000 <= ord(char) <= 0xF8FF or "\u3040" <= char <= "\u30ff" or ord(char) < 0xA0:
            return None  # private use, Japanese, control characters
        if len(code) == 2 and code[0] >= 0xA1 and code[1] >= 0xA1 and (code[0] <= 0xA3 or 0xB0 <= code[0] <= 0xF7):
            plain += n
        if "\u3400" <= char <= "\u9fff" or ord(char) >= 0x20000:
            hanzi += n
            common += n * (char in _COMMON)
    if found and all(char == "\u3000" or "\uff01" <= char <= "\uff5e" for char in found):
        return text  # wide forms of plain characters, the same bytes in Chinese and in Korean
    between = len(re.findall(r"[A-Za-z][^\x00-\x7f]{1,2}(?=[a-z]|[A-Z]{2})", text))
    share = common / hanzi if hanzi else 0.0
    if plain < 0.8 * total or share < (0.3 if hanzi >= 8 else 0.6) or between > 0.1 * hanzi:
        return None
    return (
        text if all(share >= _share(raw, codec) + 0.2 for codec in ("big5", "euc_jp", "shift_jis", "euc_kr")) else None
    )


def _share(raw: bytes, codec: str) -> float:
    """How much of the text would be common characters in another East Asian encoding; 0 where it is not that."""
    try:
        found = [c for c in raw.decode(codec) if c > "\x7f"]
    except UnicodeDecodeError:
        return 0.0
    known = sum(c in _COMMON or c in _ELSEWHERE or "\u3041" <= c <= "\u30fe" for c in found)
    return known / len(found) if found else 0.0


def _as_western(raw: bytes) -> str | None:
    """The text read as Windows-1252, or None where it is not western European beyond doubt.

    Accented letters stand one or two together, beside plain ones; signs do not stand inside a word. What central
    European, Turkish, Cyrillic, Mac and DOS files would look like is refused.
    """
    try:
        text = raw.decode("cp1252")
    except UnicodeDecodeError:
        return None
    letters = {c for c in text if c > "\x7f"} - _SIGNS
    if not letters <= _LATIN_LETTERS or (letters & _ICELANDIC and not letters & _WITNESS):
        return None
    pairs = (("‚", "‘’"), ("„", "“”"), ("¿", "?"))
    unclosed = any(mark in text and not set(ends) & set(text) for mark, ends in pairs)
    if unclosed or _UNLIKELY.search(text):
        return None
    if letters & set("øØ") and letters & set("áíýÁÍÝ") and not letters & set("æåÆÅ"):
        return None  # Czech or Slovak
    beside = alone = 0
    for run in re.finditer(r"([A-Za-z]?)([^\x00-\x7f]+)([A-Za-z]?)", text):
        before, marks, after = run.groups()
        if all(c in _SIGNS for c in marks):
            if before not in ("", "m") and marks in "³¹¼¾":
                return None
            continue
        if len(marks.strip("".join(_SIGNS))) > 3:
            return None
        beside += bool(before or after)
        alone += len(marks) > 1 and not (before or after)
    return text if beside >= 4 * alone else None
