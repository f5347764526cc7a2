"""What training exports loads in other people's tools as it is, and stock shapes train end to end."""

from __future__ import annotations

import hashlib
import runpy
from pathlib import Path

import pytest
from small_set import make_set
from transformers import WhisperConfig

from medstt.audio import read_audio
from medstt.benchmark.model import RandomShape, write_random_model
from medstt.engine import load_engine
from medstt.engine.protocol import Clip, DecodeOptions
from medstt.errors import UnknownModel
from medstt.evaluate.peer import FasterWhisperSystem, TransformersSystem
from medstt.evaluate.system import Request, SystemOptions
from medstt.registry import resolve_model
from medstt.train.export import WEIGHTS
from medstt.train.finish import finish, make_card
from medstt.train.recipe import DataSource, Loss, Recipe, Shape
from medstt.train.run import Places, run
from medstt.values import Segment

TINY = Shape(
    d_model=32, encoder_layers=1, encoder_attention_heads=2, encoder_ffn_dim=64, decoder_layers=1,
    decoder_attention_heads=2, decoder_ffn_dim=64, vocabulary=300,
)  # fmt: skip


def recipe(**changes: object) -> Recipe:
    values: dict[str, object] = {
        "name": "tones", "steps": 2, "warmup": 1, "frames": 600, "shape": TINY,
        "train": [DataSource(manifest="manifest.jsonl")],
    }  # fmt: skip
    return Recipe.model_validate(values | changes)


def quiet(row: dict[str, float]) -> None:
    """Take a report and print nothing."""


def train(plan: Recipe, data: Path, folder: Path, base: Path | None = None) -> Path:
    where = Places(data, data / "cache", folder / "run")
    model, tokenizer = run(plan, where, base, jobs=1, report=quiet)
    finish(model, tokenizer, make_card(plan, where, None, {}), folder / "export", None)
    return folder / "export"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_set(tmp_path_factory.mktemp("tones"), 6).parent


@pytest.fixture(scope="module")
def export(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(recipe(), data, tmp_path_factory.mktemp("first"))


def request(data: Path) -> Request:
    return Request("0", data / "audio" / "0.wav", "en")


def test_transformers_pipeline_loads_an_export(data: Path, export: Path) -> None:
    system = TransformersSystem.open(str(export), SystemOptions())
    assert isinstance(system.transcribe(request(data)).text, str)


def test_faster_whisper_loads_a_converted_export(data: Path, export: Path, tmp_path: Path) -> None:
    pytest.importorskip("faster_whisper")
    converters = pytest.importorskip("ctranslate2.converters")
    converter = converters.TransformersConverter(
        str(export), copy_files=["tokenizer.json", "preprocessor_config.json"], load_as_float16=False
    )
    converter.convert(str(tmp_path / "ct2"), quantization="int8")
    reply = FasterWhisperSystem.open(str(tmp_path / "ct2"), SystemOptions()).transcribe(request(data))
    assert reply.language == "en"


def test_two_runs_of_one_recipe_give_the_same_weights(data: Path, export: Path, tmp_path: Path) -> None:
    again = train(recipe(), data, tmp_path)
    first, second = (hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest() for folder in (export, again))
    assert first == second


@pytest.mark.parametrize("n_mels", [80, 128])
def test_stock_shapes_with_whispers_own_tokenizer_are_fine_tuned(data: Path, tmp_path: Path, n_mels: int) -> None:
    languages = 99 if n_mels == 80 else 100
    tools = runpy.run_path(str(Path(__file__).parents[1] / "engine" / "conftest.py"))
    tokenizer = tools["whisper_tokenizer"](languages)
    shape = RandomShape(32, 1, 1, 2, n_mels, tokenizer.get_vocab_size(), languages)
    base = write_random_model(tmp_path / "stock", shape, dynamic=False, tokenizer=tokenizer)
    plan = recipe(name="child", base=str(base), method="lora", lora_rank=2, loss=Loss(distil=0.5))
    folder = train(plan, data, tmp_path, base)
    assert WhisperConfig.from_pretrained(folder).num_mel_bins == n_mels
    engine = load_engine(folder, "child", cache=tmp_path / "cache")
    audio = read_audio(data / "audio" / "0.wav")
    assert engine.capabilities.audio_context == "dynamic"
    assert len(engine.decode([Clip(audio.samples, Segment(0, audio.duration_ms))], DecodeOptions(language="en"))) == 1


def test_an_adapter_alone_is_no_base(tmp_path: Path) -> None:
    (tmp_path / "adapter").mkdir()
    (tmp_path / "adapter" / "adapter_config.json").write_text("{}")
    with pytest.raises(UnknownModel, match=r"no config\.json"):
        resolve_model(str(tmp_path / "adapter"), tmp_path)
