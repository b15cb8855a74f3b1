"""What the document cannot say, and schemathesis therefore cannot know: how lines are written, what depends on the
configuration or on more than one field, and that unknown headers are ignored. Everything else is judged by the document."""

import json

import schemathesis
from schemathesis import GenerationMode

# The verdicts that a schema of an order lets pass, as `pipeline/tests/it/openapi.rs` lists them with the reason of each, and
# proves against the parser; and what a request's parts only show together: a body under an encoding, a key with an index.
BEYOND_A_SCHEMA = frozenset(
    ("too_deep", "too_large", "duplicate_key", "unknown_source", "out_of_range", "bad_money", "missing_field", "bad_time")
    + ("time_out_of_range", "bad_encoding", "bad_idempotency_key", "empty")
)
UNKNOWN_HEADER = "x-schemathesis-unknown-property"


LINES = ("application/x-ndjson", "application/ndjson", "application/jsonl")


@schemathesis.serializer(*LINES)
def ndjson(ctx, value):
    """A line for each order; what is no list is one line."""
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return value.encode("utf-8", "surrogatepass")
    orders = value if isinstance(value, list) else [value]
    return b"".join(json.dumps(order).encode() + b"\n" for order in orders)


@schemathesis.hook
def filter_case(ctx, case):
    """A header that nobody knows is ignored, as HTTP wants it, and not refused."""
    return UNKNOWN_HEADER not in {name.lower() for name in case.headers or {}}


@schemathesis.check
def valid_orders_are_accepted_or_refused_for_what_no_schema_can_say(ctx, response, case):
    """In place of schemathesis's own check, which takes a schema for all that there is to say."""
    if case.meta is None or case.meta.generation.mode is not GenerationMode.POSITIVE or case.method != "POST":
        return
    # To the document a body of lines is any text.
    if response.status_code in (201, 202) or case.media_type in LINES:
        return
    body = json.loads(response.content)
    reasons = {result.get("reason") for result in body["results"] if result["outcome"] != "accepted"} | {body.get("reason")}
    beyond = reasons - {None} - BEYOND_A_SCHEMA
    if beyond:
        raise AssertionError(f"{response.status_code} for what the document allows: {sorted(beyond)}")
