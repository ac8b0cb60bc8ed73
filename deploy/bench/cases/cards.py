"""Business cards: a list from its bytes to activities, beside the csv module that only cuts it into cells."""

import csv
import io
import time
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime

from deploy.bench.measuring import Line, compare
from services.ingest.cards.listing import Listing, read_layout
from services.ingest.cards.options import CardOptions
from shared.errors import KizashiError

COUNT = 20_000
ENCODING = "cp932"
HEADER = (
    "会社名,部署名,役職,姓,名,e-mail,郵便番号,住所,TEL会社,TEL部門,TEL直通,Fax,携帯電話,URL,名刺交換日,"
    "Eightでつながっている人"
)
_NOW = datetime(2026, 11, 26, tzinfo=UTC)
_LAST = "佐藤 鈴木 高橋 田中 伊藤 渡辺 山本 中村 小林 加藤 吉田 山田".split()
_FIRST = "太郎 花子 一郎 健 直樹 美咲 大輔 翔太 由美 誠".split()
_TITLES = ("課長", "部長", "主任", "", "係長")
_MAX_ACTIVITY_BYTES = 65_536


def people(count: int) -> Iterator[list[str]]:
    """Cells of made-up cards as Eight exports them: all fields, everyone another address and other phones."""
    for number in range(count):
        company, tail = number % 3_000, f"{number % 10_000:04}"
        yield [
            f"株式会社サンプル{company}",
            "製造部 第一課",
            _TITLES[number % len(_TITLES)],
            _LAST[number % len(_LAST)],
            _FIRST[number % len(_FIRST)],
            f"lead-{number}@example{company}.co.jp",
            f"{100 + company % 800}-{company:04}",
            f"東京都千代田区丸の内{company % 9 + 1}-{number % 30 + 1}-{number % 7 + 1}",
            f"03-{1_000 + company}-{tail}",
            "",
            f"03-{2_000 + company}-{tail}",
            f"03-{1_000 + company}-9999",
            f"090-{number // 10_000 % 10_000:04}-{tail}",
            f"https://www.example{company}.co.jp/",
            f"2026/{number % 10 + 1:02}/{number % 28 + 1:02}",
            "1" if number % 3 == 0 else "",
        ]


def card_list(count: int) -> bytes:
    """Such cards as a file in CP932."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(HEADER.split(","))
    writer.writerows(people(count))
    return text.getvalue().encode(ENCODING)


async def measure() -> AsyncIterator[Line]:
    """import_cards."""
    data = card_list(COUNT)

    async def cards() -> float:
        started = time.perf_counter()
        file, options = io.BytesIO(data), CardOptions()
        listing = Listing(file, read_layout(file, options), options, now=_NOW, max_activity_bytes=_MAX_ACTIVITY_BYTES)
        for _ in listing.outcomes():
            pass
        if listing.summary.accepted != COUNT:
            raise KizashiError(f"{listing.summary.accepted} of {COUNT} cards were understood")
        return COUNT / (time.perf_counter() - started)

    async def csv_alone() -> float:
        started = time.perf_counter()
        for _ in csv.reader(io.TextIOWrapper(io.BytesIO(data), ENCODING, newline="")):
            pass
        return COUNT / (time.perf_counter() - started)

    yield await compare("import_cards", "records/s", cards, limit=csv_alone)
