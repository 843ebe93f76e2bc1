//! Tests of devices run in a network namespace of their own.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, unshare};

use super::Links;
use crate::netlink::Netns;

/// Runs `test` on a thread in a new network namespace, which is gone with its devices afterwards.
///
/// # Panics
/// When the namespace cannot be made (that takes root), or when `test` does.
pub(crate) fn in_new_netns(test: impl FnOnce() + Send + 'static) {
    let thread = std::thread::spawn(|| {
        unshare(CloneFlags::CLONE_NEWNET).expect("a new network namespace");
        test();
    });
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

/// Waits until `condition` holds.
///
/// # Panics
/// When it does not within twenty seconds: the machine may be busy.
pub(crate) fn wait_until(mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < deadline, "what was waited for did not come");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A namespace of its own for a host, held by a thread that sits in it.
pub(crate) fn new_netns() -> Netns {
    let thread = std::thread::spawn(|| {
        unshare(CloneFlags::CLONE_NEWNET).expect("a new network namespace");
        Netns::current().expect("the namespace")
    });
    thread.join().expect("a thread that makes a namespace")
}

/// Runs a command and tells whether it succeeded.
pub(crate) fn run(command: &str) -> bool {
    let mut words = command.split_whitespace();
    let mut process = Command::new(words.next().expect("a command"));
    process.args(words).stdout(Stdio::null()).stderr(Stdio::null());
    process.status().expect("a command that exists").success()
}

/// A guest on the far end of a veth: in the calling thread's namespace the end is called `near`, in its own it is `eth0`
/// with this address of 10.9.9.0/24.
pub(crate) fn guest(near: &str, address: u8) -> Netns {
    let guest = new_netns();
    let mut links = Links::here().unwrap();
    let far = format!("{near}-p");
    links.add_veth(near, &far).unwrap();
    let (near_index, far_index) = (links.get(near).unwrap().index, links.get(&far).unwrap().index);
    links.move_to(far_index, &guest).unwrap();
    links.set_up(near_index, true).unwrap();
    guest
        .run(|| {
            assert!(run(&format!("ip link set {far} name eth0")));
            assert!(run(&format!("ip address add 10.9.9.{address}/24 dev eth0")));
            assert!(run("ip link set eth0 up"));
            assert!(run("ip link set lo up"));
            Ok(())
        })
        .unwrap();
    guest
}

/// Whether the guest gets an answer from this address.
pub(crate) fn ping(guest: &Netns, address: &str) -> bool {
    guest.run(|| Ok(run(&format!("ping -c 1 -W 0.3 {address}")))).unwrap()
}
