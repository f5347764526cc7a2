"""`medstt vocab`: import, check, search, compare and export vocabulary.

Knows nothing of how any of it is done; writes results to stdout and everything else to stderr.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from medstt.cli.vocab_test import hear_term

if TYPE_CHECKING:
    from medstt.values import Language
    from medstt.vocab import Layer
    from medstt.vocab.importers.source import Progress
    from medstt.vocab.term import Term

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Import, check, search and export vocabulary.")

app.command("test")(hear_term)

FORMATS = "rxnorm, icd10cm, icd10gm, atc, formulary, words"
LayerOption = Annotated[
    list[Path] | None,
    typer.Option("--layer", help="A folder or table over the built-in vocabulary; repeat for site, department, user."),
]
LanguageOption = Annotated[str, typer.Option("--language", help="en, de or auto (both).")]
JsonOption = Annotated[bool, typer.Option("--json", help="Write JSON lines.")]


@app.command("import")
def import_(
    format_: Annotated[str, typer.Argument(metavar="FORMAT", help=f"One of {FORMATS}.")],
    path: Annotated[Path, typer.Argument(help="The file as delivered.")],
    out: Annotated[Path, typer.Option(help="The table to write, such as site/en/rxnorm.tsv.")],
    language: Annotated[str, typer.Option(help="Language of the names: en or de.")] = "",
    kind: Annotated[str, typer.Option(help="Kind of terms in a word list or formulary.")] = "drug",
    column: Annotated[
        list[str] | None, typer.Option(help="Column mapping of a formulary: field=Heading; repeat.")
    ] = None,
    encoding: Annotated[str, typer.Option(help="The file's encoding; detected if not given.")] = "",
) -> None:
    """Turn a terminology or a list into a vocabulary table."""
    from medstt.vocab.write import write_terms

    with _progress(path) as progress:
        terms = list(_importer(format_, path, language, kind, column or [], encoding, progress))
    count = write_terms(out, terms)
    if out.parent.name not in ("en", "de"):
        print(f"medstt: put {out.name} into a folder named en or de", file=sys.stderr)
    print(f"{count} terms -> {out}")


@app.command()
def check(
    layer: LayerOption = None,
    builtin: Annotated[bool, typer.Option(help="Check the built-in vocabulary as well.")] = True,
    tokenizer: Annotated[
        Path | None, typer.Option(help="A tokenizer.json: report terms it cuts into many pieces.")
    ] = None,
    strict: Annotated[bool, typer.Option(help="Warnings fail as well.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Report faults with file and line; exit code 1 if there are any."""
    from medstt.vocab import Layer as LayerType
    from medstt.vocab.check import check_layers
    from medstt.vocab.command import dictation_commands
    from medstt.vocab.layers import as_layers, builtin_vocab_folder

    folder = builtin_vocab_folder()
    layers: tuple[Layer, ...] = as_layers(layer or [])
    if builtin:
        layers = (LayerType("builtin", folder), *layers)
    findings = check_layers(layers, dictation_commands(folder), _token_counter(tokenizer))
    for finding in findings:
        if as_json:
            fields = {"path": str(finding.path), "line": finding.line, "level": finding.level, "rule": finding.rule}
            print(json.dumps({**fields, "message": finding.message}, ensure_ascii=False))
        else:
            print(finding)
    errors = sum(finding.level == "error" for finding in findings)
    note = "" if tokenizer else "; terms cut up by a tokenizer not looked for (--tokenizer)"
    print(f"{errors} errors, {len(findings) - errors} warnings{note}", file=sys.stderr)
    if errors or (strict and findings):
        raise typer.Exit(1)


@app.command()
def search(
    text: Annotated[str, typer.Argument(help="A name, also misspelt or misheard.")],
    language: LanguageOption = "auto",
    layer: LayerOption = None,
    limit: Annotated[int, typer.Option(min=1, help="Most matches to show.")] = 10,
    as_json: JsonOption = False,
) -> None:
    """Find terms by name, spelling, sound and letters, with their look-alikes."""
    from medstt.vocab import load_lexicon

    lexicon = load_lexicon(_language(language), layer or [])
    matches = lexicon.search(text, limit)
    for match in matches:
        twins = [twin.term.text for twin in lexicon.twins(match.term)]
        if as_json:
            row = {"term": match.term.text, "score": match.score, "how": match.how, "twins": twins}
            print(json.dumps({**match.term._asdict(), **row}, ensure_ascii=False))
            continue
        facts = [match.term.kind, match.term.language, match.term.code, match.term.klass, match.term.layer]
        print(f"{match.score:5.1f} {match.how:8} {match.term.text}  ({', '.join(filter(None, facts))})")
        if twins:
            print(f"      look-alikes: {', '.join(twins)}")
    if not matches:
        print(f"medstt: nothing like {text!r}", file=sys.stderr)
        raise typer.Exit(1)


@app.command()
def diff(
    layer: Annotated[list[Path], typer.Argument(help="Layers to lay over the built-in vocabulary, in order.")],
    against: Annotated[list[Path] | None, typer.Option(help="Layers to compare with instead of none.")] = None,
    language: LanguageOption = "auto",
) -> None:
    """Show what layers add, change and remove."""
    from medstt.vocab import load_lexicon
    from medstt.vocab.diff import compare

    chosen = _language(language)
    counts = {"added": 0, "removed": 0, "changed": 0}
    for change in compare(load_lexicon(chosen, against or []), load_lexicon(chosen, layer)):
        counts[change.what] += 1
        sign = {"added": "+", "removed": "-", "changed": "~"}[change.what]
        fields = "; ".join(f"{column}: {was!r} -> {now!r}" for column, was, now in change.fields)
        print(f"{sign} {change.term.language} {change.term.kind} {change.term.text}{'  ' + fields if fields else ''}")
    print(", ".join(f"{count} {what}" for what, count in counts.items()), file=sys.stderr)


@app.command()
def export(
    out: Annotated[Path, typer.Option(help="The table to write: .tsv, or .txt for names only.")],
    language: LanguageOption = "auto",
    layer: LayerOption = None,
    kind: Annotated[list[str] | None, typer.Option(help="Only these kinds; repeat.")] = None,
) -> None:
    """Write the vocabulary with all layers applied into one table or list of names."""
    from medstt.errors import OptionError
    from medstt.vocab import load_lexicon
    from medstt.vocab.term import KINDS
    from medstt.vocab.write import write_names, write_terms

    for name in kind or []:
        if name not in KINDS:
            raise OptionError(f"kind {name!r} is unknown", f"Choose among {', '.join(KINDS)}")
    terms = [term for term in load_lexicon(_language(language), layer or []) if not kind or term.kind in kind]
    count = write_names(out, terms) if out.suffix == ".txt" else write_terms(out, terms, with_language=True)
    print(f"{count} terms -> {out}")


@app.command()
def benchmark(
    terms: Annotated[int, typer.Option(min=100, help="Synthetic terms in the lexicon.")] = 50_000,
    words: Annotated[int, typer.Option(min=100, help="Words of text to spot terms in.")] = 100_000,
) -> None:
    """Time loading, lookup, search and spotting on synthetic terms (CPU seconds)."""
    from medstt.vocab.benchmark import measure

    figures = measure(terms, words)
    print(f"load {figures.terms} terms      {figures.load_s:9.3f} s")
    print(f"first lookup (index)   {figures.first_lookup_s:9.3f} s")
    print(f"lookup                 {figures.lookup_s * 1000:9.4f} ms")
    print(f"search, misspelt       {figures.search_s * 1000:9.2f} ms")
    print(f"first spotting (index) {figures.first_spot_s:9.3f} s")
    print(f"spot in {figures.words} words   {figures.spot_s:9.3f} s, {figures.mentions} mentions")
    print(f"peak memory            {figures.peak_mib:9.0f} MiB, Python and its libraries included")


def _language(name: str) -> Language | None:
    from medstt.errors import OptionError
    from medstt.values import LANGUAGES

    if name == "auto":
        return None
    if name not in LANGUAGES:
        raise OptionError(f"language {name!r} is unknown", "Choose en, de or auto")
    return name


def _importer(
    format_: str, path: Path, language: str, kind: str, columns: list[str], encoding: str, progress: Progress
) -> Iterator[Term]:
    from medstt.errors import OptionError
    from medstt.vocab.importers.formulary import read_atc, read_formulary, read_words
    from medstt.vocab.importers.icd import read_icd10cm, read_icd10gm
    from medstt.vocab.importers.rxnorm import read_rxnconso
    from medstt.vocab.term import KINDS

    fixed: dict[str, Callable[[Path, Progress], Iterator[Term]]] = {
        "rxnorm": read_rxnconso,
        "icd10cm": read_icd10cm,
        "icd10gm": read_icd10gm,
    }
    if format_ in fixed:
        return fixed[format_](path, progress)
    if format_ not in ("atc", "formulary", "words"):
        raise OptionError(f"format {format_!r} is unknown", f"Choose among {FORMATS}")
    chosen = _language(language) if language else None
    if chosen is None:
        raise OptionError(f"the language of a file of format {format_} must be named", "Give --language en or de")
    if kind not in KINDS:
        raise OptionError(f"kind {kind!r} is unknown", f"Choose among {', '.join(KINDS)}")
    if format_ == "atc":
        return read_atc(path, chosen, encoding, progress)
    if format_ == "words":
        return read_words(path, chosen, kind, encoding, progress)
    mapping = dict(_pair(item) for item in columns)
    return read_formulary(path, chosen, mapping, kind, encoding, progress)


def _pair(item: str) -> tuple[str, str]:
    from medstt.errors import OptionError

    field, equals, heading = item.partition("=")
    if not equals or not field or not heading:
        raise OptionError(f"--column {item!r} is no mapping", "Write field=Heading, such as term=Bezeichnung")
    return field.strip(), heading.strip()


def _token_counter(path: Path | None) -> Callable[[str], int] | None:
    if path is None:
        return None
    from tokenizers import Tokenizer

    from medstt.errors import OptionError

    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises bare Exception for a missing or malformed file
        raise OptionError(f"{path} is no tokenizer ({error})", "Give a tokenizer.json of a model") from error
    return lambda text: len(tokenizer.encode(" " + text, add_special_tokens=False).ids)


@contextmanager
def _progress(path: Path) -> Iterator[Progress]:
    """Draw a bar of bytes read on a terminal; elsewhere report nothing."""
    from medstt.vocab.importers.source import no_progress

    if not sys.stderr.isatty():
        yield no_progress
        return
    from rich.console import Console
    from rich.progress import Progress as Bar

    with Bar(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(path.name, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
