"""The checkpoint's way between a model and bytes: what is written, what is believed, what not."""

import hashlib
import json
import sys
import time
from dataclasses import FrozenInstanceError, fields, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from resumable.core.checkpoint import (
    FIRST_BYTES,
    MAX_CHECKPOINT_SIZE,
    Checkpoint,
    CheckpointFromFutureError,
    CheckpointUnreadableError,
    Destination,
    PartRecord,
    SourceIdentity,
    encode,
    headers_digest,
)
from resumable.core.checkpoint_reading import (
    MAX_PATH_LENGTH,
    CheckpointSchema,
    DestinationSchema,
    FileSchema,
    PartSchema,
    decode,
)
from resumable.core.plan import MAX_OBJECT_SIZE, MAX_PART_SIZE, MAX_PARTS, MIN_PART_SIZE, Plan
from tests.core import make_checkpoints
from tests.core.make_checkpoints import FOLDER, WHOLE, canonical, checkpoint, part, sealed
from tests.core.strategies import checkpoints, identities, unicode_text

OUTCOMES: dict[str, dict[str, str]] = json.loads((FOLDER / "outcomes.json").read_text())
U64 = (1 << 64) - 1

EXAMPLE = decode(WHOLE)


@given(checkpoints)
def test_what_was_written_is_read_again(written: Checkpoint) -> None:
    assert decode(encode(written)) == written


@given(checkpoints)
def test_checksum_can_be_made_again_by_its_description(written: Checkpoint) -> None:
    content = json.loads(encode(written))
    checksum = content.pop("checksum")
    compact = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    assert checksum == hashlib.sha256(compact.encode("ascii")).hexdigest()


def test_file_is_one_line_of_ascii() -> None:
    data = encode(EXAMPLE)
    assert data.isascii()
    assert data.count(b"\n") == 1
    assert data.endswith(b'"}\n')


def test_bytes_are_those_of_the_description() -> None:
    assert encode(EXAMPLE) == WHOLE


@given(checkpoints)
def test_first_bytes_tell_a_checkpoint_from_another_file(written: Checkpoint) -> None:
    assert encode(written).startswith(FIRST_BYTES)


@pytest.mark.parametrize("name", OUTCOMES)
def test_stored_file_is_read_as_declared(name: str) -> None:
    assert outcome_of((FOLDER / name).read_bytes()) == OUTCOMES[name]["outcome"]


@pytest.mark.parametrize("name", [name for name in OUTCOMES if name.startswith("good/")])
def test_good_file_keeps_its_meaning_when_written_again(name: str) -> None:
    data = (FOLDER / name).read_bytes()
    assert json.loads(encode(decode(data))) == json.loads(data)


def test_stored_files_are_the_ones_the_script_makes(tmp_path: Path) -> None:
    make_checkpoints.make(tmp_path)
    assert tree(tmp_path) == tree(FOLDER)


def test_stored_files_are_many_enough() -> None:
    kinds = [name.partition("/")[0] for name in OUTCOMES]
    assert all(kinds.count(kind) >= 5 for kind in ("good", "old", "torn"))
    assert kinds.count("hostile") >= 40


def test_truncation_at_every_byte_is_a_typed_error() -> None:
    outcomes = {outcome_of(WHOLE[:length]) for length in range(len(WHOLE) - 1)}
    assert outcomes == {"unreadable"}
    assert decode(WHOLE[:-1]) == EXAMPLE  # all but the line's end is there


def test_flip_of_any_bit_is_noticed() -> None:
    for position in range(len(WHOLE)):
        for bit in range(8):
            flipped = bytearray(WHOLE)
            flipped[position] ^= 1 << bit
            assert outcome_of(bytes(flipped)) in ("unreadable", "future"), (position, bit)


def test_zeros_from_any_byte_on_are_noticed() -> None:
    for position in range(len(WHOLE) - 1):
        assert outcome_of(WHOLE[:position] + bytes(len(WHOLE) - position)) == "unreadable"


@given(st.binary(max_size=300))
def test_garbage_is_a_typed_error(data: bytes) -> None:
    assert outcome_of(data) == "unreadable"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | unicode_text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(unicode_text(), inner, max_size=4),
    max_leaves=20,
)


@given(JSON)
def test_any_other_json_is_a_typed_error(value: object) -> None:
    assert outcome_of(json.dumps(value).encode()) in ("unreadable", "future")


@given(st.dictionaries(st.sampled_from(sorted(checkpoint())), JSON, min_size=1))
def test_any_value_in_any_field_under_a_right_checksum_is_read_or_a_typed_error(
    changes: dict[str, Any],
) -> None:
    assert outcome_of(sealed(checkpoint(**changes))) in ("read", "unreadable", "future")


def test_number_too_long_for_a_cautious_interpreter_is_a_typed_error() -> None:
    usual = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(640)
    try:
        assert outcome_of(WHOLE.replace(b":512000", b":" + b"9" * 1000)) == "unreadable"
    finally:
        sys.set_int_max_str_digits(usual)


def test_file_over_the_bound_is_not_even_parsed() -> None:
    data = sealed(checkpoint())
    padded = data.rstrip() + b" " * (MAX_CHECKPOINT_SIZE - len(data.rstrip()))
    assert decode(padded) == EXAMPLE
    with pytest.raises(CheckpointUnreadableError, match=str(MAX_CHECKPOINT_SIZE)):
        decode(padded + b" ")


@pytest.mark.parametrize("value", [b"0", b"{}", b"[]"])
def test_file_of_more_values_than_the_most_parts_have_is_not_even_parsed(value: bytes) -> None:
    """Parsed, a value takes many times the memory that it takes in the file."""
    with pytest.raises(CheckpointUnreadableError, match="more values than 10000 parts have"):
        decode(b"[" + value + (b"," + value) * 100_000 + b"]")


def test_largest_checkpoint_can_be_read_again() -> None:
    largest = Checkpoint(
        kind="download",
        destination=Destination(endpoint="," * 1024, bucket="," * 255, key="{" * 1023),
        upload_id="," * 1024,
        file=SourceIdentity(
            path="[" * MAX_PATH_LENGTH,
            size=MAX_OBJECT_SIZE,
            mtime_ns=-(1 << 94),
            ctime_ns=-(1 << 94),
            inode=(1 << 128) - 1,
        ),
        part_size=MAX_PART_SIZE,
        headers_digest="0" * 64,
        parts=tuple(
            PartRecord(number=number, size=MAX_PART_SIZE, etag="/" * 256, crc64=U64)
            for number in range(1, MAX_PARTS + 1)
        ),
    )
    assert decode(encode(largest)) == largest


def test_ten_thousand_parts_are_written_and_read_quickly() -> None:
    records = [part(number, size=8 << 20) for number in range(1, MAX_PARTS + 1)]
    data = sealed(checkpoint(parts=records))
    began = time.process_time()
    assert encode(decode(data)) == data
    assert time.process_time() - began < 2.0


def test_ten_thousand_and_one_parts_are_refused() -> None:
    records = [part(number % MAX_PARTS + 1) for number in range(MAX_PARTS + 1)]
    assert outcome_of(sealed(checkpoint(parts=records))) == "unreadable"


@pytest.mark.parametrize("version", [3, 4, 1 << 64, 10**4000])
def test_newer_version_is_told_apart_from_damage(version: int) -> None:
    with pytest.raises(CheckpointFromFutureError, match="this release reads up to 2"):
        decode(sealed(checkpoint(version=version)))


def test_unreadable_file_is_told_without_its_content() -> None:
    with pytest.raises(CheckpointUnreadableError) as refused:
        decode(sealed(checkpoint(upload_id="a secret\n")))
    assert "secret" not in str(refused.value)
    assert "upload_id" in str(refused.value)


def test_only_these_fields_are_stored() -> None:
    content = json.loads(encode(EXAMPLE))
    assert set(content) == {
        "checksum", "destination", "file", "headers_digest", "initiated", "kind", "part_size",
        "parts", "upload_id", "version",
    }  # fmt: skip
    assert set(content["destination"]) == {"bucket", "endpoint", "key"}
    assert set(content["file"]) == {"ctime_ns", "inode", "mtime_ns", "path", "size"}
    assert set(content["parts"][0]) == {"crc64", "etag", "number", "size"}


def test_crc64_is_text_since_numbers_lose_bits_in_other_languages() -> None:
    record = PartRecord(number=1, size=1, etag="E", crc64=U64)
    written = json.loads(encode(replace(EXAMPLE, parts=(record,))))
    assert written["parts"][0]["crc64"] == "18446744073709551615"


def test_crc64_as_a_number_is_understood() -> None:
    assert decode(sealed(checkpoint(parts=[part(1, crc64=U64)]))).parts[0].crc64 == U64


BOUNDS: dict[str, tuple[tuple[str, ...], object, object]] = {
    # where: the last value that is taken, and the next one, which is not
    "file size, least": (("file", "size"), 0, -1),
    "file size, most": (("file", "size"), MAX_OBJECT_SIZE, MAX_OBJECT_SIZE + 1),
    "mtime, least": (("file", "mtime_ns"), -(1 << 94), -(1 << 94) - 1),
    "mtime, most": (("file", "mtime_ns"), 1 << 94, (1 << 94) + 1),
    "ctime, least": (("file", "ctime_ns"), -(1 << 94), -(1 << 94) - 1),
    "ctime, most": (("file", "ctime_ns"), 1 << 94, (1 << 94) + 1),
    "inode, least": (("file", "inode"), 0, -1),
    "inode, most": (("file", "inode"), (1 << 128) - 1, 1 << 128),
    "path": (("file", "path"), "p" * MAX_PATH_LENGTH, "p" * (MAX_PATH_LENGTH + 1)),
    "endpoint, shortest": (("destination", "endpoint"), "h", ""),
    "endpoint, longest": (("destination", "endpoint"), "h" * 1024, "h" * 1025),
    "bucket, shortest": (("destination", "bucket"), "b", ""),
    "bucket, longest": (("destination", "bucket"), "b" * 255, "b" * 256),
    "key, shortest": (("destination", "key"), "k", ""),
    "key, longest": (("destination", "key"), "k" * 1023, "k" * 1024),
    "upload id, shortest": (("upload_id",), "u", ""),
    "upload id, longest": (("upload_id",), "u" * 1024, "u" * 1025),
    "upload id, characters": (("upload_id",), "!~", "! ~"),
    "part size, least": (("part_size",), MIN_PART_SIZE, MIN_PART_SIZE - 1),
    "part size, most": (("part_size",), MAX_PART_SIZE, MAX_PART_SIZE + 1),
    "beginning, least": (("initiated",), 0, -1),
    "beginning, most": (("initiated",), 253_402_300_799, 253_402_300_800),
    "headers digest, characters": (("headers_digest",), "0f" * 32, "0g" * 32),
    "headers digest, length": (("headers_digest",), "0" * 64, "0" * 65),
    "part number, least": (("parts", "number"), 1, 0),
    "part number, most": (("parts", "number"), MAX_PARTS, MAX_PARTS + 1),
    "size of a part, least": (("parts", "size"), 0, -1),
    "size of a part, most": (("parts", "size"), MAX_PART_SIZE, MAX_PART_SIZE + 1),
    "ETag, shortest": (("parts", "etag"), "E", ""),
    "ETag, longest": (("parts", "etag"), "E" * 256, "E" * 257),
    "ETag, characters": (("parts", "etag"), "0f._+*/=:-", "0f,"),
    "CRC-64, least": (("parts", "crc64"), "0", "-0"),
    "CRC-64, most": (("parts", "crc64"), str(U64), str(U64 + 1)),
}


def changed(where: tuple[str, ...], value: object) -> bytes:
    """The example with one field changed, and its checksum right."""
    content = checkpoint(parts=[part(1)])
    place = content
    for step in where[:-1]:
        place = place[step][0] if step == "parts" else place[step]
    place[where[-1]] = value
    return sealed(content)


@pytest.mark.parametrize(("where", "taken", "refused"), BOUNDS.values(), ids=BOUNDS)
def test_field_is_bounded(where: tuple[str, ...], taken: object, refused: object) -> None:
    assert outcome_of(changed(where, taken)) == "read"
    assert outcome_of(changed(where, refused)) == "unreadable"


def test_checkpoint_cannot_be_changed_after_it_was_made() -> None:
    with pytest.raises(FrozenInstanceError):
        setattr(EXAMPLE, "upload_id", "another")  # noqa: B010 - mypy would refuse it before


def test_part_twice_is_not_read() -> None:
    record = PartRecord(number=1, size=1, etag="E", crc64=0)
    with pytest.raises(CheckpointUnreadableError, match="twice"):
        decode(encode(replace(EXAMPLE, parts=(record, record))))


@pytest.mark.parametrize(
    ("values", "schema"),
    [
        (Destination, DestinationSchema),
        (SourceIdentity, FileSchema),
        (PartRecord, PartSchema),
        (Checkpoint, CheckpointSchema),
    ],
)
def test_what_is_read_has_the_fields_of_what_is_written(
    values: type[Destination | SourceIdentity | PartRecord | Checkpoint], schema: type[BaseModel]
) -> None:
    own = {"version"} if schema is CheckpointSchema else set()
    assert set(schema.model_fields) == {field.name for field in fields(values)} | own


def test_plan_is_the_one_it_was_written_for() -> None:
    assert EXAMPLE.plan == Plan(EXAMPLE.file.size, EXAMPLE.part_size)


def test_destination_reads_as_an_address() -> None:
    told = (
        "oss://examplebucket/exampledir/exampleobject.txt at https://oss-cn-hangzhou.aliyuncs.com"
    )
    assert str(EXAMPLE.destination) == told


@given(identities)
def test_source_is_in_the_same_state_as_itself_wherever_it_is_called_from(
    source: SourceIdentity,
) -> None:
    assert source.same_state(replace(source, path="elsewhere"))


@pytest.mark.parametrize("changed_field", ["size", "mtime_ns", "inode", "ctime_ns"])
def test_source_is_in_another_state_when_anything_differs(changed_field: str) -> None:
    was = EXAMPLE.file
    now = replace(was, **{changed_field: getattr(was, changed_field) + 1})
    assert not now.same_state(was)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ({}, {}, True),
        ({"Content-Type": "a"}, {"content-type": "a"}, True),
        ({"a": "1", "b": "2"}, {"b": "2", "a": "1"}, True),
        ({"x-oss-meta-a": "中文"}, {"X-Oss-Meta-A": "中文"}, True),
        ({}, {"a": ""}, False),
        ({"a": "1"}, {"a": "2"}, False),
        ({"a": "1"}, {"a": "1 "}, False),
        ({"a": "A"}, {"a": "a"}, False),
        ({"a": "1"}, {"b": "1"}, False),
        ({"a": "1", "b": "2"}, {"a": "2", "b": "1"}, False),
        ({"a": 'b","c":"d'}, {"a": "b", "c": "d"}, False),
    ],
)
def test_headers_digest_tells_headers_apart(
    one: dict[str, str], other: dict[str, str], same: bool
) -> None:
    assert (headers_digest(one) == headers_digest(other)) is same


def test_headers_digest_is_the_described_one() -> None:
    expected = hashlib.sha256(canonical({"content-type": "a"}).encode()).hexdigest()
    assert headers_digest({"Content-Type": "a"}) == expected


def outcome_of(data: bytes) -> str:
    try:
        decode(data)
    except CheckpointFromFutureError:
        return "future"
    except CheckpointUnreadableError:
        return "unreadable"
    return "read"


def tree(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}
