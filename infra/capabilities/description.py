"""The metadata of a study's series, made when a version is closed and before anybody asks for it."""

from typing import Final

from constructs import Construct

from firstread.storage import METADATA_PREFIX
from infra.capabilities.access import READ, read_objects, use_table, write_objects
from infra.capabilities.container import function_image
from infra.capabilities.function import Function, Size
from infra.capabilities.queues import WorkQueue
from infra.capabilities.store import Store
from infra.capabilities.wiring import queue_to_function

# The headers of a series are in memory until its document is written.
_SIZE: Final = Size(memory=2048, seconds=300)
_AT_ONCE: Final = 30


class Description(Construct):
    """`describe_series` makes the documents that DICOMweb answers with.

    Attributes
    ----------
    requests
        Queue of study versions that were closed.
    """

    def __init__(self, scope: Construct, construct_id: str, *, store: Store) -> None:
        super().__init__(scope, construct_id)
        key, buckets = store.keys.data, store.buckets
        self.requests = WorkQueue(self, "Requests", key=key, visibility=_SIZE.visibility)
        describe = Function(
            self,
            "DescribeSeries",
            name="describe_series",
            # The decoders: an MR image without a window is decoded for its range.
            code=function_image("describe_series"),
            key=key,
            size=_SIZE,
            environment={
                "INSTANCES_TABLE": store.tables.instances.table_name,
                "STUDIES_BUCKET": buckets.studies.bucket_name,
                "RESULTS_BUCKET": buckets.results.bucket_name,
            },
        )
        # One version at a time: a large study may need all the time and memory that the function has.
        queue_to_function(self.requests, describe, batch=1, at_once=_AT_ONCE)
        use_table(describe.role, store.tables.instances, *READ)
        read_objects(describe.role, buckets.studies, listing=False)
        # With listing, so that S3 says of a document that is not made yet that it is not there.
        read_objects(describe.role, buckets.results, below=METADATA_PREFIX)
        write_objects(describe.role, buckets.results, below=METADATA_PREFIX)
