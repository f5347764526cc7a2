"""Whisper model folders of true shapes with random weights, written without any framework.

The end of a text is never the likeliest token of these weights, so every decoder runs to the number of tokens it is
allowed. Knows nothing of engines.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from safetensors.numpy import save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from medstt.errors import OptionError

Weights = dict[str, npt.NDArray[np.float32]]
_TIMESTAMPS = 1501
_SPREAD = 0.04  # twice Whisper's initial standard deviation: enough for attention to differ between positions
_LANGUAGES = (
    "en zh de es ru ko fr ja pt tr pl ca nl ar sv it id hi fi vi he uk el ms cs ro da hu ta no th ur hr bg lt la mi ml "
    "cy sk te fa lv bn sr az sl kn et mk br eu is hy ne mn bs kk sq sw gl mr pa si km sn yo so af oc ka be tg sd gu am "
    "yi lo uz fo ht ps tk nn mt sa lb my bo tl mg as tt haw ln ha ba jw su yue"
).split()


@dataclass(frozen=True, slots=True)
class RandomShape:
    """The sizes of a Whisper model; ``languages`` is how many of Whisper's languages its vocabulary has."""

    width: int
    encoder_layers: int
    decoder_layers: int
    heads: int
    n_mels: int
    vocabulary: int
    languages: int = 99


SHAPES = {
    "mini": RandomShape(256, 4, 2, 4, 80, 5_120, 3),
    "tiny": RandomShape(384, 4, 4, 6, 80, 51_865),
    "base": RandomShape(512, 6, 6, 8, 80, 51_865),
    "small": RandomShape(768, 12, 12, 12, 80, 51_865),
    "turbo": RandomShape(1280, 32, 4, 20, 128, 51_866, 100),
}


def find_shape(name: str) -> RandomShape:
    """Return a shape by name; raises OptionError for an unknown one."""
    if name not in SHAPES:
        raise OptionError(f"shape {name!r} is unknown", f"Choose among {', '.join(SHAPES)}")
    return SHAPES[name]


def special_tokens(languages: int) -> list[str]:
    """Return Whisper's special tokens in their order, with the first so many languages."""
    return [
        "<|endoftext|>",
        "<|startoftranscript|>",
        *(f"<|{code}|>" for code in _LANGUAGES[:languages]),
        "<|translate|>",
        "<|transcribe|>",
        "<|startoflm|>",
        "<|startofprev|>",
        "<|nospeech|>",
        "<|notimestamps|>",
        *(f"<|{step * 0.02:.2f}|>" for step in range(_TIMESTAMPS)),
    ]


def invented_tokenizer(shape: RandomShape) -> Tokenizer:
    """Return a byte-level tokenizer of the shape's size whose words are made up."""
    special = special_tokens(shape.languages)
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = [f"Ġw{number}" for number in range(shape.vocabulary - len(special) - len(letters))]
    vocabulary = {token: number for number, token in enumerate([*letters, *words])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(name, special=True) for name in special])
    return tokenizer


def write_random_model(
    folder: Path, shape: RandomShape, *, tokenizer: Tokenizer | None = None, dynamic: bool = True, seed: int = 0
) -> Path:
    """Write a Hugging Face Whisper folder with random weights and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = tokenizer or invented_tokenizer(shape)
    tokenizer.save(str(folder / "tokenizer.json"))
    end = tokenizer.token_to_id("<|endoftext|>")
    weights = _weights(shape, np.random.default_rng(seed))
    weights["model.decoder.embed_tokens.weight"][end] = 0  # logit 0, while the likeliest token's is far above
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    start = tokenizer.token_to_id("<|startoftranscript|>")
    special = {"decoder_start_token_id": start, "bos_token_id": end, "eos_token_id": end, "pad_token_id": end}
    config = {
        "model_type": "whisper",
        "architectures": ["WhisperForConditionalGeneration"],
        "activation_function": "gelu",
        "d_model": shape.width,
        "num_mel_bins": shape.n_mels,
        "vocab_size": shape.vocabulary,
        "encoder_layers": shape.encoder_layers,
        "decoder_layers": shape.decoder_layers,
        "encoder_attention_heads": shape.heads,
        "decoder_attention_heads": shape.heads,
        "encoder_ffn_dim": 4 * shape.width,
        "decoder_ffn_dim": 4 * shape.width,
        "max_source_positions": 1500,
        "max_target_positions": 448,
        **special,
    }
    features = {
        "feature_extractor_type": "WhisperFeatureExtractor",
        "feature_size": shape.n_mels,
        "sampling_rate": 16_000,
        "hop_length": 160,
        "n_fft": 400,
        "chunk_length": 30,
        "n_samples": 480_000,
        "nb_max_frames": 3000,
        "padding_side": "right",
        "padding_value": 0.0,
        "return_attention_mask": False,
    }
    files = {"config.json": config, "generation_config.json": special, "preprocessor_config.json": features}
    if dynamic:
        files["card.json"] = {"audio_context": "dynamic", "languages": ["en", "de"]}
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content), encoding="utf-8")
    return folder


def _weights(shape: RandomShape, random: np.random.Generator) -> Weights:
    width, weights = shape.width, Weights()

    def add(name: str, *dims: int) -> None:
        weights[name] = random.standard_normal(dims, np.float32) * np.float32(_SPREAD)

    def linear(name: str, rows: int, columns: int, *, bias: bool = True) -> None:
        add(f"{name}.weight", rows, columns)
        if bias:
            add(f"{name}.bias", rows)

    def norm(name: str) -> None:
        weights[f"{name}.weight"] = np.ones(width, np.float32)
        weights[f"{name}.bias"] = np.zeros(width, np.float32)

    def attention(name: str) -> None:
        for part in ("q", "k", "v", "out"):
            linear(f"{name}.{part}_proj", width, width, bias=part != "k")
        norm(f"{name}_layer_norm")

    for part, layers in (("encoder", shape.encoder_layers), ("decoder", shape.decoder_layers)):
        for number in range(layers):
            layer = f"model.{part}.layers.{number}"
            attention(f"{layer}.self_attn")
            if part == "decoder":
                attention(f"{layer}.encoder_attn")
            linear(f"{layer}.fc1", 4 * width, width)
            linear(f"{layer}.fc2", width, 4 * width)
            norm(f"{layer}.final_layer_norm")
        norm(f"model.{part}.layer_norm")
    for number, channels in ((1, shape.n_mels), (2, width)):
        add(f"model.encoder.conv{number}.weight", width, channels, 3)
        add(f"model.encoder.conv{number}.bias", width)
    add("model.encoder.embed_positions.weight", 1500, width)
    add("model.decoder.embed_positions.weight", 448, width)
    add("model.decoder.embed_tokens.weight", shape.vocabulary, width)
    return weights
