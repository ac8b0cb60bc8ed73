import base64
from typing import Any

import orjson
import pytest
from cloudevents.core.bindings.http import to_binary, to_structured
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.cloudevents import is_binary, unwrap_binary, unwrap_structured
from shared.errors import FieldFault, ProblemError
from shared.posted import ActivityFaults

DATA = {"type": "page_viewed", "lead": {"email": "taro@example.com"}}
EVENT = {"specversion": "1.0", "id": "e-1", "source": "/web", "type": "lead.activity.v1", "data": DATA}
HEADERS = {b"ce-specversion": b"1.0", b"ce-id": b"e-1", b"ce-source": b"/web", b"ce-type": b"lead.activity.v1"}


def pointers(event: Any, prefix: str = "") -> list[str]:
    with pytest.raises(ActivityFaults) as caught:
        unwrap_structured(event, prefix)
    return [fault.pointer for fault in caught.value.faults]


def test_attributes_fill_what_the_activity_leaves_open() -> None:
    time = "2026-11-20T10:15:00+09:00"
    raw = unwrap_structured({**EVENT, "time": time}).raw
    assert raw == {**DATA, "id": "e-1", "source": "/web", "occurred_at": time}
    said = {**DATA, "id": "mine", "source": None, "occurred_at": "2026-01-01T00:00:00Z"}
    raw = unwrap_structured({**EVENT, "time": time, "data": said}).raw
    assert (raw["id"], raw["source"], raw["occurred_at"]) == ("mine", "/web", "2026-01-01T00:00:00Z")


def test_faults_point_to_what_the_sender_wrote() -> None:
    wrapped = unwrap_structured({**EVENT, "time": "never"}, "/3")
    assert wrapped.locate(FieldFault("/occurred_at", "x")).pointer == "/3/time"
    assert wrapped.locate(FieldFault("/lead/email", "x")).pointer == "/3/data/lead/email"
    binary = unwrap_binary(HEADERS, DATA)
    assert binary.locate(FieldFault("/source", "x")).pointer == "/headers/ce-source"
    assert binary.locate(FieldFault("/type", "x")).pointer == "/type"


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"specversion": "0.3"}, "/specversion"),
        ({"type": "lead.activity.v2"}, "/type"),
        ({"type": None}, "/type"),
        ({"id": ""}, "/id"),
        ({"id": 7}, "/id"),
        ({"source": None}, "/source"),
        ({"data": [DATA]}, "/data"),
        ({"data": None}, "/data"),
        ({"datacontenttype": "text/xml"}, "/datacontenttype"),
        ({"datacontenttype": 7}, "/datacontenttype"),
    ],
)
def test_an_event_that_is_none_of_ours_is_refused(change: dict[str, Any], pointer: str) -> None:
    assert pointers({**EVENT, **change}) == [pointer]
    assert pointers({**EVENT, **change}, "/7") == [f"/7{pointer}"]


def test_several_faults_are_named_together() -> None:
    assert pointers({}) == ["/specversion", "/type", "/id", "/source", "/data"]
    assert pointers([], "/0") == ["/0"]


def test_data_may_be_base64() -> None:
    event = {name: value for name, value in EVENT.items() if name != "data"}
    encoded = "eyJ0eXBlIjogInBhZ2Vfdmlld2VkIn0="
    assert unwrap_structured({**event, "data_base64": encoded}).raw["type"] == "page_viewed"
    for wrong in ("%%%", 7, "e30"):
        assert pointers({**event, "data_base64": wrong}) == ["/data_base64"]


@pytest.mark.parametrize(
    ("sent", "text"),
    [
        (b"a%20b", "a b"),
        (b"%E5%B1%B1", "山"),
        (b'"quoted \\"text\\""', 'quoted "text"'),
        (b'"%22"', '"'),
        (b"100%2525", "100%25"),
        (b"plain", "plain"),
    ],
)
def test_headers_are_decoded_once(sent: bytes, text: str) -> None:
    assert unwrap_binary({**HEADERS, b"ce-id": sent}, DATA).raw["id"] == text


def test_what_no_text_may_hold_is_found_in_headers_and_in_base64() -> None:
    for name, place in (("id", "/headers/ce-id"), ("source", "/headers/ce-source")):
        with pytest.raises(ActivityFaults) as caught:
            unwrap_binary({**HEADERS, f"ce-{name}".encode(): b"a%00"}, DATA)
        assert [fault.pointer for fault in caught.value.faults] == [place]
    event = {name: value for name, value in EVENT.items() if name != "data"}
    encoded = base64.b64encode(orjson.dumps({**DATA, "attributes": {"a": "b\x00"}})).decode()
    assert pointers({**event, "data_base64": encoded}, "/3") == ["/3/data_base64/attributes/a"]


@pytest.mark.parametrize("sent", [b"%C0%A0", b"%ED%A0%80", b"%ff", b"\xff"])
def test_a_header_that_is_no_utf_8_is_refused(sent: bytes) -> None:
    with pytest.raises(ProblemError) as caught:
        unwrap_binary({**HEADERS, b"ce-id": sent}, DATA)
    assert caught.value.status == 400


def test_binary_mode_is_told_by_its_headers() -> None:
    assert is_binary(HEADERS)
    assert is_binary({b"ce-type": b"x"})
    assert not is_binary({b"content-type": b"application/json"})


@given(
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1).map(str.strip).filter(bool),
    st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=1).map(str.strip).filter(bool),
)
def test_what_the_reference_library_sends_is_understood(id_: str, source: str) -> None:
    event = CloudEvent({"id": id_, "source": source, "type": "lead.activity.v1"}, DATA)
    expected = (id_, source)
    binary = to_binary(event, JSONFormat())
    headers = {name.lower().encode(): value.encode("latin-1") for name, value in binary.headers.items()}
    raw = unwrap_binary(headers, orjson.loads(binary.body)).raw
    assert (raw["id"], raw["source"]) == expected
    raw = unwrap_structured(orjson.loads(to_structured(event, JSONFormat()).body)).raw
    assert (raw["id"], raw["source"]) == expected
