"""Recipes: the shipped ones are valid, wrong keys and values are named."""

from __future__ import annotations

from pathlib import Path

import pytest

from medstt.errors import DataError
from medstt.synth.recipe import read_recipe

RECIPES = sorted((Path(__file__).parents[2] / "training" / "recipes").glob("*.synth.toml"))


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_shipped_recipes_are_valid(path: Path) -> None:
    assert read_recipe(path).parts


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("sed = 1", "sed: .*Did you mean 'seed'"),
        ('seed = 1\n[[parts]]\nlang = "en"\nkind = "grammar"\ncount = 1\ndrug = true', "parts.0.drug: .*'drugs'"),
        ("seed = 1\n[degrade]\nsnr = [1, 2]", r"degrade\.snr: .*'snr_db'"),
        ("seed = 1\n[degrade.codec]\ngsm = 1", r"degrade\.codec\.gsm: .*Valid keys: ulaw, amr"),
        ("seed = 1\n[degrade]\nsnr_db = [9, 2]", "smaller to the larger"),
        ('seed = 1\n[[parts]]\nlang = "fr"\nkind = "text"\ncount = 1', "parts.0.lang"),
        ("seed = 1\nrate = [200, 100]", "rate goes from"),
        ("seed = ", "Correct the recipe"),
    ],
)
def test_wrong_keys_and_values_are_named(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "r.toml"
    path.write_text(content)
    with pytest.raises(DataError, match=message):
        read_recipe(path)
