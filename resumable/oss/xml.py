"""XML in and out. What comes in is bounded, and neither entities nor DTDs are followed."""

from collections.abc import Iterable, Iterator
from xml.etree.ElementTree import Element, ParseError, SubElement, tostring

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

MAX_XML_SIZE = 8 * 1024 * 1024


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
        if len(body) > MAX_XML_SIZE:
            raise UnreadableXmlError(f"more than {MAX_XML_SIZE} bytes of XML")
        try:
            element = fromstring(body, forbid_dtd=True)
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
