"""What `manage.py mail` says, in English and Simplified Chinese. The English text is the key."""

CHINESE: dict[str, str] = {
    "{mailbox}: {written} written to {place}, {present} were there": (
        "{mailbox}：写入 {written} 封到 {place}，已有 {present} 封"
    ),
    "{mailbox}: its name is too long for a Maildir; use --format eml or mbox": (
        "{mailbox}：名称过长，Maildir 无法表示；请用 --format eml 或 mbox"
    ),
    "{mailbox}: {count} messages have keywords that a Maildir cannot say (it has letters for 26); --format eml can": (
        "{mailbox}：{count} 封邮件的关键字超出 Maildir 的表示能力（最多 26 个）；--format eml 可以"
    ),
    "{mailbox}: message {uid} is damaged and was left out; see manage.py verify": (
        "{mailbox}：邮件 {uid} 已损坏，未导出；参见 manage.py verify"
    ),
    "Exported {written} messages, {present} were there.": "已导出 {written} 封邮件，另有 {present} 封此前已导出。",
    "Not everything could be exported; see above.": "未能全部导出，见上文。",
    "{mailbox}: {added} added, {present} were there": "{mailbox}：新增 {added} 封，已有 {present} 封",
    "{place}: passed over, {reason}": "{place}：已跳过，{reason}",
    "{mailbox}: there is no room for more: {used} of {limit} are used. Raise the quota (manage.py account set) and run"
    " this again: it goes on here.": (
        "{mailbox}：空间不足：已用 {used}，上限 {limit}。请提高配额（manage.py account set）后重新运行，将从此处继续。"
    ),
    "{mailbox}: no mailbox can be called so: {reason}": "{mailbox}：邮箱不能使用此名称：{reason}",
    "Imported {added} messages, {present} were there.": "已导入 {added} 封邮件，另有 {present} 封已存在。",
    "Not everything could be imported; see above.": "未能全部导入，见上文。",
    "{path} is being written to by another export.": "另一个导出正在写入 {path}。",
    "{path} holds an export in another format. Choose another directory.": "{path} 中有其他格式的导出，请另选目录。",
    "{path} holds an export of another account. Choose another directory.": "{path} 中有其他帐号的导出，请另选目录。",
    "{path} was not written by an export of this mailbox, or was altered since. Choose another directory.": (
        "{path} 不是此邮箱的导出，或已被修改。请另选目录。"
    ),
    "{path} holds no mail that can be told: an mbox, a Maildir, or .eml files. Say --format if it is one.": (
        "{path} 中没有可识别的邮件（mbox、Maildir 或 .eml 文件）。如确有邮件，请用 --format 指定格式。"
    ),
    "There is no mailbox {name}.": "没有邮箱 {name}。",
    "Interrupted: {reason}. Run the same again: it goes on where it was.": "已中断：{reason}。重新运行即可继续。",
    "WAYPOST_REDIS_URL is no URL of Redis.": "WAYPOST_REDIS_URL 不是 Redis 地址。",
    # what is passed over
    "it is a symbolic link": "是符号链接",
    "it is no plain file": "不是普通文件",
    "it is no directory": "不是目录",
    "it does not begin as an mbox does": "开头不是 mbox 格式",
    "it is not what the index beside it says": "与索引记录不符",
    "its place is not below the directory of the import": "不在导入目录之内",
    "it is too long": "过长",
}
