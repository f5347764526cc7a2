"""A search space in TOML: nested and dotted keys, and every mistake named."""

from __future__ import annotations

from pathlib import Path

import pytest

from medstt.errors import DataError
from medstt.train.recipe import read_recipe
from medstt.train.space import read_space
from medstt.train.trial import Trial, best_trial, draw_plot, format_table, override_flags

RECIPE = 'name = "tones"\nsteps = 5\n[[train]]\nmanifest = "m.jsonl"\n'


def write(folder: Path, text: str) -> Path:
    path = folder / "recipe.toml"
    path.write_text(RECIPE + text)
    return path


def test_a_space_stands_in_the_recipe_or_beside_it(tmp_path: Path) -> None:
    text = """[tune]
trials = 3
[tune.space]
learning_rate = { low = 1e-4, high = 1e-2, log = true }
"lora_rank" = { choices = [4, 8] }
loss.distil = { low = 0.1, high = 0.5 }
[tune.space.shape]
d_model = { low = 32, high = 64, step = 32 }
"""
    path = write(tmp_path, text)
    space = read_space(path)
    assert set(space.space) == {"learning_rate", "lora_rank", "loss.distil", "shape.d_model"}
    assert space.trials == 3
    assert read_recipe(path).steps == 5  # a run does not look at it
    (tmp_path / "space.toml").write_text("[tune.space]\nclip = { low = 0.1, high = 1.0 }\n")
    assert set(read_space(path, tmp_path / "space.toml").space) == {"clip"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"no \[tune\] table"),
        ("[tune.space]\nlerning_rate = { low = 1, high = 2 }\n", "Did you mean 'learning_rate'"),
        ("[tune.space]\nloss.distill = { low = 1, high = 2 }\n", "Did you mean 'distil'"),
        ("[tune.space]\nclip = { low = 2.0, high = 1.0 }\n", "low must be below high"),
        ("[tune.space]\nclip = { low = 2.0 }\n", "give low and high, or choices"),
        ("[tune.space]\nclip = { low = 0.0, high = 1.0, log = true }\n", "log needs low above 0"),
        ("[tune.space]\nsteps = { low = 0, high = 10 }\n", "steps: .*greater than 0"),
        ('[tune.space]\nmethod = { choices = ["full", "half"] }\n', "method: .*frozen-encoder"),
    ],
)
def test_a_wrong_space_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_space(write(tmp_path, text))


def test_table_and_plot_show_every_trial() -> None:
    trials = [
        Trial("0000", "complete", 0.5, 3.0, {"clip": 0.25, "short_first": True}),
        Trial("0001", "pruned", 0.9, 1.0, {"clip": 1.0, "short_first": False}),
        Trial("0002", "failed", None, 1.0, {"clip": 2.0}),
        Trial("0003", "complete", 0.3, 3.0, {"clip": 0.5, "short_first": True}),
    ]
    best = best_trial(trials)
    assert best is trials[3]
    assert override_flags(best) == ["clip=0.5", "short_first=true"]
    table = format_table(trials, "dev score").splitlines()
    assert [line.split("|")[1].strip() for line in table[2:]] == ["0003", "0000", "0001", "0002"]
    assert draw_plot(trials, "dev score").count("<circle") == 3
    assert draw_plot([], "dev score").startswith("<svg")
