//! Any text as a card: it is refused, or what later code relies on holds.
#![no_main]

use davy_forest::card::Card;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(card) = Card::parse(text) else { return };
    assert!(card.positive_index() < card.classes.len());
    assert!(!card.model.contains('/') && !card.model.starts_with('.'));
    assert!(card.golden.iter().all(|golden| golden.features.len() == card.features.len() && golden.score.is_finite()));
    assert!(card.features.iter().all(|feature| feature.shares.len() <= 32));
});
