"""A Whisper folder as a ggml file for whisper.cpp (half precision, as its own converter writes it).

Knows nothing of measuring.
"""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import BinaryIO

import numpy as np

from medstt.engine.checkpoint import Array, Checkpoint
from medstt.feature import mel_filters

_MAGIC = 0x67676D6C
_HALF = 1
_PARTS = {
    "self_attn.q_proj": "attn.query",
    "self_attn.k_proj": "attn.key",
    "self_attn.v_proj": "attn.value",
    "self_attn.out_proj": "attn.out",
    "self_attn_layer_norm": "attn_ln",
    "encoder_attn.q_proj": "cross_attn.query",
    "encoder_attn.k_proj": "cross_attn.key",
    "encoder_attn.v_proj": "cross_attn.value",
    "encoder_attn.out_proj": "cross_attn.out",
    "encoder_attn_layer_norm": "cross_attn_ln",
    "fc1": "mlp.0",
    "fc2": "mlp.2",
    "final_layer_norm": "mlp_ln",
}
_OTHERS = {
    "encoder.embed_positions.weight": "encoder.positional_embedding",
    "encoder.layer_norm.weight": "encoder.ln_post.weight",
    "encoder.layer_norm.bias": "encoder.ln_post.bias",
    "decoder.embed_positions.weight": "decoder.positional_embedding",
    "decoder.embed_tokens.weight": "decoder.token_embedding.weight",
    "decoder.layer_norm.weight": "decoder.ln.weight",
    "decoder.layer_norm.bias": "decoder.ln.bias",
}


def convert_ggml(checkpoint: Checkpoint, path: Path) -> Path:
    """Write ``checkpoint`` as a ggml file and return ``path``. Whisper.cpp knows Whisper's own vocabularies only."""
    shape = checkpoint.shape
    tokenizer = json.loads((checkpoint.folder / "tokenizer.json").read_text(encoding="utf-8"))
    plain = sorted(tokenizer["model"]["vocab"].items(), key=lambda pair: pair[1])
    sizes = [
        shape.vocabulary, shape.source_positions, shape.d_model, shape.encoder_heads, shape.encoder_layers,
        shape.target_positions, shape.d_model, shape.decoder_heads, shape.decoder_layers, shape.n_mels, _HALF,
    ]  # fmt: skip
    with path.open("wb") as out:
        out.write(struct.pack("<I11i", _MAGIC, *sizes))
        filters = mel_filters(shape.n_mels)
        out.write(struct.pack("<2i", *filters.shape) + filters.tobytes())
        out.write(struct.pack("<i", len(plain)))
        for token, _ in plain:
            out.write(struct.pack("<i", len(token.encode())) + token.encode())
        for name in checkpoint.weight_files:
            if not name.startswith("proj_out"):
                _write_tensor(out, _rename(name), checkpoint.tensor(name))
    return path


def _rename(name: str) -> str:
    """Translate a Hugging Face tensor name to openai-whisper's."""
    name = name.removeprefix("model.")
    if name in _OTHERS:
        return _OTHERS[name]
    if ".layers." not in name:
        return name
    part, _, number, *middle, last = name.split(".")
    return f"{part}.blocks.{number}.{_PARTS['.'.join(middle)]}.{last}"


def _write_tensor(out: BinaryIO, name: str, value: Array) -> None:
    if name in ("encoder.conv1.bias", "encoder.conv2.bias"):
        value = value[:, None]
    half = value.ndim > 1 and not name.endswith((".bias", "positional_embedding"))
    out.write(struct.pack("<3i", value.ndim, len(name), _HALF if half else 0))
    out.write(struct.pack(f"<{value.ndim}i", *reversed(value.shape)))
    out.write(name.encode())
    out.write(np.ascontiguousarray(value, np.float16 if half else np.float32).tobytes())
