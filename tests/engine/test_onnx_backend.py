"""The ONNX backend against transformers: the same log-probabilities, attention and greedy tokens."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from medstt.engine.checkpoint import open_checkpoint
from medstt.engine.graph import quantise
from medstt.engine.onnx import OnnxBackend, open_onnx
from medstt.engine.transformers import TransformersBackend, open_transformers
from medstt.errors import ResourceError

TOKENS = np.random.default_rng(1).integers(0, 1900, (1, 9))


def features_of(backend: OnnxBackend, frames: int, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    return (random.standard_normal((backend.checkpoint.shape.n_mels, frames)) * 0.5).astype(np.float32)


@pytest.fixture(scope="module", params=["whisper_folder", "turbo_folder"])
def pair(request: pytest.FixtureRequest, cache: Path) -> tuple[OnnxBackend, TransformersBackend]:
    pytest.importorskip("transformers", reason="the reference engine needs medstt[train]")
    checkpoint = open_checkpoint(request.getfixturevalue(request.param))
    ours = open_onnx(checkpoint, cache=cache, threads=1, precision="float32")
    return ours, open_transformers(checkpoint, threads=1)


def test_log_probabilities_and_attention_are_those_of_transformers(
    pair: tuple[OnnxBackend, TransformersBackend],
) -> None:
    import torch

    ours, reference = pair
    nothing = np.zeros(ours.checkpoint.shape.vocabulary, np.float32)
    features = features_of(ours, 3000)
    with torch.inference_mode():
        output = reference._model(
            input_features=torch.from_numpy(features[None]),
            decoder_input_ids=torch.from_numpy(TOKENS),
            output_attentions=True,
        )
    expected = output.logits.log_softmax(-1).numpy()
    for backend in pair:
        memory = backend.encode([features])
        found, _ = backend.step(memory, backend.begin(memory, 1), TOKENS, range(TOKENS.shape[1]), nothing)
        assert np.abs(found - expected).max() < 1e-4
        heads = np.concatenate([output.cross_attentions[layer].numpy() for layer in _layers(backend)], axis=1)
        assert np.abs(backend.attend(memory, TOKENS) - heads).max() < 1e-5


def _layers(backend: OnnxBackend | TransformersBackend) -> list[int]:
    return sorted({layer for layer, _ in backend.checkpoint.alignment_heads})


def test_steps_beams_and_batches_of_unequal_lengths_agree_with_one_pass(
    pair: tuple[OnnxBackend, TransformersBackend],
) -> None:
    ours, reference = pair
    nothing = np.zeros(ours.checkpoint.shape.vocabulary, np.float32)
    clips = [features_of(ours, 200, 1), features_of(ours, 320, 2), features_of(ours, 84, 3)]
    rows = np.repeat(TOKENS, 6, axis=0)  # two beams a clip
    rows[1::2] = (rows[1::2] + 7) % 1900
    memory, plain = ours.encode(clips), reference.encode(clips)
    cache, slow = ours.begin(memory, 2), reference.begin(plain, 2)
    for first, last in ((0, 4), (4, 5), (5, 6)):
        found, cache = ours.step(memory, cache, rows[:, first:last], [last - first - 1], nothing)
        expected, slow = reference.step(plain, slow, rows[:, first:last], [last - first - 1], nothing)
        assert np.abs(found - expected).max() < 1e-4
    order = np.array([1, 0, 4, 4])  # drop the second clip, swap and copy beams
    memory, cache = ours.select(memory, [0, 2]), ours.reorder(cache, order)
    plain, slow = reference.select(plain, [0, 2]), reference.reorder(slow, order)
    found, _ = ours.step(memory, cache, rows[order, 6:7], [0], nothing)
    expected, _ = reference.step(plain, slow, rows[order, 6:7], [0], nothing)
    assert np.abs(found - expected).max() < 1e-4


def test_int8_stays_close_to_float32(whisper_folder: Path, cache: Path) -> None:
    checkpoint = open_checkpoint(whisper_folder)
    exact = open_onnx(checkpoint, cache=cache, threads=1, precision="float32")
    int8 = open_onnx(checkpoint, cache=cache, threads=1)
    nothing = np.zeros(checkpoint.shape.vocabulary, np.float32)
    results = []
    for backend in (exact, int8):
        memory = backend.encode([features_of(backend, 300)])
        results.append(backend.step(memory, backend.begin(memory, 1), TOKENS, range(9), nothing)[0])
    assert np.abs(results[0] - results[1]).max() < 0.15 * results[0].std()


@pytest.mark.parametrize(("seven_bits", "bound"), [(False, 1 / 254), (True, 1 / 126)])
def test_quantised_weights_are_within_half_a_step(seven_bits: bool, bound: float) -> None:
    weight = np.random.default_rng(0).standard_normal((5, 40)).astype(np.float32)
    values, scale, zero = quantise(weight, seven_bits=seven_bits)
    back = (values.astype(np.float32) - zero.astype(np.float32)) * scale
    assert np.all(np.abs(back.T - weight) <= np.abs(weight).max(axis=1, keepdims=True) * bound * 1.001)


def test_conversion_is_kept_and_never_half_written(small_folder: Path, tmp_path: Path) -> None:
    checkpoint = open_checkpoint(small_folder)
    open_onnx(checkpoint, cache=tmp_path, threads=1)
    (kept,) = tmp_path.iterdir()
    assert kept.name.startswith(checkpoint.digest[:16])
    before = (kept / "decoder.onnx").stat().st_mtime_ns
    open_onnx(checkpoint, cache=tmp_path, threads=1)
    assert (kept / "decoder.onnx").stat().st_mtime_ns == before
    assert [path.name for path in tmp_path.iterdir()] == [kept.name]


def test_a_cache_that_cannot_be_written_is_named(small_folder: Path, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(ResourceError, match="cannot write the converted model"):
        open_onnx(open_checkpoint(small_folder), cache=blocked, threads=1)
    assert os.listdir(tmp_path) == ["file"]
