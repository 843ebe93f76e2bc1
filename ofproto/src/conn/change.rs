//! Changes of the flow tables that take longer than a turn. While one is under way, no other connection changes the tables; packets and
//! dumps see all of it at once, when it is done.

use std::collections::VecDeque;

use bytes::Bytes;
use openflow::OfError;
use openflow::message::{BundleControl, Dialect, Message};

use super::budget::Budget;
use super::bundle::Bundle;
use super::devices::Devices;
use super::handle::bundle::{BundleRequest, reply_to, request_of};
use super::handle::{group, packet_out, port};
use super::ofconn::OfConn;
use super::work::Progress;
use crate::{Bridge, Txn};

/// A flow-mod that is about many rules.
#[derive(Debug)]
pub(crate) struct Change {
    /// The request, for an error about it.
    request: Bytes,
    txn: Option<Txn>,
}

impl Change {
    pub(super) fn new(request: &Bytes, txn: Txn) -> Self {
        Self { request: request.clone(), txn: Some(txn) }
    }

    pub(super) fn step(&mut self, conn: &mut OfConn, budget: &Budget) -> Progress {
        while let Some(txn) = &mut self.txn {
            match txn.go_on().map(|done| done && txn.close()) {
                Ok(false) if budget.is_spent() => return Progress::More,
                Ok(false) => {}
                Ok(true) => {
                    self.txn.take().map(Txn::commit);
                }
                Err(error) => {
                    self.txn = None;
                    conn.refuse(&self.request, error);
                }
            }
        }
        Progress::Done
    }
}

/// A bundle on its way into the tables.
#[derive(Debug)]
pub(crate) struct Commit {
    xid: u32,
    /// The request, for an error about it.
    request: Bytes,
    control: BundleControl,
    atomic: bool,
    dialect: Dialect,
    messages: std::vec::IntoIter<Bytes>,
    /// The message under way.
    current: Option<Bytes>,
    txn: Option<Txn>,
    /// What is done, in order, once the tables have changed.
    after: VecDeque<Bytes>,
}

impl Commit {
    pub(super) fn new(
        xid: u32,
        request: &Bytes,
        control: BundleControl,
        bundle: Bundle,
        dialect: Dialect,
        bridge: &Bridge,
    ) -> Self {
        Self {
            xid,
            request: request.clone(),
            control,
            atomic: bundle.is_atomic(),
            dialect,
            messages: bundle.messages.into_iter(),
            current: None,
            txn: Some(bridge.begin()),
            after: VecDeque::new(),
        }
    }

    pub(super) fn step(
        &mut self,
        conn: &mut OfConn,
        bridge: &Bridge,
        devices: &mut Devices,
        now_ns: u64,
        budget: &Budget,
    ) -> Progress {
        while !self.messages.as_slice().is_empty() || self.current.is_some() {
            if let Err(error) = self.go_on(bridge, now_ns) {
                // Dropping the transaction takes back what was done so far.
                self.txn = None;
                conn.refuse(&self.current.take().unwrap_or_default(), error);
                conn.refuse(&self.request, OfError::OFPBFC_MSG_FAILED);
                return Progress::Done;
            }
            if budget.is_spent() {
                return Progress::More;
            }
        }
        while self.txn.as_mut().is_some_and(|txn| !txn.close()) {
            if budget.is_spent() {
                return Progress::More;
            }
        }
        if let Some(txn) = self.txn.take() {
            txn.commit();
        }
        while let Some(message) = self.after.pop_front() {
            let request = request_of(&message, &self.dialect);
            if let Err(error) = request.and_then(|request| finish(&request, bridge, devices, now_ns)) {
                conn.refuse(&message, error);
            }
            if budget.is_spent() {
                return Progress::More;
            }
        }
        conn.reply(self.xid, &Message::BundleControl(reply_to(&self.control)));
        Progress::Done
    }

    /// Goes on with the message under way, or with the next one.
    fn go_on(&mut self, bridge: &Bridge, now_ns: u64) -> Result<(), OfError> {
        if self.current.is_none() {
            let Some(message) = self.messages.next() else { return Ok(()) };
            self.current = Some(message.clone());
            if self.start(&message, bridge, now_ns)? {
                self.after.push_back(message);
            }
        }
        if self.txn.as_mut().map_or(Ok(true), Txn::go_on)? {
            self.current = None;
        }
        Ok(())
    }

    /// Begins to do out of sight what can be taken back, and checks the rest; whether that is still to be done.
    fn start(&mut self, message: &Bytes, bridge: &Bridge, now_ns: u64) -> Result<bool, OfError> {
        match request_of(message, &self.dialect)? {
            BundleRequest::FlowMod(fm) => match &mut self.txn {
                Some(txn) => txn.begin(&fm, now_ns).map(|()| false),
                None => Err(OfError::OFPBFC_MSG_FAILED),
            },
            // A change of a port cannot be taken back.
            BundleRequest::PortMod(_) if self.atomic => Err(OfError::OFPBFC_MSG_FAILED),
            BundleRequest::PortMod(port_mod) => port::check_mod(bridge, &port_mod).map(|_| true),
            BundleRequest::GroupMod(group_mod) => group::group_mod(&group_mod).map(|()| false),
            BundleRequest::PacketOut(_) => Ok(true),
        }
    }
}

fn finish(
    request: &BundleRequest,
    bridge: &Bridge,
    devices: &mut Devices,
    now_ns: u64,
) -> Result<(), OfError> {
    match request {
        BundleRequest::PortMod(port_mod) => port::apply_mod(bridge, devices, port_mod).map(|_| ()),
        BundleRequest::PacketOut(out) => packet_out::execute(bridge, out, now_ns),
        BundleRequest::FlowMod(_) | BundleRequest::GroupMod(_) => Ok(()),
    }
}
