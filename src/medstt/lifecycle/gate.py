"""The promotion gate: what a challenger must show, read from a file, and the verdict with its reasons.

A pure decision over scored runs and their comparisons. Knows nothing of models, decoding or where a verdict is kept.
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from medstt.errors import DataError
from medstt.evaluate.compare import Comparison, Difference
from medstt.evaluate.summary import decode_estimate
from medstt.evaluate.table import Estimate
from medstt.metrics.rate import RATE, Rate

POINT = 100.0
MEASURABLE_MS = 20  # below this, a ratio of latencies is noise


class Section(BaseModel):
    """A table of the gate's file; unknown keys are errors."""

    model_config = ConfigDict(extra="forbid")


class Rule(Section):
    """One rate on some benchmarks: how much worse it may be, and how bad at most where there is no champion."""

    rate: str
    benchmarks: list[str] = Field(min_length=1)
    margin: float = Field(ge=0, description="percentage points")
    ceiling: float = Field(ge=0, description="percentage points; a floor for rates of which higher is better")
    events: int | None = Field(None, description="evidence asked for; the rate's own if not given")
    optional: bool = Field(False, description="a benchmark that was not run is passed over")

    @field_validator("rate")
    @classmethod
    def _known(cls, value: str) -> str:
        if value not in RATE:
            raise ValueError(f"unknown rate {value!r}")
        return value


class Gate(Section):
    """The whole file."""

    version: int
    failed_requests: int = 0
    worse_share: float = Field(ge=0, le=100)
    p95_ratio: float = Field(gt=0)
    rules: list[Rule] = Field(min_length=1)

    @property
    def benchmarks(self) -> list[str]:
        """Every benchmark that a rule reads, in order."""
        return list(dict.fromkeys(name for rule in self.rules for name in rule.benchmarks))

    def is_optional(self, benchmark: str) -> bool:
        """Tell whether only optional rules read a benchmark."""
        return all(rule.optional for rule in self.rules if benchmark in rule.benchmarks)


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of the challenger on one benchmark; the champion's part is None where there is no champion."""

    challenger: Mapping[str, Any]
    champion: Mapping[str, Any] | None = None
    comparison: Comparison | None = None


@dataclass(frozen=True, slots=True)
class Check:
    """One question and its answer, as a sentence for a reader."""

    passed: bool
    reason: str


@dataclass(frozen=True, slots=True)
class Decision:
    """The verdict: passed only if every check passed."""

    checks: tuple[Check, ...]

    @property
    def passed(self) -> bool:
        """Tell whether the challenger may be promoted."""
        return bool(self.checks) and all(check.passed for check in self.checks)

    @property
    def reasons(self) -> tuple[str, ...]:
        """What was refused, or else what was shown."""
        return tuple(check.reason for check in self.checks if check.passed == self.passed)


def read_gate(path: Path) -> tuple[Gate, str]:
    """Read a gate and its identity (version and digest); raises DataError naming the key that is wrong."""
    try:
        content = path.read_bytes()
        gate = Gate.model_validate(tomllib.loads(content.decode("utf-8")))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise DataError(f"{path}: {error}", "Correct the gate's file") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "gate"
        raise DataError(f"{path.name}: {where}: {first['msg']}", "Correct the gate's file") from error
    return gate, f"{gate.version}:{hashlib.sha256(content).hexdigest()[:16]}"


def decide(gate: Gate, evidence: Mapping[str, Evidence]) -> Decision:
    """Decide on a challenger from the evidence by benchmark; what is missing, or too little, blocks."""
    checks: list[Check] = []
    for rule in gate.rules:
        for benchmark in rule.benchmarks:
            if benchmark in evidence:
                checks += _check_rule(rule, benchmark, evidence[benchmark])
            elif not rule.optional:
                checks.append(Check(False, f"{benchmark}: not run"))
    for benchmark, found in evidence.items():
        checks += _check_run(gate, benchmark, found)
    return Decision(tuple(checks))


def _check_rule(rule: Rule, benchmark: str, evidence: Evidence) -> Iterator[Check]:
    rate = RATE[rule.rate]
    for pool, part in evidence.challenger["pools"].items():
        estimate = decode_estimate(part["rates"].get(rule.rate))
        needed = rate.evidence if rule.events is None else rule.events
        name = f"{benchmark} ({pool}): {rate.title}"
        if estimate.events < max(1, needed):
            yield Check(False, f"{name}: not enough evidence ({estimate.events} of {needed} events)")
        elif evidence.comparison is not None:
            yield _compare(rule, rate, name, evidence.comparison.pools.get(pool, {}).get(rule.rate))
        else:
            yield _bound(rule, rate, name, estimate)


def _compare(rule: Rule, rate: Rate, name: str, difference: Difference | None) -> Check:
    if difference is None or difference.value is None or difference.low is None or difference.high is None:
        return Check(False, f"{name}: cannot be compared with the champion")
    harm = -difference.low if rate.higher_is_better else difference.high
    change = f"{difference.value * POINT:+.2f} points [{difference.low * POINT:+.2f}, {difference.high * POINT:+.2f}]"
    if harm * POINT <= rule.margin:
        return Check(True, f"{name}: {change}, within {rule.margin:g}")
    return Check(False, f"{name}: {change} against the champion, more than {rule.margin:g} points cannot be ruled out")


def _bound(rule: Rule, rate: Rate, name: str, estimate: Estimate) -> Check:
    if estimate.value is None or estimate.low is None or estimate.high is None:
        return Check(False, f"{name}: has no interval")
    figure = f"{estimate.value * POINT:.2f} % [{estimate.low * POINT:.2f}-{estimate.high * POINT:.2f}]"
    if rate.higher_is_better:
        passed, word = estimate.low * POINT >= rule.ceiling, "floor"
    else:
        passed, word = estimate.high * POINT <= rule.ceiling, "ceiling"
    return Check(passed, f"{name}: {figure}, {word} {rule.ceiling:g} %")


def _check_run(gate: Gate, benchmark: str, evidence: Evidence) -> Iterator[Check]:
    document = evidence.challenger
    failed, asked, of = document["failed"], document["asked"], document["of"]
    if failed > gate.failed_requests:
        yield Check(False, f"{benchmark}: {failed} of {asked} requests failed")
    if asked < of:
        yield Check(False, f"{benchmark}: only {asked} of {of} utterances were asked")
    comparison = evidence.comparison
    if comparison is None or evidence.champion is None:
        return
    worse, better = comparison.verdicts["worse"], comparison.verdicts["better"]
    share = POINT * (worse - better) / max(1, comparison.common)
    yield Check(
        share <= gate.worse_share,
        f"{benchmark}: {worse} utterances worse, {better} better ({share:+.1f} %, at most {gate.worse_share:g} %)",
    )
    ways = [str((one.get("usage") or {}).get("jobs", 1)) for one in (evidence.champion, document)]
    if len(set(ways)) > 1:
        yield Check(
            False,
            f"{benchmark}: latency was measured with {' and '.join(ways)} requests at a time: evaluate both alike",
        )
        return
    before, after = evidence.champion["latency"].get("p95_ms"), document["latency"].get("p95_ms")
    if before and after and max(before, after) >= MEASURABLE_MS:
        ratio = after / before
        yield Check(
            ratio <= gate.p95_ratio,
            f"{benchmark}: latency p95 {ratio:.2f} of the champion's, at most {gate.p95_ratio:g}",
        )
