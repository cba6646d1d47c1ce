"""Renders the chart with Helm and looks into what comes out."""

from __future__ import annotations

import pathlib
import subprocess
import tempfile
from collections.abc import Iterator
from typing import Any

import yaml

CHART = pathlib.Path(__file__).resolve().parent.parent / "davy"
REPOSITORY = CHART.parents[2]
RELEASE, NAMESPACE = "davy", "davy-system"

Manifest = dict[str, Any]
Values = dict[str, Any]

# The least that a user must say.
MINIMAL: Values = {
    "kafka": {"bootstrapServers": "kafka.kafka:9093"},
    "auth": {"existingSecret": "davy-auth"},
    "tls": {"existingSecret": "davy-tls"},
}

CERT_MANAGER: Values = {
    "kafka": {"bootstrapServers": "kafka.kafka:9093"},
    "auth": {"existingSecret": "davy-auth"},
    "tls": {"certManager": {"enabled": True, "issuerName": "ca"}},
}


class Refused(Exception):
    """Helm has refused the values."""


class Loader(yaml.CSafeLoader):
    """Refuses a key that is there twice, as the API server's strict validation does."""


def _mapping(loader: Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    keys = [loader.construct_object(key, deep=True) for key, _ in node.value]
    for key in keys:
        if keys.count(key) > 1:
            raise yaml.YAMLError(f"the key `{key}` is there twice")
    return {key: loader.construct_object(value, deep=True) for key, (_, value) in zip(keys, node.value)}


Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def merged(*layers: Values) -> Values:
    """Later layers take precedence, maps are merged; as Helm does with several files of values."""
    result: Values = {}
    for layer in layers:
        for key, value in layer.items():
            both = isinstance(value, dict) and isinstance(result.get(key), dict)
            result[key] = merged(result[key], value) if both else value
    return result


def helm(*arguments: str, values: Values | None = None) -> str:
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        yaml.safe_dump(values or {}, file)
        file.flush()
        done = subprocess.run(["helm", *arguments, "--values", file.name], capture_output=True, text=True, check=False)
    if done.returncode:
        raise Refused(done.stderr)
    return done.stdout


def render_text(*layers: Values, arguments: tuple[str, ...] = ()) -> str:
    return helm("template", RELEASE, str(CHART), "--namespace", NAMESPACE, *arguments, values=merged(*layers))


def render(*layers: Values, arguments: tuple[str, ...] = ()) -> list[Manifest]:
    documents = yaml.load_all(render_text(*layers, arguments=arguments), Loader=Loader)
    return [document for document in documents if document]


def of_kind(manifests: list[Manifest], kind: str) -> list[Manifest]:
    return [manifest for manifest in manifests if manifest["kind"] == kind]


def one(manifests: list[Manifest], kind: str, name: str) -> Manifest:
    found = [manifest for manifest in of_kind(manifests, kind) if manifest["metadata"]["name"] == name]
    if len(found) != 1:
        names = [f"{manifest['kind']}/{manifest['metadata']['name']}" for manifest in manifests]
        raise AssertionError(f"{len(found)} of {kind}/{name} among {', '.join(names)}")
    return found[0]


def pod_specs(manifests: list[Manifest]) -> Iterator[tuple[str, Manifest]]:
    """Each pod with `kind/name` of what makes it."""
    for manifest in manifests:
        name = f"{manifest['kind']}/{manifest['metadata']['name']}"
        if manifest["kind"] == "Pod":
            yield name, manifest["spec"]
        elif manifest["kind"] in ("Deployment", "StatefulSet", "DaemonSet", "Job"):
            yield name, manifest["spec"]["template"]["spec"]
        elif manifest["kind"] == "CronJob":
            yield name, manifest["spec"]["jobTemplate"]["spec"]["template"]["spec"]


def containers(pod: Manifest) -> list[Manifest]:
    return [*pod.get("initContainers", []), *pod["containers"]]
