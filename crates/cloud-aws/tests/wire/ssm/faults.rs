//! What the adapter makes of refusals, lost calls and lost answers.

use cloud::{Error, ParameterName, Parameters, Secret};
use cloud_aws::SsmParameters;
use testkit::emulator::{Emulator, Shared};
use testkit::{FaultProxy, Rule, WireFault};

use crate::{aws, fresh};

/// As many attempts as the adapter makes.
const ATTEMPTS: usize = 3;

struct Behind {
    proxy: FaultProxy,
    parameters: SsmParameters,
    _emulator: Shared,
}

impl Behind {
    async fn ministack() -> Self {
        let emulator = Emulator::shared_ministack();
        let proxy = FaultProxy::start(emulator.endpoint()).await;
        let parameters = aws(proxy.endpoint()).parameters(format!("/{}", fresh("platform")));
        Self { proxy, parameters, _emulator: emulator }
    }

    async fn put(&self, at: &str, value: &str) -> cloud::Result<u64> {
        self.parameters.put(&name(at), Secret::new(value), true).await
    }

    fn puts(&self) -> usize {
        self.proxy.calls(|call| call.operation() == "PutParameter")
    }

    async fn every_call(&self) -> Vec<(&'static str, cloud::Result<()>)> {
        vec![
            ("put", self.put("/a", "x").await.map(drop)),
            ("get", self.parameters.get(&name("/a")).await.map(drop)),
            ("list", self.parameters.list("/", None, 10).await.map(drop)),
            ("delete", self.parameters.delete(&name("/a")).await),
        ]
    }
}

fn name(raw: &str) -> ParameterName {
    ParameterName::parse(raw).unwrap()
}

fn puts(fault: WireFault) -> Rule {
    Rule::new(fault).when(|call| call.operation() == "PutParameter")
}

#[tokio::test(flavor = "multi_thread")]
async fn throttling_is_retried_and_then_said() {
    let behind = Behind::ministack().await;
    for (version, code) in (1..).zip(["ThrottlingException", "TooManyUpdates"]) {
        behind.proxy.heal();
        behind.proxy.inject(Rule::new(WireFault::json(400, code)).times(ATTEMPTS - 1));
        assert_eq!(behind.put("/b", "x").await.unwrap(), version);
        assert_eq!(behind.puts(), ATTEMPTS);
    }
    behind.proxy.heal();
    behind.proxy.inject(Rule::new(WireFault::json(400, "ThrottlingException")).always());
    let failures = behind.every_call().await;
    assert_eq!(behind.proxy.calls(|_| true), failures.len() * ATTEMPTS);
    for (what, failure) in failures {
        assert!(matches!(failure, Err(Error::Unavailable(_))), "{what}: {failure:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn expired_credentials_are_said_at_once() {
    let behind = Behind::ministack().await;
    behind.proxy.inject(Rule::new(WireFault::json(400, "ExpiredTokenException")).always());
    let failures = behind.every_call().await;
    assert_eq!(behind.proxy.calls(|_| true), failures.len(), "a call was repeated");
    for (what, failure) in failures {
        let error = failure.unwrap_err();
        assert!(
            matches!(&error, Error::Other { context, .. } if context.ends_with("have expired")),
            "{what}: {error:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_put_whose_answer_is_lost_counts_once() {
    let behind = Behind::ministack().await;
    behind.proxy.inject(puts(WireFault::LoseAnswer).always());
    assert_eq!(behind.put("/a", "first").await.unwrap(), 1);
    assert_eq!(behind.puts(), 1, "what is stored was put again");
    behind.proxy.heal();
    behind.proxy.inject(puts(WireFault::LoseCall).times(ATTEMPTS - 1));
    assert_eq!(behind.put("/a", "second").await.unwrap(), 2);
    behind.proxy.heal();
    behind.proxy.inject(puts(WireFault::LoseCall).always());
    let unclear = behind.put("/a", "third").await;
    assert!(matches!(unclear, Err(Error::Unclear(_))), "{unclear:?}");
    assert_eq!(behind.puts(), ATTEMPTS);
    let found = behind.parameters.get(&name("/a")).await.unwrap().unwrap();
    assert_eq!((found.value.expose(), found.version), ("second", 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_answer_is_not_taken_for_a_value() {
    let behind = Behind::ministack().await;
    behind.put("/a", "a value that is long enough to be cut").await.unwrap();
    for fault in [WireFault::BreakOff(60), WireFault::Shorten(60)] {
        behind.proxy.heal();
        behind.proxy.inject(Rule::new(fault.clone()).always());
        let failure = behind.parameters.get(&name("/a")).await;
        assert!(matches!(failure, Err(Error::Unavailable(_))), "{fault:?}: {failure:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_reads_every_page_and_keeps_what_was_asked_for() {
    let behind = Behind::ministack().await;
    for number in (0..25).rev() {
        behind.put(&format!("/many/{number:02}"), "x").await.unwrap();
    }
    let names = |found: Vec<cloud::Parameter>| found.iter().map(|p| p.name.to_string()).collect::<Vec<_>>();
    let found = names(behind.parameters.list("/many/", None, 4).await.unwrap());
    assert_eq!(found, ["/many/00", "/many/01", "/many/02", "/many/03"]);
    assert_eq!(behind.proxy.calls(|call| call.operation() == "GetParametersByPath"), 3);
    let found = names(behind.parameters.list("/many/1", Some(&name("/many/17")), 100).await.unwrap());
    assert_eq!(found, ["/many/18", "/many/19"]);
}
