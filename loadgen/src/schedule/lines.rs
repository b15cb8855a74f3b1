//! A rate over time made of straight lines, and its exact integral: how many orders are due by an instant, and when an
//! order is due. All of it is whole numbers, so that nothing drifts and every machine gets the same instants.
//!
//! A rate is in thousandths of an order a second, a time in nanoseconds. The area below a line is counted in halves of
//! their product, [`ORDER`] of which are one order, because the area of a triangle is half of a product.

/// The area of one order.
pub(super) const ORDER: u128 = 2 * 1_000 * 1_000_000_000;

/// A piece of a rate over time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) from_milli: u64,
    pub(super) to_milli: u64,
    pub(super) length_ns: u64,
}

/// An area as its whole part, and whether there is more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Area {
    whole: u128,
    more: bool,
}

impl Line {
    const fn is_level(&self) -> bool {
        self.from_milli == self.to_milli
    }

    fn whole_area(&self) -> u128 {
        (u128::from(self.from_milli) + u128::from(self.to_milli)) * u128::from(self.length_ns)
    }

    /// The area from the beginning of the line to `at_ns`, which is within it.
    fn area(&self, at_ns: u64) -> Area {
        let at = u128::from(at_ns);
        let level = 2 * u128::from(self.from_milli) * at;
        if self.is_level() || self.length_ns == 0 {
            return Area { whole: level, more: false };
        }
        let length = u128::from(self.length_ns);
        let slope = u128::from(self.to_milli.abs_diff(self.from_milli)) * at * at;
        let more = !slope.is_multiple_of(length);
        if self.to_milli > self.from_milli {
            Area { whole: level + slope / length, more }
        } else {
            Area { whole: level.saturating_sub(slope.div_ceil(length)), more }
        }
    }

    /// The last nanosecond of the line up to which the area is at most `area`.
    fn at_area(&self, area: u128) -> u64 {
        if self.is_level() {
            let at = area.checked_div(2 * u128::from(self.from_milli)).unwrap_or(0);
            return u64::try_from(at).unwrap_or(u64::MAX).min(self.length_ns);
        }
        let reached = |at_ns: u64| self.area(at_ns) <= Area { whole: area, more: false };
        // The root of the quadratic in floating point is close; whole numbers then decide.
        let from = self.from_milli as f64;
        let slope = (self.to_milli as f64 - from) / self.length_ns as f64;
        let root = (from * from + slope * area as f64).max(0.0).sqrt();
        let guess = ((area as f64 / (from + root)) as u64).min(self.length_ns);
        let (mut low, mut high) = (guess, guess);
        let mut step = 1;
        while low > 0 && !reached(low) {
            (high, low) = (low, low.saturating_sub(step));
            step *= 2;
        }
        while high < self.length_ns && reached(high) {
            (low, high) = (high, high.saturating_add(step).min(self.length_ns));
            step *= 2;
        }
        // `low` is reached, `high` is not or is the end of the line.
        while low + 1 < high {
            let middle = low + (high - low) / 2;
            if reached(middle) { low = middle } else { high = middle }
        }
        low
    }
}

/// A line, with when it begins and the area before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Placed {
    line: Line,
    start_ns: u64,
    before: u128,
}

/// Lines one after the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Lines {
    placed: Vec<Placed>,
    end_ns: u64,
    area: u128,
}

impl Lines {
    pub(super) fn new(lines: impl IntoIterator<Item = Line>) -> Self {
        let mut all = Self { placed: Vec::new(), end_ns: 0, area: 0 };
        for line in lines.into_iter().filter(|line| line.length_ns > 0) {
            all.placed.push(Placed { line, start_ns: all.end_ns, before: all.area });
            all.end_ns = all.end_ns.saturating_add(line.length_ns);
            all.area += line.whole_area();
        }
        all
    }

    /// The orders that are due before the end.
    pub(super) const fn orders(&self) -> u128 {
        self.area.div_ceil(ORDER)
    }

    /// When order `order` is due. Beyond the end it is when it would be if the last rate went on.
    pub(super) fn due_ns(&self, order: u128) -> u64 {
        let area = order.saturating_mul(ORDER);
        // One line, the steady rate, needs no search. In a pause nothing is due: what falls on it is due at its end.
        let after = match self.placed.len() {
            1 => usize::from(area >= self.area),
            _ => self.placed.partition_point(|placed| placed.before + placed.line.whole_area() <= area),
        };
        match (self.placed.get(after), self.placed.last()) {
            (Some(Placed { line, start_ns, before }), _) => start_ns + line.at_area(area - before),
            (None, Some(Placed { line, .. })) => {
                let beyond = (area - self.area).checked_div(2 * u128::from(line.to_milli)).unwrap_or(0);
                self.end_ns.saturating_add(u64::try_from(beyond).unwrap_or(u64::MAX))
            }
            (None, None) => 0,
        }
    }

    /// The number of orders that are due before `ns`.
    pub(super) fn orders_before(&self, ns: u64) -> u128 {
        let begun = self.placed.partition_point(|placed| placed.start_ns <= ns);
        let Some(Placed { line, start_ns, before }) = begun.checked_sub(1).and_then(|at| self.placed.get(at))
        else {
            return 0;
        };
        // floor(x) < ns exactly if x < ns, as ns is whole; and x < ns exactly if the area up to x is the smaller one.
        let Area { whole, more } = line.area((ns - start_ns).min(line.length_ns));
        (before + whole + u128::from(more)).div_ceil(ORDER)
    }

    /// The rate in thousandths, if it is the same throughout.
    pub(super) fn level_milli(&self) -> Option<u64> {
        match self.placed.as_slice() {
            [only] if only.line.is_level() => Some(only.line.from_milli),
            _ => None,
        }
    }

    /// The rate in thousandths at `ns`; 0 after the end.
    pub(super) fn milli_at(&self, ns: u64) -> u64 {
        let begun = self.placed.partition_point(|placed| placed.start_ns <= ns);
        let Some(Placed { line, start_ns, .. }) = begun.checked_sub(1).and_then(|at| self.placed.get(at))
        else {
            return 0;
        };
        let (from, to) = (u128::from(line.from_milli), u128::from(line.to_milli));
        let (at, length) = (u128::from(ns - start_ns), u128::from(line.length_ns));
        if at >= length {
            return 0;
        }
        u64::try_from((from * (length - at) + to * at) / length).unwrap_or(u64::MAX)
    }

    /// Everything that decides the instants, for a fingerprint.
    pub(super) fn words(&self) -> impl Iterator<Item = u64> {
        self.placed.iter().flat_map(|Placed { line, .. }| [line.from_milli, line.to_milli, line.length_ns])
    }
}
