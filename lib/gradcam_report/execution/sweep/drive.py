"""Bring points to their end on some engine: as many at once as it takes, failed ones again, a word about each."""

import contextlib
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from .attempt import Outcome
from .plan import FAILED, STARTED, Sweep

PAUSE = 2.0  # seconds before the second attempt, twice as many before the third, and so on
MOST_TURNS = 6  # a folder in use is tried so often, however few retries are asked for: who holds it may end soon


class Engine(Protocol):
    """What executes points: local processes, or Ray."""

    @property
    def capacity(self) -> int:
        """How many points it takes at a time."""

    def submit(self, slug: str) -> None:
        """Begin an attempt at a point."""

    def finished(self, timeout: float) -> list[tuple[str, Outcome]]:
        """The attempts that have ended since the last call; waits for the first one, for `timeout` seconds at most."""

    def stop(self) -> None:
        """End all attempts; called once, whatever happened."""


@dataclass
class Progress:
    """What has become of each point so far."""

    total: int
    outcomes: dict[str, Outcome] = field(default_factory=dict)  # of the points that have ended, well or not
    attempts: dict[str, int] = field(default_factory=dict)
    flying: dict[str, float] = field(default_factory=dict)  # those under way, with when they were begun

    def seconds_left(self, capacity: int) -> float | None:
        """How long the rest will take, from how long the finished points took; None before there is one."""
        took = [o.seconds for o in self.outcomes.values() if not o.sentence]
        if not took:
            return None
        each, rest = sum(took) / len(took), self.total - len(self.outcomes)
        flown = sum(min(each, time.monotonic() - begun) for begun in self.flying.values())
        return (each * rest - flown) / max(1, min(capacity, rest))


Tell = Callable[[str, str, Outcome | None], None]  # ("started" | "again" | "ended", slug, outcome)


def drive(sweep: Sweep, slugs: Sequence[str], engine: Engine, retries: int, tell: Tell, progress: Progress) -> None:
    """Execute `slugs` on `engine`, each again after a failure that may pass, up to `retries` times; fills `progress`.

    A point that fails for good stops no other one. The engine is stopped when all are done, and at any exception.
    """
    waiting, later, silent = deque(slugs), list[tuple[float, str]](), set[str]()
    try:
        while waiting or later or progress.flying:
            due = [slug for when, slug in later if when <= time.monotonic()]
            later = [(when, slug) for when, slug in later if slug not in due]
            waiting.extendleft(due)
            while waiting and len(progress.flying) < engine.capacity:
                slug = waiting.popleft()
                for mark in (STARTED, FAILED):
                    with contextlib.suppress(OSError):  # the attempt will say what is wrong there
                        (sweep.point_folder(slug) / mark).unlink(missing_ok=True)
                progress.attempts[slug] = progress.attempts.get(slug, 0) + 1
                progress.flying[slug] = time.monotonic()
                silent.add(slug)
                engine.submit(slug)
            if not progress.flying:
                time.sleep(0.2)  # until what failed is due again
                continue
            ended = engine.finished(0.5)
            for slug in [s for s in silent if (sweep.point_folder(s) / STARTED).exists()]:
                silent.discard(slug)
                tell("started", slug, None)
            for slug, outcome in ended:
                progress.flying.pop(slug, None)
                silent.discard(slug)
                if pause := _pause(outcome, progress.attempts[slug], retries):
                    later.append((time.monotonic() + pause, slug))
                    tell("again", slug, outcome)
                else:
                    progress.outcomes[slug] = outcome
                    tell("ended", slug, outcome)
    finally:
        engine.stop()


def _pause(outcome: Outcome, attempts: int, retries: int) -> float:
    """Seconds to wait before another attempt at a point; 0 where there is none."""
    allowed = max(retries, MOST_TURNS) if "is in use by" in outcome.sentence else retries
    return PAUSE * attempts if outcome.sentence and outcome.again and attempts <= allowed else 0.0
