//! What an order does not say itself: the state, from the customers dimension, and the name its category counts under.
//! Enrichment belongs to the rollups alone; the orders store keeps what was sent.

use crate::order::Order;
use crate::stamp::Stamp;
use arc_swap::ArcSwap;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// The state of an order that names none and whose customer is not in the dimension.
pub const UNKNOWN: &str = "unknown";
/// The category of an order that names none.
pub const NO_CATEGORY: &str = "none";
/// The category of an order whose own is not among the configured ones.
pub const OTHER: &str = "other";

/// The mapping of the tutorial that this pipeline replaces, for when no file is configured.
const BUILT_IN: &str = include_str!("../customers.csv");

/// The customers dimension: the state of each customer.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Customers {
    states: HashMap<i64, Arc<str>>,
}

impl Customers {
    /// Reads CSV with the columns `customer_id` and `state`, in any order among others.
    ///
    /// # Errors
    /// The line and what is wrong with it. A customer twice, or a state that no order may have, is an error.
    pub fn read(text: &str) -> Result<Self, String> {
        #[derive(serde::Deserialize)]
        struct Row {
            customer_id: i64,
            state: String,
        }
        let mut found = Self::default();
        let mut names: HashSet<Arc<str>> = HashSet::new();
        for (row, line) in csv::Reader::from_reader(text.as_bytes()).deserialize::<Row>().zip(2..) {
            let Row { customer_id, state } = row.map_err(|error| error.to_string())?;
            if state.is_empty() || state.chars().nth(crate::order::MAX_STATE).is_some() {
                return Err(format!("line {line}: a state has 1 to {} characters", crate::order::MAX_STATE));
            }
            let state = names.get(state.as_str()).cloned().unwrap_or_else(|| Arc::from(state));
            names.insert(Arc::clone(&state));
            if found.states.insert(customer_id, state).is_some() {
                return Err(format!("line {line}: customer {customer_id} stands there twice"));
            }
        }
        Ok(found)
    }

    /// The state of a customer.
    pub fn state(&self, customer_id: i64) -> Option<&str> {
        self.states.get(&customer_id).map(|state| &**state)
    }

    /// How many customers there are.
    pub fn len(&self) -> usize {
        self.states.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.states.is_empty()
    }
}

/// The names under which an order is counted, and what had to be made up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Enriched<'a> {
    /// The state: sent, looked up, or [`UNKNOWN`].
    pub state: &'a str,
    /// The category: sent and listed, [`NO_CATEGORY`] or [`OTHER`].
    pub category: &'a str,
}

/// The categories that are counted under their own names; `None` takes any.
pub type Categories = Option<BTreeSet<String>>;

/// Enriches an order.
pub fn enrich<'a>(order: &Order<'a>, customers: &'a Customers, categories: &Categories) -> Enriched<'a> {
    let state = order.state.or_else(|| customers.state(order.customer_id)).unwrap_or(UNKNOWN);
    let category = match (order.category, categories) {
        (None, _) => NO_CATEGORY,
        (Some(name), Some(listed)) if !listed.contains(name) => OTHER,
        (Some(name), _) => name,
    };
    Enriched { state, category }
}

/// The dimension as processors see it, and the file that it comes from.
#[derive(Debug)]
pub struct Dimension {
    file: Option<Watched>,
    current: ArcSwap<Customers>,
}

/// A file, and what it was like when it was read last.
#[derive(Debug)]
struct Watched {
    path: PathBuf,
    seen: Mutex<Stamp>,
}

impl Dimension {
    /// Reads the file, or the built-in mapping where there is none.
    ///
    /// # Errors
    /// Where the file cannot be read or is not as wanted.
    pub fn open(file: Option<PathBuf>) -> Result<Self, String> {
        let file = file.map(|path| Watched { seen: Mutex::new(Stamp::of(&path)), path });
        let customers = match &file {
            Some(file) => read_file(&file.path)?,
            None => Customers::read(BUILT_IN)?,
        };
        Ok(Self { file, current: ArcSwap::from_pointee(customers) })
    }

    /// The dimension as it is now.
    pub fn current(&self) -> Arc<Customers> {
        self.current.load_full()
    }

    /// Reads the file again if it has changed since it was read last, and says whether it had.
    ///
    /// # Errors
    /// As [`Dimension::open`]; the dimension stays as it was.
    pub fn look(&self) -> Result<bool, String> {
        let Some(Watched { path, seen }) = &self.file else { return Ok(false) };
        let now = Stamp::of(path);
        if std::mem::replace(&mut *seen.lock().unwrap_or_else(PoisonError::into_inner), now) == now {
            return Ok(false);
        }
        self.current.store(Arc::new(read_file(path)?));
        Ok(true)
    }
}

fn read_file(path: &Path) -> Result<Customers, String> {
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string());
    text.and_then(|text| Customers::read(&text)).map_err(|error| format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::money::Currency;

    fn order<'a>(customer_id: i64, state: Option<&'a str>, category: Option<&'a str>) -> Order<'a> {
        let currency = Currency::from_code("USD").unwrap();
        Order {
            order_id: None,
            customer_id,
            source: "Online",
            quantity: 1,
            total_minor: 1,
            currency,
            state,
            store_id: None,
            product_id: None,
            category,
            created_at: 0,
        }
    }

    #[test]
    fn the_built_in_mapping_is_the_tutorials() {
        let customers = Customers::read(BUILT_IN).unwrap();
        for (ids, state) in [(1..=3, "CA"), (4..=5, "TX"), (6..=8, "NY"), (9..=12, "KS"), (13..=17, "KY")] {
            assert!(ids.into_iter().all(|id| customers.state(id) == Some(state)), "{state}");
        }
        assert_eq!((customers.state(0), customers.state(18), customers.len()), (None, None, 17));
    }

    #[test]
    fn what_was_sent_goes_before_what_is_looked_up_and_nothing_is_dropped() {
        let customers = Customers::read(BUILT_IN).unwrap();
        let categories = Some(BTreeSet::from(["GROCERY".to_owned()]));
        let names = |order: &Order<'_>| {
            let enriched = enrich(order, &customers, &categories);
            (enriched.state.to_owned(), enriched.category.to_owned())
        };
        assert_eq!(names(&order(3, Some("WA"), Some("GROCERY"))), ("WA".into(), "GROCERY".into()));
        assert_eq!(names(&order(3, None, None)), ("CA".into(), "none".into()));
        assert_eq!(names(&order(99, None, Some("SHOES"))), ("unknown".into(), "other".into()));
        let order = order(3, None, Some("SHOES"));
        assert_eq!(enrich(&order, &customers, &None).category, "SHOES");
    }

    #[test]
    fn a_changed_file_is_read_again_and_a_broken_one_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("customers.csv");
        std::fs::write(&path, "state,customer_id\nWA,1\n").unwrap();
        let dimension = Dimension::open(Some(path.clone())).unwrap();
        assert_eq!(dimension.current().state(1), Some("WA"));
        for (broken, complaint) in [
            ("customer_id,state\n1,CA\n1,TX\n", "line 3: customer 1 stands there twice"),
            ("customer_id,state\n1,\n", "line 2: a state has"),
            ("customer_id\n1\n", "missing field"),
            ("customer_id,state\nx,CA\n", "line: 2"),
        ] {
            std::fs::write(&path, broken).unwrap();
            let error = dimension.look().unwrap_err();
            assert!(error.contains(complaint), "{error}");
            assert_eq!(dimension.look(), Ok(false), "nothing new since then");
            assert_eq!(dimension.current().state(1), Some("WA"));
        }
        std::fs::write(&path, "customer_id,state\n1,OR\n").unwrap();
        assert_eq!(dimension.look(), Ok(true));
        assert_eq!(dimension.current().state(1), Some("OR"));
    }
}
