"""Options as form fields: what is taken, and that every fault is named."""

import io
from datetime import UTC, datetime

import pytest

from deploy.cli.importing import in_own_names, offline, told_faults
from services.ingest.cards.options import NAMES, CardOptions, OptionFaults, read_options
from shared.errors import KizashiError


def test_nothing_given_gives_the_defaults() -> None:
    assert read_options({}, region="JP") == CardOptions()


def test_everything_given() -> None:
    options = read_options(
        {
            "source": "autumn-expo",
            "activity": "exhibition_visited",
            "event": "秋の展示会",
            "occurred_at": "2026/11/20",
            "consent": "email, phone",
            "consent_at": "令和8年11月20日",
            "consent_text": "メール配信に同意します",
            "timezone": "Asia/Tokyo",
            "encoding": "Shift_JIS",
            "delimiter": "tab",
            "columns": '{"得意先": "company"}',
            "dry_run": "true",
            "silent": "1",
            "report_encoding": "Shift_JIS",
            "language": "ja",
        },
        region="JP",
    )
    at = "2026-11-19T15:00:00.000000Z"
    assert options == CardOptions(
        source="autumn-expo",
        activity="exhibition_visited",
        event="秋の展示会",
        occurred_at=datetime(2026, 11, 19, 15, tzinfo=UTC),
        consent={"email": True, "phone": True, "at": at, "source": "autumn-expo", "text": "メール配信に同意します"},
        encoding="cp932",
        delimiter="\t",
        columns={"得意先": "company"},
        dry_run=True,
        silent=True,
        report_encoding="cp932",
        language="ja",
    )


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("evnet", "x"),
        ("source", "x" * 129),
        ("event", "a\x00b"),
        ("activity", "Card Exchanged"),
        ("occurred_at", "yesterday"),
        ("occurred_at", "1960-01-01"),
        ("consent", "fax"),
        ("consent_at", "2026-01-01"),
        ("timezone", "Tokyo"),
        ("timezone", "../../etc/passwd"),
        ("timezone", "Asia"),
        ("timezone", "\udcff"),
        ("encoding", "latin-1"),
        ("delimiter", "|"),
        ("columns", "[]"),
        ("columns", '{"a": "b"}'),
        ("columns", '{"a": 1}'),
        ("columns", "{"),
        ("dry_run", "perhaps"),
        ("report_encoding", "utf-16"),
        ("language", "fr"),
    ],
)
def test_faults_are_named(name: str, text: str) -> None:
    with pytest.raises(OptionFaults) as caught:
        read_options({name: text}, region="JP")
    where = {fault.pointer for fault in caught.value.faults}
    assert where <= {f"/{name}", "/consent"}


def test_a_field_that_is_none_is_named_with_those_that_are() -> None:
    with pytest.raises(OptionFaults, match=r"no such field: nofield \(of 氏名\); fields are address, .*company"):
        read_options({"columns": '{"氏名": "nofield", "会社": "company"}'}, region="JP")


def test_every_option_is_described() -> None:
    for name in NAMES:
        with pytest.raises(OptionFaults) as caught:
            read_options({name: "?", "nonsense": "x"}, region="JP")
        assert "/nonsense" in {fault.pointer for fault in caught.value.faults}
        assert FIRST not in {fault.detail for fault in caught.value.faults if fault.pointer == f"/{name}"}


FIRST = "unknown field"


@pytest.mark.parametrize(
    ("data", "given", "told"),
    [
        ("nothing,known\n", {}, "--column tells what names of your own are, --from-encoding how the file is written"),
        (None, {"columns": '{"氏名": "nofield"}'}, "--column: no such field: nofield (of 氏名); fields are address"),
        (None, {"encoding": "latin-1"}, "--from-encoding: expected one of utf-8"),
        (None, {"report_encoding": "utf-16"}, "--encoding: expected one of cp932"),
        (None, {"consent_at": "2026-01-01"}, "with --consent-at and --consent-text"),
    ],
)
def test_the_command_names_its_own_options(data: str | None, given: dict[str, str], told: str) -> None:
    if data is not None:
        with pytest.raises(KizashiError) as refused:
            list(offline(io.BytesIO(data.encode()), CardOptions(), lambda *_: None))
        assert told in str(refused.value)
        return
    with pytest.raises(OptionFaults) as caught:
        read_options(given, region="JP")
    assert told in told_faults(caught.value)


def test_other_words_in_quotes_stay_as_they_are() -> None:
    assert in_own_names("`unread` and `occurred_at`") == "`unread` and --occurred-at"
