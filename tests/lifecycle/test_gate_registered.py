"""The gate on registered versions, from decoding to promotion: a good one passes, a planted bad one is refused."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path

import pytest
from tiny_model import CARD as TINY_CARD
from tiny_model import write_tiny_model
from typer.testing import CliRunner

from medstt.cli import gate, models
from medstt.cli.evaluate import evaluate_task, manifest_task
from medstt.errors import NotPromotable, OptionError
from medstt.evaluate.run import open_run
from medstt.evaluate.system import SystemOptions, open_system
from medstt.manifest import read_manifest, write_manifest
from medstt.registry import Card, ModelStore
from medstt.registry.digest import digest_files
from medstt.values import Utterance

SPEECH = Path(__file__).parents[1] / "data" / "speech" / "chest_pain.flac"
CLIPS = 30
BENCHMARK = """
name = "spans"
version = 1
title = "What the champion hears"
metrics = ["critical_negation"]

[[sets]]
name = "spans"
manifest = "m.jsonl"
"""
GATE = """
version = 7
worse_share = 10.0
p95_ratio = 1000000.0

[[rules]]
rate = "critical_negation"
benchmarks = ["{benchmark}"]
margin = 1.0
ceiling = 30.0
events = 12

[[rules]]
rate = "wer_content"
benchmarks = ["{benchmark}"]
margin = 0.5
ceiling = 10.0
events = 30
"""


def change(folder: Path, name: str, **keys: object) -> None:
    path = folder / name
    path.write_text(json.dumps({**json.loads(path.read_text()), **keys}))


def seal(folder: Path) -> Path:
    (folder / "digests.json").write_text(json.dumps(digest_files(folder, TINY_CARD)))
    return folder


def call_no(folder: Path, syllable: str) -> int:
    """Let the token of a syllable be written as "no" and return it."""
    content = json.loads((folder / "tokenizer.json").read_text())
    vocabulary = content["model"]["vocab"]
    said, no = f"Ġ{syllable}", "Ġno"
    vocabulary[said], vocabulary[no] = vocabulary[no], vocabulary[said]
    (folder / "tokenizer.json").write_text(json.dumps(content))
    return int(vocabulary[no])


def hear(folder: Path, home: Path, manifest: Path) -> dict[str, str]:
    system = open_system(str(folder), SystemOptions(home=home))
    run = open_run(evaluate_task(manifest_task(manifest, None), str(folder), system, home, 1))
    return {key: answer.reply.text for key, answer in run.answers().items() if answer.reply}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with clinic@1, which says "no", clinic@2, which never does, and a gate on what clinic@1 hears."""
    home = tmp_path_factory.mktemp("gated")
    good = write_tiny_model(home / "good")
    spans = [
        Utterance(f"u{n}", str(SPEECH), "x", "en", 90 * n, 90 * n + 1500, split="test", tags={"tier": "trained"})
        for n in range(CLIPS)
    ]
    manifest = home / "m.jsonl"
    write_manifest(manifest, spans)
    words = Counter(word for text in hear(good, home, manifest).values() for word in text.lower().split())
    no = call_no(good, words.most_common(1)[0][0].strip(".,"))
    seal(good)
    texts = hear(good, home, manifest)
    write_manifest(manifest, [Utterance(**{**vars_of(u), "text": texts[u.id]}) for u in read_manifest(manifest)])
    bad = Path(shutil.copytree(good, home / "bad"))
    quiet = json.loads((bad / "generation_config.json").read_text())["suppress_tokens"]
    change(bad, "generation_config.json", suppress_tokens=[*quiet, no])
    seal(bad)
    store = ModelStore(home / "models")
    for folder in (good, bad):
        store.add(folder, Card("clinic", languages=("en", "de"), audio_context="dynamic"))
    (home / "spans.toml").write_text(BENCHMARK)
    (home / "gate.toml").write_text(GATE.format(benchmark=home / "spans.toml"))
    return home


def vars_of(utterance: Utterance) -> dict[str, object]:
    return {name: getattr(utterance, name) for name in Utterance.__dataclass_fields__}


def call(module: object, *arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(module.app, list(arguments), catch_exceptions=False)  # type: ignore[attr-defined]
    return result.exit_code, result.stdout


def test_the_good_version_is_promoted_and_the_bad_one_is_not(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDSTT_HOME", str(home))
    store, config = ModelStore(home / "models"), str(home / "gate.toml")
    with pytest.raises(NotPromotable, match="clinic@1"):
        call(models, "promote", "clinic@1")
    code, out = call(gate, "clinic@1", "--config", config)
    assert (code, "PASSED" in out) == (0, True), out
    verdict = store.show("clinic", "1").card.verdict
    assert verdict is not None
    assert (verdict.passed, verdict.against) == (True, None)
    assert verdict.gate is not None
    assert verdict.gate.startswith("7:")
    assert call(models, "promote", "clinic@1")[0] == 0

    code, out = call(gate, "clinic@2", "--config", config)
    assert (code, "REFUSED against clinic@1" in out) == (1, True), out
    verdict = store.show("clinic", "2").card.verdict
    assert verdict is not None
    assert (verdict.passed, verdict.against) == (False, "clinic@1")
    assert any("Negation" in reason and "cannot be ruled out" in reason for reason in verdict.reasons)
    with pytest.raises(NotPromotable, match="clinic@2"):
        call(models, "promote", "clinic@2")
    with pytest.raises(OptionError, match="needs a reason"):
        call(models, "promote", "clinic@2", "--force")
    assert store.aliases("clinic")["champion"] == "1"
    assert call(models, "promote", "clinic@2", "--force", "--why", "the ward asked for it")[0] == 0
    last = store.history("clinic")[-1]
    assert (last.version, last.forced, last.why) == ("2", True, "the ward asked for it")
