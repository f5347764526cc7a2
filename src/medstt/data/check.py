"""Every utterance of a manifest against the rules: what is kept, what is quarantined and why.

Nothing is deleted: the kept and the quarantined rows together are the rows that were there. Knows nothing of reports,
models (a function that judges a transcript is handed in) or command lines.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from medstt.audio import read_audio
from medstt.data.identifier import find_identifiers
from medstt.data.measure import Measures, count_words, cut, foreign_letters, likely_language, measure_utterance
from medstt.data.rule import Rules
from medstt.errors import AudioError
from medstt.manifest import read_manifest
from medstt.process import end_with_parent
from medstt.values import LANGUAGES, Audio, Utterance

# code -> what it means; the codes are what programs may rely on.
CODES: dict[str, str] = {
    "no_consent": "no consent to training is recorded",
    "undecodable": "the recording is missing or cannot be decoded",
    "bad_times": "the times lie outside the recording",
    "language": "the language is neither en nor de",
    "empty_text": "there is no text",
    "long_text": "the text is longer than the decoder allows",
    "foreign_text": "the text is in another language or script",
    "too_short": "the clip is too short",
    "too_long": "the clip is too long",
    "silent": "the clip is silent",
    "clipped": "the recording is overdriven",
    "noisy": "the background is nearly as loud as the speech",
    "too_fast": "more text than can be said in that time",
    "too_slow": "less text than speech",
    "duplicate_audio": "the same stretch of the same recording occurred before",
    "duplicate_text": "the text occurs too often",
    "leaked_text": "the text is also in a set for measuring",
    "identifier": "the text may name a person",
    "disagrees": "the current model hears something else",
}
CONSENTED = frozenset({"yes", "not needed"})
NOISE = "noise"  # tag source of clips without speech: they need no text
MEASURED_SPLITS = ("dev", "test")

Judge = Callable[[Audio, Utterance], float]


@dataclass(frozen=True, slots=True)
class Issue:
    """One reason against an utterance: its code, a sentence without any of the text, and the value measured."""

    code: str
    message: str
    value: float | None = None


@dataclass(frozen=True, slots=True)
class CheckOptions:
    """``judge`` returns the character error rate (0-1 and above) of the current model's output against the text."""

    rules: Rules = field(default_factory=Rules)
    keep_identifiers: bool = False
    jobs: int = 1
    judge: Judge | None = None


@dataclass(frozen=True, slots=True)
class Checked:
    """One utterance with what was measured and found."""

    utterance: Utterance
    measures: Measures
    issues: tuple[Issue, ...]


@dataclass(frozen=True, slots=True)
class CheckResult:
    """A whole manifest, checked, in its order."""

    rows: tuple[Checked, ...]
    rules: Rules

    @property
    def kept(self) -> tuple[Checked, ...]:
        """What training may use."""
        return tuple(row for row in self.rows if not row.issues)

    @property
    def quarantined(self) -> tuple[Checked, ...]:
        """What somebody has to look at."""
        return tuple(row for row in self.rows if row.issues)

    def counts(self) -> dict[str, int]:
        """Return how many utterances each code was found in, most frequent first."""
        found = Counter(code for row in self.rows for code in {issue.code for issue in row.issues})
        return dict(found.most_common())


def check_manifest(
    manifest: Path, options: CheckOptions, progress: Callable[[int, int], None] = lambda done, total: None
) -> CheckResult:
    """Check every utterance of a manifest; ``progress`` hears rows done and rows in all.

    Raises DataError for a manifest that cannot be read.
    """
    utterances = read_manifest(manifest)
    rows: list[Checked] = []
    for utterance, measures in zip(utterances, _measure(manifest.parent, utterances, options.jobs), strict=True):
        issues = list(_audio_issues(utterance, measures, options.rules))
        issues += _text_issues(utterance, measures, options)
        rows.append(Checked(utterance, measures, tuple(issues)))
        progress(len(rows), len(utterances))
    rows = _compare(rows, options.rules)
    if options.judge is not None:
        rows = [_judged(row, manifest.parent, options.judge, options.rules) for row in rows]
    return CheckResult(tuple(rows), options.rules)


def _measure(folder: Path, utterances: Sequence[Utterance], jobs: int) -> Iterator[Measures]:
    work = partial(measure_utterance, folder)
    if jobs <= 1 or len(utterances) < 2 * jobs:
        yield from map(work, utterances)
        return
    with ProcessPoolExecutor(jobs, get_context("spawn"), initializer=end_with_parent) as pool:
        yield from pool.map(work, utterances, chunksize=16)


def _audio_issues(utterance: Utterance, measures: Measures, rules: Rules) -> Iterator[Issue]:
    if measures.error:
        yield Issue("undecodable", measures.error)
        return
    if utterance.start_ms >= measures.whole_ms or (utterance.end_ms or 0) > measures.whole_ms + 100:
        span = f"{utterance.start_ms}..{utterance.end_ms} ms"
        yield Issue("bad_times", f"{span} in a recording of {measures.whole_ms} ms", measures.whole_ms)
        return
    if measures.duration_ms < rules.min_duration_ms:
        yield Issue("too_short", f"{measures.duration_ms} ms", measures.duration_ms)
        return
    if measures.duration_ms > rules.max_duration_ms:
        yield Issue("too_long", f"{measures.duration_ms} ms, at most {rules.max_duration_ms}", measures.duration_ms)
    if utterance.tags.get("source") == NOISE:
        return
    if measures.peak_dbfs < rules.min_level_dbfs:
        yield Issue("silent", f"peak at {measures.peak_dbfs:g} dBFS", measures.peak_dbfs)
        return
    if measures.clipping > rules.max_clipping:
        yield Issue("clipped", f"{measures.clipping:.1%} of the samples at full scale", measures.clipping)
    if measures.snr_db < rules.min_snr_db:
        yield Issue("noisy", f"speech {measures.snr_db:g} dB over the background", measures.snr_db)


def _text_issues(utterance: Utterance, measures: Measures, options: CheckOptions) -> Iterator[Issue]:
    rules = options.rules
    consent = utterance.tags.get("consent", "")
    if consent not in CONSENTED:
        yield Issue("no_consent", f"tag consent is {consent!r}")
    lang = next((known for known in LANGUAGES if known == utterance.lang), None)
    if lang is None:
        yield Issue("language", f"lang is {utterance.lang!r}")
        return
    if utterance.tags.get("source") == NOISE:
        return
    if not count_words(utterance.text):
        yield Issue("empty_text", "no word in it")
        return
    if len(utterance.text) > rules.max_chars:
        yield Issue("long_text", f"{len(utterance.text)} characters, at most {rules.max_chars}", len(utterance.text))
    if foreign_letters(utterance.text):
        yield Issue("foreign_text", "letters of another script")
    elif (heard := likely_language(utterance.text)) not in (None, utterance.lang):
        yield Issue("foreign_text", f"the words are those of {heard!r}, not {utterance.lang!r}")
    yield from _rate_issues(utterance, measures, rules)
    if consent != "not needed" and not options.keep_identifiers:
        kinds = sorted({found.kind for found in find_identifiers(utterance.text, lang)})
        if kinds:
            yield Issue("identifier", ", ".join(kinds))


def _rate_issues(utterance: Utterance, measures: Measures, rules: Rules) -> Iterator[Issue]:
    words, chars = count_words(utterance.text), len(utterance.text)
    if measures.error or words <= rules.slack_words or not measures.duration_ms:
        return
    # Too fast is judged by the whole clip, too slow by the speech in it, so that pauses excuse neither.
    minutes, speech_min = measures.duration_ms / 60_000, max(1, measures.speech_ms) / 60_000
    if words / minutes > rules.max_words_per_minute or chars / minutes / 60 > rules.max_chars_per_s:
        message = f"{words / minutes:.0f} words a minute, {chars / minutes / 60:.0f} characters a second"
        yield Issue("too_fast", message, round(words / minutes, 1))
    elif words / speech_min < rules.min_words_per_minute or chars / speech_min / 60 < rules.min_chars_per_s:
        message = f"{words / speech_min:.0f} words a minute of speech"
        yield Issue("too_slow", message, round(words / speech_min, 1))


def _compare(rows: Sequence[Checked], rules: Rules) -> list[Checked]:
    """Add what shows only between rows: repeated audio, repeated text, text shared with sets for measuring."""
    spans: set[tuple[str, int, int | None]] = set()
    texts: Counter[tuple[str, str]] = Counter()
    measured = {_text_key(row.utterance) for row in rows if row.utterance.split in MEASURED_SPLITS}
    result: list[Checked] = []
    for row in rows:
        utterance, found = row.utterance, list(row.issues)
        span = (row.measures.digest, utterance.start_ms, utterance.end_ms)
        if row.measures.digest and span in spans:
            found.append(Issue("duplicate_audio", "same bytes and times as an earlier row"))
        spans.add(span)
        key = _text_key(utterance)
        if key[1]:
            texts[key] += 1
            if texts[key] > rules.max_same_text:
                message = f"occurrence {texts[key]}, at most {rules.max_same_text}"
                found.append(Issue("duplicate_text", message, texts[key]))
            if utterance.split not in MEASURED_SPLITS and key in measured and count_words(utterance.text) > 2:
                found.append(Issue("leaked_text", "the same words are in dev or test"))
        result.append(replace(row, issues=tuple(found)))
    return result


def _text_key(utterance: Utterance) -> tuple[str, str]:
    return utterance.lang, " ".join(utterance.text.lower().split())


def _judged(row: Checked, folder: Path, judge: Judge, rules: Rules) -> Checked:
    """Compare a row that is otherwise fine with what the current model hears."""
    if row.issues or row.utterance.tags.get("source") == NOISE:
        return row
    try:
        audio = read_audio(folder / row.utterance.audio)
    except AudioError as error:  # it could be read a moment ago
        return replace(row, issues=(Issue("undecodable", str(error)),))
    clip = Audio(cut(audio, row.utterance), audio.digest, audio.source)
    rate = judge(clip, row.utterance)
    if rate <= rules.max_cer:
        return row
    message = f"character error rate {rate:.2f}, at most {rules.max_cer:g}"
    return replace(row, issues=(Issue("disagrees", message, round(rate, 3)),))
