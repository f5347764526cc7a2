"""The whole engine on random weights: what it promises about times, languages, batches, scores and guards."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from medstt.engine import load_engine
from medstt.engine.checkpoint import open_checkpoint
from medstt.engine.onnx import open_onnx
from medstt.engine.protocol import Bonus, Clip, DecodeOptions, Engine
from medstt.engine.search import Candidate, Rules, begin, search
from medstt.engine.token import TokenTable
from medstt.engine.whisper import WhisperEngine
from medstt.errors import EmptyAudio, InputError, OptionError
from medstt.feature import FULL_CONTEXT, log_mel
from medstt.values import RATE_HZ, Segment

ENGLISH = DecodeOptions(language="en", max_tokens=12)


def noise(seconds: float, seed: int = 0, start_ms: int = 0) -> Clip:
    samples = (np.random.default_rng(seed).standard_normal(int(seconds * RATE_HZ)) * 0.1).astype(np.float32)
    return Clip(samples, Segment(start_ms, start_ms + int(seconds * 1000)))


class OneToken:
    """A bias for one token, whatever came before."""

    def __init__(self, token: int) -> None:
        self.digest, self._bonus = str(token), Bonus(np.array([token]), np.array([30.0], np.float32))

    def start(self) -> None:
        return None

    def advance(self, state: None, token: int) -> None:
        return None

    def bonus(self, state: None) -> Bonus:
        return self._bonus


class Words:
    """A bias that makes the random model say so many different words and stop."""

    digest = "words"

    def __init__(self, engine: WhisperEngine, count: int) -> None:
        self._first, self._end, self._count = 300, engine.tokens.end, count

    def start(self) -> int:
        return 0

    def advance(self, state: int, token: int) -> int:
        return state + 1

    def bonus(self, state: int) -> Bonus:
        token = self._first + state if state < self._count else self._end
        return Bonus(np.array([token]), np.array([30.0], np.float32))


def test_it_keeps_the_protocol(engine: WhisperEngine) -> None:
    assert isinstance(engine, Engine)
    able = engine.capabilities
    assert (able.bias, able.nbest, able.word_times, able.score) == (True, True, True, True)
    assert (able.languages, able.audio_context) == (("en", "de"), "dynamic")


@pytest.mark.parametrize("beam", [1, 3])
def test_words_have_monotone_times_inside_their_clips(engine: WhisperEngine, beam: int) -> None:
    lengths = (0.05, 0.4, 3.0, 1.7, 6.0)
    bias = Words(engine, 8)
    clips = [replace(noise(seconds, n, 10_000 * n), bias=bias) for n, seconds in enumerate(lengths)]
    found = engine.decode(clips, replace(ENGLISH, beam=beam))
    assert [one.segment for one in found] == [clip.segment for clip in clips]
    for one in found:
        edges = [edge for word in one.words for edge in (word.segment.start_ms, word.segment.end_ms)]
        assert edges == sorted(edges)
        assert all(word.segment.duration_ms > 0 and isinstance(word.segment.start_ms, int) for word in one.words)
        assert all(0.0 <= word.confidence <= 1.0 for word in one.words)
        if one.words and one.segment.duration_ms > 1000:
            assert one.segment.start_ms <= edges[0] <= edges[-1] <= one.segment.end_ms
        assert one.language == "en"
        assert 0.0 <= one.no_speech <= 1.0
        assert len(one.words) == 8
        assert one.warnings == ()


def test_languages_are_detected_among_the_models_own(engine: WhisperEngine) -> None:
    clip = noise(2.0)
    chances = engine.detect(clip)
    assert set(chances) == {"en", "de"}
    assert sum(chances.values()) == pytest.approx(1.0)
    (found,) = engine.decode([clip], DecodeOptions(max_tokens=3))
    assert found.language == max(chances, key=lambda code: chances[code])


def test_a_batch_hears_what_each_clip_alone_would(small_folder: Path, cache: Path) -> None:
    engine = WhisperEngine(open_onnx(open_checkpoint(small_folder), cache=cache, threads=1, precision="float32"), "f")
    lengths = (2.0, 0.8, 4.1, 2.5, 1.0)
    clips = [replace(noise(seconds, n), bias=Words(engine, 3 + n)) for n, seconds in enumerate(lengths)]
    together = engine.decode(clips, ENGLISH)
    alone = [engine.decode([clip], ENGLISH)[0] for clip in clips]
    assert [one.text for one in together] == [one.text for one in alone]
    assert [len(one.words) for one in together] == [3, 4, 5, 6, 7]
    assert [one.logprob for one in together] == pytest.approx([one.logprob for one in alone], abs=1e-4)
    assert [word.segment for one in together for word in one.words] == [w.segment for one in alone for w in one.words]


def test_nbest_readings_are_ranked_and_distinct(engine: WhisperEngine) -> None:
    (found,) = engine.decode([noise(2.0)], replace(ENGLISH, beam=4, nbest=3))
    assert len(found.alternatives) == 2
    assert len({found.text, *(one.text for one in found.alternatives)}) == 3
    assert all(one.logprob < 0 for one in found.alternatives)


def test_forced_scores_are_the_searchs_own(small_folder: Path, cache: Path) -> None:
    backend = open_onnx(open_checkpoint(small_folder), cache=cache, threads=1, precision="float32")
    engine = WhisperEngine(backend, "f")
    clip = noise(2.0)
    tokens = engine.tokens.encode("aspirin 5 mg")
    (score, other) = engine.score(clip, ["aspirin 5 mg", "x"], "en")
    memory = backend.encode([log_mel(clip.samples)])
    prompt = [engine.tokens.start, *engine.tokens.prompt("en")]
    logprobs = []
    cache_state = backend.begin(memory, 1)
    fed = [prompt, *([token] for token in tokens)]
    for new, wanted in zip(fed, [*tokens, engine.tokens.end], strict=True):
        row, cache_state = backend.step(memory, cache_state, np.array([new]), [len(new) - 1], engine.tokens.nothing)
        logprobs.append(row[0, 0, wanted])
    assert score == pytest.approx(float(np.mean(logprobs)), abs=1e-4)
    assert other != score
    assert len(engine.score(clip, [f"text {number}" for number in range(11)], "en")) == 11


@pytest.mark.parametrize("beam", [1, 2])
def test_two_clips_of_one_batch_follow_their_own_biases(engine: WhisperEngine, beam: int) -> None:
    first, second = engine.tokens.encode("a")[-1], engine.tokens.encode("b")[-1]
    clips = [replace(noise(1.0), bias=OneToken(first)), replace(noise(1.0, 1), bias=OneToken(second)), noise(1.0, 2)]
    found = engine.decode(clips, replace(ENGLISH, beam=beam, max_tokens=4))
    assert [one.text for one in found[:2]] == ["aaaa", "bbbb"]
    assert found[2].text not in ("aaaa", "bbbb")


def test_a_decoder_that_goes_in_circles_is_cut_and_says_so(engine: WhisperEngine) -> None:
    token = engine.tokens.encode("a")[-1]
    (found,) = engine.decode([replace(noise(4.0), bias=OneToken(token))], DecodeOptions(language="en"))
    assert found.text == "a"
    assert found.warnings == ("repetition: text cut where it began to repeat",)


def test_what_cannot_be_decoded_is_refused(engine: WhisperEngine) -> None:
    with pytest.raises(OptionError, match="'fr'"):
        engine.decode([noise(1.0)], DecodeOptions(language="fr"))
    with pytest.raises(OptionError, match="audio context 'short'"):
        engine.decode([noise(1.0)], DecodeOptions(audio_context="short"))
    with pytest.raises(EmptyAudio, match="no samples"):
        engine.decode([Clip(np.zeros(0, np.float32), Segment(0, 0))], ENGLISH)
    with pytest.raises(InputError, match=r"lasts 30\.5 s, this model hears 30 s"):
        engine.decode([noise(30.5)], ENGLISH)
    with pytest.raises(OptionError, match="backend"):
        load_engine(Path(), "x", backend="abacus")


def test_stock_models_hear_thirty_seconds_and_greedy_is_transformers_greedy(turbo_folder: Path, cache: Path) -> None:
    torch = pytest.importorskip("torch", reason="the reference engine needs medstt[train]")
    from transformers import WhisperForConditionalGeneration

    checkpoint = open_checkpoint(turbo_folder)
    backend = open_onnx(checkpoint, cache=cache, threads=1, precision="float32")
    assert WhisperEngine(backend, "t").capabilities.audio_context == "full"
    table = TokenTable(checkpoint)
    features = log_mel(noise(3.0).samples, 128, FULL_CONTEXT)
    model = WhisperForConditionalGeneration.from_pretrained(turbo_folder).eval()
    prompt = [table.start, *table.prompt("de")]
    said = list(prompt)
    with torch.inference_mode():
        encoded = model.model.encoder(torch.from_numpy(features[None]))
        for _ in range(8):
            logits = model(encoder_outputs=encoded, decoder_input_ids=torch.tensor([said])).logits[0, -1]
            said.append(int((logits + torch.from_numpy(table.suppress)).argmax()))
    memory = backend.encode([features])
    rules = Rules(table.end, table.suppress, table.suppress)
    begun = begin(backend, memory, np.array([prompt]), rules)
    (found,) = search(backend, memory, begun.cache, begun.first, rules, beams=1, limits=[8], biases=[None])
    assert isinstance(found[0], Candidate)
    assert list(found[0].tokens) == said[len(prompt) :]


def test_the_reference_backend_hears_the_same(small_folder: Path, cache: Path) -> None:
    pytest.importorskip("transformers", reason="the reference engine needs medstt[train]")
    exact = WhisperEngine(open_onnx(open_checkpoint(small_folder), cache=cache, threads=1, precision="float32"), "f")
    reference = load_engine(small_folder, "reference", backend="transformers")
    clips = [replace(noise(1.5), bias=Words(exact, 4)), replace(noise(0.9, 1), bias=Words(exact, 3))]
    options = replace(ENGLISH, max_tokens=6, beam=2)
    ours, theirs = exact.decode(clips, options), reference.decode(clips, options)
    assert [len(one.words) for one in ours] == [4, 3]
    for one, other in zip(ours, theirs, strict=True):
        assert one.text == other.text
        assert one.logprob == pytest.approx(other.logprob, abs=1e-4)
        assert [word.segment for word in one.words] == [word.segment for word in other.words]
