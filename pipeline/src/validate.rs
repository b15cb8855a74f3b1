//! Validating: each record of a request is parsed by the processor's own parser and gets a verdict and an order id.

use crate::log::Record;
use crate::order::{Order, Rejection, Rules, is_order_id};
use crate::parse::Parser;
use bytes::Bytes;
use std::cell::RefCell;

thread_local! {
    /// One parser a thread: its buffers are used again for each record.
    static PARSER: RefCell<Parser> = RefCell::default();
}

/// What all records of a request share.
#[derive(Clone, Debug)]
pub struct Origin {
    /// When the request was received, in nanoseconds of Unix time.
    pub received_at: i64,
    /// When a load generator wanted it sent, in nanoseconds of Unix time.
    pub due_at: Option<i64>,
    /// The header `Idempotency-Key`, and whether the request is a batch, whose orders then get the key and their index.
    pub idempotency_key: Option<Box<str>>,
    /// Whether the request holds a list of orders, be it of one.
    pub batch: bool,
}

impl Origin {
    /// The id of an order that does not carry its own.
    fn order_id(&self, index: usize) -> Bytes {
        match &self.idempotency_key {
            Some(key) if self.batch => Bytes::from(format!("{key}-{index}")),
            Some(key) => Bytes::copy_from_slice(key.as_bytes()),
            None => Bytes::from(uuid::Uuid::now_v7().to_string()),
        }
    }

    /// Whether the key leaves room for the index of each of so many orders.
    pub fn key_fits(&self, orders: usize) -> bool {
        let longest = match &self.idempotency_key {
            Some(key) if self.batch => format!("{key}-{}", orders.saturating_sub(1)),
            Some(key) => key.to_string(),
            None => return true,
        };
        is_order_id(&longest)
    }
}

/// A record that was looked at.
#[derive(Clone, Debug)]
pub struct Checked {
    /// The order's id: its own, or the one that it got. A refused order has one only if it could be read.
    pub order_id: Option<Bytes>,
    /// Whether it was refused.
    pub rejection: Option<Rejection>,
}

/// Checks every record, and returns the valid ones, ready for the log, beside the verdict of each.
pub fn validate(values: Vec<Bytes>, origin: &Origin, rules: &Rules) -> (Vec<Record>, Vec<Checked>) {
    PARSER.with_borrow_mut(|parser| {
        let mut records = Vec::with_capacity(values.len());
        let mut checked = Vec::with_capacity(values.len());
        for (index, value) in values.into_iter().enumerate() {
            match parser.parse(&value, origin.received_at, rules) {
                Ok(order) => {
                    let key = own_id(&order).unwrap_or_else(|| origin.order_id(index));
                    checked.push(Checked { order_id: Some(key.clone()), rejection: None });
                    let Origin { received_at, due_at, .. } = *origin;
                    records.push(Record { key, value, received_at, due_at });
                }
                Err(rejection) => checked.push(Checked { order_id: None, rejection: Some(rejection) }),
            }
        }
        (records, checked)
    })
}

fn own_id(order: &Order<'_>) -> Option<Bytes> {
    order.order_id.map(|id| Bytes::copy_from_slice(id.as_bytes()))
}
