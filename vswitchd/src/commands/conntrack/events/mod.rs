//! `conntrack/events`: what becomes of connections, as it happens.
//!
//! The command subscribes to the tracker's events and answers with those that come until there are `count` of them or `timeout`
//! seconds have passed. The answer goes out as it grows, but `ovs-appctl` prints it only once it is whole. What happened before the command is
//! not told; what came faster than it was read is lost, and a line says how much.

pub(crate) mod text;

use std::time::{Duration, Instant};

use conntrack::{Event, Subscription, What};

use super::slice::Slice;
use super::{args, invalid};
use crate::appctl::{Command, Outcome, Progress};
use crate::control::Control;
use text::Clock;

/// Events that wait to be read: some 4 MB, and at the slowest turn of the control loop enough for a hundred thousand a second.
const CAPACITY: usize = 16_384;
/// How long to listen unless told.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The commands of this family.
pub(super) fn commands() -> [Command<Control>; 1] {
    [Command {
        name: "conntrack/events",
        usage: "[--json] [zone=N] [count=N] [timeout=S] [new|update|destroy]...",
        min: 0,
        max: 7,
        run: |c, args| run(c, args).unwrap_or_else(|error| Outcome::Done(Err(error))),
    }]
}

/// What is to be told, and until when.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Wanted {
    json: bool,
    zone: Option<u16>,
    /// New, update, destroy; none for all.
    kinds: [bool; 3],
    count: u64,
    timeout: Duration,
}

impl Wanted {
    fn read(args: &[String]) -> Result<Self, String> {
        let mut wanted =
            Self { json: false, zone: None, kinds: [false; 3], count: u64::MAX, timeout: TIMEOUT };
        for arg in args {
            let bad = || invalid(format_args!("invalid argument {arg}"));
            let number = |text: &str| args::whole(text).and_then(|number| u64::try_from(number).ok());
            match arg.split_once('=') {
                Some(("zone", value)) => {
                    let zone = number(value).and_then(|zone| u16::try_from(zone).ok());
                    wanted.zone = Some(zone.ok_or_else(bad)?);
                }
                Some(("count", value)) => wanted.count = number(value).ok_or_else(bad)?,
                Some(("timeout", value)) => {
                    let seconds = value.parse().ok().and_then(|s| Duration::try_from_secs_f64(s).ok());
                    wanted.timeout = seconds.ok_or_else(bad)?;
                }
                None if arg == "--json" => wanted.json = true,
                None => {
                    let names = ["new", "update", "destroy"];
                    wanted.kinds[names.iter().position(|name| name == arg).ok_or_else(bad)?] = true;
                }
                Some(_) => return Err(bad()),
            }
        }
        Ok(wanted)
    }

    fn wants(&self, event: &Event) -> bool {
        let kind = match event.what {
            What::New => 0,
            What::Update => 1,
            What::Destroy(_) => 2,
        };
        self.zone.is_none_or(|zone| zone == event.conn.zone) && (self.kinds == [false; 3] || self.kinds[kind])
    }
}

fn run(control: &Control, args: &[String]) -> Result<Outcome<Control>, String> {
    let wanted = Wanted::read(args)?;
    let mut listener = Listener {
        until: Instant::now().checked_add(wanted.timeout),
        left: wanted.count,
        wanted,
        subscription: control.datapath.tracker().subscribe(CAPACITY),
        lost: 0,
    };
    Ok(Outcome::Pieces(Box::new(move |control, out| listener.step(control, out))))
}

/// A subscription that is being told.
struct Listener {
    wanted: Wanted,
    until: Option<Instant>,
    left: u64,
    subscription: Subscription,
    /// Events lost that were told of.
    lost: u64,
}

impl Listener {
    fn step(&mut self, control: &Control, out: &mut String) -> Progress {
        let (slice, clock) = (Slice::begin(), Clock::now());
        let is_over = control.is_torn_down() || self.until.is_some_and(|until| Instant::now() >= until);
        while self.left > 0 {
            let Some(event) = self.subscription.poll() else { break };
            if self.wanted.wants(&event) {
                self.left -= 1;
                text::event(out, &event, clock, self.wanted.json);
            }
            if slice.is_spent() {
                return Progress::More;
            }
        }
        let lost = self.subscription.lost();
        if lost > self.lost {
            text::lost(out, lost - self.lost, clock, self.wanted.json);
            self.lost = lost;
        }
        if is_over || self.left == 0 { Progress::Done } else { Progress::Waiting }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(args: &[&str]) -> Result<Wanted, String> {
        Wanted::read(&args.iter().map(ToString::to_string).collect::<Vec<_>>())
    }

    #[test]
    fn arguments_come_in_any_order() {
        let all = read(&[]).unwrap();
        assert_eq!((all.json, all.zone, all.count, all.timeout), (false, None, u64::MAX, TIMEOUT));
        let wanted = read(&["destroy", "timeout=0.5", "--json", "zone=7", "new", "count=3"]).unwrap();
        assert_eq!(
            wanted,
            Wanted {
                json: true,
                zone: Some(7),
                kinds: [true, false, true],
                count: 3,
                timeout: Duration::from_millis(500)
            }
        );
        for bad in
            ["zone=70000", "zone=", "count=x", "count=-1", "timeout=-1", "timeout=nan", "x", "new=1", "-j"]
        {
            assert_eq!(read(&[bad]), Err(invalid(format_args!("invalid argument {bad}"))));
        }
    }
}
