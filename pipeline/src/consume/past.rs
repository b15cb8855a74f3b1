//! By which rules the records before a processor's first block were stored. Pure.

use crate::block::{BlockRow, Recipe, RecipeTexts, Recipes};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The ranges of offsets that were stored by other rules than the own.
pub(super) struct Past {
    own: Arc<Recipe>,
    /// First and last offset, in their order.
    ranges: Vec<(i64, i64, Arc<Recipe>)>,
    /// Fingerprints of rules that this build does not know.
    pub(super) unknown: BTreeSet<String>,
}

impl Past {
    pub(super) fn new(own: &Arc<Recipe>, mut blocks: Vec<BlockRow>, kept: &RecipeTexts) -> Self {
        blocks.sort_by_key(|block| block.first);
        let recipes = Recipes::of(own, kept);
        let (mut ranges, mut unknown) = (Vec::new(), BTreeSet::new());
        for block in blocks.into_iter().filter(|block| !block.is_lost()) {
            match recipes.get(&block.rules) {
                Some(recipe) => ranges.push((block.first, block.last, Arc::clone(recipe))),
                None => drop(unknown.insert(block.rules)),
            }
        }
        Self { own: Arc::clone(own), ranges, unknown }
    }

    /// The recipe by which the record at an offset was stored.
    pub(super) fn recipe(&self, offset: i64) -> &Recipe {
        let at = self.ranges.partition_point(|(first, _, _)| *first <= offset);
        match at.checked_sub(1).and_then(|at| self.ranges.get(at)) {
            Some((_, last, recipe)) if offset <= *last => recipe,
            _ => &self.own,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::money::Currency;
    use crate::order::Rules;

    fn recipe(window: usize) -> Arc<Recipe> {
        let rules = Rules {
            sources: ["Online".to_owned()].into(),
            currency: Currency::from_code("USD").unwrap(),
            default_price: "1".into(),
            max_order_bytes: 100,
        };
        Arc::new(Recipe { rules, categories: None, window })
    }

    #[test]
    fn each_offset_has_the_rules_of_its_block_and_else_the_own() {
        let (own, other) = (recipe(1), recipe(2));
        let kept = [(other.fingerprint(), other.to_text())].into();
        let block =
            |first, last, rules: &str| BlockRow { first, last, rules: rules.into(), ..BlockRow::default() };
        let name = other.fingerprint();
        let blocks = vec![block(20, 29, &name), block(5, 9, &name), block(30, 39, "9-9")];
        let past = Past::new(&own, blocks, &kept);
        let windows: Vec<_> =
            [4, 5, 9, 10, 19, 20, 29, 30, 99].map(|offset| past.recipe(offset).window).into();
        assert_eq!(windows, [1, 2, 2, 1, 1, 2, 2, 1, 1]);
        assert_eq!(past.unknown, ["9-9".to_owned()].into());
    }
}
