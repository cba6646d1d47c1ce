"""The Jobs and the objects of Strimzi: pipelines are submitted once and updated when they change, and rights are those of docs/kafka.md."""

from __future__ import annotations

import os
import pathlib
import re
import subprocess
import tempfile
import unittest
from typing import Any

import modes
from chart import MINIMAL, REPOSITORY, Values, merged, of_kind, one, render
from test_components import environment, flags, source, struct

# Stands in for `davy`: knows pipelines by files, and answers as coordinator/src/service/change.rs says.
FAKE = r"""#!/bin/sh
command=$1
shift
case $command in submit) sql=$1; shift ;; update) name=$1 sql=$2; shift 2 ;; esac
waits=
while [ $# -gt 0 ]; do
  case $1 in
    --name) name=$2; shift ;;
    --request-id) id=$2; shift ;;
    --timeout) shift ;;
    --wait) waits=yes ;;
    --set=* | --tenant=* | --fresh) flags="$flags $1" ;;
    *) echo "unknown: $1" >&2; exit 2 ;;
  esac
  shift
done
if grep -q broken "$sql"; then echo "error: the script is broken" >&2; exit 2; fi
if [ "$(cat "$STATE/$name" 2>/dev/null)" = "$id" ]; then echo "same $name $waits" >> "$STATE.log"; exit 0; fi
case $command in
  submit) if [ -e "$STATE/$name" ]; then echo "error: another pipeline runs under the name" >&2; exit 2; fi ;;
  update) if [ ! -e "$STATE/$name" ]; then echo "error: there is no pipeline" >&2; exit 2; fi ;;
esac
echo "$id" > "$STATE/$name"
echo "$command $name$flags" >> "$STATE.log"
"""


def pipelines(**sql: str) -> Values:
    return {"pipelines": [{"name": name, "sql": text} for name, text in sql.items()]}


class Cluster:
    """Runs the Job's script against the stand-in."""

    def __init__(self, folder: str) -> None:
        self.folder = pathlib.Path(folder)
        self.state = self.folder / "state"
        self.state.mkdir()
        (self.folder / "davy").write_text(FAKE)
        (self.folder / "davy").chmod(0o755)

    def apply(self, values: Values) -> tuple[int, list[str], str]:
        """The exit code, what has happened to pipelines, and what was printed."""
        data = one(render(MINIMAL, values), "ConfigMap", "davy-pipelines")["data"]
        for name, text in data.items():
            (self.folder / name).write_text(text.replace("/usr/bin/davy", str(self.folder / "davy")).replace("/etc/davy/pipelines", str(self.folder)))
        log = self.folder / "state.log"
        log.write_text("")
        done = subprocess.run(["sh", str(self.folder / "apply.sh")], env={**os.environ, "STATE": str(self.state)}, capture_output=True, text=True, check=False)
        return done.returncode, log.read_text().splitlines(), done.stdout + done.stderr


class Pipelines(unittest.TestCase):
    def test_a_pipeline_is_submitted_once_and_updated_when_it_changes(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            cluster = Cluster(folder)
            first, second = pipelines(a="SELECT 1"), pipelines(a="SELECT 2")
            self.assertEqual(cluster.apply(first)[:2], (0, ["submit a", "same a yes"]))
            self.assertEqual(cluster.apply(first)[:2], (0, ["same a ", "same a yes"]))
            self.assertEqual(cluster.apply(second)[:2], (0, ["update a", "same a yes"]))
            self.assertEqual(cluster.apply(second)[:2], (0, ["same a ", "same a yes"]))
            self.assertEqual(cluster.apply(first)[:2], (0, ["update a", "same a yes"]))
            changed = merged(first, {"pipelines": [{"name": "a", "sql": "SELECT 1", "set": {"flows.topic": "x"}}]})
            self.assertEqual(cluster.apply(changed)[:2], (0, ["update a --set=flows.topic=x", "same a yes"]))

    def test_a_broken_pipeline_fails_the_job_and_leaves_the_others_alone(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            code, changes, printed = Cluster(folder).apply(pipelines(a="broken", b="SELECT 1"))
            self.assertEqual((code, changes), (1, ["submit b", "same b yes"]))
            self.assertIn("error: the script is broken", printed)
            self.assertIn("failed: a\n", printed)

    def test_sql_and_settings_arrive_as_they_are(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            code, changes, _ = Cluster(folder).apply(modes.PIPELINES)
            self.assertEqual(code, 0)
            self.assertIn("submit miners --set=flows.max_keys=1000000 --set=flows.topic=it's --set=memory=1GiB", changes)
            self.assertIn("submit scans_2 --tenant=soc", changes)
            self.assertEqual(pathlib.Path(folder, "miners.sql").read_text(), modes.PIPELINES["pipelines"][0]["sql"])

    def test_two_tenants_may_have_pipelines_of_one_name(self) -> None:
        both: Values = {"pipelines": [{"name": "a", "sql": "SELECT 1", "tenant": "soc"}, {"name": "a", "sql": "SELECT 2", "tenant": "noc"}, {"name": "a", "sql": "SELECT 3"}]}
        data = one(render(MINIMAL, both), "ConfigMap", "davy-pipelines")["data"]
        self.assertEqual([data[f"{name}.sql"] for name in ("soc.a", "noc.a", "a")], ["SELECT 1", "SELECT 2", "SELECT 3"])
        applied = re.findall(r"apply (\S+) (\S+) \S+ ''((?: --tenant=\w+)?)", data["apply.sh"])
        self.assertEqual(applied, [("soc.a.sql", "a", " --tenant=soc"), ("noc.a.sql", "a", " --tenant=noc"), ("a.sql", "a", "")])

    def test_the_script_uses_flags_that_the_commands_have(self) -> None:
        script = one(render(MINIMAL, modes.PIPELINES), "ConfigMap", "davy-pipelines")["data"]["apply.sh"]
        text = source("cli/src/remote/args.rs")
        both = set(re.findall(r"(?<=\s)--[a-z-]+", script))
        self.assertGreaterEqual(len(both), 7)
        self.assertLessEqual(both, flags(struct(text, "SubmitArgs")) | {"--fresh"})
        self.assertLessEqual(both - {"--name"}, flags(struct(text, "UpdateArgs")))

    def test_the_job_runs_after_each_change_with_the_token_of_an_operator(self) -> None:
        manifests = render(MINIMAL, modes.PIPELINES)
        job = one(manifests, "Job", "davy-pipelines")
        self.assertEqual(job["metadata"]["annotations"]["helm.sh/hook"], "post-install,post-upgrade")
        pod = job["spec"]["template"]["spec"]
        self.assertIn("DAVY_TOKEN_FILE", environment(manifests, pod["containers"][0]))
        keys = [item["key"] for volume in pod["volumes"] if "secret" in volume for item in volume["secret"]["items"]]
        self.assertEqual(keys, ["ca.crt", "operator.token"])


class MinerTest(unittest.TestCase):
    def test_it_uses_flags_that_the_command_has_and_no_password_is_in_the_manifest(self) -> None:
        job = one(render(modes.MODES["miner test with SASL"]), "Job", "davy-miner-test")
        (container,) = job["spec"]["template"]["spec"]["containers"]
        used = {argument.split("=")[0] for argument in container["args"][1:]}
        self.assertLessEqual(used, flags(struct(source("cli/src/miner_test/args.rs"), "MinerTestArgs")))
        self.assertIn("--kafka-property=sasl.password=$(KAFKA_PASSWORD)", container["args"])
        self.assertEqual(container["env"][0]["valueFrom"]["secretKeyRef"]["name"], "kafka-password")
        self.assertEqual(job["spec"]["backoffLimit"], 0)


class Strimzi(unittest.TestCase):
    def documented(self) -> dict[str, set[str]]:
        """The rights in the table of docs/kafka.md, by resource."""
        page = (REPOSITORY / "docs/kafka.md").read_text().split("\n## Rights\n")[1].split("\n## ")[0]
        rows = re.findall(r"^\| (groups|transactional ids|topics) \| (.*) \|$", page, re.MULTILINE)
        self.assertEqual(len(rows), 3)
        return {resource: {word.replace("_", "").lower() for word in re.findall(r"\b[A-Z_]{4,}\b", text)} for resource, text in rows}

    def test_the_users_rights_are_those_that_the_documentation_names(self) -> None:
        (user,) = of_kind(render(MINIMAL, modes.STRIMZI), "KafkaUser")
        acls: list[dict[str, Any]] = user["spec"]["authorization"]["acls"]
        by_prefix = {acl["resource"]["type"]: {operation.lower() for operation in acl["operations"]} for acl in acls if acl["resource"]["patternType"] == "prefix"}
        documented = self.documented()
        self.assertEqual(by_prefix["group"], documented["groups"])
        self.assertEqual(by_prefix["transactionalId"], documented["transactional ids"])
        # A coordinator also reads the settings of its catalog's topic.
        self.assertEqual(by_prefix["topic"], documented["topics"] | {"describeconfigs"})
        own = {acl["resource"]["name"]: acl["operations"] for acl in acls if acl["resource"]["patternType"] == "literal"}
        self.assertEqual(own, {"flows": ["Read", "Describe"], "Miners_v1.out": ["Write", "Describe"], "rejected": ["Read", "Write", "Describe"]})

    def test_topics_with_similar_names_are_objects_of_their_own(self) -> None:
        names = ["flows-raw", "flows.raw", "flows_raw", "Flows-raw", "x" * 200, "x" * 201, "flows-"]
        topics = [{"name": name, "partitions": 1, "replicas": 1} for name in names]
        made = of_kind(render(MINIMAL, modes.STRIMZI, {"strimzi": {"topics": topics}}), "KafkaTopic")
        self.assertEqual([topic["spec"]["topicName"] for topic in made], names)
        self.assertEqual(len({topic["metadata"]["name"] for topic in made}), len(names))
        for topic in made:
            self.assertRegex(topic["metadata"]["name"], r"\A[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?\Z")
        self.assertEqual(made[0]["metadata"]["name"], "davy-flows-raw")

    def test_topics_stay_when_the_release_is_removed(self) -> None:
        topics = of_kind(render(MINIMAL, modes.STRIMZI), "KafkaTopic")
        self.assertEqual(len(topics), 4)
        for topic in topics:
            self.assertEqual(topic["metadata"]["annotations"]["helm.sh/resource-policy"], "keep")
            self.assertEqual((topic["metadata"]["namespace"], topic["metadata"]["labels"]["strimzi.io/cluster"]), ("kafka", "kafka"))
        self.assertIn("Miners_v1.out", [topic["spec"]["topicName"] for topic in topics])


if __name__ == "__main__":
    unittest.main()
