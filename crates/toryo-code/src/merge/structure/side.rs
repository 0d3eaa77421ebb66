//! What a side did to the pieces of the base.

use crate::merge::pieces::{Key, Parts, Piece};
use std::collections::HashMap;
use std::ops::Range;

/// What a side did to each piece of the base.
pub(super) struct Side {
    /// What became of each.
    pub(super) fates: Vec<Fate>,
    /// New pieces before each, and after the last.
    pub(super) added: Vec<Vec<usize>>,
}

pub(super) enum Fate {
    /// It is this piece now.
    Kept(usize),
    /// It is gone, and these pieces stand in its place.
    Gone(Vec<usize>),
}

impl Side {
    /// Compares the pieces. `None` if those that both have stand in another order.
    pub(super) fn of(base: &Parts, side: &Parts) -> Option<Self> {
        let places: HashMap<&Key, usize> =
            base.pieces.iter().enumerate().map(|(at, piece)| (&piece.key, at)).collect();
        let count = base.pieces.len();
        let mut fates: Vec<Fate> = (0..count).map(|_| Fate::Gone(Vec::new())).collect();
        let mut added: Vec<Vec<usize>> = vec![Vec::new(); count + 1];
        let (mut next, mut run) = (0, Vec::new());
        for (index, piece) in side.pieces.iter().enumerate() {
            let Some(place) = places.get(&piece.key).copied() else {
                run.push(index);
                continue;
            };
            if place < next {
                return None;
            }
            Self::settle(std::mem::take(&mut run), next..place, base, side, &mut fates, &mut added);
            fates[place] = Fate::Kept(index);
            next = place + 1;
        }
        Self::settle(run, next..count, base, side, &mut fates, &mut added);
        Some(Self { fates, added })
    }

    /// New pieces between two that stay: in the place of what is gone there if it is of their kind, or beside it.
    fn settle(
        run: Vec<usize>,
        gone: Range<usize>,
        base: &Parts,
        side: &Parts,
        fates: &mut [Fate],
        added: &mut [Vec<usize>],
    ) {
        let same_kind = |at: &usize| run.iter().any(|new| side.pieces[*new].is_like(&base.pieces[*at]));
        match gone.clone().find(same_kind) {
            Some(at) => fates[at] = Fate::Gone(run),
            None => added[gone.end] = run,
        }
    }

    /// The pieces that the base does not have.
    pub(super) fn all_new(&self) -> impl Iterator<Item = usize> {
        let replacing = self.fates.iter().filter_map(|fate| match fate {
            Fate::Kept(_) => None,
            Fate::Gone(run) => Some(run),
        });
        replacing.chain(&self.added).flatten().copied()
    }
}

impl Piece {
    /// Whether one may stand in the place of the other: both are of one kind, or define the same.
    fn is_like(&self, other: &Self) -> bool {
        let kind = std::mem::discriminant(&self.key) == std::mem::discriminant(&other.key);
        kind || self.names.iter().any(|name| other.names.contains(name))
    }
}
