"""Whether a server answers, asked with a few bytes over a plain socket: no client library, no lasting connection."""

import http.client
import socket
import struct

TIMEOUT_S = 1.0
_METADATA_REQUEST = 3
_METADATA_VERSION = 1
_PROTOCOL_3_0 = 196_608
_INVALID_AUTHORIZATION = b"C28"


def port_answers(host: str, port: int, timeout_s: float = TIMEOUT_S) -> bool:
    """Whether something accepts connections there."""
    try:
        with socket.create_connection((host, port), timeout=timeout_s):
            return True
    except OSError:
        return False


def kafka_answers(host: str, port: int, timeout_s: float = TIMEOUT_S) -> bool:
    """Whether a metadata request (version 1, without topics) is answered with at least one live broker.

    A broker that has its port open but is not registered with its controller yet answers with none.
    """
    header = struct.pack(">hhih", _METADATA_REQUEST, _METADATA_VERSION, 1, -1)
    request = header + struct.pack(">i", 0)
    try:
        with socket.create_connection((host, port), timeout=timeout_s) as connection:
            connection.settimeout(timeout_s)
            connection.sendall(struct.pack(">i", len(request)) + request)
            (size,) = struct.unpack(">i", _read(connection, 4))
            correlation, brokers = struct.unpack(">ii", _read(connection, min(max(size, 8), 8)))
    except (OSError, EOFError):
        return False
    return bool(correlation == 1 and brokers > 0)


def postgres_answers(host: str, port: int, timeout_s: float = TIMEOUT_S) -> bool:
    """Whether PostgreSQL answers a start-up message by asking for or granting authentication.

    A refusal of this caller (class 28: wrong user, no such entry in pg_hba.conf) is an answer of a live server
    too; "the database system is starting up" is not.
    """
    body = struct.pack(">i", _PROTOCOL_3_0) + b"user\0postgres\0database\0postgres\0\0"
    try:
        with socket.create_connection((host, port), timeout=timeout_s) as connection:
            connection.settimeout(timeout_s)
            connection.sendall(struct.pack(">i", len(body) + 4) + body)
            kind = _read(connection, 1)
            (size,) = struct.unpack(">i", _read(connection, 4))
            answer = _read(connection, min(max(size - 4, 0), 4_096))
            if kind == b"R":
                connection.sendall(b"X\0\0\0\4")
    except (OSError, EOFError):
        return False
    return kind == b"R" or (kind == b"E" and _INVALID_AUTHORIZATION in answer)


def http_ready(host: str, port: int, path: str = "/readyz", timeout_s: float = TIMEOUT_S) -> bool:
    """Whether `GET path` is answered with 200."""
    connection = http.client.HTTPConnection(host, port, timeout=timeout_s)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _read(connection: socket.socket, size: int) -> bytes:
    parts = bytearray()
    while len(parts) < size:
        part = connection.recv(size - len(parts))
        if not part:
            raise EOFError
        parts += part
    return bytes(parts)
