//! Producing without a copy.

use super::callbacks::{delivered, error, log, statistics};
use super::millis;
use crate::log::Record;
use rdkafka::ClientConfig;
use rdkafka::error::KafkaError;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka_sys as sys;
use std::ffi::{CStr, CString, c_char};
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::time::Duration;
use sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR;
use sys::rd_kafka_vtype_t as vtype;

/// Records that are handed over together, and what is told of them. librdkafka borrows the values and holds a count of
/// the shipment for each record until its delivery report; when the last report is in, the shipment is dropped, and the
/// report with it.
pub(in super::super) struct Shipment<R> {
    /// Private, so that no value can change or go while librdkafka reads it.
    records: Vec<Record>,
    report: R,
}

/// Hears of what failed; what it does not hear of is durable when it is dropped.
pub(in super::super) trait Report: Send + Sync + 'static {
    /// The record of this index is not in the log, or perhaps not.
    fn failed(&self, index: usize, status: Status, code: RDKafkaErrorCode);
}

impl<R: Report> Shipment<R> {
    pub(in super::super) fn new(records: Vec<Record>, report: R) -> Arc<Self> {
        Arc::new(Self { records, report })
    }

    pub(in super::super) fn records(&self) -> &[Record] {
        &self.records
    }

    /// The record whose value lies at an address failed. Values of a request are parts of one body, so no two are at
    /// one address, but for empty ones, which are no orders.
    pub(super) fn failed_at(&self, value: *const u8, status: Status, code: RDKafkaErrorCode) {
        let index = self.records.iter().position(|record| record.value.as_ptr() == value);
        self.report.failed(index.unwrap_or(usize::MAX), status, code);
    }

    /// The record of an index failed before it was handed over.
    pub(in super::super) fn failed(&self, index: usize, status: Status, code: RDKafkaErrorCode) {
        self.report.failed(index, status, code);
    }
}

/// What librdkafka knows of a message that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Status {
    /// It is certainly not in the log.
    NotPersisted,
    /// The broker may have it.
    PossiblyPersisted,
}

/// What a producer tells of itself.
pub(in super::super) trait Told: Send + Sync + 'static {
    /// Statistics, as JSON.
    fn statistics(&self, json: &[u8]);
    /// Something went wrong with a connection or the client as a whole.
    fn error(&self, code: RDKafkaErrorCode, reason: &str);
}

/// A producer that copies no values. `R` hears what becomes of its records, `T` what the client tells of itself.
pub(in super::super) struct Producer<R: Report, T: Told> {
    client: NonNull<sys::rd_kafka_t>,
    /// librdkafka's callbacks read it through a pointer, so it must outlive the client and must not move.
    _told: Box<T>,
    _shipments: PhantomData<fn(R)>,
}

// SAFETY: librdkafka's client is thread-safe, `T` is `Send + Sync` by its trait, and so is `R`.
unsafe impl<R: Report, T: Told> Send for Producer<R, T> {}
// SAFETY: as above.
unsafe impl<R: Report, T: Told> Sync for Producer<R, T> {}

/// A topic of a producer.
pub(in super::super) struct Topic<R: Report, T: Told> {
    handle: NonNull<sys::rd_kafka_topic_t>,
    producer: Arc<Producer<R, T>>,
}

// SAFETY: a topic's handle is thread-safe as the client is, which it keeps alive.
unsafe impl<R: Report, T: Told> Send for Topic<R, T> {}
// SAFETY: as above.
unsafe impl<R: Report, T: Told> Sync for Topic<R, T> {}

/// One header of a message: a name and a value.
pub(in super::super) type Header<'h> = (&'static CStr, &'h [u8]);
/// Headers of one message at most.
const MAX_HEADERS: usize = 8;

impl<R: Report, T: Told> Producer<R, T> {
    pub(in super::super) fn new(config: &ClientConfig, told: T) -> Result<Arc<Self>, KafkaError> {
        let native = config.create_native_config()?;
        let told = Box::new(told);
        let mut text = [0 as c_char; 512];
        // SAFETY: `native` is a valid configuration. rd_kafka_new takes it over when it succeeds, hence the
        // ManuallyDrop, which is undone when it fails. The callbacks have the types that librdkafka wants; their
        // opaque pointer is to the box, which lives as long as the client (see Drop).
        let client = unsafe {
            sys::rd_kafka_conf_set_opaque(native.ptr(), ptr::from_ref(&*told).cast_mut().cast());
            sys::rd_kafka_conf_set_dr_msg_cb(native.ptr(), Some(delivered::<R>));
            sys::rd_kafka_conf_set_stats_cb(native.ptr(), Some(statistics::<T>));
            sys::rd_kafka_conf_set_error_cb(native.ptr(), Some(error::<T>));
            sys::rd_kafka_conf_set_log_cb(native.ptr(), Some(log));
            let native = ManuallyDrop::new(native);
            let kind = sys::rd_kafka_type_t::RD_KAFKA_PRODUCER;
            let client = sys::rd_kafka_new(kind, native.ptr(), text.as_mut_ptr(), text.len());
            if client.is_null() {
                drop(ManuallyDrop::into_inner(native));
            }
            client
        };
        let client = NonNull::new(client).ok_or_else(|| {
            // SAFETY: librdkafka wrote a text that ends in a zero, within the buffer.
            let text = unsafe { CStr::from_ptr(text.as_ptr()) };
            KafkaError::ClientCreation(text.to_string_lossy().into_owned())
        })?;
        Ok(Arc::new(Self { client, _told: told, _shipments: PhantomData }))
    }

    /// Serves delivery reports and the other callbacks, waiting for a first one. `failed` and what `told` is asked run
    /// within it.
    pub(in super::super) fn poll(&self, wait: Duration) {
        // SAFETY: the client is valid until Drop.
        unsafe { sys::rd_kafka_poll(self.client.as_ptr(), millis(wait)) };
    }

    /// Messages without a delivery report.
    pub(in super::super) fn in_flight(&self) -> usize {
        // SAFETY: the client is valid until Drop.
        usize::try_from(unsafe { sys::rd_kafka_outq_len(self.client.as_ptr()) }).unwrap_or(0)
    }

    /// Gives up on whatever is under way: each message gets a report that says so.
    pub(in super::super) fn purge(&self) {
        let flags = sys::RD_KAFKA_PURGE_F_QUEUE | sys::RD_KAFKA_PURGE_F_INFLIGHT;
        // SAFETY: the client is valid until Drop.
        unsafe { sys::rd_kafka_purge(self.client.as_ptr(), flags) };
    }
}

impl<R: Report, T: Told> Drop for Producer<R, T> {
    fn drop(&mut self) {
        // Whatever librdkafka still borrows gets its report here, so that nothing is left with a dead pointer.
        self.purge();
        while self.in_flight() > 0 {
            self.poll(Duration::from_millis(100));
        }
        // SAFETY: nothing is in flight, every topic handle has gone (each holds an `Arc` of this), and the client is
        // used no more. The box that the callbacks read is dropped after this.
        unsafe { sys::rd_kafka_destroy(self.client.as_ptr()) };
    }
}

impl<R: Report, T: Told> Topic<R, T> {
    pub(in super::super) fn new(producer: &Arc<Producer<R, T>>, name: &str) -> Result<Self, KafkaError> {
        let name = CString::new(name)?;
        // SAFETY: the client is valid, the name ends in a zero, and no configuration is handed over.
        let handle =
            unsafe { sys::rd_kafka_topic_new(producer.client.as_ptr(), name.as_ptr(), ptr::null_mut()) };
        // SAFETY: the error is that of the call before, on this thread.
        let handle =
            NonNull::new(handle).ok_or_else(|| KafkaError::ClientCreation(last_error().to_string()))?;
        Ok(Self { handle, producer: Arc::clone(producer) })
    }

    /// Asks for the topic's metadata and waits for it, so that the first record need not.
    pub(in super::super) fn connect(&self, timeout: Duration) -> Result<(), RDKafkaErrorCode> {
        let mut metadata = ptr::null();
        // SAFETY: client and topic are valid; what librdkafka gives is given back, and only when it gave something.
        let asked = unsafe {
            let client = self.producer.client.as_ptr();
            let asked =
                sys::rd_kafka_metadata(client, 0, self.handle.as_ptr(), &raw mut metadata, millis(timeout));
            if !metadata.is_null() {
                sys::rd_kafka_metadata_destroy(metadata);
            }
            asked
        };
        if asked == RD_KAFKA_RESP_ERR_NO_ERROR { Ok(()) } else { Err(asked.into()) }
    }

    /// Hands the record of an index over, with headers, [`MAX_HEADERS`] at most; its value is not copied.
    pub(in super::super) fn produce(
        &self,
        shipment: &Arc<Shipment<R>>,
        index: usize,
        headers: &[Header<'_>],
    ) -> Result<(), RDKafkaErrorCode> {
        let record = shipment.records.get(index).ok_or(RDKafkaErrorCode::InvalidArgument)?;
        let (mut arguments, mut count) = ([const { unused() }; 5 + MAX_HEADERS], 0);
        let held = Arc::into_raw(Arc::clone(shipment));
        let memory = |bytes: &[u8]| sys::rd_kafka_vu_s__bindgen_ty_1 {
            mem: sys::rd_kafka_vu_s__bindgen_ty_1__bindgen_ty_1 {
                // An empty key is no key, as a foreign producer's record may have none.
                ptr: if bytes.is_empty() { ptr::null_mut() } else { bytes.as_ptr().cast_mut().cast() },
                size: bytes.len(),
            },
        };
        let fixed = [
            (vtype::RD_KAFKA_VTYPE_RKT, sys::rd_kafka_vu_s__bindgen_ty_1 { rkt: self.handle.as_ptr() }),
            (vtype::RD_KAFKA_VTYPE_KEY, memory(&record.key)),
            (vtype::RD_KAFKA_VTYPE_VALUE, memory(&record.value)),
            // Neither F_COPY nor F_FREE: the value stays ours.
            (vtype::RD_KAFKA_VTYPE_MSGFLAGS, sys::rd_kafka_vu_s__bindgen_ty_1 { i: 0 }),
            (vtype::RD_KAFKA_VTYPE_OPAQUE, sys::rd_kafka_vu_s__bindgen_ty_1 { ptr: held.cast_mut().cast() }),
        ];
        let headers = headers.iter().map(|(name, value)| {
            let header = sys::rd_kafka_vu_s__bindgen_ty_1__bindgen_ty_2 {
                name: name.as_ptr(),
                val: value.as_ptr().cast(),
                size: isize::try_from(value.len()).unwrap_or(isize::MAX),
            };
            (vtype::RD_KAFKA_VTYPE_HEADER, sys::rd_kafka_vu_s__bindgen_ty_1 { header })
        });
        for (slot, (kind, value)) in arguments.iter_mut().zip(fixed.into_iter().chain(headers)) {
            *slot = sys::rd_kafka_vu_t { vtype: kind, u: value };
            count += 1;
        }
        // SAFETY: the first `count` arguments are set, each union by the field that its type names. librdkafka copies
        // key and headers before it returns. The value stays valid until the delivery report, because the count of
        // the shipment that goes with it as the opaque pointer is given back only there.
        let failed =
            unsafe { sys::rd_kafka_produceva(self.producer.client.as_ptr(), arguments.as_ptr(), count) };
        if failed.is_null() {
            return Ok(());
        }
        // SAFETY: a message that is refused gets no delivery report, so its count is taken back here; the error is
        // ours to destroy.
        let code = unsafe {
            drop(Arc::from_raw(held));
            let code = sys::rd_kafka_error_code(failed);
            sys::rd_kafka_error_destroy(failed);
            code
        };
        Err(code.into())
    }
}

impl<R: Report, T: Told> Drop for Topic<R, T> {
    fn drop(&mut self) {
        // SAFETY: the handle is valid and used no more; messages under way hold references of their own.
        unsafe { sys::rd_kafka_topic_destroy(self.handle.as_ptr()) };
    }
}

/// An argument of rd_kafka_produceva that is not set.
const fn unused() -> sys::rd_kafka_vu_t {
    sys::rd_kafka_vu_t {
        vtype: vtype::RD_KAFKA_VTYPE_END,
        u: sys::rd_kafka_vu_s__bindgen_ty_1 { _pad: [0; 64] },
    }
}

fn last_error() -> RDKafkaErrorCode {
    // SAFETY: it reads a variable of this thread.
    unsafe { sys::rd_kafka_last_error() }.into()
}
