//! The same bytes over bare TCP: what the machine does without any of us.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// Sends so many bytes to so many connections; returns how long until all have them.
pub async fn fan_out(connections: usize, bytes: usize) -> Duration {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (mut servers, mut clients) = (Vec::new(), Vec::new());
    for _ in 0..connections {
        clients.push(TcpStream::connect(address).await.unwrap());
        servers.push(listener.accept().await.unwrap().0);
    }
    let readers: Vec<_> = clients
        .into_iter()
        .map(|mut client| {
            tokio::spawn(async move {
                let mut message = vec![0; bytes];
                client.read_exact(&mut message).await.unwrap();
            })
        })
        .collect();
    let message = vec![7; bytes];
    let start = Instant::now();
    for server in &mut servers {
        server.write_all(&message).await.unwrap();
    }
    for reader in readers {
        reader.await.unwrap();
    }
    start.elapsed()
}
