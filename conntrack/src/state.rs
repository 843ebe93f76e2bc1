//! Connection state bits, and which of them a tracker can give together.

pub use packet::ct_state::*;

/// Whether a packet can have exactly these bits: none without [`TRK`]; an invalid packet ([`INV`]) has no connection, so
/// nothing else; [`NEW`] and [`EST`] exclude each other, and a reply ([`RPL`]) does not start a connection of its own unless it is
/// a related one ([`REL`]).
pub fn is_possible(state: u32) -> bool {
    let has = |bits: u32| state & bits != 0;
    if state & !ALL != 0 || (state != 0 && !has(TRK)) {
        return false;
    }
    if has(INV) {
        return state == TRK | INV;
    }
    !(state & (NEW | EST) == NEW | EST || (has(NEW) && has(RPL) && !has(REL)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn possible_and_impossible_states() {
        for good in
            [0, TRK, NEW | TRK, EST | TRK, EST | RPL | TRK, REL | RPL | TRK, INV | TRK, NEW | TRK | SNAT]
        {
            assert!(is_possible(good), "{}", format(good, u32::MAX));
        }
        for bad in [NEW, INV, INV | TRK | EST, NEW | EST | TRK, NEW | RPL | TRK, 0x100 | TRK] {
            assert!(!is_possible(bad), "{}", format(bad, u32::MAX));
        }
    }
}
