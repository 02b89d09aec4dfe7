"""Recordings shared out among workers, some of which die over them."""

from __future__ import annotations

import itertools
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence

from .inputs.input_file import InputFile
from .outcome import Outcome, failure_row


class Handout:
    """The recordings of a batch that no worker has, and the workers that died over each.

    A recording that may have killed a worker is given alone, so that it takes no other with it; it
    is a failure after ``most_deaths``.

    Args:
        items: the recordings; pulled when a worker has room for them.
        most_deaths: workers that may die over a recording before it is a failure.
    """

    def __init__(self, items: Iterable[InputFile], most_deaths: int) -> None:
        self._items = iter(items)
        self.todo: deque[InputFile] = deque()
        """Recordings that were pulled, and that no worker has touched."""
        self._again: deque[InputFile] = deque()
        """Recordings of workers that died, given after all others."""
        self.left = 0
        """Recordings that were pulled, and have no outcome; counted down by the user."""
        self.most_deaths = most_deaths
        self._deaths: Counter[str] = Counter()
        """Workers that died over each recording, by its path."""

    @property
    def unfinished(self) -> bool:
        """True while there are recordings without an outcome."""
        return self.left > 0 or self.pending() > 0

    def pending(self, most: int = 1) -> int:
        """Number of recordings that no worker has; up to ``most`` are pulled to be among them."""
        pulled = list(itertools.islice(self._items, max(0, most - len(self.todo))))
        self.todo.extend(pulled)
        self.left += len(pulled)
        return len(self.todo) + len(self._again)

    def give(self, hand: deque[InputFile], most: int) -> list[InputFile]:
        """Recordings for a worker, added to those that it has.

        Args:
            hand: recordings that it was given and has not answered, in order.
            most: number that it may have.
        """
        given: list[InputFile] = []
        while len(hand) < most and self.pending():
            queue = self.todo or self._again
            suspect = self._deaths[queue[0].path] > 0
            if suspect and hand:
                break
            item = queue.popleft()
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
                self._again.append(item)
