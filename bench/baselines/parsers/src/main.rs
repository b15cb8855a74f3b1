//! What does an order's parsing cost with other parsers? serde_json, sonic-rs and simd-json's tape read the same fields of
//! the same orders; the product's own parser, whose source is compiled in here, also checks every rule of the contract and
//! reads money and instants exactly.
//!
//! `run` beside this crate gives it the orders. It prints the time, as the median of interleaved rounds, and what
//! callgrind counts.

use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use simd_json::{Buffers, INPUT_PADDING, Node, StaticNode, Tape};

// The product's parser is pure, and these files are all that it needs.
#[allow(dead_code, reason = "not all of it is called here")]
#[path = "../../../../pipeline/src/money.rs"]
mod money;
#[allow(dead_code, reason = "not all of it is called here")]
#[path = "../../../../pipeline/src/numbers.rs"]
mod numbers;
#[allow(dead_code, reason = "not all of it is called here")]
#[path = "../../../../pipeline/src/order.rs"]
mod order;
#[path = "../../../../pipeline/src/parse.rs"]
mod parse;
#[allow(dead_code, reason = "not all of it is called here")]
#[path = "../../../../pipeline/src/time.rs"]
mod time;

// How the stages of the product are counted.
#[path = "../../../src/counts/callgrind.rs"]
mod callgrind;
#[path = "../../../src/counts/counted.rs"]
mod counted;

use counted::{Counting, counted};
use money::Currency;
use order::Rules;
use parse::Parser;

/// When the orders were received: 2026-01-16T00:00:00Z, in nanoseconds of Unix time.
const RECEIVED_AT: i64 = 1_768_521_600_000_000_000;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Rounds of each parser, one after the other.
const ROUNDS: usize = 101;

/// The parsers, in the order of the table.
const PARSERS: [(&str, Read); 4] = [
    ("product", |reader, value| reader.product(value)),
    ("simd-json tape", |reader, value| reader.tape(value)),
    ("sonic-rs", |_, value| Ok(sonic_rs::from_slice::<Fields<'_>>(value)?.digest())),
    ("serde_json", |_, value| Ok(serde_json::from_slice::<Fields<'_>>(value)?.digest())),
];

type Read = fn(&mut Reader, &[u8]) -> Result<u64>;

/// What is read of an order. Texts are borrowed from it.
#[derive(Default, Deserialize)]
struct Fields<'a> {
    order_id: &'a str,
    customer_id: i64,
    source: &'a str,
    quantity: i64,
    total: f64,
    store_id: i64,
    product_id: i64,
    category: &'a str,
    state: &'a str,
    created_at: &'a str,
}

impl Fields<'_> {
    /// All but the instant, which the product has as a number: short work, which each parser has alike.
    fn digest(&self) -> u64 {
        let Self { order_id, source, category, state, created_at, .. } = self;
        let texts = order_id.len() + source.len() + category.len() + state.len();
        let cents = (self.total * 100.0).round() as i64;
        let numbers = [self.customer_id, self.quantity, cents, self.store_id, self.product_id];
        // An order without its instant would come to less.
        let dated = u64::from(!created_at.is_empty());
        numbers.iter().fold(texts as u64 + dated, |sum, number| sum.wrapping_mul(31) ^ number.cast_unsigned())
    }
}

/// A parser's buffers.
struct Reader {
    rules: Rules,
    parser: Parser,
    scratch: Vec<u8>,
    buffers: Buffers,
    tape: Tape<'static>,
}

impl Reader {
    fn new(rules: Rules) -> Self {
        let (parser, scratch, buffers) = (Parser::default(), Vec::new(), Buffers::default());
        Self { rules, parser, scratch, buffers, tape: Tape::null() }
    }

    fn product(&mut self, value: &[u8]) -> Result<u64> {
        let order = self.parser.parse(value, RECEIVED_AT, &self.rules);
        let order = order.map_err(|rejection| anyhow::anyhow!("an order is refused: {rejection}"))?;
        let fields = Fields {
            order_id: order.order_id.unwrap_or_default(),
            customer_id: order.customer_id,
            source: order.source,
            quantity: order.quantity,
            total: order.total_minor as f64 / 100.0,
            store_id: order.store_id.unwrap_or_default(),
            product_id: order.product_id.unwrap_or_default(),
            category: order.category.unwrap_or_default(),
            state: order.state.unwrap_or_default(),
            created_at: if order.created_at == RECEIVED_AT { "" } else { "sent" },
        };
        Ok(fields.digest())
    }

    /// simd-json as the product calls it: a copy into a padded buffer that is used again, the tape, and the fields.
    fn tape(&mut self, value: &[u8]) -> Result<u64> {
        let Self { scratch, buffers, tape, .. } = self;
        scratch.clear();
        scratch.extend_from_slice(value);
        scratch.resize(value.len() + INPUT_PADDING, 0);
        let mut nodes = std::mem::replace(tape, Tape::null()).reset();
        simd_json::fill_tape_padded(scratch, value.len(), buffers, &mut nodes)?;
        let digest = fields_of(&nodes.0).map(|fields| fields.digest());
        *tape = nodes.reset();
        digest.context("a field is missing")
    }
}

fn fields_of<'t>(tape: &[Node<'t>]) -> Option<Fields<'t>> {
    let mut fields = Fields::default();
    let mut rest = tape.get(1..)?;
    while let [Node::String(key), value, behind @ ..] = rest {
        match (*key, value) {
            ("order_id", Node::String(text)) => fields.order_id = text,
            ("source", Node::String(text)) => fields.source = text,
            ("category", Node::String(text)) => fields.category = text,
            ("state", Node::String(text)) => fields.state = text,
            ("created_at", Node::String(text)) => fields.created_at = text,
            ("total", Node::Static(number)) => fields.total = float(number)?,
            ("customer_id", Node::Static(number)) => fields.customer_id = integer(number)?,
            ("quantity", Node::Static(number)) => fields.quantity = integer(number)?,
            ("store_id", Node::Static(number)) => fields.store_id = integer(number)?,
            ("product_id", Node::Static(number)) => fields.product_id = integer(number)?,
            _ => return None,
        }
        rest = behind;
    }
    Some(fields)
}

fn integer(number: &StaticNode) -> Option<i64> {
    match number {
        StaticNode::I64(number) => Some(*number),
        StaticNode::U64(number) => i64::try_from(*number).ok(),
        _ => None,
    }
}

fn float(number: &StaticNode) -> Option<f64> {
    match number {
        StaticNode::F64(number) => Some(*number),
        other => integer(other).map(|number| number as f64),
    }
}

/// One parser on all orders.
struct Parsing {
    values: Vec<Vec<u8>>,
    reader: Reader,
    read: Read,
    sum: u64,
}

impl Parsing {
    fn of(name: &str, values: &[Vec<u8>]) -> Result<Self> {
        let read = PARSERS.iter().find(|(own, _)| *own == name).context("there is no such parser")?.1;
        // The channels that are accepted are those that there are.
        let source = |value: &Vec<u8>| Ok(serde_json::from_slice::<Fields<'_>>(value)?.source.to_owned());
        let rules = Rules {
            sources: values.iter().map(source).collect::<Result<_>>()?,
            currency: Currency::from_code("USD").context("there is no dollar")?,
            default_price: "300.00".into(),
            max_order_bytes: 65_536,
        };
        Ok(Self { values: values.to_vec(), reader: Reader::new(rules), read, sum: 0 })
    }

    fn run(&mut self) -> Result<()> {
        self.sum = 0;
        for value in &self.values {
            self.sum = self.sum.rotate_left(1) ^ (self.read)(&mut self.reader, value)?;
        }
        Ok(())
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let done = match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [file] => compare(file),
        [file, name] => once(file, name),
        _ => Err(anyhow::anyhow!("a file of orders is wanted, a line each; `run` makes it")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("parsers: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn orders(file: &str) -> Result<Vec<Vec<u8>>> {
    let text = std::fs::read_to_string(file).with_context(|| format!("failed to read {file}"))?;
    let orders: Vec<Vec<u8>> = text.lines().map(|line| line.as_bytes().to_vec()).collect();
    ensure!(!orders.is_empty(), "{file} holds no orders");
    Ok(orders)
}

/// The process that callgrind looks at.
fn once(file: &str, name: &str) -> Result<()> {
    let mut parsing = Parsing::of(name, &orders(file)?)?;
    parsing.run()?;
    let (allocations, _) = counted(|| parsing.run())?;
    println!("{allocations}");
    Ok(())
}

fn compare(file: &str) -> Result<()> {
    if cfg!(debug_assertions) {
        bail!("a debug build's figures say nothing; add --release");
    }
    let orders = orders(file)?;
    let mut parsers: Vec<Parsing> =
        PARSERS.iter().map(|(name, _)| Parsing::of(name, &orders)).collect::<Result<_>>()?;
    let mut took = vec![Vec::with_capacity(ROUNDS); PARSERS.len()];
    for _ in 0..ROUNDS {
        for (parsing, took) in parsers.iter_mut().zip(&mut took) {
            let started = Instant::now();
            parsing.run()?;
            took.push(started.elapsed().as_secs_f64());
        }
    }
    let sums: Vec<u64> = parsers.iter().map(|parsing| parsing.sum).collect();
    ensure!(sums.iter().all(|sum| Some(sum) == sums.first()), "the parsers read different fields: {sums:x?}");
    let (count, bytes) = (orders.len(), orders.iter().map(Vec::len).sum::<usize>());
    println!(
        "{count} orders of {} bytes, the median of {ROUNDS} interleaved rounds; simd-json on {:?}; all read the same",
        bytes / count,
        simd_json::Deserializer::algorithm()
    );
    println!("parser            ns an order     MB/s   instructions   allocations");
    for ((name, _), mut took) in PARSERS.iter().zip(took) {
        took.sort_by(f64::total_cmp);
        let median = *took.get(ROUNDS / 2).context("there are no rounds")?;
        let looked = callgrind::look_at(&format!("parsers {name}"), &[file, name])?;
        let allocations: f64 = looked.output.trim().parse()?;
        let each = |all: f64| all / count as f64;
        println!(
            "{name:<15} {:>13.0} {:>8.0} {:>14.1} {:>13.3}",
            each(median * 1e9),
            bytes as f64 / median / 1e6,
            each(looked.instructions as f64),
            each(allocations)
        );
    }
    Ok(())
}
