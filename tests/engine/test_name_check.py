"""The second look at names: what is replaced, what is only kept in mind, what is flagged; never in silence."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from medstt.engine.bias import BiasOptions, NameCheck
from medstt.engine.fake import FakeEngine
from medstt.engine.letter import CHARACTERS, Letters
from medstt.engine.protocol import Clip
from medstt.text import open_formatter
from medstt.values import RATE_HZ, Hypothesis, ModelRef, Segment, Transcript, Word
from medstt.vocab import load_lexicon

LEXICON = load_lexicon("en")
CLIP = Clip(np.ones(RATE_HZ, np.float32) * 0.1, Segment(0, 1000))


def heard(text: str, doubtful: str = "") -> Hypothesis:
    words = tuple(
        Word(word, Segment(n * 100, n * 100 + 90), 0.2 if word in doubtful.split() else 0.95)
        for n, word in enumerate(text.split())
    )
    return Hypothesis(CLIP.segment, words, -0.5, 0.01, "en")


DEFAULTS = BiasOptions()
ORDINARY = ("the", "patient", "started", "start", "stop", "today", "and", "is", "well", "now")


def check(options: BiasOptions = DEFAULTS) -> NameCheck:
    return NameCheck(LEXICON, options, lambda text: len(text.split()), lambda word: word in ORDINARY)


def engine_that_means(text: str) -> FakeEngine:
    """An engine for which this text is -0.1 a token and every other -5."""
    return FakeEngine(otherwise=text)


def test_what_is_no_word_becomes_the_name_it_sounds_like_and_says_so() -> None:
    before = heard("start abakavir, today", "abakavir,")
    after = check().check(engine_that_means("start abacavir, today"), CLIP, before)
    assert after.text == "start abacavir, today"
    (choice,) = after.choices
    assert (choice.heard, choice.written, choice.reason) == ("abakavir", "abacavir", "replaced")
    assert choice.readings[0].text == "abacavir"
    assert abs(sum(reading.probability for reading in choice.readings) - 1) < 1e-9
    assert "start abakavir, today" in [other.text for other in after.alternatives]
    assert after.words[1].segment == before.words[1].segment
    transcript = Transcript("a", "d", 1000, "en", ModelRef("m", "d"), "s", (after,))
    flags = open_formatter("en").format(transcript).flags
    assert [flag.reason for flag in flags if flag.words == (1,)] == ["name_replaced"]
    assert "'abakavir'" in next(flag.message for flag in flags if flag.reason == "name_replaced")


def test_a_confident_word_is_left_alone_and_so_is_an_ordinary_one() -> None:
    for text, doubt in (("start abakavir today", ""), ("the patient started", "patient started")):
        hypothesis = heard(text, doubt)
        assert check().check(engine_that_means("start abacavir today"), CLIP, hypothesis) is hypothesis


def test_without_a_clear_margin_nothing_is_replaced_but_the_other_reading_is_flagged() -> None:
    before = heard("start abakavir today", "abakavir")
    # What was heard is the likelier by 19.6 nats over four tokens; only a wide margin keeps the name in mind.
    engine = engine_that_means("start abakavir today")
    assert check().check(engine, CLIP, before) is before
    after = check(BiasOptions(keep=30.0)).check(engine, CLIP, before)
    assert after.text == before.text
    assert after.logprob == before.logprob
    assert after.choices[0].reason == "kept"
    transcript = Transcript("a", "d", 1000, "en", ModelRef("m", "d"), "s", (after,))
    assert "name_doubt" in [flag.reason for flag in open_formatter("en").format(transcript).flags]


def test_a_look_alike_within_the_margin_is_flagged_however_confident() -> None:
    pair = next(pair for pair in LEXICON.pairs if pair.source != "memory" and pair.a.isalpha() and pair.b.isalpha())
    before = heard(f"start {pair.a} today")
    after = check(BiasOptions(keep=30.0)).check(engine_that_means(before.text), CLIP, before)
    assert after.text == before.text  # a name is never changed into its look-alike
    assert after.choices[0].reason == "look_alike"
    for said in (before.text, f"start {pair.b} today"):  # not even when the look-alike is likelier
        again = check(BiasOptions(keep=30.0)).check(engine_that_means(said), CLIP, before)
        assert again.text == before.text
        transcript = Transcript("a", "d", 1000, "en", ModelRef("m", "d"), "s", (again,))
        flags = [flag for flag in open_formatter("en").format(transcript).flags if flag.reason == "look_alike"]
        assert flags
        assert flags[0].severity == "critical"


def test_two_places_keep_their_numbers_when_words_become_fewer() -> None:
    before = heard("start abaka vir and metopprolol today", "abaka vir metopprolol")
    lexicon = check(BiasOptions(replace=40.0, keep=50.0))
    after = lexicon.check(engine_that_means("x"), CLIP, before)
    for choice in after.choices:
        written = " ".join(word.text for word in after.words[choice.first : choice.last])
        assert written == choice.written


def test_an_engine_without_scores_is_not_asked() -> None:
    class Mute(FakeEngine):
        @property
        def capabilities(self):  # type: ignore[no-untyped-def]
            return replace(super().capabilities, score=False)

    hypothesis = heard("start abakavir today", "abakavir")
    assert check().check(Mute(), CLIP, hypothesis) is hypothesis


def test_no_name_takes_the_place_of_a_negation_or_a_number() -> None:
    for word in ("without", "fifty", "left"):
        assert check(BiasOptions(replace=20.0, keep=30.0)).check(
            engine_that_means("start abacavir today"), CLIP, heard(f"start {word} today", word)
        ).text == f"start {word} today"  # fmt: skip
    both = heard("stop abakavir not today", "abakavir not")
    after = check().check(engine_that_means("stop abacavir not today"), CLIP, both)
    assert after.text == "stop abacavir not today"


class Listener(FakeEngine):
    """A fake that also hears letters, those of a text of its own."""

    def __init__(self, said: str, heard_letters: str) -> None:
        super().__init__(otherwise=said)
        path = [place for letter in heard_letters for place in (CHARACTERS.index(letter), 0)]
        found = np.full((len(path), len(CHARACTERS)), -4.0, np.float32)
        found[np.arange(len(path)), path] = -0.05
        self._found = found

    @property
    def capabilities(self):  # type: ignore[no-untyped-def]
        return replace(super().capabilities, letters=True)

    def letters(self, clip: Clip) -> Letters | None:
        return self._found


def test_letters_find_and_choose_a_name_that_the_decoder_did_not_think_of() -> None:
    """The decoder means what it wrote; the letters are far nearer to a name."""
    before = heard("the patient started bela tazept today and is well now")
    engine = Listener("another text", "the patient started belatasept today and is well now")
    options = BiasOptions(letters=2.5)
    after = check(options).check(engine, CLIP, before)
    assert after.text == "the patient started belatacept today and is well now"
    (choice,) = after.choices
    assert (choice.heard, choice.written, choice.reason) == ("bela tazept", "belatacept", "replaced")
    assert check(BiasOptions(letters=0.0)).check(engine, CLIP, before) is before  # confident words, no letters asked


def test_where_most_words_are_noise_no_name_is_put_in_their_place() -> None:
    before = heard("bela tazept grmbl frtz knurps")
    assert check().check(Listener("x", "belatasept grmbl frtz knurps"), CLIP, before) is before
