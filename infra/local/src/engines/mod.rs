//! The two embedded engines of the local runner: DynamoDB and SQS on loopback, spoken to by the real AWS SDKs.
//!
//! Both keep everything in one SQLite file each, so that what they answered with 2xx outlives a killed process,
//! and both are guarded against browsers: a page of a foreign site can reach loopback ports too.
//!
//! **The engines know nothing of our functions, and no function knows that it talks to them.**

pub mod dynamodb;
mod error;
mod file;
pub mod sqs;

pub use error::EngineError;
