//! A connection that is given up while a message on it waits for its confirmation: by a broker that was made for it, which takes
//! messages, confirms none, and opens one channel alone.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use queue::rabbitmq::RabbitPlace;

use crate::broker::connections;
use crate::brokers::{kind, message, user};

/// What a broker says, by class and method.
const START: (u16, u16) = (10, 10);
const START_OK: (u16, u16) = (10, 11);
const TUNE: (u16, u16) = (10, 30);
const OPEN: (u16, u16) = (10, 40);
const OPEN_OK: (u16, u16) = (10, 41);
const CLOSE: (u16, u16) = (10, 50);
const CLOSE_OK: (u16, u16) = (10, 51);
const CHANNEL_OPEN: (u16, u16) = (20, 10);
const CHANNEL_OPEN_OK: (u16, u16) = (20, 11);
const PUBLISH: (u16, u16) = (60, 40);
const SELECT: (u16, u16) = (85, 10);
const SELECT_OK: (u16, u16) = (85, 11);

const METHOD_FRAME: u8 = 1;
const FRAME_END: u8 = 0xce;

async fn say(stream: &mut TcpStream, channel: u16, method: (u16, u16), arguments: &[u8]) {
    let size = u32::try_from(4 + arguments.len()).unwrap();
    let mut frame = vec![METHOD_FRAME];
    frame.extend(channel.to_be_bytes());
    frame.extend(size.to_be_bytes());
    frame.extend(method.0.to_be_bytes());
    frame.extend(method.1.to_be_bytes());
    frame.extend(arguments);
    frame.push(FRAME_END);
    // Whoever went away hears nothing.
    let _ = stream.write_all(&frame).await;
}

/// One connection, until its end. `taken` hears of each message; with `ends` the broker then refuses to go on.
async fn serve(mut stream: TcpStream, taken: mpsc::UnboundedSender<()>, ends: bool) -> std::io::Result<()> {
    let mut header = [0; 8];
    stream.read_exact(&mut header).await?;
    let start = [&[0, 9, 0, 0, 0, 0][..], b"\0\0\0\x05PLAIN", b"\0\0\0\x05en_US"].concat();
    say(&mut stream, 0, START, &start).await;
    loop {
        let mut head = [0; 7];
        stream.read_exact(&mut head).await?;
        let channel = u16::from_be_bytes([head[1], head[2]]);
        let size = u32::from_be_bytes([head[3], head[4], head[5], head[6]]);
        let mut rest = vec![0; size as usize + 1];
        stream.read_exact(&mut rest).await?;
        if head[0] != METHOD_FRAME {
            continue;
        }
        match (u16::from_be_bytes([rest[0], rest[1]]), u16::from_be_bytes([rest[2], rest[3]])) {
            START_OK => say(&mut stream, 0, TUNE, &[0, 0, 0, 2, 0, 0, 0, 0]).await,
            OPEN => say(&mut stream, 0, OPEN_OK, &[0]).await,
            CHANNEL_OPEN if channel == 1 => say(&mut stream, channel, CHANNEL_OPEN_OK, &[0; 4]).await,
            SELECT => say(&mut stream, channel, SELECT_OK, &[]).await,
            PUBLISH => {
                let _ = taken.send(());
                if ends {
                    let arguments = [&403_u16.to_be_bytes()[..], b"\x0eACCESS_REFUSED\0\0\0\0"].concat();
                    say(&mut stream, 0, CLOSE, &arguments).await;
                }
            }
            CLOSE => say(&mut stream, 0, CLOSE_OK, &[]).await,
            _ => {}
        }
    }
}

/// A place of a broker that was made for it, and what hears of each message it takes.
async fn made_for_it(ends: bool) -> (RabbitPlace, mpsc::UnboundedReceiver<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (taken, takes) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, taken.clone(), ends));
        }
    });
    let place = RabbitPlace {
        host: "127.0.0.1".to_owned(),
        port,
        tls: false,
        vhost: "/".to_owned(),
        credentials: user("guest", "guest"),
        queue: "q".to_owned(),
    };
    (place, takes)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_on_a_connection_that_we_close_over_another_one_may_be_there() {
    let (place, mut takes) = made_for_it(false).await;
    let connections = connections();
    let first = {
        let (connections, place) = (connections.clone(), place.clone());
        tokio::spawn(async move { connections.send_once(&place, &message("first")).await })
    };
    takes.recv().await.unwrap();
    // It gets no channel, so that the connection is taken for dead.
    let second = connections.send_once(&place, &message("second")).await;
    let first = first.await.unwrap();
    assert_eq!(kind(&first), "unanswered", "{first:?}");
    assert_eq!(kind(&second), "unanswered", "on a new connection: {second:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_on_a_connection_that_the_broker_refuses_to_go_on_with_may_be_there() {
    let (place, _takes) = made_for_it(true).await;
    let sent = connections().send_once(&place, &message("m")).await;
    assert_eq!(kind(&sent), "unanswered", "{sent:?}");
}
