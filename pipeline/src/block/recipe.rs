//! What decides what a block comes to. Each recipe by which blocks were ever stored is kept beside them as a text, so that
//! what was counted by the rules of its time can be counted again by them.

use crate::enrich::Categories;
use crate::money::Currency;
use crate::order::Rules;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use xxhash_rust::xxh3::xxh3_64;

/// Counts up whenever the code comes to another verdict or another sum on the same record, so that builds that differ
/// in it do not work side by side.
const RULES: u32 = 2;

/// All that decides what a block comes to, but for the dimension.
#[derive(Clone, Debug)]
pub struct Recipe {
    /// What decides verdicts.
    pub rules: Rules,
    /// What decides the names that categories count under.
    pub categories: Categories,
    /// How many preceding offsets an id is remembered for.
    pub window: usize,
}

/// The texts of recipes, by their fingerprints.
pub type RecipeTexts = BTreeMap<String, String>;

/// The recipes that this build can follow, by their fingerprints.
#[derive(Clone, Debug, Default)]
pub struct Recipes(BTreeMap<String, Arc<Recipe>>);

impl Recipe {
    /// A short hash of the recipe and of the build's rule number, which each block keeps.
    pub fn fingerprint(&self) -> String {
        format!("{RULES}-{:012x}", xxh3_64(format!("{self:?}").as_bytes()) >> 16)
    }

    /// The recipe as a text that [`Recipe::from_text`] reads.
    pub fn to_text(&self) -> String {
        let Rules { sources, currency, default_price, max_order_bytes } = &self.rules;
        json!({
            "sources": sources, "currency": currency.code(), "default_price": default_price,
            "max_order_bytes": max_order_bytes, "categories": self.categories, "window": self.window,
        })
        .to_string()
    }

    /// Reads what [`Recipe::to_text`] wrote.
    pub fn from_text(text: &str) -> Option<Self> {
        let value: Value = serde_json::from_str(text).ok()?;
        let names = |value: &Value| -> Option<_> {
            value.as_array()?.iter().map(|name| name.as_str().map(str::to_owned)).collect()
        };
        let number = |name: &str| usize::try_from(value.get(name)?.as_u64()?).ok();
        let categories = value.get("categories")?;
        Some(Self {
            rules: Rules {
                sources: names(value.get("sources")?)?,
                currency: Currency::from_code(value.get("currency")?.as_str()?)?,
                default_price: value.get("default_price")?.as_str()?.to_owned(),
                max_order_bytes: number("max_order_bytes")?,
            },
            categories: if categories.is_null() { None } else { Some(names(categories)?) },
            window: number("window")?,
        })
    }
}

impl Recipes {
    /// The recipes that were kept, and the own one. One of another build's rules is left out: its text says only what was
    /// configured.
    pub fn of(own: &Arc<Recipe>, kept: &RecipeTexts) -> Self {
        let read = |text: &String| Recipe::from_text(text).map(Arc::new);
        let kept = kept.iter().filter_map(|(name, text)| Some((name.clone(), read(text)?)));
        let mut all: BTreeMap<_, _> = kept.filter(|(name, recipe)| *name == recipe.fingerprint()).collect();
        all.insert(own.fingerprint(), Arc::clone(own));
        Self(all)
    }

    /// The recipe of a fingerprint, if it is known.
    pub fn get(&self, fingerprint: &str) -> Option<&Arc<Recipe>> {
        self.0.get(fingerprint)
    }

    /// The longest window.
    pub fn window(&self) -> usize {
        self.0.values().map(|recipe| recipe.window).max().unwrap_or(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recipe(categories: Option<&[&str]>) -> Recipe {
        Recipe {
            rules: Rules {
                sources: ["Online", "Dine \"In\""].map(str::to_owned).into(),
                currency: Currency::from_code("JPY").unwrap(),
                default_price: "300.00".into(),
                max_order_bytes: 65_536,
            },
            categories: categories.map(|names| names.iter().map(|name| (*name).to_owned()).collect()),
            window: 12,
        }
    }

    #[test]
    fn a_recipe_that_was_written_and_read_is_the_same() {
        for recipe in [recipe(None), recipe(Some(&[])), recipe(Some(&["FUEL", "MEAT"]))] {
            let read = Recipe::from_text(&recipe.to_text()).unwrap();
            assert_eq!(read.fingerprint(), recipe.fingerprint());
        }
        assert!(Recipe::from_text("{}").is_none() && Recipe::from_text("nonsense").is_none());
    }

    #[test]
    fn a_text_under_another_fingerprint_than_this_builds_is_not_followed() {
        let (own, other) = (Arc::new(recipe(None)), recipe(Some(&["FUEL"])));
        let kept = [(other.fingerprint(), other.to_text()), ("0-0".to_owned(), other.to_text())];
        let all = Recipes::of(&own, &kept.into());
        assert!(all.get(&other.fingerprint()).is_some() && all.get(&own.fingerprint()).is_some());
        assert!(all.get("0-0").is_none());
        assert_eq!(all.window(), 12);
    }
}
