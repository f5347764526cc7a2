"""Damaged files of every kind: each gives a recording or an error of ours, never a crash, a hang or a flood."""

from __future__ import annotations

import random
import time

import numpy as np
import pytest
from recordings import KINDS, amr, encode, float_wav, gsm_wav, tone, video_with_sound

from medstt.audio import read_audio
from medstt.errors import MedsttError

LONGEST_S = 20.0


def flip(data, source):
    for _ in range(source.randint(1, 40)):
        data[source.randrange(len(data))] ^= 1 << source.randrange(8)


def flip_header(data, source):
    for _ in range(source.randint(1, 12)):
        data[source.randrange(min(len(data), 200))] = source.randrange(256)


def extreme(data, source):
    place = source.randrange(min(len(data) - 8, 400))
    size = source.choice((1, 2, 4, 8))
    data[place : place + size] = source.choice((b"\xff", b"\x00", b"\x7f", b"\x80")) * size


def cut(data, source):
    del data[source.randrange(1, len(data)) :]


def remove(data, source):
    start = source.randrange(len(data))
    del data[start : start + source.randint(1, 2_000)]


def insert(data, source):
    start = source.randrange(len(data))
    data[start:start] = source.randbytes(source.randint(1, 2_000))


def overwrite(data, source):
    start = source.randrange(len(data))
    count = min(len(data) - start, source.randint(1, 4_000))
    data[start : start + count] = source.choice((bytes(count), source.randbytes(count)))


def repeat(data, source):
    start = source.randrange(len(data))
    data[start:start] = data[start : start + source.randint(1, 3_000)] * source.randint(1, 4)


def swap_halves(data, source):
    middle = source.randrange(len(data))
    data[:] = data[middle:] + data[:middle]


MUTATIONS = (flip, flip_header, extreme, cut, remove, insert, overwrite, repeat, swap_halves)


@pytest.fixture(scope="module")
def originals():
    files = {str(kind): encode(np.stack([tone(1.2, kind.rate_hz)] * kind.channels), kind) for kind in KINDS}
    more = {"gsm": gsm_wav(1), "amr": amr(1), "video": video_with_sound(tone(1)), "float": float_wav(tone(1))}
    return {**files, **more}


def decode_mutated(originals, seed):
    source = random.Random(seed)
    name = source.choice(sorted(originals))
    data = bytearray(originals[name])
    made = source.choices(MUTATIONS, k=source.choice((1, 1, 1, 2, 3)))
    for mutate in made:
        if len(data) > 16:
            mutate(data, source)
    story = f"seed {seed}: {name}, {', '.join(mutate.__name__ for mutate in made)}"
    begun = time.monotonic()
    outcome = outcome_of(bytes(data))
    assert time.monotonic() - begun < LONGEST_S, story
    if isinstance(outcome, MedsttError):
        assert "\n" not in str(outcome), story
        return False
    assert len(outcome.samples), story
    assert np.isfinite(outcome.samples).all(), story
    assert np.abs(outcome.samples).max() <= 1, story
    return True


def outcome_of(data):
    try:
        return read_audio(data, "mutated")
    except MedsttError as error:
        return error


def test_two_hundred_damaged_files(originals):
    decoded = sum(decode_mutated(originals, seed) for seed in range(200))
    assert 40 < decoded < 200  # both ends of the range would mean that the mutations test nothing


@pytest.mark.slow
def test_two_thousand_damaged_files(originals):
    assert sum(decode_mutated(originals, seed) for seed in range(200, 2_200)) > 400
