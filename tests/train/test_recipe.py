from __future__ import annotations

from pathlib import Path

import pytest

from medstt.errors import DataError
from medstt.train.recipe import parse_override, read_recipe

FOLDER = Path(__file__).parents[2] / "training" / "recipes"
MINIMAL = 'name = "x"\nsteps = 3\n[[train]]\nmanifest = "m.jsonl"\n'


@pytest.mark.parametrize(
    "path", sorted(set(FOLDER.glob("*.toml")) - set(FOLDER.glob("*.synth.toml"))), ids=lambda path: path.name
)
def test_our_recipes_are_valid(path: Path) -> None:
    assert read_recipe(path).name.startswith("medstt")


@pytest.mark.parametrize(
    ("line", "hint"),
    [("stepz = 3", "steps"), ("learning_rat = 1", "learning_rate"), ("[loss]\ndistill = 1", "distil")],
)
def test_an_unknown_key_is_refused_with_the_nearest(tmp_path: Path, line: str, hint: str) -> None:
    path = tmp_path / "r.toml"
    path.write_text(f"{line}\n{MINIMAL}" if "[" not in line else f"{MINIMAL}{line}\n")
    with pytest.raises(DataError, match=f"Did you mean '{hint}'"):
        read_recipe(path)


def test_overrides_are_laid_on_the_file(tmp_path: Path) -> None:
    path = tmp_path / "r.toml"
    path.write_text(MINIMAL)
    recipe = read_recipe(path, ["steps=7", "loss.distil=0.5", "base=openai/whisper-tiny"])
    assert (recipe.steps, recipe.loss.distil, recipe.base) == (7, 0.5, "openai/whisper-tiny")
    with pytest.raises(DataError, match="key=value"):
        parse_override("steps")
