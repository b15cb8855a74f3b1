//! What the pairs say, for a terminal. Pure.

use super::{By, Outcome};
use crate::compare::judge::Verdict;
use crate::figures::NONE;
use crate::pairs::{self, Pair};
use crate::text::table;

/// The line of a pair, as it is taken.
pub fn pair(number: usize, Pair { base, changed }: Pair) -> String {
    format!("{number:>4} {base:>16.6} {changed:>16.6} {:>8.4}", changed / base)
}

/// The heading of those lines.
pub fn heading(by: By) -> String {
    format!("{:>4} {:>16} {:>16} {:>8}   ({})", "pair", "A", "B", "B over A", by.words())
}

/// The end of it.
pub fn render(outcome: &Outcome) -> String {
    let mut rows = vec![["median of", "A", "B", "B over A"].map(str::to_owned).to_vec()];
    for by in [By::Wall, By::Cpu, By::Memory, By::Instructions, By::Figure] {
        let figures: Option<Vec<[f64; 2]>> =
            outcome.pairs.iter().map(|[a, b]| Some([by.of(a)?, by.of(b)?])).collect();
        let Some(figures) = figures else { continue };
        let median = |of: fn(&[f64; 2]) -> f64| median(figures.iter().map(of).collect());
        let (a, b, ratio) = (median(|[a, _]| *a), median(|[_, b]| *b), median(|[a, b]| b / a));
        rows.push(vec![
            by.words().to_owned(),
            number(a),
            number(b),
            ratio.map_or(NONE.to_owned(), |ratio| format!("{ratio:.4}")),
        ]);
    }
    let standing = outcome.standing;
    let [low, high] = standing.interval;
    let percent = |part: f64| part * 100.0;
    let answer = match (outcome.verdict, standing.settled) {
        (Verdict::NoDifferenceShown, true) => {
            format!("There is no difference of more than {} %", percent(outcome.plan.least))
        }
        (Verdict::NoDifferenceShown, false) => "No difference is shown, though there may be one".to_owned(),
        (verdict, _) => format!("B is {}", verdict.words()),
    };
    format!(
        "\n{}\nB over A by {}: {:.4} ({low:.4} to {high:.4}, at {} % over {} looks)\n{answer}, after {} pairs{}.\n",
        table(&rows),
        outcome.by.words(),
        standing.ratio,
        percent(outcome.plan.level),
        outcome.plan.looks.len(),
        standing.pairs,
        if standing.settled { "" } else { ", the most that were allowed" },
    )
}

fn number(value: Option<f64>) -> String {
    match value {
        None => NONE.to_owned(),
        Some(value) if value >= 1e5 => format!("{value:.0}"),
        Some(value) => format!("{value:.5}"),
    }
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    pairs::median(&values).filter(|median| median.is_finite())
}
