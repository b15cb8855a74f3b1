//! Student's t distribution, as far as intervals need it.
//!
//! For whole degrees of freedom its probability is a finite sum (Abramowitz and Stegun, 26.7.3 and 26.7.4), exact but for
//! rounding. Degrees are rounded down, which only makes an interval wider.

use std::f64::consts::{FRAC_2_PI, FRAC_PI_2};

/// Beyond this many degrees the distribution is taken as if it had so many: at most a hundredth wider than the normal.
const FREEDOM_MAX: u32 = 400;
/// Halvings of the angle until no digit of it changes.
const HALVINGS: u32 = 60;

/// The t that is exceeded, to either side, with this probability. Infinite below one degree of freedom, where nothing can be
/// said.
pub fn two_sided(probability: f64, freedom: f64) -> f64 {
    if !(freedom >= 1.0 && probability > 0.0) {
        return f64::INFINITY;
    }
    // Between 1 and FREEDOM_MAX.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small positive number")]
    let freedom = freedom.min(f64::from(FREEDOM_MAX)) as u32;
    let (mut low, mut high) = (0.0, FRAC_PI_2);
    for _ in 0..HALVINGS {
        let angle = f64::midpoint(low, high);
        if beyond(angle, freedom) > probability {
            low = angle;
        } else {
            high = angle;
        }
    }
    high.tan() * f64::from(freedom).sqrt()
}

/// The probability of an absolute t beyond the root of `freedom` times the tangent of `angle`.
fn beyond(angle: f64, freedom: u32) -> f64 {
    let (sin, cos) = angle.sin_cos();
    let square = cos * cos;
    let odd = freedom % 2 == 1;
    // The sum's first term, and the two whole numbers whose ratio takes one term to the next.
    let (mut term, first) = if odd { (cos, 2) } else { (1.0, 1) };
    let mut sum = 0.0;
    let mut above = first;
    while above < freedom {
        sum += term;
        term *= square * f64::from(above) / f64::from(above + 1);
        above += 2;
    }
    let within = if odd { FRAC_2_PI * (angle + sin * sum) } else { sin * sum };
    1.0 - within
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_quantiles_are_those_of_the_printed_tables() {
        // Two-sided probability, degrees of freedom, t.
        for (probability, freedom, printed) in [
            (0.05, 1.0, 12.706),
            (0.01, 1.0, 63.657),
            (0.01, 2.0, 9.925),
            (0.05, 3.0, 3.182),
            (0.01, 4.0, 4.604),
            (0.001, 5.0, 6.869),
            (0.05, 10.0, 2.228),
            (0.001, 30.0, 3.646),
            (0.01, 120.0, 2.617),
        ] {
            let found = two_sided(probability, freedom);
            assert!((found - printed).abs() < 0.0006, "{probability} {freedom}: {found}, not {printed}");
        }
    }

    #[test]
    fn many_degrees_are_nearly_the_normal_distribution_and_parts_of_a_degree_are_dropped() {
        assert!((two_sided(0.05, 1e9) - 1.96).abs() < 0.01);
        assert_eq!(two_sided(0.01, 4.99).to_bits(), two_sided(0.01, 4.0).to_bits());
    }

    #[test]
    fn nothing_is_shown_without_a_degree_of_freedom() {
        assert_eq!(two_sided(0.01, 0.5), f64::INFINITY);
        assert_eq!(two_sided(0.01, f64::NAN), f64::INFINITY);
    }
}
