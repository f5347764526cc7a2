"""The layout of a model folder and the cache of what is made of other forms of it.

Engines and training read Hugging Face's layout: ``config.json``, ``tokenizer.json``, ``model.safetensors`` and small
files beside. Knows nothing of what is in the weights, of names or aliases.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from medstt.disk import copy_durably, locked_file, naming_disk_errors, new_folder, write_durably
from medstt.errors import ModelError
from medstt.registry.card import Card, encode_card
from medstt.registry.digest import CARD, DIGESTS, digest_files, list_files, verify_files

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
PACKED = "model.int8.safetensors"  # this project's own, for repositories
BINARY = "model.bin"  # CTranslate2's
CONVERT_WAIT_S = 600

_WEIGHT_FILES = re.compile(r"model(-\d+-of-\d+|\.int8)?\.safetensors|model\.safetensors\.index\.json|model\.bin")

Tensors = Mapping[str, npt.NDArray[np.generic]]


def is_ordinary(folder: Path) -> bool:
    """Return whether a folder holds weights in Hugging Face's layout."""
    return (folder / WEIGHTS).is_file() or (folder / INDEX).is_file()


def is_packed(folder: Path) -> bool:
    """Return whether a folder holds packed weights and no others."""
    return (folder / PACKED).is_file() and not is_ordinary(folder)


def is_ctranslate2(folder: Path) -> bool:
    """Return whether a folder holds weights for CTranslate2 and no others."""
    return (folder / BINARY).is_file() and not is_ordinary(folder) and not is_packed(folder)


def write_folder(
    target: Path,
    source: Path,
    weights: tuple[str, Tensors, str],
    card: Card,
    configuration: Mapping[str, Mapping[str, Any]] | None = None,
) -> Path:
    """Write ``source`` in another form to a new folder, with digests, and return it.

    ``weights`` are file name, tensors and the format that its metadata names; ``configuration`` replaces JSON files.
    Every other file is copied (``ctc.safetensors`` is no weight of Whisper). Raises ConflictError where ``target``
    holds something.
    """
    from safetensors.numpy import save

    name, tensors, form = weights
    encoded = encode_card(card)
    with new_folder(target) as staging:
        for file in list_files(source):
            if not _WEIGHT_FILES.fullmatch(file):
                copy_durably(source / file, staging / file)
        write_durably(staging / name, save(dict(tensors), metadata={"format": form}))
        for file, content in (configuration or {}).items():
            write_durably(staging / file, _json(content))
        write_durably(staging / CARD, _json(encoded))
        write_durably(staging / DIGESTS, _json(digest_files(staging, encoded)))
    return target


def convert_once(source: Path, digest: str, cache: Path, write: Callable[[Path, Path], Path]) -> Path:
    """Return the ordinary form of a folder in ``cache``, written by ``write`` on first use and whenever damaged.

    ``digest`` tells the source's checked files and card from any others. Several processes may ask at once. Raises
    ResourceError where the cache cannot be written, and what ``write`` raises.
    """
    target = cache / digest[:16]
    if _whole(target):
        return target
    with naming_disk_errors(cache):
        cache.mkdir(parents=True, exist_ok=True)
    with locked_file(cache / ".lock", CONVERT_WAIT_S):
        if not _whole(target):
            shutil.rmtree(target, ignore_errors=True)
            write(source, target)
    return target


def _whole(folder: Path) -> bool:
    """Return whether a folder is there and every file of it is the recorded one."""
    try:
        verify_files(folder)
    except ModelError:  # missing, or damaged since it was written
        return False
    return True


def _json(content: Any) -> bytes:
    return (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode()
