"""The certificate of a shredded tenant: facts as JSON with a SHA-256 over them, and as text (pure)."""

import hashlib
import json
from dataclasses import asdict, dataclass, field
from datetime import date, datetime, timedelta

FORM = "waypost shredding certificate 1"


@dataclass(frozen=True, slots=True)
class Count:
    rows: int = 0
    octets: int = 0


@dataclass(frozen=True, slots=True)
class Certificate:
    """What was destroyed, when and by whom, and what somebody may still find elsewhere until when.

    `tenant_key` is the fingerprint of the destroyed key, None if it was gone already. `data_keys`: id and when made.
    """

    tenant_id: int
    slug: str
    name: str
    domains: list[str]
    administrator: str
    begun_at: datetime
    key_destroyed_at: datetime
    ended_at: datetime
    tenant_key: str | None
    data_keys: list[tuple[int, datetime]]
    objects: Count
    tables: dict[str, Count] = field(default_factory=dict)
    backups_kept_days: int = 0

    @property
    def metadata_until(self) -> date:
        """The last day on which a backup made before the rows were deleted is kept."""
        return (self.ended_at + timedelta(days=self.backups_kept_days)).date()

    @property
    def rows(self) -> int:
        return sum(each.rows for each in self.tables.values())

    def of_table(self, table: str) -> Count:
        return self.tables.get(table, Count())


def as_json(certificate: Certificate) -> str:
    """Sorted and indented; `sha256` is that of the same text without its line of `sha256`."""
    facts = {
        "form": FORM,
        **asdict(certificate),
        "metadata_in_backups_until": certificate.metadata_until,
        "kept": ["tenant", "domain"],
    }
    digest = hashlib.sha256(_text(facts).encode()).hexdigest()
    return _text({**facts, "sha256": digest})


def is_genuine(text: str) -> bool:
    """Whether nobody altered it since; whoever can write the database can write another."""
    try:
        facts = json.loads(text)
        digest = facts.pop("sha256")
    except (ValueError, AttributeError, KeyError):
        return False
    return bool(digest == hashlib.sha256(_text(facts).encode()).hexdigest())


def from_json(text: str) -> Certificate:
    """Raises ValueError, KeyError."""
    facts = json.loads(text)
    if facts.get("form") != FORM:
        raise ValueError("this is no certificate")
    return Certificate(
        facts["tenant_id"],
        facts["slug"],
        facts["name"],
        facts["domains"],
        facts["administrator"],
        datetime.fromisoformat(facts["begun_at"]),
        datetime.fromisoformat(facts["key_destroyed_at"]),
        datetime.fromisoformat(facts["ended_at"]),
        tenant_key=facts["tenant_key"],
        data_keys=[(key_id, datetime.fromisoformat(made_at)) for key_id, made_at in facts["data_keys"]],
        objects=Count(**facts["objects"]),
        tables={table: Count(**count) for table, count in facts["tables"].items()},
        backups_kept_days=facts["backups_kept_days"],
    )


def as_text(certificate: Certificate, language: str) -> str:
    """In English, or in Simplified Chinese for `zh-hans`."""
    template = _CHINESE if language == "zh-hans" else _ENGLISH
    none = "（此前已不存在）" if language == "zh-hans" else "(was gone before)"
    message, content = certificate.of_table("message"), certificate.of_table("blob_content")
    return template.format(
        slug=certificate.slug,
        name=certificate.name,
        id=certificate.tenant_id,
        domains=", ".join(certificate.domains) or "-",
        administrator=certificate.administrator,
        begun=_moment(certificate.begun_at),
        destroyed=_moment(certificate.key_destroyed_at),
        ended=_moment(certificate.ended_at),
        key=certificate.tenant_key or none,
        data_keys=", ".join(f"{key_id} ({made_at:%Y-%m-%d})" for key_id, made_at in certificate.data_keys) or "-",
        accounts=certificate.of_table("account").rows,
        messages=message.rows,
        message_octets=message.octets,
        content_octets=content.octets,
        objects=certificate.objects.rows,
        object_octets=certificate.objects.octets,
        rows=certificate.rows,
        tables=len([each for each in certificate.tables.values() if each.rows]),
        days=certificate.backups_kept_days,
        until=certificate.metadata_until,
        sha256=json.loads(as_json(certificate))["sha256"],
    )


def _text(facts: dict[str, object]) -> str:
    return json.dumps(facts, default=_plain, ensure_ascii=False, indent=1, sort_keys=True)


def _plain(value: object) -> str:
    assert isinstance(value, (datetime, date))
    return value.isoformat()


def _moment(at: datetime) -> str:
    return at.strftime("%Y-%m-%d %H:%M:%S %Z")


_ENGLISH = """\
CERTIFICATE OF DESTRUCTION

Company:          {name} ({slug}, tenant {id}), domains: {domains}
By:               {administrator}
Begun:            {begun}
Key destroyed:    {destroyed}
Ended:            {ended}

Destroyed
  Tenant key      fingerprint {key}
  Data keys       {data_keys}
  Messages        {messages} of {message_octets} octets, in {accounts} accounts
  Sealed content  {content_octets} octets in PostgreSQL; {objects} objects of {object_octets} octets in the object store
  Rows            {rows} in {tables} tables

Kept
  The company's name and its domain names, so that nobody else receives mail meant for it, and this certificate.

What may still exist elsewhere
  Backups of PostgreSQL made before hold headers, subjects, addresses, first lines and the wrapped data keys. They are
  kept {days} days, so until {until}. Bodies and attachments in them open only with the tenant key: who has a copy of
  the secrets directory from before can open them. Destroy those copies too, and the key file on every host that has its
  own. The key file was overwritten and removed; a disk or file system that keeps old blocks (SSD, snapshots) may still
  hold it, wrapped by the master key. After restoring a backup from before, shred the company again.

SHA-256 of the facts: {sha256}
"""

_CHINESE = """\
数据销毁证书

公司：        {name}（{slug}，租户 {id}），域名：{domains}
操作人：      {administrator}
开始：        {begun}
密钥销毁：    {destroyed}
完成：        {ended}

已销毁
  租户密钥    指纹 {key}
  数据密钥    {data_keys}
  邮件        {messages} 封，共 {message_octets} 字节，属于 {accounts} 个帐号
  加密内容    PostgreSQL 中 {content_octets} 字节；对象存储中 {objects} 个对象，共 {object_octets} 字节
  数据行      {tables} 张表中的 {rows} 行

保留
  公司名称及其域名（以免他人收到发往该公司的邮件），以及本证书。

其他地方可能仍存在的内容
  此前的 PostgreSQL 备份含有邮件头、主题、地址、正文开头和已包装的数据密钥。备份保留 {days} 天，即至 {until}。
  其中的正文和附件只有用租户密钥才能解开：持有此前密钥目录副本的人可以解开。请一并销毁这些副本，以及每台主机各自的密钥文件。
  密钥文件已被覆盖并删除；保留旧数据块的磁盘或文件系统（SSD、快照）可能仍存有它，但由主密钥包装。
  如果恢复了此前的备份，请再次销毁该公司。

事实的 SHA-256：{sha256}
"""
