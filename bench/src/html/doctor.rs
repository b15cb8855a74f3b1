//! What the machine could have done to the figures: the doctor's findings, what matters most first.

use std::cmp::Reverse;

use super::escape;
use super::facts::list;
use crate::doctor::{Finding, Level};

/// A section, or nothing where the machine was not looked at.
pub(super) fn render(findings: &[Finding]) -> String {
    if findings.is_empty() {
        return String::new();
    }
    let (fine, mut others): (Vec<_>, Vec<_>) =
        findings.iter().partition(|finding| finding.level == Level::Ok);
    others.sort_by_key(|finding| Reverse(finding.level));
    let others: String = others.into_iter().map(one).collect();
    let others = match others.as_str() {
        "" => "<p class=\"note\">Nothing was found that spoils a measurement.</p>\n".to_owned(),
        others => format!("<dl class=\"findings\">\n{others}</dl>\n"),
    };
    let fine: Vec<_> =
        fine.into_iter().map(|finding| (finding.check.as_str(), finding.found.clone())).collect();
    format!(
        "<section>\n<h2>What the machine does to the figures</h2>\n<p class=\"note\">Looked at before the load by \
         <code>bench doctor</code>. What spoils makes figures mislead; a note costs precision, or has to be known beside \
         them.</p>\n{others}<details><summary>As it should be ({})</summary>{}</details>\n</section>\n",
        fine.len(),
        list(&fine),
    )
}

fn one(Finding { check, level, found, why, mend }: &Finding) -> String {
    let class = if *level == Level::Spoils { " class=\"bad\"" } else { "" };
    let mend = if mend.is_empty() { String::new() } else { format!(" <em>Mend:</em> {}.", escape(mend)) };
    format!(
        "<dt><strong{class}>{}</strong> {}</dt>\n<dd>{}<p class=\"note\">{}.{mend}</p></dd>\n",
        level.name(),
        escape(check),
        escape(found),
        escape(why),
    )
}
