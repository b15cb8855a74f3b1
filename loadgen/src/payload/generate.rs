//! Synthetic orders, drawn for a seed from the fitted table of retail shares.
//!
//! Orders come in baskets: one customer in one store through one channel at one instant, buying as many lines as a
//! basket of the table has. Lines are written by hand into the arena, amounts as whole cents; no float is involved.

use time::Date;

use super::retail::{Draws, Retail};
use super::shape::{Shape, Shaped};
use super::{Arena, ORDER_ID_PREFIX, Payload, PayloadError};

/// The longest run id: with a dash and a number of up to 20 digits it stays below the 64 bytes of an order id.
pub const RUN_ID_LENGTH_MAX: usize = 43;

/// Which instant the orders say they were created at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CreatedAt {
    /// None: the pipeline takes the instant at which it received the order, as for live traffic.
    Absent,
    /// For each basket an instant on this UTC day, by the fitted hours of the day. They are in no order: orders of
    /// the whole day arrive mixed. A day before 2000 or after tomorrow makes every order invalid.
    Day(Date),
}

/// Which orders to make. The same specification gives the same bytes, on every machine.
#[derive(Clone, Debug)]
pub struct GenerateSpec {
    /// How many orders. The last basket is cut to make it exact.
    pub orders: usize,
    /// What is drawn. Another seed gives other orders of the same shares.
    pub seed: u64,
    /// The beginning of the order ids: order i (from 0) is `<run_id>-<i>`. Two runs into one pipeline need two run
    /// ids, or the second one's orders are duplicates. 1 to [`RUN_ID_LENGTH_MAX`] visible ASCII characters without
    /// quote and backslash.
    pub run_id: String,
    /// Whether the orders have a `created_at`, and which.
    pub created_at: CreatedAt,
    /// The most memory that the orders may take, in bytes ([`DEFAULT_MAX_BYTES`](super::DEFAULT_MAX_BYTES)).
    pub max_bytes: usize,
}

/// Draws the orders of `spec`. All of them satisfy the order contract.
///
/// # Errors
/// [`PayloadError::RunId`], and [`PayloadError::TooLarge`] where the orders do not fit; [`PayloadError::Table`] only
/// where the table was compiled in broken.
pub fn generate(spec: &GenerateSpec) -> Result<Payload, PayloadError> {
    generate_shaped(spec, &Shape::default())
}

/// Draws the orders of `spec` with other customers than the table's, and with some that are wrong. All others satisfy
/// the order contract and are the same as without.
///
/// # Errors
/// Those of [`generate`], and [`PayloadError::Shape`] where the shape is not possible.
pub fn generate_shaped(spec: &GenerateSpec, shape: &Shape) -> Result<Payload, PayloadError> {
    if !is_run_id(&spec.run_id) {
        return Err(PayloadError::RunId(spec.run_id.clone()));
    }
    let retail = Retail::fitted()?;
    let mut draws = Draws::new(spec.seed);
    let mut shaped = Shaped::new(shape, spec.seed)?;
    let mut arena = Arena::new(spec.max_bytes);
    let id_prefix = [ORDER_ID_PREFIX, spec.run_id.as_bytes(), b"-"].concat();
    let mut basket = Basket::default();
    while arena.ends.len() < spec.orders {
        let lines = *retail.lines.draw(&mut draws);
        basket.draw(&retail, spec.created_at, shaped.customer(), &mut draws);
        for _ in 0..lines.min(spec.orders - arena.ends.len()) {
            let order = arena.ends.len() as u64;
            let out = &mut arena.bytes;
            out.extend_from_slice(&id_prefix);
            write_integer(out, order);
            let begun = out.len();
            basket.write_line(out, &retail, &mut draws);
            if let Some(fault) = shaped.fault() {
                out.truncate(begun);
                out.extend_from_slice(fault.rest());
            }
            arena.end_order()?;
        }
    }
    Ok(arena.finish())
}

fn is_run_id(text: &str) -> bool {
    (1..=RUN_ID_LENGTH_MAX).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\')
}

/// What the lines of a basket have in common, as the pieces of JSON between the fields that differ.
#[derive(Default)]
struct Basket {
    /// From the end of the order id to the quantity.
    customer_and_source: Vec<u8>,
    /// From the end of the total to the product.
    store: Vec<u8>,
    /// From the end of the category to the end of the line.
    state_and_instant: Vec<u8>,
}

impl Basket {
    fn draw(&mut self, retail: &Retail, created_at: CreatedAt, customer: Option<u64>, draws: &mut Draws) {
        let out = &mut self.customer_and_source;
        out.clear();
        out.extend_from_slice(br#"","customer_id":"#);
        let of_table = 1 + draws.below(retail.households);
        write_integer(out, customer.unwrap_or(of_table));
        out.extend_from_slice(br#","source":""#);
        out.extend_from_slice(retail.sources.draw(draws).as_bytes());
        out.extend_from_slice(br#"","quantity":"#);

        let store = retail.stores.draw(draws);
        let out = &mut self.store;
        out.clear();
        out.extend_from_slice(br#","store_id":"#);
        write_integer(out, store.id);
        out.extend_from_slice(br#","product_id":"#);

        let out = &mut self.state_and_instant;
        out.clear();
        out.extend_from_slice(br#"","state":""#);
        out.extend_from_slice(store.state.as_bytes());
        // Drawn even where it is left out, so that the rest of the order is the same with and without it.
        let (hour, second) = (*retail.hours.draw(draws), draws.below(3600));
        if let CreatedAt::Day(day) = created_at {
            out.extend_from_slice(br#"","created_at":""#);
            write_instant(out, day, hour, second);
        }
        out.extend_from_slice(br#""}"#);
    }

    /// Writes a line from behind its order id to its end, without the newline.
    fn write_line(&self, out: &mut Vec<u8>, retail: &Retail, draws: &mut Draws) {
        let department = retail.departments.draw(draws);
        let quantity = *retail.quantities.draw(draws);
        out.extend_from_slice(&self.customer_and_source);
        write_integer(out, quantity);
        out.extend_from_slice(br#","total":"#);
        write_cents(out, quantity * department.unit_price(draws));
        out.extend_from_slice(&self.store);
        write_integer(out, department.product(draws));
        out.extend_from_slice(br#","category":""#);
        out.extend_from_slice(department.category.as_bytes());
        out.extend_from_slice(&self.state_and_instant);
    }
}

fn write_integer(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// Writes cents as a decimal with two fraction digits.
fn write_cents(out: &mut Vec<u8>, cents: u64) {
    write_integer(out, cents / 100);
    out.push(b'.');
    write_two_digits(out, cents % 100);
}

/// Writes a number below 100 with two digits.
fn write_two_digits(out: &mut Vec<u8>, number: u64) {
    out.extend([number / 10, number % 10].map(|digit| b'0' + digit as u8));
}

/// Writes an instant of a day as RFC 3339 in UTC; `second` is within the hour.
fn write_instant(out: &mut Vec<u8>, day: Date, hour: u64, second: u64) {
    let year = u64::from(day.year().unsigned_abs());
    write_two_digits(out, year / 100);
    write_two_digits(out, year % 100);
    let fields = [
        (b'-', u64::from(u8::from(day.month()))),
        (b'-', u64::from(day.day())),
        (b'T', hour),
        (b':', second / 60),
        (b':', second % 60),
    ];
    for (separator, number) in fields {
        out.push(separator);
        write_two_digits(out, number);
    }
    out.push(b'Z');
}

#[cfg(test)]
#[path = "generate_tests.rs"]
mod tests;
