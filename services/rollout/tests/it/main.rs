//! Tests of `rollout` from outside: its planning over random histories, its RPCs, its device link.

mod histories;
