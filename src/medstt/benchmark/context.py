"""One model at its clips' own length and padded to 30 s, side by side: word errors and CPU time of the same utterances.

Knows nothing of other systems or of terminals.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from medstt.errors import DataError
from medstt.evaluate.answer import ask
from medstt.evaluate.item import Item
from medstt.evaluate.system import System, SystemOptions, open_system
from medstt.metrics import ErrorCounts, word_errors

CONTEXTS = {"dynamic": "own length", "full": "padded to 30 s"}


@dataclass(frozen=True, slots=True)
class ContextCost:
    """Errors in content words over the utterances of one language (empty: all), and CPU time by length of sound."""

    language: str
    context: str
    errors: ErrorCounts
    cpu_s: float
    audio_s: float


def measure_contexts(model: str, home: Path, items: Sequence[Item]) -> list[ContextCost]:
    """Transcribe every utterance at both contexts in turn, as it would be served; each language's costs, then all.

    Raises DataError for an utterance that cannot be transcribed, ModelError for the model.
    """
    systems = {context: open_system(model, SystemOptions(home=home, audio_context=context)) for context in CONTEXTS}
    for context, system in systems.items():
        _transcribe(system, context, items[0])  # the first call of all is slower
    found = [_transcribe(system, context, item) for item in items for context, system in systems.items()]
    languages = sorted({item.utterance.lang for item in items})
    return [
        _pool(language, context, [one for one in found if one.context == context and language in ("", one.language)])
        for language in (*languages, "")
        for context in CONTEXTS
    ]


def format_contexts(costs: Sequence[ContextCost]) -> str:
    """Return a Markdown table; the ratio says how many times the CPU of the own length the padding needs."""
    lines = [
        "| language | audio context | utterances | WER | wrong | missed | added | CPU s per minute of sound | ratio |",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    own = {cost.language: cost.cpu_s for cost in costs if cost.context == "dynamic"}
    for cost in costs:
        errors, rate = cost.errors, cost.errors.rate
        lines.append(
            f"| {cost.language or 'all'} | {CONTEXTS[cost.context]} | {errors.utterances} "
            f"| {'' if rate is None else f'{rate:.1%}'} | {errors.substitutions} | {errors.deletions} "
            f"| {errors.insertions} | {60 * cost.cpu_s / cost.audio_s:.2f} | {cost.cpu_s / own[cost.language]:.2f} |"
        )
    return "\n".join(lines)


def _transcribe(system: System, context: str, item: Item) -> ContextCost:
    answer, utterance = ask(system, item), item.utterance
    if answer.reply is None:
        raise DataError(f"{item.key}: {answer.error}", "Leave it out of the manifest")
    errors = word_errors(utterance.text, answer.reply.text, utterance.lang)
    audio_ms = answer.reply.audio_ms or 0
    return ContextCost(utterance.lang, context, errors, answer.cpu_ms / 1000, audio_ms / 1000)


def _pool(language: str, context: str, costs: Sequence[ContextCost]) -> ContextCost:
    errors = sum((cost.errors for cost in costs), ErrorCounts())
    return ContextCost(language, context, errors, sum(c.cpu_s for c in costs), sum(c.audio_s for c in costs))
