//! Reading the queue of one partition in batches.

use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka_sys as sys;
use std::ffi::{CStr, CString, c_void};
use std::marker::PhantomData;
use std::ptr::{self, NonNull};
use std::sync::Arc;
use sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR;
use tokio::sync::Notify;

/// The queue of one partition, apart from the consumer's main queue, which goes on bringing rebalances and errors.
pub(in super::super) struct PartitionQueue<C: ConsumerContext + 'static> {
    queue: NonNull<sys::rd_kafka_queue_t>,
    /// Notified when the queue stops being empty. librdkafka reads it through a pointer until Drop.
    wake: Arc<Notify>,
    /// The queue must not outlive the consumer. Declared last, so that it is dropped last.
    consumer: Arc<BaseConsumer<C>>,
}

// SAFETY: queues of librdkafka may be used from any thread; `Notify` and the consumer are `Send + Sync`.
unsafe impl<C: ConsumerContext + 'static> Send for PartitionQueue<C> {}
// SAFETY: as above; batches are read through `&mut self`, so two threads do not mix theirs up.
unsafe impl<C: ConsumerContext + 'static> Sync for PartitionQueue<C> {}

/// A message, as long as it is looked at.
pub(in super::super) struct Message<'m> {
    message: NonNull<sys::rd_kafka_message_t>,
    _batch: PhantomData<&'m ()>,
}

impl<C: ConsumerContext + 'static> PartitionQueue<C> {
    /// Takes a partition's queue out of the main one. To be called before the partition is assigned: librdkafka leaves
    /// a queue alone at an assignment that the application has forwarded by itself, and so none of its messages can get
    /// into the main queue.
    pub(in super::super) fn take(
        consumer: &Arc<BaseConsumer<C>>,
        topic: &CStr,
        partition: i32,
    ) -> Option<Self> {
        let wake = Arc::new(Notify::new());
        // SAFETY: the client is valid as long as `consumer`; the queue that is returned is ours to give back. The
        // pointer to `wake` is good until Drop, where the callback is taken away first.
        let queue = unsafe {
            let client = consumer.client().native_ptr();
            let queue = NonNull::new(sys::rd_kafka_queue_get_partition(client, topic.as_ptr(), partition))?;
            sys::rd_kafka_queue_forward(queue.as_ptr(), ptr::null_mut());
            let opaque = Arc::as_ptr(&wake).cast_mut().cast();
            sys::rd_kafka_queue_cb_event_enable(queue.as_ptr(), Some(filled), opaque);
            queue
        };
        Some(Self { queue, wake, consumer: Arc::clone(consumer) })
    }

    /// The consumer.
    pub(in super::super) fn consumer(&self) -> &Arc<BaseConsumer<C>> {
        &self.consumer
    }

    /// Waits until messages came in since the last wait; at times it returns without.
    pub(in super::super) async fn filled(&self) {
        self.wake.notified().await;
    }

    /// Takes up to so many messages that are there, and shows each; returns how many there were.
    pub(in super::super) fn read(&mut self, most: usize, mut each: impl FnMut(Message<'_>)) -> usize {
        let mut batch = [ptr::null_mut(); 256];
        // SAFETY: the queue is valid, and `batch` has room for as many as are asked for.
        let read = unsafe {
            sys::rd_kafka_consume_batch_queue(
                self.queue.as_ptr(),
                0,
                batch.as_mut_ptr(),
                most.min(batch.len()),
            )
        };
        let read = usize::try_from(read).unwrap_or(0);
        for message in batch.iter().take(read).filter_map(|message| NonNull::new(*message)) {
            each(Message { message, _batch: PhantomData });
            // SAFETY: the message is ours, and what was shown of it has gone with the call above.
            unsafe { sys::rd_kafka_message_destroy(message.as_ptr()) };
        }
        read
    }
}

impl<C: ConsumerContext + 'static> Drop for PartitionQueue<C> {
    fn drop(&mut self) {
        // SAFETY: librdkafka takes the callback away under the queue's lock, under which it also calls it, so nobody
        // reads `wake` after that; the queue is given back once, and the consumer is still there.
        unsafe {
            sys::rd_kafka_queue_cb_event_enable(self.queue.as_ptr(), None, ptr::null_mut());
            sys::rd_kafka_queue_destroy(self.queue.as_ptr());
        }
    }
}

unsafe extern "C" fn filled(_: *mut sys::rd_kafka_t, wake: *mut c_void) {
    // SAFETY: `wake` is the `Notify` of the queue that has the callback, see `PartitionQueue::take`.
    unsafe { &*wake.cast_const().cast::<Notify>() }.notify_one();
}

impl Message<'_> {
    /// What went wrong instead of a message, and where.
    pub(in super::super) fn error(&self) -> Option<RDKafkaErrorCode> {
        // SAFETY: the message is valid as long as `self`.
        let error = unsafe { self.message.as_ref() }.err;
        (error != RD_KAFKA_RESP_ERR_NO_ERROR).then(|| error.into())
    }

    pub(in super::super) fn offset(&self) -> i64 {
        // SAFETY: as above.
        unsafe { self.message.as_ref() }.offset
    }

    pub(in super::super) fn value(&self) -> &[u8] {
        // SAFETY: as above; librdkafka gives pointer and length of memory that the message holds.
        unsafe {
            let message = self.message.as_ref();
            bytes(message.payload.cast_const(), message.len)
        }
    }

    pub(in super::super) fn key(&self) -> Option<&[u8]> {
        // SAFETY: as above.
        unsafe {
            let message = self.message.as_ref();
            (!message.key.is_null()).then(|| bytes(message.key.cast_const(), message.key_len))
        }
    }

    /// Kafka's own time of the record, in milliseconds of Unix time.
    pub(in super::super) fn timestamp(&self) -> Option<i64> {
        let mut kind = sys::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
        // SAFETY: as above.
        let time = unsafe { sys::rd_kafka_message_timestamp(self.message.as_ptr(), &raw mut kind) };
        (kind != sys::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE).then_some(time)
    }

    /// The last header of a name.
    pub(in super::super) fn header(&self, name: &CStr) -> Option<&[u8]> {
        let (mut headers, mut value, mut length) = (ptr::null_mut(), ptr::null(), 0);
        // SAFETY: as above; the headers, which librdkafka reads when first asked for, belong to the message.
        unsafe {
            let read = sys::rd_kafka_message_headers(self.message.as_ptr(), &raw mut headers);
            if read != RD_KAFKA_RESP_ERR_NO_ERROR {
                return None;
            }
            let found =
                sys::rd_kafka_header_get_last(headers, name.as_ptr(), &raw mut value, &raw mut length);
            (found == RD_KAFKA_RESP_ERR_NO_ERROR).then(|| bytes(value, length))
        }
    }
}

/// # Safety
/// `length` bytes at `from` must stay valid and unchanged for `'m`, unless `from` is null.
unsafe fn bytes<'m>(from: *const c_void, length: usize) -> &'m [u8] {
    if from.is_null() {
        return &[];
    }
    // SAFETY: the caller's promise.
    unsafe { std::slice::from_raw_parts(from.cast(), length) }
}

/// The end of a partition as the last fetch told it; the broker is not asked.
pub(in super::super) fn known_end<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    topic: &CString,
    partition: i32,
) -> Option<i64> {
    let (mut low, mut high) = (-1, -1);
    // SAFETY: the client is valid as long as the consumer; it writes two numbers.
    let asked = unsafe {
        let client = consumer.client().native_ptr();
        sys::rd_kafka_get_watermark_offsets(client, topic.as_ptr(), partition, &raw mut low, &raw mut high)
    };
    (asked == RD_KAFKA_RESP_ERR_NO_ERROR && high >= 0).then_some(high)
}
