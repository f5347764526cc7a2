"""A recipe becomes audio and a manifest: the same every time, also after kill -9; other recipes are refused."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import wave
from pathlib import Path

import pytest
from filelock import FileLock

from medstt.errors import ConflictError, DataError
from medstt.manifest import read_manifest
from medstt.synth.compose import cast, compose, missing_texts
from medstt.synth.grammar import SpokenTerm
from medstt.synth.make import digest_audio, make, measure
from medstt.synth.recipe import Degrade, Part, SynthRecipe
from medstt.synth.vocabulary import Vocabulary
from medstt.values import RATE_HZ

pytest.importorskip("espeakng_loader")

GRAMMAR = """
[slots]
[[templates]]
text = ["kein {condition}"]
[[templates]]
drug = true
text = ["{drug} {dose}", "kein {drug}"]
"""
RECIPE = SynthRecipe(
    seed=5,
    parts=[
        Part(lang="de", kind="grammar", count=6, drugs=True),
        Part(lang="de", kind="grammar", count=4),
    ],
    degrade=Degrade(noise=0.4, rooms=0.3, codecs=0.3),
)
SCRIPT = """
import sys
from pathlib import Path
sys.path.insert(0, str(Path(sys.argv[1])))
from test_make import RECIPE, make_here
if __name__ == "__main__":
    make_here(Path(sys.argv[2]), Path(sys.argv[3]), lambda *told: print(*told, flush=True))
"""


def words() -> dict[str, Vocabulary]:
    def say(*names: str) -> tuple[SpokenTerm, ...]:
        return tuple(SpokenTerm(name, name) for name in names)

    lists = {"drug": say("Ramipril", "Metformin", "Torasemid"), "condition": say("Fieber", "Husten")}
    return {"de": Vocabulary(lists, say("Ibuprofen"), frozenset({"ibuprofen"}), frozenset({"ramipril", "ibuprofen"}))}


def make_here(grammars: Path, out: Path, progress: object = lambda *told: None) -> Path:
    return make(RECIPE, words(), grammars, None, out, jobs=1, shard_size=2, progress=progress)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def grammars(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("grammar")
    (folder / "de.toml").write_text(GRAMMAR)
    (folder / "en.toml").write_text(GRAMMAR)
    return folder


@pytest.fixture(scope="module")
def made(grammars: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_here(grammars, tmp_path_factory.mktemp("made") / "out").parent


def test_manifest_and_audio_belong_together(made: Path) -> None:
    rows = read_manifest(made / "manifest.jsonl")
    assert len(rows) == 10
    for row in rows:
        with wave.open(str(made / row.audio), "rb") as speech:
            assert (speech.getframerate(), speech.getnchannels()) == (RATE_HZ, 1)
            assert speech.getnframes() > RATE_HZ // 4
        assert row.tags["tier"] == "trained"
        assert row.terms
        assert "Ibuprofen" not in row.text
    assert {name for row in rows for name in row.tags} >= {"room", "snr_db", "codec"}
    counts = measure(made, 3, ["Ramipril", "Lisinopril"])
    assert counts["utterances"] == 10
    assert counts["terms_short"] == ["Lisinopril", "Ramipril"]


def test_nothing_is_made_twice(made: Path, grammars: Path) -> None:
    told: list[tuple[int, int, float]] = []
    before = (made / "manifest.jsonl").read_bytes()
    make_here(grammars, made, lambda *values: told.append(values))  # type: ignore[arg-type]
    assert told == [(10, 10, 0.0)]
    assert (made / "manifest.jsonl").read_bytes() == before


def test_kill_9_and_resume_give_the_same_speech(made: Path, grammars: Path, tmp_path: Path) -> None:
    (tmp_path / "run.py").write_text(SCRIPT)
    out = tmp_path / "out"
    call = [sys.executable, str(tmp_path / "run.py"), str(Path(__file__).parent), str(grammars), str(out)]
    run = subprocess.Popen(call, stdout=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert run.stdout is not None
    run.stdout.readline()  # nothing done yet
    assert run.stdout.readline().startswith("2 10")  # the first shard is done
    run.send_signal(signal.SIGKILL)
    run.communicate()
    assert not (out / "manifest.jsonl").exists()
    told: list[tuple[int, int, float]] = []
    make_here(grammars, out, lambda *values: told.append(values))  # type: ignore[arg-type]
    assert told[0][0] >= 2
    assert (out / "manifest.jsonl").read_bytes() == (made / "manifest.jsonl").read_bytes()
    assert digest_audio(out) == digest_audio(made)
    for row in read_manifest(made / "manifest.jsonl"):
        assert (out / row.audio).read_bytes() == (made / row.audio).read_bytes()


def test_another_recipe_or_process_is_refused(made: Path, grammars: Path) -> None:
    other = RECIPE.model_copy(update={"seed": 6})
    with pytest.raises(DataError, match="another recipe"):
        make(other, words(), grammars, None, made, jobs=1, shard_size=2)  # type: ignore[arg-type]
    with FileLock(made / ".lock"), pytest.raises(ConflictError, match="another process"):
        make_here(grammars, made)


def test_a_recipe_without_a_sentence_is_refused(grammars: Path, tmp_path: Path) -> None:
    part = Part(lang="de", kind="text", count=3, files=["a.txt"])
    recipe = SynthRecipe(seed=1, parts=[part])
    assert missing_texts(recipe, None) == ["a.txt"]
    with pytest.raises(DataError, match="no sentence"):
        make(recipe, words(), grammars, None, tmp_path / "out", jobs=1)  # type: ignore[arg-type]


def test_held_out_drugs_come_only_when_asked_for(grammars: Path, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("Er nimmt Ibuprofen.\nEr nimmt Ramipril.\nEr nimmt Wasser.\n")

    def said(**keys: object) -> set[str]:
        part = Part.model_validate({"lang": "de", "count": 20, **keys})
        recipe = SynthRecipe(seed=1, parts=[part])
        found = {one.text for one in compose(recipe, words(), grammars, tmp_path)}  # type: ignore[arg-type]
        return {name for name in ("Ibuprofen", "Ramipril", "Wasser") if any(name in text for text in found)}

    text, grammar = {"kind": "text", "files": ["a.txt"]}, {"kind": "grammar", "drugs": True}
    assert said(**text) == {"Ramipril", "Wasser"}
    assert said(**text, drug_names="none") == {"Wasser"}
    assert said(**text, drug_names="all") == {"Ibuprofen", "Ramipril", "Wasser"}
    assert said(**grammar) == {"Ramipril"}
    assert said(**grammar, drug_names="held-out") == {"Ibuprofen"}
    assert said(**grammar, drug_names="all") == {"Ibuprofen", "Ramipril"}


def test_the_plan_names_its_recipe(made: Path) -> None:
    plan = json.loads((made / "plan.json").read_text())
    assert plan["utterances"] == 10
    assert plan["recipe"]["seed"] == 5


def test_an_engine_can_be_chosen(grammars: Path) -> None:
    sentences = list(compose(RECIPE, words(), grammars, None))  # type: ignore[arg-type]
    lines = list(cast(RECIPE.model_copy(update={"engine": "espeak"}), sentences))
    assert {line.voice.engine for line in lines} == {"espeak"}
    with pytest.raises(DataError, match="no flite voice for de"):
        list(cast(RECIPE.model_copy(update={"engine": "flite"}), sentences))
