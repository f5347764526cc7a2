"""Model folders of CTranslate2 (``model.bin``, as faster-whisper reads them) turned back into Hugging Face's layout.

The file is read with NumPy alone, after ctranslate2's own writer (``specs/model_spec.py``, binary version 6). Its int8
rows follow the rule of the engine's eight-bit weights. Knows nothing of names or caches.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import numpy.typing as npt

from medstt.errors import CorruptModel, ModelError
from medstt.registry.card import Card, read_card
from medstt.registry.digest import CARD
from medstt.registry.layout import BINARY, WEIGHTS, write_folder

BINARY_VERSION = 6
TOKENIZER = "tokenizer.json"
START, END = "<|startoftranscript|>", "<|endoftext|>"
ENGLISH_ONLY = 51_864  # the vocabulary of Whisper's models without languages
_DTYPES = (np.float32, np.int8, np.int16, np.int32, np.float16, ml_dtypes.bfloat16)

Array = npt.NDArray[np.float32]


def convert_ctranslate2(source: Path, target: Path) -> Path:
    """Write a CTranslate2 folder in the ordinary form to a new folder and return it; its card, if any, is kept."""
    tensors, configuration = read_model(source)
    card = read_card(source) if (source / CARD).is_file() else Card(source.name, summary="Converted from CTranslate2")
    return write_folder(target, source, (WEIGHTS, tensors, "pt"), card, configuration)


class _Reader:
    """Reads numbers and strings of a file in memory one after the other."""

    def __init__(self, content: memoryview) -> None:
        self._content = content
        self._place = 0

    def number(self, form: str) -> int:
        (value,) = struct.unpack_from(f"<{form}", self._content, self._place)
        self._place += struct.calcsize(f"<{form}")
        return int(value)

    def text(self) -> str:
        return bytes(self.take(self.number("H"))[:-1]).decode()

    def take(self, size_bytes: int) -> memoryview:
        piece = self._content[self._place : self._place + size_bytes]
        if len(piece) != size_bytes:
            raise ValueError("the file breaks off")
        self._place += size_bytes
        return piece


@dataclass(frozen=True, slots=True)
class Variables:
    """The variables of one ``model.bin`` by name; ``get`` follows aliases and undoes quantisation."""

    stored: Mapping[str, npt.NDArray[Any]]
    aliases: Mapping[str, str]

    def has(self, name: str) -> bool:
        """Return whether there is a variable of that name."""
        return self.aliases.get(name, name) in self.stored

    def get(self, name: str) -> Array:
        """Return a variable as float32; raises KeyError."""
        name = self.aliases.get(name, name)
        value = self.stored[name].astype(np.float32)
        if self.has(f"{name}_scale"):
            scale = self.get(f"{name}_scale")
            value /= scale.reshape(scale.shape + (1,) * (value.ndim - scale.ndim))
        return value

    def layers(self, part: str) -> int:
        """Return how many layers the encoder or decoder has."""
        parents = {name.split("/")[1] for name in (*self.stored, *self.aliases) if name.startswith(f"{part}/")}
        return sum(parent.removeprefix("layer_").isdigit() for parent in parents)


def read_variables(path: Path) -> Variables:
    """Read a ``model.bin``; raises CorruptModel for damage, ModelError for another version or kind of model."""
    try:
        reader = _Reader(memoryview(path.read_bytes()))
        version = reader.number("I")
        if version != BINARY_VERSION:
            raise ModelError(f"{path}: binary version {version}", f"Convert it again, to version {BINARY_VERSION}")
        kind = reader.text()
        reader.number("I")  # the specification's revision
        if kind != "WhisperSpec":
            raise ModelError(f"{path}: a model of kind {kind}", "Use a Whisper model")
        stored = dict(_variable(reader) for _ in range(reader.number("I")))
        return Variables(stored, {reader.text(): reader.text() for _ in range(reader.number("I"))})
    except (ValueError, IndexError, struct.error) as error:
        raise CorruptModel(f"{path}: not a whole CTranslate2 model ({error})", "Copy the file again") from error


def _variable(reader: _Reader) -> tuple[str, npt.NDArray[Any]]:
    name = reader.text()
    shape = [reader.number("I") for _ in range(reader.number("B"))]
    dtype = _DTYPES[reader.number("B")]
    return name, np.frombuffer(reader.take(reader.number("I")), dtype).reshape(shape)


def read_model(folder: Path) -> tuple[dict[str, npt.NDArray[np.float16]], dict[str, dict[str, Any]]]:
    """Return weights in float16 by Hugging Face's names, and the configuration files by theirs.

    Raises CorruptModel and ModelError as ``read_variables``, and where variables or the tokenizer are missing.
    """
    if not (folder / TOKENIZER).is_file():
        raise ModelError(f"{folder} holds no {TOKENIZER}", "Copy it from the model that was converted")
    variables = read_variables(folder / BINARY)
    try:
        tensors = {name: value.astype(np.float16) for name, value in _tensors(variables)}
        config = {**_config(variables), **_specials(folder)}
        generation = {**_generation(folder, config["vocab_size"]), **_specials(folder)}
        return tensors, {"config.json": config, "generation_config.json": generation}
    except KeyError as error:
        raise CorruptModel(f"{folder / BINARY} lacks {error.args[0]}", "Convert the model again") from error


def _tensors(v: Variables) -> Iterator[tuple[str, Array]]:
    for number in (1, 2):
        for part in ("weight", "bias"):
            yield f"model.encoder.conv{number}.{part}", v.get(f"encoder/conv{number}/{part}")
    yield "model.decoder.embed_tokens.weight", v.get("decoder/embeddings/weight")
    if v.aliases.get("decoder/projection/weight") != "decoder/embeddings/weight":
        yield "proj_out.weight", v.get("decoder/projection/weight")
    for part in ("encoder", "decoder"):
        yield f"model.{part}.embed_positions.weight", v.get(f"{part}/position_encodings/encodings")
        yield from _norm(v, f"{part}/layer_norm", f"model.{part}.layer_norm")
        for number in range(v.layers(part)):
            yield from _layer(v, f"{part}/layer_{number}", f"model.{part}.layers.{number}", part == "decoder")


def _layer(v: Variables, theirs: str, ours: str, crossed: bool) -> Iterator[tuple[str, Array]]:
    yield from _linear(v, f"{theirs}/self_attention/linear_0", [f"{ours}.self_attn.{part}_proj" for part in "qkv"])
    yield from _linear(v, f"{theirs}/self_attention/linear_1", [f"{ours}.self_attn.out_proj"])
    yield from _norm(v, f"{theirs}/self_attention/layer_norm", f"{ours}.self_attn_layer_norm")
    if crossed:
        for number, parts in enumerate((("q",), ("k", "v"), ("out",))):
            names = [f"{ours}.encoder_attn.{part}_proj" for part in parts]
            yield from _linear(v, f"{theirs}/attention/linear_{number}", names)
        yield from _norm(v, f"{theirs}/attention/layer_norm", f"{ours}.encoder_attn_layer_norm")
    for number in (1, 2):
        yield from _linear(v, f"{theirs}/ffn/linear_{number - 1}", [f"{ours}.fc{number}"])
    yield from _norm(v, f"{theirs}/ffn/layer_norm", f"{ours}.final_layer_norm")


def _linear(v: Variables, theirs: str, ours: list[str]) -> Iterator[tuple[str, Array]]:
    """Yield one product, or several that were stacked; Whisper's keys have no bias (zeros where it was stacked)."""
    for part in ("weight", "bias"):
        pieces = np.split(v.get(f"{theirs}/{part}"), len(ours))
        for name, piece in zip(ours, pieces, strict=True):
            if part == "weight" or not name.endswith(".k_proj"):
                yield f"{name}.{part}", piece


def _norm(v: Variables, theirs: str, ours: str) -> Iterator[tuple[str, Array]]:
    yield f"{ours}.weight", v.get(f"{theirs}/gamma")
    yield f"{ours}.bias", v.get(f"{theirs}/beta")


def _config(v: Variables) -> dict[str, Any]:
    vocabulary, width = v.get("decoder/embeddings/weight").shape
    config: dict[str, Any] = {
        "model_type": "whisper",
        "architectures": ["WhisperForConditionalGeneration"],
        "d_model": width,
        "num_mel_bins": v.get("encoder/conv1/weight").shape[1],
        "vocab_size": vocabulary,
        "scale_embedding": v.has("decoder/scale_embeddings") and bool(v.get("decoder/scale_embeddings")),
        "tie_word_embeddings": v.aliases.get("decoder/projection/weight") == "decoder/embeddings/weight",
        "max_source_positions": len(v.get("encoder/position_encodings/encodings")),
        "max_target_positions": len(v.get("decoder/position_encodings/encodings")),
    }
    for part in ("encoder", "decoder"):
        config[f"{part}_layers"] = v.layers(part)
        config[f"{part}_attention_heads"] = int(v.get(f"{part}/num_heads"))
        config[f"{part}_ffn_dim"] = len(v.get(f"{part}/layer_0/ffn/linear_0/weight"))
    return config


def _specials(folder: Path) -> dict[str, int]:
    """Return the ids of the special tokens under the names that Hugging Face's configuration has for them."""
    added = {token["content"]: token["id"] for token in _read_json(folder / TOKENIZER).get("added_tokens", ())}
    if not {END, START} <= added.keys():
        raise CorruptModel(f"{folder / TOKENIZER}: not Whisper's", "Copy it from the model that was converted")
    names = dict.fromkeys(("bos_token_id", "eos_token_id", "pad_token_id"), added[END])
    return {**names, "decoder_start_token_id": added[START]}


def _generation(folder: Path, vocabulary: int) -> dict[str, Any]:
    """Return what CTranslate2 keeps of the generation's configuration, by Hugging Face's names."""
    theirs = _read_json(folder / "config.json") if (folder / "config.json").is_file() else {}
    return {
        "suppress_tokens": theirs.get("suppress_ids"),
        "begin_suppress_tokens": theirs.get("suppress_ids_begin"),
        "alignment_heads": theirs.get("alignment_heads"),
        "is_multilingual": vocabulary != ENGLISH_ONLY,
    }


def _read_json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise CorruptModel(f"{path}: not JSON ({error})", "Copy the file again") from error
    return value if isinstance(value, dict) else {}
