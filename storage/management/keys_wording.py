"""What `manage.py keys` says, in Simplified Chinese. The English text is the key."""

CHINESE: dict[str, str] = {
    # table
    "Tenant": "租户",
    "Key": "密钥",
    "Made": "创建日期",
    "Is": "状态",
    "In Postgres": "Postgres 中",
    "In objects": "对象中",
    "Queue": "队列",
    "Smarthost": "中继密码",
    "seals": "加密中",
    "seals soon": "即将启用",
    "opens": "仅解密",
    "retired": "已退役",
    # the master key
    "Made {path}. Keep a copy in a safe place: mail opens with it alone.": (
        "已生成 {path}。请在安全的地方保存副本：只有用它才能打开邮件。"
    ),
    "{path} is there already.": "{path} 已存在。",
    "{count} tenants have keys that do not open.": "{count} 个租户的密钥无法打开。",
    "The keys of every tenant open.": "所有租户的密钥均可打开。",
    "The next master key is made. Copy {directory} to the other hosts, then say: manage.py keys rotate-master": (
        "已生成下一个主密钥。请将 {directory} 复制到其他主机，然后运行：manage.py keys rotate-master"
    ),
    (
        "The master key is new ({fingerprint}), {count} files are wrapped with it. Keep a copy of {directory}"
        " in a safe place, and copy it to the other hosts."
    ): (
        "主密钥已更换（{fingerprint}），{count} 个文件已用它重新包装。"
        "请在安全的地方保存 {directory} 的副本，并复制到其他主机。"
    ),
    "A rotation that had been interrupted is done: {count} files are wrapped with the master key {fingerprint}.": (
        "已完成之前中断的更换：{count} 个文件已用主密钥 {fingerprint} 包装。"
    ),
    "The one before stays until nothing needs it: manage.py keys forget-master": (
        "旧主密钥会保留到不再需要为止：manage.py keys forget-master"
    ),
    "Destroyed the replaced master key {fingerprint}.": "已销毁被替换的主密钥 {fingerprint}。",
    "{fingerprint} is still needed by {count} messages on their way in.": (
        "{fingerprint} 仍被 {count} 封投递中的邮件使用。"
    ),
    "{fingerprint} is still needed for rewritten sender addresses until {until}.": (
        "{fingerprint} 在 {until} 之前仍用于已改写的发件人地址。"
    ),
    "There are no replaced master keys.": "没有被替换的主密钥。",
    # data keys
    "There are no data keys.": "没有数据密钥。",
    "{count} new data keys; they seal in {minutes} minutes.": (
        "已生成 {count} 个新数据密钥，{minutes} 分钟后开始用于加密。"
    ),
    "Upkeep seals it anew: {count} tenants.": "将由 upkeep 重新加密：{count} 个租户。",
    "{tenant}: {chunks} pieces of {octets} in Postgres and {blobs} blobs in objects are sealed anew.": (
        "{tenant}：已重新加密 Postgres 中的 {chunks} 块（{octets}）和对象中的 {blobs} 份内容。"
    ),
    "{tenant}: {count} pieces do not open; they stay.": "{tenant}：{count} 块无法打开，保持原样。",
    "{tenant}: something in objects is left; upkeep goes on with it.": (
        "{tenant}：对象中仍有剩余，upkeep 将继续处理。"
    ),
    "{tenant}: key {key} is retired; --delete-after deletes it some day.": (
        "{tenant}：密钥 {key} 已退役，日后可用 --delete-after 删除。"
    ),
    "Objects of then are kept {days} days; keys have to stay as long.": (
        "当时的对象保留 {days} 天，密钥须保留同样长的时间。"
    ),
    "{tenant}: key {key} stays while the legal hold lasts.": "{tenant}：法务保全期间保留密钥 {key}。",
    "{tenant}: key {key} is deleted.": "{tenant}：密钥 {key} 已删除。",
    "{tenant}: key {key} was replaced within the last hour; processes may still seal with it.": (
        "{tenant}：密钥 {key} 在一小时内刚被替换，可能仍有进程用它加密。"
    ),
    "{tenant}: key {key} is still needed for {octets}.": "{tenant}：密钥 {key} 仍用于 {octets} 的内容。",
    # shredding
    "Shredding {tenant}; it may be interrupted and started again.": "正在销毁 {tenant}；可以中断后重新开始。",
    "{tenant} is active. First say: manage.py tenant delete {tenant}": (
        "{tenant} 仍在使用中。请先运行：manage.py tenant delete {tenant}"
    ),
    "{tenant} is under legal hold ({what}: {count}) and is not shredded.": (
        "{tenant} 处于法务保全（{what}：{count}），不能销毁。"
    ),
    "tenant": "租户",
    "accounts": "帐号",
    "objects": "对象",
    "{tenant} has {count} objects, and WAYPOST_S3_URL is not set.": (
        "{tenant} 有 {count} 个对象，但未设置 WAYPOST_S3_URL。"
    ),
    "Another process is shredding {tenant}.": "另一个进程正在销毁 {tenant}。",
    "The object store cannot be reached: {reason}. Start again when it is back.": (
        "无法访问对象存储：{reason}。恢复后请重新开始。"
    ),
    "This cannot be undone. Say --yes to shred {tenant}.": "此操作不可撤销。确认销毁 {tenant} 请加 --yes。",
    "{name} loses all of its mail, for ever. No backup of PostgreSQL brings it back. Type {tenant} to go on:": (
        "{name} 将永久失去全部邮件，任何 PostgreSQL 备份都无法恢复。输入 {tenant} 以继续："
    ),
    "That was another name. Nothing was changed.": "名称不符，未做任何更改。",
    "{tenant} is not shredded.": "{tenant} 未被销毁。",
    "{tenant} is half shredded: say `keys shred` again.": "{tenant} 的销毁尚未完成：请再次运行 keys shred。",
    "The certificate of {tenant} was altered.": "{tenant} 的证书已被改动。",
    "WAYPOST_SECRETS is not set: it names the directory of the keys, such as /var/lib/waypost/secrets.": (
        "未设置 WAYPOST_SECRETS：它指定密钥目录，例如 /var/lib/waypost/secrets。"
    ),
}
