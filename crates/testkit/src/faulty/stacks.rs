//! The ports that do something elsewhere, each call through the plan.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cloud::{
    ConnectionId, Credentials, DeployStack, EventSink, Invocation, Invoke, Logs, Posted, Result, Sockets, Stack,
    StackName, StackRules, StackTarget, Stacks,
};

use super::FaultyCloud;

/// `Sockets` with faults.
#[derive(Clone)]
pub struct FaultySockets {
    cloud: FaultyCloud,
    inner: Arc<dyn Sockets>,
}

/// `Stacks` with faults.
#[derive(Clone)]
pub struct FaultyStacks {
    cloud: FaultyCloud,
    inner: Arc<dyn Stacks>,
}

impl FaultyCloud {
    pub fn sockets(&self, inner: Arc<dyn Sockets>) -> FaultySockets {
        FaultySockets { cloud: self.clone(), inner }
    }

    pub fn stacks(&self, inner: Arc<dyn Stacks>) -> FaultyStacks {
        FaultyStacks { cloud: self.clone(), inner }
    }
}

#[async_trait::async_trait]
impl Sockets for FaultySockets {
    async fn post(&self, connection: &ConnectionId, message: Bytes) -> Result<Posted> {
        self.cloud.run("sockets.post", || self.inner.post(connection, message.clone())).await
    }

    async fn close(&self, connection: &ConnectionId) -> Result<()> {
        self.cloud.run("sockets.close", || self.inner.close(connection)).await
    }
}

#[async_trait::async_trait]
impl Stacks for FaultyStacks {
    async fn deploy(&self, what: DeployStack, events: EventSink) -> Result<Stack> {
        self.cloud.run("stacks.deploy", || self.inner.deploy(what.clone(), events.clone())).await
    }

    async fn describe(&self, name: &StackName) -> Result<Option<Stack>> {
        self.cloud.run("stacks.describe", || self.inner.describe(name)).await
    }

    async fn invoke(&self, what: Invoke) -> Result<Invocation> {
        self.cloud.run("stacks.invoke", || self.inner.invoke(what.clone())).await
    }

    async fn delete(&self, name: &StackName) -> Result<()> {
        self.cloud.run("stacks.delete", || self.inner.delete(name)).await
    }

    async fn credentials(&self, name: &StackName, ttl: Duration) -> Result<Credentials> {
        self.cloud.run("stacks.credentials", || self.inner.credentials(name, ttl)).await
    }
    async fn cancel(&self, name: &StackName, token: &str) -> Result<()> {
        self.cloud.run("stacks.cancel", || self.inner.cancel(name, token)).await
    }

    fn at(&self, target: &StackTarget) -> Result<Arc<dyn Stacks>> {
        Ok(Arc::new(Self { cloud: self.cloud.clone(), inner: self.inner.at(target)? }))
    }

    fn rules(&self, name: &StackName) -> Option<StackRules> {
        self.inner.rules(name)
    }

    fn logs(&self) -> Option<Arc<dyn Logs>> {
        self.inner.logs()
    }
}
