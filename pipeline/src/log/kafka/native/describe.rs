//! Asking the broker for a topic's id and partitions.

use super::millis;
use rdkafka::ClientContext;
use rdkafka::client::Client;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka_sys as sys;
use std::ffi::{CStr, CString};
use std::ptr;
use std::time::Duration;
use sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR;

/// What the broker says of a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct Description {
    /// The topic's id, which a new topic of the same name does not share, as Kafka's tools write it.
    pub(in super::super) id: String,
    /// How many partitions it has.
    pub(in super::super) partitions: u32,
}

/// Asks for a topic, and waits.
pub(in super::super) fn describe<C: ClientContext>(
    client: &Client<C>,
    topic: &str,
    timeout: Duration,
) -> Result<Description, RDKafkaErrorCode> {
    let name = CString::new(topic).map_err(|_| RDKafkaErrorCode::InvalidTopic)?;
    let mut text = [0; 256];
    // SAFETY: each object is made here, used while it is valid, and given back once, in the reverse order; the result
    // and all that is read of it belong to the event, and are copied out before the event is destroyed.
    unsafe {
        let client = client.native_ptr();
        let operation = sys::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS;
        let options = sys::rd_kafka_AdminOptions_new(client, operation);
        sys::rd_kafka_AdminOptions_set_request_timeout(
            options,
            millis(timeout),
            text.as_mut_ptr(),
            text.len(),
        );
        let queue = sys::rd_kafka_queue_new(client);
        let names = sys::rd_kafka_TopicCollection_of_topic_names([name.as_ptr()].as_mut_ptr(), 1);
        sys::rd_kafka_DescribeTopics(client, names, options, queue);
        let event = sys::rd_kafka_queue_poll(queue, millis(timeout + Duration::from_secs(1)));
        let found = if event.is_null() { Err(RDKafkaErrorCode::OperationTimedOut) } else { read(event) };
        if !event.is_null() {
            sys::rd_kafka_event_destroy(event);
        }
        sys::rd_kafka_TopicCollection_destroy(names);
        sys::rd_kafka_queue_destroy(queue);
        sys::rd_kafka_AdminOptions_destroy(options);
        found
    }
}

/// # Safety
/// The event must be valid.
unsafe fn read(event: *mut sys::rd_kafka_event_t) -> Result<Description, RDKafkaErrorCode> {
    // SAFETY: the event is valid, and so is what belongs to it; librdkafka gives null or empty where there is nothing.
    unsafe {
        let error = sys::rd_kafka_event_error(event);
        if error != RD_KAFKA_RESP_ERR_NO_ERROR {
            return Err(error.into());
        }
        let result = sys::rd_kafka_event_DescribeTopics_result(event);
        let mut count = 0;
        let topics = if result.is_null() {
            ptr::null_mut()
        } else {
            sys::rd_kafka_DescribeTopics_result_topics(result, &raw mut count)
        };
        if topics.is_null() || count == 0 {
            return Err(RDKafkaErrorCode::UnknownTopicOrPartition);
        }
        let topic = *topics;
        let error = sys::rd_kafka_error_code(sys::rd_kafka_TopicDescription_error(topic));
        if error != RD_KAFKA_RESP_ERR_NO_ERROR {
            return Err(error.into());
        }
        let id = sys::rd_kafka_Uuid_base64str(sys::rd_kafka_TopicDescription_topic_id(topic));
        let id = CStr::from_ptr(id).to_string_lossy().into_owned();
        let mut partitions = 0;
        sys::rd_kafka_TopicDescription_partitions(topic, &raw mut partitions);
        Ok(Description { id, partitions: u32::try_from(partitions).unwrap_or(u32::MAX) })
    }
}
