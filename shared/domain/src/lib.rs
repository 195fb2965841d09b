//! The words of Queuelink and their rules: ids, names, queues, messages, scopes, verdicts.
//!
//! No I/O, no AWS, no async: whatever stands here can be tested with values alone. Types here are not
//! `Serialize`; each edge (HTTP, DynamoDB, SQS) has wire types of its own, so that a change of words never
//! changes what is stored.

mod address;
mod backoff;
mod broker_address;
mod broker_user;
mod causes;
mod clock;
mod decimal;
mod destination;
pub mod expression;
mod fault;
mod filter;
mod hex;
mod id;
mod job;
mod key;
mod letter;
mod link;
mod name;
mod on_demand;
mod outbox;
mod outcome;
mod package;
mod payload;
mod queue;
mod record;
mod schema;
mod scope;
mod secret;
mod table;
mod table_name;
mod table_schema;
mod text;

pub use address::{Forbidden, Guard};
pub use backoff::Backoff;
pub use broker_address::BrokerAddress;
pub use causes::causes;
pub use clock::Clock;
pub use decimal::{Decimal, DecimalError, MAX_DECIMAL_DIGITS};
pub use destination::{
    Destination, Engine, KafkaCluster, KafkaLogin, KafkaTopic, RabbitMqBroker, RabbitMqQueue, ScramHash,
    SqsQueue,
};
pub use expression::{
    EvaluationError, Expression, ExpressionFault, MAX_EXPRESSION_BYTES, MAX_EXPRESSION_DEPTH, ResultKind,
    Scene,
};
pub use fault::{Fault, Faults};
pub use filter::{CompareOp, Condition, Conjunct, Filter};
pub use hex::hex;
pub use id::{IdError, JobId, KeyId, MessageId, QueueId};
pub use job::{Job, JobKind, JobState};
pub use key::{ApiKey, ApiKeyText, KeyError, KeySecret, MAX_LIVE_SECRETS};
pub use letter::{Letter, LetterBody, LetterOrigin, LetterState};
pub use link::{Link, LinkId, LinkIdError, LinkMode, LinkPayload, MAX_LINKS};
pub use name::{HandlerName, QueueName};
pub use on_demand::OnDemand;
pub use outbox::{EntryKey, EntryKeyError, EntryOrigin, EntryState, MAX_LINK_DEPTH, OutboxEntry};
pub use outcome::{DeadReason, Outcome};
pub use package::{
    MAX_ACTIVE_PACKAGES, MAX_PACKAGE_BYTES, MAX_PACKAGE_FILE_BYTES, MAX_PACKAGE_FILES, MAX_PACKAGE_SECRETS,
    PACKAGE_SETTINGS, Package, PackageFile, PackageFiles, PackageName, PackageSet, PackageSettings, Release,
    SecretName, package_file_path,
};
pub use payload::{
    MAX_BODY_BYTES, MAX_BODY_DEPTH, MAX_DEPTH, Payload, check_body, check_json, handler_field,
};
pub use queue::{
    BATCH_SIZE, Credentials, DEFAULT_MAX_FAILURES, MAX_FAILURES_LIMIT, MappingState, Queue, QueueState,
    Sealed, WorkerMode,
};
pub use record::{RawFields, Record, RecordId, RecordIdError, Value, Values};
pub use schema::{MAX_PATTERN_BYTES, MAX_SCHEMA_BYTES, PayloadSchema};
pub use scope::{Names, Scope, ScopeError, Scopes};
pub use secret::Secret;
pub use table::{
    DEFAULT_BUCKETS, Field, FieldId, FieldKind, FormulaResult, Index, IndexId, IndexState, MAX_BUCKETS,
    MAX_FIELDS, MAX_INDEX_FIELDS, MAX_INDEXES, MAX_RULES, NumberRules, Operation, Operations, Rule, Table,
    TablePage, TableState, TextRules,
};
pub use table_name::{ApiName, TablePrefix};
pub use table_schema::{
    Clear, LinkAnswer, LinkMessage, MAX_LINK_HOLES, MAX_ORDERING_KEY_BYTES, MAX_TEMPLATE_BYTES, RecordWrite,
    Silence, TableSchema, fold, json_of, moment,
};
pub use text::{ascii_json, forbidden_character};
