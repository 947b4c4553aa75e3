//! The people of the platform.

use cloud::{Expect, Millis, Version, Write};
use serde::{Deserialize, Serialize};

use crate::store::{Store, Stored, key, put};
use crate::{
    AccountId, EmailAddress, Error, INVITATION_LIFE, Identity, Page, Password, PersonName, ResetToken, Result,
};

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

/// A new account without a password of its own yet.
#[derive(Clone, Debug)]
pub struct InvitedAccount {
    pub email: EmailAddress,
    pub name: PersonName,
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

    /// The writes that make a new account, and its id. Without a password nobody signs in until one is set by a token.
    /// They fail as a whole when the address is taken.
    pub async fn create_writes(
        &self,
        new: &InvitedAccount,
        password: Option<&Password>,
    ) -> Result<(AccountId, Vec<Write>)> {
        let store = self.store();
        let hash = match password {
            Some(password) => Some(self.identity.passwords.hash(password).await?),
            None => None,
        };
        let id = AccountId::generate(&*store.clock, &*store.entropy);
        let (_, writes) = new_writes(&id, new, hash, store.now())?;
        Ok((id, writes))
    }

    /// An invitation to a new account, with the writes that make both.
    pub async fn invite_writes(&self, new: &InvitedAccount) -> Result<(AccountId, ResetToken, Vec<Write>)> {
        let (id, mut writes) = self.create_writes(new, None).await?;
        let (token, more) = self.identity.token_writes(&id, 0, INVITATION_LIFE)?;
        writes.extend(more);
        Ok((id, token, writes))
    }

    /// The writes of [`Accounts::update`], and what the account was.
    pub async fn update_writes(
        &self,
        id: &AccountId,
        change: AccountUpdate,
        expect: Option<&Version>,
    ) -> Result<(Account, Vec<Write>)> {
        let (before, record) = self.changed(id, change, expect).await?;
        let write = put(key::account(id), &record, Expect::At(before.version.clone()))?;
        Ok((before, vec![write]))
    }

    /// The writes of [`Accounts::set_password`].
    pub async fn set_password_writes(&self, id: &AccountId, password: &Password) -> Result<Vec<Write>> {
        let stored = self.store().account(id).await?.ok_or(Error::NotFound("account"))?;
        self.identity.password_writes(stored, password).await
    }

    async fn changed(
        &self,
        id: &AccountId,
        change: AccountUpdate,
        expect: Option<&Version>,
    ) -> Result<(Account, AccountRecord)> {
        let stored = self.store().account(id).await?.ok_or(Error::NotFound("account"))?;
        if expect.is_some_and(|expect| *expect != stored.version) {
            return Err(Error::Moved("account"));
        }
        let mut record = stored.value.clone();
        record.name = change.name.unwrap_or(record.name);
        record.admin = change.admin.unwrap_or(record.admin);
        let disabled = change.disabled.unwrap_or(record.disabled);
        record.epoch += u64::from(disabled && !record.disabled);
        record.disabled = disabled;
        record.updated = self.store().now();
        Ok((view(stored), record))
    }

    /// Changes an account that is still at `expect` (any version when `None`): `Error::Moved` if it is not.
    /// Disabling ends every session and token of the account.
    pub async fn update(&self, id: &AccountId, change: AccountUpdate, expect: Option<&Version>) -> Result<Account> {
        let (before, record) = self.changed(id, change, expect).await?;
        let version = self.store().put(key::account(id), &record, Expect::At(before.version), None).await?;
        Ok(view(Stored { value: record, version: version.ok_or(Error::Moved("account"))? }))
    }

    /// Sets a new password and ends every session of the account. Personal tokens stay good.
    pub async fn set_password(&self, id: &AccountId, password: &Password) -> Result<()> {
        let writes = self.set_password_writes(id, password).await?;
        match self.store().records.transact(writes).await {
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
        let NewAccount { email, name, admin, .. } = new;
        let (record, mut writes) = new_writes(&id, &InvitedAccount { email, name, admin }, Some(hash), now)?;
        writes.extend(along);
        let version = self.store().transact_own(writes).await?;
        Ok(version.map(|version| view(Stored { value: record, version })))
    }

    fn store(&self) -> &Store {
        &self.identity.store
    }
}

fn new_writes(
    id: &AccountId,
    new: &InvitedAccount,
    hash: Option<String>,
    now: Millis,
) -> Result<(AccountRecord, Vec<Write>)> {
    let record = AccountRecord {
        v: 1,
        id: id.clone(),
        email: new.email.clone(),
        name: new.name.clone(),
        admin: new.admin,
        disabled: false,
        created: now,
        updated: now,
        epoch: 0,
    };
    let mut writes = vec![
        put(key::account(id), &record, Expect::Absent)?,
        put(key::email(&record.email), &EmailRecord { account: id.clone() }, Expect::Absent)?,
        put(key::account_listed(id), &ListedRecord {}, Expect::Absent)?,
    ];
    if let Some(hash) = hash {
        writes.push(put(key::password(id), &PasswordRecord { hash, changed: now }, Expect::Absent)?);
    }
    Ok((record, writes))
}

impl Identity {
    /// The writes that give an account a new password and end its sessions.
    pub(crate) async fn password_writes(
        &self,
        stored: Stored<AccountRecord>,
        password: &Password,
    ) -> Result<Vec<Write>> {
        let hash = self.passwords.hash(password).await?;
        let now = self.store.now();
        let id = stored.value.id.clone();
        let record = AccountRecord { epoch: stored.value.epoch + 1, updated: now, ..stored.value };
        Ok(vec![
            put(key::account(&id), &record, Expect::At(stored.version))?,
            put(key::password(&id), &PasswordRecord { hash, changed: now }, Expect::Anything)?,
        ])
    }

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
