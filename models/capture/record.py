"""Record the laboratory session: build namespaces, run the hosts, collect NetFlow v9.

    python3 record.py --seconds 3300 --seed 7

Needs root on Debian.  Everything runs in network namespaces named davylab-*
that have no link to the outside; they are removed at the end and on Ctrl-C.
"""

import argparse
import csv
import gzip
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time

import plan

HERE = pathlib.Path(__file__).resolve().parent
PROGRAMS = {"ip": "iproute2", "ethtool": "ethtool", "softflowd": "softflowd", "nfcapd": "nfdump",
            "nfdump": "nfdump", "ssh": "openssh-client", "/usr/sbin/sshd": "openssh-server",
            "openssl": "openssl", "ping": "iputils-ping", "sysctl": "procps"}
# Router-like: active timeout 300 s, idle 60 s, finished TCP flows leave soon.
TIMEOUTS = {"maxlife": 300, "tcp": 60, "udp": 60, "icmp": 60, "general": 60, "tcp.fin": 10, "tcp.rst": 10,
            "expint": 5}
# A router never routes neighbour discovery, so the probe leaves it out.
FILTER = "tcp or udp or icmp or (icmp6 and (ip6[40] = 128 or ip6[40] = 129))"
TAP = f"{plan.PREFIX}-tap"
ENV = os.environ | {"TZ": "UTC", "LC_ALL": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1"}


def sh(command, **options):
    """Run one command and insist on success."""
    return subprocess.run(command.split(), check=True, env=ENV, **options)


def output(command):
    """What a command prints."""
    return subprocess.run(command.split(), capture_output=True, text=True, check=False, env=ENV).stdout


def check_programs():
    """Stop with the apt line if something is missing."""
    missing = sorted({package for program, package in PROGRAMS.items() if not shutil.which(program)})
    if missing:
        sys.exit(f"missing programs: apt-get install --no-install-recommends {' '.join(missing)}")
    if os.geteuid():
        sys.exit("root is needed to make network namespaces")


def namespaces():
    """The namespaces of the lab that exist now."""
    listed = output("ip netns list")
    return [line.split()[0] for line in listed.splitlines() if line.startswith(f"{plan.PREFIX}-")]


def clean():
    """End what runs inside our namespaces and remove them; safe to repeat."""
    for name in namespaces():
        for pid in output(f"ip netns pids {name}").split():
            try:
                os.kill(int(pid), signal.SIGKILL)
            except ProcessLookupError:
                pass  # it ended by itself
        subprocess.run(["ip", "netns", "del", name], check=False)


def build_bridge():
    """The tap namespace: a bridge that all traffic crosses, and a loopback for the export."""
    sh(f"ip netns add {TAP}")
    sh(f"ip -n {TAP} link set lo up")
    # Without snooping and without own addresses the bridge is a plain switch.
    sh(f"ip -n {TAP} link add br0 type bridge stp_state 0 mcast_snooping 0 ageing_time 360000")
    for scope in ("all", "default"):
        sh(f"ip netns exec {TAP} sysctl -qw net.ipv6.conf.{scope}.disable_ipv6=1")
    sh(f"ip -n {TAP} link set br0 up promisc on")


def build_host(host):
    """One namespace with a veth pair to the bridge."""
    name, port = f"{plan.PREFIX}-{host.name}", f"p-{host.name}"
    sh(f"ip netns add {name}")
    sh(f"ip -n {name} link set lo up")
    sh(f"ip -n {name} link add eth0 type veth peer name {port} netns {TAP}")
    # Offloading would show the probe packets of 64 KB that no network carries.
    for space, link in ((name, "eth0"), (TAP, port)):
        sh(f"ip netns exec {space} ethtool -K {link} tso off gso off gro off tx off",
           stdout=subprocess.DEVNULL)
    sh(f"ip -n {TAP} link set {port} master br0 up")
    sh(f"ip -n {name} addr add {host.ip4}/16 dev eth0")
    sh(f"ip -n {name} -6 addr add {host.ip6}/64 dev eth0 nodad")
    sh(f"ip -n {name} link set eth0 up")


def make_secrets(run):
    """Throw-away keys, the certificate, the SSH server's settings and files to copy."""
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    sh(f"openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=lab "
       f"-keyout {run}/tls.key -out {run}/tls.crt", **quiet)
    for name in ("host_key", "ssh_key"):
        # An empty passphrase cannot be written in one string, hence the list.
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-C", "lab", "-N", "", "-f", str(run / name)]
        subprocess.run(command, check=True)
    server = plan.server("shell1")
    (run / "sshd_config").write_text(
        f"ListenAddress {server.ip4}\nHostKey {run}/host_key\nAuthorizedKeysFile {run}/ssh_key.pub\n"
        "StrictModes no\nUsePAM no\nPidFile none\nPermitRootLogin prohibit-password\nUseDNS no\n"
        "PrintMotd no\nPrintLastLog no\nSubsystem sftp internal-sftp\n")
    for n, megabytes in enumerate((1, 3, 8, 20), 1):
        (run / f"file{n}").write_bytes(os.urandom(megabytes << 20))
    pathlib.Path("/run/sshd").mkdir(exist_ok=True)


def start(space, command, log):
    """Start a program inside a namespace, in its own process group."""
    return subprocess.Popen(["ip", "netns", "exec", space, *command], stdout=log, stderr=log, env=ENV,
                            stdin=subprocess.DEVNULL, start_new_session=True)


def start_probe(run, log):
    """The collector and the flow probe, both in the tap namespace."""
    flows = run / "nfcapd"
    flows.mkdir()
    collector = start(TAP, f"nfcapd -w {flows} -b 127.0.0.1 -p 9995 -t 300".split(), log)
    time.sleep(1)
    timeouts = " ".join(f"-t {name}={seconds}" for name, seconds in TIMEOUTS.items())
    command = (f"softflowd -d -i br0 -v 9 -n 127.0.0.1:9995 -m 65536 {timeouts} "
               f"-p {run}/softflowd.pid -c {run}/softflowd.ctl {FILTER}")
    probe = start(TAP, command.split(), log)
    time.sleep(2)
    return collector, probe


def start_hosts(hosts, run, seed, log):
    """One process per host; the servers first."""
    processes = []
    for host in hosts:
        command = [sys.executable, str(HERE / "host.py"), "--host", host.name, "--run", str(run),
                   "--seed", str(seed)]
        processes.append(start(f"{plan.PREFIX}-{host.name}", command, log))
        time.sleep(0.1)
    return processes


def stop(processes, wait):
    """Send SIGTERM to the processes and give them time."""
    for process in processes:
        process.terminate()
    time.sleep(wait)


def merge_labels(run, out):
    """One table from the notes of all hosts."""
    rows = {}
    for path in sorted(run.glob("labels-*.csv")):
        for row in csv.reader(path.open()):
            rows.setdefault(tuple(row[:4]), set()).add(tuple(row[4:]))
    with (out / "labels.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["client", "server", "server_port", "protocol", "label", "kind"])
        for key, kinds in sorted(rows.items()):
            labels = {label for label, _ in kinds}
            # A host may reach one port for two reasons, e.g. a login and a copy over SSH.
            label = "miner" if "miner" in labels else "benign"
            writer.writerow([*key, label, "+".join(sorted(kind for _, kind in kinds))])


def collect(run, out):
    """Write the CSV as nfdump prints it, and the collector's own files."""
    flows = run / "nfcapd"
    printed = sh(f"nfdump -R {flows} -O tstart -o csv", capture_output=True).stdout
    (out / "lab.csv.gz").write_bytes(gzip.compress(printed, 9, mtime=0))
    with tarfile.open(out / "lab.nfcapd.tar.gz", "w:gz", compresslevel=9) as tar:
        for path in sorted(flows.glob("nfcapd.2*")):
            info = tar.gettarinfo(path, path.name)
            info.uid = info.gid = 0
            info.uname = info.gname = "root"
            tar.addfile(info, path.open("rb"))


def session(args, run):
    """The whole recording, from the bridge to the result files."""
    hosts = plan.everyone(args.seed)
    make_secrets(run)
    build_bridge()
    for host in hosts:
        build_host(host)
    with (run / "log").open("w") as log:
        collector, probe = start_probe(run, log)
        processes = start_hosts(hosts, run, args.seed, log)
        print(f"recording {args.seconds} s, seed {args.seed}, {len(hosts)} hosts, run folder {run}",
              flush=True)
        time.sleep(args.seconds)
        # Longer than the idle timeout: every flow leaves the probe by itself.
        stop(processes, 80)
        stop([probe], 5)
        stop([collector], 3)
    args.out.mkdir(parents=True, exist_ok=True)
    merge_labels(run, args.out)
    collect(run, args.out)


def main():
    """Read the arguments, record, clean up whatever happens."""
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("--seconds", type=int, default=3300)
    args.add_argument("--seed", type=int, default=7)
    args.add_argument("--out", type=pathlib.Path, default=HERE)
    args.add_argument("--keep", action="store_true", help="keep the run folder with logs and keys")
    args = args.parse_args()
    check_programs()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
    clean()
    run = pathlib.Path(tempfile.mkdtemp(prefix="davylab-"))
    try:
        session(args, run)
    finally:
        clean()
        if not args.keep:
            shutil.rmtree(run, ignore_errors=True)


if __name__ == "__main__":
    main()
