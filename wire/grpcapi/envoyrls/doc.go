// Package envoyrls answers Envoy's rate limit service, version 3
// (envoy.service.ratelimit.v3): which limits a request's descriptors match is
// decided by the rules of the service's reference implementation, from the same
// configuration files, so that an Envoy can be pointed here without a change.
//
// # Matching
//
// A descriptor is a list of entries, key and value. Level by level, an entry
// matches the configured descriptor of its key and value; else one of its key
// whose value ends in "*" and is a prefix; else one of its key without a value. A
// limit counts only for a descriptor of exactly its depth. The counter is of the
// values that came, so a limit without a value counts each value by itself. A
// descriptor that nothing matches is OK.
//
// # Where it differs
//
// Windows are fixed, as in the reference, a month has 30 days and a year 365. What
// is refused is not counted, and a request that one descriptor refuses burns
// nothing of its others: both as everywhere in package throttle. Negative hits
// give units back.
package envoyrls
