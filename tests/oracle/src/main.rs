//! Soaks: random sessions until the time is up, then seed, cases and cache-hit share.
//!
//! `oracle [--seconds N] [--seed S] [--cases N]`: N seconds (60), sessions numbered from S (1), or exactly one session S of N cases.

#![allow(clippy::print_stdout, clippy::print_stderr)] // This is what the program is for.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use oracle::duel::{Tally, session};

/// Cases in a session.
const CASES: u64 = 200;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let number = |name: &str| {
        let at = args.iter().position(|arg| arg == name)?;
        args.get(at + 1)?.parse::<u64>().ok()
    };
    let (seconds, first) = (number("--seconds").unwrap_or(60), number("--seed").unwrap_or(1));
    if let Some(cases) = number("--cases") {
        println!("seed {first}: {}", session(first, cases));
        return ExitCode::SUCCESS;
    }
    let end = Instant::now() + Duration::from_secs(seconds);
    let (mut total, mut seed) = (Tally::default(), first);
    while Instant::now() < end {
        match std::panic::catch_unwind(|| session(seed, CASES)) {
            Ok(tally) => total.add(&tally),
            Err(_) => {
                println!("seed {seed} fails: oracle --seed {seed} --cases {CASES}; before it: {total}");
                return ExitCode::FAILURE;
            }
        }
        seed += 1;
    }
    println!("seeds {first} to {}: {total}", seed - 1);
    if total.hit_share() < 0.5 {
        println!("fewer than half of the packets hit a cache");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
