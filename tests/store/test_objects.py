from __future__ import annotations

import io
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medstt.errors import DataError, NotFoundError, ResourceError
from medstt.store.crypt import create_ring, open_ring, read_ring
from medstt.store.objects import CHUNK_BYTES, HEADER_BYTES, SEALED_BYTES, SLOT_BYTES, ObjectReader, ObjectStore

SIZES = [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES, 3 * CHUNK_BYTES + 7]


@pytest.fixture
def objects(tmp_path: Path) -> ObjectStore:
    return ObjectStore(tmp_path, create_ring())


@pytest.mark.parametrize("size", SIZES)
def test_what_goes_in_comes_out_and_is_not_readable_on_disk(objects: ObjectStore, size: int) -> None:
    data = os.urandom(size)
    name = objects.put(data)
    assert objects.get(name) == data
    assert objects.open(name).size_bytes == size
    if size > 32:
        assert data[:32] not in objects.path(name).read_bytes()
    assert objects.path(name).stat().st_mode & 0o077 == 0


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 200_000), st.integers(0, 70_000)), min_size=1, max_size=5))
def test_reading_at_any_place_equals_a_plain_file(
    tmp_path_factory: pytest.TempPathFactory, places: list[tuple[int, int]]
) -> None:
    objects = ObjectStore(tmp_path_factory.mktemp("o"), create_ring())
    data = os.urandom(150_000)
    plain = io.BytesIO(data)
    with objects.open(objects.put(data)) as reader:
        for offset, count in places:
            assert reader.seek(offset) == plain.seek(offset)
            assert reader.read(count) == plain.read(count)
        assert reader.seek(-10, io.SEEK_END) == plain.seek(-10, io.SEEK_END)
        assert reader.readall() == plain.read()


def test_a_changed_cut_or_reordered_object_is_refused(objects: ObjectStore) -> None:
    data = os.urandom(3 * CHUNK_BYTES + 5)
    name = objects.put(data)
    path = objects.path(name)
    whole = path.read_bytes()
    first, second = HEADER_BYTES, HEADER_BYTES + SEALED_BYTES
    swapped = (
        whole[:first] + whole[second : second + SEALED_BYTES] + whole[first:second] + whole[second + SEALED_BYTES :]
    )
    flipped = bytearray(whole)
    flipped[HEADER_BYTES + 99] ^= 1
    cut_at_chunk = whole[: HEADER_BYTES + 2 * SEALED_BYTES]
    for bad in (bytes(flipped), whole[:-1], cut_at_chunk, swapped, whole[:HEADER_BYTES], whole[:20], b""):
        path.write_bytes(bad)
        with pytest.raises(DataError):
            objects.get(name)


def test_an_object_cannot_be_passed_off_as_another(objects: ObjectStore) -> None:
    one, two = objects.put(b"one"), objects.put(b"two")
    objects.path(two).write_bytes(objects.path(one).read_bytes())
    with pytest.raises(DataError, match="does not unwrap"):
        objects.get(two)


def test_a_rotation_that_stopped_halfway_leaves_every_object_readable(objects: ObjectStore, tmp_path: Path) -> None:
    name = objects.put(b"sound")
    fresh = ObjectStore(tmp_path, objects.ring.rotated())
    before = objects.path(name).read_bytes()
    assert fresh.rewrap(name)
    after = objects.path(name).read_bytes()
    half = bytearray(before)
    half[8 + SLOT_BYTES : 8 + 2 * SLOT_BYTES] = after[8 + SLOT_BYTES : 8 + SLOT_BYTES + 30] + bytes(SLOT_BYTES - 30)
    for content in (before, bytes(half), after):
        objects.path(name).write_bytes(content)
        assert fresh.get(name) == b"sound"
    assert not fresh.rewrap(name)


@pytest.mark.parametrize("name", ["../../etc/passwd", "", "a" * 31, "A" * 32, "a" * 32 + "\n"])
def test_only_names_of_ours_are_paths(objects: ObjectStore, name: str) -> None:
    with pytest.raises(NotFoundError):
        objects.path(name)


def test_a_deleted_object_is_gone(objects: ObjectStore) -> None:
    name = objects.put(b"sound")
    objects.delete(name)
    objects.delete(name)
    with pytest.raises(NotFoundError):
        objects.get(name)


def test_a_spool_object_is_read_with_the_key_that_is_nowhere_stored(objects: ObjectStore) -> None:
    path, key, writer = objects.spool()
    writer.write(b"passing through")
    writer.commit()
    with ObjectReader(path, key) as reader:
        assert reader.read() == b"passing through"
    assert key not in path.read_bytes()


@pytest.mark.parametrize("size", [10, 2 * CHUNK_BYTES])
def test_a_full_disk_is_a_resource_error_and_the_draft_goes(objects: ObjectStore, size: int) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("no /dev/full here")
    _, writer = objects.create()
    writer._file.close()
    writer._file = full.open("wb")  # type: ignore[assignment]

    def store() -> None:
        writer.write(bytes(size))
        writer.commit()

    with pytest.raises(ResourceError, match="disk is full"):
        store()
    writer.abort()
    writer.abort()
    assert list(objects.names()) == []


def test_the_key_file_is_made_once_and_refused_when_others_can_read_it(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "settings.json"
    ring = open_ring(path)
    assert open_ring(path) == ring
    assert path.stat().st_mode & 0o077 == 0
    path.chmod(0o644)
    with pytest.raises(DataError, match="can be read by others"):
        read_ring(path)
    path.chmod(0o600)
    path.write_text("{}")
    with pytest.raises(DataError, match="malformed"):
        read_ring(path)
