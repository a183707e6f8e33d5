"""What `manage.py backup` and `restore` say of tenants and mailboxes, in English and Simplified Chinese; the English is
the key."""

CHINESE: dict[str, str] = {
    "content": "内容",
    "messages": "邮件",
    "rows": "数据",
    "reading the archive": "读取归档",
    "{path} has {messages} messages of {tenant} with {content} pieces of content, all of them verified.": (
        "{path} 已写入 {tenant} 的 {messages} 封邮件和 {content} 份内容，均已校验。"
    ),
    "The keys are not in it: it opens with the key of tenant {tenant} only. Keep {file} apart from it.": (
        "归档中不含密钥，只能用租户 {tenant} 的密钥打开。请另行保存 {file}。"
    ),
    "{count} pieces of content are damaged and not in it. Run: manage.py verify": (
        "{count} 份内容已损坏，未写入归档。请运行：manage.py verify"
    ),
    "{path} is there already. Choose a new directory.": "{path} 已存在，请另选目录。",
    "{path} cannot be written: {reason}": "无法写入 {path}：{reason}",
    "{path} cannot be read: {reason}": "无法读取 {path}：{reason}",
    "{path} cannot be restored: {reason}. Nothing was written.": "无法恢复 {path}：{reason}。未写入任何数据。",
    "{path} cannot be restored: {what} is here already. Nothing of the tenant was written.": (
        "无法恢复 {path}：{what} 已存在。未写入该租户的任何数据。"
    ),
    "There is no mailbox {name}.": "没有邮箱 {name}。",
    "The content in S3 cannot be reached: {reason}": "无法读取 S3 中的内容：{reason}",
    "{address} is of another company than {path}. Mail goes from one to another by manage.py mail export and import.": (
        "{address} 与 {path} 不属于同一租户。跨租户请用 manage.py mail export 与 import。"
    ),
    "The database refused: {reason}": "数据库拒绝：{reason}",
    "Restored {address}: {added} messages, under their old uids, in a new epoch.": (
        "已恢复 {address}：{added} 封邮件，uid 不变，并开始新纪元。"
    ),
    "Mail programs read its mailboxes anew; those that are connected now are disconnected.": (
        "邮件程序会重新读取其邮箱，当前已连接的会被断开。"
    ),
    "Restored {address}: {added} messages, {present} were there.": (
        "已恢复 {address}：{added} 封邮件，另有 {present} 封已存在。"
    ),
    "{count} messages were left out: their content was damaged when the archive was made.": (
        "{count} 封邮件未恢复：制作归档时其内容已损坏。"
    ),
    "Restored {tenant}: {accounts} accounts with {messages} messages, each in a new epoch: mail programs read all"
    " mailboxes anew.": (
        "已恢复 {tenant}：{accounts} 个帐号、{messages} 封邮件，均开始新纪元，邮件程序会重新读取所有邮箱。"
    ),
    "{count} pieces of content were damaged when the archive was made; messages that need them cannot be read whole.": (
        "制作归档时有 {count} 份内容已损坏，相关邮件无法完整读取。"
    ),
    "Mail that was in the queue is not in an archive.": "归档不含队列中的邮件。",
}
