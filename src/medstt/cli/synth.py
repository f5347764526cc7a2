"""`medstt synth`: speech from a recipe, or for a list of terms, into a folder with audio and manifest.

Owns the arguments, the progress bar and result.json. Knows nothing of sentences, voices or audio.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from medstt.synth.recipe import SynthRecipe
    from medstt.synth.vocabulary import Vocabulary
    from medstt.values import Language
    from medstt.vocab import Term

app = typer.Typer(add_completion=False)


@app.command()
def synth(
    out: Annotated[Path, typer.Option("--out", help="Folder for audio and manifest; a killed run continues in it.")],
    recipe: Annotated[
        Path | None, typer.Argument(metavar="[RECIPE.toml]", help="What to say; may be left out with --terms.")
    ] = None,
    terms: Annotated[
        Path | None,
        typer.Option("--terms", help="Terms to teach: a vocabulary table (.tsv), or one term a line with --language."),
    ] = None,
    per_term: Annotated[
        int | None, typer.Option("--per-term", min=1, help="Sentences for each term; 8 unless the recipe says.")
    ] = None,
    language: Annotated[
        str | None, typer.Option("--language", help="en or de: the language of a plain list of terms.")
    ] = None,
    texts: Annotated[
        Path | None, typer.Option("--texts", help="Folder of the text files that the recipe names.")
    ] = None,
    lexicon: Annotated[
        list[Path] | None, typer.Option("--lexicon", help="Site vocabulary over the built-in one; may be repeated.")
    ] = None,
    grammars: Annotated[
        Path | None, typer.Option("--grammars", help="Folder with en.toml and de.toml; the built-in ones if not given.")
    ] = None,
    scale: Annotated[
        float | None, typer.Option("--scale", min=0, help="Share of the recipe's sentences, for a first look.")
    ] = None,
    jobs: Annotated[int, typer.Option("--jobs", min=0, help="Processes; 0 is one per core.")] = 0,
    voice_command: Annotated[
        str | None,
        typer.Option(
            "--voice-command",
            help="Program for the recipe's voices = 'command': text on stdin, WAV at {out}; {voice}, {lang}, {tempo}.",
        ),
    ] = None,
) -> None:
    """Make speech for training and measuring: sentences from the lexicon, the grammars and your own texts.

    Everything follows from the recipe's seed. Drugs that the hold-out rule keeps for measuring are left out unless
    --terms names them. The same command continues after an interruption, and does nothing when all is done.
    """
    from medstt.cli.transcribe import usable_cores
    from medstt.synth.compose import builtin_grammar_folder, missing_texts
    from medstt.synth.make import make
    from medstt.synth.recipe import scale_recipe
    from medstt.synth.vocabulary import build_vocabularies

    plan, folder = _read_plan(recipe, per_term, terms is not None, voice_command)
    plan = plan if scale is None else scale_recipe(plan, scale)
    chosen = _read_terms(plan, folder, terms, language)
    vocabularies = build_vocabularies(lexicon or [], chosen)
    missing = missing_texts(plan, texts)
    if missing:
        print(f"medstt: left out, not in --texts: {', '.join(missing)}", file=sys.stderr)
    chosen_grammars = grammars or builtin_grammar_folder()
    with SynthDisplay() as display:
        make(
            plan,
            vocabularies,
            chosen_grammars,
            texts,
            out,
            jobs=jobs or usable_cores(),
            command=voice_command,
            sounds_from=folder,
            progress=display.advance,
        )
    result = _write_result(out, plan, vocabularies, chosen, chosen_grammars, texts, missing)
    display.summarise(result["outputs"], out)


def _read_plan(
    path: Path | None, per_term: int | None, has_terms: bool, command: str | None
) -> tuple[SynthRecipe, Path]:
    """Return the recipe with the options laid over it, and the folder that its paths are relative to."""
    from medstt.errors import OptionError
    from medstt.synth.recipe import DEFAULT_PER_TERM, read_recipe, terms_recipe

    if path is None and not has_terms:
        raise OptionError("There is nothing to say", "Give a recipe, or terms with --terms")
    recipe = terms_recipe(per_term or DEFAULT_PER_TERM) if path is None else read_recipe(path)
    changes: dict[str, Any] = {}
    if per_term is not None:
        changes["per_term"] = per_term
    if command is not None and path is None:
        changes["voices"] = "command"
    if recipe.voices == "command" and command is None:
        raise OptionError("The recipe's voices are those of a program", "Name it with --voice-command")
    return recipe.model_copy(update=changes), path.parent if path else Path()


def _read_terms(recipe: SynthRecipe, folder: Path, terms: Path | None, language: str | None) -> tuple[Term, ...]:
    from medstt.cli.transcribe import check_language
    from medstt.synth.vocabulary import read_chosen

    path = terms or (folder / recipe.terms if recipe.terms else None)
    lang = check_language(language) if language is not None else None
    return read_chosen(path, "de" if lang == "de" else "en" if lang == "en" else None) if path else ()


def _write_result(
    out: Path,
    recipe: SynthRecipe,
    vocabularies: Mapping[Language, Vocabulary],
    chosen: tuple[Term, ...],
    grammars: Path,
    texts: Path | None,
    missing: list[str],
) -> dict[str, Any]:
    """Write result.json, the contract with whatever engine runs the commands, and return it."""
    import hashlib
    import json

    from medstt.disk import digest_file, write_atomically
    from medstt.manifest import digest_manifest
    from medstt.synth.make import MANIFEST, PLAN, digest_audio, measure

    def digest(value: object) -> str:
        return hashlib.sha256(repr(value).encode()).hexdigest()

    names = sorted({name for part in recipe.parts for name in part.files} - set(missing))
    result = {
        "command": "synth",
        "inputs": {
            "recipe": digest(sorted(recipe.model_dump(mode="json").items())),
            "vocabulary": digest([(lang, sorted(words.lists.items())) for lang, words in sorted(vocabularies.items())]),
            "terms": digest(chosen) if chosen else None,
            "grammars": {path.name: digest_file(path) for path in sorted(grammars.glob("*.toml"))},
            "texts": {name: digest_file(texts / name) for name in names} if texts else {},
            "texts_missing": missing,
            "plan": json.loads((out / PLAN).read_text())["plan"],
        },
        "outputs": {
            "manifest": MANIFEST,
            "manifest_digest": digest_manifest(out / MANIFEST),
            "audio_digest": digest_audio(out),
            **measure(out, recipe.per_term if chosen else 0, [term.text for term in chosen]),
        },
    }
    write_atomically(out / "result.json", json.dumps(result, indent=1, ensure_ascii=False) + "\n")
    return result


class SynthDisplay:
    """A bar on a terminal: utterances, hours of speech, times real time; a last line for everybody."""

    def __init__(self) -> None:
        self._speech_s = 0.0
        self._started_s = time.monotonic()
        self._bar: Any = None
        self._task: Any = None

    def __enter__(self) -> SynthDisplay:
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

            self._bar = Progress(
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("utterances  {task.fields[hours]:.2f} h  {task.fields[speed]:.0f}x"),
                TimeRemainingColumn(),
                console=Console(stderr=True),
            )
            self._task = self._bar.add_task("", total=None, hours=0.0, speed=0.0)
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    @property
    def speed(self) -> float:
        """Seconds of speech made in a second."""
        return self._speech_s / max(1e-6, time.monotonic() - self._started_s)

    def advance(self, done: int, total: int, seconds: float) -> None:
        """Count ``done`` more utterances of ``total`` with ``seconds`` of speech made just now."""
        self._speech_s += seconds
        if self._bar is not None:
            self._bar.update(self._task, total=total, advance=done, hours=self._speech_s / 3600, speed=self.speed)

    def summarise(self, outputs: Mapping[str, Any], out: Path) -> None:
        """Print what lies in the folder and how fast this run was."""
        made = f", {self._speech_s / 3600:.2f} h made now at {self.speed:.0f}x real time" if self._speech_s else ""
        print(f"{outputs['utterances']} utterances, {outputs['hours']:.2f} h in {out}{made}", file=sys.stderr)
