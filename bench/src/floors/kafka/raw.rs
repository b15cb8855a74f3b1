//! librdkafka with as little around it as can be: what the floors of the log are.
#![expect(unsafe_code, reason = "the floor is the C library itself; each block says why it is sound")]

use std::ffi::{CStr, CString, c_char, c_void};
use std::mem::ManuallyDrop;
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use pipeline::log::Record;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{Offset, TopicPartitionList};
use rdkafka_sys as sys;
use sys::rd_kafka_resp_err_t::{RD_KAFKA_RESP_ERR__QUEUE_FULL, RD_KAFKA_RESP_ERR_NO_ERROR};
use sys::rd_kafka_vtype_t::{
    RD_KAFKA_VTYPE_HEADER, RD_KAFKA_VTYPE_KEY, RD_KAFKA_VTYPE_MSGFLAGS, RD_KAFKA_VTYPE_RKT,
    RD_KAFKA_VTYPE_VALUE,
};

/// What the delivery reports count.
#[derive(Default)]
struct Reports {
    durable: AtomicUsize,
    failed: AtomicUsize,
}

unsafe extern "C" fn report(
    _: *mut sys::rd_kafka_t,
    message: *const sys::rd_kafka_message_t,
    reports: *mut c_void,
) {
    // SAFETY: the message is valid during the call, and the opaque pointer is to the reports of the `Client`, which outlive
    // librdkafka's.
    let (message, reports) = unsafe { (&*message, &*reports.cast_const().cast::<Reports>()) };
    let counted = if message.err == RD_KAFKA_RESP_ERR_NO_ERROR { &reports.durable } else { &reports.failed };
    counted.fetch_add(1, Ordering::Relaxed);
}

/// Whether librdkafka copies a value, or borrows it until its delivery report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value {
    /// It is borrowed, as in the product.
    Borrowed,
    /// `RD_KAFKA_MSG_F_COPY`, as rdkafka's own producers have it.
    Copied,
}

/// A producer that counts its delivery reports and does nothing else.
pub struct Client {
    client: *mut sys::rd_kafka_t,
    topic: *mut sys::rd_kafka_topic_t,
    reports: Box<Reports>,
    handed: usize,
}

impl Client {
    /// Makes it.
    ///
    /// # Errors
    /// What librdkafka says of the settings.
    pub fn new(config: &ClientConfig, topic: &str) -> Result<Self> {
        let native = ManuallyDrop::new(config.create_native_config()?);
        let topic = CString::new(topic)?;
        let reports = Box::<Reports>::default();
        let mut text = [0 as c_char; 512];
        // SAFETY: the configuration is valid and handed over; the reports are in a box that outlives the client, see Drop.
        unsafe {
            sys::rd_kafka_conf_set_opaque(native.ptr(), ptr::from_ref(&*reports).cast_mut().cast());
            sys::rd_kafka_conf_set_dr_msg_cb(native.ptr(), Some(report));
            let kind = sys::rd_kafka_type_t::RD_KAFKA_PRODUCER;
            let client = sys::rd_kafka_new(kind, native.ptr(), text.as_mut_ptr(), text.len());
            if client.is_null() {
                bail!("librdkafka: {}", CStr::from_ptr(text.as_ptr()).to_string_lossy());
            }
            let topic = sys::rd_kafka_topic_new(client, topic.as_ptr(), ptr::null_mut());
            Ok(Self { client, topic, reports, handed: 0 })
        }
    }

    /// Hands a record over, and waits where the queue is full.
    ///
    /// # Errors
    /// Where it is refused for another reason.
    ///
    /// # Safety
    /// A borrowed value must stay as it is until [`Client::settle`] has returned, or the client is dropped.
    pub unsafe fn hand_over(&mut self, record: &Record, value: Value) -> Result<()> {
        let memory = |bytes: &[u8]| sys::rd_kafka_vu_s__bindgen_ty_1 {
            mem: sys::rd_kafka_vu_s__bindgen_ty_1__bindgen_ty_1 {
                ptr: bytes.as_ptr().cast_mut().cast(),
                size: bytes.len(),
            },
        };
        let header = |name: &CStr, value: &str| sys::rd_kafka_vu_s__bindgen_ty_1 {
            header: sys::rd_kafka_vu_s__bindgen_ty_1__bindgen_ty_2 {
                name: name.as_ptr(),
                val: value.as_ptr().cast(),
                size: isize::try_from(value.len()).unwrap_or(isize::MAX),
            },
        };
        let mut received = itoa::Buffer::new();
        let flags = if value == Value::Copied { sys::RD_KAFKA_MSG_F_COPY } else { 0 };
        let set = |vtype, u| sys::rd_kafka_vu_t { vtype, u };
        let arguments = [
            set(RD_KAFKA_VTYPE_RKT, sys::rd_kafka_vu_s__bindgen_ty_1 { rkt: self.topic }),
            set(RD_KAFKA_VTYPE_KEY, memory(&record.key)),
            set(RD_KAFKA_VTYPE_VALUE, memory(&record.value)),
            set(RD_KAFKA_VTYPE_MSGFLAGS, sys::rd_kafka_vu_s__bindgen_ty_1 { i: flags }),
            set(RD_KAFKA_VTYPE_HEADER, header(c"received_at", received.format(record.received_at))),
            set(RD_KAFKA_VTYPE_HEADER, header(c"schema", pipeline::order::SCHEMA)),
        ];
        loop {
            // SAFETY: the arguments are set as their types say; the caller keeps a borrowed value until its report; key
            // and headers are copied by the call. The error is ours to destroy.
            let code = unsafe {
                let error = sys::rd_kafka_produceva(self.client, arguments.as_ptr(), arguments.len());
                let code = sys::rd_kafka_error_code(error);
                if !error.is_null() {
                    sys::rd_kafka_error_destroy(error);
                }
                code
            };
            match code {
                RD_KAFKA_RESP_ERR_NO_ERROR => break,
                RD_KAFKA_RESP_ERR__QUEUE_FULL => self.poll(1),
                other => bail!("librdkafka refuses a record: {other:?}"),
            }
        }
        self.handed += 1;
        Ok(())
    }

    /// Serves delivery reports, waiting for a first one for so many milliseconds.
    fn poll(&self, wait_ms: i32) {
        // SAFETY: the client is valid until Drop.
        unsafe { sys::rd_kafka_poll(self.client, wait_ms) };
    }

    /// Waits for the reports of all that was handed over since the last time, and says how many there were.
    ///
    /// # Errors
    /// Where one says that its record is not durable.
    pub fn settle(&mut self) -> Result<usize> {
        let Reports { durable, failed } = &*self.reports;
        while durable.load(Ordering::Relaxed) + failed.load(Ordering::Relaxed) < self.handed {
            self.poll(5);
        }
        let handed = std::mem::take(&mut self.handed);
        let (durable, failed) = (durable.swap(0, Ordering::Relaxed), failed.swap(0, Ordering::Relaxed));
        if failed > 0 { bail!("{durable} of {handed} records are durable") } else { Ok(durable) }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // SAFETY: both handles are given back once and used no more; what is still queued is given up with its reports,
        // for which the box is still there.
        unsafe {
            sys::rd_kafka_topic_destroy(self.topic);
            sys::rd_kafka_destroy(self.client);
        }
    }
}

/// Produces the records without copying their values, and waits for all delivery reports.
pub(super) fn produce(config: &ClientConfig, topic: &str, records: &[Record]) -> Result<()> {
    let mut client = Client::new(config, topic)?;
    for (number, record) in records.iter().enumerate() {
        // SAFETY: the caller's records outlive the client.
        unsafe { client.hand_over(record, Value::Borrowed) }?;
        if number % 1024 == 0 {
            client.poll(0);
        }
    }
    client.settle().map(drop)
}

/// Drains as many records from the beginning of a topic, in batches of 1,000, and looks at nothing.
pub(super) fn drain(
    config: &ClientConfig,
    topic: &str,
    partitions: u32,
    records: usize,
    deadline: Duration,
) -> Result<()> {
    let consumer: BaseConsumer = config.create()?;
    let mut all = TopicPartitionList::new();
    for partition in 0..i32::try_from(partitions)? {
        all.add_partition_offset(topic, partition, Offset::Beginning)?;
    }
    consumer.assign(&all)?;
    let started = Instant::now();
    let mut batch = [ptr::null_mut(); 1_000];
    let mut drained = 0;
    // SAFETY: the client is valid as long as the consumer; the queue is ours and given back below.
    let queue = unsafe { sys::rd_kafka_queue_get_consumer(consumer.client().native_ptr()) };
    while drained < records && started.elapsed() < deadline {
        // SAFETY: the queue is valid, and the batch has room for as many messages as are asked for; each is ours and is
        // given back once.
        drained += unsafe {
            let read = sys::rd_kafka_consume_batch_queue(queue, 100, batch.as_mut_ptr(), batch.len());
            let read = usize::try_from(read).ok().context("librdkafka could not read")?;
            let mut good = 0;
            for message in batch.iter().take(read) {
                good += usize::from((**message).err == RD_KAFKA_RESP_ERR_NO_ERROR);
                sys::rd_kafka_message_destroy(*message);
            }
            good
        };
    }
    // SAFETY: given back once, before the consumer goes.
    unsafe { sys::rd_kafka_queue_destroy(queue) };
    if drained < records { bail!("{drained} of {records} records came") } else { Ok(()) }
}
