//! Keys for the service endpoint: who may call it, and for which stack.
