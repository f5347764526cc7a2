"""Whisper decoding over any backend: features, languages, batches, guards, word times, N-best, forced scoring.

Knows nothing of how a backend computes, where models lie, or how recordings are cut into clips.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from medstt.engine.align import POSITION_MS, token_starts
from medstt.engine.backend import Array, Backend, Cache, Memory, Tokens
from medstt.engine.checkpoint import Checkpoint
from medstt.engine.guard import is_repetitive, is_silence, loop_start, token_limit
from medstt.engine.joint import JointSearch, Spellings
from medstt.engine.letter import Letters, doubt_letters
from medstt.engine.protocol import Bias, Capabilities, Clip, DecodeOptions
from medstt.engine.recent import Recent
from medstt.engine.search import Begun, Candidate, Rules, begin, search
from medstt.engine.token import TokenTable
from medstt.errors import EmptyAudio, InputError, OptionError
from medstt.feature import FULL_CONTEXT, POSITION, Features, log_mel
from medstt.values import RATE_HZ, Alternative, Hypothesis, ModelRef, Segment, Word

BATCH_ROWS = 4  # clips times beams decoded together: what keeps one core's caches full and no more
_RETRY_BEAMS = 5
_SCORED_TOGETHER = 8  # texts; bounds the memory of forced scoring
_KEPT_BYTES = 96 << 20  # of encoded clips: sixteen of 8 s in the shape of whisper-tiny
CONTEXTS = ("dynamic", "full")


@dataclass(frozen=True, slots=True)
class _Heard:
    """What is kept of an encoded clip: the batch it was encoded in, its place there, its letters, at which context."""

    memory: Memory
    item: int
    alone: bool
    letters: Letters | None
    full: bool


@dataclass(frozen=True, slots=True)
class _Opened:
    """A batch that was encoded and fed its prompts (clips, n)."""

    memory: Memory
    prompts: Tokens
    begun: Begun
    languages: list[str]
    no_speech: list[float]
    letters: list[Letters]


class WhisperEngine:
    """The Engine protocol over one backend. Thread-safe: one call runs at a time."""

    def __init__(
        self, backend: Backend, name: str, heard: Recent[_Heard] | None = None, decoder_weight: float | None = None
    ) -> None:
        self._backend = backend
        self._heard: Recent[_Heard] = Recent(_KEPT_BYTES) if heard is None else heard
        self._checkpoint = backend.checkpoint
        self._tokens = TokenTable(self._checkpoint)
        self._ref = ModelRef(name, self._checkpoint.digest)
        self._rules = Rules(self._tokens.end, self._tokens.suppress_first, self._tokens.suppress)
        self._has_letters = self._checkpoint.letter_head is not None
        self._weight = self._checkpoint.decoder_weight if decoder_weight is None else decoder_weight
        joint = self._weight > 0 and self._has_letters
        self._joint = JointSearch(backend, Spellings(self._tokens), self._rules, self._weight) if joint else None
        shape = self._checkpoint.shape
        self._position_bytes = 2 * 4 * shape.decoder_layers * shape.d_model  # keys and values, float32
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
            return self._languages(self._hear([clip], None)[0].memory, 1)[0]

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
        """Return the mean log-probability per token of each text for the clip (forced decoding, the end counted).

        A clip that was decoded just before is not encoded again.
        """
        self._check([clip], DecodeOptions(language=language))
        with self._lock:
            found = self._heard.get(clip.samples) or self._hear([clip], None)[0]
            memory = found.memory if found.alone else self._backend.select(found.memory, [found.item])
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
                (found,) = self._hear([clip], None)
        return found.letters

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
        context = FULL_CONTEXT if self._is_full(audio_context) else None
        return log_mel(clip.samples, self._checkpoint.shape.n_mels, context)

    def _is_full(self, audio_context: str | None) -> bool:
        return (audio_context or self._checkpoint.audio_context) == "full"

    def _hear(self, clips: Sequence[Clip], audio_context: str | None) -> list[_Heard]:
        """Encode clips together and keep what was heard: who asked for the language or doubts a word asks again."""
        full = self._is_full(audio_context)
        if len(clips) == 1:
            known = self._heard.get(clips[0].samples)
            if known is not None and known.alone and known.full == full:
                return [known]
        features = [self._features(clip, audio_context) for clip in clips]
        memory = self._backend.encode(features)
        letters = self._backend.letters(memory)  # none without a head for them
        heard = []
        for item, clip in enumerate(clips):
            found = _spoken(letters[item], clip) if letters else None
            heard.append(_Heard(memory, item, len(clips) == 1, found, full))
            positions = -(-features[item].shape[1] // 2)
            self._heard.put(clip.samples, heard[-1], positions * self._position_bytes)
        return heard

    def _open(self, clips: Sequence[Clip], options: DecodeOptions) -> _Opened:
        """Encode clips, find out their languages where none was given, and feed the prompts."""
        heard = self._hear(clips, options.audio_context)
        memory, silent = heard[0].memory, self._tokens.no_speech
        languages = [options.language or ""] * len(clips)
        if options.language is None:
            languages = [max(found, key=lambda code: found[code]) for found in self._languages(memory, len(clips))]
        prompts = np.array([[self._tokens.start, *self._tokens.prompt(language)] for language in languages], np.int64)
        begun = begin(self._backend, memory, prompts, self._rules)
        no_speech = [0.0] * len(clips) if silent is None else np.exp(begun.before[:, silent]).tolist()
        letters = [one.letters for one in heard if one.letters is not None]
        return _Opened(memory, prompts, begun, languages, no_speech, letters)

    def _languages(self, memory: Memory, count: int) -> list[dict[str, float]]:
        """Return the probabilities of the languages, from what is predicted after <|startoftranscript|>."""
        first = np.full((count, 1), self._tokens.start, np.int64)
        logprobs, _ = self._backend.step(memory, self._backend.begin(memory, 1), first, [0], self._tokens.nothing)
        return [self._language_probabilities(row) for row in logprobs[:, 0]]

    def _language_probabilities(self, row: Array) -> dict[str, float]:
        if not self._tokens.languages:
            return {"en": 1.0}
        raw = np.exp(row[list(self._tokens.languages.values())].astype(np.float64))
        shares = raw / raw.sum() if raw.sum() > 0 else np.full(len(raw), 1 / len(raw))
        return dict(zip(self._tokens.languages, shares.tolist(), strict=True))

    def _decode(self, clips: Sequence[Clip], options: DecodeOptions, beams: int) -> list[Hypothesis]:
        opened = self._open(clips, options)
        room = self._checkpoint.shape.target_positions - opened.prompts.shape[1] - 1
        limits = [token_limit(_duration_ms(clip), min(options.max_tokens, room)) for clip in clips]
        biases: list[Bias | None] = [clip.bias for clip in clips]
        if self._joint is not None:
            readings = [
                self._search_jointly(self._joint, opened, clip, index, limits[index])
                for index, clip in enumerate(clips)
            ]
        else:
            readings = search(
                self._backend, opened.memory, opened.begun.cache, opened.begun.first, self._rules,
                beams=beams, limits=limits, biases=biases,
            )  # fmt: skip
            for index, candidates in enumerate(readings):
                if beams < _RETRY_BEAMS and self._is_suspect(candidates[0]):
                    readings[index] = self._retry(opened, index, limits[index], biases[index]) + candidates
        kept = [self._guarded(found, silent) for found, silent in zip(readings, opened.no_speech, strict=True)]
        words = self._words(clips, opened, [tokens for tokens, _, _ in kept], options.word_times)
        return [
            self._hypothesis(clip, language, silent, readings[index], kept[index], words[index], options.nbest)
            for index, (clip, language, silent) in enumerate(
                zip(clips, opened.languages, opened.no_speech, strict=True)
            )
        ]

    def _search_jointly(
        self, joint: JointSearch, opened: _Opened, clip: Clip, index: int, limit: int
    ) -> list[Candidate]:
        """Search one clip of a batch with the decoder and the letters that were heard."""
        memory, cache, first = self._pick(opened, index)
        return joint.run(memory, cache, first, opened.letters[index], limit, clip.bias)

    def _pick(self, opened: _Opened, index: int) -> tuple[Memory, Cache, Array]:
        """Return one clip of a batch, as it stands after its prompt."""
        if len(opened.languages) == 1:
            return opened.memory, opened.begun.cache, opened.begun.first
        cache = self._backend.reorder(opened.begun.cache, np.array([index]))
        return self._backend.select(opened.memory, [index]), cache, opened.begun.first[index : index + 1]

    def _is_suspect(self, candidate: Candidate) -> bool:
        return candidate.ending != "end" or is_repetitive(self._tokens.decode(candidate.tokens))

    def _retry(self, opened: _Opened, index: int, limit: int, bias: Bias | None) -> list[Candidate]:
        """Search one clip again with beams; return what is no longer suspect and still says something."""
        memory, cache, first = self._pick(opened, index)
        (found,) = search(
            self._backend, memory, cache, first, self._rules, beams=_RETRY_BEAMS, limits=[limit], biases=[bias]
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
            width = opened.prompts.shape[1]
            rows = np.full((len(spoken), width + longest), self._tokens.end, np.int64)
            rows[:, :width] = opened.prompts[spoken]
            for row, index in enumerate(spoken):
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
        """Score texts together; the tokens with which all begin are fed once."""
        prompt = [self._tokens.start, *self._tokens.prompt(language)]
        room = self._checkpoint.shape.target_positions - len(prompt) - 1
        encoded = [self._tokens.encode(text)[:room] for text in texts]
        alike = itertools.takewhile(lambda column: len(set(column)) == 1, zip(*encoded, strict=False))
        shared = [column[0] for column in alike]
        fed = np.array([prompt + shared], np.int64)
        take = list(range(len(prompt) - 1, fed.shape[1]))
        logprobs, cache = self._backend.step(memory, self._backend.begin(memory, 1), fed, take, self._tokens.nothing)
        begun = float(logprobs[0, np.arange(len(shared)), shared].sum())
        wanted = [[*tokens[len(shared) :], self._tokens.end] for tokens in encoded]
        totals = [begun + float(logprobs[0, -1, tokens[0]]) for tokens in wanted]
        longest = max(map(len, wanted)) - 1
        if longest:
            rows = np.full((len(texts), longest), self._tokens.end, np.int64)
            for row, tokens in enumerate(wanted):
                rows[row, : len(tokens) - 1] = tokens[:-1]
            cache = self._backend.reorder(cache, np.zeros(len(texts), np.int64))
            logprobs, _ = self._backend.step(memory, cache, rows, list(range(longest)), self._tokens.nothing)
            for row, tokens in enumerate(wanted):
                totals[row] += float(logprobs[row, np.arange(len(tokens) - 1), tokens[1:]].sum())
        return [total / (len(tokens) + 1) for total, tokens in zip(totals, encoded, strict=True)]


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
