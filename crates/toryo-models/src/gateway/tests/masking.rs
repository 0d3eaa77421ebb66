//! Routes that mask.

use super::*;

/// Takes the word `inclusive` for sensitive.
#[derive(Debug)]
struct Inclusive;

impl Mask for Inclusive {
    fn find(&self, text: &str) -> Vec<crate::mask::Found> {
        let places = text.match_indices("inclusive");
        places.map(|(at, word)| crate::mask::Found { range: at..at + word.len(), kind: "SECRET" }).collect()
    }
}

fn masking(mask: Masking) -> Config {
    let mut config = config();
    config.routes.values_mut().for_each(|route| route.mask = mask);
    config
}

#[tokio::test(start_paused = true)]
async fn a_route_that_masks_sends_placeholders_and_its_reply_has_the_values() {
    for (mask, reply) in [(Masking::Mask, "[SECRET_1]!"), (Masking::Restore, "inclusive!")] {
        let mut bench = Bench::with(&masking(mask), [Answer::text("[SECRET_1]!")]);
        bench.gateway = bench.gateway.with_mask(Arc::new(Inclusive));
        assert_eq!(bench.call().await.unwrap().content, reply);
        let sent = format!("{:?}", bench.provider.requests());
        assert!(sent.contains("Make the range [SECRET_1].") && !sent.contains("inclusive"), "{sent}");
        assert_eq!(bench.call().await.unwrap().content, reply, "as the journal has it");
        assert_eq!(bench.asked(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_route_that_masks_sends_nothing_where_nobody_says_what_to_mask() {
    let bench = Bench::with(&masking(Masking::Restore), [Answer::text("x")]);
    assert!(matches!(bench.call().await, Err(Error::Config(_))));
    assert_eq!(bench.asked(), 0);
    let caller = &bench.caller;
    assert_eq!(bench.journal.spent(caller.run_id).await.unwrap(), Spent::default());
}
