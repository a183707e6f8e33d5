"""What `manage.py dns` says, in English and Simplified Chinese. The English text is the key."""

from webmail.operations.dns_records import Why

WHY: dict[Why, str] = {
    "mail": "Mail for the domain comes here.",
    "senders": "Only this server sends mail of the domain (SPF). Other systems that do belong into this record too.",
    "reports": "What others do with forged mail (DMARC). Begin with none; tighten it when nothing of yours fails.",
    "programs": "Where mail programs find their servers.",
    "closed": "What is not offered here, so that programs do not try.",
    "jmap": "Where JMAP programs begin.",
    "thunderbird": "Where Thunderbird finds its settings. Needs a certificate for this name, or one for all of them.",
    "outlook": "Where Outlook finds its settings. Needs a certificate for this name, or one for all of them.",
}

CHINESE: dict[str, str] = {
    WHY["mail"]: "发往本域名的邮件由此服务器接收。",
    WHY["senders"]: "只有本服务器可以发出本域名的邮件（SPF）。其他代您发信的系统也要写入这条记录。",
    WHY["reports"]: "其他系统如何处理冒名邮件（DMARC）。先用 none，确认没有误判后再收紧。",
    WHY["programs"]: "邮件程序据此找到服务器。",
    WHY["closed"]: "此处不提供的服务，以免邮件程序白白尝试。",
    WHY["jmap"]: "JMAP 程序的入口。",
    WHY["thunderbird"]: "Thunderbird 据此获取设置。该名称需要有证书。",
    WHY["outlook"]: "Outlook 据此获取设置。该名称需要有证书。",
    "The DNS of {domain} should say:": "{domain} 的 DNS 应包含以下记录：",
    "{host} itself needs A and AAAA records, and its addresses a PTR record that names it.": (
        "{host} 本身需要 A 与 AAAA 记录，其 IP 地址需要指回它的 PTR 记录。"
    ),
    "Some doors listen on this machine only. What people reach from outside stands in WAYPOST_PUBLIC_DOORS.": (
        "部分端口只在本机监听。对外的地址与端口请写在 WAYPOST_PUBLIC_DOORS 中。"
    ),
    "No door for mail programs is known here. Say in WAYPOST_PUBLIC_DOORS where they are.": (
        "不知道供邮件程序使用的端口。请在 WAYPOST_PUBLIC_DOORS 中写明。"
    ),
    "WAYPOST_HOSTNAME is not set, so there is no server to point to.": (
        "未设置 WAYPOST_HOSTNAME，没有可以指向的服务器。"
    ),
}
