from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_model import write_tiny_model
from typer.testing import CliRunner

from medstt.audio import read_audio
from medstt.cli import peers
from medstt.engine.bias import BiasOptions
from medstt.engine.bias.compile import tuned_options
from medstt.engine.load import load_engine
from medstt.errors import ModelError, OptionError
from medstt.evaluate.agreement import Peer, listen, spreads
from medstt.evaluate.item import items_of
from medstt.evaluate.peer import _pieces
from medstt.evaluate.system import Reply, Request, SystemOptions
from medstt.feature import FULL_CONTEXT, HOP, log_mel
from medstt.manifest import write_manifest
from medstt.registry import built_in_models
from medstt.registry.packed import unpack
from medstt.registry.resolve import resolve_model
from medstt.speech import segment_stream
from medstt.values import Audio, Utterance

SPEECH = Path(__file__).parents[1] / "data" / "speech" / "chest_pain.flac"


class Says:
    """A system that says one text, or fails."""

    def __init__(self, text: str | None) -> None:
        self.text = text

    def describe(self) -> Mapping[str, Any]:
        return {"kind": "says", "name": str(self.text)}

    def transcribe(self, request: Request) -> Reply:
        if self.text is None:
            raise ModelError("no answer")
        return Reply(self.text, audio_ms=1000)


def test_groups_are_judged_on_their_own(tmp_path: Path) -> None:
    items = items_of([Utterance("a", "a.wav", "no fever no cough", "en")], tmp_path)
    said = [("one", "no fever no cough"), ("one", "no fever no"), ("two", "no"), ("two", "no"), ("three", None)]
    found = listen([Peer(g, str(t), lambda t=t: Says(t)) for g, t in said], items, tmp_path)  # type: ignore[misc]
    assert [one.rate for one in found] == [0.0, 25.0, 75.0, 75.0, None]
    assert [one.otherwise for one in found] == [(), ("a",), (), (), ()]
    assert spreads(found) == {"one": 25.0, "two": 0.0, "three": float("inf")}


@pytest.fixture
def manifest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MEDSTT_HOME", str(tmp_path / "home"))
    spans = [
        Utterance(f"u{n}", str(SPEECH), "chest pain for two days", "en", 500 * n, 500 * n + 2500) for n in range(2)
    ]
    write_manifest(tmp_path / "m.jsonl", spans)
    return tmp_path / "m.jsonl"


def call(*arguments: str | Path) -> tuple[int, str]:
    result = CliRunner().invoke(peers.app, [str(a) for a in arguments], catch_exceptions=False)
    return result.exit_code, result.stdout


def test_the_decoder_is_left_alone_with_the_audio(tmp_path: Path) -> None:
    model = built_in_models()["medstt-mini"]
    alone = load_engine(unpack(model, tmp_path / "m"), "m").capabilities
    assert alone.letters
    folder = peers.write_padded(tmp_path / "m", tmp_path / "alone", alone=True)
    engine = load_engine(folder, "alone")
    assert (engine.capabilities.letters, engine.capabilities.audio_context) == (False, "full")
    assert engine.checkpoint.decoder_weight == 0
    assert tuned_options(engine) == BiasOptions(boost=0.0, doubt=0.0)
    assert resolve_model(str(folder), tmp_path).digest


def test_our_server_hears_what_the_harness_hears_in_its_own_process(manifest: Path, tmp_path: Path) -> None:
    model = write_tiny_model(tmp_path / "tiny")
    code, out = call(model, "--manifest", manifest, "--beam", "1", "--programs", "server")
    assert code == 0
    assert "30 s, beam 1, decoder alone: 0.00 points apart" in out
    assert "30 s, as served: 0.00 points apart" in out
    with pytest.raises(OptionError, match="'dragon' is no program"):
        call(model, "--manifest", manifest, "--programs", "dragon")


@pytest.mark.slow
def test_a_phrase_that_is_filled_up_with_silence_is_the_same_to_other_programs() -> None:
    extractors = pytest.importorskip("faster_whisper.feature_extractor")
    phrase = next(iter(segment_stream([read_audio(SPEECH).samples]))).samples
    ours = log_mel(phrase, context=FULL_CONTEXT)
    (same,) = _pieces(Audio(phrase, "", "phrase"), SystemOptions(phrases=True))
    theirs = extractors.FeatureExtractor()(same)[:, : ours.shape[1]]
    assert np.abs(ours - theirs).max() < 1e-4
    silent = -(-len(phrase) // HOP) + 2
    assert np.ptp(ours[:, silent:]) == np.ptp(theirs[:, silent:]) == 0


@pytest.mark.slow
def test_other_programs_read_our_exported_model(manifest: Path) -> None:
    """How near they come is a matter of the model: `medstt peers medstt-mini --benchmark dictation-en`."""
    pytest.importorskip("faster_whisper")
    pytest.importorskip("transformers")
    model = built_in_models()["medstt-mini"]
    _, out = call(model, "--manifest", manifest, "--beam", "1", "--programs", "faster-whisper,transformers")
    assert "points apart" in out
    assert "inf" not in out
