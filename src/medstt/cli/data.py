"""`medstt data`: import recordings of your own, check them, divide them by speaker.

Owns the arguments, the progress bar and the files written. Knows nothing of formats, rules or signals.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from medstt.data.check import Checked, CheckResult, Judge
    from medstt.values import Audio, Utterance

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Make a checked manifest of recordings and texts of your own: import, then check, then split.",
)
MANIFEST = "manifest.jsonl"
QUARANTINE = "quarantine.jsonl"


@app.command("import")
def import_(
    source: Annotated[
        str, typer.Argument(help="Folder of recordings with .txt beside them, .csv, .tsv, .jsonl, or hf:OWNER/NAME.")
    ],
    out: Annotated[Path, typer.Option("--out", help="Folder for the manifest.")],
    language: Annotated[str | None, typer.Option("--language", help="en or de, where the source does not say.")] = None,
    mapping: Annotated[Path | None, typer.Option("--mapping", help="TOML file: field = 'column'.")] = None,
    pairs: Annotated[
        list[str] | None, typer.Option("--map", metavar="FIELD=COLUMN", help="One field's column.")
    ] = None,
    speaker: Annotated[str | None, typer.Option("--speaker", help="Who spoke, where the source does not say.")] = None,
    consent: Annotated[
        bool, typer.Option("--consent", help="State that every speaker in the source agreed to training.")
    ] = False,
    split: Annotated[str | None, typer.Option("--split", help="Only this split of a data set.")] = None,
    revision: Annotated[str | None, typer.Option("--revision", help="Revision of a data set on the hub.")] = None,
) -> None:
    """Turn recordings and corrected texts into a manifest; the recordings stay where they are."""
    from medstt.cli.transcribe import check_language
    from medstt.data import ImportOptions, import_source, read_mapping
    from medstt.manifest import digest_manifest, read_manifest
    from medstt.values import LANGUAGES

    checked = check_language(language) if language else None
    options = ImportOptions(
        language=next((lang for lang in LANGUAGES if lang == checked), None),
        speaker=speaker,
        consent=consent,
        mapping=read_mapping(mapping, pairs or ()),
        split=split,
        revision=revision,
    )
    manifest = import_source(source, out, options)
    rows = read_manifest(manifest)
    consented = sum(row.tags.get("consent") == "yes" for row in rows)
    outputs = {"manifest": MANIFEST, "manifest_digest": digest_manifest(manifest), "utterances": len(rows)}
    _write_result(out, "data import", {"source": source, "revision": revision}, {**outputs, "consented": consented})
    print(f"{len(rows)} utterances in {manifest}, {consented} with consent", file=sys.stderr)


@app.command()
def check(
    manifest: Annotated[Path, typer.Argument(help="Manifest (JSON Lines) to check.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for the kept and the quarantined rows and the report.")],
    rules: Annotated[Path | None, typer.Option("--rules", help="TOML file with limits of your own.")] = None,
    model: Annotated[
        str | None, typer.Option("--model", help="Also compare every text with what this model hears.")
    ] = None,
    max_cer: Annotated[
        float | None, typer.Option("--max-cer", help="Character error rate above which they disagree; 0.5.")
    ] = None,
    identifiers: Annotated[
        bool, typer.Option("--include-identifiers", help="Keep rows whose text may name a person.")
    ] = False,
    text: Annotated[bool, typer.Option("--include-text", help="Put texts and file names into the report.")] = False,
    jobs: Annotated[int, typer.Option("--jobs", min=0, help="Processes; 0 is one per core.")] = 0,
) -> None:
    """Check recordings and texts; what is doubtful goes to quarantine.jsonl with its reasons, nothing is deleted.

    Writes manifest.jsonl (kept), quarantine.jsonl, report.json, report.md, report.html and result.json. The report
    holds no text unless asked to. Exit code 1 if nothing is left.
    """
    from medstt.cli.transcribe import usable_cores
    from medstt.data import CheckOptions, check_manifest, read_rules
    from medstt.manifest import digest_manifest

    _refuse_same(manifest, out)
    limits = read_rules(rules, {"max_cer": max_cer} if max_cer is not None else None)
    options = CheckOptions(limits, identifiers, jobs or usable_cores(), _open_judge(model) if model else None)
    with _bar("utterances") as progress:
        result = check_manifest(manifest, options, progress)
    outputs = _write_check(result, manifest, out, include_text=text)
    inputs = {"manifest": digest_manifest(manifest), "rules": limits.model_dump(), "model": model}
    _write_result(out, "data check", inputs, outputs)
    for code, count in result.counts().items():
        print(f"{count:6d} {code}", file=sys.stderr)
    kept, total = len(result.kept), len(result.rows)
    print(f"{kept} of {total} utterances kept; see {out / 'report.md'}", file=sys.stderr)
    if not kept:
        raise typer.Exit(1)


@app.command()
def split(
    manifest: Annotated[Path, typer.Argument(help="Manifest to divide.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for the manifest with its splits.")],
    dev: Annotated[float, typer.Option("--dev", help="Share of utterances for dev.")] = 0.1,
    test: Annotated[float, typer.Option("--test", help="Share of utterances for test.")] = 0.1,
    seed: Annotated[int, typer.Option("--seed", help="Another seed, other speakers.")] = 0,
) -> None:
    """Divide a manifest into train, dev and test so that no speaker is in two of them."""
    from collections import Counter

    from medstt.data import SplitOptions, split_utterances
    from medstt.manifest import digest_manifest, read_manifest, write_manifest

    _refuse_same(manifest, out)
    rows = split_utterances(read_manifest(manifest), SplitOptions(dev, test, seed))
    target = out / MANIFEST
    out.mkdir(parents=True, exist_ok=True)
    write_manifest(target, _relocated(rows, manifest.parent, out))
    counts = dict(sorted(Counter(row.split for row in rows).items()))
    inputs = {"manifest": digest_manifest(manifest), "dev": dev, "test": test, "seed": seed}
    _write_result(
        out, "data split", inputs, {"manifest": MANIFEST, "manifest_digest": digest_manifest(target), **counts}
    )
    speakers = {name: len({row.speaker for row in rows if row.split == name}) for name in counts}
    said = ", ".join(f"{name} {count} ({speakers[name]} speakers)" for name, count in counts.items())
    print(f"{said} in {target}", file=sys.stderr)


def _refuse_same(manifest: Path, out: Path) -> None:
    from medstt.errors import OptionError

    if (out / MANIFEST).resolve() == manifest.resolve():
        raise OptionError(f"{out} holds the manifest itself, which would be overwritten", "Give another --out")


def _relocated(rows: Sequence[Utterance], old: Path, new: Path) -> Iterator[Utterance]:
    """Yield rows with their audio paths relative to the new manifest's folder."""
    import os
    from dataclasses import replace

    for row in rows:
        path = os.path.relpath((old / row.audio).resolve(), new.resolve())
        yield replace(row, audio=Path(path).as_posix())


def _write_check(result: CheckResult, manifest: Path, out: Path, *, include_text: bool) -> dict[str, Any]:
    import json
    from dataclasses import replace

    from medstt.data.report import build_report, render_html, render_markdown
    from medstt.disk import naming_disk_errors, write_atomically
    from medstt.manifest import digest_manifest, write_manifest

    def marked(row: Checked) -> Utterance:
        codes = ",".join(issue.code for issue in row.issues)
        return replace(row.utterance, tags={**row.utterance.tags, "quarantine": codes})

    kept, held = [row.utterance for row in result.kept], [marked(row) for row in result.quarantined]
    report = build_report(result, include_text=include_text)
    with naming_disk_errors(out):
        out.mkdir(parents=True, exist_ok=True)
        write_manifest(out / MANIFEST, _relocated(kept, manifest.parent, out))
        write_manifest(out / QUARANTINE, _relocated(held, manifest.parent, out))
    write_atomically(out / "report.json", json.dumps(report, indent=1, ensure_ascii=False) + "\n")
    write_atomically(out / "report.md", render_markdown(report))
    write_atomically(out / "report.html", render_html(report))
    return {
        "manifest": MANIFEST,
        "manifest_digest": digest_manifest(out / MANIFEST),
        "quarantine_digest": digest_manifest(out / QUARANTINE),
        "kept": len(kept),
        "quarantined": len(held),
        "issues": result.counts(),
    }


def _open_judge(model: str) -> Judge:
    """Return the character error rate of a model's output, the model loaded once for each language met."""
    from medstt.cli.transcribe import open_model
    from medstt.metrics.count import char_errors
    from medstt.transcriber import Transcriber

    opened: dict[str, Transcriber] = {}

    def judge(audio: Audio, utterance: Utterance) -> float:
        if utterance.lang not in opened:
            opened[utterance.lang] = open_model(model, utterance.lang, 1)
        heard = opened[utterance.lang].transcribe(audio).text
        rate = char_errors(utterance.text, heard, utterance.lang).rate
        return 0.0 if rate is None else rate  # no letter to be compared: the check of texts has its say

    return judge


@contextmanager
def _bar(unit: str) -> Iterator[Callable[[int, int], None]]:
    """Draw a progress bar on a terminal; yields what is to be told (done, total)."""
    if not sys.stderr.isatty():
        yield lambda done, total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (BarColumn(), MofNCompleteColumn(), TextColumn(unit), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _write_result(out: Path, command: str, inputs: dict[str, Any], outputs: dict[str, Any]) -> None:
    import json

    from medstt.disk import write_atomically

    content = {"command": command, "inputs": inputs, "outputs": outputs}
    write_atomically(out / "result.json", json.dumps(content, indent=1, ensure_ascii=False) + "\n")
