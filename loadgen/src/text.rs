//! The report as a person reads it: aligned columns, units in the heads, the verdict last.

use std::fmt::{self, Display, Formatter};

use crate::report::{Latency, RunReport};

/// Longer runs show every so many seconds; the JSON has them all.
const MOST_ROWS: usize = 30;

impl Display for RunReport {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let plan = &self.plan;
        write!(f, "target     {} {}", plan.method, plan.url)?;
        if plan.http2 {
            write!(f, "  (HTTP/2)")?;
        }
        if let Some(path) = &plan.unix_socket {
            write!(f, "  (socket {path})")?;
        }
        if plan.certificate_checked == Some(false) {
            write!(f, "  (certificate not checked)")?;
        }
        match plan.orders {
            Some(orders) => writeln!(
                f,
                "\nschedule   {} orders/s{} for {:.1} s = {} orders, {} a request",
                rate(plan.rate),
                if plan.profile.is_some() { " in the mean" } else { "" },
                plan.duration_seconds,
                grouped(orders as u64),
                plan.batch
            )?,
            None => writeln!(f, "\nschedule   none for {:.1} s: {}", plan.duration_seconds, self.mode)?,
        }
        write!(f, "from       {} connections, {} threads", plan.connections, plan.threads)?;
        if plan.streams > 1 {
            write!(f, ", {} streams a connection", plan.streams)?;
        }
        if let Some(most) = plan.max_in_flight {
            write!(f, ", at most {most} requests under way")?;
        }
        writeln!(f)?;
        if let Some(seconds) = self.broken_off_after_seconds {
            writeln!(f, "broken off after {seconds:.1} s; all that follows is of this part")?;
        }
        self.rates_and_counts(f)?;
        self.latencies(f)?;
        self.rows(f)?;
        let timer = &self.timer_error_us;
        writeln!(
            f,
            "\ngenerator  {:.2} s CPU, {:.0} % of its busiest thread's time; its timer was late by p50 {:.0} us, \
             p99 {:.0} us, max {:.0} us",
            self.cpu_seconds,
            100.0 * self.cpu_share,
            timer.p50,
            timer.p99,
            timer.max
        )?;
        if let Some(calibration) = &self.calibration {
            writeln!(
                f,
                "           calibrated here to {} requests/s a thread",
                grouped(calibration.ceiling_per_second as u64)
            )?;
        }
        writeln!(f, "load       {}", self.fingerprint)?;
        if self.valid {
            return writeln!(f, "result     valid");
        }
        writeln!(f, "result     NOT VALID")?;
        self.reasons.iter().try_for_each(|reason| writeln!(f, "           - {reason}"))
    }
}

impl RunReport {
    fn rates_and_counts(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (offered, achieved) = (self.offered_per_second, self.achieved_per_second);
        writeln!(f, "\norders                     first    at the end")?;
        for (name, first, last) in [
            ("accepted", self.first.accepted, self.accepted),
            ("rejected", self.first.rejected, self.rejected),
            ("failed", self.first.failed, self.failed),
            ("unknown", self.first.unknown, self.unknown),
            ("sent", self.sent, self.sent),
        ] {
            writeln!(f, "  {name:<16} {:>13} {:>13}", grouped(first), grouped(last))?;
        }
        if self.due != self.sent {
            writeln!(f, "  due              {:>13} {:>13}", grouped(self.due), grouped(self.due))?;
        }
        if self.retried > 0 {
            writeln!(f, "  sent again       {:>13} {:>13}", "", grouped(self.retried))?;
        }
        for (head, reasons) in [("rejected for", &self.rejections), ("failed or unknown for", &self.failures)]
        {
            if !reasons.is_empty() {
                writeln!(f, "{head}")?;
            }
            for (reason, orders) in reasons {
                writeln!(f, "  {reason:<30} {:>13}", grouped(*orders))?;
            }
        }
        if self.statuses.keys().any(|status| !(200..300).contains(status)) {
            writeln!(f, "replies by status")?;
            for (status, replies) in &self.statuses {
                writeln!(f, "  {status:<30} {:>13}", grouped(*replies))?;
            }
        }
        if self.in_flight_limited > 0 {
            let limited = grouped(self.in_flight_limited);
            writeln!(f, "waited for the limit on requests under way: {limited} requests")?;
        }
        if self.plan.closed_loop {
            return writeln!(f, "\nrate       {} orders/s, as fast as replies came", rate(achieved));
        }
        let share = 100.0 * achieved / offered;
        writeln!(
            f,
            "\nrate       {} orders/s achieved of {} asked ({share:.1} %)",
            rate(achieved),
            rate(offered)
        )
    }

    fn latencies(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "\nlatency in ms           mean       p50       p90       p95       p99     p99.9       max"
        )?;
        let latency = &self.latency_ms;
        for (name, Latency { p50, p90, p95, p99, p999, max, mean, count }) in [
            ("due -> sent", latency.delay),
            ("sent -> reply", latency.service),
            ("due -> reply", latency.response),
        ] {
            if count == 0 {
                continue;
            }
            writeln!(
                f,
                "  {name:<16} {mean:>9.3} {p50:>9.3} {p90:>9.3} {p95:>9.3} {p99:>9.3} {p999:>9.3} {max:>9.3}"
            )?;
        }
        if self.plan.closed_loop {
            return writeln!(f, "  {}", self.mode);
        }
        writeln!(
            f,
            "  of the first sending of {} orders; due -> reply is what a customer waits",
            grouped(latency.response.count)
        )
    }

    fn rows(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "\nsecond          due       sent   accepted        not   p50 ms    p99 ms    max ms  (due -> reply)"
        )?;
        let step = self.series.len().div_ceil(MOST_ROWS).max(1);
        for row in self.series.iter().step_by(step) {
            write!(
                f,
                "{:>6} {:>12} {:>10} {:>10} {:>10}",
                row.second, row.due, row.sent, row.accepted, row.not_accepted
            )?;
            for ms in [row.response_p50_ms, row.response_p99_ms, row.response_max_ms] {
                match ms {
                    Some(ms) => write!(f, " {ms:>9.2}")?,
                    None => write!(f, " {:>9}", "-")?,
                }
            }
            writeln!(f)?;
        }
        if step > 1 { writeln!(f, "  (every {step} s)") } else { Ok(()) }
    }
}

/// A whole number with its digits in groups of three.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (place, digit) in digits.char_indices() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A rate: whole where it is large, with digits where it is small.
fn rate(per_second: f64) -> String {
    let fraction = if per_second < 100.0 { 2 } else { 0 };
    format!("{per_second:.fraction$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_thousands() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
    }
}
