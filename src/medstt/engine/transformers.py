"""The reference backend: Hugging Face's own modules in float32, slow and plain, to test and train against.

No cache, no batching, no tricks: every step runs the whole prefix again. Knows nothing of searching or words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from medstt.engine.backend import Array, Tokens
from medstt.engine.checkpoint import Checkpoint
from medstt.engine.letter import Letters
from medstt.errors import CorruptModel, ModelUnavailable
from medstt.feature import Features

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True)
class ReferenceMemory:
    """Encoder states, one (1, positions, d_model) tensor a clip."""

    states: tuple[torch.Tensor, ...]


@dataclass(frozen=True, slots=True)
class ReferenceCache:
    """The tokens fed so far, (rows, n), and how many rows an item has."""

    tokens: Tokens
    beams: int


class TransformersBackend:
    """Whisper in transformers, on the CPU."""

    def __init__(self, checkpoint: Checkpoint, model: Any) -> None:
        self._checkpoint = checkpoint
        self._model = model

    @property
    def checkpoint(self) -> Checkpoint:
        """The model folder behind it."""
        return self._checkpoint

    def replicate(self) -> TransformersBackend:
        """Return itself: it keeps nothing between calls."""
        return self

    def encode(self, features: Sequence[Features]) -> ReferenceMemory:
        """Encode each clip alone at its own length: transformers' encoder itself insists on 30 s."""
        import torch

        encoder = self._model.model.encoder
        states = []
        with torch.inference_mode():
            for clip in features:
                x = torch.nn.functional.gelu(encoder.conv1(torch.from_numpy(clip[None].copy())))
                x = torch.nn.functional.gelu(encoder.conv2(x)).permute(0, 2, 1)
                x = x + encoder.embed_positions.weight[: x.shape[1]]
                for layer in encoder.layers:
                    x = layer(x, None)
                states.append(encoder.layer_norm(x))
        return ReferenceMemory(tuple(states))

    def letters(self, memory: ReferenceMemory) -> list[Letters]:
        """Return what each clip sounds like by letters; nothing for a model without a head for them."""
        import torch

        head = self._checkpoint.letter_head
        if head is None:
            return []
        weight, bias = (torch.from_numpy(part) for part in head)
        return [(states[0] @ weight.T + bias).log_softmax(-1).numpy() for states in memory.states]

    def select(self, memory: ReferenceMemory, items: Sequence[int]) -> ReferenceMemory:
        """Keep these items, in this order."""
        return ReferenceMemory(tuple(memory.states[item] for item in items))

    def begin(self, memory: ReferenceMemory, beams: int) -> ReferenceCache:
        """Return an empty cache of ``items * beams`` rows."""
        return ReferenceCache(np.zeros((len(memory.states) * beams, 0), np.int64), beams)

    def step(
        self, memory: ReferenceMemory, cache: ReferenceCache, tokens: Tokens, take: Sequence[int], suppress: Array
    ) -> tuple[Array, ReferenceCache]:
        """Feed tokens; return log-probabilities at the positions ``take`` and the grown cache."""
        import torch

        fed = np.concatenate([cache.tokens, tokens], axis=1)
        wanted = [cache.tokens.shape[1] + index for index in take]
        beams = len(tokens) // len(memory.states)
        results = []
        with torch.inference_mode():
            for item, states in enumerate(memory.states):
                rows = torch.from_numpy(fed[item * beams : (item + 1) * beams])
                logits = self._decoder(rows, states).logits[:, wanted] + torch.from_numpy(suppress)
                results.append(logits.log_softmax(-1).numpy())
        return np.concatenate(results), ReferenceCache(fed, beams)

    def reorder(self, cache: ReferenceCache, rows: npt.NDArray[np.intp]) -> ReferenceCache:
        """Return the cache with these rows, in this order."""
        return ReferenceCache(cache.tokens[rows], cache.beams)

    def attend(self, memory: ReferenceMemory, tokens: Tokens) -> Array:
        """Return the alignment heads' attention for whole sequences, zeros behind shorter clips."""
        import torch

        longest = max(states.shape[1] for states in memory.states)
        heads = sorted(self._checkpoint.alignment_heads)
        result = np.zeros((len(tokens), len(heads), tokens.shape[1], longest), np.float32)
        with torch.inference_mode():
            for item, states in enumerate(memory.states):
                output = self._decoder(torch.from_numpy(tokens[item : item + 1]), states, output_attentions=True)
                for number, (layer, head) in enumerate(heads):
                    result[item, number, :, : states.shape[1]] = output.cross_attentions[layer][0, head].numpy()
        return result

    def _decoder(self, tokens: torch.Tensor, states: torch.Tensor, **wanted: bool) -> Any:
        return self._model(
            encoder_outputs=(states.expand(len(tokens), -1, -1),), decoder_input_ids=tokens, use_cache=False, **wanted
        )


def open_transformers(checkpoint: Checkpoint, *, threads: int) -> TransformersBackend:
    """Load a model folder with transformers; torch's number of threads is set for the whole process.

    Raises ModelUnavailable where torch or transformers is missing, CorruptModel for weights that do not fit.
    """
    try:
        import torch
        from transformers import WhisperForConditionalGeneration
    except ImportError as error:
        raise ModelUnavailable(
            f"The reference engine needs {error.name}", "Install medstt[train], or use the onnx engine"
        ) from error
    torch.set_num_threads(threads)
    try:
        model = WhisperForConditionalGeneration.from_pretrained(
            checkpoint.folder, dtype=torch.float32, attn_implementation="eager", local_files_only=True
        )
    except (OSError, RuntimeError, ValueError) as error:
        raise CorruptModel(f"{checkpoint.folder}: transformers cannot load it ({error})", "Copy it again") from error
    return TransformersBackend(checkpoint, model.eval())
