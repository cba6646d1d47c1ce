"""The commands of docs/kubernetes.md that need no cluster: each `helm install` renders what Kubernetes accepts, and the Secrets fit."""

from __future__ import annotations

import pathlib
import re
import shlex
import subprocess
import tempfile
import tomllib
import unittest

import schemas
import yaml
from chart import MINIMAL, REPOSITORY, Loader, merged, of_kind, pod_specs, render

PAGE = (REPOSITORY / "docs/kubernetes.md").read_text()


def commands(program: str) -> list[list[str]]:
    """Calls of a program in blocks of shell, continued lines joined."""
    blocks = re.findall(r"^```sh\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    return [shlex.split(line) for line in lines if line.startswith(program + " ")]


def prepared(folder: str) -> None:
    """Runs the shell blocks of `Prepare`, with a `kubectl` that does nothing."""
    section = re.search(r"^## Prepare\n(.*?)^## ", PAGE, re.DOTALL | re.MULTILINE)
    assert section
    blocks = re.findall(r"^```sh\n(.*?)^```", section[1], re.DOTALL | re.MULTILINE)
    script = "\n".join(["set -eu", "kubectl() { :; }", *blocks])
    subprocess.run(["bash", "-c", script], cwd=folder, check=True, capture_output=True)


class Docs(unittest.TestCase):
    def test_every_install_renders(self) -> None:
        installs = [words for words in commands("helm") if words[1] == "install"]
        self.assertGreaterEqual(len(installs), 4)
        for words in installs:
            with self.subTest(command=words):
                self.assertEqual(words[2:6], ["davy", "deploy/helm/davy", "-n", "davy"])
                done = subprocess.run(["helm", "template", *words[2:]], cwd=REPOSITORY, capture_output=True, text=True, check=False)
                self.assertEqual(done.returncode, 0, done.stderr)
                manifests = [manifest for manifest in yaml.load_all(done.stdout, Loader=Loader) if manifest]
                self.assertEqual(len(of_kind(manifests, "StatefulSet")), 1)
                for manifest in manifests:
                    schemas.validate(manifest, schemas.versions()[-1])

    def test_objects_that_commands_name_are_there(self) -> None:
        manifests = render(MINIMAL, {"pipelines": [{"name": "a", "sql": "SELECT 1"}]})
        there = {f"{manifest['kind'].lower()}/{manifest['metadata']['name']}" for manifest in manifests}
        named = set(re.findall(r"\b(?:statefulset|deployment|job|service)/[a-z-]+", PAGE))
        self.assertGreaterEqual(len(named), 3)
        self.assertLessEqual(named, there)

    def test_the_secrets_have_the_keys_that_pods_mount(self) -> None:
        values = merged(MINIMAL, {"pipelines": [{"name": "a", "sql": "SELECT 1"}]})
        mounted: dict[str, set[str]] = {}
        for _, pod in pod_specs(render(values)):
            for volume in pod.get("volumes", []):
                if "secret" in volume:
                    mounted.setdefault(volume["secret"]["secretName"], set()).update(item["key"] for item in volume["secret"]["items"])
        made = {words[6]: {word.removeprefix("--from-file=") for word in words if word.startswith("--from-file=")}
                for words in commands("kubectl") if words[3:6] == ["create", "secret", "generic"]}
        self.assertEqual({name: made[name] for name in mounted}, mounted)

    def test_the_tokens_and_certificates_that_it_makes_are_right(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            prepared(folder)
            tokens = {token["name"]: token for token in tomllib.loads(pathlib.Path(folder, "tokens.toml").read_text())["token"]}
            self.assertEqual({name: (token["role"], token["tenant"]) for name, token in tokens.items()},
                             {"worker": ("worker", "*"), "metrics": ("viewer", "*"), "operator": ("operator", "default")})
            for name, token in tokens.items():
                secret = pathlib.Path(folder, f"{name}.token").read_text().strip()
                digest = subprocess.run(["sha256sum"], input=secret.encode(), capture_output=True, check=True).stdout.decode()
                self.assertEqual(token["sha256"], digest.split()[0])
            for host in ("davy-coordinator-1.davy-coordinator-headless.davy.svc", "davy-coordinator.davy.svc", "localhost"):
                checked = ["openssl", "verify", "-purpose", "sslserver", "-verify_hostname", host, "-CAfile", "ca.crt", "tls.crt"]
                said = subprocess.run(checked, cwd=folder, capture_output=True, text=True, check=False)
                self.assertEqual(said.stdout.strip(), "tls.crt: OK", said.stderr)


if __name__ == "__main__":
    unittest.main()
