"""What `manage.py backup` and `manage.py restore` say, in English and Simplified Chinese; the English is the key."""

CHINESE: dict[str, str] = {
    # steps
    "base backup": "基础备份",
    "verifying": "校验",
    "objects": "对象",
    "unpacking": "解包",
    "unpacking for a look at what came later": "解包（用于查看之后的变更）",
    "looking": "查看之后的变更",
    "recovering": "恢复数据库",
    "new epochs": "开始新纪元",
    # table
    "Label": "标签",
    "Restores from": "最早可恢复到",
    "Octets": "字节",
    "Objects": "对象",
    "Where": "位置",
    "here": "本处",
    "in the bucket": "存储桶中",
    # sentences
    "{variable} is not set.": "未设置 {variable}。",
    "The backup failed: {reason}": "备份失败：{reason}",
    "The restore failed: {reason}": "恢复失败：{reason}",
    "The bucket cannot be used: {reason}": "无法使用存储桶：{reason}",
    "The keys cannot be used: {reason}": "密钥不可用：{reason}",
    "Backup {label} is whole: {octets} octets, verified. It restores moments from {moment} on.": (
        "备份 {label} 已完成并校验：{octets} 字节。可恢复到 {moment} 及之后的时刻。"
    ),
    "{objects} objects with {octets} octets, of them new here: {new} with {new_octets} octets.": (
        "{objects} 个对象，共 {octets} 字节；其中新复制 {new} 个，{new_octets} 字节。"
    ),
    "{objects} objects with {octets} octets stay in the bucket; only their list is here.": (
        "{objects} 个对象（{octets} 字节）留在存储桶中，这里只有清单。"
    ),
    "The keys are not in it. Keep {secrets} apart from it: without the keys no mail can be read from it.": (
        "备份中不含密钥。请将 {secrets} 另行保存：没有密钥，备份中的邮件无法读取。"
    ),
    "Finished WAL is not archived (WAYPOST_WAL_ARCHIVE), so only the end of this backup can be restored.": (
        "未归档 WAL（WAYPOST_WAL_ARCHIVE），因此只能恢复到此备份结束的时刻。"
    ),
    "In the bucket this object is missing: {name}": "存储桶中缺少对象：{name}",
    "In the bucket this object is damaged: {name}": "存储桶中对象已损坏：{name}",
    "Missing: {name}": "缺少：{name}",
    "Damaged: {name}": "已损坏：{name}",
    "{count} objects are missing or damaged. Run: manage.py verify": (
        "{count} 个对象缺失或损坏。请运行：manage.py verify"
    ),
    "There is no backup in {place}.": "{place} 中没有备份。",
    "Backup {label} is as it was written.": "备份 {label} 完好。",
    "Removed {backups} backups, {objects} objects and {wal} files of WAL.": (
        "已删除 {backups} 个备份、{objects} 个对象和 {wal} 个 WAL 文件。"
    ),
    "At least one backup has to stay.": "至少要保留一个备份。",
    "{given} is not a moment. Write it as 2026-11-22 14:00:00+00:00, with its zone.": (
        "“{given}”不是时刻。请写成 2026-11-22 14:00:00+00:00，并注明时区。"
    ),
    "{given} has not come yet.": "{given} 尚未到来。",
    "Say --until MOMENT or --latest.": "请指定 --until 时刻 或 --latest。",
    "--until needs the WAL archive: --wal DIRECTORY": "--until 需要 WAL 归档：--wal 目录",
    "Restored {to} to {moment}.": "已将 {to} 恢复到 {moment}。",
    "{accounts} accounts have a new epoch.": "{accounts} 个帐号已开始新纪元。",
    "{count} messages that were deleted later are there again, with new uids.": (
        "{count} 封之后被删除的邮件已恢复，并有新的 UID。"
    ),
    "{count} accounts have mailboxes with a new uidvalidity: their mail programs read everything anew.": (
        "{count} 个帐号的邮箱有了新的 UIDVALIDITY：其邮件程序会重新读取全部邮件。"
    ),
    "{count} recipients of queued mail are held: most were sent to since. See: manage.py queue list --state held": (
        "队列中 {count} 个收件人已扣留：多数此后已投递。查看：manage.py queue list --state held"
    ),
    "If messages were deleted after the end of the WAL, mail programs that saw it will not show them; --renew helps.": (
        "如果在 WAL 末尾之后有邮件被删除，见过删除的邮件程序不会再显示它们；可使用 --renew。"
    ),
    "{count} tenants have no key that opens: {tenants}": "{count} 个租户的密钥无法打开：{tenants}",
    "Tenants that were shredded since have no key any more. Say --lost-keys to restore all others.": (
        "此后被销毁的租户已没有密钥。要恢复其余租户请加 --lost-keys。"
    ),
    "Start it with: WAYPOST_VAR={to} make up": "启动：WAYPOST_VAR={to} make up",
    "{data} is unpacked and verified. What is left to do: docs/operations.md, 'Restoring a cluster of the system'.": (
        "{data} 已解包并校验。其余步骤见 docs/operations.md 的 'Restoring a cluster of the system'。"
    ),
    "The bucket has all {objects} objects; {new} with {octets} octets were put back.": (
        "存储桶中 {objects} 个对象齐全；放回 {new} 个，共 {octets} 字节。"
    ),
    "Stop every process of Waypost first, and say --yes: open sessions do not know of the new epoch.": (
        "请先停止 Waypost 的所有进程，并加 --yes：已打开的会话不知道新纪元。"
    ),
    "The database named by --later-url did not go on from this one: {reason}": (
        "--later-url 所指的数据库不是此数据库的后续：{reason}"
    ),
}


def say(language: str, text: str, **values: object) -> str:
    return (CHINESE.get(text, text) if language == "zh-hans" else text).format(**values)
