"""Octets to text: declared charsets, and a judgement where none is declared or the declared one is wrong.

Only text codecs are ever looked up: a table built once maps the names that mail uses to codecs, so a message can name
neither `zip` nor `rot13`, and an unknown name costs nothing. Charsets that senders mislabel are read as the superset
they mean (GB2312 as GB18030, ISO 8859-1 as windows-1252), as browsers do.

Text that comes out can be stored: it holds no NUL and no lone surrogate.
"""

import codecs
import re
from encodings.aliases import aliases

_SINGLE_OCTET = (
    [f"iso8859_{n}" for n in (2, 3, 4, 5, 6, 7, 8, 10, 13, 14, 15, 16)]
    + [f"cp{n}" for n in (1250, 1251, 1252, 1253, 1254, 1255, 1256, 1257, 1258)]
    + [f"cp{n}" for n in (437, 720, 737, 775, 850, 852, 855, 857, 858, 860, 861, 862, 863, 864, 865, 866, 869, 874)]
    + ["koi8_r", "koi8_u", "koi8_t", "kz1048", "ptcp154", "hp_roman8"]
    + ["mac_cyrillic", "mac_greek", "mac_iceland", "mac_latin2", "mac_roman", "mac_turkish"]
)
_MULTI_OCTET = (
    ["utf_8", "utf_8_sig", "utf_7", "utf_16", "utf_16_be", "utf_16_le", "utf_32", "utf_32_be", "utf_32_le"]
    + ["gb18030", "hz", "big5hkscs", "cp950", "cp932", "shift_jis_2004", "shift_jisx0213"]
    + ["euc_jp", "euc_jis_2004", "euc_jisx0213", "cp949", "johab", "iso2022_kr"]
    + [f"iso2022_jp{suffix}" for suffix in ("", "_1", "_2", "_2004", "_3", "_ext")]
)
_READ_AS = {
    "ascii": "ascii",
    "latin_1": "cp1252",
    "iso8859_1": "cp1252",
    "iso8859_9": "cp1254",
    "iso8859_11": "cp874",
    "tis_620": "cp874",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "big5": "cp950",
    "euc_kr": "cp949",
    "shift_jis": "cp932",
    "iso2022_jp": "iso2022_jp_ext",
}
_MORE_NAMES = {
    "x_gbk": "gb18030",
    "gb_2312_80": "gb18030",
    "gb_2312": "gb18030",
    "x_cp936": "gb18030",
    "gb18030_2005": "gb18030",
    "x_sjis": "cp932",
    "windows_31j": "cp932",
    "cs_shift_jis": "cp932",
    "x_euc_jp": "euc_jp",
    "x_euc": "euc_jp",
    "ks_c_5601": "cp949",
    "windows_949": "cp949",
    "ksc_5601": "cp949",
    "x_big5": "cp950",
    "big5_eten": "cp950",
    "x_x_big5": "cp950",
    "cn_big5": "cp950",
    "unicode_1_1_utf_7": "utf_7",
    "x_unicode_2_0_utf_7": "utf_7",
    "utf8mb4": "utf_8",
    "iso_8859_8_i": "iso8859_8",
    "iso_8859_8_e": "iso8859_8",
    "x_mac_roman": "mac_roman",
    "macintosh": "mac_roman",
}
# Not ASCII supersets: pure 7-bit octets still need the codec.
_NOT_ASCII_BASED = frozenset(
    name for name in _MULTI_OCTET if name.startswith(("utf_7", "utf_16", "utf_32", "hz", "iso2"))
)
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_SEPARATORS = re.compile(r"[^a-z0-9]+")


def _names() -> dict[str, str]:
    codecs_by_name = {name: name for name in _SINGLE_OCTET + _MULTI_OCTET} | _READ_AS
    for alias, name in aliases.items():
        if name in codecs_by_name:
            codecs_by_name.setdefault(alias, codecs_by_name[name])
    codecs_by_name |= _MORE_NAMES
    for n in range(1250, 1259):
        codecs_by_name[f"windows_{n}"] = codecs_by_name[f"x_cp{n}"] = f"cp{n}"
    return {_SEPARATORS.sub("", alias): _READ_AS.get(name, name) for alias, name in codecs_by_name.items()}


_CODECS = _names()


def codec_named(charset: str) -> str | None:
    """The Python codec for a charset name as mail spells it, or None if it names no text encoding we know."""
    if len(charset) > 64:
        return None
    return _CODECS.get(_SEPARATORS.sub("", charset.lower()))


def decode_text(octets: bytes, charset: str | None, *, is_cut: bool = False) -> str:
    """Decode by the declared charset if it is known and fits, else as `decode_octets`. Never raises.

    `is_cut`: the octets are the beginning of something longer, so an incomplete last character is dropped.
    """
    codec = codec_named(charset) if charset else None
    if octets.isascii() and codec not in _NOT_ASCII_BASED:
        return storable(octets.decode("ascii"))
    if codec is not None:
        text = _decode_exactly(octets, codec, is_cut=is_cut)
        if text is not None:
            return storable(text)
        if codec in _NOT_ASCII_BASED:
            return storable(octets.decode(codec, "replace"))
        if codec not in ("ascii", "cp1252") and _decode_exactly(octets, "utf_8", is_cut=is_cut) is None:
            text = octets.decode(codec, "replace")
            broken = text.count("\ufffd")
            if broken <= sum(not c.isascii() for c in text) - broken:
                return storable(text)
    return decode_octets(octets, None, is_cut=is_cut)


def decode_octets(octets: bytes, hint: str | None, *, is_cut: bool = False) -> str:
    """Decode octets whose charset nobody declared: UTF-8, then the hinted charset, then the likeliest of the others."""
    text = _decode_exactly(octets, "utf_8", is_cut=is_cut)
    if text is not None:
        return storable(text)
    codec = codec_named(hint) if hint else None
    if codec is not None and codec not in _NOT_ASCII_BASED and codec not in ("utf_8", "cp1252"):
        text = _decode_exactly(octets, codec, is_cut=is_cut)
        if text is not None:
            return storable(text)
    mostly = octets.decode("utf-8", "replace")
    broken, foreign = mostly.count("\ufffd"), sum(not c.isascii() for c in mostly)
    if broken * 10 <= foreign:
        return storable(mostly)
    return storable(_likeliest(octets, is_cut=is_cut))


def storable(text: str) -> str:
    """Replace what neither Postgres text nor UTF-8 can hold: NUL and lone surrogates."""
    if text.isascii() and "\x00" not in text:
        return text
    return _UNSTORABLE.sub("\ufffd", text)


def _decode_exactly(octets: bytes, codec: str, *, is_cut: bool) -> str | None:
    try:
        if is_cut:
            return codecs.getincrementaldecoder(codec)("strict").decode(octets, False)
        return octets.decode(codec)
    except (UnicodeError, ValueError):
        return None


# --- Judging undeclared octets ---------------------------------------------------------------------------------------
# GB18030 accepts nearly every sequence of high octets, so "it decodes" proves nothing. What tells the charsets apart is
# how ordinary the characters are that come out: each candidate is decoded and judged by how many of its characters are
# among the commonest of its language, or stand in the block where its charset keeps the common ones.

_SAMPLE_CHARACTERS = 200
_HANZI = (
    "的一是不了在人有我他这中大来上个国到说们为子和你地出道也时年得就那要下以生会自着去之过家学对可她里后小么心多天而能好都然没日于起"
    "还发成事只作当想看文无开手十用主行方又如前所本见经头面公同三已老从动两长知民样现分将外但身些与高意进把法此实回二理美点月明其种声全"
    "工己话儿者向情部正名定女问力机给等几很业最间新什打便位因重被走电四第门相次东政海口使教西再平真听世气信北少关并内加化由却代军产入先"
    "山五太水万市眼体别处总才场师书比住员九笑性通目华报立马命张活难神数件安表原车白应路期叫死常提感金何更反合放做系计或司利受光王果亲界"
    "及今京务制解各任至清物台象记边共风战干接它许八特觉望直服毛林题建南度统色字请交爱让认算论百吃义科怎元社术结六功指思非流每青管夫连远资队跟带花快条院变联言权"
    "议告项客户订单票付款货您谢附件邮复转发通知测试会议报告合同公司您好节假安排关于周季销售预算审批项目收到确认更新版本系统账号密码验证码优惠活动请查收"
    "李张刘陈杨赵黄周吴徐孙胡朱林郭罗梁宋郑韩唐冯董程曹袁邓许沈曾彭吕苏卢蒋蔡贾魏叶潘杜夏钟汪田姜范石姚谭邹熊陆孔崔康秦江史顾邵孟龙段钱汤尹武乔贺龚"
    "伟芳娜敏静丽强磊洋勇艳杰娟涛超霞刚桂英华玉兰红梅鑫宇婷雪琳晨浩鹏飞俊峰燕莉"
)
_HANZI_TRADITIONAL = (
    "的一是不了在人有我他這中大來上個國到說們為子和你地出道也時年得就那要下以生會自著去之過家學對可她裡後小麼心多天而能好都然沒日於起"
    "還發成事只作當想看文無開手十用主行方又如前所本見經頭面公同三已老從動兩長知民樣現分將外但身些與高意進把法此實回二理美點月明其種聲全"
    "工己話兒者向情部正名定女問力機給等幾很業最間新什打便位因重被走電四第門相次東政海口使教西再平真聽世氣信北少關並內加化由卻代軍產入先"
    "山五太水萬市眼體別處總才場師書比住員性通目華報立張活難神數件安表原車白應路期常提感金何更反合放做系計或司利受光王果及今京務制解各任"
    "議告項客戶訂單票付款貨您謝附郵復轉發通知測試會議報告合約公司您好節假安排關於週季銷售預算專案收到確認更新版本系統帳號密碼驗證碼優惠活動請查收"
    "李張劉陳楊趙黃周吳徐孫胡朱林郭羅梁宋鄭韓唐馮董程曹袁鄧許沈曾彭呂蘇盧蔣蔡賴魏葉潘杜鍾汪田姜范石姚邱廖簡詹莊江何顏柯翁游"
    "志明淑芬雅婷怡君俊傑建宏家豪美玲佳慧惠雯宜玉珍秀英麗華芳"
)
_HANGUL = (
    "이다는을가에의고하지한로를기도은사인자리어서나시대그해정있일것들수보전게부주아과만장여라오제상구조세원공비화무안동성회용경신스우면계국당내문"
    "소관위방연되생들요니으며터까습했합입금년월중간선발실업물결건재진치적통교학모명메견첨파답달송청확든언말때개미마더불없른유었았였겠십려러름르던드"
    "래체초출친차책처천총최추축충취측층카코크타태토투트특판편평포표품피필함항행향허험현형호혼환활황획효후훈휴흐희히힘각감강객거검격곳광권귀규극근글"
    "급김깨께꼭끝난날남납너넘네노논농높누눈뉴느늘능님단담데덕독돈돌된될두둘뒤득등또뜻락란람랑량렇레력련령례론료류률린림립막많맞매머먹먼목몸못민및밀"
    "바박밖반받밤밥배백버번벌범법변별병복본볼북분붙빌색석설속손순술쉬승식심싶써씨악알암압앞액야약양억얼업엄역열염영예올와완왕외욕운울움월웹율음응익"
    "임잘잠잡저절점접젯존종좋준줄즉증집째쪽착찬찰참창채"
)
_KANJI = (
    "日一国会人年大十二本中長出三同時政事自行社見月分議後前民生連五発間対上部東者党地合市業内相方四定今回新場金員九入選立開手米力学問高代"
    "明実円関決子動京全目表戦経通外最言氏現理調体化田当八六約主題下首意法不来作性的要用制治度務強気小七成期公野協取都和統以機平総加山思家話"
    "世受区領多県続進正安設保改数記院女初北午指権心界支第産結百派点教報済書府活原先共得解名交資予川向際査勝面委告軍文反元重近千考判認画海参"
    "売利組知案道信策集在件団別物側任引使求所次水半品昨論計死官増係感特情投示変打男基私各始島直両朝革価式確村提運終挙果西勢減台広容必応演電"
    "送受注文会議資料添付確認願東京大阪会社部長担当予算契約請求書支払"
)
_CANDIDATES = (  # with the range of first octets where each keeps its everyday characters
    ("gb18030", frozenset(_HANZI), (0xB0, 0xD7)),
    ("cp950", frozenset(_HANZI_TRADITIONAL), (0xA4, 0xC6)),
    ("cp949", frozenset(_HANGUL), (0xB0, 0xC8)),
    ("cp932", frozenset(_KANJI), (0x88, 0x97)),
    ("euc_jp", frozenset(_KANJI), (0xB0, 0xCF)),
)
_PUNCTUATION = frozenset("，。！？：；、（）《》「」【】“”…·　ー")
_HIGH_RUN = re.compile(rb"([a-z]?)([\x80-\xff]+)([a-z]?)", re.IGNORECASE)
_ACCENTED = re.compile(rb"[\xc0-\xff]{1,2}")
_SIGN = re.compile(rb"[\x91-\x97\x99\xa0-\xbf]")
_RUNS_LOOKED_AT = 4096


def _likeliest(octets: bytes, *, is_cut: bool) -> str:
    best_codec, best_text, best_worth = "gb18030", None, -1e9
    for codec, common, block in _CANDIDATES:
        text = _decode_exactly(octets, codec, is_cut=is_cut)
        if text is None:
            continue
        worth = _worth(text, codec, common, block)
        if worth > best_worth:
            best_codec, best_text, best_worth = codec, text, worth
    if _western_worth(octets) > best_worth:
        best_codec, best_text = "cp1252", None
    return octets.decode(best_codec, "replace") if best_text is None else best_text


def _worth(text: str, codec: str, common: frozenset[str], block: tuple[int, int]) -> float:
    """How ordinary the foreign characters of a decoding are: 3 for the commonest, below 0 for what nobody writes."""
    sample = [c for c in text if c >= "\x80"][:_SAMPLE_CHARACTERS]
    return sum(_character_worth(c, codec, common, block) for c in sample) / (len(sample) or 1)


def _character_worth(character: str, codec: str, common: frozenset[str], block: tuple[int, int]) -> int:
    if character in common:
        return 3
    if character in _PUNCTUATION:
        return 1
    if "\u3041" <= character <= "\u30ff":  # kana, which the Chinese and Korean charsets hold too
        return 2 if codec in ("cp932", "euc_jp") else 0
    if "\uff61" <= character <= "\uff9f" or "\ue000" <= character <= "\uf8ff":
        return -2
    encoded = character.encode(codec, "replace")
    if len(encoded) != 2 or not block[0] <= encoded[0] <= block[1]:
        return -1
    return 1 if codec in ("cp950", "cp932") or encoded[1] >= 0xA1 else -1


def _western_worth(octets: bytes) -> float:
    """The same judgement of windows-1252: accented letters stand alone or in pairs among small letters."""
    runs = _HIGH_RUN.findall(octets[:_RUNS_LOOKED_AT])
    worth = 0.0
    for before, run, after in runs:
        if _ACCENTED.fullmatch(run):
            touched = before.islower() + after.islower()
            worth += 2.5 if touched == 2 or (touched and len(run) == 1) else 0.5
        else:
            worth += 0.5 if _SIGN.fullmatch(run) else -1
    return worth / (len(runs) or 1)
