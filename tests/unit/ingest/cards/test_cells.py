"""Dates, phones, addresses, names and companies as cards have them."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.cards.dates import read_date
from services.ingest.cards.emails import Addresses, read_addresses
from services.ingest.cards.names import clean_company, clean_name
from services.ingest.cards.phones import read_phones
from shared.companies import fold_company
from shared.identity import normalise_phone

TOKYO = ZoneInfo("Asia/Tokyo")
DAY = datetime(2024, 5, 26, 15, tzinfo=UTC)


def told(text: str) -> tuple[datetime, str | None] | None:
    """The instant and what was guessed."""
    moment = read_date(text, TOKYO)
    return moment and moment[:2]


@pytest.mark.parametrize(
    "text",
    [
        "2024/05/27", "2024/5/27", "2024-05-27", "2024.5.27", "20240527", "2024年5月27日", "2024年05月27日(月)",
        "令和6年5月27日", "令和６年５月２７日".translate({0xFF16: "6", 0xFF15: "5", 0xFF12: "2", 0xFF17: "7"}),
        "令6.5.27", "R6.5.27", "R6/5/27", "r06-05-27", "R060527", "2024/05/27 00:00", "2024/5/27 0:00:00",
        "2024年5月27日 午前0時00分", "May 27, 2024", "27 May 2024", "27-May-2024", "May 27th 2024",
        "2024-05-27T00:00:00+09:00",
        "2024-05-26T15:00:00Z", "27/5/2024", "27.5.2024", "2024/05/27 JST", "27-May-2024 0:00",
    ],
)  # fmt: skip
def test_dates_that_say_it_all(text: str) -> None:
    assert told(text) == (DAY, None)


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("令和元年5月1日", "2019-05-01"),
        ("平成31年4月30日", "2019-04-30"),
        ("H28.5.27", "2016-05-27"),
        ("昭和64年1月7日", "1989-01-07"),
        ("2024/05/27 14:05:33", "2024-05-27T14:05:33"),
        ("2024/05/27 午後2:05", "2024-05-27T14:05"),
        ("2024年5月27日14時05分", "2024-05-27T14:05"),
    ],
)
def test_eras_and_times(text: str, day: str) -> None:
    moment = read_date(text, TOKYO)
    assert moment is not None
    assert moment.at == datetime.fromisoformat(day).replace(tzinfo=TOKYO)


@pytest.mark.parametrize(
    ("text", "guessed"),
    [
        ("24/5/27", "century"),
        ("'24.5.27", "century"),
        ("27-May-24", "century"),
        ("27 May '24", "century"),
        ("45439", "day_number"),
        ("5/27/2024", None),
    ],
)
def test_what_is_guessed_is_said(text: str, guessed: str | None) -> None:
    assert told(text) == (DAY, guessed)


def test_a_month_alone_and_a_date_that_can_be_read_in_two_ways() -> None:
    assert told("2024年5月") == (datetime(2024, 4, 30, 15, tzinfo=UTC), "day")
    assert told("5/6/2024") == (datetime(2024, 5, 5, 15, tzinfo=UTC), "month_first")


@pytest.mark.parametrize(
    "text", ["", "昨日", "2024/02/30", "2024/13/01", "99999", "令和6年", "2024/5/27 25:00", "9" * 100]
)
def test_no_dates(text: str) -> None:
    assert read_date(text, TOKYO) is None


@given(st.datetimes(datetime(1971, 1, 1), datetime(2098, 1, 1)).map(lambda at: at.replace(microsecond=0)))  # noqa: DTZ001
def test_every_day_is_read_in_every_form(at: datetime) -> None:
    day = datetime(at.year, at.month, at.day, tzinfo=TOKYO)
    for form in ("%Y/%m/%d", "%Y-%m-%d", "%Y年%m月%d日", "%Y%m%d", "%d %b %Y", "%B %d, %Y"):
        assert told(at.strftime(form)) == (day.astimezone(UTC), None)
    if at.year >= 2020:
        assert told(f"令和{at.year - 2018}年{at.month}月{at.day}日") == (day.astimezone(UTC), None)
    moment = read_date(at.strftime("%Y/%m/%d %H:%M:%S"), TOKYO)
    assert moment is not None
    assert moment.at == at.replace(tzinfo=TOKYO)


@pytest.mark.parametrize(
    ("text", "e164", "extension"),
    [
        ("03-1234-5678", "+81312345678", None),
        ("03(1234)5678", "+81312345678", None),
        ("(03) 1234-5678", "+81312345678", None),
        ("+81-3-1234-5678", "+81312345678", None),
        ("+81(0)3-1234-5678", "+81312345678", None),
        ("03-1234-5678(内線123)", "+81312345678", "123"),
        ("03-1234-5678 内線:123", "+81312345678", "123"),
        ("03-1234-5678、内線123", "+81312345678", "123"),
        ("03-1234-5678 ext. 45", "+81312345678", "45"),
        ("03-1234-5678 x45", "+81312345678", "45"),
        ("03-1234-5678 #12", "+81312345678", "12"),
        ("03-1234-5678(#12)", "+81312345678", "12"),
        ("09012345678(私用)", "+819012345678", None),
        ("090-1234-5678 (会社)", "+819012345678", None),
        ("TEL:03-1234-5678", "+81312345678", None),
        ("03-1234-5678(代)", "+81312345678", None),
        ("090-1234-5678", "+819012345678", None),
        ("09012345678", "+819012345678", None),
        ("0120-123-456", "+81120123456", None),
        ("+1 650-253-0000", "+16502530000", None),
    ],
)
def test_phones(text: str, e164: str, extension: str | None) -> None:
    ((number,), rest) = read_phones(text, "JP")
    assert (number.e164, number.extension, rest) == (e164, extension, ())
    assert number.identifies == (e164 == "+819012345678")


def test_several_phones_and_other_text() -> None:
    numbers, rest = read_phones("03-1234-5678 / 090-1234-5678 内線 7; なし", "JP")
    assert [(number.e164, number.extension) for number in numbers] == [("+81312345678", None), ("+819012345678", "7")]
    assert not numbers[1].identifies
    assert rest == ("なし",)


@given(st.from_regex(r"(\+81|0|)[0-9]{8,10}", fullmatch=True), st.lists(st.integers(3, 9), max_size=3))
def test_a_number_reads_as_the_library_reads_it(digits: str, hyphens: list[int]) -> None:
    text = "".join(f"-{sign}" if place in hyphens else sign for place, sign in enumerate(digits))
    numbers, _ = read_phones(text, "JP")
    try:
        expected = normalise_phone(text)
    except ValueError:
        assert numbers == ()
    else:
        assert [(number.e164, number.identifies) for number in numbers] == [expected]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("taro@example.co.jp", Addresses(("taro@example.co.jp",))),
        ("Taro.Yamada@Example.CO.JP", Addresses(("taro.yamada@example.co.jp",))),
        ("mailto:taro@example.co.jp", Addresses(("taro@example.co.jp",))),
        ("山田 太郎 <taro@example.co.jp>", Addresses(("taro@example.co.jp",), beside=("山田", "太郎"))),
        ("a@example.jp; b@example.jp", Addresses(("a@example.jp", "b@example.jp"))),
        ("a@example.jp\na@example.jp、b@example.jp", Addresses(("a@example.jp", "b@example.jp"))),
        ("info@example.jp/taro@example.jp", Addresses(("taro@example.jp",), ("info@example.jp",))),
        ("ta?o@example.co.jp", Addresses((), (), ("ta?o@example.co.jp",))),
        ("ta*o@example.co.jp", Addresses((), (), ("ta*o@example.co.jp",))),
        ("なし", Addresses((), (), (), ("なし",))),
        ("taro@", Addresses((), (), (), ("taro@",))),
        ("ta..ro.@docomo.ne.jp", Addresses(("ta..ro.@docomo.ne.jp",))),
    ],
)
def test_addresses(text: str, found: Addresses) -> None:
    assert read_addresses(text) == found


@pytest.mark.parametrize(
    ("text", "name", "titled"),
    [
        ("山田 太郎 様", "山田 太郎", True),
        ("山田太郎様", "山田太郎", True),
        ("山田 太郎 さん", "山田 太郎", True),
        ("佐藤先生", "佐藤", True),
        ("Dr. John Smith", "John Smith", True),
        ("Mr.John Smith", "Mr.John Smith", False),
        ("鵜殿", "鵜殿", False),
        ("山田  太郎", "山田 太郎", False),
        ("様", "様", False),
    ],
)
def test_names(text: str, name: str, titled: bool) -> None:
    assert clean_name(text) == (name, titled)


@pytest.mark.parametrize(
    ("text", "company"),
    [
        ("(株)サンプル", "株式会社サンプル"),
        ("サンプル(株)", "サンプル株式会社"),
        ("サンプル ( 有 )", "サンプル有限会社"),
        ("(一社)サンプル協会", "一般社団法人サンプル協会"),
        ("株式会社サンプル 御中", "株式会社サンプル"),
        ("カ)サンプル", "株式会社サンプル"),
        ("Sample, Inc.", "Sample, Inc."),
        ("サンプル(東京)", "サンプル(東京)"),
    ],
)
def test_companies(text: str, company: str) -> None:
    assert clean_company(text)[0] == company


def test_one_company_in_many_writings() -> None:
    writings = ["㈱サンプル", "株式会社サンプル", "サンプル株式会社", "ｻﾝﾌﾟﾙ（株）", "株式会社 サンプル"]
    assert {fold_company(text) for text in writings} == {"サンプル"}
    assert fold_company("Sample Co., Ltd.") == fold_company("SAMPLE CO.,LTD") == "sample"
    assert fold_company("株式会社") == "株式会社"


@given(st.text(max_size=80))
def test_any_text_is_read_without_a_fault(text: str) -> None:
    read_date(text, TOKYO)
    read_phones(text, "JP")
    read_addresses(text)
    fold_company(text)
    assert clean_name(text)[0] == clean_name(text)[0].strip()


def test_times_are_of_the_given_zone() -> None:
    moment = read_date("2024/05/27", ZoneInfo("UTC"))
    assert moment is not None
    assert moment.at - DAY == timedelta(hours=9)
