from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from medstt.errors import ConflictError, DataError, ModelError, OptionError
from medstt.evaluate.clip import ClipReader, write_wav
from medstt.evaluate.external import CommandSystem, TranscriptFolder
from medstt.evaluate.item import Item, items_of, read_items, sample_items
from medstt.evaluate.run import _locked, create_run, open_run, transcribe_run
from medstt.evaluate.score import score_items
from medstt.evaluate.summary import read_summary, summarise, write_summary
from medstt.evaluate.system import Reply, Request, SystemOptions, open_system
from medstt.manifest import write_manifest
from medstt.values import Utterance


class Echo:
    """A system that answers from a table and fails where it has nothing."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        self.texts = texts
        self.asked: list[str] = []

    def describe(self) -> Mapping[str, Any]:
        return {"kind": "echo", "name": "echo"}

    def transcribe(self, request: Request) -> Reply:
        self.asked.append(request.key)
        if request.key not in self.texts:
            raise ModelError(f"{request.key}: nothing heard")
        return Reply(self.texts[request.key], audio_ms=1000)


def make_items(count: int, folder: Path, **tags: str) -> list[Item]:
    utterances = [
        Utterance(f"u{n}", f"u{n}.wav", "no fever today", "en", speaker=f"s{n % 3}", tags={"tier": "trained", **tags})
        for n in range(count)
    ]
    return items_of(utterances, folder)


def test_a_run_is_resumed_where_it_stopped_and_failures_are_tried_again(tmp_path: Path) -> None:
    items = make_items(5, tmp_path)
    first = Echo({"u0": "no fever today", "u1": "fever today"})
    run = create_run(tmp_path / "run", first, items, {})
    assert transcribe_run(run, first) == 0
    transcripts = tmp_path / "run" / "transcripts.jsonl"
    with transcripts.open("a") as out:
        out.write('{"key": "u2", "wall_ms": 1, "cp')  # killed while writing
    second = Echo({f"u{n}": "no fever today" for n in range(5)})
    again = create_run(tmp_path / "run", second, items, {})
    transcribe_run(again, second)
    assert second.asked == ["u2", "u3", "u4"]
    assert all(answer.reply for answer in open_run(tmp_path / "run").answers().values())


def test_a_failed_request_is_never_scored_as_empty(tmp_path: Path) -> None:
    items = make_items(4, tmp_path)
    system = Echo({"u0": "no fever today"})
    run = create_run(tmp_path / "run", system, items, {})
    transcribe_run(run, system)
    scored = score_items(run.items, run.answers())
    summary = summarise(run, scored, draws=20)
    write_summary(run, summary, scored)
    rates = read_summary(run.folder)["pools"]["synthetic"]["rates"]
    assert rates["wer_content"]["events"] == 3
    assert rates["wer_content"]["value"] == 0.0
    assert (rates["failed"]["errors"], rates["failed"]["events"]) == (3, 4)


def test_scoring_again_needs_neither_audio_nor_system(tmp_path: Path) -> None:
    items = make_items(3, tmp_path)
    system = Echo({f"u{n}": "no fever" for n in range(3)})
    transcribe_run(create_run(tmp_path / "run", system, items, {}), system)
    run = open_run(tmp_path / "run")
    scored = score_items(run.items, run.answers())
    one, two = (summarise(run, scored, draws=50).document for _ in range(2))
    assert one == two
    assert one["pools"]["synthetic"]["rates"]["wer_content"]["errors"] == 3


class Opens:
    """A system that decodes the recording and hears nothing in it."""

    def describe(self) -> Mapping[str, Any]:
        return {"kind": "opens", "name": "opens"}

    def transcribe(self, request: Request) -> Reply:
        return Reply("", audio_ms=ClipReader().read(request).duration_ms)


def test_audio_that_is_gone_since_is_a_failed_request_and_named(tmp_path: Path) -> None:
    items = make_items(2, tmp_path)
    write_wav(items[0].audio, np.zeros(16_000, np.float32))
    run = create_run(tmp_path / "run", Opens(), items, {})
    transcribe_run(run, Opens())
    answers = run.answers()
    assert answers["u0"].reply is not None
    assert answers["u1"].reply is None
    assert "u1.wav" in str(answers["u1"].error)


def test_a_folder_of_another_run_is_refused_and_a_changed_one_named(tmp_path: Path) -> None:
    system = Echo({})
    create_run(tmp_path / "run", system, make_items(3, tmp_path), {})
    with pytest.raises(DataError, match="another items"):
        create_run(tmp_path / "run", system, make_items(4, tmp_path), {})
    lines = (tmp_path / "run" / "items.jsonl").read_text().replace("fever", "fewer")
    (tmp_path / "run" / "items.jsonl").write_text(lines)
    with pytest.raises(DataError, match="changed after"):
        open_run(tmp_path / "run")
    with pytest.raises(DataError, match="is not a run"):
        open_run(tmp_path)


def test_two_processes_do_not_work_on_one_run(tmp_path: Path) -> None:
    system = Echo({})
    run = create_run(tmp_path / "run", system, make_items(1, tmp_path), {})
    with _locked(run.folder), pytest.raises(ConflictError, match="another process"):
        transcribe_run(run, system)


def test_budget_and_sample(tmp_path: Path) -> None:
    items = make_items(40, tmp_path)
    assert [i.key for i in sample_items(items, 8)] == [i.key for i in sample_items(items, 8)]
    assert {i.key for i in sample_items(items, 8)} <= {i.key for i in sample_items(items, 16)}
    system = Echo({})
    run = create_run(tmp_path / "run", system, items, {})
    assert [transcribe_run(run, system, jobs=jobs, max_minutes=-1) for jobs in (1, 2)] == [40, 40]
    assert score_items(run.items, run.answers()) == []


def test_several_requests_at_a_time_ask_for_each_once(tmp_path: Path) -> None:
    items = make_items(30, tmp_path)
    system = Echo({item.key: "no fever today" for item in items})
    run = create_run(tmp_path / "run", system, items, {})
    assert transcribe_run(run, system, jobs=4) == 0
    assert sorted(system.asked) == sorted(item.key for item in items)


def test_a_killed_process_loses_nothing_it_had_answered(tmp_path: Path) -> None:
    write_manifest(tmp_path / "m.jsonl", [item.utterance for item in make_items(400, tmp_path)])
    for n in range(400):
        (tmp_path / f"u{n}.wav").write_bytes(b"x")
    code = (
        "import sys; from pathlib import Path; from medstt.evaluate.item import read_items;"
        "from medstt.evaluate.run import create_run, transcribe_run;"
        "from medstt.evaluate.external import CommandSystem;"
        "s = CommandSystem('echo {audio}', 9); items = read_items(Path(sys.argv[1]));"
        "transcribe_run(create_run(Path(sys.argv[2]), s, items, {}), s)"
    )
    folder = tmp_path / "run"
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "m.jsonl"), str(folder)])
    lines = 0
    deadline = time.monotonic() + 60
    while lines < 20 and time.monotonic() < deadline:
        path = folder / "transcripts.jsonl"
        lines = path.read_bytes().count(b"\n") if path.exists() else 0
        os.sched_yield()
    process.send_signal(signal.SIGKILL)
    process.wait()
    items = read_items(tmp_path / "m.jsonl")
    system = CommandSystem("echo {audio}", 9)
    run = create_run(folder, system, items, {})
    before = run.answers()
    assert len(before) >= 20
    transcribe_run(run, system, jobs=2)
    after = [json.loads(line)["key"] for line in (folder / "transcripts.jsonl").read_text().splitlines()]
    assert sorted(after) == sorted(item.key for item in items)
    assert after[: len(before)] == list(before)


def test_a_command_is_a_system(tmp_path: Path) -> None:
    request = Request("u0", tmp_path / "a b.wav", "en")
    assert CommandSystem("echo {language} {audio}", 9).transcribe(request).text == f"en {tmp_path}/a b.wav"
    assert CommandSystem("""echo '{"text": "no fever", "x": "{audio}"}'""", 9).transcribe(request).text == "no fever"
    for command, why in [("false {audio}", "ended with 1"), (r"printf '\377%.0s' {audio}", "UTF-8")]:
        with pytest.raises(ModelError, match=why):
            CommandSystem(command, 9).transcribe(request)
    with pytest.raises(ModelError, match="no answer within"):
        CommandSystem("tail -f /dev/null {audio}", 0.2).transcribe(request)
    with pytest.raises(OptionError, match="no such program"):
        CommandSystem("no-such-program {audio}", 9).transcribe(request)
    with pytest.raises(OptionError, match="audio"):
        CommandSystem("echo", 9)


def test_a_folder_of_transcripts_is_a_system(tmp_path: Path) -> None:
    (tmp_path / "u0.txt").write_text("no fever\n")
    (tmp_path / "u1.json").write_text(
        json.dumps({"verbatim": "no fever period", "text": "No fever.", "words": [{"text": "no", "confidence": 0.5}]})
    )
    system = TranscriptFolder.open(tmp_path)
    assert system.transcribe(Request("set:u0", Path("x/y.wav"), "en")).text == "no fever"
    reply = system.transcribe(Request("k", Path("x/u1.wav"), "en"))
    assert (reply.text, reply.written, reply.words[0].confidence) == ("no fever period", "No fever.", 0.5)
    with pytest.raises(ModelError, match="no transcript of that id"):
        system.transcribe(Request("u9", Path("u9.wav"), "en"))
    (tmp_path / "u2.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(DataError, match=r"u2\.txt: not UTF-8"):
        TranscriptFolder.open(tmp_path)
    lines = tmp_path / "all.jsonl"
    lines.write_text('{"id": "a", "text": "x"}\n{"id": "a", "text": "y"}\n')
    with pytest.raises(DataError, match=r"all.jsonl:2: the id 'a' occurs twice"):
        TranscriptFolder.open(lines)


def test_systems_are_named(tmp_path: Path) -> None:
    assert open_system("command:echo {audio}", SystemOptions()).describe()["name"] == "echo"
    for name in ("", "command:", "transcripts:"):
        with pytest.raises(OptionError, match="names no system"):
            open_system(name, SystemOptions())
    with pytest.raises(OptionError, match="names no model"):
        open_system("http://localhost:1/v1", SystemOptions())
