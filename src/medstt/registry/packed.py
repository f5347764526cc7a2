"""Packed weights: int8 rows with a scale each, half the size of float16, for models that are kept in git.

A packed folder holds ``model.int8.safetensors`` in place of ``model.safetensors`` and the other files as they are. The
rows follow the engine's own quantisation, so that its int8 weights are the same whether they come from the packed or
from the original file. Knows nothing of names, aliases or engines' graphs.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from medstt.errors import CorruptModel, ModelError
from medstt.registry.card import Card, read_card
from medstt.registry.layout import PACKED, WEIGHTS, is_packed, write_folder

FORMAT = "medstt-rows-1"

_SCALE, _FINE_SCALE = ".scale", ".fine_scale"
# The products that the engine runs with seven-bit weights: the encoder, and what the decoder attends to.
_SEVEN_BITS = re.compile(r"(model\.)?(encoder\.layers\..+|decoder\.layers\.\d+\.encoder_attn\.[kv]_proj)\.weight")
_FINE_LIMIT = 63

Array = npt.NDArray[np.float32]
Tensors = dict[str, npt.NDArray[Any]]


def pack(source: Path, target: Path, card: Card | None = None, bits: int = 8) -> Path:
    """Write a packed copy of an ordinary model folder to a new folder, with card and digests, and return it.

    ``card`` replaces the one of the source. Fewer ``bits`` (4-8) take fewer bytes wherever the file is compressed, as
    in git and in wheels; the model then differs, so measure it again. Raises ModelError for a folder that is no Whisper
    model or is packed already, CorruptModel for damaged files, ConflictError where ``target`` holds something.
    """
    from medstt.engine.checkpoint import open_checkpoint

    if is_packed(source):
        raise ModelError(f"{source} is packed already", "Copy the folder as it is")
    card = card or read_card(source)
    checkpoint = open_checkpoint(source, digest="not needed")
    tensors: Tensors = {}
    for name in sorted(checkpoint.weight_files):
        tensors |= pack_tensor(name, checkpoint.tensor(name), bits)
    return write_folder(target, source, (PACKED, tensors, FORMAT), card)


def unpack(source: Path, target: Path) -> Path:
    """Write the ordinary form of a packed folder, whose digests somebody has checked, to a new folder; return it."""
    return write_folder(target, source, (WEIGHTS, _read_packed(source / PACKED), "pt"), read_card(source))


def pack_tensor(name: str, weight: Array, bits: int = 8) -> Tensors:
    """Return what is stored for one tensor: vectors in float16, anything else in rows of int8 and their scales.

    Rows are steps of peak / (2 ** (bits - 1) - 1). With eight bits, a seven-bit row of the engine is stored twice as
    fine, as half steps of peak / 63 that the engine rounds to the very steps it would have made of the original.
    """
    if weight.ndim < 2:
        return {name: weight.astype(np.float16)}
    rows = weight.reshape(len(weight), -1)
    fine = bits == 8 and _SEVEN_BITS.fullmatch(name) is not None
    limit = _FINE_LIMIT if fine else 2 ** (bits - 1) - 1
    scale = (np.maximum(np.abs(rows).max(axis=1), 1e-8) / limit).astype(np.float32)
    steps = rows / scale[:, None]
    whole = np.clip(np.rint(steps), -limit, limit)
    if fine:
        below = steps < whole - np.copysign(1e-4, steps)  # on a step: the half away from zero, so that peaks stay
        values = (2 * whole - below).astype(np.int8)
    else:
        values = whole.astype(np.int8)
    return {name: values.reshape(weight.shape), name + (_FINE_SCALE if fine else _SCALE): scale}


def unpack_tensor(stored: Tensors, name: str) -> npt.NDArray[np.float16]:
    """Return one tensor in float16."""
    values = stored[name]
    if name + _FINE_SCALE in stored:
        steps = np.clip((values.astype(np.float32) + 0.5) / 2, -_FINE_LIMIT, _FINE_LIMIT)
        scale = stored[name + _FINE_SCALE]
    elif name + _SCALE in stored:
        steps, scale = values.astype(np.float32), stored[name + _SCALE]
    else:
        return values.astype(np.float16)
    weight: npt.NDArray[np.float16] = (steps * scale.reshape(-1, *(1,) * (steps.ndim - 1))).astype(np.float16)
    return weight


def _read_packed(path: Path) -> Tensors:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np") as content:
            form = (content.metadata() or {}).get("format")
            stored = {name: content.get_tensor(name) for name in content.keys()}  # noqa: SIM118 - no mapping
    except (OSError, SafetensorError) as error:
        raise CorruptModel(f"{path}: not a whole safetensors file ({error})", "Copy the file again") from error
    if form != FORMAT:
        raise CorruptModel(f"{path}: packed as {form!r}, which is unknown here", "Update medstt, or pack it again")
    names = [name for name in stored if not name.endswith((_SCALE, _FINE_SCALE))]
    return {name: unpack_tensor(stored, name) for name in names}
