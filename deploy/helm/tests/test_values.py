"""The schema of the values is complete and strict, and a wrong value is refused with its path and what is allowed."""

from __future__ import annotations

import json
import unittest
from collections.abc import Iterator
from typing import Any

import readme
import yaml
from chart import CERT_MANAGER, CHART, MINIMAL, Refused, Values, merged, render

SCHEMA: dict[str, Any] = json.loads((CHART / "values.schema.json").read_text())
DEFAULTS: Values = yaml.safe_load((CHART / "values.yaml").read_text())

# Parts of Kubernetes' own types, which the API server checks.
FREE = {
    "global", "podSecurityContext", "securityContext", "extraObjects[]", "affinity.nodeAffinity", "affinity.podAffinity", "affinity.podAntiAffinity",
    "resources.claims[]", "topologySpreadConstraints[]", "extraEnv[].valueFrom", "extraEnvFrom[].configMapRef", "extraEnvFrom[].secretRef",
    "extraVolumes[]", "podSelector", "namespaceSelector", "ipBlock", "networkPolicy.extraEgress[].ports[]", "extraVolumeMounts[]", "extraInitContainers[]", "extraContainers[]",
}

# Values, and all that the message has to contain.
WRONG: list[tuple[Values, list[str]]] = [
    ({"kafka": {"bootstrapServers": ""}}, ["kafka.bootstrapServers: is required", "kafka.kafka:9093"]),
    ({"kafka": {"bootstrapServers": "kafka"}}, ["/kafka/bootstrapServers", "does not match pattern"]),
    ({"kafka": {"securityProtocol": "TLS"}}, ["/kafka/securityProtocol", "'SSL', 'SASL_SSL', 'PLAINTEXT', 'SASL_PLAINTEXT'"]),
    ({"kafka": {"securityProtocol": "SASL_SSL"}}, ["kafka.sasl.username: is required", "kafka.sasl.existingSecret: is required"]),
    ({"kafka": {"securityProtocol": "PLAINTEXT", "tls": {"caSecret": "ca"}}}, ["kafka.tls.caSecret: must be empty", "`SSL` or `SASL_SSL`"]),
    ({"kafka": {"properties": {"sasl.password": "secret"}}}, ["kafka.properties.sasl.password: is a secret", "@/path/of/the/file"]),
    ({"auth": {"existingSecret": ""}}, ["auth.existingSecret: is required", "docs/kubernetes.md"]),
    ({"auth": {"token": "secret"}}, ["/auth", "'token' not allowed"]),
    ({"tls": {"existingSecret": ""}}, ["tls.existingSecret: is required", "tls.certManager.enabled"]),
    ({"tls": {"certManager": {"enabled": True, "issuerName": "ca"}}}, ["tls.existingSecret: must be empty"]),
    ({"tls": {"existingSecret": "", "certManager": {"enabled": True}}}, ["tls.certManager.issuerName: is required", "ClusterIssuer"]),
    ({"tls": {"certManager": {"issuerKind": "Vault"}}}, ["/tls/certManager/issuerKind", "'Issuer', 'ClusterIssuer'"]),
    ({"tls": {"client": {"enabled": True}}}, ["tls.client.existingSecret: is required"]),
    ({"tls": {"enabled": False}}, ["/tls", "'enabled' not allowed"]),
    ({"workers": {"slots": 0}}, ["/workers/slots", "got 0, want 1"]),
    ({"workers": {"slots": "2"}}, ["/workers/slots", "got string, want integer"]),
    ({"workers": {"graceSeconds": 60, "terminationGracePeriodSeconds": 60}}, ["workers.terminationGracePeriodSeconds: `60` is too short", "at least 65"]),
    ({"workers": {"maxSurge": 0}}, ["workers.maxSurge: must not be 0"]),
    ({"workers": {"labels": {"zone": "a"}, "zoneFromPodLabel": True}}, ["workers.labels.zone"]),
    ({"workers": {"podAntiAffinity": "maybe"}}, ["/workers/podAntiAffinity", "'soft', 'hard', 'none'"]),
    ({"workers": {"podLabels": {"app.kubernetes.io/name": "x"}}}, ["/workers/podLabels/app.kubernetes.io~1name"]),
    ({"workers": {"extraEnv": [{"value": "x"}]}}, ["/workers/extraEnv/0", "missing property 'name'"]),
    ({"workers": {"resources": {"limits": {"memory": "3 GB"}}}}, ["/workers/resources/limits/memory", "does not match pattern"]),
    ({"worker": {"replicas": 3}}, ["'worker' not allowed"]),
    ({"coordinator": {"replicas": 0}}, ["/coordinator/replicas", "got 0, want 1"]),
    ({"coordinator": {"leaseTimeout": "ten seconds"}}, ["/coordinator/leaseTimeout", "does not match pattern"]),
    ({"coordinator": {"allowedVariables": ["KAFKA_PASSWORD"]}}, ["/coordinator/allowedVariables/0", "^(env|file):"]),
    ({"coordinator": {"serviceType": "Ingress"}}, ["/coordinator/serviceType", "'ClusterIP', 'LoadBalancer', 'NodePort'"]),
    ({"image": {"digest": "0123"}}, ["/image/digest", "sha256"]),
    ({"image": {"pullPolicy": "always"}}, ["/image/pullPolicy", "'Always', 'IfNotPresent', 'Never'"]),
    ({"kafka": {"properties": {"Fetch": 1}}}, ["/kafka/properties", "'Fetch' not allowed"]),
    ({"workers": {"labels": {"a b": "c"}}}, ["/workers/labels", "'a b' not allowed"]),
    ({"autoscaling": {"mode": "external"}}, ["/autoscaling/mode", "'none', 'cpu', 'keda'"]),
    ({"autoscaling": {"mode": "keda"}}, ["tls.client.enabled: must be true"]),
    ({"autoscaling": {"minReplicas": 5, "maxReplicas": 4}}, ["autoscaling.maxReplicas: `4`", "which is 5"]),
    ({"autoscaling": {"mode": "cpu"}, "workers": {"resources": {"requests": {"cpu": None}}}}, ["workers.resources.requests.cpu: is required"]),
    ({"autoscaling": {"mode": "cpu", "scaleDown": {"pods": 9}}}, ["autoscaling.scaleDown: must not be faster"]),
    ({"networkPolicy": {"prometheus": [{"namespace": "monitoring"}]}}, ["/networkPolicy/prometheus/0", "'namespace' not allowed"]),
    ({"networkPolicy": {"kafka": {"ports": ["kafka"]}}}, ["/networkPolicy/kafka/ports/0", "want integer"]),
    ({"coordinator": {"leaseTimeout": "1s"}}, ["coordinator.leaseTimeout: `1s` must be at least twice coordinator.heartbeat, which is `1s`"]),
    ({"coordinator": {"leaseTimeout": "1m1s", "heartbeat": "30s501ms"}}, ["coordinator.leaseTimeout: `1m1s`"]),
    ({"coordinator": {"heartbeat": "0s"}}, ["must not be 0"]),
    ({"pipelines": [{"name": "a"}]}, ["/pipelines/0", "missing property 'sql'"]),
    ({"pipelines": [{"name": "a b", "sql": "SELECT 1"}]}, ["/pipelines/0/name", "does not match pattern"]),
    ({"pipelines": [{"name": "a", "sql": "SELECT 1"}, {"name": "a", "sql": "SELECT 2"}]}, ["pipelines[1].name: `a` is there twice"]),
    ({"minerTest": {"enabled": True, "flows": "flows"}}, ["minerTest.verdicts: is required"]),
    ({"minerTest": {"speed": 0.5}}, ["/minerTest/speed", "minimum"]),
    ({"strimzi": {"enabled": True}}, ["strimzi.cluster: is required"]),
    ({"strimzi": {"topics": [{"name": "a", "partitions": 1, "replicas": 1, "access": "all"}]}}, ["/strimzi/topics/0/access", "'read', 'write', 'both'"]),
    ({"metrics": {"podMonitor": {"interval": 15}}}, ["/metrics/podMonitor/interval", "want string"]),
    ({"log": {"format": "logfmt"}}, ["/log/format", "'json', 'text'"]),
]


def resolved(schema: dict[str, Any]) -> dict[str, Any]:
    reference = schema.get("$ref")
    return SCHEMA["$defs"][reference.rpartition("/")[2]] if reference else schema


def objects(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """All schemas of objects below one, with their paths."""
    schema = resolved(schema)
    for part in schema.get("anyOf", []):
        yield from objects(part, path)
    if "object" in schema.get("type", ""):
        yield path, schema
    for name, part in schema.get("properties", {}).items():
        if part is not False:
            yield from objects(part, f"{path}.{name}".lstrip("."))
    if isinstance(schema.get("additionalProperties"), dict):
        yield from objects(schema["additionalProperties"], f"{path}.*")
    if "items" in schema:
        yield from objects(schema["items"], f"{path}[]")


def is_free(path: str) -> bool:
    return path in FREE or any(path.endswith(f".{free}") for free in FREE)


def missing_defaults(schema: dict[str, Any], values: Any, path: str = "") -> list[str]:
    """Properties of the schema that values.yaml does not name."""
    schema = resolved(schema)
    if not isinstance(values, dict) or not values:
        return []
    found = []
    for name, part in schema.get("properties", {}).items():
        below = f"{path}.{name}".lstrip(".")
        if name in values:
            found += missing_defaults(part, values[name], below)
        elif part is not False and (path not in ("",) or name != "global"):
            found.append(below)
    return found


class ValuesTest(unittest.TestCase):
    def test_the_schema_refuses_what_it_does_not_name(self) -> None:
        seen = 0
        for path, schema in objects(SCHEMA):
            if is_free(path):
                continue
            seen += 1
            self.assertIn("additionalProperties", schema, path or "the root")
            self.assertIsNot(schema["additionalProperties"], True, path)
        self.assertGreater(seen, 40)

    def test_values_yaml_names_every_value(self) -> None:
        ignored = ("resources.claims",)
        self.assertEqual([path for path in missing_defaults(SCHEMA, DEFAULTS) if not path.endswith(ignored)], [])

    def test_every_value_is_described(self) -> None:
        described = readme.described((CHART / "values.yaml").read_text())

        def leaves(values: Values, path: str) -> Iterator[str]:
            for name, value in values.items():
                below = f"{path}.{name}".lstrip(".")
                if below in described:
                    continue
                if isinstance(value, dict) and value:
                    yield from leaves(value, below)
                else:
                    yield below

        self.assertEqual(list(leaves(DEFAULTS, "")), [])
        self.assertEqual({len(meaning) < 8 for meaning in described.values()}, {False})

    def test_the_readme_has_the_table_of_values(self) -> None:
        text = (CHART / "README.md").read_text()
        self.assertEqual(text, readme.with_table(text, (CHART / "values.yaml").read_text()), "run deploy/helm/tests/readme.py --write")

    def test_a_wrong_value_is_refused_with_its_path(self) -> None:
        for values, parts in WRONG:
            with self.subTest(values=values):
                with self.assertRaises(Refused) as refused:
                    render(MINIMAL, values)
                for part in parts:
                    self.assertIn(part, str(refused.exception))

    def test_all_complaints_come_at_once(self) -> None:
        with self.assertRaises(Refused) as refused:
            render({})
        for path in ("kafka.bootstrapServers", "auth.existingSecret", "tls.existingSecret"):
            self.assertIn(path, str(refused.exception))

    def test_what_a_user_must_say_is_enough(self) -> None:
        for values in (MINIMAL, CERT_MANAGER):
            self.assertTrue(render(values))
            self.assertEqual(merged(DEFAULTS, values)["kafka"]["securityProtocol"], "SSL")


if __name__ == "__main__":
    unittest.main()
