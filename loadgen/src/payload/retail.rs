//! The fitted table of retail shares, compiled in, and how to draw from it.
//!
//! Everything is integers: weights are counts, prices are cents. So a seed means the same orders on every machine.
//! How the table was made stands in its own `source` field.

use std::collections::BTreeMap;

use rand_pcg::Pcg64;
use rand_pcg::rand_core::Rng;
use serde::Deserialize;

use super::PayloadError;

const TABLE: &str = include_str!("../../data/retail.json");

/// Keeps the product ids of the departments apart; the largest department has 29,529 products.
const PRODUCT_IDS_PER_DEPARTMENT: u64 = 100_000;

/// PCG's own default stream; the seed is the state.
const STREAM: u128 = 0x0a02_bdbf_7bb3_c0a7_ac28_fa16_a64a_bf96;

/// The seeded draws. Whatever is drawn is decided here from the generator's raw words, so that no other crate's
/// notion of a range can change the orders of a seed.
pub(super) struct Draws(Pcg64);

impl Draws {
    pub(super) fn new(seed: u64) -> Self {
        Self(Pcg64::new(u128::from(seed), STREAM))
    }

    /// The next raw word.
    pub(super) fn word(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A number in `0..bound`; 0 if the bound is 0. The bias of at most bound / 2^64 is far below anything visible.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.word()) * u128::from(bound)) >> 64) as u64
    }
}

/// A choice among items with weights, by a binary search over the running sum of the weights.
pub(super) struct Weighted<T> {
    /// Each item but the last, with the sum of the weights up to and including it.
    before_last: Vec<(u64, T)>,
    /// Whatever is drawn from beyond the others is this, so that there always is an item.
    last: T,
    total: u64,
}

impl<T> Weighted<T> {
    pub(super) fn new(
        what: &str,
        weighted: impl IntoIterator<Item = (T, u64)>,
    ) -> Result<Self, PayloadError> {
        let mut total = 0_u64;
        let mut sums = Vec::new();
        for (item, weight) in weighted.into_iter().filter(|(_, weight)| *weight > 0) {
            total = total
                .checked_add(weight)
                .ok_or_else(|| PayloadError::Table(format!("the weights of {what} overflow")))?;
            sums.push((total, item));
        }
        match sums.pop() {
            Some((_, last)) => Ok(Self { before_last: sums, last, total }),
            None => Err(PayloadError::Table(format!("{what} have no weight"))),
        }
    }

    pub(super) fn draw(&self, draws: &mut Draws) -> &T {
        let at = draws.below(self.total);
        let index = self.before_last.partition_point(|(sum, _)| *sum <= at);
        self.before_last.get(index).map_or(&self.last, |(_, item)| item)
    }
}

/// A store and the state it stands in.
pub(super) struct Store {
    pub(super) id: u64,
    /// The state as the inside of a JSON string.
    pub(super) state: String,
}

/// A department: the category of an order, its products and its unit prices.
pub(super) struct Department {
    /// The name as the inside of a JSON string.
    pub(super) category: String,
    products: u64,
    first_product: u64,
    /// Ranges of unit prices in cents, both ends included, weighted by the share of lines in them.
    unit_prices: Weighted<(u64, u64)>,
}

impl Department {
    pub(super) fn product(&self, draws: &mut Draws) -> u64 {
        self.first_product + draws.below(self.products)
    }

    /// Cents for one piece: even within the range of prices that was drawn.
    pub(super) fn unit_price(&self, draws: &mut Draws) -> u64 {
        let (low, high) = *self.unit_prices.draw(draws);
        low + draws.below(high - low + 1)
    }
}

/// The shares that baskets and lines are drawn by.
pub(super) struct Retail {
    /// Customers are numbered from 1 to this.
    pub(super) households: u64,
    pub(super) hours: Weighted<u64>,
    /// The channel as the inside of a JSON string.
    pub(super) sources: Weighted<String>,
    pub(super) lines: Weighted<usize>,
    pub(super) quantities: Weighted<u64>,
    pub(super) departments: Weighted<Department>,
    pub(super) stores: Weighted<Store>,
}

/// The file as it is written by `loadgen/completejourney/fit.py`.
#[derive(Deserialize)]
struct File {
    households: u64,
    baskets_by_hour_utc: Vec<u64>,
    baskets_by_source: Vec<(String, u64)>,
    baskets_by_lines: Vec<(usize, u64)>,
    lines_by_quantity: Vec<(u64, u64)>,
    price_permilles: Vec<u64>,
    departments: Vec<FileDepartment>,
    stores: Vec<(u64, String, u64)>,
    tail_stores: FileTail,
}

#[derive(Deserialize)]
struct FileDepartment {
    name: String,
    lines: u64,
    products: u64,
    unit_price_minor: Vec<u64>,
}

#[derive(Deserialize)]
struct FileTail {
    baskets: u64,
    ids_by_state: BTreeMap<String, Vec<u64>>,
}

impl Retail {
    /// Reads the compiled-in table.
    pub(super) fn fitted() -> Result<Self, PayloadError> {
        let file: File =
            serde_json::from_str(TABLE).map_err(|error| PayloadError::Table(error.to_string()))?;
        let mut departments = Vec::new();
        for (department, first_product) in
            file.departments.iter().zip((1..).step_by(PRODUCT_IDS_PER_DEPARTMENT as usize))
        {
            departments.push((department.drawable(&file.price_permilles, first_product)?, department.lines));
        }
        let stores = drawable_stores(file.stores, file.tail_stores);
        let sources = file.baskets_by_source.into_iter().map(|(source, weight)| (escaped(&source), weight));
        Ok(Self {
            households: file.households,
            hours: Weighted::new("hours", (0..24).zip(file.baskets_by_hour_utc))?,
            sources: Weighted::new("sources", sources)?,
            lines: Weighted::new("basket sizes", file.baskets_by_lines)?,
            quantities: Weighted::new("quantities", file.lines_by_quantity)?,
            departments: Weighted::new("departments", departments)?,
            stores: Weighted::new("stores", stores)?,
        })
    }
}

impl FileDepartment {
    fn drawable(&self, permilles: &[u64], first_product: u64) -> Result<Department, PayloadError> {
        let wrong = |what: &str| PayloadError::Table(format!("{what} of department {:?}", self.name));
        if self.unit_price_minor.len() != permilles.len() {
            return Err(wrong("the number of unit prices"));
        }
        if !(1..=PRODUCT_IDS_PER_DEPARTMENT).contains(&self.products) {
            return Err(wrong("the number of products"));
        }
        let mut ranges = Vec::new();
        let prices = self.unit_price_minor.windows(2);
        for (price, permille) in prices.zip(permilles.windows(2)) {
            let (&[low, high], &[from, to]) = (price, permille) else { continue };
            let weight = to.checked_sub(from).ok_or_else(|| wrong("the order of the permilles"))?;
            if low > high {
                return Err(wrong("the order of the unit prices"));
            }
            ranges.push(((low, high), weight));
        }
        Ok(Department {
            category: escaped(&self.name),
            products: self.products,
            first_product,
            unit_prices: Weighted::new("unit prices", ranges)?,
        })
    }
}

/// The stores that have a weight of their own, and those of the tail, which share one weight evenly. The weights of
/// the former are multiplied by the number of the latter, so that the shares are exact in integers.
fn drawable_stores(own: Vec<(u64, String, u64)>, tail: FileTail) -> Vec<(Store, u64)> {
    let tail_stores: u64 = tail.ids_by_state.values().map(|ids| ids.len() as u64).sum();
    let mut stores = Vec::new();
    for (id, state, baskets) in own {
        stores.push((Store { id, state: escaped(&state) }, baskets * tail_stores.max(1)));
    }
    for (state, ids) in tail.ids_by_state {
        stores.extend(ids.into_iter().map(|id| (Store { id, state: escaped(&state) }, tail.baskets)));
    }
    stores
}

/// A text as the inside of a JSON string, without its quotes.
fn escaped(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(&quoted).to_owned()
}
