//! What do the ingest half's pure stages cost: framing, validating, and publishing apart from the log?

use std::time::Duration;

use anyhow::{Context, Result};
use bytes::Bytes;
use pipeline::log::Record;
use pipeline::log::void::VoidLog;
use pipeline::observe::manage::Observed;
use pipeline::order::Rules;
use pipeline::outcomes::Outcome;
use pipeline::publish::{Published, publish};
use pipeline::receive::{Form, Framed, frame};
use pipeline::validate::{Checked, Origin, validate};
use tokio::runtime::Runtime;

use super::orders::RECEIVED_AT;
use super::{Digest, ORDERS, Orders, Stage};

struct Frame {
    body: Bytes,
    form: Form,
    framed: Option<Framed>,
}

pub(super) fn frame_ndjson(orders: &Orders) -> Result<Box<dyn Stage>> {
    let body = orders.dated.batch(0, ORDERS).context("there are too few orders")?;
    Ok(Box::new(Frame { body, form: Form::Ndjson, framed: None }))
}

pub(super) fn frame_json(orders: &Orders) -> Result<Box<dyn Stage>> {
    let elements = orders.values().join(&b',');
    let body = [b"[".as_slice(), &elements, b"]"].concat().into();
    Ok(Box::new(Frame { body, form: Form::Json, framed: None }))
}

impl Stage for Frame {
    fn run(&mut self) -> Result<()> {
        let framed = frame(&self.body, self.form, ORDERS);
        self.framed = Some(framed.ok().context("the body cannot be framed")?);
        Ok(())
    }

    fn digest(&mut self) -> Result<u64> {
        let framed = self.framed.as_ref().context("nothing was framed")?;
        let mut digest = Digest::default();
        for order in &framed.orders {
            digest.bytes(order);
        }
        Ok(digest.finish())
    }
}

struct Validate {
    values: Vec<Bytes>,
    origin: Origin,
    rules: Rules,
    next: Vec<Bytes>,
    done: (Vec<Record>, Vec<Checked>),
}

pub(super) fn validating(orders: &Orders) -> Result<Box<dyn Stage>> {
    Ok(Box::new(Validate {
        values: orders.values(),
        origin: Origin { received_at: RECEIVED_AT, due_at: None, idempotency_key: None, batch: true },
        rules: orders.config.rules.clone(),
        next: Vec::new(),
        done: Default::default(),
    }))
}

impl Stage for Validate {
    fn prepare(&mut self) -> Result<()> {
        self.next = self.values.clone();
        Ok(())
    }

    fn run(&mut self) -> Result<()> {
        self.done = validate(std::mem::take(&mut self.next), &self.origin, &self.rules);
        Ok(())
    }

    fn digest(&mut self) -> Result<u64> {
        let (records, checked) = &self.done;
        anyhow::ensure!(records.len() == ORDERS && checked.len() == ORDERS, "not all orders are valid");
        let mut digest = Digest::default();
        for Record { key, value, .. } in records {
            digest.bytes(key).bytes(value);
        }
        Ok(digest.finish())
    }
}

struct PublishVoid {
    runtime: Runtime,
    observed: Observed,
    records: Vec<Record>,
    next: Vec<Vec<Record>>,
    published: Vec<Published>,
}

pub(super) fn publish_void(orders: &Orders) -> Result<Box<dyn Stage>> {
    Ok(Box::new(PublishVoid {
        runtime: tokio::runtime::Builder::new_current_thread().enable_all().build()?,
        observed: Observed::default(),
        records: orders.records(),
        next: Vec::new(),
        published: Vec::with_capacity(ORDERS),
    }))
}

impl Stage for PublishVoid {
    fn prepare(&mut self) -> Result<()> {
        self.next = self.records.iter().map(|record| vec![record.clone()]).collect();
        self.published.clear();
        Ok(())
    }

    fn run(&mut self) -> Result<()> {
        let Self { runtime, observed, next, published, .. } = self;
        runtime.block_on(async {
            for records in std::mem::take(next) {
                let timeout = Duration::from_secs(30);
                published.push(publish(&VoidLog, records, timeout, &observed.metrics, &observed.hops).await);
            }
        });
        Ok(())
    }

    fn digest(&mut self) -> Result<u64> {
        let accepted = self.published.iter().filter(|published| published.outcome(0).0 == Outcome::Accepted);
        Ok(Digest::default().number(accepted.count() as i128).finish())
    }
}
