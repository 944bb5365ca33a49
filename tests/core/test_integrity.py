"""CRC-64 and its combination, held against another library and the published check value."""

import hashlib
import random
import time
from itertools import pairwise

import anycrc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from resumable.core.integrity import PartDigest, PartHasher, combine, combine_all, crc64
from resumable.core.plan import MAX_PART_SIZE, MAX_PARTS

WITNESS = anycrc.Model("CRC64-XZ")
U64 = st.integers(0, (1 << 64) - 1)


@st.composite
def cut_bytes(draw: st.DrawFn) -> list[bytes]:
    """Bytes in pieces; some of them may be empty."""
    data = draw(st.binary(max_size=5000))
    cuts = draw(st.lists(st.integers(0, len(data)), max_size=8))
    return [data[a:b] for a, b in pairwise([0, *sorted(cuts), len(data)])]


def test_published_check_value() -> None:
    assert crc64(b"123456789") == 0x995DC9BBDF1939FA
    assert str(crc64(b"123456789")) == "11051210869376104954"  # as OSS prints it


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", 0),
        (b"\x00", 0x1FADA17364673F59),
        (b"\xff", 0xFF00000000000000),
    ],
)
def test_crc64_of_little(data: bytes, expected: int) -> None:
    assert crc64(data) == WITNESS.calc(data) == expected


@given(st.binary(max_size=5000))
def test_crc64_is_that_of_another_library(data: bytes) -> None:
    assert crc64(data) == WITNESS.calc(data)


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_crc64_takes_all_kinds_of_bytes(kind: type[bytes]) -> None:
    assert crc64(kind(b"123456789")) == 0x995DC9BBDF1939FA


@given(cut_bytes())
def test_crc64_goes_on_from_piece_to_piece(pieces: list[bytes]) -> None:
    crc = 0
    for piece in pieces:
        crc = crc64(piece, crc)
    assert crc == crc64(b"".join(pieces))


@given(st.binary(max_size=2000), st.binary(max_size=2000))
def test_combined_crc64_is_that_of_both_pieces(first: bytes, second: bytes) -> None:
    assert combine(crc64(first), crc64(second), len(second)) == crc64(first + second)


@given(cut_bytes())
def test_combined_crc64_is_that_of_all_pieces(pieces: list[bytes]) -> None:
    combined = combine_all((crc64(piece), len(piece)) for piece in pieces)
    assert combined == crc64(b"".join(pieces))


@given(U64, U64, st.integers(0, MAX_PART_SIZE))
def test_combination_over_sizes_too_large_to_hash_is_the_witness_s(
    first: int, second: int, size: int
) -> None:
    assert combine(first, second, size) == WITNESS.combine(first, second, size)


@given(U64, U64, U64, st.integers(0, MAX_PART_SIZE), st.integers(0, MAX_PART_SIZE))
def test_combination_may_be_grouped_at_will(
    a: int, b: int, c: int, b_size: int, c_size: int
) -> None:
    left = combine(combine(a, b, b_size), c, c_size)
    right = combine(a, combine(b, c, c_size), b_size + c_size)
    assert left == right == combine_all([(a, 0), (b, b_size), (c, c_size)])


@given(U64)
def test_combination_with_nothing_changes_nothing(crc: int) -> None:
    assert combine(crc, 0, 0) == crc
    assert combine(0, crc, 1000) == crc


def test_nothing_at_all_combines_to_the_crc64_of_nothing() -> None:
    assert combine_all([]) == crc64(b"") == 0


@pytest.mark.parametrize("bit", [0, 7, 4096 * 8 - 1, 9999 * 8 + 3])
def test_one_flipped_bit_shows_in_the_combination(bit: int) -> None:
    data = bytearray(random.Random(1).randbytes(10_000))
    whole = crc64(data)
    data[bit // 8] ^= 1 << bit % 8
    halves = [bytes(data[:4096]), bytes(data[4096:])]
    assert combine_all((crc64(half), len(half)) for half in halves) != whole


def test_two_parts_in_the_wrong_order_show_in_the_combination() -> None:
    one, other = (crc64(b"a" * 100), 100), (crc64(b"b" * 100), 100)
    assert combine_all([one, other]) != combine_all([other, one])


def test_ten_thousand_parts_combine_to_the_crc64_of_the_whole() -> None:
    source = random.Random(2)
    parts = [source.randbytes(256) for _ in range(MAX_PARTS - 1)] + [source.randbytes(77)]
    assert combine_all((crc64(part), len(part)) for part in parts) == crc64(b"".join(parts))


def test_ten_thousand_parts_combine_in_no_time() -> None:
    pieces = [(number * 0x9E3779B97F4A7C15 % (1 << 64), 8 << 20) for number in range(MAX_PARTS)]
    began = time.process_time()
    combine_all(pieces)
    # With the operator made anew for each part, as other clients do, this takes minutes.
    assert time.process_time() - began < 1.0


@pytest.mark.parametrize("with_md5", [True, False])
@given(pieces=cut_bytes())
def test_hasher_digests_what_it_was_fed(pieces: list[bytes], with_md5: bool) -> None:
    hasher = PartHasher(with_md5=with_md5)
    for piece in pieces:
        hasher.update(memoryview(piece))
    data = b"".join(pieces)
    md5 = hashlib.md5(data).digest() if with_md5 else None
    assert hasher.digest() == PartDigest(len(data), WITNESS.calc(data), md5)


def test_hasher_can_be_asked_on_the_way() -> None:
    hasher = PartHasher(with_md5=True)
    hasher.update(memoryview(b"1234"))
    assert hasher.digest().crc64 == crc64(b"1234")
    hasher.update(memoryview(b"56789"))
    assert hasher.digest() == PartDigest(9, 0x995DC9BBDF1939FA, hashlib.md5(b"123456789").digest())
