"""The plan of a proof in one TOML file: base, what is taught, methods, learning curve, tests; unknown keys are refused.

Knows nothing of speech, models or scores.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError, model_validator

from medstt.errors import DataError
from medstt.train.recipe import Section, merge, nearest_key, parse_override, read_tables

Role = Literal["clinical", "general", "noise"]


class Source(Section):
    """Speech that is made from a synthesis recipe (relative to the plan), or that a manifest names (to the data)."""

    recipe: str | None = None
    manifest: str | None = None

    @model_validator(mode="after")
    def _check(self) -> Source:
        if (self.recipe is None) == (self.manifest is None):
            raise ValueError("give recipe or manifest")
        return self


class TestSet(Section):
    """One test; ``count`` clips of noise are made, speech is a recipe's or a manifest's."""

    role: Role
    recipe: str | None = None
    manifest: str | None = None
    count: int = Field(0, ge=0, description="role noise: clips to make")
    optional: bool = Field(False, description="left out, with a word, where its manifest or texts are missing")

    @model_validator(mode="after")
    def _check(self) -> TestSet:
        if [self.recipe is not None, self.manifest is not None, self.count > 0].count(True) != 1:
            raise ValueError("give one of recipe, manifest and count")
        if self.count and self.role != "noise":
            raise ValueError("count is for role = 'noise'")
        return self


class Method(Section):
    """One way to train: a recipe (relative to the plan), and what is changed in it."""

    title: str
    recipe: str
    set: list[str] = Field([], description="key=value, as for `medstt train`")


class Curve(Section):
    """How much own data is needed: one method on nested parts of it, each for as many steps."""

    method: str
    sizes: list[int] = Field(min_length=1)


class Plan(Section):
    """A whole proof. Every method trains ``steps`` steps from ``base``."""

    base: str
    steps: int = Field(gt=0)
    seed: int = 1
    scale: float = Field(1.0, gt=0, description="share of every synthesis recipe's sentences: small for a first look")
    processes: int | None = Field(None, gt=0, description="in place of the recipes' own")
    heard: list[str] = Field(min_length=1, description="manifests that the base was trained on, relative to the data")
    replay: list[str] = Field([], description="those of them that are replayed and that the control hears; none: all")
    general: int = Field(4000, gt=0, description="utterances of them that are general/manifest.jsonl")
    dev: int = Field(60, gt=0, description="utterances of own and of general speech kept for choosing")
    own: Source
    control: str = Field(description="the method that the others are measured against")
    best: str = Field(description="the method that the goals are about")
    methods: dict[str, Method] = Field(min_length=1)
    curve: Curve | None = None
    tests: dict[str, TestSet] = Field(min_length=1)
    draws: int = Field(1000, gt=0, description="of the bootstrap")

    @model_validator(mode="after")
    def _check(self) -> Plan:
        named = [self.control, self.best, *([self.curve.method] if self.curve else [])]
        for name in named:
            if name not in self.methods:
                raise ValueError(f"there is no method {name!r}; there are {', '.join(self.methods)}")
        if unknown := set(self.replay) - set(self.heard):
            raise ValueError(f"replay names {', '.join(sorted(unknown))}, which is not in heard")
        if "base" in self.methods:
            raise ValueError("'base' is the untrained model's row; name the method otherwise")
        for role in ("clinical", "general"):
            if not any(test.role == role for test in self.tests.values()):
                raise ValueError(f"no test has the role {role!r}")
        return self


def read_plan(path: Path, overrides: Sequence[str] = ()) -> Plan:
    """Read a plan and lay ``key=value`` overrides on it; raises DataError naming the wrong key and the nearest one."""
    data = read_tables(path)
    for override in overrides:
        data = merge(data, parse_override(override))
    try:
        return Plan.model_validate(data)
    except ValidationError as error:
        first = min(error.errors(), key=lambda found: found["type"] != "extra_forbidden")
        key = ".".join(str(part) for part in first["loc"])
        hint = "Correct the plan"
        if first["type"] == "extra_forbidden":
            tables: dict[str, type[Section]] = {"methods": Method, "tests": TestSet, "curve": Curve, "own": Source}
            near = nearest_key(tables.get(str(first["loc"][0]), Plan) if len(first["loc"]) > 1 else Plan, key)
            hint = f"Did you mean {near!r}?" if near else f"Valid keys: {', '.join(Plan.model_fields)}"
        raise DataError(f"{path.name}: {key or 'plan'}: {first['msg']}", hint) from error
