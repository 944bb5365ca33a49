"""What the library says to programs, in the words of the command line.

The library's advice names options as its callers write them (`checkpoint_path=`). Here they become
the options of the commands, so that the advice can be followed where it is read.
"""

from __future__ import annotations

import re

import resumable

# Options whose name differs by more than the dashes.
_OPTIONS = {
    "content_type": "--content-type",
    "enable_checkpoint": "--checkpoint",
    "give_up_after": "--retry-time",
    "headers": "-H",
    "retry": "--retry-time",
    "server_side_encryption": "--sse",
    "server_side_encryption_key_id": "--sse-key-id",
    "signature_version": "--signature",
    "thread_num": "--threads",
}
_PHRASES = {
    ", or give credentials= to Bucket": "",
    "make the same call again": "run the same command again",
    "abort_checkpoint": "`resumable abort FILE`",
    "abort_upload": "`resumable abort oss://BUCKET/KEY --upload-id ID`",
}
_OPTION = re.compile(r"\b([a-z][a-z0-9_]*)=(?:True\b|('[^']*'|\"[^\"]*\"))?")


def told(error: resumable.ResumableError) -> str:
    """All that an error says."""
    error.kept, error.advice = in_command_words(error.kept), in_command_words(error.advice)
    return str(error)


def in_command_words(text: str) -> str:
    """A sentence of the library for those who type commands."""
    for phrase, words in _PHRASES.items():
        text = text.replace(phrase, words)
    return _OPTION.sub(_option, text)


def _option(found: re.Match[str]) -> str:
    name, value = found[1], found[2]
    option = _OPTIONS.get(name, f"--{name.replace('_', '-')}")
    return f"{option} {value[1:-1]}" if value else option
