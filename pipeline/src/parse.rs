//! The one parser of orders, on simd-json's tape. Ingest validates with it and the processor parses with it, so that
//! the two cannot disagree. It is pure: a verdict depends on the record, on its `received_at` and on the rules.
//!
//! simd-json works in place and wants padding, so each record is copied once into a buffer that is used again; the
//! bytes that go to the log are never touched.

use crate::money::{Currency, MoneyError};
use crate::numbers;
use crate::order::{self, Field, Order, Reason, Rejection, Rules};
use crate::time;
use simd_json::{Buffers, ErrorType, INPUT_PADDING, Node, StaticNode, Tape};

/// How many unknown keys are compared one by one; more than that are sorted.
const FEW_KEYS: usize = 16;

/// The buffers of a parser. One a thread is enough: nothing of an order stays in them.
pub struct Parser {
    scratch: Vec<u8>,
    second: Vec<u8>,
    buffers: Buffers,
    tape: Tape<'static>,
}

impl Default for Parser {
    fn default() -> Self {
        Self { scratch: Vec::new(), second: Vec::new(), buffers: Buffers::default(), tape: Tape::null() }
    }
}

impl Parser {
    /// Reads one order and checks it against the rules. `received_at` is in nanoseconds of Unix time.
    ///
    /// # Errors
    /// The first reason to refuse it, looking at the text first and then at the fields in the contract's order.
    pub fn parse<'p>(
        &'p mut self,
        value: &[u8],
        received_at: i64,
        rules: &Rules,
    ) -> Result<Order<'p>, Rejection> {
        if value.len() > rules.max_order_bytes {
            return Err(Rejection::whole(Reason::TooLarge));
        }
        let Self { scratch, second, buffers, tape } = self;
        let mut nodes: Tape<'p> = std::mem::replace(tape, Tape::null()).reset();
        let mut filled = fill(scratch, value, buffers, &mut nodes, |_| true);
        if filled == Err(Reason::NotJson) {
            // A number that nobody reads may have any size, but simd-json refuses those that no double can hold. Such
            // a record is read once more, with each of them replaced by a number that no field accepts.
            filled = fill(second, value, buffers, &mut nodes, numbers::tame);
        }
        let order = filled.map_err(Rejection::whole).and_then(|()| read(&nodes.0, received_at, rules));
        *tape = nodes.reset();
        order
    }
}

/// Copies the value into the scratch, edits it, and lays its tape. An edit that has nothing to do says so, and the
/// record is not JSON then.
fn fill<'p>(
    scratch: &'p mut Vec<u8>,
    value: &[u8],
    buffers: &mut Buffers,
    tape: &mut Tape<'p>,
    edit: impl FnOnce(&mut [u8]) -> bool,
) -> Result<(), Reason> {
    scratch.clear();
    scratch.extend_from_slice(value);
    if !edit(scratch) {
        return Err(Reason::NotJson);
    }
    scratch.resize(value.len() + INPUT_PADDING, 0);
    simd_json::fill_tape_padded(scratch, value.len(), buffers, tape).map_err(|error| match error.error() {
        ErrorType::InvalidUtf8 | ErrorType::InvalidUnicodeCodepoint | ErrorType::InvalidUnicodeEscape => {
            Reason::InvalidUtf8
        }
        ErrorType::DepthLimitExceeded => Reason::TooDeep,
        _ => Reason::NotJson,
    })
}

/// Finds the fields on the tape, then reads each by its rule.
fn read<'p>(tape: &[Node<'p>], received_at: i64, rules: &Rules) -> Result<Order<'p>, Rejection> {
    let fields = Fields::find(tape)?;
    let order_id = fields.text(Field::OrderId)?;
    if order_id.is_some_and(|id| !order::is_order_id(id)) {
        return Err(Rejection::of(Field::OrderId, Reason::BadOrderId));
    }
    let customer_id = fields.integer(Field::CustomerId, 1..=i64::MAX)?;
    let customer_id = customer_id.ok_or(Rejection::of(Field::CustomerId, Reason::MissingField))?;
    let source = fields.text(Field::Source)?.ok_or(Rejection::of(Field::Source, Reason::MissingField))?;
    if !rules.sources.contains(source) {
        return Err(Rejection::of(Field::Source, Reason::UnknownSource));
    }
    let quantity = fields.integer(Field::Quantity, 1..=order::MAX_QUANTITY)?;
    let quantity = quantity.ok_or(Rejection::of(Field::Quantity, Reason::MissingField))?;
    let currency = match fields.text(Field::Currency)? {
        None => rules.currency,
        Some(code) => {
            Currency::from_code(code).ok_or(Rejection::of(Field::Currency, Reason::UnknownCurrency))?
        }
    };
    let total_minor = total(&fields, currency, quantity, rules)?;
    let state = fields.short_text(Field::State, order::MAX_STATE)?;
    let store_id = fields.integer(Field::StoreId, i64::MIN..=i64::MAX)?;
    let product_id = fields.integer(Field::ProductId, i64::MIN..=i64::MAX)?;
    let category = fields.short_text(Field::Category, order::MAX_CATEGORY)?;
    let created_at = match fields.text(Field::CreatedAt)? {
        None => received_at,
        Some(text) => {
            let instant = time::parse(text).ok_or(Rejection::of(Field::CreatedAt, Reason::BadTime))?;
            let latest = received_at.saturating_add(order::MAX_AHEAD);
            if !(order::MIN_CREATED_AT..=latest).contains(&instant) {
                return Err(Rejection::of(Field::CreatedAt, Reason::TimeOutOfRange));
            }
            instant
        }
    };
    Ok(Order {
        order_id,
        customer_id,
        source,
        quantity,
        total_minor,
        currency,
        state,
        store_id,
        product_id,
        category,
        created_at,
    })
}

/// The total as sent; else the unit price, or the default price, times the quantity.
fn total(fields: &Fields<'_>, currency: Currency, quantity: i64, rules: &Rules) -> Result<i64, Rejection> {
    if let Some(total) = fields.money(Field::Total, currency)? {
        return Ok(total);
    }
    let (price, field) = match fields.money(Field::UnitPrice, currency)? {
        Some(price) => (price, Field::UnitPrice),
        // The default price may be one that this currency cannot express; then the order has to name its own.
        None => match currency.parse(&rules.default_price) {
            Ok(price) => (price, Field::Total),
            Err(_) => return Err(Rejection::of(Field::Total, Reason::MissingField)),
        },
    };
    price
        .checked_mul(quantity)
        .filter(|total| *total <= crate::money::MAX_MINOR)
        .ok_or(Rejection::of(field, Reason::OutOfRange))
}

/// The nodes of the contract's fields, by [`Field`].
struct Fields<'p> {
    nodes: [Option<Node<'p>>; Field::ALL.len()],
}

impl<'p> Fields<'p> {
    /// Walks the object's own keys. What lies inside an unknown field is passed over, but for its depth.
    fn find(tape: &[Node<'p>]) -> Result<Self, Rejection> {
        let Some(Node::Object { .. }) = tape.first() else {
            return Err(Rejection::whole(Reason::NotAnObject));
        };
        check_depth(tape)?;
        let mut found = Self { nodes: [None; Field::ALL.len()] };
        let mut unknown = UnknownKeys::default();
        let mut rest = tape.get(1..).unwrap_or_default();
        while let [Node::String(key), value, ..] = rest {
            let inside = match value {
                Node::Object { count, .. } | Node::Array { count, .. } => *count,
                Node::String(_) | Node::Static(_) => 0,
            };
            let repeated = match Field::from_key(key) {
                Some(field) => found.slot(field).replace(*value).is_some(),
                None => unknown.is_repeated(key),
            };
            if repeated {
                return Err(Rejection { reason: Reason::DuplicateKey, field: Field::from_key(key) });
            }
            rest = rest.get(2 + inside..).unwrap_or_default();
        }
        if unknown.any_repeated() {
            return Err(Rejection::whole(Reason::DuplicateKey));
        }
        Ok(found)
    }

    #[expect(clippy::indexing_slicing, reason = "there is a slot for each field")]
    fn slot(&mut self, field: Field) -> &mut Option<Node<'p>> {
        &mut self.nodes[field as usize]
    }

    #[expect(clippy::indexing_slicing, reason = "there is a slot for each field")]
    fn get(&self, field: Field) -> Option<Node<'p>> {
        self.nodes[field as usize]
    }

    fn text(&self, field: Field) -> Result<Option<&'p str>, Rejection> {
        match self.get(field) {
            None => Ok(None),
            Some(Node::String(text)) => Ok(Some(text)),
            Some(_) => Err(Rejection::of(field, Reason::WrongType)),
        }
    }

    /// A text of 1 to `most` characters.
    fn short_text(&self, field: Field, most: usize) -> Result<Option<&'p str>, Rejection> {
        match self.text(field)? {
            Some(text) if text.is_empty() || text.chars().nth(most).is_some() => {
                Err(Rejection::of(field, Reason::OutOfRange))
            }
            text => Ok(text),
        }
    }

    /// An integer. JSON does not tell 2 from 2.0, so a double that is one exactly is one.
    fn integer(&self, field: Field, range: std::ops::RangeInclusive<i64>) -> Result<Option<i64>, Rejection> {
        const EXACT: f64 = 9_007_199_254_740_992.0;
        let out_of_range = Rejection::of(field, Reason::OutOfRange);
        let number = match self.get(field) {
            None => return Ok(None),
            Some(Node::Static(StaticNode::I64(number))) => number,
            Some(Node::Static(StaticNode::U64(number))) => i64::try_from(number).map_err(|_| out_of_range)?,
            Some(Node::Static(StaticNode::F64(number))) if number.fract() == 0.0 => {
                if number.abs() > EXACT {
                    return Err(out_of_range);
                }
                number as i64
            }
            Some(_) => return Err(Rejection::of(field, Reason::WrongType)),
        };
        if range.contains(&number) { Ok(Some(number)) } else { Err(out_of_range) }
    }

    /// An amount in minor units, from a decimal string or a number.
    fn money(&self, field: Field, currency: Currency) -> Result<Option<i64>, Rejection> {
        let amount = match self.get(field) {
            None => return Ok(None),
            Some(Node::String(text)) => currency.parse(text),
            Some(Node::Static(StaticNode::I64(units))) => currency.from_units(units),
            Some(Node::Static(StaticNode::U64(units))) => i64::try_from(units)
                .map_err(|_| MoneyError::OutOfRange)
                .and_then(|units| currency.from_units(units)),
            Some(Node::Static(StaticNode::F64(number))) => currency.from_number(number),
            Some(_) => return Err(Rejection::of(field, Reason::WrongType)),
        };
        amount.map(Some).map_err(|error| match error {
            MoneyError::NotExact => Rejection::of(field, Reason::BadMoney),
            MoneyError::OutOfRange => Rejection::of(field, Reason::OutOfRange),
        })
    }
}

/// Refuses a tape that is nested too deep. The tape gives each container's number of nodes, so the containers that are
/// open at a node are those whose end lies behind it.
fn check_depth(tape: &[Node<'_>]) -> Result<(), Rejection> {
    let mut ends = [0_usize; order::MAX_DEPTH];
    let mut depth = 0_usize;
    for (at, node) in tape.iter().enumerate() {
        let (Node::Object { count, .. } | Node::Array { count, .. }) = node else { continue };
        while depth > 0 && ends.get(depth - 1).is_some_and(|end| *end < at) {
            depth -= 1;
        }
        *ends.get_mut(depth).ok_or(Rejection::whole(Reason::TooDeep))? = at + count;
        depth += 1;
    }
    Ok(())
}

/// The keys that the contract does not know, kept to find a repeated one without comparing each with each.
#[derive(Default)]
struct UnknownKeys<'p> {
    few: [&'p str; FEW_KEYS],
    len: usize,
    more: Vec<&'p str>,
}

impl<'p> UnknownKeys<'p> {
    /// Whether the key is already among the few; more of them are looked at in the end.
    fn is_repeated(&mut self, key: &'p str) -> bool {
        match self.few.get_mut(self.len) {
            Some(slot) => {
                *slot = key;
                let before = self.few.get(..self.len).unwrap_or_default();
                self.len += 1;
                before.contains(&key)
            }
            None => {
                self.more.push(key);
                false
            }
        }
    }

    fn any_repeated(mut self) -> bool {
        if self.more.is_empty() {
            return false;
        }
        self.more.extend(self.few);
        self.more.sort_unstable();
        self.more.windows(2).any(|pair| matches!(pair, [a, b] if a == b))
    }
}
