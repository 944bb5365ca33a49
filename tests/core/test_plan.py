"""How a file is cut: sizes, limits, wishes, and that the parts cover it exactly once."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resumable.core.plan import (
    GIB,
    KIB,
    MAX_OBJECT_SIZE,
    MAX_PART_SIZE,
    MAX_PARTS,
    MIB,
    MIN_PART_SIZE,
    Part,
    Plan,
    determine_part_size,
    fits,
    make_plan,
    parse_part_size,
    split_by_part_num,
    split_by_part_size,
)
from resumable.errors import InvalidArgumentError, PartSizeError

SIZES = st.integers(0, MAX_OBJECT_SIZE)
PART_SIZES = st.integers(MIN_PART_SIZE, MAX_PART_SIZE)


def test_limits_are_those_of_oss() -> None:
    assert (MIN_PART_SIZE, MAX_PART_SIZE, MAX_PARTS) == (102_400, 5_368_709_120, 10_000)
    assert MAX_OBJECT_SIZE == 53_687_091_200_000  # 48.8 TB


@pytest.mark.parametrize(
    ("size", "part_size", "count"),
    [
        (0, 8 * MIB, 1),
        (1, 8 * MIB, 1),
        (8 * MIB - 1, 8 * MIB, 1),
        (8 * MIB, 8 * MIB, 1),
        (8 * MIB + 1, 8 * MIB, 2),
        (GIB, 8 * MIB, 128),
        (5000 * 8 * MIB, 8 * MIB, 5000),
        (5000 * 8 * MIB + 1, 9 * MIB, 4445),
        (1024 * GIB, 210 * MIB, 4994),
        (MAX_OBJECT_SIZE // 2, MAX_PART_SIZE, 5000),
        (MAX_OBJECT_SIZE - 1, MAX_PART_SIZE, 10_000),
        (MAX_OBJECT_SIZE, MAX_PART_SIZE, 10_000),
    ],
)
def test_part_size_suits_the_file_when_none_is_asked_for(
    size: int, part_size: int, count: int
) -> None:
    plan = make_plan(size)
    assert (plan.part_size, plan.count) == (part_size, count)


@pytest.mark.parametrize(
    ("size", "wish", "part_size", "count"),
    [
        (0, MIN_PART_SIZE, MIN_PART_SIZE, 1),
        (1, MIN_PART_SIZE, MIN_PART_SIZE, 1),
        (MIN_PART_SIZE, MIN_PART_SIZE, MIN_PART_SIZE, 1),
        (MIN_PART_SIZE + 1, MIN_PART_SIZE, MIN_PART_SIZE, 2),
        (10_000 * MIN_PART_SIZE, MIN_PART_SIZE, MIN_PART_SIZE, 10_000),
        (10_000 * MIN_PART_SIZE + 1, MIN_PART_SIZE, MIN_PART_SIZE + 1, 10_000),
        (100 * GIB, "1MiB", 10_737_419, 10_000),
        (MAX_OBJECT_SIZE, MIN_PART_SIZE, MAX_PART_SIZE, 10_000),
        (MAX_OBJECT_SIZE, MAX_PART_SIZE, MAX_PART_SIZE, 10_000),
        (1, MAX_PART_SIZE, MAX_PART_SIZE, 1),
    ],
)
def test_part_size_asked_for_is_kept_or_grown_to_the_smallest_that_fits(
    size: int, wish: int | str, part_size: int, count: int
) -> None:
    plan = make_plan(size, wish)
    assert (plan.part_size, plan.count) == (part_size, count)


@given(SIZES, PART_SIZES)
def test_grown_part_size_is_the_smallest_that_fits(size: int, wish: int) -> None:
    plan = make_plan(size, wish)
    assert plan.count <= MAX_PARTS
    assert plan.part_size >= wish
    assert plan.part_size == wish or not fits(size, plan.part_size - 1)


@given(SIZES)
def test_automatic_part_size_is_always_within_the_limits(size: int) -> None:
    plan = make_plan(size)
    assert 8 * MIB <= plan.part_size <= MAX_PART_SIZE
    assert plan.part_size % MIB == 0
    assert plan.count <= MAX_PARTS


@given(SIZES, SIZES)
def test_larger_files_never_get_smaller_parts(one: int, other: int) -> None:
    small, large = sorted((one, other))
    assert make_plan(small).part_size <= make_plan(large).part_size


@given(st.integers(0, 40 * GIB))
def test_file_may_double_and_keep_its_automatic_part_size(size: int) -> None:
    assert fits(2 * size, make_plan(size).part_size)


@given(st.integers(0, 300 * MIN_PART_SIZE), st.integers(MIN_PART_SIZE, 20 * MIN_PART_SIZE))
def test_parts_cover_the_file_exactly_once(size: int, part_size: int) -> None:
    end = 0
    for number, part in enumerate(plan := Plan(size, part_size), start=1):
        assert part == plan.part(number)
        assert (part.number, part.offset) == (number, end)
        assert part.size == part_size or number == plan.count
        end += part.size
    assert end == size
    assert number == plan.count


@given(SIZES, PART_SIZES)
def test_last_part_holds_the_rest(size: int, part_size: int) -> None:
    plan = make_plan(size, part_size)
    last = plan.part(plan.count)
    assert last.offset + last.size == size
    assert last.size > 0 or size == 0
    assert last.size <= plan.part_size


def test_empty_file_is_one_part_of_no_bytes() -> None:
    assert list(make_plan(0)) == [Part(1, 0, 0)]


def test_plan_of_ten_thousand_parts_covers_the_largest_object() -> None:
    parts = list(make_plan(MAX_OBJECT_SIZE))
    assert sum(part.size for part in parts) == MAX_OBJECT_SIZE
    assert parts[-1] == Part(10_000, 9_999 * MAX_PART_SIZE, MAX_PART_SIZE)


@pytest.mark.parametrize("number", [-1, 0, 3, 10_001])
def test_part_that_is_not_in_the_plan_is_no_part(number: int) -> None:
    with pytest.raises(IndexError, match="of 2"):
        Plan(200 * KIB, 100 * KIB).part(number)


@pytest.mark.parametrize(
    ("size", "part_size", "expected"),
    [
        (0, MIN_PART_SIZE, True),
        (10_000 * MIN_PART_SIZE, MIN_PART_SIZE, True),
        (10_000 * MIN_PART_SIZE + 1, MIN_PART_SIZE, False),
        (MAX_OBJECT_SIZE, MAX_PART_SIZE, True),
        (MAX_OBJECT_SIZE + 1, MAX_PART_SIZE, False),
    ],
)
def test_fits_means_ten_thousand_parts_at_most(size: int, part_size: int, expected: bool) -> None:
    assert fits(size, part_size) is expected


@pytest.mark.parametrize(
    ("wish", "size"),
    [
        (102_400, 102_400),
        ("102400", 102_400),
        ("102400B", 102_400),
        ("100K", 102_400),
        ("100k", 102_400),
        ("100KB", 102_400),
        ("100kib", 102_400),
        ("8MiB", 8 * MIB),
        ("8 MiB", 8 * MIB),
        ("  8MB\t", 8 * MIB),
        ("8m", 8 * MIB),
        ("1.5G", 3 * GIB // 2),
        ("1.000001MiB", MIB + 1),
        ("0.5GiB", 512 * MIB),
        ("0.001T", 1024 * GIB // 1000),
        ("5GB", 5 * GIB),
        (5 * GIB, 5 * GIB),
    ],
)
def test_part_size_is_read_from_bytes_or_text(wish: int | str, size: int) -> None:
    assert parse_part_size(wish) == size


@pytest.mark.parametrize(
    "wish",
    [
        0, 1, -1, 102_399, -102_400, 5 * GIB + 1, 1 << 64, 10**40,
        "", " ", "0", "1", "99KB", "102399", "5.000001GB", "6G", "1T", "9" * 15,
        "MiB", "8 M i B", "8MiBB", "8PB", "-8MiB", "+8MiB", "1e6", "8.MiB", ".5GiB", "8,5MiB",
        "8.1234567MiB", "9" * 16, "0x800000", "8_000_000", "8MiB\x00", "八MiB", "inf", "nan",
        "100\N{KELVIN SIGN}",
        True, False, None, 8.0e6, b"8MiB", [], {},
    ],
)  # fmt: skip
def test_part_size_outside_the_limits_or_no_size_is_refused(wish: object) -> None:
    with pytest.raises(PartSizeError) as refused:
        parse_part_size(wish)  # type: ignore[arg-type]
    assert repr(wish) in str(refused.value)
    assert isinstance(refused.value, ValueError)


@given(st.text() | st.integers() | st.floats() | st.none())
def test_part_size_is_a_size_or_a_typed_refusal(wish: object) -> None:
    try:
        size = parse_part_size(wish)  # type: ignore[arg-type]
    except PartSizeError:
        return
    assert MIN_PART_SIZE <= size <= MAX_PART_SIZE


@given(st.integers(MIN_PART_SIZE, MAX_PART_SIZE))
def test_part_size_in_bytes_is_taken_as_it_is(size: int) -> None:
    assert parse_part_size(size) == parse_part_size(str(size)) == size


@pytest.mark.parametrize("size", [-1, MAX_OBJECT_SIZE + 1, 1 << 64])
@pytest.mark.parametrize("wish", [None, "8MiB"])
def test_file_larger_than_oss_stores_is_refused(size: int, wish: str | None) -> None:
    with pytest.raises(InvalidArgumentError, match=str(size)):
        make_plan(size, wish)


def test_wish_is_judged_before_the_file() -> None:
    with pytest.raises(PartSizeError):
        make_plan(MAX_OBJECT_SIZE + 1, 1)


@pytest.mark.parametrize("size", [0, 1, 102_400, 102_401, 10 * 102_400, 1_000_003])
def test_split_by_part_size_is_the_plan(size: int) -> None:
    parts = split_by_part_size(size, "100KB")
    assert parts == tuple(make_plan(size, 102_400))
    assert sum(part.size for part in parts) == size


def test_split_by_part_size_does_not_grow_the_size() -> None:
    with pytest.raises(PartSizeError, match="more than 10000") as refused:
        split_by_part_size(10_000 * 102_400 + 1, 102_400)
    assert "102401 bytes or more" in refused.value.advice


def test_reference_documents_split_a_file_into_three() -> None:
    assert split_by_part_num(1_000_000, 3) == (
        Part(1, 0, 333_334),
        Part(2, 333_334, 333_333),
        Part(3, 666_667, 333_333),
    )


@given(st.integers(0, 10**12), st.integers(1, MAX_PARTS))
def test_split_by_part_num_covers_the_file_in_parts_of_one_size(size: int, number: int) -> None:
    try:
        parts = split_by_part_num(size, number)
    except PartSizeError:
        each = size // number
        assert each >= MAX_PART_SIZE or (number > 1 and each < MIN_PART_SIZE)
        return
    assert [part.number for part in parts] == list(range(1, number + 1))
    assert parts[0].offset == 0
    assert all(a.offset + a.size == b.offset for a, b in pairwise(parts))
    assert parts[-1].offset + parts[-1].size == size
    assert max(p.size for p in parts) - min(p.size for p in parts) <= 1


@pytest.mark.parametrize(("size", "number"), [(0, 1), (1, 1), (MAX_PART_SIZE, 1)])
def test_one_part_may_be_of_any_size(size: int, number: int) -> None:
    assert split_by_part_num(size, number) == (Part(1, 0, size),)


@pytest.mark.parametrize(
    ("size", "number"), [(1000, 3), (2 * 102_400 - 1, 2), (MAX_PART_SIZE + 1, 1)]
)
def test_parts_outside_the_limits_are_refused(size: int, number: int) -> None:
    with pytest.raises(PartSizeError):
        split_by_part_num(size, number)


@pytest.mark.parametrize("number", [0, -1, 10_001, True, "3", 3.0, None])
def test_number_of_parts_outside_the_limits_is_refused(number: object) -> None:
    with pytest.raises(InvalidArgumentError):
        split_by_part_num(10**6, number)  # type: ignore[arg-type]


@pytest.mark.parametrize("size", [-1, True, "5", 5.0, None, MAX_OBJECT_SIZE + 1])
def test_size_that_is_none_is_refused(size: object) -> None:
    for split in (
        lambda: split_by_part_num(size, 1),  # type: ignore[arg-type]
        lambda: split_by_part_size(size, "8MiB"),  # type: ignore[arg-type]
        lambda: determine_part_size(size),  # type: ignore[arg-type]
    ):
        with pytest.raises(InvalidArgumentError):
            split()


@pytest.mark.parametrize(
    ("size", "preferred", "part_size"),
    [
        (0, None, 8 * MIB),
        (10**6, 102_400, 102_400),
        (10**6, "1MiB", MIB),
        (10_000 * 102_400 + 1, 102_400, 102_401),
        (MAX_OBJECT_SIZE, None, MAX_PART_SIZE),
    ],
)
def test_determine_part_size(size: int, preferred: int | str | None, part_size: int) -> None:
    assert determine_part_size(size, preferred) == part_size
