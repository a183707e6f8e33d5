"""The words of the public pages, in English and Simplified Chinese."""

from tenants.errors import LanguageUnknown
from tenants.locality import known_language

Words = dict[str, str]

ENGLISH: Words = {
    "tag": "en",
    "other_tag": "zh-Hans",
    "other_query": "zh-hans",
    "other_name": "简体中文",
    "title": "Waypost — mail for companies",
    "headline": "Your mail is here.",
    "lead": "This server keeps the mail of your company. Read and write it with the mail program you already use, "
    "on a computer or a phone.",
    "connect": "Connect your mail program",
    "connect_lead": "Add an account, choose IMAP, and enter these settings. Your user name is your whole mail address.",
    "incoming": "Incoming mail",
    "outgoing": "Outgoing mail",
    "server": "Server",
    "port": "Port",
    "encryption": "Encryption",
    "tls": "SSL/TLS",
    "starttls": "STARTTLS",
    "user": "User name",
    "user_value": "your whole mail address",
    "password": "Password",
    "password_value": "the one your administrator gave you, or an app password (“normal password”)",
    "recommended": "Recommended",
    "alternatives": "STARTTLS instead of SSL/TLS, and POP3",
    "no_doors": "Nothing is open for mail programs here. Ask your administrator for the settings.",
    "programs": "Where to enter them",
    "thunderbird": "Menu → New account → Existing mail. Enter name, address and password, then Configure manually.",
    "apple": "Mail → Add account → Other mail account. On a phone: Settings → Mail → Accounts → Add account → Other.",
    "outlook": "File → Add account → Advanced options → Let me set up my account manually → IMAP.",
    "certificate": "Trust this server",
    "certificate_lead": "This installation signs its certificates itself. So that your mail program knows it speaks to "
    "the right server, install its authority once, and compare the fingerprint with your administrator’s.",
    "certificate_get": "Download the certificate",
    "fingerprint": "SHA-256 fingerprint",
    "help": "Forgotten password, or no account yet? Your company’s administrator helps.",
    "status": "Server status",
    "not_found_title": "Nothing here",
    "not_found": "There is no page at this address.",
    "back": "To the start page",
}

CHINESE: Words = {
    "tag": "zh-Hans",
    "other_tag": "en",
    "other_query": "en",
    "other_name": "English",
    "title": "Waypost 企业邮箱",
    "headline": "您的邮件，都在这里",
    "lead": "本服务器保管贵公司的邮件。用您熟悉的邮件程序收发即可，电脑、手机均可使用。",
    "connect": "连接您的邮件程序",
    "connect_lead": "新建帐号，选择 IMAP，填写以下设置。用户名就是完整的邮件地址。",
    "incoming": "收件服务器",
    "outgoing": "发件服务器",
    "server": "服务器",
    "port": "端口",
    "encryption": "加密方式",
    "tls": "SSL/TLS",
    "starttls": "STARTTLS",
    "user": "用户名",
    "user_value": "完整的邮件地址",
    "password": "密码",
    "password_value": "管理员给您的密码，或应用密码（验证方式选“普通密码”）",
    "recommended": "推荐",
    "alternatives": "用 STARTTLS 代替 SSL/TLS，以及 POP3",
    "no_doors": "这里没有为邮件程序开放的端口，请向管理员索取设置。",
    "programs": "在哪里填写",
    "thunderbird": "菜单 → 新建帐号 → 现有邮箱，填写姓名、地址和密码，然后选择“手动配置”。",
    "apple": "邮件 → 添加帐户 → 其他邮件帐户。手机上：设置 → 邮件 → 帐户 → 添加帐户 → 其他。",
    "outlook": "文件 → 添加帐户 → 高级选项 → 让我手动设置我的帐户 → IMAP。",
    "certificate": "信任本服务器",
    "certificate_lead": "本系统自行签发证书。请安装一次它的根证书，并与管理员核对指纹，"
    "这样邮件程序就能确认连接的是正确的服务器。",
    "certificate_get": "下载根证书",
    "fingerprint": "SHA-256 指纹",
    "help": "忘记密码，或还没有帐号？请联系贵公司的管理员。",
    "status": "服务器状态",
    "not_found_title": "找不到页面",
    "not_found": "这个地址没有页面。",
    "back": "返回首页",
}


def words_for(asked: str, accept_language: str) -> Words:
    """The language asked for by the link, else the first one of Accept-Language that we speak (RFC 9110 §12.5.4)."""
    for tag in (asked, *_preferences(accept_language)):
        try:
            return CHINESE if known_language(tag) == "zh-hans" else ENGLISH
        except LanguageUnknown:
            continue
    return ENGLISH


def _preferences(header: str) -> list[str]:
    weighted = []
    for position, item in enumerate(header[:1000].split(",")):
        tag, _, parameter = item.partition(";")
        try:
            weight = float(parameter.strip().removeprefix("q=")) if parameter else 1.0
        except ValueError:
            continue
        if tag.strip() and weight > 0:
            weighted.append((-weight, position, tag.strip()))
    return [tag for _, _, tag in sorted(weighted)]
