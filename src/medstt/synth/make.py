"""A synthesis recipe made into speech: audio files and a manifest; resumable, on all cores.

A shard of utterances is complete when its JSON Lines file exists, so a killed run goes on with the first shard that
is not. A shard is always spoken whole, in order, by fresh synthesisers: espeak-ng's samples depend a little on what
it said before. Knows nothing of training.
"""

from __future__ import annotations

import hashlib
import json
import random
import wave
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout

from medstt.disk import naming_disk_errors, write_atomically
from medstt.errors import ConflictError, DataError
from medstt.manifest import read_manifest, write_manifest
from medstt.process import end_with_parent
from medstt.synth.compose import SHARD, Line, cast, compose
from medstt.synth.degrade import Degrader, Sounds, find_sounds
from medstt.synth.recipe import Degrade, SynthRecipe
from medstt.synth.vocabulary import Vocabulary
from medstt.synth.voice import Speaker
from medstt.values import RATE_HZ, Language, Samples, Utterance

PLAN = "plan.json"
MANIFEST = "manifest.jsonl"
WAV_HEADER_BYTES = 44


@dataclass(frozen=True, slots=True)
class Studio:
    """What a worker needs beside its lines."""

    out: Path
    split: str
    command: str | None = None
    degrade: Degrade | None = None
    sounds: Sounds = field(default_factory=Sounds)


def trim(samples: Samples, floor: float = 1e-3) -> Samples:
    """Cut the silence before and after speech, leaving 20 ms; training and serving add their own."""
    loud = np.flatnonzero(np.abs(samples) > floor * max(1e-6, float(np.abs(samples).max(initial=0.0))) * 10)
    if not len(loud):
        return samples[:0]
    return samples[max(0, loud[0] - RATE_HZ // 50) : loud[-1] + RATE_HZ // 50]


def write_wav(path: Path, samples: Samples) -> bytes:
    """Write 16-bit mono WAV at 16 kHz and return its samples' bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pcm: bytes = (np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes()
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(RATE_HZ)
        out.writeframes(pcm)
    return pcm


def shard_paths(out: Path, number: int) -> tuple[Path, Path]:
    """Return where a shard's rows and its audio's digest are recorded."""
    folder = out / "shards"
    return folder / f"{number:04d}.jsonl", folder / f"{number:04d}.sha256"


def make_shard(studio: Studio, number: int, lines: Sequence[Line]) -> float:
    """Speak one shard and record it as done; returns the seconds of speech made."""
    utterances: list[Utterance] = []
    digest = hashlib.sha256()
    seconds = 0.0
    degrader = Degrader(studio.degrade, studio.sounds) if studio.degrade else None
    with naming_disk_errors(studio.out), Speaker(studio.command) as speaker:
        for line in lines:
            samples = trim(speaker.speak(line.sentence, line.voice, line.prosody))
            if not len(samples):
                continue
            samples, changes = degrader.degrade(samples, line.id) if degrader else (samples, {})
            digest.update(write_wav(studio.out / line.file, samples))
            seconds += len(samples) / RATE_HZ
            utterances.append(
                Utterance(
                    id=line.id,
                    audio=line.file,
                    text=line.sentence.text,
                    lang=line.sentence.lang,
                    speaker=line.voice.id,
                    split=studio.split,
                    terms=line.sentence.terms,
                    tags={
                        "tier": line.voice.tier,
                        "voice": line.voice.id,
                        "source": line.sentence.source,
                        "consent": "not needed",
                        **changes,
                    },
                )
            )
        rows, sums = shard_paths(studio.out, number)
        rows.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(sums, digest.hexdigest())
        write_manifest(rows, utterances)
    return seconds


def plan_lines(
    recipe: SynthRecipe, vocabulary: Mapping[Language, Vocabulary], grammars: Path, texts: Path | None
) -> list[Line]:
    """Return the lines of a recipe in the order they are made; raises DataError if there is nothing to say."""
    lines = list(cast(recipe, compose(recipe, vocabulary, grammars, texts)))
    if not lines:
        raise DataError(
            "the recipe yields no sentence", "Give it parts or terms, and the folder of its texts with --texts"
        )
    random.Random(recipe.seed).shuffle(lines)
    return lines


def digest_plan(recipe: SynthRecipe, shards: Sequence[Sequence[Line]]) -> str:
    """Return the SHA-256 of everything that decides the speech and its shards, recordings of noise apart."""
    degrade = recipe.degrade.model_dump(mode="json") if recipe.degrade else None
    said = [[(line.id, line.sentence, line.voice, line.prosody) for line in shard] for shard in shards]
    return hashlib.sha256(f"{recipe.split}\0{degrade}\0{said!r}".encode()).hexdigest()


def make(
    recipe: SynthRecipe,
    vocabulary: Mapping[Language, Vocabulary],
    grammars: Path,
    texts: Path | None,
    out: Path,
    *,
    jobs: int,
    command: str | None = None,
    sounds_from: Path = Path(),
    shard_size: int = SHARD,
    progress: Callable[[int, int, float], None] = lambda done, total, seconds: None,
) -> Path:
    """Make a recipe's speech in ``out`` and return its manifest.

    ``progress`` hears utterances made since the last call, utterances in all, and seconds of speech just made;
    recordings named under ``[degrade]`` are relative to ``sounds_from``. A folder that holds another recipe's speech
    is refused (DataError), one that another process writes to as well (ConflictError).
    """
    lines = plan_lines(recipe, vocabulary, grammars, texts)
    return make_lines(
        recipe, lines, out, jobs=jobs, command=command, sounds_from=sounds_from, shard_size=shard_size,
        progress=progress,
    )  # fmt: skip


def make_lines(
    recipe: SynthRecipe,
    lines: Sequence[Line],
    out: Path,
    *,
    jobs: int,
    command: str | None = None,
    sounds_from: Path = Path(),
    shard_size: int = SHARD,
    progress: Callable[[int, int, float], None] = lambda done, total, seconds: None,
) -> Path:
    """Make the speech of planned lines in ``out`` and return its manifest; see ``make``."""
    sounds = find_sounds(recipe.degrade, sounds_from, recipe.split) if recipe.degrade else Sounds()
    studio = Studio(out, recipe.split, command, recipe.degrade, sounds)
    with naming_disk_errors(out):
        out.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(out / ".lock", timeout=0):
            shards = [lines[start : start + shard_size] for start in range(0, len(lines), shard_size)]
            _stamp(out, digest_plan(recipe, shards), len(lines), recipe)
            return _make_all(studio, shards, jobs, progress)
    except Timeout as error:
        raise ConflictError(f"another process makes speech in {out}", "Wait for it, or give another folder") from error


def _stamp(out: Path, plan: str, count: int, recipe: SynthRecipe) -> None:
    """Record whose speech a folder holds, or refuse one that holds another's."""
    stamp = out / PLAN
    if stamp.exists() and json.loads(stamp.read_text())["plan"] != plan:
        raise DataError(
            f"{out} holds speech of another recipe, lexicon or texts", "Give a new folder, or delete this one"
        )
    content = {"plan": plan, "utterances": count, "recipe": recipe.model_dump(mode="json")}
    write_atomically(stamp, json.dumps(content, indent=1))


def _make_all(
    studio: Studio, shards: Sequence[Sequence[Line]], jobs: int, progress: Callable[[int, int, float], None]
) -> Path:
    total = sum(map(len, shards))
    paths = [shard_paths(studio.out, number)[0] for number in range(len(shards))]
    missing = [(number, shard) for number, shard in enumerate(shards) if not paths[number].exists()]
    progress(total - sum(len(shard) for _, shard in missing), total, 0.0)
    if missing:
        workers = min(jobs, len(missing))
        with ProcessPoolExecutor(workers, get_context("spawn"), initializer=end_with_parent) as pool:
            waiting = {pool.submit(make_shard, studio, number, shard): len(shard) for number, shard in missing}
            try:
                for future in as_completed(waiting):
                    progress(waiting[future], total, future.result())
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)  # do not speak a thousand more lines after an error
                raise
    manifest = studio.out / MANIFEST
    with naming_disk_errors(manifest):
        write_manifest(manifest, (row for path in paths for row in read_manifest(path)))
    return manifest


def digest_audio(out: Path) -> str:
    """Return one SHA-256 over the samples of a finished folder, from what its shards recorded."""
    sums = sorted((out / "shards").glob("*.sha256"))
    return hashlib.sha256("".join(path.read_text() for path in sums).encode()).hexdigest()


def measure(out: Path, per_term: int, terms: Sequence[str]) -> dict[str, object]:
    """Count what a finished folder holds; ``terms_short`` are chosen terms said less than ``per_term`` times."""
    rows = read_manifest(out / MANIFEST)
    counts = Counter(name for row in rows for name in row.terms)
    size_bytes = sum((out / row.audio).stat().st_size - WAV_HEADER_BYTES for row in rows)
    return {
        "utterances": len(rows),
        "hours": round(size_bytes / 2 / RATE_HZ / 3600, 4),
        "languages": dict(sorted(Counter(row.lang for row in rows).items())),
        "tiers": dict(sorted(Counter(row.tags["tier"] for row in rows).items())),
        "degraded": {name: sum(name in row.tags for row in rows) for name in ("room", "snr_db", "codec")},
        "terms": len(set(terms)),
        "terms_short": sorted(name for name in set(terms) if counts[name] < per_term),
    }
