"""Fictitious companies and the people in them. Every address lies under a domain that is reserved for examples."""

from dataclasses import dataclass
from typing import Literal

from deploy.demo.dice import Dice

Kind = Literal["email", "mailbox", "external", "phone", "browser"]
Interest = Literal["hot", "warm", "cold"]

_FRONT = """
    青葉:aoba 朝日野:asahino 東雲:shinonome 緑川:midorikawa 白樺:shirakaba 大和台:yamatodai 富士見:fujimi
    若葉:wakaba 三ツ星:mitsuboshi 北斗:hokuto 港南:konan 千早:chihaya 常盤:tokiwa 桜木:sakuragi
    みなと:minato 雲雀:hibari 琥珀:kohaku 銀河:ginga 花園:hanazono 城東:joto 清流:seiryu 八千代:yachiyo
    高砂:takasago 暁:akatsuki 瑞穂野:mizuhono
""".split()
_BACK = "製作所:works 精機:seiki 工業:kogyo 建設:kensetsu 物流:butsuryu 商事:shoji システム:system 化成:kasei".split()
_FOREIGN = """
    Northwind_Harbor Blue_Heron Granite_Peak Silver_Birch Maple_Bridge Red_Lantern Copper_Field
    Bright_Meadow Stone_Arch Clear_Brook
""".split()
_FOREIGN_BACK = ("Manufacturing", "Logistics", "Software")
_FAMILY = """
    佐藤:sato 鈴木:suzuki 高橋:takahashi 田中:tanaka 伊藤:ito 渡辺:watanabe 山本:yamamoto 中村:nakamura
    小林:kobayashi 加藤:kato 吉田:yoshida 山田:yamada 佐々木:sasaki 山口:yamaguchi 松本:matsumoto
    井上:inoue 木村:kimura 林:hayashi 斎藤:saito 清水:shimizu 髙島:takashima 森:mori 池田:ikeda
    橋本:hashimoto
""".split()
_GIVEN = """
    太郎:taro 花子:hanako 健一:kenichi 美咲:misaki 翔太:shota 由美:yumi 大輔:daisuke 恵子:keiko
    直樹:naoki 香織:kaori 拓也:takuya 真由美:mayumi 和也:kazuya 陽子:yoko 誠:makoto 愛:ai さくら:sakura
    悠斗:yuto
""".split()
_FOREIGN_NAMES = """
    Emma_Clarke Liam_O'Connor Sofia_Rossi Noah_Müller Chloé_Dubois Mateo_García Anna_Nowak Oliver_Smith
    Priya_Sharma Wei_Zhang Minjun_Kim Lucas_Silva Freya_Hansen Nguyễn_Thị_Lan
""".split()

# Titles and industries with the points that the shipped model gives them at most.
_TITLES = (
    ("製造部 課長", 10), ("情報システム部 課長", 10), ("購買部 次長", 10), ("営業部 部長", 15), ("代表取締役社長", 15),
    ("主任", 0), ("担当", 0), ("係長", 0), ("経営企画室", 0), ("", 0), ("総務部", 0), ("技術部 リーダー", 0),
)  # fmt: skip
_FOREIGN_TITLES = (
    ("Section Manager", 10), ("Director of Operations", 15), ("Head of Purchasing", 15), ("Engineer", 0), ("Buyer", 0),
    ("", 0),
)  # fmt: skip
_INDUSTRY_OF = {
    "製作所": ("製造業", 10), "精機": ("製造業", 10), "工業": ("製造業", 10),
    "建設": ("建設業", 10), "物流": ("物流業", 10),
    "商事": ("卸売業", 0), "システム": ("情報通信業", 0), "化成": ("化学", 0),
    "Manufacturing": ("Manufacturing", 10), "Logistics": ("Logistics", 10), "Software": ("Software", 0),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Company:
    """A company: its name, the domain of its addresses, its industry and the points for that."""

    name: str
    domain: str
    industry: str
    industry_points: int
    foreign: bool


@dataclass(frozen=True, slots=True)
class Person:
    """One lead-to-be. `kind` is the strongest thing we will ever know it by; `fit` the most its attributes can earn."""

    number: int
    kind: Kind
    interest: Interest
    name: str
    title: str
    company: Company
    email: str
    phone: str | None
    external: str | None
    browser: str | None
    fit: int

    @property
    def attributes(self) -> dict[str, str]:
        """What the person writes into a form."""
        said = {"name": self.name, "company": self.company.name, "job_title": self.title}
        return {**{key: value for key, value in said.items() if value}, "industry": self.company.industry}


def make_companies(count: int) -> list[Company]:
    """`count` different companies, every sixth of them foreign."""
    return [_foreign_company(number // 6) if number % 6 == 5 else _company(number) for number in range(count)]


def _company(number: int) -> Company:
    front, romaji = _FRONT[number % len(_FRONT)].split(":")
    back, back_romaji = _BACK[number // len(_FRONT) % len(_BACK)].split(":")
    again = number // (len(_FRONT) * len(_BACK))
    name = f"株式会社{front}{back}" if number % 2 else f"{front}{back}株式会社"
    industry, points = _INDUSTRY_OF[back]
    domain = f"{romaji}-{back_romaji}{again or ''}.example.co.jp"
    return Company(f"{name}{again or ''}", domain, industry, points, foreign=False)


def _foreign_company(number: int) -> Company:
    front = _FOREIGN[number % len(_FOREIGN)].replace("_", " ")
    back = _FOREIGN_BACK[number // len(_FOREIGN) % len(_FOREIGN_BACK)]
    again = number // (len(_FOREIGN) * len(_FOREIGN_BACK)) + 1
    ending = ("com", "net", "org")[number % 3]
    industry, points = _INDUSTRY_OF[back]
    slug = f"{front} {back}".lower().replace(" ", "-")
    suffix = "" if again == 1 else str(again)
    return Company(f"{front} {back} Inc.{suffix}", f"{slug}{suffix}.example.{ending}", industry, points, foreign=True)


def make_people(dice: Dice, companies: list[Company], count: int) -> list[Person]:
    """`count` people, spread evenly over the companies, no two with the same address."""
    taken: set[str] = set()
    people = []
    for number in range(count):
        person = _person(dice, companies[number * len(companies) // count], number, taken)
        taken.add(person.email)
        people.append(person)
    return people


def _person(dice: Dice, company: Company, number: int, taken: set[str]) -> Person:
    name, local = _name(dice, company)
    title, points = dice.pick(_FOREIGN_TITLES if company.foreign else _TITLES)
    email = f"{local}@{company.domain}"
    if email in taken:
        email = f"{local}.{number}@{company.domain}"
    kind = _kind(number)
    if kind == "mailbox":
        # Several people read one mailbox; only their names tell them apart.
        name, email = f"{name} {number}" if company.foreign else f"{name}（{number}）", f"info@{company.domain}"
    return Person(
        number=number,
        kind=kind,
        interest=_interest(number),
        name=name,
        title=title,
        company=company,
        email=email,
        # 0000 is a block that no carrier was given.
        phone=f"090-0000-{number:04d}" if kind == "phone" or number % 3 == 0 else None,
        external=f"{138_000 + number}" if kind == "external" or number % 4 == 0 else None,
        browser=f"b-{number:05d}" if kind == "browser" or number % 5 < 3 else None,
        fit=points + company.industry_points,
    )


def _name(dice: Dice, company: Company) -> tuple[str, str]:
    if company.foreign or dice.happens(3):
        name = dice.pick(_FOREIGN_NAMES).replace("_", " ")
        plain = "".join(sign for sign in name.lower() if sign.isascii() and (sign.isalpha() or sign == " "))
        return name, plain.replace(" ", ".")
    family, given = dice.pick(_FAMILY).split(":"), dice.pick(_GIVEN).split(":")
    return f"{family[0]} {given[0]}", f"{given[1]}.{family[1]}"


def _kind(number: int) -> Kind:
    rare: dict[int, Kind] = {7: "mailbox", 23: "external", 33: "phone", 43: "browser"}
    of_hot: dict[int, Kind] = {40: "mailbox", 240: "external"}
    return rare.get(number % 50) or of_hot.get(number % 400) or "email"


def _interest(number: int) -> Interest:
    return "hot" if number % 20 == 0 else "warm" if number % 20 < 6 else "cold"
