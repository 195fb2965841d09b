#![allow(clippy::unwrap_used, reason = "a test may panic")]
use super::*;
use proptest::prelude::*;

fn found(faults: &Faults) -> Vec<(&str, &str)> {
    faults.0.iter().map(|fault| (fault.path.as_str(), fault.code)).collect()
}

fn files(names: &[&str]) -> BTreeMap<String, String> {
    names.iter().map(|name| ((*name).to_owned(), "return 1".to_owned())).collect()
}

#[test]
fn files_lie_where_a_package_has_them() {
    let good = ["signup.luau", "lib/check.luau", "lib/a/b_c-1.luau", "tests/signup.luau"];
    PackageFiles::check(files(&good)).unwrap();
    for bad in [
        "../signup.luau",
        "lib/../signup.luau",
        "/signup.luau",
        "./signup.luau",
        "lib//signup.luau",
        "lib\\signup.luau",
        "sign up.luau",
        ".luau",
        ".hidden.luau",
        "signup.lua",
        "lib/package.json",
        "other/signup.luau",
        "é.luau",
        "lib/a/a/a/a/a/a/a/a.luau",
        "",
    ] {
        let faults = PackageFiles::check(files(&["a.luau", bad])).unwrap_err();
        assert_eq!(found(&faults), [(package_file_path(bad).as_str(), "file-name")], "{bad}");
    }
}

/// Their files would be nobody's modules and tests: `lib/pay` is no handler, whatever the package.
#[test]
fn no_package_is_called_after_a_folder_that_packages_have() {
    for name in ["lib", "tests", "", "a b", "a/b", "..", "é"] {
        assert_eq!(PackageName::parse(name).unwrap_err().code, "package-name", "{name}");
    }
    for name in ["shop", "Lib", "lib2", "on-boarding_2"] {
        PackageName::parse(name).unwrap();
    }
}

#[test]
fn every_fault_of_a_package_is_named_at_its_file() {
    let mut given = files(&["lib/x y.luau", "b.txt"]);
    given.insert(PACKAGE_SETTINGS.into(), r#"{"secrets":["ok","A"],"descripton":"x"}"#.into());
    let faults = PackageFiles::check(given).unwrap_err();
    let expect = [
        ("files/b.txt", "file-name"),
        ("files/lib~1x y.luau", "file-name"),
        ("files/package.json/descripton", "unknown-field"),
        ("files/package.json/secrets/0", "secret-name"),
    ];
    assert_eq!(found(&faults), expect);
}

#[test]
fn a_package_has_its_bounds() {
    let check = |given: BTreeMap<String, String>, expect: (&str, &str)| {
        assert_eq!(found(&PackageFiles::check(given).unwrap_err()), [expect]);
    };
    check(BTreeMap::new(), ("files", "required"));
    let many = (0..=MAX_PACKAGE_FILES).map(|n| (format!("f{n}.luau"), String::new()));
    check(many.collect(), ("files", "count"));
    let large = [("a.luau".to_owned(), "-".repeat(MAX_PACKAGE_BYTES + 1))];
    check(large.into(), ("files", "too-large"));
    let long = [("a.luau".to_owned(), "-".repeat(MAX_PACKAGE_FILE_BYTES + 1))];
    check(long.into(), ("files/a.luau", "too-large"));
    let exact = (0..4).map(|n| (format!("f{n}.luau"), "-".repeat(MAX_PACKAGE_FILE_BYTES)));
    PackageFiles::check(exact.collect()).unwrap();
}

#[test]
fn settings_say_what_is_wrong_with_them() {
    let check = |text: &str, expect: &[(&str, &str)]| {
        assert_eq!(found(&PackageSettings::parse(text).err().unwrap_or_default()), expect, "{text}");
    };
    check(r#"{"secrets":["STRIPE_KEY","A1_"],"description":"Pays."}"#, &[]);
    check("{}", &[]);
    check("[]", &[("", "type")]);
    check("{", &[("", "not-json")]);
    check(r#"{"secrets":"A"}"#, &[("secrets", "type")]);
    check(
        r#"{"secrets":[1,"1A","a","_A",""]}"#,
        &[
            ("secrets/0", "secret-name"),
            ("secrets/1", "secret-name"),
            ("secrets/2", "secret-name"),
            ("secrets/3", "secret-name"),
            ("secrets/4", "secret-name"),
        ],
    );
    check(r#"{"secrets":[],"secrets":[]}"#, &[("secrets", "duplicate-key")]);
    let many: Vec<String> = (0..33).map(|n| format!("\"A{n}\"")).collect();
    check(&format!("{{\"secrets\":[{}]}}", many.join(",")), &[("secrets", "count")]);
}

#[test]
fn handlers_are_the_files_at_the_top() {
    let files = PackageFiles::check(files(&["b.luau", "a.luau", "lib/c.luau", "tests/a.luau"])).unwrap();
    let release = Release {
        package: PackageName::parse("shop").unwrap(),
        number: 1,
        files: files.manifest(),
        settings: files.settings().clone(),
        note: None,
        created_at: Timestamp::UNIX_EPOCH,
    };
    assert_eq!(release.handlers(), ["shop/a", "shop/b"]);
}

proptest! {
    #[test]
    fn two_packages_share_a_digest_only_when_their_files_are_the_same(
        one in proptest::collection::btree_map("[a-c]{1,3}", "[x-z]{0,3}", 0..4),
        other in proptest::collection::btree_map("[a-c]{1,3}", "[x-z]{0,3}", 0..4),
    ) {
        let of = |files: &BTreeMap<String, String>| {
            digest(&files.iter().map(|(name, text)| (name.clone(), PackageFile::of(text))).collect())
        };
        prop_assert_eq!(of(&one) == of(&other), one == other);
        prop_assert_eq!(of(&one).len(), 64);
    }
}
