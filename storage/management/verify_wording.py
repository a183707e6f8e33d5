"""What `manage.py verify` says, in English and Simplified Chinese. The English text is the key."""

from storage.verification.findings import Kind

SENTENCES: dict[Kind, str] = {
    Kind.CONTENT_DAMAGED: "blob {digest} ({octets} octets, in {place}, used by {messages} messages): {reason}",
    Kind.CONTENT_UNREACHABLE: "{what} could not be looked at: {reason}",
    Kind.STORED_OCTETS: "blob {digest} counts {counted} stored octets, there are {found}",
    Kind.OBJECT_MISSING: (
        "object {object} ({octets} octets) is not in the bucket; of its {blobs} blobs {restored} had another copy"
    ),
    Kind.OBJECT_DAMAGED: "object {object} ({octets} octets) is not what was written; {blobs} of its blobs do not open",
    Kind.OBJECT_LENGTH: "object {object} should have {counted} octets and has {found}",
    Kind.OBJECT_ORPHANED: "object {name} ({octets} octets) is known to no row; upkeep deletes such after a while",
    Kind.OBJECT_UNFINISHED: "object {object} was begun long ago and never finished; does upkeep run?",
    Kind.OBJECT_UNUSED: "object {object} is kept, and nothing rests in it",
    Kind.OBJECT_DOOMED: "object {object} was to be deleted, and {found} blobs rest in it",
    Kind.OBJECT_WITHOUT_ROW: "blobs rest in object {object}, which has no row",
    Kind.OBJECT_COUNTS: (
        "object {object} counts {counted} blobs of {counted_octets} octets, there are {found} of {found_octets}"
    ),
    Kind.MESSAGE_HEADER: "message {message}: its header: {reason}",
    Kind.MESSAGE_WIRE: "message {message}: what IMAP shows of it: {reason}",
    Kind.MESSAGE_SEGMENTS: "message {message}: its segments: {reason}",
    Kind.MESSAGE_BLOB: "message {message}: {reason}",
    Kind.MESSAGE_UNPLACED: "message {message} stands in no mailbox and not in the bin",
    Kind.MESSAGE_FLAGS: "message {message} has other flags in one mailbox than in another",
    Kind.MESSAGE_UNREADABLE: "message {message} cannot be put together: {reason}",
    Kind.ACCOUNT_COUNTS: "counts messages, octets, and both of the bin as {counted}, there are {found}",
    Kind.ACCOUNT_MODSEQ: "its modseq is {counted}, and {found} was given out",
    Kind.ACCOUNT_UIDVALIDITY: "its next uidvalidity is {counted}, and {found} was given out",
    Kind.MAILBOX_COUNTS: "mailbox {mailbox} counts messages, unseen, deleted, octets as {counted}, there are {found}",
    Kind.MAILBOX_UIDNEXT: "mailbox {mailbox}: its next uid is {counted}, and {found} was given out",
    Kind.MAILBOX_MODSEQ: "mailbox {mailbox}: its modseq is {counted}, and a message has {found}",
    Kind.PLACEMENT_WITHOUT_MESSAGE: "mailbox {mailbox} shows {found} messages that are not there",
    Kind.PLACEMENT_OF_OTHER_ACCOUNT: "mailbox {mailbox} shows {found} messages of another account",
    Kind.ACCOUNT_WITHOUT_STATE: "has rows in {table} and no state",
    Kind.MAILBOX_WITHOUT_ROW: "messages stand in mailbox {mailbox}, which is not there",
    Kind.BLOB_USE_WITHOUT_MESSAGE: "content is kept for message {message}, which is not there",
    Kind.KEYS_UNUSABLE: "its keys cannot be used, so nothing of it was looked at: {reason}",
}

CHINESE: dict[str, str] = {
    SENTENCES[Kind.CONTENT_DAMAGED]: (
        "数据块 {digest}（{octets} 字节，位于 {place}，{messages} 封邮件使用）：{reason}"
    ),
    SENTENCES[Kind.CONTENT_UNREACHABLE]: "无法检查 {what}：{reason}",
    SENTENCES[Kind.STORED_OCTETS]: "数据块 {digest} 记录的存储字节数为 {counted}，实际为 {found}",
    SENTENCES[Kind.OBJECT_MISSING]: (
        "对象 {object}（{octets} 字节）不在存储桶中；其中有 {blobs} 个数据块，其中 {restored} 个有其他副本"
    ),
    SENTENCES[Kind.OBJECT_DAMAGED]: "对象 {object}（{octets} 字节）与写入时不同；其中 {blobs} 个数据块无法打开",
    SENTENCES[Kind.OBJECT_LENGTH]: "对象 {object} 应为 {counted} 字节，实际为 {found}",
    SENTENCES[Kind.OBJECT_ORPHANED]: "对象 {name}（{octets} 字节）在存储桶中但没有记录；维护进程到时会删除",
    SENTENCES[Kind.OBJECT_UNFINISHED]: "对象 {object} 很久以前开始写入但从未完成；维护进程（upkeep）是否在运行？",
    SENTENCES[Kind.OBJECT_UNUSED]: "对象 {object} 被保留，但其中没有内容",
    SENTENCES[Kind.OBJECT_DOOMED]: "对象 {object} 将被删除，但其中仍有 {found} 个数据块",
    SENTENCES[Kind.OBJECT_WITHOUT_ROW]: "有数据块位于对象 {object} 中，但该对象没有记录",
    SENTENCES[Kind.OBJECT_COUNTS]: (
        "对象 {object} 记录有 {counted} 个数据块共 {counted_octets} 字节，实际为 {found} 个共 {found_octets} 字节"
    ),
    SENTENCES[Kind.MESSAGE_HEADER]: "邮件 {message} 的信头：{reason}",
    SENTENCES[Kind.MESSAGE_WIRE]: "邮件 {message} 在 IMAP 中的结构：{reason}",
    SENTENCES[Kind.MESSAGE_SEGMENTS]: "邮件 {message} 的分段：{reason}",
    SENTENCES[Kind.MESSAGE_BLOB]: "邮件 {message}：{reason}",
    SENTENCES[Kind.MESSAGE_UNPLACED]: "邮件 {message} 不在任何邮箱中，也不在回收箱中",
    SENTENCES[Kind.MESSAGE_FLAGS]: "邮件 {message} 在不同邮箱中的标志不一致",
    SENTENCES[Kind.MESSAGE_UNREADABLE]: "邮件 {message} 无法还原：{reason}",
    SENTENCES[Kind.ACCOUNT_COUNTS]: "邮件数、字节数及回收箱的两项记录为 {counted}，实际为 {found}",
    SENTENCES[Kind.ACCOUNT_MODSEQ]: "modseq 为 {counted}，但已发出过 {found}",
    SENTENCES[Kind.ACCOUNT_UIDVALIDITY]: "下一个 uidvalidity 为 {counted}，但已发出过 {found}",
    SENTENCES[Kind.MAILBOX_COUNTS]: (
        "邮箱 {mailbox} 的邮件数、未读数、待删除数和字节数记录为 {counted}，实际为 {found}"
    ),
    SENTENCES[Kind.MAILBOX_UIDNEXT]: "邮箱 {mailbox} 的下一个 uid 为 {counted}，但已发出过 {found}",
    SENTENCES[Kind.MAILBOX_MODSEQ]: "邮箱 {mailbox} 的 modseq 为 {counted}，但有邮件为 {found}",
    SENTENCES[Kind.PLACEMENT_WITHOUT_MESSAGE]: "邮箱 {mailbox} 中有 {found} 封并不存在的邮件",
    SENTENCES[Kind.PLACEMENT_OF_OTHER_ACCOUNT]: "邮箱 {mailbox} 中有 {found} 封属于其他帐号的邮件",
    SENTENCES[Kind.ACCOUNT_WITHOUT_STATE]: "在表 {table} 中有记录，但没有帐号状态",
    SENTENCES[Kind.MAILBOX_WITHOUT_ROW]: "有邮件位于邮箱 {mailbox} 中，但该邮箱不存在",
    SENTENCES[Kind.BLOB_USE_WITHOUT_MESSAGE]: "为邮件 {message} 保留着内容，但该邮件不存在",
    SENTENCES[Kind.KEYS_UNUSABLE]: "密钥不可用，因此未作任何检查：{reason}",
    "Repaired: {what}": "已修复：{what}",
    "tenant {tenant}: {what}": "租户 {tenant}：{what}",
    "tenant {tenant}, account {account}: {what}": "租户 {tenant}，帐号 {account}：{what}",
    "Whole: {counts}": "完好：{counts}",
    "Looked at {counts}": "已检查：{counts}",
    "{messages} messages, {hot} blobs in Postgres, {cold} in {objects} objects; {octets} of {tenants} tenants.": (
        "{tenants} 个租户，{messages} 封邮件，Postgres 中 {hot} 个数据块，{objects} 个对象中 {cold} 个，读取 {octets}。"
    ),
    "{repaired} things were repaired.": "已修复 {repaired} 处。",
    "{left} things are wrong and were left as they are.": "有 {left} 处问题，未作改动。",
    "Stopped. Go on with the same --state.": "已停止。使用相同的 --state 可继续。",
    "Goes on in tenant {tenant}, {part}.": "从租户 {tenant} 的 {part} 继续。",
    "{given} is not a share, such as 1 or 0.01.": "{given} 不是有效的份额，例如 1 或 0.01。",
    "{given} is not a rate, such as 50MiB/s.": "{given} 不是有效的速率，例如 50MiB/s。",
    "{given} is not a day, such as 2026-11-01.": "{given} 不是有效的日期，例如 2026-11-01。",
    "{path} cannot be used: {reason}": "无法使用 {path}：{reason}",
}
