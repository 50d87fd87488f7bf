"""The producer's side of Sluice, and a local AWS to try it on."""
