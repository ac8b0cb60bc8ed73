"""The `forms:` and `tags:` parts of sources.yaml."""

import pytest

from services.ingest.site.config import Form, origin, read_forms, read_tags, web_address
from shared.documents import read_document


def test_reads_the_contracts_form() -> None:
    forms, faults = read_forms(
        read_document(
            """
            contact-ja: {activity: inquiry_sent, allowed_origins: ["https://www.example.co.jp"],
                         thank_you: "https://www.example.co.jp/thanks",
                         fields: {お名前: attributes.name, メールアドレス: lead.email, ご相談内容: properties.message}}
            bare: {}
            """
        ).tree,
        {},
    )
    assert faults == []
    form = forms["contact-ja"]
    assert (form.activity, form.thank_you) == ("inquiry_sent", "https://www.example.co.jp/thanks")
    assert form.allowed_origins == {"https://www.example.co.jp"}
    assert form.fields is not None
    assert form.fields["お名前"] == "attributes.name"
    assert forms["bare"] == Form(key="bare")


def test_an_unset_name_switches_off_that_form_alone() -> None:
    tree = {"a": {"thank_you": "${SITE}/thanks", "allowed_origins": ["${SITE}"]}, "b": {}}
    forms, faults = read_forms(tree, {})
    assert (faults, forms["a"].disabled, forms["b"].disabled) == ([], "SITE is not set", None)
    forms, faults = read_forms(tree, {"SITE": "https://www.example.co.jp"})
    assert (faults, forms["a"].thank_you) == ([], "https://www.example.co.jp/thanks")


@pytest.mark.parametrize(
    ("form", "where"),
    [
        ({"allowed_origins": ["https://www.example.co.jp/"]}, "forms.a.allowed_origins[0]"),
        ({"allowed_origins": ["www.example.co.jp"]}, "forms.a.allowed_origins[0]"),
        ({"allowed_origins": ["*"]}, "forms.a.allowed_origins[0]"),
        ({"thank_you": "/thanks"}, "forms.a.thank_you"),
        ({"thank_you": "javascript:alert(1)"}, "forms.a.thank_you"),
        ({"activity": "Inquiry"}, "forms.a.activity"),
        ({"fields": {"a": "lead.mail"}}, "forms.a.fields.a"),
        ({"min_fill": 3}, "forms.a.min_fill"),
        ({"field": {}}, "forms.a.field"),
        ([], "forms.a"),
    ],
)
def test_names_the_place_of_a_fault(form: object, where: str) -> None:
    _, faults = read_forms({"a": form}, {})
    assert [fault.where for fault in faults] == [where]


def test_tags() -> None:
    tags, faults = read_tags(
        {"site": {"write_keys": ["wk_12345678"], "allowed_origins": ["http://127.0.0.1:8080"]}}, {}
    )
    assert faults == []
    assert (tags["site"].system, tags["site"].types) == ("site", None)
    both = {"a": {"write_keys": ["wk_12345678"]}, "b": {"write_keys": ["wk_other_99", "wk_12345678"]}}
    assert [fault.where for fault in read_tags(both, {})[1]] == ["tags.b.write_keys[1]"]
    wrong: list[dict[str, list[str]]] = [
        {},
        {"write_keys": []},
        {"write_keys": ["short"]},
        {"write_keys": ["a space in"]},
    ]
    assert all(read_tags({"a": bad}, {})[1] for bad in wrong)
    assert read_forms(None, {}) == ({}, [])
    assert read_tags("x", {})[1][0].where == "tags"


def test_origins_and_addresses_have_one_form() -> None:
    assert origin("https://WWW.example.co.jp:443") == "https://www.example.co.jp"
    assert origin("http://localhost:8080") == "http://localhost:8080"
    assert web_address("https://www.example.co.jp/料金?a=b c") == "https://www.example.co.jp/%E6%96%99%E9%87%91?a=b%20c"
    assert web_address("https://www.example.co.jp/%E6%96%99") == "https://www.example.co.jp/%E6%96%99"
    for bad in (
        "ftp://a.example",
        "https://",
        "//a.example",
        "https://u:p@a.example",
        "https://a.example:x",
        "https://a.example/" + "x" * 2_100,
    ):
        with pytest.raises(ValueError, match="expected"):
            web_address(bad)
