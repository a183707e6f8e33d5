"""The people of the demo tenant, a small maker of water sensors, and those who write to them."""

from dataclasses import dataclass

DOMAIN = "demo.test"
COMPANY_ENGLISH = "Demao Instruments"
COMPANY_CHINESE = "德茂仪器"


@dataclass(frozen=True, slots=True)
class Person:
    """`zone_h` is the offset from UTC in which the person writes, `signature` what closes the mail."""

    name: str
    address: str
    language: str
    zone_h: int
    signature: str

    @property
    def is_ours(self) -> bool:
        return self.address.endswith("@" + DOMAIN)


def _ours(name: str, local_part: str, language: str, zone_h: int, title: str) -> Person:
    company = COMPANY_CHINESE if language == "zh" else COMPANY_ENGLISH
    return Person(name, f"{local_part}@{DOMAIN}", language, zone_h, f"{name}\n{title}\n{company}")


PEOPLE = {
    "admin": _ours("Waypost 管理员", "admin", "zh", 8, "系统管理"),
    "lin": _ours("林伟 Lin Wei", "lin.wei", "zh", 8, "销售 Sales"),
    "chen": _ours("陈雨 Chen Yu", "chen.yu", "zh", 8, "研发 Engineering"),
    "zhang": _ours("张敏 Zhang Min", "zhang.min", "zh", 8, "财务与人事 Finance and HR"),
    "anna": _ours("Anna Keller", "anna.keller", "en", 1, "Purchasing and Logistics"),
    "david": _ours("David Moore", "david.moore", "en", 1, "Customer Support"),
}
ADMINISTRATOR = "admin"

OUTSIDE = {
    "northlake": Person(
        "Ruth Alvarez", "ruth.alvarez@northlake.example", "en", -5, "Ruth Alvarez\nNorthlake Water Board"
    ),
    "tideway": Person("Tom Birch", "t.birch@tideway.example", "en", 0, "Tom Birch\nTideway Aquaculture Ltd"),
    "seebach": Person("Jürgen Groß", "gross@seebach.example", "en", 1, "Jürgen Groß\nStadtwerke Seebach"),
    "huarui": Person("赵磊", "zhaolei@huarui.example", "zh", 8, "赵磊\n华瑞水务 采购部"),
    "qinghe": Person("孙倩", "sunqian@qinghe.example", "zh", 8, "孙倩\n清河环保科技"),
    "nanhu": Person("周凯", "zhoukai@nanhu.example", "zh", 8, "周凯\n南湖渔业合作社"),
    "castings": Person("Marta Nowak", "orders@castings.example", "en", 1, "Marta Nowak\nCastings & Seals"),
    "optics": Person("Kenji Mori", "mori@optics.example", "en", 9, "Kenji Mori\nMori Optics"),
    "boards": Person("吴婷", "wuting@boards.example", "zh", 8, "吴婷\n联创电路"),
    "builds": Person("Build server", "builds@ci.demao.example", "en", 0, "This message was sent by the build server."),
    "stations": Person("Station monitor", "noreply@stations.demao.example", "en", 0, "Sent by the station monitor."),
    "gazette": Person("Water Gazette", "news@gazette.example", "en", 0, "You receive this because you subscribed."),
    "prize": Person("Award Department", "award@lucky-draw.example", "en", 3, "Award Department"),
    "invoice": Person("发票代办", "kefu@piao.example", "zh", 8, "专业代理 诚信经营"),
}


def person(key: str) -> Person:
    return PEOPLE.get(key) or OUTSIDE[key]
