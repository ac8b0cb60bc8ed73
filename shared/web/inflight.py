"""How many bytes of bodies a process holds at once."""

from shared.errors import ProblemError
from shared.telemetry import HTTP_IN_FLIGHT_BYTES

RETRY_AFTER_S = 1


class InFlight:
    """The bytes of all requests in hand, from the first one read until the answer. For one event loop.

    Requests without a valid key may fill half of the room, so that strangers never shut out those who have one.
    """

    __slots__ = ("_bytes", "_limit")

    def __init__(self, limit: int) -> None:
        self._bytes = 0
        self._limit = limit
        HTTP_IN_FLIGHT_BYTES.set_function(lambda: self._bytes)

    def take(self, count: int, *, keyed: bool) -> None:
        """Hold `count` bytes more. Raises ProblemError 503 `overloaded` where there is no room for them."""
        held = self._bytes + count
        if held > (self._limit if keyed else self._limit // 2):
            detail = "Too much is under way; nothing of this request was taken."
            raise ProblemError(503, "overloaded", detail, headers={"Retry-After": str(RETRY_AFTER_S)})
        self._bytes = held

    def give_back(self, count: int) -> None:
        """Hold `count` bytes less."""
        self._bytes -= count
