"""A switch with a database in a directory and a namespace of its own: what the benches stand on."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

SCHEMA = "/usr/share/openvswitch/vswitch.ovsschema"
OURS = os.path.realpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../target/release/turnoutd"))
OVS = "/usr/lib/openvswitch-switch/ovs-vswitchd"
OVS_DPDK = "/usr/lib/openvswitch-switch-dpdk/ovs-vswitchd-dpdk"


class Switch:
    """A switch with a database in a directory and a namespace of its own."""

    def __init__(self, name, binary, stack, options=()):
        self.name, self.netns = name, f"bench{os.getpid()}-{name}"
        self.dir = tempfile.mkdtemp(prefix=f"turnout-bench-{name}-")
        stack.callback(shutil.rmtree, self.dir, ignore_errors=True)
        subprocess.run(["ip", "netns", "add", self.netns], check=True)
        stack.callback(subprocess.run, ["ip", "netns", "del", self.netns])
        self.env = dict(os.environ, OVS_SYSLOG_METHOD="null",
                        **{v: self.dir for v in ("OVS_RUNDIR", "OVS_LOGDIR", "OVS_DBDIR", "OVS_SYSCONFDIR")})
        self.run("ovsdb-tool", "create", f"{self.dir}/conf.db", SCHEMA)
        self.spawn(stack, "ovsdb-server", "--pidfile", "-vconsole:off", f"--remote=punix:{self.dir}/db.sock", f"{self.dir}/conf.db")
        self.until(lambda: self.try_run("ovs-vsctl", "--no-wait", "--timeout=2", "init"))
        if options:
            self.vsctl("--no-wait", "set", "Open_vSwitch", ".", *options)
        # Under the name that the tools look for.
        os.symlink(binary, f"{self.dir}/ovs-vswitchd")
        self.process = self.spawn(stack, f"{self.dir}/ovs-vswitchd", "--pidfile", "--log-file", "-vconsole:off")
        self.until(lambda: self.try_run("ovs-vsctl", "--timeout=2", "init"))

    def command(self, *args):
        return ["ip", "netns", "exec", self.netns, *args]

    def run(self, *args):
        done = subprocess.run(self.command(*args), env=self.env, capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"{self.name}: {' '.join(args)}: {done.stdout}{done.stderr}")
        return done.stdout

    def try_run(self, *args):
        return subprocess.run(self.command(*args), env=self.env, capture_output=True).returncode == 0

    def spawn(self, stack, *args):
        process = subprocess.Popen(self.command(*args), env=self.env, cwd=self.dir, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

        def end():
            process.send_signal(signal.SIGCONT)
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        stack.callback(end)
        return process

    def until(self, condition):
        for _ in range(300):
            if condition():
                return
            time.sleep(0.1)
        sys.exit(f"{self.name}: did not start; log: {open(f'{self.dir}/ovs-vswitchd.log').read()[-2000:]}")

    def vsctl(self, *args):
        return self.run("ovs-vsctl", "--timeout=60", *args)
