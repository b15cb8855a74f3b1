//! What to do about an error of Cassandra's. Pure.

use scylla::errors::{DbError, ExecutionError, RequestAttemptError};

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The reason passes: send it again, after a pause.
    Again,
    /// It is too large: send its halves.
    Split,
    /// It would be refused again.
    Refused,
}

/// The verdict on an error, and the kind that it is counted under.
pub(super) fn judge(error: &ExecutionError) -> (Verdict, &'static str) {
    match error {
        // What this program made cannot be written, now or later.
        ExecutionError::BadQuery(_) => (Verdict::Refused, "bad_query"),
        ExecutionError::RequestTimeout(_) => (Verdict::Again, "timeout"),
        // No node is connected. The driver goes on connecting by itself.
        ExecutionError::EmptyPlan | ExecutionError::ConnectionPoolError(_) => {
            (Verdict::Again, "no_connection")
        }
        ExecutionError::LastAttemptError(RequestAttemptError::DbError(error, text)) => {
            judge_answer(error, text)
        }
        ExecutionError::LastAttemptError(
            RequestAttemptError::SerializationError(_) | RequestAttemptError::CqlRequestSerialization(_),
        ) => (Verdict::Refused, "bad_query"),
        // The connection broke, or what came over it made no sense: another one may do better.
        ExecutionError::LastAttemptError(_) => (Verdict::Again, "connection"),
        // A statement is prepared again, or the schema settles.
        _ => (Verdict::Again, "other"),
    }
}

/// What Cassandra writes of a batch, a mutation or a request that is over its limit.
const TOO_LARGE: [&str; 3] = ["too large", "oversized mutation", "too big"];

/// The verdict on what a node answered.
fn judge_answer(error: &DbError, text: &str) -> (Verdict, &'static str) {
    match error {
        // The node's limits for requests, batches and mutations; none of them has a code of its own.
        DbError::Invalid if TOO_LARGE.iter().any(|part| text.contains(part)) => (Verdict::Split, "too_large"),
        DbError::SyntaxError | DbError::Invalid | DbError::ConfigError | DbError::AlreadyExists { .. } => {
            (Verdict::Refused, "invalid")
        }
        DbError::AuthenticationError | DbError::Unauthorized => (Verdict::Refused, "unauthorized"),
        // The driver and the node do not understand each other.
        DbError::ProtocolError | DbError::FunctionFailure { .. } => (Verdict::Refused, "protocol"),
        // Too few replicas answered, or none is there to ask. What was written stays, and is written again.
        DbError::WriteTimeout { .. } | DbError::ReadTimeout { .. } => (Verdict::Again, "timeout"),
        DbError::Unavailable { .. } => (Verdict::Again, "unavailable"),
        DbError::Overloaded | DbError::RateLimitReached { .. } => (Verdict::Again, "overloaded"),
        DbError::IsBootstrapping => (Verdict::Again, "bootstrapping"),
        // A replica failed in itself: a full disk, a stopped commit log.
        DbError::WriteFailure { .. } | DbError::ReadFailure { .. } => (Verdict::Again, "failure"),
        DbError::ServerError => (Verdict::Again, "server"),
        // A node that has forgotten a statement is told it again by the driver.
        _ => (Verdict::Again, "other"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use scylla::statement::Consistency;
    use std::time::Duration;

    fn answered(error: DbError, text: &str) -> (Verdict, &'static str) {
        judge(&ExecutionError::LastAttemptError(RequestAttemptError::DbError(error, text.into())))
    }

    #[test]
    fn what_passes_is_sent_again() {
        let unavailable = DbError::Unavailable { consistency: Consistency::Quorum, required: 2, alive: 1 };
        assert_eq!(answered(unavailable, ""), (Verdict::Again, "unavailable"));
        assert_eq!(answered(DbError::Overloaded, ""), (Verdict::Again, "overloaded"));
        assert_eq!(answered(DbError::ServerError, ""), (Verdict::Again, "server"));
        assert_eq!(judge(&ExecutionError::RequestTimeout(Duration::ZERO)), (Verdict::Again, "timeout"));
        assert_eq!(judge(&ExecutionError::EmptyPlan), (Verdict::Again, "no_connection"));
        let lost = ExecutionError::LastAttemptError(RequestAttemptError::UnableToAllocStreamId);
        assert_eq!(judge(&lost), (Verdict::Again, "connection"));
    }

    #[test]
    fn what_would_fail_again_is_refused() {
        assert_eq!(answered(DbError::SyntaxError, "line 1"), (Verdict::Refused, "invalid"));
        assert_eq!(answered(DbError::Invalid, "unconfigured table"), (Verdict::Refused, "invalid"));
        assert_eq!(answered(DbError::Unauthorized, ""), (Verdict::Refused, "unauthorized"));
    }

    #[test]
    fn what_is_too_large_is_split() {
        for text in [
            "Batch too large",
            "Rejected an oversized mutation (8389555/8388608) for keyspace: sales",
            "Request is too big: length 20971717 exceeds maximum allowed length 16777216.",
        ] {
            assert_eq!(answered(DbError::Invalid, text), (Verdict::Split, "too_large"), "{text}");
        }
    }
}
