"""Explanation of what alert rules did on a recording, and why."""

from __future__ import annotations

from collections.abc import Iterator

from ..display import duration
from ..streaming.events import StreamEvent
from ..streaming.stream import StreamWindow
from .rules import Rule, RuleState, Step


class Explanation:
    """The steps of each rule, and how near it came to an alert.

    Args:
        states: the rules as they watch the stream.
    """

    def __init__(self, states: list[RuleState]) -> None:
        self._rules = [state.rule for state in states]
        self._steps: dict[str, list[Step]] = {rule.name: [] for rule in self._rules}
        self._highest = dict.fromkeys(self._steps, 0.0)
        self._windows = 0

    def add(self, result: StreamWindow | StreamEvent, steps: list[Step]) -> None:
        """Take a result of the stream and the changes that it brought."""
        if isinstance(result, StreamWindow):
            self._windows += 1
            for rule in self._rules:
                highest = max(self._highest[rule.name], rule.level(result))
                self._highest[rule.name] = highest
        self.add_steps(steps)

    def add_steps(self, steps: list[Step]) -> None:
        """Take changes that no result brought: those of the end."""
        for step in steps:
            self._steps[step.rule.name].append(step)

    def text(self) -> str:
        """All rules, each with its steps and its sum, as lines."""
        return "\n".join(line for rule in self._rules for line in self._lines(rule)) + "\n"

    def _lines(self, rule: Rule) -> Iterator[str]:
        steps = self._steps[rule.name]
        yield rule.text()
        for step in steps:
            yield f"{step.time:10.1f} s  {step.level:4.0%}  {_words(step)}"
        alerts = [step.held for step in steps if step.kind == "end"]
        count = "1 alert" if len(alerts) == 1 else f"{len(alerts)} alerts"
        yield (
            f"  → {count}, {duration(sum(alerts))} in all; highest level "
            f"{self._highest[rule.name]:.0%} in {self._windows} windows"
        )


def _words(step: Step) -> str:
    if step.event is not None:
        return step.event.text()
    rule, held = step.rule, duration(step.held)
    words = {
        "reached": f"reached {rule.enter:.0%}",
        "fell back": f"below {rule.enter:.0%} after {held} of {duration(rule.enter_for)}",
        "quiet": f"no alert: within {duration(rule.quiet)} after the last one",
        "below": f"below {rule.leave:.0%}",
        "returned": f"back after {held} of {duration(rule.leave_for)}: the alert goes on",
    }
    return words[step.kind]
