//! Raw frames into one host's veth and out of another's.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use e2e::{Netns, wait_until};

/// Sends each line, a frame in hexadecimal, and writes what comes in from others: IPv4 and IPv6 only.
const SCRIPT: &str = "
import select, socket, sys
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
s.bind(('eth0', 0))
print('ready', flush=True)
while True:
    for ready in select.select([s, 0], [], [])[0]:
        if ready == 0:
            line = sys.stdin.buffer.raw.readline().decode()
            if not line: sys.exit(0)
            s.send(bytes.fromhex(line))
        else:
            frame, address = s.recvfrom(70000)
            if address[2] != socket.PACKET_OUTGOING and frame[12:14] in (b'\\x08\\x00', b'\\x86\\xdd'):
                print(frame.hex(), flush=True)
";

/// A program on `eth0` of a host.
pub(crate) struct Wire {
    child: Child,
    input: ChildStdin,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Wire {
    /// Starts it and waits until it listens.
    pub(crate) fn start(host: &Netns) -> Self {
        let mut command = host.command("python3");
        command.args(["-u", "-c", SCRIPT]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let input = child.stdin.take().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let heard = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&heard);
        thread::spawn(move || {
            output.lines().map_while(Result::ok).for_each(|line| sink.lock().unwrap().push(line));
        });
        let wire = Self { child, input, heard };
        wait_until("a raw socket", || !wire.heard.lock().unwrap().is_empty());
        wire.heard.lock().unwrap().clear();
        wire
    }

    /// Sends a frame.
    pub(crate) fn send(&mut self, frame: &[u8]) {
        let hex: String = frame.iter().map(|byte| format!("{byte:02x}")).collect();
        writeln!(self.input, "{hex}").unwrap();
    }

    /// Frames that have come in so far.
    pub(crate) fn heard(&self) -> Vec<Vec<u8>> {
        self.heard.lock().unwrap().iter().map(|line| from_hex(line)).collect()
    }

    /// Forgets what has come in.
    pub(crate) fn clear(&self) {
        self.heard.lock().unwrap().clear();
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn from_hex(line: &str) -> Vec<u8> {
    (0..line.len() / 2).map(|at| u8::from_str_radix(&line[2 * at..2 * at + 2], 16).unwrap()).collect()
}
