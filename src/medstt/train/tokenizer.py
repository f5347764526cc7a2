"""A small byte-level BPE vocabulary with Whisper's special tokens, in Whisper's own file format.

Decoding is bandwidth bound, so a bilingual vocabulary of a few thousand tokens costs a fraction of Whisper's 52k. Knows
nothing of audio or training.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import WhisperTokenizerFast

from medstt.values import LANGUAGES

END = "<|endoftext|>"
START = "<|startoftranscript|>"
TRANSCRIBE = "<|transcribe|>"
NO_SPEECH = "<|nospeech|>"
NO_TIMESTAMPS = "<|notimestamps|>"
TIMESTAMPS = tuple(f"<|{index / 50:.2f}|>" for index in range(1501))
SPECIALS = (
    END, START, *(f"<|{lang}|>" for lang in LANGUAGES), "<|translate|>", TRANSCRIBE, "<|startoflm|>", "<|startofprev|>",
    NO_SPEECH, NO_TIMESTAMPS,
)  # fmt: skip


def train_tokenizer(texts: Iterable[str], size: int, folder: Path) -> WhisperTokenizerFast:
    """Train ``size`` text tokens on ``texts``, add the special ones, save to ``folder`` and return the tokenizer.

    Words carry their leading space ("␣the"), so the same word has one spelling everywhere but at the very start;
    targets therefore always begin with a space, as Whisper's do.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size, initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()), min_frequency=2,
        show_progress=False,
    )  # fmt: skip
    tokenizer.train_from_iterator((f" {text}" for text in texts), trainer)
    tokenizer.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in SPECIALS])
    tokenizer.add_tokens([AddedToken(name, special=False, normalized=False) for name in TIMESTAMPS])
    folder.mkdir(parents=True, exist_ok=True)
    fast = WhisperTokenizerFast(
        tokenizer_object=tokenizer, unk_token=END, bos_token=END, eos_token=END, pad_token=END, language=None,
        task=None, additional_special_tokens=[name for name in SPECIALS if name != END], model_max_length=448,
    )  # fmt: skip
    fast.save_pretrained(folder)
    return fast
