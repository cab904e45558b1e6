"""Security rules at synthesis: cdk-nag, and the one way to accept a finding."""

from typing import Final

from aws_cdk import App, Validations
from cdk_nag import AwsSolutionsChecks, HIPAASecurityChecks
from constructs import IConstruct

AWS_SOLUTIONS: Final = "AwsSolutions"
HIPAA: Final = "HIPAA.Security"
_SHORTEST_REASON: Final = 30


def guard(app: App) -> None:
    """Make synthesis fail on every finding of the AwsSolutions and HIPAA.Security packs that nobody acknowledged."""
    Validations.of(app).add_plugins(
        AwsSolutionsChecks(app, write_suppressions_to_cloud_formation=True),
        HIPAASecurityChecks(app, write_suppressions_to_cloud_formation=True),
    )


def acknowledge(construct: IConstruct, *rules: str, reason: str, pack: str = AWS_SOLUTIONS) -> None:
    """Accept findings below a construct, with the reason that a security reviewer reads in the template.

    Parameters
    ----------
    construct
        The narrowest construct that has the finding.
    rules
        Rule ids such as ``SQS3``, or one finding of a rule such as ``IAM5[Resource::*]``.
    reason
        Why the finding is acceptable here.
    pack
        Whose rules they are.
    """
    if len(reason) < _SHORTEST_REASON:
        message = f"a reason that can be reviewed, please: {reason!r}"
        raise ValueError(message)
    # Validations.acknowledge() would write the same, but refuses the '::' that ids of IAM5 findings have.
    construct.node.add_metadata(
        Validations.ACKNOWLEDGED_RULES_METADATA_KEY, {f"{pack}-{rule}": reason for rule in rules}
    )
