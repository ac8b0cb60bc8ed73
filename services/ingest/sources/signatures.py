"""Checking signatures: keyed hashes by recipe, and secrets that the tool merely repeats."""

import base64
import binascii
import hmac
import re
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from urllib.parse import SplitResult, unquote, unquote_to_bytes, urlsplit

from services.ingest.sources.base import (
    SECRET_NAME,
    AmbiguousHeader,
    Delivery,
    Options,
    Verdict,
    Verify,
    equal,
    to_bytes,
)
from services.ingest.sources.recipes import Recipe, TimeFormat, signed_parts

NO_MATCH = Verdict(False, "signature: does not match any of the secrets")
NO_SECRET = Verdict(
    False, "missing header: neither a header, nor Basic or Bearer credentials, nor the URL holds one of the secrets"
)
WRONG_SECRET = Verdict(False, "secret: what is given in a header, as credentials or in the URL is none of the secrets")
NO_TIME = Verdict(False, "timestamp: is not a time")
_DIGITS = re.compile(r"[0-9]{1,15}", re.ASCII)
# The only escapes HubSpot undoes before it signs an address; any other stays as sent.
_HUBSPOT_DECODED = re.compile(r"%(?:3A|2F|3F|40|21|24|27|28|29|2A|2C|3B)", re.IGNORECASE)


def missing(*headers: str) -> Verdict:
    """The verdict on a request without its signature."""
    return Verdict(False, f"missing header: {' or '.join(headers)}")


def hubspot_decoded(url: str) -> str:
    """The address with the twelve escapes undone that HubSpot undoes, once."""
    return _HUBSPOT_DECODED.sub(lambda escape: unquote(escape[0]), url)


def guarded(check: Verify) -> Verify:
    """Turn a doubly given header into a verdict: what cannot be told apart is not vouched for."""

    def verify(delivery: Delivery, secrets: Sequence[str], now: datetime, options: Options) -> Verdict:
        usable = [secret for secret in secrets if secret]
        if not usable:
            return Verdict(False, "secret: none is set")
        try:
            return check(delivery, usable, now, options)
        except AmbiguousHeader as error:
            return Verdict(False, f"signature: {error}")

    return verify


def by_recipe(recipe: Recipe) -> Verify:
    """A verifier for `recipe`. The signature is judged before the age, so that a stale request is called stale."""
    parts = signed_parts(recipe.signed)

    def verify(delivery: Delivery, secrets: Sequence[str], now: datetime, options: Options) -> Verdict:
        found = _found(recipe, delivery, options)
        if isinstance(found, Verdict):
            return found
        stamp, signatures = found
        text = _signed_text(parts, delivery, stamp or "")
        if text is None:
            return Verdict(False, "missing header: one that is part of the signed text")
        if not any(equal(found, sign(recipe, secret, text)) for secret in secrets for found in signatures):
            return NO_MATCH
        return aged(stamp, recipe.time_format, recipe.tolerance_s, now, options)

    return guarded(verify)


def _found(recipe: Recipe, delivery: Delivery, options: Options) -> tuple[str | None, list[str]] | Verdict:
    """The signed time and the candidate signatures, or what is wrong with how they stand there."""
    value = delivery.headers.one(recipe.header)
    if not value:
        return missing(recipe.header)
    stamp, signatures = _read(recipe, value, delivery)
    if recipe.timestamp and not stamp:
        return missing(recipe.timestamp)
    if not signatures:
        return Verdict(False, f"signature: {recipe.header} is not of the form {_shape(recipe)}")
    if stamp and _allowed(recipe.tolerance_s, options) is not None and seconds(stamp, recipe.time_format) is None:
        return NO_TIME
    return stamp, signatures


def aged(stamp: str | None, form: TimeFormat, tolerance_s: float | None, now: datetime, options: Options) -> Verdict:
    """The verdict on a request whose signature is right: its time must lie within the tolerance, either way."""
    allowed = _allowed(tolerance_s, options)
    if stamp is None or allowed is None:
        return Verdict(True, "signature matches")
    sent = seconds(stamp, form)
    if sent is None:
        return NO_TIME
    age = now.timestamp() - sent
    if abs(age) > allowed:
        side = "old" if age > 0 else "ahead of our clock"
        return Verdict(False, f"timestamp: signature matches, but is {abs(age):.0f} s {side} (allowed {allowed:g} s)")
    return Verdict(True, "signature matches")


def _allowed(tolerance_s: float | None, options: Options) -> float | None:
    return tolerance_s if options.tolerance_s == "default" else options.tolerance_s


def seconds(stamp: str, form: TimeFormat) -> float | None:
    """The Unix seconds a timestamp header stands for, None if it is no time."""
    if form == "http_date":
        return _http_date(stamp)
    if not _DIGITS.fullmatch(stamp):
        return None
    return int(stamp) / 1000 if form == "ms" else float(int(stamp))


def _http_date(text: str) -> float | None:
    try:
        instant = parsedate_to_datetime(text)
        return (instant if instant.tzinfo else instant.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


def sign(recipe: Recipe, secret: str, text: bytes) -> str:
    """The signature as it stands in the header, without prefix."""
    key = to_bytes(secret) if recipe.key == "text" else base64_key(secret) or b""
    if not key:
        return ""
    return encoded(hmac.digest(key, text, recipe.algorithm), recipe.encoding)


def encoded(digest: bytes, encoding: str) -> str:
    """A digest as hex (lower case) or base64."""
    return digest.hex() if encoding == "hex" else base64.b64encode(digest).decode()


@lru_cache(maxsize=1_024)
def base64_key(text: str) -> bytes | None:
    """The key that base64 with or without padding stands for, None if it is no base64."""
    try:
        return base64.b64decode(text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None


def _shape(recipe: Recipe) -> str:
    return "t=…,v1=…" if recipe.form == "fields" else recipe.form.replace("{signature}", "…")


def _read(recipe: Recipe, value: str, delivery: Delivery) -> tuple[str | None, list[str]]:
    """The signed time and the candidate signatures of a request."""
    if recipe.form == "fields":
        stamp, found = _fields(value)
    else:
        before, _, after = recipe.form.partition("{signature}")
        fits = value.startswith(before) and value.endswith(after) and len(value) > len(before) + len(after)
        found = [value[len(before) : len(value) - len(after)]] if fits else []
        stamp = delivery.headers.one(recipe.timestamp) if recipe.timestamp else None
    return stamp, [item.lower() if recipe.encoding == "hex" else item for item in found if item]


def _fields(value: str) -> tuple[str | None, list[str]]:
    stamps, found = set(), []
    for part in value.split(","):
        name, _, content = part.strip().partition("=")
        if name == "t":
            stamps.add(content)
        elif name == "v1":
            found.append(content)
    return (stamps.pop(), found) if len(stamps) == 1 else (None, [])


def _signed_text(parts: list[str], delivery: Delivery, stamp: str) -> bytes | None:
    pieces: list[bytes] = []
    for place, part in enumerate(parts):
        if place % 2 == 0:
            pieces.append(part.encode())
        elif part.startswith("header:"):
            value = delivery.headers.one(part.removeprefix("header:"))
            if value is None:
                return None
            pieces.append(to_bytes(value))
        else:
            pieces.append(_PARTS[part](delivery, stamp))
    return b"".join(pieces)


_PARTS: dict[str, Callable[[Delivery, str], bytes]] = {
    "body": lambda delivery, _: delivery.body,
    "timestamp": lambda _, stamp: to_bytes(stamp),
    "method": lambda delivery, _: to_bytes(delivery.method.upper()),
    "url": lambda delivery, _: to_bytes(delivery.url),
    "decoded_url": lambda delivery, _: to_bytes(hubspot_decoded(delivery.url)),
}


def _shared_secret(delivery: Delivery, secrets: Sequence[str], now: datetime, options: Options) -> Verdict:  # noqa: ARG001 - the shape of a verifier
    places = list(_places(delivery))
    # Every pair is compared, so that the time taken does not tell which place or secret came close.
    if sum(equal(found, to_bytes(secret)) for secret in secrets for found in places):
        return Verdict(True, "secret matches")
    return WRONG_SECRET if _offers_secret(delivery) else NO_SECRET


shared_secret: Verify = guarded(_shared_secret)
"""For tools that do not sign: one of the secrets is the value of any header, the token behind `Bearer` or its like, the
Basic credentials (`user:password`, the password alone, or a user without one), a query field, the userinfo or a
step of the path of the address."""


def _offers_secret(delivery: Delivery) -> bool:
    """Whether something stands where a secret would, so that not its place is wrong but what it is."""
    named = [*(name for name, _ in delivery.headers), *(name for name, _ in delivery.query)]
    return any(map(SECRET_NAME.search, named)) or bool(_userinfo(delivery))


def _userinfo(delivery: Delivery) -> str:
    return _address(delivery).netloc.rpartition("@")[0]


def _address(delivery: Delivery) -> SplitResult:
    try:
        return urlsplit(delivery.own_url)
    except ValueError:
        return urlsplit("")


def _places(delivery: Delivery) -> Iterator[bytes]:
    for name, value in delivery.headers:
        yield to_bytes(value.strip())
        if name.lower() == "authorization":
            yield from _credentials(value)
    for _, value in delivery.query:
        yield to_bytes(value)
    for step in _address(delivery).path.split("/"):
        yield unquote_to_bytes(to_bytes(step))
    if userinfo := _userinfo(delivery):
        yield from _basic(unquote_to_bytes(to_bytes(userinfo)))


def _credentials(value: str) -> Iterator[bytes]:
    scheme, _, rest = value.strip().partition(" ")
    if scheme.lower() != "basic":
        yield to_bytes(rest.strip())
    elif decoded := base64_key(rest.strip()):
        yield from _basic(decoded)


def _basic(credentials: bytes) -> Iterator[bytes]:
    user, _, password = credentials.partition(b":")
    yield credentials
    yield password or user


def signed_or_shared(check: Verify, *headers: str) -> Verify:
    """`check` where one of `headers` is present, else the shared secret: a wrong signature is never waived."""

    def verify(delivery: Delivery, secrets: Sequence[str], now: datetime, options: Options) -> Verdict:
        if any(delivery.headers.all(header) for header in headers):
            return check(delivery, secrets, now, options)
        verdict = shared_secret(delivery, secrets, now, options)
        return verdict if verdict.valid or verdict.reason.startswith("secret") else missing(*headers, "a shared secret")

    return verify
