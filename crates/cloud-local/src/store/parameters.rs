//! `Parameters`: rows, sealed when they are secrets.

use std::sync::Arc;

use cloud::limits::PARAMETER_MAX;
use cloud::{Error, Millis, Parameter, ParameterName, Parameters, Result, Secret};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::database::During;
use super::{Inner, PAGE_MAX, page_limit, prefix_end};

/// The parameters of one namespace.
#[derive(Clone)]
pub struct LocalParameters {
    inner: Arc<Inner>,
    namespace: Arc<str>,
}

struct Stored {
    name: String,
    version: i64,
    modified: i64,
    sealed: bool,
    value: Vec<u8>,
}

impl LocalParameters {
    pub(super) fn new(inner: Arc<Inner>, namespace: &str) -> Self {
        Self { inner, namespace: namespace.into() }
    }

    fn open(&self, stored: Stored) -> Result<Parameter> {
        let corrupt = || Error::Corrupt(stored.name.clone());
        let value = match stored.sealed {
            true => {
                let place = place(&self.namespace, &stored.name, stored.version);
                self.inner.seal.open_sealed(&place, &stored.name, &stored.value)?
            }
            false => stored.value,
        };
        Ok(Parameter {
            value: Secret::new(String::from_utf8(value).map_err(|_| corrupt())?),
            name: ParameterName::parse(stored.name.clone())?,
            sealed: stored.sealed,
            version: u64::try_from(stored.version).map_err(|_| corrupt())?,
            modified: Millis(stored.modified),
        })
    }
}

/// What a sealed value is bound to: it opens nowhere else.
fn place(namespace: &str, name: &str, version: i64) -> String {
    format!("{namespace}\0{name}\0{version}")
}

fn stored(row: &Row<'_>) -> rusqlite::Result<Stored> {
    Ok(Stored {
        name: row.get(0)?,
        version: row.get(1)?,
        modified: row.get(2)?,
        sealed: row.get(3)?,
        value: row.get(4)?,
    })
}

#[async_trait::async_trait]
impl Parameters for LocalParameters {
    async fn get(&self, name: &ParameterName) -> Result<Option<Parameter>> {
        let (namespace, name) = (self.namespace.clone(), name.clone());
        let work = move |connection: &Connection| {
            let sql = "SELECT name, version, modified, sealed, value FROM parameter WHERE namespace = ?1 AND name = ?2";
            connection
                .prepare_cached(sql)
                .and_then(|mut sql| sql.query_row(params![namespace, name.as_str()], stored).optional())
                .during(format!("reading parameter `{name}`"))
        };
        self.inner.main.read(work).await?.map(|stored| self.open(stored)).transpose()
    }

    async fn put(&self, name: &ParameterName, value: Secret, sealed: bool) -> Result<u64> {
        let length = value.expose().len();
        if length > PARAMETER_MAX {
            let (actual, limit) = (length as u64, PARAMETER_MAX as u64);
            return Err(Error::TooLarge { what: format!("parameter `{name}`"), actual, limit });
        }
        if length == 0 {
            return Err(Error::Invalid(format!("parameter `{name}` has no value")));
        }
        let (inner, namespace, name) = (self.inner.clone(), self.namespace.clone(), name.clone());
        let work = move |connection: &Connection| {
            let what = || format!("writing parameter `{name}`");
            let version: i64 = connection
                .prepare_cached("SELECT version FROM parameter WHERE namespace = ?1 AND name = ?2")
                .and_then(|mut sql| sql.query_row(params![namespace, name.as_str()], |row| row.get(0)).optional())
                .during(what())?
                .map_or(1, |version: i64| version + 1);
            let bytes = match sealed {
                true => {
                    let place = place(&namespace, name.as_str(), version);
                    inner.seal.seal(&*inner.entropy, &place, value.expose().as_bytes())?
                }
                false => value.expose().as_bytes().to_vec(),
            };
            let sql = "INSERT INTO parameter (namespace, name, version, modified, sealed, value)
                VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (namespace, name) DO UPDATE SET
                version = excluded.version, modified = excluded.modified, sealed = excluded.sealed,
                value = excluded.value";
            let values = params![namespace, name.as_str(), version, inner.now().0, sealed, bytes];
            connection.prepare_cached(sql).and_then(|mut sql| sql.execute(values)).during(what())?;
            u64::try_from(version).during(what())
        };
        self.inner.main.write(work).await
    }

    async fn delete(&self, name: &ParameterName) -> Result<()> {
        let (namespace, name) = (self.namespace.clone(), name.clone());
        let work = move |connection: &Connection| {
            connection
                .execute("DELETE FROM parameter WHERE namespace = ?1 AND name = ?2", params![namespace, name.as_str()])
                .during(format!("deleting parameter `{name}`"))
                .map(drop)
        };
        self.inner.main.write(work).await
    }

    async fn list(&self, prefix: &str, after: Option<&ParameterName>, limit: usize) -> Result<Vec<Parameter>> {
        let limit = page_limit(limit, PAGE_MAX)?;
        let (namespace, prefix) = (self.namespace.clone(), prefix.to_owned());
        let after = after.map(|after| after.as_str().to_owned()).unwrap_or_default();
        let work = move |connection: &Connection| {
            let sql = "SELECT name, version, modified, sealed, value FROM parameter
                WHERE namespace = ?1 AND name >= ?2 AND name > ?3 AND (?4 IS NULL OR name < ?4) ORDER BY name LIMIT ?5";
            let values = params![namespace, prefix, after, prefix_end(&prefix), limit];
            connection
                .prepare_cached(sql)
                .and_then(|mut sql| sql.query_map(values, stored)?.collect::<rusqlite::Result<Vec<_>>>())
                .during("listing parameters")
        };
        let found = self.inner.main.read(work).await?;
        found.into_iter().map(|stored| self.open(stored)).collect()
    }
}
