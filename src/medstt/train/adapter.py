"""Low-rank adapters (LoRA, Hu et al. 2021) through peft: put in, scale, merge. Knows nothing of data or steps."""

from __future__ import annotations

from typing import Any

from peft import LoraConfig, inject_adapter_in_model
from peft.tuners.lora import LoraLayer
from transformers import WhisperForConditionalGeneration

TARGETS = ["q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2"]


def add_adapters(model: WhisperForConditionalGeneration, rank: int) -> None:
    """Freeze the model and put trainable adapters of ``rank`` beside its matrices, in place."""
    model.requires_grad_(False)
    config = LoraConfig(r=rank, lora_alpha=2 * rank, lora_dropout=0.0, target_modules=TARGETS)
    inject_adapter_in_model(config, model)


def adapters_of(model: WhisperForConditionalGeneration) -> list[tuple[str, Any]]:
    """Return the (name, layer) pairs that carry adapters."""
    return [(name, module) for name, module in model.named_modules() if isinstance(module, LoraLayer)]


def scale_adapters(model: WhisperForConditionalGeneration, scale: float) -> None:
    """Set how strongly the adapters act: 1 is as trained, 0 is the base."""
    for _, layer in adapters_of(model):
        layer.set_scale("default", scale)


def merge_adapters(model: WhisperForConditionalGeneration) -> None:
    """Fold the adapters into the matrices, in place, at their present scale; the model has its old shape again."""
    for name, layer in adapters_of(model):
        layer.merge()
        parent, _, child = name.rpartition(".")
        setattr(model.get_submodule(parent), child, layer.get_base_layer())
    model.requires_grad_(True)
