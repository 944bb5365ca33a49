"""What the machine draws: arguments of calls, points to die at, faults of the server."""

from typing import Any

from hypothesis import strategies as st

from tests.faults.state_machine_stage import SHORT_TIMEOUT, WRONG_ETAG, How, Trouble
from tests.support import PART

sizes = st.builds(
    lambda parts, more: max(0, parts * PART + more),
    st.sampled_from((0, 1, 2, 3, 3, 4, 5, 6)),
    st.sampled_from((0, 0, 1, -1, 17, PART // 2)),
)

hows = st.builds(
    lambda thread_num, sequential, **wishes: How(
        thread_num=1 if sequential else thread_num, sequential=sequential, **wishes
    ),
    thread_num=st.sampled_from((1, 1, 2, 4)),
    sequential=st.sampled_from((False,) * 7 + (True,)),
    part_size=st.sampled_from((PART, PART, PART, PART + 1000, 2 * PART)),
    enable_checkpoint=st.sampled_from((True, True, True, False)),
    content_md5=st.booleans(),
    metadata=st.sampled_from(({}, {}, {}, {}, {"tag": "1"}, {"tag": "2"})),
)

deaths = st.integers(1, 90)
# Who works at once: how many that live, and when another one dies, if it gets that far.
casts = st.tuples(st.sampled_from((0, 0, 0, 1, 1, 2)), deaths)

# What is refused for good, and after how many of them.
refusals = st.sampled_from(
    (
        *(("UploadPart", skip) for skip in range(6)),
        *[("CompleteMultipartUpload", 0)] * 3,
        ("InitiateMultipartUpload", 0),
    )
)

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
_GONE: dict[str, Any] = {"status": 404, "code": "NoSuchUpload"}
_EFFECTS: tuple[dict[str, Any], ...] = (
    *({"status": status} for status in (500, 502, 503)),
    {"status": 503, "code": "SlowDown", "headers": {"Retry-After": "1"}},
    {"status": 403, "code": "AccessDenied"},
    {"status": 400, "code": "InvalidPart"},
    {"status": 400, "code": "RequestTimeout", "early": True},
    _GONE,
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
    {"answer": {"headers": {"ETag": f'"{WRONG_ETAG}"'}}},
    {"answer": {"headers": {"ETag": None}}},
    {"answer": {"body": "<rubbish"}},
    {"answer": {"status": 500}},
    {"corrupt_body": True},
)
_STALL = 2 * SHORT_TIMEOUT
_STALLS: tuple[dict[str, Any], ...] = ({"stall": _STALL}, {"stall_answer": _STALL})


def _trouble(operation: str, effect: dict[str, Any], skip: int, times: int | None) -> Trouble:
    stalled = effect in _STALLS
    # Each try of an Initiate whose answer is lost may have begun an upload. Who is in a hurry may
    # lose any answer.
    may_lose = stalled or operation in ("InitiateMultipartUpload", "*")
    rule = {
        "operation": operation,
        "effect": effect,
        "skip": skip,
        "times": 1 if stalled else times,
    }
    return Trouble(
        any_error=True,
        lost_begins=9 if may_lose else 0,
        lies=operation == "*" and effect == _GONE,
        short_timeout=stalled,
        rules=(rule,),
    )


faults = st.builds(
    _trouble,
    st.sampled_from(_OPERATIONS),
    st.sampled_from((*_EFFECTS * 2, *_STALLS)),
    st.integers(0, 3),
    st.sampled_from((1, 1, 2, None)),
)

# Where something happens while a call is under way: at which request, and after how many of them.
meeting_points = st.sampled_from(
    (
        *(("UploadPart", skip) for skip in (0, 1, 1, 1, 2, 3)),
        *[("CompleteMultipartUpload", 0)] * 2,
        ("PutObject", 0),
        ("ListParts", 0),
    )
)
