"""The ports of a stack: one block of seven in a row, chosen before the start and kept for the next one."""

import contextlib
import json
import random
import socket
from dataclasses import dataclass
from pathlib import Path

from shared.errors import KizashiError

HOST = "127.0.0.1"
DEFAULT_BASE = 8000
STEP = 10
SIZE = 7
_BLOCKS_TRIED = 200
# Below the ports that systems give to outgoing connections, which could otherwise take one while a server restarts.
_RANDOM_RANGE = range(12_000, 32_000, STEP)


@dataclass(frozen=True, slots=True)
class PortBlock:
    """Ports counted from `base`, which is kept for the console."""

    base: int

    @property
    def services(self) -> dict[str, int]:
        return {"ingest": self.base + 1, "scoring": self.base + 2, "handoff": self.base + 3}

    @property
    def kafka(self) -> int:
        return self.base + 4

    @property
    def controller(self) -> int:
        return self.base + 5

    @property
    def postgres(self) -> int:
        return self.base + 6

    @property
    def all(self) -> range:
        return range(self.base, self.base + SIZE)


@dataclass(frozen=True, slots=True)
class Claim:
    """The block of a stack, and a sentence if it is another than expected. Until it is released no other stack that
    starts takes the block, even before anything listens there.
    """

    block: PortBlock
    said: str
    _hold: socket.socket

    def release(self) -> None:
        """Leave the block to others."""
        self._hold.close()


def choose(kept: Path, base: int | None) -> Claim:
    """Claim the block of a stack whose last choice is kept in file `kept`.

    With `base` that block and no other. Raises KizashiError when a port of it is taken.
    """
    if base is not None:
        block = PortBlock(base)
        if (hold := _hold(block)) is None:
            port = next(iter(taken_ports(block)), base)
            raise KizashiError(f"port {port} is taken; choose another --port-base, or none for the next free block")
        return Claim(block, "", hold)
    before = kept_block(kept)
    wanted = before.base if before else DEFAULT_BASE
    for number in (wanted, *range(DEFAULT_BASE, DEFAULT_BASE + _BLOCKS_TRIED * STEP, STEP)):
        block = PortBlock(number)
        if (hold := _hold(block)) is not None:
            moved = f"ports from {wanted} are taken in part; using {number} to {number + SIZE - 1}"
            return Claim(block, "" if number == wanted else moved, hold)
    raise KizashiError(f"no free block of ports from {DEFAULT_BASE} on; choose one with --port-base")


def _hold(block: PortBlock) -> socket.socket | None:
    """The console's port, bound and without anybody who listens; None where a port of the block is taken.

    Without SO_REUSEADDR, which would let others bind it too.
    """
    hold = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        hold.bind((HOST, block.base))
    except OSError:
        hold.close()
        return None
    if all(is_free(port) for port in block.all if port != block.base):
        return hold
    hold.close()
    return None


def kept_block(kept: Path) -> PortBlock | None:
    """The block of the last start; None when there was none."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        base = json.loads(kept.read_text(encoding="utf-8"))["base"]
        return PortBlock(base) if isinstance(base, int) and 1 <= base <= 65_536 - SIZE else None
    return None


def keep(kept: Path, block: PortBlock) -> None:
    """Remember the choice: Kafka's clients expect it where it was."""
    draft = kept.with_suffix(".new")
    draft.write_text(json.dumps({"base": block.base}), encoding="utf-8")
    draft.replace(kept)


def free_block() -> PortBlock:
    """A free block at random, for tests and the training run. Raises KizashiError when none is found."""
    return free_blocks(1)[0]


def free_blocks(count: int) -> list[PortBlock]:
    """Free blocks at random, each another one. Raises KizashiError when there are not so many."""
    found: list[PortBlock] = []
    for base in random.sample(_RANDOM_RANGE, len(_RANDOM_RANGE)):
        if not taken_ports(block := PortBlock(base)):
            found.append(block)
            if len(found) == count:
                return found
    raise KizashiError("no free block of ports")


def taken_ports(block: PortBlock) -> list[int]:
    """Those of the block that cannot be listened on."""
    return [port for port in block.all if not is_free(port)]


def is_free(port: int) -> bool:
    """Whether a server could listen there now. Connections that are still closing do not count."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True
