//! What decimals hold outside of their machine's memory, whose limit does not see it.

use std::{cell::Cell, rc::Rc};

use mlua::Lua;

/// What a decimal takes beside its text: counters, lock, the blocks of the allocator.
const DECIMAL_BYTES: usize = 96;

/// One machine's room for decimals. They are garbage like all else, but weigh nothing where the collector looks.
#[derive(Clone)]
pub(crate) struct Room(Rc<Counts>);

struct Counts {
    held_bytes: Cell<usize>,
    /// Taken since the machine last collected for lack of room.
    taken_bytes: Cell<usize>,
    max_bytes: usize,
}

/// A part of the room, given back when it is dropped.
pub(super) struct Place {
    room: Room,
    bytes: usize,
}

impl Room {
    /// Gives a machine so much room for decimals.
    pub(crate) fn furnish(lua: &Lua, max_bytes: usize) {
        let counts = Counts { held_bytes: Cell::new(0), taken_bytes: Cell::new(0), max_bytes };
        lua.set_app_data(Room(Rc::new(counts)));
    }

    /// Takes what a decimal of so long a text needs; nothing where the machine has no such limit. A full room is collected
    /// first, but only when much was taken since the last time: else a hoarder would make each decimal cost a collection.
    pub(super) fn take(lua: &Lua, text: &str) -> mlua::Result<Option<Place>> {
        let Some(room) = lua.app_data_ref::<Room>().map(|room| room.clone()) else { return Ok(None) };
        let (bytes, counts) = (DECIMAL_BYTES + text.len(), &room.0);
        if counts.held_bytes.get() + bytes > counts.max_bytes
            && counts.taken_bytes.get() > counts.max_bytes / 4
        {
            lua.gc_collect()?;
            counts.taken_bytes.set(0);
        }
        if counts.held_bytes.get() + bytes > counts.max_bytes {
            return Err(mlua::Error::MemoryError("decimals".to_owned()));
        }
        counts.held_bytes.set(counts.held_bytes.get() + bytes);
        counts.taken_bytes.set(counts.taken_bytes.get() + bytes);
        Ok(Some(Place { room, bytes }))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let held = &self.room.0.held_bytes;
        held.set(held.get() - self.bytes);
    }
}
