"""The table of operations: a name, and the function that performs it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from resumable.server import copying, listings, multipart, objects
from resumable.server.messages import Answer, Request
from resumable.server.store import Store

Operation = Callable[[Request, Store], Answer]

OPERATIONS: Mapping[str, Operation] = {
    "AbortMultipartUpload": multipart.abort,
    "CompleteMultipartUpload": multipart.complete,
    "CopyObject": copying.copy_object,
    "DeleteObject": objects.delete_object,
    "GetBucketLocation": objects.get_bucket_location,
    "GetObject": objects.get_object,
    "GetObjectAcl": objects.get_object_acl,
    "GetObjectTagging": objects.get_object_tagging,
    "HeadObject": objects.head_object,
    "InitiateMultipartUpload": multipart.initiate,
    "ListMultipartUploads": listings.list_multipart_uploads,
    "ListObjects": listings.list_objects,
    "ListObjectsV2": listings.list_objects_v2,
    "ListParts": listings.list_parts,
    "PutBucket": objects.put_bucket,
    "PutObject": objects.put_object,
    "UploadPart": multipart.upload_part,
    "UploadPartCopy": copying.upload_part_copy,
}
