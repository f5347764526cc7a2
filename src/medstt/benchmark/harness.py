"""What the evaluation harness costs: scoring, the harness around decoding, opening a report. Knows nothing of cards."""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from medstt.evaluate.answer import Answer
from medstt.evaluate.document import document_counter, write_document
from medstt.evaluate.environment import peak_memory_mb
from medstt.evaluate.item import Item, items_of
from medstt.evaluate.lexicon import open_spotter
from medstt.evaluate.report import ReportOptions, render_report
from medstt.evaluate.run import Run, create_run, transcribe_run
from medstt.evaluate.score import ScoredItem, Scorer, score_items
from medstt.evaluate.summary import Summary, summarise
from medstt.evaluate.system import HeardWord, Reply, System
from medstt.values import Utterance

WORDS = (
    "the patient has no chest pain and was given metoprolol fifty milligrams twice daily left lung clear without "
    "effusion potassium less than three point five on march third heart rate eighty eight continue lisinopril period"
).split()
PER_UTTERANCE = 20
ERRORS = 0.1  # share of words that come out wrong
SPEAKERS = 10  # too few to be resampled: utterances are, which costs most


@dataclass(frozen=True, slots=True)
class ScoringCost:
    """Seconds of clock and CPU to score so many utterances, and the peak memory of the process in MiB."""

    utterances: int
    wall_s: float
    cpu_s: float
    memory_mb: int


def make_answers(count: int, seed: int = 1) -> tuple[list[Item], dict[str, Answer]]:
    """Return ``count`` utterances of twenty words, and what a system with a tenth of the words wrong answered."""
    rng = random.Random(seed)
    utterances, answers = [], {}
    for number in range(count):
        said = [rng.choice(WORDS) for _ in range(PER_UTTERANCE)]
        heard = [rng.choice(WORDS) if rng.random() < ERRORS else word for word in said]
        name = f"u{number:06d}"
        words = tuple(HeardWord(word, 400 * n, 400 * n + 300, rng.random()) for n, word in enumerate(heard))
        reply = Reply(" ".join(heard), words, None, "en", 400 * PER_UTTERANCE)
        answers[name] = Answer(name, reply, None, 100, 100)
        tags = {"tier": "trained", "snr_db": str(rng.choice((5, 10, 20))), "written": " ".join(said)}
        speaker = f"s{number % SPEAKERS}"
        utterances.append(
            Utterance(name, f"{name}.wav", " ".join(said), "en", speaker=speaker, split="test", tags=tags)
        )
    return items_of(utterances, Path()), answers


def score_made(items: Sequence[Item], answers: Mapping[str, Answer], draws: int) -> tuple[Summary, list[ScoredItem]]:
    """Score made answers with every metric, the written documents, slices and intervals included."""
    spot, digests = open_spotter()
    scored = score_items(items, answers, Scorer(spot, document_counter(write_document)))
    with tempfile.TemporaryDirectory(prefix="medstt-harness-") as name:
        run = Run(Path(name), {"system": {"name": "made"}, "items": ""}, tuple(items))
        return summarise(run, scored, {"lexicon": digests}, draws), scored


def measure_scoring(count: int, draws: int) -> ScoringCost:
    """Measure scoring ``count`` utterances, references and answers in memory."""
    items, answers = make_answers(count)
    wall, cpu = time.perf_counter(), time.process_time()
    score_made(items, answers, draws)
    return ScoringCost(count, time.perf_counter() - wall, time.process_time() - cpu, peak_memory_mb())


def measure_overhead(system: System, items: Sequence[Item], repeat: int) -> float:
    """Return the harness's CPU time over the system's own, as a share; the two take turns in this process."""
    direct = around = 0.0
    for item in items[:1]:
        system.transcribe(item.request)  # warm
    with tempfile.TemporaryDirectory(prefix="medstt-harness-") as name:
        for number in range(repeat):
            start = time.process_time()
            for item in items:
                system.transcribe(item.request)
            direct += time.process_time() - start
            start = time.process_time()
            transcribe_run(create_run(Path(name) / str(number), system, items, {}), system)
            around += time.process_time() - start
    return around / direct - 1.0


def write_large_report(count: int, path: Path) -> None:
    """Write a report of ``count`` utterances with their texts."""
    summary, scored = score_made(*make_answers(count), 100)
    path.write_text(render_report(summary.document, scored, ReportOptions(own=True)), encoding="utf-8")


def measure_opening(page: Path, browser: str) -> float:
    """Return the seconds from navigation to the end of loading in Chromium, rows drawn; needs playwright."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as running:
        opened = running.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        try:
            tab = opened.new_page()
            tab.goto(page.resolve().as_uri(), wait_until="load", timeout=300_000)
            return float(tab.evaluate("performance.now()")) / 1000
        finally:
            opened.close()
