"""What `manage.py recoverable` says, in English and Simplified Chinese. The English text is the key."""

CHINESE: dict[str, str] = {
    "There is nothing that can be brought back.": "没有可以恢复的邮件。",
    "There is no room for more: {used} of {limit} are used. What was brought back before stays; raise the quota and run"
    " this again.": "空间不足：已用 {used}，上限 {limit}。此前恢复的邮件保留；请提高配额后重新运行。",
    "No mailbox can be made there: {reason}": "无法创建邮箱：{reason}",
    "{mailbox}: {count} messages brought back": "{mailbox}：已恢复 {count} 封邮件",
    "Mailbox": "邮箱",
    "Messages": "邮件数",
    "Octets": "大小",
    "First expunged": "最早删除时间",
    "Expunged": "删除时间",
    "From": "发件人",
    "Subject": "主题",
    "{time} is not a time. Write it like 2030-12-31 or 2030-12-31T18:00.": (
        "“{time}”不是有效时间，请写成 2030-12-31 或 2030-12-31T18:00 这样。"
    ),
    "WAYPOST_REDIS_URL is no URL of Redis.": "WAYPOST_REDIS_URL 不是 Redis 地址。",
}
