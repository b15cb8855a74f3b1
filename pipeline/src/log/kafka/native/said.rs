//! What librdkafka has logged: its calls end in a time-out whatever the reason, and the reason is in its log alone.

use rdkafka::ClientContext;
use rdkafka::client::Client;
use rdkafka_sys as sys;
use std::ffi::{CStr, c_char, c_int};
use std::ptr;

/// The level of errors, as syslog numbers them.
const ERROR: c_int = 3;
/// What librdkafka calls the lines that say why a connection failed; others only say that brokers are down.
const FAILURE: &CStr = c"FAIL";
/// So many lines are looked through at most.
const LINES: usize = 10_000;

/// The last error of a connection in the log of a client that nobody polls, else the last error of any kind, without the
/// names of librdkafka's own threads. What was logged before is gone then.
pub(in super::super) fn last_error<C: ClientContext>(client: &Client<C>) -> Option<String> {
    let (mut last, mut last_failure) = (None, None);
    // SAFETY: the client is alive; the queue and each event are given back once, after their last use; a log event's texts
    // end in a zero, belong to the event, and are copied out before the event is destroyed.
    unsafe {
        let queue = sys::rd_kafka_queue_get_main(client.native_ptr());
        for _ in 0..LINES {
            let event = sys::rd_kafka_queue_poll(queue, 0);
            if event.is_null() {
                break;
            }
            let (mut facility, mut text): (*const c_char, *const c_char) = (ptr::null(), ptr::null());
            let mut level = c_int::MAX;
            let logged = sys::rd_kafka_event_type(event) == sys::RD_KAFKA_EVENT_LOG
                && sys::rd_kafka_event_log(event, &raw mut facility, &raw mut text, &raw mut level) == 0;
            if logged && level <= ERROR && !text.is_null() && !facility.is_null() {
                let text = CStr::from_ptr(text).to_string_lossy();
                let reason = text.split_once("]: ").map_or(&*text, |(_, reason)| reason);
                let of_connection = CStr::from_ptr(facility) == FAILURE;
                *(if of_connection { &mut last_failure } else { &mut last }) = Some(reason.trim().to_owned());
            }
            sys::rd_kafka_event_destroy(event);
        }
        sys::rd_kafka_queue_destroy(queue);
    }
    last_failure.or(last)
}
