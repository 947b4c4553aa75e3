//! The tables. Text is compared bytewise (`BINARY`), times are milliseconds since 1970.

/// `workroom.db`, step by step: each script makes the format of the next version out of the one before.
pub(super) const MAIN: &[&str] = &[MAIN_1, MAIN_2];
/// `logs/logs.db`, the same.
pub(super) const LOGS: &[&str] = &[LOGS_1];

/// What objects' owners say of them: a JSON object, or nothing.
const MAIN_2: &str = "
ALTER TABLE blob ADD COLUMN metadata TEXT;
ALTER TABLE upload ADD COLUMN metadata TEXT;
";

/// `workroom.db`. `AUTOINCREMENT` never gives a number twice: record versions and feed positions rest on it.
const MAIN_1: &str = "
CREATE TABLE record (
    id INTEGER PRIMARY KEY, namespace TEXT NOT NULL, partition TEXT NOT NULL, sort TEXT NOT NULL,
    version INTEGER NOT NULL, expires INTEGER, value TEXT NOT NULL,
    UNIQUE (namespace, partition, sort));
CREATE INDEX record_expires ON record (expires) WHERE expires IS NOT NULL;
CREATE TABLE change (
    position INTEGER PRIMARY KEY AUTOINCREMENT, namespace TEXT NOT NULL, partition TEXT NOT NULL, sort TEXT NOT NULL,
    kind INTEGER NOT NULL, at INTEGER NOT NULL, old TEXT, new TEXT);
CREATE INDEX change_namespace ON change (namespace, position);
CREATE TABLE feed (id INTEGER PRIMARY KEY CHECK (id = 1), trimmed INTEGER NOT NULL);
INSERT INTO feed VALUES (1, 0);

CREATE TABLE bucket (name TEXT PRIMARY KEY, created INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE blob (
    id INTEGER PRIMARY KEY AUTOINCREMENT, bucket TEXT NOT NULL, key TEXT NOT NULL, length INTEGER NOT NULL,
    etag TEXT NOT NULL, sha256 BLOB NOT NULL, modified INTEGER NOT NULL,
    content_type TEXT, content_encoding TEXT, cache_control TEXT, file TEXT, body BLOB,
    UNIQUE (bucket, key));
CREATE INDEX blob_file ON blob (file) WHERE file IS NOT NULL;
CREATE TABLE upload (
    id TEXT PRIMARY KEY, bucket TEXT NOT NULL, key TEXT NOT NULL, created INTEGER NOT NULL,
    content_type TEXT, content_encoding TEXT, cache_control TEXT);
CREATE INDEX upload_bucket ON upload (bucket, key, id);
CREATE TABLE part (
    upload TEXT NOT NULL, number INTEGER NOT NULL, length INTEGER NOT NULL, etag TEXT NOT NULL,
    modified INTEGER NOT NULL, file TEXT NOT NULL,
    PRIMARY KEY (upload, number)) WITHOUT ROWID;

CREATE TABLE queue (name TEXT PRIMARY KEY, created INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE message (
    id INTEGER PRIMARY KEY AUTOINCREMENT, queue TEXT NOT NULL, dead INTEGER NOT NULL DEFAULT 0,
    visible INTEGER NOT NULL, sent INTEGER NOT NULL, attempts INTEGER NOT NULL DEFAULT 0,
    lease TEXT, name TEXT NOT NULL, body TEXT NOT NULL);
CREATE INDEX message_visible ON message (queue, dead, visible);
CREATE INDEX message_sent ON message (sent);

CREATE TABLE parameter (
    namespace TEXT NOT NULL, name TEXT NOT NULL, version INTEGER NOT NULL, modified INTEGER NOT NULL,
    sealed INTEGER NOT NULL, value BLOB NOT NULL,
    PRIMARY KEY (namespace, name)) WITHOUT ROWID;
";

/// `logs/logs.db`: apart, so that a flood of log lines does not hold up records.
const LOGS_1: &str = "
CREATE TABLE log_group (
    id INTEGER PRIMARY KEY AUTOINCREMENT, namespace TEXT NOT NULL, name TEXT NOT NULL,
    created INTEGER NOT NULL, retention_days INTEGER,
    UNIQUE (namespace, name));
CREATE TABLE log_stream (
    id INTEGER PRIMARY KEY AUTOINCREMENT, group_id INTEGER NOT NULL, name TEXT NOT NULL,
    created INTEGER NOT NULL, first INTEGER, last INTEGER,
    UNIQUE (group_id, name));
CREATE TABLE log_event (
    id INTEGER PRIMARY KEY AUTOINCREMENT, group_id INTEGER NOT NULL, stream_id INTEGER NOT NULL,
    at INTEGER NOT NULL, ingested INTEGER NOT NULL, message TEXT NOT NULL);
CREATE INDEX log_event_group ON log_event (group_id, id);
CREATE INDEX log_event_stream ON log_event (stream_id, id);
CREATE INDEX log_event_at ON log_event (group_id, at);
CREATE TABLE dropped_group (id INTEGER PRIMARY KEY);
";
