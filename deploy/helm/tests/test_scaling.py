"""What adds and removes workers, which connections are allowed, and what a drain of nodes may take."""

from __future__ import annotations

import unittest
from typing import Any

import modes
from chart import CERT_MANAGER, MINIMAL, NAMESPACE, RELEASE, Manifest, Values, merged, of_kind, one, pod_specs, render
from test_components import container_of


def allows(rule: dict[str, Any], peers: str, pod: dict[str, str], port: int | str) -> bool:
    """Whether a rule names this port, and pods of this namespace with these labels."""
    if port not in [allowed["port"] for allowed in rule.get("ports", [{"port": port}])]:
        return False
    if peers not in rule:
        return True
    own = [peer["podSelector"] for peer in rule[peers] if "podSelector" in peer and "namespaceSelector" not in peer]
    return any(selector.get("matchLabels", {}).items() <= pod.items() for selector in own)


def policies_of(manifests: list[Manifest], pod: dict[str, str]) -> list[dict[str, Any]]:
    found = []
    for policy in of_kind(manifests, "NetworkPolicy"):
        selector = policy["spec"]["podSelector"]
        expressions = all(pod.get(part["key"]) in part["values"] for part in selector.get("matchExpressions", []))
        if selector.get("matchLabels", {}).items() <= pod.items() and expressions:
            found.append(policy["spec"])
    return found


class Network(unittest.TestCase):
    def labels(self, manifests: list[Manifest], kind: str) -> dict[str, str]:
        (found,) = of_kind(manifests, kind)
        return dict(found["spec"]["template"]["metadata"]["labels"])

    def can_connect(self, manifests: list[Manifest], source: dict[str, str], target: dict[str, str], port: str) -> bool:
        leaves = any(allows(rule, "to", target, port) for spec in policies_of(manifests, source) for rule in spec.get("egress") or [])
        enters = any(allows(rule, "from", source, port) for spec in policies_of(manifests, target) for rule in spec.get("ingress") or [])
        return leaves and enters

    def test_pods_open_only_the_connections_that_they_need(self) -> None:
        manifests = render(MINIMAL, modes.OWN_POLICY)
        coordinator, worker = self.labels(manifests, "StatefulSet"), self.labels(manifests, "Deployment")
        test = one(manifests, "Pod", f"{RELEASE}-test")["metadata"]["labels"]
        other = {"app": "other"}
        for source, target, port, expected in [
            (worker, coordinator, "grpc", True), (test, coordinator, "grpc", True), (other, coordinator, "grpc", False),
            (coordinator, worker, "http", False), (worker, worker, "http", False), (other, worker, "http", False), (worker, coordinator, "http", False),
        ]:
            self.assertEqual(self.can_connect(manifests, source, target, port), expected, (source, target, port))

    def test_every_pod_is_isolated_in_both_directions(self) -> None:
        for mode, values in modes.MODES.items():
            manifests = render(values)
            if not of_kind(manifests, "NetworkPolicy"):
                self.assertFalse(values.get("networkPolicy", {}).get("enabled", True), mode)
                continue
            pods = [manifest["spec"]["template"]["metadata"]["labels"] for manifest in manifests if "template" in manifest.get("spec", {})]
            pods += [pod["metadata"]["labels"] for pod in of_kind(manifests, "Pod")]
            for labels in pods:
                types = {part for spec in policies_of(manifests, labels) for part in spec["policyTypes"]}
                self.assertEqual(types, {"Ingress", "Egress"}, mode)

    def test_kafka_is_reached_at_the_ports_of_the_bootstrap_servers(self) -> None:
        manifests = render(MINIMAL, {"kafka": {"bootstrapServers": "a:9093,b:9093,c:19093"}})
        for kind in ("StatefulSet", "Deployment"):
            rules = [rule for spec in policies_of(manifests, self.labels(manifests, kind)) for rule in spec.get("egress", []) if "to" not in rule]
            ports = {port["port"] for rule in rules for port in rule["ports"]}
            self.assertEqual(ports, {53, 9093, 19093})


class Scaling(unittest.TestCase):
    KEDA: Values = merged(CERT_MANAGER, modes.KEDA)

    def test_one_object_sets_the_number_of_workers(self) -> None:
        for values, kind in ((MINIMAL, None), (merged(MINIMAL, modes.CPU), "HorizontalPodAutoscaler"), (self.KEDA, "ScaledObject")):
            manifests = render(values)
            (workers,) = of_kind(manifests, "Deployment")
            self.assertEqual("replicas" in workers["spec"], kind is None)
            for other in ("HorizontalPodAutoscaler", "ScaledObject"):
                scalers = of_kind(manifests, other)
                self.assertEqual(len(scalers), int(other == kind))
                for scaler in scalers:
                    self.assertEqual(scaler["spec"]["scaleTargetRef"]["name"], workers["metadata"]["name"])

    def test_keda_calls_every_coordinator_with_a_certificate(self) -> None:
        manifests = render(self.KEDA, {"coordinator": {"replicas": 3}, "autoscaling": {"minReplicas": 2}})
        (scaled,) = of_kind(manifests, "ScaledObject")
        addresses = [trigger["metadata"]["scalerAddress"] for trigger in scaled["spec"]["triggers"]]
        host = f"{RELEASE}-coordinator-headless.{NAMESPACE}.svc:9640"
        self.assertEqual(addresses, [f"{RELEASE}-coordinator-{index}.{host}" for index in range(3)])
        # A standby's answer is the least number, so that it never counts more than the leader's.
        self.assertEqual(scaled["spec"]["fallback"]["replicas"], 2)
        (authentication,) = of_kind(manifests, "TriggerAuthentication")
        parameters = {entry["parameter"]: entry["name"] for entry in authentication["spec"]["secretTargetRef"]}
        self.assertEqual(set(parameters), {"caCert", "tlsClientCert", "tlsClientKey"})
        self.assertEqual({trigger["authenticationRef"]["name"] for trigger in scaled["spec"]["triggers"]}, {authentication["metadata"]["name"]})

    def test_the_coordinator_knows_the_bounds_of_the_scaler(self) -> None:
        manifests = render(self.KEDA, {"autoscaling": {"minReplicas": 3, "maxReplicas": 7}})
        (scaled,) = of_kind(manifests, "ScaledObject")
        self.assertEqual((scaled["spec"]["minReplicaCount"], scaled["spec"]["maxReplicaCount"]), (3, 7))
        self.assertLessEqual({"--workers-min=3", "--workers-max=7"}, set(container_of(manifests, "coordinator")["args"]))

    def test_workers_are_removed_more_slowly_than_added(self) -> None:
        (cpu,) = of_kind(render(MINIMAL, modes.CPU), "HorizontalPodAutoscaler")
        (keda,) = of_kind(render(self.KEDA), "ScaledObject")
        for behavior in (cpu["spec"]["behavior"], keda["spec"]["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]):
            up, down = behavior["scaleUp"], behavior["scaleDown"]
            self.assertLess(up["stabilizationWindowSeconds"], down["stabilizationWindowSeconds"])
            speeds = [policies[0]["value"] / policies[0]["periodSeconds"] for policies in (up["policies"], down["policies"])]
            self.assertGreater(speeds[0], speeds[1])

    def test_a_drain_takes_one_pod_at_a_time(self) -> None:
        budgets = of_kind(render(MINIMAL), "PodDisruptionBudget")
        self.assertEqual({budget["metadata"]["name"]: budget["spec"]["maxUnavailable"] for budget in budgets}, {f"{RELEASE}-coordinator": 1, f"{RELEASE}-worker": 1})

    def test_prometheus_sends_the_token_that_workers_and_coordinators_accept(self) -> None:
        manifests = render(MINIMAL, modes.MONITORED)
        monitors = of_kind(manifests, "PodMonitor")
        self.assertEqual(len(monitors), 2)
        workers = next(pod for name, pod in pod_specs(manifests) if name.startswith("Deployment/"))
        mounted = {(volume["secret"]["secretName"], item["key"]) for volume in workers["volumes"] if "secret" in volume for item in volume["secret"]["items"]}
        for monitor in monitors:
            (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
            credentials = endpoint["authorization"]["credentials"]
            self.assertIn((credentials["name"], credentials["key"]), mounted)


if __name__ == "__main__":
    unittest.main()
