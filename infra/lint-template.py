"""Lints template.yaml and the templates nested in it, as CloudFormation will see them.

`sam validate --lint` looks at the template before the SAM transform, where many mistakes cannot be seen yet.
Here the transform is carried out first, without an AWS account, and its result is linted, with each nested template
beside it: what is given to one must be what it asks for.

    python infra/lint-template.py TEMPLATE EXPANDED    (needs aws-sam-translator and cfn-lint)

Writes the expanded template to EXPANDED; exits with what cfn-lint says, warnings included.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")  # the transform asks for one; nothing is called

from samtranslator.translator.transform import transform  # noqa: E402
from samtranslator.yaml_helper import yaml_parse  # noqa: E402

# What `sam package` puts in place of a local folder.
UPLOADED = "s3://bucket/key"
LOCAL_FOLDERS = {"AWS::Serverless::Function": "CodeUri", "AWS::Serverless::LayerVersion": "ContentUri"}

# Says that a nested template is a local file, which `sam package` uploads.
LOCAL_TEMPLATE = "W3002"


class NoManagedPolicies:
    """Our template names none, so none has to be looked up at AWS."""

    def load(self):
        return {}


def expand(template: Path) -> tuple[dict, list[Path]]:
    """The template after the SAM transform, with parameters at their defaults where the transform must know them; and
    the templates nested in it, which need no transform."""
    sam = yaml_parse(template.read_text(encoding="utf-8"))
    nested = set()
    for resource in sam["Resources"].values():
        if folder := LOCAL_FOLDERS.get(resource["Type"]):
            resource["Properties"][folder] = UPLOADED
        if resource["Type"] == "AWS::Serverless::Function":
            resource.pop("Metadata", None)  # build instructions, spent by `sam build`
        if resource["Type"] == "AWS::CloudFormation::Stack":
            path = template.parent / resource["Properties"]["TemplateURL"]
            resource["Properties"]["TemplateURL"] = str(path.resolve())  # found from wherever EXPANDED lies
            nested.add(path)
    return transform(sam, {}, NoManagedPolicies()), sorted(nested)


def main() -> int:
    template, expanded = Path(sys.argv[1]), Path(sys.argv[2])
    whole, nested = expand(template)
    expanded.write_text(json.dumps(whole, indent=1, default=str), encoding="utf-8")
    lint = Path(sys.executable).with_name("cfn-lint")
    command = [lint, "--format", "pretty", "--ignore-checks", LOCAL_TEMPLATE, "--", expanded, *nested]
    return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
