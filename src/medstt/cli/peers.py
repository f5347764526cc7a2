"""`medstt peers`: one model through other programs and through our own server; the same words are expected."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from medstt.evaluate.agreement import Heard, Peer
    from medstt.evaluate.system import System

app = typer.Typer(add_completion=False)
PROGRAMS = ("faster-whisper", "transformers", "server")


@app.command()
def peers(
    model: Annotated[str, typer.Argument(help="A model: name, NAME@VERSION or folder.")],
    manifest: Annotated[Path | None, typer.Option("--manifest", help="JSON Lines of utterances.")] = None,
    benchmark: Annotated[str | None, typer.Option("--benchmark", help="Benchmark by name or file.")] = None,
    sample: Annotated[int | None, typer.Option("--sample", min=1, help="Only so many utterances.")] = None,
    beam: Annotated[list[int] | None, typer.Option("--beam", min=1, help="Beam width; 1 and 5 if not given.")] = None,
    programs: Annotated[str, typer.Option("--programs", help="Those to compare with, separated by commas.")] = ",".join(
        PROGRAMS
    ),
    points: Annotated[float, typer.Option("--points", min=0, help="Largest distance in a group.")] = 0.3,
) -> None:
    """Compare word error rates of the same model in medstt, faster-whisper, transformers and `medstt serve`.

    All hear the same phrases, those that medstt finds, each with silence up to 30 s. Decoder alone, as other programs
    search, without letters and without names: medstt, faster-whisper (CTranslate2, int8) and transformers (float32) at
    each beam width, and our own server at its beam of 1. As served: medstt and its server with letters and names.
    Beside them, what faster-whisper hears of whole clips that it fills up itself. Exit code 1 if the programs of a
    group are further apart than --points.
    """
    from medstt.cli.evaluate import benchmark_task, manifest_task
    from medstt.errors import OptionError
    from medstt.evaluate.agreement import Peer, listen, spreads
    from medstt.evaluate.item import sample_items
    from medstt.evaluate.system import SystemOptions, open_system
    from medstt.registry.resolve import resolve_model
    from medstt.service import read_settings

    chosen = [name.strip() for name in programs.split(",") if name.strip()]
    if unknown := [name for name in chosen if name not in PROGRAMS]:
        raise OptionError(f"{unknown[0]!r} is no program to compare with", f"Choose among {', '.join(PROGRAMS)}")
    if (manifest is None) == (benchmark is None):
        raise OptionError("say what to listen to", "Give --manifest FILE or --benchmark NAME, not both")
    home = read_settings().home
    task = manifest_task(manifest, None) if manifest else benchmark_task(str(benchmark), home, {}, None)
    items = sample_items(task.items, sample) if sample else task.items
    with ExitStack() as stack:
        work = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="medstt-peers-")))
        source = resolve_model(model, home).path
        alone = write_padded(source, work / "decoder-alone", alone=True)
        served = "server" in chosen
        found: list[Peer] = []
        for width in beam or [1, 5]:
            group = f"30 s, beam {width}, decoder alone"
            found += _decoders(alone, work, width, group, chosen)
            if served and width == 1:
                found.append(stack.enter_context(_server(alone, work / "served-alone", group)))
        if served:
            padded = write_padded(source, work / "padded")
            group, options = "30 s, as served", SystemOptions(home=work / "home", audio_context="full")
            found.append(Peer(group, "medstt", lambda: open_system(str(padded), options)))
            found.append(stack.enter_context(_server(padded, work / "served", group)))
        heard = listen(found, items, work / "runs", _show)
    apart = spreads(heard)
    compared = {group: distance for group, distance in apart.items() if sum(one.group == group for one in heard) > 1}
    for group, distance in compared.items():
        print(f"{group}: {distance:.2f} points apart, at most {points:g}: {'ok' if distance <= points else 'NOT'}")
    if any(distance > points for distance in compared.values()):
        raise typer.Exit(1)


def write_padded(source: Path, folder: Path, *, alone: bool = False) -> Path:
    """Copy a model with a card that asks for 30 s; the weights are the same.

    ``alone`` leaves out the head that hears letters and switches names off: what other programs cannot do.
    """
    import json

    from medstt.engine.letter import HEAD
    from medstt.registry.card import Card, encode_card, read_card
    from medstt.registry.digest import CARD, DIGESTS, digest_files

    shutil.copytree(source, folder)
    card = encode_card(read_card(folder) if (folder / CARD).is_file() else Card("padded"))
    card["audio_context"] = "full"
    if alone:
        (folder / HEAD).unlink(missing_ok=True)
        card["bias"] = {"boost": 0.0, "doubt": 0.0}
    (folder / CARD).write_text(json.dumps(card), encoding="utf-8")
    (folder / DIGESTS).write_text(json.dumps(digest_files(folder, card)), encoding="utf-8")
    return folder


def _decoders(alone: Path, work: Path, beam: int, group: str, programs: list[str]) -> list[Peer]:
    from medstt.benchmark.ct2 import convert_ct2
    from medstt.engine.checkpoint import open_checkpoint
    from medstt.evaluate.agreement import Peer
    from medstt.evaluate.system import SystemOptions, open_system

    options = SystemOptions(beam=beam, home=work / "home", vocabulary=(), audio_context="full", phrases=True)
    found = [Peer(group, "medstt", lambda: open_system(str(alone), options))]

    def faster_whisper() -> System:
        folder = work / "ct2"
        if not folder.is_dir():
            convert_ct2(open_checkpoint(alone), folder)
        return open_system(f"faster-whisper:{folder}", options)

    if "faster-whisper" in programs:
        found.append(Peer(group, "faster-whisper", faster_whisper))
        own = SystemOptions(beam=beam, home=work / "home")
        title = f"beam {beam}, whole clips, filled up with zeros in the place of features"
        found.append(Peer(title, "faster-whisper", lambda: open_system(f"faster-whisper:{work / 'ct2'}", own)))
    if "transformers" in programs:
        found.append(Peer(group, "transformers", lambda: open_system(f"transformers:{alone}", options)))
    return found


@contextmanager
def _server(model: Path, home: Path, group: str) -> Iterator[Peer]:
    """Start `medstt serve` with a model; its process ends with the block."""
    from medstt.benchmark.server import running
    from medstt.evaluate.agreement import Peer
    from medstt.evaluate.system import SystemOptions, open_system

    home.mkdir()
    with running(home, model=str(model)) as server:
        remote = SystemOptions(api_key=server.key, timeout_s=600)
        name = f"http://127.0.0.1:{server.port}/v1#whisper-1?format=verbatim"
        yield Peer(group, "medstt serve", lambda: open_system(name, remote))


def _show(heard: Heard) -> None:
    rate = "nothing scored" if heard.rate is None else f"{heard.rate:6.2f} % of {heard.words} words"
    failed = f", {heard.failed} failed" if heard.failed else ""
    others = ", ".join(heard.otherwise[:5]) + (", ..." if len(heard.otherwise) > 5 else "")
    apart = f"; other words in {len(heard.otherwise)} utterances ({others})" if heard.otherwise else ""
    print(f"{heard.group}: {heard.name:15} {rate}{failed}{apart}", file=sys.stderr)
