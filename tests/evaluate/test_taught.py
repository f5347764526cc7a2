"""Terms right before and after: whole terms count, and terms that nobody said are held against a run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from medstt.cli.compare import app
from medstt.errors import DataError
from medstt.evaluate.item import items_of
from medstt.evaluate.run import Run, create_run, transcribe_run
from medstt.evaluate.system import Reply, Request
from medstt.evaluate.taught import make_share, open_terms, score_terms
from medstt.values import Utterance

SAID = {
    "a": ("en", "start agomelatine today"),
    "b": ("en", "the Calloway score is high"),
    "c": ("de", "Opipramol und kein Agomelatin"),
    "d": ("en", "no pain"),
    "e": ("de", "kein Fieber"),
}
BEFORE = {"a": "start ago mela teen today", "b": "the Calloway store is high", "c": "Opipramol und kein Agomelatin",
          "d": "no pain", "e": "kein Opipramol"}  # fmt: skip
AFTER = {"a": "start agomelatine today", "b": "the calloway score is high", "c": "Opium und kein Agomelatin",
         "d": "no pain", "e": "kein Fieber"}  # fmt: skip


class Written:
    """A system that answers what it is told to."""

    def __init__(self, texts: Mapping[str, str], name: str) -> None:
        self.texts, self.name = texts, name

    def describe(self) -> Mapping[str, Any]:
        return {"kind": "written", "name": self.name}

    def transcribe(self, request: Request) -> Reply:
        return Reply(self.texts[request.key], audio_ms=1000)


@pytest.fixture
def site(tmp_path: Path) -> Path:
    tables = {"en": "Calloway score\tname\nagomelatine\tdrug\n", "de": "Agomelatin\tdrug\nOpipramol\tdrug\n"}
    for lang, rows in tables.items():
        (tmp_path / "site" / lang).mkdir(parents=True)
        (tmp_path / "site" / lang / "terms.tsv").write_text(f"term\tkind\n{rows}", encoding="utf-8")
    return tmp_path / "site"


def answered(folder: Path, texts: Mapping[str, str]) -> Run:
    rows = [Utterance(key, f"{key}.wav", text, lang) for key, (lang, text) in SAID.items()]
    run = create_run(folder, Written(texts, folder.name), items_of(rows, folder.parent), {})
    transcribe_run(run, Written(texts, folder.name))
    return run


def test_terms_right_and_false_insertions(tmp_path: Path, site: Path) -> None:
    lexicons = open_terms(site)
    one, two = (score_terms(answered(tmp_path / n, t), lexicons) for n, t in (("before", BEFORE), ("after", AFTER)))
    assert (one.recall.count, one.recall.of) == (2, 4)
    assert (two.recall.count, two.recall.of) == (3, 4)
    assert (one.false_insertions.count, one.false_insertions.of) == (1, 2)
    assert two.false_insertions.count == 0
    found = CliRunner().invoke(app, [str(tmp_path / "before"), str(tmp_path / "after"), "--terms", str(site)])
    assert found.output.splitlines()[1].startswith("terms right, after: 3 of 4 (")
    assert found.output.splitlines()[1].endswith("; 2 gained, 1 lost")
    arguments = [str(tmp_path / "before"), str(tmp_path / "after"), "--terms", str(site), "--json"]
    assert json.loads(CliRunner().invoke(app, arguments).output)["second"]["terms_right"]["count"] == 3


def test_a_share_has_its_wilson_interval() -> None:
    share = make_share(150, 200)  # Wilson 1927: 0.685-0.805
    assert (round(share.low, 3), round(share.high, 3)) == (0.686, 0.805)
    assert (make_share(0, 0).low, make_share(0, 0).high) == (0.0, 1.0)


def test_speech_without_the_terms_is_no_examination(tmp_path: Path, site: Path) -> None:
    (site / "en" / "terms.tsv").write_text("term\tkind\nzorvexil\tdrug\n")
    (site / "de" / "terms.tsv").write_text("term\tkind\nZorvexil\tdrug\n")
    with pytest.raises(DataError, match="no utterance says one of these terms"):
        score_terms(answered(tmp_path / "before", BEFORE), open_terms(site))
