"""Alert rules and their state: a level to enter, a lower one to leave, durations, quiet time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from ..display import duration
from ..errors import OptionError
from ..streaming.events import SourceLost, StreamEvent
from ..streaming.stream import StreamWindow

EndReason = Literal["left", "lost", "ended"]
"""The level was left, the source was lost, or the stream ended."""

StepKind = Literal["reached", "fell back", "quiet", "start", "below", "returned", "end"]
"""Changes of a rule's state: the level was reached; was left before it counted; would have counted,
in quiet time; an alert started; the level fell below; came back in time; the alert ended."""

ROUNDING = 1e-6
"""Seconds and probabilities that are less than this apart are equal: times are sums of hops."""


@dataclass(frozen=True)
class Rule:
    """Conditions of one kind of alert."""

    name: str
    emotions: tuple[str, ...]
    """Label ids whose probabilities are added up to the level."""
    enter: float
    """Level from which an alert starts."""
    leave: float
    """Level below which it ends, at most ``enter``."""
    enter_for: float = 0.0
    """Seconds that the level has to stay at ``enter`` or above."""
    leave_for: float = 0.0
    """Seconds that it has to stay below ``leave``."""
    quiet: float = 0.0
    """Seconds after an alert in which no other starts."""
    sources: tuple[str, ...] = ()
    """Names of the sources that the rule is for; all if there are none."""

    def level(self, window: StreamWindow) -> float:
        """Level of a window, 0 if it is silent."""
        return 0.0 if window.silent else sum(window.scores[label] for label in self.emotions)

    def text(self) -> str:
        """The rule in words."""
        entered = f" for {duration(self.enter_for)}" if self.enter_for else ""
        left = f" for {duration(self.leave_for)}" if self.leave_for else ""
        quiet = f"; then none for {duration(self.quiet)}" if self.quiet else ""
        return (
            f"{self.name}: an alert starts at {' + '.join(self.emotions)} ≥ {self.enter:.0%}"
            f"{entered}, and ends below {self.leave:.0%}{left}{quiet}"
        )


@dataclass(frozen=True)
class AlertStart(StreamEvent):
    """An alert began."""

    event = "alert.start"

    rule: str
    emotions: tuple[str, ...]
    level: float
    """Sum of the probabilities of the emotions."""
    since: float
    """Time in the stream at which the level was reached."""

    def text(self) -> str:
        """The event in a line for people."""
        return (
            f"ALERT {self.rule} at {self.time:.1f} s: {' + '.join(self.emotions)} {self.level:.0%}"
        )


@dataclass(frozen=True)
class AlertEnd(StreamEvent):
    """An alert is over."""

    event = "alert.end"

    rule: str
    emotions: tuple[str, ...]
    started: float
    """Time in the stream at which it started."""
    seconds: float
    """Length of the alert."""
    peak: float
    """Highest level in it."""
    reason: EndReason

    def text(self) -> str:
        """The event in a line for people."""
        return (
            f"end of {self.rule} at {self.time:.1f} s ({self.reason}), after "
            f"{duration(self.seconds)}, peak {self.peak:.0%}"
        )


@dataclass(frozen=True)
class Step:
    """A change of a rule's state, and the reason for it."""

    rule: Rule
    kind: StepKind
    time: float
    """Seconds from the start of the stream: the end of the window that brought it."""
    level: float
    held: float
    """Seconds that the condition of the state before had held: that of entering, of the alert, or
    of leaving."""
    event: AlertStart | AlertEnd | None = None
    """Event that tells of it, of a start or an end."""


class RuleState:
    """One rule over the windows of one stream, in order of time."""

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self._since: float | None = None
        """Time since which the level is at ``enter`` or above, before an alert."""
        self._quiet_told = False
        self._quiet_until = 0.0
        self._started: float | None = None
        """Time at which the present alert started."""
        self._below: float | None = None
        """Time since which the level is below ``leave``, in an alert."""
        self._peak = 0.0

    def update(self, time: float, level: float) -> Iterator[Step]:
        """Take the level at a time: the changes that it brings."""
        yield from (self._idle if self._started is None else self._active)(time, level)

    def interrupt(self, time: float, reason: EndReason) -> Iterator[Step]:
        """Forget what was heard: the audio does not go on from here."""
        self._since = None
        if self._started is not None:
            yield self._end(time, 0.0, reason)

    def _idle(self, time: float, level: float) -> Iterator[Step]:
        rule = self.rule
        if level < rule.enter - ROUNDING:
            if self._since is not None:
                yield Step(rule, "fell back", time, level, time - self._since)
            self._since, self._quiet_told = None, False
            return
        if self._since is None:
            self._since = time
            yield Step(rule, "reached", time, level, 0.0)
        held = time - self._since
        if held < rule.enter_for - ROUNDING:
            return
        if time < self._quiet_until - ROUNDING:
            if not self._quiet_told:
                yield Step(rule, "quiet", time, level, held)
            self._quiet_told = True
            return
        event = AlertStart(time, rule.name, rule.emotions, level, self._since)
        self._started, self._peak = time, level
        self._since, self._quiet_told = None, False
        yield Step(rule, "start", time, level, held, event)

    def _active(self, time: float, level: float) -> Iterator[Step]:
        rule = self.rule
        self._peak = max(self._peak, level)
        if level >= rule.leave - ROUNDING:
            if self._below is not None:
                yield Step(rule, "returned", time, level, time - self._below)
            self._below = None
            return
        if self._below is None:
            self._below = time
            if rule.leave_for:
                yield Step(rule, "below", time, level, 0.0)
        if time - self._below >= rule.leave_for - ROUNDING:
            yield self._end(time, level, "left")

    def _end(self, time: float, level: float, reason: EndReason) -> Step:
        started = time if self._started is None else self._started
        rule, seconds = self.rule, time - started
        event = AlertEnd(time, rule.name, rule.emotions, started, seconds, self._peak, reason)
        self._started = self._below = None
        self._quiet_until = time + rule.quiet
        return Step(rule, "end", time, level, seconds, event)


class Watch:
    """All rules over one stream.

    Args:
        rules: rules for this source.
        labels: label ids that its windows have.

    Raises:
        OptionError: a rule is about an emotion that the model does not tell.
    """

    def __init__(self, rules: Iterable[Rule], labels: Iterable[str]) -> None:
        self.states = [RuleState(rule) for rule in rules]
        known = tuple(labels)
        wrong = [
            f"rule {state.rule.name!r}: {label!r} is no label of this model; give "
            f"{', '.join(known)}"
            for state in self.states
            for label in state.rule.emotions
            if label not in known
        ]
        if wrong:
            raise OptionError("; ".join(wrong))

    def feed(self, result: StreamWindow | StreamEvent) -> Iterator[Step]:
        """Take the next result of the stream: the changes that it brings."""
        for state in self.states:
            if isinstance(result, StreamWindow):
                yield from state.update(result.end, state.rule.level(result))
            elif isinstance(result, SourceLost):
                yield from state.interrupt(result.time, "lost")

    def end(self, time: float) -> Iterator[Step]:
        """End the stream."""
        for state in self.states:
            yield from state.interrupt(time, "ended")


def rules_for(rules: Iterable[Rule], source: str) -> list[Rule]:
    """The rules that are for a source of that name."""
    return [rule for rule in rules if not rule.sources or source in rule.sources]
