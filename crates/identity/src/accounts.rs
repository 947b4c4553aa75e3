//! The people of the platform.

use cloud::{Expect, Millis, Version, Write};
use serde::{Deserialize, Serialize};

use crate::store::{Store, Stored, key, put};
use crate::{AccountId, EmailAddress, Error, Identity, Page, Password, PersonName, Result};

/// A person who can sign in.
#[derive(Clone, Debug, PartialEq)]
pub struct Account {
    pub id: AccountId,
    pub email: EmailAddress,
    pub name: PersonName,
    /// A platform admin.
    pub admin: bool,
    /// A disabled account keeps its memberships and cannot do anything.
    pub disabled: bool,
    pub created: Millis,
    pub updated: Millis,
    /// New with every change: the entity tag.
    pub version: Version,
}

/// What a new account starts with.
#[derive(Clone, Debug)]
pub struct NewAccount {
    pub email: EmailAddress,
    pub name: PersonName,
    pub password: Password,
    pub admin: bool,
}

/// What to change; `None` leaves a field as it is.
#[derive(Clone, Debug, Default)]
pub struct AccountUpdate {
    pub name: Option<PersonName>,
    pub admin: Option<bool>,
    pub disabled: Option<bool>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct AccountRecord {
    v: u8,
    pub id: AccountId,
    pub email: EmailAddress,
    pub name: PersonName,
    pub admin: bool,
    pub disabled: bool,
    pub created: Millis,
    pub updated: Millis,
    /// Sessions and tokens of an earlier epoch are void: raised when the password changes or the account is disabled.
    pub epoch: u64,
}

#[derive(Serialize, Deserialize)]
struct EmailRecord {
    account: AccountId,
}

#[derive(Serialize, Deserialize)]
struct PasswordRecord {
    hash: String,
    changed: Millis,
}

#[derive(Serialize, Deserialize)]
struct ListedRecord {}

#[derive(Serialize, Deserialize)]
struct BootstrapRecord {
    account: AccountId,
    at: Millis,
}

/// The accounts of one deployment.
pub struct Accounts<'a> {
    pub(crate) identity: &'a Identity,
}

impl Accounts<'_> {
    /// Creates an account; `Error::Conflict` when the address is taken.
    pub async fn create(&self, new: NewAccount) -> Result<Account> {
        self.create_with(new, vec![]).await?.ok_or_else(|| Error::Conflict("the e-mail address is taken".into()))
    }

    /// `Error::NotFound` when there is no such account.
    pub async fn get(&self, id: &AccountId) -> Result<Account> {
        Ok(view(self.store().account(id).await?.ok_or(Error::NotFound("account"))?))
    }

    pub async fn by_email(&self, email: &EmailAddress) -> Result<Option<Account>> {
        let Some(id) = self.id_of(email).await? else { return Ok(None) };
        Ok(self.store().account(&id).await?.map(view))
    }

    /// Accounts in order of their creation, after the id `after`.
    pub async fn list(&self, after: Option<&AccountId>, limit: usize) -> Result<Page<Account>> {
        let after = after.map(AccountId::as_str);
        let page: Page<(String, Stored<ListedRecord>)> =
            self.store().page(key::ACCOUNTS.to_owned(), "", after, limit).await?;
        let mut items = Vec::with_capacity(page.items.len());
        for (id, _) in page.items {
            items.extend(self.store().account(&AccountId::parse(id)?).await?.map(view));
        }
        Ok(Page { items, next: page.next })
    }

    /// Changes an account that is still at `expect` (any version when `None`): `Error::Moved` if it is not.
    /// Disabling ends every session and token of the account.
    pub async fn update(&self, id: &AccountId, change: AccountUpdate, expect: Option<&Version>) -> Result<Account> {
        let store = self.store();
        let stored = store.account(id).await?.ok_or(Error::NotFound("account"))?;
        if expect.is_some_and(|expect| *expect != stored.version) {
            return Err(Error::Moved("account"));
        }
        let mut record = stored.value;
        record.name = change.name.unwrap_or(record.name);
        record.admin = change.admin.unwrap_or(record.admin);
        let disabled = change.disabled.unwrap_or(record.disabled);
        record.epoch += u64::from(disabled && !record.disabled);
        record.disabled = disabled;
        record.updated = store.now();
        let version = store.put(key::account(id), &record, Expect::At(stored.version), None).await?;
        Ok(view(Stored { value: record, version: version.ok_or(Error::Moved("account"))? }))
    }

    /// Sets a new password and ends every session of the account. Personal tokens stay good.
    pub async fn set_password(&self, id: &AccountId, password: &Password) -> Result<()> {
        let store = self.store();
        let stored = store.account(id).await?.ok_or(Error::NotFound("account"))?;
        let hash = self.identity.passwords.hash(password).await?;
        let now = store.now();
        let record = AccountRecord { epoch: stored.value.epoch + 1, updated: now, ..stored.value };
        let writes = vec![
            put(key::account(id), &record, Expect::At(stored.version))?,
            put(key::password(id), &PasswordRecord { hash, changed: now }, Expect::Anything)?,
        ];
        match store.records.transact(writes).await {
            Ok(_) => Ok(()),
            Err(error) if error.is_condition_failed() => Err(Error::Moved("account")),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether `password` is the account's: to be asked for before it is changed. Counts as a sign-in attempt.
    pub async fn verify_password(&self, id: &AccountId, password: &str) -> Result<bool> {
        let account = self.get(id).await?;
        Ok(self.identity.check_password(account.email.as_str(), password).await?.is_some())
    }

    /// The stored hash of the account with this address.
    pub(crate) async fn credentials_of(&self, email: &EmailAddress) -> Result<Option<(AccountId, String)>> {
        let Some(id) = self.id_of(email).await? else { return Ok(None) };
        let stored: Option<Stored<PasswordRecord>> = self.store().get(&key::password(&id)).await?;
        Ok(stored.map(|stored| (id, stored.value.hash)))
    }

    async fn id_of(&self, email: &EmailAddress) -> Result<Option<AccountId>> {
        let stored: Option<Stored<EmailRecord>> = self.store().get(&key::email(email)).await?;
        Ok(stored.map(|stored| stored.value.account))
    }

    /// Creates an account together with `along`; `None` when the address is taken or a condition of `along` fails.
    async fn create_with(&self, new: NewAccount, along: Vec<Write>) -> Result<Option<Account>> {
        let store = self.store();
        let hash = self.identity.passwords.hash(&new.password).await?;
        let now = store.now();
        let id = AccountId::generate(&*store.clock, &*store.entropy);
        self.commit_new(id, new, hash, now, along).await
    }

    async fn commit_new(
        &self,
        id: AccountId,
        new: NewAccount,
        hash: String,
        now: Millis,
        along: Vec<Write>,
    ) -> Result<Option<Account>> {
        let record = AccountRecord {
            v: 1,
            id: id.clone(),
            email: new.email,
            name: new.name,
            admin: new.admin,
            disabled: false,
            created: now,
            updated: now,
            epoch: 0,
        };
        let mut writes = vec![
            put(key::account(&id), &record, Expect::Absent)?,
            put(key::email(&record.email), &EmailRecord { account: id.clone() }, Expect::Absent)?,
            put(key::password(&id), &PasswordRecord { hash, changed: now }, Expect::Absent)?,
            put(key::account_listed(&id), &ListedRecord {}, Expect::Absent)?,
        ];
        writes.extend(along);
        let version = self.store().transact_own(writes).await?;
        Ok(version.map(|version| view(Stored { value: record, version })))
    }

    fn store(&self) -> &Store {
        &self.identity.store
    }
}

impl Identity {
    /// Creates the first admin; `None` when this deployment has had one (then nothing is changed).
    pub async fn bootstrap_admin(&self, email: EmailAddress, password: Password) -> Result<Option<Account>> {
        if self.is_bootstrapped().await? {
            return Ok(None);
        }
        let now = self.store.now();
        let id = AccountId::generate(&*self.store.clock, &*self.store.entropy);
        let mark = put(key::bootstrap(), &BootstrapRecord { account: id.clone(), at: now }, Expect::Absent)?;
        let hash = self.passwords.hash(&password).await?;
        let name = PersonName::parse("Admin")?;
        let new = NewAccount { email, name, password, admin: true };
        self.accounts().commit_new(id, new, hash, now, vec![mark]).await
    }

    /// Whether the first admin was created.
    pub async fn is_bootstrapped(&self) -> Result<bool> {
        Ok(self.store.get::<BootstrapRecord>(&key::bootstrap()).await?.is_some())
    }
}

impl Store {
    pub(crate) async fn account(&self, id: &AccountId) -> Result<Option<Stored<AccountRecord>>> {
        self.get(&key::account(id)).await
    }
}

pub(crate) fn view(stored: Stored<AccountRecord>) -> Account {
    let Stored { value, version } = stored;
    Account {
        id: value.id,
        email: value.email,
        name: value.name,
        admin: value.admin,
        disabled: value.disabled,
        created: value.created,
        updated: value.updated,
        version,
    }
}
