import encodings

import pytest

from mailserver.mime.charset import codec_named, decode_octets, decode_text


@pytest.mark.parametrize(
    "name",
    [
        "rot13",
        "rot_13",
        "zip",
        "zlib",
        "bz2",
        "hex",
        "base64",
        "uu",
        "quopri",
        "idna",
        "punycode",
        "unicode_escape",
        "raw_unicode_escape",
        "undefined",
        "mbcs",
        "oem",
        "charmap",
        "",
        "x" * 9999,
    ],
)
def test_only_text_encodings_are_charsets(name: str):  # fmt: skip
    assert codec_named(name) is None
    assert decode_text(b"plain", name) == "plain"
    assert decode_text("报告和会议".encode(), name) == "报告和会议"


def test_unknown_names_leave_nothing_behind_in_the_codec_registry():
    decode_text(b"\xff", "unheard-of")  # what guessing needs is loaded
    before = len(encodings._cache)  # type: ignore[attr-defined]
    for n in range(100):
        decode_text(b"\xff", f"unheard-of-{n}")
    assert len(encodings._cache) == before  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("name", "octets", "text"),
    [
        ("UTF-8", "€".encode(), "€"),
        ("utf8", "€".encode(), "€"),
        ("GB2312", "镕".encode("gb18030"), "镕"),  # not in GB 2312 proper
        ("gbk", "龘".encode("gb18030"), "龘"),
        ("iso-8859-1", b"\x80 \x93quoted\x94", "€ “quoted”"),
        ("ISO-8859-15", b"\xa4", "€"),
        ("Windows-1251", "Привет".encode("cp1251"), "Привет"),
        ("koi8-r", "Привет".encode("koi8_r"), "Привет"),
        ("ks_c_5601-1987", "안녕 똠".encode("cp949"), "안녕 똠"),
        ("Shift_JIS", "①会議".encode("cp932"), "①会議"),
        ("iso-2022-jp", "会議".encode("iso2022_jp"), "会議"),
        ("big5", "會議".encode("big5"), "會議"),
        ("us-ascii", "会议报告".encode("gb18030"), "会议报告"),  # declared wrongly
        ("utf-8", "会议报告".encode("gb18030"), "会议报告"),
        ("utf-16", "会议".encode("utf-16"), "会议"),
    ],
)
def test_declared_charsets_are_read_as_they_are_meant(name: str, octets: bytes, text: str):
    assert decode_text(octets, name) == text


@pytest.mark.parametrize(
    ("charset", "text"),
    [
        ("gb18030", "尊敬的用户，您的快递已到达驿站"),
        ("gb18030", "王芳"),
        ("gb18030", "关于下周放假的通知"),
        ("big5", "親愛的顧客您好，感謝您的訂購"),
        ("big5", "採購清單"),
        ("shift_jis", "いつもお世話になっております"),
        ("shift_jis", "請求書送付の件"),
        ("shift_jis", "テスト"),
        ("euc_kr", "항상 저희 서비스를 이용해 주셔서 감사드립니다"),
        ("euc_kr", "견적서 첨부"),
        ("euc_jp", "来週の打ち合わせについて"),
        ("cp1252", "Résumé für José García"),
        ("cp1252", "Formação profissional"),
        ("utf-8", "Ünïcödé 会议"),
    ],
)
def test_undeclared_octets_are_read_in_the_likeliest_charset(charset: str, text: str):
    assert decode_octets(text.encode(charset), None) == text


def test_the_hint_of_a_neighbour_decides_before_any_guess():
    assert decode_octets("Привет всем".encode("koi8_r"), "koi8-r") == "Привет всем"


@pytest.mark.parametrize("charset", ["utf-8", "gb18030", "big5", "shift_jis", "iso-2022-jp", "euc-kr", None])
def test_a_beginning_that_ends_within_a_character_loses_only_that(charset: str | None):
    text = ("회의" if charset == "euc-kr" else "會議") * 20
    octets = text.encode(charset or "utf-8")
    whole = decode_text(octets, charset)
    cut = decode_text(octets[:-1], charset, is_cut=True)
    assert whole.startswith(cut)
    assert len(whole) - len(cut) <= 1


def test_text_never_holds_nul_or_lone_surrogates():
    for octets, charset in ((b"a\x00b", None), (b"+2AE-", "utf-7"), ("a\x00b".encode("utf-16"), "utf-16")):
        text = decode_text(octets, charset)
        assert "\x00" not in text
        text.encode()
