"""Validates manifests: Kubernetes' own kinds by its published schemas, custom resources by what their operators document.

The custom resources' schemas are ours, and name only what the chart may use: a field that they do not know is an error.
"""

from __future__ import annotations

import json
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

SCALING_POLICY = _object({"type": {"enum": ["Pods"]}, "value": NUMBER, "periodSeconds": {"type": "integer", "minimum": 1, "maximum": 1800}}, "type", "value", "periodSeconds")
SCALING_RULES = _object(
    {"stabilizationWindowSeconds": {"type": "integer", "minimum": 0, "maximum": 3600}, "selectPolicy": {"enum": ["Max", "Min"]}, "policies": _list(SCALING_POLICY)},
    "policies",
)

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
    ("kafka.strimzi.io/v1beta2", "KafkaTopic"): _object(
        {"topicName": TEXT, "partitions": NUMBER, "replicas": NUMBER, "config": {"type": "object"}}, "topicName", "partitions", "replicas",
    ),
    ("kafka.strimzi.io/v1beta2", "KafkaUser"): _object(
        {
            "authentication": _object({"type": {"enum": ["tls", "scram-sha-512"]}}, "type"),
            "authorization": _object({"type": {"enum": ["simple"]}, "acls": _list(_object({
                "resource": _object({"type": {"enum": ["topic", "group", "transactionalId"]}, "name": TEXT, "patternType": {"enum": ["literal", "prefix"]}}, "type", "name", "patternType"),
                "operations": _list({"enum": ["Read", "Write", "Create", "Delete", "Describe", "DescribeConfigs"]}),
            }, "resource", "operations"))}, "type", "acls"),
        },
        "authentication", "authorization",
    ),
    ("monitoring.coreos.com/v1", "PrometheusRule"): _object(
        {"groups": _list(_object({"name": TEXT, "rules": _list(_object(
            {"alert": TEXT, "expr": TEXT, "for": DURATION, "labels": STRINGS, "annotations": STRINGS}, "alert", "expr"))}, "name", "rules"))},
        "groups",
    ),
    ("monitoring.coreos.com/v1", "PodMonitor"): _object(
        {
            "jobLabel": TEXT,
            "podTargetLabels": _list(TEXT),
            "selector": SELECTOR,
            "podMetricsEndpoints": _list(_object({
                "port": TEXT, "path": TEXT, "interval": DURATION, "scrapeTimeout": DURATION,
                "authorization": _object({"type": {"enum": ["Bearer"]}, "credentials": SECRET_KEY}, "credentials"),
            }, "port")),
        },
        "selector", "podMetricsEndpoints",
    ),
    ("keda.sh/v1alpha1", "TriggerAuthentication"): _object(
        {"secretTargetRef": _list(_object({"parameter": {"enum": ["caCert", "tlsClientCert", "tlsClientKey"]}, "name": TEXT, "key": TEXT}, "parameter", "name", "key"))},
        "secretTargetRef",
    ),
    ("keda.sh/v1alpha1", "ScaledObject"): _object(
        {
            "scaleTargetRef": _object({"apiVersion": TEXT, "kind": TEXT, "name": TEXT}, "name"),
            "pollingInterval": NUMBER,
            "minReplicaCount": NUMBER,
            "maxReplicaCount": NUMBER,
            "fallback": _object({"failureThreshold": NUMBER, "replicas": NUMBER}, "failureThreshold", "replicas"),
            "advanced": _object({"horizontalPodAutoscalerConfig": _object({"behavior": _object({"scaleUp": SCALING_RULES, "scaleDown": SCALING_RULES})})}),
            "triggers": _list(_object({
                "type": {"enum": ["external"]},
                # A fallback works with this type only.
                "metricType": {"enum": ["AverageValue"]},
                # Values of a trigger are texts.
                "metadata": _object({"scalerAddress": TEXT, "enableTLS": {"enum": ["true"]}}, "scalerAddress"),
                "authenticationRef": _object({"name": TEXT}, "name"),
            }, "type", "metadata")),
        },
        "scaleTargetRef", "triggers",
    ),
}

OWN_GROUPS = ("", "apps", "batch", "policy", "autoscaling", "networking.k8s.io")


# What was valid already: modes have most of their manifests in common.
_valid: set[str] = set()


def validate(manifest: Manifest, version: str) -> None:
    """Raises an error that names the field."""
    key = json.dumps([version, manifest], sort_keys=True)
    if key not in _valid:
        _validate(manifest, version)
        _valid.add(key)


def _validate(manifest: Manifest, version: str) -> None:
    group = manifest["apiVersion"].rpartition("/")[0]
    if group in OWN_GROUPS:
        kubernetes_validate.validate(manifest, version, strict=True)
        return
    known = SPECS[manifest["apiVersion"], manifest["kind"]]
    rest = {"apiVersion": TEXT, "kind": TEXT, "metadata": {"type": "object", "required": ["name", "namespace", "labels"]}}
    jsonschema.validate(manifest, _object({**rest, "spec": known}, "apiVersion", "kind", "metadata", "spec"))
