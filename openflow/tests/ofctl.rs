//! What we write, `ovs-ofctl` reads as we do: for random flows and for flows with random damage, our text is its text and our errors
//! are its errors.

mod common;

use std::process::Command;

use common::{Rng, random_flow};
use openflow::{FlowMod, OfError, Version};

/// A form of the flow-mod message.
#[derive(Clone, Copy, Debug)]
struct Form {
    version: Version,
    nxm: bool,
}

/// Every form.
const FORMS: [Form; 7] = [
    Form { version: Version::V10, nxm: false },
    Form { version: Version::V10, nxm: true },
    Form { version: Version::V11, nxm: false },
    Form { version: Version::V12, nxm: false },
    Form { version: Version::V13, nxm: false },
    Form { version: Version::V14, nxm: false },
    Form { version: Version::V15, nxm: false },
];

impl Form {
    fn body(self, fm: &FlowMod) -> Vec<u8> {
        let mut out = Vec::new();
        fm.encode_body(self.version, self.nxm, false, &mut out);
        out
    }

    /// The whole message.
    fn message(self, body: &[u8]) -> Vec<u8> {
        let vendor: &[u8] = if self.nxm { &[0, 0, 0x23, 0x20, 0, 0, 0, 13] } else { &[] };
        let len = (8 + vendor.len() + body.len()) as u16;
        let mut out = vec![self.version.wire(), if self.nxm { 4 } else { 14 }];
        out.extend_from_slice(&len.to_be_bytes());
        out.extend_from_slice(&[0, 0, 0, 1]);
        out.extend_from_slice(vendor);
        out.extend_from_slice(body);
        out
    }

    fn decode(self, body: &[u8]) -> Result<FlowMod, OfError> {
        let mut fm = FlowMod::decode(self.version, self.nxm, false, body)?;
        fm.check(self.version, 0xff00, 255)?;
        Ok(fm)
    }

    fn text(self, body: &[u8]) -> String {
        match self.decode(body) {
            Ok(fm) => {
                let m = fm.flow_match.to_string();
                let space = if m.is_empty() { "" } else { " " };
                format!("{m}{space}actions={}", fm.instructions)
            }
            Err(error) => format!("{error:?}"),
        }
    }
}

/// What `ovs-ofctl` prints for each message, as [`Form::text`] does.
fn printed(messages: &[Vec<u8>]) -> Vec<String> {
    let dir = std::env::temp_dir().join(format!("openflow-ofctl-{}-{:p}", std::process::id(), messages));
    std::fs::write(&dir, messages.concat()).unwrap();
    let out = Command::new("ovs-ofctl").arg("ofp-parse").arg(&dir).output().unwrap();
    std::fs::remove_file(&dir).unwrap();
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    let lines = text.lines().filter(|line| line.contains("FLOW_MOD"));
    lines.map(reduce).collect()
}

/// Match and actions, or the error, of a printed flow-mod.
fn reduce(line: &str) -> String {
    if let Some((_, rest)) = line.split_once("***decode error: ") {
        return rest.split("***").next().unwrap_or_default().to_owned();
    }
    let rest = line.split_once(": ").map_or(line, |(_, rest)| rest);
    let rest = rest.strip_prefix("ADD ").unwrap_or(rest);
    let rest = rest.strip_prefix("table:255 ").unwrap_or(rest);
    let (head, actions) = rest.split_once("actions=").unwrap_or((rest, ""));
    format!("{}actions={actions}", head.replace("reset_counts ", ""))
}

fn compare(forms: &[Form], bodies: &[Vec<u8>]) -> Vec<String> {
    let messages: Vec<_> = forms.iter().zip(bodies).map(|(form, body)| form.message(body)).collect();
    let theirs = printed(&messages);
    assert_eq!(theirs.len(), messages.len());
    let mut differences = Vec::new();
    for ((form, body), theirs) in forms.iter().zip(bodies).zip(&theirs) {
        let ours = form.text(body);
        if ours != *theirs && !is_known(&ours, theirs) {
            let hex: String = form.message(body).iter().map(|b| format!("{b:02x}")).collect();
            differences.push(format!("{form:?}\n  {hex}\n  ours   {ours}\n  theirs {theirs}"));
        }
    }
    differences
}

/// The differences that stand.
///
/// - Fields that have no place in our keys yet we do not know.
/// - In a set-field we tell a wrong length from a field that nobody knows; theirs says one or the other by chance.
/// - Of several things that are wrong with one `learn`, theirs may name another.
fn is_known(ours: &str, theirs: &str) -> bool {
    let lower = theirs.to_lowercase();
    let unplaced = ["tun_metadata", "erspan", "gtpu", "nsh_", "nd_reserved", "nd_options"];
    let unknown = ["OFPBMC_BAD_FIELD", "OFPBAC_BAD_SET_TYPE", "OFPBAC_BAD_SET_LEN"];
    if unplaced.iter().any(|name| lower.contains(name)) {
        return unknown.contains(&ours);
    }
    let set = ["OFPBAC_BAD_SET_TYPE", "OFPBAC_BAD_SET_LEN", "OFPBMC_BAD_WILDCARDS"];
    let refused = ["OFPBAC_BAD_ARGUMENT", "OFPBAC_BAD_SET_LEN", "OFPBAC_BAD_LEN"];
    set.contains(&ours) && set.contains(&theirs) || refused.contains(&ours) && refused.contains(&theirs)
}

fn seed() -> u64 {
    std::env::var("OPENFLOW_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(1)
}

#[test]
fn random_flows_read_alike() {
    let mut rng = Rng(seed());
    let (mut forms, mut bodies) = (Vec::new(), Vec::new());
    while bodies.len() < 3000 {
        let fm = random_flow(&mut rng);
        let form = FORMS[rng.below(7) as usize];
        let body = form.body(&fm);
        if form.decode(&body).is_ok() || rng.below(10) == 0 {
            forms.push(form);
            bodies.push(body);
        }
    }
    let differences = compare(&forms, &bodies);
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[test]
fn damaged_flows_are_refused_alike() {
    let mut rng = Rng(seed() + 1000);
    let (mut forms, mut bodies) = (Vec::new(), Vec::new());
    while bodies.len() < 3000 {
        let fm = random_flow(&mut rng);
        let form = FORMS[rng.below(7) as usize];
        let mut body = form.body(&fm);
        if form.decode(&body).is_err() {
            continue;
        }
        // The match and the actions: how the rest is printed is another test's.
        let from = match form {
            Form { nxm: true, .. } => 32,
            Form { version: Version::V10, .. } if rng.flip() => 0,
            Form { version: Version::V10, .. } => 64,
            _ => 40,
        };
        let to = if from == 0 { 40 } else { body.len() };
        if from >= to {
            continue;
        }
        for _ in 0..=rng.below(2) {
            let at = from + rng.below((to - from) as u64) as usize;
            body[at] = if rng.flip() { body[at] ^ 1 << rng.below(8) } else { rng.next() as u8 };
        }
        forms.push(form);
        bodies.push(body);
    }
    // Where several things are wrong at once, either may be named: one in a hundred may differ.
    let differences = compare(&forms, &bodies);
    assert!(differences.len() <= bodies.len() / 100, "{}", differences.join("\n"));
}
