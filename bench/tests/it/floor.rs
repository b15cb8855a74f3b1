//! The floors, run as the processes that they are.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

/// Ends the process however the test ends.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_sink_answers_202_to_a_body_and_400_to_none() {
    let floor = Command::new(env!("CARGO_BIN_EXE_floor"))
        .args(["sink", "--listen", "127.0.0.1:0"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut floor = Ended(floor);
    let mut address = String::new();
    BufReader::new(floor.0.stdout.as_mut().unwrap()).read_line(&mut address).unwrap();

    for (body, status) in [("{\"customer_id\":3}", "HTTP/1.1 202 "), ("", "HTTP/1.1 400 ")] {
        let mut stream = TcpStream::connect(address.trim()).unwrap();
        let length = body.len();
        write!(stream, "POST /v1/orders HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}")
            .unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).unwrap();
        assert!(reply.starts_with(status), "{reply}");
    }
}
