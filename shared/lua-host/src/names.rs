//! What a module's name in `require` stands for: said once, for the sandbox that loads and for the check before a save.

/// How the names of modules begin.
pub(crate) const LIBRARY: &str = "@std/";
const PACKAGE: &str = "@pkg/";

/// What a name asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// A library, by its whole name: `@std/json`.
    Library,
    /// The first of these files of the bundle that exists.
    File(Vec<String>),
    /// A name of no such form.
    Nonsense,
}

/// What `path` asks for: a library (`@std/json`), a package's module (`@pkg/on-boarding/letters`, which may lie in its `lib` folder), or
/// a file relative to the one that asks (`./letters`, `../lib/letters`).
pub(crate) fn wanted(path: &str, asking: impl FnOnce() -> Option<String>) -> Wanted {
    if path.starts_with(LIBRARY) {
        Wanted::Library
    } else if let Some(rest) = path.strip_prefix(PACKAGE) {
        let in_lib = rest.split_once('/').map(|(package, module)| format!("{package}/lib/{module}"));
        Wanted::File([Some(rest.to_owned()), in_lib].into_iter().flatten().collect())
    } else if path.starts_with("./") || path.starts_with("../") {
        Wanted::File(asking().and_then(|asking| relative(&asking, path)).into_iter().collect())
    } else {
        Wanted::Nonsense
    }
}

/// The package that a name is about, where it names one.
pub(crate) fn package_of(path: &str) -> Option<&str> {
    path.strip_prefix(PACKAGE)?.split('/').next()
}

/// What is said to a name of no form that we know.
pub(crate) fn nonsense(path: &str) -> String {
    format!("a module's name begins with @std/, @pkg/, ./ or ../, and {path:?} does not")
}

/// `a/b/c` and `../d` make `a/d`; nothing climbs out of the bundle.
fn relative(asking: &str, path: &str) -> Option<String> {
    let mut parts: Vec<&str> = asking.split('/').collect();
    parts.pop();
    for part in path.split('/') {
        match part {
            "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relative_names_are_resolved_from_the_asking_file() {
        let check = |asking: &str, path: &str, expect: Option<&str>| {
            assert_eq!(relative(asking, path).as_deref(), expect, "{asking} {path}");
        };
        check("a/b", "./c", Some("a/c"));
        check("a/tests/b", "../lib/c", Some("a/lib/c"));
        check("a/b", "../c", Some("c"));
        check("a/b", "../../c", None);
        check("b", "./lib/c", Some("lib/c"));
    }

    #[test]
    fn a_packages_module_may_lie_in_its_lib_folder() {
        let files = vec!["shop/price".to_owned(), "shop/lib/price".to_owned()];
        assert_eq!(wanted("@pkg/shop/price", || None), Wanted::File(files));
        assert_eq!(wanted("price", || None), Wanted::Nonsense);
    }
}
