"""What `manage.py queue` says in Simplified Chinese. The English text is the key."""

CHINESE: dict[str, str] = {
    # table
    "Message": "邮件",
    "Tenant": "租户",
    "Sender": "发件人",
    "Recipient": "收件人",
    "State": "状态",
    "Next attempt": "下次尝试",
    "Tries": "次数",
    "Last reply": "最近的应答",
    "Time": "时间",
    "What": "事件",
    "(null sender)": "（空发件人）",
    # states
    "queued": "排队中",
    "sending": "发送中",
    "scheduled": "定时",
    "held": "已扣留",
    "held, outbound is off": "已扣留（未开启外发）",
    "held by administrator": "已扣留（管理员）",
    "held, tenant suspended": "已扣留（租户停用）",
    "held, attempts had no result": "已扣留（多次尝试无结果）",
    "ended, report due": "已结束，待通知",
    # events
    "delivered": "已送达",
    "deferred": "稍后重试",
    "bounced": "已退回",
    "expired": "已过期",
    "released": "已放行",
    "removed": "已移除",
    "reported": "已通知发件人",
    "report_dropped": "通知无法送达，已丢弃",
    "retried": "立即重试",
    "{event}, {recipients} recipients": "{event}，{recipients} 个收件人",
    # sentences
    "Nothing is in the queue.": "队列为空。",
    "Nothing in the queue is like that.": "队列中没有符合条件的邮件。",
    "{shown} of the recipients, more with --limit.": "显示了 {shown} 个收件人，更多请用 --limit。",
    "{count} {state}, the oldest since {since}": "{count} 个{state}，最早的自 {since} 起",
    "{count} messages are scheduled, the first for {at}": "{count} 封邮件定时发送，最早的在 {at}",
    "{count} scheduled messages leave now.": "{count} 封定时邮件现在发出。",
    "{count} scheduled messages are canceled, as if their writers had done it.": (
        "已取消 {count} 封定时邮件，与发件人自己取消相同。"
    ),
    "{count} scheduled messages stay as they are. Choose them by --message or --state scheduled: release"
    " sends them now, remove cancels them.": (
        "{count} 封定时邮件保持不变。请用 --message 或 --state scheduled 指定：release 立即发出，remove 取消发送。"
    ),
    "Message {id} of {tenant}: {octets} octets, from {sender}, queued {queued_at}": (
        "租户 {tenant} 的邮件 {id}：{octets} 字节，发件人 {sender}，{queued_at} 进入队列"
    ),
    "Message {id} is not in the queue any more.": "邮件 {id} 已不在队列中。",
    "No message {id} is in the queue. If it has left, name its --tenant to see what happened to it.": (
        "队列中没有邮件 {id}。如果已经发出，请用 --tenant 指定租户查看记录。"
    ),
    "Nothing is known of message {id}.": "没有邮件 {id} 的记录。",
    "Say which mail is meant: --message, --tenant, --account, --sender, --recipient, --domain, --state, or --all.": (
        "请指定邮件：--message、--tenant、--account、--sender、--recipient、--domain、--state 或 --all。"
    ),
    "{count} recipients are tried at once.": "{count} 个收件人将立即重试。",
    "{count} recipients are held.": "已扣留 {count} 个收件人。",
    "Mail like this is held from now on, until it is released.": "此后符合条件的邮件也会被扣留，直到放行。",
    "{count} recipients are released.": "已放行 {count} 个收件人。",
    "Mail like this is no longer held.": "此后符合条件的邮件不再扣留。",
    "{count} recipients go back to their senders.": "{count} 个收件人的邮件将退回发件人。",
    "{count} recipients are removed; nobody is told.": "已移除 {count} 个收件人，不通知发件人。",
    "They leave when outbound is on (WAYPOST_OUTBOUND).": "开启外发（WAYPOST_OUTBOUND）后才会发出。",
    "What is being sent at this moment is left out.": "正在发送的邮件除外。",
    "This cannot be undone. Say --yes to remove mail that nobody is told of.": (
        "此操作无法撤销，且不会通知任何人。要移除请加 --yes。"
    ),
    "Rules: mail of {who} is held.": "规则：扣留{who}的邮件。",
    "tenant {tenant}": "租户 {tenant} ",
    "account {account} of tenant {tenant}": "租户 {tenant} 帐号 {account} ",
    "tenant {tenant} to {domain}": "租户 {tenant} 发往 {domain} ",
    "The mail of {tenant} leaves through {host}:{port} ({security}).": (
        "{tenant} 的邮件经 {host}:{port}（{security}）发出。"
    ),
    "The mail of {tenant} leaves through {host}:{port} ({security}), signed in as {username}.": (
        "{tenant} 的邮件以 {username} 登录 {host}:{port}（{security}）发出。"
    ),
    "The mail of {tenant} leaves as the installation's does.": "{tenant} 的邮件按全局设置发出。",
    "{given} is not HOST:PORT.": "{given} 不是 主机:端口。",
    "A password is not sent in clear: choose required or implicit.": (
        "密码不能以明文发送：请选择 required 或 implicit。"
    ),
}
