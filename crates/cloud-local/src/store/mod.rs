//! One SQLite file and blob files.
