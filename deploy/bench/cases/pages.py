"""What pages send: a form as a browser encodes it, and a page view of the tag."""

from collections.abc import Iterator
from urllib.parse import urlencode

import orjson

ORIGIN = "https://www.example.co.jp"
WRITE_KEY = "wk_of_the_bench"
PATHS = {"form": "/v1/forms/bench", "collect": "/v1/collect"}
"""Both stand in config/sources.yaml."""
HEADERS = (
    f"Origin: {ORIGIN}",
    "Accept: application/json",
    "Sec-Fetch-Mode: cors",
    "User-Agent: Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/142.0.0.0 Safari/537.36",
)


def requests(name: str, count: int) -> Iterator[tuple[bytes, str]]:
    """Bodies, each with its media type."""
    for number in range(count):
        if name == "form":
            yield urlencode(_form(number)).encode(), "application/x-www-form-urlencoded"
        else:
            yield orjson.dumps(_page_view(number)), "text/plain;charset=UTF-8"


def _form(number: int) -> dict[str, str]:
    return {
        "お名前": "山田 太郎",
        "会社名": "株式会社サンプル",
        "メールアドレス": f"lead-{number % 2_000}@example.co.jp",
        "ご相談内容": "製造業向けの資料と価格を教えてください。",
        "kizashi_id": f"browser-{number % 2_000}",
        "kizashi_submission": f"submission-{number}",
        "kizashi_started": "1795000000000",
        "kizashi_website": "",
    }


def _page_view(number: int) -> dict[str, object]:
    url = f"{ORIGIN}/articles/{number % 40}?utm_campaign=autumn"
    seen = {
        "type": "page_viewed",
        "id": f"6f1c2a1e-0000-4000-8000-{number:012d}",
        "properties": {"url": url, "title": "製造業のための在庫管理", "referrer": f"{ORIGIN}/"},
    }
    return {"write_key": WRITE_KEY, "anonymous_id": f"browser-{number % 2_000}", "activities": [seen]}
