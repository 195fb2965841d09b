//! `require`: which file a name stands for.

use mlua::Lua;

use super::{natives::Refusal, vm::World};

/// A name of a library (`@std/json`), of a package's module (`@pkg/on-boarding/letters`, which may lie in its `lib` folder), or one
/// relative to the file that asks (`./letters`, `../lib/letters`).
pub(super) fn resolve(lua: &Lua, world: &World, path: &str) -> Result<String, Refusal> {
    let unknown = |message: String| Err(Refusal::new("no-module", message));
    if path.starts_with("@std/") {
        return match world.libraries.iter().find(|name| *name == path) {
            Some(name) => Ok(name.clone()),
            None => {
                unknown(format!("there is no library {path:?}; there are: {}", world.libraries.join(", ")))
            }
        };
    }
    let candidates = if let Some(rest) = path.strip_prefix("@pkg/") {
        let in_lib = rest.split_once('/').map(|(package, module)| format!("{package}/lib/{module}"));
        [Some(rest.to_owned()), in_lib]
    } else if path.starts_with("./") || path.starts_with("../") {
        [asking_file(lua, world).and_then(|asking| relative(&asking, path)), None]
    } else {
        return unknown(format!(
            "a module's name begins with @std/, @pkg/, ./ or ../, and {path:?} does not"
        ));
    };
    match candidates.into_iter().flatten().find(|name| is_users(world, name)) {
        Some(name) => Ok(name),
        None => unknown(format!("there is no module {path:?}")),
    }
}

fn is_users(world: &World, name: &str) -> bool {
    !name.starts_with('@') && world.files.contains_key(name)
}

/// The innermost file of the bundle on the stack.
fn asking_file(lua: &Lua, world: &World) -> Option<String> {
    (1..16).find_map(|level| {
        let source =
            lua.inspect_stack(level, |frame| frame.source().source.map(|source| source.into_owned()))??;
        let name = source.trim_start_matches('=');
        is_users(world, name).then(|| name.to_owned())
    })
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
    use super::relative;

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
}
