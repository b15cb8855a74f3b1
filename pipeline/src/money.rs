//! Money: exact amounts in minor units, from the decimal strings and JSON numbers that orders carry.
//!
//! Nothing here rounds. An amount that is not exactly a whole number of minor units is refused.

/// The greatest amount of one order, in minor units. Up to it, a double with at most four fraction digits stands for
/// one decimal only, and a product of `f64`s cannot miss the integer nearest to it.
pub const MAX_MINOR: i64 = 10_000_000_000_000;

/// Why a text or a number is not an amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MoneyError {
    /// It is no decimal, or has more fraction digits than the currency.
    NotExact,
    /// It is negative or over [`MAX_MINOR`].
    OutOfRange,
}

/// A currency of ISO 4217.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Currency {
    code: [u8; 3],
    digits: u8,
}

impl Currency {
    /// The currency of that alphabetic code, in capitals as the standard writes it.
    pub fn from_code(code: &str) -> Option<Self> {
        let found: [u8; 3] = code.as_bytes().try_into().ok()?;
        let digits = CURRENCIES.iter().find(|(_, codes)| {
            codes.as_bytes().chunks(4).any(|word| word.get(..3).is_some_and(|listed| listed == found))
        })?;
        Some(Self { code: found, digits: digits.0 })
    }

    /// The alphabetic code.
    pub fn code(&self) -> &str {
        std::str::from_utf8(&self.code).unwrap_or("???")
    }

    /// How many fraction digits the currency has: its minor unit is 10 to the power of minus this.
    pub const fn digits(self) -> u8 {
        self.digits
    }

    /// How many minor units make one unit.
    pub const fn scale(self) -> i64 {
        10_i64.pow(self.digits as u32)
    }

    /// Reads a decimal, such as `12.5`: digits, and a point with more digits if wanted. No sign, no exponent.
    ///
    /// # Errors
    /// [`MoneyError`], with [`MoneyError::NotExact`] also where there are more fraction digits than the currency has.
    pub fn parse(self, text: &str) -> Result<i64, MoneyError> {
        let (whole, fraction) = match text.split_once('.') {
            Some((_, "")) => return Err(MoneyError::NotExact),
            Some(parts) => parts,
            None => (text, ""),
        };
        if whole.is_empty() || fraction.len() > usize::from(self.digits) {
            return Err(MoneyError::NotExact);
        }
        let missing = usize::from(self.digits) - fraction.len();
        let mut minor: i64 = 0;
        let digits = whole.bytes().chain(fraction.bytes()).chain(std::iter::repeat_n(b'0', missing));
        for digit in digits {
            if !digit.is_ascii_digit() {
                return Err(MoneyError::NotExact);
            }
            minor = minor.saturating_mul(10).saturating_add(i64::from(digit - b'0'));
        }
        in_range(minor)
    }

    /// The amount of a whole number of units.
    ///
    /// # Errors
    /// [`MoneyError::OutOfRange`].
    pub fn from_units(self, units: i64) -> Result<i64, MoneyError> {
        units.checked_mul(self.scale()).ok_or(MoneyError::OutOfRange).and_then(in_range)
    }

    /// The amount that a JSON number stands for: a number is a double (RFC 7493), and the double stands for the one
    /// decimal with the currency's digits whose nearest double it is.
    ///
    /// # Errors
    /// [`MoneyError`], with [`MoneyError::NotExact`] where there is no such decimal.
    pub fn from_number(self, number: f64) -> Result<i64, MoneyError> {
        let scale = 10_f64.powi(i32::from(self.digits));
        let minor = (number * scale).round();
        // Written so that NaN fails as well.
        if !(0.0..=MAX_MINOR as f64).contains(&minor) {
            return Err(MoneyError::OutOfRange);
        }
        // Both are exact doubles, and IEEE 754's division rounds correctly: the quotient is the double nearest to the
        // decimal, the very one that a correct reader makes of its digits.
        if minor / scale == number { in_range(minor as i64) } else { Err(MoneyError::NotExact) }
    }

    /// Writes an amount as a decimal with all of the currency's digits.
    pub fn format(self, minor: i128) -> String {
        let scale = i128::from(self.scale());
        let sign = if minor < 0 { "-" } else { "" };
        let (units, rest) = (minor.abs() / scale, minor.abs() % scale);
        match usize::from(self.digits) {
            0 => format!("{sign}{units}"),
            digits => format!("{sign}{units}.{rest:0digits$}"),
        }
    }
}

const fn in_range(minor: i64) -> Result<i64, MoneyError> {
    if minor < 0 || minor > MAX_MINOR { Err(MoneyError::OutOfRange) } else { Ok(minor) }
}

/// The codes by their number of fraction digits, after ISO 4217's list one (2024). Codes without a minor unit, as gold
/// and the testing codes, are no currency to sell in and are left out.
const CURRENCIES: [(u8, &str); 4] = [
    (
        2,
        "USD EUR GBP AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD \
         CDF CHE CHF CHW CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB FJD FKP GEL GHS GIP GMD GTQ GYD HKD HNL HTG \
         HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK \
         MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE \
         SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USN UYU UZS VED VES WST XCD XCG YER ZAR ZMW ZWG",
    ),
    (0, "JPY KRW BIF CLP DJF GNF ISK KMF PYG RWF UGX UYI VND VUV XAF XOF XPF"),
    (3, "BHD IQD JOD KWD LYD OMR TND"),
    (4, "CLF UYW"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn currency(digits: u8) -> Currency {
        Currency::from_code(["JPY", "", "USD", "KWD", "CLF"][usize::from(digits)]).unwrap()
    }

    fn any_digits() -> impl Strategy<Value = u8> {
        prop_oneof![Just(0_u8), Just(2), Just(3), Just(4)]
    }

    /// Amounts over the whole range, with its edges and the powers of ten and two more often than chance has them.
    fn any_minor() -> impl Strategy<Value = i64> {
        prop_oneof![
            4 => 0..=MAX_MINOR,
            2 => 0_i64..1000,
            2 => (MAX_MINOR - 1000)..=MAX_MINOR,
            1 => (0_u32..=13, -2_i64..=2).prop_map(|(power, off)| (10_i64.pow(power) + off).clamp(0, MAX_MINOR)),
            1 => (0_u32..=43, -2_i64..=2).prop_map(|(power, off)| ((1_i64 << power) + off).clamp(0, MAX_MINOR)),
        ]
    }

    proptest! {
        // The two ways in agree with each other and with the amount, over every decimal in range.
        #![proptest_config(ProptestConfig::with_cases(200_000))]
        #[test]
        fn a_decimal_is_read_exactly_as_a_string_and_as_a_number(minor in any_minor(), digits in any_digits()) {
            let currency = currency(digits);
            let text = currency.format(i128::from(minor));
            prop_assert_eq!(currency.parse(&text), Ok(minor));
            prop_assert_eq!(currency.from_number(text.parse().unwrap()), Ok(minor));
        }

        #[test]
        fn a_number_is_accepted_only_if_it_is_the_double_nearest_to_a_decimal(bits in any::<u64>(), digits in any_digits()) {
            let (currency, number) = (currency(digits), f64::from_bits(bits));
            if let Ok(minor) = currency.from_number(number) {
                prop_assert_eq!(currency.format(i128::from(minor)).parse::<f64>().unwrap(), number);
            }
        }

        #[test]
        fn the_doubles_beside_a_decimal_are_refused(minor in 1..=MAX_MINOR, digits in any_digits()) {
            let currency = currency(digits);
            let number: f64 = currency.format(i128::from(minor)).parse().unwrap();
            prop_assert!(currency.from_number(number.next_up()).is_err());
            prop_assert!(currency.from_number(number.next_down()).is_err());
        }

        #[test]
        fn more_digits_than_the_currency_has_are_refused(minor in any_minor(), digits in any_digits(), extra in "[0-9]{1,4}") {
            let currency = currency(digits);
            let point = if digits == 0 { "." } else { "" };
            let text = format!("{}{point}{extra}", currency.format(i128::from(minor)));
            prop_assert_eq!(currency.parse(&text), Err(MoneyError::NotExact));
        }

        #[test]
        fn no_text_makes_it_panic(text in ".{0,40}") {
            let _ = currency(2).parse(&text);
        }
    }

    #[test]
    fn the_edges_of_the_range() {
        let usd = currency(2);
        assert_eq!(usd.parse("0"), Ok(0));
        assert_eq!(usd.parse("0.00"), Ok(0));
        assert_eq!(usd.parse("100000000000.00"), Ok(MAX_MINOR));
        assert_eq!(usd.parse("100000000000.01"), Err(MoneyError::OutOfRange));
        assert_eq!(usd.parse("99999999999999999999999999"), Err(MoneyError::OutOfRange));
        assert_eq!(usd.from_units(100_000_000_000), Ok(MAX_MINOR));
        assert_eq!(usd.from_units(100_000_000_001), Err(MoneyError::OutOfRange));
        assert_eq!(usd.from_units(i64::MAX), Err(MoneyError::OutOfRange));
        assert_eq!(usd.from_units(-1), Err(MoneyError::OutOfRange));
        assert_eq!(usd.from_number(-0.0), Ok(0));
        for not_in_range in [-0.01, 1e300, f64::INFINITY, f64::NAN, f64::NEG_INFINITY] {
            assert_eq!(usd.from_number(not_in_range), Err(MoneyError::OutOfRange), "{not_in_range}");
        }
        assert_eq!(usd.from_number(0.1 + 0.2), Err(MoneyError::NotExact));
    }

    #[test]
    fn what_is_no_decimal_is_refused() {
        for text in ["", ".", "1.", ".5", "-1", "+1", "1e3", " 1", "1 ", "1,50", "0x10", "1.2.3", "١", "NaN"]
        {
            assert_eq!(currency(2).parse(text), Err(MoneyError::NotExact), "{text:?}");
        }
    }

    #[test]
    fn codes_are_those_of_the_standard() {
        for (code, digits) in [("USD", 2), ("JPY", 0), ("KWD", 3), ("CLF", 4), ("ZWG", 2), ("XPF", 0)] {
            assert_eq!(Currency::from_code(code).map(Currency::digits), Some(digits), "{code}");
        }
        for code in ["usd", "US", "USDX", "XAU", "D E", "", "   "] {
            assert_eq!(Currency::from_code(code), None, "{code:?}");
        }
    }
}
