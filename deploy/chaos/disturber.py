"""Carries out a plan on a suffering stack, one fault after the other, each ended in its time."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from deploy.chaos.plan import NETWORK, SUPERVISOR, Fault
from deploy.chaos.stack import SufferingStack
from deploy.local.report import Report, Silent
from shared.errors import KizashiError

SMALL_FILE = 4_096
AGAIN_S = 0.1
FOUND_WITHIN_S = 90.0


@dataclass(slots=True)
class Disturber:
    """`done` counts what was carried out, by kind and target."""

    stack: SufferingStack
    report: Report
    done: Counter[tuple[str, str]] = field(default_factory=Counter)
    _ends: list[threading.Timer] = field(default_factory=list)

    def run(self, plan: Sequence[Fault], carried_out: Callable[[int], None]) -> None:
        """All faults of the plan; on return nothing is disturbed any more. Raises KizashiError when a process that is
        to be hit does not come back.
        """
        try:
            for number, fault in enumerate(plan, 1):
                self._begin(fault)
                self.done[fault.kind, fault.target] += 1
                carried_out(number)
                time.sleep(fault.pause)
        finally:
            for end in self._ends:
                end.join()

    def _begin(self, fault: Fault) -> None:
        if fault.kind == "kill":
            self._kill(fault.target)
        elif fault.kind == "freeze":
            self._freeze(fault)
        elif fault.kind == "clock_jump":
            self.stack.set_clock(fault.target, fault.size)
            self._end_later(fault, lambda: self.stack.set_clock(fault.target, 0))
        elif fault.kind == "disk_full":
            self._fill_disk(fault)
        elif fault.kind in NETWORK:
            self.stack.gates.disturb(fault.kind, fault.target, fault.seconds, fault.size)
            self._end_later(fault, lambda: self.stack.gates.heal(fault.target))

    def _kill(self, target: str) -> None:
        """Whoever is to be killed must be there: a plan counts kills that hit."""
        self._until(target, lambda: self.stack.kill(target))
        if target == SUPERVISOR:
            self.stack.start(Silent())

    def _freeze(self, fault: Fault) -> None:
        pids: list[int] = []

        def stopped() -> bool:
            pids.extend(self.stack.freeze(fault.target))
            return bool(pids)

        self._until(fault.target, stopped)
        self._end_later(fault, lambda: self.stack.thaw(pids))

    def _fill_disk(self, fault: Fault) -> None:
        """Kafka out of reach as well, so that the disk is needed."""
        link = f"{fault.target}-kafka"
        self.stack.gates.disturb("cut", link, fault.seconds, 0)
        self.stack.limit_files(fault.target, SMALL_FILE)

        def heal() -> None:
            self.stack.limit_files(fault.target, -1)
            self.stack.gates.heal(link)

        self._end_later(fault, heal)

    def _end_later(self, fault: Fault, end: Callable[[], None]) -> None:
        timer = threading.Timer(fault.seconds, end)
        timer.daemon = True
        timer.start()
        self._ends = [one for one in self._ends if one.is_alive()] + [timer]

    def _until(self, target: str, hit: Callable[[], bool]) -> None:
        deadline = time.monotonic() + FOUND_WITHIN_S
        while not hit():
            if time.monotonic() > deadline:
                raise KizashiError(f"{target} did not come back within {FOUND_WITHIN_S:.0f} s")
            time.sleep(AGAIN_S)
