//! Sums of 128 bits in JSON: an integer where it fits an i64, which every reader takes, else a decimal string.
//!
//! Both forms are read. A reader in JavaScript should parse the text itself: above 2^53 its numbers are not exact.

use std::fmt;

use serde::{Deserializer, Serializer, de};

pub(super) fn serialize<S: Serializer>(sum: &i128, serializer: S) -> Result<S::Ok, S::Error> {
    match i64::try_from(*sum) {
        Ok(small) => serializer.serialize_i64(small),
        Err(_) => serializer.collect_str(sum),
    }
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i128, D::Error> {
    deserializer.deserialize_any(Sum)
}

struct Sum;

impl de::Visitor<'_> for Sum {
    type Value = i128;

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("an integer or a decimal string of one")
    }

    fn visit_i64<E: de::Error>(self, sum: i64) -> Result<i128, E> {
        Ok(sum.into())
    }

    fn visit_u64<E: de::Error>(self, sum: u64) -> Result<i128, E> {
        Ok(sum.into())
    }

    fn visit_str<E: de::Error>(self, sum: &str) -> Result<i128, E> {
        sum.parse().map_err(|_| E::invalid_value(de::Unexpected::Str(sum), &self))
    }
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Held(#[serde(with = "super")] i128);

    #[test]
    fn sums_are_integers_as_long_as_they_fit_64_bits_and_strings_beyond() {
        let edges = [
            (0, "0"),
            (i128::from(i64::MAX), "9223372036854775807"),
            (i128::from(i64::MIN), "-9223372036854775808"),
            (i128::from(i64::MAX) + 1, "\"9223372036854775808\""),
            (i128::MIN, "\"-170141183460469231731687303715884105728\""),
        ];
        for (sum, json) in edges {
            assert_eq!(serde_json::to_string(&Held(sum)).unwrap(), json);
            assert_eq!(serde_json::from_str::<Held>(json).unwrap(), Held(sum));
        }
    }

    #[test]
    fn a_fraction_or_a_word_is_not_a_sum() {
        for json in ["1.5", "\"1.5\"", "\"much\"", "null"] {
            assert!(serde_json::from_str::<Held>(json).is_err(), "{json} was taken");
        }
    }
}
