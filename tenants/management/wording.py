"""What the commands say, in English and Simplified Chinese. The English text is the key."""

import os
from collections.abc import Mapping

from tenants import errors
from tenants.addresses import display_domain
from tenants.errors import LanguageUnknown, TenantsError
from tenants.locality import known_language
from tenants.management.reasons import reason

CHINESE: dict[str, str] = {
    # tables
    "Tenant": "租户",
    "Name": "名称",
    "Status": "状态",
    "People": "人数",
    "Domains": "域名",
    "Language": "语言",
    "Time zone": "时区",
    "Address": "地址",
    "Aliases": "别名",
    "Quota": "配额",
    "Administrator": "管理员",
    "Who may send": "允许发信",
    "Members": "成员",
    "Owner": "负责人",
    "anyone": "任何人",
    "tenant": "本租户",
    "members": "成员",
    "Domain": "域名",
    "On the wire": "实际名称",
    "Stands for": "等同于",
    "Catch-all": "兜底地址",
    "Good for": "用途",
    "Made": "创建日期",
    "Expires": "到期",
    "Last used": "上次使用",
    "From": "来自",
    "never": "从未",
    "Failed sign-ins": "登录失败次数",
    "Refused": "暂时拒绝",
    "all networks never used before": "所有从未用过的网络",
    "for {seconds} s more": "还剩 {seconds} 秒",
    "active": "正常",
    "suspended": "已停用",
    "deleted": "已删除",
    "yes": "是",
    "no": "否",
    "unlimited": "不限",
    "(released)": "（已释放）",
    "No tenants yet. Add one: manage.py tenant add example.com": (
        "还没有租户。添加一个：manage.py tenant add example.com"
    ),
    "No accounts yet. Add one: manage.py account add ann@example.com": (
        "还没有帐号。添加一个：manage.py account add ann@example.com"
    ),
    "No programs yet. Add one: manage.py oauth add NAME https://…": (
        "还没有程序。添加一个：manage.py oauth add 名称 https://…"
    ),
    "{name} may ask people for access. Its client id: {client_id}": (
        "{name} 可以向用户请求授权。客户端标识：{client_id}"
    ),
    "{name} is forgotten, and its tokens are worth nothing.": "已移除 {name}，它的令牌不再有效。",
    "Client id": "客户端标识",
    "Answers go to": "结果发往",
    "No groups yet. Add one: manage.py group add team@example.com ann@example.com": (
        "还没有群组。添加一个：manage.py group add team@example.com ann@example.com"
    ),
    # done
    "Added app password {name} for {scopes}.": "已添加应用密码 {name}，用途：{scopes}。",
    "{address} has no app passwords.": "{address} 没有应用密码。",
    "Revoked app password {name} of {address}.": "已吊销 {address} 的应用密码 {name}。",
    "Nobody failed to sign in lately: {what}.": "最近没有登录失败：{what}。",
    "Failed sign-ins are forgotten: {what}.": "已清除登录失败记录：{what}。",
    "Added group {address} with {count} members.": "已添加群组 {address}，成员 {count} 个。",
    "Changed group {address}.": "已修改群组 {address}。",
    "Deleted group {address}.": "已删除群组 {address}。",
    "Group {address} has {count} members now.": "群组 {address} 现有成员 {count} 个。",
    "Mail for what nobody has in {domain} is refused.": "发往 {domain} 中不存在的地址的邮件将被拒收。",
    "Mail for what nobody has in {domain} goes to {address}.": "发往 {domain} 中不存在的地址的邮件将送达 {address}。",
    "{domain} stands for itself.": "{domain} 不再是其他域名的别名域。",
    "{domain} stands for {other}: every address there is good here too.": (
        "{domain} 已等同于 {other}：其全部地址在此同样有效。"
    ),
    "Mail for {address} is not passed on.": "{address} 的邮件不转发。",
    "Mail for {address} is passed on to {targets}; a copy stays here.": (
        "{address} 的邮件转发到 {targets}，并保留副本。"
    ),
    "Mail for {address} is passed on to {targets}; nothing stays here.": (
        "{address} 的邮件转发到 {targets}，不保留副本。"
    ),
    "Added tenant {slug} (id {id}) with the domain {domain}.": "已添加租户 {slug}（编号 {id}），域名 {domain}。",
    "Changed tenant {slug}.": "已修改租户 {slug}。",
    "Suspended tenant {slug}. Nobody signs in, mail for it waits at its senders.": (
        "已停用租户 {slug}：所有人无法登录，来信在发件方等待。"
    ),
    "Tenant {slug} is active again.": "租户 {slug} 已恢复。",
    "Deleted tenant {slug}. Its domains stay reserved; free one with: manage.py tenant release DOMAIN": (
        "已删除租户 {slug}。其域名仍被保留，释放：manage.py tenant release 域名"
    ),
    "Added the domain {domain} to tenant {slug}.": "已为租户 {slug} 添加域名 {domain}。",
    "Released {name}.": "已释放 {name}。",
    "Added account {address} (id {id}).": "已添加帐号 {address}（编号 {id}）。",
    "Changed account {address}.": "已修改帐号 {address}。",
    "App passwords, tokens and connected programs of {address} are revoked.": (
        "已吊销 {address} 的应用密码、令牌和已连接的程序。"
    ),
    "{address} is signed out of everything.": "已将 {address} 在所有设备上登出。",
    "Suspended account {address}. Mail for it waits at its senders.": "已停用帐号 {address}，来信在发件方等待。",
    "Account {address} is active again.": "帐号 {address} 已恢复。",
    "Deleted account {address}. Its addresses stay reserved; free one with: manage.py account release ADDRESS": (
        "已删除帐号 {address}。其地址仍被保留，释放：manage.py account release 地址"
    ),
    "Password, shown only now: {password}": "密码（仅显示这一次）：{password}",
    "{alias} now reaches {address}.": "{alias} 的邮件现在送达 {address}。",
    "{alias} no longer reaches {address}.": "{alias} 的邮件不再送达 {address}。",
    "Imported {count} accounts in {seconds:.1f} s.": "已导入 {count} 个帐号，用时 {seconds:.1f} 秒。",
    "Generated passwords are in {path}, readable by you only.": "生成的密码已写入 {path}，仅您可读。",
    # keeping
    "Policy": "策略",
    "Cold after": "转冷时间",
    "Hot budget": "热存储预算",
    "Comes back when read twice within": "两次读取间隔不超过此天数则转热",
    "Pool of all accounts": "全部帐号总配额",
    "Expunged messages can be restored for": "已删除邮件可恢复天数",
    "Deleted accounts can be restored for": "已删除帐号可恢复天数",
    "Legal hold": "法律保留",
    "yes: {reason}": "是：{reason}",
    "{days} days": "{days} 天",
    "Folder": "文件夹",
    "Days": "天数",
    "Then": "处理方式",
    "Account": "帐号",
    "everybody": "所有人",
    "remove": "移除",
    "trash": "移到废纸篓",
    "{name} is under legal hold: nothing of it is deleted for good.": "{name} 处于法律保留：其内容不会被彻底删除。",
    "{name} is free of legal hold.": "{name} 已解除法律保留。",
    "There are no retention rules: messages stay until somebody deletes them.": (
        "没有保留规则：邮件会一直保留，直到有人删除。"
    ),
    "Messages that lie in {folder} for {days} days are removed.": "{folder} 中存放满 {days} 天的邮件将被移除。",
    "Messages that lie in {folder} for {days} days are moved to the trash.": (
        "{folder} 中存放满 {days} 天的邮件将移到废纸篓。"
    ),
    "Removed the rule of {folder}.": "已移除 {folder} 的规则。",
    "Say --yes to delete {what}.": "要删除 {what}，请加 --yes。",
    "For {days} days it can be brought back: manage.py account restore {address}": (
        "{days} 天内可以恢复：manage.py account restore {address}"
    ),
    "Account {address} is there again, as it was.": "帐号 {address} 已恢复原状。",
    # refused
    "line {line}, {column}: {reason}": "第 {line} 行，{column}：{reason}",
    "{path}: nobody was imported.": "{path}：没有导入任何人。",
    "{path} cannot be read: {reason}": "无法读取 {path}：{reason}",
    "{path} cannot be written: {reason}": "无法写入 {path}：{reason}",
    "{path} is not UTF-8 or GB18030 text.": "{path} 不是 UTF-8 或 GB18030 文本。",
    "{path} needs a first line that names its columns: address, password, name, quota. Missing: {missing}": (
        "{path} 的第一行须为列名：address, password, name, quota。缺少：{missing}"
    ),
    "{path} has columns nobody knows: {unknown}. Known are address, password, name, quota.": (
        "{path} 有未知的列：{unknown}。可用的列：address, password, name, quota。"
    ),
    "{path} has rows without a password: say where the generated ones go with --passwords-to FILE": (
        "{path} 中有未给出密码的行：请用 --passwords-to 文件 指定生成的密码写到哪里"
    ),
    "This cannot be undone. Say --yes to delete {what}.": "此操作无法撤销。要删除 {what}，请加 --yes。",
    "There was no password on standard input.": "标准输入中没有密码。",
    "Say what to change; --help lists it.": "请指定要修改的内容，参见 --help。",
    "WAYPOST_OWNER_DATABASE_URL is not set, so there is no database to work on.": (
        "未设置 WAYPOST_OWNER_DATABASE_URL，没有可用的数据库。"
    ),
    "The database cannot be reached: {reason}": "无法连接数据库：{reason}",
    "The database has no tables yet. Run: manage.py migrate": "数据库中还没有表。请运行：manage.py migrate",
    "{path}, named in WAYPOST_TENANT_CREATED, cannot be imported: {reason}": (
        "WAYPOST_TENANT_CREATED 中的 {path} 无法导入：{reason}"
    ),
    "The tenant was not added, because {path} failed: {reason}": "租户未添加：{path} 失败：{reason}",
}

# The fact in the reader's words, and the way out. Attributes of the error fill the braces.
REFUSALS: dict[type[TenantsError], tuple[str, str]] = {
    errors.AddressInvalid: (
        "{text!r} is not a mail address: {reason}.",
        "“{text}”不是有效的邮件地址：{reason}。",
    ),
    errors.DomainInvalid: (
        "{text!r} is not a domain name: {reason}.",
        "“{text}”不是有效的域名：{reason}。",
    ),
    errors.DomainNotLocal: (
        "{domain} is not served here, or is another tenant's. Add it: manage.py tenant add-domain TENANT {domain}",
        "本系统不处理 {domain}，或它属于另一租户。添加：manage.py tenant add-domain 租户 {domain}",
    ),
    errors.TenantNotFound: (
        "There is no tenant {name}. See: manage.py tenant list",
        "没有租户 {name}。查看：manage.py tenant list",
    ),
    errors.TenantExists: (
        "There is already a tenant {slug}. Choose another --slug.",
        "租户 {slug} 已存在。请用 --slug 另选一个。",
    ),
    errors.TenantDeleted: (
        "The tenant {slug} was deleted, which cannot be undone.",
        "租户 {slug} 已删除，无法恢复。",
    ),
    errors.AccountNotFound: (
        "Nobody has the address {address}. See: manage.py account list",
        "没有人使用地址 {address}。查看：manage.py account list",
    ),
    errors.AccountDeleted: (
        "The account {address} was deleted. Bring it back, while it can be: manage.py account restore {address}",
        "帐号 {address} 已删除。在可恢复期限内恢复：manage.py account restore {address}",
    ),
    errors.StillInUse: (
        "{what} is in use. Only what was deleted can be released.",
        "{what} 正在使用，只有已删除的才能释放。",
    ),
    errors.AliasNotFound: (
        "{alias} is not an alias of {address}. See: manage.py account list",
        "{alias} 不是 {address} 的别名。查看：manage.py account list",
    ),
    errors.PrimaryAddressProtected: (
        "{address} is a primary address, not an alias.",
        "{address} 是主地址，不是别名。",
    ),
    errors.GroupNotFound: (
        "No group has the address {address}. See: manage.py group list",
        "没有群组使用地址 {address}。查看：manage.py group list",
    ),
    errors.MemberNotFound: (
        "{member} is not a member of {address}. See: manage.py group show {address}",
        "{member} 不是 {address} 的成员。查看：manage.py group show {address}",
    ),
    errors.ForwardingNotFound: (
        "Mail for {address} is not passed on to {target}. See: manage.py account forward list {address}",
        "{address} 的邮件没有转发到 {target}。查看：manage.py account forward list {address}",
    ),
    errors.TooManyTargets: (
        "{name} would have more than {limit} addresses behind it, which is the most.",
        "{name} 最多可有 {limit} 个地址。",
    ),
    errors.GroupIsCatchAll: (
        "{address} is the catch-all of {domain}. Change that first: manage.py domain catch-all {domain} none",
        "{address} 是 {domain} 的兜底地址。请先修改：manage.py domain catch-all {domain} none",
    ),
    errors.DomainStandsForAnother: (
        "{domain} stands for {other} and has no addresses of its own. Use {other}, or end it first:"
        " manage.py domain stand-for {domain} none",
        "{domain} 是 {other} 的别名域，没有自己的地址。请使用 {other}，或先解除："
        "manage.py domain stand-for {domain} none",
    ),
    errors.DomainHasAddresses: (
        "{domain} has addresses, a catch-all or domains that stand for it, so it cannot stand for another."
        " See: manage.py domain list",
        "{domain} 已有地址、兜底地址或别名域，不能成为别名域。查看：manage.py domain list",
    ),
    errors.AppPasswordExists: (
        "{address} has an app password called {name} already. Choose another name, or revoke that one.",
        "{address} 已有名为 {name} 的应用密码。请另选名称，或先吊销它。",
    ),
    errors.TooManyAppPasswords: (
        "{address} has {limit} app passwords, which is the most. Revoke one first. See: manage.py account app-password"
        " list {address}",
        "{address} 已有 {limit} 个应用密码，已达上限。请先吊销一个。"
        "查看：manage.py account app-password list {address}",
    ),
    errors.AppPasswordNotFound: (
        "{address} has no app password called {name}. See: manage.py account app-password list {address}",
        "{address} 没有名为 {name} 的应用密码。查看：manage.py account app-password list {address}",
    ),
    errors.ScopesInvalid: (
        "Say what the app password is good for: imap, pop, smtp.",
        "请指定应用密码的用途：imap、pop、smtp。",
    ),
    errors.ExpiryInvalid: (
        "{text!r} is not a day to come. Write it like 2030-12-31.",
        "“{text}”不是将来的日期，请写成 2030-12-31 这样。",
    ),
    errors.BlocksUnreachable: (
        "Failed sign-ins are counted in Redis, which does not answer: {reason}. Without it, each process counts its"
        " own, and forgets them when it is restarted.",
        "登录失败次数记录在 Redis 中，但无法连接：{reason}。没有 Redis 时各进程自行计数，重启后清除。",
    ),
    errors.NetworkInvalid: (
        "{text!r} is not an IP address. Write it like 192.0.2.7 or 2001:db8::7.",
        "“{text}”不是有效的 IP 地址，请写成 192.0.2.7 或 2001:db8::7 这样。",
    ),
    errors.PasswordUnacceptable: ("The password cannot be used: {reason}.", "密码不可用：{reason}。"),
    errors.LanguageUnknown: (
        "{language!r} is not a language of this server. There are en and zh-hans.",
        "本系统不支持语言“{language}”，可用：en、zh-hans。",
    ),
    errors.TimeZoneUnknown: (
        "{time_zone!r} is not a time zone. Write it like Asia/Shanghai.",
        "“{time_zone}”不是有效时区，请写成 Asia/Shanghai 这样。",
    ),
    errors.QuotaInvalid: (
        "{text!r} is not a quota. Write it like 5GiB, 500MB or none.",
        "“{text}”不是有效配额，请写成 5GiB、500MB 或 none。",
    ),
    errors.DaysInvalid: (
        "{text!r} is not a number of days. Write it like 30.",
        "“{text}”不是有效天数，请写成 30 这样。",
    ),
    errors.AccountNotDeleted: (
        "The account {address} is not deleted, so there is nothing to restore.",
        "帐号 {address} 未被删除，无需恢复。",
    ),
    errors.AccountEnded: (
        "The account {address} was deleted too long ago: its mail is gone.",
        "帐号 {address} 的可恢复期限已过，其邮件已不存在。",
    ),
    errors.ReasonMissing: (
        "Say why with --reason, such as the case's number.",
        "请用 --reason 说明原因，例如案件编号。",
    ),
    errors.FolderInvalid: (
        "{folder!r} is not a folder. Write a mailbox name, or a special use such as \\Trash or \\Junk.",
        "“{folder}”不是文件夹。请写邮箱名称，或 \\Trash、\\Junk 这样的特殊用途。",
    ),
    errors.RuleNotFound: (
        "There is no rule for {folder}. See: manage.py tenant retention list TENANT",
        "没有 {folder} 的规则。查看：manage.py tenant retention list 租户",
    ),
    errors.NameTaken: ("There is one called {name} already.", "已有名为 {name} 的项目。"),
    errors.ProgramNotFound: (
        "No program is called {name}. See: manage.py oauth list",
        "没有名为 {name} 的程序。查看：manage.py oauth list",
    ),
    errors.RedirectInvalid: (
        "Answers cannot go to {uri}: write https://…, http://127.0.0.1/…, or a scheme of the program's own domain such"
        " as com.example.mailer:/answer.",
        "结果不能发往 {uri}。请写 https://…、http://127.0.0.1/…，或程序自有域名的协议，如 com.example.mailer:/answer。",
    ),
    errors.NameInvalid: ("The name cannot be used: {reason}.", "名称不可用：{reason}。"),
}
RESERVED: dict[type[TenantsError], tuple[str, str]] = {
    errors.DomainTaken: (
        "{domain} is reserved by a deleted tenant. Free it with: manage.py tenant release {domain}",
        "{domain} 被已删除的租户保留。释放：manage.py tenant release {domain}",
    ),
    errors.AddressTaken: (
        "{address} is reserved by a deleted account. Free it with: manage.py account release {address}",
        "{address} 被已删除的帐号保留。释放：manage.py account release {address}",
    ),
}
TAKEN: dict[type[TenantsError], tuple[str, str]] = {
    errors.DomainTaken: (
        "{domain} belongs to a tenant already. See: manage.py tenant list",
        "{domain} 已属于某个租户。查看：manage.py tenant list",
    ),
    errors.AddressTaken: (
        "{address} belongs to an account or group already. See: manage.py account list, manage.py group list",
        "{address} 已属于某个帐号或群组。查看：manage.py account list、manage.py group list",
    ),
}


def language_of_terminal(environment: Mapping[str, str] = os.environ) -> str:
    """What LC_ALL, LC_MESSAGES or LANG ask for, the first that is set; English where we cannot speak it."""
    for variable in ("LC_ALL", "LC_MESSAGES", "LANG"):
        if value := environment.get(variable, ""):
            try:
                return known_language(value)
            except LanguageUnknown:
                return "en"
    return "en"


def say(language: str, text: str, **values: object) -> str:
    return (CHINESE.get(text, text) if language == "zh-hans" else text).format(**values)


def refusal(language: str, error: TenantsError) -> str:
    """One line: what is wrong, and what to do about it."""
    if isinstance(error, (errors.DomainTaken, errors.AddressTaken)):
        words = (RESERVED if error.is_reserved else TAKEN)[type(error)]
    else:
        words = REFUSALS[type(error)]
    facts = dict(vars(error))
    for name in ("domain", "other"):
        if name in facts:
            facts[name] = display_domain(facts[name])
    if "reason" in facts:
        facts["reason"] = reason(language, facts["reason"])
    return words[language == "zh-hans"].format(**facts)
