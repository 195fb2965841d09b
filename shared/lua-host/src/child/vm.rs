//! One machine: a hardened Luau state that runs one message at a time.

use std::{cell::RefCell, collections::HashMap, rc::Rc};

use mlua::{
    Function, Lua, LuaOptions, StdLib, Table,
    chunk::ChunkMode,
    state::{GcIncParams, GcMode},
};

use super::{natives, run::Run};
use crate::{
    convert::Room,
    std_files::PRELUDE,
    walls::machine::{self, Coroutine},
    wire::{Hello, JobFrame},
};

/// What the sandbox was told at its start, shared by all machines.
pub(super) struct World {
    pub(super) memory_bytes: usize,
    pub(super) max_log_bytes: usize,
    pub(super) max_reply_bytes: usize,
    /// Bytecode by name, from the parent.
    pub(super) files: HashMap<String, Vec<u8>>,
    /// The `@std/...` names, in an order in which each comes after those it needs.
    pub(super) libraries: Vec<String>,
    /// The native function of this crate's own tests.
    pub(super) probe: Option<fn(&str) -> String>,
}

impl World {
    pub(super) fn new(hello: Hello, probe: Option<fn(&str) -> String>) -> World {
        let names = hello.files.iter().map(|(name, _)| name.clone());
        World {
            memory_bytes: hello.memory_bytes_per_vm as usize,
            max_log_bytes: hello.max_log_bytes as usize,
            max_reply_bytes: hello.max_reply_bytes as usize,
            libraries: names.filter(|name| name.starts_with("@std/")).collect(),
            files: hello.files.into_iter().collect(),
            probe,
        }
    }
}

/// What the natives of one machine share.
pub(super) struct Desk {
    pub(super) world: Rc<World>,
    /// The metatable of every JSON array.
    pub(super) arrays: Table,
    pub(super) run: RefCell<Option<Run>>,
}

impl Desk {
    /// Does something with the present run. Natives are only called while there is one.
    pub(super) fn with<T>(&self, act: impl FnOnce(&mut Run) -> T) -> mlua::Result<T> {
        let mut run = self.run.borrow_mut();
        run.as_mut().map(act).ok_or_else(|| mlua::Error::runtime("no message is being handled"))
    }
}

pub(super) struct Vm {
    lua: Lua,
    boot: Function,
    pub(super) desk: Rc<Desk>,
}

/// What the machine has of its own; the rest is the prelude's.
fn libraries() -> StdLib {
    StdLib::TABLE
        | StdLib::STRING
        | StdLib::MATH
        | StdLib::COROUTINE
        | StdLib::UTF8
        | StdLib::BIT
        | StdLib::BUFFER
}

/// What loads code, reads other functions' worlds, or touches the collector.
const REMOVED: &[&str] = &[
    "loadstring",
    "load",
    "getfenv",
    "setfenv",
    "newproxy",
    "collectgarbage",
    "gcinfo",
    "print",
    "debug",
    "dofile",
];

impl Vm {
    pub(super) fn new(world: &Rc<World>) -> mlua::Result<Vm> {
        // With `catch_rust_panics` the machine keeps its own `pcall`, which alone lets a coroutine pause within it.
        let lua = Lua::new_with(libraries(), LuaOptions::new().catch_rust_panics(true))?;
        // A refused allocation does not make the machine collect first, so it must not fall far behind with its garbage.
        lua.gc_set_mode(GcMode::Incremental(
            GcIncParams::default().goal(150).step_multiplier(400).step_size(256),
        ));
        let globals = lua.globals();
        for name in REMOVED {
            globals.raw_remove(*name)?;
        }
        let arrays = lua.create_table()?;
        arrays.set_readonly(true);
        let desk = Rc::new(Desk { world: Rc::clone(world), arrays, run: RefCell::new(None) });
        let natives = natives::table(&lua, &desk)?;
        natives.raw_set("pause", machine::prepare(&lua)?)?;
        natives.set_readonly(true);
        if let Some(probe) = world.probe {
            globals.raw_set("probe", lua.create_function(move |_, what: String| Ok(probe(&what)))?)?;
        }
        let boot = load(&lua, world, PRELUDE)?.call(natives)?;
        lua.sandbox(true)?;
        lua.set_memory_limit(world.memory_bytes)?;
        Room::furnish(&lua, world.memory_bytes / 4);
        Ok(Vm { lua, boot, desk })
    }

    /// Makes a run ready. Its globals are its own: what it writes there is gone with it.
    pub(super) fn start(&self, job: JobFrame) -> mlua::Result<Coroutine> {
        let thread = self.lua.create_thread(self.boot.clone())?;
        thread.sandbox()?;
        *self.desk.run.borrow_mut() = Some(Run::new(job, self.desk.world.max_log_bytes));
        Ok(Coroutine::new(thread))
    }

    /// Whether so little of the last run is left that the next one starts as a first.
    pub(super) fn is_lean(&self) -> bool {
        self.lua.used_memory() < self.desk.world.memory_bytes / 4
    }
}

/// Loads a file into the running coroutine's world.
pub(super) fn load(lua: &Lua, world: &World, name: &str) -> mlua::Result<Function> {
    let bytecode =
        world.files.get(name).ok_or_else(|| mlua::Error::runtime(format!("there is no file {name}")))?;
    lua.load(bytecode.as_slice()).set_name(format!("={name}")).set_mode(ChunkMode::Binary).into_function()
}
