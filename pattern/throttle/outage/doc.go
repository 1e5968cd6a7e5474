// Package outage is what limits do that are counted elsewhere, while that place
// does not answer: a [Policy] says what is decided meanwhile, and a [Gate] keeps
// callers off it, so that an outage costs hardly anybody a wait and piles nothing
// up.
//
// It does nothing by itself; pattern/throttle/valkey and pattern/throttle/policy
// stand on it.
package outage
