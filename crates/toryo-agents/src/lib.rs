//! The agents: manifest, prompt, schema and one run function each.
