import uuid

import phonenumbers
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared.identity import (
    EMAIL,
    Identifier,
    fold_name,
    is_shared_mailbox,
    is_unreadable,
    lead_id_for,
    normalise_email,
    normalise_phone,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Taro.Yamada@Example.CO.JP", "taro.yamada@example.co.jp"),
        ("  taro@example.co.jp ", "taro@example.co.jp"),
        ("ｔａｒｏ＠ｅｘａｍｐｌｅ．ｃｏ．ｊｐ", "taro@example.co.jp"),
        ("a..b.@docomo.ne.jp", "a..b.@docomo.ne.jp"),
        ("a@xn--wgv71a119e.jp", "a@日本語.jp"),
    ],
)
def test_addresses_have_one_form(text: str, expected: str) -> None:
    assert normalise_email(text) == expected


@pytest.mark.parametrize(
    "text", ["", "taro", "taro@", "@example.co.jp", "a b@example.co.jp", "a@b", "a@-b.jp", "a" * 300]
)
def test_what_is_no_address_is_refused_without_quoting_it(text: str) -> None:
    with pytest.raises(ValueError, match="e-mail") as caught:
        normalise_email(text)
    assert not text or text not in str(caught.value)


@given(st.emails())
def test_the_form_of_a_form_is_itself(text: str) -> None:
    try:
        once = normalise_email(text)
    except ValueError:
        return
    assert normalise_email(once) == once


def test_what_a_department_reads_names_no_person() -> None:
    assert is_shared_mailbox("info+expo@example.co.jp")
    assert not is_shared_mailbox("information.taro@example.co.jp")
    assert is_unreadable("ta?o@example.co.jp")


@pytest.mark.parametrize(
    ("text", "e164", "identifies"),
    [
        ("090-1234-5678", "+819012345678", True),
        ("０９０－１２３４－５６７８", "+819012345678", True),
        ("03-1234-5678", "+81312345678", False),
        ("03-1234-5678 内線 12", "+81312345678", False),
        ("+1 201 555 0123", "+12015550123", False),
    ],
)
def test_phones(text: str, e164: str, identifies: bool) -> None:
    assert normalise_phone(text) == (e164, identifies)


@pytest.mark.parametrize("text", ["", "1", "phone", "0" * 30])
def test_what_is_no_phone_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="phone number"):
        normalise_phone(text)


def test_names_are_compared_without_width_and_space() -> None:
    assert fold_name("山田　太郎") == fold_name("山田太郎")


def test_a_lead_id_is_a_stable_uuid_that_needs_the_secret() -> None:
    someone = Identifier(EMAIL, "taro.yamada@example.co.jp")
    lead_id = lead_id_for(b"secret", someone)
    assert uuid.UUID(lead_id).version == 8
    assert uuid.UUID(lead_id).variant == uuid.RFC_4122
    assert lead_id == lead_id_for(b"secret", someone)
    assert lead_id != lead_id_for(b"other", someone)
    assert lead_id != lead_id_for(b"secret", Identifier("external", someone.value))


@given(st.from_regex(r"(\+81|0)[1-9][0-9]{7,9}", fullmatch=True), st.lists(st.integers(3, 9), max_size=3))
def test_the_short_way_reads_a_number_as_the_library_does(digits: str, hyphens: list[int]) -> None:
    text = "".join(f"-{sign}" if place in hyphens else sign for place, sign in enumerate(digits))
    try:
        parsed = phonenumbers.parse(text, "JP")
        assert phonenumbers.is_possible_number(parsed)
    except (phonenumbers.NumberParseException, AssertionError):
        with pytest.raises(ValueError, match="phone"):
            normalise_phone(text)
    else:
        expected = phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)
        assert normalise_phone(text).e164 == expected


@given(st.from_regex(r"(\+|\+81|\+27|)0{0,4}[0-9]{5,12}", fullmatch=True), st.sampled_from(["JP", "US", "GB", "DE"]))
@example("+0027008191733", "GB")  # a mobile only when it is read for the second time
@example("0000019288584", "JP")
@example("08219813144", "BY")  # 8 is the prefix of calls within the country
@example("+5509045435584", "JP")  # 90 45 chooses a carrier
def test_what_a_number_is_normalised_to_reads_as_itself(text: str, region: str) -> None:
    try:
        phone = normalise_phone(text, region)
    except ValueError:
        return
    assert normalise_phone(phone.e164, region) == phone


def test_a_toll_free_number_is_no_mobile() -> None:
    assert normalise_phone("0800-123-4567") == ("+818001234567", False)
    assert normalise_phone("080-1234-5678") == ("+818012345678", True)
