//! What do the processing half's pure stages cost: parse, enrich, window, roll up, and all of them as a block?

use std::sync::Arc;

use anyhow::{Context, Result};
use bytes::Bytes;
use pipeline::block::{Block, Builder};
use pipeline::enrich::{Categories, Customers, enrich};
use pipeline::log::LogRecord;
use pipeline::money::Currency;
use pipeline::order::{Order, Rules};
use pipeline::parse::Parser;
use pipeline::rollup::{Rollup, SumKey, Sums};
use pipeline::window::{Seen, Window};

use super::orders::RECEIVED_AT;
use super::{Digest, ORDERS, Orders, Stage};

struct Parse {
    values: Vec<Bytes>,
    rules: Rules,
    parser: Parser,
    /// Of each order its customer, quantity, total and instant: what is lost of the rest was read all the same.
    parsed: Vec<[i64; 4]>,
}

pub(super) fn parse(orders: &Orders) -> Result<Box<dyn Stage>> {
    Ok(Box::new(Parse {
        values: orders.values(),
        rules: orders.config.rules.clone(),
        parser: Parser::default(),
        parsed: Vec::with_capacity(ORDERS),
    }))
}

impl Stage for Parse {
    fn run(&mut self) -> Result<()> {
        self.parsed.clear();
        for value in &self.values {
            let order = self.parser.parse(value, RECEIVED_AT, &self.rules);
            let order = order.map_err(|rejection| anyhow::anyhow!("an order is refused: {rejection}"))?;
            self.parsed.push([order.customer_id, order.quantity, order.total_minor, order.created_at]);
        }
        Ok(())
    }

    fn digest(&mut self) -> Result<u64> {
        let mut digest = Digest::default();
        for number in self.parsed.iter().flatten() {
            digest.number((*number).into());
        }
        Ok(digest.finish())
    }
}

/// What decides an order's names: its customer, and the state and category that it says itself.
type Named = (i64, Option<Arc<str>>, Option<Arc<str>>);

struct Enrich {
    customers: Arc<Customers>,
    categories: Categories,
    orders: Vec<Named>,
    currency: Currency,
    lengths: usize,
}

pub(super) fn enriching(orders: &Orders) -> Result<Box<dyn Stage>> {
    let named = orders.block()?.orders;
    // Every other order has no state, and takes that of one of the customers that are known.
    let orders_ = named.into_iter().zip(0..).map(|(order, number)| {
        let state = if number % 2 == 0 { order.state } else { None };
        (1 + number % 17, state, order.category)
    });
    Ok(Box::new(Enrich {
        customers: orders.customers(),
        categories: orders.config.categories.as_ref().map(|names| names.iter().cloned().collect()),
        orders: orders_.collect(),
        currency: orders.config.rules.currency,
        lengths: 0,
    }))
}

impl Stage for Enrich {
    fn run(&mut self) -> Result<()> {
        self.lengths = 0;
        for (customer_id, state, category) in &self.orders {
            let order = Order {
                order_id: None,
                customer_id: *customer_id,
                source: "Online",
                quantity: 1,
                total_minor: 1,
                currency: self.currency,
                state: state.as_deref(),
                store_id: None,
                product_id: None,
                category: category.as_deref(),
                created_at: RECEIVED_AT,
            };
            let enriched = enrich(&order, &self.customers, &self.categories);
            self.lengths += enriched.state.len() + enriched.category.len();
        }
        Ok(())
    }

    fn digest(&mut self) -> Result<u64> {
        Ok(Digest::default().number(self.lengths as i128).finish())
    }
}

/// A window that is full, as it is after the first minutes: each id comes again, but only when it is forgotten.
struct Seeing {
    records: Vec<LogRecord>,
    window: Window,
    new: usize,
}

pub(super) fn window(orders: &Orders) -> Result<Box<dyn Stage>> {
    Ok(Box::new(Seeing { records: orders.log_records(), window: Window::new(ORDERS / 2, 0), new: 0 }))
}

impl Stage for Seeing {
    fn run(&mut self) -> Result<()> {
        self.new = 0;
        for record in &self.records {
            let id = record.key.as_deref().unwrap_or_default();
            let seen = self.window.add(self.window.next(), id, &record.value);
            self.new += usize::from(seen == Seen::New);
        }
        Ok(())
    }

    fn digest(&mut self) -> Result<u64> {
        Ok(Digest::default().number(self.new as i128).finish())
    }
}

struct RollUp {
    orders: Vec<(SumKey, i64, i64)>,
    next: Vec<(SumKey, i64, i64)>,
    sums: Vec<(SumKey, Sums)>,
}

pub(super) fn rollup(orders: &Orders) -> Result<Box<dyn Stage>> {
    let name = |name: Option<&Arc<str>>| name.map_or_else(|| Arc::from("none"), Arc::clone);
    let keyed = orders.block()?.orders.into_iter().map(|order| {
        let key = SumKey {
            minute: order.created_at / 60_000_000_000,
            currency: order.currency,
            state: name(order.state.as_ref()),
            category: name(order.category.as_ref()),
            source: order.source,
        };
        (key, order.quantity, order.total_minor)
    });
    Ok(Box::new(RollUp { orders: keyed.collect(), next: Vec::new(), sums: Vec::new() }))
}

impl Stage for RollUp {
    fn prepare(&mut self) -> Result<()> {
        self.next = self.orders.clone();
        Ok(())
    }

    fn run(&mut self) -> Result<()> {
        let mut rollup = Rollup::default();
        for (key, quantity, total) in self.next.drain(..) {
            rollup.add(key, quantity, total);
        }
        self.sums = rollup.finish();
        Ok(())
    }

    fn digest(&mut self) -> Result<u64> {
        Ok(of_sums(&mut Digest::default(), &self.sums).finish())
    }
}

struct Blocks {
    records: Vec<LogRecord>,
    customers: Arc<Customers>,
    fresh: Box<dyn Fn() -> Builder>,
    builder: Builder,
    block: Option<Block>,
}

pub(super) fn block(orders: &Orders) -> Result<Box<dyn Stage>> {
    let recipe = pipeline::wire::recipe(&orders.config);
    let fresh = move || Builder::new(Arc::clone(&recipe), "stage", 0, 0);
    let (records, customers) = (orders.log_records(), orders.customers());
    Ok(Box::new(Blocks { records, customers, builder: fresh(), fresh: Box::new(fresh), block: None }))
}

impl Stage for Blocks {
    fn prepare(&mut self) -> Result<()> {
        self.builder = (self.fresh)();
        Ok(())
    }

    fn run(&mut self) -> Result<()> {
        let mut block = self.builder.begin(0);
        block.reserve(self.records.len());
        for record in &self.records {
            self.builder.add(&mut block, record, &self.customers);
        }
        self.block = Some(block.finish());
        Ok(())
    }

    fn digest(&mut self) -> Result<u64> {
        let block = self.block.as_ref().context("there is no block")?;
        let mut digest = Digest::default();
        for order in &block.orders {
            digest.bytes(order.order_id.as_bytes()).number(order.total_minor.into());
        }
        digest.number(block.row.total_minor).number(block.row.duplicates.into());
        Ok(of_sums(&mut digest, &block.sums).finish())
    }
}

fn of_sums<'d>(digest: &'d mut Digest, sums: &[(SumKey, Sums)]) -> &'d Digest {
    for (key, sums) in sums {
        digest.number(key.minute.into()).bytes(key.source.as_bytes()).bytes(key.state.as_bytes());
        digest.bytes(key.category.as_bytes()).number(sums.total_minor).number(sums.quantity.into());
    }
    digest
}
