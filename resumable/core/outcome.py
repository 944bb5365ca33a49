"""What an upload has reached, as one value, and the sentence that says what is kept of it.

All that a caller is told about what remains comes from here, so that no two places say different
things. "At the server" is said of parts only that the server acknowledged or listed in this run.
"""

from dataclasses import dataclass, replace
from enum import Enum, auto


class UploadFate(Enum):
    """What became of the multipart upload."""

    NONE = auto()  # there is none, or none that this call has to do with
    OPEN = auto()  # begun, and neither completed nor aborted as far as is known here
    ABORTED = auto()  # by this call
    GONE = auto()  # the server did not know it when it was to be aborted
    LEFT = auto()  # it was to be aborted, and could not be


class ObjectFate(Enum):
    """What became of the object."""

    ABSENT = auto()  # this call has not made it
    POSSIBLE = auto()  # it was asked for, and no answer tells
    STORED = auto()  # made; whether it is the file is not known
    VERIFIED = auto()  # made, and it is the file
    WRONG = auto()  # made, and it is not known to be the file


@dataclass(frozen=True, slots=True)
class Remains:
    """What there is of an upload at the moment.

    Attributes:
        fate: What became of the multipart upload.
        upload_id: Its id, or an empty string.
        parts_total: How many parts the object is made of.
        at_server: How many of them the server acknowledged or listed in this run; None while it
            was not asked.
        checkpoint: Path of the checkpoint that records the upload, or an empty string.
        recorded: How many parts the checkpoint holds.
        named: Whether the caller named the upload, which then is not aborted.
    """

    fate: UploadFate = UploadFate.NONE
    upload_id: str = ""
    parts_total: int = 0
    at_server: int | None = None
    checkpoint: str = ""
    recorded: int = 0
    named: bool = False

    def begun(self, upload_id: str, parts_total: int) -> "Remains":
        """Initiate was answered; nothing is recorded yet."""
        return Remains(UploadFate.OPEN, upload_id, parts_total, at_server=0)

    def saved(self, checkpoint: str, recorded: int) -> "Remains":
        """A checkpoint with so many parts was written, or read."""
        return replace(self, checkpoint=checkpoint, recorded=recorded)

    def counted(self, at_server: int, recorded: int) -> "Remains":
        """So many parts were acknowledged or listed, and so many of them are recorded."""
        return replace(self, at_server=at_server, recorded=recorded)

    def ended(self, fate: UploadFate) -> "Remains":
        """The upload was to be aborted."""
        return replace(self, fate=fate)


def kept_sentence(remains: Remains, made: ObjectFate) -> str:
    """What remains for the next run, or what has to be cleared away; empty if there is nothing."""
    match made:
        case ObjectFate.VERIFIED:
            return "The object is stored and verified"
        case ObjectFate.STORED if remains.fate is UploadFate.OPEN and remains.checkpoint:
            return "The object is stored, but not verified; make the same call again to verify it"
        case ObjectFate.STORED:
            return "The object is stored, but not verified; check it"
        case ObjectFate.WRONG:
            return "The parts went into that object"
        case _:
            sentences = _of_upload(remains), _of_object(remains, made)
            return "; ".join(sentence for sentence in sentences if sentence)


def _of_upload(remains: Remains) -> str:
    match remains.fate:
        case UploadFate.NONE:
            return ""
        case UploadFate.ABORTED:
            return "Nothing is kept: the upload was aborted"
        case UploadFate.GONE:
            return f"Upload {remains.upload_id} was gone already"
        case UploadFate.LEFT:
            left = f"Upload {remains.upload_id} could not be aborted; its parts are billed"
            return f"{left} until it is aborted with abort_upload"
        case UploadFate.OPEN:
            return _of_open_upload(remains)


def _of_open_upload(remains: Remains) -> str:
    again = "make the same call again to resume"
    total, upload = remains.parts_total, f"upload {remains.upload_id}"
    if remains.at_server is None:
        if not remains.checkpoint:
            return f"U{upload[1:]} was not touched"
        told = f"{remains.recorded} of {total} parts are recorded in {remains.checkpoint!r}"
        return f"{told}; {again}"
    there = f"{remains.at_server} of {total} parts are at the server"
    if not remains.checkpoint:
        return f"{there} in {upload}; {again}" if remains.named else f"{there} in {upload}"
    recorded = min(remains.recorded, remains.at_server)
    if remains.recorded == remains.at_server:
        return f"{there} and recorded in {remains.checkpoint!r}; {again}"
    return f"{there}, {recorded} of them recorded in {remains.checkpoint!r}; {again}"


def _of_object(remains: Remains, made: ObjectFate) -> str:
    """A HEAD is only spoken of where it can find something that this call made."""
    if made is not ObjectFate.POSSIBLE or remains.fate is UploadFate.ABORTED:
        return ""
    if remains.fate is UploadFate.OPEN and remains.checkpoint:
        return "it finds out whether the object is there already"
    told = "whether the object is there, a HEAD tells"
    return told if remains.fate is not UploadFate.NONE else f"W{told[1:]}"
