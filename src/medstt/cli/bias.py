"""`medstt bias`: learn how strongly a model is to listen for names, and measure what that gains and costs."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from medstt.engine.bias import BiasOptions
    from medstt.evaluate.item import Item
    from medstt.evaluate.listening import Progress
    from medstt.vocab import Lexicon

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Tune and measure how names are listened for.")

ModelOption = Annotated[str, typer.Argument(help="Model name, NAME@VERSION or folder.")]
BeamOption = Annotated[int, typer.Option("--beam", min=1, help="Beam width; 1 is greedy.")]
SampleOption = Annotated[int | None, typer.Option("--sample", min=1, help="Only so many utterances.")]
ManifestOption = Annotated[
    Path | None, typer.Option("--manifest", help="Speech to use instead of the benchmark `biasing`.")
]


@app.command()
def tune(
    model: ModelOption,
    manifest: Annotated[Path, typer.Option("--manifest", help="Development speech, with drugs and without.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for result.json.")],
    beam: BeamOption = 1,
    sample: SampleOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Leave the model's card as it is.")] = False,
) -> None:
    """Find boost and margins on development speech and store them in the model's card."""
    from medstt.engine import load_engine
    from medstt.evaluate.item import digest_items
    from medstt.evaluate.listening import outcome_rows
    from medstt.lifecycle.bias_tune import tune_bias, write_tuned
    from medstt.registry import resolve_model
    from medstt.service import open_names, read_settings
    from medstt.values import LANGUAGES
    from medstt.vocab import load_lexicon

    settings = read_settings()
    found = resolve_model(model, settings.home)
    engine = load_engine(found.path, found.name, cache=settings.home / "cache" / "engines", digest=found.digest)
    items = _items(manifest, sample)
    lexicons: dict[str, Lexicon] = {language: load_lexicon(language) for language in LANGUAGES}
    tuned = tune_bias(engine, items, lexicons, open_names(settings), beam=beam, progress=_progress("tuning"))
    about = {
        "tuned_on": digest_items(items), "beam": beam,
        "vocabulary": {language: lexicon.digest for language, lexicon in lexicons.items()},
    }  # fmt: skip
    if not dry_run:
        write_tuned(found.path, tuned, about)
    rows = outcome_rows([tuned.without, *(outcome for _, outcome in tuned.tried)])
    for row, options in zip(rows[1:], (options for options, _ in tuned.tried), strict=True):
        row["options"] = options.encode()
    _write(
        out,
        {
            "model": engine.ref.digest,
            **about,
            "decoder_weight": tuned.decoder_weight,
            "chosen": tuned.options.encode(),
            "tried": rows,
        },
    )
    print(json.dumps({**tuned.options.encode(), "decoder_weight": tuned.decoder_weight}))
    if not tuned.better:
        print(
            "medstt: no value gained without harm; this model does not favour the built-in vocabulary", file=sys.stderr
        )


@app.command()
def measure(
    model: ModelOption,
    out: Annotated[Path, typer.Option("--out", help="Folder for the report, such as training/results/biasing.")],
    manifest: ManifestOption = None,
    sizes: Annotated[str, typer.Option("--terms", help="Sizes of lists, with commas.")] = "0,100,1000,10000,50000",
    beam: BeamOption = 1,
    per_group: Annotated[
        int | None, typer.Option("--per-group", min=1, help="Only so many utterances of each group and language.")
    ] = None,
    stock: Annotated[str, typer.Option("--stock", help="Stock shape whose speed is measured too; none: no.")] = "tiny",
) -> None:
    """Measure names missed beside false alarms with lists of several sizes, on the same speech in turns.

    Writes result.json and report.md. Without --manifest the speech is made first, by voices that no training heard.
    """
    from medstt.benchmark.names import measure_stock
    from medstt.disk import write_atomically
    from medstt.engine.bias import tuned_options
    from medstt.evaluate.environment import describe_environment
    from medstt.evaluate.item import digest_items
    from medstt.evaluate.listening import Arm, compare_arms, make_lists, outcome_rows
    from medstt.evaluate.listening_report import report_text, table_text
    from medstt.service import load_model, open_names, read_settings

    settings = read_settings()
    wanted = _sizes(sizes)
    engine = load_model(settings, model)
    options = replace(tuned_options(engine), builtin=1.0)
    items = _items(manifest, None, per_group)
    arms = [Arm(f"{size} terms", make_lists(items, size), options) for size in wanted]
    outcomes = compare_arms(engine, items, arms, open_names(settings), beam=beam, progress=_progress("measuring"))
    costs = measure_stock(stock, wanted) if stock != "none" else []
    about: dict[str, Any] = {
        "model": engine.ref.name, "digest": engine.ref.digest, "items": digest_items(items), "count": len(items),
        "beam": beam, "options": options.encode(), "environment": describe_environment(),
    }  # fmt: skip
    rows = [{key: round(value, 4) for key, value in asdict(one).items()} for one in costs]
    _write(out, {**about, "lists": outcome_rows(outcomes), "stock": {"shape": stock, "costs": rows}})
    write_atomically(out / "report.md", report_text(
        f"Listening for names: {engine.ref.name}", _about(about, options), outcomes,
        f"Random weights of the shape `{stock}`, 6 s, greedy then five beams, one thread: speed alone.", costs,
    ))  # fmt: skip
    print(table_text(outcomes))


def _about(about: Mapping[str, Any], options: BiasOptions) -> dict[str, str]:
    """Return what a reader of the report must know, without paths."""
    from datetime import UTC, datetime

    machine = about["environment"]
    return {
        "model": f"{about['model']} `{about['digest'][:12]}`, beam {about['beam']}",
        "speech": f"{about['count']} synthesised utterances by voices that no training heard, `{about['items'][:12]}`",
        "values": ", ".join(f"{key} {value:g}" for key, value in options.encode().items()),
        "machine": f"{machine['processor']}, one thread, medstt {machine.get('commit', machine.get('medstt', ''))}",
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
    }


def _items(manifest: Path | None, sample: int | None, per_group: int | None = None) -> list[Item]:
    from medstt.cli.evaluate import benchmark_task
    from medstt.evaluate.item import read_items, sample_items
    from medstt.evaluate.listening import group_items, sample_groups
    from medstt.service import read_settings

    items = read_items(manifest) if manifest else benchmark_task("biasing", read_settings().home, {}, None).items
    grouped = group_items(sample_items(items, sample) if sample else items)
    return sample_groups(grouped, per_group) if per_group else grouped


def _sizes(text: str) -> list[int]:
    from medstt.errors import OptionError

    try:
        return [int(part) for part in text.split(",")]
    except ValueError as error:
        raise OptionError(f"--terms {text!r} is no list of numbers", "Write for example 0,100,1000") from error


def _progress(what: str) -> Progress:
    def show(done: int, total: int) -> None:
        if sys.stderr.isatty():
            print(f"\r{what}: {done}/{total}", end="\n" if done == total else "", file=sys.stderr, flush=True)

    return show


def _write(folder: Path, content: dict[str, Any]) -> None:
    from medstt.disk import naming_disk_errors, write_atomically

    with naming_disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / "result.json", json.dumps(content, indent=1, ensure_ascii=False) + "\n")
