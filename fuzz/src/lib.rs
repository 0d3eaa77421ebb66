//! What the fuzz targets check. `toryo-code`'s tests run the same on the committed seeds.

pub mod checks;
