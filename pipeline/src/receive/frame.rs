//! Framing: where the orders are in a body. Pure; the orders are slices of the body, none is copied.

use bytes::Bytes;

/// How the body holds its orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// One JSON object, or an array of them.
    Json,
    /// A line for each.
    Ndjson,
}

/// The orders of a body.
#[derive(Debug, PartialEq, Eq)]
pub struct Framed {
    /// Each order's bytes.
    pub orders: Vec<Bytes>,
    /// Whether the body is a list, be it of one.
    pub batch: bool,
}

/// Why a body has no orders to look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameError {
    /// There is nothing in it.
    Empty,
    /// It is not JSON: an array that does not end, or something behind its end.
    NotJson,
    /// There are more orders than the limit.
    TooMany,
}

/// Finds the orders of a body.
///
/// # Errors
/// [`FrameError`]. What is inside an order is not looked at, but for where it ends.
pub fn frame(body: &Bytes, form: Form, most: usize) -> Result<Framed, FrameError> {
    match form {
        Form::Ndjson => lines(body, most),
        Form::Json => match body.iter().find(|byte| !is_space(**byte)) {
            None => Err(FrameError::Empty),
            Some(b'[') => elements(body, most),
            Some(_) => Ok(Framed { orders: vec![body.clone()], batch: false }),
        },
    }
}

fn lines(body: &Bytes, most: usize) -> Result<Framed, FrameError> {
    let mut orders = Vec::new();
    let mut start = 0;
    for end in memchr::memchr_iter(b'\n', body).chain(std::iter::once(body.len())) {
        let line = body.get(start..end).unwrap_or_default();
        if !line.iter().all(|byte| is_space(*byte)) {
            if orders.len() == most {
                return Err(FrameError::TooMany);
            }
            orders.push(body.slice(start..end));
        }
        start = end + 1;
    }
    if orders.is_empty() { Err(FrameError::Empty) } else { Ok(Framed { orders, batch: true }) }
}

/// Splits an array at the commas between its elements.
fn elements(body: &Bytes, most: usize) -> Result<Framed, FrameError> {
    let mut orders = Vec::new();
    let mut depth = 0_usize;
    let mut start = 0;
    let mut at = 0;
    let mut push = |range: std::ops::Range<usize>, last: bool| {
        let blank = body.get(range.clone()).unwrap_or_default().iter().all(|byte| is_space(*byte));
        match (blank, last && orders.is_empty()) {
            (true, true) => Ok(()),
            (true, false) => Err(FrameError::NotJson),
            (false, _) if orders.len() == most => Err(FrameError::TooMany),
            (false, _) => {
                orders.push(body.slice(range));
                Ok(())
            }
        }
    };
    while let Some(byte) = body.get(at) {
        match byte {
            b'"' => at = end_of_string(body, at).ok_or(FrameError::NotJson)?,
            b'[' | b'{' => {
                depth += 1;
                if depth == 1 {
                    start = at + 1;
                }
            }
            b']' | b'}' => {
                depth = depth.checked_sub(1).ok_or(FrameError::NotJson)?;
                if depth == 0 {
                    push(start..at, true)?;
                    let rest = body.get(at + 1..).unwrap_or_default();
                    let ends_here = *byte == b']' && rest.iter().all(|byte| is_space(*byte));
                    return match (ends_here, orders.is_empty()) {
                        (false, _) => Err(FrameError::NotJson),
                        (true, true) => Err(FrameError::Empty),
                        (true, false) => Ok(Framed { orders, batch: true }),
                    };
                }
            }
            b',' if depth == 1 => {
                push(start..at, false)?;
                start = at + 1;
            }
            _ => {}
        }
        at += 1;
    }
    Err(FrameError::NotJson)
}

/// The place of the quote that ends the string that begins at `start`.
fn end_of_string(body: &[u8], start: usize) -> Option<usize> {
    let mut at = start + 1;
    loop {
        at += memchr::memchr2(b'"', b'\\', body.get(at..)?)?;
        if body.get(at) == Some(&b'"') {
            return Some(at);
        }
        at += 2;
    }
}

const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn framed(body: &str, form: Form) -> Result<Vec<String>, FrameError> {
        let found = frame(&Bytes::copy_from_slice(body.as_bytes()), form, 3)?;
        Ok(found.orders.iter().map(|order| String::from_utf8(order.to_vec()).unwrap()).collect())
    }

    #[test]
    fn one_object_is_one_order_and_no_batch() {
        let body = Bytes::from_static(br#" {"a":[1,2]} "#);
        assert_eq!(frame(&body, Form::Json, 3), Ok(Framed { orders: vec![body.clone()], batch: false }));
        assert_eq!(
            framed("nonsense", Form::Json).unwrap(),
            ["nonsense"],
            "the parser says what is wrong with it"
        );
    }

    #[test]
    fn an_array_is_split_between_its_elements_whatever_is_in_them() {
        let body = r#" [ {"a":"],\"["} ,{"b":[1,{"c":2}]}, 7 ] "#;
        assert_eq!(framed(body, Form::Json).unwrap(), [r#" {"a":"],\"["} "#, r#"{"b":[1,{"c":2}]}"#, " 7 "]);
        assert_eq!(framed("[{},{},{},{}]", Form::Json), Err(FrameError::TooMany));
        assert_eq!(framed("[]", Form::Json), Err(FrameError::Empty));
        for broken in
            ["[", "[{}", "[{},]", "[,{}]", "[{},,{}]", "[{}]x", "[{}]]", "[{}}", r#"["a]"#, "[{}] [{}]"]
        {
            assert_eq!(framed(broken, Form::Json), Err(FrameError::NotJson), "{broken}");
        }
    }

    #[test]
    fn lines_may_be_blank_and_the_last_one_need_not_end() {
        assert_eq!(
            framed("{\"a\":1}\r\n\n \t\n{\"b\":2}", Form::Ndjson).unwrap(),
            ["{\"a\":1}\r", "{\"b\":2}"]
        );
        assert_eq!(framed("\n \n", Form::Ndjson), Err(FrameError::Empty));
        assert_eq!(framed("1\n2\n3\n4\n", Form::Ndjson), Err(FrameError::TooMany));
        assert_eq!(framed("", Form::Json), Err(FrameError::Empty));
    }

    proptest! {
        #[test]
        fn an_array_of_valid_elements_gives_them_back(
            elements in proptest::collection::vec(r#"\{("[a-z\]\[,{}]{0,6}":(1|"x\\"y"|\[1,2\])){0,1}\}"#, 1..4)
        ) {
            prop_assert_eq!(framed(&format!("[{}]", elements.join(",")), Form::Json).unwrap(), elements);
        }

        #[test]
        fn no_bytes_make_it_panic(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = frame(&Bytes::from(body.clone()), Form::Ndjson, 3);
            let mut array = vec![b'['];
            array.extend(body);
            let _ = frame(&Bytes::from(array), Form::Json, 3);
        }
    }
}
