//! Who is in the group, and by which rules: each member's client id ends in them, so that processors of different rules
//! see each other, also while they have nothing to store.

use crate::config::Kafka;
use crate::log::LogError;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use std::time::Duration;

/// What stands between the configured client id and the rules.
const MARK: &str = "-rules-";

/// The client id of a member.
pub(super) fn client_id(kafka: &Kafka, rules: &str) -> String {
    let configured = kafka.consumer.get("client.id").or_else(|| kafka.client.get("client.id"));
    format!("{}{MARK}{rules}", configured.map_or("tillflow", String::as_str))
}

/// The first of other rules among members, by their client ids.
fn other<'m>(members: impl IntoIterator<Item = &'m str>, rules: &str) -> Option<&'m str> {
    let known = members.into_iter().filter_map(|client_id| client_id.rsplit_once(MARK));
    known.map(|(_, other)| other).find(|other| *other != rules)
}

/// The client ids of a group's members. It blocks.
///
/// # Errors
/// Where no broker answers.
pub(super) fn client_ids<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    group: &str,
    timeout: Duration,
) -> Result<Vec<String>, LogError> {
    let found = consumer.fetch_group_list(Some(group), timeout).map_err(super::unavailable)?;
    let members = found.groups().iter().flat_map(|group| group.members());
    Ok(members.map(|member| member.client_id().to_owned()).collect())
}

/// Asks who is in the group.
///
/// # Errors
/// [`LogError::Refused`] where a member has other rules, [`LogError::Unavailable`] where nobody answers.
pub(super) fn refuse_others<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    group: &str,
    rules: &str,
    timeout: Duration,
) -> Result<(), LogError> {
    match other(client_ids(consumer, group, timeout)?.iter().map(String::as_str), rules) {
        None => Ok(()),
        Some(other) => Err(LogError::Refused(format!(
            "a processor with the rules {other} is in the group {group}; this one has {rules}, and processors of \
             different rules do not run side by side: stop all of the others first (one that was killed leaves the \
             group when its session is over)"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_of_other_rules_are_known_by_their_client_ids() {
        assert_eq!(other([], "1-a"), None);
        assert_eq!(other(["tillflow-rules-1-a", "somebody's tool"], "1-a"), None);
        assert_eq!(other(["tillflow-rules-1-a", "x-rules-y-rules-2-b"], "1-a"), Some("2-b"));
    }
}
