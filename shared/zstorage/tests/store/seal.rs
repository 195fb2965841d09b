use std::sync::{Arc, Mutex};

use aws_credential_types::Credentials as AwsCredentials;
use aws_sdk_kms::config::{BehaviorVersion, Region};
use axum::http::{HeaderMap, StatusCode};
use axum::{Json, Router};
use domain::{Credentials, PackageName, Secret, SecretName};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use zstorage::{SealError, Sealer};

use crate::house::queue_id;

fn credentials(password: &str) -> Credentials {
    Credentials { username: Secret::new("AKIA-canary"), password: Secret::new(password) }
}

#[tokio::test]
async fn credentials_open_for_their_queue_alone_and_cannot_be_seen_sealed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    assert!(matches!(Sealer::from_key_file(&path), Err(SealError::KeyFile { .. })));
    Sealer::create_key_file(&path).unwrap();
    let (sealer, queue) = (Sealer::from_key_file(&path).unwrap(), queue_id());
    let given = credentials("canary \" é");
    let sealed = sealer.seal(queue, &given).await.unwrap();
    assert!(!sealed.0.windows(6).any(|bytes| bytes == b"canary"));
    assert_ne!(sealer.seal(queue, &given).await.unwrap(), sealed, "no two seals are alike");
    let again = Sealer::from_key_file(&path).unwrap();
    assert!(again.open(queue, &sealed).await.unwrap() == given);
    assert!(matches!(again.open(queue_id(), &sealed).await.err(), Some(SealError::Closed)));
    let long = sealer.seal(queue, &credentials(&"x".repeat(5000))).await.err();
    assert!(matches!(long, Some(SealError::TooLong { .. })));
    assert_eq!(format!("{sealer:?} {sealed:?}"), "KeyFile(KeyFile(..)) Sealed(..)");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_opens_under_its_own_package_and_name_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    Sealer::create_key_file(&path).unwrap();
    let package = |name: &str| PackageName::parse(name).unwrap();
    let secret = |name: &str| SecretName::parse(name).unwrap();
    for sealer in [Sealer::from_key_file(&path).unwrap(), kms().await] {
        let given = Secret::new("canary \u{1F511}");
        let sealed = sealer.seal_secret(&package("shop"), &secret("A"), &given).await.unwrap();
        assert!(sealer.open_secret(&package("shop"), &secret("A"), &sealed).await.unwrap() == given);
        for (other, name) in [("shop", "B"), ("shop2", "A"), ("other", "A")] {
            let opened = sealer.open_secret(&package(other), &secret(name), &sealed).await;
            assert!(matches!(opened.err(), Some(SealError::Closed)), "{other} {name}");
        }
        assert!(matches!(sealer.open(queue_id(), &sealed).await.err(), Some(SealError::Closed)));
    }
}

/// A KMS that remembers the last thing it encrypted, under which context, and opens no other.
pub(crate) async fn kms() -> Sealer {
    let kept: Arc<Mutex<Value>> = Arc::default();
    let answer = async move |headers: HeaderMap, body: String| {
        let asked: Value = serde_json::from_str(&body).unwrap();
        let mut kept = kept.lock().unwrap();
        let failed = |code: &str| (StatusCode::BAD_REQUEST, Json(json!({"__type": code})));
        match headers["x-amz-target"].to_str().unwrap() {
            _ if asked["KeyId"] == "forbidden" => failed("AccessDeniedException"),
            "TrentService.Encrypt" => {
                *kept = asked;
                (StatusCode::OK, Json(json!({"CiphertextBlob": "c2VhbGVk"})))
            }
            "TrentService.GenerateDataKey" => {
                *kept = asked;
                kept["Plaintext"] = json!("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=");
                (StatusCode::OK, Json(json!({"CiphertextBlob": "c2VhbGVk", "Plaintext": kept["Plaintext"]})))
            }
            _ if asked["CiphertextBlob"] == "c2VhbGVk"
                && asked["EncryptionContext"] == kept["EncryptionContext"] =>
            {
                (StatusCode::OK, Json(json!({"Plaintext": kept["Plaintext"]})))
            }
            _ => failed("InvalidCiphertextException"),
        }
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let config = aws_sdk_kms::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .endpoint_url(format!("http://{}", listener.local_addr().unwrap()))
        .credentials_provider(AwsCredentials::new("test", "test", None, None, "test"))
        .http_client(aws_smithy_http_client::Builder::new().build_http());
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await });
    Sealer::Kms {
        client: aws_sdk_kms::Client::from_conf(config.build()).into(),
        key_id: "alias/queuelink".into(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn kms_seals_and_opens_under_the_context_of_the_queue() {
    let (sealer, queue, given) = (kms().await, queue_id(), credentials("canary"));
    let sealed = sealer.seal(queue, &given).await.unwrap();
    assert_eq!(sealed.0, b"sealed");
    assert!(sealer.open(queue, &sealed).await.unwrap() == given);
    assert!(matches!(sealer.open(queue_id(), &sealed).await.err(), Some(SealError::Closed)));
    let Sealer::Kms { client, .. } = sealer else { unreachable!("it was made so") };
    let forbidden = Sealer::Kms { client, key_id: "forbidden".into() };
    let error = forbidden.seal(queue, &given).await.unwrap_err();
    assert!(matches!(error, SealError::Kms { operation: "seal", .. }) && !error.is_retryable());
}
