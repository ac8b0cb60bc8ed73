"""Why a call got no answer, in words that name no address."""

import errno
import socket
import ssl
from collections.abc import Iterator

_CERTIFICATES = {
    9: "is not valid yet",
    10: "has expired",
    18: "is signed by itself",
    19: "is signed by an authority that is not trusted",
    20: "is signed by an authority that is not known",
    21: "is signed by an authority that is not known",
    62: "is for another name",
    64: "is for another address",
}
"""By OpenSSL's X509_V_ERR numbers; its own texts quote names and addresses."""
_NOWHERE = frozenset({errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN, errno.ENETDOWN})


def why_unanswered(error: BaseException) -> str:
    """What went wrong, as exactly as the error and what caused it tell; else the kind of error."""
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"the certificate {_CERTIFICATES.get(cause.verify_code, 'is not trusted')}"
        if isinstance(cause, ssl.SSLError):
            return "the TLS handshake failed"
        if isinstance(cause, socket.gaierror):
            return "the name cannot be resolved"
        if isinstance(cause, ConnectionRefusedError):
            return "the connection was refused"
        if isinstance(cause, OSError) and cause.errno in _NOWHERE:
            return "the host cannot be reached"
    return type(error).__name__


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error, what it was raised from, and so on; of a group all."""
    seen: list[BaseException] = [error]
    for one in seen:
        yield one
        inner = one.exceptions if isinstance(one, BaseExceptionGroup) else ()
        seen += [more for more in (one.__cause__, one.__context__, *inner) if more is not None and more not in seen]
