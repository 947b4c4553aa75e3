//! The whole platform in one process: the gateway that stands where API Gateway, SQS and DynamoDB Streams stand on
//! AWS, in front of the same functions.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod config;
pub mod events;
pub mod front;
pub mod functions;
pub mod gateway;
pub mod http;
pub mod platform;
pub mod sites;
pub mod socket;
pub mod sources;
