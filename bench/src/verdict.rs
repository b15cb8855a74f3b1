//! What makes a run valid beside the load that was offered, which the generator judges itself: pure rules over a finished
//! report, so that a run cannot forget to ask.
//!
//! A run that breaks one of them still has its report, but no figure of it may be quoted.

use crate::report::Report;

impl Report {
    /// Adds the reasons that the report's own figures give to `reasons`, and sets `valid`.
    ///
    /// Reasons that are there already, the generator's, stay and count. [`crate::report::Ledger::settle`] comes first.
    pub fn judge(&mut self) {
        let found = self.faults();
        self.reasons.extend(found);
        self.valid = self.reasons.is_empty();
    }

    fn faults(&self) -> Vec<String> {
        let faults = [
            (self.latency_ms.response.count == 0, "No response was measured."),
            (!self.ledger.balanced, "The ledger does not balance."),
            (
                self.check.is_some_and(|check| check.expected != check.found),
                "The data set's known sums were not found.",
            ),
        ];
        faults.into_iter().filter(|(broken, _)| *broken).map(|(_, why)| why.to_owned()).collect()
    }
}
