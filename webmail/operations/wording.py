"""What the doctor says, in English and Simplified Chinese. The English text is the key."""

CHINESE: dict[str, str] = {
    # levels
    "fine": "正常",
    "warning": "注意",
    "problem": "问题",
    # configuration
    "The configuration can be used": "配置可用",
    "{variable}: {wrong}; for example {variable}={example}": "{variable}：{wrong}；例如 {variable}={example}",
    "{variable} is no setting": "没有名为 {variable} 的设置",
    "{variable} is no setting; was {meant} meant?": "没有名为 {variable} 的设置；是否指 {meant}？",
    # database
    "{variable}: Postgres cannot be reached: {reason}": "{variable}：无法连接 Postgres：{reason}",
    "{variable}: the role {role} may pass row-level security": "{variable}：角色 {role} 可以绕过行级安全",
    "{variable} is the role {role}, not {expected}": "{variable} 使用的角色是 {role}，应为 {expected}",
    "Postgres is reached as {role}": "可以用角色 {role} 连接 Postgres",
    "Postgres {version} is too old; 15 or later is needed": "Postgres {version} 过旧，需要 15 或更新版本",
    "The clocks of Postgres and of this machine differ by {seconds:.0f} s": (
        "Postgres 与本机的时钟相差 {seconds:.0f} 秒"
    ),
    "Postgres has {names} switched off: a crash loses mail that was accepted": (
        "Postgres 关闭了 {names}：崩溃会丢失已接收的邮件"
    ),
    "Postgres has synchronous_commit off: a crash loses mail that was accepted": (
        "Postgres 关闭了 synchronous_commit：崩溃会丢失已接收的邮件"
    ),
    "Postgres keeps what it has accepted": "Postgres 不会丢失已接收的数据",
    "Postgres has no synchronous standby: if its machine is lost, mail that was accepted is lost": (
        "Postgres 没有同步备库：主机损毁会丢失已接收的邮件"
    ),
    "There are no tables yet. Run: manage.py migrate": "还没有数据表。请运行：manage.py migrate",
    "The tables are older than the program ({names}). Run: manage.py migrate": (
        "数据表比程序旧（{names}）。请运行：manage.py migrate"
    ),
    "The tables are up to date": "数据表是最新的",
    "Tables of tenants without forced row-level security: {names}": "未强制行级安全的租户数据表：{names}",
    "Every table of tenants is under forced row-level security": "所有租户数据表都强制行级安全",
    "The tables cannot be looked at: {reason}": "无法检查数据表：{reason}",
    # backup
    "The database was restored: mail programs go wrong before manage.py restore epoch has run"
    " (then: ALTER SYSTEM RESET waypost.needs_epoch)": (
        "数据库是恢复而来：运行 manage.py restore epoch 之前邮件程序会出错"
        "（之后执行：ALTER SYSTEM RESET waypost.needs_epoch）"
    ),
    "Postgres has failed to archive its WAL since {since:%Y-%m-%d %H:%M:%S %Z}": (
        "自 {since:%Y-%m-%d %H:%M:%S %Z} 起 Postgres 归档 WAL 失败"
    ),
    "Postgres archives its WAL": "Postgres 正常归档 WAL",
    "Postgres does not archive its WAL: only the moments of backups can be restored": (
        "Postgres 未归档 WAL：只能恢复到各备份的时刻"
    ),
    # keys
    "The directory of the keys, {path}, is not there": "密钥目录 {path} 不存在",
    "Others may read {path} (and {count} more). Run: chmod -R go= {directory}": (
        "其他用户可以读取 {path}（另有 {count} 项）。请运行：chmod -R go= {directory}"
    ),
    "Only their owner may read the keys": "只有所有者可以读取密钥",
    "The master key cannot be used: {reason}": "主密钥不可用：{reason}",
    "WAYPOST_OWNER_DATABASE_URL is not set, so the tenants' keys were not tried": (
        "未设置 WAYPOST_OWNER_DATABASE_URL，因此没有检查租户密钥"
    ),
    "The tenants' keys cannot be looked at: {reason}": "无法检查租户密钥：{reason}",
    "Keys that do not open: {reason}": "无法打开的密钥：{reason}",
    "The keys of every tenant open": "所有租户的密钥都可以打开",
    # certificate
    "There is no certificate (WAYPOST_TLS_CERTIFICATE): nobody can sign in over IMAP or SMTP": (
        "没有证书（WAYPOST_TLS_CERTIFICATE）：无法通过 IMAP 或 SMTP 登录"
    ),
    "{reason}": "{reason}",
    "The certificate {path} has expired": "证书 {path} 已过期",
    "The certificate {path} expires in {days} days": "证书 {path} 将在 {days} 天后过期",
    "The certificate is good for {days} more days": "证书还有 {days} 天有效期",
    "The certificate is not for {hostname} (WAYPOST_HOSTNAME)": "证书不适用于 {hostname}（WAYPOST_HOSTNAME）",
    "The certificate was made by Waypost for trying it out; no client of yours trusts it": (
        "证书是 Waypost 为试用生成的，您的客户端不会信任它"
    ),
    # surroundings
    "There is no Redis (WAYPOST_REDIS_URL): new mail is seen up to 5 s later": (
        "没有 Redis（WAYPOST_REDIS_URL）：新邮件最多晚 5 秒显示"
    ),
    "Redis cannot be reached ({reason}): new mail is seen up to 5 s later": (
        "无法连接 Redis（{reason}）：新邮件最多晚 5 秒显示"
    ),
    "Redis answers": "Redis 正常应答",
    "Processes may open {limit} files only, one for each connection": "进程只能打开 {limit} 个文件，每个连接占用一个",
    "{variable} is {endpoint}: everybody can reach it": "{variable} 为 {endpoint}：任何人都可以访问",
    "WAYPOST_OUTWARD_REACH is loopback: who names a push service or a picture reaches this machine": (
        "WAYPOST_OUTWARD_REACH 为 loopback：指定推送服务或图片地址的人可以借此访问本机"
    ),
    # objects
    "There is no S3 (WAYPOST_S3_URL): all content rests in Postgres": (
        "没有 S3（WAYPOST_S3_URL）：所有内容都存放在 Postgres 中"
    ),
    "S3 cannot be used: {reason}": "S3 无法使用：{reason}",
    "S3 is away: {reason}; what rests there cannot be read": "S3 不可用：{reason}；存放在其中的内容无法读取",
    "S3 takes, gives back and deletes objects": "S3 可以写入、读取和删除对象",
    "The bucket has Object Lock: S3 keeps what is under legal hold": (
        "存储桶启用了对象锁定：S3 会保留处于法律保留中的内容"
    ),
    "{count} tenants are under legal hold, and a bucket without Object Lock does not keep what is held": (
        "{count} 个租户处于法律保留中，而没有对象锁定的存储桶不会保留这些内容"
    ),
    "The bucket has no Object Lock, and it cannot be added: a legal hold would be kept by Waypost alone": (
        "存储桶没有对象锁定，且无法事后添加：法律保留将仅由 Waypost 执行"
    ),
    # outbound
    "Outbound is on: mail for other systems leaves. Whether port 25 of others can be reached is not tried": (
        "外发已开启：发往其他系统的邮件会发出。是否能连到对方 25 端口未作检查"
    ),
    "Outbound is off (WAYPOST_OUTBOUND): mail for other systems is held": (
        "外发未开启（WAYPOST_OUTBOUND）：发往其他系统的邮件被扣留"
    ),
    "{count} recipients are held, the oldest for {age}; manage.py queue list shows them": (
        "{count} 个收件人的邮件被扣留，最早的已 {age}；用 manage.py queue list 查看"
    ),
    "{count} of them since outbound was off. Let them go: manage.py queue release --state off": (
        "其中 {count} 个是外发未开启时扣留的。放行：manage.py queue release --state off"
    ),
    "{count} recipients wait in the queue, the oldest for {age}": "{count} 个收件人的邮件在排队，最早的已 {age}",
    "DNS does not answer (WAYPOST_DNS): {reason}; no mail leaves": "DNS 无应答（WAYPOST_DNS）：{reason}；邮件无法发出",
    "DNS answers": "DNS 正常应答",
    # demonstration
    "Nothing of the demonstration is here": "没有演示用的内容",
    "WAYPOST_HOSTNAME is {hostname}, a name nobody finds": "WAYPOST_HOSTNAME 为 {hostname}，无法被解析",
    "The passwords of the demo people are in {path}": "演示用户的密码仍在 {path} 中",
    "WAYPOST_CA_FILE is set: an authority made by Waypost for trying it out is offered to people": (
        "设置了 WAYPOST_CA_FILE：向用户提供了 Waypost 试用的证书颁发机构"
    ),
    "The demo tenant is here. Run: manage.py tenant delete {domain}": (
        "演示租户仍然存在。请运行：manage.py tenant delete {domain}"
    ),
    # the end
    "{problems} problems, {warnings} warnings": "{problems} 个问题，{warnings} 个注意事项",
}


def say(language: str, text: str, **values: object) -> str:
    return (CHINESE.get(text, text) if language == "zh-hans" else text).format(**values)
