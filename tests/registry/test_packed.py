from __future__ import annotations

import json
import shutil
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from onnx import numpy_helper
from safetensors import safe_open
from safetensors.numpy import load_file, save_file
from tiny_model import write_tiny_model

from medstt.engine.checkpoint import open_checkpoint
from medstt.engine.graph import build_decoder, build_encoder
from medstt.errors import ConflictError, CorruptModel, ModelError, ResourceError
from medstt.registry import ModelStore, digest_files, pack, read_card, resolve_model, unpack, verify_files
from medstt.registry.card import write_card
from medstt.registry.layout import PACKED, WEIGHTS


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model in half precision with what training leaves beside it."""
    folder = write_tiny_model(tmp_path_factory.mktemp("packed") / "tiny")
    weights = load_file(folder / WEIGHTS)
    save_file({name: value.astype(np.float16) for name, value in weights.items()}, folder / WEIGHTS, {"format": "pt"})
    head = {"project.weight": np.ones((34, 16), np.float32), "project.bias": np.zeros(34, np.float32)}
    save_file(head, folder / "ctc.safetensors")
    card = json.loads((folder / "card.json").read_text())
    (folder / "digests.json").write_text(json.dumps(digest_files(folder, card)))
    return folder


@pytest.fixture(scope="module")
def shipped(original: Path) -> Path:
    """A folder of packed models, as the package has one."""
    pack(original, original.parent / "shipped" / "tiny")
    return original.parent / "shipped"


@pytest.fixture(scope="module")
def unpacked(shipped: Path) -> Path:
    return unpack(shipped / "tiny", shipped.parent / "unpacked")


def test_every_other_file_is_kept_and_digests_hold(original: Path, shipped: Path, unpacked: Path) -> None:
    names = {path.name for path in original.iterdir()}
    assert {path.name for path in (shipped / "tiny").iterdir()} == names - {WEIGHTS} | {PACKED}
    assert {path.name for path in unpacked.iterdir()} == names
    for name in names - {WEIGHTS, "digests.json", "card.json"}:
        assert (unpacked / name).read_bytes() == (original / name).read_bytes()
    assert read_card(unpacked) == read_card(original)
    verify_files(shipped / "tiny")
    verify_files(unpacked)


def test_layout_is_the_one_transformers_asks_for(original: Path, unpacked: Path) -> None:
    with safe_open(unpacked / WEIGHTS, framework="np") as weights:
        assert weights.metadata() == {"format": "pt"}
    shapes = {name: (value.shape, value.dtype) for name, value in load_file(unpacked / WEIGHTS).items()}
    assert shapes == {name: (value.shape, value.dtype) for name, value in load_file(original / WEIGHTS).items()}


def test_half_a_step_is_lost_at_most_and_nothing_of_vectors(original: Path, unpacked: Path) -> None:
    after = load_file(unpacked / WEIGHTS)
    for name, before in load_file(original / WEIGHTS).items():
        if before.ndim == 1:
            assert np.array_equal(after[name], before)
            continue
        rows, difference = (np.abs(value.reshape(len(value), -1).astype(np.float32)) for value in (before, after[name]))
        difference = np.abs(before.astype(np.float32) - after[name].astype(np.float32)).reshape(len(before), -1)
        assert (difference.max(1) <= rows.max(1) * (0.5 / 126 + 2**-11)).all(), name


def test_fewer_bits_lose_half_a_wider_step_and_take_fewer_bytes_compressed(
    original: Path, shipped: Path, tmp_path: Path
) -> None:
    coarse = pack(original, tmp_path / "coarse", bits=6)
    after = load_file(unpack(coarse, tmp_path / "unpacked") / WEIGHTS)
    for name, before in load_file(original / WEIGHTS).items():
        rows = before.astype(np.float32).reshape(len(before), -1)
        difference = np.abs(rows - after[name].astype(np.float32).reshape(rows.shape))
        assert (difference.max(1) <= np.abs(rows).max(1) * (0.5 / 31 + 2**-11)).all(), name
    sizes = [len(zlib.compress((folder / PACKED).read_bytes())) for folder in (coarse, shipped / "tiny")]
    assert sizes[0] < 0.85 * sizes[1]


def test_the_engine_makes_the_same_int8_weights_of_both(original: Path, unpacked: Path, tmp_path: Path) -> None:
    """Whatever the graphs quantise, at seven bits or eight, comes out value for value and scale for scale."""
    before, after = (quantised(folder, tmp_path / folder.name) for folder in (original, unpacked))
    assert len(before) >= 3 * 13
    assert before.keys() == after.keys()
    for name, value in before.items():
        assert np.array_equal(value, after[name]), name


def quantised(model: Path, folder: Path) -> dict[str, np.ndarray]:
    """Return the int8 weights, scales and zero points of the engine's graphs."""
    folder.mkdir()
    found = {}
    for build in (build_encoder, build_decoder):
        with (folder / f"{build.__name__}.bin").open("wb") as data:
            graph = build(open_checkpoint(model), data, data.name.rpartition("/")[2], "int8").graph
        tensors = {tensor.name: tensor for tensor in graph.initializer}
        products = [node for node in graph.node if node.op_type == "DynamicQuantizeMatMul"]
        for number, name in ((i, name) for i, node in enumerate(products) for name in node.input[1:4]):
            found[f"{build.__name__} {number} {name}"] = numpy_helper.to_array(tensors[name], str(folder))
    return found


def test_packing_what_was_unpacked_gives_the_same_file(shipped: Path, unpacked: Path, tmp_path: Path) -> None:
    again = pack(unpacked, tmp_path / "again")
    assert (again / PACKED).read_bytes() == (shipped / "tiny" / PACKED).read_bytes()
    with pytest.raises(ModelError, match="packed already"):
        pack(again, tmp_path / "twice")
    with pytest.raises(ConflictError, match="not empty"):
        pack(unpacked, again)


def test_resolving_unpacks_once_and_keeps_the_packed_versions_digest(shipped: Path, tmp_path: Path) -> None:
    found = resolve_model("tiny", tmp_path, shipped)
    assert found.path.parent == tmp_path / "cache" / "models"
    assert found.digest == verify_files(shipped / "tiny")
    assert (found.path / WEIGHTS).is_file()
    written = (found.path / WEIGHTS).stat().st_mtime_ns
    assert resolve_model("tiny", tmp_path, shipped) == found
    assert (found.path / WEIGHTS).stat().st_mtime_ns == written
    registered = ModelStore(tmp_path / "models").add(shipped / "tiny", read_card(shipped / "tiny"))
    assert resolve_model("tiny@1", tmp_path).digest == registered.digest == found.digest
    assert resolve_model(str(shipped / "tiny"), tmp_path).path == found.path
    later = shutil.copytree(shipped / "tiny", tmp_path / "later")
    write_card(later, replace(read_card(later), summary="with weights tuned since"))
    assert read_card(resolve_model(str(later), tmp_path).path).summary == "with weights tuned since"


def test_a_damaged_cache_is_written_again_and_a_damaged_version_refused(
    shipped: Path, original: Path, tmp_path: Path
) -> None:
    own = unpack(shipped / "tiny", tmp_path / "unpacked")
    packed = pack(own, tmp_path / "models" / "tiny")
    found = resolve_model("tiny", tmp_path / "home", packed.parent)
    (found.path / WEIGHTS).write_bytes(b"half")
    (found.path / "config.json").unlink()
    assert resolve_model("tiny", tmp_path / "home", packed.parent).path == found.path
    verify_files(found.path)
    (packed / PACKED).write_bytes((packed / PACKED).read_bytes()[:-1])
    with pytest.raises(CorruptModel, match=PACKED):
        resolve_model("tiny", tmp_path / "home", packed.parent)
    (packed / "digests.json").unlink()  # unpacked weights are never taken on trust
    with pytest.raises(CorruptModel, match=r"digests\.json is missing"):
        resolve_model("tiny", tmp_path / "home", packed.parent)


def test_a_cache_that_cannot_be_written_is_named(shipped: Path, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    with pytest.raises(ResourceError, match=r"cache.models: cannot be written .*Choose a folder"):
        resolve_model("tiny", tmp_path, shipped)


def test_an_unknown_form_is_named(shipped: Path, tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    save_file({"a": np.zeros(1, np.float16)}, tmp_path / "new" / PACKED, {"format": "medstt-rows-2"})
    with pytest.raises(CorruptModel, match="medstt-rows-2"):
        unpack(tmp_path / "new", tmp_path / "out")
    assert not (tmp_path / "out").exists()
