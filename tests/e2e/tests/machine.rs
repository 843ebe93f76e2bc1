//! A virtual machine on a tap: pings, TCP with all offloads, and a restart of the machine.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use std::time::Duration;

use e2e::{Host, Netns, Sandbox, wait_for, wait_until, wait_up_to};

/// A machine whose network card is a tap in a namespace; its console goes to a file.
struct Machine {
    process: Child,
    console: std::path::PathBuf,
}

impl Machine {
    fn boot(netns: &Netns, tap: &str, address: &str, console: &Path) -> Self {
        let guest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/guest");
        assert!(guest.join("vmlinuz").exists(), "scripts/setup.sh test makes {}", guest.display());
        let mut command = netns.command("qemu-system-x86_64");
        // Without KVM: the switch sees no difference, and not every machine that runs tests has it.
        command.args(["-accel", "tcg", "-m", "128", "-display", "none", "-no-reboot", "-monitor", "none"]);
        command.arg("-serial").arg(format!("file:{}", console.display()));
        command.arg("-kernel").arg(guest.join("vmlinuz")).arg("-initrd").arg(guest.join("initramfs"));
        command.args(["-append", &format!("console=ttyS0 quiet panic=-1 address={address}")]);
        command.args(["-netdev", &format!("tap,id=n0,ifname={tap},script=no,downscript=no,vhost=off")]);
        command.args(["-device", "virtio-net-pci,netdev=n0,mac=02:00:00:00:00:03,romfile="]);
        let process = command.stdin(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let machine = Self { process, console: console.to_owned() };
        let is_up = || machine.console().contains("guest is up").then_some(());
        wait_up_to(Duration::from_secs(240), "the machine to boot", is_up);
        machine
    }

    fn console(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.console).unwrap_or_default()).into_owned()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn a_machine_on_a_tap_talks_to_a_host_on_a_veth() {
    let sandbox = Sandbox::new();
    let host = Host::new(sandbox.netns(), "p1", "10.0.0.1/24");
    sandbox.netns().ip("tuntap add dev vm1 mode tap vnet_hdr");
    sandbox.netns().ip("link set vm1 up");
    sandbox.add_bridge("br0", &["p1", "vm1"]);
    let machine = Machine::boot(sandbox.netns(), "vm1", "10.0.0.3/24", &sandbox.path("console1"));
    wait_until("a ping", || host.pings("10.0.0.3"));

    // Two megabytes: checksums are partial and frames up to 64 KB on the way in, and the machine must get them right.
    fs::write(sandbox.path("data"), vec![b'x'; 2 << 20]).unwrap();
    let sum = e2e::run(Command::new("md5sum").stdin(fs::File::open(sandbox.path("data")).unwrap()));
    let send = "import socket, sys; s = socket.create_connection(('10.0.0.3', 5001), 5); s.sendall(open(sys.argv[1], 'rb').read())";
    let data = sandbox.path("data").display().to_string();
    wait_until("the machine to listen", || {
        e2e::try_run(host.netns().command("python3").args(["-c", send, &data])).code == 0
    });
    let sum = sum.split_whitespace().next().unwrap();
    wait_for("its checksum", || machine.console().contains(sum).then_some(()));

    drop(machine);
    let _again = Machine::boot(sandbox.netns(), "vm1", "10.0.0.4/24", &sandbox.path("console2"));
    wait_until("a ping of the new machine", || host.pings("10.0.0.4"));
}
