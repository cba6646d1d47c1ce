"""Every mode of the chart renders manifests that Kubernetes accepts, and that keep the rules of a restricted namespace."""

from __future__ import annotations

import os
import random
import re
import unittest
from concurrent.futures import ProcessPoolExecutor

import modes
import schemas
from chart import CHART, Manifest, Values, containers, helm, merged, of_kind, pod_specs, render

N_GENERATED = 200
NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


def complaints(manifests: list[Manifest]) -> list[str]:
    """What a reviewer of the manifests would refuse."""
    found = []
    names = [(manifest["kind"], manifest["metadata"]["name"]) for manifest in manifests]
    found += [f"{kind}/{name} is there twice" for kind, name in {*names} if names.count((kind, name)) > 1]
    for manifest in manifests:
        name = f"{manifest['kind']}/{manifest['metadata']['name']}"
        if manifest["kind"] == "Secret":
            found.append(f"{name}: secrets are by reference only")
        if manifest["kind"] in ("Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"):
            found.append(f"{name}: Davy needs no rights in the API")
        if not NAME.fullmatch(manifest["metadata"]["name"]):
            found.append(f"{name}: is no name of a Service")
        found += [f"{name}: no label {label}" for label in ("name", "instance", "component", "managed-by")
                  if f"app.kubernetes.io/{label}" not in manifest["metadata"].get("labels", {})]
    for name, pod in pod_specs(manifests):
        found += [f"{name}: {wrong}" for wrong in complaints_of_pod(pod)]
    found += wrong_references(manifests)
    return found


def complaints_of_pod(pod: Manifest) -> list[str]:
    found = []
    if pod.get("automountServiceAccountToken") is not False:
        found.append("mounts a token of the API")
    for field in ("hostNetwork", "hostPID", "hostIPC"):
        if pod.get(field):
            found.append(f"uses {field}")
    context = pod.get("securityContext", {})
    if context.get("runAsNonRoot") is not True or not context.get("runAsUser"):
        found.append("may run as root")
    if context.get("seccompProfile", {}).get("type") != "RuntimeDefault":
        found.append("has no seccomp profile")
    volumes = {volume["name"] for volume in pod.get("volumes", [])}
    found += [f"volume {volume['name']} is of the host" for volume in pod.get("volumes", []) if "hostPath" in volume]
    for container in containers(pod):
        own = container.get("securityContext", {})
        if own.get("allowPrivilegeEscalation") is not False or own.get("capabilities", {}).get("drop") != ["ALL"]:
            found.append(f"{container['name']} is not restricted")
        if own.get("readOnlyRootFilesystem") is not True:
            found.append(f"{container['name']} may write to its root")
        resources = container.get("resources", {})
        if not resources.get("requests", {}).get("cpu") or not resources.get("limits", {}).get("memory"):
            found.append(f"{container['name']} has no resources")
        mounts = [mount["name"] for mount in container.get("volumeMounts", [])]
        found += [f"{container['name']} mounts {mount}, which is no volume" for mount in mounts if mount not in volumes]
        variables = [entry["name"] for entry in container.get("env", [])]
        used = re.findall(r"\$\(([A-Z_]+)\)", " ".join(container.get("args", [])))
        found += [f"{container['name']} uses $({name}), which is not set" for name in used if name not in variables]
        found += [f"{container['name']} has the variable {name} twice" for name in {*variables} if variables.count(name) > 1]
    mounted = {mount["name"] for container in containers(pod) for mount in container.get("volumeMounts", [])}
    found += [f"volume {name} is mounted nowhere" for name in volumes - mounted]
    return found


def selects(selector: dict[str, str], labels: dict[str, str]) -> bool:
    return selector.items() <= labels.items()


def wrong_references(manifests: list[Manifest]) -> list[str]:
    """Selectors that select no pod, and ConfigMaps and ServiceAccounts that are not there."""
    found = []
    pods = [manifest["spec"]["template"]["metadata"]["labels"] for manifest in manifests if "template" in manifest.get("spec", {})]
    for manifest in manifests:
        name, spec = f"{manifest['kind']}/{manifest['metadata']['name']}", manifest.get("spec", {})
        selector = spec.get("podSelector", spec.get("selector")) or {}
        labels = selector.get("matchLabels", {}) if manifest["kind"] != "Service" else selector
        if manifest["kind"] in ("Service", "PodDisruptionBudget", "Deployment", "StatefulSet", "PodMonitor"):
            if not labels or not any(selects(labels, pod) for pod in pods):
                found.append(f"{name}: selects no pod")
    maps = {manifest["metadata"]["name"] for manifest in of_kind(manifests, "ConfigMap")}
    for name, pod in pod_specs(manifests):
        used = [source["configMapRef"]["name"] for container in containers(pod) for source in container.get("envFrom", []) if "configMapRef" in source]
        used += [volume["configMap"]["name"] for volume in pod.get("volumes", []) if "configMap" in volume]
        found += [f"{name}: there is no ConfigMap {missing}" for missing in used if missing not in maps]
    return found


def wrong_of(values: Values, version: str) -> list[str]:
    """Of generated values, what is wrong with their manifests; errors as text, since they come from another process."""
    try:
        manifests = render(values)
        for manifest in manifests:
            schemas.validate(manifest, version)
        return complaints(manifests)
    except Exception as error:
        return [str(error)]


class Manifests(unittest.TestCase):
    def test_every_mode_is_valid_in_every_release_of_kubernetes(self) -> None:
        versions = schemas.versions()
        self.assertGreaterEqual(len(versions), 9)
        for name, values in modes.MODES.items():
            manifests = render(values)
            self.assertGreaterEqual(len(manifests), 8, name)
            for version in versions:
                for manifest in manifests:
                    with self.subTest(mode=name, version=version, kind=manifest["kind"], name=manifest["metadata"]["name"]):
                        schemas.validate(manifest, version)
            with self.subTest(mode=name):
                self.assertEqual(complaints(manifests), [])

    def test_lint_has_no_complaint(self) -> None:
        for name, values in modes.MODES.items():
            with self.subTest(mode=name):
                said = helm("lint", "--strict", str(CHART), values=values)
                self.assertIn("0 chart(s) failed", said)
                self.assertNotIn("[WARNING]", said)

    def test_generated_values_are_valid(self) -> None:
        seed = int(os.environ.get("SEED") or random.SystemRandom().randrange(1 << 32))
        print(f"generated values: SEED={seed}", flush=True)
        cases = [modes.generated(random.Random(f"{seed}/{index}")) for index in range(N_GENERATED)]
        oldest, *_, newest = schemas.versions()
        with ProcessPoolExecutor() as processes:
            wrong = list(processes.map(wrong_of, cases, [newest, oldest] * (N_GENERATED // 2), chunksize=10))
        self.assertEqual(len(wrong), N_GENERATED)
        for index, found in enumerate(wrong):
            with self.subTest(seed=seed, index=index, values=cases[index]):
                self.assertEqual(found, [])

    def test_a_wrong_manifest_is_refused(self) -> None:
        (workers,) = of_kind(render(modes.MODES["minimal"]), "Deployment")
        with self.assertRaises(Exception):
            schemas.validate(merged(workers, {"spec": {"replicaz": 3}}), schemas.versions()[-1])
        pod = workers["spec"]["template"]["spec"]
        pod["automountServiceAccountToken"] = True
        pod["containers"][0]["securityContext"]["readOnlyRootFilesystem"] = False
        pod["containers"][0]["volumeMounts"] = []
        found = " ".join(complaints([workers]))
        for part in ("mounts a token", "worker may write to its root", "is mounted nowhere", "there is no ConfigMap"):
            self.assertIn(part, found)


if __name__ == "__main__":
    unittest.main()
