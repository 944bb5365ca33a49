"""What the machine draws: arguments of calls, points to die at, faults of the server."""

from typing import Any

from hypothesis import strategies as st

from tests.faults.state_machine_stage import How, Trouble
from tests.support import PART

sizes = st.builds(
    lambda parts, more: max(0, parts * PART + more),
    st.integers(0, 6),
    st.sampled_from((0, 0, 1, -1, 17, PART // 2)),
)

_calls = st.builds(
    How,
    thread_num=st.sampled_from((1, 1, 2, 4)),
    part_size=st.sampled_from((PART, PART, PART, PART + 1000, 2 * PART)),
    enable_checkpoint=st.sampled_from((True, True, True, False)),
    content_md5=st.booleans(),
    metadata=st.sampled_from(({}, {}, {}, {"tag": "1"}, {"tag": "2"})),
)
_sequential = st.builds(How, sequential=st.just(True))
hows = st.one_of(_calls, _calls, _calls, _calls, _sequential)

deaths = st.integers(1, 90)

_OPERATIONS = (
    "InitiateMultipartUpload",
    "UploadPart",
    "ListParts",
    "CompleteMultipartUpload",
    "AbortMultipartUpload",
    "HeadObject",
    "PutObject",
    "*",
)
_EFFECTS: tuple[dict[str, Any], ...] = (
    *({"status": status} for status in (500, 502, 503)),
    {"status": 503, "code": "SlowDown", "headers": {"Retry-After": "1"}},
    {"status": 403, "code": "AccessDenied"},
    {"status": 400, "code": "InvalidPart"},
    {"status": 400, "code": "RequestTimeout", "early": True},
    {"status": 404, "code": "NoSuchUpload"},
    {"status": 200, "body": "none"},
    *(
        {"drop": at, "reset": reset}
        for at in ("before", "during_body", "after_body", "after_success", "during_answer")
        for reset in (False, True)
    ),
    {"stall": 0.02},
    {"stall_answer": 0.02},
    {"answer": {"headers": {"x-oss-hash-crc64ecma": "1"}}},
    {"answer": {"headers": {"x-oss-hash-crc64ecma": None}}},
    {"answer": {"headers": {"ETag": '"0123456789ABCDEF0123456789ABCDEF"'}}},
    {"answer": {"headers": {"ETag": None}}},
    {"answer": {"body": "<rubbish"}},
    {"answer": {"status": 500}},
    {"corrupt_body": True},
)
_STALLS: tuple[dict[str, Any], ...] = ({"stall": 0.8}, {"stall_answer": 0.8})


def _trouble(operation: str, effect: dict[str, Any], skip: int, times: int | None) -> Trouble:
    stalled = effect in _STALLS
    begins = operation in ("InitiateMultipartUpload", "*")
    rule = {
        "operation": operation,
        "effect": effect,
        "skip": skip,
        "times": 1 if stalled else times,
    }
    # Each try of an Initiate whose answer is lost may have begun an upload.
    return Trouble(
        any_error=True,
        lost_begins=9 if begins else 0,
        short_timeout=stalled,
        rules=(rule,),
    )


faults = st.builds(
    _trouble,
    st.sampled_from(_OPERATIONS),
    st.one_of(*[st.sampled_from(_EFFECTS)] * 20, st.sampled_from(_STALLS)),
    st.integers(0, 3),
    st.sampled_from((1, 1, 2, None)),
)

# Where the file is changed while a call is under way.
meeting_points = st.builds(
    lambda operation, skip: {"operation": operation, "skip": skip},
    st.sampled_from(
        ("UploadPart", "UploadPart", "CompleteMultipartUpload", "PutObject", "ListParts")
    ),
    st.integers(0, 3),
)
