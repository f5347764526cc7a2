"""A Whisper model folder as Hugging Face lays it out: configuration, weights, card and digest.

Knows nothing of how a backend computes, of audio, or of where folders come from.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import ml_dtypes  # noqa: F401  registers bfloat16 with NumPy, which safetensors needs to read it
import numpy as np
import numpy.typing as npt
from safetensors import safe_open

from medstt.engine.letter import CHARACTERS, HEAD
from medstt.errors import CorruptModel, ModelError, UnknownModel
from medstt.values import LANGUAGES

AudioContext = Literal["dynamic", "full"]
Array = npt.NDArray[np.float32]

DECODER_WEIGHT = 0.8  # of models with a head that hears letters, never tuned
MOST_DECODER_WEIGHT = 10
WEIGHT_KEY = "decoder_weight"
_DIGESTED = ("config.json", "generation_config.json", "preprocessor_config.json", "tokenizer.json", "card.json", HEAD)


@dataclass(frozen=True, slots=True)
class Shape:
    """The sizes of a Whisper model, as its config.json states them."""

    d_model: int
    n_mels: int
    vocabulary: int
    encoder_layers: int
    encoder_heads: int
    decoder_layers: int
    decoder_heads: int
    source_positions: int
    target_positions: int
    scale_embedding: bool


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """One readable model folder. ``digest`` covers configuration, tokenizer, card and weights."""

    folder: Path
    shape: Shape
    generation: Mapping[str, Any]
    card: Mapping[str, Any]
    weight_files: Mapping[str, Path] = field(repr=False)
    digest: str = ""

    @property
    def audio_context(self) -> AudioContext:
        """ "dynamic" where the card declares it, else Whisper's own "full" (30 s)."""
        return "dynamic" if self.card.get("audio_context") == "dynamic" else "full"

    @property
    def languages(self) -> tuple[str, ...]:
        """Languages the model may be asked for."""
        return tuple(self.card.get("languages", LANGUAGES))

    @property
    def alignment_heads(self) -> tuple[tuple[int, int], ...]:
        """(layer, head) pairs whose cross-attention follows time; all of the upper half where nobody chose.

        From the card, else generation_config.json; the fallback is openai-whisper's own.
        """
        chosen = self.card.get("alignment_heads") or self.generation.get("alignment_heads")
        if chosen:
            return tuple((int(layer), int(head)) for layer, head in chosen)
        layers, heads = self.shape.decoder_layers, self.shape.decoder_heads
        return tuple((layer, head) for layer in range(layers // 2, layers) for head in range(heads))

    @property
    def decoder_weight(self) -> float:
        """What a nat of the decoder counts beside one of the letters in a joint search; 0 where it decodes alone.

        Tuned with the bias and stored beside its values. Raises CorruptModel for a card that says anything else.
        """
        tuned = self.card.get("bias")
        weight = tuned.get(WEIGHT_KEY, DECODER_WEIGHT) if isinstance(tuned, Mapping) else DECODER_WEIGHT
        if not isinstance(weight, int | float) or isinstance(weight, bool) or not 0 <= weight <= MOST_DECODER_WEIGHT:
            raise CorruptModel(
                f"{self.folder / 'card.json'}: bias.{WEIGHT_KEY} is {weight!r}, not within 0 to {MOST_DECODER_WEIGHT}",
                "Correct the card, or tune the bias again",
            )
        return float(weight) if self.letter_head is not None else 0.0

    @property
    def letter_head(self) -> tuple[Array, Array] | None:
        """Weight (characters, width) and bias of the head that hears letters, None for a model without one."""
        path = self.folder / HEAD
        if not path.is_file():
            return None
        try:
            with safe_open(path, framework="np") as tensors:
                weight, bias = (
                    np.asarray(tensors.get_tensor(f"project.{part}"), np.float32) for part in ("weight", "bias")
                )
        except Exception as error:  # safetensors raises a class of its own for each kind of damage
            raise CorruptModel(f"{path}: cannot be read ({error})", "Copy the file again, or delete it") from error
        fits = weight.shape == (len(CHARACTERS), self.shape.d_model) and bias.shape == (len(CHARACTERS),)
        return (weight, bias) if fits else None

    def tensor(self, name: str) -> Array:
        """Read one tensor as float32 by its Hugging Face name (``model.`` may be left out in the file)."""
        for key in (name, name.removeprefix("model.")):
            if key in self.weight_files:
                with safe_open(self.weight_files[key], framework="np") as tensors:
                    return np.asarray(tensors.get_tensor(key)).astype(np.float32)
        raise CorruptModel(f"{self.folder}: the weights lack {name}", "Copy the model folder again, whole")

    def has(self, name: str) -> bool:
        """Return whether the weights hold a tensor of that name."""
        return name in self.weight_files or name.removeprefix("model.") in self.weight_files


def open_checkpoint(folder: Path, digest: str | None = None) -> Checkpoint:
    """Read configuration and card of a model folder and check its weight files.

    ``digest`` is the folder's where somebody has checked it already; otherwise every file is read to make one.

    Raises UnknownModel without config.json, CorruptModel for files that cannot be read, ModelError for a model that
    is not Whisper.
    """
    if not (folder / "config.json").is_file():
        raise UnknownModel(f"{folder}: no config.json in it", "Name a folder in Hugging Face's Whisper layout")
    config = _read_json(folder / "config.json")
    if config.get("model_type") != "whisper":
        raise ModelError(f"{folder}: a {config.get('model_type')!r} model", "Use a Whisper-architecture model")
    if config.get("activation_function", "gelu") != "gelu":
        raise ModelError(f"{folder}: activation {config['activation_function']!r}", "Use a model with gelu")
    files = _weight_files(folder)
    present = {name: folder / name for name in _DIGESTED if (folder / name).is_file()}
    generation = _read_json(present["generation_config.json"]) if "generation_config.json" in present else {}
    card = _read_json(present["card.json"]) if "card.json" in present else {}
    digest = digest or _digest({**present, **{path.name: path for path in files.values()}})
    return Checkpoint(folder, _parse_shape(config, folder), generation, card, files, digest)


def _parse_shape(config: Mapping[str, Any], folder: Path) -> Shape:
    try:
        return Shape(
            d_model=config["d_model"],
            n_mels=config.get("num_mel_bins", 80),
            vocabulary=config["vocab_size"],
            encoder_layers=config["encoder_layers"],
            encoder_heads=config["encoder_attention_heads"],
            decoder_layers=config["decoder_layers"],
            decoder_heads=config["decoder_attention_heads"],
            source_positions=config.get("max_source_positions", 1500),
            target_positions=config.get("max_target_positions", 448),
            scale_embedding=bool(config.get("scale_embedding", False)),
        )
    except KeyError as error:
        raise CorruptModel(f"{folder / 'config.json'}: no {error.args[0]}", "Copy the model folder again") from error


def _weight_files(folder: Path) -> dict[str, Path]:
    """Map every tensor name to its safetensors file, whether one file or shards with an index."""
    index = folder / "model.safetensors.index.json"
    sharded = index.is_file()
    names = sorted(set(_read_json(index).get("weight_map", {}).values())) if sharded else ["model.safetensors"]
    files: dict[str, Path] = {}
    for name in names:
        path = folder / name
        if not path.is_file():
            raise CorruptModel(f"{folder}: {name} is missing", "Copy the model folder again, with its weights")
        try:
            with safe_open(path, framework="np") as tensors:
                files.update(dict.fromkeys(tensors.keys(), path))
        except Exception as error:  # safetensors raises a class of its own for each kind of damage
            raise CorruptModel(f"{path}: not a whole safetensors file ({error})", "Copy the file again") from error
    return files


def _read_json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise CorruptModel(f"{path}: not JSON ({error})", "Copy the file again") from error
    if not isinstance(value, dict):
        raise CorruptModel(f"{path}: not a JSON object", "Copy the file again")
    return value


def _digest(files: Mapping[str, Path]) -> str:
    total = hashlib.sha256()
    for name in sorted(files):
        with files[name].open("rb") as content:
            total.update(f"{name}\0{hashlib.file_digest(content, 'sha256').hexdigest()}\n".encode())
    return total.hexdigest()
