"""The Whisper architecture with a context of its own length, a character CTC side head, and the losses of one batch.

transformers' model is used as it is but for its encoder's check that every clip is 30 s. Knows nothing of files or
steps.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import cast

import torch
from torch import Tensor, nn
from transformers import GenerationConfig, WhisperConfig, WhisperForConditionalGeneration, WhisperTokenizerFast

from medstt.engine.letter import CHARACTERS
from medstt.train.tokenizer import END, NO_TIMESTAMPS, START, TRANSCRIBE
from medstt.values import LANGUAGES

AUDIO_CONTEXT = "audio_context"  # in a model's configuration: "full" where it hears nothing but 30 s
FULL_FRAMES = 3000  # 30 s


@dataclass(frozen=True, slots=True)
class Batch:
    """Padded tensors: features (B, n_mels, T), frames (B,), tokens and labels (B, L; -100 ignored), characters.

    ``characters`` is the concatenation of the clips' CTC targets, ``character_counts`` (B,) their lengths.
    ``expected`` (B, L) is about where in the encoder's positions a label is said, -1 where nothing is said;
    ``lengths`` (B,) how many positions the speech takes. ``states`` (B, positions, d), where a frozen encoder's were
    kept, stand for features, which are empty then.
    """

    features: Tensor
    frames: Tensor
    tokens: Tensor
    labels: Tensor
    characters: Tensor
    character_counts: Tensor
    expected: Tensor
    lengths: Tensor
    states: Tensor | None = None

    def to(self, device: torch.device) -> Batch:
        """Return the batch on ``device``."""
        parts = {field.name: getattr(self, field.name) for field in fields(self)}
        return Batch(**{name: part.to(device, non_blocking=True) for name, part in parts.items() if part is not None})


def build_model(
    tokenizer: WhisperTokenizerFast, shape: dict[str, int], dropout: float = 0.0
) -> WhisperForConditionalGeneration:
    """Return a new model for a tokenizer; ``shape`` overrides WhisperConfig (d_model, encoder_layers ...)."""
    end, start = tokenizer.convert_tokens_to_ids([END, START])
    config = WhisperConfig(
        vocab_size=len(tokenizer), pad_token_id=end, bos_token_id=end, eos_token_id=end, decoder_start_token_id=start,
        suppress_tokens=None, begin_suppress_tokens=None, dropout=dropout, max_source_positions=1500,
        max_target_positions=448, num_mel_bins=80, **shape,
    )  # fmt: skip
    model = WhisperForConditionalGeneration(config)
    model.generation_config = generation_config(tokenizer)
    return model


def generation_config(tokenizer: WhisperTokenizerFast) -> GenerationConfig:
    """Return a fresh generation config (edits to the automatic one are lost on reload)."""
    ids = tokenizer.convert_tokens_to_ids
    return GenerationConfig(
        bos_token_id=ids(END), eos_token_id=ids(END), pad_token_id=ids(END), decoder_start_token_id=ids(START),
        no_timestamps_token_id=ids(NO_TIMESTAMPS), is_multilingual=True, max_length=448, return_timestamps=False,
        lang_to_id={f"<|{lang}|>": ids(f"<|{lang}|>") for lang in LANGUAGES}, max_initial_timestamp_index=50,
        task_to_id={"transcribe": ids(TRANSCRIBE), "translate": ids("<|translate|>")}, suppress_tokens=[],
        begin_suppress_tokens=[],
    )  # fmt: skip


def encode(model: WhisperForConditionalGeneration, features: Tensor) -> Tensor:
    """Return encoder states (B, T / 2, d) of features (B, n_mels, T) of any even length T up to 3000.

    A model whose configuration says that it hears 30 s only, such as a stock teacher, gets the clips padded to that.
    """
    encoder = model.model.encoder
    if getattr(model.config, AUDIO_CONTEXT, "dynamic") == "full" and features.shape[2] < FULL_FRAMES:
        silence = features.amin((1, 2), keepdim=True)  # what silence becomes when a clip is scaled
        padding = silence.expand(*features.shape[:2], FULL_FRAMES - features.shape[2])
        features = torch.cat([features, padding], 2)
    states = nn.functional.gelu(encoder.conv1(features))
    states = nn.functional.gelu(encoder.conv2(states)).permute(0, 2, 1)
    states = states + encoder.embed_positions.weight[: states.shape[1]]
    states = nn.functional.dropout(states, p=encoder.dropout, training=model.training)
    for layer in encoder.layers:
        states = layer(states, None)
    return cast(Tensor, encoder.layer_norm(states))


def hear(model: WhisperForConditionalGeneration, batch: Batch) -> Tensor:
    """Return a batch's encoder states (B, positions, d): the kept ones that it brings, or else the model's."""
    return encode(model, batch.features) if batch.states is None else batch.states.float()


def decode(model: WhisperForConditionalGeneration, states: Tensor, tokens: Tensor) -> Tensor:
    """Return logits (B, L, vocabulary) for tokens (B, L) given encoder states."""
    output = model.model.decoder(input_ids=tokens, encoder_hidden_states=states, use_cache=False)
    return cast(Tensor, model.proj_out(output.last_hidden_state))


class CtcHead(nn.Module):
    """Character CTC on the encoder: makes it align within a few epochs; dropped from the exported model."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.project = nn.Linear(width, len(CHARACTERS))

    def forward(self, states: Tensor, batch: Batch) -> Tensor:
        """Return the mean CTC loss per character of a batch."""
        log_probs = self.project(states).float().log_softmax(-1).transpose(0, 1)
        positions = torch.div(batch.frames + 1, 2, rounding_mode="floor").clamp(max=states.shape[1])
        losses = nn.functional.ctc_loss(
            log_probs, batch.characters, positions, batch.character_counts, reduction="none", zero_infinity=True
        )
        return losses.sum() / batch.character_counts.sum().clamp(min=1)


def attention_loss(logits: Tensor, labels: Tensor, smoothing: float) -> Tensor:
    """Return the mean cross-entropy per token of labels that are not -100."""
    return nn.functional.cross_entropy(
        logits.float().flatten(0, 1), labels.flatten(), ignore_index=-100, label_smoothing=smoothing
    )
