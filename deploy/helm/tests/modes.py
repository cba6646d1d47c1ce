"""Values to test the chart with: each of its modes, and values made at random."""

from __future__ import annotations

import random

from chart import CERT_MANAGER, MINIMAL, Values, merged

SASL: Values = {"kafka": {"securityProtocol": "SASL_SSL", "tls": {"caSecret": "kafka-ca"}, "sasl": {"username": "davy", "existingSecret": "kafka-password"}}}
MUTUAL: Values = {"kafka": {"tls": {"caSecret": "kafka-ca", "clientSecret": "davy-kafka"}}}
PLAIN: Values = {"kafka": {"securityProtocol": "PLAINTEXT"}}
CPU: Values = {"autoscaling": {"mode": "cpu"}}
KEDA: Values = {"autoscaling": {"mode": "keda", "keda": {"labels": {"team": "soc"}}}, "tls": {"client": {"enabled": True}}}
MONITORED: Values = {"metrics": {"podMonitor": {"enabled": True, "labels": {"release": "prometheus"}}}}
OWN_POLICY: Values = {"networkPolicy": {
    "dns": {"to": [{"namespaceSelector": {}, "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}}}]},
    "kafka": {"to": [{"ipBlock": {"cidr": "10.0.0.0/8"}}], "ports": [9092, 9093]},
    "clients": [], "prometheus": [],
    "extraEgress": [{"to": [{"ipBlock": {"cidr": "192.0.2.1/32"}}], "ports": [{"port": 443}]}],
}}
CLIENT_CERTIFICATES: Values = {"tls": {"client": {"enabled": True}}}
EXTRAS: Values = {
    "commonLabels": {"team": "soc"},
    "commonAnnotations": {"example.org/owner": "soc"},
    "image": {"digest": "sha256:" + "0" * 64, "pullSecrets": ["registry"]},
    "extraObjects": [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "extra", "labels": {
            "app.kubernetes.io/name": "x", "app.kubernetes.io/instance": "{{ .Release.Name }}", "app.kubernetes.io/component": "x",
            "app.kubernetes.io/managed-by": "Helm"}}, "data": {}},
    ],
    "kafka": {"properties": {"socket.keepalive.enable": True, "metadata.max.age.ms": 60000}},
}

PIPELINES: Values = {"pipelines": [
    {"name": "miners", "sql": "SET pipeline = 'miners';\nSELECT 1 -- \"quoted\" {{ not a template }} $(NOT_A_VARIABLE)\n", "set": {"flows.topic": "it's", "memory": "1GiB", "flows.max_keys": 1000000}},
    {"name": "scans_2", "sql": "SELECT 2", "tenant": "soc", "fresh": True},
]}
MINER_TEST: Values = {"minerTest": {"enabled": True, "flows": "flows", "verdicts": "miners", "speed": 60}}
STRIMZI: Values = {"strimzi": {
    "enabled": True, "cluster": "kafka", "namespace": "kafka", "user": {"authentication": "scram-sha-512"},
    "topics": [
        {"name": "flows", "partitions": 16, "replicas": 3, "config": {"retention.ms": 86400000}, "access": "read"},
        {"name": "Miners_v1.out", "partitions": 4, "replicas": 3, "access": "write"},
        {"name": "rejected", "partitions": 1, "replicas": 3, "access": "both"},
        {"name": "raw", "partitions": 1, "replicas": 3},
    ],
}}


def extras_of_pod(name: str) -> Values:
    container = {
        "name": f"{name}-sidecar", "image": "sidecar:1", "resources": {"requests": {"cpu": "10m"}, "limits": {"memory": "16Mi"}},
        "securityContext": {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}},
    }
    return {
        "extraArgs": ["--plugin-dir=/opt/plugins"],
        "extraEnv": [{"name": "MISP_KEY", "valueFrom": {"secretKeyRef": {"name": "misp", "key": "key"}}}],
        "extraEnvFrom": [{"secretRef": {"name": "more"}}],
        "extraVolumes": [{"name": "plugins", "emptyDir": {}}],
        "extraVolumeMounts": [{"name": "plugins", "mountPath": "/opt/plugins"}],
        "extraInitContainers": [{**container, "name": "before"}],
        "extraContainers": [container],
        "podLabels": {"pod": name},
        "podAnnotations": {"example.org/pod": name},
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "tolerations": [{"key": "flows", "operator": "Exists", "effect": "NoSchedule"}],
        "priorityClassName": "high",
        "podAntiAffinity": "hard",
        "topologySpreadConstraints": [{"maxSkew": 2, "topologyKey": "rack", "whenUnsatisfiable": "DoNotSchedule"}],
        "serviceAccount": {"annotations": {"example.org/role": name}},
    }


ALL_EXTRAS = merged(EXTRAS, {"coordinator": extras_of_pod("coordinator"), "workers": extras_of_pod("worker")})

MODES: dict[str, Values] = {
    "minimal": MINIMAL,
    "plaintext": merged(MINIMAL, PLAIN),
    "sasl": merged(MINIMAL, SASL),
    "mutual TLS to Kafka": merged(MINIMAL, MUTUAL),
    "cert-manager": CERT_MANAGER,
    "client certificates": merged(CERT_MANAGER, CLIENT_CERTIFICATES),
    "client certificates by Secret": merged(MINIMAL, CLIENT_CERTIFICATES, {"tls": {"client": {"existingSecret": "davy-client"}}}),
    "extras": merged(MINIMAL, ALL_EXTRAS),
    "cpu": merged(MINIMAL, CPU),
    "keda": merged(CERT_MANAGER, KEDA),
    "monitored": merged(MINIMAL, MONITORED),
    "own network policy": merged(MINIMAL, OWN_POLICY),
    "no network policy": merged(MINIMAL, {"networkPolicy": {"enabled": False}}),
    "one coordinator": merged(MINIMAL, {"coordinator": {"replicas": 1}, "workers": {"replicas": 0}}),
    "spill on a volume": merged(MINIMAL, {"workers": {"spill": {"storageClassName": "fast", "size": "100Gi"}, "zoneFromPodLabel": True}}),
    "pipelines": merged(MINIMAL, PIPELINES),
    "miner test": merged(MINIMAL, MINER_TEST),
    "miner test with SASL": merged(MINIMAL, SASL, MINER_TEST),
    "Strimzi": merged(MINIMAL, STRIMZI),
    "alerts and dashboards": merged(MINIMAL, {
        "alerts": {"enabled": True, "labels": {"release": "prometheus"}, "thresholds": {"lagMessages": 10_000_000, "badRecordsShare": 0.000001}},
        "dashboards": {"enabled": True, "annotations": {"grafana_folder": "Davy"}},
    }),
    "other names": merged(MINIMAL, {"fullnameOverride": "a-name-that-is-much-longer-than-any-that-fits-into-a-label"}),
}


def generated(dice: random.Random) -> Values:
    """Values that the chart has to accept; each part is drawn by itself, so that parts meet in all combinations."""
    values = dice.choice([MINIMAL, CERT_MANAGER])
    values = merged(values, dice.choice([{}, PLAIN, SASL, MUTUAL]))
    if dice.random() < 0.3:
        values = merged(values, CLIENT_CERTIFICATES, {"tls": {"client": {"existingSecret": "davy-client"}}})
    values = merged(values, dice.choice([{}, CPU, merged(KEDA, {"tls": {"client": {"existingSecret": "davy-client"}}})]))
    for part in (EXTRAS, MONITORED, OWN_POLICY, PIPELINES, MINER_TEST, STRIMZI):
        if dice.random() < 0.3:
            values = merged(values, part)
    for key, name in (("coordinator", "coordinator"), ("workers", "worker")):
        extras = extras_of_pod(name)
        volumes = {key: extras.pop(key) for key in ("extraVolumes", "extraVolumeMounts")}
        drawn = {key: value for key, value in extras.items() if dice.random() < 0.2}
        values = merged(values, {key: drawn}, {key: volumes} if dice.random() < 0.2 else {})
        values = merged(values, {key: {
            "podAntiAffinity": dice.choice(["soft", "hard", "none"]),
            "podDisruptionBudget": {"enabled": dice.random() < 0.7, "maxUnavailable": dice.choice([1, 2, "50%"])},
            "serviceAccount": {"create": dice.random() < 0.8, "name": dice.choice(["", "davy-account-" + name])},
        }})
    least = dice.randint(1, 1000)
    grace = dice.randint(1, 3600)
    seconds = lambda least: f"{dice.randint(least, 600)}s"  # noqa: E731
    return merged(values, {
        "autoscaling": {
            "minReplicas": least, "maxReplicas": dice.randint(least, 1000),
            "scaleUp": {"stabilizationSeconds": dice.randint(0, 60), "pods": dice.randint(4, 9)}, "scaleDown": {"stabilizationSeconds": dice.randint(60, 3600)},
        },
        "cluster": dice.choice(["davy", "soc_1", "A"]),
        "fullnameOverride": dice.choice(["", "d", "davy-" + "x" * 50]),
        "nameOverride": dice.choice(["", "lamp"]),
        "alerts": {"enabled": dice.random() < 0.3, "thresholds": {"lagMessages": dice.randint(1, 10**9), "lateRowsShare": dice.uniform(0.001, 1)}},
        "dashboards": {"enabled": dice.random() < 0.3},
        "log": {"level": dice.choice(["info", "warn,davy_worker=debug"]), "format": dice.choice(["json", "text"])},
        "coordinator": {
            "replicas": dice.randint(1, 5), "tasks": dice.randint(1, 1024), "leaseTimeout": seconds(10),
            "startupGracePeriod": dice.choice(["", seconds(0)]), "serviceType": dice.choice(["ClusterIP", "LoadBalancer", "NodePort"]),
        },
        "workers": {
            "replicas": dice.randint(0, 1000), "slots": dice.randint(1, 1024), "graceSeconds": grace,
            "terminationGracePeriodSeconds": dice.choice([None, grace + 5, grace + 60]),
            "maxSurge": dice.choice([1, 3, "25%"]), "maxUnavailable": dice.choice([0, 1, "25%"]), "commitRows": dice.choice([1, 1_000_000, 10_000_000_000]),
            "spill": {"size": dice.choice(["1Gi", "500Mi"]), "storageClassName": dice.choice(["", "fast"])},
            **dice.choice([{}, {"zoneFromPodLabel": True}, {"labels": {"zone": "a", "rack": "r=1"}}]),
        },
    })
