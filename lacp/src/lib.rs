//! Link aggregation: IEEE 802.1AX-2014.
//!
//! What stands is the protocol data unit: [`pdu::View`] reads an LACPDU where it lies, [`pdu::Lacpdu`] is its validated
//! value; and the constants of slow protocols. The receive, periodic, mux and selection machines, and bonds, are not here yet.
//!
//! Nothing in this crate does I/O or reads a clock.
//!
//! ```
//! use lacp::{Lacpdu, is_slow_protocol};
//! let pdu = Lacpdu::default();
//! assert_eq!(Lacpdu::parse(&pdu.emit()), Ok(pdu));
//! assert!(is_slow_protocol(&lacp::SLOW_PROTOCOLS_ADDRESS, lacp::SLOW_PROTOCOLS_TYPE));
//! ```

pub mod pdu;
pub mod timing;

pub use pdu::{Lacpdu, Participant, PduError, State};

/// Destination of slow protocols, which no bridge forwards (annex A, table 57A-1 of 802.3).
pub const SLOW_PROTOCOLS_ADDRESS: [u8; 6] = [0x01, 0x80, 0xc2, 0x00, 0x00, 0x02];
/// EtherType of slow protocols.
pub const SLOW_PROTOCOLS_TYPE: u16 = 0x8809;
/// Subtype of LACP.
pub const SUBTYPE_LACP: u8 = 1;
/// Subtype of the marker protocol.
pub const SUBTYPE_MARKER: u8 = 2;

/// Whether a frame with this destination and EtherType (host order) is one of a slow protocol.
pub fn is_slow_protocol(destination: &[u8; 6], ether_type: u16) -> bool {
    *destination == SLOW_PROTOCOLS_ADDRESS && ether_type == SLOW_PROTOCOLS_TYPE
}
