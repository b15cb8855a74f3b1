//! Tables: names to the left, figures to the right, every cell escaped.

use super::escape;

/// A table of figures.
pub(super) struct Table {
    caption: String,
    head: Vec<String>,
    rows: Vec<Row>,
}

/// A row: its name, and its figures.
pub(super) struct Row {
    name: String,
    figures: Vec<String>,
    sum: bool,
}

impl Table {
    /// A table whose columns are named by `head`. An empty caption is left out.
    pub(super) fn new<const N: usize>(caption: &str, head: [&str; N]) -> Self {
        Self { caption: caption.to_owned(), head: head.map(str::to_owned).to_vec(), rows: Vec::new() }
    }

    pub(super) fn rows(mut self, rows: impl IntoIterator<Item = Row>) -> Self {
        self.rows.extend(rows);
        self
    }

    pub(super) fn render(&self) -> String {
        let caption = match self.caption.as_str() {
            "" => String::new(),
            caption => format!("<caption>{}</caption>", escape(caption)),
        };
        let head: String =
            self.head.iter().map(|name| format!("<th scope=\"col\">{}</th>", escape(name))).collect();
        let rows: String = self.rows.iter().map(Row::render).collect();
        // A table that is wider than a phone scrolls by itself, not the page.
        format!(
            "<div class=\"scroll\"><table>{caption}<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}</tbody></table></div>\n"
        )
    }
}

impl Row {
    pub(super) fn new(name: &str, figures: impl IntoIterator<Item = String>) -> Self {
        Self { name: name.to_owned(), figures: figures.into_iter().collect(), sum: false }
    }

    /// The row under a line, to which the others add up.
    pub(super) fn sum(name: &str, figures: impl IntoIterator<Item = String>) -> Self {
        Self { sum: true, ..Self::new(name, figures) }
    }

    fn render(&self) -> String {
        let class = if self.sum { " class=\"sum\"" } else { "" };
        let figures: String =
            self.figures.iter().map(|figure| format!("<td>{}</td>", escape(figure))).collect();
        format!("<tr{class}><th scope=\"row\">{}</th>{figures}</tr>\n", escape(&self.name))
    }
}
