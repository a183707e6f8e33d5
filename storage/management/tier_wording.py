"""What `manage.py tiers` says in Simplified Chinese. The English text is the key."""

CHINESE: dict[str, str] = {
    "Tenant": "租户",
    "Goes cold": "转冷时间",
    "Hot": "热数据",
    "Due": "待迁移",
    "Packs": "冷数据包",
    "In use": "有效占比",
    "Large parts": "大附件",
    "To be deleted": "待删除",
    "never": "从不",
    "after {days} days": "{days} 天后",
    "There is no such tenant.": "没有这个租户。",
    "There are no tenants yet.": "还没有租户。",
    "Moving": "迁移中",
    "Compacting": "整理中",
    "{blobs} blobs moved into {packs} packs in {seconds} s: {before} became {after}.": (
        "已用 {seconds} 秒将 {blobs} 个数据块移入 {packs} 个冷数据包：{before} 变为 {after}。"
    ),
    "{tenant}: ended early, because {reason}": "{tenant}：提前结束，原因：{reason}",
    "Damaged, and left where it is: blob {digest}": "已损坏，保留原处：数据块 {digest}",
    "Not everything could be moved.": "有些内容未能迁移。",
    "{orphans} of {objects} objects in the bucket are unknown here. Is it the right bucket? Nothing was deleted.": (
        "存储桶中 {objects} 个对象有 {orphans} 个在这里没有记录。存储桶是否正确？未删除任何内容。"
    ),
    "{objects} objects of {octets} in the bucket. {doomed} doomed and {orphans} unknown ones were deleted;"
    " {waiting} unknown ones wait.": (
        "存储桶中有 {objects} 个对象，共 {octets}。已删除 {doomed} 个废弃对象和 {orphans} 个无记录对象；"
        "另有 {waiting} 个无记录对象待删除。"
    ),
    "{count} blobs that nothing used were deleted.": "已删除 {count} 个不再使用的数据块。",
    "Missing from the bucket: {name}": "存储桶中缺少：{name}",
    "{count} objects are missing from the bucket.": "存储桶中缺少 {count} 个对象。",
    # cost
    "Day": "日期",
    "Account": "帐号",
    "Messages": "邮件数",
    "Mail": "邮件大小",
    "Cold": "冷数据",
    "Rows": "索引数据",
    "Unused": "闲置",
    "Together": "合计",
    "Of mail": "与邮件之比",
    "In {days} days": "{days} 天内",
    "Nothing was measured yet; upkeep does it every day.": "尚无统计数据；维护进程（upkeep）每天统计一次。",
}
