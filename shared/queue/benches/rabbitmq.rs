//! `queue::rabbitmq` beside the raw client, on the broker that a script starts:
//!
//!   tests/engines/with-rabbitmq cargo bench -p queue --features rabbitmq --bench rabbitmq
//!
//! Both send persistent messages to a quorum queue and wait for the broker's confirmation; the raw client the body alone, over one
//! channel, and then over as many as we use: one for each message that is on its way.

mod pace;

use domain::{Credentials, Guard, Secret};
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{BasicProperties, Channel, Confirmation, Connection, ConnectionProperties};
use queue::rabbitmq::{RabbitConnections, RabbitPlace};

const QUEUE: &str = "bench";

#[tokio::main]
#[allow(clippy::disallowed_methods, reason = "the script tells where the broker is")]
async fn main() {
    let address = std::env::var("QUEUELINK_RABBITMQ").expect("run me by tests/engines/with-rabbitmq");
    let (host, port) = address.rsplit_once(':').expect("host:port");
    let uri = format!("amqp://guest:guest@{address}/%2f");
    let connection = Connection::connect(&uri, ConnectionProperties::default()).await.expect("a connection");
    let mut channels = Vec::new();
    for _ in 0..pace::AT_ONCE {
        let channel = connection.create_channel().await.expect("a channel");
        channel.confirm_select(ConfirmSelectOptions::default()).await.expect("confirmations");
        channels.push(channel);
    }
    let mut quorum = FieldTable::default();
    quorum.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
    channels[0].queue_declare(QUEUE.into(), QueueDeclareOptions::durable(), quorum).await.expect("a queue");

    let ours = RabbitConnections::new(Guard::operator().with_loopback(true));
    let place = RabbitPlace {
        host: host.to_owned(),
        port: port.parse().expect("a port"),
        tls: false,
        vhost: "/".to_owned(),
        credentials: Credentials { username: Secret::new("guest"), password: Secret::new("guest") },
        queue: QUEUE.to_owned(),
    };
    ours.warm(&place).await.expect("the broker is there");
    let body = pace::body();
    let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
    let by_us = async |number| {
        ours.send(&place, &pace::message(number, &body)).await.expect("it is accepted");
    };
    let by_the_raw_client = async |channel: &Channel| {
        let properties = BasicProperties::default().with_delivery_mode(2);
        let published = channel
            .basic_publish(ShortString::default(), QUEUE.into(), options, body.as_bytes(), properties)
            .await
            .expect("it is written")
            .await
            .expect("it is answered");
        assert_eq!(published, Confirmation::Ack(None));
    };
    let one = async |_| by_the_raw_client(&channels[0]).await;
    pace::compare("RabbitMQ, quorum queue; the raw client over one channel", by_us, one).await;
    let many = async |number| by_the_raw_client(&channels[number % pace::AT_ONCE]).await;
    pace::compare("RabbitMQ, quorum queue; the raw client over 64 channels", by_us, many).await;
}
