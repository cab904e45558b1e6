"""Create or update the local stacks in the engine, as the CDK command line would in an account."""

import io
import re
import time
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import ClientError

from firstread.local.home import LocalError
from firstread.local.template import Asset, Template

_BOOTSTRAP_PARAMETER = "/cdk-bootstrap/hnb659fds/version"  # checked by every template of the CDK
_TEMPLATES = "firstread-templates"
_DONE = re.compile(r"_COMPLETE$")
_FAILED = re.compile(r"FAILED|ROLLBACK")


class Deployer:
    """Creates stacks.

    Parameters
    ----------
    session
        A session that points at the engine (the environment must name its endpoint).

    Attributes
    ----------
    changed
        Whether a stack was created or updated.
    """

    def __init__(self, session: boto3.Session | None = None) -> None:
        session = session or boto3.Session()
        self._cloudformation: Any = session.client("cloudformation")
        self._s3: Any = session.client("s3")
        self._ssm: Any = session.client("ssm")
        self._account: str = session.client("sts").get_caller_identity()["Account"]
        self._region: str = session.region_name
        self.changed = False

    def deploy(self, templates: Iterable[Template]) -> dict[str, str]:
        """Create each stack, or update it where its template changed, and return all outputs.

        Raises
        ------
        LocalError
            If the engine could not create a stack; says which resource and why.
        """
        outputs: dict[str, str] = {}
        self._bootstrap()
        for template in templates:
            for asset in template.assets:
                self._upload(asset)
            self._stack(template)
            outputs |= self._outputs(template.stack)
        return outputs

    def _bootstrap(self) -> None:
        self._ssm.put_parameter(Name=_BOOTSTRAP_PARAMETER, Value="30", Type="String", Overwrite=True)

    def _upload(self, asset: Asset) -> None:
        self._put(self._substituted(asset.bucket), self._substituted(asset.key), _zipped(asset.source))

    def _uploaded(self, template: Template) -> str:
        key = f"{template.stack}/{template.digest()}.json"
        self._put(_TEMPLATES, key, template.text().encode())
        return f"{self._s3.meta.endpoint_url}/{_TEMPLATES}/{key}"

    def _put(self, bucket: str, key: str, body: bytes) -> None:
        try:
            self._s3.head_bucket(Bucket=bucket)
        except ClientError:
            self._s3.create_bucket(Bucket=bucket)
        self._s3.put_object(Bucket=bucket, Key=key, Body=body)

    def _substituted(self, text: str) -> str:
        return text.replace("${AWS::AccountId}", self._account).replace("${AWS::Region}", self._region)

    def _stack(self, template: Template) -> None:
        parameter = f"/firstread/local/{template.stack}"  # in the engine, so that it is lost with the stack
        known = self._status(template.stack)
        if known is not None and self._parameter(parameter) == template.digest():
            return  # an update that changes nothing is an error
        arguments = {
            "StackName": template.stack,
            "TemplateURL": self._uploaded(template),  # a call carries 51 200 bytes, an object a megabyte
            "Capabilities": ["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM"],
        }
        if known is None:
            self._cloudformation.create_stack(**arguments)
        else:
            self._cloudformation.update_stack(**arguments)
        self.changed = True
        self._wait(template.stack)
        self._ssm.put_parameter(Name=parameter, Value=template.digest(), Type="String", Overwrite=True)

    def _parameter(self, name: str) -> str | None:
        try:
            value: str = self._ssm.get_parameter(Name=name)["Parameter"]["Value"]
        except ClientError:
            return None
        return value

    def _status(self, stack: str) -> str | None:
        try:
            status: str = self._cloudformation.describe_stacks(StackName=stack)["Stacks"][0]["StackStatus"]
        except ClientError:
            return None
        return None if status == "DELETE_COMPLETE" else status

    def _wait(self, stack: str, seconds: float = 120) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            status = self._status(stack) or ""
            if _FAILED.search(status):
                raise LocalError(f"stack {stack}: {status}: {self._first_failure(stack)}")
            if _DONE.search(status):
                return
            time.sleep(0.1)
        raise LocalError(f"stack {stack} was not ready in {seconds:.0f} s")

    def _first_failure(self, stack: str) -> str:
        events = self._cloudformation.describe_stack_events(StackName=stack)["StackEvents"]
        failed = [event for event in events if "FAILED" in event.get("ResourceStatus", "")]
        if not failed:
            return "no resource named"
        last = failed[-1]
        return f"{last.get('LogicalResourceId')} {last.get('ResourceStatusReason', '')}"

    def _outputs(self, stack: str) -> dict[str, str]:
        found = self._cloudformation.describe_stacks(StackName=stack)["Stacks"][0].get("Outputs", [])
        return {each["OutputKey"]: each["OutputValue"] for each in found}


def _zipped(folder: Path) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                archive.writestr(zipfile.ZipInfo(str(path.relative_to(folder))), path.read_bytes())
    return target.getvalue()
