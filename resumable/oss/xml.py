"""XML in and out. What comes in is bounded, and neither entities nor DTDs are followed."""

from collections.abc import Iterable, Iterator
from xml.etree.ElementTree import Element, ParseError, SubElement, TreeBuilder, tostring

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import DefusedXMLParser

# A thousand uploads with keys of 1,023 bytes, each of them escaped, take 5 MiB and 20,000 tags.
MAX_XML_SIZE = 8 * 1024 * 1024
_MAX_TAGS = 32_768
_MAX_TAG_SIZE = 512
_NO_TAGS = (b"![CDATA[", b"!--")
_MAX_DEPTH = 32
_MAX_ATTRIBUTES = 256
_MAX_NAMES = 64
_MAX_TEXT_LENGTH = 64 * 1024


class UnreadableXmlError(ValueError):
    """The body is not the XML that was expected."""


class Document:
    """An XML answer whose root element was checked."""

    def __init__(self, root: Element) -> None:
        self._root = root

    @classmethod
    def parse(cls, body: bytes, root: str | None = None) -> "Document":
        """Parse a body, and check the name of its root element.

        Raises:
            UnreadableXmlError: it is too large, no XML, hostile, or has another root.
        """
        _check_tags(body)
        parser = DefusedXMLParser(target=_BoundedBuilder(), forbid_dtd=True)
        try:
            parser.feed(body)
            element = parser.close()
        except UnreadableXmlError:
            raise
        except (ParseError, DefusedXmlException, ValueError, LookupError) as error:
            raise UnreadableXmlError(f"not XML ({type(error).__name__})") from None
        _drop_namespaces(element)
        if root is not None and element.tag != root:
            raise UnreadableXmlError(f"<{element.tag[:60]}> where <{root}> was expected")
        return cls(element)

    @property
    def name(self) -> str:
        """The name of the root element."""
        return self._root.tag

    def text(self, name: str) -> str:
        """The text of a child, or an empty string."""
        return self._root.findtext(name) or ""

    def required(self, name: str) -> str:
        """The text of a child that must be there.

        Raises:
            UnreadableXmlError: it is missing or empty.
        """
        text = self.text(name)
        if not text:
            raise UnreadableXmlError(f"<{name}> is missing")
        return text

    def number(self, name: str, *, default: int | None = None) -> int:
        """The text of a child as a number of up to 64 bits, not negative.

        Raises:
            UnreadableXmlError: it is missing without a default, or not such a number.
        """
        text = self.text(name).strip()
        if not text and default is not None:
            return default
        return parse_number(text, name)

    def flag(self, name: str) -> bool:
        """Whether a child says `true`."""
        return self.text(name).strip().lower() == "true"

    def children(self, name: str) -> Iterator["Document"]:
        """Each child of this name."""
        return (Document(element) for element in self._root.iter(name))


class _BoundedBuilder(TreeBuilder):
    """Makes a tree, unless it would be deeper or richer than any answer is."""

    def __init__(self) -> None:
        super().__init__()
        self._depth = self._attributes = self._length = 0
        self._names: set[str] = set()

    def start(self, tag: str, attrs: dict[str, str]) -> Element:
        self._depth += 1
        self._attributes += len(attrs)
        self._length = 0
        self._names.add(tag)
        if (
            self._depth > _MAX_DEPTH
            or self._attributes > _MAX_ATTRIBUTES
            or len(self._names) > _MAX_NAMES
        ):
            raise UnreadableXmlError("XML that is too deep, or has too many names")
        return super().start(tag, attrs)

    def end(self, tag: str) -> Element:
        self._depth -= 1
        self._length = 0
        return super().end(tag)

    def data(self, text: str) -> None:
        self._length += len(text)
        if self._length > _MAX_TEXT_LENGTH:
            raise UnreadableXmlError("XML with too long a text")
        super().data(text)


def _check_tags(body: bytes) -> None:
    """Refuse what takes too long to parse before it is parsed."""
    if len(body) > MAX_XML_SIZE:
        raise UnreadableXmlError(f"more than {MAX_XML_SIZE} bytes of XML")
    pieces = body.split(b"<", _MAX_TAGS + 1)
    if len(pieces) > _MAX_TAGS:
        raise UnreadableXmlError(f"more than {_MAX_TAGS} tags")
    tags = (piece for piece in pieces[1:] if not piece.startswith(_NO_TAGS))
    if any(len(tag.partition(b">")[0]) > _MAX_TAG_SIZE for tag in tags):
        raise UnreadableXmlError(f"a tag of more than {_MAX_TAG_SIZE} bytes")


def parse_number(text: str, name: str) -> int:
    """Read a decimal number of up to 64 bits.

    Raises:
        UnreadableXmlError: it is not one.
    """
    if not (text.isascii() and text.isdigit() and len(text) <= 20 and int(text) < 1 << 64):
        raise UnreadableXmlError(f"{name} is not a number: {text[:40]!r}")
    return int(text)


def complete_body(parts: Iterable[tuple[int, str]]) -> bytes:
    """The body of CompleteMultipartUpload, from part numbers and ETags, ascending."""
    root = Element("CompleteMultipartUpload")
    for number, etag in parts:
        part = SubElement(root, "Part")
        SubElement(part, "PartNumber").text = str(number)
        SubElement(part, "ETag").text = f'"{etag}"'
    body: bytes = tostring(root, encoding="utf-8")
    return body


def _drop_namespaces(root: Element) -> None:
    for element in root.iter():
        if isinstance(element.tag, str):
            element.tag = element.tag.rpartition("}")[2]
