use jiff::Timestamp;

use crate::{ApiName, Decimal, Link, Sealed, TablePrefix};

/// Fields a table may have.
pub const MAX_FIELDS: usize = 200;

/// Validation rules a table may have.
pub const MAX_RULES: usize = 50;

/// Indexes a table may have, beside the guards of unique fields.
pub const MAX_INDEXES: usize = 5;

/// Fields one index may have.
pub const MAX_INDEX_FIELDS: usize = 4;

/// Partitions a new table's records are spread over.
pub const DEFAULT_BUCKETS: u8 = 4;

/// The most partitions a table may have: one per character of the bucket alphabet.
pub const MAX_BUCKETS: u8 = 32;

/// A field's number within its table; never used again, so that a new field never shows the values of an old one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FieldId(pub u32);

/// An index's number within its table; never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IndexId(pub u32);

/// A table: which fields its records have, which rules they meet, how they can be found.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// The beginning of its records' ids, for ever.
    pub prefix: TablePrefix,
    /// Its name, unique.
    pub api_name: ApiName,
    /// For people.
    pub label: Option<String>,
    /// In the order they were given.
    pub fields: Vec<Field>,
    /// The number of the next new field.
    pub next_field: u32,
    /// In the order they were given.
    pub rules: Vec<Rule>,
    /// Indexes, and the guards of unique fields.
    pub indexes: Vec<Index>,
    /// The number of the next new index.
    pub next_index: u32,
    /// What makes messages of its records' writes, in the order they were given.
    pub links: Vec<Link>,
    /// The number of the next new link.
    pub next_link: u32,
    /// How many partitions new records are spread over; it may grow, and nothing moves.
    pub buckets: u8,
    /// The table's data key, wrapped: of encrypted fields and of cursors.
    pub data_key: Sealed,
    /// Where it stands in its life.
    pub state: TableState,
    /// When it was made.
    pub created_at: Timestamp,
    /// When its definition last changed.
    pub updated_at: Timestamp,
    /// Counts changes; a change is conditioned on it, so that none is lost.
    pub version: u64,
}

/// Where a table stands in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TableState {
    /// In use.
    Ready,
    /// Its records are being removed; nothing can be written or read.
    Deleting,
}

/// One field.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    /// Its number: what its values are stored under.
    pub id: FieldId,
    /// Its name, unique in the table; it may change.
    pub api_name: ApiName,
    /// For people.
    pub label: Option<String>,
    /// What its values are.
    pub kind: FieldKind,
    /// Whether a record must have a value.
    pub required: bool,
    /// What a record gets that is created without a value: JSON text, as a caller would have sent it.
    pub default: Option<String>,
}

/// What the values of a field are.
#[derive(Debug, Clone, PartialEq)]
pub enum FieldKind {
    /// One line of text.
    Text(TextRules),
    /// Many lines of text.
    TextArea(TextRules),
    /// An e-mail address.
    Email(TextRules),
    /// An http or https URL.
    Url(TextRules),
    /// A whole number of 64 bits.
    Integer {
        /// The least it may be.
        min: Option<i64>,
        /// The most it may be.
        max: Option<i64>,
    },
    /// A decimal number of up to 38 digits, exact.
    Decimal(NumberRules),
    /// An amount of money: a decimal that is written with `scale` digits behind the point.
    Currency(NumberRules),
    /// True or false.
    Boolean,
    /// A moment: RFC 3339, kept in UTC, at most nanoseconds.
    DateTime,
    /// One of these texts.
    Picklist {
        /// In the order they are shown; 1 to 200, each at most 255 bytes.
        values: Vec<String>,
    },
    /// The id of a record of that table, which must be there when it is set.
    Lookup {
        /// Whose records.
        table: TablePrefix,
    },
    /// Any JSON up to 32 deep.
    Json,
    /// Text that is stored encrypted and shown in clear only to a key that has that scope.
    EncryptedText(TextRules),
    /// Computed at each write from the record's other fields.
    Formula {
        /// CEL over the record's own fields, by their names.
        expression: String,
        /// What it gives.
        result: FormulaResult,
    },
}

/// What a formula gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FormulaResult {
    /// A text.
    Text,
    /// A whole number.
    Integer,
    /// A decimal.
    Decimal,
    /// True or false.
    Boolean,
}

/// What a text must meet. Lengths count characters (Unicode scalar values).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TextRules {
    /// The least length.
    pub min_length: Option<u32>,
    /// The greatest length.
    pub max_length: Option<u32>,
    /// A regular expression (crate `regex`) that must match somewhere; at most 256 bytes.
    pub pattern: Option<String>,
}

/// What a number must meet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NumberRules {
    /// The least it may be.
    pub min: Option<Decimal>,
    /// The most it may be.
    pub max: Option<Decimal>,
    /// The most digits behind the point; for currency also how many are written (2 unless said).
    pub scale: Option<u8>,
}

/// A validation rule over several fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Its name, unique in the table.
    pub name: ApiName,
    /// At which writes it is asked.
    pub on: Operations,
    /// CEL over `old` and `new` that must be true.
    pub expression: String,
    /// What a caller is told when it is not.
    pub message: String,
}

/// A kind of write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Operation {
    /// A record is made: `old` is null.
    Create,
    /// A record is changed.
    Update,
    /// A record is removed: `new` is null.
    Delete,
}

/// Some kinds of writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Operations {
    /// Creates.
    pub create: bool,
    /// Updates.
    pub update: bool,
    /// Deletes.
    pub delete: bool,
}

/// A way to find records, or a promise that values stand only once, or both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Index {
    /// Its number.
    pub id: IndexId,
    /// Over which fields, the most significant first.
    pub fields: Vec<FieldId>,
    /// Whether no two records may have the same values in all of them (records that lack one are free).
    pub unique: bool,
    /// Which of the table's five global secondary indexes it uses, 1 to 5. `None` = it only guards (`unique` of a field).
    pub slot: Option<u8>,
    /// How far it is.
    pub state: IndexState,
}

/// How far an index is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IndexState {
    /// New writes keep it; a job adds the records that were there before. No query uses it, guards already hold.
    Building {
        /// The job that builds it.
        job: String,
    },
    /// Whole.
    Ready,
    /// It cannot be: these values stand more than once. New writes keep to it no more.
    Failed {
        /// Up to ten examples: the ids of two records that have the same values.
        duplicates: Vec<(String, String)>,
    },
}

/// A page of the backoffice over one table, as data.
#[derive(Debug, Clone, PartialEq)]
pub struct TablePage {
    /// Its name, unique.
    pub name: ApiName,
    /// Which table's records it shows.
    pub table: ApiName,
    /// Fields shown as columns, in order.
    pub columns: Vec<ApiName>,
    /// Named filters: a label and a CEL filter.
    pub filters: Vec<(String, String)>,
    /// Fields of the form, in order.
    pub form: Vec<ApiName>,
    /// Counts changes.
    pub version: u64,
    /// When it last changed.
    pub updated_at: Timestamp,
}

impl Table {
    /// The field of this name.
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.api_name.as_str() == name)
    }

    /// The field of this number.
    pub fn field_by_id(&self, id: FieldId) -> Option<&Field> {
        self.fields.iter().find(|field| field.id == id)
    }

    /// The indexes that writes keep: all but the failed ones.
    pub fn kept_indexes(&self) -> impl Iterator<Item = &Index> {
        self.indexes.iter().filter(|index| !matches!(index.state, IndexState::Failed { .. }))
    }
}

impl Field {
    /// Whether values are whole numbers, decimals or money.
    pub fn is_number(&self) -> bool {
        matches!(
            self.kind,
            FieldKind::Integer { .. }
                | FieldKind::Decimal(_)
                | FieldKind::Currency(_)
                | FieldKind::Formula { result: FormulaResult::Integer | FormulaResult::Decimal, .. }
        )
    }

    /// Whether records can be found and sorted by it: everything but JSON and encrypted text.
    pub fn is_indexable(&self) -> bool {
        !matches!(self.kind, FieldKind::Json | FieldKind::EncryptedText(_))
    }
}

impl Operations {
    /// Creates and updates: what a rule is for when it does not say.
    pub const WRITES: Operations = Operations { create: true, update: true, delete: false };

    /// Whether `operation` is one of them.
    pub fn contains(self, operation: Operation) -> bool {
        match operation {
            Operation::Create => self.create,
            Operation::Update => self.update,
            Operation::Delete => self.delete,
        }
    }
}

impl Operation {
    /// `create`, `update`, `delete`.
    pub fn as_str(self) -> &'static str {
        match self {
            Operation::Create => "create",
            Operation::Update => "update",
            Operation::Delete => "delete",
        }
    }
}
