//! Rows to try a model with: values on, beside and far from where its trees decide.

use davy_forest::forest::Node;
use davy_forest::package::Package;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

/// Columns of `n_rows` made-up values, the same for the same seed; one value in about two hundred is not finite.
pub(super) fn made_up(package: &Package, n_rows: usize, seed: u64) -> Vec<Vec<f32>> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let pools = pools(package);
    pools.iter().map(|pool| (0..n_rows).map(|_| value(pool, &mut random)).collect()).collect()
}

/// Per feature the values at which something may change: thresholds, edges of the card's bins, golden values.
fn pools(package: &Package) -> Vec<Vec<f32>> {
    let card = &package.card;
    let mut pools: Vec<Vec<f32>> = card
        .features
        .iter()
        .enumerate()
        .map(|(index, feature)| {
            let golden = card.golden.iter().filter_map(|row| row.features.get(index));
            feature.edges.iter().chain(golden).map(|value| *value as f32).collect()
        })
        .collect();
    for node in package.forest.iter().flat_map(|forest| forest.trees()).flat_map(|tree| &tree.nodes) {
        if let Node::Split { feature, threshold, .. } = node {
            pools[*feature as usize].push(*threshold);
        }
    }
    pools
}

fn value(pool: &[f32], random: &mut ChaCha8Rng) -> f32 {
    let pick = |random: &mut ChaCha8Rng| match pool.len() {
        0 => 0.0,
        n => pool[(random.next_u64() % n as u64) as usize],
    };
    match random.next_u32() % 1_000 {
        0..=3 => f32::NAN,
        4 => f32::INFINITY,
        5..=299 => pick(random),
        300..=449 => pick(random).next_up(),
        450..=599 => pick(random).next_down(),
        600..=699 => 0.0,
        // Heavy tails, as counts and rates have.
        _ => {
            let exponent = f64::from(random.next_u32()) / f64::from(u32::MAX) * 12.0 - 3.0;
            10_f64.powf(exponent) as f32
        }
    }
}
