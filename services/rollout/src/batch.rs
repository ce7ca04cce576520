//! Batches: how many devices, and in which order.
//!
//! Percentages are cumulative: batch i ends after `ceil(N · pᵢ)` devices, so that 10, 50, 100 of ten
//! devices are 1, 4 and 5, and one device makes one batch. Counts are per batch. Whatever the rules
//! say, the last batch takes the rest, empty batches fall away, and the sizes add up to N.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// How large a batch is.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Size {
    /// Up to this share of all devices, in percent.
    Percent(f64),
    /// This many devices.
    Count(u32),
}

/// The sizes of the batches for `devices` devices, with the index of the rule each follows. A rule
/// that leaves devices over is repeated for as long as it takes when it counts, and stretched to the
/// rest when it is a share.
#[must_use]
pub fn sizes(rules: &[Size], devices: u32) -> Vec<(usize, u32)> {
    let mut batches = Vec::new();
    let mut done = 0;
    for (index, rule) in rules.iter().enumerate() {
        let end = match *rule {
            Size::Percent(percent) => share(devices, percent),
            Size::Count(count) => done + count.min(devices - done),
        };
        if end > done {
            batches.push((index, end - done));
            done = end;
        }
    }
    let Some(last) = rules.last() else {
        return if devices == 0 { Vec::new() } else { vec![(0, devices)] };
    };
    while done < devices {
        let size = match *last {
            Size::Count(count) => count.max(1).min(devices - done),
            Size::Percent(_) => devices - done,
        };
        batches.push((rules.len() - 1, size));
        done += size;
    }
    batches
}

/// A share of the devices, rounded up.
#[must_use]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share of a u32 in percent between 0 and 100 is a u32"
)]
pub fn share(devices: u32, percent: f64) -> u32 {
    // A share such as 7 % of 100 is not exactly 7 in binary; the rest below a millionth is rounding.
    let exact = f64::from(devices) * percent / 100.0;
    ((exact - 1e-6).ceil().max(0.0) as u32).min(devices)
}

/// The place of a device in a rollout's order. The seed is the rollout before it of the same image, so
/// that a preview shows the next rollout as it will be, and that it is not always the same devices
/// that go first.
#[must_use]
pub fn order_key(seed: Uuid, device: Uuid) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(seed.as_bytes());
    hash.update(device.as_bytes());
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn percent(shares: &[f64], devices: u32) -> Vec<u32> {
        let rules: Vec<_> = shares.iter().map(|share| Size::Percent(*share)).collect();
        sizes(&rules, devices).into_iter().map(|(_, size)| size).collect()
    }

    #[test]
    fn the_default_stages_of_small_and_large_fleets() {
        let stages = [10.0, 50.0, 100.0];
        assert_eq!(percent(&stages, 1), [1]);
        assert_eq!(percent(&stages, 2), [1, 1]);
        assert_eq!(percent(&stages, 3), [1, 1, 1]);
        assert_eq!(percent(&stages, 10), [1, 4, 5]);
        assert_eq!(percent(&stages, 10_000), [1_000, 4_000, 5_000]);
        assert_eq!(percent(&stages, 0), [] as [u32; 0]);
    }

    #[test]
    fn counted_batches_repeat_until_all_devices_have_one() {
        let sizes_of = |rules: &[Size], devices| -> Vec<u32> {
            sizes(rules, devices).into_iter().map(|(_, size)| size).collect()
        };
        assert_eq!(sizes_of(&[Size::Count(3)], 10), [3, 3, 3, 1]);
        assert_eq!(sizes_of(&[Size::Count(1), Size::Count(4)], 10), [1, 4, 4, 1]);
        assert_eq!(sizes_of(&[Size::Percent(10.0), Size::Count(5)], 20), [2, 5, 5, 5, 3]);
        assert_eq!(sizes_of(&[], 7), [7]);
    }

    #[test]
    fn a_share_is_not_rounded_up_by_binary_fractions() {
        assert_eq!(share(100, 7.0), 7);
        assert_eq!(share(3, 33.4), 2);
        assert_eq!(share(10, 0.1), 1);
    }

    fn rules() -> impl Strategy<Value = Vec<Size>> {
        let rule = prop_oneof![
            (0.01..=100.0_f64).prop_map(Size::Percent),
            (1..500_u32).prop_map(Size::Count),
        ];
        proptest::collection::vec(rule, 0..6)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]

        #[test]
        fn sizes_add_up_and_none_is_empty(rules in rules(), devices in 0..20_000_u32) {
            let batches = sizes(&rules, devices);
            prop_assert_eq!(batches.iter().map(|(_, size)| size).sum::<u32>(), devices);
            prop_assert!(batches.iter().all(|(_, size)| *size > 0));
            prop_assert!(batches.windows(2).all(|pair| pair[0].0 <= pair[1].0));
        }
    }
}
