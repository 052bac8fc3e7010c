//! A client that speaks HTTP/2 by the byte, to say what no library would.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::process::Agent;

/// How long the agent's answer may take.
const DEADLINE: Duration = Duration::from_secs(60);

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const END_HEADERS: u8 = 4;

/// A connection.
pub(crate) struct Raw(TcpStream);

impl Raw {
    /// Connects, and says nothing.
    pub(crate) async fn connect(agent: &Agent) -> Raw {
        Raw(TcpStream::connect(&agent.grpc).await.expect("the agent"))
    }

    /// Sends bytes. That the agent has closed the connection already is no error here.
    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        drop(self.0.write_all(bytes).await);
    }

    /// Begins HTTP/2.
    pub(crate) async fn hello(&mut self) {
        self.send(PREFACE).await;
        self.send(&frame(SETTINGS, 0, 0, &[])).await;
    }

    /// Begins a call, of which data is to come.
    pub(crate) async fn call(&mut self, path: &str) {
        self.send(&frame(HEADERS, END_HEADERS, 1, &header_block(path))).await;
    }

    /// Sends data of the call, and doesn't end it.
    pub(crate) async fn data(&mut self, data: &[u8]) {
        self.send(&frame(DATA, 0, 1, data)).await;
    }

    /// Waits until the agent closes the connection.
    pub(crate) async fn ended(&mut self) {
        let end = async {
            let mut buffer = [0; 4096];
            // A reset is an end too.
            while self.0.read(&mut buffer).await.is_ok_and(|read| read > 0) {}
        };
        tokio::time::timeout(DEADLINE, end).await.expect("the agent closes the connection");
    }

    /// Waits for headers of an answer.
    pub(crate) async fn answered(&mut self) {
        let answer = async {
            loop {
                let mut head = [0; 9];
                self.0.read_exact(&mut head).await.expect("a frame");
                let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
                self.0.read_exact(&mut vec![0; length]).await.expect("the frame's payload");
                if head[3] == HEADERS {
                    return;
                }
            }
        };
        tokio::time::timeout(DEADLINE, answer).await.expect("the agent answers");
    }
}

/// One frame.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a short payload").to_be_bytes();
    let mut frame = vec![length[1], length[2], length[3], kind, flags];
    frame.extend_from_slice(&stream.to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

/// The headers of a gRPC call.
pub(crate) fn header_block(path: &str) -> Vec<u8> {
    // `:method: POST` and `:scheme: http` are in the static table.
    let mut block = vec![0x83, 0x86];
    for (name, value) in
        [(":path", path), (":authority", "agent"), ("content-type", "application/grpc"), ("te", "trailers")]
    {
        block.push(0);
        for text in [name, value] {
            block.push(u8::try_from(text.len()).expect("a short text"));
            block.extend_from_slice(text.as_bytes());
        }
    }
    block
}
