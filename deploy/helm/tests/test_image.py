"""The image's Dockerfile and deploy/compose.yaml: hadolint, and what no linter knows. Neither an image is built nor a container started here."""

from __future__ import annotations

import re
import subprocess
import unittest
from typing import Any

import yaml
from chart import REPOSITORY
from test_components import flags, source, struct

DOCKERFILE = REPOSITORY / "deploy/docker/Dockerfile"
COMPOSE = REPOSITORY / "deploy/compose.yaml"
# The struct of a command's flags, and its file.
COMMANDS = {
    "coordinator": ("CoordinatorArgs", "cli/src/cluster/args.rs"),
    "worker": ("WorkerArgs", "cli/src/cluster/args.rs"),
    "submit": ("SubmitArgs", "cli/src/remote/args.rs"),
    "miner-test": ("MinerTestArgs", "cli/src/miner_test/args.rs"),
}


def hadolint(text: str) -> str:
    done = subprocess.run(["hadolint", "--no-color", "-"], input=text, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def stages(text: str) -> dict[str, list[str]]:
    """The instructions of each stage, continued lines joined."""
    found: dict[str, list[str]] = {}
    name = ""
    lines = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#")).replace("\\\n", " ")
    for line in filter(None, (re.sub(r"\s+", " ", line).strip() for line in lines.splitlines())):
        if match := re.fullmatch(r"FROM (\S+) AS (\S+)", line):
            name = match[2]
            found[name] = [f"FROM {match[1]}"]
        elif name:
            found[name].append(line)
    return found


class Image(unittest.TestCase):
    def test_hadolint_accepts_the_dockerfile(self) -> None:
        self.assertEqual(hadolint(DOCKERFILE.read_text()), "")
        self.assertIn("DL3008", hadolint("FROM debian:13\nRUN apt-get update && apt-get install -y cmake\n"))

    def test_the_final_stages_have_no_shell_and_no_root(self) -> None:
        found = stages(DOCKERFILE.read_text())
        self.assertEqual(list(found), ["tools", "manifests", "build", "onnxruntime", "davy", "cds"])
        self.assertIn("ARG BASE_IMAGE=gcr.io/distroless/cc-debian13:nonroot", DOCKERFILE.read_text())
        davy = found["davy"]
        self.assertEqual(davy[0], "FROM ${BASE_IMAGE}")
        self.assertIn("USER 65532:65532", davy)
        self.assertIn('ENTRYPOINT ["/usr/bin/davy"]', davy)
        # Without a shell, a RUN would fail.
        self.assertEqual([line for line in davy + found["cds"] if line.startswith("RUN")], [])
        self.assertEqual(found["cds"], ["FROM davy", 'ENTRYPOINT ["/usr/bin/davy", "cds"]'])

    def test_what_the_image_copies_exists(self) -> None:
        text = DOCKERFILE.read_text()
        paths = set(re.findall(r"(?:models/\w+|scripts/pinned/\w+\.txt|\bpipelines\b|\bLICENSE\b|rust-toolchain\.toml)", text))
        self.assertGreaterEqual(len(paths), 7)
        for path in paths:
            self.assertTrue((REPOSITORY / path).exists(), path)
        # Every package of a model that a pipeline of the repository names is in the image.
        named = {path for script in (REPOSITORY / "pipelines").glob("*.sql") for path in re.findall(r"USING MODEL '(models/\w+)/", script.read_text())}
        self.assertTrue(named)
        self.assertLessEqual(named, paths)

    def test_dependencies_are_a_layer_below_the_code(self) -> None:
        build = stages(DOCKERFILE.read_text())["build"]
        first = build.index("RUN cargo build --release --locked -p davy")
        self.assertEqual(build[first - 1 : first + 2], ["COPY --from=manifests /all .", build[first], "COPY . ."])
        self.assertLess(build.index("ARG SOURCE_DATE_EPOCH"), first)

    def test_the_version_is_that_of_the_workspace(self) -> None:
        version = re.search(r'^version = "(.*)"', (REPOSITORY / "Cargo.toml").read_text(), re.MULTILINE)
        assert version
        self.assertIn(f"ARG VERSION={version[1]}\n", DOCKERFILE.read_text())


class Compose(unittest.TestCase):
    services: dict[str, dict[str, Any]] = yaml.safe_load(COMPOSE.read_text())["services"]

    def davy(self) -> dict[str, list[str]]:
        return {name: service["command"] for name, service in self.services.items() if "davy" in service["image"]}

    def test_every_command_and_flag_exists(self) -> None:
        self.assertEqual({command[0] for command in self.davy().values()}, set(COMMANDS))
        for name, command in self.davy().items():
            struct_name, path = COMMANDS[command[0]]
            used = {word for word in command[1:] if word.startswith("--")}
            self.assertLessEqual(used, flags(struct(source(path), struct_name)), name)

    def test_services_and_files_that_are_named_exist(self) -> None:
        for name, service in self.services.items():
            others = set(service.get("depends_on", {})) | set(re.findall(r"service:(.*)", service.get("network_mode", "")))
            self.assertLessEqual(others, set(self.services), name)
            for volume in service.get("volumes", []):
                path, _, mode = volume.split(":")
                self.assertTrue((COMPOSE.parent / path).exists(), f"{name}: {path}")
                self.assertEqual(mode, "ro", name)

    def test_davy_listens_on_loopback_only_and_needs_no_rights(self) -> None:
        for name, command in self.davy().items():
            service = self.services[name]
            self.assertEqual((service["network_mode"], service["read_only"], service["cap_drop"]), ("service:kafka", True, ["ALL"]), name)
            self.assertNotIn("0.0.0.0", " ".join(command))
        for port in self.services["kafka"]["ports"]:
            self.assertTrue(port.startswith("127.0.0.1:"), port)

    def test_topics_and_addresses_are_those_of_the_pipeline(self) -> None:
        submit, replay = self.services["submit"]["command"], self.services["replay"]["command"]
        script = (REPOSITORY / submit[1]).read_text()
        topics = re.findall(r"\btopic = '(\w+)'", script)
        self.assertEqual([replay[replay.index("--flows") + 1], replay[replay.index("--verdicts") + 1]], topics)
        self.assertIn(f"for topic in {' '.join(topics)};", self.services["topics"]["command"][0])
        self.assertEqual(set(re.findall(r"bootstrap_servers = '(.*?)'", script)), {replay[replay.index("-b") + 1]})

    def test_prometheus_reads_every_process_with_the_labels_of_the_dashboards(self) -> None:
        file = REPOSITORY / "deploy/compose/prometheus.yaml"
        checked = subprocess.run(["promtool", "check", "config", str(file)], capture_output=True, text=True, check=False)
        self.assertEqual(checked.returncode, 0, checked.stdout + checked.stderr)
        scraped = yaml.safe_load(file.read_text())["scrape_configs"][0]["static_configs"]
        ports = {"127.0.0.1:9641": "coordinator"}
        for name, command in self.davy().items():
            if command[0] == "worker":
                ports[command[command.index("--http") + 1]] = name
        self.assertEqual({config["targets"][0]: config["labels"]["pod"] for config in scraped}, ports)
        self.assertEqual({config["labels"]["namespace"] for config in scraped}, {"compose"})

    def test_health_checks_call_the_port_that_the_process_listens_at(self) -> None:
        for name, command in self.davy().items():
            if "--http" in command:
                self.assertEqual(self.services[name]["healthcheck"]["test"][-1], command[command.index("--http") + 1], name)


if __name__ == "__main__":
    unittest.main()
