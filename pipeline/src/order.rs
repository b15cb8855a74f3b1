//! The order, the rules that decide about it, and every reason for which it can be refused.

use crate::money::Currency;
use std::collections::BTreeSet;
use std::fmt;

/// The version of the order's contract, carried by each record.
pub const SCHEMA: &str = "order.v1";
/// The greatest number of pieces in one order.
pub const MAX_QUANTITY: i64 = 1_000_000;
/// The longest order id, in bytes.
pub const MAX_ORDER_ID: usize = 64;
/// The longest state, in characters.
pub const MAX_STATE: usize = 32;
/// The longest category, in characters.
pub const MAX_CATEGORY: usize = 64;
/// How deep an order may be nested, its own braces included.
pub const MAX_DEPTH: usize = 16;
/// The earliest `created_at`: 2000-01-01, in nanoseconds of Unix time.
pub const MIN_CREATED_AT: i64 = 946_684_800_000_000_000;
/// How far `created_at` may lie after `received_at`, in nanoseconds.
pub const MAX_AHEAD: i64 = 24 * 3_600 * 1_000_000_000;

/// An order as it was sent: what is absent there is absent here, except where the contract names a default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order<'a> {
    /// The idempotency key, where the order itself carries it.
    pub order_id: Option<&'a str>,
    /// Who bought, 1 or more.
    pub customer_id: i64,
    /// The sales channel, one of [`Rules::sources`].
    pub source: &'a str,
    /// Pieces, 1 to [`MAX_QUANTITY`].
    pub quantity: i64,
    /// The whole order's price in minor units of `currency`.
    pub total_minor: i64,
    /// The currency, or the configured one where the order names none.
    pub currency: Currency,
    /// Where it was sold.
    pub state: Option<&'a str>,
    /// The store.
    pub store_id: Option<i64>,
    /// The product.
    pub product_id: Option<i64>,
    /// The category, as it was sent.
    pub category: Option<&'a str>,
    /// When it was bought, in nanoseconds of Unix time; `received_at` where the order does not say.
    pub created_at: i64,
}

/// The part of the configuration that decides verdicts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// The sales channels that are accepted.
    pub sources: BTreeSet<String>,
    /// The currency of orders that name none.
    pub currency: Currency,
    /// The price of one piece, as a decimal, where an order has neither total nor unit price.
    pub default_price: String,
    /// The longest value of a record, in bytes.
    pub max_order_bytes: usize,
}

/// Whether a text may be an order id: 1 to 64 bytes of visible ASCII.
pub fn is_order_id(text: &str) -> bool {
    (1..=MAX_ORDER_ID).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Why an order is refused. The set is closed: each reason has one tag, in replies, metrics and dead letters alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reason {
    /// It is not JSON.
    NotJson,
    /// It holds bytes, or an escape, that are no Unicode text.
    InvalidUtf8,
    /// It is JSON, but no object.
    NotAnObject,
    /// It is nested deeper than [`MAX_DEPTH`].
    TooDeep,
    /// It is longer than [`Rules::max_order_bytes`].
    TooLarge,
    /// A key occurs twice.
    DuplicateKey,
    /// A required field is absent.
    MissingField,
    /// A field has another type than the contract gives it.
    WrongType,
    /// A number, or a text's length, is outside the field's range.
    OutOfRange,
    /// The order id is not 1 to 64 visible ASCII characters.
    BadOrderId,
    /// The source is none of the configured ones.
    UnknownSource,
    /// The currency is none of ISO 4217's.
    UnknownCurrency,
    /// An amount is no decimal that the currency can express.
    BadMoney,
    /// A time is not written as the contract wants it.
    BadTime,
    /// `created_at` is before 2000, or too far ahead of `received_at`.
    TimeOutOfRange,
}

impl Reason {
    /// All reasons, in the order of their declaration.
    pub const ALL: [Self; 15] = [
        Self::NotJson,
        Self::InvalidUtf8,
        Self::NotAnObject,
        Self::TooDeep,
        Self::TooLarge,
        Self::DuplicateKey,
        Self::MissingField,
        Self::WrongType,
        Self::OutOfRange,
        Self::BadOrderId,
        Self::UnknownSource,
        Self::UnknownCurrency,
        Self::BadMoney,
        Self::BadTime,
        Self::TimeOutOfRange,
    ];

    /// The word used in replies, metrics and dead letters.
    pub const fn tag(self) -> &'static str {
        match self {
            Self::NotJson => "not_json",
            Self::InvalidUtf8 => "invalid_utf8",
            Self::NotAnObject => "not_an_object",
            Self::TooDeep => "too_deep",
            Self::TooLarge => "too_large",
            Self::DuplicateKey => "duplicate_key",
            Self::MissingField => "missing_field",
            Self::WrongType => "wrong_type",
            Self::OutOfRange => "out_of_range",
            Self::BadOrderId => "bad_order_id",
            Self::UnknownSource => "unknown_source",
            Self::UnknownCurrency => "unknown_currency",
            Self::BadMoney => "bad_money",
            Self::BadTime => "bad_time",
            Self::TimeOutOfRange => "time_out_of_range",
        }
    }

    /// What the reason means, for a person.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::NotJson => "the order is not JSON",
            Self::InvalidUtf8 => {
                "the order holds bytes that are not UTF-8, or an escape that is no character"
            }
            Self::NotAnObject => "the order is not a JSON object",
            Self::TooDeep => "the order is nested deeper than 16 levels",
            Self::TooLarge => "the order is longer than the limit",
            Self::DuplicateKey => "a key occurs twice",
            Self::MissingField => "a required field is absent",
            Self::WrongType => "the field has the wrong type",
            Self::OutOfRange => "the value is outside the field's range",
            Self::BadOrderId => "an order id is 1 to 64 visible ASCII characters",
            Self::UnknownSource => "the source is not one of the configured ones",
            Self::UnknownCurrency => "the currency is not a code of ISO 4217",
            Self::BadMoney => "the amount is not a decimal that the currency can express",
            Self::BadTime => "a time is RFC 3339 with a zone, or MM/DD/YYYY, HH:MM:SS in UTC",
            Self::TimeOutOfRange => "created_at is before 2000-01-01 or more than 24 h after received_at",
        }
    }
}

/// The fields of an order, for naming one in a rejection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Field {
    /// The idempotency key.
    OrderId,
    /// Who bought.
    CustomerId,
    /// The sales channel.
    Source,
    /// Pieces.
    Quantity,
    /// The order's price.
    Total,
    /// One piece's price.
    UnitPrice,
    /// The currency.
    Currency,
    /// Where it was sold.
    State,
    /// The store.
    StoreId,
    /// The product.
    ProductId,
    /// The category.
    Category,
    /// When it was bought.
    CreatedAt,
}

impl Field {
    /// All fields, in the order of their declaration.
    pub const ALL: [Self; 12] = [
        Self::OrderId,
        Self::CustomerId,
        Self::Source,
        Self::Quantity,
        Self::Total,
        Self::UnitPrice,
        Self::Currency,
        Self::State,
        Self::StoreId,
        Self::ProductId,
        Self::Category,
        Self::CreatedAt,
    ];

    /// The key in the JSON object.
    pub const fn key(self) -> &'static str {
        match self {
            Self::OrderId => "order_id",
            Self::CustomerId => "customer_id",
            Self::Source => "source",
            Self::Quantity => "quantity",
            Self::Total => "total",
            Self::UnitPrice => "unit_price",
            Self::Currency => "currency",
            Self::State => "state",
            Self::StoreId => "store_id",
            Self::ProductId => "product_id",
            Self::Category => "category",
            Self::CreatedAt => "created_at",
        }
    }

    /// The field of that key.
    pub fn from_key(key: &str) -> Option<Self> {
        Some(match key {
            "order_id" => Self::OrderId,
            "customer_id" => Self::CustomerId,
            "source" => Self::Source,
            "quantity" => Self::Quantity,
            "total" => Self::Total,
            "unit_price" => Self::UnitPrice,
            "currency" => Self::Currency,
            "state" => Self::State,
            "store_id" => Self::StoreId,
            "product_id" => Self::ProductId,
            "category" => Self::Category,
            "created_at" => Self::CreatedAt,
            _ => return None,
        })
    }
}

/// A refusal: the reason, and the field that it is about where there is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// Why.
    pub reason: Reason,
    /// Which field.
    pub field: Option<Field>,
}

impl Rejection {
    /// A refusal of the order as a whole.
    pub const fn whole(reason: Reason) -> Self {
        Self { reason, field: None }
    }

    /// A refusal because of one field.
    pub const fn of(field: Field, reason: Reason) -> Self {
        Self { reason, field: Some(field) }
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.field {
            Some(field) => write!(out, "{}: {}", field.key(), self.reason.meaning()),
            None => out.write_str(self.reason.meaning()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_and_every_field_is_listed_once_under_a_name_of_its_own() {
        let tags: BTreeSet<_> = Reason::ALL.map(Reason::tag).into_iter().collect();
        assert_eq!(tags.len(), Reason::ALL.len());
        for field in Field::ALL {
            assert_eq!(Field::from_key(field.key()), Some(field));
        }
    }

    #[test]
    fn an_order_id_is_visible_ascii_of_at_most_64_bytes() {
        assert!(is_order_id("a") && is_order_id(&"x".repeat(64)) && is_order_id("a-b_c.d:e/~!"));
        for bad in ["", "a b", "é", "tab\t", "nul\0", &"x".repeat(65)] {
            assert!(!is_order_id(bad), "{bad:?}");
        }
    }
}
