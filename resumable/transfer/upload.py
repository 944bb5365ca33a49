"""`upload_file`: a file becomes an object, and a crash costs at most the parts in flight."""

import logging
import os
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from typing import Unpack

from resumable.core.arguments import suggesting, wrong_object
from resumable.core.headers import RoutedHeaders, route_headers
from resumable.core.plan import Plan, is_whole, make_plan, parse_part_size
from resumable.core.source_check import SOURCE_CHECKS, SourceCheck
from resumable.errors import InvalidArgumentError, LocalFileError
from resumable.oss.bucket import Bucket, check_bucket
from resumable.oss.endpoint import check_key
from resumable.oss.operations import check_upload_id
from resumable.oss.options import PutOptions, merge_options
from resumable.transfer.checkpoints import CheckpointFile, checkpoint_path_of
from resumable.transfer.course import UploadOptions
from resumable.transfer.naming import path_as_given
from resumable.transfer.progress import Meter, ProgressCallback
from resumable.transfer.results import UploadResult
from resumable.transfer.sending import Run, Wishes, cancelled
from resumable.transfer.source import SourceFile
from resumable.transfer.uploading import Upload

_log = logging.getLogger("resumable")

_MOST_THREADS = 256


@suggesting
def upload_file(  # noqa: PLR0913 - the face: the C SDK's parameters, each by its name
    bucket: Bucket,
    key: str,
    filename: str | os.PathLike[str],
    *,
    thread_num: int = 1,
    part_size: int | str | None = None,
    enable_checkpoint: bool = False,
    checkpoint_path: str | os.PathLike[str] | None = None,
    upload_id: str | None = None,
    sequential: bool = False,
    headers: Mapping[str, str] | None = None,
    progress: ProgressCallback | None = None,
    content_md5: bool = True,
    source_check: SourceCheck = "strict",
    cancel: threading.Event | None = None,
    **options: Unpack[PutOptions],
) -> UploadResult:
    """Upload a file, in parts where it is larger than one, and verify the object.

    When this returns, the object under `key` is the whole file: the CRC-64 combined from the
    bytes that were read here equals the server's (test_object_is_verified_by_combined_crc).
    With `enable_checkpoint`, a run that was killed at any moment is taken up by making the same
    call again; only parts that were in flight are sent again (tests/crash). A file that changes
    while it is sent is never mixed (test_source_changed_*).

    Without a checkpoint, an upload that fails is aborted at the server. With one, its parts are
    kept for the next run.

    Args:
        bucket: Where to.
        key: The object's key: 1 to 1,023 bytes of UTF-8.
        filename: A regular file of up to 48.8 TB.
        thread_num: Parts to send at once, 1 to 256.
        part_size: 102,400 (100 KB) to 5 GB, in bytes or as text such as `"8MiB"`. Default: 8 MiB,
            more for files over 40 GB. One that would need more than 10,000 parts is grown. On a
            resume the size the upload was begun with stays. The result tells which it was.
        enable_checkpoint: Keep `<filename>.cp` while the upload is under way.
        checkpoint_path: Where to keep it instead.
        upload_id: Go on with this multipart upload, of which nothing need be known here but its
            id: parts of it that are the file's are kept, the others sent. It is not aborted if
            this call fails. What Initiate would be given (metadata, …) cannot be changed any more.
        sequential: Parts go out in order, one at a time, and the object gets its MD5
            (Content-MD5 of downloads). Needs `thread_num=1`.
        headers: Raw headers of the object and of the requests; each goes to the calls that need
            it (`docs/reference/api.md`).
        progress: Called with a `Progress`, always from the calling thread, some ten times a
            second at most. What it raises stops the transfer, which can then be resumed.
        content_md5: Announce each part's MD5, so that the server itself refuses damaged bytes.
            Without it the CRC-64 is still compared, and a part is read once instead of twice.
        source_check: What tells that the file changed while it was sent, or since the run before.
            `strict`: its size, mtime, inode and ctime. `content`, where those never stand still:
            its size and its bytes, which are read once more before the object is made, and on a
            resume as well. `size`: its size alone; that nobody writes to it is your word.
        cancel: Set it from any thread to stop the transfer.
        options: `metadata`, `tags`, `storage_class`, `acl`, `callback`, `forbid_overwrite` and
            all others of `PutOptions`, each sent with the calls that need it.

    Raises:
        InvalidArgumentError, PartSizeError: the call cannot be carried out as written.
        LocalFileError: the file or the checkpoint cannot be read or written.
        CheckpointError: the checkpoint belongs to another transfer or a newer release, or
            another process works on it for another object.
        TransferLockedError: another process works on the same transfer.
        SourceChangedError: the file changed; nothing was completed.
        TransferCancelledError: `cancel` was set.
        NoSuchUploadError: there is no upload with `upload_id`, nor the object it would become.
        FileAlreadyExistsError: with `forbid_overwrite`; parts are kept as on any failure.
        CallbackFailedError: the object is stored, but the callback failed.
        NetworkError, ServerError, ProtocolError, IntegrityError: a request failed for good.
        TypeError: an argument is of a wrong type, or there is no such option.
    """
    began = time.monotonic()
    check_bucket(bucket)
    check_key(key)
    _check_types(enable_checkpoint, sequential, content_md5, progress, cancel)
    _check_threads(thread_num)
    routed = route_headers(merge_options(headers, options, PutOptions))
    path = path_as_given(filename)
    wish = None if part_size is None else parse_part_size(part_size)
    asked = UploadOptions(upload_id, wish, sequential, source_check)
    _check(asked, routed, thread_num)
    with SourceFile(path, _pause(cancel), source_check) as source:
        plan = _plan(source.size, wish)
        run = Run(bucket, Meter(source.size, progress), Wishes(thread_num, content_md5, cancel))
        file = _checkpoint_file(path, checkpoint_path) if enable_checkpoint else None
        if file is not None and plan.count == 1 and upload_id is None:
            # Nothing to resume, and nothing to keep: then no file is touched.
            file = file if file.has_left_something() else None
        upload = Upload(run, source, key, routed, asked, file)
        address = f"oss://{bucket.name}/{key}"
        with file.locked(address) if file is not None else nullcontext():
            made = upload.carry_out(plan)
    return upload.result(made, time.monotonic() - began)


def _plan(size: int, wish: int | None) -> Plan:
    plan = make_plan(size, wish)
    if wish is not None and plan.part_size != wish:
        _log.warning("part_size grown from %d to %d: 10,000 parts at most", wish, plan.part_size)
    return plan


def _pause(cancel: threading.Event | None) -> Callable[[float], None]:
    """How to wait, but no longer than until the caller cancels."""
    if cancel is None:
        return time.sleep

    def pause(seconds: float) -> None:
        if cancel.wait(seconds):
            raise cancelled()

    return pause


def _checkpoint_file(path: str, wish: str | os.PathLike[str] | None) -> CheckpointFile:
    file = CheckpointFile(checkpoint_path_of(path, wish))
    for side_file in file.side_files:
        if _is_same(side_file, path):
            raise InvalidArgumentError(
                f"the file to be uploaded has the name of {side_file!r}, which would be written",
                advice="Give another checkpoint_path=",
            )
    return file


def _is_same(side_file: str, path: str) -> bool:
    try:
        return os.path.samefile(side_file, path)
    except (FileNotFoundError, NotADirectoryError):  # of the source, opening it will tell
        return False
    except OSError as error:
        raise LocalFileError.of(error, "looking at", side_file) from None


def _check_types(
    enable_checkpoint: object,
    sequential: object,
    content_md5: object,
    progress: object,
    cancel: object,
) -> None:
    flags = {
        "enable_checkpoint": enable_checkpoint,
        "sequential": sequential,
        "content_md5": content_md5,
    }
    for name, value in flags.items():
        if not isinstance(value, bool):
            raise wrong_object(name, value, "True or False")
    if progress is not None and not callable(progress):
        raise wrong_object("progress", progress, "a callable that takes a Progress")
    if cancel is not None and not hasattr(cancel, "is_set"):
        raise wrong_object("cancel", cancel, "a threading.Event")


def _check_threads(thread_num: object) -> None:
    if not is_whole(thread_num, 1, _MOST_THREADS):
        raise InvalidArgumentError(f"thread_num {thread_num!r} is not 1 to {_MOST_THREADS}")


def _check(options: UploadOptions, headers: RoutedHeaders, thread_num: int) -> None:
    if options.source_check not in SOURCE_CHECKS:
        raise InvalidArgumentError(
            f"source_check {options.source_check!r} is none of {', '.join(SOURCE_CHECKS)}"
        )
    if options.sequential and thread_num != 1:
        raise InvalidArgumentError("sequential parts go one after another: thread_num must be 1")
    if options.upload_id is None:
        return
    check_upload_id(options.upload_id)
    if headers.owned:
        raise InvalidArgumentError(
            f"{', '.join(sorted(headers.owned))}: what upload {options.upload_id} will become was "
            "said when it was begun",
            advice="Leave these out, or upload without upload_id=",
        )
