"""What coordinators and workers are started with: only flags and variables that `davy` has, and what they need to find each other."""

from __future__ import annotations

import re
import unittest

import modes
from chart import MINIMAL, NAMESPACE, RELEASE, REPOSITORY, Manifest, merged, of_kind, one, pod_specs, render


def source(*paths: str) -> str:
    return "\n".join((REPOSITORY / path).read_text() for path in paths)


# Where clap's structs are, by the command.
ARGUMENTS = {
    "coordinator": source("cli/src/cluster/args.rs"),
    "worker": source("cli/src/cluster/args.rs"),
}
EVERYWHERE = source("cli/src/args.rs", "cli/src/main.rs")


def struct(text: str, name: str) -> str:
    """The fields of a struct, and of those that it flattens."""
    match = re.search(rf"struct {name} \{{(.*?)\n\}}", text, re.DOTALL)
    assert match, f"no struct {name}"
    flattened = re.findall(r"command\(flatten\)\]\n\s+(?:pub\(\w+\) )?\w+: (\w+)", match[1])
    return match[1] + "".join(struct(text, other) for other in flattened)


def flags(text: str) -> set[str]:
    """Long flags of the fields that clap takes by name."""
    found = set()
    for attributes, field in re.findall(r"#\[arg\(((?:[^\[\]]|\[[^\]]*\])*)\)\]\s+(?:pub\(\w+\) )?(\w+):", text, re.DOTALL):
        if "long" in attributes:
            named = re.search(r'long = "([^"]+)"', attributes)
            found.add("--" + (named[1] if named else field.replace("_", "-")))
    return found


def variables(text: str) -> set[str]:
    return set(re.findall(r'env = "([A-Z_]+)"', text))


def environment(manifests: list[Manifest], container: Manifest) -> dict[str, str]:
    found: dict[str, str] = {}
    for entry in container.get("envFrom", []):
        if "configMapRef" in entry:
            found |= one(manifests, "ConfigMap", entry["configMapRef"]["name"])["data"]
    return found | {entry["name"]: entry.get("value", "") for entry in container.get("env", [])}


def container_of(manifests: list[Manifest], command: str) -> Manifest:
    found = [container for _, pod in pod_specs(manifests) for container in pod["containers"] if container.get("args", [""])[0] == command]
    assert len(found) == 1, f"{len(found)} containers run `davy {command}`"
    return found[0]


class Components(unittest.TestCase):
    def test_the_binary_has_all_flags_and_variables(self) -> None:
        for command, name in (("coordinator", "CoordinatorArgs"), ("worker", "WorkerArgs")):
            text = struct(ARGUMENTS[command], name)
            known, known_variables = flags(text), variables(text) | variables(EVERYWHERE) | {"DAVY_LOG"}
            self.assertGreater(len(known), 10)
            for mode, values in modes.MODES.items():
                with self.subTest(command=command, mode=mode):
                    manifests = render(values)
                    container = container_of(manifests, command)
                    used = {argument.split("=")[0] for argument in container["args"][1:]}
                    self.assertLessEqual(used, known)
                    davy = {name for name in environment(manifests, container) if name.startswith("DAVY_")}
                    self.assertGreater(len(davy), 7)
                    self.assertLessEqual(davy, known_variables)

    def test_workers_know_every_coordinator_by_the_name_that_it_has(self) -> None:
        manifests = render(MINIMAL, {"coordinator": {"replicas": 3}})
        urls = environment(manifests, container_of(manifests, "worker"))["DAVY_COORDINATOR"].split(",")
        (coordinators,) = of_kind(manifests, "StatefulSet")
        headless = one(manifests, "Service", coordinators["spec"]["serviceName"])
        self.assertEqual(headless["spec"]["clusterIP"], "None")
        self.assertTrue(headless["spec"]["publishNotReadyAddresses"])
        name, host = coordinators["metadata"]["name"], f"{headless['metadata']['name']}.{NAMESPACE}.svc:9640"
        self.assertEqual(urls, [f"https://{name}-{index}.{host}" for index in range(3)])
        self.assertIn(f"--advertise=$(POD_NAME).{host}", container_of(manifests, "coordinator")["args"])

    def test_the_certificate_is_valid_for_every_name_that_is_called(self) -> None:
        manifests = render(modes.MODES["client certificates"])
        names = one(manifests, "Certificate", f"{RELEASE}-coordinator")["spec"]["dnsNames"]
        urls = environment(manifests, container_of(manifests, "worker"))["DAVY_COORDINATOR"].split(",")
        for url in urls:
            host = url.removeprefix("https://").removesuffix(":9640")
            self.assertIn("*." + host.partition(".")[2], names)
        self.assertIn(f"{RELEASE}-coordinator.{NAMESPACE}.svc", names)

    def test_pods_end_after_the_last_commits(self) -> None:
        for seconds, wanted, expected in ((20, None, 30), (120, None, 130), (120, 300, 300)):
            manifests = render(MINIMAL, {"workers": {"graceSeconds": seconds, "terminationGracePeriodSeconds": wanted}})
            (workers,) = of_kind(manifests, "Deployment")
            self.assertEqual(workers["spec"]["template"]["spec"]["terminationGracePeriodSeconds"], expected)
            self.assertEqual(environment(manifests, container_of(manifests, "worker"))["DAVY_GRACE"], f"{seconds}s")

    def test_a_standby_is_ready_and_a_worker_without_a_coordinator_is_not(self) -> None:
        manifests = render(MINIMAL)
        for command, path in (("coordinator", "/healthz"), ("worker", "/readyz")):
            container = container_of(manifests, command)
            self.assertEqual(container["readinessProbe"]["httpGet"], {"path": path, "port": "http"})
            self.assertEqual(container["livenessProbe"]["httpGet"]["path"], "/healthz")
            port = {port["name"]: port["containerPort"] for port in container["ports"]}["http"]
            self.assertEqual(environment(manifests, container)["DAVY_HTTP"], f"0.0.0.0:{port}")

    def test_each_pod_mounts_only_the_secrets_that_it_needs(self) -> None:
        """A Secret that is missing then keeps a pod in ContainerCreating with an event that names it; none is optional."""
        wanted = {
            "StatefulSet/davy-coordinator": {("davy-tls", "tls.crt"), ("davy-tls", "tls.key"), ("davy-auth", "tokens.toml"), ("kafka-ca", "ca.crt"), ("kafka-password", "password")},
            "Deployment/davy-worker": {("davy-tls", "ca.crt"), ("davy-auth", "worker.token"), ("davy-auth", "metrics.token"), ("kafka-ca", "ca.crt"), ("kafka-password", "password")},
        }
        for name, pod in pod_specs(render(modes.MODES["sasl"])):
            if name not in wanted:
                continue
            secrets = [volume["secret"] for volume in pod["volumes"] if "secret" in volume]
            self.assertEqual({(secret["secretName"], item["key"]) for secret in secrets for item in secret["items"]}, wanted[name])
            self.assertFalse([secret for secret in secrets if secret.get("optional")])
            self.assertEqual({secret["defaultMode"] for secret in secrets}, {0o440})

    def test_scripts_may_refer_to_what_values_name_and_to_nothing_else(self) -> None:
        def allowed(*layers: dict[str, object]) -> str | None:
            manifests = render(modes.MODES["sasl"], *layers)
            return environment(manifests, container_of(manifests, "coordinator")).get("DAVY_ALLOW_VARIABLES")

        mounts = {mount["mountPath"] for mount in container_of(render(modes.MODES["sasl"]), "coordinator")["volumeMounts"]}
        self.assertEqual(allowed(), "file:/etc/davy/kafka-sasl/*")
        self.assertIn("/etc/davy/kafka-sasl", mounts)
        self.assertEqual(allowed({"coordinator": {"allowedVariables": ["env:MISP_KEY", "file:/run/secrets/*"]}}), "env:MISP_KEY,file:/run/secrets/*")
        self.assertIsNone(allowed({"coordinator": {"allowedVariables": []}}))

    def test_no_password_is_an_argument(self) -> None:
        arguments = container_of(render(modes.MODES["sasl"]), "coordinator")["args"]
        self.assertIn("--kafka-property=sasl.password=@/etc/davy/kafka-sasl/password", arguments)
        self.assertIn("--kafka-property=security.protocol=SASL_SSL", arguments)

    def test_a_changed_setting_starts_pods_again(self) -> None:
        def checksum(values: dict[str, object]) -> str:
            (workers,) = of_kind(render(MINIMAL, values), "Deployment")
            return str(workers["spec"]["template"]["metadata"]["annotations"]["checksum/config"])

        self.assertEqual(checksum({}), checksum({"workers": {"replicas": 5}}))
        self.assertNotEqual(checksum({}), checksum({"workers": {"commitInterval": "2s"}}))

    def test_names_of_objects_fit(self) -> None:
        manifests = render(merged(MINIMAL, modes.MODES["other names"]))
        self.assertTrue(all(len(manifest["metadata"]["name"]) <= 63 for manifest in manifests))


if __name__ == "__main__":
    unittest.main()
