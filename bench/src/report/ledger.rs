//! The ledger of a run: the same orders counted where they were sent, in the log and in both stores.

use serde::{Deserialize, Serialize};

use super::minor;
use crate::figures::grouped;

/// Every order counted wherever it was seen. Counts are of orders, not of requests.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    /// Orders that were sent, each once, however often it was sent again.
    pub sent: u64,
    /// Of these: the log has them, the reply said.
    pub accepted: u64,
    /// Of these: invalid.
    pub rejected: u64,
    /// Of these: certainly not in the log.
    pub failed: u64,
    /// Of these: the log may have them.
    pub unknown: u64,
    /// Sendings beyond the first, under the same order id.
    pub retried: u64,
    /// Records in the log.
    pub log: u64,
    /// Rows in the orders store.
    pub orders: u64,
    /// Records whose order id was in the log before.
    pub duplicates: u64,
    /// Records that are not valid orders.
    pub dead: u64,
    /// Orders that the rollups count.
    pub rollup_orders: u64,
    /// Items, where they were counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantity: Option<Across>,
    /// Minor units, as cents, of all currencies together; absent where an accepted order leaves its total to a price, so
    /// that it cannot be added up without the pipeline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total_minor: Option<Across>,
    /// Whether everything agrees.
    pub balanced: bool,
    /// What does not agree, a sentence each.
    pub differences: Vec<String>,
}

/// One sum at three places. JSON integers where they fit 64 bits, else decimal strings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Across {
    /// Over the orders that the sender was told are accepted, each order id once.
    #[serde(with = "minor")]
    pub accepted: i128,
    /// Over the rows of the orders store.
    #[serde(with = "minor")]
    pub orders: i128,
    /// Over the rollups.
    #[serde(with = "minor")]
    pub rollup: i128,
}

impl Ledger {
    /// Adds to `differences` what the counts alone show, and sets `balanced`.
    ///
    /// Differences that are there already, as of a comparison by order id, stay and count.
    pub fn settle(&mut self) {
        let found = self.disagreements();
        self.differences.extend(found);
        self.balanced = self.differences.is_empty();
    }

    /// Each rule is named by the fields that it compares.
    fn disagreements(&self) -> Vec<String> {
        let told = sum([self.accepted, self.rejected, self.failed, self.unknown]);
        let ended = sum([self.orders, self.duplicates, self.dead]);
        let mut found = vec![
            unequal("sent = accepted + rejected + failed + unknown", self.sent.into(), told),
            unequal("log = orders + duplicates + dead", self.log.into(), ended),
            unequal("rollup_orders = orders", self.rollup_orders.into(), self.orders.into()),
            // What is accepted is stored; beyond it there may only be what is unknown, and in the log what was sent
            // again.
            above("accepted <= orders", self.accepted.into(), self.orders.into()),
            above("orders <= accepted + unknown", self.orders.into(), sum([self.accepted, self.unknown])),
            above(
                "log <= accepted + unknown + retried",
                self.log.into(),
                sum([self.accepted, self.unknown, self.retried]),
            ),
        ];
        let sums = [("total_minor", self.total_minor), ("quantity", self.quantity)];
        for (what, across) in sums.into_iter().filter_map(|(what, across)| Some((what, across?))) {
            found.push(unequal(&format!("{what}.rollup = {what}.orders"), across.rollup, across.orders));
            // An unknown order may be in the log or not, so that the sums can be equal only where there is none.
            found.push(if self.unknown == 0 {
                unequal(&format!("{what}.orders = {what}.accepted"), across.orders, across.accepted)
            } else {
                above(&format!("{what}.accepted <= {what}.orders"), across.accepted, across.orders)
            });
        }
        found.into_iter().flatten().collect()
    }
}

fn unequal(rule: &str, left: i128, right: i128) -> Option<String> {
    (left != right).then(|| format!("{rule} does not hold: {} is not {}", grouped(left), grouped(right)))
}

fn above(rule: &str, left: i128, right: i128) -> Option<String> {
    (left > right).then(|| format!("{rule} does not hold: {} is more than {}", grouped(left), grouped(right)))
}

fn sum<const N: usize>(counts: [u64; N]) -> i128 {
    counts.into_iter().map(i128::from).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn balanced() -> Ledger {
        let quantity = Across { accepted: 300, orders: 300, rollup: 300 };
        let total_minor = Some(Across { accepted: 900_000, orders: 900_000, rollup: 900_000 });
        Ledger {
            sent: 105,
            accepted: 100,
            rejected: 4,
            failed: 1,
            retried: 2,
            log: 102,
            orders: 100,
            duplicates: 2,
            rollup_orders: 100,
            quantity: Some(quantity),
            total_minor,
            ..Ledger::default()
        }
    }

    fn differences(change: impl FnOnce(&mut Ledger)) -> Vec<String> {
        let mut ledger = balanced();
        change(&mut ledger);
        ledger.settle();
        assert_eq!(ledger.balanced, ledger.differences.is_empty());
        ledger.differences
    }

    #[test]
    fn a_ledger_whose_sums_agree_is_balanced() {
        assert_eq!(differences(|_| ()), Vec::<String>::new());
    }

    #[test]
    fn one_cent_or_one_order_too_few_is_a_difference_with_both_figures() {
        assert_eq!(
            differences(|ledger| ledger.total_minor.as_mut().unwrap().rollup -= 1),
            ["total_minor.rollup = total_minor.orders does not hold: 899,999 is not 900,000"]
        );
        assert_eq!(
            differences(|ledger| ledger.rollup_orders -= 1),
            ["rollup_orders = orders does not hold: 99 is not 100"]
        );
        assert_eq!(
            differences(|ledger| ledger.duplicates = 0),
            ["log = orders + duplicates + dead does not hold: 102 is not 100"]
        );
    }

    #[test]
    fn an_order_without_an_outcome_is_a_difference() {
        assert_eq!(differences(|ledger| ledger.sent += 1).len(), 1);
    }

    #[test]
    fn an_unknown_order_may_be_in_the_log_or_not() {
        let unknown = |ledger: &mut Ledger| {
            ledger.sent += 1;
            ledger.unknown = 1;
        };
        assert_eq!(differences(unknown), Vec::<String>::new());
        let stored = differences(|ledger| {
            unknown(ledger);
            ledger.log += 1;
            ledger.orders += 1;
            ledger.rollup_orders += 1;
            let total = ledger.total_minor.as_mut().unwrap();
            (total.orders, total.rollup) = (total.orders + 300, total.rollup + 300);
            ledger.quantity = None;
        });
        assert_eq!(stored, Vec::<String>::new());
    }

    #[test]
    fn an_accepted_order_that_is_not_stored_is_a_difference() {
        let lost = differences(|ledger| {
            ledger.log = 99;
            ledger.orders = 97;
            ledger.rollup_orders = 97;
        });
        assert_eq!(lost, ["accepted <= orders does not hold: 100 is more than 97"]);
    }

    #[test]
    fn differences_found_by_order_id_stay() {
        let kept = differences(|ledger| ledger.differences.push("order 7 is missing".to_owned()));
        assert_eq!(kept, ["order 7 is missing"]);
    }
}
