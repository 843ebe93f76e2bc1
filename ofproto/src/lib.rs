//! placeholder tour

pub mod conn;
