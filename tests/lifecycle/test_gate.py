from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from medstt.errors import DataError
from medstt.evaluate.compare import compare_runs
from medstt.evaluate.external import TranscriptFolder
from medstt.evaluate.item import items_of
from medstt.evaluate.run import create_run, transcribe_run
from medstt.evaluate.score import score_items
from medstt.evaluate.summary import read_summary, summarise, write_summary
from medstt.lifecycle.gate import Decision, Evidence, Gate, Rule, decide, read_gate
from medstt.metrics.critical import KINDS
from medstt.values import Utterance

GATE = Gate(
    version=1, worse_share=10, p95_ratio=1e6,  # a busy machine decides nothing here
    rules=[
        Rule(rate="critical_negation", benchmarks=["critical"], margin=1, ceiling=5),
        Rule(rate="wer_content", benchmarks=["critical"], margin=0.5, ceiling=25, events=1000),
    ],
)  # fmt: skip
SENTENCES = (
    "there is no evidence of fracture in the left hip",
    "the patient has no fever and no cough",
    "the heart is enlarged without effusion",
    "she was given five milligrams twice daily",
)


def references(count: int) -> list[Utterance]:
    return [
        Utterance(f"u{n:04d}", f"u{n:04d}.wav", SENTENCES[n % 4], "en", speaker=f"v{n % 30}", tags={"tier": "trained"})
        for n in range(count)
    ]


def hear(text: str, rng: random.Random, word_errors: float = 0.02) -> str:
    return " ".join(word for word in text.split() if word in ("no", "without") or rng.random() >= word_errors)


def evaluate(folder: Path, texts: dict[str, str], utterances: list[Utterance]) -> Path:
    folder.mkdir()
    lines = folder / "texts.jsonl"
    lines.write_text("".join(json.dumps({"id": key, "text": text}) + "\n" for key, text in texts.items()))
    system = TranscriptFolder.open(lines)
    run = create_run(folder / "run", system, items_of(utterances, folder), {})
    transcribe_run(run, system)
    scored = score_items(run.items, run.answers())
    write_summary(run, summarise(run, scored, draws=200), scored)
    return run.folder


def judge(challenger: Path, champion: Path | None) -> Decision:
    comparison = compare_runs(champion, challenger, draws=200) if champion else None
    evidence = Evidence(read_summary(challenger), read_summary(champion) if champion else None, comparison)
    return decide(GATE, {"critical": evidence})


@pytest.fixture(scope="module")
def utterances() -> list[Utterance]:
    return references(400)


@pytest.fixture(scope="module")
def champion(tmp_path_factory: pytest.TempPathFactory, utterances: list[Utterance]) -> Path:
    rng = random.Random(1)
    texts = {u.id: hear(u.text, rng) for u in utterances}
    return evaluate(tmp_path_factory.mktemp("gate") / "champion", texts, utterances)


def drop_every_second_no(texts: dict[str, str]) -> dict[str, str]:
    dropped, out = 0, {}
    for key, text in texts.items():
        words = []
        for word in text.split():
            if word == "no":
                dropped += 1
                if dropped % 2:
                    continue
            words.append(word)
        out[key] = " ".join(words)
    return out


def test_a_model_that_drops_every_second_no_is_refused(
    tmp_path: Path, champion: Path, utterances: list[Utterance]
) -> None:
    bad = evaluate(tmp_path / "bad", drop_every_second_no({u.id: u.text for u in utterances}), utterances)
    decision = judge(bad, champion)
    assert not decision.passed
    assert any("Negation" in reason and "cannot be ruled out" in reason for reason in decision.reasons)
    assert not judge(bad, None).passed


def test_a_good_model_passes_with_and_without_a_champion(
    tmp_path: Path, champion: Path, utterances: list[Utterance]
) -> None:
    rng = random.Random(2)
    good = evaluate(tmp_path / "good", {u.id: hear(u.text, rng, 0.01) for u in utterances}, utterances)
    decision = judge(good, champion)
    assert decision.passed, decision.reasons
    assert judge(good, None).passed
    shown = ("within", "utterances worse", "latency")
    assert all(any(word in reason for word in shown) for reason in decision.reasons)


def test_latencies_of_one_request_and_of_several_at_a_time_are_not_compared(champion: Path) -> None:
    document = read_summary(champion)
    busy = Evidence({**document, "usage": {"jobs": 2}}, document, compare_runs(champion, champion, draws=20))
    reasons = decide(GATE, {"critical": busy}).reasons
    assert any("latency was measured with 1 and 2 requests at a time" in reason for reason in reasons)


def test_too_little_evidence_blocks(tmp_path: Path) -> None:
    few = references(40)
    perfect = evaluate(tmp_path / "few", {u.id: u.text for u in few}, few)
    decision = judge(perfect, None)
    assert not decision.passed
    assert any("not enough evidence" in reason for reason in decision.reasons)


def test_failed_requests_missing_utterances_and_missing_benchmarks_block(
    tmp_path: Path, utterances: list[Utterance]
) -> None:
    half = evaluate(tmp_path / "half", {u.id: u.text for u in utterances[:350]}, utterances)
    assert any("50 of 400 requests failed" in reason for reason in judge(half, None).reasons)
    document = {**read_summary(half), "asked": 300, "failed": 0}
    assert any("300 of 400" in reason for reason in decide(GATE, {"critical": Evidence(document)}).reasons)
    assert decide(GATE, {}).reasons == ("critical: not run", "critical: not run")


def test_the_shipped_gate_is_read_and_a_wrong_one_named(tmp_path: Path) -> None:
    shipped = Path(__file__).parents[2] / "training" / "gate.toml"
    gate, identity = read_gate(shipped)
    folder = shipped.parent / "benchmarks"
    assert all((folder / f"{name}.toml").is_file() for name in gate.benchmarks)
    assert identity.startswith("2:")
    assert not any(gate.is_optional(name) for name in gate.benchmarks)
    given = {rule.rate for rule in gate.rules}
    assert given >= {f"critical_{kind}" for kind in KINDS} | {"wer_content", "drug_miss", "twin_swap", "invented"}
    wrong = tmp_path / "gate.toml"
    wrong.write_text(shipped.read_text().replace("critical_side", "critical_sides"))
    with pytest.raises(DataError, match=r"gate\.toml: rules.1.rate: .*critical_sides"):
        read_gate(wrong)
