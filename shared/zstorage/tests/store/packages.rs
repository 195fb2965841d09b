use std::collections::BTreeMap;

use domain::{PackageFiles, PackageName, PackageSet, Sealed, SecretName};
use futures::future::join_all;
use zstorage::{Catalog, Cursor, PackageError};

use crate::house::House;

fn name(text: &str) -> PackageName {
    PackageName::parse(text).unwrap()
}

fn secret(text: &str) -> SecretName {
    SecretName::parse(text).unwrap()
}

fn files(texts: &[(&str, &str)]) -> PackageFiles {
    let files: BTreeMap<_, _> =
        texts.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
    PackageFiles::check(files).unwrap()
}

async fn release(catalog: &Catalog, package: &str, text: &str) -> u32 {
    let made = catalog.release_package(&name(package), &files(&[("a.luau", text)]), None, true).await;
    made.unwrap().release.number
}

async fn set(catalog: &Catalog) -> (u64, Vec<(String, u32)>) {
    let PackageSet { version, releases } = catalog.package_set().await.unwrap();
    (version, releases.into_iter().map(|(name, release)| (name.to_string(), release)).collect())
}

#[tokio::test]
async fn a_release_is_read_back_byte_for_byte_in_parts_and_shares_files_with_others() {
    let house = House::new().await;
    let catalog = house.catalog();
    let large = "é".repeat(500_000);
    let first = files(&[
        ("a.luau", &large),
        ("lib/empty.luau", ""),
        ("lib/same.luau", "return 1"),
        ("lib/twin.luau", "return 1"),
        ("package.json", r#"{"secrets":["A"],"description":"d"}"#),
    ]);
    let made = catalog.release_package(&name("shop"), &first, Some("why"), true).await.unwrap();
    assert!(made.new);
    let found = house.catalog().package_release(&name("shop"), 1).await.unwrap().unwrap();
    assert_eq!(found, made.release);
    assert_eq!((found.note.as_deref(), found.settings.description.as_deref()), (Some("why"), Some("d")));
    for (path, text) in first.iter() {
        assert_eq!(catalog.package_file(&found.files[path]).await.unwrap(), text, "{path}");
    }
    let before = house.items("catalog").await;
    let second = files(&[("a.luau", &large), ("lib/same.luau", "return 2")]);
    catalog.release_package(&name("shop"), &second, None, true).await.unwrap();
    assert_eq!(house.items("catalog").await, before + 2, "a manifest and the one new file");
}

#[tokio::test]
async fn the_same_files_as_the_active_release_make_no_new_one() {
    let house = House::new().await;
    let catalog = house.catalog();
    assert_eq!(release(&catalog, "shop", "return 1").await, 1);
    let again =
        catalog.release_package(&name("shop"), &files(&[("a.luau", "return 1")]), None, true).await.unwrap();
    assert_eq!((again.new, again.release.number), (false, 1));
    assert_eq!(set(&catalog).await, (1, vec![("shop".into(), 1)]));
    assert_eq!(release(&catalog, "shop", "return 2").await, 2);
    assert_eq!(release(&catalog, "shop", "return 1").await, 3, "an older release is not the active one");
}

#[tokio::test]
async fn ten_releases_at_once_have_ten_numbers_and_none_is_lost() {
    let house = House::new().await;
    let made = join_all((0..10).map(|n| {
        let catalog = house.catalog();
        async move { release(&catalog, "shop", &format!("return {n}")).await }
    }));
    let mut numbers = made.await;
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=10).collect::<Vec<_>>());
    let catalog = house.catalog();
    let package = catalog.package(&name("shop")).await.unwrap().unwrap();
    assert_eq!((package.latest, package.active), (10, Some(10)));
    assert_eq!(set(&catalog).await, (10, vec![("shop".into(), 10)]));
    for n in 1..=10 {
        assert!(catalog.package_release(&name("shop"), n).await.unwrap().is_some(), "{n}");
    }
}

#[tokio::test]
async fn releases_of_different_packages_at_once_are_all_in_the_set() {
    let house = House::new().await;
    let made = join_all((0..6).map(|n| {
        let catalog = house.catalog();
        async move { release(&catalog, &format!("p{n}"), "return 1").await }
    }));
    assert_eq!(made.await, [1; 6]);
    let expect: Vec<(String, u32)> = (0..6).map(|n| (format!("p{n}"), 1)).collect();
    assert_eq!(set(&house.catalog()).await, (6, expect));
}

#[tokio::test]
async fn the_active_release_goes_back_and_forth_and_the_set_tells_of_each_step() {
    let house = House::new().await;
    let catalog = house.catalog();
    for text in ["return 1", "return 2"] {
        release(&catalog, "shop", text).await;
    }
    for (wanted, version, releases) in [
        (Some(1), 3, vec![("shop".to_owned(), 1)]),
        (Some(1), 3, vec![("shop".to_owned(), 1)]),
        (None, 4, vec![]),
        (Some(2), 5, vec![("shop".to_owned(), 2)]),
    ] {
        let package = catalog.activate_package(&name("shop"), wanted).await.unwrap();
        assert_eq!(package.active, wanted);
        assert_eq!(set(&catalog).await, (version, releases));
    }
    for wrong in [0, 3] {
        let error = catalog.activate_package(&name("shop"), Some(wrong)).await.unwrap_err();
        assert!(matches!(error, PackageError::NoRelease(n) if n == wrong), "{error}");
    }
    let error = catalog.activate_package(&name("other"), None).await.unwrap_err();
    assert!(matches!(error, PackageError::Missing), "{error}");
}

#[tokio::test]
async fn an_inactive_release_changes_nothing_that_is_at_work() {
    let house = House::new().await;
    let catalog = house.catalog();
    release(&catalog, "shop", "return 1").await;
    let made =
        catalog.release_package(&name("shop"), &files(&[("a.luau", "return 2")]), None, false).await.unwrap();
    assert_eq!((made.release.number, made.package.active, made.package.latest), (2, Some(1), 2));
    assert_eq!(set(&catalog).await, (1, vec![("shop".into(), 1)]));
}

#[tokio::test]
async fn a_secret_is_kept_sealed_before_any_release_and_each_change_of_it_is_in_the_sets_version() {
    let house = House::new().await;
    let catalog = house.catalog();
    let (shop, key) = (name("shop"), secret("KEY"));
    catalog.set_package_secret(&shop, &key, &Sealed(vec![1])).await.unwrap();
    assert_eq!(set(&catalog).await, (1, vec![]));
    release(&catalog, "shop", "return 1").await;
    catalog.set_package_secret(&shop, &key, &Sealed(vec![2])).await.unwrap();
    assert_eq!(catalog.package_secret(&shop, &key).await.unwrap(), Some(Sealed(vec![2])));
    assert_eq!(catalog.package_secret(&name("other"), &key).await.unwrap(), None);
    assert_eq!(catalog.package_secrets(&shop).await.unwrap(), [key.clone()].into());
    assert_eq!(set(&catalog).await.0, 3);
    assert!(catalog.delete_package_secret(&shop, &key).await.unwrap());
    assert!(!catalog.delete_package_secret(&shop, &key).await.unwrap());
    assert_eq!((catalog.package_secrets(&shop).await.unwrap().len(), set(&catalog).await.0), (0, 4));
}

#[tokio::test]
async fn a_deleted_package_is_gone_with_its_secrets_and_its_name_is_free() {
    let house = House::new().await;
    let catalog = house.catalog();
    let shop = name("shop");
    release(&catalog, "shop", "return 1").await;
    release(&catalog, "other", "return 1").await;
    catalog.set_package_secret(&shop, &secret("KEY"), &Sealed(vec![1])).await.unwrap();
    catalog.delete_package(&shop).await.unwrap();
    assert_eq!(catalog.package(&shop).await.unwrap(), None);
    assert_eq!(catalog.package_release(&shop, 1).await.unwrap(), None);
    assert!(catalog.package_secrets(&shop).await.unwrap().is_empty());
    assert_eq!(set(&catalog).await, (4, vec![("other".into(), 1)]));
    assert!(matches!(catalog.delete_package(&shop).await, Err(PackageError::Missing)));
    assert_eq!(release(&catalog, "shop", "return 2").await, 1);
}

#[tokio::test]
async fn packages_and_releases_are_listed_page_by_page() {
    let house = House::new().await;
    let catalog = house.catalog();
    for package in ["b", "a", "Shop"] {
        release(&catalog, package, "return 0").await;
    }
    let names = async |search: Option<&str>, limit, cursor: Option<&Cursor>| {
        let page = catalog.list_packages(search, limit, cursor).await.unwrap();
        (page.items.iter().map(|package| package.name.to_string()).collect::<Vec<_>>(), page.next)
    };
    assert_eq!(names(Some("SHO"), 10, None).await.0, ["Shop"]);
    let (first, next) = names(None, 2, None).await;
    assert_eq!(
        (first, names(None, 2, next.as_ref()).await),
        (vec!["Shop".into(), "a".into()], (vec!["b".into()], None))
    );
    for n in 1..7 {
        release(&catalog, "a", &format!("return {n}")).await;
    }
    catalog.set_package_secret(&name("a"), &secret("KEY"), &Sealed(vec![1])).await.unwrap();
    let package = catalog.package(&name("a")).await.unwrap().unwrap();
    let (mut seen, mut cursor) = (Vec::new(), None);
    loop {
        let page = catalog.package_releases(&package, 3, cursor.as_ref()).await.unwrap();
        seen.extend(page.items.iter().map(|release| release.number));
        cursor = page.next.map(|next| Cursor::of::<u32>(&next.to_string()).unwrap());
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(seen, [7, 6, 5, 4, 3, 2, 1]);
}
