"""Validates manifests: Kubernetes' own kinds by its published schemas, custom resources by what their operators document.

The custom resources' schemas are ours, and name only what the chart may use: a field that they do not know is an error.
"""

from __future__ import annotations

import pathlib
import re
from typing import Any

import jsonschema
import kubernetes_validate
from chart import Manifest

Schema = dict[str, Any]


def versions() -> list[str]:
    """Releases of Kubernetes from the first that the chart supports to the newest, such as `1.29`."""
    folder = pathlib.Path(kubernetes_validate.__file__).parent / "kubernetes-json-schema"
    found = (re.fullmatch(r"v1\.(\d+)\.0-local-strict", path.name) for path in folder.iterdir())
    minors = sorted(int(match.group(1)) for match in found if match)
    return [f"1.{minor}" for minor in minors if 29 <= minor]


def _object(properties: Schema, *required: str) -> Schema:
    return {"type": "object", "additionalProperties": False, "properties": properties, "required": list(required)}


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items, "minItems": 1}


TEXT: Schema = {"type": "string", "minLength": 1}
NUMBER: Schema = {"type": "integer", "minimum": 0}
STRINGS: Schema = {"type": "object", "additionalProperties": {"type": "string"}}
DURATION: Schema = {"type": "string", "pattern": r"^(\d+(ms|s|m|h))+$"}
SELECTOR = _object({"matchLabels": STRINGS}, "matchLabels")
SECRET_KEY = _object({"name": TEXT, "key": TEXT}, "name", "key")

SPECS: dict[tuple[str, str], Schema] = {
    ("cert-manager.io/v1", "Certificate"): _object(
        {
            "secretName": TEXT,
            "duration": DURATION,
            "renewBefore": DURATION,
            "commonName": {"type": "string", "maxLength": 64},
            "dnsNames": _list(TEXT),
            "usages": _list({"enum": ["digital signature", "key encipherment", "server auth", "client auth"]}),
            "privateKey": _object({"algorithm": {"enum": ["ECDSA"]}, "size": {"enum": [256]}, "rotationPolicy": {"enum": ["Always"]}}),
            "issuerRef": _object({"group": TEXT, "kind": {"enum": ["Issuer", "ClusterIssuer"]}, "name": TEXT}, "name"),
        },
        "secretName", "issuerRef",
    ),
    ("monitoring.coreos.com/v1", "PrometheusRule"): _object(
        {"groups": _list(_object({"name": TEXT, "rules": _list(_object(
            {"alert": TEXT, "expr": TEXT, "for": DURATION, "labels": STRINGS, "annotations": STRINGS}, "alert", "expr"))}, "name", "rules"))},
        "groups",
    ),
}

OWN_GROUPS = ("", "apps", "batch", "policy", "autoscaling", "networking.k8s.io")


def validate(manifest: Manifest, version: str) -> None:
    """Raises an error that names the field."""
    group = manifest["apiVersion"].rpartition("/")[0]
    if group in OWN_GROUPS:
        kubernetes_validate.validate(manifest, version, strict=True)
        return
    known = SPECS[manifest["apiVersion"], manifest["kind"]]
    rest = {"apiVersion": TEXT, "kind": TEXT, "metadata": {"type": "object", "required": ["name", "namespace", "labels"]}}
    jsonschema.validate(manifest, _object({**rest, "spec": known}, "apiVersion", "kind", "metadata", "spec"))
