from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import wave
from pathlib import Path

import numpy as np
import pytest
from program import SPEECH, Medstt
from recordings import Kind, encode, float_wav, silent_video, wav_header

from medstt.audio import read_audio

KEYS = {
    "verbatim", "text", "language", "duration_ms", "words", "segments", "flags", "warnings", "model", "settings_digest",
    "audio_digest",
}  # fmt: skip


def write_wav(path: Path, samples: np.ndarray, rate_hz: int = 16_000) -> Path:
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(rate_hz)
        out.writeframes((samples * 32767).astype("<i2").tobytes())
    return path


def silence(seconds: float) -> np.ndarray:
    return np.zeros(int(seconds * 16_000), np.float32)


def ledger(out: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (out / ".medstt" / "ledger.jsonl").read_text().splitlines()]


def test_text_of_one_recording_goes_to_stdout(medstt: Medstt, home: Path, tiny_model: Path) -> None:
    result = medstt("transcribe", SPEECH, "--model", tiny_model)
    assert result.code == 0
    assert result.out.endswith("\n")
    assert len(result.out.split()) >= 1
    row = json.loads(medstt("transcribe", SPEECH, "--model", tiny_model, "--format", "json", "--language", "en").out)
    assert set(row) >= KEYS
    assert row["model"]["name"] == "tiny"
    assert row["duration_ms"] == 6370
    assert row["verbatim"] == " ".join(word["text"] for word in row["words"])
    assert all(isinstance(word["start_ms"], int) and word["end_ms"] <= 6370 for word in row["words"])


def test_several_recordings_on_the_terminal_keep_their_order(
    medstt: Medstt, home: Path, tiny_model: Path, tmp_path: Path
) -> None:
    for name in ("b.flac", "a.flac"):
        shutil.copy(SPEECH, tmp_path / name)
    result = medstt("transcribe", tmp_path / "b.flac", tmp_path / "a.flac", "--model", tiny_model, "--jobs", "1")
    headings = [line for line in result.out.splitlines() if line.startswith("# ")]
    assert headings == [f"# {tmp_path / 'b.flac'}", f"# {tmp_path / 'a.flac'}"]
    assert "2 done; 0.2 min of audio" in result.err
    rows = medstt("transcribe", tmp_path, "--model", tiny_model, "--format", "json", "--jobs", "1").out.splitlines()
    assert [json.loads(row)["source"] for row in rows] == [str(tmp_path / "a.flac"), str(tmp_path / "b.flac")]


def test_stdin(home: Path, tiny_model: Path) -> None:
    command = [sys.executable, "-m", "medstt", "transcribe", "-", "--model", str(tiny_model), "--format", "json"]
    result = subprocess.run(command, input=SPEECH.read_bytes(), capture_output=True, check=True)
    assert json.loads(result.stdout)["source"] == "standard input"


def test_folder_to_files_and_a_second_run_does_nothing(
    medstt: Medstt, home: Path, tiny_model: Path, tmp_path: Path
) -> None:
    (tmp_path / "in" / "ward").mkdir(parents=True)
    for name in ("visit.flac", "ward/visit.flac", "ward/visit.ogg"):
        shutil.copy(SPEECH, tmp_path / "in" / name)
    arguments = ["transcribe", tmp_path / "in", "--out", tmp_path / "out", "--model", tiny_model, "--jobs", "1"]
    first = medstt(*arguments, "--format", "txt,json")
    assert (first.code, first.out) == (0, "")
    files = sorted(str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("[!.]*.*"))
    assert [name for name in files if not name.startswith(".medstt")] == [
        "visit.json", "visit.txt", "ward/visit.flac.json", "ward/visit.flac.txt", "ward/visit.ogg.json",
        "ward/visit.ogg.txt",
    ]  # fmt: skip
    assert "3 skipped" in medstt(*arguments, "--format", "txt,json").err
    assert "3 skipped" in medstt(*arguments).err
    assert "3 done" in medstt(*arguments, "--format", "srt").err
    assert "3 done" in medstt(*arguments, "--language", "de").err
    shutil.copy(SPEECH, tmp_path / "in" / "new.flac")
    assert "1 done, 3 skipped" in medstt(*arguments, "--format", "srt").err


def test_processes_give_what_one_engine_gives(medstt: Medstt, home: Path, tiny_model: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name in "abcd":
        shutil.copy(SPEECH, tmp_path / "in" / f"{name}.flac")
    (tmp_path / "in" / "e.wav").write_text("not a recording")
    outs = [tmp_path / "one", tmp_path / "two"]
    for jobs, out in zip("12", outs, strict=True):
        arguments = ["--model", tiny_model, "--jobs", jobs, "--out", out, "--format", "json"]
        result = medstt("transcribe", tmp_path / "in", *arguments)
        assert result.code == 1
        assert "4 done, 1 failed" in result.err
        assert "e.wav: the file is text" in result.err
    texts = [[(out / f"{name}.json").read_text() for name in "abcd"] for out in outs]
    assert texts[0] == texts[1]


def bad_files(folder: Path) -> dict[str, str]:
    """Write one file of each bad kind; return name -> what its error must say."""
    (folder / "empty.wav").write_bytes(b"")
    (folder / "text.wav").write_text("Dear colleague, thank you for referring this patient.\n")
    (folder / "image.wav").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(200))
    (folder / "memo.ds2").write_bytes(b"\x03ds2" + bytes(600))
    (folder / "video.mp4").write_bytes(silent_video())
    (folder / "loop.wav").symlink_to("loop.wav")
    write_wav(folder / "zero.wav", silence(0))
    (folder / "nan.wav").write_bytes(float_wav(np.full(16_000, np.nan, np.float32)))
    (folder / "infinite.wav").write_bytes(float_wav(np.full(16_000, np.inf, np.float32)))
    return {
        "empty.wav": "the file is empty",
        "text.wav": "the file is text",
        "image.wav": "the file is an image",
        "memo.ds2": "not supported yet",
        "zero.wav": "zero seconds",
        "nan.wav": "NaN or infinite",
        "infinite.wav": "NaN or infinite",
        "video.mp4": "the file is a video without sound",
        "loop.wav": "cannot be read",
        "gone.wav": "cannot be read",
    }


def test_each_bad_file_is_named_with_its_reason_and_the_others_are_done(
    medstt: Medstt, home: Path, tiny_model: Path, tmp_path: Path
) -> None:
    expected = bad_files(tmp_path)
    shutil.copy(SPEECH, tmp_path / "good.flac")
    write_wav(tmp_path / "quiet.wav", silence(2))
    mp3 = encode(read_audio(SPEECH).samples[np.newaxis], Kind("mp3", "libmp3lame", bit_rate=32_000))
    (tmp_path / "cut.mp3").write_bytes(mp3[: len(mp3) // 2])
    names = [*expected, "good.flac", "quiet.wav", "cut.mp3"]
    out = tmp_path / "out"
    result = medstt(
        "transcribe", *(tmp_path / name for name in names), "--out", out, "--format", "txt,json", "--model", tiny_model,
        "--jobs", "1",
    )  # fmt: skip
    assert result.code == 1
    assert "3 done, 10 failed" in result.err
    errors = [line for line in result.err.splitlines() if line.startswith("medstt: ")]
    assert len(errors) == len(expected)
    for name, reason in expected.items():
        (line,) = [line for line in errors if f"{name}: " in line]
        assert reason in line
        assert line.count(". ") >= 1, "no remedy"
    assert json.loads((out / "quiet.json").read_text())["flags"][0]["reason"] == "no_speech"
    assert (out / "quiet.txt").read_text() == ""
    assert (out / "good.txt").read_text()
    cut = json.loads((out / "cut.json").read_text())
    assert cut["warnings"][0].startswith("cut short: 3.")
    assert cut["words"]


def test_names_that_are_no_unicode_and_a_folder_without_recordings(
    medstt: Medstt, home: Path, tiny_model: Path, tmp_path: Path
) -> None:
    odd = tmp_path / os.fsdecode(b"ward \xe4\n1.flac")
    shutil.copy(SPEECH, odd)
    shutil.copy(SPEECH, tmp_path / "b.flac")
    (tmp_path / "empty").mkdir()
    arguments = ["transcribe", tmp_path, tmp_path / "empty", "--model", tiny_model, "--jobs", "1"]
    result = medstt(*arguments)
    assert result.code == 1
    assert "empty: holds no recording" in result.err
    assert [line.rpartition("/")[2] for line in result.out.splitlines() if "# " in line] == [
        "b.flac", r"ward \xe4\n1.flac",
    ]  # fmt: skip
    medstt(*arguments, "--format", "json", "--out", tmp_path / "out")
    assert len(list((tmp_path / "out").glob("*.json"))) == 2
    assert "2 skipped" in medstt(*arguments, "--format", "json", "--out", tmp_path / "out").err


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--language", "fr"], "The language 'fr' is not known. Use en, de or auto"),
        (["--format", "pdf"], "There is no output format 'pdf'. Use txt, json, srt, vtt"),
        (["--format", "txt,json"], "Name a folder with --out"),
        (["--model", "medsst-mini"], "There is no model 'medsst-mini'"),
        (["--model", "./nowhere"], "The model folder ./nowhere does not exist"),
        (["--out", "/proc/nowhere"], "Choose a folder that you may write to"),
    ],
)
def test_unusable_options_are_one_line(medstt: Medstt, fresh_home: Path, arguments: list[str], reason: str) -> None:
    result = medstt("transcribe", SPEECH, *arguments)
    assert result.code == 1
    assert result.err.startswith("medstt: ")
    assert result.err.count("\n") == 1
    assert reason in result.err


def test_damaged_model_is_named(medstt: Medstt, home: Path, tiny_model: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny_model, tmp_path / "damaged"))
    weights = bytearray((folder / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (folder / "model.safetensors").write_bytes(weights)
    result = medstt("transcribe", SPEECH, "--model", folder)
    assert result.code == 1
    assert "model.safetensors is not the recorded file" in result.err
    assert result.err.count("\n") == 1


def test_full_disk_is_one_line_and_leaves_nothing_half_written(home: Path, tiny_model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    for name in ("a.flac", "b.flac"):
        shutil.copy(SPEECH, tmp_path / name)
    program = (
        f"{sys.executable} -m medstt transcribe {tmp_path} --model {tiny_model} --jobs 1 --format json --out {out}"
    )
    # 8 kB hold the ledger and one result.
    script = (
        f"mount -t tmpfs -o size=8k tmpfs {out} && ({program}; echo code $?; find {out} -name '*.*son'; cat {out}/*)"
    )
    result = subprocess.run(["unshare", "-rm", "sh", "-c", script], capture_output=True, text=True)
    if "code" not in result.stdout:
        pytest.skip(f"cannot mount a small disk here: {result.stderr.strip()}")
    code, found, content = result.stdout.split("\n", 2)
    assert (code, found) == ("code 1", str(out / "a.json"))
    assert json.loads(content)["source"] == str(tmp_path / "a.flac")
    assert "b.json: the disk is full. Free some space and run again" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_second_run_on_a_folder_in_use_is_refused(
    medstt: Medstt, home: Path, tiny_model: Path, tmp_path: Path
) -> None:
    from medstt.batch.folder import OutputFolder

    with OutputFolder(tmp_path / "out"):
        result = medstt("transcribe", SPEECH, "--model", tiny_model, "--out", tmp_path / "out")
    assert result.code == 1
    assert "is being written to by another run" in result.err


def start(arguments: list[str | Path]) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "medstt", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def wait_for(count: int, out: Path, child: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 500
    path, pause = out / ".medstt" / "ledger.jsonl", threading.Event()
    while child.poll() is None and time.monotonic() < deadline:
        if path.exists() and path.read_bytes().count(b"\n") >= count:
            return
        pause.wait(0.02)


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """200 short recordings, all different."""
    samples = read_audio(SPEECH).samples
    (tmp_path / "in").mkdir()
    for number in range(200):
        start_at = 40 * number
        write_wav(tmp_path / "in" / f"{number:03d}.wav", samples[start_at : start_at + 16_000])
    return tmp_path / "in"


@pytest.mark.parametrize("jobs", ["1", pytest.param("2", marks=pytest.mark.slow)])
def test_kill_in_the_middle_of_200_files_and_run_again(
    medstt: Medstt, home: Path, tiny_model: Path, tmp_path: Path, archive: Path, jobs: str
) -> None:
    out = tmp_path / "out"
    arguments = ["transcribe", archive, "--out", out, "--model", tiny_model, "--format", "txt,json", "--jobs", jobs]
    child = start(arguments)
    wait_for(80, out, child)
    child.send_signal(signal.SIGKILL)
    child.communicate()
    for path in out.glob("*.json"):
        assert set(json.loads(path.read_text())) >= KEYS
    entries = len(ledger(out))
    assert 80 <= entries < 200
    result = medstt(*arguments)
    assert result.code == 0
    assert f"{200 - entries} done, {entries} skipped" in result.err
    keys = [entry["key"] for entry in ledger(out)]
    assert len(keys) == len(set(keys)) == 200
    assert len(list(out.glob("*.txt"))) == len(list(out.glob("*.json"))) == 200
    for path in out.glob("*.json"):
        assert json.loads(path.read_text())["text"] + "\n" == path.with_suffix(".txt").read_text()
    assert not list((out / ".medstt" / "partial").iterdir())


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_ctrl_c_leaves_whole_results_and_says_how_to_go_on(
    home: Path, tiny_model: Path, tmp_path: Path, archive: Path, jobs: str
) -> None:
    out = tmp_path / "out"
    child = start(["transcribe", archive, "--out", out, "--model", tiny_model, "--jobs", jobs])
    wait_for(5, out, child)
    child.send_signal(signal.SIGINT)
    _, err = child.communicate(timeout=60)
    assert child.returncode == 130
    assert b"Run the same command again to continue" in err
    assert b"Traceback" not in err
    assert len(ledger(out)) == len(list(out.glob("*.txt"))) >= 5
    assert not list((out / ".medstt" / "partial").iterdir())


# VmHWM, not ru_maxrss: that one begins with the size of the process that started this one.
PEAK = """
import sys
from medstt.cli.app import main
sys.argv = ["medstt", "transcribe", *sys.argv[1:]]
try:
    main()
finally:
    status = dict(line.split(":", 1) for line in open("/proc/self/status"))
    print("peak", int(status["VmHWM"].split()[0]) // 1024, file=sys.stderr)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="/proc is on Linux only")
def test_memory_does_not_grow_with_the_recording(home: Path, tmp_path: Path) -> None:
    samples = np.concatenate([read_audio(SPEECH).samples, silence(1)])
    peaks_mb = []
    for minutes in (4, 40):
        path = write_wav(tmp_path / f"{minutes}.wav", np.tile(samples, minutes * 60 * 16_000 // len(samples)))
        command = [sys.executable, "-c", PEAK, str(path), "--model", "medstt-mini", "--language", "en", "--jobs", "1"]
        result = subprocess.run([*command, "--out", str(tmp_path / "out")], capture_output=True, text=True, check=True)
        peaks_mb.append(int(result.stderr.split("peak ")[1]))
        path.unlink()
    assert peaks_mb[1] < 500
    assert peaks_mb[1] - peaks_mb[0] < 25


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.skipif(sys.platform != "linux", reason="/proc is on Linux only")
def test_twelve_hours_in_flat_memory(home: Path, tiny_model: Path, tmp_path: Path) -> None:
    """A recording left running over night, speech at either end; its silence takes no room on the disk."""
    speech = (read_audio(SPEECH).samples * 32767).astype("<i2").tobytes()
    seconds, path = 12 * 3600, tmp_path / "night.wav"
    with path.open("wb") as out:
        out.write(wav_header(seconds * 32_000) + speech)
        out.truncate(44 + seconds * 32_000)
        out.seek(44 + (seconds - 10) * 32_000)
        out.write(speech)
    command = [sys.executable, "-c", PEAK, str(path), "--model", str(tiny_model), "--jobs", "1", "--format", "json"]
    result = subprocess.run([*command, "--out", str(tmp_path / "out")], capture_output=True, text=True, check=True)
    row = json.loads((tmp_path / "out" / "night.json").read_text())
    assert row["duration_ms"] == seconds * 1000
    assert row["words"][0]["start_ms"] < 7_000
    assert row["words"][-1]["end_ms"] > (seconds - 10) * 1000
    assert int(result.stderr.split("peak ")[1]) < 400
