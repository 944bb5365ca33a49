"""XML in and out: what is understood, and what is refused before it can do harm."""

import tracemalloc
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resumable.oss.xml import (
    MAX_XML_SIZE,
    Document,
    UnreadableXmlError,
    complete_body,
    parse_number,
)

PAGE = b"""<?xml version="1.0" encoding="UTF-8"?>
<ListPartsResult>
  <UploadId>0004</UploadId>
  <IsTruncated>true</IsTruncated>
  <NextPartNumberMarker> 5 </NextPartNumberMarker>
  <Part><PartNumber>1</PartNumber><ETag>"A"</ETag></Part>
  <Part><PartNumber>5</PartNumber><ETag>&quot;B&quot;</ETag></Part>
</ListPartsResult>"""


def parse(body: bytes) -> Document:
    return Document.parse(body, "R")


def test_document_is_read() -> None:
    page = Document.parse(PAGE, "ListPartsResult")
    assert page.name == "ListPartsResult"
    assert page.text("UploadId") == page.required("UploadId") == "0004"
    assert page.number("NextPartNumberMarker") == 5
    assert page.flag("IsTruncated")
    parts = list(page.children("Part"))
    assert [part.number("PartNumber") for part in parts] == [1, 5]
    assert [part.text("ETag") for part in parts] == ['"A"', '"B"']


def test_namespaces_are_passed_over() -> None:
    body = b'<a:R xmlns:a="http://doc.oss-cn-hangzhou.aliyuncs.com"><a:N>7</a:N></a:R>'
    assert parse(body).number("N") == 7
    assert parse(b'<R xmlns="http://x"><N>7</N></R>').number("N") == 7


def test_comments_and_instructions_are_passed_over() -> None:
    assert parse(b"<?x y?><!-- c --><R><!-- c --><N>7</N><?x y?></R>").number("N") == 7


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "iso-8859-1"])
def test_declared_encoding_is_understood(encoding: str) -> None:
    body = f'<?xml version="1.0" encoding="{encoding}"?><R><M>\xe4</M></R>'.encode(encoding)
    assert parse(body).text("M") == "\xe4"


def test_root_of_any_name_is_taken_when_none_is_asked_for() -> None:
    assert Document.parse(b"<Whatever/>").name == "Whatever"


@pytest.mark.parametrize(
    "body", [b"<Error><Code>X</Code></Error>", b"<html/>", b"<r/>", b"<X><R/></X>"]
)
def test_wrong_root_is_refused(body: bytes) -> None:
    with pytest.raises(UnreadableXmlError, match="where <R> was expected"):
        parse(body)


def test_long_name_of_a_wrong_root_is_cut() -> None:
    with pytest.raises(UnreadableXmlError) as refused:
        parse(b"<" + b"x" * 10_000 + b"/>")
    assert len(str(refused.value)) < 200


BILLION_LAUGHS = (
    b'<!DOCTYPE R [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">'
    b'<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;">]><R><N>&c;</N></R>'
)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"not xml",
        b"{}",
        b"<R>",
        b"<R></r>",
        b"<R/><R/>",
        b"<R>&unknown;</R>",
        b"<R>\x00</R>",
        b"<R>\xff</R>",
        b'<?xml version="1.0" encoding="made-up"?><R/>',
        b'<?xml version="1.0" encoding="utf-7"?><R/>',
        b'<?xml version="1.0" encoding="idna"?><R/>',
        b"<!DOCTYPE R><R/>",
        b'<!DOCTYPE R SYSTEM "http://127.0.0.1:1/evil.dtd"><R/>',
        b'<!DOCTYPE R [<!ENTITY e "x">]><R>&e;</R>',
        b'<!DOCTYPE R [<!ENTITY e SYSTEM "file:///etc/passwd">]><R><N>&e;</N></R>',
        b'<!DOCTYPE R [<!ENTITY % e SYSTEM "http://127.0.0.1:1/"> %e;]><R/>',
        BILLION_LAUGHS,
        BILLION_LAUGHS.decode().encode("utf-16"),
    ],
)
def test_bad_or_hostile_xml_is_refused(body: bytes) -> None:
    with pytest.raises(UnreadableXmlError, match="not XML"):
        parse(body)


@given(st.binary(max_size=200))
def test_garbage_is_a_typed_error(body: bytes) -> None:
    with pytest.raises(UnreadableXmlError):
        parse(body)


def test_truncation_at_every_byte_is_a_typed_error() -> None:
    for length in range(len(PAGE)):
        with pytest.raises(UnreadableXmlError):
            Document.parse(PAGE[:length], "ListPartsResult")


def test_size_is_bounded_before_parsing() -> None:
    with pytest.raises(UnreadableXmlError, match=str(MAX_XML_SIZE)):
        parse(b"<R>" + b" " * MAX_XML_SIZE + b"</R>")


BOUNDS: dict[str, tuple[int, Callable[[int], bytes]]] = {
    "tags": (32_767, lambda size: b"<R>" + b"<a/>" * (size - 2) + b"</R>"),
    "size of a tag": (512, lambda size: b'<R a="%s"/>' % (b"x" * (size - 7))),
    "depth": (32, lambda size: b"<R>" * size + b"</R>" * size),
    "attributes": (256, lambda size: b"<R>" + b'<a b="" c=""/>' * (size // 2) + b"</R>"),
    "names": (64, lambda size: b"<R>" + b"".join(b"<a%d/>" % n for n in range(size - 1)) + b"</R>"),
    "text": (64 * 1024, lambda size: b"<R>&amp;\n%s</R>" % (b"x" * (size - 2))),
    "text in pieces": (64 * 1024, lambda size: b"<R>x<!-- -->%s</R>" % (b"x" * (size - 1))),
}


@pytest.mark.parametrize("what", BOUNDS)
def test_what_would_take_long_to_parse_is_refused(what: str) -> None:
    bound, make = BOUNDS[what]
    assert parse(make(bound)).name == "R"
    with pytest.raises(UnreadableXmlError):
        parse(make(bound + 2))


def test_long_text_may_be_character_data_and_a_comment_may_be_long() -> None:
    body = b"<R><!-- %s --><M><![CDATA[%s]]></M></R>" % (b"x" * 5000, b"<&" * 500)
    assert parse(body).text("M") == "<&" * 500


def test_thousand_uploads_with_the_longest_keys_are_read() -> None:
    upload = (
        b"<Upload><Key>%s</Key><UploadId>%s</UploadId><StorageClass>Standard</StorageClass>"
        b"<Initiated>2012-02-23T04:18:23.000Z</Initiated><Owner><ID>1</ID><DisplayName>1"
        b"</DisplayName></Owner><Initiator><ID>1</ID><DisplayName>1</DisplayName></Initiator>"
        b"</Upload>"
    ) % (b"&amp;" * 1023, b"A" * 64)
    body = b'<?xml version="1.0"?><R xmlns="http://doc.oss-cn-hangzhou.aliyuncs.com">%s</R>'
    found = list(parse(body % (upload * 1000)).children("Upload"))
    assert [one.text("Key") for one in found] == ["&" * 1023] * 1000


def test_page_of_a_thousand_parts_takes_little_memory() -> None:
    part = b"<Part><PartNumber>1</PartNumber><Size>8388608</Size><ETag>x</ETag></Part>"
    body = b"<R>" + part * 1000 + b"</R>"
    tracemalloc.start()
    try:
        assert len(list(parse(body).children("Part"))) == 1000
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", ["Missing", "Empty", "Blank"])
def test_missing_text_is_empty_and_may_be_required(name: str) -> None:
    document = parse(b"<R><Empty/><Blank></Blank></R>")
    assert document.text(name) == ""
    with pytest.raises(UnreadableXmlError, match=f"<{name}> is missing"):
        document.required(name)


def test_missing_number_takes_its_default_or_is_refused() -> None:
    document = parse(b"<R><Empty/></R>")
    assert document.number("N", default=3) == document.number("Empty", default=3) == 3
    with pytest.raises(UnreadableXmlError, match="N is not a number"):
        document.number("N")


@pytest.mark.parametrize(
    ("text", "number"),
    [("0", 0), ("1", 1), ("0010", 10), ("18446744073709551615", (1 << 64) - 1)],
)
def test_number_is_read(text: str, number: int) -> None:
    assert parse_number(text, "N") == number


@pytest.mark.parametrize(
    "text",
    ["", " ", "-1", "+1", "1.0", "1e3", "0x1", "1 2", "\uff11", "٣", "²", "1_0",
     "18446744073709551616", "0" * 21, "9" * 5000, "NaN", "true"],
)  # fmt: skip
def test_what_is_no_number_of_64_bits_is_refused(text: str) -> None:
    with pytest.raises(UnreadableXmlError) as refused:
        parse_number(text, "Size")
    assert str(refused.value).startswith("Size is not a number")
    assert len(str(refused.value)) < 100


@pytest.mark.parametrize(
    ("text", "flag"),
    [
        ("true", True),
        ("True", True),
        (" true\n", True),
        ("false", False),
        ("1", False),
        ("", False),
    ],
)
def test_flag_is_read(text: str, flag: bool) -> None:
    assert parse(f"<R><F>{text}</F></R>".encode()).flag("F") is flag


def test_body_of_complete_is_the_documented_one() -> None:
    assert complete_body([(1, "AB"), (10_000, "CD")]) == (
        b"<CompleteMultipartUpload>"
        b'<Part><PartNumber>1</PartNumber><ETag>"AB"</ETag></Part>'
        b'<Part><PartNumber>10000</PartNumber><ETag>"CD"</ETag></Part>'
        b"</CompleteMultipartUpload>"
    )


printable = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=40)


@given(st.lists(st.tuples(st.integers(1, 10_000), printable), max_size=5))
def test_body_of_complete_is_xml_whatever_the_etags_are(parts: list[tuple[int, str]]) -> None:
    document = Document.parse(complete_body(parts), "CompleteMultipartUpload")
    read = [(part.number("PartNumber"), part.text("ETag")) for part in document.children("Part")]
    assert read == [(number, f'"{etag}"') for number, etag in parts]
