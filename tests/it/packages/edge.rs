//! What the API takes, shows and refuses of packages.

use serde_json::{Value, json};

use super::{Shop, teller};

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_compile_is_refused_with_file_and_line_and_nothing_changes() {
    let shop = Shop::open().await;
    shop.release("shop", json!({"pay.luau": teller("one")})).await;
    let before = shop.house.get("package/shop").await.body;
    let refused = async |files: Value, status: u16, expect: &[(&str, &str, &str)]| {
        let answer = shop.house.post("package/shop/release", &json!({"files": files})).await;
        assert_eq!(answer.status, status, "{files}: {}", answer.body);
        for (error, (path, code, part)) in answer.errors().iter().zip(expect) {
            assert_eq!((&error["path"], &error["code"]), (&json!(path), &json!(code)), "{}", answer.body);
            assert!(error["message"].as_str().unwrap().contains(part), "{part} in {}", answer.body);
        }
        assert_eq!(answer.errors().len(), expect.len(), "{}", answer.body);
    };
    let files = json!({
        "pay.luau": "local x = 1\n\nlocal = 2\n",
        "lib/check.luau": "return {",
        "lib/ok.luau": "return {}",
    });
    refused(
        files,
        422,
        &[("files/lib~1check.luau", "syntax", "line 1"), ("files/pay.luau", "syntax", "line 3")],
    )
    .await;
    let files = json!({"a.luau": "-- require('./gone')\nrequire('./lib/gone'); require('@std/jsn')"});
    refused(files, 422, &[("files/a.luau", "syntax", "lib/gone"), ("files/a.luau", "syntax", "jsn")]).await;
    refused(json!({"../a.luau": "return 1"}), 422, &[("files/..~1a.luau", "file-name", "")]).await;
    refused(json!({"a.luau": 1}), 422, &[("files/a.luau", "type", "")]).await;
    let files = json!({"a.luau": "return 1", "package.json": "{\"secrets\":[\"no\"],\"x\":1}"});
    refused(
        files,
        422,
        &[("files/package.json/secrets/0", "secret-name", ""), ("files/package.json/x", "unknown-field", "")],
    )
    .await;
    refused(json!({}), 422, &[("files", "required", "")]).await;
    let many: serde_json::Map<String, Value> =
        (0..201).map(|n| (format!("f{n}.luau"), json!("return 1"))).collect();
    refused(Value::Object(many), 422, &[("files", "count", "200")]).await;
    let long = json!({"a.luau": "x".repeat(1024 * 1024 + 1)});
    refused(long, 413, &[("files/a.luau", "too-large", "1048576")]).await;
    let flood = json!({"files": {"a.luau": "require'x' ".repeat(90_000)}});
    let answer = shop.house.post("package/shop/release", &flood).await;
    assert!(answer.status == 422 && (1..=200).contains(&answer.errors().len()), "{}", answer.errors().len());
    let folder = shop.house.post("package/lib/release", &json!({"files": {"a.luau": "return 1"}})).await;
    assert_eq!((folder.status, &folder.errors()[0]["code"]), (422, &json!("package-name")));
    let large = "x".repeat(4 * 1024 * 1024 + 1);
    refused(json!({"a.luau": large}), 413, &[("files", "too-large", "")]).await;
    for body in ["{}", "[]", "{\"files\":[]}", "{\"files\":{\"a.luau\":\"return 1\"},\"more\":1}"] {
        let answer = shop.house.send("POST", "package/shop/release", body, &[]).await;
        assert_eq!(answer.status, 422, "{body}: {}", answer.body);
    }
    assert_eq!(shop.house.get("package/shop").await.body, before);
    shop.house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_is_read_back_as_it_was_sent_and_the_same_again_makes_none() {
    let shop = Shop::open().await;
    let files = json!({
        "pay.luau": teller("é"),
        "lib/empty.luau": "",
        "package.json": "{\"description\":\"Takes money.\"}",
    });
    let made = shop.release("shop", files.clone()).await;
    assert_eq!((&made["release"], &made["handlers"]), (&json!(1), &json!(["shop/pay"])));
    let read = shop.house.get("package/shop/release/1").await;
    assert_eq!((read.status, &read.body["files"]), (200, &files), "{}", read.body);
    assert_eq!(read.body["digest"], made["digest"]);
    let again = shop.house.post("package/shop/release", &json!({"files": files})).await;
    assert_eq!((again.status, &again.body["release"]), (200, &json!(1)), "{}", again.body);
    let inactive = json!({"files": {"pay.luau": "return 1"}, "activate": false});
    let inactive = shop.house.post("package/shop/release", &inactive).await;
    assert_eq!((inactive.status, &inactive.body["active"]), (201, &json!(false)), "{}", inactive.body);
    assert_eq!(inactive.body["active-from"], Value::Null);
    let package = shop.house.get("package/shop").await.body;
    assert_eq!((&package["active"], &package["latest"]), (&json!(1), &json!(2)));
    assert_eq!(package["description"], "Takes money.");
    let listed = shop.house.get("package?search=SHO&limit=1").await.body;
    assert_eq!((&listed["packages"][0]["package"], &listed["cursor"]), (&json!("shop"), &Value::Null));
    let paged = shop.house.get("package/shop?limit=1").await.body;
    assert_eq!((&paged["releases"][0]["release"], &paged["cursor"]), (&json!(2), &json!("2")));
    let paged = shop.house.get("package/shop?limit=1&cursor=2").await.body;
    assert_eq!((&paged["releases"][0]["release"], &paged["cursor"]), (&json!(1), &Value::Null));
    for missing in ["package/shop/release/3", "package/shop/release/x", "package/other"] {
        assert_eq!(shop.house.get(missing).await.status, 404, "{missing}");
    }
    let unknown = shop.house.put("package/shop/active", &json!({"release": 9})).await;
    assert_eq!((unknown.status, &unknown.errors()[0]["path"]), (422, &json!("release")));
    shop.house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_secret_is_refused_without_being_shown() {
    let shop = Shop::open().await;
    let too_long = json!({"value": "CANARY".repeat(1000)}).to_string();
    for (path, body, status) in [
        ("package/shop/secret/lower", "{\"value\":\"CANARY\"}", 422),
        ("package/shop/secret/A", "{\"value\":\"\"}", 422),
        ("package/shop/secret/A", "{\"value\":7}", 422),
        ("package/shop/secret/A", "{}", 422),
        ("package/shop/secret/A", "{\"value\":\"CANARY\",\"more\":1}", 422),
        ("package/shop/secret/A", too_long.as_str(), 422),
        ("package/sh%20op/secret/A", "{\"value\":\"CANARY\"}", 422),
    ] {
        let answer = shop.house.send("PUT", path, body, &[]).await;
        assert_eq!(answer.status, status, "{path} {body}: {}", answer.body);
        assert!(!answer.body.to_string().contains("CANARY"), "{}", answer.body);
    }
    shop.house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_writes_only_the_packages_it_may() {
    let shop = Shop::open().await;
    shop.release("shop", json!({"pay.luau": "return 1"})).await;
    shop.release("other", json!({"pay.luau": "return 1"})).await;
    let writer = shop.house.key(&["package:write:shop"]).await;
    let reader = shop.house.key(&["package:read:shop"]).await;
    let queues = shop.house.key(&["queue:write:*", "queue:read:*"]).await;
    let release = "{\"files\":{\"pay.luau\":\"return 2\"}}";
    let secret = "{\"value\":\"x\"}";
    for (key, method, path, body, status) in [
        (&writer, "POST", "package/shop/release", release, 201),
        (&writer, "PUT", "package/shop/secret/A", secret, 204),
        (&writer, "POST", "package/other/release", release, 403),
        (&writer, "PUT", "package/other/secret/A", secret, 403),
        (&writer, "DELETE", "package/other", "", 403),
        (&writer, "DELETE", "package/gone", "", 403),
        (&writer, "GET", "package/shop", "", 403),
        (&reader, "GET", "package/shop", "", 200),
        (&reader, "GET", "package/shop/release/1", "", 200),
        (&reader, "GET", "package/other", "", 403),
        (&reader, "POST", "package/shop/release", release, 403),
        (&reader, "PUT", "package/shop/active", "{\"release\":1}", 403),
        (&reader, "DELETE", "package/shop/secret/A", "", 403),
        (&queues, "GET", "package", "", 403),
        (&queues, "GET", "package/gone", "", 403),
    ] {
        let answer = shop.house.send(method, path, body, &[("authorization", key.as_str())]).await;
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.body);
    }
    let listed = shop.house.send("GET", "package", "", &[("authorization", reader.as_str())]).await.body;
    assert_eq!(listed["packages"].as_array().unwrap().len(), 1, "{listed}");
    shop.house.stop().await;
}
