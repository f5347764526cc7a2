"""A complete Whisper folder of 200 kB, random weights: it says some syllables, whatever was said. Needs no torch."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from medstt.registry.digest import digest_files

WIDTH, HEADS, MELS, POSITIONS = 16, 2, 80, 1500
WORDS = 3  # in each segment
SYLLABLES = [f"Ġ{a}{b}" for a in "bdfglmnprstvk" for b in ("a", "e", "i", "o", "u", "an", "el", "is")]
SPECIAL = [
    "<|endoftext|>", "<|startoftranscript|>", "<|en|>", "<|de|>", "<|translate|>", "<|transcribe|>", "<|startoflm|>",
    "<|startofprev|>", "<|nospeech|>", "<|notimestamps|>",
]  # fmt: skip
CARD = {"name": "tiny", "version": "1", "languages": ["en", "de"], "audio_context": "dynamic"}


def write_tiny_model(folder: Path, seed: int = 1) -> Path:
    """Write configuration, tokenizer, weights, card and digests; every word it can say is a syllable."""
    folder.mkdir(parents=True)
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {text: number for number, text in enumerate(letters + SYLLABLES)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(name, special=True) for name in SPECIAL])
    tokenizer.save(str(folder / "tokenizer.json"))
    ids = {name: len(vocabulary) + number for number, name in enumerate(SPECIAL)}
    config = {
        "model_type": "whisper", "d_model": WIDTH, "num_mel_bins": MELS, "vocab_size": len(vocabulary) + len(SPECIAL),
        "encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": HEADS, "decoder_attention_heads": HEADS,
        "encoder_ffn_dim": 4 * WIDTH, "decoder_ffn_dim": 4 * WIDTH, "max_source_positions": POSITIONS,
        "max_target_positions": 448, "eos_token_id": ids["<|endoftext|>"],
        "decoder_start_token_id": ids["<|startoftranscript|>"],
    }  # fmt: skip
    quiet = [*range(len(letters)), ids["<|nospeech|>"]]
    write = {"config.json": config, "generation_config.json": {"suppress_tokens": quiet}, "card.json": CARD}
    for name, content in write.items():
        (folder / name).write_text(json.dumps(content))
    save_file(
        _weights(np.random.default_rng(seed), config["vocab_size"], ids["<|endoftext|>"]), folder / "model.safetensors"
    )
    (folder / "digests.json").write_text(json.dumps(digest_files(folder, CARD)))
    return folder


def _weights(random: np.random.Generator, vocabulary: int, end: int) -> dict[str, np.ndarray]:
    shapes: dict[str, tuple[int, ...]] = {
        "encoder.conv1.weight": (WIDTH, MELS, 3), "encoder.conv1.bias": (WIDTH,),
        "encoder.conv2.weight": (WIDTH, WIDTH, 3), "encoder.conv2.bias": (WIDTH,),
        "encoder.embed_positions.weight": (POSITIONS, WIDTH),
        "decoder.embed_tokens.weight": (vocabulary, WIDTH), "decoder.embed_positions.weight": (448, WIDTH),
    }  # fmt: skip
    for part, attentions in (("encoder", ("self_attn",)), ("decoder", ("self_attn", "encoder_attn"))):
        layer = f"{part}.layers.0"
        for attention in attentions:
            for projection in ("q", "k", "v", "out"):
                shapes[f"{layer}.{attention}.{projection}_proj.weight"] = (WIDTH, WIDTH)
                if projection != "k":
                    shapes[f"{layer}.{attention}.{projection}_proj.bias"] = (WIDTH,)
        shapes |= {f"{layer}.fc1.weight": (4 * WIDTH, WIDTH), f"{layer}.fc1.bias": (4 * WIDTH,)}
        shapes |= {f"{layer}.fc2.weight": (WIDTH, 4 * WIDTH), f"{layer}.fc2.bias": (WIDTH,)}
        norms = [f"{layer}.{attention}_layer_norm" for attention in attentions]
        for norm in (*norms, f"{layer}.final_layer_norm", f"{part}.layer_norm"):
            shapes |= {f"{norm}.weight": (WIDTH,), f"{norm}.bias": (WIDTH,)}
    weights = {name: random.normal(0, 0.7, shape).astype(np.float32) for name, shape in shapes.items()}
    for name in weights:
        if "layer_norm" in name:
            weights[name][:] = float(name.endswith("weight"))
    # From the third word on the position drowns everything else and points to the end of the text.
    direction = np.where(np.arange(WIDTH) % 2, 1.0, -1.0).astype(np.float32)
    weights["decoder.embed_positions.weight"][WORDS + 3 :] = 100 * direction
    weights["decoder.embed_tokens.weight"][end] = 3 * direction
    return {f"model.{name}": value for name, value in weights.items()}
