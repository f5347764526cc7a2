from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest

from medstt.engine.bias import NameLists
from medstt.engine.fake import FakeEngine
from medstt.errors import CorruptModel, MedsttError, ResourceError, UnknownModel
from medstt.registry import Card, ModelStore, ResolvedModel, resolve_model
from medstt.work.models import Models
from medstt.work.recognise import LocalRecogniser


class Registry:
    """Real versions in a real registry; the engine says which folder it was loaded from."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.store = ModelStore(home / "models")
        self.loads: list[str] = []
        self.events: list[tuple[str, str]] = []
        self.time = 0.0

    def add(self, name: str, weights: bytes) -> str:
        source = self.home / f"source-{len(weights)}-{weights[:4].hex()}"
        source.mkdir()
        (source / "config.json").write_text(json.dumps({"model_type": "whisper"}))
        (source / "model.safetensors").write_bytes(weights)
        return self.store.add(source, Card(name=name)).version

    def models(self, budget_bytes: int = 10_000_000, idle_s: float = 100) -> Models:
        def resolve(name: str) -> ResolvedModel:
            return resolve_model(name, self.home)

        def load(model: ResolvedModel) -> LocalRecogniser:
            self.loads.append(model.name)
            return LocalRecogniser(FakeEngine(name=model.name), NameLists())

        def report(event: str, name: str, error: MedsttError | None) -> None:
            self.events.append((event, name))

        return Models(
            resolve,
            load,
            self.home / "models",
            budget_bytes=budget_bytes,
            idle_s=idle_s,
            report=report,
            clock=lambda: self.time,
        )


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path)


def promote(registry: Registry, name: str, version: str) -> None:
    registry.store.promote(name, version, force=True, why="test")


def test_a_promotion_swaps_the_model_and_keeps_requests_in_hand(registry: Registry) -> None:
    promote(registry, "m", registry.add("m", b"one" * 100))
    second = registry.add("m", b"two" * 100)
    models = registry.models()
    with models.lease("m") as before:
        promote(registry, "m", second)
        with models.lease("m") as after:
            assert (before.ref.name, after.ref.name) == ("m@1", "m@2")
        assert set(models.loaded()) == {"m@1", "m@2"}
    assert set(models.loaded()) == {"m@2"}
    assert ("model.swapped", "m@2") in registry.events


def test_a_damaged_promotion_is_refused_and_the_one_before_stays(registry: Registry) -> None:
    promote(registry, "m", registry.add("m", b"one" * 100))
    models = registry.models()
    with models.lease("m"):
        pass
    second = registry.add("m", b"two" * 100)
    promote(registry, "m", second)
    (registry.home / "models" / "m" / second / "model.safetensors").write_bytes(b"evil")
    with models.lease("m") as engine:
        assert engine.ref.name == "m@1"
    assert "m" in models.problems()
    fresh = registry.models()
    with pytest.raises(CorruptModel), fresh.lease("m"):
        pass


def test_the_budget_unloads_the_least_recently_used(registry: Registry) -> None:
    for name in ("a", "b", "c"):
        registry.add(name, name.encode() * 100_000)
    models = registry.models(budget_bytes=250_000)
    for name in ("a", "b", "c"):
        registry.time += 1
        with models.lease(name):
            pass
    assert set(models.loaded()) == {"b@1", "c@1"}
    with models.lease("b"), models.lease("c"), pytest.raises(ResourceError, match="no room"), models.lease("a"):
        pass
    with pytest.raises(ResourceError, match="over the budget"), registry.models(1000).lease("a"):
        pass


def test_idle_models_are_unloaded(registry: Registry) -> None:
    registry.add("m", b"x" * 100)
    models = registry.models(idle_s=10)
    with models.lease("m"):
        registry.time += 100
        models.tidy()
        assert models.loaded()
    registry.time += 11
    models.tidy()
    assert not models.loaded()


def test_threads_load_a_model_once(registry: Registry) -> None:
    registry.add("m", b"x" * 100)
    models = registry.models()
    failures: list[Any] = []

    def use() -> None:
        try:
            with models.lease("m") as engine:
                assert engine.ref.name == "m@1"
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=use) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert registry.loads == ["m@1"]


def test_an_unknown_model_says_so(registry: Registry) -> None:
    with pytest.raises(UnknownModel), registry.models().lease("nothing"):
        pass
