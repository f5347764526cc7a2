"""What the service listens for: a team's lists, apart from another team's, and the words of one request."""

from __future__ import annotations

from pathlib import Path

from medstt.benchmark.model import RandomShape, write_random_model
from medstt.engine import load_engine
from medstt.engine.bias import NameLists, Names
from medstt.engine.fake import FakeEngine
from medstt.store.vocabulary import Place, Vocabularies
from medstt.work.listen import TeamNames
from medstt.work.process import Style
from medstt.work.recognise import NO_EFFECT, LocalRecogniser
from medstt.work.team import TeamFormatters


def test_each_team_has_its_own_names_and_a_requests_words_are_kept_nowhere(lists: Vocabularies, tmp_path: Path) -> None:
    engine = load_engine(write_random_model(tmp_path / "m", RandomShape(16, 1, 1, 1, 80, 600, 3)), "tiny")
    model = LocalRecogniser(engine, NameLists(tmp_path / "names"))
    find = TeamNames(TeamFormatters(lists, tmp_path / "cache"))

    def listen(tenant: str, words: tuple[str, ...] = ()) -> Names:
        return model.listen(find(engine.capabilities, Style(tenant, "", "", "en"), words))

    word = {"term": "Marvexol", "kind": "drug", "language": "en", "spoken": [], "variants": []}
    lists.put("a", Place("site", "", "words"), [word], 0, "x")
    ours, theirs = (listen(tenant) for tenant in ("a", "b"))
    assert ours.phrases == theirs.phrases + 1
    assert ours.bias is not None
    assert theirs.bias is None  # a model never tuned favours nothing but a team's own lists
    assert listen("a") is ours
    files = sorted((tmp_path / "names").iterdir())
    asked = listen("b", ("Zentrubin",))
    assert asked.bias is not None
    assert asked.bias.digest != ours.bias.digest
    assert sorted((tmp_path / "names").iterdir()) == files
    assert not any(b"Zentrubin" in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())


def test_an_engine_that_cannot_listen_says_so_where_words_were_given(lists: Vocabularies, tmp_path: Path) -> None:
    model, find = LocalRecogniser(FakeEngine(), NameLists()), TeamNames(TeamFormatters(lists, tmp_path / "cache"))
    style = Style("a", "", "")
    assert model.listen(find(model.capabilities, style)).warnings == ()
    assert model.listen(find(model.capabilities, style, ("Zentrubin",))).warnings == (NO_EFFECT,)
