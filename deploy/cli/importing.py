"""An import as a client sees it: the list read offline, or handed to the running ingest service."""

import re
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urlsplit

import httpx2
import orjson

from services.ingest.cards.listing import Listing, NoList, count_records, read_layout
from services.ingest.cards.options import NAMES, CardOptions, OptionFaults
from services.ingest.cards.report import NDJSON, preview_of, record_of, summary_of
from services.ingest.settings import IngestLimits
from shared.clock import system_clock
from shared.errors import KizashiError, reason

PATH = "/v1/imports/business-cards"
POLL_S = 0.2
PATIENCE_S = 60.0
LONGEST_PAUSE_S = 30.0
_REFUSED = 400
_AGAIN = frozenset({408, 429, 502, 503, 504})
# Else an option is called as the field of the form.
_OWN_NAMES = {"columns": "--column", "encoding": "--from-encoding", "report_encoding": "--encoding"}
_QUOTED = re.compile(r"`(\w+)`")

OnProgress = Callable[[int, int], None]
"""Told how many bytes of the list are done, and how many there are."""


def option_of(field: str) -> str:
    """What the command calls a field of the form: `--from-encoding` for `encoding`."""
    return _OWN_NAMES.get(field) or (f"--{field.replace('_', '-')}" if field in NAMES else field)


def in_own_names(text: str) -> str:
    """A message of the service with the fields in it named as the command's options."""
    return _QUOTED.sub(lambda found: option_of(found[1]) if found[1] in NAMES else found[0], text)


def told_faults(error: OptionFaults) -> str:
    """What is wrong with the options, by their names on the command line."""
    return "; ".join(f"{option_of(fault.pointer[1:])}: {in_own_names(fault.detail)}" for fault in error.faults)


def offline(file: BinaryIO, options: CardOptions, on_progress: OnProgress) -> Iterator[dict[str, Any]]:
    """The report of a dry run, without a stack: a line per record, then the summary. Raises KizashiError."""
    limits = IngestLimits()
    size = file.seek(0, 2)
    if size > limits.max_import_bytes:
        raise KizashiError(f"the list is larger than {limits.max_import_bytes:,} bytes")
    try:
        layout = read_layout(file, options)
    except NoList as error:
        raise KizashiError(f"{error.code}: {in_own_names(str(error))}") from None
    if count_records(file, layout, limits.max_import_records) > limits.max_import_records:
        raise KizashiError(f"at most {limits.max_import_records:,} records go into one import")
    preview = preview_of(file, layout)
    listing = Listing(file, layout, options, now=system_clock(), max_activity_bytes=limits.max_activity_bytes)
    for outcome in listing.outcomes():
        on_progress(file.tell(), size)
        yield record_of(outcome, options.language)
    yield {"summary": summary_of(listing, options, preview=preview)}


def online(
    url: str, key: str, path: Path, fields: Mapping[str, str], on_progress: OnProgress
) -> Iterator[dict[str, Any]]:
    """Hand the list to the ingest service at `url` (without path) and give its report, a line per record.

    Tries again while the service is away: ids derive from the records, so nothing counts twice. Raises KizashiError.
    """
    local = (urlsplit(url).hostname or "") in {"127.0.0.1", "::1", "localhost"}
    timeout = httpx2.Timeout(30.0, read=None)
    with httpx2.Client(headers={"Authorization": f"Bearer {key}"}, timeout=timeout, trust_env=not local) as client:
        deadline, pause = time.monotonic() + PATIENCE_S, 0.2
        while True:
            try:
                yield from _once(client, url.rstrip("/"), path, fields, on_progress)
                return
            except _Away as error:
                wait = max(pause, error.wait_s)
                if time.monotonic() + wait > deadline:
                    raise KizashiError(str(error)) from None
                time.sleep(wait)
                pause = min(pause * 2, 5.0)


class _Away(Exception):
    """The service cannot take the list now; it may later."""

    def __init__(self, reason: str, wait_s: float = 0.0) -> None:
        super().__init__(reason)
        self.wait_s = wait_s


def _once(
    client: httpx2.Client, url: str, path: Path, fields: Mapping[str, str], on_progress: OnProgress
) -> Iterator[dict[str, Any]]:
    request_id = f"import-{uuid.uuid4().hex}"
    headers = {"Accept": NDJSON, "X-Request-Id": request_id}
    with path.open("rb") as file, _watching(client, f"{url}/v1/imports/{request_id}", on_progress):
        files = {"file": (path.name, file, "text/csv")}
        try:
            response = client.send(
                client.build_request("POST", url + PATH, data=fields, files=files, headers=headers), stream=True
            )
        except httpx2.TransportError as error:
            raise _Away(f"{url} cannot be reached: {reason(error)}") from None
    try:
        if response.status_code >= _REFUSED:
            raise _refusal(url, response)
        for line in response.iter_lines():
            yield orjson.loads(line)
    except httpx2.TransportError:
        raise KizashiError(f"{url} was lost while it reported; import again, nothing counts twice") from None
    finally:
        response.close()


def _refusal(url: str, response: httpx2.Response) -> Exception:
    response.read()
    try:
        problem = orjson.loads(response.content)
    except orjson.JSONDecodeError:
        problem = {}
    detail = in_own_names(problem.get("detail") or problem.get("title") or "")
    faults = [
        f"{option_of(fault.get('pointer', '')[1:])}: {in_own_names(fault.get('detail') or '')}"
        for fault in problem.get("errors") or ()
    ]
    reason = "\n".join([f"{url} answered with {response.status_code} {problem.get('code', '')}: {detail}", *faults])
    if response.status_code not in _AGAIN:
        return KizashiError(reason)
    said = response.headers.get("Retry-After", "")
    return _Away(reason, min(float(said), LONGEST_PAUSE_S) if said.isascii() and said.isdigit() else 0.0)


class _watching:  # noqa: N801 - used as a function
    """Asks how far the import is while the body runs."""

    def __init__(self, client: httpx2.Client, url: str, on_progress: OnProgress) -> None:
        self._client, self._url, self._on_progress = client, url, on_progress
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(POLL_S):
            try:
                answer = self._client.get(self._url, timeout=5.0)
            except httpx2.TransportError:
                continue
            if answer.is_success:
                told = answer.json()
                self._on_progress(int(told["bytes"]), int(told["size"]))
