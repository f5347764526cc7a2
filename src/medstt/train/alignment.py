"""Guided attention: some cross-attention heads are told that speech is read from left to right at an even pace.

A decoder finds the audio within a few hundred steps instead of learning to recite first (Tachibana et al. 2017, "guided
attention"), and the guided heads are those that word times are read from. Knows nothing of data or steps.
"""

from __future__ import annotations

import torch
from torch import Tensor
from transformers import WhisperForConditionalGeneration

from medstt.train.model import Batch

GUIDED_HEADS = 2  # of each decoder layer; the others stay free


def alignment_heads(model: WhisperForConditionalGeneration) -> list[list[int]]:
    """Return the guided [layer, head] pairs, as generation_config.json lists them."""
    heads = min(GUIDED_HEADS, model.config.decoder_attention_heads)
    return [[layer, head] for layer in range(model.config.decoder_layers) for head in range(heads)]


class GuidedAttention:
    """Listens to the projections of the decoder's cross-attention during a forward pass and scores its guided heads."""

    def __init__(self, model: WhisperForConditionalGeneration) -> None:
        self._heads = model.config.decoder_attention_heads
        self._queries: list[Tensor] = []
        self._keys: list[Tensor] = []
        for layer in model.model.decoder.layers:
            layer.encoder_attn.q_proj.register_forward_hook(
                lambda _module, _inputs, output: self._queries.append(output)
            )
            layer.encoder_attn.k_proj.register_forward_hook(lambda _module, _inputs, output: self._keys.append(output))

    def clear(self) -> None:
        """Forget what was heard; call before each forward pass."""
        self._queries.clear()
        self._keys.clear()

    def loss(self, batch: Batch) -> Tensor:
        """Return the mean attention (0-1) that guided heads pay far from where a token is expected."""
        said = batch.expected >= 0
        if not bool(said.any()):
            return batch.expected.new_zeros(())
        far = distance_weights(batch.expected, batch.lengths, self._keys[0].shape[1])
        losses = []
        for query, key in zip(self._queries, self._keys, strict=True):
            weights = head_weights(query, key, self._heads)[:, :GUIDED_HEADS]
            losses.append(((weights * far[:, None]).sum(-1).mean(1) * said).sum() / said.sum())
        return torch.stack(losses).mean()


def head_weights(query: Tensor, key: Tensor, heads: int) -> Tensor:
    """Return attention weights (B, heads, L, T) of projected queries (B, L, d) and keys (B, T, d)."""
    width = query.shape[-1] // heads
    query = query.view(*query.shape[:2], heads, width).transpose(1, 2).float()
    key = key.view(*key.shape[:2], heads, width).transpose(1, 2).float()
    return torch.softmax(query @ key.transpose(-1, -2) * width**-0.5, -1)


def distance_weights(expected: Tensor, lengths: Tensor, positions: int) -> Tensor:
    """Return 0 at the expected position of each token and 1 far from it, shape (B, L, positions).

    The width allows for uneven pace: a tenth of the speech plus 100 ms.
    """
    sigma = 0.1 * lengths[:, None, None] + 5.0
    place = torch.arange(positions, device=expected.device)
    return 1 - torch.exp(-((place - expected[:, :, None]) ** 2) / (2 * sigma**2))
