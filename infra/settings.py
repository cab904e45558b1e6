"""The names that join stacks and programs, written once.

A setting is a stack output in the template (``IngestQueueUrl``) and an environment variable in a program
(``FIRSTREAD_INGEST_QUEUE_URL``). Whoever starts a program outside AWS needs no list but the outputs.
"""

import re
from enum import Enum, unique
from typing import Final

ENV_PREFIX: Final = "FIRSTREAD_"


def env_name(output_id: str) -> str:
    """Return the environment variable that carries a stack output.

    Parameters
    ----------
    output_id
        Logical id of the output, in PascalCase.

    Examples
    --------
    >>> env_name("IngestQueueUrl")
    'FIRSTREAD_INGEST_QUEUE_URL'
    """
    return ENV_PREFIX + re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", output_id).upper()


@unique
class Setting(Enum):
    """Everything the programs are told about the account; the value is the stack output's logical id."""

    INCOMING_BUCKET = "IncomingBucket"
    STUDIES_BUCKET = "StudiesBucket"
    RESULTS_BUCKET = "ResultsBucket"
    MODELS_BUCKET = "ModelsBucket"
    AUDIT_BUCKET = "AuditBucket"
    LEDGER_TABLE = "LedgerTable"
    INSTANCES_TABLE = "InstancesTable"
    STUDIES_TABLE = "StudiesTable"
    RESULTS_TABLE = "ResultsTable"
    ALERTS_TABLE = "AlertsTable"
    OUTBOX_TABLE = "OutboxTable"
    MODELS_TABLE = "ModelsTable"
    BATCHES_TABLE = "BatchesTable"
    ORDERS_TABLE = "OrdersTable"
    REVIEWS_TABLE = "ReviewsTable"
    SESSIONS_TABLE = "SessionsTable"
    TEACHING_TABLE = "TeachingTable"
    AUDIT_TABLE = "AuditTable"
    VAULT_TABLE = "VaultTable"
    VAULT_KEY_ID = "VaultKeyId"
    REFERENCE_KEY_ID = "ReferenceKeyId"
    INGEST_URGENT_QUEUE_URL = "IngestUrgentQueueUrl"
    INGEST_URGENT_DLQ_URL = "IngestUrgentDlqUrl"
    INGEST_QUEUE_URL = "IngestQueueUrl"
    INGEST_DLQ_URL = "IngestDlqUrl"
    INGEST_BULK_QUEUE_URL = "IngestBulkQueueUrl"
    INGEST_BULK_DLQ_URL = "IngestBulkDlqUrl"
    FEEDS_QUEUE_URL = "FeedsQueueUrl"
    FEEDS_DLQ_URL = "FeedsDlqUrl"
    HINTS_QUEUE_URL = "HintsQueueUrl"
    HINTS_DLQ_URL = "HintsDlqUrl"
    CLEAN_PIXELS_QUEUE_URL = "CleanPixelsQueueUrl"
    CLEAN_PIXELS_DLQ_URL = "CleanPixelsDlqUrl"
    QUIET_TIMER_QUEUE_URL = "QuietTimerQueueUrl"
    QUIET_TIMER_DLQ_URL = "QuietTimerDlqUrl"
    DESCRIBE_SERIES_QUEUE_URL = "DescribeSeriesQueueUrl"
    DESCRIBE_SERIES_DLQ_URL = "DescribeSeriesDlqUrl"
    ANALYZE_URGENT_QUEUE_URL = "AnalyzeUrgentQueueUrl"
    ANALYZE_URGENT_DLQ_URL = "AnalyzeUrgentDlqUrl"
    ANALYZE_QUEUE_URL = "AnalyzeQueueUrl"
    ANALYZE_DLQ_URL = "AnalyzeDlqUrl"
    RESULTS_QUEUE_URL = "ResultsQueueUrl"
    RESULTS_DLQ_URL = "ResultsDlqUrl"
    ESCALATIONS_QUEUE_URL = "EscalationsQueueUrl"
    ESCALATIONS_DLQ_URL = "EscalationsDlqUrl"
    GATHER_DLQ_URL = "GatherDlqUrl"
    DELIVER_DLQ_URL = "DeliverDlqUrl"
    EVENT_BUS = "EventBus"
    ALERT_TOPIC_ARN = "AlertTopicArn"

    @property
    def output_id(self) -> str:
        """Logical id of the stack output."""
        return self.value

    @property
    def env(self) -> str:
        """Name of the environment variable."""
        return env_name(self.value)
