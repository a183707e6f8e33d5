"""What a notification says to a person: one table for each language of `tenants.locality.LANGUAGES`."""

from dataclasses import dataclass
from datetime import datetime

from mailserver.dsn.facts import Action


@dataclass(frozen=True, slots=True)
class Cause:
    """Why, and what the sender can do about it."""

    reason: str
    advice: str


@dataclass(frozen=True, slots=True)
class Words:
    """The texts of one language; `{…}` are filled in. `causes` is keyed by the two last numbers of the status."""

    sender_name: str
    subjects: dict[Action, str]
    openings: dict[Action, str]
    greeting: str
    about_subject: str
    about_date: str
    answered: str
    answered_here: str
    retries_until: str
    no_need_to_resend: str
    whole_follows: str
    header_follows: str
    queue_id: str
    weekdays: tuple[str, ...]
    months: tuple[str, ...]
    date: str
    causes: dict[str, Cause]
    any_cause: Cause
    temporary_cause: Cause


ENGLISH = Words(
    sender_name="Mail Delivery System",
    subjects={
        Action.FAILED: "Not delivered",
        Action.DELAYED: "Delayed, still trying",
        Action.DELIVERED: "Delivered",
        Action.RELAYED: "Passed on",
        Action.EXPANDED: "Delivered to the group",
    },
    openings={
        Action.FAILED: "Your message could not be delivered to:",
        Action.DELAYED: "Your message has not been delivered yet to:",
        Action.DELIVERED: "Your message was delivered to:",
        Action.RELAYED: (
            "Your message was passed on to a system that does not confirm deliveries. You will hear of it again only "
            "if it cannot be delivered to:"
        ),
        Action.EXPANDED: "Your message was delivered to this group, and goes on to its members:",
    },
    greeting="This is the mail system at {hostname}.",
    about_subject="Subject: {subject}",
    about_date="Sent:    {date}",
    answered="{host} answered:",
    answered_here="This server says:",
    retries_until="We keep trying until {date}, and tell you if we have to give up.",
    no_need_to_resend="You need not do anything, and need not send it again.",
    whole_follows="Your message is attached.",
    header_follows="The header of your message is attached.",
    queue_id="If you ask your administrator, name this number: {queue_id}",
    weekdays=("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
    months=(
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ),
    date="{weekday}, {day} {month_name} {year}, {hour:02d}:{minute:02d} ({zone})",
    causes={
        "1.1": Cause("Nobody has this address.", "Check the spelling, or ask the person for the right address."),
        "1.2": Cause("There is no such domain, or it takes no mail.", "Check what stands after the @."),
        "1.3": Cause("This is not a valid address.", "Check the spelling."),
        "1.6": Cause("The person has moved and left no new address.", "Ask the person for the new address."),
        "1.10": Cause("This domain says that it takes no mail at all.", "Check what stands after the @."),
        "2.1": Cause("The mailbox is closed.", "Reach the person another way."),
        "2.2": Cause("The mailbox is full.", "Try again later, or reach the person another way."),
        "2.3": Cause("The message is too big for this mailbox.", "Send it smaller, or send a link to the files."),
        "3.4": Cause("The message is too big for that server.", "Send it smaller, or send a link to the files."),
        "4.1": Cause("The server of this domain did not answer.", "Try again later."),
        "4.2": Cause("The connection to the server of this domain broke.", "Try again later."),
        "4.3": Cause("It could not be found out which server takes mail of this domain.", "Try again later."),
        "4.4": Cause("No server takes mail of this domain.", "Check what stands after the @."),
        "4.6": Cause("The message went in circles.", "Tell your administrator; a forwarding rule is wrong."),
        "4.7": Cause(
            "It could not be delivered in the time we try.", "Send it again later, or reach the person another way."
        ),
        "6.7": Cause(
            "The server there does not take addresses with characters such as é or 安.",
            "Ask for an address in plain letters.",
        ),
        "6.9": Cause(
            "The server there does not take messages with characters such as é or 安 in their addresses or header.",
            "Send it from an address, and to addresses, in plain letters.",
        ),
        "7.1": Cause(
            "That server refuses the message.", "What it answered may say why; ask the person or your administrator."
        ),
        "7.8": Cause("That server wants somebody to sign in.", "Tell your administrator."),
    },
    any_cause=Cause("It was refused.", "What was answered may say why; ask the person or your administrator."),
    temporary_cause=Cause("It could not be delivered so far.", "Send it again later, or reach the person another way."),
)

CHINESE = Words(
    sender_name="邮件投递系统",
    subjects={
        Action.FAILED: "未能送达",
        Action.DELAYED: "投递延迟，仍在重试",
        Action.DELIVERED: "已送达",
        Action.RELAYED: "已转交",
        Action.EXPANDED: "已送达群组",
    },
    openings={
        Action.FAILED: "您的邮件未能送达以下收件人：",
        Action.DELAYED: "您的邮件尚未送达以下收件人：",
        Action.DELIVERED: "您的邮件已送达以下收件人：",
        Action.RELAYED: "您的邮件已转交给不提供送达确认的系统。除非无法送达，否则不会再有通知。收件人：",
        Action.EXPANDED: "您的邮件已送达以下群组，并将转发给其成员：",
    },
    greeting="这是 {hostname} 的邮件系统。",
    about_subject="主题：{subject}",
    about_date="发送时间：{date}",
    answered="{host} 的答复：",
    answered_here="本服务器说明：",
    retries_until="我们会继续尝试至 {date}；如最终无法投递，将另行通知您。",
    no_need_to_resend="您无需进行任何操作，也不必重新发送。",
    whole_follows="附件是您的原邮件。",
    header_follows="附件是您的原邮件的信头。",
    queue_id="如需咨询管理员，请提供此编号：{queue_id}",
    weekdays=("星期一", "星期二", "星期三", "星期四", "星期五", "星期六", "星期日"),
    months=tuple(str(month) for month in range(1, 13)),
    date="{year}年{month}月{day}日 {weekday} {hour:02d}:{minute:02d}（{zone}）",
    causes={
        "1.1": Cause("该地址不存在。", "请检查拼写，或向对方询问正确的地址。"),
        "1.2": Cause("该域名不存在或不接收邮件。", "请检查 @ 后面的部分。"),
        "1.3": Cause("这不是有效的邮件地址。", "请检查拼写。"),
        "1.6": Cause("收件人已更换地址，且未留下新地址。", "请向对方询问新地址。"),
        "1.10": Cause("该域名声明不接收任何邮件。", "请检查 @ 后面的部分。"),
        "2.1": Cause("该邮箱已停用。", "请通过其他方式联系对方。"),
        "2.2": Cause("对方邮箱已满。", "请稍后重试，或通过其他方式联系对方。"),
        "2.3": Cause("邮件超过了对方邮箱允许的大小。", "请减小邮件，或发送文件链接。"),
        "3.4": Cause("邮件超过了对方服务器允许的大小。", "请减小邮件，或发送文件链接。"),
        "4.1": Cause("对方服务器没有应答。", "请稍后重试。"),
        "4.2": Cause("与对方服务器的连接中断。", "请稍后重试。"),
        "4.3": Cause("无法查明该域名的收信服务器。", "请稍后重试。"),
        "4.4": Cause("该域名没有收信服务器。", "请检查 @ 后面的部分。"),
        "4.6": Cause("邮件陷入循环转发。", "请告知您的管理员：某条转发规则有误。"),
        "4.7": Cause("在规定的重试时间内未能投递。", "请稍后重新发送，或通过其他方式联系对方。"),
        "6.7": Cause("对方服务器不支持含 é、安 等字符的地址。", "请向对方询问只含英文字母的地址。"),
        "6.9": Cause("对方服务器不支持地址或信头中含 é、安 等字符的邮件。", "请使用只含英文字母的地址收发。"),
        "7.1": Cause("对方服务器拒收此邮件。", "答复中可能说明了原因；请询问对方或您的管理员。"),
        "7.8": Cause("对方服务器要求登录。", "请告知您的管理员。"),
    },
    any_cause=Cause("邮件被拒收。", "答复中可能说明了原因；请询问对方或您的管理员。"),
    temporary_cause=Cause("邮件至今未能投递。", "请稍后重新发送，或通过其他方式联系对方。"),
)  # fmt: skip

_SAME_AS = {"1.0": "1.1", "1.4": "1.3", "2.4": "1.1", "3.1": "2.2", "7.0": "7.1"}


def words_for(language: str) -> Words:
    return CHINESE if language.lower().partition("-")[0] == "zh" else ENGLISH


def cause_of(words: Words, status: str) -> Cause:
    """What a status means to a person; an unknown one only tells whether it may be over by itself."""
    kind, _, detail = status.partition(".")
    known = words.causes.get(_SAME_AS.get(detail, detail))
    if known is not None:
        return known
    if detail.startswith("7."):
        return words.causes["7.1"]
    return words.temporary_cause if kind == "4" else words.any_cause


def format_moment(words: Words, at: datetime) -> str:
    """An aware time, in its own zone, as a person writes it."""
    offset = at.strftime("%z")
    zone = f"UTC{offset[:3]}:{offset[3:5]}" if at.utcoffset() else "UTC"
    return words.date.format(
        weekday=words.weekdays[at.weekday()],
        day=at.day,
        month=at.month,
        month_name=words.months[at.month - 1],
        year=at.year,
        hour=at.hour,
        minute=at.minute,
        zone=zone,
    )
