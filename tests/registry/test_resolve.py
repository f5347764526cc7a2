from __future__ import annotations

from pathlib import Path

import pytest

from medstt.errors import CorruptModel, ModelError, OptionError, UnknownModel
from medstt.registry import Card, ModelStore, resolve_model


def make_folder(folder: Path, content: str = "{}") -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(content)
    return folder


@pytest.fixture
def home(tmp_path: Path) -> Path:
    store = ModelStore(tmp_path / "home" / "models")
    for content in ("{}", "{ }"):
        store.add(make_folder(tmp_path / f"src{len(content)}", content), Card("clinic"))
    store.add(tmp_path / "src2", Card("medstt-mini"))
    return tmp_path / "home"


@pytest.fixture
def shipped(tmp_path: Path) -> Path:
    store = ModelStore(tmp_path / "package")
    store.add(make_folder(tmp_path / "mini"), Card("medstt-mini"))
    store.export("medstt-mini", "1", tmp_path / "shipped" / "medstt-mini")
    return tmp_path / "shipped"


def test_local_folder_by_path(tmp_path: Path, home: Path, shipped: Path) -> None:
    found = resolve_model(str(tmp_path / "src2"), home, shipped)
    assert (found.path, found.card, found.digest) == (tmp_path / "src2", None, None)


def test_name_version_and_alias(home: Path, shipped: Path) -> None:
    store = ModelStore(home / "models")
    assert resolve_model("clinic", home, shipped).name == "clinic@2"
    store.promote("clinic", "1", force=True, why="test")
    store.alias("clinic", "challenger", "2")
    labels = {name: resolve_model(name, home, shipped).name for name in ("clinic", "clinic@2", "clinic:challenger")}
    assert labels == {"clinic": "clinic@1", "clinic@2": "clinic@2", "clinic:challenger": "clinic@2"}
    assert resolve_model("champion", home, shipped).name == "clinic@1"


def test_two_champions_need_a_name(home: Path, shipped: Path) -> None:
    with pytest.raises(UnknownModel, match="No registered model is the champion"):
        resolve_model("champion", home, shipped)
    store = ModelStore(home / "models")
    for name in ("clinic", "medstt-mini"):
        store.promote(name, "1", force=True, why="test")
    with pytest.raises(OptionError, match="clinic:champion, medstt-mini:champion"):
        resolve_model("champion", home, shipped)


def test_shipped_model_stands_until_another_is_promoted(home: Path, shipped: Path) -> None:
    found = resolve_model("medstt-mini", home, shipped)
    assert found.path == shipped / "medstt-mini"
    assert found.digest is not None
    ModelStore(home / "models").promote("medstt-mini", "1", force=True, why="test")
    assert resolve_model("medstt-mini", home, shipped).name == "medstt-mini@1"


def test_unknown_names_list_near_ones(home: Path, shipped: Path) -> None:
    with pytest.raises(UnknownModel, match="Did you mean medstt-mini"):
        resolve_model("medsst-mini", home, shipped)
    with pytest.raises(UnknownModel, match="Known models: clinic, medstt-mini"):
        resolve_model("zzz", home, shipped)
    with pytest.raises(UnknownModel, match="no alias 'champion'"):
        resolve_model("clinic:champion", home, shipped)
    with pytest.raises(UnknownModel, match="not registered"):
        resolve_model("clinic@9", home, shipped)
    with pytest.raises(UnknownModel, match="does not exist"):
        resolve_model("./nowhere", home, shipped)
    with pytest.raises(UnknownModel, match="holds no model"):
        resolve_model(str(home), home, shipped)


def test_damaged_shipped_model_is_refused(home: Path, shipped: Path) -> None:
    (shipped / "medstt-mini" / "config.json").write_text("[]")
    with pytest.raises(CorruptModel, match=r"config\.json"):
        resolve_model("medstt-mini", home, shipped)


@pytest.mark.parametrize(
    ("file", "what"),
    [("decoder_model.onnx", "ONNX"), ("decoder.onnx", "conversion"), ("pytorch_model.bin", "run code")],
)
def test_other_programs_forms_are_named_with_the_remedy(tmp_path: Path, file: str, what: str) -> None:
    folder = make_folder(tmp_path / "converted")
    (folder / file).write_bytes(b"")
    with pytest.raises(ModelError, match=rf"converted .*{what}.*config.json and model.safetensors"):
        resolve_model(str(folder), tmp_path)
    (folder / "model.safetensors").write_bytes(b"")  # many repositories hold both
    assert resolve_model(str(folder), tmp_path).path == folder
