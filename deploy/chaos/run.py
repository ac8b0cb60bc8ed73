"""A campaign from its start to its verdict."""

import asyncio
import os
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from deploy.chaos.books import read_books, spool_files
from deploy.chaos.checker import check, expect
from deploy.chaos.disturber import AGAIN_S, Disturber
from deploy.chaos.fading import Fading, beside
from deploy.chaos.fading_check import check_fading, until_quiet
from deploy.chaos.load import Load, wave
from deploy.chaos.plan import Fault, draw
from deploy.chaos.settling import until_delivered, until_up
from deploy.chaos.stack import SufferingStack, suffering_stack
from deploy.demo.expectation import MODEL
from deploy.demo.feed import Sent
from deploy.demo.plain_model import read_model
from deploy.demo.watching import Watcher
from deploy.local.report import Part, Report
from deploy.local.services import service_env
from shared.errors import KizashiError
from shared.settings import Settings, load


@dataclass(frozen=True, slots=True)
class Options:
    """What a campaign is asked for; `plant` names a bug that is put in on purpose, `lure` are faults for it.

    With `fading`, time, people and publications change scores meanwhile.
    """

    seed: int
    kills: int
    others: int
    activities: int
    per_second: float
    plant: str = ""
    lure: Sequence[Fault] = ()
    fading: bool = False
    data_dir: Path | None = None


@dataclass(slots=True)
class Verdict:
    """What was done, and every difference between the books and what they should hold."""

    options: Options
    faults: Counter[tuple[str, str]] = field(default_factory=Counter)
    sent: Sent = field(default_factory=Sent)
    activities: int = 0
    leads: int = 0
    qualified: int = 0
    delivered: int = 0
    attempts: int = 0
    seconds: float = 0.0
    settled_s: float = 0.0
    faded: Fading | None = None
    differences: list[str] = field(default_factory=list)

    @property
    def kills(self) -> int:
        """How many processes were killed."""
        return sum(count for (kind, _), count in self.faults.items() if kind == "kill")


def run(options: Options, report: Report) -> Verdict:
    """Run a campaign on a stack of its own. Raises KizashiError when the stack does not start."""
    verdict = Verdict(options)
    began = time.monotonic()
    with (
        _folder(options.data_dir) as folder,
        suffering_stack(folder, report, seed=options.seed, plant=options.plant, fading=options.fading) as stack,
    ):
        load_ = _suffer(options, stack, report, verdict)
        healed = time.monotonic()
        asyncio.run(_check(options, stack, load_, report, verdict))
        verdict.settled_s = time.monotonic() - healed
    verdict.seconds = time.monotonic() - began
    return verdict


def _suffer(options: Options, stack: SufferingStack, report: Report, verdict: Verdict) -> Load:
    """Load and faults together; returns what was sent."""
    plan: list[Fault] = [*draw(options.seed, options.kills, options.others), *options.lure]
    disturber = Disturber(stack, report)
    with report.part("Faults", "done", len(plan)) as part:
        load_ = Load(
            url=stack.state.addresses.services["ingest"],
            key=stack.data.cli_key.read_text(encoding="ascii").strip(),
            kafka=_settings(stack).kafka,
            seed=options.seed,
            per_second=options.per_second,
            at_least=options.activities,
            on_progress=lambda _: None,
        )
        sender = threading.Thread(target=load_.run, name="load", daemon=True)
        sender.start()
        try:
            while sender.is_alive() and not load_.sent.activities:
                time.sleep(AGAIN_S)
            with beside(stack, options.seed) if options.fading else nullcontext() as verdict.faded:
                disturber.run(plan, partial(_advance, part, verdict.faded, len(plan)))
        finally:
            load_.stop.set()
    with report.part("Activities", "sent", options.activities) as part:
        while sender.is_alive():
            sender.join(0.5)
            part.advance(min(load_.sent.activities, options.activities), options.activities)
    if load_.error is not None:
        raise KizashiError(f"the load could not be sent: {load_.error}") from load_.error
    verdict.faults, verdict.sent = disturber.done, load_.sent
    return load_


def _advance(part: Part, faded: Fading | None, of: int, done: int) -> None:
    part.advance(done, of)
    if faded is not None:
        faded.progress(done, of)


async def _check(options: Options, stack: SufferingStack, load_: Load, report: Report, verdict: Verdict) -> None:
    settings = _settings(stack)
    model = read_model(MODEL)
    with report.part("Expectation", "computed", load_.waves) as part:
        expected = []
        for number in range(load_.waves):
            expected.append(expect(wave(options.seed, number), model))
            part.advance(number + 1, load_.waves)
    verdict.activities = sum(one.activities for one in expected)
    verdict.leads = sum(len(one.outcomes) for one in expected)
    database = settings.database.url.get_secret_value()
    total = verdict.activities + (len(verdict.faded.sent) if verdict.faded else 0)
    with report.part("Activities", "counted", total) as part:
        await until_up(stack)
        async with Watcher(settings) as watcher:
            try:
                await watcher.until_counted(total, lambda done: part.advance(done, total))
                if verdict.faded is not None:
                    await until_quiet(database)
                await watcher.until_handed_over(0)
            except KizashiError as error:
                verdict.differences.append(str(error))
    with report.part("Books", "checked"):
        database = settings.database.url.get_secret_value()
        if not await until_delivered(stack, database):
            verdict.differences.append("deliveries do not come to an end")
        books = await read_books(settings.kafka, database, stack.receiver.seen)
        if verdict.faded is not None:
            verdict.differences += await check_fading(books, verdict.faded, settings.kafka, database)
        books.left["files in the spool"] = spool_files(stack.data.path / "spool")
        verdict.qualified = len(books.qualified)
        seen = stack.receiver.seen
        verdict.delivered, verdict.attempts = len(seen.answered), seen.attempts.total()
        verdict.differences += check(books, expected, load_.broken, load_.doubtful)


def _settings(stack: SufferingStack) -> Settings:
    """The servers themselves, without the gates."""
    now = stack.state
    return load(Settings, service_env(os.environ, stack.data, now.addresses, now.config_dir, 1))


@contextmanager
def _folder(given: Path | None) -> Iterator[Path]:
    """Another account passes through, as PostgreSQL does not run as root. A folder that was named stays."""
    if given is not None:
        given.mkdir(parents=True, exist_ok=True)
        yield given.resolve()
        return
    with tempfile.TemporaryDirectory(prefix="kizashi-chaos-", ignore_cleanup_errors=True) as name:
        folder = Path(name).resolve()
        folder.chmod(0o711)
        yield folder
