"""Starts the containers of the chart as processes: see processes.sh, which makes their network."""

from __future__ import annotations

import hashlib
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from typing import Any

from chart import REPOSITORY, Manifest, Values, merged, of_kind, one, render
from test_components import environment

DAVY, SERVERS, FOLDER = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3])
# Coordinators are 127.0.0.10 and 127.0.0.11, by the names that processes.sh gives them; workers 127.0.0.20 and 127.0.0.21.
N = 2
TOKENS = {"worker": ("worker", "*"), "metrics": ("viewer", "*"), "operator": ("operator", "default")}


def openssl(*arguments: str) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True, cwd=FOLDER)


def certificate(secret: str, names: str, usage: str) -> None:
    """A Secret with a certificate of our own authority."""
    folder = FOLDER / secret
    folder.mkdir()
    openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={secret}", "-keyout", f"{secret}/tls.key", "-out", f"{secret}.csr")
    (FOLDER / "extensions").write_text(f"subjectAltName = {names}\nextendedKeyUsage = {usage}\n")
    openssl("x509", "-req", "-in", f"{secret}.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "1", "-extfile", "extensions", "-out", f"{secret}/tls.crt")
    shutil.copy(FOLDER / "ca.crt", folder)


def make_secrets() -> None:
    """The Secrets that the values name, as folders."""
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1", "-subj", "/CN=ca", "-keyout", "ca.key", "-out", "ca.crt")
    certificate("davy-tls", "DNS:*.davy-coordinator-headless.davy-system.svc", "serverAuth")
    certificate("davy-client", "DNS:davy-client", "clientAuth")
    auth = FOLDER / "davy-auth"
    auth.mkdir()
    entries = []
    for name, (role, tenant) in TOKENS.items():
        (auth / f"{name}.token").write_text(os.urandom(32).hex())
        digest = hashlib.sha256((auth / f"{name}.token").read_bytes()).hexdigest()
        entries.append(f'[[token]]\nname = "{name}"\nrole = "{role}"\ntenant = "{tenant}"\nsha256 = "{digest}"\n')
    (auth / "tokens.toml").write_text("".join(entries))


class Pod:
    """A pod of the chart as a process: its volumes are below a folder of its own, and its paths lead there."""

    def __init__(self, manifests: list[Manifest], name: str, spec: Manifest, **changed: str) -> None:
        self.name, self.root = name, FOLDER / "pods" / name
        (container,) = spec["containers"]
        for mount in container["volumeMounts"] if "volumeMounts" in container else []:
            (volume,) = (volume for volume in spec["volumes"] if volume["name"] == mount["name"])
            self.fill(manifests, volume, self.root / mount["mountPath"][1:])
        self.environment = {key: self.inside(value or name) for key, value in environment(manifests, container).items()} | changed
        self.environment |= {"PATH": os.environ["PATH"], "TMPDIR": str(FOLDER)}
        self.arguments = [self.inside(argument).replace("$(POD_NAME)", name) for argument in container.get("args", [])]
        self.log = FOLDER / f"{name}.log"

    def inside(self, text: str) -> str:
        for folder in ("/etc/davy", "/var/lib/davy"):
            text = text.replace(folder, str(self.root) + folder)
        return text

    def fill(self, manifests: list[Manifest], volume: dict[str, Any], folder: pathlib.Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for item in volume.get("secret", {}).get("items", []):
            shutil.copy(FOLDER / volume["secret"]["secretName"] / item["key"], folder / item["path"])
        if "configMap" in volume:
            for file, text in one(manifests, "ConfigMap", volume["configMap"]["name"])["data"].items():
                (folder / file).write_text(self.inside(text).replace("/usr/bin/davy", DAVY))

    def start(self, *command: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(command or [DAVY, *self.arguments], env=self.environment, cwd=REPOSITORY, stdout=self.log.open("w"), stderr=subprocess.STDOUT)

    def run(self, *command: str) -> str:
        """What the process prints; an error unless it succeeds."""
        code = self.start(*command).wait(300)
        check(code == 0, f"{self.name}: exit code {code}: {self.log.read_text()}")
        return self.log.read_text()


def check(condition: bool, message: str) -> None:
    if not condition:
        raise SystemExit(f"FAILED: {message}")


def status(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


def wait_until_ready() -> None:
    """One coordinator leads, both are ready by the probe of the chart, and so are the workers."""
    addresses = [f"http://127.0.0.1{index}:9641" for index in range(N)]
    for _ in range(60):
        leads = sorted(status(f"{address}/readyz") for address in addresses)
        ready = [status(f"{address}/healthz") for address in addresses] + [status(f"http://127.0.0.2{index}:9642/readyz") for index in range(N)]
        if leads == [200, 503] and set(ready) == {200}:
            return
        time.sleep(1)
    raise SystemExit(f"FAILED: not ready: leads {leads}, ready {ready}: " + "".join(path.read_text() for path in FOLDER.glob("davy-*.log")))


def play(values: Values) -> None:
    manifests = render(values)
    specs = {kind: of_kind(manifests, kind)[0]["spec"]["template"]["spec"] for kind in ("StatefulSet", "Deployment")}
    pods = [Pod(manifests, f"davy-coordinator-{index}", specs["StatefulSet"], DAVY_LISTEN=f"127.0.0.1{index}:9640", DAVY_HTTP=f"127.0.0.1{index}:9641") for index in range(N)]
    pods += [Pod(manifests, f"davy-worker-{index}", specs["Deployment"], DAVY_HTTP=f"127.0.0.2{index}:9642") for index in range(N)]
    processes = [pod.start() for pod in pods]
    try:
        wait_until_ready()
        listed = Pod(manifests, "davy-test", one(manifests, "Pod", "davy-test")["spec"]).run()
        check(all(f"davy-worker-{index}" in listed for index in range(N)), f"helm test: {listed}")
        job = Pod(manifests, "davy-pipelines", one(manifests, "Job", "davy-pipelines")["spec"]["template"]["spec"])
        for _ in range(2):
            printed = job.run("sh", str(job.root / "etc/davy/pipelines/apply.sh"))
            check("miners: running, version 1," in printed, f"the pipelines' Job: {printed}")
        for test in [found for found in of_kind(manifests, "Job") if found["metadata"]["name"] == "davy-miner-test"]:
            printed = Pod(manifests, "davy-miner-test", test["spec"]["template"]["spec"]).run()
            print(printed.strip().splitlines()[-1])
    finally:
        for process in processes:
            process.send_signal(signal.SIGTERM)
        codes = [process.wait(60) for process in processes]
    check(codes == [0] * len(codes), f"exit codes {codes}")


def main() -> None:
    make_secrets()
    script = (REPOSITORY / "pipelines/miners_kafka.sql").read_text()
    values: Values = {
        "kafka": {"bootstrapServers": SERVERS, "securityProtocol": "PLAINTEXT"},
        "auth": {"existingSecret": "davy-auth"},
        "tls": {"existingSecret": "davy-tls"},
        "pipelines": [{"name": "miners", "sql": script, "set": {"flows.bootstrap_servers": SERVERS, "miners.bootstrap_servers": SERVERS}}],
    }
    play(merged(values, {"minerTest": {"enabled": True, "flows": "flows", "verdicts": "miners", "speed": 60}}))
    print("ok: tokens")
    shutil.rmtree(FOLDER / "pods")
    # The same catalog, read by new coordinators, which now require certificates of clients.
    play(merged(values, {"tls": {"client": {"enabled": True, "existingSecret": "davy-client"}}}))
    print("ok: tokens and client certificates")


if __name__ == "__main__":
    main()
