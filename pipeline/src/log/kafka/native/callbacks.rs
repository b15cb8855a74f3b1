//! What librdkafka calls from [`super::Producer::poll`]. None of them panics.

use super::{Report, Shipment, Status, Told};
use crate::log::kafka::log_line;
use rdkafka_sys as sys;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::sync::Arc;
use sys::rd_kafka_resp_err_t::{RD_KAFKA_RESP_ERR__INVALID_ARG, RD_KAFKA_RESP_ERR_NO_ERROR};

pub(super) unsafe extern "C" fn delivered<R: Report>(
    _: *mut sys::rd_kafka_t,
    message: *const sys::rd_kafka_message_t,
    _: *mut c_void,
) {
    // SAFETY: librdkafka hands over a message that is valid during the call, with the opaque pointer that `produce` gave
    // it: an `Arc<Shipment<R>>` turned raw, whose count becomes ours here, once, since each message gets one report.
    let (shipment, value, err, status) = unsafe {
        let message = &*message;
        let status = sys::rd_kafka_message_status(message);
        (Arc::from_raw(message._private.cast::<Shipment<R>>()), message.payload, message.err, status)
    };
    let status = match status {
        _ if err == RD_KAFKA_RESP_ERR_NO_ERROR => return,
        sys::rd_kafka_msg_status_t::RD_KAFKA_MSG_STATUS_PERSISTED => return,
        sys::rd_kafka_msg_status_t::RD_KAFKA_MSG_STATUS_NOT_PERSISTED => Status::NotPersisted,
        sys::rd_kafka_msg_status_t::RD_KAFKA_MSG_STATUS_POSSIBLY_PERSISTED => Status::PossiblyPersisted,
    };
    shipment.failed_at(value.cast_const().cast(), status, err.into());
}

pub(super) unsafe extern "C" fn statistics<T: Told>(
    _: *mut sys::rd_kafka_t,
    json: *mut c_char,
    length: usize,
    told: *mut c_void,
) -> c_int {
    // SAFETY: `told` is the box of `Producer::new`, and the text is valid during the call. 0 leaves it to librdkafka.
    unsafe { (*told.cast_const().cast::<T>()).statistics(std::slice::from_raw_parts(json.cast(), length)) };
    0
}

pub(super) unsafe extern "C" fn error<T: Told>(
    _: *mut sys::rd_kafka_t,
    code: c_int,
    reason: *const c_char,
    told: *mut c_void,
) {
    // SAFETY: `told` is the box of `Producer::new`; the text is valid during the call and ends in a zero; the code is
    // one of librdkafka's own.
    unsafe {
        let code: sys::rd_kafka_resp_err_t =
            sys::RDKafkaRespErr::try_from(code).unwrap_or(RD_KAFKA_RESP_ERR__INVALID_ARG);
        (*told.cast_const().cast::<T>()).error(code.into(), &CStr::from_ptr(reason).to_string_lossy());
    }
}

pub(super) unsafe extern "C" fn log(
    _: *const sys::rd_kafka_t,
    level: c_int,
    facility: *const c_char,
    text: *const c_char,
) {
    // SAFETY: both texts are valid during the call and end in a zero.
    let (facility, text) =
        unsafe { (CStr::from_ptr(facility).to_string_lossy(), CStr::from_ptr(text).to_string_lossy()) };
    log_line(level, &facility, &text);
}
