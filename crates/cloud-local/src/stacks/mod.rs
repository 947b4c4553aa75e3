//! The `Stacks` port: functions over the Lambda Runtime API on this machine.
