"""The tutorial's commands are those that exist, and run as they stand in its text."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from medstt.cli.app import COMMANDS
from medstt.lifecycle.gate import read_gate
from medstt.synth.recipe import read_recipe, scale_recipe
from medstt.synth.vocabulary import read_chosen
from medstt.train.recipe import read_recipe as read_training_recipe
from medstt.vocab import load_lexicon

ROOT = Path(__file__).parents[2]
SITE = ROOT / "training" / "tutorial" / "site"


def call(*arguments: str, timeout: float = 60, **environment: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return subprocess.run(
        ["sh", "scripts/tutorial", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=timeout,
        env={**os.environ, "PATH": path, **environment}, check=False,
    )  # fmt: skip


def test_the_site_has_200_terms_that_training_never_spoke() -> None:
    terms = read_chosen(SITE)
    assert [sum(term.language == lang for term in terms) for lang in ("en", "de")] == [100, 100]
    held_out = load_lexicon(None).held_out_names()
    spoken = [term.text for term in terms if term.kind != "name" and term.text.lower() not in held_out]
    assert spoken == []


def test_its_commands_exist() -> None:
    printed = call("--print", "steps=3")
    lines = printed.stdout.replace("\\\n", "").splitlines()
    assert lines.index("steps=3") > next(at for at, line in enumerate(lines) if line.startswith("steps=600 "))
    called = [
        shlex.split(line.partition("medstt ")[2])[0] for line in lines if "medstt " in line and "=medstt" not in line
    ]
    assert set(called) == {"vocab", "synth", "data", "evaluate", "train", "compare", "gate", "models", "transcribe"}
    assert set(called) <= set(COMMANDS)
    assert call("steps").returncode == 2
    assert call("steps=$(id)").returncode == 2


def test_its_data_files_are_valid() -> None:
    for path in (ROOT / "training" / "tutorial").glob("*.synth.toml"):
        assert all(part.count == 2 for part in scale_recipe(read_recipe(path), 0.001).parts)
    assert read_gate(ROOT / "training" / "tutorial" / "gate.toml")[0].benchmarks
    text = (ROOT / "training" / "tutorial" / "README.md").read_text(encoding="utf-8")
    for name in ("own", "own-frozen"):  # values of its recipe=
        assert name in text
        assert read_training_recipe(ROOT / "training" / "recipes" / f"{name}.toml").base == "medstt-mini"


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_it_runs_from_words_to_transcript(tmp_path: Path) -> None:
    pytest.importorskip("espeakng_loader")
    for lang, terms in (("en", ("agomelatine", "Toujeo")), ("de", ("Opipramol", "Ahornflügel"))):
        (tmp_path / "site" / lang).mkdir(parents=True)
        rows = "".join(
            f"{term}\t{'name' if 'ü' in term else 'drug'}\tsite\n" for term in sorted(terms, key=str.casefold)
        )
        (tmp_path / "site" / lang / "terms.tsv").write_text(f"term\tkind\tsource\n{rows}", encoding="utf-8")
    given = [f"site={tmp_path}/site", f"work={tmp_path}/work", "per_term=2", "scale=0.01", "steps=2"]
    done = call(*given, timeout=1100, MEDSTT_HOME=str(tmp_path / "home"))
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count("terms right, ") == 4
    assert " of 4 (" in done.stdout
    assert "sentences without a term that got one: " in done.stdout
    assert (tmp_path / "work" / "card.txt").read_text().startswith("my-clinic@1")
    again = call(*given, timeout=1100, MEDSTT_HOME=str(tmp_path / "home"))  # nothing is lost by running it twice
    assert again.returncode == 0, again.stderr[-3000:]
