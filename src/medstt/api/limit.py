"""Token buckets: so many requests a minute per name, in this process. Knows nothing of who is named."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable

REMEMBERED = 10_000


class RateLimit:
    """Allows ``per_minute`` with a burst of as many; safe between threads."""

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._full, self._rate, self._clock = float(per_minute), per_minute / 60, clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._lock = threading.Lock()

    def wait_s(self, name: str, cost: float = 1.0) -> float:
        """Take ``cost`` tokens and return 0, or take none and return how many seconds until there are enough."""
        with self._lock:
            now = self._clock()
            level, seen = self._buckets.pop(name, (self._full, now))
            level = min(self._full, level + (now - seen) * self._rate)
            enough = level >= cost
            self._buckets[name] = (level - cost if enough else level, now)
            if len(self._buckets) > REMEMBERED:
                self._buckets.popitem(last=False)
            return 0.0 if enough else (cost - level) / self._rate
