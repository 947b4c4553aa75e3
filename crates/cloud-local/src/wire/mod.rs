//! The AWS service endpoint: wire protocols over the local store.
