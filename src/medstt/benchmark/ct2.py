"""A Whisper folder as a CTranslate2 model, written without torch. Knows nothing of measuring."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from medstt.engine.checkpoint import Checkpoint


def convert_ct2(checkpoint: Checkpoint, folder: Path, quantization: str = "int8") -> Path:
    """Write ``checkpoint`` as a CTranslate2 folder that faster-whisper loads as well; return ``folder``."""
    from ctranslate2.specs import whisper_spec

    shape = checkpoint.shape
    spec = whisper_spec.WhisperSpec(
        shape.encoder_layers, shape.encoder_heads, shape.decoder_layers, shape.decoder_heads
    )
    for name, part in (("encoder", spec.encoder), ("decoder", spec.decoder)):
        part.position_encodings.encodings = checkpoint.tensor(f"model.{name}.embed_positions.weight")
        _norm(part.layer_norm, checkpoint, f"model.{name}.layer_norm")
        for number, layer in enumerate(part.layer):
            prefix = f"model.{name}.layers.{number}"
            _attention(layer.self_attention, checkpoint, f"{prefix}.self_attn", ("qkv",))
            if name == "decoder":
                _attention(layer.attention, checkpoint, f"{prefix}.encoder_attn", ("q", "kv"))
            _linear(layer.ffn.linear_0, checkpoint, [f"{prefix}.fc1"])
            _linear(layer.ffn.linear_1, checkpoint, [f"{prefix}.fc2"])
            _norm(layer.ffn.layer_norm, checkpoint, f"{prefix}.final_layer_norm")
    for number, conv in ((1, spec.encoder.conv1), (2, spec.encoder.conv2)):
        conv.weight = checkpoint.tensor(f"model.encoder.conv{number}.weight")
        conv.bias = checkpoint.tensor(f"model.encoder.conv{number}.bias")
    table = checkpoint.tensor("model.decoder.embed_tokens.weight")
    spec.decoder.embeddings.weight = table
    spec.decoder.projection.weight = table
    tokenizer = json.loads((checkpoint.folder / "tokenizer.json").read_text(encoding="utf-8"))
    names = {number: name for name, number in tokenizer["model"]["vocab"].items()}
    names |= {added["id"]: added["content"] for added in tokenizer["added_tokens"]}
    spec.register_vocabulary([names[number] for number in range(shape.vocabulary)])
    spec.config.suppress_ids = list(checkpoint.generation.get("suppress_tokens") or [])
    spec.config.suppress_ids_begin = list(checkpoint.generation.get("begin_suppress_tokens") or [])
    spec.config.alignment_heads = [list(pair) for pair in checkpoint.alignment_heads]
    start = next(number for number, name in names.items() if name == "<|startoftranscript|>")
    last = next(number for number, name in names.items() if name == "<|translate|>")
    spec.config.lang_ids = list(range(start + 1, last))
    spec.validate()
    spec.optimize(quantization=quantization)
    folder.mkdir(parents=True, exist_ok=True)
    spec.save(str(folder))
    for name in ("tokenizer.json", "preprocessor_config.json"):
        shutil.copyfile(checkpoint.folder / name, folder / name)
    return folder


def _linear(spec: Any, checkpoint: Checkpoint, names: list[str]) -> None:
    """Set one linear layer from one or several stacked; a missing bias beside others counts as zeros."""
    weights = [checkpoint.tensor(f"{name}.weight") for name in names]
    spec.weight = np.concatenate(weights)
    if any(checkpoint.has(f"{name}.bias") for name in names):
        spec.bias = np.concatenate(
            [
                checkpoint.tensor(f"{name}.bias") if checkpoint.has(f"{name}.bias") else np.zeros(len(weight), "f4")
                for name, weight in zip(names, weights, strict=True)
            ]
        )


def _attention(spec: Any, checkpoint: Checkpoint, prefix: str, groups: tuple[str, ...]) -> None:
    for linear, group in zip(spec.linear, groups, strict=False):
        _linear(linear, checkpoint, [f"{prefix}.{part}_proj" for part in group])
    _linear(spec.linear[-1], checkpoint, [f"{prefix}.out_proj"])
    _norm(spec.layer_norm, checkpoint, f"{prefix}_layer_norm")


def _norm(spec: Any, checkpoint: Checkpoint, name: str) -> None:
    spec.gamma = checkpoint.tensor(f"{name}.weight")
    spec.beta = checkpoint.tensor(f"{name}.bias")
