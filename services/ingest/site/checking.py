"""What can be seen wrong in a page with a form before anything is sent, and what a browser would send.

Only the page as delivered is read: a form that a script builds is not in it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Literal
from urllib.parse import quote_from_bytes, urljoin, urlsplit

from services.ingest.site.config import HONEYPOT
from services.ingest.site.csp import refusing
from services.ingest.site.submission import SUBMISSION, TEST

FORM_PATH, TAG_PATH = "/v1/forms/", "/v1/tag.js"
_SAMPLES = {"email": "check@example.com", "tel": "090-0000-0000", "url": "https://example.com/", "number": "1"}
_HIDING = frozenset({"no-referrer"})
_CODECS = {"shift_jis": "cp932", "shift-jis": "cp932", "windows-31j": "cp932", "x-sjis": "cp932"}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing found. `code` is stable; a `fault` keeps forms from arriving, a `note` is worth knowing."""

    level: Literal["ok", "note", "fault"]
    code: str
    text: str
    line: int | None = None


@dataclass(slots=True)
class Control:
    """A named field of a form."""

    name: str
    kind: str
    value: str
    unseen: bool


@dataclass(slots=True)
class FoundForm:
    """A form of a page; `action` is absolute."""

    action: str
    method: str
    charset: str
    line: int
    controls: list[Control] = field(default_factory=list)


@dataclass(slots=True)
class Page:
    """A page as delivered, with what its headers and `meta` elements decide."""

    url: str
    forms: list[FoundForm] = field(default_factory=list)
    policies: list[str] = field(default_factory=list)
    referrer: str = ""
    charset: str = "utf-8"
    tags: list[tuple[str, str, int]] = field(default_factory=list)
    """Address, write key and line of each page tag."""
    with_script: bool = False


def read_page(html: bytes, url: str, headers: Mapping[str, str]) -> Page:
    """Read a page. Headers have lower-case names. Never raises."""
    page = Page(url)
    if policy := headers.get("content-security-policy"):
        page.policies += policy.split(",")
    page.referrer = headers.get("referrer-policy", "").rpartition(",")[2].strip().lower()
    page.charset = _charset(headers.get("content-type", "")) or _charset(html[:2_048].decode("latin-1")) or "utf-8"
    try:
        text = html.decode(_CODECS.get(page.charset, page.charset), "replace")
    except LookupError:
        text = html.decode("utf-8", "replace")
    page.with_script = SUBMISSION in text
    reader = _Reader(page)
    reader.feed(text)
    reader.close()
    return page


def _charset(text: str) -> str | None:
    _, found, rest = text.lower().partition("charset=")
    name = rest.lstrip("\"' ").split(";")[0].split('"')[0].split("'")[0].split(">")[0].split()[:1]
    return name[0] if found and name else None


class _Reader(HTMLParser):
    def __init__(self, page: Page) -> None:
        super().__init__(convert_charrefs=True)
        self._page = page
        self._base = page.url
        self._form: FoundForm | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """See the base class."""
        given = {name: value or "" for name, value in reversed(attrs)}
        if tag == "base" and given.get("href"):
            self._base = urljoin(self._base, given["href"])
        elif tag == "meta":
            self._meta(given)
        elif tag == "form":
            action = urljoin(self._base, given.get("action", "").strip() or self._page.url)
            charset = (given.get("accept-charset") or self._page.charset).split()[0].lower()
            self._form = FoundForm(action, given.get("method", "get").lower(), charset, self.getpos()[0])
            self._page.forms.append(self._form)
        elif tag == "script" and TAG_PATH in given.get("src", ""):
            address = urljoin(self._base, given["src"])
            self._page.tags.append((address, given.get("data-key", ""), self.getpos()[0]))
        elif tag in ("input", "textarea", "select") and self._form is not None and given.get("name"):
            self._form.controls.append(_control(tag, given))

    def handle_endtag(self, tag: str) -> None:
        """See the base class."""
        if tag == "form":
            self._form = None

    def _meta(self, given: Mapping[str, str]) -> None:
        if given.get("http-equiv", "").lower() == "content-security-policy":
            self._page.policies.append(given.get("content", ""))
        elif given.get("name", "").lower() == "referrer":
            self._page.referrer = given.get("content", "").strip().lower()


def _control(tag: str, given: Mapping[str, str]) -> Control:
    kind = given.get("type", "text").lower() if tag == "input" else tag
    unseen = given.get("tabindex") == "-1" or given["name"] == HONEYPOT
    return Control(given["name"], kind, given.get("value", ""), unseen)


def chosen_form(page: Page) -> FoundForm | None:
    """The form that posts to Kizashi."""
    return next((form for form in page.forms if FORM_PATH in urlsplit(form.action).path), None)


def before_sending(page: Page) -> list[Finding]:
    """Every fault that shows without sending anything."""
    return [*_about_tags(page), *_about_form(page)]


def _about_form(page: Page) -> list[Finding]:
    form = chosen_form(page)
    if form is None:
        seen = "; ".join(f"line {one.line} posts to {one.action}" for one in page.forms[:5])
        why = f"wrong action: {seen}" if seen else "it has none; a form that a script builds cannot be seen here"
        level: Literal["note", "fault"] = "note" if page.tags and not page.forms else "fault"
        return [Finding(level, "no_form", f"no form of this page posts to …{FORM_PATH}KEY ({why})")]
    found = [Finding("ok", "form", f"a form posts to {form.action}", form.line)]
    if form.method != "post":
        found.append(Finding("fault", "wrong_method", f'the form says method="{form.method}"; write "post"', form.line))
    if urlsplit(page.url).scheme == "https" and urlsplit(form.action).scheme == "http":
        found.append(
            Finding("fault", "mixed_content", "a page of https sends to http; browsers warn or block", form.line)
        )
    if page.referrer in _HIDING:
        text = f"Referrer-Policy {page.referrer} hides the page: its form arrives with Origin: null and is refused"
        found.append(Finding("fault", "origin_hidden", text, form.line))
    if directive := refusing(page.policies, "form-action", form.action, page.url):
        text = f"the page's Content-Security-Policy does not let the form go there: {directive}"
        found.append(Finding("fault", "csp_form_action", text, form.line))
    if page.with_script and (directive := refusing(page.policies, "connect-src", form.action, page.url)):
        text = f"the page's Content-Security-Policy does not let its script send the form: {directive}"
        found.append(Finding("fault", "csp_connect_src", text, form.line))
    return found


def _about_tags(page: Page) -> list[Finding]:
    found = []
    for address, key, line in page.tags:
        found.append(Finding("ok", "tag", f"the page tag is loaded from {address}", line))
        if not key:
            found.append(Finding("fault", "tag_without_key", "the tag's element lacks data-key", line))
        for directive in ("script-src", "connect-src"):
            if refused := refusing(page.policies, directive, address, page.url):
                text = f"the page's Content-Security-Policy stops the tag: {refused}"
                found.append(Finding("fault", f"csp_{directive.replace('-', '_')}", text, line))
    return found


def filled_in(form: FoundForm) -> bytes:
    """What a browser would send of the filled-in form, in the page's encoding, marked as a test."""
    codec = _CODECS.get(form.charset, form.charset)
    pairs: dict[str, str] = {}
    for control in form.controls:
        if control.kind in ("submit", "button", "image", "reset", "file") or control.unseen:
            continue
        pairs.setdefault(control.name, control.value or _sample(control))
    pairs[TEST] = "1"
    return b"&".join(_quoted(name, codec) + b"=" + _quoted(value, codec) for name, value in pairs.items())


def _sample(control: Control) -> str:
    if control.kind == "hidden":
        return ""
    if control.kind in _SAMPLES:
        return _SAMPLES[control.kind]
    mail = "mail" in control.name.lower() or "メール" in control.name
    return _SAMPLES["email"] if mail else "on" if control.kind in ("checkbox", "radio") else "check"


def _quoted(text: str, codec: str) -> bytes:
    try:
        raw = text.encode(codec, "xmlcharrefreplace")
    except LookupError:
        raw = text.encode()
    return quote_from_bytes(raw, safe="").encode()
