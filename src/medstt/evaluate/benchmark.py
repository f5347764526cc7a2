"""Benchmarks as data: a TOML file names sets of utterances (manifest, synthesis recipe, non-speech), figures, slices.

Owns the file's form and how a set becomes utterances. Knows nothing of systems or scores.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from medstt.errors import DataError, NotFoundError
from medstt.evaluate.audit import apply_fixes
from medstt.evaluate.item import Item, digest_items, read_items
from medstt.evaluate.nonspeech import make_nonspeech
from medstt.metrics.rate import EVIDENCE, RATE
from medstt.text.normalise import normaliser_id
from medstt.values import Language


class Section(BaseModel):
    """A table of a benchmark; unknown keys are errors."""

    model_config = ConfigDict(extra="forbid")


class NonSpeech(Section):
    """Noise and silence without a word, made from a seed."""

    count: int = Field(gt=0)
    seed: int = 1
    seconds: float = Field(6.0, gt=0, le=30)


class SetSpec(Section):
    """One set: exactly one of ``manifest``, ``recipe``, ``nonspeech``, ``given``.

    ``digest`` is that of keys, texts and tags (see ``digest_items``); empty while a set is being drawn up.
    """

    name: str
    manifest: str | None = Field(None, description="JSON Lines, relative to the benchmark's file")
    split: str | None = None
    recipe: str | None = Field(None, description="synthesis recipe, relative to the benchmark's file")
    grammar: str | None = Field(None, description="folder of grammars for the recipe; the built-in ones if not given")
    nonspeech: NonSpeech | None = None
    given: bool = Field(False, description="the user gives the manifest with --set NAME=FILE; left out otherwise")
    digest: str = ""

    @model_validator(mode="after")
    def _check(self) -> SetSpec:
        if sum((self.manifest is not None, self.recipe is not None, self.nonspeech is not None, self.given)) != 1:
            raise ValueError("give exactly one of manifest, recipe, nonspeech and given = true")
        return self


class Benchmark(Section):
    """A benchmark: its sets, what is read off first, and by what it is sliced. ``fixes`` corrects references."""

    name: str
    version: int = Field(ge=1)
    title: str
    language: Language | Literal["both"] = "both"
    normaliser: str = "content-1"
    metrics: list[str]
    slices: list[str] = ["tier", "speaker", "snr_db", "length"]
    evidence: int = Field(EVIDENCE, description="events below which a rate is not enough evidence")
    fixes: str | None = Field(None, description="reviewed corrections of references, relative to this file")
    sets: list[SetSpec] = Field(min_length=1)

    @model_validator(mode="after")
    def _check(self) -> Benchmark:
        unknown = [key for key in self.metrics if key not in RATE]
        if unknown:
            raise ValueError(f"unknown metric {unknown[0]!r}; known are {', '.join(RATE)}")
        if self.normaliser != normaliser_id("content"):
            raise ValueError(f"needs normaliser {self.normaliser}, this is {normaliser_id('content')}")
        if len({part.name for part in self.sets}) != len(self.sets):
            raise ValueError("two sets have the same name")
        return self


@dataclass(frozen=True, slots=True)
class Place:
    """Where a benchmark's sets come from: its file's folder, the cache of what is made, texts, manifests given."""

    folder: Path
    cache: Path
    texts: Path | None = None
    given: Mapping[str, Path] | None = None
    jobs: int = 1


def builtin_benchmark_folder() -> Path:
    """Return the folder of the benchmarks: the checkout's ``training/benchmarks``, else the copy in the package."""
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "data" / "benchmarks", package.parents[1] / "training" / "benchmarks"):
        if folder.is_dir():
            return folder
    raise DataError("the benchmarks are missing from this installation", "Install medstt again, or give a file")


def find_benchmark(name: str) -> Path:
    """Return the file of a benchmark given by name or path; raises NotFoundError naming those there are."""
    path = Path(name)
    if path.suffix == ".toml" and path.is_file():
        return path
    folder = builtin_benchmark_folder()
    found = folder / f"{name}.toml"
    if not found.is_file():
        known = ", ".join(sorted(each.stem for each in folder.glob("*.toml") if "." not in each.stem))
        raise NotFoundError(f"there is no benchmark {name!r}", f"Known are {known}; or give a .toml file")
    return found


def read_benchmark(path: Path) -> Benchmark:
    """Read a benchmark; raises DataError naming the key that is wrong."""
    try:
        return Benchmark.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise DataError(f"{path}: {error}", "Correct the benchmark") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "benchmark"
        raise DataError(f"{path.name}: {where}: {first['msg']}", "Correct the benchmark") from error


Progress = Callable[[int, int, float], None]


def open_benchmark(
    benchmark: Benchmark, place: Place, progress: Progress = lambda done, total, seconds: None
) -> list[Item]:
    """Return the utterances of a benchmark, making what its recipes say first.

    Raises DataError if a set's digest is not the recorded one, or if nothing is left (all sets are to be given).
    """
    items: list[Item] = []
    for part in benchmark.sets:
        found = _open_set(benchmark, part, place, progress)
        digest = digest_items(found)
        if found and part.digest and digest != part.digest:
            raise DataError(
                f"{benchmark.name}: the set {part.name!r} changed (digest {digest[:12]}, recorded {part.digest[:12]})",
                "Restore its recipe, lexicon and texts, or raise the benchmark's version and record the new digest",
            )
        items += found
    if not items:
        raise DataError(f"{benchmark.name}: no set is there", "Give its manifests with --set NAME=FILE")
    if benchmark.fixes:
        items = apply_fixes(items, place.folder / benchmark.fixes)
    return items


def _open_set(benchmark: Benchmark, part: SetSpec, place: Place, progress: Progress) -> list[Item]:
    if part.given:
        path = (place.given or {}).get(part.name)
        return read_items(path, part.name, part.split) if path else []
    if part.manifest is not None:
        return read_items(place.folder / part.manifest, part.name, part.split)
    folder = place.cache / f"{benchmark.name}-v{benchmark.version}" / part.name
    if part.nonspeech is not None:
        made = make_nonspeech(folder, part.nonspeech.count, part.nonspeech.seconds, part.nonspeech.seed)
    else:
        made = _synthesise(part, place, folder, progress)
    return [_tagged(item, part.name) for item in read_items(made, part.name)]


def _tagged(item: Item, set_name: str) -> Item:
    tags = {**item.utterance.tags, "set": set_name}
    return replace(item, utterance=replace(item.utterance, tags=tags))


def _synthesise(part: SetSpec, place: Place, folder: Path, progress: Progress) -> Path:
    from medstt.synth.compose import builtin_grammar_folder
    from medstt.synth.make import make
    from medstt.synth.recipe import read_recipe
    from medstt.synth.vocabulary import build_vocabularies

    recipe = place.folder / str(part.recipe)
    grammars = place.folder / part.grammar if part.grammar else builtin_grammar_folder()
    texts = place.texts or recipe.parent
    return make(
        read_recipe(recipe), build_vocabularies(), grammars, texts, folder, jobs=place.jobs,
        sounds_from=recipe.parent, progress=progress,
    )  # fmt: skip
