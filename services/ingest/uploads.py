"""A form with a file, read from the connection to disk as it comes: memory does not grow with it."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import BinaryIO

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from shared.errors import FieldFault, ProblemError
from shared.web import ClientGone, LeanRequest, too_large

# Its warnings tell the log what the answer tells the sender.
logging.getLogger("python_multipart").setLevel(logging.ERROR)

MAX_FIELDS = 64
MAX_FIELD_BYTES = 65_536
OVERHEAD_BYTES = MAX_FIELDS * 1_024 + MAX_FIELD_BYTES
"""What boundaries, headers and fields may add to the file."""


@dataclass(slots=True)
class _Part:
    headers: dict[str, bytes] = field(default_factory=dict)
    name: str = ""
    is_file: bool = False
    value: bytearray = field(default_factory=bytearray)


class Upload:
    """The fields of a `multipart/form-data` body by name; its one file, whatever its name, goes into `file`."""

    def __init__(self, content_type: str, file: BinaryIO, max_file_bytes: int) -> None:
        """Raises ProblemError 415 for another media type, 400 without a boundary."""
        media_type, options = parse_options_header(content_type)
        if media_type != b"multipart/form-data":
            raise ProblemError(415, "unsupported_media_type", "Expected Content-Type multipart/form-data.")
        boundary = options.get(b"boundary")
        if not boundary:
            raise _broken("its Content-Type names no boundary")
        self.fields: dict[str, str] = {}
        self.has_file = False
        self.size = 0
        self._file, self._max_bytes = file, max_file_bytes
        self._part, self._header = _Part(), (bytearray(), bytearray())
        self._complete = False
        try:
            self._parser = MultipartParser(boundary, self._callbacks())  # type: ignore[arg-type]
        except FormParserError as error:
            raise _broken(str(error)) from None

    async def read(self, request: LeanRequest) -> Mapping[str, str]:
        """Read the body; gives the fields.

        Raises ProblemError: 413 `too_large`, 400 `invalid_multipart`, 422 without a file; ClientGone.
        """
        limit = self._max_bytes + OVERHEAD_BYTES
        announced = request.headers.get(b"content-length", b"")
        if announced.isdigit() and int(announced) > limit:
            raise too_large(self._max_bytes)
        received, more = 0, True
        while more:
            chunk, more = await _next(request)
            received += len(chunk)
            if received > limit:
                raise too_large(self._max_bytes)
            self._write(chunk)
        if not self._complete:
            raise _broken("it ends too early")
        if not self.has_file:
            raise ProblemError(422, "invalid_fields", "A file is missing.", [FieldFault("/file", "expected a file")])
        return self.fields

    def _write(self, chunk: bytes) -> None:
        try:
            self._parser.write(chunk)
        except FormParserError as error:
            raise _broken(str(error)) from None

    def _callbacks(self) -> dict[str, object]:
        return {
            "on_part_begin": self._begin,
            "on_header_field": lambda data, start, end: self._header[0].extend(data[start:end]),
            "on_header_value": lambda data, start, end: self._header[1].extend(data[start:end]),
            "on_header_end": self._end_header,
            "on_headers_finished": self._end_headers,
            "on_part_data": self._data,
            "on_part_end": self._end,
            "on_end": self._finish,
        }

    def _begin(self) -> None:
        self._part = _Part()

    def _end_header(self) -> None:
        name, value = self._header
        self._part.headers[name.decode("latin-1").lower()] = bytes(value)
        self._header = (bytearray(), bytearray())

    def _end_headers(self) -> None:
        kind, options = parse_options_header(self._part.headers.get("content-disposition", b""))
        name = options.get(b"name")
        if kind != b"form-data" or name is None:
            raise _broken("a part has no name")
        self._part.name = name.decode("utf-8", "replace")
        self._part.is_file = self._part.name == "file" or b"filename" in options
        if self._part.is_file:
            if self.has_file:
                raise ProblemError(422, "invalid_fields", "One file is taken.", [FieldFault("/file", "is given twice")])
            self.has_file = True
        elif len(self.fields) >= MAX_FIELDS:
            raise ProblemError(422, "invalid_fields", f"At most {MAX_FIELDS} fields are taken.")

    def _data(self, data: bytes, start: int, end: int) -> None:
        part = self._part
        if part.is_file:
            self.size += end - start
            if self.size > self._max_bytes:
                raise too_large(self._max_bytes)
            self._file.write(data[start:end])
            return
        part.value += data[start:end]
        if len(part.value) > MAX_FIELD_BYTES:
            raise too_large(MAX_FIELD_BYTES)

    def _end(self) -> None:
        part = self._part
        if part.is_file:
            return
        try:
            text = part.value.decode()
        except UnicodeDecodeError:
            fault = FieldFault(f"/{part.name}", "is not UTF-8")
            raise ProblemError(422, "invalid_fields", "A field is not UTF-8.", [fault]) from None
        if part.name in self.fields:
            fault = FieldFault(f"/{part.name}", "is given twice")
            raise ProblemError(422, "invalid_fields", "A field is given twice.", [fault])
        self.fields[part.name] = text

    def _finish(self) -> None:
        self._complete = True


async def _next(request: LeanRequest) -> tuple[bytes, bool]:
    message = await request.receive()
    if message["type"] == "http.disconnect":
        raise ClientGone
    return message.get("body", b""), message.get("more_body", False)


def _broken(reason: str) -> ProblemError:
    return ProblemError(400, "invalid_multipart", f"The body is no multipart/form-data: {reason}.")
