"""Whisper decoding over any backend: features, languages, batches, guards, word times, N-best, forced scoring.

Knows nothing of how a backend computes, where models lie, or how recordings are cut into clips.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from medstt.engine.align import POSITION_MS, token_starts
from medstt.engine.backend import Array, Backend, Cache, Memory, Tokens
from medstt.engine.checkpoint import Checkpoint
from medstt.engine.guard import is_repetitive, is_silence, loop_start, token_limit
from medstt.engine.joint import JointSearch, Spellings
from medstt.engine.letter import Letters, RecentLetters, doubt_letters
from medstt.engine.protocol import Bias, Capabilities, Clip, DecodeOptions
from medstt.engine.search import Candidate, Rules, search
from medstt.engine.token import TokenTable
from medstt.errors import EmptyAudio, InputError, OptionError
from medstt.feature import FULL_CONTEXT, POSITION, Features, log_mel
from medstt.values import RATE_HZ, Alternative, Hypothesis, ModelRef, Segment, Word

BATCH_ROWS = 4  # clips times beams decoded together: what keeps one core's caches full and no more
_RETRY_BEAMS = 5
_SCORED_TOGETHER = 8  # texts; bounds the memory of forced scoring
CONTEXTS = ("dynamic", "full")


@dataclass(frozen=True, slots=True)
class _Opened:
    """A batch after its first token: encoded, languages known, one row of cache a clip."""

    memory: Memory
    cache: Cache
    languages: list[dict[str, float]]
    no_speech: list[float]
    letters: list[Letters]


class WhisperEngine:
    """The Engine protocol over one backend. Thread-safe: one call runs at a time."""

    def __init__(
        self, backend: Backend, name: str, heard: RecentLetters | None = None, decoder_weight: float | None = None
    ) -> None:
        self._backend = backend
        self._heard = heard or RecentLetters()
        self._checkpoint = backend.checkpoint
        self._tokens = TokenTable(self._checkpoint)
        self._ref = ModelRef(name, self._checkpoint.digest)
        self._rules = Rules(self._tokens.end, self._tokens.suppress_first, self._tokens.suppress)
        self._has_letters = self._checkpoint.letter_head is not None
        self._weight = self._checkpoint.decoder_weight if decoder_weight is None else decoder_weight
        joint = self._weight > 0 and self._has_letters
        self._joint = JointSearch(backend, Spellings(self._tokens), self._rules, self._weight) if joint else None
        self._lock = threading.Lock()

    def replicate(self) -> WhisperEngine:
        """Return an engine over the same weights that runs beside this one, for an EnginePool."""
        return WhisperEngine(self._backend.replicate(), self._ref.name, self._heard, self._weight)

    def weighing(self, decoder_weight: float) -> WhisperEngine:
        """Return an engine over the same weights that searches with another weight of its decoder; 0: it alone."""
        return WhisperEngine(self._backend, self._ref.name, self._heard, decoder_weight)

    @property
    def ref(self) -> ModelRef:
        """Name and digest of the loaded model."""
        return self._ref

    @property
    def tokens(self) -> TokenTable:
        """The model's tokens, for whoever compiles a bias."""
        return self._tokens

    @property
    def checkpoint(self) -> Checkpoint:
        """The model folder behind it, with its card."""
        return self._checkpoint

    @property
    def capabilities(self) -> Capabilities:
        """Everything, in the model's languages and at the audio context its card declares."""
        languages = tuple(self._tokens.languages) or ("en",)
        card = self._checkpoint.card
        warning = str(card.get("warning", ""))
        letters = self._has_letters
        return Capabilities(True, True, True, True, languages, self._checkpoint.audio_context, warning, letters)

    def detect(self, clip: Clip) -> Mapping[str, float]:
        """Return the probability of each of the model's languages for one clip (sums to 1)."""
        with self._lock:
            return self._open([clip], None).languages[0]

    def decode(self, clips: Sequence[Clip], options: DecodeOptions) -> list[Hypothesis]:
        """Return one hypothesis per clip, in the order given.

        Raises EmptyAudio for a clip without samples, InputError for one beyond the model's context, OptionError for
        a language or context that the model does not have.
        """
        self._check(clips, options)
        beams = max(1, options.beam, options.nbest)
        results: dict[int, Hypothesis] = {}
        for batch in _batches(clips, max(1, BATCH_ROWS // beams)):
            with self._lock:
                together = self._decode([clips[index] for index in batch], options, beams)
            results.update(zip(batch, together, strict=True))
        return [results[index] for index in range(len(clips))]

    def score(self, clip: Clip, texts: Sequence[str], language: str) -> list[float]:
        """Return the mean log-probability per token of each text for the clip (forced decoding, the end counted)."""
        self._check([clip], DecodeOptions(language=language))
        with self._lock:
            memory = self._backend.encode([self._features(clip, None)])
            return [
                value
                for first in range(0, len(texts), _SCORED_TOGETHER)
                for value in self._forced(memory, texts[first : first + _SCORED_TOGETHER], language)
            ]

    def letters(self, clip: Clip) -> Letters | None:
        """Return what a clip sounds like by letters, kept from decoding it; None without a head for them."""
        if not self._has_letters:
            return None
        found = self._heard.get(clip.samples)
        if found is None:
            self._check([clip], DecodeOptions())
            with self._lock:
                (whole,) = self._backend.letters(self._backend.encode([self._features(clip, None)]))
            found = _spoken(whole, clip)
        return found

    def _check(self, clips: Sequence[Clip], options: DecodeOptions) -> None:
        longest = self._checkpoint.shape.source_positions * POSITION
        if options.language is not None:
            self._tokens.prompt(options.language)
        if options.audio_context not in (None, *CONTEXTS):
            raise OptionError(f"audio context {options.audio_context!r}", f"Choose one of {', '.join(CONTEXTS)}")
        for clip in clips:
            if len(clip.samples) == 0:
                raise EmptyAudio(f"the clip at {clip.segment.start_ms} ms has no samples", "Leave it out")
            if len(clip.samples) > longest:
                raise InputError(
                    f"the clip at {clip.segment.start_ms} ms lasts {len(clip.samples) / RATE_HZ:.1f} s, "
                    f"this model hears {longest // RATE_HZ} s",
                    "Cut the recording into shorter segments",
                )

    def _features(self, clip: Clip, audio_context: str | None) -> Features:
        full = (audio_context or self._checkpoint.audio_context) == "full"
        return log_mel(clip.samples, self._checkpoint.shape.n_mels, FULL_CONTEXT if full else None)

    def _open(self, clips: Sequence[Clip], audio_context: str | None) -> _Opened:
        """Encode clips and feed <|startoftranscript|>: its prediction gives the languages and no speech."""
        memory = self._backend.encode([self._features(clip, audio_context) for clip in clips])
        heard = self._backend.letters(memory)  # none without a head for them
        letters = [_spoken(found, clip) for found, clip in zip(heard, clips, strict=bool(heard))]
        for clip, found in zip(clips, letters, strict=bool(heard)):
            self._heard.put(clip.samples, found)
        first = np.full((len(clips), 1), self._tokens.start, np.int64)
        logprobs, cache = self._backend.step(memory, self._backend.begin(memory, 1), first, [0], self._tokens.nothing)
        rows = logprobs[:, 0]
        silent = self._tokens.no_speech
        no_speech = [0.0] * len(clips) if silent is None else np.exp(rows[:, silent]).tolist()
        languages = [self._language_probabilities(row) for row in rows]
        return _Opened(memory, cache, languages, no_speech, letters)

    def _language_probabilities(self, row: Array) -> dict[str, float]:
        if not self._tokens.languages:
            return {"en": 1.0}
        raw = np.exp(row[list(self._tokens.languages.values())].astype(np.float64))
        shares = raw / raw.sum() if raw.sum() > 0 else np.full(len(raw), 1 / len(raw))
        return dict(zip(self._tokens.languages, shares.tolist(), strict=True))

    def _decode(self, clips: Sequence[Clip], options: DecodeOptions, beams: int) -> list[Hypothesis]:
        opened = self._open(clips, options.audio_context)
        languages = [options.language or max(found, key=lambda code: found[code]) for found in opened.languages]
        prompts = np.array([self._tokens.prompt(language) for language in languages], np.int64)
        room = self._checkpoint.shape.target_positions - prompts.shape[1] - 2
        limits = [token_limit(_duration_ms(clip), min(options.max_tokens, room)) for clip in clips]
        biases: list[Bias | None] = [clip.bias for clip in clips]
        if self._joint is not None:
            readings = [
                self._search_jointly(self._joint, opened, clip, index, prompts, limits[index])
                for index, clip in enumerate(clips)
            ]
        else:
            readings = search(
                self._backend, opened.memory, opened.cache, prompts, self._rules,
                beams=beams, limits=limits, biases=biases,
            )  # fmt: skip
            for index, candidates in enumerate(readings):
                if beams < _RETRY_BEAMS and self._is_suspect(candidates[0]):
                    readings[index] = self._retry(opened, index, prompts, limits[index], biases[index]) + candidates
        kept = [self._guarded(found, silent) for found, silent in zip(readings, opened.no_speech, strict=True)]
        words = self._words(clips, opened, prompts, [tokens for tokens, _, _ in kept], options.word_times)
        return [
            self._hypothesis(clip, language, silent, readings[index], kept[index], words[index], options.nbest)
            for index, (clip, language, silent) in enumerate(zip(clips, languages, opened.no_speech, strict=True))
        ]

    def _search_jointly(
        self, joint: JointSearch, opened: _Opened, clip: Clip, index: int, prompts: Tokens, limit: int
    ) -> list[Candidate]:
        """Search one clip of a batch with the decoder and the letters that were heard."""
        alone = len(opened.languages) == 1
        memory = opened.memory if alone else self._backend.select(opened.memory, [index])
        cache = opened.cache if alone else self._backend.reorder(opened.cache, np.array([index]))
        return joint.run(memory, cache, prompts[index : index + 1], opened.letters[index], limit, clip.bias)

    def _is_suspect(self, candidate: Candidate) -> bool:
        return candidate.ending != "end" or is_repetitive(self._tokens.decode(candidate.tokens))

    def _retry(self, opened: _Opened, index: int, prompts: Tokens, limit: int, bias: Bias | None) -> list[Candidate]:
        """Search one clip again with beams; return what is no longer suspect and still says something."""
        memory = self._backend.select(opened.memory, [index])
        cache = self._backend.begin(memory, 1)
        prompt = np.concatenate([[self._tokens.start], prompts[index]])[None].astype(np.int64)
        (found,) = search(
            self._backend, memory, cache, prompt, self._rules, beams=_RETRY_BEAMS, limits=[limit], biases=[bias]
        )
        return [candidate for candidate in found if candidate.tokens and not self._is_suspect(candidate)]

    def _guarded(
        self, candidates: Sequence[Candidate], no_speech: float
    ) -> tuple[tuple[int, ...], float, tuple[str, ...]]:
        """Return the tokens to keep, their mean log-probability, and what had to be done to them."""
        best = candidates[0]
        if is_silence(no_speech, best.logprob):
            return (), best.logprob, ("no speech: uncertain text dropped",) if best.tokens else ()
        start = loop_start(best.tokens)
        if best.ending == "loop" or (start is not None and self._is_suspect(best)):
            return best.tokens[:start], best.logprob, ("repetition: text cut where it began to repeat",)
        if best.ending == "length":
            return best.tokens, best.logprob, ("too long: text cut at the most that can be said in this time",)
        return best.tokens, best.logprob, ()

    def _words(
        self,
        clips: Sequence[Clip],
        opened: _Opened,
        prompts: Tokens,
        texts: Sequence[tuple[int, ...]],
        word_times: bool,
    ) -> list[list[tuple[str, int, int, Segment]]]:
        """Return each clip's words as (text, first token, token after the last, place in the recording)."""
        result: list[list[tuple[str, int, int, Segment]]] = [[] for _ in clips]
        spoken = [index for index, text in enumerate(texts) if text]
        if not spoken:
            return result
        longest = max(len(texts[index]) for index in spoken)
        starts: dict[int, list[int]] = {}
        if word_times:
            whole = len(spoken) == len(clips)
            memory = opened.memory if whole else self._backend.select(opened.memory, spoken)
            width = prompts.shape[1] + 1
            rows = np.full((len(spoken), width + longest), self._tokens.end, np.int64)
            rows[:, 0] = self._tokens.start
            for row, index in enumerate(spoken):
                rows[row, 1:width] = prompts[index]
                rows[row, width : width + len(texts[index])] = texts[index]
            attention = self._backend.attend(memory, rows)
            for row, index in enumerate(spoken):
                heard = -(-len(clips[index].samples) // POSITION)
                chosen = attention[row, :, width - 1 : width + len(texts[index]), :heard]
                starts[index] = (token_starts(chosen) * POSITION_MS).tolist()
        for index in spoken:
            result[index] = _place(self._tokens, texts[index], clips[index], starts.get(index))
        return result

    def _hypothesis(
        self,
        clip: Clip,
        language: str,
        no_speech: float,
        candidates: Sequence[Candidate],
        kept: tuple[tuple[int, ...], float, tuple[str, ...]],
        words: Sequence[tuple[str, int, int, Segment]],
        nbest: int,
    ) -> Hypothesis:
        tokens, logprob, warnings = kept
        probabilities = np.exp(np.array(candidates[0].logprobs[: len(tokens)]))
        spoken = tuple(
            Word(text, segment, float(min(1.0, probabilities[first:last].min())))
            for text, first, last, segment in words
        )
        others = tuple(
            Alternative(self._tokens.decode(candidate.tokens), candidate.logprob) for candidate in candidates[1:nbest]
        )
        return Hypothesis(clip.segment, spoken, logprob, min(1.0, no_speech), language, others, warnings)

    def _forced(self, memory: Memory, texts: Sequence[str], language: str) -> list[float]:
        prompt = [self._tokens.start, *self._tokens.prompt(language)]
        room = self._checkpoint.shape.target_positions - len(prompt) - 1
        encoded = [self._tokens.encode(text)[:room] for text in texts]
        longest = max(len(tokens) for tokens in encoded)
        rows = np.full((len(texts), len(prompt) + longest), self._tokens.end, np.int64)
        for row, tokens in enumerate(encoded):
            rows[row, : len(prompt) + len(tokens)] = prompt + tokens
        take = range(len(prompt) - 1, rows.shape[1])
        cache = self._backend.begin(memory, len(texts))
        logprobs, _ = self._backend.step(memory, cache, rows, list(take), self._tokens.nothing)
        totals = []
        for row, tokens in enumerate(encoded):
            wanted = np.array([*tokens, self._tokens.end])
            totals.append(float(logprobs[row, np.arange(len(wanted)), wanted].mean()))
        return totals


def _spoken(letters: Letters, clip: Clip) -> Letters:
    """Leave out what is padding."""
    return doubt_letters(letters[: -(-len(clip.samples) // POSITION)])


def _duration_ms(clip: Clip) -> int:
    return len(clip.samples) * 1000 // RATE_HZ


def _batches(clips: Sequence[Clip], size: int) -> Iterator[list[int]]:
    """Yield indices of clips of similar length, at most ``size`` together, longest first."""
    order = sorted(range(len(clips)), key=lambda index: len(clips[index].samples), reverse=True)
    for first in range(0, len(order), size):
        yield order[first : first + size]


def _place(
    table: TokenTable, tokens: Sequence[int], clip: Clip, starts: Sequence[int] | None
) -> list[tuple[str, int, int, Segment]]:
    """Turn tokens to words with their times in the recording: inside the clip, monotone, at least 1 ms long."""
    spans = table.spans(tokens)
    duration = max(_duration_ms(clip), len(spans))
    placed: list[tuple[str, int, int, Segment]] = []
    if starts is None:
        return [(span.text, span.start, span.end, clip.segment) for span in spans]
    floor = 0
    for number, span in enumerate(spans):
        latest = duration - (len(spans) - number)  # leaves every later word its millisecond
        start = min(max(starts[span.start], floor), latest)
        end = min(max(starts[span.end], start + 1), latest + 1)
        offset = clip.segment.start_ms
        placed.append((span.text, span.start, span.end, Segment(offset + start, offset + end)))
        floor = end
    return placed
