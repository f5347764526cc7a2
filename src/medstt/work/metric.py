"""The Prometheus metrics of one process, in a registry of their own; labels are fixed words, never ids or texts.

Knows nothing of where they are served.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800)


class _Reading(Collector):
    """A gauge family read when it is scraped."""

    def __init__(self, name: str, text: str, label: str, read: Callable[[], Mapping[str, float]]) -> None:
        self._name, self._text, self._label, self._read = name, text, label, read

    def describe(self) -> list[GaugeMetricFamily]:
        """Name the family without reading it."""
        return [GaugeMetricFamily(self._name, self._text, labels=[self._label])]

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Read the values."""
        family = GaugeMetricFamily(self._name, self._text, labels=[self._label])
        for key, value in self._read().items():
            family.add_metric([key], value)
        yield family


class Metrics:
    """Counters and histograms of requests and of work."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.requests = Counter(
            "medstt_requests_total", "Requests answered", ["method", "route", "status"], registry=self._registry
        )
        self.request_seconds = Histogram(
            "medstt_request_seconds", "Time to answer", ["route"], buckets=SECONDS, registry=self._registry
        )
        self.processed = Counter(
            "medstt_dictations_processed_total", "Attempts by outcome", ["outcome"], registry=self._registry
        )
        self.processing_seconds = Histogram(
            "medstt_processing_seconds", "Time from claim to ready", buckets=SECONDS, registry=self._registry
        )
        self.audio_seconds = Counter(
            "medstt_audio_seconds_total", "Length of recordings transcribed", ["route"], registry=self._registry
        )
        self.busy = Gauge("medstt_workers_busy", "Workers with a dictation in hand", registry=self._registry)
        self.models = Counter("medstt_model_events_total", "Loads, swaps, refusals", ["event"], registry=self._registry)

    def watch(self, name: str, text: str, label: str, read: Callable[[], Mapping[str, float]]) -> None:
        """Add a gauge family that is read at each scrape."""
        self._registry.register(_Reading(name, text, label, read))

    def render(self) -> bytes:
        """Return the exposition format."""
        return generate_latest(self._registry)
