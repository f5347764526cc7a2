"""Whisper folders for tests: the true tokenizer and true shapes, random weights. Needs torch and transformers."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers

ASSET = Path(__file__).parents[1] / "data" / "whisper" / "multilingual.tiktoken"  # openai-whisper's, MIT
PATTERN = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
LANGUAGES = (
    "en zh de es ru ko fr ja pt tr pl ca nl ar sv it id hi fi vi he uk el ms cs ro da hu ta no th ur hr bg lt la mi ml "
    "cy sk te fa lv bn sr az sl kn et mk br eu is hy ne mn bs kk sq sw gl mr pa si km sn yo so af oc ka be tg sd gu am "
    "yi lo uz fo ht ps tk nn mt sa lb my bo tl mg as tt haw ln ha ba jw su yue"
).split()

# d_model, encoder layers, decoder layers, heads, mel bands, vocabulary
SHAPES = {
    "mini": (256, 4, 2, 4, 80, 5120),
    "tiny": (384, 4, 4, 6, 80, 51865),
    "base": (512, 6, 6, 8, 80, 51865),
    "small": (768, 12, 12, 12, 80, 51865),
    "turbo": (1280, 32, 4, 20, 128, 51866),
}


def special_tokens(languages: int = 99, seconds: int = 30) -> list[str]:
    """Return Whisper's special tokens in their order."""
    return [
        "<|endoftext|>",
        "<|startoftranscript|>",
        *(f"<|{code}|>" for code in LANGUAGES[:languages]),
        "<|translate|>",
        "<|transcribe|>",
        "<|startoflm|>",
        "<|startofprev|>",
        "<|nospeech|>",
        "<|notimestamps|>",
        *(f"<|{step * 0.02:.2f}|>" for step in range(seconds * 50 + 1)),
    ]


def build_tokenizer(languages: int = 99) -> Tokenizer:
    """Build the true multilingual Whisper tokenizer from openai-whisper's ranks."""
    ranks = {base64.b64decode(token): int(rank) for token, rank in map(str.split, ASSET.read_text().splitlines())}
    letters = _byte_letters()
    spell = {token: "".join(letters[byte] for byte in token) for token in ranks}
    vocabulary = {spell[token]: rank for token, rank in ranks.items()}
    merges = []
    for token, rank in sorted(ranks.items(), key=lambda pair: pair[1]):
        if len(token) > 1:
            left, right = _last_merge(token, rank, ranks)
            merges.append((spell[left], spell[right]))
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PATTERN), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(name, special=True) for name in special_tokens(languages)])
    return tokenizer


def write_folder(
    folder: Path, shape: str | tuple[int, ...], *, card: dict[str, Any] | None = None, seed: int = 0
) -> Any:
    """Write a Hugging Face Whisper folder with random weights and return the torch model."""
    import torch
    from transformers import GenerationConfig, WhisperConfig, WhisperForConditionalGeneration

    width, encoder_layers, decoder_layers, heads, mels, vocabulary = SHAPES[shape] if isinstance(shape, str) else shape
    tokenizer = build_tokenizer(100 if vocabulary == 51866 else 99)
    torch.manual_seed(seed)
    start, end = tokenizer.token_to_id("<|startoftranscript|>"), tokenizer.token_to_id("<|endoftext|>")
    config = WhisperConfig(
        vocab_size=vocabulary, num_mel_bins=mels, d_model=width,
        encoder_layers=encoder_layers, decoder_layers=decoder_layers,
        encoder_attention_heads=heads, decoder_attention_heads=heads,
        encoder_ffn_dim=4 * width, decoder_ffn_dim=4 * width,
        decoder_start_token_id=start, bos_token_id=end, eos_token_id=end, pad_token_id=end,
    )  # fmt: skip
    model = WhisperForConditionalGeneration(config).eval()
    for parameter in model.parameters():  # the stock initialisation is so small that every token looks alike
        if parameter.dim() > 1:
            parameter.data.mul_(2.0)
    model.generation_config = GenerationConfig(
        decoder_start_token_id=start, bos_token_id=end, eos_token_id=end, pad_token_id=end
    )
    model.save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    features = {"feature_size": mels, "feature_extractor_type": "WhisperFeatureExtractor", "n_fft": 400,
                "hop_length": 160, "chunk_length": 30, "sampling_rate": 16000, "nb_max_frames": 3000,
                "n_samples": 480000, "padding_side": "right", "padding_value": 0.0,
                "return_attention_mask": False}  # fmt: skip
    (folder / "preprocessor_config.json").write_text(json.dumps(features))
    if card is not None:
        (folder / "card.json").write_text(json.dumps(card))
    return model


def _last_merge(token: bytes, rank: int, ranks: dict[bytes, int]) -> tuple[bytes, bytes]:
    """Return the pair whose merge makes ``token``: merge by rank until two pieces are left."""
    parts = [bytes([byte]) for byte in token]
    while len(parts) > 2:
        pairs = [ranks.get(parts[i] + parts[i + 1], rank) for i in range(len(parts) - 1)]
        best = min(range(len(pairs)), key=pairs.__getitem__)
        parts[best : best + 2] = [parts[best] + parts[best + 1]]
    return parts[0], parts[1]


def _byte_letters() -> dict[int, str]:
    """Return GPT-2's printable letter for every byte."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    return {byte: chr(byte) for byte in printable} | {byte: chr(256 + number) for number, byte in enumerate(others)}
