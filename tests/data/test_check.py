"""Every reason for quarantine, from real recordings; nothing is lost, nothing harmless is held."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sound import RATE_HZ, syllables, write

from medstt.data import CheckOptions, Rules, check_manifest, read_rules
from medstt.data.report import build_report, histogram, render_html, render_markdown
from medstt.errors import DataError
from medstt.manifest import write_manifest
from medstt.values import Audio, Utterance

GOOD = "the heart is normal in size and the lungs are clear"
TEXTS = {
    "fine": GOOD,
    "fine2": "there is no pleural effusion on the left side",
    "fast": "no fever no cough no nausea no pain " * 5,
    "slow": "no change at all",
    "empty": "  ",
    "german": "der Befund ist nicht auffällig und das Herz ist für die Größe normal",
    "greek": "the ασθενής has no fever today",
    "named": "we saw mister smithson on the ward today for a check",
    "long": "word " * 200,
}


def make(folder: Path) -> list[Utterance]:
    rng = np.random.default_rng(1)
    sounds = {name: syllables(20 if name == "slow" else 4, seed) for seed, name in enumerate(TEXTS)}
    sounds["slow"] = syllables(25, 5)
    sounds["noisy"] = syllables(4, 20) * 0.2 + 0.15 * rng.standard_normal(4 * RATE_HZ)
    sounds["clipped"] = np.clip(syllables(4, 21) * 20, -1, 1)
    sounds["silent"] = np.zeros(4 * RATE_HZ)
    sounds["short"] = syllables(0.2, 22)
    sounds["lengthy"] = syllables(31, 23)
    for name, samples in sounds.items():
        write(folder / f"{name}.wav", samples)
    (folder / "damaged.wav").write_bytes(b"RIFF" + bytes(50))

    def row(name: str, **values: object) -> Utterance:
        text = TEXTS.get(name, f"{GOOD} {name}")
        base = Utterance(name, f"{name}.wav", text, "en", speaker=name, tags={"consent": "yes"})
        return replace(base, **values)  # type: ignore[arg-type]

    return [
        *(row(name) for name in sounds),
        row("damaged"),
        row("missing"),
        row("again", audio="fine.wav"),
        row("late", audio="fine2.wav", start_ms=9_000),
        row("refused", audio="fine2.wav", start_ms=100, tags={}),
        row("french", audio="fine2.wav", start_ms=200, lang="fr"),
        row("noise", audio="silent.wav", start_ms=100, text="", tags={"consent": "yes", "source": "noise"}),
        row("exam", audio="fine2.wav", start_ms=300, split="test", text="liver is of normal size"),
        row("crib", audio="fine2.wav", start_ms=400, text="Liver is of  normal size"),
    ]


EXPECTED = {
    "fine": set(),
    "fine2": set(),
    "noise": set(),
    "exam": set(),
    "fast": {"too_fast"},
    "slow": {"too_slow"},
    "empty": {"empty_text"},
    "german": {"foreign_text"},
    "greek": {"foreign_text"},
    "named": {"identifier"},
    "long": {"long_text", "too_fast"},
    "noisy": {"noisy"},
    "clipped": {"clipped"},
    "silent": {"silent"},
    "short": {"too_short", "too_fast"},
    "lengthy": {"too_long"},
    "damaged": {"undecodable"},
    "missing": {"undecodable"},
    "again": {"duplicate_audio"},
    "late": {"bad_times"},
    "refused": {"no_consent"},
    "french": {"language"},
    "crib": {"leaked_text"},
}


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("check")
    write_manifest(folder / "all.jsonl", make(folder))
    return folder / "all.jsonl"


def test_every_reason_is_found_and_no_other(manifest: Path) -> None:
    result = check_manifest(manifest, CheckOptions())
    found = {row.utterance.id: {issue.code for issue in row.issues} for row in result.rows}
    assert found == EXPECTED
    assert len(result.kept) + len(result.quarantined) == len(result.rows)


def test_identifiers_are_kept_when_asked_for(manifest: Path) -> None:
    result = check_manifest(manifest, CheckOptions(keep_identifiers=True))
    assert "named" in {row.utterance.id for row in result.kept}


def test_the_models_disagreement_is_held(manifest: Path) -> None:
    heard: list[int] = []

    def judge(audio: Audio, utterance: Utterance) -> float:
        heard.append(audio.duration_ms)
        return 0.9 if utterance.id == "fine2" else 0.1

    result = check_manifest(manifest, CheckOptions(judge=judge))
    assert [row.utterance.id for row in result.quarantined if row.issues[0].code == "disagrees"] == ["fine2"]
    assert heard == [4000, 4000, 3700]  # the three rows otherwise kept; "exam" starts at 300 ms


def test_a_text_said_too_often_is_held(tmp_path: Path) -> None:
    rows = []
    for number in range(4):
        write(tmp_path / f"{number}.wav", syllables(4, number))
        rows.append(Utterance(str(number), f"{number}.wav", GOOD, "en", tags={"consent": "yes"}))
    write_manifest(tmp_path / "m.jsonl", rows)
    result = check_manifest(tmp_path / "m.jsonl", CheckOptions(Rules(max_same_text=3)))
    assert result.counts() == {"duplicate_text": 1}


def test_the_report_holds_no_text_unless_asked(manifest: Path) -> None:
    result = check_manifest(manifest, CheckOptions())
    report = build_report(result)
    for rendered in (str(report), render_markdown(report), render_html(report)):
        assert "smithson" not in rendered
        assert ".wav" not in rendered
        assert "identifier" in rendered
    told = build_report(result, include_text=True)
    assert "smithson" in render_html(told)
    assert "CONFIDENTIAL" in render_markdown(told)
    assert report["kept"] + report["quarantined"] == report["utterances"] == len(EXPECTED)


def test_histogram_counts_every_value() -> None:
    assert histogram([0.5, 1, 3, 9], (1, 2, 4)) == [("< 1", 1), ("1 to 2", 1), ("2 to 4", 1), (">= 4", 1)]
    assert histogram([1, 1], (1, 2)) == [("1 to 2", 2), (">= 2", 0)]


def test_rules_name_a_wrong_key(tmp_path: Path) -> None:
    path = tmp_path / "rules.toml"
    path.write_text("max_snr = 3\n")
    with pytest.raises(DataError, match=r"max_snr.*min_snr_db"):
        read_rules(path)
    path.write_text("min_duration_ms = 40000\n")
    with pytest.raises(DataError, match="min_duration_ms must be below"):
        read_rules(path)
    assert read_rules(None, {"max_cer": 0.2}).max_cer == 0.2
