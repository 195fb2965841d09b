//! `require`: which file a name stands for.

use mlua::Lua;

use super::{refusal::Refusal, vm::World};
use crate::names::{Wanted, nonsense, wanted};

/// The name of the file, of a library or of users, that `path` stands for: see [`wanted`].
pub(super) fn resolve(lua: &Lua, world: &World, path: &str) -> Result<String, Refusal> {
    let unknown = |message: String| Err(Refusal::new("no-module", message));
    let candidates = match wanted(path, || asking_file(lua, world)) {
        Wanted::Library => {
            return match world.libraries.iter().find(|name| *name == path) {
                Some(name) => Ok(name.clone()),
                None => unknown(format!(
                    "there is no library {path:?}; there are: {}",
                    world.libraries.join(", ")
                )),
            };
        }
        Wanted::Nonsense => return unknown(nonsense(path)),
        Wanted::File(candidates) => candidates,
    };
    match candidates.into_iter().find(|name| is_users(world, name)) {
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
