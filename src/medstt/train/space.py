"""The search space of a tuning, declared in TOML: which of a recipe's keys may change, within which bounds.

Knows nothing of how a search proceeds.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from pydantic import Field, ValidationError, model_validator

from medstt.errors import DataError
from medstt.train.recipe import Loss, Recipe, Section, Shape, merge, nearest_key, parse_recipe, read_tables
from medstt.train.stop import DEV_SCORE

Value = int | float | str | bool
TABLES: dict[str, type[Section]] = {"": Recipe, "loss": Loss, "shape": Shape}


class Range(Section):
    """What one key may be: from ``low`` to ``high`` (whole numbers if both are), or one of ``choices``."""

    low: int | float | None = None
    high: int | float | None = None
    log: bool = Field(False, description="draw the logarithm evenly, as for learning rates")
    step: int | float | None = Field(None, gt=0)
    choices: list[Value] | None = Field(None, min_length=1)

    @model_validator(mode="after")
    def _check(self) -> Range:
        bounds = self.low is not None and self.high is not None
        if bounds == (self.choices is not None):
            raise ValueError("give low and high, or choices")
        if self.low is not None and self.high is not None:
            if self.low >= self.high:
                raise ValueError("low must be below high")
            if self.log and (self.low <= 0 or self.step is not None):
                raise ValueError("log needs low above 0 and no step")
        return self

    @property
    def ends(self) -> list[Value]:
        """The values that stand for all when a space is checked."""
        return self.choices if self.choices is not None else [cast(Value, self.low), cast(Value, self.high)]


class Space(Section):
    """The ``[tune]`` table of a recipe, or of a file of its own."""

    trials: int = Field(20, gt=0)
    seed: int = 1
    metric: str = Field(DEV_SCORE, description="figure of a report that is made small")
    prune: bool = Field(True, description="end a trial early when its score is worse than the median at that step")
    space: dict[str, Range] = Field(min_length=1)


def set_key(key: str, value: Value) -> dict[str, Any]:
    """Return {"a": {"b": value}} for the key ``a.b``."""
    nested: Any = value
    for part in reversed(key.split(".")):
        nested = {part: nested}
    return cast(dict[str, Any], nested)


def flatten(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return key -> range; ``loss.text = {...}`` and ``[tune.space.loss]`` come to the same."""
    flat: dict[str, Any] = {}
    for key, value in table.items():
        inner = isinstance(value, Mapping) and value and all(isinstance(part, Mapping) for part in value.values())
        flat |= flatten(value, f"{prefix}{key}.") if inner else {prefix + key: value}
    return flat


def read_space(recipe: Path, space: Path | None = None) -> Space:
    """Read ``[tune]`` of a recipe, or of ``space``; raises DataError naming the key, with the nearest valid one.

    Every end of every range must give a valid recipe.
    """
    file = space or recipe
    table = read_tables(file).get("tune")
    if not isinstance(table, dict):
        raise DataError(
            f"{file.name}: no [tune] table", "Declare a search space in [tune.space]; see training/README.md"
        )
    if isinstance(table.get("space"), dict):
        table = {**table, "space": flatten(table["space"])}
    try:
        found = Space.model_validate(table)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise DataError(f"{file.name}: tune.{key}: {first['msg']}", "Correct the search space") from error
    values = {key: value for key, value in read_tables(recipe).items() if key != "tune"}
    for key, span in found.space.items():
        _check_key(key, file.name)
        for end in span.ends:
            parse_recipe(merge(values, set_key(key, end)), f"{file.name}: tune.space")
    return found


def _check_key(key: str, where: str) -> None:
    table, _, name = key.rpartition(".")
    section = TABLES.get(table)
    if section is None or name not in section.model_fields:
        near = nearest_key(section or Recipe, name)
        raise DataError(
            f"{where}: tune.space: a recipe has no key {key!r}", f"Did you mean {near!r}?" if near else "See the recipe"
        )
