//! How generated orders differ from the fitted table: customers of whom few order much, and orders that are wrong.
//!
//! What is drawn here is drawn apart from the rest, so that the other fields of an order stay what they were.

use serde::{Deserialize, Serialize};

use super::PayloadError;
use super::retail::{Draws, Weighted};

/// Apart from the seed of the orders themselves.
const STREAM_OF_SHAPE: u64 = 0x7368_6170_6500_0000;
const PER_MILLION: f64 = 1e6;
/// The weight of the first customer; that of customer k is this over k to the exponent.
const FIRST_WEIGHT: f64 = 1e12;
const CUSTOMERS_MAX: u64 = 10_000_000;

/// Who the customers are.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Customers {
    /// They are numbered from 1 to this.
    pub count: u64,
    /// Zipf's exponent: customer k orders 1 / k^zipf as often as the first. 0: all order alike.
    #[serde(default)]
    pub zipf: f64,
}

/// How generated orders differ from the fitted table. By default they do not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Shape {
    /// Other customers than the table's.
    pub customers: Option<Customers>,
    /// The share of orders that are wrong, from 0 to 1.
    #[serde(default)]
    pub malformed: f64,
}

/// Ready to draw from.
pub(super) struct Shaped {
    draws: Draws,
    customers: Option<Weighted<u64>>,
    malformed_per_million: u64,
}

/// What is wrong with a malformed order. Each has an order id, so that it can be followed to its rejection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// Ends in the middle, as JSON.
    Torn,
    /// Nobody ordered it.
    NoCustomer,
    /// A channel that does not exist.
    Source,
    /// Fewer than none.
    Quantity,
    /// A word where the total should be.
    Total,
}

const FAULTS: [Fault; 5] = [Fault::Torn, Fault::NoCustomer, Fault::Source, Fault::Quantity, Fault::Total];

impl Shaped {
    pub(super) fn new(shape: &Shape, seed: u64) -> Result<Self, PayloadError> {
        let wrong = |what: &str| PayloadError::Shape(what.to_owned());
        if !(0.0..=1.0).contains(&shape.malformed) {
            return Err(wrong("the share of malformed orders must be from 0 to 1"));
        }
        let customers = match shape.customers {
            None => None,
            Some(Customers { count, zipf }) => {
                if !(1..=CUSTOMERS_MAX).contains(&count) || !(0.0..=10.0).contains(&zipf) {
                    return Err(wrong("1 to 10,000,000 customers and an exponent from 0 to 10 are possible"));
                }
                // At least 1, so that every customer can occur.
                let weight = |customer: u64| (FIRST_WEIGHT / (customer as f64).powf(zipf)).max(1.0) as u64;
                let weights = (1..=count).map(|customer| (customer, weight(customer)));
                Some(Weighted::new("customers", weights)?)
            }
        };
        Ok(Self {
            draws: Draws::new(seed ^ STREAM_OF_SHAPE),
            customers,
            malformed_per_million: (shape.malformed * PER_MILLION).round() as u64,
        })
    }

    /// The customer of the next basket, if it is not the table's to say.
    pub(super) fn customer(&mut self) -> Option<u64> {
        Some(*self.customers.as_ref()?.draw(&mut self.draws))
    }

    /// What is wrong with the next order, if anything is.
    pub(super) fn fault(&mut self) -> Option<Fault> {
        if self.malformed_per_million == 0
            || self.draws.below(PER_MILLION as u64) >= self.malformed_per_million
        {
            return None;
        }
        let drawn = usize::try_from(self.draws.below(FAULTS.len() as u64)).unwrap_or(0);
        FAULTS.get(drawn).copied()
    }
}

impl Fault {
    /// The rest of a malformed order, from behind its id to its end.
    pub(super) const fn rest(self) -> &'static [u8] {
        match self {
            Self::Torn => br#"","customer_id":7,"source":"Online","qua"#,
            Self::NoCustomer => br#"","source":"Online","quantity":1,"total":9.99}"#,
            Self::Source => br#"","customer_id":7,"source":"Carrier Pigeon","quantity":1,"total":9.99}"#,
            Self::Quantity => br#"","customer_id":7,"source":"Online","quantity":-1,"total":9.99}"#,
            Self::Total => br#"","customer_id":7,"source":"Online","quantity":1,"total":"free"}"#,
        }
    }
}
