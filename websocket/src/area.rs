//! Areas: what one function of the WebSocket API does.

use std::fmt;
use std::str::FromStr;

use cloud::Access::{
    self, CheckRecords, DeleteRecords, DescribeStacks, FollowLogs, FollowStackLogs, GetRecords, PostToSockets,
    PublishEvents, PutRecords, QueryRecords, ReadLogs, ReadStackLogs, SendJobs, SendTails,
};
use function::App;
use serde_json::Value;

use crate::{fan_out, route, tail};

/// One function of the WebSocket API (variable `AREA`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Area {
    Route,
    FanOut,
    Tail,
}

impl Area {
    pub const ALL: [Self; 3] = [Self::Route, Self::FanOut, Self::Tail];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Route => "route",
            Self::FanOut => "fan-out",
            Self::Tail => "tail",
        }
    }

    /// What the function of this area may do.
    pub fn access(self) -> &'static [Access] {
        match self {
            // Whoever asks for a function's log is told at once when there is no such function.
            Self::Route => &[
                GetRecords,
                QueryRecords,
                PutRecords,
                DeleteRecords,
                CheckRecords,
                PostToSockets,
                SendTails,
                DescribeStacks,
            ],
            Self::FanOut => {
                &[GetRecords, QueryRecords, PutRecords, DeleteRecords, PostToSockets, SendJobs, PublishEvents]
            }
            Self::Tail => &[
                GetRecords,
                QueryRecords,
                PutRecords,
                DeleteRecords,
                PostToSockets,
                SendTails,
                DescribeStacks,
                ReadLogs,
                FollowLogs,
                ReadStackLogs,
                FollowStackLogs,
            ],
        }
    }

    /// Answers an event of this area's source.
    pub async fn answer(self, app: &App, event: Value) -> Value {
        match self {
            Self::Route => route(app, event).await,
            Self::FanOut => fan_out(app, event).await,
            Self::Tail => tail(app, event).await,
        }
    }
}

/// `AREA` names no area.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownArea(String);

impl fmt::Display for UnknownArea {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known: Vec<&str> = Area::ALL.iter().map(|area| area.as_str()).collect();
        write!(f, "`{}` is not an area: {}", self.0, known.join(", "))
    }
}

impl std::error::Error for UnknownArea {}

impl FromStr for Area {
    type Err = UnknownArea;
    fn from_str(raw: &str) -> Result<Self, UnknownArea> {
        Self::ALL.into_iter().find(|area| area.as_str() == raw).ok_or_else(|| UnknownArea(raw.to_owned()))
    }
}
