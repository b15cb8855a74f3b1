//! A comparison for a terminal. Pure.

use super::judge::{Judged, Verdict};
use super::{About, Comparison};
use crate::figures::NONE;
use crate::text::table;

/// Writes a comparison as text.
pub fn render(comparison: &Comparison) -> String {
    let mut text = format!("A  {}\nB  {}\n", about(&comparison.a), about(&comparison.b));
    for refusal in &comparison.refusals {
        text += &format!("not to be compared: {refusal}\n");
    }
    for note in &comparison.notes {
        text += &format!("note: {note}\n");
    }
    if comparison.figures.is_empty() {
        text += "Nothing was judged. --anyway compares them all the same.\n";
        return plain(&text);
    }
    text.push('\n');
    let head = ["", "A", "B", "unit", "B over A", "between", "verdict"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    rows.extend(comparison.figures.iter().map(row));
    text += &table(&rows);
    for figure in &comparison.figures {
        if let Some(why) = &figure.why {
            text += &format!("{} is not judged: {why}\n", figure.name);
        }
    }
    text.push('\n');
    text += &method(comparison);
    plain(&text)
}

fn about(side: &About) -> String {
    let commit = side.commit.as_deref().unwrap_or("of an unknown commit");
    let runs = if side.runs == 1 { "one run".to_owned() } else { format!("{} runs", side.runs) };
    format!("{}: {commit}, {runs}, {} s of logs", side.path, side.seconds)
}

fn row(figure: &Judged) -> Vec<String> {
    let value = |value: Option<f64>| value.map_or_else(|| NONE.to_owned(), four_digits);
    let between = figure
        .interval
        .map_or_else(|| NONE.to_owned(), |[low, high]| format!("{} to {}", percent(low), percent(high)));
    vec![
        figure.name.clone(),
        value(figure.a),
        value(figure.b),
        figure.unit.clone(),
        figure.ratio.map_or_else(|| NONE.to_owned(), percent),
        between,
        figure.verdict.words().to_owned(),
    ]
}

/// How the answer came about, and the answer.
fn method(comparison: &Comparison) -> String {
    let asked = comparison.asked;
    let judged = comparison.figures.iter().filter(|figure| figure.interval.is_some());
    let level = asked.level * 100.0;
    let spread = if judged.clone().all(|figure| figure.runs_measured) {
        "How much runs differ was measured.".to_owned()
    } else {
        format!(
            "There are too few runs to measure how much they differ: a deviation of {:.0} % was assumed (--spread).",
            asked.spread * 100.0
        )
    };
    let named = |verdict| {
        let names: Vec<_> = comparison.figures.iter().filter(|figure| figure.verdict == verdict).collect();
        names.into_iter().map(|figure| figure.name.as_str()).collect::<Vec<_>>().join(", ")
    };
    let answer = match comparison.verdict {
        Verdict::Worse if named(Verdict::Better).is_empty() => {
            format!("B is worse: {}.", named(Verdict::Worse))
        }
        Verdict::Worse => {
            format!("B is worse: {}. It is better, too: {}.", named(Verdict::Worse), named(Verdict::Better))
        }
        Verdict::Better => format!("B is better: {}.", named(Verdict::Better)),
        Verdict::NoDifferenceShown => {
            "No difference is shown, which does not say that there is none.".to_owned()
        }
        Verdict::NotJudged => "Nothing could be judged.".to_owned(),
    };
    format!(
        "{} figures were judged; of two equal builds one in {:.0} is told apart by any of them ({level} %).\n{spread} \
         Differences up to {} % are none.\n{answer}\n",
        judged.count(),
        1.0 / asked.level,
        asked.least * 100.0,
    )
}

/// Four digits, whatever the size.
fn four_digits(value: f64) -> String {
    let digits = match value.abs() {
        size if size < 10.0 => 3,
        size if size < 100.0 => 2,
        size if size < 1000.0 => 1,
        _ => 0,
    };
    format!("{value:.digits$}")
}

/// A ratio as what it is more or less than 1; from a doubling on, as how many times.
fn percent(ratio: f64) -> String {
    match ratio {
        ratio if !ratio.is_finite() || ratio > 1e6 => "any".to_owned(),
        ratio if ratio >= 2.0 => format!("x{ratio:.1}"),
        ratio => format!("{:+.1}%", (ratio - 1.0) * 100.0),
    }
}

/// Names come from files, and a terminal obeys control characters.
fn plain(text: &str) -> String {
    text.chars().filter(|&char| char == '\n' || !char.is_control()).collect()
}
