from __future__ import annotations

import json
from pathlib import Path

import pytest

from medstt.errors import DataError
from medstt.evaluate.compare import compare_runs
from medstt.evaluate.external import TranscriptFolder
from medstt.evaluate.item import items_of
from medstt.evaluate.leaderboard import find_runs, read_documents, record_run, render_leaderboard
from medstt.evaluate.report import ReportOptions, render_report
from medstt.evaluate.run import create_run, open_run, transcribe_run
from medstt.evaluate.score import score_items
from medstt.evaluate.summary import ROWS, SCORES, read_summary, summarise, write_summary
from medstt.metrics.__main__ import put_metrics
from medstt.metrics.rate import FIGURES, RATES, Figure, Rate
from medstt.values import Utterance

BENCHMARK = {"name": "mine", "version": 1, "title": "T", "metrics": ["wer_content", "critical_negation"], "slices": []}


def evaluate(folder: Path, texts: dict[str, str], name: str, **spec: object) -> Path:
    folder.mkdir(parents=True)
    lines = folder / f"{name}.jsonl"
    answers = [
        {"id": key, "text": text, "words": [{"text": word, "confidence": 0.9} for word in text.split()]}
        for key, text in texts.items()
    ]
    lines.write_text("".join(json.dumps(answer) + "\n" for answer in answers))
    utterances = [
        Utterance("u0", "u0.wav", "no fever </script><script>alert(1)</script>", "en", tags={"tier": "trained"}),
        Utterance("u1", "u1.wav", "left lung clear", "en", tags={"tier": "trained"}),
        Utterance("h0", "h0.wav", "secret words", "en", tags={"tier": "read"}),
    ]
    system = TranscriptFolder.open(lines)
    run = create_run(folder / "run", system, items_of(utterances, folder), spec)
    transcribe_run(run, system)
    scored = score_items(run.items, run.answers())
    write_summary(run, summarise(run, scored, draws=20), scored)
    return run.folder


@pytest.fixture
def first(tmp_path: Path) -> Path:
    texts = {"u0": "no fever script script alert 1 script", "u1": "left lung clear", "h0": "secret words"}
    return evaluate(tmp_path / "first", texts, "first", benchmark=BENCHMARK)


@pytest.fixture
def second(tmp_path: Path) -> Path:
    texts = {"u0": "fever", "u1": "right lung clear", "h0": "secret words"}
    return evaluate(tmp_path / "second", texts, "second", benchmark=BENCHMARK)


def page(folder: Path, options: ReportOptions) -> str:
    run = open_run(folder)
    return render_report(read_summary(folder), score_items(run.items, run.answers()), options)


def test_a_report_shows_no_text_unless_asked(first: Path) -> None:
    hidden = page(first, ReportOptions())
    assert "secret" not in hidden
    assert "u0" not in hidden
    assert "Confidential" not in hidden
    shown = page(first, ReportOptions(include_text=True))
    assert "secret words" in shown
    assert "Confidential" in shown
    assert "Confidential" not in page(first, ReportOptions(own=True))


def test_a_report_stands_alone_and_texts_stay_data(second: Path) -> None:
    shown = page(second, ReportOptions(include_text=True))
    assert "<script>alert" not in shown
    assert shown.count("</script>") == 2
    assert "http://" not in shown.replace("http://www.w3.org", "")
    table = shown[shown.index("Synthetic speech") :]
    assert table.index("Errors that can harm") < table.index(">WER<")


def test_human_and_synthesised_speech_are_never_pooled(first: Path) -> None:
    pools = read_summary(first)["pools"]
    assert {name: part["utterances"] for name, part in pools.items()} == {"human": 1, "synthetic": 2}


def test_a_comparison_says_what_became_worse(first: Path, second: Path) -> None:
    comparison = compare_runs(first, second, draws=50)
    assert comparison.verdicts == {"better": 0, "same": 1, "worse": 2}
    side = comparison.pools["synthetic"]["critical_side"]
    assert (side.first.errors, side.second.errors, side.value) == (0, 1, 1.0)
    assert {change.key for change in comparison.worst} == {"u0", "u1"}
    back = compare_runs(second, first, draws=50).pools["synthetic"]["wer_content"]
    there = comparison.pools["synthetic"]["wer_content"]
    assert back.value == pytest.approx(-(there.value or 0))
    same = compare_runs(first, first, draws=50).pools["synthetic"]["wer_content"]
    assert (same.value, same.low, same.high, same.p) == (0, 0, 0, 1)


def test_runs_that_cannot_be_compared_say_how_to_mend_it(first: Path, second: Path, tmp_path: Path) -> None:
    scores = json.loads((second / SCORES).read_text())
    (second / SCORES).write_text(json.dumps({**scores, "normaliser": ["content-0"]}))
    with pytest.raises(DataError, match=r"different normaliser .*--rescore"):
        compare_runs(first, second)
    (second / ROWS).unlink()
    (second / SCORES).write_text(json.dumps(scores))
    with pytest.raises(DataError, match="has no scores"):
        compare_runs(first, second)


def test_a_leaderboard_is_generated_in_order(first: Path, second: Path, tmp_path: Path) -> None:
    assert find_runs([tmp_path]) == [first, second]
    documents = read_documents([tmp_path])
    board = render_leaderboard(documents)
    assert board == render_leaderboard(list(reversed(documents)))
    table = board[board.index("synthetic speech") :]
    assert table.index("first.jsonl") < table.index("second.jsonl")
    assert "not enough evidence (1/1)" in table
    with pytest.raises(DataError, match="no scored run"):
        render_leaderboard([])


def test_records_of_runs_give_the_same_leaderboard_without_a_text(first: Path, second: Path, tmp_path: Path) -> None:
    records = [record_run(run, tmp_path / "records") for run in (first, second)]
    assert render_leaderboard(read_documents([tmp_path / "records"])) == render_leaderboard(
        read_documents([first, second])
    )
    assert not any(word in record.read_text() for record in records for word in ("secret", "fever", str(tmp_path)))
    assert record_run(first, tmp_path / "records") == records[0]
    records[0].write_text("{}")
    with pytest.raises(DataError, match="not the record of a run"):
        read_documents([tmp_path / "records"])


def test_a_sample_is_called_one_and_does_not_take_the_place_of_the_whole(first: Path, tmp_path: Path) -> None:
    texts = {"u0": "no fever", "u1": "left lung clear", "h0": "secret words"}
    part = evaluate(tmp_path / "part", texts, "first", benchmark=BENCHMARK, whole=40, sample=3)
    records = {record_run(run, tmp_path / "records").name for run in (first, part)}
    assert len(records) == 2
    board = render_leaderboard(read_documents([tmp_path / "records"]))
    assert board.count("(sample of 3 among 40)") == 2  # synthetic and human


def test_the_published_leaderboard_is_what_the_records_say() -> None:
    """After recording runs: `medstt leaderboard training/results/runs --out training/results/leaderboard.md`."""
    results = Path(__file__).parents[2] / "training" / "results"
    board = render_leaderboard(read_documents([results / "runs"]))
    assert (results / "leaderboard.md").read_text(encoding="utf-8") == board


def test_the_readme_explains_every_metric_as_the_code_does() -> None:
    """After a change: `python -m medstt.metrics training/README.md`."""
    page = (Path(__file__).parents[2] / "training" / "README.md").read_text(encoding="utf-8")
    assert page == put_metrics(page)
    explained: list[Rate | Figure] = [*RATES, *FIGURES]
    assert all(metric.formula and metric.source for metric in explained)
    assert [page.count(f"(`{metric.key}`)") for metric in explained] == [1] * len(explained)


def test_every_figure_that_a_run_reports_is_explained(first: Path) -> None:
    document = read_summary(first)
    found = {"verdicts", *document["latency"], *document["confidence"], *document["usage"]}
    for pool in document["pools"].values():
        found |= pool["rates"].keys() | (pool.keys() - {"utterances", "speakers", "sums", "rates", "tiers", "slices"})
    assert {"errors_found", "peak_memory_mb", "wer_content", "calibration_error", "terms"} <= found
    explained = {rate.key for rate in RATES} | {figure.key for figure in FIGURES}
    assert (found | {"p50_ms", "p95_ms"}) - {"words", "jobs"} <= explained


def test_the_report_works_in_a_browser(second: Path, tmp_path: Path) -> None:
    playwright = pytest.importorskip("playwright.sync_api")
    chromium = Path("/usr/bin/chromium")
    if not chromium.exists():
        pytest.skip("chromium is not installed")
    file = tmp_path / "report.html"
    file.write_text(page(second, ReportOptions(include_text=True)))
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=str(chromium), args=["--no-sandbox"])
        tab = browser.new_page()
        tab.set_default_timeout(120_000)
        errors: list[str] = []
        tab.on("pageerror", lambda error: errors.append(str(error)))
        tab.goto(f"file://{file}")
        assert "3 of 3" in tab.locator("#count").inner_text()
        tab.select_option("#kind", "c:side")
        assert tab.locator("#rows .row").count() == 1
        assert tab.locator("#rows del").inner_text() == "left"
        assert errors == []
        browser.close()
