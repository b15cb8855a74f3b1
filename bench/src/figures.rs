//! How figures are written for people: grouped integers, money, latencies, sizes. Pure; nothing is parsed back.

use std::iter;

/// What stands where a figure is missing.
pub(crate) const NONE: &str = "–";

/// An integer with commas between thousands.
pub fn grouped(integer: impl Into<i128>) -> String {
    let integer = integer.into();
    let digits = group(&integer.unsigned_abs().to_string());
    if integer < 0 { format!("−{digits}") } else { digits }
}

/// An amount of minor units as a decimal with `digits` places and commas between thousands, in integers throughout.
pub fn money(minor: i128, digits: u32) -> String {
    let places = digits as usize;
    // At least one digit stands before the point.
    let all = format!("{:0>width$}", minor.unsigned_abs(), width = places + 1);
    let (whole, fraction) = all.split_at_checked(all.len() - places).unwrap_or((all.as_str(), ""));
    let sign = if minor < 0 { "−" } else { "" };
    let point = if places == 0 { "" } else { "." };
    format!("{sign}{}{point}{fraction}", group(whole))
}

fn group(digits: &str) -> String {
    let count = digits.len();
    digits
        .chars()
        .enumerate()
        .flat_map(|(at, digit)| {
            let comma = at > 0 && (count - at).is_multiple_of(3);
            comma.then_some(',').into_iter().chain(iter::once(digit))
        })
        .collect()
}

/// A latency in the unit that suits it, three digits: `42.3 µs`, `1.21 ms`, `12.0 s`.
pub fn latency(ms: f64) -> String {
    let (value, unit) = if ms < 0.9995 {
        (ms * 1000.0, "µs")
    } else if ms < 999.5 {
        (ms, "ms")
    } else {
        (ms / 1000.0, "s")
    };
    if !value.is_finite() {
        return NONE.to_owned();
    }
    format!("{} {unit}", three_digits(value))
}

/// A rate per second: whole above 100, three digits below.
pub fn rate(per_second: f64) -> String {
    if !per_second.is_finite() {
        NONE.to_owned()
    } else if per_second < 99.95 {
        three_digits(per_second)
    } else {
        group(&format!("{:.0}", per_second))
    }
}

pub(crate) fn three_digits(value: f64) -> String {
    if value == 0.0 || value >= 99.95 {
        format!("{value:.0}")
    } else if value >= 9.995 {
        format!("{value:.1}")
    } else {
        format!("{value:.2}")
    }
}

/// A size in binary units.
pub fn bytes(bytes: u64) -> String {
    const UNITS: [(&str, u64); 3] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    UNITS.iter().find(|(_, size)| bytes >= *size).map_or_else(
        || format!("{bytes} B"),
        |(unit, size)| format!("{} {unit}", three_digits(bytes as f64 / *size as f64)),
    )
}

/// A part of a whole in percent with one decimal, rounded half up, in integers; of nothing, a dash.
pub fn share(part: i128, whole: i128) -> String {
    if whole <= 0 || part < 0 {
        return NONE.to_owned();
    }
    match part.checked_mul(2000).and_then(|doubled| doubled.checked_add(whole)) {
        Some(rounded) => {
            let tenths = rounded / (whole.saturating_mul(2));
            format!("{}.{}%", tenths / 10, tenths % 10)
        }
        None => NONE.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_grouped_from_the_right() {
        for (integer, written) in
            [(0, "0"), (999, "999"), (1000, "1,000"), (-1_234_567, "−1,234,567"), (100_000, "100,000")]
        {
            assert_eq!(grouped(integer), written);
        }
        assert_eq!(grouped(i128::MIN), "−170,141,183,460,469,231,731,687,303,715,884,105,728");
    }

    #[test]
    fn money_keeps_every_minor_unit_in_the_currencys_own_digits() {
        for (minor, digits, written) in [
            (0, 2, "0.00"),
            (5, 2, "0.05"),
            (30_000, 2, "300.00"),
            (123_456_789, 2, "1,234,567.89"),
            (-123_456, 2, "−1,234.56"),
            (123_456, 0, "123,456"),
            (1_234_567, 3, "1,234.567"),
        ] {
            assert_eq!(money(minor, digits), written);
        }
    }

    #[test]
    fn latencies_change_their_unit_where_rounding_would_need_a_fourth_digit() {
        for (ms, written) in [
            (0.0, "0 µs"),
            (0.0423, "42.3 µs"),
            (0.99949, "999 µs"),
            (0.9996, "1.00 ms"),
            (1.2345, "1.23 ms"),
            (99.96, "100 ms"),
            (999.6, "1.00 s"),
            (12_000.0, "12.0 s"),
            (f64::NAN, NONE),
        ] {
            assert_eq!(latency(ms), written);
        }
    }

    #[test]
    fn rates_sizes_and_shares_are_short() {
        assert_eq!(rate(2000.4), "2,000");
        assert_eq!(rate(12.345), "12.3");
        assert_eq!(bytes(1023), "1023 B");
        assert_eq!(bytes(512 << 20), "512 MiB");
        assert_eq!(bytes(3 << 29), "1.50 GiB");
        assert_eq!(share(1, 3), "33.3%");
        assert_eq!(share(2, 3), "66.7%");
        assert_eq!(share(3, 3), "100.0%");
        assert_eq!(share(0, 0), NONE);
    }
}
