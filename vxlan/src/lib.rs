//! placeholder tour
