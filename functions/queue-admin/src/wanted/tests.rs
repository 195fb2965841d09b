#![allow(clippy::unwrap_used, reason = "a test may panic")]
use std::collections::BTreeSet;

use domain::Guard;

use super::*;
use crate::{Brokers, OwnBroker, Received};

/// An installation with both brokers, whose workers receive from `orders`.
fn brokers() -> Brokers {
    let received = Received::Only(BTreeSet::from(["orders".to_owned()]));
    let own = OwnBroker { received, note: None };
    Brokers { kafka: Some(own.clone()), rabbitmq: Some(own), guard: Guard::operator(), kafka_tls: true }
}

pub(super) fn settings() -> Settings {
    Settings {
        stack: "ql".into(),
        region: "eu-west-1".into(),
        account: "123456789012".into(),
        sqs_endpoint: None,
        creation_allowed: true,
        worker_timeout_secs: 10,
        brokers: brokers(),
    }
}

/// `expect`: paths with codes, in order; empty = wanted.
fn check_with(settings: &Settings, body: &str, expect: &[(&str, &str)]) {
    let (_, wanted) = Wanted::read(Fields::read(body).unwrap(), settings);
    let faults = wanted.err().unwrap_or_default();
    let found: Vec<_> = faults.0.iter().map(|f| (f.path.as_str(), f.code)).collect();
    assert_eq!(found, expect, "{body}: {faults}");
}

#[test]
fn a_new_queue_is_checked_whole() {
    let check = |body: &str, expect: &[(&str, &str)]| check_with(&settings(), body, expect);
    check(r#"{"name":"orders","type":"sqs"}"#, &[]);
    check(r#"{"name":"orders","type":"sqs","fifo":true,"worker":"none","max-failures":10}"#, &[]);
    check("{}", &[("name", "required"), ("type", "required")]);
    check(
        r#"{"name":"a","type":"redis","fifo":true,"sasl":"x","partition":-1,"more":1}"#,
        &[("type", "value"), ("more", "unknown-field")],
    );
    check(
        r#"{"name":7,"type":"sqs","default-handler":"a b","schema":{"type":"no"},"fifo":1,"worker":"yes","max-failures":11,"more":1}"#,
        &[
            ("name", "type"),
            ("default-handler", "handler-name"),
            ("schema/type", "schema"),
            ("fifo", "type"),
            ("worker", "value"),
            ("max-failures", "range"),
            ("more", "unknown-field"),
        ],
    );
    check(&format!(r#"{{"name":"{}","type":"sqs"}}"#, "a".repeat(75)), &[("name", "too-long")]);
    check(r#"{"name":"a","type":"sqs","username":"u"}"#, &[("password", "required"), ("url", "required")]);
    check(r#"{"name":"a","type":"sqs","region":"us-east-1"}"#, &[("region", "region")]);
    for name in ["jobs", "jobs-dead", "outbox-failed", "retry", "retry-dead"] {
        check(&format!(r#"{{"name":"{name}","type":"sqs"}}"#), &[("name", "reserved")]);
    }
    let refused = Settings { creation_allowed: false, ..settings() };
    check_with(&refused, r#"{"name":"orders","type":"sqs"}"#, &[("url", "required")]);
}

#[test]
fn our_role_serves_our_queues_alone() {
    let check = |url: &str, more: &str, expect: &[(&str, &str)]| {
        check_with(&settings(), &format!(r#"{{"name":"a","type":"sqs","url":"{url}"{more}}}"#), expect);
    };
    let ours = "https://sqs.eu-west-1.amazonaws.com/123456789012/ql-orders";
    check(ours, "", &[]);
    check(ours, r#","worker":"attached","region":"eu-west-1""#, &[]);
    check("https://sqs.eu-west-1.amazonaws.com/123456789012/orders", "", &[("username", "required")]);
    check("https://sqs.eu-west-1.amazonaws.com/999999999999/ql-orders", "", &[("username", "required")]);
    check("https://sqs.eu-west-1.amazonaws.com/123456789012/qlx-orders", "", &[("username", "required")]);
    for name in ["ql-jobs", "ql-jobs-dead", "ql-outbox-failed", "ql-retry", "ql-retry-dead"] {
        let url = format!("https://sqs.eu-west-1.amazonaws.com/123456789012/{name}");
        check(&url, "", &[("url", "reserved")]);
        check(&url, r#","username":"AKIA","password":"secret""#, &[("url", "reserved")]);
    }
    let foreign = r#","username":"AKIA","password":"secret""#;
    check("https://sqs.us-east-1.amazonaws.com/999999999999/orders.fifo", foreign, &[]);
    check(ours, &format!(r#"{foreign},"worker":"attached""#), &[("worker", "publish-only")]);
    check(
        "https://sqs.us-east-1.amazonaws.com/123456789012/ql-a",
        r#","worker":"attached","fifo":true"#,
        &[("fifo", "fifo"), ("worker", "region")],
    );
    check("http://evil.example/123456789012/ql-orders", "", &[("url", "queue-url")]);
    check(ours, r#","username":"a b","password":"x""#, &[("username", "form")]);
    check(ours, r#","username":"","password":"""#, &[]);
}

#[test]
fn a_topic_is_checked_whole() {
    let check = |more: &str, expect: &[(&str, &str)]| {
        check_with(&settings(), &format!(r#"{{"name":"orders","type":"kafka"{more}}}"#), expect);
    };
    check("", &[]);
    check(
        r#","url":null,"sasl":null,"tls":null,"region":null,"partition":null,"username":"","password":"""#,
        &[],
    );
    check(r#","partition":7,"worker":"attached","max-failures":1"#, &[]);
    let own: Vec<_> =
        ["username", "sasl", "tls", "region"].into_iter().map(|path| (path, "own-broker")).collect();
    check(r#","username":"u","password":"p","sasl":"plain","tls":false,"region":"eu-west-1""#, &own);

    let url = |more: &str, expect: &[(&str, &str)]| {
        check(&format!(r#","url":"b-1.example.com:9092,b-2.example.com:9092"{more}"#), expect);
    };
    url("", &[]);
    url(r#","tls":true"#, &[]);
    let user = r#","username":"u","password":"p""#;
    for sasl in
        ["", r#","sasl":"plain""#, r#","sasl":"scram-sha-256","tls":false"#, r#","sasl":"scram-sha-512""#]
    {
        url(&format!("{user}{sasl}"), &[]);
    }
    url(r#","sasl":"plain""#, &[("username", "required")]);
    url(r#","username":"u","sasl":"scram-sha-256""#, &[("password", "required")]);
    url(&format!(r#"{user},"region":"eu-west-1""#), &[("region", "region")]);
    url(r#","worker":"attached""#, &[("worker", "publish-only")]);
    url(
        &format!(r#"{user},"sasl":"aws-msk-iam","tls":false"#),
        &[("username", "own-role"), ("tls", "tls"), ("url", "msk-address")],
    );
    url(
        r#","sasl":"gssapi","tls":"no","region":"EU","partition":2147483648,"fifo":false"#,
        &[
            ("sasl", "value"),
            ("tls", "type"),
            ("region", "form"),
            ("partition", "range"),
            ("fifo", "unknown-field"),
        ],
    );
    check(r#","url":"b:9092,b""#, &[("url", "bootstrap")]);
    check(r#","url":"u:p@b:9092""#, &[("url", "user-in-url")]);
    check(
        r#","url":7,"sasl":"plain","region":"eu-west-1""#,
        &[("url", "type"), ("region", "region"), ("username", "required")],
    );
    check(r#","url":"127.1:9092,10.0.0.1:9092,localhost:9092,169.254.169.254:80""#, &[("url", "address"); 3]);
}

#[test]
fn our_roles_proof_is_shown_to_msk_alone() {
    let check = |url: &str, region: &str, expect: &[(&str, &str)]| {
        let region = if region.is_empty() { String::new() } else { format!(r#","region":"{region}""#) };
        let body = format!(r#"{{"name":"a","type":"kafka","url":"{url}","sasl":"aws-msk-iam"{region}}}"#);
        check_with(&settings(), &body, expect);
    };
    let serverless = "boot-x1.c2.kafka-serverless.eu-west-1.amazonaws.com:9098";
    check(serverless, "", &[]);
    check(serverless, "eu-west-1", &[]);
    check(
        "b-1.shop.x1.c2.kafka.us-east-1.amazonaws.com:9098,b-2.shop.x1.c2.kafka.us-east-1.amazonaws.com:9098",
        "us-east-1",
        &[],
    );
    check("b-1.shop.x1.c2.kafka.cn-north-1.amazonaws.com.cn:9098", "cn-north-1", &[]);
    let refused = &[("url", "msk-address")];
    check(serverless, "us-east-1", refused);
    for host in [
        "evil.example",
        "kafka.eu-west-1.amazonaws.com.evil.example",
        "evilkafka.eu-west-1.amazonaws.com",
        "x.execute-api.eu-west-1.amazonaws.com",
        "10.0.0.1",
    ] {
        check(&format!("{serverless},{host}:9098"), "", refused);
    }
}

#[test]
fn a_queue_of_rabbitmq_is_checked_whole() {
    let check = |more: &str, expect: &[(&str, &str)]| {
        check_with(&settings(), &format!(r#"{{"name":"orders","type":"rabbitmq"{more}}}"#), expect);
    };
    check("", &[]);
    check(r#","worker":"attached""#, &[]);
    check(
        r#","username":"u","password":"p","tls":true"#,
        &[("username", "own-broker"), ("tls", "own-broker")],
    );
    let url = |url: &str, more: &str, expect: &[(&str, &str)]| {
        check(&format!(r#","url":"{url}","username":"u","password":"p"{more}"#), expect);
    };
    url("amqps://b.example.com/shop", "", &[]);
    url("amqps://b.example.com", r#","tls":true"#, &[]);
    url("amqp://10.0.0.1", r#","tls":false"#, &[]);
    url("amqp://10.0.0.1", "", &[("tls", "required")]);
    url("amqp://10.0.0.1", r#","tls":true"#, &[("tls", "tls")]);
    url("amqps://b", r#","tls":false"#, &[("tls", "tls")]);
    url("amqps://u:s3cret@b", "", &[("url", "user-in-url")]);
    url("https://b", "", &[("url", "amqp-url")]);
    url("amqps://127.1", "", &[("url", "address")]);
    url("amqps://[fe80::1]", r#","worker":"attached""#, &[("url", "address"), ("worker", "publish-only")]);
    check(
        r#","url":"amqp://localhost""#,
        &[("url", "address"), ("tls", "required"), ("username", "required")],
    );
    for (field, value) in
        [("fifo", "true"), ("region", "\"eu-west-1\""), ("sasl", "\"plain\""), ("partition", "1")]
    {
        check(&format!(r#","{field}":{value}"#), &[(field, "unknown-field")]);
    }
}

#[test]
fn what_an_installation_has_decides_what_can_be_registered() {
    let check = |change: fn(&mut Brokers), body: &str, expect: &[(&str, &str)]| {
        let mut brokers = brokers();
        change(&mut brokers);
        check_with(&Settings { brokers, ..settings() }, body, expect);
    };
    for engine in ["kafka", "rabbitmq"] {
        let body = |name: &str, more: &str| format!(r#"{{"name":"{name}","type":"{engine}"{more}}}"#);
        check(|brokers| *brokers = Brokers::default(), &body("orders", ""), &[("url", "required")]);
        check(
            |brokers| *brokers = Brokers::default(),
            &body("orders", r#","worker":"attached""#),
            &[("url", "required"), ("worker", "not-mapped")],
        );
        check(|_| {}, &body("other", ""), &[]);
        check(|_| {}, &body("other", r#","worker":"none""#), &[]);
        check(|_| {}, &body("other", r#","worker":"attached""#), &[("worker", "not-mapped")]);
        let all = |brokers: &mut Brokers| {
            let own = OwnBroker { received: Received::All, note: None };
            (brokers.kafka, brokers.rabbitmq) = (Some(own.clone()), Some(own));
        };
        check(all, &body("other", r#","worker":"attached""#), &[]);
    }
    check(|_| {}, r#"{"name":"__consumer_offsets","type":"kafka"}"#, &[("name", "reserved")]);
    let local = |brokers: &mut Brokers| brokers.guard = Guard::operator().with_loopback(true);
    check(local, r#"{"name":"a","type":"kafka","url":"localhost:9092,[::1]:9092"}"#, &[]);
    check(local, r#"{"name":"a","type":"kafka","url":"169.254.169.254:9092"}"#, &[("url", "address")]);

    let without_tls = |more: &str, expect: &[(&str, &str)]| {
        let body =
            format!(r#"{{"name":"a","type":"kafka","url":"b.kafka.eu-west-1.amazonaws.com:9092"{more}}}"#);
        check(|brokers| brokers.kafka_tls = false, &body, expect);
    };
    let user = r#","username":"u","password":"p""#;
    let [sasl, tls] = ["sasl", "tls"].map(|path| [(path, "not-in-this-build")]);
    without_tls("", &[]);
    without_tls(r#","tls":true"#, &tls);
    without_tls(user, &sasl);
    without_tls(&format!(r#"{user},"tls":false"#), &sasl);
    without_tls(&format!(r#"{user},"sasl":"plain""#), &tls);
    without_tls(&format!(r#"{user},"sasl":"plain","tls":false"#), &[]);
    without_tls(r#","sasl":"aws-msk-iam""#, &sasl);
}
