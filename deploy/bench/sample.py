"""Activities to measure with: plain, the same in every run, as many of them and of as many leads as asked for."""

from collections.abc import Iterator
from typing import Any

KINDS = ("page_viewed", "page_viewed", "page_viewed", "page_viewed", "email_clicked", "document_downloaded")
PAGES = ("/", "/product", "/pricing", "/cases", "/company")
PEOPLE = 5
"""Leads of one company."""


def activities(count: int, leads: int) -> Iterator[dict[str, Any]]:
    """`count` activities as posted, spread evenly over `leads`, a minute apart from 2026-11-02 on."""
    return (activity(number, number % leads) for number in range(count))


def email_of(lead: int) -> str:
    """The address of a lead, one of a company's few."""
    return f"lead-{lead}@company-{lead // PEOPLE}.example.co.jp"


def activity(number: int, lead: int, kind: str | None = None) -> dict[str, Any]:
    """One activity of about 400 bytes; `number` makes its id."""
    kind = kind or KINDS[number * 7 % len(KINDS)]
    day, minute = divmod(number // 60, 1440)
    properties: dict[str, Any] = {
        "url": f"https://www.example.co.jp{PAGES[number % len(PAGES)]}",
        "campaign": "autumn-expo",
        "document": f"document-{number % 11}",
        "link": f"link-{number % 5}",
    }
    return {
        "id": f"bench-{number}",
        "source": "bench",
        "type": kind,
        "occurred_at": f"2026-11-{2 + day % 20:02d}T{minute // 60:02d}:{minute % 60:02d}:{number % 60:02d}Z",
        "lead": {"email": email_of(lead)},
        "attributes": {"company": "株式会社サンプル", "job_title": "製造部 課長" if lead % 3 == 0 else "担当"},
        "properties": properties,
    }
