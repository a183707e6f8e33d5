"""Why an address, domain, password or name was refused, in Simplified Chinese. `{}` stands for what varies."""

import re

CHINESE: dict[str, str] = {
    "it is too long": "太长",
    "it has no @": "缺少 @",
    "it has no domain": "缺少域名",
    "it has only one label": "域名只有一段",
    "it looks like a number, not a name": "看起来是数字而不是名称",
    "nothing stands before the @": "@ 之前没有内容",
    "the part before the @ has a character or dot that needs quotes": "@ 之前含有需要引号的字符或点",
    "the quoted part does not end in a quote and @": "引号部分没有以引号和 @ 结束",
    "{} may not stand in an address": "地址中不能有 {}",
    "the part before the @ is over {} octets": "@ 之前超过 {} 字节",
    "the address in brackets is not an IP address": "方括号中不是 IP 地址",
    "the domain is over {} octets": "域名超过 {} 字节",
    "a label of the domain is over {} octets": "域名中有一段超过 {} 字节",
    "a label of the domain is empty or has a character other than letter, digit, -": (
        "域名中有空段，或含有字母、数字、- 以外的字符"
    ),
    "the domain has a character that names may not have": "域名中有不允许的字符",
    "choose one that needs no quotes": "请选择不需要引号的地址",
    "a + begins a detail, which everybody has without asking": "+ 之后是子地址，人人自动拥有，无需添加",
    "it has under {} characters": "少于 {} 个字符",
    "it has over {} octets": "超过 {} 字节",
    "it has over {} characters": "超过 {} 个字符",
    "it has a control character": "含有控制字符",
    "it has a control character or line break": "含有控制字符或换行",
    "it is empty": "为空",
    "a slug has only letters a-z, digits, dots and hyphens": "只能使用字母 a-z、数字、点和连字符",
    "the hash is not argon2id in PHC form, or costs too much": "不是 PHC 格式的 argon2id 哈希，或其开销过大",
    "{} is not served here, or belongs to another tenant": "本系统不处理 {}，或它属于另一租户",
    "{} stands for another domain and has no addresses of its own": "{} 是另一域名的别名域，没有自己的地址",
    "{} is taken": "{} 已被占用",
    "{} is in line {} already": "{} 在第 {} 行已经出现",
    "an address was taken while the file was imported": "导入期间有地址被占用",
    "{} is not a quota (such as 5GiB, 500MB or none)": "{} 不是有效配额（例如 5GiB、500MB 或 none）",
}
_PATTERNS = [
    (re.compile(re.escape(english).replace(r"\{\}", "(.+)"), re.DOTALL), chinese)
    for english, chinese in CHINESE.items()
]


def reason(language: str, english: str) -> str:
    """The reason in this language; in English where no translation is known."""
    if language == "zh-hans":
        for pattern, chinese in _PATTERNS:
            if match := pattern.fullmatch(english):
                return chinese.format(*match.groups())
    return english
