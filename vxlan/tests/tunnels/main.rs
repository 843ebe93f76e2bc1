//! Encapsulation and decapsulation held against each other, and against `frames`, which knows nothing of either.

mod fuzz;
mod malformed;
mod offload;
mod round_trip;
mod setup;
