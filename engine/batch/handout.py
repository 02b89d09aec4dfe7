"""Recordings shared out among workers, some of which die over them."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence

from .discover import InputFile
from .outcome import Outcome, failure_row


class Handout:
    """The recordings of a batch that no worker has, and the workers that died over each.

    A recording that may have killed a worker is given alone, so that it takes no other with it; it
    is a failure after ``most_deaths``.

    Args:
        items: the recordings.
        most_deaths: workers that may die over a recording before it is a failure.
    """

    def __init__(self, items: Iterable[InputFile], most_deaths: int) -> None:
        self.todo = deque(items)
        """Recordings that no worker has."""
        self.left = len(self.todo)
        """Recordings without an outcome; counted down by the user."""
        self.most_deaths = most_deaths
        self._deaths: Counter[str] = Counter()
        """Workers that died over each recording, by its path."""

    def give(self, hand: deque[InputFile], most: int) -> list[InputFile]:
        """Recordings for a worker, added to those that it has.

        Args:
            hand: recordings that it was given and has not answered, in order.
            most: number that it may have.
        """
        given: list[InputFile] = []
        while self.todo and len(hand) < most:
            suspect = self._deaths[self.todo[0].path] > 0
            if suspect and hand:
                break
            item = self.todo.popleft()
            hand.append(item)
            given.append(item)
            if suspect:
                break
        return given

    def take_back(self, hand: Sequence[InputFile]) -> None:
        """Queue the recordings of a worker that died before it touched one."""
        self.todo.extendleft(reversed(hand))

    def bury(self, hand: Sequence[InputFile], touched: int, reason: str) -> Iterator[Outcome]:
        """Queue the recordings of a worker that died; failures of those that too many died over.

        Args:
            hand: recordings that it had, in order.
            touched: number of them that it may have begun.
            reason: reason of its death.
        """
        for number, item in enumerate(hand):
            self._deaths[item.path] += number < touched
            if self._deaths[item.path] >= self.most_deaths:
                message = f"{item.file}: a worker process died over it ({reason})"
                yield Outcome(item, failure_row(item, "WorkerDied", message, 1))
            else:
                self.todo.append(item)
