"""Planning the largest upload there is: `upload_wall` is the time of that alone."""

from resumable.core.plan import MAX_OBJECT_SIZE, MAX_PARTS, make_plan
from tests.bench.clients.child import Job, run


def plan(_job: Job) -> None:
    """Cut 48.8 TB into parts."""
    assert len(list(make_plan(MAX_OBJECT_SIZE))) == MAX_PARTS


if __name__ == "__main__":
    run({"plan": plan})
