//! Changes of a table's design, as values: what follows from a change, before anything is compiled or saved.

use std::collections::BTreeMap;

use domain::{
    ApiName, Fault, Faults, Field, FieldId, FieldKind, Index, IndexId, IndexState, Link, LinkId, LinkPayload,
    MAX_INDEXES, QueueId, Rule, Table, TablePrefix,
};

use crate::wanted::{WantedField, WantedIndex, WantedTable};

/// A table as it is to be saved.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Edit {
    pub(crate) table: Table,
    /// The index that a job has to build from what is stored.
    pub(crate) build: Option<IndexId>,
    /// Where in the table the part lies that the caller gave, such as `fields/3`: faults within it are told from there.
    pub(crate) part: String,
    /// What is wrong with that part already, told from there.
    pub(crate) faults: Faults,
    /// The queue that must be in use when this is saved: a link points there.
    pub(crate) queue: Option<QueueId>,
}

/// Fields and indexes of a new table, numbered.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Numbered {
    pub(crate) fields: Vec<Field>,
    pub(crate) next_field: u32,
    pub(crate) indexes: Vec<Index>,
    pub(crate) next_index: u32,
}

/// Where the tables that lookups name were found.
pub(crate) type Lookups = BTreeMap<ApiName, TablePrefix>;

impl From<Table> for Edit {
    fn from(table: Table) -> Edit {
        Edit { table, build: None, part: String::new(), faults: Faults::none(), queue: None }
    }
}

impl Edit {
    /// `table` as it is to be saved; the caller gave what lies at `part`.
    fn of(table: Table, part: String) -> Edit {
        Edit { part, ..Edit::from(table) }
    }
}

/// Numbers the fields and indexes of a new table. Nobody can have written to it yet, so all its indexes are ready.
pub(crate) fn numbered(wanted: &WantedTable, lookups: &Lookups) -> Result<Numbered, Faults> {
    let mut faults = Faults::none();
    let mut design = Numbered { fields: Vec::new(), next_field: 1, indexes: Vec::new(), next_index: 1 };
    for (at, field) in wanted.fields.iter().enumerate() {
        match in_place(field, FieldId(design.next_field), lookups) {
            Ok(field) => design.fields.push(field),
            Err(fault) => faults.0.push(fault.under(&format!("fields/{at}"))),
        }
        design.next_field += 1;
    }
    for (at, index) in wanted.indexes.iter().enumerate() {
        match index_of(index, &design.fields, &design.indexes, IndexId(design.next_index)) {
            Ok(index) => design.indexes.push(index),
            Err(found) => crate::wanted::under(&mut faults, &format!("indexes/{at}"), found),
        }
        design.next_index += 1;
    }
    for (field, numbered) in wanted.fields.iter().zip(&design.fields) {
        if field.unique {
            design.indexes.push(guard(numbered.id, IndexId(design.next_index), IndexState::Ready));
            design.next_index += 1;
        }
    }
    faults.into_result().map(|()| design)
}

/// `table` with one more field. Whoever does not know the field yet cannot write it, so a guard of it is ready at once.
pub(crate) fn with_field(table: &Table, wanted: &WantedField, lookups: &Lookups) -> Result<Edit, Faults> {
    let mut table = table.clone();
    let field = in_place(wanted, FieldId(table.next_field), lookups)?;
    table.next_field += 1;
    if wanted.unique {
        let id = next_index(&mut table);
        table.indexes.push(guard(field.id, id, IndexState::Ready));
    }
    let part = format!("fields/{}", table.fields.len());
    table.fields.push(field);
    Ok(Edit::of(table, part))
}

/// `table` with the field `known` as `wanted`: only so that what is stored stays what it is.
pub(crate) fn with_changed_field(
    table: &Table,
    known: &Field,
    wanted: &WantedField,
    lookups: &Lookups,
    job: &str,
) -> Result<Edit, Faults> {
    let field = in_place(wanted, known.id, lookups)?;
    may_become(table, known, &field)?;
    let mut edit = Edit::from(table.clone());
    let guarded = guard_of(table, known.id);
    match (wanted.unique, guarded) {
        (true, None) => {
            let id = next_index(&mut edit.table);
            edit.table.indexes.push(guard(known.id, id, IndexState::Building { job: job.to_owned() }));
            edit.build = Some(id);
        }
        (false, Some(guard)) => {
            let id = guard.id;
            edit.table.indexes.retain(|index| index.id != id);
        }
        _ => {}
    }
    for (at, place) in edit.table.fields.iter_mut().enumerate().filter(|(_, place)| place.id == known.id) {
        *place = field.clone();
        edit.part = format!("fields/{at}");
    }
    Ok(edit)
}

/// `table` without the field `known`. Its number is not given again, so its stored values stay out of sight for ever.
pub(crate) fn without_field(table: &Table, known: &Field) -> Result<Edit, Faults> {
    let guard = guard_of(table, known.id).map(|guard| guard.id);
    let holds = |index: &&Index| index.fields.contains(&known.id) && Some(index.id) != guard;
    let mut faults = Faults::none();
    for index in table.indexes.iter().filter(holds) {
        let message = format!("index {} is over '{}'; delete that first", index.id.0, known.api_name);
        faults.add("", "in-use", message);
    }
    for link in links_over(table, known.id) {
        let message = format!("link {link} is over '{}'; change or delete that first", known.api_name);
        faults.add("", "in-use", message);
    }
    faults.into_result()?;
    let mut table = table.clone();
    table.fields.retain(|field| field.id != known.id);
    table.indexes.retain(|index| Some(index.id) != guard);
    Ok(table.into())
}

/// `table` with one more rule.
pub(crate) fn with_rule(table: &Table, rule: &Rule) -> Edit {
    let mut table = table.clone();
    let part = format!("rules/{}", table.rules.len());
    table.rules.push(rule.clone());
    Edit::of(table, part)
}

/// `table` with `rule` in place of the rule `name`, if it has that.
pub(crate) fn with_changed_rule(table: &Table, name: &ApiName, rule: &Rule) -> Option<Edit> {
    let at = table.rules.iter().position(|rule| rule.name == *name)?;
    let mut table = table.clone();
    table.rules[at] = rule.clone();
    Some(Edit::of(table, format!("rules/{at}")))
}

/// `table` with one more link.
pub(crate) fn with_link(table: &Table, link: Link) -> Edit {
    let mut table = table.clone();
    let part = format!("links/{}", table.links.len());
    table.next_link += 1;
    table.links.push(link);
    Edit::of(table, part)
}

/// `table` with `link` in place of the link of its id, if it has that.
pub(crate) fn with_changed_link(table: &Table, link: Link) -> Option<Edit> {
    let at = table.links.iter().position(|known| known.id == link.id)?;
    let mut table = table.clone();
    table.links[at] = link;
    Some(Edit::of(table, format!("links/{at}")))
}

/// `table` with one more index, to be built from what is stored.
pub(crate) fn with_index(table: &Table, wanted: &WantedIndex, job: &str) -> Result<Edit, Faults> {
    let mut table = table.clone();
    let id = next_index(&mut table);
    let mut index = index_of(wanted, &table.fields, &table.indexes, id)?;
    index.state = IndexState::Building { job: job.to_owned() };
    let part = format!("indexes/{}", table.indexes.len());
    table.indexes.push(index);
    Ok(Edit { build: Some(id), ..Edit::of(table, part) })
}

/// The links that refer to `field` by its number; what expressions read is found out when they are compiled.
fn links_over(table: &Table, field: FieldId) -> Vec<LinkId> {
    let is_over = |link: &&Link| {
        let in_payload = matches!(&link.payload, LinkPayload::Fields(fields) if fields.contains(&field));
        in_payload || link.only_fields.contains(&field)
    };
    table.links.iter().filter(is_over).map(|link| link.id).collect()
}

/// The guard that makes one field unique.
pub(crate) fn guard_of(table: &Table, field: FieldId) -> Option<&Index> {
    table.indexes.iter().find(|index| index.slot.is_none() && index.fields == [field])
}

fn next_index(table: &mut Table) -> IndexId {
    let id = IndexId(table.next_index);
    table.next_index += 1;
    id
}

fn guard(field: FieldId, id: IndexId, state: IndexState) -> Index {
    Index { id, fields: vec![field], unique: true, slot: None, state }
}

fn in_place(wanted: &WantedField, id: FieldId, lookups: &Lookups) -> Result<Field, Fault> {
    let table = wanted.looks_up().and_then(|name| lookups.get(name)).copied();
    wanted.numbered(id, table).ok_or_else(|| {
        let message =
            "there is no table of this name, or it is being deleted (a lookup to the table itself is added once that is there)";
        Fault::new("table", "unknown-table", message)
    })
}

/// An index over fields named, in a slot that none of `others` has.
fn index_of(wanted: &WantedIndex, fields: &[Field], others: &[Index], id: IndexId) -> Result<Index, Faults> {
    let mut faults = Faults::none();
    let mut over = Vec::new();
    for (at, name) in wanted.fields.iter().enumerate() {
        match fields.iter().find(|field| field.api_name == *name) {
            Some(field) => over.push(field.id),
            None => {
                faults.add(format!("fields/{at}"), "unknown-field", "this table has no field of this name")
            }
        }
    }
    if others.iter().any(|other| other.slot.is_some() && other.fields == over) {
        faults.add("fields", "taken", "there is an index over these fields in this order already");
    }
    let is_free = |slot: &u8| !others.iter().any(|other| other.slot == Some(*slot));
    let slot = (1..=u8::try_from(MAX_INDEXES).unwrap_or(u8::MAX)).find(is_free);
    if slot.is_none() {
        faults.add("", "too-many", format!("a table has at most {MAX_INDEXES} indexes; delete one first"));
    }
    faults.into_result()?;
    Ok(Index { id, fields: over, unique: wanted.unique, slot, state: IndexState::Ready })
}

/// What is stored must be a value of the new kind, too, and stand in indexes as it stood.
fn may_become(table: &Table, known: &Field, new: &Field) -> Result<(), Fault> {
    let is_text = |kind: &FieldKind| {
        matches!(
            kind,
            FieldKind::Text(_)
                | FieldKind::TextArea(_)
                | FieldKind::Email(_)
                | FieldKind::Url(_)
                | FieldKind::Picklist { .. }
        )
    };
    let is_decimal = |kind: &FieldKind| matches!(kind, FieldKind::Decimal(_) | FieldKind::Currency(_));
    let same = std::mem::discriminant(&known.kind) == std::mem::discriminant(&new.kind);
    match (&known.kind, &new.kind) {
        (FieldKind::Lookup { table: one }, FieldKind::Lookup { table: other }) if one != other => {
            let message = "a lookup stays with its table; make a new field for another one";
            Err(Fault::new("table", "fixed", message))
        }
        (FieldKind::Formula { result: one, .. }, FieldKind::Formula { result: other, .. })
            if one != other =>
        {
            let message = "what a formula gives cannot be changed; make a new field";
            Err(Fault::new("result", "fixed", message))
        }
        _ if same => Ok(()),
        (one, other) if is_text(one) && is_text(other) => Ok(()),
        (one, other) if is_decimal(one) && is_decimal(other) => Ok(()),
        (FieldKind::Integer { .. }, other) if is_decimal(other) => {
            if table.indexes.iter().any(|index| index.fields.contains(&known.id)) {
                let message = "indexes hold whole numbers otherwise than decimals; delete the field's indexes (or its \
                               'unique') first, and make them anew afterwards";
                return Err(Fault::new("type", "in-use", message));
            }
            Ok(())
        }
        _ => {
            let message = "stored values would be none of the new type; make a new field, copy the values over, then \
                           delete this one (text, textarea, email, url and picklist become each other, integer \
                           becomes decimal or currency, these become each other)";
            Err(Fault::new("type", "fixed", message))
        }
    }
}
