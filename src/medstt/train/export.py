"""A trained model as a folder that transformers, CTranslate2's converter and medstt's engine load, in half precision.

Knows nothing of registries or recipes' files.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from transformers import WhisperFeatureExtractor, WhisperForConditionalGeneration, WhisperTokenizerFast

from medstt.engine.letter import HEAD
from medstt.errors import ModelError
from medstt.train.model import CtcHead

WEIGHTS = "model.safetensors"


def save_head(head: CtcHead, folder: Path) -> None:
    """Write the side head beside the model: engines search with it, fine-tuning starts with it."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file({name: weight.cpu().contiguous() for name, weight in head.state_dict().items()}, folder / HEAD)


def load_head(head: CtcHead, folder: Path) -> bool:
    """Load a base's side head where it has one of the same shape, and tell so; stock checkpoints have none."""
    if not (folder / HEAD).exists():
        return False
    state = load_file(folder / HEAD)
    fits = all(name in state and state[name].shape == weight.shape for name, weight in head.state_dict().items())
    if fits:
        head.load_state_dict(state)
    return fits


@torch.no_grad()
def scale_head(head: CtcHead, base: Path, scale: float) -> None:
    """Go ``scale`` of the way from a base's head to the trained one, as merged adapters go; in place."""
    first = CtcHead(head.project.in_features)
    if load_head(first, base):
        for trained, start in zip(head.parameters(), first.to(head.project.weight.device).parameters(), strict=True):
            trained.copy_(start + scale * (trained - start))


def export_model(model: WhisperForConditionalGeneration, tokenizer: WhisperTokenizerFast, folder: Path) -> None:
    """Write config, float16 safetensors, tokenizer, feature extractor and generation config to ``folder``.

    The model in memory is left as it was. The feature extractor is saved apart: transformers 5 no longer writes
    ``preprocessor_config.json`` with the processor, and faster-whisper reads it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    half = WhisperForConditionalGeneration(model.config)
    half.load_state_dict(model.state_dict())
    half.generation_config = model.generation_config
    half.half().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    WhisperFeatureExtractor(feature_size=model.config.num_mel_bins).save_pretrained(folder)
    written = json.loads((folder / "config.json").read_text())
    written["dtype"] = "float16"
    (folder / "config.json").write_text(json.dumps(written, indent=2, sort_keys=True) + "\n")


@torch.no_grad()
def check_export(model: WhisperForConditionalGeneration, folder: Path, tolerance: float = 2e-2) -> float:
    """Return the largest difference of the exported logits from the trained model's on a fixed probe.

    Raises ModelError above ``tolerance`` (float16 rounding of logits of order 10 is about 1e-2).
    """
    exported = WhisperForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).eval()
    generator = torch.Generator().manual_seed(1)
    features = torch.randn(1, model.config.num_mel_bins, 3000, generator=generator) * 0.3
    tokens = torch.randint(0, model.config.vocab_size, (1, 12), generator=generator)
    trained = WhisperForConditionalGeneration(model.config).eval()
    trained.load_state_dict({name: weight.float().cpu() for name, weight in model.state_dict().items()})
    ours = trained(input_features=features, decoder_input_ids=tokens).logits.log_softmax(-1)
    theirs = exported(input_features=features, decoder_input_ids=tokens).logits.log_softmax(-1)
    difference = float((ours - theirs).abs().max())
    if difference > tolerance * max(1.0, float(ours.abs().max())):
        raise ModelError(
            f"the exported weights differ from the trained ones by {difference:.3g}", "Export again; report this"
        )
    return difference
