"""Benchmarks as data: a TOML file names sets of utterances (manifest, synthesis recipe, non-speech), figures, slices.

Owns the file's form and how a set becomes utterances. Knows nothing of systems or scores.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from medstt.errors import DataError, NotFoundError
from medstt.evaluate.audit import apply_fixes
from medstt.evaluate.item import Item, digest_items, read_items
from medstt.evaluate.nonspeech import make_nonspeech
from medstt.evaluate.public import PublicSet, read_public
from medstt.metrics.rate import EVIDENCE, RATE
from medstt.text.normalise import normaliser_id
from medstt.values import Language

if TYPE_CHECKING:  # synthesisers are loaded for benchmarks that are spoken
    from medstt.evaluate.spoken import SpokenSet, Vocabularies


class Section(BaseModel):
    """A table of a benchmark; unknown keys are errors."""

    model_config = ConfigDict(extra="forbid")


class NonSpeech(Section):
    """Noise and silence without a word, made from a seed."""

    count: int = Field(gt=0)
    seed: int = 1
    seconds: float = Field(6.0, gt=0, le=30)


class SetSpec(Section):
    """One set: exactly one of ``manifest``, ``recipe``, ``nonspeech``, ``given``, ``public``.

    ``digest`` is that of the recipe's plan (see ``spoken``), else of keys, texts and tags (see ``digest_items``). Sets
    that the user brings have none here: what they held is recorded in the run.
    """

    name: str
    manifest: str | None = Field(None, description="JSON Lines, relative to the benchmark's file")
    split: str | None = None
    recipe: str | None = Field(None, description="synthesis recipe, relative to the benchmark's file")
    grammar: str | None = Field(None, description="folder of grammars for the recipe; the built-in ones if not given")
    twins: bool = Field(False, description="name only drugs that have look-alikes, heard in training or not")
    dictations: str | None = Field(None, description="table of dictations with their documents, said in place of parts")
    minutes: float | None = Field(None, gt=0, description="join each voice's sentences to recordings of this length")
    nonspeech: NonSpeech | None = None
    public: PublicSet | None = Field(None, description="a public set; the user gives its folder with --set NAME=FOLDER")
    given: bool = Field(False, description="the user gives the manifest with --set NAME=FILE; left out otherwise")
    digest: str = ""

    @model_validator(mode="after")
    def _check(self) -> SetSpec:
        kinds = (self.manifest, self.recipe, self.nonspeech, self.public, self.given or None)
        if sum(kind is not None for kind in kinds) != 1:
            raise ValueError("give exactly one of manifest, recipe, nonspeech, public and given = true")
        if (self.minutes is not None or self.twins or self.dictations is not None) and self.recipe is None:
            raise ValueError("minutes, twins and dictations go with a recipe")
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

    Raises DataError if a set's digest is not the recorded one (before any speech is made), or if nothing is left (all
    sets are to be given).
    """
    spoken = _spoken_sets(benchmark, place)
    digests = {name: one.digest() for name, one in spoken.items()}
    for name, digest in digests.items():
        _check_digest(benchmark, name, digest)
    items: list[Item] = []
    for part in benchmark.sets:
        if part.name in spoken:
            folder = place.cache / benchmark.name / f"{part.name}-{digests[part.name][:12]}"
            made = spoken[part.name].make(folder, place.jobs, progress)
            items += [_tagged(item, part.name) for item in read_items(made, part.name)]
            continue
        found = _open_set(benchmark, part, place)
        if found:
            _check_digest(benchmark, part.name, digest_items(found))
        items += found
    if not items:
        raise DataError(
            f"{benchmark.name}: no set is there",
            "Give " + " ".join(f"--set {part.name}=PATH" for part in benchmark.sets),
        )
    if benchmark.fixes:
        items = apply_fixes(items, place.folder / benchmark.fixes)
    return items


def digest_plans(benchmark: Benchmark, place: Place, vocabularies: Vocabularies | None = None) -> dict[str, str]:
    """Return the digest of what each spoken set asks for, by set; nothing is spoken for it."""
    return {name: one.digest() for name, one in _spoken_sets(benchmark, place, vocabularies).items()}


def _spoken_sets(benchmark: Benchmark, place: Place, vocabularies: Vocabularies | None = None) -> dict[str, SpokenSet]:
    parts = [part for part in benchmark.sets if part.recipe is not None]
    if not parts:
        return {}
    from medstt.evaluate.spoken import open_spoken
    from medstt.synth.vocabulary import build_vocabularies

    said = vocabularies or build_vocabularies()
    return {
        part.name: open_spoken(
            place.folder / str(part.recipe), said, place.folder / part.grammar if part.grammar else None, place.texts,
            minutes=part.minutes, twins=part.twins,
            dictations=place.folder / part.dictations if part.dictations else None,
        )
        for part in parts
    }  # fmt: skip


def _check_digest(benchmark: Benchmark, name: str, digest: str) -> None:
    recorded = next(part.digest for part in benchmark.sets if part.name == name)
    if recorded and digest != recorded:
        raise DataError(
            f"{benchmark.name}: the set {name!r} changed (digest {digest[:12]}, recorded {recorded[:12]})",
            "Restore its recipe, lexicon and texts, or raise the benchmark's version and record the new digest",
        )


def _open_set(benchmark: Benchmark, part: SetSpec, place: Place) -> list[Item]:
    """Return the utterances of a set that nobody has to speak."""
    given = (place.given or {}).get(part.name)
    folder = place.cache / benchmark.name / part.name
    if part.public is not None:
        return read_public(part.public, part.name, given, folder) if given else []
    if part.nonspeech is not None:
        noise = part.nonspeech
        made = make_nonspeech(
            folder / f"{noise.count}-{noise.seconds:g}-{noise.seed}", noise.count, noise.seconds, noise.seed
        )
        return [_tagged(item, part.name) for item in read_items(made, part.name)]
    if part.manifest is not None:
        return read_items(place.folder / part.manifest, part.name, part.split)
    return read_items(given, part.name, part.split) if given else []


def _tagged(item: Item, set_name: str) -> Item:
    tags = {**item.utterance.tags, "set": set_name}
    return replace(item, utterance=replace(item.utterance, tags=tags))


def record_digests(path: Path, digests: Mapping[str, str]) -> bool:
    """Write sets' digests into a benchmark's file, each under its set's name; tell whether the file changed."""
    lines: list[str] = []
    old = path.read_text(encoding="utf-8")
    wanted: str | None = None
    for line in old.splitlines():
        key, _, value = line.partition(" = ")
        if line.strip() == "[[sets]]":
            wanted = None
        elif wanted is not None and key == "digest":
            continue
        lines.append(line)
        if key == "name" and "[[sets]]" in lines and value.strip('"') in digests:
            wanted = value.strip('"')
            lines.append(f'digest = "{digests[wanted]}"')
    new = "\n".join(lines) + "\n"
    if new != old:
        path.write_text(new, encoding="utf-8")
    return new != old


def shipped_benchmarks() -> Sequence[Path]:
    """Return the files of the shipped benchmarks."""
    return sorted(path for path in builtin_benchmark_folder().glob("*.toml") if "." not in path.stem)


def our_benchmarks() -> list[str]:
    """Return the names of the shipped benchmarks that have a set to be made here: nothing need be given."""
    return [
        path.stem
        for path in shipped_benchmarks()
        if any(part.recipe is not None or part.nonspeech is not None for part in read_benchmark(path).sets)
    ]
