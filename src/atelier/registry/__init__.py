"""From a trained generator to one that anyone can fetch: bundles, their store and its gate."""
