"""Runs steps as soon as what they wait for is done: no step waits for others that do not concern it.

Of those that can begin, the one with the longest chain of others behind it comes first. What a cluster takes its time
for (pods that stop, a Namespace that is emptied) stands in long chains, so it goes on while short ones are run.
"""

from __future__ import annotations

import heapq
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from espalier.engine.order import Node

_THREADS = 16
_Rank = tuple[int, Node, Node]
"""Height, the node without its kind, the node: the smallest begins first."""

Done = Callable[[bool], None]
"""Says that a step is over, and whether it was done; from any thread, once."""
Begin = Callable[[Node, Done], None]
"""Begins a step; it may be over long after this returns."""


class Schedule:
    """Steps with what must be done before each."""

    def __init__(self, before: Mapping[Node, set[Node]]) -> None:
        nodes = {*before, *(node for first in before.values() for node in first)}
        self._open = {node: set(before.get(node, ())) for node in sorted(nodes)}
        self._after: dict[Node, list[Node]] = {}
        for node, first in self._open.items():
            for each in first:
                self._after.setdefault(each, []).append(node)
        self._changed = threading.Condition()
        self._running = 0
        self._free = _THREADS
        """How many threads have nothing to do: what is begun next is chosen only when one has."""
        self._heights = _heights(self._open, self._after)
        self._ready: list[_Rank] = []
        self._failed: set[Node] = set()
        for node, first in self._open.items():
            if not first:
                self._put_ready(node)

    def _put_ready(self, node: Node) -> None:
        # Namespace by namespace, so that the first is emptied long before the last.
        heapq.heappush(self._ready, (-self._heights.get(node, 0), node[2:], node))

    def run(self, begin: Begin) -> list[Node]:
        """Runs all that can be run; gives the steps that were not, since one before them failed."""
        begun: list[Future[None]] = []
        with ThreadPoolExecutor(_THREADS, thread_name_prefix="delete") as pool:
            while (node := self._next()) is not None:
                begun.append(pool.submit(self._begin, begin, node))
        for each in begun:
            each.result()
        return sorted(self._open)

    def _begin(self, begin: Begin, node: Node) -> None:
        raised = True
        try:
            begin(node, lambda done: self._over(node, done))
            raised = False
        finally:
            if raised:
                self._over(node, False)
            with self._changed:
                self._free += 1
                self._changed.notify_all()

    def _next(self) -> Node | None:
        with self._changed:
            while True:
                if not self._ready and not self._running:
                    self._break_a_circle()
                if self._ready and self._free:
                    self._free -= 1
                    node = heapq.heappop(self._ready)[-1]
                    del self._open[node]
                    self._running += 1
                    return node
                if not self._ready and not self._running:
                    return None
                self._changed.wait()

    def _over(self, node: Node, done: bool) -> None:
        with self._changed:
            self._running -= 1
            if not done:
                self._failed.add(node)
            for after in self._after.get(node, ()) if done else ():
                first = self._open.get(after)
                if first is not None:
                    first.discard(node)
                    if not first:
                        self._put_ready(after)
            self._changed.notify_all()

    def _break_a_circle(self) -> None:
        """Inventories of several runs may contradict each other: then one of the circle goes first."""
        blocked = set(self._failed)
        while True:
            more = {node for node, first in self._open.items() if node not in blocked and first & blocked}
            if not more:
                break
            blocked |= more
        free = [node for node in self._open if node not in blocked]
        if free:
            self._open[free[0]].clear()
            self._put_ready(free[0])


def _heights(before: Mapping[Node, set[Node]], after: Mapping[Node, Sequence[Node]]) -> dict[Node, int]:
    """How many steps the longest chain behind each has; without those of a circle, and what stands before one."""
    heights: dict[Node, int] = {}
    open_ = {node: len(after.get(node, ())) for node in before}
    rest = [node for node, count in open_.items() if not count]
    while rest:
        node = rest.pop()
        heights[node] = 1 + max((heights[each] for each in after.get(node, ())), default=-1)
        for each in before[node]:
            open_[each] -= 1
            if not open_[each]:
                rest.append(each)
    return heights
