//! Where resolved values come from that only the cloud knows: physical names, ARNs, pseudo parameters.

/// A resource whose value is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Resource<'a> {
    pub logical: &'a str,
    /// The type as in the template; implicit resources have the type that SAM gives them.
    pub kind: &'a str,
    /// The physical name that the template gives (`FunctionName`, `QueueName`, …).
    pub name: Option<&'a str>,
}

/// Answers `Ref`, `Fn::GetAtt` and pseudo parameters. `None` is "no such value" and becomes a problem.
pub trait Names {
    /// `Ref` of a resource.
    fn reference(&self, resource: Resource<'_>) -> Option<String>;
    /// `Fn::GetAtt`; `attribute` may have dots (`Endpoint.Address`).
    fn attribute(&self, resource: Resource<'_>, attribute: &str) -> Option<String>;
    /// `AWS::Region`, `AWS::AccountId`, … `AWS::NoValue` is never asked.
    fn pseudo(&self, name: &str) -> Option<String>;
    /// A dynamic reference without its braces (`resolve:ssm:/name:1`); none is known unless the cloud says so.
    fn dynamic(&self, _reference: &str) -> Option<String> {
        None
    }
}
